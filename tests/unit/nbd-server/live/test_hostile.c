// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rt/check.h"
#include "tests/unit/nbd-server/live/live.h"
#include "tests/unit/unit.h"

/* Raw clients that break the rules, stop in the middle, or do not read. */

#define PIECE (1u << 20)
#define BIG (32u << 20)

static void write_request(int fd, uint64_t cookie, uint64_t offset, uint32_t len)
{
	raw_request(fd, NBDS_CMD_WRITE, 0, cookie, offset, len);
}

/* `len` bytes of payload, or of anything. */
static void send_bytes(int fd, size_t len)
{
	static uint8_t bytes[PIECE];

	for (; len > 0; len -= len < PIECE ? len : PIECE)
		raw_send(fd, bytes, len < PIECE ? len : PIECE);
}

static void recv_bytes(int fd, size_t len)
{
	static uint8_t bytes[PIECE];

	for (; len > 0; len -= len < PIECE ? len : PIECE)
		raw_recv(fd, bytes, len < PIECE ? len : PIECE);
}

/* A working client beside the hostile ones. */
static void expect_service(struct live *live)
{
	int fd = raw_open(live);

	write_request(fd, 1, 3, 5);
	raw_send(fd, "hello", 5);
	raw_expect(fd, 1, NBDS_OK);
	raw_request(fd, NBDS_CMD_READ, 0, 2, 3, 5);
	raw_expect(fd, 2, NBDS_OK);
	recv_bytes(fd, 5);
	raw_request(fd, NBDS_CMD_DISC, 0, 0, 0, 0);
	raw_expect_end(fd);
	close(fd);
}

/* Who connects and says nothing, or half a word, loses its slot after the handshake time. */
static void silence_gives_the_slot_back(void **state)
{
	const struct nbds_limits limits = { .connections = 4, .handshake_ms = 300 };
	static const uint8_t half[] = "\0\0\0\3IHAVEOPT\0\0\0\7\0\0\0\12\0\0";
	struct live *live = live_start(&limits);
	int fd[4], more;

	for (int i = 0; i < 4; i++) {
		fd[i] = raw_connect(live);
		recv_bytes(fd[i], 18);
		raw_send(fd[i], half, (size_t)i * 7);
	}
	live_wait_for(live, connections, 4);
	more = raw_connect(live);
	raw_expect_end(more); /* one more than the limit is turned away at once */
	close(more);
	for (int i = 0; i < 4; i++)
		raw_expect_end(fd[i]);
	live_wait_for(live, connections, 0);
	live_wait_for(live, handshake_timeouts, 4);
	live_wait_for(live, refused, 1);
	expect_service(live);
	for (int i = 0; i < 4; i++)
		close(fd[i]);
	live_end(live);
}

/*
 * Whatever way a connection ends, its slot comes back: with a limit of three, three
 * hundred clients that end in a dozen ways are all let in.
 */
static void every_end_gives_the_slot_back(void **state)
{
	const struct nbds_limits limits = { .connections = 3 };
	struct live *live = live_start(&limits);

	for (int i = 0; i < 300; i++) {
		bool early = i % 12 < 3;
		int fd = early ? raw_connect(live) : raw_open(live);

		switch (i % 12) {
		case 0:
			break; /* goes before the greeting is read */
		case 1:
			recv_bytes(fd, 18);
			raw_send(fd, "\0\0\0\3IHAV", 8);
			break;
		case 2:
			raw_send(fd, "\377\377\377\377", 4);
			recv_bytes(fd, 18);
			raw_expect_end(fd);
			break;
		case 3:
			raw_request(fd, NBDS_CMD_DISC, 0, 0, 0, 0);
			break;
		case 4:
			raw_send(fd, "\x25\x60\x95\x13\0\0\0", 7); /* in a header */
			break;
		case 5:
			write_request(fd, 1, 0, 100000); /* in a payload */
			send_bytes(fd, 70000);
			break;
		case 6:
			raw_send(fd, "this is no request at all....", 28);
			raw_expect_end(fd);
			break;
		case 7:
			raw_request(fd, NBDS_CMD_READ, 0, 1, 0, PIECE); /* never read */
			break;
		case 8:
			assert_int_equal(shutdown(fd, SHUT_WR), 0);
			raw_expect_end(fd);
			break;
		case 9:
			write_request(fd, 1, LIVE_SIZE, 5000); /* in a refused payload */
			send_bytes(fd, 3);
			break;
		case 10:
			write_request(fd, 1, 0, UINT32_MAX); /* above the maximum */
			raw_expect(fd, 1, NBDS_EINVAL);
			break;
		default:
			break;
		}
		close(fd);
		/* The next one must find room as soon as the server has noticed. */
		live_wait_for(live, connections, 0);
	}
	live_wait_for(live, refused, 0);
	live_wait_for(live, inflight, 0);
	live_wait_for(live, memory, 0);
	live_end(live);
}

