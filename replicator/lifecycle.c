// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/lifecycle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "replicator/group_private.h"
#include "replicator/session.h"
#include "rt/mem.h"

/* Making, opening and closing a group. */

_Static_assert(GROUP_VOLUMES_MAX == LFS_VOLUMES_MAX, "one bound");
_Static_assert(GROUP_WHY_MAX == LFS_WHY_MAX, "one length");
_Static_assert(GROUP_BLOCK == LFS_BLOCK, "one block");

/* ---- create ---------------------------------------------------------------------------- */

struct creating {
	struct lfs_create create;
	struct group_create *outer;
};

static void group_meta_from_config(const struct group_config *config,
				   struct lfs_meta *meta)
{
	memset(meta, 0, sizeof(*meta));
	(void)snprintf(meta->group_name, sizeof(meta->group_name), "%s", config->name);
	meta->role = config->role == GROUP_MIRROR ? LFS_MIRROR : LFS_PRIMARY;
	meta->max_request = config->max_request;
	meta->nvolumes = config->nvolumes;
	for (unsigned i = 0; i < config->nvolumes; i++) {
		(void)snprintf(meta->volumes[i].name, sizeof(meta->volumes[i].name), "%s",
			       config->volumes[i].name);
		meta->volumes[i].size = config->volumes[i].size;
	}
	meta->nepochs = 1;
	meta->epochs[0] = (struct lfs_epoch){ .number = 1, .first_lsn = 1 };
}

static void group_create_params(const struct group_config *config,
				const struct lfs_meta *meta,
				struct lfs_create_params *params)
{
	*params = (struct lfs_create_params){
		.path = config->store,
		.size = config->store_size,
		.segment_size = config->segment_size,
		.checkpoint_every = config->checkpoint_bytes,
		.meta = meta,
	};
}

static void group_created(struct lfs_create *create, int res)
{
	struct creating *c = rt_container_of(create, struct creating, create);
	struct group_create *outer = c->outer;

	(void)snprintf(outer->why, sizeof(outer->why), "%s", create->why);
	rt_free(c);
	outer->done(outer, res);
}

static void group_filled(struct lfs_create *create, uint64_t bytes, uint64_t size)
{
	struct creating *c = rt_container_of(create, struct creating, create);

	if (c->outer->filled)
		c->outer->filled(c->outer, bytes, size);
}

_Static_assert(sizeof(struct rt_op) <= sizeof(((struct group_create *)0)->impl),
	       "fits into impl");

static void group_create_no_memory(struct rt_op *op, int res)
{
	struct group_create *outer =
		rt_container_of((void *)op, struct group_create, impl);

	(void)snprintf(outer->why, sizeof(outer->why), "no memory");
	outer->done(outer, -ENOMEM);
}

void group_create(struct rt_loop *loop, const struct group_config *config,
		  struct group_create *outer)
{
	struct lfs_create_params params;
	struct creating *c = rt_zalloc(1, sizeof(*c));
	struct lfs_meta *meta = rt_zalloc(1, sizeof(*meta));
	struct rt_op *op = (struct rt_op *)(void *)outer->impl;

	if (!c || !meta) {
		rt_free(c);
		rt_free(meta);
		op->done = group_create_no_memory;
		rt_defer(loop, op);
		return;
	}
	c->outer = outer;
	c->create.done = group_created;
	c->create.filled = group_filled;
	group_meta_from_config(config, meta);
	group_create_params(config, meta, &params);
	params.fill = outer->fill;
	lfs_create(loop, &params, &c->create);
	rt_free(meta);
}

uint64_t group_store_size_min(const struct group_config *config)
{
	struct lfs_create_params params;
	struct lfs_meta *meta = rt_zalloc(1, sizeof(*meta));
	uint64_t size;

	if (!meta)
		return 0;
	group_meta_from_config(config, meta);
	group_create_params(config, meta, &params);
	size = lfs_store_size_min(&params);
	rt_free(meta);
	return size;
}

/* ---- open -------------------------------------------------------------------------------- */

struct group_open_op {
	struct lfs_open open;
	struct lfs_events events;
	struct group *group;
	struct group_open *outer;
};

static int group_judge_volumes(const struct group_config *config,
			       const struct lfs_meta *meta, char *why)
{
	if (config->nvolumes != meta->nvolumes) {
		(void)snprintf(why, GROUP_WHY_MAX,
			       "the file names %u volumes, the store has %u",
			       config->nvolumes, meta->nvolumes);
		return -EINVAL;
	}
	for (unsigned i = 0; i < config->nvolumes; i++) {
		const struct lfs_volume *found = NULL;

		for (unsigned j = 0; j < meta->nvolumes; j++)
			if (strcmp(meta->volumes[j].name, config->volumes[i].name) == 0)
				found = &meta->volumes[j];
		if (found && found->size == config->volumes[i].size)
			continue;
		if (found)
			(void)snprintf(
				why, GROUP_WHY_MAX,
				"volume %s: the file says %llu bytes, the store %llu",
				found->name, (unsigned long long)config->volumes[i].size,
				(unsigned long long)found->size);
		else
			(void)snprintf(
				why, GROUP_WHY_MAX,
				"the file names volume %s, the store has %s instead",
				config->volumes[i].name, meta->volumes[i].name);
		return -EINVAL;
	}
	return 0;
}

