// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/pair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/request.h"
#include "rt/check.h"
#include "rt/loop.h"
#include "tests/sim/secure_sim.h"

/* ---- what it hears of its sites ----------------------------------------------------- */

/* IN_SYNC: from now on what completed without the mirror is promised as the rest is. */
static void in_sync_said(struct pair *p, const struct group *group)
{
	struct pair_promises *promises = &p->promises;
	struct group_status status;

	group_status(group, &status);
	/* A crash took the rest back, and nobody has asked yet what is left (open_dying()). */
	if (promises->lowered > status.lsn.admitted)
		promises->lowered = status.lsn.admitted;
	sim_require(status.lsn.onwire >= promises->lowered,
		    "IN_SYNC with %llu completed at local level, %llu on the wire",
		    (unsigned long long)promises->lowered,
		    (unsigned long long)status.lsn.onwire);
	if (promises->lowered > promises->network)
		promises->network = promises->lowered;
}

static unsigned index_of(const struct pair *p, const struct site *s)
{
	return s == &p->site[1];
}

static void logged(struct site *s, struct group *group, const char *line)
{
	struct pair *p = s->owner;

	if (index_of(p, s) == 0 && strncmp(line, "in-sync ", 8) == 0)
		in_sync_said(p, group);
}

static void opened(struct site *s)
{
	struct pair *p = s->owner;

	if (index_of(p, s) == 0)
		p->is_short = false;
	pair_judge_image(p, index_of(p, s), "opened");
}

static void taken(struct site *s, struct lfs *lfs, const struct lfs_append *a)
{
	(void)lfs;
	pair_judge_taken(s->owner, index_of(s->owner, s), a->lsn);
}

static const struct site_watch watch = { .opened = opened,
					 .logged = logged,
					 .taken = taken };

/* ---- making ------------------------------------------------------------------------------ */

static void draw_config(struct pair *p, struct group_config *c)
{
	uint64_t blocks[SITE_VOLUMES];

	for (unsigned v = 0; v < SITE_VOLUMES; v++)
		blocks[v] = oracle_blocks(p->oracle, v);
	site_configure(c, blocks);
	c->max_request = PAIR_REQUEST_MAX;
	c->fua_remote = sim_chance(p->rng, 0.2);
	c->on_disconnect = sim_chance(p->rng, 0.3) ? GROUP_STOP : GROUP_CONTINUE;
	c->hold = sim_chance(p->rng, 0.2)   ? GROUP_HOLD_FLUSH
		  : sim_chance(p->rng, 0.5) ? GROUP_HOLD_WRITE
					    : GROUP_HOLD_BY_MODE;
	if (sim_chance(p->rng, 0.4)) /* without remote the primary may open alone */
		c->volumes[2].sync = GROUP_LOCAL;
	c->peer.tcp = sim_chance(p->rng, 0.3);
	c->peer.evidence = sim_chance(p->rng, 0.8) ? GROUP_EV_DRIVER : GROUP_EV_MIRROR;
}

static void draw_peer(struct pair *p, struct group_peer_config *c)
{
	static const char *const codes[] = { "window", "window", "layered", "rs",
					     "none" };
	/* on the last one messages are long */
	static const uint64_t rates[] = { 50000000, 100000000, 200000000,
					  UINT64_C(4000000000) };
	const char *code = codes[sim_below(p->rng, RT_ARRAY_LEN(codes))];

	c->tcp = sim_chance(p->rng, 0.4);
	(void)snprintf(c->congestion, sizeof(c->congestion), "%s",
		       sim_chance(p->rng, 0.3) ? "reno" : "");
	c->rate_auto = sim_chance(p->rng, 0.2);
	c->rate_bps = rates[sim_below(p->rng, RT_ARRAY_LEN(rates))];
	if (sim_chance(p->rng, 0.2))
		c->evidence = sim_chance(p->rng, 0.5) ? GROUP_EV_DRIVER : GROUP_EV_MIRROR;
	memset(c->fec.code, 0, sizeof(c->fec.code));
	(void)snprintf(c->fec.code, sizeof(c->fec.code), "%s", code);
	c->fec.share = sim_chance(p->rng, 0.5) ? 0.1 : 0;
	c->fec.on_demand = sim_chance(p->rng, 0.8);
}

