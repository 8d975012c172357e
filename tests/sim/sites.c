// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/sites.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lfs/lfs.h"
#include "replicator/group_private.h"
#include "replicator/history.h"
#include "replicator/request.h"
#include "replicator/session.h"
#include "rt/check.h"
#include "tests/sim/secure_sim.h"
#include "tests/sim/sim_impl.h"

static void client_turn(struct sites_side *side);

/* ---- what a store takes ------------------------------------------------------------------ */

static const struct tree_node *find(struct sites_side *side, const struct lfs *lfs,
				    uint64_t lsn)
{
	uint64_t epoch = lsn ? lfs_epoch_of(lfs_meta(lfs), lsn)->id : 0;

	return tree_find(side->all->tree, epoch, lsn);
}

static void taken(struct site *s, struct lfs *lfs, const struct lfs_append *a)
{
	struct sites_side *side = s->owner;
	struct tree_node what = { .epoch = lfs_epoch_of(lfs_meta(lfs), a->lsn)->id,
				  .lsn = a->lsn,
				  .hash = a->hash,
				  .digest = s->image.digest,
				  .wall_ns = a->wall_ns,
				  .bytes = a->bytes };
	bool writes = s->group && s->group->role == GROUP_PRIMARY &&
		      s->group->start.phase == PRIMARY_RUNNING;
	const char *why;
	const struct tree_node *node = tree_take(side->all->tree, side->tip, &what,
						 writes ? side->run : 0, &why);

	sim_require(node, "LSN %llu of epoch %016llx at %s: %s",
		    (unsigned long long)a->lsn, (unsigned long long)what.epoch,
		    sim_node_name(s->node), why);
	sim_require(!writes || a->wall_ns == rt_wall_ns(s->group->loop),
		    "LSN %llu is admitted at %s, and bears another time",
		    (unsigned long long)a->lsn, sim_node_name(s->node));
	side->tip = node;
}

static void hold(const struct tree_node **promise, const struct tree_node *node)
{
	if (*promise == NULL || !tree_holds(*promise, node))
		*promise = node;
}

/* The store that it opens holds a known history, and all that this site has promised. */
static void opened(struct site *s)
{
	struct sites_side *side = s->owner;
	const struct lfs *lfs = s->group->lfs;
	const struct tree_node *must =
		side->died == SIM_POWER ? side->promise.power : side->promise.kill;
	struct lfs_position end;

	lfs_position(lfs, &end);
	side->tip = find(side, lfs, end.lsn);
	sim_require(side->tip, "%s opens with an LSN %llu that was never taken",
		    sim_node_name(s->node), (unsigned long long)end.lsn);
	sim_require(side->tip->digest == s->image.digest && side->tip->hash == end.hash,
		    "%s opens with another image than that after LSN %llu",
		    sim_node_name(s->node), (unsigned long long)end.lsn);
	if (must == NULL)
		must = tree_root(side->all->tree);
	sim_require(tree_holds(side->tip, must),
		    "%s opens with LSN %llu, and has promised to keep LSN %llu",
		    sim_node_name(s->node), (unsigned long long)end.lsn,
		    (unsigned long long)must->lsn);
	side->promise = (struct sites_promise){ must, must };
	for (unsigned v = 0; v < SITE_VOLUMES; v++)
		side->replied[v] = must;
}

static const struct site_watch watch = { .opened = opened, .taken = taken };

/* ---- making --------------------------------------------------------------------------------- */

static void configure(struct sites *a, struct group_config *c)
{
	site_configure(c, a->blocks);
	c->on_disconnect = sim_chance(a->rng, 0.3) ? GROUP_STOP : GROUP_CONTINUE;
	c->cold_serve = sim_chance(a->rng, 0.5);
	if (sim_chance(a->rng, 0.5))
		c->volumes[2].sync = GROUP_LOCAL;
	if (sim_chance(a->rng, 0.5))
		c->hold = sim_chance(a->rng, 0.5) ? GROUP_HOLD_FLUSH : GROUP_HOLD_WRITE;
	c->peer.tcp = sim_chance(a->rng, 0.3);
	c->open_timeout_ms = 3000;
	c->control_timeout_ms = 6000;
	c->heartbeat_ms = 500;
	c->away_ms = 2000;
}

