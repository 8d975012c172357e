// SPDX-License-Identifier: BSD-3-Clause
/*
 * The header of a segment tells recovery where the log goes on: it is read back as it was
 * written, and refused with any bit flipped. Segments are handed out round and round and
 * never twice, and the log finds the way through them by generation.
 */
#include <errno.h>
#include <string.h>

#include "lfs/segment.h"
#include "rt/crc.h"
#include "tests/unit/lfs/open_segment.h"
#include "tests/unit/unit.h"

static uint8_t block[LFS_BLOCK];

static struct lfs_segment_info sample(void)
{
	struct lfs_segment_info info = {
		.number = 3,
		.next = LFS_SEGMENT_NONE,
		.seed = 0x12345678,
		.prev_crc = 0x9abcdef0,
		.generation = UINT64_C(7) << 32 | 1,
		.kind = LFS_HEAD_CLIENT,
		.incarnation = 7,
		.first_lsn = 100,
		.first_seq = 50,
	};

	memset(info.store, 0xa5, sizeof(info.store));
	lfs_segment_encode(block, &info);
	return info;
}

static void a_header_is_read_back(void **state)
{
	struct lfs_segment_info in = sample(), out;

	memset(&out, 0, sizeof(out));
	assert_int_equal(lfs_segment_decode(block, &out), 0);
	assert_memory_equal(&in, &out, sizeof(in));
}

