// SPDX-License-Identifier: BSD-3-Clause
/* fuzz-links: lfs */
/*
 * Bytes on a disk may be anything: each of the store's decoders refuses them or gives
 * numbers within its bounds. The first byte chooses the decoder; the checksums are mended,
 * so that the fields behind them are reached.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lfs/alive.h"
#include "lfs/checkpoint_slot.h"
#include "lfs/event_sector.h"
#include "lfs/scan.h"
#include "rt/check.h"
#include "rt/crc.h"
#include "rt/mem.h"

#define FUZZ_AREA_BLOCKS 16u
#define FUZZ_BODY_BLOCKS 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t store[LFS_ID_LEN];

static void mend(uint8_t *bytes, size_t crc_at, size_t len)
{
	le32 crc = le32_make(rt_crc32c(bytes + crc_at + 4, len - crc_at - 4));

	memcpy(bytes + crc_at, &crc, sizeof(crc));
}

static void fuzz_record(const uint8_t *data, size_t size)
{
	static struct lfs_op ops[LFS_OPS_MAX];
	static uint32_t crcs[LFS_RECORD_BLOCKS_MAX];
	uint8_t *area = rt_alloc_blocks(FUZZ_AREA_BLOCKS * LFS_BLOCK);
	struct lfs_scanned r = { .area = area };
	uint32_t blocks, desc = 0, block = 0;
	uint64_t magic = LFS_RECORD_MAGIC, lsns = 0;

	rt_assert(area);
	memset(area, 0, FUZZ_AREA_BLOCKS * LFS_BLOCK);
	memcpy(area, data,
	       size < FUZZ_AREA_BLOCKS * LFS_BLOCK ? size : FUZZ_AREA_BLOCKS * LFS_BLOCK);
	memcpy(area, &magic, sizeof(magic));
	if (lfs_record_decode(area, LFS_BLOCK, &r.rec, &blocks) == -EMSGSIZE) {
		rt_assert(blocks > 1 && blocks <= LFS_HEAD_BLOCKS_MAX);
		if (blocks <= FUZZ_AREA_BLOCKS)
			mend(area, 8, (size_t)blocks * LFS_BLOCK);
	} else {
		mend(area, 8, LFS_BLOCK);
	}
	if (lfs_record_decode(area, FUZZ_AREA_BLOCKS * LFS_BLOCK, &r.rec, &blocks) == 0 &&
	    r.rec.kind == LFS_RECORD_CLIENT) {
		r.data = area;
		while (desc < r.rec.ndescs) {
			int64_t wall_ns;
			unsigned n = lfs_scan_lsn(&r, &desc, &block, ops, crcs, &wall_ns);

			rt_assert(n >= 1 && n <= LFS_OPS_MAX);
			lsns++;
		}
		rt_assert(block == r.rec.nblocks);
		rt_assert(lsns == r.rec.last_lsn - r.rec.first_lsn + 1);
	}
	rt_free(area);
}

static void fuzz_segment(const uint8_t *data, size_t size)
{
	uint8_t block[LFS_BLOCK] = { 0 };
	uint64_t magic = LFS_SEGMENT_MAGIC;
	struct lfs_segment_info info;

	memcpy(block, data, size < sizeof(block) ? size : sizeof(block));
	memcpy(block, &magic, sizeof(magic));
	mend(block, 8, sizeof(block));
	if (lfs_segment_decode(block, &info) == 0)
		rt_assert(info.generation && info.first_lsn);
}

static void fuzz_super(const uint8_t *data, size_t size)
{
	static uint8_t buf[LFS_SUPERBLOCK_REGION];
	static struct lfs_meta meta;
	struct lfs_superblock_head h;
	struct lfs_superblock superblock;
	char why[LFS_WHY_MAX];

	memset(buf, 0, sizeof(buf));
	memcpy(buf, data, size < sizeof(buf) ? size : sizeof(buf));
	memcpy(&h, buf, sizeof(h));
	h.magic = le64_make(LFS_SUPERBLOCK_MAGIC);
	if (le32_get(h.length) < LFS_BLOCK || le32_get(h.length) > sizeof(buf))
		h.length = le32_make(LFS_BLOCK);
	memcpy(buf, &h, sizeof(h));
	mend(buf, 8, le32_get(h.length));
	if (lfs_superblock_decode(buf, &superblock, &meta, why))
		return;
	rt_assert(meta.nvolumes <= LFS_VOLUMES_MAX && meta.nepochs >= 1);
	rt_assert(superblock.checkpoint_slot <= 1 &&
		  superblock.geo.segments >= LFS_SEGMENTS_MIN);
	rt_assert(lfs_superblock_encode(buf, &superblock, &meta) <= sizeof(buf));
}

/* Head and tables of a small store. */
static void fuzz_slot(const uint8_t *data, size_t size)
{
	static uint8_t bytes[(1 + FUZZ_BODY_BLOCKS) * LFS_BLOCK];
	uint64_t magic = LFS_CHECKPOINT_SLOT_MAGIC;
	struct lfs_geometry geo;
	struct lfs_segments segs;
	struct lfs_map map;
	struct lfs_meta meta = { .nvolumes = 1 };
	struct lfs_checkpoint_slot slot;
	char why[LFS_WHY_MAX];

	meta.volumes[0].size = 4096 * LFS_BLOCK;
	rt_assert(!lfs_geometry_make(32 << 20, 1 << 20, 1 << 20, &geo, why));
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, data, size < sizeof(bytes) ? size : sizeof(bytes));
	memcpy(bytes, &magic, sizeof(magic));
	memset(bytes + 16, 0, LFS_ID_LEN);
	mend(bytes, 8, LFS_BLOCK);
	if (lfs_checkpoint_slot_decode_head(bytes, &geo, store, &slot) ||
	    slot.body_length > FUZZ_BODY_BLOCKS * LFS_BLOCK)
		return;
	slot.body_crc = rt_crc32c(bytes + LFS_BLOCK, slot.body_length);
	rt_assert(!lfs_segments_init(&segs, geo.segments, 256,
				     (uint32_t)(geo.segments_off / LFS_BLOCK)));
	rt_assert(!lfs_map_init(&map, &segs, &meta, 1 << 20));
	if (lfs_checkpoint_slot_decode_body(&slot, bytes + LFS_BLOCK, &segs, &map) == 0)
		for (uint32_t i = 0; i < map.v[0].ninner; i++)
			rt_assert(!map.v[0].inner[i].pba ||
				  lfs_segments_has_data(&segs, map.v[0].inner[i].pba));
	lfs_map_release(&map);
	lfs_segments_release(&segs);
}