static void group_fill_volumes(struct group *g)
{
	g->nvolumes = g->config.nvolumes;
	for (unsigned i = 0; i < g->nvolumes; i++) {
		const struct group_volume_config *config = &g->config.volumes[i];
		struct group_volume *v = &g->volumes[i];

		v->group = g;
		memcpy(v->name, config->name, sizeof(v->name));
		v->size = config->size;
		v->sync = config->sync;
		v->has_policy = config->has_on_disconnect;
		v->policy = config->on_disconnect;
	}
	group_number_volumes(g);
}

static void group_free(struct group *g)
{
	if (!g)
		return;
	rt_timer_disarm(g->loop, &g->turn.tick);
	session_free(g->session);
	facts_release(g);
	explicit_bzero(g->config.peer.key, sizeof(g->config.peer.key));
	rt_free(g);
}

static void group_closed(struct lfs_close *close, int res)
{
	struct group *g = rt_container_of(close, struct group, ending.close);

	g->lfs = NULL;
	g->ending.close_res = res;
	group_wake(
		g); /* the last turn frees the group: nothing of it is in flight then */
}

void closing_turn(struct group *g)
{
	struct group_stop *stop = g->ending.stop;
	struct group_open *open = g->ending.open;
	int res = open ? g->ending.open_err : g->ending.close_res;

	if (g->lfs)
		return;
	group_free(g);
	if (open)
		open->done(open, res);
	else
		stop->done(stop, res);
}

/*
 * An unclean open is over with the new epoch, and not before: who stops while the mirror
 * is still being asked must ask again, or an LSN is given twice in one epoch.
 */
static void group_close_log(struct group *g)
{
	group_set_life(g, GROUP_LIFE_CLOSING);
	g->ending.close.done = group_closed;
	g->ending.close.unclean =
		!g->start.was_clean && g->start.phase != PRIMARY_RUNNING;
	lfs_close(g->lfs, &g->ending.close);
}

/* The store is open: learn from it what the group is. */
static int group_begin(struct group *g, struct group_open *outer)
{
	const struct lfs_meta *meta = lfs_meta(g->lfs);
	int err = group_judge_volumes(&g->config, meta, outer->why);

	if (err < 0)
		return err;
	group_fill_volumes(g);
	g->role = meta->role == LFS_MIRROR ? GROUP_MIRROR : GROUP_PRIMARY;
	if (meta->flags & LFS_FENCED)
		group_set_standing(g, GROUP_STANDING_FENCED);
	if (g->role == GROUP_PRIMARY && (meta->flags & LFS_ALONE))
		group_set_alone(g, meta->flags & LFS_HOLD ? GROUP_ALONE_HOLDING
							  : GROUP_ALONE);
	g->config.max_request = meta->max_request;
	backlog_begin(g);
	apply_restart(&g->apply);
	if (!g->config.has_peer && switchover_is_sealed(g)) {
		(void)snprintf(
			outer->why, sizeof(outer->why),
			"this store has handed over to its peer, but the group has "
			"no peer");
		return -EINVAL;
	}
	if (!g->config.has_peer && g->role == GROUP_MIRROR) {
		(void)snprintf(outer->why, sizeof(outer->why),
			       "this store is a mirror, but the group has no peer");
		return -EINVAL;
	}
	if (g->config.has_peer)
		return session_new(g, outer->why, &g->session);
	return 0;
}

static void group_opened(struct lfs_open *open, int res)
{
	struct group_open_op *o = rt_container_of(open, struct group_open_op, open);
	struct group *g = o->group;
	struct group_open *outer = o->outer;

	if (res < 0) {
		(void)snprintf(outer->why, sizeof(outer->why), "%s", open->why);
		rt_free(o);
		group_free(g);
		outer->done(outer, res);
		return;
	}
	g->lfs = open->lfs;
	primary_start_begin(g, &open->recovery);
	group_event(g, RT_LOG_INFO,
		    "recovered lsn=%llu clean=%d records=%llu bytes=%llu ms=%lld",
		    (unsigned long long)open->recovery.last_lsn, g->start.was_clean,
		    (unsigned long long)open->recovery.records,
		    (unsigned long long)open->recovery.bytes,
		    (long long)(open->recovery.took_ns / RT_MS));
	rt_free(o);
	res = group_begin(g, outer);
	if (res < 0) {
		g->ending.open = outer;
		g->ending.open_err = res;
		group_close_log(g);
		return;
	}
	g->turn.ticked = rt_now(g->loop);
	peer_watch_awake(&g->watch, g->turn.ticked);
	rt_timer_arm(g->loop, &g->turn.tick, g->turn.ticked);
	primary_start_set_deadline(g);
	outer->group = g;
	if (g->role == GROUP_MIRROR || group_is_fenced(g))
		group_begin_serving(g);
	group_wake(g);
	outer->done(outer, 0);
}

