// SPDX-License-Identifier: BSD-3-Clause
/*
 * What `onwire` promises is worth a disaster: kill the sender at a random instant, let
 * what had left arrive as the line decides, and every frame that counted as on the wire
 * must come out at the other end, but for the stated share of kills. And the gate opens
 * on evidence and proof only, never because time has passed.
 */
#include "replicator/tunnel/state.h"
#include "rt/bug.h"
#include "tests/unit/tunnel/kills.h"

#define HOLES_SEEDS 1000

static void kills_lose_no_more_than_stated(void **state)
{
	static const int64_t every[] = { 0, 300 * RT_US, 3 * RT_MS };

	for (unsigned i = 0; i < RT_ARRAY_LEN(every); i++) {
		struct kills k = { .params = pair_params(),
				   .line = pair_line(10 * RT_MS, 0.01),
				   .runs = 80,
				   .every_ns = every[i] };

		kill_many(&k, 1000);
		assert_int_equal(k.lost, 0);
		k = (struct kills){ .params = pair_params(),
				    .line = pair_line(10 * RT_MS, 0.05),
				    .runs = 80,
				    .every_ns = every[i] };
		k.params.fec.repairs = 8;
		k.params.fec.goal.share = 0.2;
		kill_many(&k, 2000);
		assert_int_equal(k.lost, 0);
	}
}

/* Drops before the driver are seen, so they are not part of the line's loss. */
static void kills_with_drops_in_this_host(void **state)
{
	struct kills k = { .params = pair_params(),
			   .line = pair_line(10 * RT_MS, 0.01),
			   .runs = 80,
			   .every_ns = 500 * RT_US };

	k.params.fec.repairs = 4;
	k.line.local = 0.05;
	kill_many(&k, 3000);
	assert_true(k.lost <= 1);
}

/* The oracle has teeth: without covering repairs it finds losses. */
static void kills_without_repairs_are_found_out(void **state)
{
	struct kills k = { .params = pair_params(),
			   .line = pair_line(10 * RT_MS, 0.05),
			   .runs = 60,
			   .every_ns = 300 * RT_US };

	k.params.fec.repairs = 0;
	kill_many(&k, 4000);
	assert_true(k.lost > 10);
}

static void warm(struct pair *p, const struct tunnel_params *params,
		 const struct pair_line *line, uint64_t seed)
{
	pair_init(p, params, line, seed);
	assert_true(pair_submit(p, 0, 500));
	tunnel_expedite(p->end[0], pair_now(p));
	pair_run(p, RT_S);
	assert_int_equal(tunnel_onwire(p->end[0], pair_now(p)), 1);
}

#ifdef RT_BUGS
/* make BUGS=1: the two deliberate bugs of this gate are found out. */
static void deliberate_bugs_are_found_out(void **state)
{
	struct kills k = { .params = pair_params(),
			   .line = pair_line(10 * RT_MS, 0.05),
			   .runs = 60,
			   .every_ns = 300 * RT_US };
	struct pair p;

	assert_int_equal(rt_bug_select("GATE_IGNORES_REPAIRS"), 0);
	k.params.fec.goal.share = 0;
	kill_many(&k, 4000);
	assert_true(k.lost > 0);
	assert_int_equal(rt_bug_select("GATE_ON_TIMEOUT"), 0);
	k.params.frame_max = 1 << 16;
	warm(&p, &k.params, &k.line, 1);
	p.line[0].local = 1;
	assert_true(pair_submit(&p, 0, 4000));
	tunnel_expedite(p.end[0], pair_now(&p));
	pair_run(&p, 10 * RT_S);
	/* This is what nothing_counts_without_timestamps() would trip over. */
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 2);
	pair_release(&p);
	assert_int_equal(rt_bug_select("NONE"), 0);
}
#endif

