// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "lfs/open_store.h"
#include "rt/bug.h"
#include "rt/check.h"
#include "rt/crc.h"
#include "rt/mem.h"

/*
 * An in-flight record: it gets an address at the end of the log, a head that chains it
 * to the one before, and one writev. The ring is in physical order; map_apply.c takes from
 * its front.
 */

int lfs_head_init(struct lfs_head *head, struct lfs *lfs, enum lfs_head_kind kind)
{
	uint32_t data = lfs_record_data_max(lfs->segs.blocks);
	size_t area = (size_t)(1 + lfs_record_head_blocks(LFS_RECORD_DESCS_MAX, data)) *
		      LFS_BLOCK;
	uint32_t summary_blocks = lfs_summary_blocks(lfs->segs.blocks);
	size_t summary = (size_t)summary_blocks * LFS_BLOCK;

	head->lfs = lfs;
	head->kind = kind;
	head->seal_blocks = lfs_seal_blocks(lfs->segs.blocks);
	for (unsigned i = 0; i < LFS_RECORDS_IN_FLIGHT; i++) {
		struct lfs_inflight *f = &head->inflight[i];

		f->head = head;
		rt_list_init(&f->appends);
		rt_list_init(&f->in_map);
		f->area = rt_alloc_blocks(area);
		f->iov = rt_zalloc(LFS_RECORD_DESCS_MAX + 1, sizeof(*f->iov));
		head->spare[i] = rt_alloc_blocks(summary);
		head->nspare = i + 1;
		if (!f->area || !f->iov || !head->spare[i])
			return -ENOMEM;
	}
	head->summary = rt_alloc_blocks(summary);
	return head->summary ? 0 : -ENOMEM;
}

void lfs_head_release(struct lfs_head *head)
{
	for (unsigned i = 0; i < LFS_RECORDS_IN_FLIGHT; i++) {
		rt_assert(!head->inflight[i].busy);
		rt_free(head->inflight[i].summary);
		rt_free(head->inflight[i].area);
		rt_free(head->inflight[i].iov);
	}
	for (unsigned i = 0; i < head->nspare; i++)
		rt_free(head->spare[i]);
	rt_free(head->summary);
}

/* With LFS_SEGMENT_NONE no segment is left at all. */
uint32_t lfs_inflight_room(const struct lfs_head *head)
{
	uint32_t block = head->built.block ? head->built.block : 1;

	if (head->built.segment == LFS_SEGMENT_NONE)
		return 0;
	return head->lfs->segs.blocks - head->seal_blocks - block;
}

static struct lfs_inflight *inflight_next(struct lfs_head *head)
{
	if (head->ninflight == LFS_RECORDS_IN_FLIGHT || head->lfs->failed)
		return NULL;
	return &head->inflight[(head->first + head->ninflight) % LFS_RECORDS_IN_FLIGHT];
}

void lfs_inflight_pop(struct lfs_head *head)
{
	struct lfs_inflight *f = lfs_inflight_front(head);

	f->busy = false;
	f->niov = 0;
	head->first = (head->first + 1) % LFS_RECORDS_IN_FLIGHT;
	head->ninflight--;
}

/* ---- the segment being filled ---------------------------------------------------------- */

/* Take head->built.segment into use; its header goes out with the first record. */
static void head_segment_open(struct lfs_head *head, struct lfs_inflight *f)
{
	struct lfs *lfs = head->lfs;
	struct lfs_tail *t = &head->built;
	struct lfs_segment_info info = {
		.number = t->segment,
		.kind = head->kind,
		.prev_crc = t->chain,
		.incarnation = lfs->incarnation,
		.first_lsn = t->lsn + 1,
		.first_seq = t->seq + 1,
	};

	/* Never given twice: the incarnation was durable before anything else. */
	t->generation = lfs->incarnation << 32 | ++lfs->generations;
	info.generation = t->generation;
	lfs_segments_open(&lfs->segs, t->segment, &info);
	/* The log is followed from header to header, nothing else is. */
	head->next = head->kind == LFS_HEAD_CLIENT
			     ? lfs_segments_reserve(&lfs->segs, t->segment)
			     : LFS_SEGMENT_NONE;
	info.next = head->next;
	memcpy(info.store, lfs->superblock.current.store, LFS_ID_LEN);
	rt_random(lfs->loop, &info.seed, sizeof(info.seed));
	lfs_segment_encode(f->area, &info);
	t->chain = info.seed;
	t->block = 1;
	memset(head->summary, 0xff,
	       (size_t)lfs_summary_blocks(lfs->segs.blocks) * LFS_BLOCK);
}

