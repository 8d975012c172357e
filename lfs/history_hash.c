// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "lfs/format.h"
#include "rt/check.h"
#include "rt/hash.h"

/* The canonical bytes of an operation: this, then its block checksums. */
struct history_op {
	le32 kind;
	le32 volume;
	le64 lba;
	le32 blocks;
};
static_assert(sizeof(struct history_op) == 20, "canonical size");

#define HISTORY_MAX                                                                      \
	(LFS_OPS_MAX * sizeof(struct history_op) + LFS_RECORD_BLOCKS_MAX * sizeof(le32))

uint64_t lfs_history_next(uint64_t prev, uint64_t epoch_id, const struct lfs_op *ops,
			  unsigned nops)
{
	uint8_t bytes[HISTORY_MAX];
	size_t len = 0;

	rt_assert(nops <= LFS_OPS_MAX);
	for (unsigned i = 0; i < nops; i++) {
		const struct lfs_op *op = &ops[i];
		struct history_op h = {
			.kind = le32_make(op->kind),
			.volume = le32_make(op->volume),
			.lba = le64_make(op->lba),
			.blocks = le32_make(op->blocks),
		};

		memcpy(bytes + len, &h, sizeof(h));
		len += sizeof(h);
		if (op->kind != LFS_WRITE)
			continue;
		rt_assert(op->blocks <= (sizeof(bytes) - len) / sizeof(le32));
		/* Little-endian hosts only (rt/bytes.h): the array is its bytes. */
		memcpy(bytes + len, op->crcs, op->blocks * sizeof(le32));
		len += op->blocks * sizeof(le32);
	}
	return rt_siphash(prev, epoch_id, bytes, len);
}
