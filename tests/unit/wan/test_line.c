// SPDX-License-Identifier: BSD-3-Clause
/*
 * A line behaves as its parameters say: every figure of a disaster test rests on it. Time
 * here is an argument, so that rate, delay and loss are measured without noise.
 */
#include "tests/unit/unit.h"
#include "tests/wan/line.h"
#include "tests/wan/units.h"

#include <math.h>

#define MS UINT64_C(1000000)
#define S (1000 * MS)
#define PAYLOAD 1408

static struct wanem_line line_of(const char *name, const char *value)
{
	struct wanem_line line;

	wanem_line_init(&line, 1);
	assert_int_equal(wanem_units_set(&line.p, name, value), 0);
	return line;
}

static void an_idle_line_adds_its_delay(void **state)
{
	struct wanem_line line = line_of("delay", "25ms");
	struct wanem_passage passage = wanem_line_datagram(&line, 5 * S, PAYLOAD);

	assert_int_equal(passage.fate, WANEM_DELIVERED);
	assert_int_equal(passage.due_ns, 5 * S + 25 * MS);
	assert_int_equal(wanem_line_stream(&line, 5 * S, 10000), 5 * S + 25 * MS);
}

/* Twice the rate is offered for ten seconds: what is delivered is the rate. */
static void a_full_line_delivers_its_rate(void **state)
{
	struct wanem_line line = line_of("rate", "200Mbit");
	uint64_t bits = 0;
	uint64_t first = 0;
	uint64_t last = 0;

	for (uint64_t now = S; now < 11 * S; now += 28720) {
		struct wanem_passage passage = wanem_line_datagram(&line, now, PAYLOAD);

		if (passage.fate != WANEM_DELIVERED)
			continue;
		if (first == 0)
			first = passage.due_ns;
		else
			bits += (PAYLOAD + WANEM_UDP_OVERHEAD) * 8;
		last = passage.due_ns;
		assert_true(passage.due_ns - now <= 51 * MS);
	}
	assert_true(fabs((double)bits / ((double)(last - first) / 1e9) / 200e6 - 1) <
		    1e-4);
}

static void streams_and_datagrams_share_the_rate(void **state)
{
	struct wanem_line line = line_of("rate", "8Mbit");
	struct wanem_passage passage;
	uint64_t due = wanem_line_stream(&line, S, WANEM_TCP_SEGMENT);

	assert_int_equal(due, S + (WANEM_TCP_SEGMENT + WANEM_TCP_OVERHEAD) * 1000);
	passage = wanem_line_datagram(&line, S, 1000 - WANEM_UDP_OVERHEAD);
	assert_int_equal(passage.due_ns, due + MS);
}

static void a_queue_holds_what_it_says(void **state)
{
	struct wanem_line line = line_of("rate", "8Mbit");
	int taken = 0;

	assert_int_equal(wanem_units_set(&line.p, "queue", "10000B"), 0);
	assert_int_equal(wanem_line_room(&line, S), S);
	while (wanem_line_datagram(&line, S, 972).fate == WANEM_DELIVERED)
		taken++;
	assert_int_equal(taken, 10);
	assert_int_equal(wanem_line_room(&line, S), S);
	(void)wanem_line_stream(&line, S, WANEM_TCP_SEGMENT);
	assert_true(wanem_line_room(&line, S) > S);
	assert_int_equal(wanem_line_datagram(&line, S + 11 * MS, 972).fate,
			 WANEM_DELIVERED);
	/* By time instead of bytes: one waits 9 ms, the next would wait 10. */
	line = line_of("rate", "8Mbit");
	assert_int_equal(wanem_units_set(&line.p, "queue", "10ms"), 0);
	for (taken = 0; wanem_line_datagram(&line, S, 972).fate == WANEM_DELIVERED;)
		taken++;
	assert_int_equal(taken, 10);
}

static void a_datagram_longer_than_the_queue_passes_an_idle_line(void **state)
{
	struct wanem_line line = line_of("rate", "8Mbit");

	assert_int_equal(wanem_units_set(&line.p, "queue", "100B"), 0);
	assert_int_equal(wanem_line_datagram(&line, S, 1400).fate, WANEM_DELIVERED);
	assert_int_equal(wanem_line_datagram(&line, S, 1400).fate, WANEM_OVERFLOWN);
}

/* Share and mean run of losses over `n` datagrams. */
static void measure(struct wanem_line *line, int n, double *share, double *run)
{
	int lost = 0;
	int runs = 0;
	bool was = false;

	for (int i = 0; i < n; i++) {
		bool is = wanem_line_datagram(line, S, PAYLOAD).fate == WANEM_LOST;

		lost += is;
		runs += is && !was;
		was = is;
	}
	*share = (double)lost / n;
	*run = runs ? (double)lost / runs : 0;
}

