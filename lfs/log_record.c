// SPDX-License-Identifier: BSD-3-Clause
#include "lfs/log_record.h"

#include <errno.h>
#include <string.h>

#include "rt/check.h"
#include "rt/crc.h"

#define HEAD sizeof(struct lfs_record_head)
#define DESC sizeof(struct lfs_record_desc)
/* The checksum covers all behind itself; the magic before it is compared as a whole. */
#define CRC_FROM (offsetof(struct lfs_record_head, head_crc) + sizeof(le32))

static size_t record_area_used(uint32_t ndescs, uint32_t nblocks)
{
	return HEAD + ndescs * DESC + nblocks * sizeof(le32);
}

uint32_t lfs_record_head_blocks(uint32_t ndescs, uint32_t nblocks)
{
	return (uint32_t)((record_area_used(ndescs, nblocks) + LFS_BLOCK - 1) /
			  LFS_BLOCK);
}

uint32_t lfs_record_data_max(uint32_t segment_blocks)
{
	uint32_t n = lfs_data_max(segment_blocks / 4 * LFS_BLOCK) / LFS_BLOCK;

	if (n < LFS_BATCH_MAX / LFS_BLOCK)
		n = LFS_BATCH_MAX / LFS_BLOCK;
	return n < LFS_RECORD_BLOCKS_MAX ? n : LFS_RECORD_BLOCKS_MAX;
}

uint32_t lfs_desc_data(const struct lfs_desc *desc)
{
	switch (desc->kind) {
	case LFS_DESC_WRITE:
	case LFS_DESC_LEAF:
	case LFS_DESC_INNER:
	case LFS_DESC_SUMMARY:
		return desc->blocks;
	case LFS_DESC_ZERO:
	case LFS_DESC_TRIM:
		break;
	}
	return 0;
}

void lfs_record_put_desc(uint8_t *area, uint32_t i, const struct lfs_desc *desc)
{
	struct lfs_record_desc d = {
		.kind = (uint8_t)desc->kind,
		.flags = desc->last ? LFS_DESC_LAST : 0,
		.volume = le16_make((uint16_t)desc->volume),
		.blocks = le32_make(desc->blocks),
		.lba = le64_make(desc->lba),
		.wall_ns = le64_make((uint64_t)desc->wall_ns),
	};

	rt_assert(i < LFS_RECORD_DESCS_MAX && desc->volume <= UINT16_MAX);
	rt_assert(desc->last || !desc->wall_ns);
	memcpy(area + HEAD + i * DESC, &d, sizeof(d));
}

void lfs_record_get_desc(const uint8_t *area, uint32_t i, struct lfs_desc *ret)
{
	struct lfs_record_desc d;

	memcpy(&d, area + HEAD + i * DESC, sizeof(d));
	ret->kind = (enum lfs_desc_kind)d.kind;
	ret->last = d.flags & LFS_DESC_LAST;
	ret->volume = le16_get(d.volume);
	ret->lba = le64_get(d.lba);
	ret->blocks = le32_get(d.blocks);
	ret->wall_ns = (int64_t)le64_get(d.wall_ns);
}

void lfs_record_put_crcs(uint8_t *area, uint32_t ndescs, uint32_t i, const uint32_t *crcs,
			 uint32_t n)
{
	rt_assert(i + n <= LFS_RECORD_BLOCKS_MAX);
	/* Little-endian hosts only (rt/bytes.h): the table is the array. */
	memcpy(area + record_area_used(ndescs, i), crcs, n * sizeof(*crcs));
}

void lfs_record_get_crcs(const uint8_t *area, uint32_t ndescs, uint32_t i, uint32_t *crcs,
			 uint32_t n)
{
	memcpy(crcs, area + record_area_used(ndescs, i), n * sizeof(*crcs));
}

void lfs_record_encode(uint8_t *area, struct lfs_record *rec)
{
	size_t len =
		(size_t)lfs_record_head_blocks(rec->ndescs, rec->nblocks) * LFS_BLOCK;
	size_t used = record_area_used(rec->ndescs, rec->nblocks);
	struct lfs_record_head h = {
		.magic = le64_make(LFS_RECORD_MAGIC),
		.prev_crc = le32_make(rec->prev_crc),
		.address = le64_make(rec->address),
		.generation = le64_make(rec->generation),
		.incarnation = le64_make(rec->incarnation),
		.seq = le64_make(rec->seq),
		.epoch = le64_make(rec->epoch),
		.epoch_id = le64_make(rec->epoch_id),
		.first_lsn = le64_make(rec->first_lsn),
		.last_lsn = le64_make(rec->last_lsn),
		.hash_before = le64_make(rec->hash_before),
		.durable_seq = le64_make(rec->durable_seq),
		.wall_ns = le64_make(rec->wall_ns),
		.ndescs = le32_make(rec->ndescs),
		.nblocks = le32_make(rec->nblocks),
		.kind = le32_make(rec->kind),
		.bytes_before = le64_make(rec->bytes_before),
	};

	memset(area + used, 0, len - used);
	memcpy(area, &h, sizeof(h));
	rec->head_crc = rt_crc32c(area + CRC_FROM, len - CRC_FROM);
	h.head_crc = le32_make(rec->head_crc);
	memcpy(area, &h, sizeof(h));
}

