// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/nbd-server/live/live.h"
#include "tests/unit/unit.h"

/*
 * How connections end: by the client's wish, without it, and by a stop. Whatever was asked
 * before is answered, and nobody holds up an end for longer than the patience.
 */

/* Who was sent away and has closed is gone then, and not only when its time is over. */
static void who_has_closed_is_not_waited_for(void **state)
{
	const struct nbds_limits limits = { .handshake_ms = 400 };
	struct live *live = live_start(&limits);
	int fd = raw_open(live), silent;
	struct nbds_stats stats;

	raw_write(fd, 1, 0, RAW_BIG + 1);
	raw_expect(fd, 1, NBDS_EINVAL);
	raw_expect_end(fd);
	close(fd);
	silent = raw_connect(live);
	raw_recv_any(silent, 18);
	live_wait_for(live, connections, 1);
	live_stats(live, &stats);
	assert_int_equal(stats.handshake_timeouts,
			 0); /* `silent` is the one that is left */
	close(silent);
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
			raw_recv_any(fd, 1000);
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
		raw_write(fd, i, i * 8192 + 7, 8192);
		raw_send_any(fd, 8192);
	}
	raw_request(fd, NBDS_CMD_READ, 0, 1, 0, RAW_BIG);
	live_wait_seen(live, 21);
	close(fd);
	live_hold(live, false);
	live_wait_for(live, connections, 0);
	live_wait_for(live, inflight, 0);
	live_wait_for(live, memory, 0);
	raw_expect_service(live);
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

	raw_write(half, 1, 0, 100000);
	raw_send_any(half, 100);
	live_hold(live, true);
	raw_request(busy, NBDS_CMD_READ, 0, 1, 0, 4096);
	raw_request(mute, NBDS_CMD_READ, 0, 1, 0,
		    RAW_PIECE); /* more than a socket holds */
	live_wait_seen(live, 2);
	live_stop(live);
	raw_recv_any(negotiating, 18);
	ask_info(negotiating);
	raw_recv(negotiating, head, sizeof(head));
	assert_memory_equal(head + 8, "\0\0\0\6\x80\0\0\7", 8); /* ERR_SHUTDOWN */
	raw_recv_any(negotiating, head[19]);
	raw_expect_end(negotiating);
	raw_expect_end(idle);
	raw_expect_end(half);
	raw_request(busy, NBDS_CMD_READ, 0, 2, 0, 4096);
	raw_write(busy, 3, 0, 5000);
	raw_send_any(busy, 5000);
	live_hold(live, false);
	raw_expect(busy, 1, NBDS_OK);
	raw_recv_any(busy, 4096);
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
	raw_write(fd, 1, 0, 5000);
	raw_send_any(fd, 5000);
	raw_request(fd, NBDS_CMD_READ, 0, 2, 0, 4096);
	live_wait_seen(live, 2);
	live_stop(live);
	live_fail(live, -ESHUTDOWN);
	live_hold(live, false);
	raw_expect_end(fd);
	live_end(live);
	close(fd);
}

/* A payload that does not come holds up no stop, however patient the server is. */
static void stop_does_not_wait_for_a_payload(void **state)
{
	const struct nbds_limits limits = { .patience_ms = 2 * LIVE_WAIT_MS };
	struct live *live = live_start(&limits);
	int fd = raw_open(live);

	raw_write(fd, 1, 0, 100000);
	raw_send_any(fd, 100);
	live_wait_for(live, inflight, 1);
	live_stop(live);
	raw_expect_end(fd);
	close(fd);
	live_end(live);
}

/*
 * A client that is leaving has its patience for reading what it asked for: the time that a
 * group takes for the answer is not the client's.
 */
static void patience_begins_with_the_answer(void **state)
{
	const struct nbds_limits limits = { .handshake_ms = 500, .patience_ms = 900 };
	struct live *live = live_start(&limits);
	int fd = raw_open(live), clock[2];

	live_hold(live, true);
	raw_request(fd, NBDS_CMD_READ, 0, 1, 0, RAW_PIECE);
	raw_request(fd, NBDS_CMD_DISC, 0, 0, 0, 0);
	live_wait_seen(live, 1);
	/* silent clients tell the time: it is answered after 500 ms, and read after 1000 */
	clock[0] = raw_connect(live);
	live_wait_for(live, handshake_timeouts, 1);
	live_hold(live, false);
	clock[1] = raw_connect(live);
	live_wait_for(live, handshake_timeouts, 2);
	raw_expect(fd, 1, NBDS_OK);
	raw_recv_any(fd, RAW_PIECE);
	raw_expect_end(fd);
	for (unsigned i = 0; i < 2; i++)
		close(clock[i]);
	close(fd);
	live_end(live);
}

/* What a group holds is answered, also when the client's patience has run out meanwhile. */
static void patience_is_not_for_the_group(void **state)
{
	const struct nbds_limits limits = { .handshake_ms = 300, .patience_ms = 100 };
	struct live *live = live_start(&limits);
	int fd = raw_open(live), clock;

	live_hold(live, true);
	raw_request(fd, NBDS_CMD_READ, 0, 1, 0, 512);
	raw_request(fd, NBDS_CMD_DISC, 0, 0, 0, 0);
	live_wait_seen(live, 1);
	clock = raw_connect(live);
	live_wait_for(live, handshake_timeouts, 1);
	live_hold(live, false);
	raw_expect(fd, 1, NBDS_OK);
	raw_recv_any(fd, 512);
	raw_expect_end(fd);
	close(clock);
	close(fd);
	live_end(live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_closed_is_not_waited_for),
		cmocka_unit_test(ends_wait_for_answers),
		cmocka_unit_test(client_dies_with_requests_held),
		cmocka_unit_test(stop_answers_and_reads_no_more),
		cmocka_unit_test(what_the_group_ends_at_a_stop_has_no_answer),
		cmocka_unit_test(stop_does_not_wait_for_a_payload),
		cmocka_unit_test(patience_begins_with_the_answer),
		cmocka_unit_test(patience_is_not_for_the_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
