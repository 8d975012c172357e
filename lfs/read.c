// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "lfs/open_store.h"
#include "rt/check.h"
#include "rt/crc.h"
#include "rt/mem.h"

/*
 * Verified reads: from the memory of what is admitted, from nowhere (zeros), or from the
 * disk in runs of neighbouring blocks. Checksums are taken from the map when a run is
 * asked for, so that a later write to the block changes nothing.
 */

/* Behind lfs_read.impl. */
struct read_impl {
	struct rt_list link;
	uint32_t next; /* the first block not looked at yet */
	uint32_t out;  /* runs in flight */
	int res;
};
static_assert(sizeof(struct read_impl) <= sizeof(((struct lfs_read *)0)->impl),
	      "fits into impl");

static struct read_impl *impl_of(struct lfs_read *r)
{
	return (struct read_impl *)(void *)r->impl;
}

static struct lfs_read *read_of(struct rt_list *link)
{
	return (struct lfs_read *)(void *)((char *)link -
					   offsetof(struct lfs_read, impl));
}

/* The first block that is bad decides. `disk_err`: 0 where only its checksum is wrong. */
static void read_bad(struct lfs *lfs, struct lfs_read *r, uint64_t lba, int disk_err)
{
	struct read_impl *impl = impl_of(r);

	if (disk_err)
		lfs->figures.read_errors++;
	else
		lfs->figures.checksum_errors++;
	if (!impl->res || lba < r->bad_lba) {
		impl->res = disk_err ? -EIO : -EBADMSG;
		r->bad_lba = lba;
		r->disk_err = disk_err;
	}
}

static void read_block_check(struct lfs *lfs, struct lfs_read *r, uint64_t lba,
			     uint32_t crc)
{
	if (rt_crc32c(r->buf + (lba - r->lba) * LFS_BLOCK, LFS_BLOCK) != crc)
		read_bad(lfs, r, lba, 0);
}

/* ---- runs ------------------------------------------------------------------------------------ */

static void run_done(struct rt_op *op, int res);

static void run_read(struct lfs_run *run)
{
	run->op.done = run_done;
	rt_read(run->lfs->file, &run->op, run->buf + run->done,
		(size_t)run->blocks * LFS_BLOCK - run->done, run->off + run->done);
}

static void read_end(struct lfs *lfs, struct lfs_read *r)
{
	lfs->reader.active--;
	r->done(r, impl_of(r)->res);
}

static void run_done(struct rt_op *op, int res)
{
	struct lfs_run *run = rt_container_of(op, struct lfs_run, op);
	struct lfs_read *r = run->read;
	struct lfs *lfs = run->lfs;

	if (res > 0) {
		run->done += (uint32_t)res;
		if (run->done < run->blocks * LFS_BLOCK) {
			run_read(run); /* a short read is not an error */
			return;
		}
		for (uint32_t i = 0; i < run->blocks; i++)
			read_block_check(lfs, r, run->lba + i, run->crcs[i]);
	} else {
		/* The end of the file is an error, too: the block was there. */
		read_bad(lfs, r, run->lba + run->done / LFS_BLOCK, res ? res : -ENODATA);
	}
	rt_list_push_back(&lfs->reader.free, &run->link);
	impl_of(r)->out--;
	if (!impl_of(r)->out && impl_of(r)->next == r->blocks)
		read_end(lfs, r);
	lfs_advance(lfs);
}

/* ---- from the first block to the last --------------------------------------------------------- */

/* A block that needs no disk. False: it lies at *ret_place. */
static bool read_block_here(struct lfs *lfs, struct lfs_read *r, uint32_t i,
			    uint32_t *ret_pba, uint32_t *ret_crc)
{
	uint8_t *to = r->buf + (size_t)i * LFS_BLOCK;
	const uint8_t *data;
	uint32_t crc;

	switch (lfs_write_buffer_get(&lfs->admission.write_buffer, r->volume, r->lba + i,
				     &data, &crc)) {
	case LFS_SEEN_DATA:
		memcpy(to, data, LFS_BLOCK);
		read_block_check(lfs, r, r->lba + i, crc);
		return true;
	case LFS_SEEN_ZERO:
		memset(to, 0, LFS_BLOCK);
		return true;
	case LFS_SEEN_NOT:
		break;
	}
	*ret_pba = lfs_map_get(&lfs->map, r->volume, r->lba + i, ret_crc);
	if (*ret_pba)
		return false;
	memset(to, 0, LFS_BLOCK);
	return true;
}

