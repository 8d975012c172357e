// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/group_policy.h"

#include <stdio.h>
#include <string.h>

#include "replicator/group_private.h"
#include "replicator/policy.h"
#include "replicator/request.h"
#include "replicator/session.h"

static bool policy_is_bounded(const struct group_config *config)
{
	return config->exposure_ms || config->exposure_bytes || config->exposure_writes;
}

static void policy_alone_over(struct group *g, int res)
{
	if (res == 0)
		group_set_alone(g, GROUP_NOT_ALONE);
}

static void policy_watch_mirror(struct group *g)
{
	const struct gate_marks *marks = &g->gate.marks;
	const struct peer_watch_input input = {
		.now = rt_now(g->loop),
		.timeout_ns = g->config.away_ms * RT_MS,
		.streaming = session_streaming(g->session),
		.admitted = lfs_lsn(g->lfs).admitted,
		.persisted = marks->persisted,
		.received = marks->received,
		.onwire = marks->onwire,
	};
	unsigned news = peer_watch_turn(&g->watch, &input);

	if ((news & PEER_WATCH_NEWS_TIMED_OUT) && group_serving(g))
		group_event(g, RT_LOG_WARN, "mirror-timed-out policy=%s",
			    g->config.on_disconnect == GROUP_CONTINUE ? "continue"
								      : "hold");
	if (news & PEER_WATCH_NEWS_IN_SYNC)
		group_event(g, RT_LOG_INFO, "in-sync lsn=%llu",
			    (unsigned long long)marks->received);
	if (peer_watch_in_sync(&g->watch) && g->alone != GROUP_NOT_ALONE &&
	    facts_can_change(g)) {
		facts_edit(g)->flags &= ~(LFS_ALONE | LFS_HOLD);
		facts_change(g, policy_alone_over);
	}
}

/* Silent, though it has not timed out yet. */
static bool policy_path_is_silent(const struct group *g)
{
	const struct session *s = g->session;
	rt_time now = rt_now(g->loop);
	int64_t silence_ns = peer_watch_unproven_ns(&g->watch, now);
	struct exposure_figures beyond;

	(void)exposure_beyond(&g->backlog.exposure, g->gate.marks.received, now, &beyond);
	if (silence_ns > beyond.age_ns)
		silence_ns = beyond.age_ns;
	return policy_is_silent(s->control.conn != NULL, session_path_proven(s),
				silence_ns);
}

bool group_policy_mirror_behind(const struct group *g)
{
	struct exposure_figures beyond;

	if (!peer_watch_in_sync(&g->watch))
		return false;
	/* In sync, so what lies beyond is of this start. */
	(void)exposure_beyond(&g->backlog.exposure, g->gate.marks.received,
			      rt_now(g->loop), &beyond);
	return policy_is_behind(beyond.age_ns, g->state == GROUP_CATCHING_UP);
}

/* Before it serves nothing is sent, so what was said last counts. */
static bool policy_mirror_refuses(const struct group *g, int64_t timeout_ns, rt_time now)
{
	if (group_serving(g))
		return peer_watch_refuses(&g->watch, timeout_ns, now);
	return g->session && g->session->peer_refusal[0];
}

/* Without what only a session knows, which may be gone. */
static struct policy_inputs policy_inputs_alone(const struct group *g)
{
	const int64_t timeout_ns = g->config.away_ms * RT_MS;
	const rt_time now = rt_now(g->loop);

