// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/write.h"

#include <errno.h>
#include <string.h>

#include "replicator/group_private.h"
#include "replicator/record.h"
#include "replicator/request.h"
#include "replicator/session.h"
#include "rt/bug.h"
#include "rt/crc.h"
#include "rt/mem.h"

#define EDGE_FIRST 1u
#define EDGE_LAST 2u

static struct write *write_of(struct rt_list *link)
{
	return rt_container_of(link, struct write, link);
}

static void write_free(struct write *w)
{
	rt_free(w->edge_buf);
	rt_free(w);
}

void writes_init(struct writes *writes)
{
	rt_list_init(&writes->waiting);
	rt_list_init(&writes->locks);
	rt_list_init(&writes->inflight);
	rt_list_init(&writes->released);
}

/* ---- from a request to its writes ----------------------------------------------------- */

static struct write *write_new(struct group_request *r, uint64_t lba, uint32_t blocks)
{
	struct group *g = r->volume->group;
	uint32_t crcs = r->kind == GROUP_WRITE ? blocks : 2;
	struct write *w = rt_zalloc(1, sizeof(*w) + crcs * sizeof(w->crcs[0]));

	if (!w)
		return NULL;
	rt_list_init(&w->link);
	rt_list_init(&w->lock_link);
	w->group = g;
	w->req = r;
	w->volume = r->volume->index;
	w->lba = lba;
	w->blocks = blocks;
	if (r->kind == GROUP_WRITE)
		w->data = r->buf + (lba - r->offset / GROUP_BLOCK) * GROUP_BLOCK;
	if (r->kind == GROUP_TRIM)
		return w;
	if (lba * GROUP_BLOCK < r->offset)
		w->edges |= EDGE_FIRST;
	if ((lba + blocks) * GROUP_BLOCK > r->offset + r->len)
		w->edges |= EDGE_LAST;
	if (w->edges == (EDGE_FIRST | EDGE_LAST) && blocks == 1)
		w->edges = EDGE_FIRST; /* one block, read once */
	if (w->edges) {
		w->edge_buf = rt_alloc_blocks((size_t)2 * GROUP_BLOCK);
		if (!w->edge_buf) {
			write_free(w);
			return NULL;
		}
	}
	return w;
}

/* The longest run of blocks under one LSN. */
static uint32_t write_part_max(const struct group_request *r, uint32_t blocks)
{
	uint32_t most = r->volume->group->config.max_request / GROUP_BLOCK;

	if (r->kind != GROUP_WRITE || r->len <= r->volume->group->config.max_request)
		return blocks; /* atomic, with its unaligned edges */
	return most;
}

void write_submit(struct group_request *r)
{
	struct request_state *s = request_state(r);
	struct group *g = r->volume->group;
	uint64_t lba = r->offset / GROUP_BLOCK;
	uint64_t end = (r->offset + r->len + GROUP_BLOCK - 1) / GROUP_BLOCK;
	struct rt_list made, *link;

	/* Only whole blocks can be given back; behind the volume's end there is nothing. */
	if (r->kind == GROUP_TRIM) {
		lba = (r->offset + GROUP_BLOCK - 1) / GROUP_BLOCK;
		if (r->offset + r->len < r->volume->size)
			end = (r->offset + r->len) / GROUP_BLOCK;
		if (lba >= end) {
			request_end(r, 0);
			return;
		}
	}
	rt_list_init(&made);
	while (lba < end) {
		uint32_t blocks = (uint32_t)(end - lba), most = write_part_max(r, blocks);
		struct write *w = write_new(r, lba, blocks < most ? blocks : most);

		if (!w)
			goto fail;
		rt_list_push_back(&made, &w->link);
		s->parts++;
		s->unwritten++;
		lba += w->blocks;
	}
	while ((link = rt_list_pop(&made)))
		rt_list_push_back(&g->writes.waiting, link);
	group_wake(g);
	return;
fail:
	while ((link = rt_list_pop(&made)))
		write_free(write_of(link));
	request_end(r, -ENOMEM);
}

