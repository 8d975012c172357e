// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/record.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "rt/check.h"
#include "rt/crc.h"
#include "rt/mem.h"

struct record record_of_entry(const struct lfs_entry *entry)
{
	return (struct record){ .epoch_id = entry->epoch_id,
				.lsn = entry->lsn,
				.hash_before = entry->hash_before,
				.wall_ns = entry->wall_ns,
				.ops = entry->ops,
				.nops = entry->nops };
}

size_t record_encode_head(const struct record *rec, uint8_t *buf, size_t size)
{
	struct record_head head = {
		.version = RECORD_VERSION,
		.nops = le16_make((uint16_t)rec->nops),
		.epoch_id = le64_make(rec->epoch_id),
		.lsn = le64_make(rec->lsn),
		.hash_before = le64_make(rec->hash_before),
		.wall_ns = le64_make((uint64_t)rec->wall_ns),
	};
	uint8_t *at = buf + sizeof(head);
	const uint8_t *end = buf + size;

	rt_assert(rec->nops >= 1 && rec->nops <= LFS_OPS_MAX);
	for (unsigned i = 0; i < rec->nops; i++) {
		const struct lfs_op *op = &rec->ops[i];
		struct record_op wire = {
			.kind = (uint8_t)op->kind,
			.volume = le16_make((uint16_t)op->volume),
			.blocks = le32_make(op->blocks),
			.lba = le64_make(op->lba),
		};

		rt_assert((size_t)(end - at) >= sizeof(wire));
		memcpy(at, &wire, sizeof(wire));
		at += sizeof(wire);
	}
	for (unsigned i = 0; i < rec->nops; i++) {
		const struct lfs_op *op = &rec->ops[i];
		size_t len = (size_t)op->blocks * sizeof(le32);

		if (op->kind != LFS_WRITE)
			continue;
		rt_assert((size_t)(end - at) >= len);
		memcpy(at, op->crcs, len); /* little-endian hosts only: rt/bytes.h */
		at += len;
	}
	memcpy(buf, &head, sizeof(head));
	head.crc = le32_make(
		rt_crc32c(buf + sizeof(head.crc), (size_t)(at - buf) - sizeof(head.crc)));
	memcpy(buf, &head.crc, sizeof(head.crc));
	return (size_t)(at - buf);
}

unsigned record_gather(const struct record *rec, const uint8_t *head, size_t head_len,
		       struct iovec iov[1 + LFS_OPS_MAX])
{
	unsigned n = 0;

	iov[n++] = (struct iovec){ (void *)head, head_len };
	for (unsigned i = 0; i < rec->nops; i++) {
		const struct lfs_op *op = &rec->ops[i];

		if (op->kind == LFS_WRITE)
			iov[n++] = (struct iovec){ (void *)op->data,
						   (size_t)op->blocks * LFS_BLOCK };
	}
	return n;
}

static bool op_is_legal(const struct record_op *wire, const struct lfs_meta *meta)
{
	uint32_t blocks = le32_get(wire->blocks);
	uint64_t lba = le64_get(wire->lba), volume_blocks;

	if (wire->kind < LFS_WRITE || wire->kind > LFS_TRIM || wire->zero != 0)
		return false;
	if (le16_get(wire->volume) >= meta->nvolumes || blocks == 0)
		return false;
	volume_blocks = lfs_volume_blocks(&meta->volumes[le16_get(wire->volume)]);
	return lba < volume_blocks && blocks <= volume_blocks - lba;
}

/* Two operations of one LSN on the same block: no primary makes that. */
static bool record_ops_overlap(const struct record_op *a, const struct record_op *b)
{
	uint64_t a_lba = le64_get(a->lba), b_lba = le64_get(b->lba);

	if (le16_get(a->volume) != le16_get(b->volume))
		return false;
	return a_lba < b_lba ? b_lba - a_lba < le32_get(a->blocks)
			     : a_lba - b_lba < le32_get(b->blocks);
}

static bool record_overlaps_earlier(const uint8_t *ops, unsigned n,
				    const struct record_op *wire)
{
	for (unsigned i = 0; i < n; i++) {
		struct record_op other;

		memcpy(&other, ops + i * sizeof(other), sizeof(other));
		if (record_ops_overlap(&other, wire))
			return true;
	}
	return false;
}