static void any_flipped_bit_is_refused(void **state)
{
	struct lfs_segment_info out;

	(void)sample();
	for (size_t bit = 0; bit < sizeof(block) * 8; bit++) {
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(lfs_segment_decode(block, &out), -EBADMSG);
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(lfs_segment_decode(block, &out), 0);
}

static int mended(size_t at, uint8_t byte)
{
	struct lfs_segment_info out;
	le32 crc;

	(void)sample();
	block[at] = byte;
	crc = le32_make(rt_crc32c(block + 12, LFS_BLOCK - 12));
	memcpy(block + 8, &crc, sizeof(crc));
	return lfs_segment_decode(block, &out);
}

static void fields_are_checked_behind_a_good_checksum(void **state)
{
	assert_int_equal(mended(LFS_BLOCK - 1, 0), 0);
	assert_int_equal(mended(LFS_BLOCK - 1, 1), -EBADMSG);
	assert_int_equal(mended(80, 1), -EBADMSG);
	assert_int_equal(mended(76, LFS_HEAD_MAP + 1), -EBADMSG);
	assert_int_equal(mended(76, 0), -EBADMSG);
}

static void segments_go_round_and_are_never_taken_twice(void **state)
{
	struct lfs_segments segs;

	assert_int_equal(lfs_segments_init(&segs, 4, 256, 1000), 0);
	assert_int_equal(lfs_segments_reserve(&segs, 2), 3);
	/* What is reserved counts as free, and is given to nobody else. */
	assert_int_equal(segs.free, 4);
	assert_int_equal(lfs_segments_reserve(&segs, 2), 0);
	open_segment(&segs, 3, 10, 1);
	assert_int_equal(segs.free, 3);
	assert_int_equal(lfs_segments_reserve(&segs, 3), 1);
	open_segment(&segs, 0, 11, 5);
	open_segment(&segs, 1, 12, 5);
	open_segment(&segs, 2, 13, 5);
	assert_int_equal(lfs_segments_reserve(&segs, 2), LFS_SEGMENT_NONE);
	assert_int_equal(segs.free, 0);
	lfs_segments_release(&segs);
}

struct transition {
	enum lfs_segment_state path[3];
	unsigned steps;
	bool in_use; /* behind the last step */
};

/* The lives that a segment can have, and whether it holds a part of the log. */
static void a_segment_lives_by_its_states(void **state)
{
	static const struct transition lives[] = {
		{ { LFS_SEGMENT_RESERVED }, 1, false },
		{ { LFS_SEGMENT_OPEN }, 1, true },
		{ { LFS_SEGMENT_RESERVED, LFS_SEGMENT_OPEN }, 2, true },
		{ { LFS_SEGMENT_RESERVED, LFS_SEGMENT_OPEN, LFS_SEGMENT_SEALED },
		  3,
		  true },
		{ { LFS_SEGMENT_OPEN, LFS_SEGMENT_ENDED }, 2, true },
		{ { LFS_SEGMENT_OPEN, LFS_SEGMENT_ENDED, LFS_SEGMENT_SEALED }, 3, true },
		{ { LFS_SEGMENT_OPEN, LFS_SEGMENT_ENDED, LFS_SEGMENT_EMPTY }, 3, true },
		{ { LFS_SEGMENT_OPEN, LFS_SEGMENT_ENDED, LFS_SEGMENT_FREE }, 3, false },
	};

	for (size_t i = 0; i < sizeof(lives) / sizeof(*lives); i++) {
		struct lfs_segments segs;

		assert_int_equal(lfs_segments_init(&segs, 2, 256, 0), 0);
		assert_int_equal(segs.s[1].state, LFS_SEGMENT_FREE);
		for (unsigned n = 0; n < lives[i].steps; n++)
			lfs_segment_set_state(&segs, 1, lives[i].path[n]);
		assert_int_equal(lfs_segment_in_use(&segs.s[1]), lives[i].in_use);
		assert_int_equal(segs.free, lives[i].in_use ? 1 : 2);
		lfs_segments_release(&segs);
	}
}

static void a_place_is_data_of_a_segment_in_use_or_nothing(void **state)
{
	struct lfs_segments segs;

	assert_int_equal(lfs_segments_init(&segs, 4, 256, 1000), 0);
	open_segment(&segs, 1, 1, 1);
	assert_false(lfs_segments_has_data(&segs, 0));
	assert_false(lfs_segments_has_data(&segs, 999));
	assert_false(lfs_segments_has_data(&segs, 1001)); /* free */
	assert_false(lfs_segments_has_data(&segs, 1256)); /* the header */
	assert_true(lfs_segments_has_data(&segs, 1257));
	assert_true(lfs_segments_has_data(&segs, 1511));
	assert_false(lfs_segments_has_data(&segs, 1513));
	assert_false(lfs_segments_has_data(&segs, 1000 + 4 * 256 + 1));
	assert_false(lfs_segments_has_data(&segs, UINT64_MAX));
	assert_int_equal(lfs_segments_of(&segs, 1511), 1);
	assert_int_equal(lfs_segments_pba(&segs, 1, 255), 1511);
	lfs_segments_release(&segs);
}

/* A pba from a damaged image: what lies behind the table is not looked at. */
static void a_block_behind_the_last_segment_is_no_data(void **state)
{
	struct lfs_segments segs;

	assert_int_equal(lfs_segments_init(&segs, 4, 256, 1000), 0);
	open_segment(&segs, 3, 7, 1);
	assert_true(lfs_segments_has_data(&segs, 1000 + 4 * 256 - 1));
	assert_false(lfs_segments_has_data(&segs, 1000 + 4 * 256 + 1));
	/* The same with something in use where the table ends. */
	segs.n = 3;
	assert_false(lfs_segments_has_data(&segs, 1000 + 3 * 256 + 1));
	lfs_segments_release(&segs);
}

/*
 * When a segment is free: it is the map's, nothing in it is alive, nobody writes it, and two
 * checkpoints have ended since. Whichever slot an open begins with, it says so.
 */
static void an_empty_map_segment_is_free_by_the_second_checkpoint(void **state)
{
	static const struct {
		enum lfs_head_kind kind;
		enum lfs_segment_state state;
		uint32_t live;
		enum lfs_segment_state after[2];
	} rows[] = {
		{ LFS_HEAD_MAP, LFS_SEGMENT_SEALED, 0, { LFS_SEGMENT_EMPTY, LFS_SEGMENT_FREE } },
		{ LFS_HEAD_MAP, LFS_SEGMENT_ENDED, 0, { LFS_SEGMENT_EMPTY, LFS_SEGMENT_FREE } },
		{ LFS_HEAD_MAP, LFS_SEGMENT_SEALED, 1, { LFS_SEGMENT_SEALED, LFS_SEGMENT_SEALED } },
		{ LFS_HEAD_MAP, LFS_SEGMENT_OPEN, 0, { LFS_SEGMENT_OPEN, LFS_SEGMENT_OPEN } },
		/* A log that a mirror may still want. */
		{ LFS_HEAD_CLIENT, LFS_SEGMENT_SEALED, 0, { LFS_SEGMENT_SEALED, LFS_SEGMENT_SEALED } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct lfs_segment_info info = {
			.kind = rows[i].kind, .generation = 9, .incarnation = 1, .first_lsn = 1
		};
		bool free = rows[i].after[1] == LFS_SEGMENT_FREE;
		struct lfs_segments segs;

		assert_int_equal(lfs_segments_init(&segs, 2, 256, 0), 0);
		lfs_segments_open(&segs, 1, &info);
		if (rows[i].state != LFS_SEGMENT_OPEN)
			lfs_segment_set_state(&segs, 1, rows[i].state);
		segs.s[1].live = rows[i].live;
		for (unsigned n = 0; n < 2; n++) {
			lfs_segments_age(&segs);
			assert_int_equal(segs.s[1].state, rows[i].after[n]);
		}
		assert_int_equal(segs.free, free ? 2 : 1);
		assert_int_equal(segs.s[1].generation, free ? 0 : 9);
		assert_int_equal(segs.s[0].state, LFS_SEGMENT_FREE);
		lfs_segments_release(&segs);
	}
}

/* Recovery finds another generation where the slot says that nothing counts, or that it does. */
static void only_what_counts_for_nothing_is_disowned(void **state)
{
	struct lfs_segment_info info = {
		.kind = LFS_HEAD_MAP, .generation = 9, .incarnation = 1, .first_lsn = 1
	};
	struct lfs_segments segs;

	assert_int_equal(lfs_segments_init(&segs, 2, 256, 0), 0);
	lfs_segments_open(&segs, 0, &info);
	lfs_segment_set_state(&segs, 0, LFS_SEGMENT_ENDED);
	segs.s[0].live = 1;
	assert_false(lfs_segments_disown(&segs, 0));
	segs.s[0].live = 0;
	assert_true(lfs_segments_disown(&segs, 0));
	assert_int_equal(segs.free, 2);
	assert_false(lfs_segments_disown(&segs, 0));
	open_segment(&segs, 1, 10, 1);
	assert_false(lfs_segments_disown(&segs, 1));
	lfs_segments_release(&segs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_is_read_back),
		cmocka_unit_test(a_block_behind_the_last_segment_is_no_data),
		cmocka_unit_test(any_flipped_bit_is_refused),
		cmocka_unit_test(fields_are_checked_behind_a_good_checksum),
		cmocka_unit_test(segments_go_round_and_are_never_taken_twice),
		cmocka_unit_test(a_segment_lives_by_its_states),
		cmocka_unit_test(an_empty_map_segment_is_free_by_the_second_checkpoint),
		cmocka_unit_test(only_what_counts_for_nothing_is_disowned),
		cmocka_unit_test(a_place_is_data_of_a_segment_in_use_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
