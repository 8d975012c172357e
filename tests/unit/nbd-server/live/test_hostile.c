// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rt/check.h"
#include "tests/unit/nbd-server/live/live.h"
#include "tests/unit/unit.h"

/* Raw clients that break the rules, stop in the middle, or do not read. */

/* Who connects and says nothing, or half a word, loses its slot after the handshake time. */
static void silence_gives_the_slot_back(void **state)
{
	const struct nbds_limits limits = { .connections = 4, .handshake_ms = 300 };
	static const uint8_t half[] = "\0\0\0\3IHAVEOPT\0\0\0\7\0\0\0\12\0\0";
	struct live *live = live_start(&limits);
	int fd[4], more;

	for (int i = 0; i < 4; i++) {
		fd[i] = raw_connect(live);
		raw_recv_any(fd[i], 18);
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
	live_wait_for(live, refused_options, 0);
	raw_expect_service(live);
	for (int i = 0; i < 4; i++)
		close(fd[i]);
	live_end(live);
}

/* The handshake's time ends with it: who is served may be silent for as long as it likes. */
static void who_is_served_may_be_silent(void **state)
{
	const struct nbds_limits limits = { .handshake_ms = 300 };
	struct live *live = live_start(&limits);
	int served = raw_open(live);
	int silent = raw_connect(live);

	live_wait_for(live, handshake_timeouts, 1); /* so that of `served` is over, too */
	raw_request(served, NBDS_CMD_FLUSH, 0, 1, 0, 0);
	raw_expect(served, 1, NBDS_OK);
	close(served);
	close(silent);
	live_end(live);
}

struct narrow {
	int fd, err;
};

static void narrow_serve(struct live *live, void *arg)
{
	struct narrow *n = arg;

	n->err = nbds_server_serve_fds(live_server(live), n->fd, n->fd, NULL, NULL);
}

/* A connection that takes a few kilobytes of answers before its client has to read. */
static int narrow_connect(struct live *live)
{
	const struct timeval limit = { LIVE_WAIT_MS / 1000, 0 };
	const int least = 1;
	struct narrow n;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(
		setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)), 0);
	assert_int_equal(
		setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	n.fd = pair[1];
	live_call(live, narrow_serve, &n);
	assert_int_equal(n.err, 0);
	return pair[0];
}

#define NARROW_OPTIONS 1000

/* Options whose answers are far more than what a narrow connection takes. */
static void narrow_ask(int fd)
{
	static uint8_t ask[4 + NARROW_OPTIONS * 16] = { 0, 0, 0, 3 };

	for (unsigned i = 0; i < NARROW_OPTIONS; i++)
		memcpy(ask + 4 + (size_t)i * 16, "IHAVEOPT\0\0\0\115\0\0\0", 16);
	raw_send(fd, ask, sizeof(ask));
}

/* Answers that leave in pieces arrive whole, and once. */
static void slow_reader_of_a_long_negotiation(void **state)
{
	struct live *live = live_start(NULL);
	int fd = narrow_connect(live);
	struct nbds_option_reply reply;
	char first[200], text[200];

	narrow_ask(fd);
	raw_send(fd, "IHAVEOPT\0\0\0\2\0\0\0", 16);
	raw_recv_any(fd, 18);
	for (unsigned i = 0; i < NARROW_OPTIONS; i++) {
		raw_recv(fd, &reply, sizeof(reply));
		assert_int_equal(be64_get(reply.magic), NBDS_OPTION_REPLY_MAGIC);
		assert_int_equal(be32_get(reply.option), 77);
		assert_int_equal(be32_get(reply.type), NBDS_REP_ERR_UNSUP);
		assert_true(be32_get(reply.len) < sizeof(text));
		raw_recv(fd, i == 0 ? first : text, be32_get(reply.len));
		if (i > 0)
			assert_memory_equal(text, first, be32_get(reply.len));
	}
	raw_recv(fd, &reply, sizeof(reply));
	assert_int_equal(be32_get(reply.option), NBDS_OPT_ABORT);
	raw_expect_end(fd);
	close(fd);
	live_end(live);
}