	return (struct policy_inputs){
		.role = g->role,
		.connects = g->session != NULL,
		.failed = g->failed != 0,
		.fenced = group_is_fenced(g),
		.diverged = g->standing == GROUP_STANDING_DIVERGED,
		.promoting = (g->promote != NULL && !group_is_undoing(g)) ||
			     (g->session && switchover_is_taking(g->session)),
		.log_full = g->log_room.full,
		.map_full = g->log_room.map_full,
		.unpaired = lfs_meta(g->lfs)->flags & LFS_UNPAIRED,
		.forgotten = lfs_meta(g->lfs)->flags & LFS_PEER_FORGOTTEN,
		.alone = g->alone == GROUP_ALONE,
		.serving = group_serving(g),
		.pulling = g->start.phase == PRIMARY_PULLING,
		.bound = primary_start_bound(g),
		.intake_closed = g->session && g->session->intake.closed,
		.waited = !rt_time_before(now, g->start.deadline),
		.timed_out = peer_watch_timed_out(&g->watch),
		.caught_up = peer_watch_caught_up(&g->watch),
		.in_sync = peer_watch_in_sync(&g->watch),
		.stuck = peer_watch_persists_nothing(&g->watch, timeout_ns, now),
		.refuses = policy_mirror_refuses(g, timeout_ns, now),
		.has_peer = g->config.has_peer,
		.sync = g->config.sync,
		.on_disconnect = g->config.on_disconnect,
		.exposure_bounded = g->gate.conditions.local_max != UINT64_MAX,
		.requests_wait = !gate_empty(&g->gate),
	};
}

static bool policy_counts_as_local(const struct group *g)
{
	const struct policy_inputs in = policy_inputs_alone(g);

	return policy_decide(&in).all_local;
}

/* How far local completions may run ahead of the mirror (max_exposure). */
static uint64_t policy_local_max(const struct group *g)
{
	struct exposure_figures bound = { .writes = g->config.exposure_writes,
					  .bytes = g->config.exposure_bytes,
					  .age_ns = g->config.exposure_ms * RT_MS };

	if (!g->session || !policy_is_bounded(&g->config) || policy_counts_as_local(g))
		return UINT64_MAX;
	return exposure_allows(&g->backlog.exposure, g->gate.marks.persisted,
			       rt_now(g->loop), &bound);
}

static bool policy_primary_path_serves(const struct group *g)
{
	return g->role == GROUP_PRIMARY && session_path_serves(g->session) &&
	       !policy_path_is_silent(g) && !peer_watch_is_tried(&g->watch);
}

/* Without a control connection only data is a sign of life: it does not have to wait. */
#define SILENT_HEARTBEATS 2

/* Of a mirror: the primary's writes are received, or would be. */
static bool policy_mirror_receives(const struct group *g)
{
	const struct session *s = g->session;
	int64_t limit_ms = s->control.conn ? g->config.away_ms
					   : SILENT_HEARTBEATS * g->config.heartbeat_ms;

	return session_streaming(s) &&
	       peer_watch_primary_silence_ns(&g->watch, rt_now(g->loop)) <
		       limit_ms * RT_MS;
}

bool group_policy_path_serves(const struct group *g)
{
	if (!g->session)
		return false;
	return g->role == GROUP_PRIMARY ? policy_primary_path_serves(g)
					: policy_mirror_receives(g);
}

static struct policy_inputs policy_inputs_now(const struct group *g)
{
	struct policy_inputs in = policy_inputs_alone(g);
	const struct session *s = g->session;

	if (!s)
		return in;
	in.streaming = policy_mirror_receives(g);
	in.path_serves = policy_primary_path_serves(g);
	in.behind = group_policy_mirror_behind(g);
	return in;
}

enum group_mode group_policy_effective(const struct group *g)
{
	const struct policy_inputs in = policy_inputs_alone(g);

	return policy_decide(&in).effective;
}

static enum policy_waiting policy_volume_waits(const struct group_volume *v, bool durable)
{
	const struct group *g = v->group;
	struct gate_need need;

	/* Of its writes those wait that may: of clients that have never flushed. */
	request_kind_need(v, &(struct gate_rule_request){ .durable = durable }, &need);
	if (gate_mode(&g->gate, &need) == GROUP_LOCAL)
		return POLICY_NOTHING_WAITS;
	if (need.lowerable)
		return POLICY_WAITS_FOR_TIMEOUT;
	if (v->has_policy)
		return POLICY_WAITS_BY_VOLUME;
	if (v->sync == GROUP_REMOTE)
		return POLICY_WAITS_BY_VOLUME_MODE;
	return need.mode == GROUP_REMOTE ? POLICY_WAITS_BY_FUA : POLICY_WAITS_BY_GROUP;
}

