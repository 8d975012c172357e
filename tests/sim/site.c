// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/site.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt/check.h"
#include "rt/loop.h"
#include "tests/sim/oracle.h"

#define STOP_MS 5000

void site_configure(struct group_config *c, const uint64_t blocks[SITE_VOLUMES])
{
	static const char *const names[SITE_VOLUMES] = { "alpha", "beta", "gamma" };

	*c = (struct group_config){
		.name = "db",
		.store = SITE_STORE,
		.store_size = UINT64_C(192) << 20,
		.nvolumes = SITE_VOLUMES,
		.sync = GROUP_NETWORK,
		.has_peer = true,
		.cold_serve = true,
		.segment_size = 1u << 20,
		.max_request = 64u << 10,
		.checkpoint_bytes = 1u << 20,
		.map_memory = 64u << 20,
		.send_memory = 4u << 20,
		.open_timeout_ms = 10000,
		.control_timeout_ms = 10000,
		.heartbeat_ms = 1000,
		.away_ms = 5000,
		.peer = { .rate_bps = UINT64_C(200000000),
			  .evidence = GROUP_EV_DRIVER,
			  .fec = { .code = "window",
				   .safety = 1e-6,
				   .assume_loss = 0.01,
				   .assume_burst = 1,
				   .min = 0.03,
				   .max = 0.5,
				   .share = 0.1,
				   .r = 8,
				   .c = 3,
				   .interleave = { 1, 19, 41 },
				   .on_demand = true } },
	};
	memset(c->peer.key, 0x5a, sizeof(c->peer.key));
	for (unsigned v = 0; v < SITE_VOLUMES; v++) {
		(void)snprintf(c->volumes[v].name, sizeof(c->volumes[v].name), "%s",
			       names[v]);
		c->volumes[v].size = blocks[v] * ORACLE_BLOCK;
		c->volumes[v].sync = (enum group_mode)v;
	}
}

void site_init(struct site *s, struct sim_world *w, const char *name,
	       const struct site_watch *watch, void *owner)
{
	s->w = w;
	s->node = sim_node_new(w, name);
	s->watch = watch;
	s->owner = owner;
}

/* ---- the store --------------------------------------------------------------------- */

struct creating {
	struct group_create create;
	bool done;
	int res;
};

static void created(struct group_create *c, int res)
{
	struct creating *creating = rt_container_of(c, struct creating, create);

	creating->done = true;
	creating->res = res;
}

static bool creating_done(void *arg)
{
	return ((struct creating *)arg)->done;
}

void site_create(struct site *s)
{
	struct creating c = { .create.done = created };
	struct rt_loop *loop = sim_node_start(s->node);

	sim_node_enter(s->node);
	group_create(loop, &s->config, &c.create);
	sim_node_leave(s->node);
	sim_require(sim_run_until(s->w, creating_done, &c, SITE_WAIT_NS), "create hangs");
	sim_require(c.res == 0, "create: %d %s", c.res, c.create.why);
	sim_node_stop(s->node);
}

/* ---- the process --------------------------------------------------------------------- */

static void serving(void *owner, struct group *group, bool on)
{
	struct site *s = owner;

	s->group = group;
	s->serving = on;
}

static void logged(void *owner, struct group *group, enum rt_log_level level,
		   const char *line)
{
	struct site *s = owner;

	(void)level;
	if (sim_verbose)
		printf("%12.6f %s %s\n", (double)sim_now(s->w).ns / 1e9,
		       sim_node_name(s->node), line);
	s->refusals += strncmp(line, "refused ", 8) == 0 ||
		       strncmp(line, "peer-refused ", 13) == 0;
	if (s->watch->logged)
		s->watch->logged(s, group, line);
}

/* What an open, a stop or a promotion is lent, and whose it is. */
struct opening {
	struct group_open open;
	struct site *site;
};

struct stopping {
	struct group_stop stop;
	struct site *site;
};

struct promoting {
	struct group_promote promote;
	struct site *site;
};

static void opened(struct group_open *open, int res)
{
	struct site *s = rt_container_of(open, struct opening, open)->site;

	s->opened = true;
	s->open_res = res;
	s->group = res == 0 ? open->group : NULL;
}

static bool site_opened(void *arg)
{
	struct site *s = arg;

	return s->opened || !sim_node_up(s->node);
}

bool site_start(struct site *s)
{
	static const struct group_events events = { .serving = serving,
						    .logged = logged };
	struct rt_loop *loop = sim_node_start(s->node);
	struct opening *opening = calloc(1, sizeof(*opening));

	rt_assert(opening);
	free(s->open);
	s->open = &opening->open;
	*opening = (struct opening){ .open.done = opened, .site = s };
	s->sent_bytes = 0;
	s->opened = s->serving = s->stopped = false;
	sim_node_enter(s->node);
	group_open(loop, &s->config, &events, s, s->open);
	sim_node_leave(s->node);
	sim_require(sim_run_until(s->w, site_opened, s, SITE_WAIT_NS), "open hangs");
	if (!sim_node_up(s->node)) { /* crashed while it opened */
		s->group = NULL;
		return false;
	}
	sim_require(s->open_res == 0, "open of %s: %d %s", sim_node_name(s->node),
		    s->open_res, s->open->why);
	site_look(s);
	if (s->watch->opened)
		s->watch->opened(s);
	return true;
}

void site_crash(struct site *s, enum sim_crash kind)
{
	if (sim_node_up(s->node))
		sim_node_crash(s->node, kind);
	s->group = NULL;
	s->serving = false;
}

