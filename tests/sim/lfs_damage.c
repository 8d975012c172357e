// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>

#include "lfs/checkpoint_slot.h"
#include "lfs/log_record.h"
#include "lfs/open_store.h"
#include "lfs/segment.h"
#include "lfs/superblock.h"
#include "rt/check.h"
#include "rt/crc.h"
#include "tests/sim/lfs_site.h"

/* What a disk may do to a log behind its back, aimed at where it hurts. */
#define LOOK_MAX (UINT64_C(160) << 20) /* the log of a run is far shorter */

/* A run uses the first segments, and a map segment has few images in it. */
#define POISONED_MAX 24u
#define POISONED_BLOCKS 12u

#define ANY_KIND 0xffu
#define BIT(kind) (1u << (kind))

/*
 * The last record of one of these kinds that a head has written, looked for block by block
 * on the disk.
 */
static bool last_record_of(struct lfs_site *s, enum lfs_head_kind head, unsigned kinds,
			   struct lfs_record *ret)
{
	struct lfs_segment_info info = { .kind = LFS_HEAD_CLIENT };
	uint8_t *area = lfs_site_alloc(LFS_HEAD_BLOCKS_MAX * LFS_BLOCK);
	uint64_t end = s->size < LOOK_MAX ? s->size : LOOK_MAX;
	bool found = false;

	for (uint64_t off = 0; off + LFS_BLOCK <= end; off += LFS_BLOCK) {
		struct lfs_record rec;
		uint32_t blocks;
		int res;

		sim_disk_peek(s->disk, off, area, LFS_BLOCK);
		(void)lfs_segment_decode(area, &info);
		res = lfs_record_decode(area, LFS_BLOCK, &rec, &blocks);
		if (res == -EMSGSIZE && off + (uint64_t)blocks * LFS_BLOCK <= end) {
			sim_disk_peek(s->disk, off, area, (size_t)blocks * LFS_BLOCK);
			res = lfs_record_decode(area, (size_t)blocks * LFS_BLOCK, &rec,
						&blocks);
		}
		if (res || rec.address * LFS_BLOCK != off || info.kind != head ||
		    !(kinds & BIT(rec.kind)))
			continue;
		if (found &&
		    (rec.incarnation < ret->incarnation ||
		     (rec.incarnation == ret->incarnation && rec.seq < ret->seq)))
			continue;
		found = true;
		*ret = rec;
	}
	free(area);
	return found;
}

/* The same of the log. */
static bool last_record(struct lfs_site *s, unsigned kinds, struct lfs_record *ret)
{
	return last_record_of(s, LFS_HEAD_CLIENT, kinds, ret);
}

void lfs_site_check_witness(struct lfs_site *s)
{
	struct lfs_record last, real;

	if (!last_record(s, ANY_KIND & ~BIT(LFS_RECORD_MARKER), &real))
		return;
	rt_assert(last_record(s, ANY_KIND, &last));
	/* Only what this process has written is its to name. */
	sim_require(real.incarnation != s->incarnation || last.durable_seq >= real.seq,
		    "record %llu was flushed and nothing names it",
		    (unsigned long long)real.seq);
}

void lfs_site_forge_record(struct lfs_site *s)
{
	struct lfs_desc desc = { .kind = LFS_DESC_ZERO, .last = true, .blocks = 1 };
	uint64_t last = oracle_last(s->oracle), hash;
	struct lfs_record rec;
	uint8_t *area;

	if (!last_record(s, ANY_KIND, &rec) || rec.kind == LFS_RECORD_SEAL)
		return;
	hash = last == rec.last_lsn && last ? s->hashes[last % SITE_HASHES_MAX]
					    : rec.hash_before;
	area = lfs_site_alloc(LFS_BLOCK);
	rec = (struct lfs_record){
		.kind = LFS_RECORD_CLIENT,
		.address = rec.address + lfs_record_head_blocks(rec.ndescs, rec.nblocks) +
			   rec.nblocks,
		.generation = rec.generation,
		.incarnation = rec.incarnation,
		.seq = rec.seq + 1,
		.prev_crc = ~rec.head_crc,
		.epoch = rec.epoch,
		.epoch_id = rec.epoch_id,
		.first_lsn = rec.last_lsn + 1,
		.last_lsn = rec.last_lsn + 1,
		.hash_before = hash,
		.ndescs = 1,
	};
	lfs_record_put_desc(area, 0, &desc);
	lfs_record_encode(area, &rec);
	sim_disk_poke(s->disk, rec.address * LFS_BLOCK, area, LFS_BLOCK);
	sim_note(s->w, "forged", rec.seq, rec.first_lsn, rec.address);
	free(area);
}

void lfs_site_poison(struct lfs_site *s)
{
	const struct lfs_segments *segs = &s->lfs->segs;
	uint8_t garbage[LFS_BLOCK];

	for (size_t i = 0; i < sizeof(garbage); i++)
		garbage[i] = (uint8_t)sim_draw(s->rng);
	for (uint32_t n = 0; n < segs->n && n < POISONED_MAX; n++) {
		if (segs->s[n].state != LFS_SEGMENT_FREE)
			continue;
		for (uint32_t block = 0; block < POISONED_BLOCKS; block++)
			sim_disk_poke(s->disk,
				      (uint64_t)lfs_segments_pba(segs, n, block) *
					      LFS_BLOCK,
				      garbage, LFS_BLOCK);
	}
}

