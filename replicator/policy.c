// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/policy.h"

#include "replicator/gate.h"

static bool policy_all_local(const struct policy_inputs *in)
{
	return in->alone && !in->caught_up;
}

static enum group_mode policy_mode(const struct policy_inputs *in)
{
	const struct gate_need need = {
		.mode = in->has_peer ? in->sync : GROUP_LOCAL,
		.lowerable = gate_lowerable(in->on_disconnect, in->sync),
	};

	return gate_counts_as(&need, in->timed_out, policy_all_local(in));
}

bool policy_is_behind(int64_t age_ns, bool was_behind)
{
	return age_ns > (was_behind ? POLICY_BEHIND_NS / 2 : POLICY_BEHIND_NS);
}

bool policy_is_silent(bool connected, bool proven, int64_t silence_ns)
{
	return !proven && (!connected || silence_ns > POLICY_SILENT_NS);
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
	if (in->diverged)
		return GROUP_DIVERGED;
	return in->bound != PRIMARY_NOT_BOUND && in->waited ? GROUP_HOLDING
							    : GROUP_STARTING;
}

static enum group_state policy_primary_state(const struct policy_inputs *in)
{
	if (!in->connects)
		return in->serving ? GROUP_STANDALONE : GROUP_STARTING;
	if (!in->serving)
		return policy_starting_state(in);
	if (in->diverged)
		return GROUP_DIVERGED;
	if (in->bound == PRIMARY_BOUND_SEALED)
		return GROUP_HOLDING;
	if (in->path_serves)
		return in->in_sync && !in->behind ? GROUP_IN_SYNC : GROUP_CATCHING_UP;
	if (policy_all_local(in))
		return GROUP_EXPOSED;
	if (policy_mode(in) == GROUP_LOCAL)
		return !in->requests_wait || !in->exposure_bounded ? GROUP_EXPOSED
								   : GROUP_HOLDING;
	return GROUP_HOLDING;
}

/* What a state means to people, and what helps. */
struct policy_advice {
	const char *why, *remedy;
};

#define MEND_PATH "start the mirror, or mend the path to it"
#define PERSISTS_NOTHING "does not persist what it receives"
#define MEND_MIRROR "mend the disk of the mirror, or make room there"
#define REFUSES "refuses what it is sent"
#define MEND_REFUSAL "mend at the mirror what it names"

#define NOT_AGREED "the mirror has not agreed, and this group may not open without it: "
#define IF_LOST MEND_PATH "; or, if the mirror is lost and was not promoted, "

/* Of a start that may not go on without its mirror. */
static struct policy_advice policy_bound_advice(enum primary_bound bound)
{
	switch (bound) {
	case PRIMARY_NOT_BOUND:
		break;
	case PRIMARY_BOUND_SEALED:
		return (struct policy_advice){
			"this site has handed over, and the other one has not answered",
			"it is decided when that one answers; if it is destroyed: "
			"wanmirror "
			"promote --force, and what it has written is lost"
		};
	case PRIMARY_BOUND_FUA:
		return (struct policy_advice){ NOT_AGREED "fua is remote",
					       IF_LOST "wanmirror set fua=mode" };
	case PRIMARY_BOUND_POLICY:
		return (struct policy_advice){ NOT_AGREED "on_disconnect is hold", IF_LOST
					       "wanmirror set on_disconnect=continue" };
	case PRIMARY_BOUND_VOLUME_POLICY:
		return (struct policy_advice){
			NOT_AGREED "on_disconnect of a volume is hold",
			IF_LOST "let on_disconnect of that volume be continue"
		};
	case PRIMARY_BOUND_VOLUME_MODE:
		return (struct policy_advice){
			NOT_AGREED "sync of a volume is remote",
			IF_LOST "let on_disconnect of that volume be continue"
		};
	case PRIMARY_BOUND_COLD:
		return (struct policy_advice){
			"this site was down and the mirror does not answer, so that one "
			"may be primary with newer data",
			IF_LOST "wanmirror open --alone"
		};
	}
	return (struct policy_advice){ "it asks the mirror what that one holds",
				       "it goes on by itself, after open_timeout at the "
				       "latest" };
}

