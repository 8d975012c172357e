// SPDX-License-Identifier: BSD-3-Clause
#include "lfs/segment.h"

#include <errno.h>
#include <string.h>

#include "rt/bug.h"
#include "rt/check.h"
#include "rt/crc.h"
#include "rt/mem.h"

#define CRC_FROM (offsetof(struct lfs_segment_head, crc) + sizeof(le32))

int lfs_segments_init(struct lfs_segments *segs, uint32_t n, uint32_t blocks,
		      uint32_t base)
{
	*segs = (struct lfs_segments){
		.n = n,
		.blocks = blocks,
		.base = base,
		.free = n,
	};
	segs->s = rt_zalloc(n, sizeof(*segs->s));
	return segs->s ? 0 : -ENOMEM;
}

void lfs_segments_release(struct lfs_segments *segs)
{
	rt_free(segs->s);
	segs->s = NULL;
}

bool lfs_segments_has_data(const struct lfs_segments *segs, uint64_t pba)
{
	uint64_t n;

	if (pba < segs->base)
		return false;
	n = (pba - segs->base) / segs->blocks;
	/* Block 0 of a segment is its header. */
	return n < segs->n && (pba - segs->base) % segs->blocks &&
	       lfs_segment_in_use(&segs->s[n]);
}

#define BIT(state) (1u << (state))

/* What may follow a state. ENDED, SEALED: replay finds the seal of a segment in the table. */
static const unsigned followers[] = {
	[LFS_SEGMENT_FREE] = BIT(LFS_SEGMENT_RESERVED) | BIT(LFS_SEGMENT_OPEN),
	[LFS_SEGMENT_RESERVED] = BIT(LFS_SEGMENT_OPEN),
	[LFS_SEGMENT_OPEN] = BIT(LFS_SEGMENT_SEALED) | BIT(LFS_SEGMENT_ENDED),
	[LFS_SEGMENT_SEALED] = BIT(LFS_SEGMENT_EMPTY) | BIT(LFS_SEGMENT_FREE),
	[LFS_SEGMENT_ENDED] = BIT(LFS_SEGMENT_SEALED) | BIT(LFS_SEGMENT_EMPTY) |
			      BIT(LFS_SEGMENT_FREE),
	[LFS_SEGMENT_EMPTY] = BIT(LFS_SEGMENT_FREE),
};

void lfs_segment_set_state(struct lfs_segments *segs, uint32_t n,
			   enum lfs_segment_state state)
{
	struct lfs_segment *s = &segs->s[n];
	bool used = lfs_segment_in_use(s);

	rt_assert(n < segs->n && followers[s->state] & BIT(state));
	s->state = state;
	segs->free -= lfs_segment_in_use(s) && !used;
	segs->free += !lfs_segment_in_use(s) && used;
}

/* Nothing in it counts: no image is alive, and no log is in it. */
static bool segment_is_empty(const struct lfs_segment *s)
{
	return lfs_segment_in_use(s) && s->kind == LFS_HEAD_MAP && !s->live;
}

static void segment_free(struct lfs_segments *segs, uint32_t n)
{
	lfs_segment_set_state(segs, n, LFS_SEGMENT_FREE);
	segs->s[n] = (struct lfs_segment){ .state = LFS_SEGMENT_FREE };
}

void lfs_segments_age(struct lfs_segments *segs)
{
	for (uint32_t i = 0; i < segs->n; i++) {
		const struct lfs_segment *s = &segs->s[i];

		if (!segment_is_empty(s) || s->state == LFS_SEGMENT_OPEN)
			continue;
		if (s->state != LFS_SEGMENT_EMPTY && !RT_BUG(REUSE_ONE_SLOT))
			lfs_segment_set_state(segs, i, LFS_SEGMENT_EMPTY);
		else
			segment_free(segs, i);
	}
}

bool lfs_segments_disown(struct lfs_segments *segs, uint32_t n)
{
	if (!segment_is_empty(&segs->s[n]))
		return false;
	segment_free(segs, n);
	return true;
}

uint32_t lfs_segments_reserve(struct lfs_segments *segs, uint32_t after)
{
	for (uint32_t i = 1; i <= segs->n; i++) {
		uint32_t n = (uint32_t)(((uint64_t)after + i) % segs->n);

		if (segs->s[n].state != LFS_SEGMENT_FREE)
			continue;
		lfs_segment_set_state(segs, n, LFS_SEGMENT_RESERVED);
		return n;
	}
	return LFS_SEGMENT_NONE;
}

void lfs_segments_open(struct lfs_segments *segs, uint32_t n,
		       const struct lfs_segment_info *info)
{
	struct lfs_segment *s = &segs->s[n];

	rt_assert(n < segs->n && info->generation && segs->free);
	lfs_segment_set_state(segs, n, LFS_SEGMENT_OPEN);
	s->kind = info->kind;
	s->generation = info->generation;
	s->incarnation = info->incarnation;
	s->first_lsn = info->first_lsn;
	s->last_lsn = info->first_lsn - 1;
	s->end = 1;
}

void lfs_segment_encode(uint8_t block[LFS_BLOCK], const struct lfs_segment_info *info)
{
	struct lfs_segment_head h = {
		.magic = le64_make(LFS_SEGMENT_MAGIC),
		.seed = le32_make(info->seed),
		.number = le32_make(info->number),
		.next = le32_make(info->next),
		.generation = le64_make(info->generation),
		.incarnation = le64_make(info->incarnation),
		.first_lsn = le64_make(info->first_lsn),
		.first_seq = le64_make(info->first_seq),
		.prev_crc = le32_make(info->prev_crc),
		.kind = le32_make(info->kind),
	};

	memcpy(h.store, info->store, sizeof(h.store));
	memcpy(block, &h, sizeof(h));
	h.crc = le32_make(rt_crc32c(block + CRC_FROM, LFS_BLOCK - CRC_FROM));
	memcpy(block, &h, sizeof(h));
}

int lfs_segment_decode(const uint8_t block[LFS_BLOCK], struct lfs_segment_info *ret)
{
	struct lfs_segment_head h;

	memcpy(&h, block, sizeof(h));
	if (le64_get(h.magic) != LFS_SEGMENT_MAGIC ||
	    le32_get(h.crc) != rt_crc32c(block + CRC_FROM, LFS_BLOCK - CRC_FROM))
		return -EBADMSG;
	if (!lfs_head_kind_known(le32_get(h.kind)) || !le64_get(h.generation) ||
	    !le64_get(h.first_lsn))
		return -EBADMSG;
	for (size_t i = 0; i < sizeof(h.zero); i++)
		if (h.zero[i])
			return -EBADMSG;
	memcpy(ret->store, h.store, sizeof(ret->store));
	ret->kind = (enum lfs_head_kind)le32_get(h.kind);
	ret->number = le32_get(h.number);
	ret->next = le32_get(h.next);
	ret->seed = le32_get(h.seed);
	ret->prev_crc = le32_get(h.prev_crc);
	ret->generation = le64_get(h.generation);
	ret->incarnation = le64_get(h.incarnation);
	ret->first_lsn = le64_get(h.first_lsn);
	ret->first_seq = le64_get(h.first_seq);
	return 0;
}
