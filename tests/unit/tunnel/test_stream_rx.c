// SPDX-License-Identifier: BSD-3-Clause
/*
 * Frames of every length, across every boundary of symbols, come back as they were, once
 * they are whole and not before. What is no stream of ours ends it for good, whatever
 * follows. And an acknowledgement reports what is here and what is missing, to the symbol.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "fec/fec.h"
#include "replicator/tunnel/packet.h"
#include "replicator/tunnel/stream_rx.h"
#include "replicator/tunnel/stream_tx.h"
#include "rt/check.h"
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

/* ---- what is no stream of ours ------------------------------------------------------------- */

/* A symbol that begins with these bytes, and is filled up with `fill`. */
static void give(struct stream_rx *rx, uint64_t number, const char *bytes, size_t len,
		 int fill)
{
	uint8_t symbol[SIZE];

	memset(symbol, fill, sizeof(symbol));
	memcpy(symbol, bytes, len);
	assert_int_equal(fec_decoder_symbol(rx->decoder, number, symbol), 0);
}

static void rx_init(struct stream_rx *rx, uint32_t capacity)
{
	struct stream_rx_params params = { SIZE, capacity, FRAME_MAX };

	assert_int_equal(stream_rx_init(rx, &params), 0);
}

/* Refused for good: also when what follows would be a frame. */
static void expect_broken(struct stream_rx *rx)
{
	const uint8_t *frame = NULL;
	size_t len = 7;

	for (uint64_t n = 0; n < 3; n++) {
		assert_int_equal(stream_rx_next(rx, &frame, &len), -EPROTO);
		assert_null(frame);
		assert_int_equal(len, 7);
		give(rx, 10 + n, "\x01\x01\0\0\0x", 6, 0);
	}
}

static void what_is_no_stream_ends_it(void **state)
{
	static const struct {
		char bytes[SIZE + 1];
		size_t len;
		int fill;
	} table[] = {
		{ "\x02\x01\0\0\0x", 6, 0 },	     /* not the head of a frame */
		{ "\xff\x01\0\0\0x", 6, 0 },	     /* nor this */
		{ "\x01\0\0\0\0x", 6, 0 },	     /* of no length */
		{ "\x01\x89\x13\0\0x", 6, 'x' },     /* of FRAME_MAX + 1 */
		{ "\x01\0\0\x01\0x", 6, 'x' },	     /* of 65536 */
		{ "\x01\xff\xff\xff\xffx", 6, 'x' }, /* of all that a length can say */
		{ "\0\x01", 2, 0 },		     /* padding that is not zero */
		{ "\0", 1, 1 },			     /* nor is all of this */
	};

	for (unsigned i = 0; i < 2 * RT_ARRAY_LEN(table); i++) {
		bool behind_a_frame = i % 2;
		const uint8_t *frame;
		struct stream_rx rx;
		size_t len;

		rx_init(&rx, CAPACITY);
		if (behind_a_frame) {
			/* its last byte lies in symbol 1 */
			give(&rx, 0, "\x01\x3c\0\0\0", 5, 'f');
			assert_int_equal(stream_rx_next(&rx, &frame, &len), 0);
			give(&rx, 1, "f", 1, 0);
			assert_int_equal(stream_rx_next(&rx, &frame, &len), 1);
			assert_int_equal(len, 0x3c);
			assert_int_equal(stream_rx_next(&rx, &frame, &len), 0);
		}
		give(&rx, behind_a_frame ? 2 : 0, table[i / 2].bytes, table[i / 2].len,
		     table[i / 2].fill);
		expect_broken(&rx);
		stream_rx_release(&rx);
	}
}