/* Who never reads its negotiation is closed in the middle of a send, and is gone then. */
static void negotiation_that_nobody_reads(void **state)
{
	const struct nbds_limits limits = { .handshake_ms = 200 };
	struct live *live = live_start(&limits);
	int fd[20];

	for (unsigned i = 0; i < RT_ARRAY_LEN(fd); i++) {
		fd[i] = narrow_connect(live);
		narrow_ask(fd[i]);
	}
	live_wait_for(live, handshake_timeouts, RT_ARRAY_LEN(fd));
	live_wait_for(live, connections, 0);
	raw_expect_service(live);
	for (unsigned i = 0; i < RT_ARRAY_LEN(fd); i++)
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
			raw_recv_any(fd, 18);
			raw_send(fd, "\0\0\0\3IHAV", 8);
			break;
		case 2:
			raw_send(fd, "\377\377\377\377", 4);
			raw_recv_any(fd, 18);
			raw_expect_end(fd);
			break;
		case 3:
			raw_request(fd, NBDS_CMD_DISC, 0, 0, 0, 0);
			break;
		case 4:
			raw_send(fd, "\x25\x60\x95\x13\0\0\0", 7); /* in a header */
			break;
		case 5:
			raw_write(fd, 1, 0, 100000); /* in a payload */
			raw_send_any(fd, 70000);
			break;
		case 6:
			raw_send(fd, "this is no request at all....", 28);
			raw_expect_end(fd);
			break;
		case 7:
			raw_request(fd, NBDS_CMD_READ, 0, 1, 0,
				    RAW_PIECE); /* never read */
			break;
		case 8:
			assert_int_equal(shutdown(fd, SHUT_WR), 0);
			raw_expect_end(fd);
			break;
		case 9:
			raw_write(fd, 1, LIVE_SIZE, 5000); /* in a refused payload */
			raw_send_any(fd, 3);
			break;
		case 10:
			raw_write(fd, 1, 0, UINT32_MAX); /* above the maximum */
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
	raw_request(fd, NBDS_CMD_READ, 0, 6, 0, RAW_BIG + 1);
	raw_expect(fd, 6, NBDS_EINVAL);
	raw_request(fd, NBDS_CMD_READ, 0, 7, UINT64_MAX - 10, 100);
	raw_expect(fd, 7, NBDS_EINVAL);
	raw_request(fd, NBDS_CMD_FLUSH, 0, 8, 1, 1);
	raw_expect(fd, 8, NBDS_EINVAL);
	assert_int_equal(live_seen(live), 0);
	raw_request(fd, NBDS_CMD_READ, 0, 9, 0, 1);
	raw_expect(fd, 9, NBDS_OK);
	raw_recv_any(fd, 1);
	live_wait_for(live, refused_requests, 8);
	close(fd);
	live_end(live);
}

/* The payload of a refused write is no request: the stream keeps its step. */
static void refused_payload_is_consumed(void **state)
{
	static const uint32_t lens[] = { 1, 27, 28, 4096, 65536, 65535, 300000, RAW_BIG };
	struct live *live = live_start(NULL);
	int fd = raw_open(live);

	for (size_t i = 0; i < RT_ARRAY_LEN(lens); i++) {
		raw_write(fd, i, LIVE_SIZE, lens[i]);
		raw_send_any(fd, lens[i]);
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
	raw_write(fd, 2, 0, RAW_BIG + 1);
	raw_send_any(fd, 100000);
	raw_expect(fd, 2, NBDS_EINVAL);
	live_hold(live, false);
	raw_expect(fd, 1, NBDS_OK);
	raw_recv_any(fd, 512);
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
	raw_write(payload, 1, 0, RAW_BIG);
	raw_send_any(payload, RAW_BIG - 1);
	raw_request(reader, NBDS_CMD_READ, 0, 1, 0, RAW_BIG);
	for (int i = 0; i < 10; i++)
		raw_expect_service(live);
	/* And they may go on where they stopped. */
	raw_send_any(payload, 1);
	raw_expect(payload, 1, NBDS_OK);
	raw_expect(reader, 1, NBDS_OK);
	raw_recv_any(reader, RAW_BIG);
	close(head);
	close(payload);
	close(reader);
	live_wait_for(live, memory, 0);
	live_end(live);
}

/* The connection is broken when the group answers its last request: nothing stays. */
static void who_is_broken_is_freed_with_the_last_answer(void **state)
{
	struct live *live = live_start(NULL);
	int fd = raw_open(live);

	live_hold(live, true);
	raw_request(fd, NBDS_CMD_FLUSH, 0, 1, 0, 0);
	live_wait_seen(live, 1);
	raw_send_any(fd, 28); /* no request */
	live_wait_for(live, protocol_errors, 1);
	live_hold(live, false);
	live_wait_for(live, connections, 0);
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

/* More answers at once than one send takes: none is left out. */
static void many_answers_at_once(void **state)
{
	enum { N = 250 };
	struct live *live = live_start(NULL);
	int fd = raw_open(live);

	live_hold(live, true);
	for (uint64_t i = 0; i < N; i++)
		raw_request(fd, NBDS_CMD_FLUSH, 0, i, 0, 0);
	live_wait_seen(live, N);
	live_hold(live, false);
	for (uint64_t i = 0; i < N; i++)
		raw_expect(fd, i, NBDS_OK);
	close(fd);
	live_end(live);
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
	raw_expect_service(live);
	live_end(live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence_gives_the_slot_back),
		cmocka_unit_test(who_is_served_may_be_silent),
		cmocka_unit_test(slow_reader_of_a_long_negotiation),
		cmocka_unit_test(negotiation_that_nobody_reads),
		cmocka_unit_test(every_end_gives_the_slot_back),
		cmocka_unit_test(nonsense_is_answered_and_survived),
		cmocka_unit_test(refused_payload_is_consumed),
		cmocka_unit_test(write_above_the_maximum),
		cmocka_unit_test(stalled_clients_do_not_stop_others),
		cmocka_unit_test(who_is_broken_is_freed_with_the_last_answer),
		cmocka_unit_test(inflight_limit_pushes_back),
		cmocka_unit_test(many_answers_at_once),
		cmocka_unit_test(garbage_harms_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