/* Unknown commands and flags get EINVAL, and the next request is as good as ever. */
static void nonsense_is_answered_and_survived(void **state)
{
	struct live *live = live_start(NULL);
	int fd = raw_open(live);

	raw_request(fd, 5, 0, 1, 0, 4096); /* CACHE is not offered */
	raw_expect(fd, 1, NBDS_EINVAL);
	raw_request(fd, 7, 0, 2, 0, 4096);
	raw_expect(fd, 2, NBDS_EINVAL);
	raw_request(fd, 999, 0, 3, 0, 4096);
	raw_expect(fd, 3, NBDS_EINVAL);
	raw_request(fd, NBDS_CMD_READ, 0xfffe, 4, 0, 4096);
	raw_expect(fd, 4, NBDS_EINVAL);
	raw_request(fd, NBDS_CMD_READ, 0, 5, 0, 0);
	raw_expect(fd, 5, NBDS_EINVAL);
	raw_request(fd, NBDS_CMD_READ, 0, 6, 0, BIG + 1);
	raw_expect(fd, 6, NBDS_EINVAL);
	raw_request(fd, NBDS_CMD_READ, 0, 7, UINT64_MAX - 10, 100);
	raw_expect(fd, 7, NBDS_EINVAL);
	raw_request(fd, NBDS_CMD_FLUSH, 0, 8, 1, 1);
	raw_expect(fd, 8, NBDS_EINVAL);
	assert_int_equal(live_seen(live), 0);
	raw_request(fd, NBDS_CMD_READ, 0, 9, 0, 1);
	raw_expect(fd, 9, NBDS_OK);
	recv_bytes(fd, 1);
	live_wait_for(live, refused_requests, 8);
	close(fd);
	live_end(live);
}

/* The payload of a refused write is no request: the stream keeps its step. */
static void refused_payload_is_consumed(void **state)
{
	static const uint32_t lens[] = { 1, 27, 28, 4096, 65536, 65535, 300000, BIG };
	struct live *live = live_start(NULL);
	int fd = raw_open(live);

	for (size_t i = 0; i < RT_ARRAY_LEN(lens); i++) {
		write_request(fd, i, LIVE_SIZE, lens[i]);
		send_bytes(fd, lens[i]);
		raw_request(fd, NBDS_CMD_FLUSH, 0, 100, 0, 0);
		raw_expect(fd, i, NBDS_ENOSPC);
		raw_expect(fd, 100, NBDS_OK);
	}
	assert_int_equal(live_seen(live), RT_ARRAY_LEN(lens)); /* the flushes */
	close(fd);
	live_end(live);
}

/*
 * A length above the maximum is refused at once, without its payload; the client gets the
 * answer although it is still sending, and those of before; then the connection ends.
 */
static void write_above_the_maximum(void **state)
{
	struct live *live = live_start(NULL);
	int fd = raw_open(live);

	live_hold(live, true);
	raw_request(fd, NBDS_CMD_READ, 0, 1, 0, 512);
	write_request(fd, 2, 0, BIG + 1);
	send_bytes(fd, 100000);
	raw_expect(fd, 2, NBDS_EINVAL);
	live_hold(live, false);
	raw_expect(fd, 1, NBDS_OK);
	recv_bytes(fd, 512);
	raw_expect_end(fd);
	close(fd);
	live_wait_for(live, connections, 0);
	live_end(live);
}

/* Those who stop in the middle hold their own slot, and nothing that others need. */
static void stalled_clients_do_not_stop_others(void **state)
{
	struct live *live = live_start(NULL);
	int head = raw_open(live);
	int payload = raw_open(live);
	int reader = raw_open(live);

	raw_send(head, "\x25\x60\x95\x13\0\0\0", 7);
	write_request(payload, 1, 0, BIG);
	send_bytes(payload, BIG - 1);
	raw_request(reader, NBDS_CMD_READ, 0, 1, 0, BIG);
	for (int i = 0; i < 10; i++)
		expect_service(live);
	/* And they may go on where they stopped. */
	send_bytes(payload, 1);
	raw_expect(payload, 1, NBDS_OK);
	raw_expect(reader, 1, NBDS_OK);
	recv_bytes(reader, BIG);
	close(head);
	close(payload);
	close(reader);
	live_wait_for(live, memory, 0);
	live_end(live);
}

