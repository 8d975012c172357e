// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>

#include "nbd-server/error.h"
#include "nbd-server/protocol.h"
#include "tests/unit/unit.h"

/*
 * A client acts on the error it gets: EPERM is final, ENOSPC asks for room, ESHUTDOWN
 * says to come back. Each errno of the group's contract has its own answer, and whatever
 * else comes up is an I/O error and never a success.
 */
static void errno_has_its_answer(void **state)
{
	assert_int_equal(nbds_error(0), NBDS_OK);
	assert_int_equal(nbds_error(-EPERM), NBDS_EPERM);
	assert_int_equal(nbds_error(-EROFS), NBDS_EPERM);
	assert_int_equal(nbds_error(-ENOMEM), NBDS_ENOMEM);
	assert_int_equal(nbds_error(-EDQUOT), NBDS_ENOMEM); /* map_memory */
	assert_int_equal(nbds_error(-EINVAL), NBDS_EINVAL);
	assert_int_equal(nbds_error(-ENOSPC), NBDS_ENOSPC);
	assert_int_equal(nbds_error(-ENOTSUP), NBDS_ENOTSUP);
	assert_int_equal(nbds_error(-ESHUTDOWN), NBDS_ESHUTDOWN);
	assert_int_equal(nbds_error(-EAGAIN), NBDS_ESHUTDOWN);
	assert_int_equal(nbds_error(-EIO), NBDS_EIO);
	assert_int_equal(nbds_error(-EBADMSG), NBDS_EIO);
	for (int e = 1; e < 4096; e++)
		assert_int_not_equal(nbds_error(-e), NBDS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errno_has_its_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
