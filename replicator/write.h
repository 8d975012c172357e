/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_WRITE_H
#define REPLICATOR_WRITE_H

#include "lfs/lfs.h"
#include "replicator/gate.h"
#include "rt/list.h"

struct group;
struct group_request;

/*
 * One LSN of a client's request, from its arrival to its reply: waits for held edges and
 * for the log, reads the edges it covers in part, is appended and shipped, and waits at
 * the gate. Freed when the gate has opened and the log has given its memory back.
 */
enum write_state {
	WRITE_WAITING, /* in group.waiting: not begun, or its edges are read */
	WRITE_READING, /* its edges are being read; in group.holds too */
	WRITE_ADMITTED,
};

struct write {
	struct rt_list link;	  /* group.waiting, later group.inflight */
	struct rt_list hold_link; /* group.holds while it holds its edges */
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
	int64_t wall_ns;
	uint32_t crcs[];
};

#endif