/* Waits, reads its edges where it has any, waits again, is admitted. */
static void write_set_state(struct write *w, enum write_state state)
{
	rt_assert(w->state != WRITE_ADMITTED);
	rt_assert((w->state == WRITE_READING) == (state == WRITE_WAITING));
	w->state = state;
}

/* ---- range locks ------------------------------------------------------------------------ */

static bool write_locks_block(const struct write *w, uint64_t lba, uint32_t blocks)
{
	uint64_t last = w->lba + w->blocks - 1;

	if ((w->edges & EDGE_FIRST) && w->lba >= lba && w->lba - lba < blocks)
		return true;
	return (w->edges & EDGE_LAST) && last >= lba && last - lba < blocks;
}

/* Somebody else is between the reading and the writing of a block that w touches. */
static bool write_is_blocked(const struct write *w)
{
	const struct rt_list *head = &w->group->writes.locks;

	if (RT_BUG(UNALIGNED_NO_LOCK))
		return false;
	for (const struct rt_list *at = head->next; at != head; at = at->next) {
		const struct write *other = rt_container_of(at, struct write, lock_link);

		if (other != w && other->volume == w->volume &&
		    write_locks_block(other, w->lba, w->blocks))
			return true;
	}
	return false;
}

static void write_part_over(struct write *w, int res)
{
	struct group_request *r = w->req;

	if (res < 0 && w->state == WRITE_ADMITTED && !w->appended &&
	    !RT_BUG(MEMORY_BACK_EARLY)) {
		w->end_res = res; /* the client's memory is still with the log */
		return;
	}
	rt_list_remove(&w->link);
	rt_list_remove(&w->lock_link);
	w->replied = true;
	request_state(r)->unwritten -= !w->appended;
	request_part_done(r, res, res == 0 ? w->append.lsn : 0);
	if (w->state != WRITE_ADMITTED || w->appended)
		write_free(w);
}

/* Put the old bytes around the new ones. */
static void write_merge(struct write *w)
{
	const struct group_request *r = w->req;
	uint64_t start = w->lba * GROUP_BLOCK,
		 end = start + (uint64_t)w->blocks * GROUP_BLOCK;
	uint64_t req_end = r->offset + r->len;
	size_t head = r->offset > start ? (size_t)(r->offset - start) : 0;
	size_t tail = end > req_end ? (size_t)(end - req_end) : 0;
	uint8_t *first = w->edge_buf;
	uint8_t *last = w->blocks == 1 ? first : w->edge_buf + GROUP_BLOCK;

	if (r->kind == GROUP_WRITE) {
		memcpy(w->data, first, head);
		memcpy(w->data + (end - start) - tail, last + GROUP_BLOCK - tail, tail);
		return;
	}
	if (w->blocks == 1) {
		memset(first + head, 0, GROUP_BLOCK - head - tail);
		return;
	}
	if (w->edges & EDGE_FIRST)
		memset(first + head, 0, GROUP_BLOCK - head);
	if (w->edges & EDGE_LAST)
		memset(last, 0, GROUP_BLOCK - tail);
}

static void write_edges_done(struct write *w)
{
	struct group *g = w->group;

	write_set_state(w, WRITE_WAITING);
	if (w->edge_err < 0) {
		write_part_over(w, -EIO);
		group_wake(g);
		return;
	}
	write_merge(w);
	w->edges_read = true;
	rt_list_push_front(&g->writes.waiting, &w->link);
	group_wake(g);
}

static void write_edge_read(struct write *w, const struct lfs_read *read, int res)
{
	if (res < 0) {
		request_say_bad_read(w->req->volume, read, res);
		w->edge_err = res;
	}
	if (--w->reads == 0)
		write_edges_done(w);
}

static void write_first_read(struct lfs_read *read, int res)
{
	write_edge_read(rt_container_of(read, struct write, read[0]), read, res);
}

static void write_last_read(struct lfs_read *read, int res)
{
	write_edge_read(rt_container_of(read, struct write, read[1]), read, res);
}

