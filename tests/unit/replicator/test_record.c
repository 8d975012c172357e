// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/record.h"
#include "rt/crc.h"
#include "rt/mem.h"

/*
 * The wire record is how every write reaches the mirror: it comes out as it went in, adds
 * little to a lone block, and nothing that differs by a bit, a byte of length or a range
 * beyond its volume is taken for one.
 */

#define MAX_REQUEST (64u << 10)

static struct lfs_meta *meta;
static uint8_t *blocks;
static uint32_t crcs[64];

static int set_up(void **state)
{
	(void)state;
	meta = calloc(1, sizeof(*meta));
	meta->max_request = MAX_REQUEST;
	meta->nvolumes = 2;
	meta->volumes[0].size = 100 * LFS_BLOCK;
	meta->volumes[1].size = 9 * LFS_BLOCK + LFS_SECTOR; /* 10 of them */
	blocks = rt_alloc_blocks(64 * LFS_BLOCK);
	for (size_t i = 0; i < 64 * LFS_BLOCK; i++)
		blocks[i] = (uint8_t)(i * 7 + i / 4096);
	for (unsigned i = 0; i < 64; i++)
		crcs[i] = rt_crc32c(blocks + i * LFS_BLOCK, LFS_BLOCK);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(meta);
	rt_free(blocks);
	return 0;
}

static size_t make(const struct record *rec, uint8_t *buf, size_t size)
{
	size_t len = record_encode_head(rec, buf, size);

	for (unsigned i = 0; i < rec->nops; i++) {
		if (rec->ops[i].kind != LFS_WRITE)
			continue;
		memcpy(buf + len, rec->ops[i].data, rec->ops[i].blocks * LFS_BLOCK);
		len += rec->ops[i].blocks * LFS_BLOCK;
	}
	return len;
}

static const struct lfs_op *some_ops(unsigned *n)
{
	static struct lfs_op ops[3];

	ops[0] = (struct lfs_op){ LFS_WRITE, 0, 5, 2, crcs, blocks };
	ops[1] = (struct lfs_op){ LFS_TRIM, 1, 3, 6, NULL, NULL };
	ops[2] = (struct lfs_op){ LFS_WRITE, 1, 9, 1, crcs + 2, blocks + 2 * LFS_BLOCK };
	*n = 3;
	return ops;
}

static size_t make_some(uint8_t *buf, size_t size)
{
	struct record rec = { 77, 5, 0xabcdef, 123456789, NULL, 0 };

	rec.ops = some_ops(&rec.nops);
	return make(&rec, buf, size);
}

static void a_record_comes_out_as_it_went_in(void **state)
{
	uint8_t buf[8 * LFS_BLOCK];
	size_t len = make_some(buf, sizeof(buf));
	struct record_owned out;
	unsigned n;
	const struct lfs_op *ops = some_ops(&n);

	(void)state;
	assert_int_equal(record_decode(buf, len, meta, &out), 0);
	assert_int_equal(out.rec.epoch_id, 77);
	assert_int_equal(out.rec.lsn, 5);
	assert_int_equal(out.rec.hash_before, 0xabcdef);
	assert_int_equal(out.rec.wall_ns, 123456789);
	assert_int_equal(out.rec.nops, n);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(out.rec.ops[i].kind, ops[i].kind);
		assert_int_equal(out.rec.ops[i].volume, ops[i].volume);
		assert_int_equal(out.rec.ops[i].lba, ops[i].lba);
		assert_int_equal(out.rec.ops[i].blocks, ops[i].blocks);
		if (ops[i].kind != LFS_WRITE)
			continue;
		assert_int_equal((uintptr_t)out.rec.ops[i].data % LFS_BLOCK, 0);
		assert_memory_equal(out.rec.ops[i].data, ops[i].data,
				    ops[i].blocks * LFS_BLOCK);
		assert_memory_equal(out.rec.ops[i].crcs, ops[i].crcs, ops[i].blocks * 4);
	}
	record_release(&out);
}

static void a_lone_block_gains_at_most_128_bytes(void **state)
{
	uint8_t buf[2 * LFS_BLOCK];
	struct lfs_op op = { LFS_WRITE, 0, 0, 1, crcs, blocks };
	struct record rec = { 1, 1, 0, 0, &op, 1 };

	(void)state;
	assert_true(record_encode_head(&rec, buf, sizeof(buf)) <=
		    123); /* and 5 of framing */
}

