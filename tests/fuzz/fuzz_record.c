// SPDX-License-Identifier: BSD-3-Clause
/* fuzz-links: replicator */
/*
 * A wire record comes from a peer that holds the key and may still lie: whatever its
 * bytes, it is refused or lies wholly inside its volumes. The input's checksums are mended
 * first, so that the fields behind them are reached.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/record.h"
#include "rt/check.h"
#include "rt/crc.h"

#define FUZZ_RECORD_MAX (64u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The head's checksum, as far as the lengths allow to tell where the head ends. */
static void mend(uint8_t *bytes, size_t len)
{
	struct record_head head;
	size_t end, blocks;
	le32 crc;

	if (len < sizeof(head))
		return;
	memcpy(&head, bytes, sizeof(head));
	bytes[4] = RECORD_VERSION;
	bytes[5] = 0;
	end = sizeof(head) + le16_get(head.nops) * sizeof(struct record_op);
	if (end > len)
		return;
	blocks = (len - end) / (LFS_BLOCK + sizeof(le32));
	end += blocks * sizeof(le32);
	crc = le32_make(rt_crc32c(bytes + sizeof(crc), end - sizeof(crc)));
	memcpy(bytes, &crc, sizeof(crc));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lfs_meta meta;
	static uint8_t bytes[FUZZ_RECORD_MAX];
	struct record_owned out;

	if (size > sizeof(bytes))
		return 0;
	meta.max_request = 64u << 10;
	meta.nvolumes = 2;
	meta.volumes[0].size = 64 * LFS_BLOCK;
	meta.volumes[1].size = UINT64_C(1) << 40;
	memcpy(bytes, data, size);
	for (unsigned pass = 0; pass < 2; pass++) {
		if (record_decode(bytes, size, &meta, &out) == 0) {
			for (unsigned i = 0; i < out.rec.nops; i++) {
				const struct lfs_op *op = &out.rec.ops[i];

				rt_assert(op->volume < 2);
				rt_assert(op->lba + op->blocks <=
					  lfs_volume_blocks(&meta.volumes[op->volume]));
			}
			record_release(&out);
		}
		mend(bytes, size);
	}
	return 0;
}