/* Nothing is served yet. */
static struct policy_advice policy_starting_advice(const struct policy_inputs *in)
{
	if (!in->connects)
		return (struct policy_advice){ "it opens its store",
					       "it goes on by itself" };
	if (in->intake_closed)
		return (struct policy_advice){
			"this site cannot take back what the mirror holds",
			"make room or memory for it here: it tries again each minute"
		};
	if (in->refuses && in->waited && in->bound != PRIMARY_NOT_BOUND)
		return (struct policy_advice){
			"the mirror has answered, and refuses this store",
			"mend what it names; to go on here instead: stop the other site, "
			"start this daemon again, and wanmirror open --alone"
		};
	if (in->bound == PRIMARY_NOT_BOUND || in->waited)
		return policy_bound_advice(in->bound);
	return (struct policy_advice){ "it asks the mirror what that one holds",
				       "it goes on when the mirror answers, and not "
				       "before" };
}

#define TAKE_PEER "to take a store for it: wanmirror peer replace"
#define PEER_FORGOTTEN "the peer was forgotten, and "

/* There is no mirror to start, nor a path to mend. */
static struct policy_advice
policy_holding_forgotten_advice(const struct policy_inputs *in)
{
	if (in->sync == GROUP_REMOTE)
		return (struct policy_advice){ PEER_FORGOTTEN
					       "what is remote waits for a mirror",
					       TAKE_PEER
					       "; or wanmirror set sync=network" };
	if (in->on_disconnect == GROUP_STOP)
		return (struct policy_advice){
			PEER_FORGOTTEN "on_disconnect is hold",
			TAKE_PEER "; or wanmirror set on_disconnect=continue"
		};
	return (struct policy_advice){ PEER_FORGOTTEN "max_exposure is reached", TAKE_PEER
				       "; or raise it: wanmirror set max_exposure=..." };
}

static struct policy_advice policy_holding_advice(const struct policy_inputs *in)
{
	if (in->bound == PRIMARY_BOUND_SEALED)
		return policy_bound_advice(in->bound);
	if (!in->serving)
		return policy_starting_advice(in);
	if (in->forgotten)
		return policy_holding_forgotten_advice(in);
	if (in->stuck)
		return (struct policy_advice){ "the mirror " PERSISTS_NOTHING,
					       MEND_MIRROR };
	if (in->refuses)
		return (struct policy_advice){ "the mirror " REFUSES, MEND_REFUSAL };
	if (!in->timed_out)
		return (struct policy_advice){
			"the path to the mirror is silent, but not yet for as long as "
			"`away`",
			MEND_PATH
		};
	if (in->sync == GROUP_REMOTE)
		return (struct policy_advice){
			"the mirror has timed out, and what is remote waits for it",
			MEND_PATH "; or wanmirror set sync=network"
		};
	if (in->on_disconnect == GROUP_STOP)
		return (struct policy_advice){
			"the mirror has timed out, and on_disconnect is hold",
			MEND_PATH "; or wanmirror set on_disconnect=continue"
		};
	return (struct policy_advice){
		"the mirror has timed out, and max_exposure is reached",
		MEND_PATH "; or raise it: wanmirror set max_exposure=..."
	};
}

static struct policy_advice policy_catching_up_advice(const struct policy_inputs *in)
{
	if (!in->in_sync)
		return (struct policy_advice){ "the mirror does not have everything yet",
					       "it goes on by itself" };
	return (struct policy_advice){
		"the mirror has not received the writes of the last seconds: the path "
		"carries less than it is sent",
		"it goes on by itself when less is written; or mend the path, or lower "
		"`rate` to what it carries: wanmirror set rate=..."
	};
}

#define WITHOUT_MIRROR "writes complete without the mirror"

static struct policy_advice policy_exposed_advice(const struct policy_inputs *in)
{
	if (policy_all_local(in))
		return (struct policy_advice){
			"promoted, and no mirror has been in sync since",
			"make the other site its mirror, with a new store: wanmirror "
			"create there, and wanmirror peer replace here"
		};
	if (in->forgotten)
		return (struct policy_advice){ PEER_FORGOTTEN
					       "writes complete without a mirror",
					       TAKE_PEER };
	if (in->stuck)
		return (struct policy_advice){ WITHOUT_MIRROR ", which " PERSISTS_NOTHING,
					       MEND_MIRROR };
	if (in->refuses)
		return (struct policy_advice){ WITHOUT_MIRROR ", which " REFUSES,
					       MEND_REFUSAL };
	return (struct policy_advice){ WITHOUT_MIRROR, MEND_PATH };
}