void pair_change(struct pair *p)
{
	draw_peer(p, &p->site[0].config.peer);
	p->tcp_only = p->tcp_only && p->site[0].config.peer.tcp;
	for (unsigned i = 0; i < 2; i++) {
		struct site *s = &p->site[i];
		struct group_peer_config *to = &s->config.peer;
		const struct group_peer_config *from = &p->site[0].config.peer;

		to->tcp = from->tcp;
		memcpy(to->congestion, from->congestion, sizeof(to->congestion));
		to->rate_auto = from->rate_auto;
		to->rate_bps = from->rate_bps;
		to->evidence = from->evidence;
		to->fec = from->fec;
		if (!s->group || !sim_node_up(s->node))
			continue;
		sim_note(p->w, "change", i, to->tcp, 0);
		sim_node_enter(s->node);
		group_change(s->group, &s->config);
		sim_node_leave(s->node);
	}
}

static void draw_line(struct pair *p)
{
	static const double losses[] = { 0, 0, 0.001, 0.01, 0.01, 0.05 };
	struct sim_net_config net = {
		.delay_ns = (int64_t)sim_between(p->rng, 1, 50) * RT_MS,
		.jitter_ns = (int64_t)sim_between(p->rng, 0, 2) * RT_MS,
		.rate_bps = 400000000,
		.queue_bytes = 1u << 20,
		.loss = losses[sim_below(p->rng, RT_ARRAY_LEN(losses))],
		.partial = 0.1,
	};

	if (sim_chance(p->rng, 0.3)) {
		net.reorder = 0.02;
		net.reorder_ns = 5 * RT_MS;
	}
	if (sim_chance(p->rng, 0.3))
		net.duplicate = 0.01;
	if (sim_chance(p->rng, 0.3))
		net.refuse_message = 0.05;
	if (sim_chance(p->rng, 0.2))
		net.corrupt = 0.001;
	p->line_loss = net.loss + net.corrupt;
	sim_net_set_all(p->w, &net);
}

/* It listens on any; it is dialed at the one that nothing leaves from by itself. */
static void pair_address(struct site *s, const struct sim_node *peer)
{
	s->config.peer.addr = (struct rt_addr){ .kind = RT_ADDR_INET, .port = SITE_PORT };
	if (s->config.peer.dials)
		sim_node_second_addr(peer, SITE_PORT, &s->config.peer.addr);
}

struct pair *pair_new(struct sim_world *w)
{
	struct pair *p = calloc(1, sizeof(*p));
	uint64_t blocks[SITE_VOLUMES];
	struct work_shape shape;
	bool mirror_dials;

	rt_assert(p);
	p->w = w;
	p->rng = sim_rng(w);
	secure_sim_seed(sim_draw(p->rng));
	for (unsigned v = 0; v < SITE_VOLUMES; v++)
		blocks[v] = sim_between(p->rng, 16, 200);
	p->oracle = oracle_new(SITE_VOLUMES, blocks);
	work_shape_draw(p->rng, &shape);
	shape.ops_max = 1;
	if (shape.blocks_max > PAIR_REQUEST_MAX / ORACLE_BLOCK)
		shape.blocks_max = PAIR_REQUEST_MAX / ORACLE_BLOCK;
	work_init(&p->work, p->oracle, &shape);
	clients_draw(&p->clients, p->rng);
	p->depth = (unsigned)sim_between(p->rng, 1, PAIR_REQUESTS);
	p->flush = sim_chance(p->rng, 0.5) ? 0.1 : 0.01;
	p->fua = sim_chance(p->rng, 0.3) ? 0.2 : 0;
	p->shortage = sim_chance(p->rng, 0.3) ? 0.1 : 0;
	for (unsigned i = 0; i < PAIR_REQUESTS; i++) {
		p->requests[i].pair = p;
		p->requests[i].buf = aligned_alloc(ORACLE_BLOCK, PAIR_REQUEST_MAX);
		rt_assert(p->requests[i].buf);
	}
	site_init(&p->site[0], w, "nyc", &watch, p);
	site_init(&p->site[1], w, "lon", &watch, p);
	draw_config(p, &p->site[0].config);
	p->site[1].config = p->site[0].config;
	p->site[0].config.role = GROUP_PRIMARY;
	p->site[1].config.role = GROUP_MIRROR;
	mirror_dials = sim_chance(p->rng, 0.3);
	for (unsigned i = 0; i < 2; i++) {
		struct site *s = &p->site[i];

		(void)snprintf(s->config.node, sizeof(s->config.node), "%s",
			       sim_node_name(s->node));
		s->config.peer.dials = (i == 1) == mirror_dials;
		pair_address(s, p->site[!i].node);
	}
	draw_line(p);
	site_image_begin(&p->site[0]);
	site_image_begin(&p->site[1]);
	return p;
}

void pair_free(struct pair *p)
{
	p->load = false;
	for (unsigned i = 0; i < 2; i++)
		if (p->site[i].group && sim_node_up(p->site[i].node))
			pair_stop(p, i);
	for (unsigned i = 0; i < PAIR_REQUESTS; i++)
		free(p->requests[i].buf);
	site_end(&p->site[0]);
	site_end(&p->site[1]);
	oracle_free(p->oracle);
	free(p);
}