/* Does this descriptor make sense in a record of this kind? */
static bool desc_fits(const struct lfs_record_desc *d, enum lfs_record_kind kind)
{
	uint64_t lba = le64_get(d->lba);
	uint32_t blocks = le32_get(d->blocks);

	if (d->flags & ~LFS_DESC_LAST || (!d->flags && le64_get(d->wall_ns)))
		return false;
	if (!blocks || lba > UINT64_MAX - blocks)
		return false;
	switch (kind) {
	case LFS_RECORD_CLIENT:
		return d->kind == LFS_DESC_WRITE || d->kind == LFS_DESC_ZERO ||
		       d->kind == LFS_DESC_TRIM;
	case LFS_RECORD_MAP:
		return (d->kind == LFS_DESC_LEAF || d->kind == LFS_DESC_INNER) &&
		       blocks == 1 && !d->flags;
	case LFS_RECORD_SEAL:
		return d->kind == LFS_DESC_SUMMARY && !d->flags && !le16_get(d->volume);
	case LFS_RECORD_MARKER:
		break;
	}
	return false;
}

/* Descriptors against the head: their kinds, the blocks and the LSNs they add up to. */
static bool descs_fit(const uint8_t *area, const struct lfs_record *rec)
{
	uint64_t blocks = 0, lsns = 0, in_lsn = 0;
	struct lfs_record_desc d;
	struct lfs_desc desc;

	for (uint32_t i = 0; i < rec->ndescs; i++) {
		memcpy(&d, area + HEAD + i * DESC, sizeof(d));
		if (!desc_fits(&d, rec->kind))
			return false;
		lfs_record_get_desc(area, i, &desc);
		blocks += lfs_desc_data(&desc);
		in_lsn = desc.last ? 0 : in_lsn + 1;
		lsns += desc.last;
		if (rec->kind == LFS_RECORD_CLIENT && in_lsn >= LFS_OPS_MAX)
			return false;
	}
	if (rec->kind == LFS_RECORD_CLIENT && in_lsn)
		return false;
	return blocks == rec->nblocks && lsns == rec->last_lsn + 1 - rec->first_lsn;
}

static bool record_head_fits(const struct lfs_record *rec)
{
	if (rec->first_lsn == 0 || rec->last_lsn == UINT64_MAX ||
	    rec->last_lsn + 1 < rec->first_lsn)
		return false;
	switch (rec->kind) {
	case LFS_RECORD_CLIENT:
		return rec->ndescs >= 1;
	case LFS_RECORD_MAP:
		return rec->ndescs >= 1;
	case LFS_RECORD_SEAL:
		return rec->ndescs == 1;
	case LFS_RECORD_MARKER:
		return rec->ndescs == 0;
	}
	return false;
}

static void record_head_get(const struct lfs_record_head *h, struct lfs_record *ret)
{
	ret->kind = (enum lfs_record_kind)le32_get(h->kind);
	ret->head_crc = le32_get(h->head_crc);
	ret->prev_crc = le32_get(h->prev_crc);
	ret->address = le64_get(h->address);
	ret->generation = le64_get(h->generation);
	ret->incarnation = le64_get(h->incarnation);
	ret->seq = le64_get(h->seq);
	ret->epoch = le64_get(h->epoch);
	ret->epoch_id = le64_get(h->epoch_id);
	ret->first_lsn = le64_get(h->first_lsn);
	ret->last_lsn = le64_get(h->last_lsn);
	ret->hash_before = le64_get(h->hash_before);
	ret->durable_seq = le64_get(h->durable_seq);
	ret->wall_ns = le64_get(h->wall_ns);
	ret->ndescs = le32_get(h->ndescs);
	ret->nblocks = le32_get(h->nblocks);
	ret->bytes_before = le64_get(h->bytes_before);
}