/* No timestamp, no gate: not after a second, not after a minute. Fresh repairs go out. */
static void nothing_counts_without_timestamps(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(10 * RT_MS, 0);
	struct tunnel_stats before, after;
	struct pair p;

	warm(&p, &params, &line, 1);
	tunnel_stats(p.end[0], &before);
	p.line[0].local = 1;
	assert_true(pair_submit(&p, 0, 4000));
	tunnel_expedite(p.end[0], pair_now(&p));
	for (int i = 0; i < 600; i++) {
		pair_run(&p, 100 * RT_MS);
		assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 1);
	}
	tunnel_stats(p.end[0], &after);
	assert_true(after.sent_repairs - before.sent_repairs > 20);
	/* Bounded, too. */
	assert_true(after.sent_repairs - before.sent_repairs < 2000);
	/* The queue takes again: what was dropped is made good by repairs. */
	p.line[0].local = 0;
	pair_run(&p, 3 * RT_S);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 2);
	assert_int_equal(p.taken[1], 2);
	pair_release(&p);
}

/* A queue that takes all and a line that is dead: timestamps alone prove nothing. */
static void nothing_counts_on_a_dead_line(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(10 * RT_MS, 0);
	struct pair p;

	warm(&p, &params, &line, 2);
	p.line[0].cut = true;
	p.line[1].cut = true;
	pair_run(&p, 200 * RT_MS);
	assert_false(tunnel_proven(p.end[0], pair_now(&p)));
	assert_true(pair_submit(&p, 0, 4000));
	tunnel_expedite(p.end[0], pair_now(&p));
	pair_run(&p, 60 * RT_S);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 1);
	assert_true(tunnel_timed_out(p.end[0], pair_now(&p)));
	p.line[0].cut = false;
	p.line[1].cut = false;
	pair_run(&p, 2 * RT_S);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 2);
	assert_false(tunnel_timed_out(p.end[0], pair_now(&p)));
	pair_release(&p);
}

/* One direction is enough to kill it, whichever. */
static void nothing_counts_when_one_direction_is_cut(void **state)
{
	for (int cut = 0; cut < 2; cut++) {
		struct tunnel_params params = pair_params();
		struct pair_line line = pair_line(10 * RT_MS, 0);
		struct pair p;

		warm(&p, &params, &line, 3);
		p.line[cut].cut = true;
		pair_run(&p, 200 * RT_MS);
		assert_true(pair_submit(&p, 0, 4000));
		tunnel_expedite(p.end[0], pair_now(&p));
		pair_run(&p, 3 * RT_S);
		assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 1);
		assert_int_equal(p.taken[1], cut == 0 ? 1 : 2);
		p.line[cut].cut = false;
		pair_run(&p, 2 * RT_S);
		assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 2);
		assert_int_equal(p.taken[1], 2);
		pair_release(&p);
	}
}

/* A device without timestamps: found out, and then received is what counts. */
static void device_without_timestamps_is_found_out(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(10 * RT_MS, 0.01);
	struct pair p;

	line.no_timestamps = true;
	pair_init(&p, &params, &line, 4);
	for (unsigned i = 1; i <= 2000; i++) {
		assert_true(pair_submit(&p, 0, 3000));
		tunnel_expedite(p.end[0], pair_now(&p));
		pair_run(&p, RT_MS);
		assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)),
				 tunnel_received(p.end[0]));
	}
	assert_true(pair_run_taken(&p, 1, 2000, 10 * RT_S));
	pair_run(&p, RT_S);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 2000);
	assert_int_equal(tunnel_evidence_level(p.end[0]), TUNNEL_MIRROR);
	pair_release(&p);
}

