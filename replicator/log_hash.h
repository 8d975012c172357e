/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_LOG_HASH_H
#define REPLICATOR_LOG_HASH_H

#include <stdint.h>

struct group;
struct group_log_reader;
struct lfs_entry;

/*
 * The history hash after an LSN of this site's log: two sites of one epoch whose last LSNs
 * differ are compared at the lower one, by the one that holds more. One look-up at a time;
 * zeroed, it has looked nothing up.
 */
struct log_hash {
	struct group_log_reader *reader; /* owned, while it looks and a while longer */
	uint64_t lsn;			 /* that is looked up, or was */
	uint64_t hash;
	enum {
		LOG_HASH_IDLE,
		LOG_HASH_READING,
		LOG_HASH_FOUND,
		LOG_HASH_FAILED,
	} stage;
	int err;
};

/*
 * 0 with *ret: the hash after `lsn`, which is not above the last LSN admitted here. -EAGAIN:
 * the next turn asks again, and is woken. -ENOENT: the log does not reach back so far.
 * -EBADMSG, -EIO, -ENOMEM: it cannot be read.
 */
int log_hash_after(struct group *g, struct log_hash *h, uint64_t lsn, uint64_t *ret);
/* Nothing is looked up any more. */
void log_hash_end(struct log_hash *h);

#endif
