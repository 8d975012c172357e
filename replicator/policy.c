// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/policy.h"

#include "replicator/group_private.h"
#include "replicator/session.h"
#include "replicator/transport.h"

static bool policy_is_bounded(const struct group_config *config)
{
	return config->exposure_ms || config->exposure_bytes || config->exposure_writes;
}

static bool policy_counts_as_local(const struct group *g)
{
	return g->alone == GROUP_ALONE && !peer_watch_caught_up(&g->watch);
}

/* How far local completions may run ahead of the mirror (max_exposure). */
static uint64_t policy_local_max(const struct group *g)
{
	struct exposure_figures bound = { .writes = g->config.exposure_writes,
					  .bytes = g->config.exposure_bytes,
					  .age_ns = g->config.exposure_ms * RT_MS };

	if (!g->session || !policy_is_bounded(&g->config) || policy_counts_as_local(g))
		return UINT64_MAX;
	return exposure_allows(&g->exposure, g->gate.marks.persisted, rt_now(g->loop),
			       &bound);
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
		group_event(g, "mirror-away policy=%s",
			    g->config.on_disconnect == GROUP_CONTINUE ? "continue"
								      : "hold");
	if (news & PEER_WATCH_NEWS_IN_SYNC)
		group_event(g, "in-sync lsn=%llu", (unsigned long long)marks->received);
	g->gate.stuck = peer_watch_stuck(&g->watch, input.timeout_ns, input.now);
	if (peer_watch_in_sync(&g->watch) && g->alone != GROUP_NOT_ALONE &&
	    facts_can_change(g)) {
		facts_edit(g)->flags &= ~(LFS_ALONE | LFS_HOLD);
		facts_change(g, policy_alone_over);
	}
}

enum group_mode policy_effective(const struct group *g)
{
	if (policy_counts_as_local(g) || !g->config.has_peer)
		return GROUP_LOCAL;
	if (peer_watch_timed_out(&g->watch) &&
	    g->config.on_disconnect == GROUP_CONTINUE && g->config.sync == GROUP_NETWORK)
		return GROUP_LOCAL;
	return g->config.sync;
}

static enum group_state policy_mirror_state(const struct group *g)
{
	if (g->promote)
		return GROUP_PROMOTING;
	if (g->standing == GROUP_STANDING_DIVERGED)
		return GROUP_DIVERGED;
	if (!g->session) /* stopping: the log is not quiet yet */
		return GROUP_LISTENING;
	return session_streaming(g->session) ? GROUP_FOLLOWING : GROUP_LISTENING;
}

static enum group_state policy_starting_state(const struct group *g)
{
	if (g->start.phase == PRIMARY_PULLING)
		return GROUP_RECOVERING;
	if (primary_start_waits_for_mirror(g) &&
	    !rt_time_before(rt_now(g->loop), g->start.deadline))
		return GROUP_HOLDING;
	return GROUP_STARTING;
}

/* No control connection and no proof of the path: silent, though not timed out yet. */
static bool policy_path_is_silent(const struct session *s)
{
	return !s->control.conn &&
	       !transport_proven(s->transport, rt_now(s->group->loop));
}

static enum group_state policy_primary_state(const struct group *g)
{
	if (!g->session)
		return group_serving(g) ? GROUP_STANDALONE : GROUP_STARTING;
	if (!group_serving(g))
		return policy_starting_state(g);
	if (g->standing == GROUP_STANDING_DIVERGED)
		return GROUP_DIVERGED;
	if (session_path_serves(g->session) && !policy_path_is_silent(g->session))
		return peer_watch_in_sync(&g->watch) ? GROUP_IN_SYNC : GROUP_CATCHING_UP;
	if (policy_counts_as_local(g))
		return GROUP_EXPOSED;
	if (g->config.sync == GROUP_LOCAL || policy_effective(g) == GROUP_LOCAL)
		return gate_empty(&g->gate) || g->gate.local_max == UINT64_MAX
			       ? GROUP_EXPOSED
			       : GROUP_HOLDING;
	return GROUP_HOLDING;
}

const char *policy_why(const struct group *g)
{
	if (g->state != GROUP_HOLDING)
		return "";
	if (!group_serving(g))
		return "the mirror has not answered, and this group may not open without "
		       "it";
	if (g->gate.stuck)
		return "the mirror does not persist what it receives";
	if (!peer_watch_timed_out(&g->watch))
		return "the path to the mirror is silent, but not yet for as long as "
		       "`away`";
	if (g->config.sync == GROUP_REMOTE)
		return "the mirror has timed out, and remote writes wait for it";
	if (g->config.on_disconnect == GROUP_STOP)
		return "the mirror has timed out, and on_disconnect is hold";
	return "the mirror has timed out, and max_exposure is reached";
}

static enum group_state policy_judge_state(const struct group *g)
{
	if (g->failed)
		return GROUP_FAILED;
	if (group_is_fenced(g))
		return GROUP_FENCED;
	return g->role == GROUP_MIRROR ? policy_mirror_state(g) : policy_primary_state(g);
}

void policy_turn(struct group *g)
{
	if (g->session && g->role == GROUP_PRIMARY) {
		policy_watch_mirror(g);
		g->gate.lowered = peer_watch_timed_out(&g->watch);
		g->gate.alone = policy_counts_as_local(g);
		g->gate.local_max = policy_local_max(g);
	}
	group_set_state(g, policy_judge_state(g));
}