/* Only the last byte of the padding is wrong; then only one in the middle, behind a frame. */
static void padding_is_looked_at_to_its_end(void **state)
{
	for (unsigned at = 0; at < SIZE; at++) {
		static const char frame[] = "\x01\x02\0\0\0ab";
		char bytes[SIZE] = { 0 };
		unsigned head = at % 2 ? sizeof(frame) - 1 : 0;
		struct stream_rx rx;
		const uint8_t *got;
		size_t len;

		if (at <= head)
			continue;
		memcpy(bytes, frame, head);
		bytes[at] = 1;
		rx_init(&rx, CAPACITY);
		give(&rx, 0, bytes, SIZE, 0);
		if (head > 0)
			assert_int_equal(stream_rx_next(&rx, &got, &len), 1);
		expect_broken(&rx);
		stream_rx_release(&rx);
	}
}

/* The longest frame that was agreed on is none too long; symbols of zeros are no frames. */
static void the_longest_frame_is_taken(void **state)
{
	const uint8_t *frame;
	struct stream_rx rx;
	uint64_t n = 0;
	size_t len;

	rx_init(&rx, CAPACITY);
	for (; n < 5; n++) {
		give(&rx, n, "", 0, 0);
		assert_int_equal(stream_rx_next(&rx, &frame, &len), 0);
	}
	give(&rx, n++, "\x01\x88\x13\0\0", 5, 'y');
	while (n < 5 + (5 + FRAME_MAX) / SIZE) {
		assert_int_equal(stream_rx_next(&rx, &frame, &len), 0);
		give(&rx, n++, "", 0, 'y');
	}
	assert_int_equal(stream_rx_next(&rx, &frame, &len), 0);
	give(&rx, n++, "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
	     (5 + FRAME_MAX) % SIZE, 0);
	assert_int_equal(stream_rx_next(&rx, &frame, &len), 1);
	assert_int_equal(len, FRAME_MAX);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(frame[i], 'y');
	assert_int_equal(stream_rx_next(&rx, &frame, &len), 0);
	stream_rx_release(&rx);
}

/* ---- reports --------------------------------------------------------------------------- */

static void expect_report(const struct stream_rx *rx, uint64_t below, uint64_t seen,
			  unsigned nholes, struct packet_report *report)
{
	*report = (struct packet_report){ .nholes = 77, .watermark = 5 };
	stream_rx_report(rx, report);
	assert_int_equal(report->below, below);
	assert_int_equal(report->seen, seen);
	assert_int_equal(report->nholes, nholes);
	assert_int_equal(report->credit, rx->reading + rx->capacity);
	assert_int_equal(report->watermark, 5); /* not the stream's */
}

static void expect_hole(const struct packet_report *r, unsigned i, uint64_t first,
			uint32_t count)
{
	assert_int_equal(r->holes[i].first, first);
	assert_int_equal(r->holes[i].count, count);
}

static void holes_are_reported_to_the_symbol(void **state)
{
	struct packet_report r;
	struct stream_rx rx;
	const uint8_t *frame;
	size_t len;

	rx_init(&rx, CAPACITY);
	expect_report(&rx, 0, 0, 0, &r);
	assert_int_equal(r.credit, CAPACITY);
	give(&rx, 2, "", 0, 0);
	expect_report(&rx, 0, 3, 1, &r);
	expect_hole(&r, 0, 0, 2);
	give(&rx, 0, "", 0, 0);
	give(&rx, 6, "", 0, 0);
	give(&rx, 7, "", 0, 0);
	give(&rx, 9, "", 0, 0);
	expect_report(&rx, 1, 10, 3, &r);
	expect_hole(&r, 0, 1, 1);
	expect_hole(&r, 1, 3, 3);
	expect_hole(&r, 2, 8, 1);
	assert_int_equal(r.deficit, 5);
	assert_int_equal(r.credit, CAPACITY); /* nothing was read */
	assert_int_equal(stream_rx_next(&rx, &frame, &len), 0);
	expect_report(&rx, 1, 10, 3, &r);
	assert_int_equal(r.credit, CAPACITY + 1);
	for (uint64_t n = 1; n < 9; n++)
		if (n == 1 || n == 8 || (n >= 3 && n <= 5))
			give(&rx, n, "", 0, 0);
	expect_report(&rx, 10, 10, 0, &r);
	assert_int_equal(r.deficit, 0);
	assert_int_equal(stream_rx_next(&rx, &frame, &len), 0);
	assert_int_equal(stream_rx_credit(&rx), CAPACITY + 10);
	stream_rx_release(&rx);
}

