/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_TUNNEL_BOTH_H
#define TESTS_UNIT_TUNNEL_BOTH_H

#include "replicator/tunnel/io.h"
#include "replicator/tunnel/state.h"
#include "replicator/tunnel/tunnel.h"
#include "rt/check.h"
#include "rt/loop.h"
#include "tests/unit/tunnel/params.h"
#include "tests/unit/unit.h"

/* Two tunnels over real datagrams on loopback; both submit frames and take the other's. */

#define FRAME 65536
#define BOUND_NS (30 * RT_S)

struct side {
	struct tunnel_io *io;
	struct tunnel *t;
	struct rt_addr addr;
	uint64_t submitted, taken;
};

struct both {
	struct rt_loop *loop;
	struct side side[2]; /* 0 dials */
	uint64_t frames;
	bool (*done)(struct both *b);
	struct rt_timer bound;
	bool late;
	bool deaf;
	uint64_t onwire_ahead; /* times that onwire was ahead of received */
};

static uint8_t frame[FRAME];
static uint64_t next_id = 77;
static uint64_t rate_bps = 4000000000;
static enum tunnel_evidence evidence = TUNNEL_DRIVER;
static uint16_t symbol_size = 1408;
static const char *local[2] = { "udp:127.0.0.1:0", "udp:127.0.0.1:0" };

static struct tunnel_params io_params(int end)
{
	struct tunnel_params p = params_tunnel(next_id, 4 << 20, FRAME);

	p.secret[0] = 5;
	p.symbol_size = symbol_size;
	p.dialed = end == 0;
	p.rate_bps = rate_bps;
	p.evidence = evidence;
	return p;
}

static void both_changed(void *owner)
{
	struct both *b = owner;
	rt_time now = rt_now(b->loop);

	for (int i = 0; i < 2; i++) {
		struct side *s = &b->side[i];
		const uint8_t *got;
		size_t len;
		int res;

		while ((res = tunnel_next_frame(s->t, &got, &len)) == 1) {
			assert_int_equal(len, FRAME);
			assert_memory_equal(got, frame, FRAME);
			s->taken++;
		}
		assert_int_equal(res, 0);
		while (s->submitted < b->frames &&
		       tunnel_submit(s->t, frame, FRAME, now) == 0) {
			tunnel_expedite(s->t, now);
			s->submitted++;
		}
		b->onwire_ahead += tunnel_onwire(s->t, now) > tunnel_received(s->t);
		tunnel_io_schedule(s->io);
	}
	if (b->done(b))
		rt_loop_stop(b->loop);
}

static void both_late(struct rt_timer *timer)
{
	struct both *b = rt_container_of(timer, struct both, bound);

	b->late = true;
	rt_loop_stop(b->loop);
}

static void side_attach(struct both *b, int end, bool knows)
{
	struct side *s = &b->side[end];
	struct tunnel_params p = io_params(end);
	struct rt_addr nobody = { .kind = RT_ADDR_NONE };

	assert_int_equal(tunnel_new(&p, rt_now(b->loop), &s->t), 0);
	tunnel_io_attach(s->io, s->t, knows ? &b->side[!end].addr : &nobody);
}

static void both_init(struct both *b, uint64_t frames, bool (*done)(struct both *))
{
	static const struct tunnel_io_events events = { both_changed };

	*b = (struct both){ .frames = frames, .done = done };
	for (size_t i = 0; i < FRAME; i++)
		frame[i] = (uint8_t)(i * 13 >> 3);
	b->bound.fire = both_late;
	assert_int_equal(rt_loop_new(&b->loop), 0);
	for (int i = 0; i < 2; i++) {
		struct rt_addr any;

		assert_int_equal(rt_addr_parse(local[i], &any), 0);
		assert_int_equal(tunnel_io_new(b->loop, &any, &events, b, &b->side[i].io),
				 0);
		tunnel_io_local(b->side[i].io, &b->side[i].addr);
	}
	for (int i = 0; i < 2; i++)
		side_attach(b, i, i == 0);
}

static void both_run(struct both *b)
{
	rt_timer_arm(b->loop, &b->bound, rt_time_add(rt_now(b->loop), BOUND_NS));
	assert_int_equal(rt_loop_run(b->loop), 0);
	rt_timer_disarm(b->loop, &b->bound);
	assert_false(b->late);
}

static void both_release(struct both *b)
{
	for (int i = 0; i < 2; i++)
		tunnel_io_free(b->side[i].io);
	assert_int_equal(rt_loop_run(b->loop), 0);
	for (int i = 0; i < 2; i++)
		tunnel_free(b->side[i].t);
	rt_loop_free(b->loop);
}

static bool all_received(struct both *b)
{
	for (int i = 0; i < 2; i++)
		if (b->side[i].taken < b->frames ||
		    tunnel_received(b->side[i].t) < b->frames)
			return false;
	return true;
}

static void both_replace(struct both *b)
{
	for (int end = 0; end < 2; end++) {
		struct side *s = &b->side[end];

		tunnel_io_attach(s->io, NULL, &s->addr);
		tunnel_free(s->t);
		s->submitted = s->taken = 0;
	}
	for (int end = 0; end < 2; end++) {
		next_id += end == 0; /* the same at both ends */
		side_attach(b, end, end == 0);
		assert_int_equal(tunnel_onwire(b->side[end].t, rt_now(b->loop)), 0);
	}
}

#endif
