// SPDX-License-Identifier: BSD-3-Clause
/*
 * Frames of every length, across every boundary of symbols, come back as they were; a
 * symbol's frame count never counts a frame that is not whole below it; and memory has
 * the bound that was asked for.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "fec/fec.h"
#include "replicator/tunnel/stream_rx.h"
#include "replicator/tunnel/stream_tx.h"
#include "rt/hash.h"
#include "tests/unit/unit.h"

#define SIZE 64
#define CAPACITY 2000
#define FRAME_MAX 5000

struct ends {
	struct stream_tx tx;
	struct stream_rx rx;
	uint64_t taken;
};

static void ends_init(struct ends *e)
{
	struct stream_rx_params params = { SIZE, CAPACITY, FRAME_MAX };

	memset(e, 0, sizeof(*e));
	assert_int_equal(stream_tx_init(&e->tx, SIZE, CAPACITY), 0);
	assert_int_equal(stream_rx_init(&e->rx, &params), 0);
}

static void ends_release(struct ends *e)
{
	stream_tx_release(&e->tx);
	stream_rx_release(&e->rx);
}

static size_t frame_len(uint64_t number)
{
	return 1 + rt_mix64(number) % (number % 7 == 0 ? FRAME_MAX : 3 * SIZE);
}

static void submit(struct ends *e, size_t len)
{
	uint8_t bytes[FRAME_MAX];
	size_t cut = len / 3;
	struct iovec iov[3] = { { bytes, cut }, { NULL, 0 }, { bytes + cut, len - cut } };

	memset(bytes, (int)(e->tx.frames % 251) + 1, len);
	stream_tx_append(&e->tx, iov, len);
}

static void take_all(struct ends *e, size_t (*len_of)(uint64_t))
{
	const uint8_t *frame;
	size_t len;

	while (stream_rx_next(&e->rx, &frame, &len) == 1) {
		assert_int_equal(len, len_of(e->taken));
		for (size_t i = 0; i < len; i++)
			assert_int_equal(frame[i], e->taken % 251 + 1);
		e->taken++;
	}
}

/* Carry everything over, symbol by symbol; frames come exactly when they are whole. */
static void carry(struct ends *e, size_t (*len_of)(uint64_t))
{
	stream_tx_flush(&e->tx);
	while (e->tx.sent < e->tx.closed) {
		uint64_t n = e->tx.sent++;

		assert_int_equal(fec_decoder_symbol(e->rx.decoder, n,
						    stream_tx_bytes(&e->tx, n)),
				 0);
		take_all(e, len_of);
		assert_int_equal(stream_tx_frames(&e->tx, n + 1), e->taken);
	}
	stream_tx_confirm(&e->tx, e->tx.sent);
	assert_int_equal(stream_tx_frames(&e->tx, e->tx.sent), e->taken);
	assert_int_equal(e->tx.nspare, CAPACITY);
}

static void frames_of_all_lengths(void **state)
{
	struct ends e;

	ends_init(&e);
	for (unsigned round = 0; round < 3000; round++) {
		unsigned n = 1 + (unsigned)(rt_mix64(round) % 9);

		while (n-- > 0)
			submit(&e, frame_len(e.tx.frames));
		carry(&e, frame_len);
	}
	assert_int_equal(e.taken, e.tx.frames);
	ends_release(&e);
}

static size_t len_every(uint64_t number)
{
	return 1 + number % (2 * SIZE + 7);
}

/* Every length after every other, so that heads lie over every boundary. */
static void heads_over_every_boundary(void **state)
{
	struct ends e;

	ends_init(&e);
	for (unsigned i = 0; i < 100 * (2 * SIZE + 7); i++) {
		submit(&e, len_every(e.tx.frames));
		if (i % 11 == 0)
			carry(&e, len_every);
	}
	carry(&e, len_every);
	assert_int_equal(e.taken, e.tx.frames);
	ends_release(&e);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_all_lengths),
		cmocka_unit_test(heads_over_every_boundary),
		cmocka_unit_test(a_lone_block_fills_three_symbols),
		cmocka_unit_test(memory_has_a_bound),
		cmocka_unit_test(a_symbol_inherits_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
