// SPDX-License-Identifier: BSD-3-Clause
/*
 * The head area of a record is the first thing recovery reads after a crash: everything
 * written is read back, and nothing that differs by as little as one bit, or by the place
 * where it stops, or that adds up wrongly, is taken for a record.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lfs/log_record.h"
#include "rt/crc.h"
#include "rt/mem.h"
#include "tests/unit/unit.h"

#define AREA_MAX (LFS_HEAD_BLOCKS_MAX * LFS_BLOCK)

static uint8_t *area;

static int setup(void **state)
{
	area = rt_alloc_blocks(AREA_MAX);
	return area ? 0 : -1;
}

static int teardown(void **state)
{
	rt_free(area);
	return 0;
}

/* Two LSNs: a write and a trim; another write. */
static struct lfs_record sample(void)
{
	struct lfs_record rec = {
		.kind = LFS_RECORD_CLIENT,
		.prev_crc = 0x01020304,
		.address = 777,
		.generation = UINT64_C(5) << 32 | 6,
		.incarnation = 5,
		.seq = 42,
		.epoch = 3,
		.epoch_id = 0x1122334455667788,
		.first_lsn = 10,
		.last_lsn = 11,
		.hash_before = 0x99aabbccddeeff00,
		.durable_seq = 40,
		.wall_ns = 1234567890,
		.ndescs = 3,
		.nblocks = 5,
		.bytes_before = UINT64_C(9) << 40,
	};
	struct lfs_desc descs[] = {
		{ .kind = LFS_DESC_WRITE, .volume = 1, .lba = 100, .blocks = 2 },
		{ .kind = LFS_DESC_TRIM,
		  .last = true,
		  .volume = 2,
		  .blocks = 1 << 30,
		  .wall_ns = 1111 },
		{ .kind = LFS_DESC_WRITE,
		  .last = true,
		  .lba = 7,
		  .blocks = 3,
		  .wall_ns = -5 },
	};
	uint32_t crcs[] = { 1, 2, 3, 0xffffffff, 5 };

	for (uint32_t i = 0; i < 3; i++)
		lfs_record_put_desc(area, i, &descs[i]);
	lfs_record_put_crcs(area, 3, 0, crcs, 2);
	lfs_record_put_crcs(area, 3, 2, crcs + 2, 3);
	lfs_record_encode(area, &rec);
	return rec;
}

static int decode(size_t len, struct lfs_record *ret)
{
	uint32_t blocks;

	return lfs_record_decode(area, len, ret, &blocks);
}

static void what_is_written_is_read_back(void **state)
{
	struct lfs_record rec = sample(), got;
	static uint8_t before[LFS_BLOCK];
	struct lfs_desc desc;
	uint32_t crcs[5];

	assert_int_equal(decode(LFS_BLOCK, &got), 0);
	assert_int_equal(got.kind, rec.kind);
	assert_int_equal(got.head_crc, rec.head_crc);
	assert_int_equal(got.epoch_id, rec.epoch_id);
	assert_int_equal(got.durable_seq, rec.durable_seq);
	/* All of it: what was read makes the same bytes. */
	memcpy(before, area, LFS_BLOCK);
	memset(area, 0, sizeof(struct lfs_record_head));
	lfs_record_encode(area, &got);
	assert_memory_equal(before, area, LFS_BLOCK);
	lfs_record_get_desc(area, 1, &desc);
	assert_int_equal(desc.kind, LFS_DESC_TRIM);
	assert_true(desc.last);
	assert_int_equal(desc.volume, 2);
	assert_int_equal(desc.blocks, 1 << 30);
	assert_int_equal(lfs_desc_data(&desc), 0);
	lfs_record_get_crcs(area, 3, 0, crcs, 5);
	assert_int_equal(crcs[3], 0xffffffff);
}