/*
 * EXPOSED is the state of the group's own mode; a volume, or FUA, may ask for more. And what
 * a diverged primary still serves goes by the same rules.
 */
static const struct policy_exception {
	const char *exposed, *diverged, *remedy;
} exceptions[] = {
	[POLICY_NOTHING_WAITS] = { "", "", "" },
	[POLICY_WAITS_FOR_TIMEOUT] = { "but those of a volume wait until it has timed "
				       "out",
				       "and writes wait until the mirror has timed out",
				       "it goes on by itself after `away`" },
	[POLICY_WAITS_BY_FUA] = { "but FLUSH and FUA wait for it, as fua is remote",
				  "and FLUSH and FUA wait for the mirror, as fua is "
				  "remote",
				  "wanmirror set fua=mode" },
	[POLICY_WAITS_BY_GROUP] = { "but those of a volume wait for it, as on_disconnect "
				    "is hold",
				    "and writes wait for the mirror, as on_disconnect is "
				    "hold",
				    "wanmirror set on_disconnect=continue" },
	[POLICY_WAITS_BY_VOLUME] = { "but those of a volume wait for it, whose "
				     "on_disconnect is hold",
				     "and writes of a volume whose on_disconnect is hold "
				     "wait for the mirror",
				     "let on_disconnect of that volume be continue" },
	[POLICY_WAITS_BY_VOLUME_MODE] = { "but those of a volume wait for it, whose sync "
					  "is remote",
					  "and writes of a volume whose sync is remote "
					  "wait for the mirror",
					  "let on_disconnect of that volume be "
					  "continue" },
};

static struct policy_advice policy_except(const struct policy_inputs *in,
					  enum group_state state)
{
	const struct policy_exception *e = &exceptions[in->waiting];

	if (state == GROUP_EXPOSED)
		return (struct policy_advice){ e->exposed, e->remedy };
	if (state == GROUP_DIVERGED && in->role == GROUP_PRIMARY && in->serving)
		return (struct policy_advice){ e->diverged, e->remedy };
	return (struct policy_advice){ "", "" };
}

#define FLUSHES_WAIT                                                                     \
	"so FLUSH and FUA wait, and writes of clients that have not flushed yet; other " \
	"writes complete"

/* Where `hold` is flush, writes of clients that flush complete as in local. */
const char *policy_which_wait(const struct policy_inputs *in, enum group_state state,
			      enum group_hold hold)
{
	if (state != GROUP_HOLDING || !in->serving || hold != GROUP_HOLD_FLUSH ||
	    in->bound == PRIMARY_BOUND_SEALED || policy_mode(in) == GROUP_LOCAL)
		return "";
	return in->exposure_bounded ? FLUSHES_WAIT ", up to max_exposure" : FLUSHES_WAIT;
}

static struct policy_advice policy_fenced_advice(void)
{
	return (struct policy_advice){
		"the other site is primary in a newer epoch; what only this one has is "
		"kept",
		"to go on there, make this site its mirror with a new store: wanmirror "
		"create here, and wanmirror peer replace there; to go on here, stop the "
		"other site and wanmirror promote --force"
	};
}

#define GIVE_NEW_STORE                                                                   \
	"and give the other one a new store: wanmirror create there, and wanmirror "     \
	"peer replace at the one that you keep"

static struct policy_advice policy_diverged_advice(const struct policy_inputs *in)
{
	bool serves = in->serving || in->bound == PRIMARY_NOT_BOUND;

	return (struct policy_advice){
		"the histories of the two sites differ: each may hold writes that the "
		"other one lacks",
		serves ? "decide which one to keep, " GIVE_NEW_STORE
		       : "nothing is served until you decide which one to "
			 "keep, " GIVE_NEW_STORE
	};
}

#define MEND_DISK "mend its disk and restart this daemon"

static struct policy_advice policy_failed_advice(const struct policy_inputs *in)
{
	if (!in->has_peer)
		return (struct policy_advice){ POLICY_LOG_FAILED, MEND_DISK };
	if (in->role == GROUP_PRIMARY)
		return (struct policy_advice){ POLICY_LOG_FAILED,
					       MEND_DISK ", or go on at the mirror: "
							 "wanmirror promote there" };
	return (struct policy_advice){
		POLICY_LOG_FAILED,
		MEND_DISK "; if the disk is lost, give this site a new store: "
			  "wanmirror create here, and wanmirror peer replace "
			  "at the primary"
	};
}

