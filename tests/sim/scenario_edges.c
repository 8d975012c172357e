// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/group.h"
#include "rt/check.h"
#include "rt/hash.h"
#include "rt/loop.h"
#include "tests/sim/sim.h"

/*
 * One site without a mirror, requests of any alignment that share blocks but no bytes.
 * Protects: a request changes its own bytes and no others, however many are in flight in
 * one block; after a kill each is there as a whole or not at all, completed ones are
 * there; sizes above max_request arrive too.
 */
#define BLOCKS 96
#define SIZE (BLOCKS * GROUP_BLOCK)
#define DEPTH 12
#define MAX_REQUEST (64u << 10)

struct edges_request {
	struct group_request req;
	struct edges *edges;
	uint64_t serial;
	uint8_t *buf;
	bool busy;
};

struct edges {
	struct sim_world *w;
	struct sim_rng *rng;
	struct sim_node *node;
	struct group_config config;
	struct group *group;
	struct group_open *open;
	bool opened, serving, ended;
	int res;
	uint8_t *model; /* what completed requests have made of the volume */
	uint64_t serial;
	struct edges_request requests[DEPTH];
};

static uint8_t byte_of(uint64_t serial, uint64_t offset)
{
	return (uint8_t)(rt_mix64(serial << 32 ^ offset) | 1);
}

/* ---- the site ------------------------------------------------------------------------ */

static void serving(void *owner, struct group *group, bool on)
{
	struct edges *e = owner;

	e->group = group;
	e->serving = on;
}

static void opened(struct group_open *open, int res)
{
	struct edges *e = *(struct edges **)(open + 1);

	e->opened = true;
	e->res = res;
}

static bool is_serving(void *arg)
{
	return ((struct edges *)arg)->serving;
}

static bool has_ended(void *arg)
{
	return ((struct edges *)arg)->ended;
}

struct creating {
	struct group_create create;
	struct edges *edges;
};

static void created(struct group_create *c, int res)
{
	struct creating *creating = rt_container_of(c, struct creating, create);

	creating->edges->ended = true;
	creating->edges->res = res;
}

static void site_create(struct edges *e)
{
	struct creating c = { .create.done = created, .edges = e };
	struct rt_loop *loop = sim_node_start(e->node);

	e->ended = false;
	sim_node_enter(e->node);
	group_create(loop, &e->config, &c.create);
	sim_node_leave(e->node);
	sim_require(sim_run_until(e->w, has_ended, e, 60 * RT_S), "create hangs");
	sim_require(e->res == 0, "create: %s", c.create.why);
	sim_node_stop(e->node);
}

static void site_start(struct edges *e)
{
	static const struct group_events events = { .serving = serving };
	struct rt_loop *loop = sim_node_start(e->node);

	free(e->open);
	e->open = calloc(1, sizeof(*e->open) + sizeof(void *));
	rt_assert(e->open);
	e->open->done = opened;
	*(struct edges **)(e->open + 1) = e;
	e->opened = e->serving = false;
	sim_node_enter(e->node);
	group_open(loop, &e->config, &events, e, e->open);
	sim_node_leave(e->node);
	sim_require(sim_run_until(e->w, is_serving, e, 60 * RT_S), "open: %d %s", e->res,
		    e->open->why);
}

/* ---- requests --------------------------------------------------------------------------- */

static bool overlaps_any(const struct edges *e, uint64_t offset, uint32_t len)
{
	for (unsigned i = 0; i < DEPTH; i++) {
		const struct group_request *r = &e->requests[i].req;

		if (e->requests[i].busy && offset < r->offset + r->len &&
		    r->offset < offset + len)
			return true;
	}
	return false;
}

static void apply(struct edges *e, const struct edges_request *r)
{
	if (r->req.kind == GROUP_ZERO)
		memset(e->model + r->req.offset, 0, r->req.len);
	else
		for (uint64_t i = 0; i < r->req.len; i++)
			e->model[r->req.offset + i] =
				byte_of(r->serial, r->req.offset + i);
}

static void submit_one(struct edges *e, struct edges_request *r);

static void request_done(struct group_request *req, int res)
{
	struct edges_request *r = rt_container_of(req, struct edges_request, req);
	struct edges *e = r->edges;

	sim_require(res == 0, "a request failed: %d", res);
	apply(e, r);
	r->busy = false;
	sim_back(r->buf, group_request_span(req->offset, req->len));
	sim_back(req, sizeof(*req));
	if (!e->ended)
		submit_one(e, r);
}

