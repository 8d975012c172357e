// SPDX-License-Identifier: BSD-3-Clause
#include "lfs/checkpoint_slot.h"

#include <errno.h>
#include <string.h>

#include "rt/check.h"
#include "rt/crc.h"

#define CRC_FROM (offsetof(struct lfs_checkpoint_slot_head, crc) + sizeof(le32))

void lfs_checkpoint_slot_encode_head(uint8_t block[LFS_BLOCK],
				     const struct lfs_checkpoint_slot *slot,
				     const uint8_t store[LFS_ID_LEN], uint64_t wall_ns)
{
	const struct lfs_tail *t = &slot->start;
	struct lfs_checkpoint_slot_head h = {
		.magic = le64_make(LFS_CHECKPOINT_SLOT_MAGIC),
		.body_crc = le32_make(slot->body_crc),
		.seq = le64_make(slot->seq),
		.body_length = le64_make(slot->body_length),
		.ninner = le32_make(slot->ninner),
		.nsegments = le32_make(slot->nsegments),
		.start_segment = le32_make(t->segment),
		.start_block = le32_make(t->block),
		.incarnation = le64_make(slot->incarnation),
		.record_seq = le64_make(t->seq),
		.last_generation = le64_make(t->generation),
		.lsn = le64_make(t->lsn),
		.hash = le64_make(t->hash),
		.epoch = le64_make(t->epoch),
		.epoch_id = le64_make(t->epoch_id),
		.written_seq = le64_make(slot->written_seq),
		.wall_ns = le64_make(wall_ns),
		.chain = le32_make(t->chain),
		.lsn_wall_ns = le64_make((uint64_t)t->wall_ns),
		.bytes = le64_make(t->bytes),
	};

	memcpy(h.store, store, LFS_ID_LEN);
	memcpy(block, &h, sizeof(h));
	h.crc = le32_make(rt_crc32c(block + CRC_FROM, LFS_BLOCK - CRC_FROM));
	memcpy(block, &h, sizeof(h));
}

static uint64_t checkpoint_slot_body_length(uint64_t ninner, uint64_t nsegments)
{
	uint64_t used = ninner * sizeof(struct lfs_checkpoint_slot_inner) +
			nsegments * sizeof(struct lfs_checkpoint_slot_segment);

	return (used + LFS_BLOCK - 1) / LFS_BLOCK * LFS_BLOCK;
}

static bool checkpoint_slot_head_fits(const struct lfs_checkpoint_slot *s,
				      const struct lfs_geometry *geo)
{
	const struct lfs_tail *t = &s->start;

	if (s->nsegments != geo->segments || s->ninner > lfs_geometry_inner(geo) ||
	    s->body_length != checkpoint_slot_body_length(s->ninner, s->nsegments))
		return false;
	if (t->segment == LFS_SEGMENT_NONE)
		return t->block == 0;
	return t->segment < geo->segments && t->block < geo->segment_size / LFS_BLOCK &&
	       t->lsn < UINT64_MAX / 2 && t->seq < UINT64_MAX / 2 &&
	       s->written_seq >= t->seq;
}

int lfs_checkpoint_slot_decode_head(const uint8_t block[LFS_BLOCK],
				    const struct lfs_geometry *geo,
				    const uint8_t store[LFS_ID_LEN],
				    struct lfs_checkpoint_slot *ret)
{
	struct lfs_checkpoint_slot_head h;
	struct lfs_checkpoint_slot s;

	memcpy(&h, block, sizeof(h));
	if (le64_get(h.magic) != LFS_CHECKPOINT_SLOT_MAGIC ||
	    rt_crc32c(block + CRC_FROM, LFS_BLOCK - CRC_FROM) != le32_get(h.crc) ||
	    memcmp(h.store, store, LFS_ID_LEN) != 0)
		return -EUCLEAN;
	for (size_t i = 0; i < sizeof(h.zero); i++)
		if (h.zero[i])
			return -EUCLEAN;
	s = (struct lfs_checkpoint_slot){
		.seq = le64_get(h.seq),
		.incarnation = le64_get(h.incarnation),
		.start = {
			.segment = le32_get(h.start_segment),
			.block = le32_get(h.start_block),
			.generation = le64_get(h.last_generation),
			.seq = le64_get(h.record_seq),
			.lsn = le64_get(h.lsn),
			.hash = le64_get(h.hash),
			.epoch = le64_get(h.epoch),
			.epoch_id = le64_get(h.epoch_id),
			.chain = le32_get(h.chain),
			.wall_ns = (int64_t)le64_get(h.lsn_wall_ns),
			.bytes = le64_get(h.bytes),
		},
		.written_seq = le64_get(h.written_seq),
		.body_length = le64_get(h.body_length),
		.body_crc = le32_get(h.body_crc),
		.ninner = le32_get(h.ninner),
		.nsegments = le32_get(h.nsegments),
	};
	if (!checkpoint_slot_head_fits(&s, geo))
		return -EUCLEAN;
	*ret = s;
	return 0;
}