/* nyc and lon know each other; a copy of either knows what that one knew. */
static void introduce(struct sites *a)
{
	bool mirror_dials = sim_chance(a->rng, 0.5);

	for (unsigned i = 0; i < 2; i++) {
		struct group_peer_config *peer = &a->side[i].site.config.peer;

		peer->dials = (i == 1) == mirror_dials;
		peer->addr = (struct rt_addr){ .kind = RT_ADDR_INET, .port = SITE_PORT };
		if (peer->dials)
			sim_node_addr(a->side[!i].site.node, SITE_PORT, &peer->addr);
	}
}

static void side_init(struct sites *a, unsigned i, const char *name)
{
	struct sites_side *side = &a->side[i];

	side->all = a;
	site_init(&side->site, a->w, name, &watch, side);
	side->site.config = a->side[0].site.config;
	side->site.config.role = i == 0 ? GROUP_PRIMARY : GROUP_MIRROR;
	(void)snprintf(side->site.config.node, sizeof(side->site.config.node), "%s",
		       name);
	site_image_begin(&side->site);
	side->tip = tree_root(a->tree);
	clients_draw(&side->clients, a->rng);
	for (unsigned r = 0; r < SITES_REQUESTS; r++) {
		struct sites_request *request = &side->requests[r];

		request->side = side;
		request->buf =
			aligned_alloc(ORACLE_BLOCK, SITES_REQUEST_BLOCKS * ORACLE_BLOCK);
		rt_assert(request->buf);
	}
}

struct sites *sites_new(struct sim_world *w, unsigned n)
{
	static const char *const names[SITES_MAX] = { "nyc", "lon", "bak", "lab" };
	static const double losses[] = { 0, 0, 0.01 };
	struct sites *a = sim_calloc(1, sizeof(*a));
	struct sim_net_config net;

	rt_assert(n >= 2 && n <= SITES_MAX);
	a->w = w;
	a->n = n;
	a->rng = sim_rng(w);
	a->tree = tree_new();
	secure_sim_seed(sim_draw(a->rng));
	for (unsigned v = 0; v < SITE_VOLUMES; v++)
		a->blocks[v] = sim_between(a->rng, 8, 40);
	a->flush = sim_chance(a->rng, 0.5) ? 0.1 : 0.01;
	a->fua = sim_chance(a->rng, 0.3) ? 0.2 : 0;
	configure(a, &a->side[0].site.config);
	for (unsigned i = 0; i < n; i++)
		side_init(a, i, names[i]);
	introduce(a);
	net = (struct sim_net_config){
		.delay_ns = (int64_t)sim_between(a->rng, 1, 30) * RT_MS,
		.jitter_ns = RT_MS,
		.loss = losses[sim_below(a->rng, RT_ARRAY_LEN(losses))],
	};
	sim_net_set_all(w, &net);
	site_create(&a->side[0].site);
	site_create(&a->side[1].site);
	return a;
}

void sites_free(struct sites *a)
{
	for (unsigned i = 0; i < a->n; i++) {
		if (sites_up(a, i))
			sites_stop(a, i);
		for (unsigned r = 0; r < SITES_REQUESTS; r++)
			free(a->side[i].requests[r].buf);
		site_end(&a->side[i].site);
	}
	tree_free(a->tree);
	free(a);
}

/* ---- up and down ----------------------------------------------------------------------------- */

bool sites_up(const struct sites *a, unsigned i)
{
	return a->side[i].site.group && sim_node_up(a->side[i].site.node);
}

bool sites_writable(const struct sites *a, unsigned i)
{
	const struct sites_side *side = &a->side[i];

	return sites_up(a, i) && side->site.serving &&
	       !group_volume_read_only(group_volume_at(side->site.group, 0));
}

