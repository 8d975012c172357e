// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lfs/recover.h"
#include "lfs/why.h"
#include "rt/bug.h"
#include "rt/check.h"
#include "rt/log.h"

/*
 * Read the chain of records from the checkpoint on. Where it breaks, decide: if nothing
 * shows that the missing record had been durable, the log was torn there by a crash, and
 * ends there. If a later record (or the checkpoint) names it as durable, it is damage, and
 * nothing is thrown away.
 */

static void replay_chain_walk(struct lfs_recover *rc);

static void log_loaded(struct lfs_scan *s, int res)
{
	struct lfs_recover *rc = rt_container_of(s, struct lfs_recover, replay.scan);

	if (res) {
		lfs_say(rc->why, "reading the log in segment %u failed",
			rc->replay.load_segment);
		lfs_recover_end(rc, res);
		return;
	}
	rc->replay.loaded(rc);
}

/* Read a segment from `block` on, and go on with `loaded`. */
static void log_load(struct lfs_recover *rc, uint32_t segment, uint32_t block,
		     void (*loaded)(struct lfs_recover *rc))
{
	rc->replay.load_segment = segment;
	rc->replay.loaded = loaded;
	rc->replay.scan.loaded = log_loaded;
	lfs_scan_load(&rc->replay.scan, segment, block, rc->segs->blocks);
}

/* ---- segments -------------------------------------------------------------------------------- */

/* Is this the header of rc->replay.tail.segment, in this store? */
static bool header_here(const struct lfs_recover *rc, const struct lfs_segment_info *info)
{
	return info->number == rc->replay.tail.segment && info->kind == LFS_HEAD_CLIENT &&
	       !memcmp(info->store, rc->superblock->store, LFS_ID_LEN) &&
	       (info->next == LFS_SEGMENT_NONE || info->next < rc->segs->n);
}

/* Does the chain go on in the segment with this header? */
static bool header_follows(const struct lfs_recover *rc,
			   const struct lfs_segment_info *info)
{
	return header_here(rc, info) && info->incarnation == rc->replay.incarnation &&
	       info->generation > rc->replay.tail.generation &&
	       info->first_seq == rc->replay.tail.seq + 1 &&
	       info->prev_crc == rc->replay.tail.chain &&
	       info->first_lsn == rc->replay.tail.lsn + 1;
}

/* The segment is part of the log. -EUCLEAN: the checkpoint says otherwise. */
static int replay_segment_enter(struct lfs_recover *rc,
				const struct lfs_segment_info *info)
{
	struct lfs_segments *segs = rc->segs;
	struct lfs_segment *s = &segs->s[info->number];

	if (lfs_segment_in_use(s) && s->generation != info->generation &&
	    !lfs_segments_disown(segs, info->number)) {
		lfs_say(rc->why,
			"segment %u has generation %llx, the checkpoint says %llx",
			info->number, (unsigned long long)info->generation,
			(unsigned long long)s->generation);
		return -EUCLEAN;
	}
	if (!lfs_segment_in_use(s))
		lfs_segments_open(segs, info->number, info);
	rc->replay.tail.generation = info->generation;
	rc->replay.tail.chain = info->seed;
	rc->replay.tail.block = 1;
	rc->stats.segments++;
	return 0;
}

enum header { HEADER_OK, HEADER_LOAD, HEADER_STOP, HEADER_BAD };

static enum header header_read(struct lfs_recover *rc)
{
	const uint8_t *block = rc->replay.scan.segment == rc->replay.tail.segment
				       ? lfs_scan_block(&rc->replay.scan, 0)
				       : NULL;
	struct lfs_segment_info info;
	bool valid;

	if (!block) {
		log_load(rc, rc->replay.tail.segment, 0, replay_chain_walk);
		return HEADER_LOAD;
	}
	valid = !lfs_segment_decode(block, &info);
	if (rc->replay.tail.block == 0) {
		if (!valid || !header_follows(rc, &info))
			return HEADER_STOP;
		if (replay_segment_enter(rc, &info))
			return HEADER_BAD;
	} else if (!valid || !header_here(rc, &info) ||
		   info.generation != rc->replay.tail.generation ||
		   info.generation != rc->segs->s[rc->replay.tail.segment].generation) {
		lfs_say(rc->why, "the header of segment %u, in use, is damaged",
			rc->replay.tail.segment);
		return HEADER_BAD;
	}
	rc->replay.next = info.next;
	rc->replay.header_read = true;
	return HEADER_OK;
}

/* ---- records ----------------------------------------------------------------------------------- */