/* ---- starting and stopping ----------------------------------------------------------------- */

static void client_turn(struct pair *p);

void pair_create_site(struct pair *p, unsigned i)
{
	site_create(&p->site[i]);
}

void pair_create(struct pair *p)
{
	site_create(&p->site[0]);
	site_create(&p->site[1]);
}

void pair_start(struct pair *p, unsigned i)
{
	(void)site_start(&p->site[i]);
}

/* The client's memory is its own again: nobody may look at it, or change it, from now on. */
static void request_back(struct pair_request *r)
{
	bool lends = r->req.kind == GROUP_READ || r->req.kind == GROUP_WRITE;

	r->busy = false;
	r->back = lends ? r->req.len : 0;
	sim_back(r->buf, r->back);
	sim_back(&r->req, sizeof(r->req));
}

static void forget_requests(struct pair *p)
{
	for (unsigned r = 0; r < PAIR_REQUESTS; r++)
		if (p->requests[r].busy)
			request_back(&p->requests[r]);
}

void pair_crash(struct pair *p, unsigned i, enum sim_crash kind)
{
	site_crash(&p->site[i], kind);
	if (i != 0)
		return;
	forget_requests(p);
	clients_connect(&p->clients);
}

void pair_stop(struct pair *p, unsigned i)
{
	struct site *s = &p->site[i];

	if (i == 0 && pair_idle(p))
		site_at_rest(s);
	site_stop(s);
	sim_require(i != 0 || pair_idle(p), "requests are left after the stop");
	if (i == 0)
		clients_connect(&p->clients);
	site_exit(s);
}

/* ---- the client ------------------------------------------------------------------------------ */

static void note_completion(struct pair *p, struct pair_request *r)
{
	struct site *s = &p->site[0];
	struct pair_promises *promises = &p->promises;
	struct group_status status;
	unsigned volume = 0;
	uint64_t lsn = r->req.kind == GROUP_FLUSH ? r->covers : r->lsn;
	bool durable = r->req.kind == GROUP_FLUSH || (r->req.flags & GROUP_FUA);
	enum group_mode mode;

	while (group_volume_at(s->group, volume) != r->req.volume)
		volume++;
	group_status(s->group, &status);
	mode = clients_promised(&s->config, volume, r->req.kind, r->req.flags);
	if (r->req.kind != GROUP_FLUSH && lsn > promises->replied[volume])
		promises->replied[volume] = lsn;
	if (r->req.kind != GROUP_FLUSH && lsn > promises->completed)
		promises->completed = lsn;
	if (durable && lsn > promises->flushed)
		promises->flushed = lsn;
	if (mode == GROUP_NETWORK && status.sync_effective == GROUP_NETWORK &&
	    lsn > promises->network)
		promises->network = lsn;
	if (mode == GROUP_NETWORK && status.sync_effective == GROUP_LOCAL &&
	    lsn > promises->lowered)
		promises->lowered = lsn;
	if (mode == GROUP_REMOTE && !status.alone && lsn > promises->remote)
		promises->remote = lsn;
}

/* The log has not taken this change: later ones have the numbers from there on. */
static void lsn_not_given(struct pair *p, struct pair_request *r)
{
	uint64_t lsn = r->lsn;

	if (lsn == 0)
		return;
	sim_require(p->promises.completed < lsn, "a later write was completed first");
	oracle_drop(p->oracle, lsn);
	r->lsn = 0;
	for (unsigned i = 0; i < PAIR_REQUESTS; i++)
		if (p->requests[i].busy && p->requests[i].lsn > lsn)
			p->requests[i].lsn--;
}

/* The client fills its buffer anew: the sender must read this write from the log. */
static void request_released(struct group_request *req)
{
	struct pair_request *r = rt_container_of(req, struct pair_request, req);

	sim_require(r->pair->is_short && req->kind == GROUP_WRITE && !r->released,
		    "a buffer was released out of turn");
	sim_note(r->pair->w, "released", r->lsn, req->len, 0);
	r->released = true;
	r->back = req->len;
	sim_back(r->buf, r->back);
}

