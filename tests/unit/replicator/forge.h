/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_REPLICATOR_FORGE_H
#define TESTS_UNIT_REPLICATOR_FORGE_H

/*
 * Wire records made by hand, so that they can be wrong in any field and still carry right
 * checksums: what a peer with the right key can send. Does not use record.c.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/record.h"
#include "rt/crc.h"

#define FORGE_OPS (LFS_OPS_MAX + 2)
#define FORGE_BLOCKS 64u
#define FORGE_BYTES                                                                      \
	(sizeof(struct record_head) + FORGE_OPS * sizeof(struct record_op) +             \
	 FORGE_BLOCKS * (sizeof(le32) + LFS_BLOCK) + LFS_BLOCK)

struct forged {
	struct record_head head;
	struct record_op ops[FORGE_OPS];
	unsigned nops;	 /* operations that are there, whatever the head says */
	unsigned blocks; /* blocks and checksums that are there */
	int more;	 /* bytes at the end: too many, or too few if negative */
	bool head_lies, block_lies; /* that checksum is wrong */
};

static inline void forge_op(struct forged *f, enum lfs_kind kind, unsigned volume,
			    uint64_t lba, uint32_t blocks)
{
	f->ops[f->nops++] = (struct record_op){ .kind = (uint8_t)kind,
						.volume = le16_make((uint16_t)volume),
						.blocks = le32_make(blocks),
						.lba = le64_make(lba) };
	f->head.nops = le16_make((uint16_t)f->nops);
	if (kind == LFS_WRITE)
		f->blocks += blocks;
}

static inline void forge_block(uint8_t *block, unsigned i)
{
	for (size_t k = 0; k < LFS_BLOCK; k++)
		block[k] = (uint8_t)(i * 37 + k * 11 + k / 256);
}

/* The whole record into `buf` of FORGE_BYTES; returns its length. */
static inline size_t forge_put(const struct forged *f, uint8_t *buf)
{
	size_t ops_at = sizeof(f->head), crcs_at, data_at, len;
	le32 crc;

	crcs_at = ops_at + f->nops * sizeof(f->ops[0]);
	data_at = crcs_at + f->blocks * sizeof(crc);
	len = data_at + (size_t)f->blocks * LFS_BLOCK;
	memset(buf, 0, FORGE_BYTES);
	memcpy(buf, &f->head, sizeof(f->head));
	memcpy(buf + ops_at, f->ops, f->nops * sizeof(f->ops[0]));
	for (unsigned i = 0; i < f->blocks; i++) {
		uint8_t *block = buf + data_at + (size_t)i * LFS_BLOCK;

		forge_block(block, i);
		crc = le32_make(rt_crc32c(block, LFS_BLOCK));
		memcpy(buf + crcs_at + i * sizeof(crc), &crc, sizeof(crc));
	}
	if (f->block_lies)
		buf[len - 1] ^= 1;
	crc = le32_make(rt_crc32c(buf + sizeof(crc), data_at - sizeof(crc)) ^
			(f->head_lies ? 0x100u : 0));
	memcpy(buf, &crc, sizeof(crc));
	return len + (size_t)f->more;
}

#endif