/* Is it the one that the chain goes on with? */
static bool replay_record_follows(const struct lfs_recover *rc,
				  const struct lfs_record *rec)
{
	const struct lfs_tail *t = &rc->replay.tail;

	return rec->address == lfs_segments_pba(rc->segs, t->segment, t->block) &&
	       rec->generation == t->generation &&
	       rec->incarnation == rc->replay.incarnation && rec->seq == t->seq + 1 &&
	       (rec->prev_crc == t->chain || RT_BUG(SKIP_CHAIN_CHECK));
}

static int replay_op(struct lfs_recover *rc, const struct lfs_op *op, uint32_t pba,
		     uint64_t lsn)
{
	struct lfs_map *map = rc->map;
	uint32_t budget = UINT32_MAX;
	int ret;

	if (!lfs_map_has(map, op->volume, op->lba, op->blocks)) {
		lfs_say(rc->why,
			"lsn %llu: volume %u block %llu + %u: there are no such blocks",
			(unsigned long long)lsn, op->volume, (unsigned long long)op->lba,
			op->blocks);
		return -EUCLEAN;
	}
	if (op->kind != LFS_WRITE) {
		(void)lfs_map_unmap(map, op->volume, op->lba, op->blocks, lsn, &budget);
		return 0;
	}
	ret = lfs_map_pin(map, op->volume, op->lba, op->blocks);
	if (ret) {
		lfs_recover_map_why(rc, ret);
		return ret;
	}
	lfs_map_set(map, op, pba, lsn);
	lfs_map_unpin(map, op->volume, op->lba, op->blocks);
	return 0;
}

/* Its LSNs into the map, and the history along with them. */
static int replay_client(struct lfs_recover *rc, const struct lfs_scanned *r)
{
	struct lfs_tail *t = &rc->replay.tail;
	uint32_t desc = 0, block = 0;
	uint32_t pba = (uint32_t)(r->rec.address + (r->next - t->block) - r->rec.nblocks);

	if (r->rec.first_lsn != t->lsn + 1 || r->rec.hash_before != t->hash ||
	    r->rec.bytes_before != t->bytes) {
		lfs_say(rc->why,
			"record %llu at block %llu: lsn %llu does not continue lsn %llu",
			(unsigned long long)r->rec.seq,
			(unsigned long long)r->rec.address,
			(unsigned long long)r->rec.first_lsn, (unsigned long long)t->lsn);
		return -EUCLEAN;
	}
	while (desc < r->rec.ndescs) {
		uint32_t at = pba + block;
		unsigned n = lfs_scan_lsn(r, &desc, &block, rc->replay.ops,
					  rc->replay.crcs, &t->wall_ns);

		t->lsn++;
		t->bytes += lfs_ops_bytes(rc->replay.ops, n);
		t->hash = lfs_history_next(t->hash, r->rec.epoch_id, rc->replay.ops, n);
		for (unsigned i = 0; i < n; i++) {
			int ret = replay_op(rc, &rc->replay.ops[i], at, t->lsn);

			if (ret)
				return ret;
			if (rc->replay.ops[i].kind == LFS_WRITE)
				at += rc->replay.ops[i].blocks;
		}
	}
	t->epoch = r->rec.epoch;
	t->epoch_id = r->rec.epoch_id;
	return 0;
}

static int record_replay(struct lfs_recover *rc, const struct lfs_scanned *r)
{
	struct lfs_tail *t = &rc->replay.tail;
	struct lfs_segment *s = &rc->segs->s[t->segment];

	if (r->rec.kind == LFS_RECORD_CLIENT) {
		int ret = replay_client(rc, r);

		if (ret)
			return ret;
	}
	rc->stats.records++;
	rc->stats.bytes += (uint64_t)(r->next - t->block) * LFS_BLOCK;
	t->seq = r->rec.seq;
	t->chain = r->rec.head_crc;
	t->block = r->next;
	s->end = r->next;
	s->last_lsn = t->lsn;
	if (r->rec.kind == LFS_RECORD_SEAL) {
		if (s->state != LFS_SEGMENT_SEALED)
			lfs_segment_set_state(rc->segs, t->segment, LFS_SEGMENT_SEALED);
		t->segment = rc->replay.next;
		t->block = 0;
		rc->replay.header_read = false;
	}
	return 0;
}

/* ---- the end -------------------------------------------------------------------------------------- */

/* Nothing is appended any more to the segment that the chain ends in. */
static void replay_segment_leave(struct lfs_recover *rc)
{
	struct lfs_segments *segs = rc->segs;
	uint32_t n = rc->replay.tail.segment;

	if (rc->replay.tail.block && segs->s[n].state == LFS_SEGMENT_OPEN)
		lfs_segment_set_state(segs, n, LFS_SEGMENT_ENDED);
}