/* Somewhere in this record, its padding included. */
static uint64_t in_record(struct lfs_site *s, const struct lfs_record *rec)
{
	uint64_t blocks =
		lfs_record_head_blocks(rec->ndescs, rec->nblocks) + rec->nblocks;

	return rec->address * LFS_BLOCK + sim_below(s->rng, blocks * LFS_BLOCK);
}

/* The superblock that counts. */
static bool superblock_of(struct lfs_site *s, struct lfs_superblock *ret)
{
	uint8_t *buf = lfs_site_alloc(LFS_SUPERBLOCK_REGION);
	struct lfs_meta *meta = lfs_site_alloc(sizeof(*meta));
	struct lfs_superblock superblock;
	char why[LFS_WHY_MAX];
	bool found = false;

	for (unsigned i = 0; i < 2; i++) {
		sim_disk_peek(s->disk, lfs_superblock_off(i), buf, LFS_SUPERBLOCK_REGION);
		if (lfs_superblock_decode(buf, &superblock, meta, why) ||
		    (found && superblock.seq < ret->seq))
			continue;
		*ret = superblock;
		found = true;
	}
	free(buf);
	free(meta);
	return found;
}

/* Is this slot whole, and does it hold that checkpoint? */
static bool slot_holds(struct lfs_site *s, const struct lfs_superblock *superblock,
		       unsigned number, uint64_t seq)
{
	uint64_t off = lfs_checkpoint_slot_off(&superblock->geo, number);
	uint8_t head[LFS_BLOCK], *body;
	struct lfs_checkpoint_slot slot;
	bool whole;

	sim_disk_peek(s->disk, off, head, LFS_BLOCK);
	if (lfs_checkpoint_slot_decode_head(head, &superblock->geo, superblock->store,
					    &slot) ||
	    slot.seq != seq)
		return false;
	body = lfs_site_alloc(slot.body_length);
	sim_disk_peek(s->disk, off + LFS_BLOCK, body, slot.body_length);
	whole = rt_crc32c(body, slot.body_length) == slot.body_crc;
	free(body);
	return whole;
}

void lfs_site_damage_slot(struct lfs_site *s)
{
	struct lfs_superblock superblock;
	uint64_t off;
	uint8_t byte;

	if (!superblock_of(s, &superblock) || superblock.checkpoint_slot_seq < 2 ||
	    !slot_holds(s, &superblock, !superblock.checkpoint_slot,
			superblock.checkpoint_slot_seq - 1) ||
	    !slot_holds(s, &superblock, superblock.checkpoint_slot,
			superblock.checkpoint_slot_seq))
		return;
	off = lfs_checkpoint_slot_off(&superblock.geo, superblock.checkpoint_slot) +
	      sim_below(s->rng, 2 * LFS_BLOCK);
	sim_disk_peek(s->disk, off, &byte, 1);
	byte ^= (uint8_t)sim_between(s->rng, 1, 255);
	sim_disk_poke(s->disk, off, &byte, 1);
	s->one_slot = true;
	sim_note(s->w, "slot-damaged", superblock.checkpoint_slot,
		 superblock.checkpoint_slot_seq, 0);
}

uint64_t lfs_site_draw_damage(struct lfs_site *s)
{
	uint64_t near = UINT64_C(1) << sim_between(s->rng, 12, 20);
	struct lfs_superblock superblock;
	const struct lfs_geometry *geo = &superblock.geo;
	struct lfs_record rec;

	switch (sim_below(s->rng, 7)) {
	case 0:
		return sim_below(s->rng, 2) * LFS_SUPERBLOCK_REGION +
		       sim_below(s->rng,
				 sim_chance(s->rng, 0.7) ? LFS_BLOCK : 2 * LFS_BLOCK);
	case 1:
		if (superblock_of(s, &superblock))
			return lfs_checkpoint_slot_off(geo,
						       (unsigned)sim_below(s->rng, 2)) +
			       sim_below(s->rng, geo->checkpoint_slot_size < 16384
							 ? geo->checkpoint_slot_size
							 : 16384);
		break;
	case 2:
		if (last_record_of(s, LFS_HEAD_MAP, ANY_KIND, &rec))
			return in_record(s, &rec);
		break;
	case 3:
		if (last_record(s, ANY_KIND & ~BIT(LFS_RECORD_MARKER), &rec))
			return in_record(s, &rec);
		break;
	case 4:
		if (last_record(s, ANY_KIND, &rec) && rec.address * LFS_BLOCK > near)
			return rec.address * LFS_BLOCK - sim_below(s->rng, near);
		break;
	case 5:
		return LFS_EVENTS_OFF + sim_skewed(s->rng, 1, LFS_EVENT_REGION) - 1;
	default:
		break;
	}
	return sim_below(s->rng, s->size < LOOK_MAX ? s->size : LOOK_MAX);
}