/* Without a code, and at the level `mirror`, on the wire is what was received. */
static void without_code_onwire_is_received(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct tunnel_params params = pair_params();
		struct pair_line line = pair_line(10 * RT_MS, 0.03);
		struct pair p;

		if (i == 0)
			params.fec.code.code = FEC_NONE;
		else
			params.evidence = TUNNEL_MIRROR;
		pair_init(&p, &params, &line, 5);
		for (unsigned n = 0; n < 300; n++) {
			assert_true(pair_submit(&p, 0, 3000));
			tunnel_expedite(p.end[0], pair_now(&p));
			pair_run(&p, RT_MS);
			assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)),
					 tunnel_received(p.end[0]));
		}
		assert_true(pair_run_taken(&p, 1, 300, 60 * RT_S));
		pair_run(&p, RT_S);
		assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 300);
		pair_release(&p);
	}
}

/* onwire falls only below what was never confirmed, and received never falls. */
static void watermarks_keep_their_order(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(5 * RT_MS, 0.15);
	uint64_t received = 0;
	unsigned falls = 0;
	uint64_t onwire = 0;
	struct pair p;

	params.fec.goal.share = 0.1;
	pair_init(&p, &params, &line, 6);
	for (unsigned n = 0; n < 3000; n++) {
		uint64_t now_onwire, now_received;

		(void)pair_submit(&p, 0, 1 + pair_below(&p.rng, 6000));
		if (n % 64 == 0)
			tunnel_expedite(p.end[0], pair_now(&p));
		pair_run(&p, 300 * RT_US);
		now_received = tunnel_received(p.end[0]);
		now_onwire = tunnel_onwire(p.end[0], pair_now(&p));
		assert_true(now_received >= received);
		assert_true(now_onwire >= now_received);
		assert_true(now_onwire <= tunnel_submitted(p.end[0]));
		falls += now_onwire < onwire;
		onwire = now_onwire;
		received = now_received;
	}
	/* 15 % is far beyond what three repairs are for: deficits do count. */
	assert_true(falls > 0);
	assert_true(pair_run_taken(&p, 1, tunnel_submitted(p.end[0]), 60 * RT_S));
	pair_release(&p);
}

/* Acknowledgements overtake each other: an old one takes no persisted write back. */
static void what_the_peer_has_persisted_only_grows(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(5 * RT_MS, 0);
	uint64_t watermark = 0, before;
	struct pair p;

	line.jitter_ns = 10 * RT_MS;
	pair_init(&p, &params, &line, 6);
	for (unsigned n = 1; n <= 500; n++) {
		tunnel_set_watermark(p.end[1], n, pair_now(&p));
		before = watermark;
		pair_run(&p, RT_MS);
		watermark = tunnel_peer_watermark(p.end[0]);
		assert_true(watermark >= before);
	}
	pair_run(&p, RT_S);
	assert_int_equal(tunnel_peer_watermark(p.end[0]), 500);
	pair_release(&p);
}

/* The gate counts a repair for a symbol exactly as long as the encoder puts it in. */
static void window_look(struct pair *p)
{
	const struct tunnel *t = p->end[0];
	uint64_t first = fec_encoder_first(t->encoder), window = t->gate.window;
	uint64_t confirmed = t->tx.confirmed;

	if (window < confirmed)
		window = confirmed;
	if (first < confirmed)
		first = confirmed;
	if (window != first)
		fail_msg("the window begins at %llu, and for the gate at %llu",
			 (unsigned long long)first, (unsigned long long)window);
	*(bool *)p->watcher |= first > confirmed;
}

static void the_gate_knows_the_window(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(10 * RT_MS, 0.01);
	bool outside = false;
	struct pair p;

	pair_init(&p, &params, &line, 8);
	p.look = window_look;
	p.watcher = &outside;
	for (unsigned n = 0; n < 300; n++) {
		while (pair_submit(&p, 0, 20000))
			;
		tunnel_expedite(p.end[0], pair_now(&p));
		pair_run(&p, RT_MS);
	}
	assert_true(outside); /* symbols have left the window unconfirmed */
	pair_release(&p);
}

/*
 * Symbols in no window are sent again, one round trip each, and one hole is found behind the
 * other. What was promised and taken back for the first must not be promised again while the
 * next one is known: without any repair to spare, all that counts a while after the line has
 * healed has arrived, though nothing leaves this host any more.
 */