static void submit_one(struct edges *e, struct edges_request *r)
{
	uint64_t offset;
	uint32_t len;
	unsigned tries = 0;

	do {
		if (++tries > 20)
			return;
		len = (uint32_t)sim_skewed(e->rng, 1, SIZE / 2);
		offset = sim_below(e->rng, SIZE - len + 1);
		if (sim_chance(e->rng, 0.5)) { /* crowd the first blocks */
			len = (uint32_t)sim_skewed(e->rng, 1, 3000);
			offset = sim_below(e->rng, 3 * GROUP_BLOCK);
		}
	} while (overlaps_any(e, offset, len));
	r->serial = ++e->serial;
	r->busy = true;
	memset(r->buf, 0xee, group_request_span(offset, len)); /* edges are not ours */
	r->req = (struct group_request){
		.kind = sim_chance(e->rng, 0.2) ? GROUP_ZERO : GROUP_WRITE,
		.volume = group_volume_at(e->group, 0),
		.offset = offset,
		.len = len,
		.buf = r->buf,
		.done = request_done,
	};
	for (uint32_t i = 0; i < len; i++)
		r->buf[offset % GROUP_BLOCK + i] = byte_of(r->serial, offset + i);
	group_submit(&r->req);
}

static void run_load(struct edges *e)
{
	e->ended = false;
	sim_node_enter(e->node);
	for (unsigned i = 0; i < DEPTH; i++)
		if (!e->requests[i].busy)
			submit_one(e, &e->requests[i]);
	sim_node_leave(e->node);
	(void)sim_run_for(e->w, (int64_t)sim_skewed(e->rng, 1, 100) * RT_MS);
	e->ended = true;
}

static bool all_idle(void *arg)
{
	struct edges *e = arg;

	for (unsigned i = 0; i < DEPTH; i++)
		if (e->requests[i].busy)
			return false;
	return true;
}

/* ---- looking ------------------------------------------------------------------------------ */

struct reading {
	struct group_request req;
	bool done;
};

static void read_done(struct group_request *req, int res)
{
	sim_require(res == 0, "read: %d", res);
	rt_container_of(req, struct reading, req)->done = true;
}

static bool reading_done(void *arg)
{
	return ((struct reading *)arg)->done;
}

static void read_all(struct edges *e, uint8_t *image)
{
	struct reading r = { .req = { .kind = GROUP_READ,
				      .volume = group_volume_at(e->group, 0),
				      .len = SIZE,
				      .buf = image,
				      .done = read_done } };

	sim_node_enter(e->node);
	group_submit(&r.req);
	sim_node_leave(e->node);
	sim_require(sim_run_until(e->w, reading_done, &r, 60 * RT_S), "read hangs");
}

/* What was in flight at the kill is there as a whole or not at all (up to max_request). */
static void settle(struct edges *e, const uint8_t *image)
{
	for (unsigned i = 0; i < DEPTH; i++) {
		struct edges_request *r = &e->requests[i];
		uint64_t off = r->req.offset;

		if (!r->busy)
			continue;
		r->busy = false;
		if (r->req.len >
		    MAX_REQUEST) { /* several records: each is judged below */
			memcpy(e->model + off, image + off, r->req.len);
			continue;
		}
		if (memcmp(e->model + off, image + off, r->req.len) != 0)
			apply(e, r);
	}
}

static void check_image(struct edges *e, const char *when)
{
	uint8_t *image = aligned_alloc(GROUP_BLOCK, SIZE);

	rt_assert(image);
	read_all(e, image);
	settle(e, image);
	for (uint64_t i = 0; i < SIZE; i++)
		sim_require(image[i] == e->model[i], "%s: byte %llu is %02x, not %02x",
			    when, (unsigned long long)i, image[i], e->model[i]);
	free(image);
}

static void edges_run(struct sim_world *w)
{
	struct edges e = { .w = w, .rng = sim_rng(w), .node = sim_node_new(w, "solo") };
	unsigned rounds = (unsigned)sim_between(e.rng, 1, 4);

	e.config = (struct group_config){ .name = "solo",
					  .node = "solo",
					  .store = "/store",
					  .store_size = 256u << 20,
					  .role = GROUP_PRIMARY,
					  .nvolumes = 1,
					  .volumes = { { .name = "v", .size = SIZE } },
					  .segment_size = 1u << 20,
					  .max_request = MAX_REQUEST,
					  .checkpoint_bytes = 1u << 20,
					  .map_memory = 64u << 20,
					  .heartbeat_ms = 1000,
					  .open_timeout_ms = 10000 };
	e.model = calloc(1, SIZE);
	rt_assert(e.model);
	for (unsigned i = 0; i < DEPTH; i++) {
		e.requests[i].edges = &e;
		e.requests[i].buf = aligned_alloc(GROUP_BLOCK, SIZE);
		rt_assert(e.requests[i].buf);
	}
	site_create(&e);
	site_start(&e);
	while (rounds-- > 0) {
		run_load(&e);
		if (sim_chance(e.rng, 0.5)) {
			sim_require(sim_run_until(w, all_idle, &e, 60 * RT_S), "hangs");
			check_image(&e, "idle");
			continue;
		}
		sim_node_crash(e.node, SIM_KILL);
		site_start(&e);
		check_image(&e, "after the kill");
	}
	for (unsigned i = 0; i < DEPTH; i++)
		free(e.requests[i].buf);
	free(e.model);
	free(e.open);
}

static const char *const edges_bugs[] = { "UNALIGNED_NO_LOCK", NULL };

SIM_SCENARIO(edges, "requests of any alignment that share blocks", edges_run, edges_bugs)