void lfs_head_note_block(struct lfs_head *head, uint32_t pba,
			 const struct lfs_summary_item *item)
{
	const struct lfs_segments *segs = &head->lfs->segs;

	lfs_summary_put(head->summary, (pba - segs->base) % segs->blocks - 1, item);
}

/* The segment summary is the last record of a segment; the head goes on in the next. */
static void head_segment_seal(struct lfs_head *head)
{
	uint32_t blocks = head->lfs->segs.blocks;
	uint32_t nblocks = lfs_summary_blocks(blocks);
	struct lfs_inflight *f = inflight_next(head);
	struct lfs_desc desc = {
		.kind = LFS_DESC_SUMMARY,
		.lba = blocks - 1,
		.blocks = nblocks,
	};

	f->kind = LFS_RECORD_SEAL;
	f->summary = head->summary;
	head->summary = head->spare[--head->nspare];
	f->ndescs = 1;
	f->nblocks = nblocks;
	lfs_record_put_desc(lfs_inflight_area(f), 0, &desc);
	for (uint32_t i = 0; i < nblocks; i++) {
		uint32_t crc = rt_crc32c(f->summary + (size_t)i * LFS_BLOCK, LFS_BLOCK);

		lfs_record_put_crcs(lfs_inflight_area(f), 1, i, &crc, 1);
	}
	lfs_inflight_data(f, f->summary, (size_t)nblocks * LFS_BLOCK);
	lfs_inflight_submit(f, NULL);
}

struct lfs_inflight *lfs_inflight_get(struct lfs_head *head, enum lfs_record_kind kind,
				      uint32_t need)
{
	struct lfs_inflight *f = inflight_next(head);

	if (!f)
		return NULL;
	if (need > lfs_inflight_room(head) && head->built.block) {
		head_segment_seal(head);
		f = inflight_next(head);
		if (!f)
			return NULL;
	}
	if (head->built.segment == LFS_SEGMENT_NONE && head->kind != LFS_HEAD_CLIENT)
		head->built.segment = lfs_segments_reserve(&head->lfs->segs, 0);
	if (head->built.segment == LFS_SEGMENT_NONE) {
		lfs_fail(head->lfs, -ENOSPC, "no free segment is left for a record");
		return NULL;
	}
	rt_assert(need <= lfs_inflight_room(head));
	f->kind = kind;
	return f;
}

void lfs_inflight_data(struct lfs_inflight *f, const void *data, size_t len)
{
	rt_assert(f->niov <= LFS_RECORD_DESCS_MAX);
	/* The first entry is for the header and the head area. */
	f->niov = f->niov ? f->niov : 1;
	f->iov[f->niov++] = (struct iovec){
		.iov_base = (void *)(uintptr_t)data,
		.iov_len = len,
	};
}

/* ---- the write ---------------------------------------------------------------------------- */

static void inflight_done(struct rt_op *op, int res);

static void inflight_write(struct lfs_inflight *f)
{
	f->op.done = inflight_done;
	rt_writev(f->head->lfs->file, &f->op, f->iov + f->iov_at, f->niov - f->iov_at,
		  f->off);
}

/* A short write is not an error: the rest is written next. */
static void inflight_consume(struct lfs_inflight *f, uint64_t n)
{
	f->off += n;
	f->left -= n;
	while (n) {
		struct iovec *iov = &f->iov[f->iov_at];

		if (n < iov->iov_len) {
			iov->iov_base = (uint8_t *)iov->iov_base + n;
			iov->iov_len -= n;
			return;
		}
		n -= iov->iov_len;
		f->iov_at++;
	}
}

