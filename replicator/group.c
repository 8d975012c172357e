// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "replicator/group_policy.h"
#include "replicator/group_private.h"
#include "replicator/log_sender.h"
#include "replicator/promote.h"
#include "replicator/session.h"
#include "replicator/transport.h"
#include "rt/bug.h"
#include "rt/mem.h"

/* Between looks at what waits, in a group that has no peer. */
#define GROUP_TICK_ALONE_MS 1000
#define GROUP_ASLEEP_NS (2 * RT_S) /* a tick that is so late was not merely delayed */

/* ---- what the group says and shows ---------------------------------------------------- */

static void group_log_text(struct group *g, enum rt_log_level level, const char *text)
{
	char event[1152];

	(void)snprintf(event, sizeof(event), "%s group=%s", text, g->config.name);
	if (g->events.logged)
		g->events.logged(g->owner, g, level, event);
	else
		rt_log(level, "%s", event);
}

void group_event(struct group *g, enum rt_log_level level, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	group_log_text(g, level, text);
	past_event_add(g, level, text);
}

void group_set_why(struct group *g, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(g->why, sizeof(g->why), fmt, args);
	va_end(args);
}

/* ---- its states ----------------------------------------------------------------------- */

void group_set_state(struct group *g, enum group_state state)
{
	enum group_state from = g->state;
	char text[64];

	if (from == state)
		return;
	rt_assert(group_state_may_follow(from, state));
	(void)snprintf(text, sizeof(text), "state from=%s to=%s", group_state_name(from),
		       group_state_name(state));
	group_log_text(g, group_state_level(state), text);
	g->state = state;
	past_event_add_state(g, from);
}

void group_set_life(struct group *g, enum group_life life)
{
	switch (life) {
	case GROUP_LIFE_STARTING:
		rt_assert(!"born only once");
		break;
	case GROUP_LIFE_SERVING: /* a promoted mirror did already */
		rt_assert(!group_is_stopping(g));
		break;
	case GROUP_LIFE_STOPPING:
		rt_assert(g->life == GROUP_LIFE_SERVING);
		break;
	case GROUP_LIFE_STOPPING_UNSERVED:
		rt_assert(g->life == GROUP_LIFE_STARTING);
		break;
	case GROUP_LIFE_CLOSING: /* stopped, or an open that failed */
		rt_assert(g->life != GROUP_LIFE_SERVING && g->life != GROUP_LIFE_CLOSING);
		break;
	}
	g->life = life;
}

void group_set_standing(struct group *g, enum group_standing standing)
{
	/* Who was superseded has lost the argument. */
	rt_assert(standing != GROUP_STANDING_DIVERGED || !group_is_fenced(g));
	g->standing = standing;
}

void group_is_agreed(struct group *g)
{
	if (g->standing == GROUP_STANDING_DIVERGED)
		group_set_standing(g, GROUP_STANDING_GOOD);
}

void group_set_alone(struct group *g, enum group_alone alone)
{
	rt_assert(group_alone_may_follow(g->alone, alone));
	rt_assert(g->role == GROUP_PRIMARY);
	g->alone = alone;
}

/* ---- the turn ---------------------------------------------------------------------------------- */

static void group_marks_turn(struct group *g)
{
	struct lfs_lsn lsn = lfs_lsn(g->lfs);
	struct gate_marks marks = g->gate.marks;
	struct session *s = g->session;

	marks.written = lsn.written;
	marks.durable = lsn.durable;
	marks.onwire = marks.received = marks.persisted;
	if (s && s->log_sender) {
		struct log_sender_marks sent;
		uint64_t persisted = transport_peer_watermark(s->transport);

		if (persisted >= log_sender_next(s->log_sender)) {
			primary_false_claim(s);
			return;
		}
		log_sender_marks(s->log_sender, &sent);
		if (persisted > marks.persisted)
			marks.persisted = persisted;
		marks.received = sent.received;
		if (marks.received < marks.persisted)
			marks.received = marks.persisted;
		marks.onwire = sent.onwire;
		if (marks.onwire < marks.received)
			marks.onwire = marks.received;
	}
	gate_set_marks(&g->gate, &marks);
	exposure_safe(&g->backlog.exposure, marks.persisted);
}

static void group_log_room_news(struct group *g, unsigned news)
{
	struct lfs_stats stats;

	if (!news)
		return;
	lfs_stats(g->lfs, &stats);
	if (news & LOG_ROOM_NEWS_FULL)
		group_event(g, RT_LOG_WARN, "log-full free-bytes=%llu",
			    (unsigned long long)stats.free_bytes);
	if (news & LOG_ROOM_NEWS_ROOM)
		group_event(g, RT_LOG_INFO, "log-has-room free-bytes=%llu",
			    (unsigned long long)stats.free_bytes);
	if (news & LOG_ROOM_NEWS_MAP_FULL)
		group_event(g, RT_LOG_WARN, "map-full map-memory=%llu",
			    (unsigned long long)g->config.map_memory);
	if (news & LOG_ROOM_NEWS_MAP_ROOM)
		group_event(g, RT_LOG_INFO, "map-has-room map-memory=%llu",
			    (unsigned long long)g->config.map_memory);
	if (news & LOG_ROOM_NEWS_LOW)
		group_event(g, RT_LOG_WARN, "log-low free-bytes=%llu store-bytes=%llu",
			    (unsigned long long)stats.free_bytes,
			    (unsigned long long)stats.store_bytes);
}

