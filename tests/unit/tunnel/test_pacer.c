// SPDX-License-Identifier: BSD-3-Clause
/*
 * A line is never given more than its rate and the burst allow, over any interval, and is
 * never left idle while there is something to send: not by rounding either.
 */
#include <stdio.h>
#include <stdlib.h>

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
			bits += (1460 + PACER_IPV4) * 8;
		}
		{
			double want = (double)rates[i] * (double)(end_ns - 12345) / 1e9;
			double burst = (double)rates[i] * (double)p.burst_ns / 1e9;

			assert_true((double)bits <= want + burst + 2 * 12000);
			assert_true((double)bits >= want - burst / 4 - 12000);
		}
	}
}

/* Longer headers leave less room for data, at any rate that is set afterwards. */
static void headers_count(void **state)
{
	rt_time now = { RT_S };
	uint64_t bits = 0;
	struct pacer p;

	pacer_init(&p, 0, TUNNEL_DATAGRAM_MAX, now);
	pacer_set_headers(&p, PACER_IPV6);
	pacer_set_rate(&p, 50000000, now);
	pacer_set_rate(&p, 100000000, now);
	while (now.ns < 2 * RT_S) {
		pacer_charge(&p, 452, now);
		bits += (452 + PACER_IPV6) * 8;
		if (!pacer_ready(&p, now))
			now = p.ready_at;
	}
	assert_in_range(bits, 99900000, 100200000);
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

/* Nor is it made up for later: who wakes on time gets the rate and one burst. */
static void idle_time_is_not_caught_up(void **state)
{
	const uint64_t rate_bps = 1000000000;
	rt_time now = { RT_S }, begin;
	uint64_t bits = 0;
	struct pacer p;

	pacer_init(&p, rate_bps, TUNNEL_DATAGRAM_MAX, now);
	pacer_charge(&p, 1460, now);
	pacer_idle(&p);
	begin = now = rt_time_add(now, RT_S);
	while (rt_time_since(now, begin) < 40 * RT_MS) {
		pacer_charge(&p, 1460, now);
		bits += (1460 + PACER_IPV4) * 8;
		if (!pacer_ready(&p, now))
			now = p.ready_at;
	}
	assert_true(bits <= rate_bps / 1000 * 40 + rate_bps / 1000 + 2 * 12000);
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

/*
 * Whoever had something to send all the time and woke up late catches up, to a bound; but
 * not at once: that would be a burst that a short queue on the way does not take.
 */
static void late_time_is_caught_up_but_not_at_once(void **state)
{
	static const int64_t late_ms[] = { 0, 1, 3, 4, 1000 };

	for (unsigned i = 0; i < 5; i++) {
		int64_t caught_ms = late_ms[i] > 4 ? 4 : late_ms[i], end_ns;
		rt_time now = { RT_S };
		struct pacer p;
		unsigned n = 0;

		pacer_init(&p, 200000000, TUNNEL_DATAGRAM_MAX, now);
		while (pacer_ready(&p, now))
			pacer_charge(&p, 1460, now);
		/* Empty. A full bucket is there 1 ms later, and what is late on top. */
		now = rt_time_add(now, RT_MS + late_ms[i] * RT_MS);
		end_ns = now.ns + 20 * RT_MS;
		for (; pacer_ready(&p, now); n++)
			pacer_charge(&p, 1460, now);
		assert_in_range(n, 16, 18);
		while (p.ready_at.ns < end_ns) {
			now = p.ready_at;
			for (; pacer_ready(&p, now); n++)
				pacer_charge(&p, 1460, now);
		}
		/* 20 ms of the rate are 336 datagrams. */
		assert_in_range(n, 16 + 336 + 16 * caught_ms - 8,
				18 + 336 + 17 * caught_ms);
	}
}

/* ---- any interval, whatever the wake-ups ------------------------------------------- */

#define LOG_MAX 200000

struct charge {
	int64_t at_ns, bits;
};

struct draws {
	uint64_t state;
};

static uint64_t draw(struct draws *d, uint64_t below)
{
	d->state += UINT64_C(0x9e3779b97f4a7c15);
	return rt_mix64(d->state) % below;
}

/*
 * The most by which any interval of the log exceeds `rate` over its length: a maximum sum
 * of neighbours (Kadane), each charge less what the rate gave since the one before.
 */
static double excess_bits(const struct charge *log, unsigned n, double rate)
{
	double most = 0, sum = 0;

	for (unsigned i = 0; i < n; i++) {
		if (i > 0)
			sum -= rate * (double)(log[i].at_ns - log[i - 1].at_ns) / 1e9;
		if (sum < 0)
			sum = 0;
		sum += (double)log[i].bits;
		if (sum > most)
			most = sum;
	}
	return most;
}

/* Wake up for whatever reason, now and then late, now and then with nothing to send. */
static unsigned random_wakes(struct draws *d, struct pacer *p, struct charge *log,
			     int64_t late_max_ns)
{
	rt_time now = { RT_S };
	unsigned n = 0;

	for (unsigned wake = 0; wake < 4000 && n < LOG_MAX - 2000; wake++) {
		unsigned left = draw(d, 3) == 0 ? (unsigned)draw(d, 30) : 1000;

		for (; left > 0 && pacer_ready(p, now); left--) {
			size_t len = 36 + draw(d, TUNNEL_DATAGRAM_MAX - 35);

			pacer_charge(p, len, now);
			log[n++] = (struct charge){ now.ns,
						    (int64_t)(len + PACER_IPV4) * 8 };
		}
		if (pacer_ready(p, now))
			pacer_idle(p);
		if (draw(d, 4) == 0)
			now = rt_time_add(now, (int64_t)draw(d, 300 * RT_US));
		else if (rt_time_before(now, p->ready_at))
			now = p->ready_at;
		if (late_max_ns > 0 && draw(d, 3) == 0)
			now = rt_time_add(now, (int64_t)draw(d, (uint64_t)late_max_ns));
		if (draw(d, 50) == 0)
			now = rt_time_add(now, (int64_t)draw(d, 100 * RT_MS));
	}
	return n;
}

static void no_interval_gets_more(void **state)
{
	static const double rates[] = { 5e5, 1e7, 2e8, 1e9, 1e10 };
	struct charge *log = malloc(LOG_MAX * sizeof(*log));

	assert_non_null(log);
	for (uint64_t seed = 1; seed <= 60; seed++) {
		double rate = rates[seed % 5], burst, datagram = 1500 * 8, all, peak;
		int64_t late_ns = seed % 3 == 0 ? 0 : 10 * RT_MS;
		struct draws d = { seed };
		struct pacer p;
		unsigned n;

		pacer_init(&p, (uint64_t)rate, TUNNEL_DATAGRAM_MAX, (rt_time){ RT_S });
		burst = rate * 1e-3 > 2 * datagram ? rate * 1e-3 : 2 * datagram;
		n = random_wakes(&d, &p, log, late_ns);
		all = excess_bits(log, n, rate);
		peak = excess_bits(log, n, 1.25 * rate);
		if (peak > burst + datagram + 1)
			fail_msg("seed %llu: a burst of %.2f ms",
				 (unsigned long long)seed, peak / rate * 1e3);
		if (all > burst + datagram + 1 + rate * (double)PACER_LATE_NS / 1e9)
			fail_msg("seed %llu: %.2f ms more than the rate",
				 (unsigned long long)seed, all / rate * 1e3);
	}
	free(log);
}

/* Never late: the rate, a burst and a datagram, and not a bit more. */
static void on_time_there_is_nothing_to_catch_up(void **state)
{
	struct charge *log = malloc(LOG_MAX * sizeof(*log));
	rt_time now = { RT_S };
	struct pacer p;
	unsigned n = 0;

	assert_non_null(log);
	pacer_init(&p, 200000000, TUNNEL_DATAGRAM_MAX, now);
	while (n < 50000) {
		for (; pacer_ready(&p, now); n++) {
			pacer_charge(&p, 1460, now);
			log[n] = (struct charge){ now.ns, (1460 + PACER_IPV4) * 8 };
		}
		now = p.ready_at;
	}
	assert_true(excess_bits(log, n, 200e6) <= 200e3 + 1488 * 8 + 1);
	free(log);
}

/* Timers that come late, each time, by up to so much: what of the rate is left. */
static void coarse_timers_cost_what_they_must(void **state)
{
	static const int64_t late_us[] = { 100, 500, 1000, 2000, 4000 };
	static const double least[] = { 0.99, 0.99, 0.97, 0.7, 0.35 };

	for (unsigned i = 0; i < 5; i++) {
		rt_time now = { RT_S };
		struct draws d = { 7 };
		double bits = 0, share;
		struct pacer p;

		pacer_init(&p, 200000000, TUNNEL_DATAGRAM_MAX, now);
		while (now.ns < 5 * RT_S) {
			for (; pacer_ready(&p, now); bits += (1460 + PACER_IPV4) * 8)
				pacer_charge(&p, 1460, now);
			now = rt_time_add(p.ready_at,
					  (int64_t)draw(&d, (uint64_t)late_us[i] * 1000));
		}
		share = bits / (200e6 * (double)(now.ns - RT_S) / 1e9);
		if (getenv("PACER_VERBOSE") != NULL)
			printf("timers late by up to %lld us: %.3f of the rate\n",
			       (long long)late_us[i], share);
		assert_true(share >= least[i] && share < 1.001);
	}
}

/* What has been charged in advance is not forgotten when the rate changes. */
static void the_rate_may_change(void **state)
{
	static const uint64_t rates[] = { 10000000,   200000000, 1000000,
					  1000000000, 0,	 50000000 };
	rt_time now = { RT_S };
	struct pacer p;

	pacer_init(&p, 200000000, TUNNEL_DATAGRAM_MAX, now);
	for (unsigned i = 0; i < 6; i++) {
		double bits = 0, want = (double)rates[i] / 2;
		double owed = (double)p.rate_bps / 1000;
		int64_t end_ns = now.ns + RT_S / 2;

		pacer_set_rate(&p, rates[i], now);
		if (rates[i] == 0) {
			assert_true(pacer_ready(&p, now));
			continue;
		}
		for (;;) {
			for (; pacer_ready(&p, now); bits += (1460 + PACER_IPV4) * 8)
				pacer_charge(&p, 1460, now);
			if (p.ready_at.ns >= end_ns)
				break;
			now = p.ready_at;
		}
		now.ns = end_ns;
		assert_true(bits < want * 1.01 + (double)rates[i] / 1000 + 3 * 12000);
		assert_true(bits > want * 0.98 - owed - 3 * 12000);
	}
	/* A hundred times a second up and down: on the mean. */
	{
		double bits = 0;
		rt_time from = now;

		for (unsigned i = 0; i < 1000; i++) {
			int64_t end_ns = now.ns + 10 * RT_MS;

			pacer_set_rate(&p, i % 2 ? 20000000 : 100000000, now);
			for (;;) {
				for (; pacer_ready(&p, now);
				     bits += (1460 + PACER_IPV4) * 8)
					pacer_charge(&p, 1460, now);
				if (p.ready_at.ns >= end_ns)
					break;
				now = p.ready_at;
			}
			now.ns = end_ns;
		}
		bits /= (double)(now.ns - from.ns) / 1e9;
		assert_true(bits > 57e6 && bits < 63e6);
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
		cmocka_unit_test(headers_count),
		cmocka_unit_test(idle_time_is_not_saved_up),
		cmocka_unit_test(idle_time_is_not_caught_up),
		cmocka_unit_test(a_slow_line_still_takes_datagrams),
		cmocka_unit_test(late_time_is_caught_up_but_not_at_once),
		cmocka_unit_test(no_interval_gets_more),
		cmocka_unit_test(on_time_there_is_nothing_to_catch_up),
		cmocka_unit_test(coarse_timers_cost_what_they_must),
		cmocka_unit_test(the_rate_may_change),
		cmocka_unit_test(it_rests_once_empty),
		cmocka_unit_test(no_rate_is_no_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