static void a_record_of_any_other_length_is_refused(void **state)
{
	uint8_t buf[8 * LFS_BLOCK];
	size_t len = make_some(buf, sizeof(buf));
	struct record_owned out;

	(void)state;
	for (size_t n = 0; n < len; n++)
		assert_true(record_decode(buf, n, meta, &out) < 0);
	assert_true(record_decode(buf, len + 1, meta, &out) < 0);
}

static void a_record_with_any_bit_flipped_is_refused(void **state)
{
	uint8_t buf[8 * LFS_BLOCK];
	size_t len = make_some(buf, sizeof(buf));
	struct record_owned out;

	(void)state;
	for (size_t bit = 0; bit < len * 8; bit += bit < 2048 ? 1 : 97) {
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_true(record_decode(buf, len, meta, &out) < 0);
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static int decode_op(enum lfs_kind kind, uint32_t volume, uint64_t lba, uint32_t n)
{
	static uint8_t buf[40 * LFS_BLOCK];
	struct lfs_op op = { kind, volume, lba, n, crcs, blocks };
	struct record rec = { 1, 1, 0, 0, &op, 1 };
	struct record_owned out;
	int err = record_decode(buf, make(&rec, buf, sizeof(buf)), meta, &out);

	if (err == 0)
		record_release(&out);
	return err;
}

static void ranges_end_with_their_volume(void **state)
{
	(void)state;
	assert_int_equal(decode_op(LFS_WRITE, 1, 9, 1), 0);
	assert_int_equal(decode_op(LFS_WRITE, 1, 9, 2), -EPROTO);
	assert_int_equal(decode_op(LFS_WRITE, 1, 10, 1), -EPROTO);
	assert_int_equal(decode_op(LFS_WRITE, 2, 0, 1), -EPROTO);
	assert_int_equal(decode_op(LFS_TRIM, 0, 0, 100), 0);
	assert_int_equal(decode_op(LFS_TRIM, 0, 0, 101), -EPROTO);
	assert_int_equal(decode_op(LFS_TRIM, 0, UINT64_MAX, 1), -EPROTO);
	assert_int_equal(decode_op(LFS_TRIM, 0, 0, 0), -EPROTO);
	assert_int_equal(decode_op((enum lfs_kind)4, 0, 0, 1), -EPROTO);
	assert_int_equal(decode_op((enum lfs_kind)0, 0, 0, 1), -EPROTO);
	/* one block more than max_request, for unaligned ones, and no more */
	assert_int_equal(decode_op(LFS_WRITE, 0, 0, MAX_REQUEST / LFS_BLOCK + 1), 0);
	assert_int_equal(decode_op(LFS_WRITE, 0, 0, MAX_REQUEST / LFS_BLOCK + 2),
			 -EPROTO);
}

static int decode_two(enum lfs_kind kind, uint32_t volume, uint64_t lba, uint32_t n)
{
	static uint8_t buf[40 * LFS_BLOCK];
	const struct lfs_op ops[] = { { LFS_WRITE, 0, 5, 3, crcs, blocks },
				      { kind, volume, lba, n, crcs, blocks } };
	struct record rec = { 1, 1, 0, 0, ops, 2 };
	struct record_owned out;
	int err = record_decode(buf, make(&rec, buf, sizeof(buf)), meta, &out);

	if (err == 0)
		record_release(&out);
	return err;
}

/* One LSN gives a block one content: side by side is legal, one block in common is not. */
static void operations_of_one_lsn_do_not_overlap(void **state)
{
	(void)state;
	assert_int_equal(decode_two(LFS_WRITE, 0, 4, 1), 0);
	assert_int_equal(decode_two(LFS_WRITE, 0, 4, 2), -EPROTO);
	assert_int_equal(decode_two(LFS_TRIM, 0, 5, 3), -EPROTO);
	assert_int_equal(decode_two(LFS_TRIM, 0, 6, 1), -EPROTO);
	assert_int_equal(decode_two(LFS_ZERO, 0, 0, 100), -EPROTO);
	assert_int_equal(decode_two(LFS_ZERO, 0, 7, 1), -EPROTO);
	assert_int_equal(decode_two(LFS_ZERO, 0, 8, 1), 0);
	assert_int_equal(decode_two(LFS_WRITE, 1, 5, 3), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_comes_out_as_it_went_in),
		cmocka_unit_test(a_lone_block_gains_at_most_128_bytes),
		cmocka_unit_test(a_record_of_any_other_length_is_refused),
		cmocka_unit_test(a_record_with_any_bit_flipped_is_refused),
		cmocka_unit_test(ranges_end_with_their_volume),
		cmocka_unit_test(operations_of_one_lsn_do_not_overlap),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