static void write_read_edges(struct write *w)
{
	struct group *g = w->group;

	write_set_state(w, WRITE_READING);
	rt_list_push_back(&g->writes.locks, &w->lock_link);
	w->reads = (w->edges & EDGE_FIRST ? 1u : 0u) + (w->edges & EDGE_LAST ? 1u : 0u);
	if (w->edges & EDGE_FIRST) {
		w->read[0] = (struct lfs_read){ .volume = w->volume,
						.lba = w->lba,
						.blocks = 1,
						.buf = w->edge_buf,
						.done = write_first_read };
		lfs_read(g->lfs, &w->read[0]);
	}
	if (w->edges & EDGE_LAST) {
		w->read[1] = (struct lfs_read){ .volume = w->volume,
						.lba = w->lba + w->blocks - 1,
						.blocks = 1,
						.buf = w->edge_buf +
						       (w->blocks == 1 ? 0 : GROUP_BLOCK),
						.done = write_last_read };
		lfs_read(g->lfs, &w->read[1]);
	}
}

/* ---- admission ------------------------------------------------------------------------------ */

static void write_add_op(struct write *w, enum lfs_kind kind, uint64_t lba,
			 uint32_t blocks, const uint8_t *data)
{
	struct lfs_op *op = &w->ops[w->nops];
	uint32_t *crcs = w->crcs;

	if (blocks == 0)
		return;
	*op = (struct lfs_op){
		.kind = kind, .volume = w->volume, .lba = lba, .blocks = blocks
	};
	if (kind == LFS_WRITE) {
		for (unsigned i = 0; i < w->nops; i++)
			crcs += w->ops[i].kind == LFS_WRITE ? w->ops[i].blocks : 0;
		for (uint32_t i = 0; i < blocks; i++)
			crcs[i] = rt_crc32c(data + (size_t)i * GROUP_BLOCK, GROUP_BLOCK);
		op->crcs = crcs;
		op->data = data;
	}
	w->nops++;
}

/* The operations under the write's LSN, with each block's checksum. */
static void write_build(struct write *w)
{
	uint64_t lba = w->lba;
	uint32_t blocks = w->blocks;

	if (w->req->kind == GROUP_WRITE) {
		write_add_op(w, LFS_WRITE, lba, blocks, w->data);
		return;
	}
	if (w->req->kind == GROUP_TRIM) {
		write_add_op(w, LFS_TRIM, lba, blocks, NULL);
		return;
	}
	if (w->edges & EDGE_FIRST) {
		write_add_op(w, LFS_WRITE, lba, 1, w->edge_buf);
		lba++;
		blocks--;
	}
	if (w->edges & EDGE_LAST) {
		blocks--;
		write_add_op(w, LFS_WRITE, lba + blocks, 1,
			     w->edge_buf + (w->blocks == 1 ? 0 : GROUP_BLOCK));
	}
	write_add_op(w, LFS_ZERO, lba, blocks, NULL);
}

/* All of its data are in the log: the client may have the buffer back. */
static bool write_may_release(const struct write *w)
{
	return w->req->released && w->req->kind == GROUP_WRITE &&
	       request_state(w->req)->unwritten == 0;
}

/* From here on the writes that may be released are sent from the log. */
static void write_release(struct group *g)
{
	struct rt_list *head = &g->writes.inflight, *at, *next;

	for (at = head->next; at != head; at = next) {
		struct write *w = write_of(at);
		struct group_request *r = w->req;

		next = at->next;
		if (!write_may_release(w))
			continue;
		rt_list_remove(&w->link);
		rt_list_push_back(&g->writes.released, &w->link);
		if (request_state(r)->released)
			continue; /* another part of it */
		request_state(r)->released = true;
		r->released(r);
	}
}

void group_set_memory_short(struct group *g, bool is_short)
{
	g->writes.memory_short = is_short;
	if (is_short)
		write_release(g);
}

static void write_appended(struct lfs_append *append, int res)
{
	struct write *w = rt_container_of(append, struct write, append);
	struct group *g = w->group;

	w->appended = true;
	if (w->replied) {
		write_free(w);
		group_wake(g);
		return;
	}
	request_state(w->req)->unwritten--;
	if (w->end_res < 0)
		write_part_over(w, w->end_res);
	else if (g->writes.memory_short && res == 0)
		write_release(g);
	group_wake(g); /* a failure of the log is the group's: it ends every waiter */
}

