/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_POLICY_H
#define REPLICATOR_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "replicator/group.h"
#include "replicator/primary_start.h"
#include "rt/time.h"

/*
 * What an absent mirror means, and the state that people see. Pure; group_policy.h asks it
 * for a group.
 */

/* What a site says that does nothing any more: in `why`, to its peer, and to who asks a verb. */
#define POLICY_LOG_FAILED "the log of this site has failed"

/* What waits for the mirror while the group's own mode counts as local, and by which key. */
enum policy_waiting {
	POLICY_NOTHING_WAITS,
	POLICY_WAITS_FOR_TIMEOUT, /* the mirror is only silent yet */
	POLICY_WAITS_BY_FUA,	  /* FLUSH and FUA: fua is remote */
	POLICY_WAITS_BY_GROUP,	  /* a volume is network, and the group holds */
	POLICY_WAITS_BY_VOLUME,
	POLICY_WAITS_BY_VOLUME_MODE, /* it is remote */
};

/* All that the rule looks at. */
struct policy_inputs {
	enum group_role role;
	bool failed, fenced, diverged, promoting;
	bool alone;	/* promoted, and not by --hold */
	bool connects;	/* the group has a session with its peer */
	bool streaming; /* mirror: the primary's writes are received */

	bool log_full; /* the log of this site refuses writes for want of room, */
	bool map_full; /* or of map_memory */
	bool unpaired; /* a mirror that holds nothing yet */
	bool forgotten; /* no store is taken for the peer's */

	/* The primary's start. */
	bool serving, pulling;
	enum primary_bound bound; /* it may not open without the mirror's consent */
	bool waited;		  /* open_timeout is over */
	bool intake_closed;	  /* what the mirror holds did not fit in here */

	/* Of the mirror, as peer_watch and the session see it. */
	bool path_serves; /* and it is not silent */
	bool timed_out, caught_up, in_sync;
	bool stuck;   /* its path lives, and it persists nothing */
	bool refuses; /* it says so, and persists nothing; of a start: it says so */
	bool behind;  /* policy_is_behind() */

	/* Configuration. */
	bool has_peer;
	enum group_mode sync;
	enum group_disconnect on_disconnect;

	enum policy_waiting waiting;
	bool exposure_bounded; /* max_exposure stops local completions at an LSN */
	bool requests_wait;    /* in the gate */
};

/*
 * The mirror has not received what was admitted `age_ns` ago: more than a path that carries
 * what it is sent explains. Half of that ends it.
 */
#define POLICY_BEHIND_NS (2 * RT_S)
bool policy_is_behind(int64_t age_ns, bool was_behind);

/*
 * Nothing proves the path, and nothing did for `silence_ns` though the mirror lacked writes
 * all that time: a path that lives is proven by then. Without a control connection the lack
 * of a proof is enough. An idle path needs none: nothing is at stake.
 */
#define POLICY_SILENT_NS RT_S
bool policy_is_silent(bool connected, bool proven, int64_t silence_ns);

struct policy_decision {
	enum group_state state;
	enum group_mode effective; /* at which the group's own mode counts */
	bool all_local;		   /* every mode counts as local */
	/* Why it is not in order, and what helps; both "" in a state that is in order. */
	const char *why, *remedy;
	/* EXPOSED, DIVERGED: what waits for the mirror, and what else helps; or "". */
	const char *except, *except_remedy;
	/* What this site lacks, and what helps; both "" when it lacks nothing. */
	const char *lack, *lack_remedy;
};

/* The rule; docs/replication.md states it for operators. */
struct policy_decision policy_decide(const struct policy_inputs *in);
/* The same for a state that was judged before. */
struct policy_decision policy_describe(const struct policy_inputs *in,
				       enum group_state state);
/*
 * HOLDING, in a group whose own mode gates by the rule `hold`: which requests wait, where it is
 * not each one; or "".
 */
const char *policy_which_wait(const struct policy_inputs *in, enum group_state state,
			      enum group_hold hold);

#endif
