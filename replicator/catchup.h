/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_CATCHUP_H
#define REPLICATOR_CATCHUP_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/time.h"

struct exposure;

/*
 * How far a mirror has come that was behind: from what it had received when it began to catch
 * up to where the log ended then. Both stay, so what is written meanwhile moves no end. Pure.
 */
struct catchup {
	bool going;
	uint64_t from, target; /* LSNs */
	rt_time began;
	bool bytes_known;		   /* of the backlog: it is all of this start */
	uint64_t bytes_from, bytes_target; /* exposure_bytes_before() either */
};

/* What a primary knows in a turn. `going`: the path serves, and the mirror is not in sync. */
struct catchup_input {
	bool going;
	uint64_t received, admitted;
	rt_time now;
};
void catchup_turn(struct catchup *c, const struct exposure *e,
		  const struct catchup_input *input);

#define CATCHUP_UNKNOWN UINT64_MAX /* as GROUP_NOT_KNOWN */

struct catchup_progress {
	uint64_t total, done; /* bytes, or CATCHUP_UNKNOWN; 0 of 0 where none goes on */
	double eta_s;	      /* at the rate since it began; < 0: not known */
};
void catchup_progress(const struct catchup *c, const struct exposure *e,
		      uint64_t received, rt_time now, struct catchup_progress *ret);

#endif
