// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/cc_share.h"

void cc_share_enter(struct cc_share *s, double in_flight, bool yielded, rt_time now)
{
	int64_t absent_ns = rt_time_since(now, s->left);

	if (s->left.ns != 0 && absent_ns < CC_SHARE_MEMORY_NS) {
		cubic_pause(&s->cubic, absent_ns);
		if (yielded)
			return; /* the queue was the same all the time */
		/*
		 * The queue was empty in between. The window that had filled it would fill
		 * it again in one round trip, and drops would fall on whoever has less.
		 */
		cubic_confine(&s->cubic, in_flight, now);
		if (s->yield_ns < CC_SHARE_YIELD_MAX_NS)
			s->yield_ns *= 2;
		return;
	}
	/* Somebody is new: leave room, which CUBIC takes long to find. */
	in_flight *= CUBIC_BETA;
	cubic_init(&s->cubic, in_flight, in_flight, now);
	s->reacted_at = now;
	s->yield_ns = CC_SHARE_YIELD_MIN_NS;
}

void cc_share_leave(struct cc_share *s, rt_time now)
{
	s->left = now;
}

/*
 * When the clock shows a multiple of yield_ns: the tunnels of one host yield together, and
 * see that they are alone.
 */
bool cc_share_yields(struct cc_share *s, rt_time since, rt_time now)
{
	if (now.ns / s->yield_ns <= since.ns / s->yield_ns)
		return false;
	if (s->yield_ns < CC_SHARE_YIELD_MAX_NS)
		s->yield_ns *= 2;
	return true;
}

void cc_share_round(struct cc_share *s, int64_t rtt_ns, rt_time began, bool limited,
		    rt_time now)
{
	if (limited)
		cubic_pause(&s->cubic, rt_time_since(now, began));
	else
		cubic_grow(&s->cubic, rtt_ns, now);
}

/*
 * Who overflows the queue shortly after we have made way for him does not make way
 * himself: BBR, each time it probes. We make way once more only if much is lost.
 */
void cc_share_react(struct cc_share *s, const struct cc_loss_count *count, int64_t rtt_ns,
		    rt_time now)
{
	if (rt_time_since(now, s->reacted_at) < CC_SHARE_REACT_ROUNDS * rtt_ns &&
	    count->lost < CC_SHARE_REACT_LOSS * count->sent)
		return;
	s->reacted_at = now;
	cubic_lose(&s->cubic, now);
}