static struct policy_advice policy_listening_advice(const struct policy_inputs *in)
{
	if (in->unpaired)
		return (struct policy_advice){
			"no primary is connected, and this mirror holds nothing yet",
			"start the primary, or mend the path to it"
		};
	return (struct policy_advice){ "no primary is connected",
				       "start the primary, or mend the path to it; if it "
				       "is lost, wanmirror promote here" };
}

static struct policy_advice policy_advise(const struct policy_inputs *in,
					  enum group_state state)
{
	switch (state) {
	case GROUP_STANDALONE:
	case GROUP_IN_SYNC:
	case GROUP_FOLLOWING:
		break;
	case GROUP_STARTING:
		return policy_starting_advice(in);
	case GROUP_RECOVERING:
		return (struct policy_advice){
			"it takes back from the mirror what this site has lost",
			"it goes on by itself"
		};
	case GROUP_CATCHING_UP:
		return policy_catching_up_advice(in);
	case GROUP_PROMOTING:
		return (struct policy_advice){ "it is being made the primary",
					       "it goes on by itself" };
	case GROUP_EXPOSED:
		return policy_exposed_advice(in);
	case GROUP_HOLDING:
		return policy_holding_advice(in);
	case GROUP_FENCED:
		return policy_fenced_advice();
	case GROUP_DIVERGED:
		return policy_diverged_advice(in);
	case GROUP_FAILED:
		return policy_failed_advice(in);
	case GROUP_LISTENING:
		return policy_listening_advice(in);
	}
	return (struct policy_advice){ "", "" };
}

/* A primary that starts takes back what its mirror holds, or its state says why not. */
static bool policy_lack_is_news(const struct policy_inputs *in)
{
	return !in->failed && !in->fenced &&
	       (in->role == GROUP_MIRROR || in->serving || !in->connects);
}

/* The state says so itself, and what follows. */
static bool policy_state_says_forgotten(const struct policy_inputs *in,
					enum group_state state)
{
	return (state == GROUP_EXPOSED && !policy_all_local(in)) ||
	       (state == GROUP_HOLDING && in->serving &&
		in->bound != PRIMARY_BOUND_SEALED);
}

/* Beside the state: a group that lacks room may be IN_SYNC. */
static struct policy_advice policy_lack(const struct policy_inputs *in,
					enum group_state state)
{
	bool mirror = in->role == GROUP_MIRROR;

	if (in->forgotten && in->connects && !in->failed && !in->fenced &&
	    !policy_state_says_forgotten(in, state))
		return (struct policy_advice){ PEER_FORGOTTEN "no store is taken for it",
					       TAKE_PEER };
	if (!policy_lack_is_news(in))
		return (struct policy_advice){ "", "" };
	if (in->log_full)
		return mirror ? (struct policy_advice){ "the log of this mirror is full: "
							"it takes nothing more",
							"give this site a larger "
							"store: wanmirror create here, "
							"and wanmirror peer replace at "
							"the primary" }
			      : (struct policy_advice){ "the log of this site is full: "
							"writes end with ENOSPC, reads "
							"go on",
							"copy the volumes to a larger "
							"store" };
	if (in->map_full)
		return (struct policy_advice){
			mirror ? "the map of this mirror needs more than map_memory: it "
				 "takes nothing more"
			       : "the map of this site needs more than map_memory: "
				 "writes to new places end with ENOMEM, reads go on",
			"raise map_memory and restart"
		};
	return (struct policy_advice){ "", "" };
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

struct policy_decision policy_describe(const struct policy_inputs *in,
				       enum group_state state)
{
	struct policy_advice advice = policy_advise(in, state);
	struct policy_advice lack = policy_lack(in, state);
	struct policy_advice except = policy_except(in, state);

	return (struct policy_decision){
		.state = state,
		.effective = policy_mode(in),
		.all_local = policy_all_local(in),
		.why = advice.why,
		.remedy = advice.remedy,
		.except = except.why,
		.except_remedy = except.remedy,
		.lack = lack.why,
		.lack_remedy = lack.remedy,
	};
}

struct policy_decision policy_decide(const struct policy_inputs *in)
{
	return policy_describe(in, policy_state(in));
}
