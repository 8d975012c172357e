// SPDX-License-Identifier: BSD-3-Clause
/*
 * A line is never given more than its rate and the burst allow, over any interval, and is
 * never left idle while there is something to send: not by rounding either.
 */
#include "replicator/tunnel/pacer.h"
#include "replicator/tunnel/tunnel.h"
#include "rt/hash.h"
#include "tests/unit/unit.h"

static void rate_is_kept_to_the_bit(void **state)
{
	static const uint64_t rates[] = { 1000000,   7777777,	 200000000,
					  999999937, 1000000000, UINT64_C(40000000000) };

	for (unsigned i = 0; i < 6; i++) {
		rt_time now = { 12345 };
		struct pacer p;
		uint64_t bits = 0;
		int64_t end_ns;

		pacer_init(&p, rates[i], TUNNEL_DATAGRAM_MAX, now);
		end_ns = now.ns + (rates[i] > 1000000000 ? RT_S / 10 : 2 * RT_S);
		for (;;) {
			if (!pacer_ready(&p, now))
				now = p.ready_at;
			if (now.ns >= end_ns)
				break;
			pacer_charge(&p, 1460, now);
			bits += (1460 + PACER_OVERHEAD) * 8;
		}
		{
			double want = (double)rates[i] * (double)(end_ns - 12345) / 1e9;
			double burst = (double)rates[i] * (double)p.burst_ns / 1e9;

			assert_true((double)bits <= want + burst + 2 * 12000);
			assert_true((double)bits >= want - burst / 4 - 12000);
		}
	}
}

/* Whoever comes late gets the burst, and no more. */
static void idle_time_is_not_saved_up(void **state)
{
	rt_time now = { RT_S };
	struct pacer p;
	unsigned n = 0;

	pacer_init(&p, 200000000, TUNNEL_DATAGRAM_MAX, now);
	for (int again = 0; again < 2; again++) {
		now = rt_time_add(now, 3600 * RT_S);
		for (n = 0; pacer_ready(&p, now); n++)
			pacer_charge(&p, 1460, now);
		/* 1 ms at 200 Mbit/s is 25 kB. */
		assert_in_range(n, 16, 18);
		assert_true(p.ready_at.ns > now.ns);
		now = p.ready_at;
		assert_true(pacer_ready(&p, now));
		pacer_idle(&p);
	}
}

static void a_slow_line_still_takes_datagrams(void **state)
{
	rt_time now = { RT_S };
	struct pacer p;

	pacer_init(&p, 64000, TUNNEL_DATAGRAM_MAX, now);
	for (unsigned i = 0; i < 100; i++) {
		now = p.ready_at;
		assert_true(pacer_ready(&p, now));
		pacer_charge(&p, 1460, now);
	}
	assert_in_range(now.ns - RT_S, 17 * RT_S, 19 * RT_S);
}

/* Whoever had something to send all the time and woke up late catches up, to a bound. */
static void late_time_is_caught_up(void **state)
{
	static const int64_t late_ms[] = { 0, 1, 3, 4, 1000 };

	for (unsigned i = 0; i < 5; i++) {
		int64_t caught_ms = late_ms[i] < 4 ? late_ms[i] : 4;
		rt_time now = { RT_S };
		struct pacer p;
		unsigned n = 0;

		pacer_init(&p, 200000000, TUNNEL_DATAGRAM_MAX, now);
		while (pacer_ready(&p, now))
			pacer_charge(&p, 1460, now);
		/* Empty. A full bucket is there 1 ms later, and what is late on top. */
		now = rt_time_add(now, RT_MS + late_ms[i] * RT_MS);
		for (; pacer_ready(&p, now); n++)
			pacer_charge(&p, 1460, now);
		assert_in_range(n, 16 + 16 * caught_ms, 18 + 17 * caught_ms);
	}
}

/* Under load datagrams leave some at a time, not one per wake-up. */
static void it_rests_once_empty(void **state)
{
	rt_time now = { RT_S };
	unsigned wakes = 0, sent = 0;
	struct pacer p;

	pacer_init(&p, 1000000000, TUNNEL_DATAGRAM_MAX, now);
	while (now.ns < RT_S + 100 * RT_MS) {
		for (; pacer_ready(&p, now); sent++)
			pacer_charge(&p, 1460, now);
		now = p.ready_at;
		wakes++;
	}
	assert_in_range(sent, 8400, 8500);
	assert_in_range(wakes, 350, 410);
}

static void no_rate_is_no_limit(void **state)
{
	rt_time now = { RT_S };
	struct pacer p;

	pacer_init(&p, 0, TUNNEL_DATAGRAM_MAX, now);
	for (unsigned i = 0; i < 1000; i++) {
		assert_true(pacer_ready(&p, now));
		pacer_charge(&p, 1460, now);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rate_is_kept_to_the_bit),
		cmocka_unit_test(idle_time_is_not_saved_up),
		cmocka_unit_test(a_slow_line_still_takes_datagrams),
		cmocka_unit_test(late_time_is_caught_up),
		cmocka_unit_test(it_rests_once_empty),
		cmocka_unit_test(no_rate_is_no_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
