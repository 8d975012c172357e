// SPDX-License-Identifier: BSD-3-Clause
#include "lfs/scan.h"

#include <errno.h>

#include "rt/check.h"
#include "rt/crc.h"
#include "rt/mem.h"

/* A window of at least this many blocks, so that small records come many at a time. */
#define WINDOW_MIN 256u

int lfs_scan_init(struct lfs_scan *s, struct rt_file *file,
		  const struct lfs_segments *segs)
{
	uint32_t data = lfs_record_data_max(segs->blocks);

	*s = (struct lfs_scan){ .file = file, .segs = segs };
	s->capacity =
		data + lfs_record_head_blocks(LFS_RECORD_DESCS_MAX, data) + WINDOW_MIN;
	if (s->capacity > segs->blocks)
		s->capacity = segs->blocks;
	s->buf = rt_alloc_blocks((size_t)s->capacity * LFS_BLOCK);
	s->segment = LFS_SEGMENT_NONE;
	return s->buf ? 0 : -ENOMEM;
}

void lfs_scan_release(struct lfs_scan *s)
{
	rt_free(s->buf);
	s->buf = NULL;
}

static void scan_window_loaded(struct rt_op *op, int res);

static void scan_window_load(struct lfs_scan *s)
{
	uint64_t pba = lfs_segments_pba(s->segs, s->segment, s->block);

	s->op.done = scan_window_loaded;
	rt_read(s->file, &s->op, s->buf + s->got, (size_t)s->want * LFS_BLOCK - s->got,
		pba * LFS_BLOCK + s->got);
}

static void scan_window_loaded(struct rt_op *op, int res)
{
	struct lfs_scan *s = rt_container_of(op, struct lfs_scan, op);

	if (res <= 0) {
		/* The file is as long as its geometry, so its end is an error too. */
		s->segment = LFS_SEGMENT_NONE;
		s->loaded(s, -EIO);
		return;
	}
	s->got += (uint32_t)res;
	if (s->got < s->want * LFS_BLOCK) {
		scan_window_load(s);
		return;
	}
	s->have = s->want;
	s->loaded(s, 0);
}

void lfs_scan_load(struct lfs_scan *s, uint32_t segment, uint32_t block, uint32_t end)
{
	rt_assert(segment < s->segs->n && block < end && end <= s->segs->blocks);
	s->segment = segment;
	s->block = block;
	s->have = 0;
	s->want = end - block < s->capacity ? end - block : s->capacity;
	s->got = 0;
	scan_window_load(s);
}

const uint8_t *lfs_scan_block(const struct lfs_scan *s, uint32_t block)
{
	if (block < s->block || block - s->block >= s->have)
		return NULL;
	return s->buf + (size_t)(block - s->block) * LFS_BLOCK;
}

/* What is not in the window: is it further on, or nowhere? */
static int scan_record_beyond(const struct lfs_scan *s, uint32_t block, uint32_t end,
			      uint64_t blocks)
{
	return blocks <= end - block && blocks <= s->capacity && block > s->block
		       ? -ENODATA
		       : -EBADMSG;
}

int lfs_scan_record(const struct lfs_scan *s, uint32_t block, uint32_t end,
		    struct lfs_scanned *ret)
{
	const uint8_t *area = lfs_scan_block(s, block);
	uint32_t left, head, crc;
	int res;

	if (!area)
		return block < end ? -ENODATA : -EBADMSG;
	left = s->block + s->have - block;
	res = lfs_record_decode(area, (size_t)left * LFS_BLOCK, &ret->rec, &head);
	if (res == -EMSGSIZE)
		return scan_record_beyond(s, block, end, head);
	if (res)
		return -EBADMSG;
	if (head + (uint64_t)ret->rec.nblocks > left)
		return scan_record_beyond(s, block, end,
					  head + (uint64_t)ret->rec.nblocks);
	ret->area = area;
	ret->data = area + (size_t)head * LFS_BLOCK;
	ret->next = block + head + ret->rec.nblocks;
	/* Nobody reads other blocks by way of the log: a bad one does not end it. */
	if (ret->rec.kind != LFS_RECORD_CLIENT)
		return 0;
	for (uint32_t i = 0; i < ret->rec.nblocks; i++) {
		lfs_record_get_crcs(area, ret->rec.ndescs, i, &crc, 1);
		if (rt_crc32c(ret->data + (size_t)i * LFS_BLOCK, LFS_BLOCK) != crc)
			return -EBADMSG;
	}
	return 0;
}

unsigned lfs_scan_lsn(const struct lfs_scanned *r, uint32_t *desc, uint32_t *block,
		      struct lfs_op *ops, uint32_t *crcs, int64_t *wall_ns)
{
	uint32_t at = 0;
	unsigned n = 0;
	struct lfs_desc d;

	do {
		lfs_record_get_desc(r->area, (*desc)++, &d);
		ops[n] = (struct lfs_op){
			.kind = (enum lfs_kind)d.kind,
			.volume = d.volume,
			.lba = d.lba,
			.blocks = d.blocks,
		};
		if (d.kind == LFS_DESC_WRITE) {
			lfs_record_get_crcs(r->area, r->rec.ndescs, *block, crcs + at,
					    d.blocks);
			ops[n].crcs = crcs + at;
			ops[n].data = r->data + (size_t)*block * LFS_BLOCK;
			at += d.blocks;
			*block += d.blocks;
		}
		n++;
		/* The decoder saw to it that each LSN ends, within LFS_OPS_MAX. */
	} while (!d.last);
	*wall_ns = d.wall_ns;
	return n;
}