unsigned sites_epochs(const struct sites *a, unsigned i)
{
	return lfs_meta(a->side[i].site.group->lfs)->nepochs;
}

void sites_start(struct sites *a, unsigned i)
{
	struct sites_side *side = &a->side[i];

	side->run = ++a->runs;
	side->started = sim_now(a->w);
	clients_connect(&side->clients);
	if (!site_start(&side->site))
		side->died = SIM_POWER; /* drawn by who armed it; the less is promised */
}

static void forget_requests(struct sites_side *side)
{
	side->budget = 0;
	for (unsigned r = 0; r < SITES_REQUESTS; r++)
		side->requests[r].busy = false;
}

/* A primary whose mirror may have agreed to it: it serves at any moment. */
static bool is_about_to_serve(const struct sites *a, unsigned k)
{
	const struct group *g = a->side[k].site.group;

	return sites_up(a, k) && g->role == GROUP_PRIMARY &&
	       g->start.phase != PRIMARY_RUNNING && g->session &&
	       g->session->control.conn;
}

void sites_crash(struct sites *a, unsigned i, enum sim_crash kind)
{
	struct sites_side *side = &a->side[i];

	if (is_about_to_serve(a, i) || sites_writable(a, i))
		side->wrote = sim_now(a->w);
	site_crash(&side->site, kind);
	side->died = kind;
	forget_requests(side);
}

void sites_stop(struct sites *a, unsigned i)
{
	struct sites_side *side = &a->side[i];

	side->budget = 0;
	site_stop(&side->site);
	side->wrote = sim_now(a->w);
	sim_require(sites_idle(a, i), "requests are left after the stop");
	site_exit(&side->site);
	side->died = SIM_KILL;
}

/* ---- the clients -------------------------------------------------------------------------------- */

bool sites_idle(const struct sites *a, unsigned i)
{
	for (unsigned r = 0; r < SITES_REQUESTS; r++)
		if (a->side[i].requests[r].busy)
			return false;
	return true;
}

/* It has it, as far as is known: what a side that is down held for good, it shows later. */
static bool persisted_at(const struct sites_side *side, const struct tree_node *node)
{
	const struct group *g = side->site.group;

	return tree_holds(side->tip, node) &&
	       (g == NULL || lfs_lsn(g->lfs).durable >= node->lsn);
}

/* Persisted at the mirror: some other store holds it for good, or did. */
static void promise_elsewhere(struct sites_side *side, const struct tree_node *node)
{
	struct sites *a = side->all;
	bool found = false;

	for (unsigned i = 0; i < a->n; i++) {
		struct sites_side *other = &a->side[i];

		if (other == side)
			continue;
		if (other->taken_away && tree_holds(other->taken_away, node))
			found = true;
		if (!persisted_at(other, node))
			continue;
		found = true;
		hold(&other->promise.kill, node);
		hold(&other->promise.power, node);
	}
	sim_require(found, "LSN %llu completed in remote, and nobody else holds it",
		    (unsigned long long)node->lsn);
}

static void completed(struct sites_request *r, const struct tree_node *node)
{
	struct sites_side *side = r->side;
	const struct group *g = side->site.group;
	bool durable = r->req.kind == GROUP_FLUSH || (r->req.flags & GROUP_FUA);

	sim_require(tree_holds(side->tip, node), "%s completed what it does not hold",
		    sim_node_name(side->site.node));
	hold(&side->promise.kill, node);
	if (durable)
		hold(&side->promise.power, node);
	if (r->req.kind != GROUP_FLUSH)
		hold(&side->replied[r->volume], node);
	if (clients_promised(&side->site.config, r->volume, r->req.kind, r->req.flags) ==
		    GROUP_REMOTE &&
	    g->alone == GROUP_NOT_ALONE && node->lsn > 0) {
		promise_elsewhere(side, node);
		hold(&side->remote, node);
	}
}

