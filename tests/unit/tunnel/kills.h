/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_TUNNEL_KILLS_H
#define TESTS_UNIT_TUNNEL_KILLS_H

#include "tests/unit/tunnel/pair.h"

/*
 * Disasters, as many as the processor allows: kill the sender at a random instant, let what
 * had left arrive as the line decides, and see whether every frame that counted as on the
 * wire comes out at the other end.
 */
struct kills {
	struct tunnel_params params;
	struct pair_line line;
	unsigned runs;
	int64_t every_ns; /* between frames; 0: as fast as they are taken */
	/* Found. */
	unsigned lost;	/* kills that lost a frame on the wire */
	uint64_t ahead; /* frames on the wire and not received, over all kills */
};

static inline void kill_load(struct pair *p, const struct kills *k, int64_t for_ns)
{
	int64_t until_ns = p->now_ns + for_ns;

	while (p->now_ns < until_ns) {
		while (pair_submit(p, 0, 1 + pair_below(&p->rng, 8192)) &&
		       k->every_ns == 0 && pair_chance(&p->rng, 0.9))
			;
		tunnel_expedite(p->end[0], pair_now(p));
		pair_run(p, 1 + (int64_t)pair_below(&p->rng, k->every_ns > 0
								     ? 2 * k->every_ns
								     : RT_MS));
	}
}

static inline void kill_one(struct kills *k, uint64_t seed)
{
	uint64_t onwire, received;
	struct pair p;

	k->params.frame_max = 1 << 16;
	k->params.send_memory = 1 << 20;
	pair_init(&p, &k->params, &k->line, seed);
	kill_load(&p, k, 20 * RT_MS + 3 * k->line.delay_ns);
	pair_run(&p, (int64_t)pair_below(&p.rng, 2 * RT_MS));
	onwire = tunnel_onwire(p.end[0], pair_now(&p));
	received = tunnel_received(p.end[0]);
	assert_true(onwire >= received);
	k->ahead += onwire - received;
	p.dead[0] = true;
	pair_run(&p, RT_S);
	k->lost += p.taken[1] < onwire;
	pair_release(&p);
}

PAIR_UNUSED static void kill_many(struct kills *k, uint64_t seed)
{
	for (unsigned i = 0; i < k->runs; i++)
		kill_one(k, seed + i);
	if (getenv("PAIR_VERBOSE") != NULL)
		printf("loss %.2f m %u share %.3f every %lld us: %u of %u kills lost a "
		       "frame, %.1f frames ahead\n",
		       k->line.loss, k->params.fec.repairs, k->params.fec.goal.share,
		       (long long)(k->every_ns / RT_US), k->lost, k->runs,
		       (double)k->ahead / k->runs);
	assert_true(k->ahead > 0);
}

#endif