static void write_opened(struct gate_waiter *waiter, int res)
{
	write_part_over(rt_container_of(waiter, struct write, waiter), res);
}

static void write_need(const struct gate_waiter *waiter, struct gate_need *ret)
{
	request_need(rt_container_of(waiter, struct write, waiter)->req, ret);
}

/* Give it its LSN. 0, -EAGAIN to be tried again, or what the request ends with. */
static int write_append(struct write *w)
{
	struct group *g = w->group;
	struct lfs_position end;
	int err;

	if (w->nops == 0)
		write_build(w);
	lfs_position(g->lfs, &end);
	w->append = (struct lfs_append){ .lsn = end.lsn + 1,
					 .ops = w->ops,
					 .nops = w->nops,
					 .wall_ns = rt_wall_ns(g->loop),
					 .done = write_appended };
	w->epoch_id = lfs_epoch_of(lfs_meta(g->lfs), end.lsn + 1)->id;
	w->hash_before = end.hash;
	err = lfs_append(g->lfs, &w->append);
	if (err < 0)
		return err;
	write_set_state(w, WRITE_ADMITTED);
	rt_list_remove(&w->lock_link);
	rt_list_remove(&w->link);
	rt_list_push_back(&g->writes.inflight, &w->link);
	exposure_add(&g->backlog.exposure, w->append.lsn, lfs_ops_bytes(w->ops, w->nops),
		     rt_now(g->loop));
	w->waiter = (struct gate_waiter){ .lsn = w->append.lsn,
					  .since = rt_now(g->loop),
					  .need = write_need,
					  .opened = write_opened };
	gate_wait(&g->gate, &w->waiter);
	return 0;
}

static void write_refused(struct write *w, int err)
{
	struct group *g = w->group;

	group_log_refused(g, err);
	if (request_state(w->req)->res == 0) /* another part says no more */
		log_room_count(&g->log_room, err);
	write_part_over(w, err);
}

/* Move one waiting write on. False when the log takes nothing now. */
static bool write_advance(struct write *w)
{
	struct group *g = w->group;
	int err;

	if (!w->edges_read && write_is_blocked(w))
		return true;
	if (w->edges && !w->edges_read) {
		rt_list_remove(&w->link);
		write_read_edges(w);
		return true;
	}
	err = write_append(w);
	if (err == -EAGAIN) {
		g->writes.log_full = true;
		return false;
	}
	if (err < 0)
		write_refused(w, err);
	return true;
}

void write_retry(struct group *g)
{
	struct rt_list *at, *next;

	for (at = g->writes.waiting.next; at != &g->writes.waiting && !g->writes.log_full;
	     at = next) {
		next = at->next;
		if (!write_advance(write_of(at)))
			return;
	}
}

void write_fail_waiting(struct group *g, int err)
{
	struct rt_list *link;

	while ((link = rt_list_pop(&g->writes.waiting)))
		write_part_over(write_of(link), err);
}

/* ---- for shipping ------------------------------------------------------------------------------ */

struct write *write_find(struct group *g, uint64_t lsn)
{
	if (rt_list_empty(&g->writes.inflight) ||
	    write_of(g->writes.inflight.next)->append.lsn > lsn)
		return NULL;
	for (struct rt_list *at = g->writes.inflight.prev; at != &g->writes.inflight;
	     at = at->prev) {
		struct write *w = write_of(at);

		if (w->append.lsn == lsn)
			return w;
		if (w->append.lsn < lsn)
			break;
	}
	return NULL;
}

struct write *write_after(struct group *g, struct write *w)
{
	struct rt_list *next = w->link.next;

	return next == &g->writes.inflight ? NULL : write_of(next);
}

void write_record(const struct write *w, struct record *ret)
{
	*ret = (struct record){ .epoch_id = w->epoch_id,
				.lsn = w->append.lsn,
				.hash_before = w->hash_before,
				.wall_ns = w->append.wall_ns,
				.ops = w->ops,
				.nops = w->nops };
}
