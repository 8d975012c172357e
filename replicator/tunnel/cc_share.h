/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_CC_SHARE_H
#define REPLICATOR_TUNNEL_CC_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "replicator/tunnel/cc_loss.h"
#include "replicator/tunnel/cubic.h"
#include "rt/time.h"

/*
 * The part of a queue that somebody else fills, too: the window of CUBIC, and the moments
 * at which we make way to see whether the queue is ours after all.
 */
#define CC_SHARE_MEMORY_NS (20 * RT_S) /* the same queue, if it is back within this */
#define CC_SHARE_YIELD_MIN_NS RT_S
#define CC_SHARE_YIELD_MAX_NS (8 * RT_S)
#define CC_SHARE_REACT_ROUNDS 20
#define CC_SHARE_REACT_LOSS 0.2

struct cc_share {
	struct cubic cubic;
	rt_time left;	    /* when the window was last in force; 0 never */
	int64_t yield_ns;   /* until the next time that we make way */
	rt_time reacted_at; /* when the window last became smaller */
};

/*
 * The window is in force from now on: the remembered one, but no more than `in_flight`
 * unless `yielded`: we made way, and the queue did not get empty.
 */
void cc_share_enter(struct cc_share *s, double in_flight, bool yielded, rt_time now);
void cc_share_leave(struct cc_share *s, rt_time now);
/* Sharing since `since`: time to make way. Then the next time is later. */
bool cc_share_yields(struct cc_share *s, rt_time since, rt_time now);
/* A round has ended that began at `began`; `limited`: the window was not used. */
void cc_share_round(struct cc_share *s, int64_t rtt_ns, rt_time began, bool limited,
		    rt_time now);
/* An episode of congestion has lost `count`. */
void cc_share_react(struct cc_share *s, const struct cc_loss_count *count, int64_t rtt_ns,
		    rt_time now);

#endif
