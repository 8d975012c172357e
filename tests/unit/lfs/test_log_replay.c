// SPDX-License-Identifier: BSD-3-Clause
/*
 * Torn against corrupt: where the chain of records breaks, recovery ends the log there if
 * nothing shows that the missing record was durable, and refuses the store if something
 * does. The first keeps a crash from being called damage, the second keeps damage from
 * being called a crash, which would lose acknowledged writes without a word.
 */
#include "lfs/checkpoint_slot.h"
#include "lfs/log_record.h"
#include "lfs/open_store.h"
#include "lfs/segment.h"
#include "tests/unit/lfs/world_memory.h"

/* Blocks of segment 0 in the log that flushed_log() makes. */
enum {
	HEADER,
	HEAD_1,
	DATA_1,
	HEAD_2,
	DATA_2,
	HEAD_3,
	DATA_3,
	MARKER,
};
#define BIT(block) (1u << (block))

static uint64_t segment_off(struct world *w, uint32_t segment)
{
	return first_data(w) - 2 * LFS_BLOCK + (uint64_t)segment * LFS_SEGMENT_MIN;
}

static uint64_t block_off(struct world *w, unsigned block)
{
	return segment_off(w, 0) + (uint64_t)block * LFS_BLOCK;
}

/* LSN 1 to 3, one record each and flushed, and what names the last of them; a crash. */
static uint8_t *flushed_log(struct world *w)
{
	uint8_t *image;

	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	for (uint8_t i = 1; i <= 3; i++) {
		assert_int_equal(write_blocks(w, i, 1, i), 0);
		assert_int_equal(flush_store(w), 0);
	}
	disk_sleep(LFS_MARKER_MS * RT_MS);
	image = disk_image();
	assert_int_equal(close_store(w), 0);
	return image;
}

/* What recovery has put into the map is no write on its way there. */
static void must_pin_nothing(struct world *w)
{
	const struct lfs_map *map = &w->lfs->map;

	for (uint32_t v = 0; v < map->nvolumes; v++)
		for (uint64_t lba = 0; lba < map->v[v].blocks; lba += LFS_LEAF_BLOCKS)
			assert_true(!map->v[v].leaves[lba / LFS_LEAF_BLOCKS] ||
				    !map->v[v].leaves[lba / LFS_LEAF_BLOCKS]->pins);
}

/* What was written by LSN 1 to `last`, and nothing of what comes after it. */
static void must_end_at(struct world *w, uint64_t last)
{
	char why[LFS_WHY_MAX];
	struct lfs_image image;

	assert_int_equal(lfs_lsn(w->lfs).admitted, last);
	for (uint8_t i = 1; i <= 3; i++)
		must_hold(w, i, 1, i <= last ? i : 0);
	must_pin_nothing(w);
	lfs_image(w->lfs, &image);
	assert_int_equal(image.lsn, last);
	assert_true(image.wall_ns == world_wall_ns(last));
	assert_int_equal(image.bytes, last * LFS_BLOCK);
	assert_int_equal(lfs_recount(w->lfs, why), 0);
}

/* Opens with the log up to `last`, also when it is opened once more. */
static void must_open(struct world *w, uint64_t last)
{
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(open_store(w), 0);
		must_end_at(w, last);
		/* The records of a checkpoint carry the epoch of the last LSN. */
		assert_int_equal(w->lfs->head.applied.epoch, last ? 1 : 0);
		assert_int_equal(w->lfs->head.applied.epoch_id,
				 last ? lfs_meta(w->lfs)->epochs[0].id : 0);
		assert_int_equal(close_store(w), 0);
	}
}

struct rule {
	const char *name;
	unsigned damaged; /* blocks of segment 0 */
	int res;
	uint64_t last;
};

