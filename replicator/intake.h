/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_INTAKE_H
#define REPLICATOR_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/time.h"

/*
 * Whether a site takes records from its peer. After a want of room or memory it does not
 * for a while, and says why: the same records would come again with each connection, and
 * be thrown away again. Pure.
 */
#define INTAKE_ROOM_MS 60000 /* a log that is full is asked again so much later, */
/* One that has no memory at once; the second time so much later, then twice as much. */
#define INTAKE_MEMORY_MS 1000

struct intake {
	bool closed;
	rt_time until;
	unsigned times;	     /* in a row, for want of memory */
	uint64_t lsn;	     /* end of the log at that time */
	uint64_t free_bytes; /* of a full log, as first looked at; 0: not yet */
	char why[160];
};

/*
 * Records could not be applied: `err`, `why`, end of the log `lsn`. -EDQUOT is a map without
 * memory, which ends as seldom as a full log. Errors that are no want
 * of room or memory change nothing.
 */
void intake_failed(struct intake *in, int err, const char *why, uint64_t lsn,
		   rt_time now);
/*
 * Whether records are taken now. A full log takes them again when its free bytes have
 * grown by `step`, or some time later.
 */
bool intake_open(struct intake *in, uint64_t free_bytes, uint64_t step, rt_time now);

#endif
