// SPDX-License-Identifier: BSD-3-Clause
/*
 * A path that swallows long datagrams is the worst of lines: what is small passes, so it
 * looks alive, and nothing that matters gets through. It must be found out, and soon; loss
 * must not be taken for it; and what the path carries after all must be used.
 */
#include "replicator/tunnel/mtu.h"

#include "replicator/tunnel/state.h"
#include "tests/unit/tunnel/pair.h"

#define RTT_NS (20 * RT_MS)
#define FULL 1460u

static const uint16_t sizes[] = {
	640, 800, 960, 1120, 1184, 1248, 1312, 1344, 1376, 1408
};

/* The longest datagram of the ladder that a path of `mtu` carries. */
static size_t carried(size_t mtu)
{
	size_t best = 0;

	for (unsigned i = 0; i < RT_ARRAY_LEN(sizes); i++)
		if (sizes[i] + 52u <= mtu)
			best = sizes[i] + 52u;
	return best;
}

static void mtu_pair_init(struct pair *p, uint16_t symbol, size_t mtu, double loss,
			  uint64_t seed)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(RTT_NS / 2, loss);

	params.symbol_size = symbol;
	pair_init(p, &params, &line, seed);
	p->line[0].mtu = mtu;
}

/* Nothing is in the way: one probe says so, and nothing more is asked. */
static void a_full_path_costs_one_probe(void **state)
{
	struct tunnel_stats before, after;
	struct pair p;

	mtu_pair_init(&p, 1408, 0, 0, 1);
	assert_int_equal(tunnel_path_mtu(p.end[0]), 0);
	pair_run(&p, 2 * RTT_NS);
	for (int end = 0; end < 2; end++) {
		assert_int_equal(tunnel_path_mtu(p.end[end]), FULL);
		assert_false(tunnel_mtu_short(p.end[end]));
		assert_true(rt_time_is_never(p.end[end]->mtu.next_at));
		assert_int_equal(p.end[end]->mtu.serial, 1);
	}
	tunnel_stats(p.end[0], &before);
	assert_in_range(before.sent_bytes, FULL, FULL + 1000);
	pair_run(&p, 3600 * RT_S);
	tunnel_stats(p.end[0], &after);
	assert_int_equal(p.end[0]->mtu.serial, 1);
	pair_release(&p);
}

/* Before any data: short after three round trips, and what is found does pass. */
static void short_paths_are_found_at_once(void **state)
{
	for (size_t mtu = 600; mtu < FULL; mtu += 43) {
		uint16_t fit;
		struct pair p;

		mtu_pair_init(&p, 1408, mtu, 0, mtu);
		pair_run(&p, 4 * RTT_NS);
		pair_run(&p, MTU_ROUNDS * RTT_NS);
		assert_true(tunnel_mtu_short(p.end[0]));
		assert_int_equal(tunnel_path_mtu(p.end[0]), carried(mtu));
		assert_false(tunnel_mtu_short(p.end[1])); /* the way back is full */
		assert_false(tunnel_proven(p.end[0], pair_now(&p)));
		fit = tunnel_symbol_fit(tunnel_path_mtu(p.end[0]), 1408);
		pair_release(&p);
		if (carried(mtu) == 0) {
			assert_int_equal(fit, 0);
			continue;
		}
		assert_in_range(fit, 640, 1376);
		mtu_pair_init(&p, fit, mtu, 0, mtu);
		for (unsigned i = 0; i < 20; i++)
			assert_true(pair_submit(&p, 0, 50000));
		assert_true(pair_run_taken(&p, 1, 20, 5 * RT_S));
		assert_false(tunnel_mtu_short(p.end[0]));
		assert_int_equal(tunnel_path_mtu(p.end[0]), fit + 52u);
		pair_release(&p);
	}
}

/* Loss is not a short path, however much of it there is. */
static void loss_is_no_short_path(void **state)
{
	static const double losses[] = { 0.01, 0.05, 0.2 };
	unsigned wrong = 0;

	for (uint64_t seed = 0; seed < 45; seed++) {
		struct pair p;

		mtu_pair_init(&p, 1408, 0, losses[seed % 3], seed);
		p.line[0].burst = p.line[1].burst = 1 + (double)(seed % 5);
		for (unsigned i = 0; i < 40; i++) {
			(void)pair_submit(&p, 0, 3000);
			tunnel_expedite(p.end[0], pair_now(&p));
			pair_run(&p, 50 * RT_MS);
			wrong += tunnel_mtu_short(p.end[0]);
		}
		assert_int_equal(tunnel_path_mtu(p.end[0]), FULL);
		pair_release(&p);
	}
	assert_int_equal(wrong, 0);
}