/* Who waits for memory is served in turn, whether the others read or go away. */
static void waiting_for_memory_is_in_order(void **state)
{
	const struct nbds_limits limits = { .memory = NBDS_MEMORY_MIN };
	struct live *live = live_start(&limits);

	for (uint64_t round = 0; round < 2; round++) {
		int fd[3];

		live_hold(live, true);
		fd[0] = raw_open(live);
		raw_request(fd[0], NBDS_CMD_READ, 0, 1, 0, BIG);
		live_wait_for(live, memory, BIG);
		fd[1] = raw_open(live);
		raw_request(fd[1], NBDS_CMD_READ, 0, 2, 0, BIG); /* has to wait */
		live_wait_for(live, waited, 2 * round + 1);
		fd[2] = raw_open(live);
		raw_request(fd[2], NBDS_CMD_READ, 0, 3, 0, 4096); /* behind it */
		live_wait_for(live, waited, 2 * round + 2);
		live_hold(live, false);
		if (round == 0) {
			raw_expect(fd[0], 1, NBDS_OK);
			recv_bytes(fd[0], BIG);
		}
		close(fd[0]); /* in the second round without having read */
		raw_expect(fd[1], 2, NBDS_OK);
		recv_bytes(fd[1], BIG);
		raw_expect(fd[2], 3, NBDS_OK);
		recv_bytes(fd[2], 4096);
		close(fd[1]);
		close(fd[2]);
		live_wait_for(live, memory, 0);
		live_wait_for(live, connections, 0);
	}
	live_wait_for(live, evicted, 0);
	live_end(live);
}

/*
 * Writes that wait for the mirror take no memory from reads: three clients with more than
 * there is, and a fourth that reads all the time, in small pieces and in the longest ones.
 * One client alone is held up by its own share of memory as little.
 */
static void held_writes_leave_memory_for_others(void **state)
{
	enum { HOLDERS = 3, WRITES = 64 };
	const struct nbds_limits limits = { .memory = NBDS_MEMORY_MIN };
	struct live *live = live_start(&limits);
	int holder[HOLDERS], reader = raw_open(live);

	live_hold_writes(live, true);
	for (unsigned h = 0; h < HOLDERS; h++) {
		holder[h] = raw_open(live);
		for (unsigned i = 0; i < WRITES; i++) {
			write_request(holder[h], i, (uint64_t)i * PIECE, PIECE);
			send_bytes(holder[h], PIECE);
		}
		raw_request(reader, NBDS_CMD_READ, 0, h, 0, h ? BIG : PIECE);
		raw_expect(reader, h, NBDS_OK);
		recv_bytes(reader, h ? BIG : PIECE);
		/* It reads by itself, too. */
		raw_request(holder[h], NBDS_CMD_READ, 0, WRITES, 0, 4096);
		raw_expect(holder[h], WRITES, NBDS_OK);
		recv_bytes(holder[h], 4096);
	}
	live_hold_writes(live, false);
	for (unsigned h = 0; h < HOLDERS; h++) {
		for (unsigned i = 0; i < WRITES; i++)
			raw_expect(holder[h], i, NBDS_OK);
		close(holder[h]);
	}
	close(reader);
	live_wait_for(live, memory, 0);
	live_wait_for(live, connections, 0);
	live_wait_for(live, evicted, 0);
	live_end(live);
}

/* Who leaves with writes held leaves no memory behind that nobody gets. */
static void who_leaves_with_held_writes_leaves_memory(void **state)
{
	const struct nbds_limits limits = { .memory = NBDS_MEMORY_MIN };
	struct live *live = live_start(&limits);
	int fd = raw_open(live), reader;

	live_hold_writes(live, true);
	for (unsigned i = 0; i < 40; i++) {
		write_request(fd, i, (uint64_t)i * PIECE, PIECE);
		send_bytes(fd, PIECE);
	}
	live_wait_seen(live, 40);
	close(fd);
	reader = raw_open(live);
	raw_request(reader, NBDS_CMD_READ, 0, 1, 0, BIG);
	raw_expect(reader, 1, NBDS_OK);
	recv_bytes(reader, BIG);
	live_hold_writes(live, false);
	close(reader);
	live_wait_for(live, memory, 0);
	live_wait_for(live, connections, 0);
	live_end(live);
}