static void run_submit(struct lfs_run *run, struct lfs_read *r, uint32_t pba)
{
	impl_of(r)->out++;
	run->off = (uint64_t)pba * LFS_BLOCK;
	run->done = 0;
	run_read(run);
}

/* Ask for all that can be asked for. False: the runs are used up. */
static bool read_go(struct lfs *lfs, struct lfs_read *r)
{
	struct read_impl *impl = impl_of(r);
	struct lfs_run *run = NULL;
	uint32_t first = 0;

	for (; impl->next < r->blocks && !impl->res; impl->next++) {
		uint32_t pba, crc;
		bool here = read_block_here(lfs, r, impl->next, &pba, &crc);

		if (run &&
		    (here || pba != first + run->blocks || run->blocks == LFS_READ_RUN)) {
			run_submit(run, r, first);
			run = NULL;
		}
		if (here)
			continue;
		if (!run) {
			struct rt_list *l = rt_list_pop(&lfs->reader.free);

			if (!l)
				return false;
			run = rt_container_of(l, struct lfs_run, link);
			run->read = r;
			run->buf = r->buf + (size_t)impl->next * LFS_BLOCK;
			run->lba = r->lba + impl->next;
			run->blocks = 0;
			first = pba;
		}
		run->crcs[run->blocks++] = crc;
	}
	if (run)
		run_submit(run, r, first);
	impl->next = r->blocks;
	return true;
}

int lfs_read_init(struct lfs *lfs)
{
	struct lfs_reader *rd = &lfs->reader;

	rt_list_init(&rd->free);
	rt_list_init(&rd->waiting);
	rt_list_init(&rd->ready);
	rd->runs = rt_zalloc(LFS_READS_MAX, sizeof(*rd->runs));
	if (!rd->runs)
		return -ENOMEM;
	for (unsigned i = 0; i < LFS_READS_MAX; i++) {
		rd->runs[i].lfs = lfs;
		rt_list_push_back(&rd->free, &rd->runs[i].link);
	}
	return 0;
}

void lfs_read_advance(struct lfs *lfs)
{
	struct lfs_reader *rd = &lfs->reader;
	struct rt_list mine, *l;

	while (!rt_list_empty(&rd->waiting) && !rt_list_empty(&rd->free)) {
		struct lfs_read *r = read_of(rd->waiting.next);

		if (!read_go(lfs, r))
			break;
		rt_list_remove(rd->waiting.next);
		if (!impl_of(r)->out)
			rt_list_push_back(&rd->ready, &impl_of(r)->link);
	}
	rt_list_init(&mine);
	while ((l = rt_list_pop(&rd->ready)) != NULL)
		rt_list_push_back(&mine, l);
	while ((l = rt_list_pop(&mine)) != NULL)
		read_end(lfs, read_of(l));
}

void lfs_read(struct lfs *lfs, struct lfs_read *r)
{
	uint32_t max = lfs_data_max(lfs->meta.max_request) / LFS_BLOCK;
	struct read_impl *impl = impl_of(r);

	rt_assert(!lfs_closing(&lfs->closing) && !lfs->opening);
	rt_assert(r->blocks <= (max > 256 ? max : 256));
	rt_assert(lfs_map_has(&lfs->map, r->volume, r->lba, r->blocks));
	*impl = (struct read_impl){ 0 };
	r->bad_lba = 0;
	lfs->reader.active++;
	if (!rt_list_empty(&lfs->reader.waiting) || !read_go(lfs, r)) {
		rt_list_push_back(&lfs->reader.waiting, &impl->link);
	} else if (!impl->out) {
		rt_list_push_back(&lfs->reader.ready, &impl->link);
		lfs_schedule(lfs);
	}
}