/* As many as an acknowledgement has room for: the oldest, each whole. */
static void the_oldest_holes_are_reported_first(void **state)
{
	struct packet_report r;
	struct stream_rx rx;

	rx_init(&rx, CAPACITY);
	for (unsigned i = 1; i <= PACKET_HOLES_MAX + 9; i++) {
		give(&rx, 3 * i + 2, "", 0, 0);
		expect_report(&rx, 0, 3 * i + 3,
			      i < PACKET_HOLES_MAX ? i : PACKET_HOLES_MAX, &r);
		expect_hole(&r, 0, 0, 5);
		for (unsigned k = 1; k < r.nholes; k++)
			expect_hole(&r, k, 3 * k + 3, 2);
	}
	stream_rx_release(&rx);
}

/* The work of one report is bounded, however far the newest symbol is ahead. */
static void a_report_looks_so_far_and_no_further(void **state)
{
	struct packet_report r;
	struct stream_rx rx;

	rx_init(&rx, 9000);
	give(&rx, 0, "", 0, 0);
	give(&rx, 8999, "", 0, 0);
	expect_report(&rx, 1, 9000, 1, &r);
	expect_hole(&r, 0, 1, 4096);
	assert_int_equal(r.deficit, 8998);
	stream_rx_release(&rx);
}

/* What a repair brings is here, and read, like what was received. */
static void rebuilt_symbols_are_here(void **state)
{
	struct fec_params params = { .code = FEC_WINDOW,
				     .symbol_size = SIZE,
				     .window = 16 };
	uint8_t out[SIZE] __attribute__((aligned(FEC_SYMBOL_ALIGN)));
	struct fec_encoder *enc;
	struct fec_repair head;
	struct packet_report r;
	const uint8_t *frame;
	struct ends e;
	size_t len;

	ends_init(&e);
	assert_int_equal(fec_encoder_new(&params, &enc), 0);
	for (unsigned i = 0; i < 4; i++)
		submit(&e, 2 * SIZE);
	stream_tx_flush(&e.tx);
	for (uint64_t n = 0; n < e.tx.closed; n++) {
		fec_encoder_add(enc, stream_tx_bytes(&e.tx, n));
		if (n != 0 && n != 3)
			assert_int_equal(fec_decoder_symbol(e.rx.decoder, n,
							    stream_tx_bytes(&e.tx, n)),
					 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		expect_report(&e.rx, 0, e.tx.closed, 2, &r);
		assert_int_equal(r.deficit, 2 - i);
		assert_int_equal(r.rebuilt, 0);
		assert_int_equal(stream_rx_next(&e.rx, &frame, &len), 0);
		assert_true(fec_encoder_repair(enc, &head, out));
		assert_int_equal(fec_decoder_repair(e.rx.decoder, &head, out), 0);
	}
	expect_report(&e.rx, e.tx.closed, e.tx.closed, 0, &r);
	assert_int_equal(r.rebuilt, 2);
	while (stream_rx_next(&e.rx, &frame, &len) == 1) {
		assert_int_equal(len, 2 * SIZE);
		assert_int_equal(frame[0], ++e.taken);
	}
	assert_int_equal(e.taken, 4);
	assert_int_equal(stream_rx_credit(&e.rx), CAPACITY + e.tx.closed);
	fec_encoder_free(enc);
	ends_release(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_all_lengths),
		cmocka_unit_test(heads_over_every_boundary),
		cmocka_unit_test(what_is_no_stream_ends_it),
		cmocka_unit_test(padding_is_looked_at_to_its_end),
		cmocka_unit_test(the_longest_frame_is_taken),
		cmocka_unit_test(holes_are_reported_to_the_symbol),
		cmocka_unit_test(the_oldest_holes_are_reported_first),
		cmocka_unit_test(a_report_looks_so_far_and_no_further),
		cmocka_unit_test(rebuilt_symbols_are_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