static const struct rule rules[] = {
	{ "nothing is damaged", 0, 0, 3 },
	{ "what nobody names is torn", BIT(MARKER), 0, 3 },
	{ "a head that is named", BIT(HEAD_3), -EUCLEAN, 0 },
	{ "data that is named", BIT(DATA_3), -EUCLEAN, 0 },
	{ "both that would show it are gone", BIT(HEAD_3) | BIT(MARKER), 0, 2 },
	{ "the same with its data", BIT(DATA_3) | BIT(MARKER), 0, 2 },
	{ "a record in the middle", BIT(HEAD_2), -EUCLEAN, 0 },
	{ "its data", BIT(DATA_2), -EUCLEAN, 0 },
	{ "named by the marker alone", BIT(HEAD_2) | BIT(HEAD_3), -EUCLEAN, 0 },
	{ "named by a record whose data is bad", BIT(HEAD_2) | BIT(DATA_3) | BIT(MARKER),
	  -EUCLEAN, 0 },
	{ "all after the first", BIT(HEAD_2) | BIT(HEAD_3) | BIT(MARKER), 0, 1 },
	{ "the first record", BIT(HEAD_1), -EUCLEAN, 0 },
	{ "every record", BIT(HEAD_1) | BIT(HEAD_2) | BIT(HEAD_3) | BIT(MARKER), 0, 0 },
	{ "the segment's header", BIT(HEADER), -EUCLEAN, 0 },
	{ "the header and all that is named",
	  BIT(HEADER) | BIT(HEAD_2) | BIT(HEAD_3) | BIT(MARKER), 0, 0 },
};

static void torn_or_corrupt(void **state)
{
	struct world *w = *state;
	uint8_t *image = flushed_log(w);

	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		const struct rule *r = &rules[i];

		disk_restore(image);
		for (unsigned b = HEADER; b <= MARKER; b++)
			if (r->damaged & BIT(b))
				flip(w, block_off(w, b) + 40);
		print_message("%s\n", r->name);
		if (r->res)
			must_refuse(w, r->res);
		else
			must_open(w, r->last);
	}
	free(image);
}

/* After a close in order the end of the log is known: nothing behind it is looked for. */
static void a_closed_store_looks_for_nothing(void **state)
{
	struct world *w = *state;
	uint8_t *image = flushed_log(w);

	free(image);
	image = disk_image();
	for (unsigned b = HEADER; b <= MARKER; b++) {
		disk_restore(image);
		/* Data is read on demand, and a header when the log goes on there. */
		if (b == DATA_1 || b == DATA_2 || b == DATA_3)
			continue;
		flip(w, block_off(w, b) + 40);
		assert_int_equal(open_store(w), b == HEADER ? -EUCLEAN : 0);
		if (b == HEADER)
			continue;
		must_end_at(w, 3);
		assert_int_equal(close_store(w), 0);
	}
	free(image);
}

/* ---- records that are not of this log, with their checksums right --------------------------- */

struct forgery {
	const char *name;
	void (*change)(struct lfs_record *rec, struct lfs_desc *desc);
	int res; /* 0: the log ends before it */
};

static void other_chain(struct lfs_record *rec, struct lfs_desc *desc)
{
	rec->prev_crc ^= 1;
}

static void other_generation(struct lfs_record *rec, struct lfs_desc *desc)
{
	rec->generation--;
}

static void later_generation(struct lfs_record *rec, struct lfs_desc *desc)
{
	rec->generation++;
}

static void other_incarnation(struct lfs_record *rec, struct lfs_desc *desc)
{
	rec->incarnation--;
}

static void other_address(struct lfs_record *rec, struct lfs_desc *desc)
{
	rec->address++;
}

static void older_seq(struct lfs_record *rec, struct lfs_desc *desc)
{
	rec->seq--;
}

static void later_seq(struct lfs_record *rec, struct lfs_desc *desc)
{
	rec->seq++;
}

static void leaping_lsn(struct lfs_record *rec, struct lfs_desc *desc)
{
	rec->first_lsn++;
	rec->last_lsn++;
}

static void repeated_lsn(struct lfs_record *rec, struct lfs_desc *desc)
{
	rec->first_lsn--;
	rec->last_lsn--;
}

static void other_history(struct lfs_record *rec, struct lfs_desc *desc)
{
	rec->hash_before ^= 1;
}

static void other_bytes(struct lfs_record *rec, struct lfs_desc *desc)
{
	rec->bytes_before += LFS_BLOCK;
}

static void no_such_volume(struct lfs_record *rec, struct lfs_desc *desc)
{
	desc->volume = 1;
}

static void no_such_block(struct lfs_record *rec, struct lfs_desc *desc)
{
	desc->lba = VOLUME_BLOCKS;
}