void lfs_checkpoint_slot_put_inner(uint8_t *at, const struct lfs_inner *inner)
{
	struct lfs_checkpoint_slot_inner d = {
		.volume = le32_make(inner->volume),
		.index = le32_make(inner->index),
		.pba = le32_make(inner->pba),
		.crc = le32_make(inner->crc),
	};

	memcpy(at, &d, sizeof(d));
}

void lfs_checkpoint_slot_put_segment(uint8_t *at, const struct lfs_segment *s)
{
	struct lfs_checkpoint_slot_segment d = { 0 };

	if (lfs_segment_in_use(s))
		d = (struct lfs_checkpoint_slot_segment){
			.generation = le64_make(s->generation),
			.incarnation = le64_make(s->incarnation),
			.first_lsn = le64_make(s->first_lsn),
			.last_lsn = le64_make(s->last_lsn),
			.end = le32_make(s->end),
			.live = le32_make(s->live),
			.kind = le32_make(s->kind),
			.flags = le32_make(s->state == LFS_SEGMENT_SEALED
						   ? LFS_CHECKPOINT_SLOT_SEALED
						   : 0),
		};
	memcpy(at, &d, sizeof(d));
}

static int checkpoint_slot_segments_decode(const uint8_t *at, struct lfs_segments *segs)
{
	struct lfs_checkpoint_slot_segment d;

	for (uint32_t i = 0; i < segs->n; i++, at += sizeof(d)) {
		struct lfs_segment *s = &segs->s[i];
		struct lfs_segment_info info;

		memcpy(&d, at, sizeof(d));
		if (!le64_get(d.generation))
			continue;
		if (!lfs_head_kind_known(le32_get(d.kind)))
			return -EUCLEAN;
		info = (struct lfs_segment_info){
			.kind = (enum lfs_head_kind)le32_get(d.kind),
			.generation = le64_get(d.generation),
			.incarnation = le64_get(d.incarnation),
			.first_lsn = le64_get(d.first_lsn),
		};
		lfs_segments_open(segs, i, &info);
		lfs_segment_set_state(segs, i,
				      le32_get(d.flags) & LFS_CHECKPOINT_SLOT_SEALED
					      ? LFS_SEGMENT_SEALED
					      : LFS_SEGMENT_ENDED);
		s->last_lsn = le64_get(d.last_lsn);
		s->end = le32_get(d.end);
		s->live = le32_get(d.live);
		if (!s->first_lsn || s->last_lsn > UINT64_MAX / 2 ||
		    s->last_lsn + 1 < s->first_lsn || !s->end || s->end > segs->blocks ||
		    s->live >= s->end || le32_get(d.flags) & ~LFS_CHECKPOINT_SLOT_SEALED)
			return -EUCLEAN;
	}
	return 0;
}

/* The log cannot begin behind everything that the segments hold. */
static bool checkpoint_slot_lsn_fits(const struct lfs_checkpoint_slot *slot,
				     const struct lfs_segments *segs)
{
	uint64_t last = 0;

	for (uint32_t i = 0; i < segs->n; i++)
		if (lfs_segment_in_use(&segs->s[i]) && segs->s[i].last_lsn > last)
			last = segs->s[i].last_lsn;
	return slot->start.lsn <= last;
}

static int checkpoint_slot_inner_decode(const uint8_t *at, uint32_t n,
					const struct lfs_segments *segs,
					struct lfs_map *map)
{
	uint64_t least = 0;
	struct lfs_checkpoint_slot_inner d;

	for (uint32_t i = 0; i < n; i++, at += sizeof(d)) {
		uint32_t volume, index;
		struct lfs_inner *inner;

		memcpy(&d, at, sizeof(d));
		volume = le32_get(d.volume);
		index = le32_get(d.index);
		/* In ascending order, so that none is there twice. */
		if (volume >= map->nvolumes || index >= map->v[volume].ninner ||
		    ((uint64_t)volume << 32 | index) < least)
			return -EUCLEAN;
		least = ((uint64_t)volume << 32 | index) + 1;
		inner = &map->v[volume].inner[index];
		inner->pba = le32_get(d.pba);
		inner->crc = le32_get(d.crc);
		if (!lfs_segments_has_data(segs, inner->pba))
			return -EUCLEAN;
	}
	return 0;
}

int lfs_checkpoint_slot_decode_body(const struct lfs_checkpoint_slot *slot,
				    const uint8_t *body, struct lfs_segments *segs,
				    struct lfs_map *map)
{
	const uint8_t *segments =
		body + slot->ninner * sizeof(struct lfs_checkpoint_slot_inner);
	int ret;

	rt_assert(segs->n == slot->nsegments && segs->free == segs->n);
	if (rt_crc32c(body, slot->body_length) != slot->body_crc)
		return -EUCLEAN;
	ret = checkpoint_slot_segments_decode(segments, segs);
	if (!ret && !checkpoint_slot_lsn_fits(slot, segs))
		ret = -EUCLEAN;
	if (!ret)
		ret = checkpoint_slot_inner_decode(body, slot->ninner, segs, map);
	return ret;
}