static void any_flipped_bit_is_refused(void **state)
{
	struct lfs_record got;

	(void)sample();
	for (size_t bit = 0; bit < LFS_BLOCK * 8; bit++) {
		int res;

		area[bit / 8] ^= (uint8_t)(1u << bit % 8);
		res = decode(LFS_BLOCK, &got);
		assert_true(res == -EBADMSG || res == -EMSGSIZE);
		area[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(decode(LFS_BLOCK, &got), 0);
}

/* The longest there is: its head area takes many blocks. */
static struct lfs_record longest(void)
{
	uint32_t crcs[8] = { 0 }, per = 8;
	struct lfs_record rec = {
		.kind = LFS_RECORD_CLIENT,
		.first_lsn = 1,
		.last_lsn = LFS_RECORD_DESCS_MAX,
		.ndescs = LFS_RECORD_DESCS_MAX,
		.nblocks = LFS_RECORD_DESCS_MAX * per,
	};

	for (uint32_t i = 0; i < rec.ndescs; i++) {
		struct lfs_desc d = { .kind = LFS_DESC_WRITE,
				      .last = true,
				      .lba = i * per,
				      .blocks = per };

		lfs_record_put_desc(area, i, &d);
		lfs_record_put_crcs(area, rec.ndescs, i * per, crcs, per);
	}
	lfs_record_encode(area, &rec);
	return rec;
}

static void every_truncation_is_told_from_damage(void **state)
{
	struct lfs_record rec = longest(), got;
	uint32_t blocks = lfs_record_head_blocks(rec.ndescs, rec.nblocks), want;

	assert_true(blocks > 10);
	for (uint32_t n = 1; n < blocks; n++) {
		want = 0;
		assert_int_equal(lfs_record_decode(area, n * LFS_BLOCK, &got, &want),
				 -EMSGSIZE);
		assert_int_equal(want, blocks);
	}
	assert_int_equal(decode(blocks * LFS_BLOCK, &got), 0);
}

/* The head as it is, with one field changed and the checksum mended. */
static int with_head(void (*change)(struct lfs_record_head *h))
{
	struct lfs_record rec = sample(), got;
	struct lfs_record_head h;

	(void)rec;
	memcpy(&h, area, sizeof(h));
	change(&h);
	memcpy(area, &h, sizeof(h));
	h.head_crc = le32_make(rt_crc32c(area + 12, LFS_BLOCK - 12));
	memcpy(area, &h, sizeof(h));
	return decode(LFS_BLOCK, &got);
}

static void same(struct lfs_record_head *h)
{
	(void)h;
}
static void kind_0(struct lfs_record_head *h)
{
	h->kind = le32_make(0);
}
static void kind_5(struct lfs_record_head *h)
{
	h->kind = le32_make(LFS_RECORD_MARKER + 1);
}
static void kind_map(struct lfs_record_head *h)
{
	h->kind = le32_make(LFS_RECORD_MAP);
}
static void kind_witness(struct lfs_record_head *h)
{
	h->kind = le32_make(LFS_RECORD_MARKER);
}
static void lsn_0(struct lfs_record_head *h)
{
	h->first_lsn = le64_make(0);
	h->last_lsn = le64_make(1);
}
static void lsn_one_more(struct lfs_record_head *h)
{
	h->last_lsn = le64_make(12);
}
static void lsn_one_less(struct lfs_record_head *h)
{
	h->last_lsn = le64_make(10);
}
static void lsn_backwards(struct lfs_record_head *h)
{
	h->last_lsn = le64_make(8);
}
static void lsn_at_the_end(struct lfs_record_head *h)
{
	h->last_lsn = le64_make(UINT64_MAX);
	h->first_lsn = le64_make(UINT64_MAX - 1);
}
static void blocks_one_more(struct lfs_record_head *h)
{
	h->nblocks = le32_make(6);
}
static void blocks_one_less(struct lfs_record_head *h)
{
	h->nblocks = le32_make(4);
}
static void blocks_too_many(struct lfs_record_head *h)
{
	h->nblocks = le32_make(LFS_RECORD_BLOCKS_MAX + 1);
}
static void descs_too_many(struct lfs_record_head *h)
{
	h->ndescs = le32_make(LFS_RECORD_DESCS_MAX + 1);
}
static void descs_none(struct lfs_record_head *h)
{
	h->ndescs = le32_make(0);
}
static void reserved_0(struct lfs_record_head *h)
{
	h->zero0 = le32_make(1);
}

static void what_does_not_add_up_is_refused(void **state)
{
	static void (*const changes[])(struct lfs_record_head * h) = {
		kind_0,		kind_5,		 kind_map,	  kind_witness,
		lsn_0,		lsn_one_more,	 lsn_one_less,	  lsn_backwards,
		lsn_at_the_end, blocks_one_more, blocks_one_less, blocks_too_many,
		descs_too_many, descs_none,	 reserved_0,
	};

	assert_int_equal(with_head(same), 0);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		assert_int_equal(with_head(changes[i]), -EBADMSG);
}

static int with_desc(struct lfs_record_desc d)
{
	struct lfs_record rec = {
		.kind = LFS_RECORD_CLIENT,
		.first_lsn = 1,
		.last_lsn = 1,
		.ndescs = 1,
		.nblocks = d.kind == LFS_DESC_WRITE ? le32_get(d.blocks) : 0,
	};
	struct lfs_record got;

	memcpy(area + sizeof(struct lfs_record_head), &d, sizeof(d));
	if (rec.nblocks > LFS_RECORD_BLOCKS_MAX)
		rec.nblocks = 0;
	for (uint32_t i = 0; i < rec.nblocks; i++)
		lfs_record_put_crcs(area, 1, i, &i, 1);
	lfs_record_encode(area, &rec);
	return decode(AREA_MAX, &got);
}

static void descriptors_are_checked_one_by_one(void **state)
{
	struct lfs_record_desc good = {
		.kind = LFS_DESC_WRITE,
		.flags = LFS_DESC_LAST,
		.lba = le64_make(UINT64_MAX - 8),
		.blocks = le32_make(8),
	};
	struct lfs_record_desc d = good;

	assert_int_equal(with_desc(good), 0);
	d.lba = le64_make(UINT64_MAX - 7);
	assert_int_equal(with_desc(d), -EBADMSG);
	d = good;
	d.blocks = le32_make(0);
	assert_int_equal(with_desc(d), -EBADMSG);
	d.blocks = le32_make(LFS_RECORD_BLOCKS_MAX);
	d.lba = le64_make(0);
	assert_int_equal(with_desc(d), 0);
	d.blocks = le32_make(LFS_RECORD_BLOCKS_MAX + 1);
	assert_int_equal(with_desc(d), -EBADMSG);
	d = good;
	d.flags = 0; /* the LSN does not end */
	assert_int_equal(with_desc(d), -EBADMSG);
	d.flags = LFS_DESC_LAST | 2;
	assert_int_equal(with_desc(d), -EBADMSG);
	for (unsigned kind = 0; kind < 256; kind++) {
		d = good;
		d.kind = (uint8_t)kind;
		assert_int_equal(with_desc(d),
				 kind >= LFS_WRITE && kind <= LFS_TRIM ? 0 : -EBADMSG);
	}
}

/* An LSN has one time, and that stands where the LSN ends. */
static void the_time_of_an_lsn_stands_at_its_end(void **state)
{
	struct lfs_record rec = sample(), got;
	const size_t first = sizeof(struct lfs_record_head);
	struct lfs_record_desc d;
	struct lfs_desc desc;

	assert_int_equal(decode(LFS_BLOCK, &got), 0);
	lfs_record_get_desc(area, 1, &desc);
	assert_true(desc.wall_ns == 1111);
	lfs_record_get_desc(area, 2, &desc);
	assert_true(desc.wall_ns == -5); /* a clock may say anything */
	assert_int_equal(got.bytes_before, rec.bytes_before);
	memcpy(&d, area + first, sizeof(d));
	d.wall_ns = le64_make(1);
	memcpy(area + first, &d, sizeof(d));
	lfs_record_encode(area, &rec);
	assert_int_equal(decode(LFS_BLOCK, &got), -EBADMSG);
}

/* One LSN of n operations. */
static int with_ops(uint32_t n)
{
	struct lfs_record got, rec = {
		.kind = LFS_RECORD_CLIENT,
		.first_lsn = 1,
		.last_lsn = 1,
		.ndescs = n,
	};

	for (uint32_t i = 0; i < n; i++) {
		struct lfs_desc d = { .kind = LFS_DESC_ZERO,
				      .last = i == n - 1,
				      .blocks = 1 };

		lfs_record_put_desc(area, i, &d);
	}
	lfs_record_encode(area, &rec);
	return decode(AREA_MAX, &got);
}

static void an_lsn_has_a_bound(void **state)
{
	assert_int_equal(with_ops(LFS_OPS_MAX), 0);
	assert_int_equal(with_ops(LFS_OPS_MAX + 1), -EBADMSG);
}

static void a_footer_is_read_back(void **state)
{
	struct lfs_summary_item in = {
		.volume = 127, .leaf = true, .crc = 9, .lba = 3, .lsn = 8
	};
	struct lfs_summary_item out;

	/* Entries never cross a block. */
	assert_int_equal(lfs_summary_blocks(256), 2);
	assert_int_equal(lfs_summary_blocks(1 + LFS_SUMMARY_PER_BLOCK), 1);
	assert_int_equal(lfs_summary_blocks(2 + LFS_SUMMARY_PER_BLOCK), 2);
	for (uint32_t i = 0; i < 2 * LFS_SUMMARY_PER_BLOCK; i++) {
		in.lba = i;
		in.leaf = i % 2;
		in.inner = i % 3 == 2 && !in.leaf;
		lfs_summary_put(area, i, &in);
	}
	for (uint32_t i = 0; i < 2 * LFS_SUMMARY_PER_BLOCK; i++) {
		lfs_summary_get(area, i, &out);
		assert_int_equal(out.lba, i);
		assert_int_equal(out.leaf, i % 2);
		assert_int_equal(out.inner, i % 3 == 2 && !out.leaf);
		assert_int_equal(out.volume, 127);
		assert_int_equal(out.lsn, 8);
	}
	memset(area, 0xff, LFS_BLOCK);
	lfs_summary_get(area, 3, &out);
	assert_int_equal(out.volume, LFS_SUMMARY_NONE);
	assert_false(out.leaf);
}

/*
 * Records of one length, whatever it is up to the longest, find what is said to be usable: the
 * last one that fits does not reach the seal, and another one is not waited for. And no more
 * than that is held to be lost.
 */
static void records_find_what_a_segment_is_said_to_hold(void **state)
{
	static const struct {
		uint32_t segment, request; /* bytes */
	} cases[] = {
		{ LFS_SEGMENT_MIN, LFS_REQUEST_MIN },
		{ LFS_SEGMENT_MIN, LFS_SEGMENT_MIN / 4 },
		{ 4 * LFS_BATCH_MAX, LFS_BATCH_MAX },
		{ 16 * LFS_BATCH_MAX, 4 * LFS_BATCH_MAX },
		{ LFS_SEGMENT_MAX, LFS_SEGMENT_MAX / 4 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t blocks = cases[i].segment / LFS_BLOCK, least = UINT32_MAX;
		uint32_t longest = lfs_record_alone_max(cases[i].request);
		uint32_t room = blocks - 1 - lfs_seal_blocks(blocks);

		for (uint32_t record = 1; record <= longest; record++) {
			uint32_t held = room / record * record;

			least = held < least ? held : least;
		}
		assert_true(least > 0);
		assert_in_range(lfs_segment_usable(blocks, cases[i].request),
				room - (longest - 1), least);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(any_flipped_bit_is_refused),
		cmocka_unit_test(every_truncation_is_told_from_damage),
		cmocka_unit_test(what_does_not_add_up_is_refused),
		cmocka_unit_test(descriptors_are_checked_one_by_one),
		cmocka_unit_test(the_time_of_an_lsn_stands_at_its_end),
		cmocka_unit_test(an_lsn_has_a_bound),
		cmocka_unit_test(a_footer_is_read_back),
		cmocka_unit_test(records_find_what_a_segment_is_said_to_hold),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
