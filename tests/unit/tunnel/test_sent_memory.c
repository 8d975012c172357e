// SPDX-License-Identifier: BSD-3-Clause
/*
 * What was sent is remembered until it is acknowledged: a line that brings everything is
 * proven all the time, however long its round trip is and whatever rate is asked for.
 */
#include <errno.h>

#include "tests/unit/tunnel/pair.h"

#define LOOK_NS (10 * RT_MS)

static void flood(struct pair *p)
{
	while (pair_submit(p, 0, 65536))
		;
	tunnel_expedite(p->end[0], pair_now(p));
	pair_run(p, LOOK_NS);
}

static void make(struct pair *p, uint64_t rate_bps, int64_t delay_ns)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(delay_ns, 0);

	params.rate_bps = rate_bps;
	params.send_memory = params.receive_memory = 64 << 20;
	pair_init(p, &params, &line, 1);
	pair_run(p, 2 * RT_S);
}

static void always_proven(struct pair *p)
{
	int64_t from = p->now_ns + 2 * RT_S, until = from + 2 * RT_S;

	while (p->now_ns < until) {
		flood(p);
		assert_true(p->now_ns < from || tunnel_proven(p->end[0], pair_now(p)));
	}
}

static void a_long_round_trip_keeps_the_line_proven(void **state)
{
	static const uint64_t rates[] = { 60000000, 95000000 };

	for (unsigned i = 0; i < 2; i++) {
		struct pair p;

		make(&p, rates[i], 300 * RT_MS);
		always_proven(&p);
		pair_release(&p);
	}
}

/* A rate that it cannot remember is refused: whoever asks makes a new tunnel. */
static void a_rate_fits_or_is_refused(void **state)
{
	struct pair p;

	make(&p, 20000000, 100 * RT_MS);
	assert_int_equal(tunnel_set_rate(p.end[0], false, 500000000, pair_now(&p)),
			 -ENOSPC);
	assert_int_equal(tunnel_set_rate(p.end[0], true, 0, pair_now(&p)), -ENOSPC);
	assert_int_equal(tunnel_set_rate(p.end[0], false, 40000000, pair_now(&p)), 0);
	always_proven(&p);
	pair_release(&p);
}

/* The largest memory that there is takes each rate. */
static void the_largest_memory_takes_each_rate(void **state)
{
	struct pair p;

	make(&p, 10000000000, 100 * RT_MS);
	assert_int_equal(tunnel_set_rate(p.end[0], false, 20000000000, pair_now(&p)), 0);
	assert_int_equal(tunnel_set_rate(p.end[0], true, 0, pair_now(&p)), 0);
	pair_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_round_trip_keeps_the_line_proven),
		cmocka_unit_test(a_rate_fits_or_is_refused),
		cmocka_unit_test(the_largest_memory_takes_each_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