static enum policy_waiting policy_waiting(const struct group *g)
{
	enum policy_waiting worst = POLICY_NOTHING_WAITS;

	for (unsigned i = 0; i < 2 * g->nvolumes; i++) {
		enum policy_waiting waits =
			policy_volume_waits(&g->volumes[i / 2], i % 2);

		if (waits > worst)
			worst = waits;
	}
	return worst;
}

/* What is known of this very case comes before what the state says in general. */
static void policy_state_why(const struct group *g, const struct policy_inputs *in,
			     char *text, size_t size)
{
	/* Who knocks for a peer that was forgotten is refused, and that is as it should be. */
	bool forgotten = lfs_meta(g->lfs)->flags & LFS_PEER_FORGOTTEN;
	const char *seen = g->session && !forgotten ? session_why(g->session) : "";
	struct policy_decision d = policy_describe(in, g->state);
	const char *wait = policy_which_wait(
		in, g->state, group_hold_of(g->config.hold, g->config.sync));
	const char *why = g->why[0] ? g->why : d.why;
	bool is_new = seen[0] && strcmp(seen, why) != 0;
	/* A refusal that names a verb comes with the remedy for this very case. */
	bool has_remedy = is_new && strstr(seen, "wanmirror ");

	(void)snprintf(text, size, "%s%s%s%s%s%s%s%s; %s%s%s%s", why, is_new ? " (" : "",
		       is_new ? seen : "", is_new ? ")" : "", d.except[0] ? ", " : "",
		       d.except, wait[0] ? ", " : "", wait, has_remedy ? "else " : "",
		       d.remedy, d.except[0] ? "; or " : "", d.except_remedy);
}

void group_policy_why(const struct group *g, char *text, size_t size)
{
	struct policy_inputs in = policy_inputs_alone(g);
	struct policy_decision d;
	size_t len = 0;

	in.waiting = policy_waiting(g);
	d = policy_describe(&in, g->state); /* that of the last turn */
	text[0] = 0;
	if (d.lack[0]) {
		(void)snprintf(text, size, "%s; %s", d.lack, d.lack_remedy);
		/* A mirror that can take nothing has no connection for that reason. */
		if (g->role == GROUP_MIRROR || !d.remedy[0])
			return;
		len = strlen(text);
		(void)snprintf(text + len, size - len, "; and ");
		len = strlen(text);
	}
	if (d.remedy[0])
		policy_state_why(g, &in, text + len, size - len);
}

static void policy_watch_catchup(struct group *g, const struct policy_inputs *in)
{
	const struct catchup_input input = {
		.going = g->role == GROUP_PRIMARY && in->path_serves && !in->in_sync,
		.received = g->gate.marks.received,
		.admitted = lfs_lsn(g->lfs).admitted,
		.now = rt_now(g->loop),
	};

	if (g->session)
		catchup_turn(&g->session->catchup, &g->backlog.exposure, &input);
}

static void policy_set_conditions(struct group *g)
{
	const struct gate_conditions conditions = {
		.lowered = peer_watch_timed_out(&g->watch),
		.alone = policy_counts_as_local(g),
		.stuck = peer_watch_stuck(&g->watch, g->config.away_ms * RT_MS,
					  rt_now(g->loop)),
		.local_max = policy_local_max(g),
	};

	gate_set_conditions(&g->gate, &conditions);
}

void group_policy_turn(struct group *g)
{
	struct policy_decision d;
	struct policy_inputs in;

	if (g->session && g->role == GROUP_PRIMARY) {
		policy_watch_mirror(g);
		policy_set_conditions(g);
	}
	in = policy_inputs_now(g);
	policy_watch_catchup(g, &in);
	d = policy_decide(&in);
	group_set_state(g, d.state);
	if (g->session && g->role == GROUP_PRIMARY && group_serving(g) &&
	    !group_is_fenced(g))
		past_event_mode(g, d.effective);
}
