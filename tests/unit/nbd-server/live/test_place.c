// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/nbd-server/live/live.h"
#include "tests/unit/unit.h"

/*
 * Places among the connections: a client that is gone gives its own back, whatever the group
 * still holds of it, and what it leaves has a bound.
 */

/*
 * What the mirror is away for must not be kept from other clients: one that is killed gives
 * back its place and its descriptor while its requests are still held, also one that stands
 * still at its limit, that we read nothing of, or that has said that it goes.
 */
static void killed_client_gives_back_its_place(void **state)
{
	enum { PLACES = 3, INFLIGHT = 4 };
	const struct nbds_limits limits = { .connections = PLACES, .inflight = INFLIGHT };
	struct live *live = live_start(&limits);
	int fd[PLACES], next;

	live_hold_writes(live, true);
	for (unsigned i = 0; i < PLACES; i++) {
		unsigned writes = i == 1 ? INFLIGHT + 1 : INFLIGHT - 1;

		fd[i] = raw_open(live);
		for (unsigned j = 0; j < writes; j++) {
			raw_write(fd[i], j, j * 8192, 8192);
			raw_send_any(fd[i], 8192);
		}
	}
	raw_request(fd[2], NBDS_CMD_DISC, 0, 0, 0, 0);
	live_wait_seen(live, PLACES * INFLIGHT - 2);
	live_wait_for(live, waited, 1);
	for (unsigned i = 0; i < PLACES; i++)
		close(fd[i]);
	live_wait_for(live, connections, 0);
	live_wait_for(live, abandoned, PLACES * INFLIGHT - 2);
	next = raw_open(live);
	raw_request(next, NBDS_CMD_READ, 0, 1, 0, 512);
	raw_expect(next, 1, NBDS_OK);
	raw_recv_any(next, 512);
	live_hold_writes(live, false);
	live_wait_for(live, abandoned, 0);
	live_wait_for(live, inflight, 0);
	live_wait_for(live, memory, 0);
	close(next);
	live_end(live);
}

/*
 * A client whose side has ended may still read, as far as we can tell. It is answered; but
 * not where a new client would find no place.
 */
static void new_client_takes_the_place_of_one_that_leaves(void **state)
{
	const struct nbds_limits limits = { .connections = 2 };
	struct live *live = live_start(&limits);
	int leaves[2], next;

	live_hold(live, true);
	for (unsigned i = 0; i < 2; i++) {
		leaves[i] = raw_open(live);
		raw_request(leaves[i], NBDS_CMD_READ, 0, 7, 0, 512);
		if (i == 0)
			assert_int_equal(shutdown(leaves[i], SHUT_WR), 0);
		else
			raw_request(leaves[i], NBDS_CMD_DISC, 0, 0, 0, 0);
		live_wait_seen(live, i + 1);
	}
	next = raw_open(live);
	raw_expect_end(leaves[0]); /* the first of them */
	live_wait_for(live, abandoned, 1);
	live_wait_for(live, refused, 0);
	live_hold(live, false);
	raw_expect(leaves[1], 7, NBDS_OK);
	raw_recv_any(leaves[1], 512);
	raw_expect_end(leaves[1]);
	for (unsigned i = 0; i < 2; i++)
		close(leaves[i]);
	close(next);
	live_wait_for(live, connections, 0);
	live_end(live);
}

/*
 * What is left of clients that are gone has a bound, of each export: at it nobody gets this
 * one, and everybody the others.
 */
static void what_gone_clients_leave_is_bounded(void **state)
{
	const struct nbds_limits limits = { .inflight = NBDS_INFLIGHT_MAX,
					    .handshake_ms = 2000 };
	struct live *live = live_start(&limits);
	uint8_t answer[18 + 20];
	int fd, other;

	live_hold(live, true);
	for (unsigned n = 0; n < NBDS_ABANDONED_MAX; n += NBDS_INFLIGHT_MAX) {
		fd = raw_open(live);
		for (unsigned i = 0; i < NBDS_INFLIGHT_MAX; i++)
			raw_request(fd, NBDS_CMD_FLUSH, 0, i, 0, 0);
		live_wait_seen(live, n + NBDS_INFLIGHT_MAX);
		close(fd);
		live_wait_for(live, abandoned, n + NBDS_INFLIGHT_MAX);
	}
	fd = raw_connect(live);
	raw_send(fd, "\0\0\0\3IHAVEOPT\0\0\0\6\0\0\0\12\0\0\0\4vol0\0\0", 30);
	raw_recv(fd, answer, sizeof(answer));
	assert_memory_equal(answer + 18 + 12, "\x80\0\0\6", 4); /* ERR_UNKNOWN */
	other = raw_connect(live);
	raw_send(other, "\0\0\0\3IHAVEOPT\0\0\0\6\0\0\0\12\0\0\0\4vol1\0\0", 30);
	raw_recv(other, answer, sizeof(answer));
	assert_memory_equal(answer + 18 + 12, "\0\0\0\3", 4); /* INFO */
	close(fd);
	close(other);
	live_hold(live, false);
	live_wait_for(live, abandoned, 0);
	raw_expect_service(live);
	live_end(live);
}

/* A stop waits for what the group still has of clients that are gone. */
static void stop_waits_for_what_gone_clients_left(void **state)
{
	struct live *live = live_start(NULL);
	int fd = raw_open(live);

	live_hold(live, true);
	raw_request(fd, NBDS_CMD_FLUSH, 0, 1, 0, 0);
	live_wait_seen(live, 1);
	close(fd);
	live_wait_for(live, connections, 0);
	live_stop(live);
	live_wait_for(live, abandoned, 1); /* the loop turns still */
	live_hold(live, false);
	live_end(live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_client_gives_back_its_place),
		cmocka_unit_test(new_client_takes_the_place_of_one_that_leaves),
		cmocka_unit_test(what_gone_clients_leave_is_bounded),
		cmocka_unit_test(stop_waits_for_what_gone_clients_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