static void one_hole_behind_the_other_holds(void **state)
{
	for (uint64_t seed = 1; seed <= HOLES_SEEDS; seed++) {
		struct tunnel_params params = pair_params();
		struct pair_line line = pair_line(10 * RT_MS, 0);
		uint64_t promised;
		struct pair p;

		params.fec.repairs = 0;
		params.fec.code.window = (uint16_t)(2 + seed % 9);
		params.fec.on_demand = seed % 3 != 0;
		line.delay_ns = (int64_t)(1 + seed % 30) * RT_MS;
		params.rate_bps = seed % 5 ? 50000000 : 1000000000;
		params.fec.goal.share = seed % 4 ? 0.2 : 0.02;
		pair_init(&p, &params, &line, seed);
		p.line[0].local = seed % 7 < 3 ? 0.2 : 0;
		p.line[0].loss = 0.05 + 0.3 * (double)pair_below(&p.rng, 100) / 100;
		p.line[1].loss = seed % 2 == 0 ? 0.3 : 0;
		for (uint64_t n = 5 + pair_below(&p.rng, 120); n > 0; n--) {
			(void)pair_submit(&p, 0, 1 + pair_below(&p.rng, 8000));
			tunnel_expedite(p.end[0], pair_now(&p));
			pair_run(&p, (int64_t)pair_below(&p.rng, 4 * RT_MS));
		}
		p.line[0].loss = p.line[1].loss = 0;
		p.line[0].local = 0;
		pair_run(&p, line.delay_ns + 30 * RT_MS); /* what is missing is known */
		p.line[0].local = 1;
		pair_run(&p, 2 * line.delay_ns + 60 * RT_MS);
		promised = tunnel_onwire(p.end[0], pair_now(&p));
		p.dead[0] = true;
		pair_run(&p, RT_S);
		if (p.taken[1] < promised)
			fail_msg("seed %llu: %llu promised, %llu have come",
				 (unsigned long long)seed, (unsigned long long)promised,
				 (unsigned long long)p.taken[1]);
		pair_release(&p);
	}
}

/*
 * Nobody asked for a while, the path has become shorter meanwhile, and small datagrams are
 * still answered: that is no proof for the next write.
 */
static void small_answers_do_not_prove_the_path(void **state)
{
	for (int64_t phase = 0; phase < 2600; phase += 50) {
		struct tunnel_params params = pair_params();
		struct pair_line line = pair_line(40 * RT_MS, 0);
		struct pair p;

		warm(&p, &params, &line, 1);
		pair_run(&p, 70 * RT_S);
		p.line[0].mtu = 600;
		pair_run(&p, RT_S + phase * RT_MS);
		assert_true(pair_submit(&p, 0, 4000));
		tunnel_expedite(p.end[0], pair_now(&p));
		for (int i = 0; i < 300; i++) {
			pair_run(&p, RT_MS);
			assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 1);
		}
		p.line[0].mtu = 0;
		pair_run(&p, 10 * RT_S);
		assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 2);
		pair_release(&p);
	}
}

/* The last full datagrams were lost, and nothing follows: the doubt ends all the same. */
static void a_doubt_ends_on_an_idle_line(void **state)
{
	for (int64_t before = 20; before < 120; before += 5) {
		struct tunnel_params params = pair_params();
		struct pair_line line = pair_line(10 * RT_MS, 0);
		bool proven = false;
		struct pair p;

		warm(&p, &params, &line, 1);
		/* It was asked for a second ago; the line is kept proven for a minute. */
		pair_run(&p, 59 * RT_S - before * RT_MS);
		p.line[0].mtu = 600;
		pair_run(&p, before * RT_MS);
		p.line[0].mtu = 0;
		pair_run(&p, 20 * RT_S);
		for (int i = 0; i < 1000; i++) {
			pair_run(&p, RT_MS);
			proven |= tunnel_proven(p.end[0], pair_now(&p));
		}
		assert_true(proven);
		pair_release(&p);
	}
}

