// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>

#include "lfs/open_store.h"
#include "lfs/scan.h"
#include "rt/check.h"
#include "rt/mem.h"

/*
 * Reads what the log holds, LSN by LSN. It knows where each segment ends, so
 * that it never meets what a crash left behind there; everything is checked again.
 */

struct lfs_log_reader {
	struct lfs *lfs;		     /* borrowed */
	struct lfs_log_reader_next *next_op; /* borrowed while in flight */
	struct rt_op op;
	int res;
	uint64_t lsn;	 /* the next one */
	uint64_t hash;	 /* before it, once `begun`, */
	uint64_t bytes;	 /* and the data of all LSNs before it */
	bool begun;
	bool positioned; /* segment and block are known */
	uint32_t segment, block;
	uint64_t generation;
	/* the record that is being handed out */
	bool in_record;
	struct lfs_scanned rec;
	uint32_t desc, data;
	struct lfs_op *ops; /* owned */
	uint32_t *crcs;	    /* owned */
	struct lfs_scan scan;
};

static void reader_advance(struct lfs_log_reader *f);

/* The oldest segment that holds `lsn` or what comes after it. */
static uint32_t reader_segment_with(const struct lfs_segments *segs, uint64_t lsn)
{
	uint32_t best = LFS_SEGMENT_NONE;

	for (uint32_t i = 0; i < segs->n; i++) {
		const struct lfs_segment *s = &segs->s[i];

		if (!lfs_segment_in_use(s) || s->last_lsn < lsn ||
		    s->last_lsn < s->first_lsn)
			continue;
		if (best == LFS_SEGMENT_NONE || s->generation < segs->s[best].generation)
			best = i;
	}
	return best;
}

int lfs_log_reader_new(struct lfs *lfs, uint64_t from, struct lfs_log_reader **ret)
{
	struct lfs_log_reader *f;
	uint32_t segment = reader_segment_with(&lfs->segs, from);

	rt_assert(from >= 1 && !lfs_closing(&lfs->closing) && !lfs->opening);
	if (from > lfs->head.applied.lsn + 1)
		return -ENOENT;
	if (from <= lfs->head.applied.lsn &&
	    (segment == LFS_SEGMENT_NONE || lfs->segs.s[segment].first_lsn > from))
		return -ENOENT;
	f = rt_zalloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->lfs = lfs;
	f->lsn = from;
	f->ops = rt_zalloc(LFS_OPS_MAX, sizeof(*f->ops));
	f->crcs = rt_zalloc(LFS_RECORD_BLOCKS_MAX, sizeof(*f->crcs));
	if (!f->ops || !f->crcs || lfs_scan_init(&f->scan, lfs->file, &lfs->segs)) {
		rt_free(f->ops);
		rt_free(f->crcs);
		rt_free(f);
		return -ENOMEM;
	}
	lfs->log_readers++;
	*ret = f;
	return 0;
}

void lfs_log_reader_free(struct lfs_log_reader *f)
{
	if (!f)
		return;
	rt_assert(!f->next_op);
	f->lfs->log_readers--;
	lfs_scan_release(&f->scan);
	rt_free(f->ops);
	rt_free(f->crcs);
	rt_free(f);
}

/* ---- one answer ---------------------------------------------------------------------------------- */

static void reader_answer(struct lfs_log_reader *f, int res)
{
	struct lfs_log_reader_next *n = f->next_op;

	f->next_op = NULL;
	if (res == -EBADMSG)
		f->lfs->figures.checksum_errors++;
	else if (res == -EIO)
		f->lfs->figures.read_errors++;
	n->done(n, res);
}

static void reader_entry_fill(struct lfs_log_reader *f)
{
	struct lfs_entry *e = &f->next_op->entry;

	e->epoch_id = f->rec.rec.epoch_id;
	e->lsn = f->lsn;
	e->hash_before = f->hash;
	e->bytes_before = f->bytes;
	e->ops = f->ops;
	e->nops = lfs_scan_lsn(&f->rec, &f->desc, &f->data, f->ops, f->crcs, &e->wall_ns);
	e->hash_after = lfs_history_next(f->hash, e->epoch_id, e->ops, e->nops);
	f->hash = e->hash_after;
	f->bytes += lfs_ops_bytes(e->ops, e->nops);
	f->lsn++;
	if (f->desc == f->rec.rec.ndescs)
		f->in_record = false;
}