static void log_finish(struct lfs_recover *rc)
{
	struct lfs_tail *t = &rc->replay.tail;
	uint32_t next = t->block ? rc->replay.next : t->segment;

	/* The log goes on in a fresh segment, the one that was reserved for that. */
	replay_segment_leave(rc);
	if (next != LFS_SEGMENT_NONE && lfs_segment_in_use(&rc->segs->s[next]) &&
	    !lfs_segments_disown(rc->segs, next))
		next = LFS_SEGMENT_NONE;
	if (next == LFS_SEGMENT_NONE)
		next = lfs_segments_reserve(rc->segs, 0);
	else
		lfs_segment_set_state(rc->segs, next, LFS_SEGMENT_RESERVED);
	t->segment = next;
	t->block = 0;
	rc->stats.last_lsn = t->lsn;
	lfs_recover_end(rc, 0);
}

static void log_corrupt(struct lfs_recover *rc, const char *evidence, uint64_t where)
{
	lfs_say(rc->why,
		"corruption: record %llu at segment %u block %u is damaged or missing, "
		"though %s %llu says that it was durable; the log after lsn %llu is kept",
		(unsigned long long)rc->replay.tail.seq + 1, rc->replay.tail.segment,
		rc->replay.tail.block, evidence, (unsigned long long)where,
		(unsigned long long)rc->replay.tail.lsn);
	lfs_recover_end(rc, -EUCLEAN);
}

/* Nothing names the missing record, but perhaps the checkpoint that was refused. */
static void log_end(struct lfs_recover *rc)
{
	if (rc->written_seq > rc->replay.tail.seq)
		log_corrupt(rc, "checkpoint", rc->written_by);
	else
		log_finish(rc);
}

/* ---- torn or corrupt ------------------------------------------------------------------------ */

/*
 * Only an older checkpoint than the newest is followed from one incarnation into the
 * next: each open writes a checkpoint before it appends.
 */
static void replay_cross_loaded(struct lfs_recover *rc)
{
	struct lfs_segment_info info;

	if (lfs_segment_decode(lfs_scan_block(&rc->replay.scan, 0), &info) ||
	    info.kind != LFS_HEAD_CLIENT || info.incarnation <= rc->replay.incarnation ||
	    info.incarnation > rc->superblock->incarnation) {
		log_end(rc);
		return;
	}
	replay_segment_leave(rc);
	rc->replay.tail.segment = rc->replay.search.segment;
	rc->replay.tail.block = 0;
	rc->replay.incarnation = info.incarnation;
	rc->replay.header_read = false;
	replay_chain_walk(rc);
}

/* Nothing names the missing record: the log was torn here, and ends here. */
static void log_torn(struct lfs_recover *rc)
{
	uint32_t next = rc->replay.tail.block ? rc->replay.next : rc->replay.tail.segment;

	if (!rc->cross || next == LFS_SEGMENT_NONE) {
		log_end(rc);
		return;
	}
	rc->replay.search.segment = next;
	log_load(rc, next, 0, replay_cross_loaded);
}

/* The header of a segment behind the break. True: it decides. */
static bool evidence_header(struct lfs_recover *rc, const uint8_t *block)
{
	struct lfs_segment_info info;

	if (lfs_segment_decode(block, &info) ||
	    info.number != rc->replay.search.segment || info.kind != LFS_HEAD_CLIENT ||
	    memcmp(info.store, rc->superblock->store, LFS_ID_LEN) != 0)
		return false;
	if (info.incarnation > rc->replay.incarnation &&
	    info.first_seq > rc->replay.tail.seq + 1) {
		log_corrupt(rc, "the end that an earlier recovery found, record",
			    info.first_seq - 1);
		return true;
	}
	if (info.incarnation == rc->replay.incarnation && info.next < rc->segs->n)
		rc->replay.search.next = info.next;
	return false;
}

enum evidence { EVIDENCE_NONE, EVIDENCE_RELOAD, EVIDENCE_FOUND };

/* Is there a record at this block that names the missing one as durable? */
static enum evidence evidence_block(struct lfs_recover *rc, const uint8_t *block,
				    size_t len)
{
	uint64_t pba = lfs_segments_pba(rc->segs, rc->replay.search.segment,
					rc->replay.search.block);
	struct lfs_record rec;
	uint32_t want;
	int res = lfs_record_decode(block, len, &rec, &want);

	if (res == -EMSGSIZE)
		return rc->replay.search.block > rc->replay.scan.block ? EVIDENCE_RELOAD
								       : EVIDENCE_NONE;
	if (res || rec.address != pba || rec.incarnation != rc->replay.incarnation ||
	    rec.seq <= rc->replay.tail.seq)
		return EVIDENCE_NONE;
	rc->replay.search.found = true;
	if (rec.durable_seq <= rc->replay.tail.seq)
		return EVIDENCE_NONE;
	log_corrupt(rc, "record", rec.seq);
	return EVIDENCE_FOUND;
}