/*
 * All payload memory is in the hands of clients that do not send what they announced, or
 * do not read what they asked for: who waits is served when their time is over, and they
 * are the ones that lose their connections.
 */
static void memory_is_taken_from_those_who_sit_on_it(void **state)
{
	enum { SITTERS = 20 };
	const struct nbds_limits limits = { .memory = NBDS_MEMORY_MIN, .patience_ms = 1 };
	const struct timespec patience = { 0, 2000000 };
	struct live *live = live_start(&limits);
	int sitter[SITTERS], lazy, fd;

	lazy = raw_open(live);
	for (int i = 0; i < SITTERS; i++) {
		sitter[i] = raw_open(live);
		write_request(sitter[i], 1, 0, PIECE);
		send_bytes(sitter[i], 100);
		raw_request(lazy, NBDS_CMD_READ, 0, 1, 0, PIECE);
	}
	live_wait_for(live, memory, 2 * SITTERS * PIECE);
	/* The last one has sat for longer than the patience, too, when somebody waits. */
	(void)nanosleep(&patience, NULL);
	fd = raw_open(live);
	raw_request(fd, NBDS_CMD_READ, 0, 2, 0, 4096);
	raw_expect(fd, 2, NBDS_OK);
	recv_bytes(fd, 4096);
	live_wait_for(live, evicted, SITTERS + 1);
	live_wait_for(live, memory, 0);
	for (int i = 0; i < SITTERS; i++)
		close(sitter[i]);
	close(lazy);
	close(fd);
	live_end(live);
}

/* The bound on requests in flight stops the reading, not the answering. */
static void inflight_limit_pushes_back(void **state)
{
	enum { N = 100 };
	const struct nbds_limits limits = { .inflight = 8 };
	struct live *live = live_start(&limits);
	int fd = raw_open(live);

	live_hold(live, true);
	for (uint64_t i = 0; i < N; i++)
		raw_request(fd, NBDS_CMD_FLUSH, 0, i, 0, 0);
	live_wait_seen(live, 8);
	assert_int_equal(live_held(live), 8);
	live_hold(live, false);
	for (uint64_t i = 0; i < N; i++)
		raw_expect(fd, i, NBDS_OK);
	close(fd);
	live_end(live);
}

/* DISC, or the end of the client's side, waits for the answers to what was asked before. */
static void ends_wait_for_answers(void **state)
{
	struct live *live = live_start(NULL);

	for (int half_close = 0; half_close < 2; half_close++) {
		int fd = raw_open(live);

		live_hold(live, true);
		for (uint64_t i = 0; i < 40; i++)
			raw_request(fd, NBDS_CMD_READ, 0, i, 0, 1000);
		if (half_close)
			assert_int_equal(shutdown(fd, SHUT_WR), 0);
		else
			raw_request(fd, NBDS_CMD_DISC, 0, 0, 0, 0);
		live_wait_seen(live, 40 * (uint64_t)(half_close + 1));
		live_hold(live, false);
		for (uint64_t i = 0; i < 40; i++) {
			raw_expect(fd, i, NBDS_OK);
			recv_bytes(fd, 1000);
		}
		raw_expect_end(fd);
		close(fd);
	}
	live_end(live);
}

/*
 * A client that dies while the group holds its requests: they are finished, nobody
 * gets an answer, and then everything is given back.
 */
static void client_dies_with_requests_held(void **state)
{
	struct live *live = live_start(NULL);
	int fd = raw_open(live);

	live_hold(live, true);
	for (uint64_t i = 0; i < 20; i++) {
		write_request(fd, i, i * 8192 + 7, 8192);
		send_bytes(fd, 8192);
	}
	raw_request(fd, NBDS_CMD_READ, 0, 1, 0, BIG);
	live_wait_seen(live, 21);
	close(fd);
	live_hold(live, false);
	live_wait_for(live, connections, 0);
	live_wait_for(live, inflight, 0);
	live_wait_for(live, memory, 0);
	expect_service(live);
	live_end(live);
}

/* The option INFO for the default export, as a client that negotiates sends it. */
static void ask_info(int fd)
{
	raw_send(fd, "\0\0\0\3IHAVEOPT\0\0\0\6\0\0\0\6\0\0\0\0\0\0", 26);
}

/*
 * A stop answers what is in flight, reads no more, and does not wait for who is mute. It
 * gives no request an error: who connects again to the next daemon sends it again.
 */