static void losses_have_their_share_and_their_bursts(void **state)
{
	static const struct {
		const char *loss, *burst;
		double share, run;
	} cases[] = { { "0.01", "1", 0.01, 1 / 0.99 }, { "5%", "1", 0.05, 1 / 0.95 },
		      { "0.01", "8", 0.01, 8 },	       { "0.05", "64", 0.05, 64 },
		      { "0.5", "4", 0.5, 4 },	       { "1", "1", 1, 4000000 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wanem_line line = line_of("loss", cases[i].loss);
		double share, run;
		/* Enough that two percent are three standard deviations. */
		double slack = cases[i].run > 10 ? 0.1 : 0.02;

		assert_int_equal(wanem_units_set(&line.p, "burst", cases[i].burst), 0);
		measure(&line, 4000000, &share, &run);
		assert_true(fabs(share / cases[i].share - 1) < slack);
		assert_true(fabs(run / cases[i].run - 1) < slack);
	}
}

static void the_same_seed_loses_the_same(void **state)
{
	struct wanem_line a = line_of("loss", "0.1");
	struct wanem_line b = line_of("loss", "0.1");
	struct wanem_line c;
	int differences = 0;

	wanem_line_init(&c, 2);
	c.p = a.p;
	for (int i = 0; i < 10000; i++) {
		enum wanem_fate fate = wanem_line_datagram(&a, S, PAYLOAD).fate;

		assert_int_equal(fate, wanem_line_datagram(&b, S, PAYLOAD).fate);
		differences += fate != wanem_line_datagram(&c, S, PAYLOAD).fate;
	}
	assert_true(differences > 1000);
}

static void jitter_and_duplicates_are_drawn(void **state)
{
	struct wanem_line line = line_of("jitter", "10ms");
	uint64_t sum = 0;
	int twice = 0;

	assert_int_equal(wanem_units_set(&line.p, "duplicate", "20%"), 0);
	for (int i = 0; i < 100000; i++) {
		struct wanem_passage passage = wanem_line_datagram(&line, S, PAYLOAD);

		assert_true(passage.due_ns >= S && passage.due_ns < S + 10 * MS);
		sum += passage.due_ns - S;
		twice += passage.twice;
	}
	assert_true(fabs((double)sum / 100000 / (5 * MS) - 1) < 0.02);
	assert_true(fabs(twice / 20000.0 - 1) < 0.05);
}

/* What comes late, wrong or not at all has its share, and nothing else is touched. */
static void mishaps_are_drawn(void **state)
{
	struct wanem_line line = line_of("reorder", "10%");
	int held = 0;
	int corrupt = 0;

	assert_int_equal(wanem_units_set(&line.p, "extent", "7ms"), 0);
	assert_int_equal(wanem_units_set(&line.p, "corrupt", "5%"), 0);
	for (int i = 0; i < 100000; i++) {
		struct wanem_passage passage = wanem_line_datagram(&line, S, PAYLOAD);

		assert_int_equal(passage.due_ns, passage.held ? S + 7 * MS : S);
		assert_true(!passage.corrupt || passage.bit < PAYLOAD * 8);
		held += passage.held;
		corrupt += passage.corrupt;
	}
	assert_true(fabs(held / 10000.0 - 1) < 0.04);
	assert_true(fabs(corrupt / 5000.0 - 1) < 0.06);
}

static void a_packet_longer_than_the_mtu_does_not_pass(void **state)
{
	struct wanem_line line = line_of("mtu", "1400");
	size_t fits = 1400 - WANEM_UDP_OVERHEAD;

	assert_int_equal(wanem_line_datagram(&line, S, fits).fate, WANEM_DELIVERED);
	assert_int_equal(wanem_line_datagram(&line, S, fits + 1).fate, WANEM_TOO_BIG);
	line.overhead = 0;
	assert_int_equal(wanem_line_datagram(&line, S, 1400).fate, WANEM_DELIVERED);
	assert_int_equal(wanem_line_datagram(&line, S, 1401).fate, WANEM_TOO_BIG);
}

/* 1000 bytes take a millisecond of the building's rate, whatever the line's is. */
static void a_building_has_a_queue_of_its_own(void **state)
{
	struct wanem_line line = line_of("site.rate", "8Mbit");
	uint64_t leaves = 0;

	assert_int_equal(wanem_units_set(&line.p, "rate", "1Mbit"), 0);
	assert_int_equal(wanem_units_set(&line.p, "site.queue", "10000B"), 0);
	for (uint64_t i = 1; i <= 10; i++) {
		assert_true(wanem_line_building(&line, S, 972, &leaves));
		assert_int_equal(leaves, S + i * MS);
	}
	assert_false(wanem_line_building(&line, S, 972, &leaves));
	assert_true(wanem_line_building(&line, S + MS, 972, &leaves));
	assert_int_equal(leaves, S + 11 * MS);
	assert_true(wanem_line_building(&line, 2 * S, 972, &leaves));
	assert_int_equal(leaves, 2 * S + MS);
}

static void an_idle_line_is_known(void **state)
{
	struct wanem_line line = line_of("rate", "8Mbit");

	(void)wanem_line_datagram(&line, S, 972);
	assert_int_equal(line.idle_ns, 0);
	(void)wanem_line_datagram(&line, S, 972);
	assert_int_equal(line.idle_ns, 0);
	(void)wanem_line_datagram(&line, S + 5 * MS, 972);
	assert_int_equal(line.idle_ns, 3 * MS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idle_line_adds_its_delay),
		cmocka_unit_test(a_full_line_delivers_its_rate),
		cmocka_unit_test(streams_and_datagrams_share_the_rate),
		cmocka_unit_test(a_queue_holds_what_it_says),
		cmocka_unit_test(a_datagram_longer_than_the_queue_passes_an_idle_line),
		cmocka_unit_test(losses_have_their_share_and_their_bursts),
		cmocka_unit_test(the_same_seed_loses_the_same),
		cmocka_unit_test(jitter_and_duplicates_are_drawn),
		cmocka_unit_test(mishaps_are_drawn),
		cmocka_unit_test(a_packet_longer_than_the_mtu_does_not_pass),
		cmocka_unit_test(a_building_has_a_queue_of_its_own),
		cmocka_unit_test(an_idle_line_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
