// SPDX-License-Identifier: BSD-3-Clause
/*
 * The sender's stream: bytes as docs/tunnel.md has them, a symbol's frame count that never
 * counts a frame that is not whole below it, and memory with the bound that was asked for.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "replicator/tunnel/stream_tx.h"
#include "rt/check.h"
#include "rt/hash.h"
#include "tests/unit/alloc.h"
#include "tests/unit/unit.h"

#define SIZE 64
#define CAPACITY 2000

static void append(struct stream_tx *tx, uint8_t fill, size_t len)
{
	uint8_t bytes[4096];
	struct iovec iov[3] = { { bytes, len / 2 },
				{ NULL, 0 },
				{ bytes + len / 2, len - len / 2 } };

	memset(bytes, fill, len);
	stream_tx_append(tx, iov, len);
}

/* An isolated block with its record: exactly three symbols of the usual size. */
static void a_lone_block_fills_three_symbols(void **state)
{
	uint8_t bytes[4096 + 128 - STREAM_HEAD] = { 0 };
	struct iovec iov = { bytes, sizeof(bytes) };
	struct stream_tx tx;

	assert_int_equal(stream_tx_init(&tx, 1408, 10), 0);
	stream_tx_append(&tx, &iov, sizeof(bytes));
	assert_int_equal(stream_tx_end(&tx), 3);
	assert_int_equal(tx.closed, 3);
	assert_int_equal(tx.fill, 0);
	stream_tx_release(&tx);
}

static void memory_has_a_bound(void **state)
{
	static uint8_t bytes[CAPACITY * SIZE];
	struct iovec iov = { bytes, 0 };
	struct stream_tx tx;
	size_t all = sizeof(bytes) - STREAM_HEAD;

	assert_int_equal(stream_tx_init(&tx, SIZE, CAPACITY), 0);
	assert_false(stream_tx_room(&tx, all + 1));
	assert_false(stream_tx_room(&tx, SIZE_MAX));
	assert_true(stream_tx_room(&tx, all));
	iov.iov_len = all - 10;
	stream_tx_append(&tx, &iov, all - 10);
	assert_true(stream_tx_room(&tx, 10 - STREAM_HEAD));
	assert_false(stream_tx_room(&tx, 11 - STREAM_HEAD));
	stream_tx_flush(&tx);
	assert_false(stream_tx_room(&tx, 1));
	tx.sent = 1;
	stream_tx_confirm(&tx, 1);
	assert_true(stream_tx_room(&tx, SIZE - STREAM_HEAD));
	assert_false(stream_tx_room(&tx, SIZE - STREAM_HEAD + 1));
	stream_tx_release(&tx);
}

/*
 * A symbol that was confirmed while it waited to be retransmitted leaves its place in the
 * ring behind. One that inherits the mark would never be retransmitted.
 */
static void a_symbol_inherits_nothing(void **state)
{
	uint8_t bytes[SIZE - STREAM_HEAD] = { 0 };
	struct iovec iov = { bytes, sizeof(bytes) };
	struct stream_tx tx;

	assert_int_equal(stream_tx_init(&tx, SIZE, 3), 0);
	for (uint64_t n = 0; n < 10; n++) {
		struct stream_symbol *sym;

		stream_tx_append(&tx, &iov, sizeof(bytes));
		sym = stream_tx_symbol(&tx, n);
		assert_false(sym->queued);
		assert_false(sym->retransmitted);
		assert_int_equal(sym->number, 0);
		assert_int_equal(sym->frames, n + 1);
		*sym = (struct stream_symbol){ .frames = n + 1,
					       .number = n + 100,
					       .buffer = sym->buffer,
					       .queued = true,
					       .retransmitted = true };
		tx.sent++;
		stream_tx_confirm(&tx, n + 1);
	}
	stream_tx_release(&tx);
}

/* The stream by hand: head, length in little endian, bytes, and zeros to the symbol's end. */
static void the_bytes_of_the_stream(void **state)
{
	uint8_t want[5 * SIZE] = { 0 };
	struct stream_tx tx;

	assert_int_equal(stream_tx_init(&tx, SIZE, 8), 0);
	stream_tx_flush(&tx); /* there is nothing to pad */
	assert_int_equal(tx.closed, 0);
	assert_false(stream_tx_unsent(&tx));

	append(&tx, 0xa1, 3);
	memcpy(want, "\x01\x03\0\0\0\xa1\xa1\xa1", 8);
	append(&tx, 0xb2, 0x102); /* over five symbols' boundaries */
	memcpy(want + 8, "\x01\x02\x01\0\0", 5);
	memset(want + 13, 0xb2, 0x102);
	assert_int_equal(tx.closed, (13 + 0x102) / SIZE);
	assert_int_equal(stream_tx_end(&tx), tx.closed + 1);
	stream_tx_flush(&tx);
	assert_int_equal(tx.closed, 5);
	assert_int_equal(stream_tx_end(&tx), 5);
	for (unsigned n = 0; n < 5; n++)
		assert_memory_equal(stream_tx_bytes(&tx, n), want + n * SIZE, SIZE);
	stream_tx_flush(&tx); /* once */
	assert_int_equal(tx.closed, 5);
	stream_tx_release(&tx);
}