/* A cache lives until the generation of its volume changes: what is in it must be here. */
static void judge_caches(struct sites_side *side)
{
	const struct lfs_meta *meta = lfs_meta(side->site.group->lfs);
	uint64_t generation = history_generation(meta, meta->volumes[0].id);

	if (side->cached && generation == side->generation)
		sim_require(tree_holds(side->tip, side->cached),
			    "%s has lost LSN %llu, which completed in this generation",
			    sim_node_name(side->site.node),
			    (unsigned long long)side->cached->lsn);
	if (generation != side->generation)
		side->cached = NULL;
	side->generation = generation;
}

static void request_done(struct group_request *req, int res)
{
	struct sites_request *r = rt_container_of(req, struct sites_request, req);
	struct sites_side *side = r->side;
	uint64_t lsn = request_state(req)->lsn;

	sim_note(side->all->w, "reply", lsn, req->kind, (uint64_t)(int64_t)res);
	r->busy = false;
	if (res == 0) {
		const struct tree_node *node =
			req->kind == GROUP_FLUSH ? r->covers
						 : find(side, side->site.group->lfs, lsn);

		side->done++;
		sim_require(node, "%s completed an LSN %llu that nobody took",
			    sim_node_name(side->site.node), (unsigned long long)lsn);
		completed(r, node);
		hold(&side->cached, node);
	}
	if (side->budget > 0)
		client_turn(side);
}

static void submit(struct sites_request *r)
{
	struct sites_side *side = r->side;
	struct sites *a = side->all;
	struct sim_rng *rng = a->rng;
	uint32_t blocks = (uint32_t)sim_skewed(rng, 1, SITES_REQUEST_BLOCKS);
	unsigned v = (unsigned)sim_below(rng, SITE_VOLUMES);
	uint64_t lba = sim_below(rng, a->blocks[v] - blocks + 1);
	bool flush = sim_chance(rng, a->flush);
	bool durable = flush || sim_chance(rng, a->fua);

	sim_require(!side->remote || side->site.group->alone != GROUP_NOT_ALONE ||
			    tree_holds(side->tip, side->remote),
		    "%s takes writes, and lacks LSN %llu, which its mirror has",
		    sim_node_name(side->site.node),
		    (unsigned long long)side->remote->lsn);
	judge_caches(side);
	r->busy = true;
	r->volume = v;
	r->req = (struct group_request){ .kind = GROUP_WRITE,
					 .volume = group_volume_at(side->site.group, v),
					 .offset = lba * ORACLE_BLOCK,
					 .len = blocks * ORACLE_BLOCK,
					 .buf = r->buf,
					 .done = request_done };
	r->req.flags = clients_send(&side->clients, rng, v, &durable);
	if (flush && durable) {
		r->req.kind = GROUP_FLUSH;
		r->req.len = 0;
		r->req.offset = 0;
		r->covers = side->replied[v];
	} else if (sim_chance(rng, 0.1)) {
		r->req.kind = sim_chance(rng, 0.5) ? GROUP_TRIM : GROUP_ZERO;
	} else {
		oracle_fill(r->buf, v, lba, blocks, ++a->stamps);
	}
	if (durable && r->req.kind != GROUP_FLUSH)
		r->req.flags |= GROUP_FUA;
	group_submit(&r->req);
}

static void client_turn(struct sites_side *side)
{
	for (unsigned r = 0; r < SITES_REQUESTS && side->budget > 0; r++) {
		if (side->requests[r].busy ||
		    !sites_writable(side->all, (unsigned)(side - side->all->side)))
			continue;
		side->budget--;
		submit(&side->requests[r]);
	}
}

void sites_load(struct sites *a, unsigned i, uint64_t requests)
{
	a->side[i].budget = requests;
}

/* ---- who is paired with whom --------------------------------------------------------------------- */

int sites_streams_with(const struct sites *a, unsigned i)
{
	const struct group *g = a->side[i].site.group;

	if (!sites_up(a, i) || g->session == NULL ||
	    g->session->state != SESSION_STREAMING)
		return -1;
	for (unsigned k = 0; k < a->n; k++) {
		const struct group *other = a->side[k].site.group;

		if (k != i && sites_up(a, k) && other->session &&
		    other->session->identity.run == g->session->control.identity.run)
			return (int)k;
	}
	return -1;
}

