// SPDX-License-Identifier: BSD-3-Clause
#include "lfs/alive.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "lfs/open_store.h"
#include "rt/check.h"
#include "rt/crc.h"
#include "rt/mem.h"

#define CRC_FROM (offsetof(struct lfs_alive_head, crc) + sizeof(le32))

int lfs_alive_init(struct lfs_alive_block *alive)
{
	alive->block = rt_alloc_blocks(LFS_BLOCK);
	return alive->block ? 0 : -ENOMEM;
}

void lfs_alive_release(struct lfs_alive_block *alive)
{
	rt_free(alive->block);
}

bool lfs_alive_idle(const struct lfs *lfs)
{
	return !lfs->alive.writing;
}

void lfs_alive_encode(uint8_t *block, const uint8_t store[LFS_ID_LEN],
		      const struct lfs_alive *alive)
{
	struct lfs_alive_head h = {
		.magic = le64_make(LFS_ALIVE_MAGIC),
		.since_boot_ns = le64_make((uint64_t)alive->since_boot_ns),
	};

	memcpy(h.store, store, LFS_ID_LEN);
	memcpy(h.boot, alive->boot, LFS_ID_LEN);
	memset(block, 0, LFS_BLOCK);
	memcpy(block, &h, sizeof(h));
	h.crc = le32_make(rt_crc32c(block + CRC_FROM, LFS_BLOCK - CRC_FROM));
	memcpy(block, &h, sizeof(h));
}

bool lfs_alive_decode(const uint8_t *block, const uint8_t store[LFS_ID_LEN],
		      struct lfs_alive *ret)
{
	struct lfs_alive_head h;

	*ret = (struct lfs_alive){ .since_boot_ns = -1 };
	memcpy(&h, block, sizeof(h));
	if (le64_get(h.magic) != LFS_ALIVE_MAGIC ||
	    rt_crc32c(block + CRC_FROM, LFS_BLOCK - CRC_FROM) != le32_get(h.crc) ||
	    memcmp(h.store, store, LFS_ID_LEN) != 0 ||
	    le64_get(h.since_boot_ns) > INT64_MAX)
		return false;
	memcpy(ret->boot, h.boot, LFS_ID_LEN);
	ret->since_boot_ns = (int64_t)le64_get(h.since_boot_ns);
	return true;
}

static void alive_written(struct rt_op *op, int res)
{
	struct lfs_alive_block *alive = rt_container_of(op, struct lfs_alive_block, op);
	struct lfs *lfs = rt_container_of(alive, struct lfs, alive);

	alive->writing = false;
	/* Without it the daemon counts as down for longer, which is safe. */
	if (res == LFS_BLOCK)
		lfs->figures.disk_bytes += LFS_BLOCK;
	lfs_schedule(lfs);
}

void lfs_alive_leave(struct lfs *lfs, const struct lfs_alive *alive)
{
	if (lfs->alive.writing || lfs->failed || lfs->opening ||
	    lfs_closing(&lfs->closing))
		return;
	lfs_alive_encode(lfs->alive.block, lfs->superblock.current.store, alive);
	lfs->alive.writing = true;
	lfs->alive.op.done = alive_written;
	rt_write(lfs->file, &lfs->alive.op, lfs->alive.block, LFS_BLOCK, LFS_ALIVE_OFF);
}
