/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_CC_NEXT_H
#define REPLICATOR_TUNNEL_CC_NEXT_H

#include "replicator/tunnel/cc.h"

/*
 * The state that follows when a round has ended at `now` with this result, or the state
 * that there is. `excess`: it lost more than the path loses by itself. Of cc.c only.
 */
enum cc_state cc_next_state(struct cc *c, const struct cc_round_result *r, bool excess,
			    rt_time now);

#endif
