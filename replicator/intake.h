/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_INTAKE_H
#define REPLICATOR_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/time.h"

/*
 * Whether a site takes records from its peer. After some that it could not take it does not
 * for a while, and says why: the same records would come again with each connection, and
 * be thrown away again. Pure.
 */
#define INTAKE_ROOM_MS 60000 /* a log that is full is asked again so much later, */
/*
 * What may pass, a want of memory or a record that is not legal, at once; the second time at
 * the same LSN so much later, then twice as much.
 */
#define INTAKE_PAUSE_MS 1000

struct intake {
	bool closed;
	rt_time until;
	unsigned times;	     /* in a row, of what may pass */
	uint64_t lsn;	     /* end of the log at that time */
	uint64_t free_bytes; /* of a full log, as first looked at; 0: not yet */
	char why[160];
	bool bad_framing; /* of this transport: nothing more can be read from it */
};

/*
 * Records could not be taken: `err`, `why`, end of the log `lsn`. -EDQUOT is a map without
 * memory, which ends as seldom as a full log; -ENOMEM, -EPROTO and -EBADMSG may pass. Other
 * errors are no matter of what was sent, and change nothing.
 */
void intake_failed(struct intake *in, int err, const char *why, uint64_t lsn,
		   rt_time now);
/*
 * Whether records are taken now. A full log takes them again when its free bytes have
 * grown by `step`, or some time later.
 */
bool intake_open(struct intake *in, uint64_t free_bytes, uint64_t step, rt_time now);

#endif
