// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/group_state.h"

#include "rt/check.h"

#define STATE(name) (1u << GROUP_##name)

/*
 * What a judgement may find after another. Its inputs do not change as they like: the role
 * changes by a promotion, a group that serves does not start again, a session that has gone
 * does not come back, FAILED is for good. A connection takes turns of its own: it replaces
 * another one, decides, and streams, and each of them is judged.
 */
static const unsigned may_follow[] = {
	/* Without a peer; or the session has gone, since the group stops. */
	[GROUP_STANDALONE] = STATE(FENCED) | STATE(FAILED),
	/* Of either role: until the first judgement; of a primary, until it serves. */
	[GROUP_STARTING] = STATE(STANDALONE) | STATE(RECOVERING) | STATE(EXPOSED) |
			   STATE(HOLDING) | STATE(PROMOTING) | STATE(FENCED) |
			   STATE(DIVERGED) | STATE(FAILED) | STATE(LISTENING),
	/* It asks again when it has taken back what it lacked, or lost the connection. */
	[GROUP_RECOVERING] =
		STATE(STARTING) | STATE(HOLDING) | STATE(DIVERGED) | STATE(FAILED),
	/*
	 * Fenced only after a judgement without a path: the other site's HELLO is of a new
	 * connection, and the fence is made durable first.
	 */
	[GROUP_IN_SYNC] = STATE(STANDALONE) | STATE(EXPOSED) | STATE(CATCHING_UP) |
			  STATE(HOLDING) | STATE(DIVERGED) | STATE(FAILED),
	[GROUP_EXPOSED] = STATE(STANDALONE) | STATE(IN_SYNC) | STATE(CATCHING_UP) |
			  STATE(HOLDING) | STATE(FENCED) | STATE(DIVERGED) |
			  STATE(FAILED) | STATE(LISTENING), /* a promotion undone */
	[GROUP_CATCHING_UP] = STATE(STANDALONE) | STATE(IN_SYNC) | STATE(EXPOSED) |
			      STATE(HOLDING) | STATE(DIVERGED) | STATE(FAILED),
	/* Of a start, of requests, or of a site that hands over and becomes the mirror. */
	[GROUP_HOLDING] = STATE(LISTENING) | STATE(STANDALONE) | STATE(STARTING) |
			  STATE(RECOVERING) | STATE(IN_SYNC) | STATE(EXPOSED) |
			  STATE(CATCHING_UP) | STATE(FENCED) | STATE(DIVERGED) |
			  STATE(FAILED),
	/* The new primary has no connection; or the promotion has failed. */
	[GROUP_PROMOTING] = STATE(STANDALONE) | STATE(EXPOSED) | STATE(HOLDING) |
			    STATE(DIVERGED) | STATE(FAILED) | STATE(LISTENING),
	/* By a promotion, which it does not show. */
	[GROUP_FENCED] = STATE(STANDALONE) | STATE(EXPOSED) | STATE(HOLDING) |
			 STATE(DIVERGED) | STATE(FAILED),
	/*
	 * Of either role, of a start, too; until a connection streams. Its data connection
	 * may have joined before READY arrived: then the path is proven at once.
	 */
	[GROUP_DIVERGED] = STATE(STANDALONE) | STATE(STARTING) | STATE(RECOVERING) |
			   STATE(IN_SYNC) | STATE(EXPOSED) | STATE(CATCHING_UP) |
			   STATE(HOLDING) | STATE(PROMOTING) | STATE(FENCED) |
			   STATE(FAILED) | STATE(LISTENING) | STATE(FOLLOWING),
	[GROUP_FAILED] = 0,
	[GROUP_LISTENING] =
		STATE(PROMOTING) | STATE(DIVERGED) | STATE(FAILED) | STATE(FOLLOWING),
	/* It drains before it decides anew, and is LISTENING meanwhile. */
	[GROUP_FOLLOWING] = STATE(PROMOTING) | STATE(FAILED) | STATE(LISTENING),
};

bool group_state_may_follow(enum group_state from, enum group_state to)
{
	return may_follow[from] & 1u << to;
}

bool group_alone_may_follow(enum group_alone from, enum group_alone to)
{
	return from != GROUP_NOT_ALONE || to != GROUP_NOT_ALONE;
}

enum rt_log_level group_state_level(enum group_state state)
{
	switch (state) {
	case GROUP_FENCED:
	case GROUP_DIVERGED:
	case GROUP_FAILED:
		return RT_LOG_ERROR;
	case GROUP_EXPOSED:
	case GROUP_HOLDING:
		return RT_LOG_WARN;
	case GROUP_STANDALONE:
	case GROUP_STARTING:
	case GROUP_RECOVERING:
	case GROUP_IN_SYNC:
	case GROUP_CATCHING_UP:
	case GROUP_PROMOTING:
	case GROUP_LISTENING:
	case GROUP_FOLLOWING:
		break;
	}
	return RT_LOG_INFO;
}

static const char *const state_names[] = {
	[GROUP_STANDALONE] = "STANDALONE", [GROUP_STARTING] = "STARTING",
	[GROUP_RECOVERING] = "RECOVERING", [GROUP_IN_SYNC] = "IN_SYNC",
	[GROUP_EXPOSED] = "EXPOSED",	   [GROUP_CATCHING_UP] = "CATCHING_UP",
	[GROUP_HOLDING] = "HOLDING",	   [GROUP_PROMOTING] = "PROMOTING",
	[GROUP_FENCED] = "FENCED",	   [GROUP_DIVERGED] = "DIVERGED",
	[GROUP_FAILED] = "FAILED",	   [GROUP_LISTENING] = "LISTENING",
	[GROUP_FOLLOWING] = "FOLLOWING",
};

const char *group_state_name(enum group_state state)
{
	rt_assert((size_t)state < RT_ARRAY_LEN(state_names));
	return state_names[state];
}