/* As the inner node would say it of leaf 7, whose image this is. */
static void fuzz_set_hash(struct lfs_map *map, const uint8_t *image)
{
	struct lfs_leaf_entry e;
	uint64_t sum = 0;

	for (uint64_t i = 0; i < LFS_LEAF_BLOCKS; i++) {
		memcpy(&e, image + i * sizeof(e), sizeof(e));
		if (le32_get(e.pba) || le32_get(e.crc))
			sum += lfs_map_block_hash(map, 0, 7 * LFS_LEAF_BLOCKS + i,
						  le32_get(e.crc));
	}
	lfs_map_entry(map, 0, 7)->set_hash = le64_make(sum);
}

/* The image of an inner node, and that of a leaf below it. */
static void fuzz_image(const uint8_t *data, size_t size)
{
	static uint8_t bytes[2 * LFS_BLOCK];
	struct lfs_segment_info info = {
		.kind = LFS_HEAD_CLIENT, .generation = 1, .incarnation = 1, .first_lsn = 1
	};
	struct lfs_meta meta = { .nvolumes = 1 };
	struct lfs_segments segs;
	struct lfs_map map;
	uint32_t crc;

	meta.volumes[0].size = 4096 * LFS_BLOCK - LFS_SECTOR;
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, data, size < sizeof(bytes) ? size : sizeof(bytes));
	rt_assert(!lfs_segments_init(&segs, 8, 256, 1));
	rt_assert(!lfs_map_init(&map, &segs, &meta, 1 << 20));
	for (uint32_t i = 0; i < 4; i++)
		lfs_segments_open(&segs, i, &info);
	if (lfs_map_load_inner(&map, 0, 0, bytes))
		goto end;
	fuzz_set_hash(&map, bytes + LFS_BLOCK);
	if (lfs_map_load_leaf(&map, 0, 7, bytes + LFS_BLOCK))
		goto end;
	for (uint64_t lba = 0; lba < map.v[0].blocks; lba++) {
		uint32_t pba = lfs_map_get(&map, 0, lba, &crc);

		rt_assert(!pba || lfs_segments_has_data(&segs, pba));
	}
end:
	lfs_map_release(&map);
	lfs_segments_release(&segs);
}

static void fuzz_event(const uint8_t *data, size_t size)
{
	uint8_t sector[LFS_EVENT_SECTOR] = { 0 }, again[LFS_EVENT_SECTOR];
	uint64_t magic = LFS_EVENT_MAGIC;
	struct lfs_event event;

	memcpy(sector, data, size < sizeof(sector) ? size : sizeof(sector));
	memcpy(sector, &magic, sizeof(magic));
	memset(sector + 16, 0, LFS_ID_LEN);
	mend(sector, 8, sizeof(sector));
	for (unsigned i = 0; i < LFS_EVENTS; i++) {
		if (lfs_event_sector_decode(sector, store, i, &event))
			continue;
		rt_assert(lfs_event_sector_of(event.seq) == i);
		rt_assert(strnlen(event.text, sizeof(event.text)) < sizeof(event.text));
		lfs_event_sector_encode(again, store, &event);
		rt_assert(memcmp(sector, again, sizeof(sector)) == 0);
	}
}

static void fuzz_alive(const uint8_t *data, size_t size)
{
	static uint8_t block[LFS_BLOCK], again[LFS_BLOCK];
	uint64_t magic = LFS_ALIVE_MAGIC;
	struct lfs_alive alive;

	memset(block, 0, sizeof(block));
	memcpy(block, data, size < sizeof(block) ? size : sizeof(block));
	memcpy(block, &magic, sizeof(magic));
	memset(block + 16, 0, LFS_ID_LEN);
	mend(block, 8, sizeof(block));
	if (!lfs_alive_decode(block, store, &alive))
		return;
	rt_assert(alive.since_boot_ns >= 0);
	lfs_alive_encode(again, store, &alive);
	rt_assert(memcmp(block, again, sizeof(struct lfs_alive_head)) == 0 ||
		  memcmp(block + 8, again + 8, 4) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	switch (data[0] % 7) {
	case 0:
		fuzz_record(data + 1, size - 1);
		break;
	case 1:
		fuzz_segment(data + 1, size - 1);
		break;
	case 2:
		fuzz_super(data + 1, size - 1);
		break;
	case 3:
		fuzz_slot(data + 1, size - 1);
		break;
	case 5:
		fuzz_image(data + 1, size - 1);
		break;
	case 4:
		fuzz_event(data + 1, size - 1);
		break;
	default:
		fuzz_alive(data + 1, size - 1);
		break;
	}
	return 0;
}