/* The operations' area, judged before anything is allocated. */
static int record_count_blocks(const uint8_t *ops, unsigned nops,
			       const struct lfs_meta *meta, uint64_t *ret)
{
	uint64_t blocks = 0;

	for (unsigned i = 0; i < nops; i++) {
		struct record_op wire;

		memcpy(&wire, ops + i * sizeof(wire), sizeof(wire));
		if (!op_is_legal(&wire, meta) || record_overlaps_earlier(ops, i, &wire))
			return -EPROTO;
		if (wire.kind == LFS_WRITE)
			blocks += le32_get(wire.blocks);
	}
	if (blocks > lfs_data_max(meta->max_request) / LFS_BLOCK)
		return -EPROTO;
	*ret = blocks;
	return 0;
}

static void record_fill_ops(const uint8_t *wire_ops, unsigned nops, struct lfs_op *ops,
			    const uint32_t *crcs, const uint8_t *data)
{
	for (unsigned i = 0; i < nops; i++) {
		struct record_op wire;

		memcpy(&wire, wire_ops + i * sizeof(wire), sizeof(wire));
		ops[i] = (struct lfs_op){
			.kind = wire.kind,
			.volume = le16_get(wire.volume),
			.lba = le64_get(wire.lba),
			.blocks = le32_get(wire.blocks),
		};
		if (wire.kind != LFS_WRITE)
			continue;
		ops[i].crcs = crcs;
		ops[i].data = data;
		crcs += ops[i].blocks;
		data += (size_t)ops[i].blocks * LFS_BLOCK;
	}
}

static int record_check_blocks(const uint8_t *data, const uint32_t *crcs, uint64_t blocks)
{
	for (uint64_t i = 0; i < blocks; i++)
		if (rt_crc32c(data + i * LFS_BLOCK, LFS_BLOCK) != crcs[i])
			return -EBADMSG;
	return 0;
}

int record_decode(const uint8_t *bytes, size_t len, const struct lfs_meta *meta,
		  struct record_owned *ret)
{
	struct record_head head;
	struct record_owned out = { 0 };
	const uint8_t *wire_ops = bytes + sizeof(head);
	uint64_t blocks;
	size_t ops_len, head_len;
	struct lfs_op *ops;
	uint32_t *crcs;
	int err;

	if (len < sizeof(head))
		return -EPROTO;
	memcpy(&head, bytes, sizeof(head));
	if (head.version != RECORD_VERSION || head.zero != 0 ||
	    le16_get(head.nops) == 0 || le16_get(head.nops) > LFS_OPS_MAX ||
	    le64_get(head.lsn) == 0)
		return -EPROTO;
	ops_len = le16_get(head.nops) * sizeof(struct record_op);
	if (len - sizeof(head) < ops_len)
		return -EPROTO;
	err = record_count_blocks(wire_ops, le16_get(head.nops), meta, &blocks);
	if (err < 0)
		return err;
	head_len = sizeof(head) + ops_len + blocks * sizeof(le32);
	if (len != head_len + blocks * LFS_BLOCK)
		return -EPROTO;
	if (rt_crc32c(bytes + sizeof(le32), head_len - sizeof(le32)) !=
	    le32_get(head.crc))
		return -EBADMSG;

	out.data_len = blocks * LFS_BLOCK;
	out.memory = rt_alloc_blocks(out.data_len + blocks * sizeof(uint32_t) +
				     le16_get(head.nops) * sizeof(*ops));
	if (!out.memory)
		return -ENOMEM;
	ops = (struct lfs_op *)((uint8_t *)out.memory + out.data_len);
	crcs = (uint32_t *)(ops + le16_get(head.nops));
	memcpy(out.memory, bytes + head_len, out.data_len);
	memcpy(crcs, wire_ops + ops_len, blocks * sizeof(*crcs));
	record_fill_ops(wire_ops, le16_get(head.nops), ops, crcs, out.memory);
	out.rec = (struct record){ .epoch_id = le64_get(head.epoch_id),
				   .lsn = le64_get(head.lsn),
				   .hash_before = le64_get(head.hash_before),
				   .wall_ns = (int64_t)le64_get(head.wall_ns),
				   .ops = ops,
				   .nops = le16_get(head.nops) };
	err = record_check_blocks(out.memory, crcs, blocks);
	if (err < 0) {
		record_release(&out);
		return err;
	}
	*ret = out;
	return 0;
}

void record_release(struct record_owned *rec)
{
	rt_free(rec->memory);
	rec->memory = NULL;
}
