// SPDX-License-Identifier: BSD-3-Clause
/*
 * A checkpoint slot holds the tables that recovery begins with. They are read back; a
 * flipped bit, a foreign store, or a table that refers to what cannot be is refused
 * before anything of it is used.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lfs/checkpoint_slot.h"
#include "rt/crc.h"
#include "rt/mem.h"
#include "tests/unit/unit.h"

#define MIB (UINT64_C(1) << 20)

static uint8_t head[LFS_BLOCK];
static uint8_t body[4 * LFS_BLOCK];
static uint8_t store[LFS_ID_LEN] = "which store";
static struct lfs_geometry geo;
static struct lfs_meta meta;
static struct lfs_segments segs;
static struct lfs_map map;

static void tables_release(void)
{
	lfs_map_release(&map);
	lfs_segments_release(&segs);
}

static void tables_empty(void)
{
	assert_int_equal(lfs_segments_init(&segs, geo.segments, 256,
					   (uint32_t)(geo.segments_off / LFS_BLOCK)),
			 0);
	assert_int_equal(lfs_map_init(&map, &segs, &meta, MIB), 0);
}

static int setup(void **state)
{
	char why[LFS_WHY_MAX];

	meta.nvolumes = 2;
	/* Two inner nodes each. */
	meta.volumes[0].size = 100000 * LFS_BLOCK;
	meta.volumes[1].size = 66000 * LFS_BLOCK;
	return lfs_geometry_make(32 * MIB, LFS_SEGMENT_MIN, MIB, &geo, why);
}

static struct lfs_checkpoint_slot sample(void)
{
	struct lfs_checkpoint_slot slot = {
		.seq = 3,
		.incarnation = 2,
		.start = {
			.segment = 1,
			.block = 17,
			.generation = UINT64_C(2) << 32 | 1,
			.seq = 40,
			.lsn = 30,
			.hash = 5,
			.epoch = 1,
			.epoch_id = 99,
			.chain = 0xabcdef,
			.wall_ns = -77,
			.bytes = UINT64_C(5) << 40,
		},
		.written_seq = 41,
		.body_length = LFS_BLOCK,
		.ninner = 2,
		.nsegments = geo.segments,
	};
	struct lfs_inner inner = { .index = 1,
				   .pba = (uint32_t)(geo.segments_off / LFS_BLOCK) + 257,
				   .crc = 77 };
	struct lfs_segment s = { .kind = LFS_HEAD_MAP,
				 .generation = UINT64_C(2) << 32 | 1,
				 .incarnation = 2,
				 .first_lsn = 1,
				 .last_lsn = 30,
				 .end = 20,
				 .live = 8,
				 .state = LFS_SEGMENT_SEALED };
	uint8_t *at = body;

	memset(body, 0, sizeof(body));
	lfs_checkpoint_slot_put_inner(at, &inner);
	at += sizeof(struct lfs_checkpoint_slot_inner);
	inner.volume = 1;
	inner.index = 0;
	lfs_checkpoint_slot_put_inner(at, &inner);
	at += sizeof(struct lfs_checkpoint_slot_inner);
	lfs_checkpoint_slot_put_segment(at + sizeof(struct lfs_checkpoint_slot_segment),
					&s);
	slot.body_crc = rt_crc32c(body, slot.body_length);
	lfs_checkpoint_slot_encode_head(head, &slot, store, 12345);
	return slot;
}

static int decode_head(struct lfs_checkpoint_slot *ret)
{
	return lfs_checkpoint_slot_decode_head(head, &geo, store, ret);
}

static void what_is_written_is_read_back(void **state)
{
	struct lfs_checkpoint_slot in = sample(), out;

	memset(&out, 0, sizeof(out));
	assert_int_equal(decode_head(&out), 0);
	assert_int_equal(out.start.lsn, in.start.lsn);
	assert_int_equal(out.start.block, 17);
	assert_int_equal(out.start.chain, 0xabcdef);
	assert_int_equal(out.start.generation, in.start.generation);
	assert_true(out.start.wall_ns == -77);
	assert_int_equal(out.start.bytes, UINT64_C(5) << 40);
	assert_int_equal(out.written_seq, 41);
	assert_int_equal(out.incarnation, 2);
	tables_empty();
	assert_int_equal(lfs_checkpoint_slot_decode_body(&out, body, &segs, &map), 0);
	assert_int_equal(segs.s[1].last_lsn, 30);
	assert_int_equal(segs.s[1].end, 20);
	assert_int_equal(segs.s[1].state, LFS_SEGMENT_SEALED);
	assert_int_equal(segs.s[0].state, LFS_SEGMENT_FREE);
	assert_int_equal(segs.free, geo.segments - 1);
	assert_int_equal(segs.s[1].live, 8);
	assert_int_equal(segs.s[1].kind, LFS_HEAD_MAP);
	assert_int_equal(map.v[0].inner[1].crc, 77);
	assert_int_equal(map.v[1].inner[0].pba, map.v[0].inner[1].pba);
	tables_release();
}

