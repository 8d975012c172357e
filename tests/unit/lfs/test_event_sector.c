// SPDX-License-Identifier: BSD-3-Clause
/*
 * An event is read back as it was written. A sector that is damaged anywhere, cut, of another
 * store, or of another number is no event: it can neither be invented nor be found twice.
 */
#include <errno.h>
#include <string.h>

#include "lfs/event_sector.h"
#include "rt/crc.h"
#include "tests/unit/unit.h"

static uint8_t sector[LFS_EVENT_SECTOR];
static const uint8_t store[LFS_ID_LEN] = { 1, 2, 3 };
static const uint8_t other_store[LFS_ID_LEN] = { 1, 2, 4 };

#define NUMBER 7u

static struct lfs_event sample(void)
{
	struct lfs_event event = {
		.seq = LFS_EVENTS + NUMBER,
		.wall_ns = -5,
		.level = 2,
		.text = "state from=IN_SYNC to=HOLDING",
	};

	lfs_event_sector_encode(sector, store, &event);
	return event;
}

static void mend(void)
{
	le32 crc = le32_make(rt_crc32c(sector + 12, sizeof(sector) - 12));

	memcpy(sector + 8, &crc, sizeof(crc));
}

static int decoded(void)
{
	struct lfs_event event;

	return lfs_event_sector_decode(sector, store, NUMBER, &event);
}

static void an_event_is_read_back(void **state)
{
	struct lfs_event in = sample(), out;

	assert_int_equal(lfs_event_sector_decode(sector, store, NUMBER, &out), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	/* The longest text, and none. */
	memset(in.text, 'x', sizeof(in.text) - 1);
	lfs_event_sector_encode(sector, store, &in);
	assert_int_equal(lfs_event_sector_decode(sector, store, NUMBER, &out), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	memset(in.text, 0, sizeof(in.text));
	lfs_event_sector_encode(sector, store, &in);
	assert_int_equal(lfs_event_sector_decode(sector, store, NUMBER, &out), 0);
	assert_memory_equal(&in, &out, sizeof(in));
}

static void any_flipped_bit_is_no_event(void **state)
{
	(void)sample();
	for (size_t bit = 0; bit < sizeof(sector) * 8; bit++) {
		sector[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(decoded(), -EBADMSG);
		sector[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(decoded(), 0);
	memset(sector, 0, sizeof(sector));
	assert_int_equal(decoded(), -EBADMSG);
}

static void cut_anywhere_is_no_event(void **state)
{
	for (size_t len = 0; len < 48 + sizeof("state from=IN_SYNC to=HOLDING") - 1;
	     len++) {
		(void)sample();
		memset(sector + len, 0, sizeof(sector) - len);
		assert_int_equal(decoded(), -EBADMSG);
	}
}

static void what_another_store_left_is_no_event(void **state)
{
	struct lfs_event out;

	(void)sample();
	assert_int_equal(lfs_event_sector_decode(sector, other_store, NUMBER, &out),
			 -EBADMSG);
	assert_int_equal(lfs_event_sector_decode(sector, store, NUMBER + 1, &out),
			 -EBADMSG);
}

/* With a checksum that is right. */
static void what_no_store_of_ours_writes_is_refused(void **state)
{
	static const uint64_t numbers[] = { 0, LFS_EVENT_SEQ_MAX + NUMBER, UINT64_MAX };

	for (unsigned i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		le64 seq = le64_make(numbers[i]);
		struct lfs_event out;

		(void)sample();
		memcpy(sector + 32, &seq, sizeof(seq));
		mend();
		assert_int_equal(lfs_event_sector_decode(sector, store,
							 lfs_event_sector_of(numbers[i]),
							 &out),
				 -EBADMSG);
	}
	for (size_t at = 13; at < 16; at++) {
		(void)sample();
		sector[at] = 1;
		mend();
		assert_int_equal(decoded(), -EBADMSG);
	}
	(void)sample();
	sector[LFS_EVENT_SECTOR - 1] = 'x'; /* behind the end of the text */
	mend();
	assert_int_equal(decoded(), -EBADMSG);
	memset(sector + 48, 'x', LFS_EVENT_TEXT_MAX); /* without an end */
	mend();
	assert_int_equal(decoded(), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_is_read_back),
		cmocka_unit_test(any_flipped_bit_is_no_event),
		cmocka_unit_test(cut_anywhere_is_no_event),
		cmocka_unit_test(what_another_store_left_is_no_event),
		cmocka_unit_test(what_no_store_of_ours_writes_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