static void stop_answers_and_reads_no_more(void **state)
{
	const struct nbds_limits limits = { .patience_ms = 200 };
	struct live *live = live_start(&limits);
	int negotiating = raw_connect(live);
	int idle = raw_open(live);
	int half = raw_open(live);
	int busy = raw_open(live);
	int mute = raw_open(live);
	uint8_t head[20];

	write_request(half, 1, 0, 100000);
	send_bytes(half, 100);
	live_hold(live, true);
	raw_request(busy, NBDS_CMD_READ, 0, 1, 0, 4096);
	raw_request(mute, NBDS_CMD_READ, 0, 1, 0, BIG);
	live_wait_seen(live, 2);
	live_stop(live);
	recv_bytes(negotiating, 18);
	ask_info(negotiating);
	raw_recv(negotiating, head, sizeof(head));
	assert_memory_equal(head + 8, "\0\0\0\6\x80\0\0\7", 8); /* ERR_SHUTDOWN */
	recv_bytes(negotiating, head[19]);
	raw_expect_end(negotiating);
	raw_expect_end(idle);
	raw_expect_end(half);
	raw_request(busy, NBDS_CMD_READ, 0, 2, 0, 4096);
	write_request(busy, 3, 0, 5000);
	send_bytes(busy, 5000);
	live_hold(live, false);
	raw_expect(busy, 1, NBDS_OK);
	recv_bytes(busy, 4096);
	raw_expect_end(busy);
	assert_int_equal(live_seen(live), 2);
	live_end(live); /* ends although `mute` never reads, and nobody has closed */
	close(negotiating);
	close(idle);
	close(half);
	close(busy);
	close(mute);
}

/* A held write is ended by the group when that stops: the connection's end is the answer. */
static void what_the_group_ends_at_a_stop_has_no_answer(void **state)
{
	struct live *live = live_start(NULL);
	int fd = raw_open(live);

	live_hold(live, true);
	write_request(fd, 1, 0, 5000);
	send_bytes(fd, 5000);
	raw_request(fd, NBDS_CMD_READ, 0, 2, 0, 4096);
	live_wait_seen(live, 2);
	live_stop(live);
	live_fail(live, -ESHUTDOWN);
	live_hold(live, false);
	raw_expect_end(fd);
	live_end(live);
	close(fd);
}

/* Random bytes, at the greeting and behind a good negotiation, harm nobody. */
static void garbage_harms_nobody(void **state)
{
	struct live *live = live_start(NULL);
	unsigned seed = 42;

	print_message("seed=%u\n", seed);
	for (int i = 0; i < 300; i++) {
		int fd = i % 2 ? raw_open(live) : raw_connect(live);
		uint8_t bytes[600];
		size_t len = (size_t)rand_r(&seed) % sizeof(bytes);

		for (size_t j = 0; j < len; j++)
			bytes[j] = (uint8_t)rand_r(&seed);
		/* Often enough the beginning is right, and the damage is behind it. */
		if (i % 2 && i % 3 && len >= 28) {
			memcpy(bytes, "\x25\x60\x95\x13\0\0\0", 7);
			bytes[7] %= 8;
			memset(bytes + 16, 0, 4);
			memset(bytes + 24, 0, 2);
		} else if (i % 3 && len >= 20) {
			memcpy(bytes, "\0\0\0\3IHAVEOPT\0\0\0", 15);
			bytes[15] %= 12;
			memset(bytes + 16, 0, 3);
		}
		(void)send(fd, bytes, len, MSG_NOSIGNAL); /* it may be closed already */
		close(fd);
	}
	live_wait_for(live, connections, 0);
	live_wait_for(live, memory, 0);
	expect_service(live);
	live_end(live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence_gives_the_slot_back),
		cmocka_unit_test(every_end_gives_the_slot_back),
		cmocka_unit_test(nonsense_is_answered_and_survived),
		cmocka_unit_test(refused_payload_is_consumed),
		cmocka_unit_test(write_above_the_maximum),
		cmocka_unit_test(stalled_clients_do_not_stop_others),
		cmocka_unit_test(waiting_for_memory_is_in_order),
		cmocka_unit_test(held_writes_leave_memory_for_others),
		cmocka_unit_test(who_leaves_with_held_writes_leaves_memory),
		cmocka_unit_test(memory_is_taken_from_those_who_sit_on_it),
		cmocka_unit_test(inflight_limit_pushes_back),
		cmocka_unit_test(ends_wait_for_answers),
		cmocka_unit_test(client_dies_with_requests_held),
		cmocka_unit_test(stop_answers_and_reads_no_more),
		cmocka_unit_test(what_the_group_ends_at_a_stop_has_no_answer),
		cmocka_unit_test(garbage_harms_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