/* Until a person says so, or it is put back to what it was before, its peer is one store. */
static void judge_pairing(struct sites *a, unsigned i)
{
	struct sites_side *side = &a->side[i];
	const struct group *g = side->site.group;
	const uint8_t *peer;

	if (!sites_up(a, i) || !g->session || g->session->state != SESSION_STREAMING)
		return;
	peer = g->session->control.identity.store;
	if (identity_is_none(side->peer))
		memcpy(side->peer, peer, LFS_ID_LEN);
	sim_require(memcmp(side->peer, peer, LFS_ID_LEN) == 0,
		    "%s streams with %s, whose store is not the one it is paired with",
		    sim_node_name(side->site.node), g->session->control.identity.node);
}

void sites_replace_peer(struct sites *a, unsigned i)
{
	if (site_change_peer(&a->side[i].site, GROUP_PEER_REPLACE) != 0)
		return;
	memset(a->side[i].peer, 0, LFS_ID_LEN);
	a->side[i].held = (struct sites_held){ .node = NULL };
}

/* So long after its mirror had persisted something a primary knows that for good. */
#define HELD_KNOWN_NS (3 * RT_S)

/* Whichever copy of its mirror's store it streams with holds what that is known to have held. */
static void judge_held(struct sites *a, unsigned i)
{
	struct sites_side *side = &a->side[i];
	struct sites_held *held = &side->held;
	const struct group *g = side->site.group;
	int with = sites_streams_with(a, i);

	if (g->role != GROUP_PRIMARY)
		*held = (struct sites_held){ .node = NULL };
	if (g->role != GROUP_PRIMARY || with < 0)
		return;
	sim_require(!held->node || tree_holds(a->side[with].tip, held->node),
		    "%s streams with %s, which lacks LSN %llu, and has held it",
		    sim_node_name(side->site.node),
		    sim_node_name(a->side[with].site.node),
		    (unsigned long long)held->node->lsn);
	if (held->run != side->run) /* it may have died before it knew */
		held->next = NULL;
	if (held->next && rt_time_since(sim_now(a->w), held->since) < HELD_KNOWN_NS)
		return;
	if (held->next)
		held->node = held->next;
	held->next = find(side, g->lfs, g->gate.marks.persisted);
	held->since = sim_now(a->w);
	held->run = side->run;
}

/* Nobody serves, nor was anybody received that did: what a promotion is refused for. */
#define PROMOTE_REFUSED_NS (12 * RT_S)

void sites_promote(struct sites *a, unsigned i, bool force)
{
	struct sites_side *side = &a->side[i];
	const struct group *g = side->site.group;
	bool refusable = force || g->role != GROUP_MIRROR ||
			 lfs_meta(g->lfs)->flags & LFS_UNPAIRED ||
			 rt_time_since(sim_now(a->w), side->started) < PROMOTE_REFUSED_NS;

	for (unsigned k = 0; k < a->n; k++)
		if (k != i &&
		    (sites_writable(a, k) || is_about_to_serve(a, k) ||
		     rt_time_since(sim_now(a->w), a->side[k].wrote) < PROMOTE_REFUSED_NS))
			refusable = true;
	side->held = (struct sites_held){ .node = NULL };
	sim_require(site_promote(&side->site, force) != -EPERM || refusable,
		    "%s is not promoted, though no primary serves: %s",
		    sim_node_name(side->site.node), side->site.promote->verb.text);
}

