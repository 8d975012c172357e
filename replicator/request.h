/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_REQUEST_H
#define REPLICATOR_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "lfs/lfs.h"
#include "replicator/gate.h"
#include "replicator/gate_rule.h"
#include "replicator/group.h"
#include "rt/check.h"
#include "rt/loop.h"

/* The private part of a client's request. */
struct request_state {
	unsigned parts;	    /* not over yet */
	int res;	    /* the first error */
	uint64_t lsn;	    /* the highest of its parts */
	unsigned unwritten; /* parts that are not over, and whose data the log lacks */
	bool released;	    /* the buffer is the caller's again */
	union {
		struct rt_op reply_op; /* a result that is known at once */
		struct gate_waiter flush;
		struct {
			struct lfs_read read;
			uint32_t read_done; /* blocks */
		};
	};
};
_Static_assert(sizeof(struct request_state) <= sizeof(((struct group_request *)0)->impl),
	       "fits into the request");

static inline struct request_state *request_state(struct group_request *r)
{
	return (struct request_state *)r->impl;
}

static inline struct group_request *request_of(struct request_state *s)
{
	return rt_container_of((void **)s, struct group_request, impl);
}

/* What the mode of a volume asks for, FLUSH and FUA aside. */
void request_volume_need(const struct group_volume *v, struct gate_need *ret);
/* What such a request of this volume waits for at the gate. */
void request_kind_need(const struct group_volume *v, const struct gate_rule_request *kind,
		       struct gate_need *ret);
void request_need(const struct group_request *r, struct gate_need *ret);
/* Part of a request is over: the last one replies. */
void request_part_done(struct group_request *r, int res, uint64_t lsn);
/* Reply from the next turn of the loop, with a result that is known at once. */
void request_end(struct group_request *r, int res);
/*
 * A read for a client has failed with -EIO or -EBADMSG: say where and why. One a second of a
 * volume is logged at most, with the number of the others.
 */
void request_say_bad_read(struct group_volume *volume, const struct lfs_read *read, int res);
/* Whether [offset, offset + len) lies inside the volume. */
bool request_inside(const struct group_request *r);

#endif
