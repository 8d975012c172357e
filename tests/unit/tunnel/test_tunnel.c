// SPDX-License-Identifier: BSD-3-Clause
/*
 * The promise of a tunnel: whatever the line does short of losing everything, each frame
 * comes out whole, once and in order; and a frame that counts as on the wire is rebuilt
 * at the other end when the sender dies at that very moment, as far as the line keeps to
 * the loss that was assumed.
 */
#include <errno.h>

#include "tests/unit/tunnel/pair.h"

/* Frames of all sizes in a steady stream, both ways, until all are through. */
static void run_stream(struct pair *p, unsigned frames, int64_t every_ns)
{
	uint64_t submitted[2] = { 0, 0 };
	int64_t begin_ns = p->now_ns;

	while (submitted[0] < frames) {
		for (int end = 0; end < 2; end++) {
			size_t len = 1 + pair_below(&p->rng, end == 0 ? 12000 : 200);

			if (!pair_submit(p, end, len))
				continue;
			submitted[end]++;
			if (pair_chance(&p->rng, 0.3))
				tunnel_expedite(p->end[end], pair_now(p));
		}
		pair_run(p, every_ns);
	}
	for (int end = 0; end < 2; end++)
		if (!pair_run_taken(p, !end, submitted[end], 600 * RT_S))
			fail_msg("seed %llu: %llu of %llu frames",
				 (unsigned long long)p->seed,
				 (unsigned long long)p->taken[!end],
				 (unsigned long long)submitted[end]);
	if (getenv("PAIR_VERBOSE") != NULL) {
		struct tunnel_stats s;

		tunnel_stats(p->end[0], &s);
		printf("seed %llu: %.3f s, data %llu repairs %llu again %llu acks %llu "
		       "deficits %llu loss %.4f rtt %.3f ms\n",
		       (unsigned long long)p->seed, (double)(p->now_ns - begin_ns) / 1e9,
		       (unsigned long long)s.sent_data,
		       (unsigned long long)s.sent_repairs,
		       (unsigned long long)s.retransmitted,
		       (unsigned long long)s.sent_acks, (unsigned long long)s.deficits,
		       s.loss, (double)s.rtt_ns / 1e6);
	}
	/* And the sender learns of it. */
	pair_run(p, 10 * RT_S);
	assert_int_equal(tunnel_received(p->end[0]), submitted[0]);
	assert_int_equal(tunnel_onwire(p->end[0], pair_now(p)), submitted[0]);
}

static void stream_on(const struct pair_line *line, uint64_t seed, unsigned frames)
{
	struct tunnel_params params = pair_params();
	struct pair p;

	pair_init(&p, &params, line, seed);
	run_stream(&p, frames, 500 * RT_US);
	pair_release(&p);
}

static void frames_come_out_in_order_without_loss(void **state)
{
	struct pair_line line = pair_line(25 * RT_MS, 0);

	stream_on(&line, 1, 2000);
}

static void frames_come_out_at_every_loss(void **state)
{
	static const double losses[] = { 0.001, 0.01, 0.05, 0.2, 0.5 };

	for (unsigned i = 0; i < RT_ARRAY_LEN(losses); i++) {
		struct pair_line line = pair_line(25 * RT_MS, losses[i]);

		stream_on(&line, 10 + i, 500);
	}
}

static void frames_come_out_of_a_bad_line(void **state)
{
	for (uint64_t seed = 20; seed < 28; seed++) {
		struct pair_line line = pair_line(10 * RT_MS, 0.05);

		line.burst = 1 + (double)(seed % 4) * 4;
		line.jitter_ns = 3 * RT_MS;
		line.again = 0.05;
		line.corrupt = 0.02;
		line.local = seed % 2 ? 0.05 : 0;
		stream_on(&line, seed, 400);
	}
}

/* A lone block with its record fills three symbols and leaves at once with its m. */
static void lone_write_leaves_at_once(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(25 * RT_MS, 0);
	struct tunnel_stats before, after;
	struct pair p;

	pair_init(&p, &params, &line, 40);
	assert_true(pair_submit(&p, 0, 100));
	tunnel_expedite(p.end[0], pair_now(&p));
	pair_run(&p, RT_S);
	assert_true(tunnel_proven(p.end[0], pair_now(&p)));
	tunnel_stats(p.end[0], &before);
	assert_true(pair_submit(&p, 0, 4096 + 123));
	tunnel_expedite(p.end[0], pair_now(&p));
	pair_run(&p, 0);
	tunnel_stats(p.end[0], &after);
	assert_int_equal(after.sent_data - before.sent_data, 3);
	assert_int_equal(after.sent_repairs - before.sent_repairs, 3);
	/* Not before the driver's word, and with it at once. */
	pair_run(&p, 19 * RT_US);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 1);
	pair_run(&p, 2 * RT_US);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 2);
	assert_int_equal(tunnel_received(p.end[0]), 1);
	pair_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come_out_in_order_without_loss),
		cmocka_unit_test(frames_come_out_at_every_loss),
		cmocka_unit_test(frames_come_out_of_a_bad_line),
		cmocka_unit_test(lone_write_leaves_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