static const struct forgery forgeries[] = {
	{ "another chain", other_chain, 0 },
	{ "an older generation", other_generation, 0 },
	{ "a later generation", later_generation, 0 },
	{ "another incarnation", other_incarnation, 0 },
	{ "another address", other_address, 0 },
	{ "the sequence of the one before", older_seq, 0 },
	{ "a later sequence", later_seq, 0 },
	{ "an LSN is left out", leaping_lsn, -EUCLEAN },
	{ "an LSN comes twice", repeated_lsn, -EUCLEAN },
	{ "another history", other_history, -EUCLEAN },
	{ "another amount of data before it", other_bytes, -EUCLEAN },
	{ "a volume that is not there", no_such_volume, -EUCLEAN },
	{ "a block that is not there", no_such_block, -EUCLEAN },
};

static void records_of_another_log_are_not_replayed(void **state)
{
	struct world *w = *state;
	uint8_t *image = flushed_log(w), area[LFS_BLOCK];
	struct lfs_record rec;
	struct lfs_desc desc;
	uint32_t blocks;

	for (size_t i = 0; i < sizeof(forgeries) / sizeof(*forgeries); i++) {
		const struct forgery *f = &forgeries[i];

		print_message("%s\n", f->name);
		disk_restore(image);
		flip(w, block_off(w, MARKER) + 40);
		peek(w, block_off(w, HEAD_3), area, sizeof(area));
		assert_int_equal(lfs_record_decode(area, sizeof(area), &rec, &blocks), 0);
		lfs_record_get_desc(area, 0, &desc);
		f->change(&rec, &desc);
		lfs_record_put_desc(area, 0, &desc);
		lfs_record_encode(area, &rec);
		poke(w, block_off(w, HEAD_3), area, sizeof(area));
		if (f->res)
			must_refuse(w, f->res);
		else
			must_open(w, 2);
	}
	free(image);
}

/* ---- from one segment, and from one incarnation, into the next ------------------------------ */

#define LONG 40u /* records of 17 blocks: two seals, and on in the third segment */

/* Every write flushed; a crash. */
static uint8_t *long_log(struct world *w)
{
	uint8_t *image;

	w->checkpoint_every = 64 * MIB; /* all of it is replayed */
	assert_int_equal(create(w, 0), 0);
	assert_int_equal(open_store(w), 0);
	for (unsigned i = 0; i < LONG; i++) {
		assert_int_equal(write_blocks(w, i * 16, 16, (uint8_t)(i + 1)), 0);
		assert_int_equal(flush_store(w), 0);
	}
	image = disk_image();
	assert_int_equal(close_store(w), 0);
	return image;
}

/* Byte offset of the seal of a segment, and how many blocks it has. */
static uint64_t seal_off(struct world *w, uint32_t segment, uint32_t *ret_blocks)
{
	uint64_t off = segment_off(w, segment) + LFS_BLOCK;
	uint8_t area[2 * LFS_BLOCK];
	struct lfs_record rec;
	uint32_t head;

	for (;;) {
		peek(w, off, area, sizeof(area));
		assert_int_equal(lfs_record_decode(area, sizeof(area), &rec, &head), 0);
		*ret_blocks = head + rec.nblocks;
		if (rec.kind == LFS_RECORD_SEAL)
			return off;
		off += (uint64_t)*ret_blocks * LFS_BLOCK;
	}
}

static void must_hold_long(struct world *w)
{
	assert_int_equal(lfs_lsn(w->lfs).admitted, LONG);
	for (unsigned i = 0; i < LONG; i++)
		must_hold(w, i * 16, 16, (uint8_t)(i + 1));
	must_pin_nothing(w);
}

