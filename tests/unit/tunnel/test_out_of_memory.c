// SPDX-License-Identifier: BSD-3-Clause
/*
 * A tunnel that cannot get its memory says so and leaves nothing behind, whichever
 * allocation it is that fails; and once made it asks for none for as long as it runs.
 */
#include <errno.h>

#include "tests/unit/alloc.h"
#include "tests/unit/tunnel/pair.h"

static void every_allocation_may_fail(void **state)
{
	struct tunnel_params params = pair_params();
	struct tunnel *t = NULL;

	for (fail_at = 1;; fail_at++) {
		int res;

		asked = 0;
		res = tunnel_new(&params, (rt_time){ RT_S }, &t);
		if (res == 0)
			break;
		assert_int_equal(res, -ENOMEM);
		assert_int_equal(held, 0);
	}
	assert_true(fail_at > 10);
	tunnel_free(t);
	assert_int_equal(held, 0);
	fail_at = 0;
}

static void a_running_tunnel_asks_for_nothing(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(5 * RT_MS, 0.1);
	struct pair p;

	pair_init(&p, &params, &line, 1);
	asked = 0;
	for (unsigned i = 0; i < 300; i++) {
		(void)pair_submit(&p, 0, 5000);
		tunnel_expedite(p.end[0], pair_now(&p));
		pair_run(&p, RT_MS);
	}
	assert_true(pair_run_taken(&p, 1, tunnel_submitted(p.end[0]), 10 * RT_S));
	assert_int_equal(asked, 0);
	pair_release(&p);
	assert_int_equal(held, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(a_running_tunnel_asks_for_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