/* Skip to the LSN that the reader begins with, inside the record that holds it. */
static void reader_record_skip(struct lfs_log_reader *f, uint64_t from)
{
	while (f->lsn < from) {
		int64_t wall_ns;
		unsigned n = lfs_scan_lsn(&f->rec, &f->desc, &f->data, f->ops, f->crcs,
					  &wall_ns);

		f->hash = lfs_history_next(f->hash, f->rec.rec.epoch_id, f->ops, n);
		f->bytes += lfs_ops_bytes(f->ops, n);
		f->lsn++;
	}
}

/* ---- records --------------------------------------------------------------------------------------- */

static void reader_scan_loaded(struct lfs_scan *s, int res)
{
	struct lfs_log_reader *f = rt_container_of(s, struct lfs_log_reader, scan);

	if (res)
		reader_answer(f, res);
	else
		reader_advance(f);
}

/* A valid record of ours: is it a new one, of the LSNs that come next? */
static int reader_record_take(struct lfs_log_reader *f)
{
	const struct lfs_record *rec = &f->rec.rec;
	uint64_t from = f->lsn;
	bool first = !f->begun;

	if (rec->address != lfs_segments_pba(&f->lfs->segs, f->segment, f->block) ||
	    rec->generation != f->generation)
		return -EBADMSG;
	f->block = f->rec.next;
	if (rec->kind != LFS_RECORD_CLIENT || rec->last_lsn < from)
		return 0;
	if (rec->first_lsn > from ||
	    (!first && (rec->first_lsn != from || rec->hash_before != f->hash ||
			rec->bytes_before != f->bytes)))
		return -EBADMSG;
	f->in_record = true;
	f->begun = true;
	f->desc = 0;
	f->data = 0;
	f->hash = rec->hash_before;
	f->bytes = rec->bytes_before;
	f->lsn = rec->first_lsn;
	reader_record_skip(f, from);
	return 0;
}

/* Find segment and block of the next record. False: the segment table is wrong. */
static bool reader_position(struct lfs_log_reader *f)
{
	struct lfs_segments *segs = &f->lfs->segs;

	if (f->positioned && f->segment != LFS_SEGMENT_NONE &&
	    f->block < segs->s[f->segment].end)
		return true;
	f->segment = reader_segment_with(segs, f->lsn);
	if (f->segment == LFS_SEGMENT_NONE)
		return false;
	if (!f->positioned || segs->s[f->segment].generation != f->generation) {
		f->positioned = true;
		f->generation = segs->s[f->segment].generation;
		f->block = 1;
		f->scan.segment = LFS_SEGMENT_NONE;
	}
	return f->block < segs->s[f->segment].end;
}

static void reader_advance(struct lfs_log_reader *f)
{
	while (!f->in_record) {
		uint32_t end;
		int res;

		if (f->lsn > f->lfs->head.applied.lsn) {
			reader_answer(f, -ENODATA);
			return;
		}
		if (!reader_position(f)) {
			reader_answer(f, -EBADMSG);
			return;
		}
		end = f->lfs->segs.s[f->segment].end;
		res = f->scan.segment == f->segment
			      ? lfs_scan_record(&f->scan, f->block, end, &f->rec)
			      : -ENODATA;
		if (res == -ENODATA) {
			f->scan.loaded = reader_scan_loaded;
			lfs_scan_load(&f->scan, f->segment, f->block, end);
			return;
		}
		if (!res)
			res = reader_record_take(f);
		if (res) {
			reader_answer(f, res);
			return;
		}
	}
	reader_entry_fill(f);
	reader_answer(f, 0);
}

static void reader_deferred(struct rt_op *op, int res)
{
	(void)res;
	reader_advance(rt_container_of(op, struct lfs_log_reader, op));
}

void lfs_log_reader_next(struct lfs_log_reader *f, struct lfs_log_reader_next *n)
{
	rt_assert(!f->next_op && !lfs_closing(&f->lfs->closing));
	f->next_op = n;
	f->op.done = reader_deferred;
	rt_defer(f->lfs->loop, &f->op);
}
