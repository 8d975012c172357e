/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_WRITE_H
#define REPLICATOR_WRITE_H

#include "lfs/lfs.h"
#include "replicator/gate.h"
#include "rt/list.h"

struct group;
struct group_request;
struct record;

/*
 * One LSN of a client's request, from its arrival to its reply: waits for range locks and
 * for the log, reads the edges it covers in part, is appended and shipped, and waits at
 * the gate. Freed when the gate has opened and the log has given its memory back.
 */
enum write_state {
	WRITE_WAITING, /* in writes.waiting: not begun, or its edges are read */
	WRITE_READING, /* its edges are being read; in writes.locks too */
	WRITE_ADMITTED,
};

struct write {
	struct rt_list link;	  /* writes.waiting, .inflight or .released */
	struct rt_list lock_link; /* writes.locks while it locks its edges */
	struct group *group;
	struct group_request *req; /* owned by the client; valid until replied */
	enum write_state state;
	bool edges_read, crcs_done, appended, replied;
	uint32_t volume;
	uint64_t lba; /* of the range that it touches, edges included */
	uint32_t blocks;
	uint8_t *data;	   /* in the request's buffer, or `edge_buf` */
	uint8_t *edge_buf; /* owned: old content of the edges, two blocks; or NULL */
	unsigned edges;	   /* bit 0: first block, bit 1: last block is covered in part */
	unsigned reads;	   /* in flight */
	int edge_err;
	int end_res; /* what it ends with once the log gives the memory back */
	struct lfs_read read[2];
	struct lfs_op ops[3];
	unsigned nops;
	struct lfs_append append;
	struct gate_waiter waiter;
	uint64_t epoch_id, hash_before;
	uint32_t crcs[];
};

/* A group's writes, each in one of the lists; those in `locks` in two. */
struct writes {
	struct rt_list waiting;	 /* not admitted yet, in order */
	struct rt_list locks;	 /* their edges are being read, or were */
	struct rt_list inflight; /* admitted and not replied to, by LSN */
	struct rt_list released; /* the same, and the client has its memory back */
	bool log_full;		 /* the log said -EAGAIN and has not moved since */
	bool memory_short;	 /* what the log has is released at once */
};

void writes_init(struct writes *writes);

/* A request that is to be written in one or several LSNs. */
void write_submit(struct group_request *r);
/* The log has moved, or a range lock is gone: admit what waits. */
void write_retry(struct group *g);
/* Fail everything that waits or is in the gate. */
void write_fail_waiting(struct group *g, int err);
/* The admitted write with this LSN whose memory is still here, or NULL. */
struct write *write_find(struct group *g, uint64_t lsn);
struct write *write_after(struct group *g, struct write *w);
void write_record(const struct write *w, struct record *ret);

#endif