/* What a buffer held before must not leave as padding. */
static void padding_is_zero_in_a_buffer_that_was_used(void **state)
{
	struct stream_tx tx;

	assert_int_equal(stream_tx_init(&tx, SIZE, 1), 0);
	append(&tx, 0xff, SIZE - STREAM_HEAD);
	assert_int_equal(tx.closed, 1);
	tx.sent = 1;
	stream_tx_confirm(&tx, 1);
	append(&tx, 0xff, 1);
	stream_tx_flush(&tx);
	for (unsigned i = STREAM_HEAD + 1; i < SIZE; i++)
		assert_int_equal(stream_tx_bytes(&tx, 1)[i], STREAM_PAD);
	stream_tx_release(&tx);
}

/*
 * Frames that end below each symbol, by adding up lengths. Confirmed symbols do not take
 * theirs along.
 */
static void a_frame_counts_where_it_ends(void **state)
{
	static uint64_t ends[8000]; /* frames that end below symbol n */
	uint64_t offset = 0, frames = 0, n = 0;
	struct stream_tx tx;

	assert_int_equal(stream_tx_init(&tx, SIZE, CAPACITY), 0);
	for (unsigned i = 0; i < 3000; i++) {
		size_t len = 1 + rt_mix64(i) % 150;

		append(&tx, 1, len);
		frames++;
		offset += STREAM_HEAD + len;
		/* one that ends with a symbol has ended below the next */
		for (; n + 1 <= (offset + SIZE - 1) / SIZE; n++)
			ends[n + 1] = frames - 1;
		ends[n] = frames;
		if (rt_mix64(i) % 5 == 0) {
			stream_tx_flush(&tx);
			offset = n * SIZE;
		}
		if (i % 7 == 0) {
			uint64_t below = tx.closed - tx.closed % 3;

			tx.sent = tx.closed;
			stream_tx_confirm(&tx, below);
			assert_int_equal(stream_tx_frames(&tx, below), ends[below]);
			stream_tx_confirm(&tx, below / 2); /* late news */
			assert_int_equal(tx.confirmed, below);
			assert_int_equal(stream_tx_frames(&tx, below / 2), ends[below]);
		}
		for (uint64_t s = tx.confirmed + 1; s <= tx.closed; s++)
			assert_int_equal(stream_tx_frames(&tx, s), ends[s]);
	}
	assert_true(n > 3000 && n < RT_ARRAY_LEN(ends));
	stream_tx_release(&tx);
}

/* Symbols that are under way do not share bytes, nor the room before them. */
static void each_symbol_has_bytes_of_its_own(void **state)
{
	struct stream_tx tx;

	assert_int_equal(stream_tx_init(&tx, SIZE, 5), 0);
	for (uint64_t n = 0; n < 40; n++) {
		append(&tx, (uint8_t)(n + 1), SIZE - STREAM_HEAD);
		memset(stream_tx_bytes(&tx, n) - STREAM_ROOM, 0xee, STREAM_ROOM);
		for (uint64_t s = tx.confirmed; s <= n; s++)
			for (unsigned i = STREAM_HEAD; i < SIZE; i++)
				assert_int_equal(stream_tx_bytes(&tx, s)[i], s + 1);
		tx.sent = n + 1;
		if (n >= 4)
			stream_tx_confirm(&tx, n - 3);
		assert_int_equal(tx.nspare + (n + 1 - tx.confirmed), 5);
	}
	stream_tx_release(&tx);
}

static void memory_that_runs_out_is_said(void **state)
{
	struct stream_tx tx;

	for (unsigned n = 1; n <= 3; n++) {
		asked = 0;
		fail_at = n;
		assert_int_equal(stream_tx_init(&tx, SIZE, CAPACITY), -ENOMEM);
		fail_at = 0;
		assert_int_equal(held, 0);
		stream_tx_release(&tx);
		assert_int_equal(held, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bytes_of_the_stream),
		cmocka_unit_test(padding_is_zero_in_a_buffer_that_was_used),
		cmocka_unit_test(a_frame_counts_where_it_ends),
		cmocka_unit_test(each_symbol_has_bytes_of_its_own),
		cmocka_unit_test(a_lone_block_fills_three_symbols),
		cmocka_unit_test(memory_has_a_bound),
		cmocka_unit_test(a_symbol_inherits_nothing),
		cmocka_unit_test(memory_that_runs_out_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