static void inflight_done(struct rt_op *op, int res)
{
	struct lfs_inflight *f = rt_container_of(op, struct lfs_inflight, op);
	struct lfs *lfs = f->head->lfs;

	if (res > 0) {
		lfs->figures.disk_bytes += (uint64_t)res;
		rt_assert((uint64_t)res <= f->left);
		inflight_consume(f, (uint64_t)res);
		if (f->left && !lfs->failed) {
			inflight_write(f);
			return;
		}
	}
	f->written = true;
	if (res <= 0)
		lfs_fail(lfs, res ? res : -EIO,
			 "write of a record at byte %llu failed: %s",
			 (unsigned long long)f->off,
			 res ? strerror(-res) : "nothing written");
	lfs_apply(lfs);
	lfs_advance(lfs);
}

/* The log behind an append. */
static void inflight_tail_follow(const struct lfs *lfs, struct lfs_tail *t,
				 const struct lfs_append *last)
{
	const struct lfs_epoch *epoch = lfs_epoch_of(&lfs->meta, last->lsn);

	t->lsn = last->lsn;
	t->hash = last->hash;
	t->bytes = last->bytes;
	t->wall_ns = last->wall_ns;
	t->epoch = epoch->number;
	t->epoch_id = epoch->id;
}

void lfs_inflight_submit(struct lfs_inflight *f, const struct lfs_append *last)
{
	struct lfs_head *head = f->head;
	struct lfs *lfs = head->lfs;
	struct lfs_tail *t = &head->built;
	uint32_t head_blocks = lfs_record_head_blocks(f->ndescs, f->nblocks);
	bool first = t->block == 0;
	struct lfs_tail before;
	struct lfs_record rec;

	rt_assert(!f->busy);
	if (first)
		head_segment_open(head, f);
	before = *t;
	if (last)
		inflight_tail_follow(lfs, t, last);
	rec = (struct lfs_record){
		.kind = f->kind,
		.prev_crc = t->chain,
		.address = lfs_segments_pba(&lfs->segs, t->segment, t->block),
		.generation = t->generation,
		.incarnation = lfs->incarnation,
		.seq = t->seq + 1,
		.epoch = t->epoch,
		.epoch_id = t->epoch_id,
		.first_lsn = before.lsn + 1,
		.last_lsn = t->lsn,
		.hash_before = before.hash,
		.bytes_before = before.bytes,
		.durable_seq =
			head->kind == LFS_HEAD_CLIENT ? lfs->flusher.durable_seq : 0,
		.wall_ns = (uint64_t)rt_wall_ns(lfs->loop),
		.ndescs = f->ndescs,
		.nblocks = f->nblocks,
	};
	lfs_record_encode(lfs_inflight_area(f), &rec);
	f->niov = f->niov ? f->niov : 1;
	f->iov[0] = (struct iovec){
		.iov_base = first ? f->area : lfs_inflight_area(f),
		.iov_len = (size_t)(head_blocks + first) * LFS_BLOCK,
	};
	f->iov_at = 0;
	f->off = (rec.address - first) * LFS_BLOCK;
	f->left = (uint64_t)(head_blocks + first + f->nblocks) * LFS_BLOCK;
	f->segment = t->segment;
	f->pba = (uint32_t)rec.address + head_blocks;
	f->durable_seq = rec.durable_seq;
	f->op_done = 0;
	f->op_blocks_done = 0;
	t->block += head_blocks + f->nblocks;
	t->seq = rec.seq;
	t->chain = rec.head_crc;
	if (f->kind == LFS_RECORD_SEAL) {
		t->segment = head->next;
		t->block = 0;
	}
	if (head->kind == LFS_HEAD_CLIENT && f->kind != LFS_RECORD_MARKER)
		lfs->flusher.real = rec.seq;
	f->after = *t;
	f->busy = true;
	f->early = false;
	f->written = false;
	head->ninflight++;
	lfs->figures.records++;
	inflight_write(f);
}