static uint64_t repairs_made(const struct pair *p)
{
	struct tunnel_stats s;

	tunnel_stats(p->end[0], &s);
	return s.sent_repairs;
}

static void expedited(struct pair *p, size_t len)
{
	assert_true(pair_submit(p, 0, len));
	tunnel_expedite(p->end[0], pair_now(p));
}

/*
 * Repairs on demand are dear where data flows, which brings paced ones: a coalescing tunnel
 * says that some wait, makes them when its owner says that there is time, or by itself soon.
 * An isolated write has its repairs at once.
 */
static void patience_is_short_and_not_for_lone_writes(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(100 * RT_MS, 0);
	uint64_t made;
	struct pair p;

	params.rate_bps = UINT64_C(10000000000);
	warm(&p, &params, &line, 1);
	tunnel_set_coalescing(p.end[0], true);
	expedited(&p, 4000);
	pair_run(&p, 50 * RT_US);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 2);
	assert_false(tunnel_coalesces(p.end[0], pair_now(&p)));

	made = repairs_made(&p);
	expedited(&p, 40000);
	pair_run(&p, 50 * RT_US);
	assert_in_range(repairs_made(&p) - made, 3, 4); /* of 29 symbols, paced */
	assert_true(tunnel_coalesces(p.end[0], pair_now(&p)));
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 2);
	tunnel_set_coalescing(p.end[0], false);
	assert_false(tunnel_coalesces(p.end[0], pair_now(&p)));
	pair_run(&p, 50 * RT_US);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 3);

	/* Nobody has time, and nothing follows. */
	tunnel_set_coalescing(p.end[0], true);
	expedited(&p, 40000);
	pair_run(&p, 5 * RT_MS);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 4);
	pair_release(&p);
}

/*
 * In a flow nobody waits longer than for a send batch to end and m repairs to follow, and
 * few repairs do.
 */
static void paced_repairs_do_for_a_patient_flow(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(100 * RT_MS, 0);
	uint64_t made, submitted = 1;
	struct pair p;

	params.rate_bps = UINT64_C(10000000000);
	warm(&p, &params, &line, 1);
	tunnel_set_coalescing(p.end[0], true);
	made = repairs_made(&p);
	for (; submitted <= 100; submitted++) {
		expedited(&p, 40000);
		pair_run(&p, 100 * RT_US);
		assert_true(tunnel_onwire(p.end[0], pair_now(&p)) + 8 > submitted);
	}
	/* 29 symbols each, one repair for eight. */
	assert_in_range(repairs_made(&p) - made, 350, 380);
	pair_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kills_lose_no_more_than_stated),
		cmocka_unit_test(kills_with_drops_in_this_host),
		cmocka_unit_test(kills_without_repairs_are_found_out),
#ifdef RT_BUGS
		cmocka_unit_test(deliberate_bugs_are_found_out),
#endif
		cmocka_unit_test(nothing_counts_without_timestamps),
		cmocka_unit_test(nothing_counts_on_a_dead_line),
		cmocka_unit_test(nothing_counts_when_one_direction_is_cut),
		cmocka_unit_test(device_without_timestamps_is_found_out),
		cmocka_unit_test(without_code_onwire_is_received),
		cmocka_unit_test(watermarks_keep_their_order),
		cmocka_unit_test(what_the_peer_has_persisted_only_grows),
		cmocka_unit_test(the_gate_knows_the_window),
		cmocka_unit_test(one_hole_behind_the_other_holds),
		cmocka_unit_test(small_answers_do_not_prove_the_path),
		cmocka_unit_test(a_doubt_ends_on_an_idle_line),
		cmocka_unit_test(patience_is_short_and_not_for_lone_writes),
		cmocka_unit_test(paced_repairs_do_for_a_patient_flow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