static void request_done(struct group_request *req, int res)
{
	struct pair_request *r = rt_container_of(req, struct pair_request, req);
	struct pair *p = r->pair;

	p->done++;
	if (r->released)
		sim_back_check(r->buf, r->back, "a released buffer");
	sim_note(p->w, "reply", r->lsn, req->kind, (uint64_t)(int64_t)res);
	if (res == 0 && req->kind == GROUP_READ) {
		uint64_t digest = 0;

		for (uint32_t b = 0; b < req->len / ORACLE_BLOCK; b++) {
			unsigned v = 0;

			while (group_volume_at(p->site[0].group, v) != req->volume)
				v++;
			sim_require(oracle_block(
					    &digest, v, req->offset / ORACLE_BLOCK + b,
					    r->buf + (size_t)b * ORACLE_BLOCK, NULL) == 0,
				    "a read brought what was never written");
		}
	} else if (res == 0) {
		note_completion(p, r);
	} else {
		/* Want of room or memory refuses one write, any other error all of them. */
		p->broken |= res != -ENOMEM;
		if (res == -ENOMEM || res == -ENOSPC)
			lsn_not_given(p, r);
	}
	request_back(r);
	if (p->load)
		client_turn(p);
}

/* False where the client that was drawn sends none. */
static bool submit_flush(struct pair *p, struct pair_request *r)
{
	unsigned v = (unsigned)sim_below(p->rng, SITE_VOLUMES);
	bool flushes = true;

	r->req.flags = clients_send(&p->clients, p->rng, v, &flushes);
	if (!flushes)
		return false;
	r->req.kind = GROUP_FLUSH;
	r->req.volume = group_volume_at(p->site[0].group, v);
	r->covers = p->promises.replied[v];
	group_submit(&r->req);
	return true;
}

static void submit(struct pair *p, struct pair_request *r)
{
	struct group *g = p->site[0].group;
	struct group_request *req = &r->req;
	struct work_op op;
	bool durable;

	if (r->used) {
		sim_back_check(r->buf, r->back, "a client's buffer");
		sim_back_check(req, sizeof(*req), "a client's request");
	}
	r->used = true;
	r->released = false;
	*req = (struct group_request){ .buf = r->buf,
				       .done = request_done,
				       .released = request_released };
	r->busy = true;
	r->lsn = r->covers = 0;
	if (sim_chance(p->rng, p->flush) && submit_flush(p, r))
		return;
	(void)work_next(&p->work, p->rng, PAIR_REQUEST_MAX, &op);
	req->volume = group_volume_at(g, op.volume);
	req->offset = op.lba * ORACLE_BLOCK;
	req->len = op.blocks * ORACLE_BLOCK;
	if (sim_chance(p->rng, 0.1)) {
		if (op.blocks > PAIR_REQUEST_MAX / ORACLE_BLOCK)
			req->len = PAIR_REQUEST_MAX;
		req->kind = GROUP_READ;
		group_submit(req);
		return;
	}
	req->kind = op.kind == WORK_WRITE  ? GROUP_WRITE
		    : op.kind == WORK_ZERO ? GROUP_ZERO
					   : GROUP_TRIM;
	durable = sim_chance(p->rng, p->fua);
	req->flags = clients_send(&p->clients, p->rng, op.volume, &durable);
	if (durable)
		req->flags |= GROUP_FUA;
	if (op.kind == WORK_WRITE)
		oracle_fill(r->buf, op.volume, op.lba, op.blocks,
			    oracle_stamp(p->oracle));
	work_apply(p->oracle, &op, 1);
	r->lsn = oracle_commit(p->oracle);
	group_submit(req);
	if (request_state(req)->res < 0) /* refused at once: the reply is on its way */
		lsn_not_given(p, r);
}

static void client_turn(struct pair *p)
{
	struct site *s = &p->site[0];

	if (!s->group || !s->serving || p->broken)
		return;
	if (sim_chance(p->rng, p->shortage)) {
		p->is_short = !p->is_short;
		group_set_memory_short(s->group, p->is_short);
	}
	for (unsigned i = 0; i < p->depth && p->load && p->budget > 0; i++) {
		if (p->requests[i].busy)
			continue;
		p->budget--;
		submit(p, &p->requests[i]);
	}
}

void pair_load(struct pair *p, bool on)
{
	p->load = on;
	if (!on || !p->site[0].group)
		return;
	if (p->epoch_id == 0) {
		struct group_status status;

		pair_status(p, 0, &status);
		p->epoch_id = status.epoch_id;
	}
	sim_node_enter(p->site[0].node);
	client_turn(p);
	sim_node_leave(p->site[0].node);
}

bool pair_idle(void *arg)
{
	struct pair *p = arg;

	for (unsigned i = 0; i < PAIR_REQUESTS; i++)
		if (p->requests[i].busy)
			return false;
	return true;
}

/* ---- looking ----------------------------------------------------------------------------------- */

void pair_status(struct pair *p, unsigned i, struct group_status *ret)
{
	site_status(&p->site[i], ret);
	if (i == 0)
		pair_judge_status(p, ret);
}

enum group_state pair_state(struct pair *p, unsigned i)
{
	struct group_status status;

	pair_status(p, i, &status);
	return status.state;
}