/* Nobody there says nothing about the path. */
static void a_dead_line_is_not_short(void **state)
{
	struct pair p;

	mtu_pair_init(&p, 1408, 0, 0, 1);
	p.line[0].cut = true;
	pair_run(&p, 60 * RT_S);
	assert_false(tunnel_mtu_short(p.end[0]));
	assert_int_equal(tunnel_path_mtu(p.end[0]), 0);
	p.line[0].cut = false;
	pair_run(&p, 12 * RT_S);
	assert_int_equal(tunnel_path_mtu(p.end[0]), FULL);
	pair_release(&p);
}

/* On the way: found within a second, and until then nothing new counts as on the wire. */
static void a_path_that_shrinks(void **state)
{
	for (uint64_t seed = 0; seed < 6; seed++) {
		uint64_t wire, submitted;
		struct pair p;
		int64_t shrunk;

		mtu_pair_init(&p, 1408, 0, seed % 2 ? 0.01 : 0, seed);
		for (unsigned i = 0; i < 30; i++) {
			(void)pair_submit(&p, 0, 20000);
			tunnel_expedite(p.end[0], pair_now(&p));
			pair_run(&p, 5 * RT_MS);
		}
		p.line[0].mtu = 1400;
		shrunk = p.now_ns;
		while (!tunnel_mtu_short(p.end[0]) && p.now_ns < shrunk + RT_S) {
			(void)pair_submit(&p, 0, 20000);
			tunnel_expedite(p.end[0], pair_now(&p));
			pair_run(&p, 5 * RT_MS);
		}
		assert_true(tunnel_mtu_short(p.end[0]));
		assert_int_equal(tunnel_path_mtu(p.end[0]), 1396);
		wire = tunnel_onwire(p.end[0], pair_now(&p));
		(void)pair_submit(&p, 0, 20000);
		tunnel_expedite(p.end[0], pair_now(&p));
		pair_run(&p, 3 * RT_S);
		assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), wire);
		/* It grows back: the same tunnel goes on, and nothing is missing. */
		p.line[0].mtu = 0;
		submitted = tunnel_submitted(p.end[0]);
		assert_true(pair_run_taken(&p, 1, submitted, 10 * RT_S));
		pair_run(&p, 10 * RTT_NS);
		assert_false(tunnel_mtu_short(p.end[0]));
		assert_int_equal(tunnel_path_mtu(p.end[0]), FULL);
		assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), submitted);
		pair_release(&p);
	}
}

static struct pair_line line_of(int64_t rtt_ns, double loss)
{
	return pair_line(rtt_ns / 2, loss);
}

/* A write has completed, and the client is there: the line is kept proven. */
static void idle_init(struct pair *p, int64_t rtt_ns, double loss, uint64_t seed)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = line_of(rtt_ns, loss);

	pair_init(p, &params, &line, seed);
	pair_run(p, RT_S);
	assert_true(pair_submit(p, 0, 4000));
	tunnel_expedite(p->end[0], pair_now(p));
	pair_run(p, 2 * RT_S + (int64_t)pair_below(&p->rng, (uint64_t)RT_S));
	assert_int_equal(tunnel_onwire(p->end[0], pair_now(p)), 1);
}

/* Half the time between two probes of a line that is kept proven, as documented. */
static int64_t probe_ns(int64_t rtt_ns)
{
	return (rtt_ns > 25 * RT_MS ? rtt_ns : 25 * RT_MS) / 2;
}

static const int64_t rtts_ns[] = { RT_MS, 20 * RT_MS, 25 * RT_MS, 60 * RT_MS,
				   200 * RT_MS };

/*
 * While nothing is written: found out by itself, so that the next write does not rely on a
 * path that swallows it; and on no account does it count as on the wire.
 */
static void an_idle_path_that_shrinks(void **state)
{
	for (uint64_t seed = 0; seed < 100; seed++) {
		int64_t rtt_ns = rtts_ns[seed % RT_ARRAY_LEN(rtts_ns)];
		struct pair p;

		idle_init(&p, rtt_ns, 0, seed);
		assert_true(tunnel_proven(p.end[0], pair_now(&p)));
		p.line[0].mtu = 1400;
		pair_run(&p, 5 * probe_ns(rtt_ns) + rtt_ns + 2 * RT_MS);
		assert_false(tunnel_proven(p.end[0], pair_now(&p)));
		assert_true(pair_submit(&p, 0, 4000));
		tunnel_expedite(p.end[0], pair_now(&p));
		pair_run(&p, 10 * RT_S);
		assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 1);
		assert_true(tunnel_mtu_short(p.end[0]));
		assert_int_equal(tunnel_path_mtu(p.end[0]), 1396);
		pair_release(&p);
	}
}