static void any_flipped_bit_is_refused(void **state)
{
	struct lfs_checkpoint_slot slot = sample(), out;

	for (size_t bit = 0; bit < sizeof(head) * 8; bit++) {
		head[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(decode_head(&out), -EUCLEAN);
		head[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t bit = 0; bit < slot.body_length * 8; bit += 7) {
		body[bit / 8] ^= (uint8_t)(1u << bit % 8);
		tables_empty();
		assert_int_equal(lfs_checkpoint_slot_decode_body(&slot, body, &segs,
								 &map),
				 -EUCLEAN);
		tables_release();
		body[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	store[0] ^= 1;
	assert_int_equal(decode_head(&out), -EUCLEAN);
	store[0] ^= 1;
}

static int with_slot(void (*change)(struct lfs_checkpoint_slot *s))
{
	struct lfs_checkpoint_slot slot = sample(), out;

	change(&slot);
	lfs_checkpoint_slot_encode_head(head, &slot, store, 0);
	return decode_head(&out);
}

static void same(struct lfs_checkpoint_slot *s)
{
	(void)s;
}
static void none_left(struct lfs_checkpoint_slot *s)
{
	s->start.segment = LFS_SEGMENT_NONE;
	s->start.block = 0;
}
static void none_with_block(struct lfs_checkpoint_slot *s)
{
	s->start.segment = LFS_SEGMENT_NONE;
}
static void segment_beyond(struct lfs_checkpoint_slot *s)
{
	s->start.segment = geo.segments;
}
static void block_beyond(struct lfs_checkpoint_slot *s)
{
	s->start.block = 256;
}
static void block_last(struct lfs_checkpoint_slot *s)
{
	s->start.block = 255;
}
static void segments_fewer(struct lfs_checkpoint_slot *s)
{
	s->nsegments--;
}
static void inner_nodes_many(struct lfs_checkpoint_slot *s)
{
	s->ninner = (uint32_t)lfs_geometry_inner(&geo) + 1;
	s->body_length = (s->ninner * sizeof(struct lfs_checkpoint_slot_inner) +
			  s->nsegments * sizeof(struct lfs_checkpoint_slot_segment) +
			  LFS_BLOCK - 1) /
			 LFS_BLOCK * LFS_BLOCK;
}
static void length_more(struct lfs_checkpoint_slot *s)
{
	s->body_length += LFS_BLOCK;
}
static void length_huge(struct lfs_checkpoint_slot *s)
{
	s->body_length = UINT64_MAX;
}
static void lsn_huge(struct lfs_checkpoint_slot *s)
{
	s->start.lsn = UINT64_MAX;
}
static void written_before_start(struct lfs_checkpoint_slot *s)
{
	s->written_seq = s->start.seq - 1;
}

static void a_head_that_cannot_be_is_refused(void **state)
{
	static void (*const changes[])(struct lfs_checkpoint_slot * s) = {
		none_with_block, segment_beyond,   block_beyond,
		segments_fewer,	 inner_nodes_many, length_more,
		length_huge,	 lsn_huge,	   written_before_start,
	};

	assert_int_equal(with_slot(same), 0);
	assert_int_equal(with_slot(block_last), 0);
	assert_int_equal(with_slot(none_left), 0);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		assert_int_equal(with_slot(changes[i]), -EUCLEAN);
}

/* Reserved: what a later version says there must not be passed over. */
static void reserved_bytes_of_a_head_are_zero(void **state)
{
	static const size_t reserved[] = {
		offsetof(struct lfs_checkpoint_slot_head, zero),
		LFS_BLOCK - 1,
	};
	struct lfs_checkpoint_slot out;

	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		uint32_t crc;

		(void)sample();
		assert_int_equal(decode_head(&out), 0);
		head[reserved[i]] = 1;
		crc = rt_crc32c(head + 12, LFS_BLOCK - 12);
		memcpy(head + 8, &crc, sizeof(crc));
		assert_int_equal(decode_head(&out), -EUCLEAN);
	}
}

/* The body with one inner node and segment 1 as given, its checksum right. */
static int with_body(const struct lfs_checkpoint_slot_inner *inner,
		     const struct lfs_checkpoint_slot_segment *s)
{
	struct lfs_checkpoint_slot slot = sample();
	int res;

	if (inner)
		memcpy(body + sizeof(*inner), inner, sizeof(*inner));
	if (s)
		memcpy(body + 2 * sizeof(struct lfs_checkpoint_slot_inner) + sizeof(*s),
		       s, sizeof(*s));
	slot.body_crc = rt_crc32c(body, slot.body_length);
	tables_empty();
	res = lfs_checkpoint_slot_decode_body(&slot, body, &segs, &map);
	tables_release();
	return res;
}

static void inner_nodes_that_cannot_be_are_refused(void **state)
{
	uint32_t base = (uint32_t)(geo.segments_off / LFS_BLOCK);
	struct lfs_checkpoint_slot_inner good = { .volume = le32_make(1),
						  .index = le32_make(1),
						  .pba = le32_make(base + 257) };
	struct lfs_checkpoint_slot_inner d = good;

	assert_int_equal(with_body(&good, NULL), 0);
	d.volume = le32_make(2);
	assert_int_equal(with_body(&d, NULL), -EUCLEAN);
	d = good;
	d.index = le32_make(2);
	assert_int_equal(with_body(&d, NULL), -EUCLEAN);
	/* Not in ascending order: the one before is node 1 of volume 0. */
	d = good;
	d.volume = le32_make(0);
	assert_int_equal(with_body(&d, NULL), -EUCLEAN);
	d.index = le32_make(0);
	assert_int_equal(with_body(&d, NULL), -EUCLEAN);
	d = good;
	d.pba = le32_make(0);
	assert_int_equal(with_body(&d, NULL), -EUCLEAN);
	d.pba = le32_make(base + 256); /* a header */
	assert_int_equal(with_body(&d, NULL), -EUCLEAN);
	d.pba = le32_make(base + 1); /* a free segment */
	assert_int_equal(with_body(&d, NULL), -EUCLEAN);
	d.pba = le32_make(UINT32_MAX);
	assert_int_equal(with_body(&d, NULL), -EUCLEAN);
}

static void segments_that_cannot_be_are_refused(void **state)
{
	struct lfs_checkpoint_slot_segment good = {
		.generation = le64_make(1),
		.first_lsn = le64_make(31),
		.last_lsn = le64_make(30),
		.end = le32_make(256),
		.live = le32_make(255),
		.kind = le32_make(LFS_HEAD_CLIENT),
	};
	struct lfs_checkpoint_slot_segment d = good;

	assert_int_equal(with_body(NULL, &good), 0);
	d.last_lsn = le64_make(29); /* below first_lsn - 1 */
	assert_int_equal(with_body(NULL, &d), -EUCLEAN);
	d.last_lsn = le64_make(UINT64_MAX);
	assert_int_equal(with_body(NULL, &d), -EUCLEAN);
	d = good;
	d.first_lsn = le64_make(29);
	d.last_lsn = le64_make(29); /* replay begins behind it */
	assert_int_equal(with_body(NULL, &d), -EUCLEAN);
	d = good;
	d.first_lsn = le64_make(0);
	assert_int_equal(with_body(NULL, &d), -EUCLEAN);
	d = good;
	d.end = le32_make(257);
	assert_int_equal(with_body(NULL, &d), -EUCLEAN);
	d.end = le32_make(0);
	assert_int_equal(with_body(NULL, &d), -EUCLEAN);
	d = good;
	d.live = le32_make(256); /* with its header more than there are */
	assert_int_equal(with_body(NULL, &d), -EUCLEAN);
	d = good;
	d.flags = le32_make(LFS_CHECKPOINT_SLOT_SEALED << 1);
	assert_int_equal(with_body(NULL, &d), -EUCLEAN);
	d = good;
	d.kind = le32_make(LFS_HEAD_MAP + 1);
	assert_int_equal(with_body(NULL, &d), -EUCLEAN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(any_flipped_bit_is_refused),
		cmocka_unit_test(a_head_that_cannot_be_is_refused),
		cmocka_unit_test(reserved_bytes_of_a_head_are_zero),
		cmocka_unit_test(inner_nodes_that_cannot_be_are_refused),
		cmocka_unit_test(segments_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
