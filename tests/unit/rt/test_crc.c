// SPDX-License-Identifier: BSD-3-Clause
/*
 * A checksum is in every format: it is the published function, whatever way a buffer is cut,
 * so that what one version wrote another can read.
 */
#include <string.h>

#include "rt/crc.h"
#include "tests/unit/unit.h"

static void crc32c_is_the_published_one(void **state)
{
	uint8_t buf[32];

	assert_int_equal(rt_crc32c("123456789", 9), 0xe3069283);
	assert_int_equal(rt_crc32c("", 0), 0);
	/* RFC 3720 appendix B.4 */
	memset(buf, 0, sizeof(buf));
	assert_int_equal(rt_crc32c(buf, sizeof(buf)), 0x8a9136aa);
	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(rt_crc32c(buf, sizeof(buf)), 0x62a8ab43);
	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)i;
	assert_int_equal(rt_crc32c(buf, sizeof(buf)), 0x46dd794e);
}

static void crc32c_in_pieces_is_the_same(void **state)
{
	uint8_t buf[300];

	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 37 + 11);
	for (size_t cut = 0; cut <= sizeof(buf); cut++) {
		uint32_t crc = rt_crc32c(buf, cut);

		crc = rt_crc32c_more(crc, buf + cut, sizeof(buf) - cut);
		assert_int_equal(crc, rt_crc32c(buf, sizeof(buf)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc32c_is_the_published_one),
		cmocka_unit_test(crc32c_in_pieces_is_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