/* Nor under load, where it takes one small probe in time. */
static void a_loaded_path_that_shrinks(void **state)
{
	for (uint64_t seed = 0; seed < 20; seed++) {
		int64_t rtt_ns = rtts_ns[seed % RT_ARRAY_LEN(rtts_ns)], until_ns;
		struct pair p;

		idle_init(&p, rtt_ns, 0, seed);
		until_ns = p.now_ns + 3 * rtt_ns + 100 * RT_MS;
		while (p.now_ns < until_ns) {
			(void)pair_submit(&p, 0, 20000);
			tunnel_expedite(p.end[0], pair_now(&p));
			pair_run(&p, RT_MS);
			assert_true(tunnel_proven(p.end[0], pair_now(&p)));
		}
		p.line[0].mtu = 1400;
		until_ns = p.now_ns + probe_ns(rtt_ns) + rtt_ns + 12 * RT_MS;
		while (p.now_ns < until_ns) {
			(void)pair_submit(&p, 0, 20000);
			tunnel_expedite(p.end[0], pair_now(&p));
			pair_run(&p, RT_MS);
		}
		assert_false(tunnel_proven(p.end[0], pair_now(&p)));
		pair_release(&p);
	}
}

/* What that costs where nothing is written: not much, and after a minute nothing. */
static void an_idle_path_costs_little(void **state)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(rtts_ns); i++) {
		struct tunnel_stats before, after;
		struct pair p;
		double bits;
		uint16_t serial;

		idle_init(&p, rtts_ns[i], 0, i);
		tunnel_stats(p.end[0], &before);
		pair_run(&p, 10 * RT_S);
		tunnel_stats(p.end[0], &after);
		bits = 8.0 * (double)(after.sent_bytes - before.sent_bytes) / 10;
		print_message("%3lld ms: %.3f Mbit/s\n", (long long)(rtts_ns[i] / RT_MS),
			      bits / 1e6);
		/* A full one and a small one, without headers of UDP. */
		assert_true(bits < 1.02 * 8 * (FULL + 36) /
					   (2e-9 * (double)probe_ns(rtts_ns[i])));
		pair_run(&p, 60 * RT_S);
		serial = p.end[0]->mtu.serial;
		pair_run(&p, 3600 * RT_S);
		assert_int_equal(p.end[0]->mtu.serial, serial);
		pair_release(&p);
	}
}

/* Loss is no doubt, or an isolated write would wait a round trip for nothing. */
static void an_idle_path_stays_proven(void **state)
{
	static const double losses[] = { 0, 0.01, 0.05 };

	for (unsigned i = 0; i < RT_ARRAY_LEN(losses); i++) {
		unsigned doubted = 0, n = 0;

		for (uint64_t seed = 0; seed < 20; seed++) {
			struct pair p;

			idle_init(&p, rtts_ns[seed % RT_ARRAY_LEN(rtts_ns)], losses[i],
				  seed);
			for (unsigned k = 0; k < 1000; k++, n++) {
				tunnel_expedite(p.end[0], pair_now(&p));
				pair_run(&p, 20 * RT_MS);
				doubted += mtu_doubtful(&p.end[0]->mtu);
				assert_false(tunnel_mtu_short(p.end[0]));
			}
			pair_release(&p);
		}
		print_message("loss %.2f: in doubt %u times in %u\n", losses[i], doubted,
			      n);
		/* Two in a row, and the way of the answer. */
		assert_true(doubted <= 4 * losses[i] * losses[i] * n + 5 * losses[i]);
	}
}

/* A tunnel that had to begin small looks for more, not often, and finds it. */
static void larger_ones_are_tried_again(void **state)
{
	struct pair p;

	mtu_pair_init(&p, 1120, 1200, 0, 1);
	pair_run(&p, RT_S);
	assert_int_equal(tunnel_path_mtu(p.end[0]), 1172);
	pair_run(&p, MTU_RAISE_NS + RT_S);
	assert_int_equal(tunnel_path_mtu(p.end[0]), 1172);
	assert_false(tunnel_mtu_short(p.end[0]));
	p.line[0].mtu = 1370;
	pair_run(&p, MTU_RAISE_NS + RT_S);
	assert_int_equal(tunnel_path_mtu(p.end[0]), 1364);
	assert_int_equal(tunnel_symbol_fit(1364, 1408), 1312);
	p.line[0].mtu = 0;
	pair_run(&p, MTU_RAISE_NS + RT_S);
	assert_int_equal(tunnel_path_mtu(p.end[0]), FULL);
	assert_false(tunnel_mtu_short(p.end[0]));
	pair_release(&p);
}