static void the_log_goes_on_behind_a_seal(void **state)
{
	struct world *w = *state;
	uint8_t *image = long_log(w);
	uint64_t segment = 1, off;
	uint32_t blocks;

	disk_restore(image);
	assert_int_equal(open_store(w), 0);
	must_hold_long(w);
	assert_int_equal(close_store(w), 0);
	/* Without the seal, or the header behind it, what is named there is not reached. */
	disk_restore(image);
	off = seal_off(w, (uint32_t)segment, &blocks);
	flip(w, off + 40);
	must_refuse(w, -EUCLEAN);
	disk_restore(image);
	flip(w, segment_off(w, (uint32_t)segment + 1) + 40);
	must_refuse(w, -EUCLEAN);
	/* The summary in it is not needed to go on. */
	disk_restore(image);
	flip(w, off + LFS_BLOCK + 40);
	assert_int_equal(open_store(w), 0);
	must_hold_long(w);
	assert_int_equal(close_store(w), 0);
	free(image);
}

/* A checkpoint that begins inside a segment which its own table calls free. */
static void a_start_in_a_free_segment_is_refused(void **state)
{
	struct world *w = *state;
	uint8_t *image = long_log(w), block[LFS_BLOCK];
	struct lfs_segment_info info;
	struct lfs_superblock superblock, other;
	struct lfs_checkpoint_slot slot;
	uint64_t off;

	disk_restore(image);
	free(image);
	assert_int_equal(lfs_superblock_decode(disk.bytes, &superblock, &w->meta, w->why),
			 0);
	assert_int_equal(lfs_superblock_decode(disk.bytes + lfs_superblock_off(1), &other,
					       &w->meta, w->why),
			 0);
	if (other.seq > superblock.seq)
		superblock = other;
	off = lfs_checkpoint_slot_off(&superblock.geo, superblock.checkpoint_slot);
	peek(w, off, block, sizeof(block));
	assert_int_equal(lfs_checkpoint_slot_decode_head(block, &superblock.geo,
							 superblock.store, &slot),
			 0);
	peek(w, segment_off(w, 0), block, sizeof(block));
	assert_int_equal(lfs_segment_decode(block, &info), 0);
	slot.start.segment = 0;
	slot.start.block = 1;
	slot.start.generation = info.generation;
	slot.start.chain = info.seed;
	slot.incarnation = info.incarnation;
	lfs_checkpoint_slot_encode_head(block, &slot, superblock.store, 0);
	poke(w, off, block, sizeof(block));
	must_refuse(w, -EUCLEAN);
}

/* The checkpoint of the newest opening, damaged: the older one leads into its segments. */
static void an_older_checkpoint_leads_into_the_next_incarnation(void **state)
{
	struct world *w = *state;
	uint8_t *image = flushed_log(w);
	struct lfs_superblock_head h[2];
	unsigned newest;

	disk_restore(image);
	free(image);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(write_blocks(w, 1, 1, 0x11), 0);
	assert_int_equal(flush_store(w), 0);
	disk_sleep(LFS_MARKER_MS * RT_MS);
	image = disk_image();
	assert_int_equal(close_store(w), 0);
	disk_restore(image);
	for (unsigned i = 0; i < 2; i++)
		peek(w, lfs_superblock_off(i), &h[i], sizeof(h[i]));
	newest = le64_get(h[1].seq) > le64_get(h[0].seq);
	flip(w, LFS_EVENTS_OFF + LFS_EVENT_REGION +
			le32_get(h[newest].checkpoint_slot) *
				le64_get(h[newest].checkpoint_slot_size) +
			40);
	assert_int_equal(open_store(w), 0);
	assert_int_equal(lfs_lsn(w->lfs).admitted, 4);
	must_hold(w, 1, 1, 0x11);
	must_hold(w, 2, 1, 2);
	assert_int_equal(close_store(w), 0);
	/* The end of the earlier incarnation is known: nothing before it may be missing. */
	disk_restore(image);
	flip(w, LFS_EVENTS_OFF + LFS_EVENT_REGION +
			le32_get(h[newest].checkpoint_slot) *
				le64_get(h[newest].checkpoint_slot_size) +
			40);
	flip(w, block_off(w, HEAD_3) + 40);
	flip(w, block_off(w, MARKER) + 40);
	must_refuse(w, -EUCLEAN);
	free(image);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(torn_or_corrupt),
		TEST(a_closed_store_looks_for_nothing),
		TEST(records_of_another_log_are_not_replayed),
		TEST(the_log_goes_on_behind_a_seal),
		TEST(a_start_in_a_free_segment_is_refused),
		TEST(an_older_checkpoint_leads_into_the_next_incarnation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