void group_log_refused(struct group *g, int err)
{
	group_log_room_news(g, log_room_refused(&g->log_room, err));
}

static void group_log_room_turn(struct group *g)
{
	struct lfs_stats stats;

	lfs_stats(g->lfs, &stats);
	group_log_room_news(g, log_room_turn(&g->log_room, &stats));
}

static void group_failure_turn(struct group *g)
{
	bool primary =
		g->role == GROUP_PRIMARY && !group_is_fenced(g) && !group_is_undoing(g);

	if (!primary && !RT_BUG(WAITING_RUNS_LATER))
		write_fail_waiting(g, -EPERM); /* whose edges were still being read */
	if (!g->failed)
		return;
	write_fail_waiting(g, -EIO);
	(void)gate_fail(&g->gate, -EIO);
}

static void group_turn(struct rt_op *op, int res)
{
	struct group *g = rt_container_of(op, struct group, turn.op);

	(void)res; /* rt_defer has no result of its own */
	g->turn.due = false;
	if (g->life == GROUP_LIFE_CLOSING) {
		closing_turn(g);
		return;
	}
	group_failure_turn(g);
	if (group_serving(g) && !g->failed && !group_is_fenced(g) &&
	    !group_is_undoing(g) && g->role == GROUP_PRIMARY && !switchover_pauses(g))
		write_retry(g);
	apply_retry(&g->apply);
	group_log_room_turn(g);
	if (g->session)
		session_turn(g->session);
	if (g->role == GROUP_PRIMARY) {
		primary_start_turn(g);
		group_marks_turn(g);
		backlog_turn(g);
		group_policy_turn(g);
		primary_start_say(g);
		(void)gate_run(&g->gate); /* how many does not matter here */
	} else {
		group_policy_turn(g);
	}
	promote_turn(g);
	group_flush_turn(g);
	if (group_is_stopping(g))
		stopping_turn(g);
}

void group_wake(struct group *g)
{
	if (g->turn.due)
		return;
	g->turn.due = true;
	g->turn.op.done = group_turn;
	rt_defer(g->loop, &g->turn.op);
}

/*
 * A client comes back after a restart and flushes what an earlier process replied to; all
 * that the log holds may have been.
 */
static void group_cover_replied(struct group *g, uint64_t lsn)
{
	for (unsigned i = 0; i < g->nvolumes; i++)
		if (g->volumes[i].replied_lsn < lsn)
			g->volumes[i].replied_lsn = lsn;
}

void group_begin_serving(struct group *g)
{
	struct lfs_position end;

	lfs_position(g->lfs, &end);
	primary_start_over(g);
	if (group_is_stopping(g))
		return; /* the doors are closed already */
	if (g->role == GROUP_PRIMARY && !group_is_fenced(g))
		group_cover_replied(g, end.lsn);
	exposure_init(&g->backlog.exposure, end.lsn, end.bytes);
	if (g->session && g->session->control.hello_received &&
	    g->session->peer->lsn < end.lsn)
		peer_watch_opened_alone(&g->watch); /* modes count once it is gone */
	group_set_life(g, GROUP_LIFE_SERVING);
	group_event(g, RT_LOG_INFO, "serving role=%s lsn=%llu epoch=%llu",
		    g->role == GROUP_MIRROR ? "mirror" : "primary",
		    (unsigned long long)end.lsn,
		    (unsigned long long)lfs_meta(g->lfs)
			    ->epochs[lfs_meta(g->lfs)->nepochs - 1]
			    .number);
	if (g->events.serving)
		g->events.serving(g->owner, g, true);
	group_wake(g);
}

/* ---- the log's events and the clock ------------------------------------------------------------- */

void group_log_advanced(void *owner)
{
	struct group *g = owner;

	g->writes.log_full = false;
	group_wake(g);
}

void group_log_failed(void *owner, int err, const char *why)
{
	struct group *g = owner;

	g->failed = err;
	group_set_why(g, "%s", why);
	group_event(g, RT_LOG_ERROR, "log-failed error=\"%s\" why=\"%s\"", strerror(-err),
		    why);
	group_wake(g);
}

void group_say_history_full(struct group *g)
{
	group_event(
		g, RT_LOG_ERROR,
		"history-full epochs=%u why=\"the oldest epoch is forgotten: a mirror "
		"with a new store cannot be filled from this log any more\"",
		LFS_HISTORY_MAX);
}

void group_tick(struct rt_timer *timer)
{
	struct group *g = rt_container_of(timer, struct group, turn.tick);
	rt_time now = rt_now(g->loop);
	int64_t hold = g->config.hold_timeout_ms * RT_MS;
	/* The heartbeat is the peer's, and without one there is none. */
	int64_t ms = g->config.has_peer ? g->config.heartbeat_ms : GROUP_TICK_ALONE_MS;

	rt_timer_arm(g->loop, &g->turn.tick, rt_time_add(now, ms * RT_MS));
	/* The process was stopped: what arrived meanwhile is read only now. */
	if (rt_time_since(now, g->turn.ticked) > ms * RT_MS + GROUP_ASLEEP_NS)
		peer_watch_awake(&g->watch, now);
	g->turn.ticked = now;
	if (g->session)
		session_tick(g->session);
	primary_start_leave_alive(g);
	if (hold > 0 && gate_expire(&g->gate, (rt_time){ now.ns - hold }, -EIO) > 0)
		group_event(g, RT_LOG_WARN, "hold-timeout ms=%lld",
			    (long long)g->config.hold_timeout_ms);
	group_wake(g);
}
