// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/policy.h"

#include "replicator/group_private.h"
#include "replicator/session.h"
#include "replicator/transport.h"

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

/* ---- the rule --------------------------------------------------------------------------- */

static bool policy_all_local(const struct policy_inputs *in)
{
	return in->alone && !in->caught_up;
}

static enum group_mode policy_mode(const struct policy_inputs *in)
{
	if (policy_all_local(in) || !in->has_peer)
		return GROUP_LOCAL;
	if (in->timed_out && in->on_disconnect == GROUP_CONTINUE &&
	    in->sync == GROUP_NETWORK)
		return GROUP_LOCAL;
	return in->sync;
}

static enum group_state policy_mirror_state(const struct policy_inputs *in)
{
	if (in->promoting)
		return GROUP_PROMOTING;
	if (in->diverged)
		return GROUP_DIVERGED;
	/* Without a session it stops, and the log is not quiet yet. */
	return in->connects && in->streaming ? GROUP_FOLLOWING : GROUP_LISTENING;
}

static enum group_state policy_starting_state(const struct policy_inputs *in)
{
	if (in->pulling)
		return GROUP_RECOVERING;
	return in->waits_for_mirror && in->waited ? GROUP_HOLDING : GROUP_STARTING;
}

static enum group_state policy_primary_state(const struct policy_inputs *in)
{
	if (!in->connects)
		return in->serving ? GROUP_STANDALONE : GROUP_STARTING;
	if (!in->serving)
		return policy_starting_state(in);
	if (in->diverged)
		return GROUP_DIVERGED;
	if (in->path_serves)
		return in->in_sync ? GROUP_IN_SYNC : GROUP_CATCHING_UP;
	if (policy_all_local(in))
		return GROUP_EXPOSED;
	if (policy_mode(in) == GROUP_LOCAL)
		return !in->requests_wait || !in->exposure_bounded ? GROUP_EXPOSED
								   : GROUP_HOLDING;
	return GROUP_HOLDING;
}

static const char *policy_holding_why(const struct policy_inputs *in)
{
	if (!in->serving)
		return "the mirror has not answered, and this group may not open without "
		       "it";
	if (in->stuck)
		return "the mirror does not persist what it receives";
	if (!in->timed_out)
		return "the path to the mirror is silent, but not yet for as long as "
		       "`away`";
	if (in->sync == GROUP_REMOTE)
		return "the mirror has timed out, and remote writes wait for it";
	if (in->on_disconnect == GROUP_STOP)
		return "the mirror has timed out, and on_disconnect is hold";
	return "the mirror has timed out, and max_exposure is reached";
}

static enum group_state policy_state(const struct policy_inputs *in)
{
	if (in->failed)
		return GROUP_FAILED;
	if (in->fenced)
		return GROUP_FENCED;
	return in->role == GROUP_MIRROR ? policy_mirror_state(in)
					: policy_primary_state(in);
}

struct policy_decision policy_decide(const struct policy_inputs *in)
{
	enum group_state state = policy_state(in);

	return (struct policy_decision){
		.state = state,
		.effective = policy_mode(in),
		.why = state == GROUP_HOLDING ? policy_holding_why(in) : "",
	};
}

/* ---- a group ------------------------------------------------------------------------------ */

/* No control connection and no proof of the path: silent, though not timed out yet. */
static bool policy_path_is_silent(const struct session *s)
{
	return !s->control.conn &&
	       !transport_proven(s->transport, rt_now(s->group->loop));
}

/* Without what only a session knows, which may be gone. */
static struct policy_inputs policy_inputs_alone(const struct group *g)
{
	return (struct policy_inputs){
		.role = g->role,
		.failed = g->failed != 0,
		.fenced = group_is_fenced(g),
		.diverged = g->standing == GROUP_STANDING_DIVERGED,
		.promoting = g->promote != NULL,
		.alone = g->alone == GROUP_ALONE,
		.serving = group_serving(g),
		.pulling = g->start.phase == PRIMARY_PULLING,
		.waits_for_mirror = primary_start_waits_for_mirror(g),
		.waited = !rt_time_before(rt_now(g->loop), g->start.deadline),
		.timed_out = peer_watch_timed_out(&g->watch),
		.caught_up = peer_watch_caught_up(&g->watch),
		.in_sync = peer_watch_in_sync(&g->watch),
		.stuck = g->gate.stuck,
		.has_peer = g->config.has_peer,
		.sync = g->config.sync,
		.on_disconnect = g->config.on_disconnect,
		.exposure_bounded = g->gate.local_max != UINT64_MAX,
		.requests_wait = !gate_empty(&g->gate),
	};
}

static bool policy_counts_as_local(const struct group *g)
{
	const struct policy_inputs in = policy_inputs_alone(g);

	return policy_all_local(&in);
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

static struct policy_inputs policy_inputs_now(const struct group *g)
{
	struct policy_inputs in = policy_inputs_alone(g);
	const struct session *s = g->session;

	if (!s)
		return in;
	in.connects = true;
	in.streaming = session_streaming(s);
	in.path_serves = g->role == GROUP_PRIMARY && session_path_serves(s) &&
			 !policy_path_is_silent(s);
	return in;
}

enum group_mode policy_effective(const struct group *g)
{
	const struct policy_inputs in = policy_inputs_alone(g);

	return policy_mode(&in);
}

const char *policy_why(const struct group *g)
{
	const struct policy_inputs in = policy_inputs_alone(g);

	/* The state is that of the last turn. */
	return g->state == GROUP_HOLDING ? policy_holding_why(&in) : "";
}

void policy_turn(struct group *g)
{
	struct policy_inputs in;

	if (g->session && g->role == GROUP_PRIMARY) {
		policy_watch_mirror(g);
		g->gate.lowered = peer_watch_timed_out(&g->watch);
		g->gate.alone = policy_counts_as_local(g);
		g->gate.local_max = policy_local_max(g);
	}
	in = policy_inputs_now(g);
	group_set_state(g, policy_decide(&in).state);
}