_Static_assert(sizeof(struct rt_op) <= sizeof(((struct group_open *)0)->impl),
	       "fits into impl");

static void group_open_no_memory(struct rt_op *op, int res)
{
	struct group_open *outer = rt_container_of((void *)op, struct group_open, impl);

	(void)snprintf(outer->why, sizeof(outer->why), "no memory for the group");
	outer->done(outer, -ENOMEM);
}

static struct group *group_new(struct rt_loop *loop, const struct group_config *config)
{
	struct group *g = rt_zalloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->loop = loop;
	g->config = *config;
	g->role = config->role;
	g->state = GROUP_STARTING;
	peer_watch_init(&g->watch);
	g->turn.tick.fire = group_tick;
	if (facts_init(g) < 0) {
		group_free(g);
		return NULL;
	}
	gate_init(&g->gate);
	apply_init(&g->apply, g);
	writes_init(&g->writes);
	return g;
}

void group_open(struct rt_loop *loop, const struct group_config *config,
		const struct group_events *events, void *owner, struct group_open *outer)
{
	static const struct lfs_events log_events = { group_log_advanced,
						      group_log_failed };
	struct group *g = group_new(loop, config);
	struct group_open_op *o = rt_zalloc(1, sizeof(*o));
	struct rt_op *op = (struct rt_op *)(void *)outer->impl;

	if (!g || !o) {
		group_free(g);
		rt_free(o);
		op->done = group_open_no_memory;
		rt_defer(loop, op);
		return;
	}
	g->events = *events;
	g->owner = owner;
	o->group = g;
	o->outer = outer;
	o->open.done = group_opened;
	lfs_open(loop,
		 &(struct lfs_open_params){ .path = g->config.store,
					    .group_name = g->config.name,
					    .map_memory = g->config.map_memory,
					    .checkpoint_every =
						    g->config.checkpoint_bytes,
					    .checkpoint_ms = CHECKPOINT_MS,
					    .events = &log_events,
					    .owner = g },
		 &o->open);
}

/* ---- stop ----------------------------------------------------------------------------------- */

/* Nothing uses the log any more? */
static bool group_log_is_quiet(const struct group *g)
{
	return g->pending.requests == 0 && rt_list_empty(&g->writes.inflight) &&
	       g->pending.log_readers == 0 && !g->flush.under_way && !facts_changing(g) &&
	       apply_idle(&g->apply);
}

/* In sync, the last writes reach the mirror before we go. */
static bool group_mirror_has_all(const struct group *g)
{
	return !g->session || g->role == GROUP_MIRROR || !peer_watch_in_sync(&g->watch) ||
	       g->failed || g->gate.marks.persisted >= lfs_lsn(g->lfs).admitted;
}

void stopping_turn(struct group *g)
{
	bool late = !rt_time_before(rt_now(g->loop), g->ending.deadline);

	if (!late && (g->pending.requests > 0 || !group_mirror_has_all(g)))
		return;
	if (late) {
		write_fail_waiting(g, -ESHUTDOWN);
		(void)gate_fail(&g->gate, -ESHUTDOWN);
	}
	if (g->session && facts_changing(g))
		return; /* it may be what the two sites are to each other */
	if (g->session) {
		session_free(g->session);
		g->session = NULL;
		g->config.has_peer = false;
	}
	apply_discard(&g->apply);
	backlog_end(g);
	if (!group_log_is_quiet(g))
		return;
	rt_timer_disarm(g->loop, &g->turn.tick);
	rt_timer_disarm(g->loop, &g->ending.timer);
	group_close_log(g);
}

static void group_stop_late(struct rt_timer *timer)
{
	group_wake(rt_container_of(timer, struct group, ending.timer));
}

void group_stop(struct group *g, int64_t timeout_ms, struct group_stop *stop)
{
	bool served = group_serving(g);

	rt_assert(!group_is_stopping(g));
	group_set_life(g, served ? GROUP_LIFE_STOPPING : GROUP_LIFE_STOPPING_UNSERVED);
	group_event(g, RT_LOG_INFO, "stopping timeout-ms=%lld", (long long)timeout_ms);
	g->ending.stop = stop;
	g->ending.deadline = rt_time_add(rt_now(g->loop), timeout_ms * RT_MS);
	g->ending.timer.fire = group_stop_late;
	rt_timer_arm(g->loop, &g->ending.timer, g->ending.deadline);
	if (served && g->events.serving)
		g->events.serving(g->owner, g, false);
	group_wake(g);
}
