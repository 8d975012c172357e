/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_APPLY_H
#define REPLICATOR_APPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt/list.h"

/*
 * Records from the other site into the local log, in LSN order, each verified before it
 * is appended: at a mirror what the tunnel brings, at a starting primary what it pulls
 * back. Bounded: apply_room() is false when enough waits.
 */
struct group;

#define APPLY_BYTES_MAX (32u << 20)

struct apply {
	struct group *group;
	struct rt_list queue; /* struct apply_item, not in the log yet */
	unsigned inflight;    /* in the log's hands */
	uint64_t bytes;	      /* of both */
	uint64_t next_lsn;    /* of the next record to arrive */
	int err; /* final: -EPROTO history or content differs; as lfs_append() */
	char why[160];
	uint64_t applied, applied_bytes;
	uint64_t
		refused; /* records of the peer that this site did not take, since start */
};

void apply_init(struct apply *a, struct group *g);
/* Expect the record after the end of the log, and forget an earlier error. */
void apply_restart(struct apply *a);
/*
 * Take one wire record of `len` bytes (copied). 0; or an error that is final for this
 * connection, also in a->err and a->why.
 */
int apply_record(struct apply *a, const uint8_t *bytes, size_t len);
/* The log has moved: append what waits. */
void apply_retry(struct apply *a);
bool apply_room(const struct apply *a);
/* Nothing waits and nothing is in the log's hands. */
bool apply_idle(const struct apply *a);
/* Throw away what is not in the log yet. */
void apply_discard(struct apply *a);

#endif