/* The kernel's word is a hint: it is looked into at once, and not believed alone. */
static void the_kernel_gives_a_hint(void **state)
{
	struct pair p;

	mtu_pair_init(&p, 1408, 0, 0, 1);
	pair_run(&p, RT_S);
	tunnel_too_long(p.end[0], pair_now(&p));
	tunnel_too_long(p.end[0], pair_now(&p));
	pair_run(&p, RT_S);
	assert_false(tunnel_mtu_short(p.end[0]));
	assert_int_equal(p.end[0]->mtu.serial, 2);
	p.line[0].mtu = 1400;
	tunnel_too_long(p.end[0], pair_now(&p));
	pair_run(&p, 5 * RTT_NS);
	assert_true(tunnel_mtu_short(p.end[0]));
	assert_int_equal(tunnel_path_mtu(p.end[0]), 1396);
	pair_release(&p);
}

/* A device that refuses each full datagram says so again and again: the search goes on. */
static void refusals_do_not_begin_the_search_anew(void **state)
{
	struct pair p;

	mtu_pair_init(&p, 1408, 0, 0, 1);
	pair_run(&p, RT_S);
	p.line[0].mtu = 1400;
	for (unsigned i = 0; i < 200 && !tunnel_mtu_short(p.end[0]); i++) {
		tunnel_too_long(p.end[0], pair_now(&p));
		pair_run(&p, RTT_NS / 10);
	}
	assert_true(tunnel_mtu_short(p.end[0]));
	assert_int_equal(tunnel_path_mtu(p.end[0]), 1396);
	pair_release(&p);
}

/* Serials wrap, and 0 is none. */
static void serials_wrap(void **state)
{
	for (unsigned first = 65520; first <= 65535; first++) {
		struct pair p;

		mtu_pair_init(&p, 1408, 1200, 0, first);
		p.end[0]->mtu.serial = (uint16_t)first;
		p.end[1]->probe = (uint16_t)first;
		pair_run(&p, RT_S);
		assert_true(tunnel_mtu_short(p.end[0]));
		assert_int_equal(tunnel_path_mtu(p.end[0]), 1172);
		pair_release(&p);
		idle_init(&p, RTT_NS, 0, first);
		p.end[0]->mtu.serial = (uint16_t)first;
		p.end[0]->mtu.pads = 0;
		p.end[1]->probe = (uint16_t)first;
		for (unsigned i = 0; i < 40; i++) {
			pair_run(&p, 25 * RT_MS);
			assert_true(tunnel_proven(p.end[0], pair_now(&p)));
			assert_int_not_equal(p.end[0]->mtu.serial, 0);
		}
		pair_release(&p);
	}
}

/* An echo of what was never sent moves nothing. */
static void lies_about_probes(void **state)
{
	const struct mtu_params params = {
		.overhead = 52, .follower_len = 36, .symbol = 1408, .symbol_max = 1408
	};
	rt_time now = { RT_S };

	for (unsigned echo = 0; echo <= UINT16_MAX; echo++) {
		struct mtu_news news = { .largest = 2,
					 .echo = (uint16_t)echo,
					 .rtt_ns = RT_MS };
		struct mtu m;
		uint16_t serial;

		mtu_init(&m, &params, now);
		assert_int_equal(mtu_next(&m, 1, now, &serial), FULL);
		assert_int_equal(serial, 1);
		assert_int_equal(mtu_next(&m, 2, now, &serial), 36);
		assert_int_equal(serial, 0);
		mtu_acknowledged(&m, &news, now);
		assert_int_equal(m.path, echo == 1 ? FULL : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_path_costs_one_probe),
		cmocka_unit_test(short_paths_are_found_at_once),
		cmocka_unit_test(loss_is_no_short_path),
		cmocka_unit_test(a_dead_line_is_not_short),
		cmocka_unit_test(a_path_that_shrinks),
		cmocka_unit_test(an_idle_path_that_shrinks),
		cmocka_unit_test(a_loaded_path_that_shrinks),
		cmocka_unit_test(an_idle_path_costs_little),
		cmocka_unit_test(an_idle_path_stays_proven),
		cmocka_unit_test(larger_ones_are_tried_again),
		cmocka_unit_test(the_kernel_gives_a_hint),
		cmocka_unit_test(refusals_do_not_begin_the_search_anew),
		cmocka_unit_test(serials_wrap),
		cmocka_unit_test(lies_about_probes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