static enum evidence evidence_window(struct lfs_recover *rc)
{
	uint32_t end = rc->replay.scan.block + rc->replay.scan.have;

	for (; rc->replay.search.block < end; rc->replay.search.block++) {
		const uint8_t *block =
			lfs_scan_block(&rc->replay.scan, rc->replay.search.block);
		enum evidence res = EVIDENCE_NONE;

		if (rc->replay.search.block == 0)
			res = evidence_header(rc, block) ? EVIDENCE_FOUND : EVIDENCE_NONE;
		else
			res = evidence_block(rc, block,
					     (size_t)(end - rc->replay.search.block) *
						     LFS_BLOCK);
		if (res != EVIDENCE_NONE)
			return res;
	}
	return EVIDENCE_NONE;
}

static void evidence_search(struct lfs_recover *rc)
{
	uint32_t blocks = rc->segs->blocks;

	if (evidence_window(rc) == EVIDENCE_FOUND)
		return;
	if (rc->replay.search.block >= blocks) {
		bool first = rc->replay.search.segment == rc->replay.tail.segment;

		if (rc->replay.search.next == LFS_SEGMENT_NONE ||
		    (!first && !rc->replay.search.found) ||
		    ++rc->replay.search.searched > rc->segs->n) {
			log_torn(rc);
			return;
		}
		rc->replay.search.segment = rc->replay.search.next;
		rc->replay.search.next = LFS_SEGMENT_NONE;
		rc->replay.search.block = 0;
		rc->replay.search.found = false;
	}
	log_load(rc, rc->replay.search.segment, rc->replay.search.block, evidence_search);
}

/* The chain ends here. Why? */
static void replay_break_decide(struct lfs_recover *rc)
{
	const struct lfs_tail *t = &rc->replay.tail;

	if (RT_BUG(TRUNCATE_CORRUPT)) {
		log_finish(rc);
		return;
	}
	if (rc->load.slot.written_seq > t->seq) {
		log_corrupt(rc, "checkpoint", rc->load.slot.seq);
		return;
	}
	/* After a close in order nothing was written any more. */
	if (t->segment == LFS_SEGMENT_NONE || (rc->clean && !rc->cross)) {
		log_end(rc);
		return;
	}
	rc->replay.search.segment = t->segment;
	rc->replay.search.block = t->block;
	rc->replay.search.next = t->block ? rc->replay.next : LFS_SEGMENT_NONE;
	rc->replay.search.found = false;
	rc->replay.search.searched = 0;
	if (rc->replay.search.block < rc->segs->blocks)
		log_load(rc, rc->replay.search.segment, rc->replay.search.block,
			 evidence_search);
	else
		evidence_search(rc);
}

/* ---- the walk ---------------------------------------------------------------------------------- */

static void replay_progress_report(struct lfs_recover *rc)
{
	rt_time now = rt_now(rc->loop);

	if (rt_time_since(now, rc->replay.reported) < RT_S)
		return;
	rc->replay.reported = now;
	rt_log(RT_LOG_INFO, "recovering lsn=%llu records=%llu bytes=%llu",
	       (unsigned long long)rc->replay.tail.lsn,
	       (unsigned long long)rc->stats.records,
	       (unsigned long long)rc->stats.bytes);
}

static void replay_chain_walk(struct lfs_recover *rc)
{
	struct lfs_scanned r;
	int res;

	replay_progress_report(rc);
	while (rc->replay.tail.segment != LFS_SEGMENT_NONE) {
		if (!rc->replay.header_read) {
			switch (header_read(rc)) {
			case HEADER_OK:
				break;
			case HEADER_LOAD:
				return;
			case HEADER_STOP:
				replay_break_decide(rc);
				return;
			case HEADER_BAD:
				lfs_recover_end(rc, -EUCLEAN);
				return;
			}
		}
		res = lfs_scan_record(&rc->replay.scan, rc->replay.tail.block,
				      rc->segs->blocks, &r);
		if (res == -ENODATA) {
			log_load(rc, rc->replay.tail.segment, rc->replay.tail.block,
				 replay_chain_walk);
			return;
		}
		if (res || !replay_record_follows(rc, &r.rec))
			break;
		res = record_replay(rc, &r);
		if (res) {
			lfs_recover_end(rc, res);
			return;
		}
	}
	replay_break_decide(rc);
}

void lfs_replay_start(struct lfs_recover *rc)
{
	rc->replay.tail = rc->load.slot.start;
	rc->replay.incarnation = rc->load.slot.incarnation;
	rc->replay.header_read = false;
	rc->replay.reported = rt_now(rc->loop);
	if (!rc->replay.scan.buf && lfs_scan_init(&rc->replay.scan, rc->file, rc->segs)) {
		lfs_recover_starve(rc);
		return;
	}
	replay_chain_walk(rc);
}