static void stopped(struct group_stop *stop, int res)
{
	(void)res; /* a store that failed is closed all the same */
	rt_container_of(stop, struct stopping, stop)->site->stopped = true;
}

static bool site_stopped(void *arg)
{
	return ((struct site *)arg)->stopped;
}

void site_stop(struct site *s)
{
	struct stopping *stopping = calloc(1, sizeof(*stopping));

	rt_assert(stopping);
	free(s->stop);
	s->stop = &stopping->stop;
	*stopping = (struct stopping){ .stop.done = stopped, .site = s };
	sim_node_enter(s->node);
	group_stop(s->group, STOP_MS, s->stop);
	sim_node_leave(s->node);
	sim_require(sim_run_until(s->w, site_stopped, s, SITE_WAIT_NS), "stop hangs");
	s->group = NULL;
	s->serving = false;
}

void site_exit(struct site *s)
{
	(void)sim_run_for(s->w, 100 * RT_MS);
	sim_node_stop(s->node);
}

static void promote_over(struct group_verb *v, int res)
{
	struct site *s = rt_container_of(v, struct promoting, promote.verb)->site;

	s->promoted = true;
	s->promote_res = res;
}

static bool promote_is_over(void *arg)
{
	struct site *s = arg;

	return s->promoted || !sim_node_up(s->node);
}

static int promote_wait(struct site *s, const struct group_promote *what)
{
	struct promoting *promoting = calloc(1, sizeof(*promoting));

	rt_assert(promoting);
	free(s->promote);
	s->promote = &promoting->promote;
	*promoting = (struct promoting){ .promote = *what, .site = s };
	promoting->promote.verb.done = promote_over;
	s->promoted = false;
	sim_node_enter(s->node);
	group_promote(s->group, s->promote);
	sim_node_leave(s->node);
	sim_require(sim_run_until(s->w, promote_is_over, s, SITE_WAIT_NS),
		    "promote hangs");
	return s->promoted ? s->promote_res : -ESHUTDOWN;
}

int site_promote(struct site *s, bool force)
{
	return promote_wait(s, &(struct group_promote){ .force = force });
}

int site_undo(struct site *s)
{
	return promote_wait(s, &(struct group_promote){ .undo = true });
}

struct changing {
	struct group_peer peer;
	struct site *site;
	int res;
};

static void change_over(struct group_verb *v, int res)
{
	struct changing *changing = rt_container_of(v, struct changing, peer.verb);

	changing->res = res;
	changing->site->peer_changed = true;
}

static bool change_is_over(void *arg)
{
	struct site *s = arg;

	return s->peer_changed || !sim_node_up(s->node);
}

int site_change_peer(struct site *s, enum group_peer_change change)
{
	struct changing *changing = calloc(1, sizeof(*changing));

	rt_assert(changing);
	free(s->peer);
	s->peer = &changing->peer;
	*changing =
		(struct changing){ .peer = { .change = change, .verb.done = change_over },
				   .site = s };
	s->peer_changed = false;
	sim_node_enter(s->node);
	group_peer(s->group, s->peer);
	sim_node_leave(s->node);
	sim_require(sim_run_until(s->w, change_is_over, s, SITE_WAIT_NS),
		    "a change of the peer hangs");
	return s->peer_changed ? changing->res : -ESHUTDOWN;
}

void site_status(struct site *s, struct group_status *ret)
{
	sim_node_enter(s->node);
	group_status(s->group, ret);
	sim_node_leave(s->node);
	sim_require(ret->link.sent_bytes >= s->sent_bytes,
		    "a counter went back: %llu bytes sent, then %llu",
		    (unsigned long long)s->sent_bytes,
		    (unsigned long long)ret->link.sent_bytes);
	s->sent_bytes = ret->link.sent_bytes;
	sim_require(ret->state != GROUP_HOLDING || ret->why[0],
		    "requests are held, and nobody says why");
}

/* ---- a client's view -------------------------------------------------------------------- */

struct reading {
	struct group_request req;
	bool done;
	int res;
};

static void read_done(struct group_request *req, int res)
{
	struct reading *r = rt_container_of(req, struct reading, req);

	r->done = true;
	r->res = res;
}

static bool reading_done(void *arg)
{
	return ((struct reading *)arg)->done;
}

void site_read_volume(struct site *s, unsigned v, uint64_t *digest)
{
	uint64_t blocks = s->config.volumes[v].size / ORACLE_BLOCK;
	uint8_t *buf = aligned_alloc(ORACLE_BLOCK, blocks * ORACLE_BLOCK);
	struct reading r = { .req = { .kind = GROUP_READ,
				      .volume = group_volume_at(s->group, v),
				      .len = (uint32_t)(blocks * ORACLE_BLOCK),
				      .buf = buf,
				      .done = read_done } };

	rt_assert(buf);
	sim_node_enter(s->node);
	group_submit(&r.req);
	sim_node_leave(s->node);
	sim_require(sim_run_until(s->w, reading_done, &r, SITE_WAIT_NS), "read hangs");
	sim_require(r.res == 0, "read: %d", r.res);
	for (uint64_t lba = 0; lba < blocks; lba++)
		sim_require(oracle_block(digest, v, lba, buf + lba * ORACLE_BLOCK,
					 NULL) == 0,
			    "volume %u block %llu of %s is no block of it", v,
			    (unsigned long long)lba, sim_node_name(s->node));
	sim_back(&r, sizeof(r));
	sim_back_free(buf, blocks * ORACLE_BLOCK);
}