/* Its primary, which has said so on this connection, holds what is said to be missing. */
static void judge_missing(struct sites *a, unsigned i, const struct tree_node *node,
			  const struct group_recovery *r)
{
	const struct session_control *control = &a->side[i].site.group->session->control;
	int with = sites_streams_with(a, i);
	const struct tree_node *at;

	if (with < 0 || !control->goes_on || !(control->last_ping.flags & PING_SERVES))
		return;
	at = a->side[with].tip;
	sim_require(at->lsn >= node->lsn + r->missing_writes && tree_holds(at, node),
		    "%s lacks %llu writes of %llu", sim_node_name(a->side[i].site.node),
		    (unsigned long long)r->missing_writes, (unsigned long long)at->lsn);
	while (at->lsn > node->lsn + r->missing_writes)
		at = at->parent;
	sim_require(at->bytes == node->bytes + r->missing_bytes,
		    "%s lacks %llu writes, and another amount of bytes",
		    sim_node_name(a->side[i].site.node),
		    (unsigned long long)r->missing_writes);
}

/* A mirror says when its image was admitted, whatever has happened to it since. */
static void judge_recovery(struct sites *a, unsigned i)
{
	struct sites_side *side = &a->side[i];
	const struct tree_node *node;
	struct group_status status;

	if (!sites_up(a, i) || side->site.group->role != GROUP_MIRROR)
		return;
	site_status(&side->site, &status);
	node = find(side, side->site.group->lfs, status.recovery.lsn);
	sim_require(node, "%s shows an LSN %llu that was never taken",
		    sim_node_name(side->site.node),
		    (unsigned long long)status.recovery.lsn);
	sim_require(status.recovery.admitted_at ==
			    (node->lsn ? (double)node->wall_ns / RT_S : -1),
		    "%s holds LSN %llu, which was admitted at %.3f s, and says %.3f s",
		    sim_node_name(side->site.node), (unsigned long long)node->lsn,
		    (double)node->wall_ns / RT_S, status.recovery.admitted_at);
	if (status.recovery.known)
		judge_missing(a, i, node, &status.recovery);
}

void sites_run_for(struct sites *a, int64_t ns)
{
	const int64_t step = 50 * RT_MS;

	for (; ns > 0; ns -= step) {
		for (unsigned i = 0; i < a->n; i++) {
			struct sites_side *side = &a->side[i];

			if (!sites_up(a, i))
				continue;
			judge_pairing(a, i);
			judge_held(a, i);
			judge_recovery(a, i);
			if (sites_writable(a, i) || is_about_to_serve(a, i))
				side->wrote = sim_now(a->w);
			sim_node_enter(side->site.node);
			client_turn(side);
			sim_node_leave(side->site.node);
		}
		(void)sim_run_for(a->w, ns < step ? ns : step);
	}
}

/* ---- stores --------------------------------------------------------------------------------------- */

void sites_copy(struct sites *a, unsigned i, struct sites_copy *ret)
{
	struct sim_node *node = a->side[i].site.node;

	ret->of = i;
	ret->disk = sim_disk(node, "/copy");
	sim_disk_copy(sim_disk(node, SITE_STORE), ret->disk);
}

/* The store that was there, and what it has promised, are gone. */
static void forget_store(struct sites *a, unsigned i)
{
	struct sites_side *side = &a->side[i];

	rt_assert(!sites_up(a, i));
	if (!side->taken_away || !tree_holds(side->taken_away, side->tip))
		side->taken_away = side->tip; /* else all of that was taken away before */
	side->tip = tree_root(a->tree);
	memset(side->peer, 0, sizeof(side->peer));
	side->held = (struct sites_held){ .node = NULL };
	side->promise = (struct sites_promise){ NULL, NULL };
	side->cached = NULL;
	for (unsigned k = 0; k < a->n; k++)
		a->side[k].remote = NULL;
}

void sites_renew(struct sites *a, unsigned i)
{
	struct site *s = &a->side[i].site;

	forget_store(a, i);
	sim_disk_remove(sim_disk(s->node, SITE_STORE));
	site_create(s);
}

void sites_put(struct sites *a, unsigned i, const struct sites_copy *copy)
{
	struct sites_side *side = &a->side[i];

	forget_store(a, i);
	sim_disk_copy(copy->disk, sim_disk(side->site.node, SITE_STORE));
	side->site.config = a->side[copy->of].site.config;
}