/* Behind the checksum tables nothing but zeros. */
static bool record_rest_is_zero(const uint8_t *area, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (area[i])
			return false;
	return true;
}

int lfs_record_decode(const uint8_t *area, size_t len, struct lfs_record *ret,
		      uint32_t *ret_blocks)
{
	struct lfs_record_head h;
	struct lfs_record rec;
	size_t area_len;

	rt_assert(len >= LFS_BLOCK && len % LFS_BLOCK == 0);
	memcpy(&h, area, sizeof(h));
	if (le64_get(h.magic) != LFS_RECORD_MAGIC)
		return -EBADMSG;
	record_head_get(&h, &rec);
	if (rec.ndescs > LFS_RECORD_DESCS_MAX || rec.nblocks > LFS_RECORD_BLOCKS_MAX)
		return -EBADMSG;
	area_len = (size_t)lfs_record_head_blocks(rec.ndescs, rec.nblocks) * LFS_BLOCK;
	if (area_len > len) {
		*ret_blocks = (uint32_t)(area_len / LFS_BLOCK);
		return -EMSGSIZE;
	}
	if (rt_crc32c(area + CRC_FROM, area_len - CRC_FROM) != rec.head_crc)
		return -EBADMSG;
	if (le32_get(h.zero0) || !record_head_fits(&rec) || !descs_fit(area, &rec))
		return -EBADMSG;
	if (!record_rest_is_zero(area, record_area_used(rec.ndescs, rec.nblocks),
				 area_len))
		return -EBADMSG;
	*ret = rec;
	*ret_blocks = (uint32_t)(area_len / LFS_BLOCK);
	return 0;
}

/* ---- segment summary --------------------------------------------------------------------------- */

uint32_t lfs_summary_blocks(uint32_t segment_blocks)
{
	return (segment_blocks - 1 + LFS_SUMMARY_PER_BLOCK - 1) / LFS_SUMMARY_PER_BLOCK;
}

uint32_t lfs_seal_blocks(uint32_t segment_blocks)
{
	uint32_t summary = lfs_summary_blocks(segment_blocks);

	return summary + lfs_record_head_blocks(1, summary);
}

uint32_t lfs_record_alone_max(uint32_t max_request)
{
	uint32_t data = lfs_data_max(max_request) / LFS_BLOCK;

	return lfs_record_head_blocks(LFS_OPS_MAX, data) + data;
}

uint32_t lfs_segment_usable(uint32_t segment_blocks, uint32_t max_request)
{
	return segment_blocks - 1 - lfs_seal_blocks(segment_blocks) -
	       (lfs_record_alone_max(max_request) - 1);
}

uint64_t lfs_images_segments(uint64_t images, uint32_t segment_blocks)
{
	uint64_t blocks = 2 * (images + images / 8);
	/* Where two blocks are left, a record of one image fits. */
	uint32_t each = segment_blocks - 1 - lfs_seal_blocks(segment_blocks) - 1;

	return (blocks + each - 1) / each + 1;
}

static size_t summary_at(uint32_t i)
{
	return (size_t)(i / LFS_SUMMARY_PER_BLOCK) * LFS_BLOCK +
	       i % LFS_SUMMARY_PER_BLOCK * sizeof(struct lfs_summary_entry);
}

void lfs_summary_put(uint8_t *summary, uint32_t i, const struct lfs_summary_item *item)
{
	struct lfs_summary_entry e = {
		.volume = le32_make(item->volume | (item->leaf ? LFS_SUMMARY_LEAF : 0) |
				    (item->inner ? LFS_SUMMARY_INNER : 0)),
		.crc = le32_make(item->crc),
		.lba = le64_make(item->lba),
		.lsn = le64_make(item->lsn),
	};

	memcpy(summary + summary_at(i), &e, sizeof(e));
}

void lfs_summary_get(const uint8_t *summary, uint32_t i, struct lfs_summary_item *ret)
{
	struct lfs_summary_entry e;
	uint32_t volume;

	memcpy(&e, summary + summary_at(i), sizeof(e));
	volume = le32_get(e.volume);
	ret->leaf = volume != LFS_SUMMARY_NONE && volume & LFS_SUMMARY_LEAF;
	ret->inner = volume != LFS_SUMMARY_NONE && volume & LFS_SUMMARY_INNER;
	ret->volume = volume == LFS_SUMMARY_NONE
			      ? volume
			      : volume & ~(LFS_SUMMARY_LEAF | LFS_SUMMARY_INNER);
	ret->crc = le32_get(e.crc);
	ret->lba = le64_get(e.lba);
	ret->lsn = le64_get(e.lsn);
}
