// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <unistd.h>

#include "rt/check.h"
#include "tests/unit/nbd-server/live/live.h"
#include "tests/unit/unit.h"

/*
 * Memory for payload is shared: who waits for it has its turn, and nobody keeps it by being
 * slow, by leaving, or because the mirror is away.
 */

/* Who waits for memory is served in turn, whether the others read or go away. */
static void waiting_for_memory_is_in_order(void **state)
{
	const struct nbds_limits limits = { .memory = NBDS_MEMORY_MIN };
	struct live *live = live_start(&limits);

	for (uint64_t round = 0; round < 2; round++) {
		int fd[3];

		live_hold(live, true);
		fd[0] = raw_open(live);
		raw_request(fd[0], NBDS_CMD_READ, 0, 1, 0, RAW_BIG);
		live_wait_for(live, memory, RAW_BIG);
		fd[1] = raw_open(live);
		raw_request(fd[1], NBDS_CMD_READ, 0, 2, 0, RAW_BIG); /* has to wait */
		live_wait_for(live, waited, 2 * round + 1);
		fd[2] = raw_open(live);
		raw_request(fd[2], NBDS_CMD_READ, 0, 3, 0, 4096); /* behind it */
		live_wait_for(live, waited, 2 * round + 2);
		live_hold(live, false);
		if (round == 0) {
			raw_expect(fd[0], 1, NBDS_OK);
			raw_recv_any(fd[0], RAW_BIG);
		}
		close(fd[0]); /* in the second round without having read */
		/* there is room for both: the last one does not wait until fd[1] is read */
		raw_expect(fd[2], 3, NBDS_OK);
		raw_recv_any(fd[2], 4096);
		raw_expect(fd[1], 2, NBDS_OK);
		raw_recv_any(fd[1], RAW_BIG);
		close(fd[1]);
		close(fd[2]);
		live_wait_for(live, memory, 0);
		live_wait_for(live, connections, 0);
	}
	live_wait_for(live, evicted, 0);
	live_end(live);
}

/* Who waits for memory and goes away lets who stands behind it go on. */
static void waiter_that_goes_away_lets_others_go_on(void **state)
{
	const struct nbds_limits limits = { .memory = NBDS_MEMORY_MIN };
	struct live *live = live_start(&limits);
	int holds, goes, behind;

	live_hold(live, true);
	holds = raw_open(live);
	raw_request(holds, NBDS_CMD_READ, 0, 1, 0, RAW_BIG);
	live_wait_for(live, memory, RAW_BIG);
	goes = raw_open(live);
	raw_request(goes, NBDS_CMD_FLUSH, 0, 2, 0, 0);
	raw_request(goes, NBDS_CMD_READ, 0, 3, 0, RAW_BIG); /* has to wait */
	live_wait_for(live, waited, 1);
	behind = raw_open(live);
	raw_request(behind, NBDS_CMD_READ, 0, 4, 0, 4096);
	live_wait_for(live, waited, 2);
	close(goes); /* which the answer to its flush finds out */
	live_hold(live, false);
	raw_expect(behind, 4, NBDS_OK);
	close(holds);
	close(behind);
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
			raw_write(holder[h], i, (uint64_t)i * RAW_PIECE, RAW_PIECE);
			raw_send_any(holder[h], RAW_PIECE);
		}
		raw_request(reader, NBDS_CMD_READ, 0, h, 0, h ? RAW_BIG : RAW_PIECE);
		raw_expect(reader, h, NBDS_OK);
		raw_recv_any(reader, h ? RAW_BIG : RAW_PIECE);
		/* It reads by itself, too. */
		raw_request(holder[h], NBDS_CMD_READ, 0, WRITES, 0, 4096);
		raw_expect(holder[h], WRITES, NBDS_OK);
		raw_recv_any(holder[h], 4096);
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
		raw_write(fd, i, (uint64_t)i * RAW_PIECE, RAW_PIECE);
		raw_send_any(fd, RAW_PIECE);
	}
	live_wait_seen(live, 40);
	close(fd);
	reader = raw_open(live);
	raw_request(reader, NBDS_CMD_READ, 0, 1, 0, RAW_BIG);
	raw_expect(reader, 1, NBDS_OK);
	raw_recv_any(reader, RAW_BIG);
	live_hold_writes(live, false);
	close(reader);
	live_wait_for(live, memory, 0);
	live_wait_for(live, connections, 0);
	live_end(live);
}

/*
 * The group releases buffers early, at the price of a look into its log, exactly while
 * somebody stands still for memory: also when it is only its own share that is used up.
 */
static void memory_is_short_while_anybody_stands_still(void **state)
{
	enum { FIRST = 9 * RAW_PIECE }; /* a share has no room for RAW_BIG beside it */
	const struct nbds_limits limits = {
		.memory = 2 * NBDS_MEMORY_MIN,
		.client_memory = NBDS_MEMORY_MIN,
	};
	struct live *live = live_start(&limits);
	int reader[2], writer = raw_open(live);

	live_hold(live, true);
	live_hold_writes(live, true);
	for (unsigned i = 0; i < 2; i++) {
		reader[i] = raw_open(live);
		raw_request(reader[i], NBDS_CMD_READ, 0, 1, 0, FIRST);
		raw_request(reader[i], NBDS_CMD_READ, 0, 2, 0, RAW_BIG);
		live_wait_for(live, waited, i + 1);
	}
	live_hold(live, false);
	for (unsigned i = 0; i < 2; i++) {
		raw_expect(reader[i], 1, NBDS_OK);
		live_fail(live,
			  -EIO); /* an answer without data is enough of the second */
		raw_recv_any(reader[i], FIRST);
		raw_expect(reader[i], 2, NBDS_EIO);
		live_fail(live, 0);
		raw_write(writer, i, 0, RAW_PIECE);
		raw_send_any(writer, RAW_PIECE);
		/* The group has been through what it holds when this has its answer. */
		raw_request(writer, NBDS_CMD_FLUSH, 0, 9, 0, 0);
		raw_expect(writer, 9, NBDS_OK);
		/* The first write's buffer is released; the second one's is not. */
		live_wait_for(live, memory, i == 0 ? FIRST : RAW_PIECE);
	}
	live_hold_writes(live, false);
	for (unsigned i = 0; i < 2; i++) {
		raw_expect(writer, i, NBDS_OK);
		close(reader[i]);
	}
	close(writer);
	live_wait_for(live, memory, 0);
	live_end(live);
}

/*
 * What a request takes of its client's share, its answer gives back to the byte, whatever
 * its length: a connection that lives for years has its whole share to the end.
 */
static void a_share_does_not_wear_out(void **state)
{
	enum { LEN = RAW_PIECE / 2 + 4096, REQUESTS = 40 };
	const struct nbds_limits limits = {
		.memory = 2 * NBDS_MEMORY_MIN,
		.client_memory = NBDS_MEMORY_MIN,
	};
	struct live *live = live_start(&limits);
	int fd = raw_open(live);

	for (uint64_t i = 0; i < REQUESTS; i++) {
		raw_request(fd, NBDS_CMD_READ, 0, i, 0, LEN);
		raw_expect(fd, i, NBDS_OK);
		raw_recv_any(fd, LEN);
	}
	live_hold(live, true);
	raw_request(fd, NBDS_CMD_READ, 0, 1, 0, LEN);
	raw_request(fd, NBDS_CMD_READ, 0, 2, 0, RAW_BIG);
	live_wait_seen(live, REQUESTS + 2);
	live_hold(live, false);
	raw_expect(fd, 1, NBDS_OK);
	raw_recv_any(fd, LEN);
	raw_expect(fd, 2, NBDS_OK);
	raw_recv_any(fd, RAW_BIG);
	close(fd);
	live_wait_for(live, memory, 0);
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
	const struct nbds_limits limits = {
		.memory = NBDS_MEMORY_MIN,
		.patience_ms = 1,
		.handshake_ms = 1200, /* longer than patience for RAW_PIECE, a second */
	};
	struct live *live = live_start(&limits);
	int sitter[SITTERS], lazy, clock, fd;

	lazy = raw_open(live);
	for (int i = 0; i < SITTERS; i++) {
		sitter[i] = raw_open(live);
		raw_write(sitter[i], 1, 0, RAW_PIECE);
		raw_send_any(sitter[i], 100);
		raw_request(lazy, NBDS_CMD_READ, 0, 1, 0, RAW_PIECE);
	}
	live_wait_for(live, memory, 2 * SITTERS * RAW_PIECE);
	/* A silent client tells the time: all have sat for too long when somebody waits. */
	clock = raw_connect(live);
	live_wait_for(live, handshake_timeouts, 1);
	fd = raw_open(live);
	raw_request(fd, NBDS_CMD_READ, 0, 2, 0, 4096);
	raw_expect(fd, 2, NBDS_OK);
	raw_recv_any(fd, 4096);
	live_wait_for(live, evicted, SITTERS + 1);
	live_wait_for(live, memory, 0);
	for (int i = 0; i < SITTERS; i++)
		close(sitter[i]);
	close(lazy);
	close(clock);
	close(fd);
	live_end(live);
}

/* Their time is over long after somebody began to wait: that one is served all the same. */
static void who_waits_is_served_when_their_time_is_over(void **state)
{
	enum { SITTERS = 9 };
	const struct nbds_limits limits = {
		.memory = NBDS_MEMORY_MIN,
		.patience_ms = 1, /* and a second for RAW_PIECE */
	};
	struct live *live = live_start(&limits);
	int sitter[SITTERS], fd;

	for (int i = 0; i < SITTERS; i++) {
		sitter[i] = raw_open(live);
		raw_write(sitter[i], 1, 0, RAW_PIECE);
		raw_send_any(sitter[i], 100);
	}
	live_wait_for(live, memory, SITTERS * RAW_PIECE);
	fd = raw_open(live);
	raw_request(fd, NBDS_CMD_READ, 0, 2, 0, RAW_BIG);
	raw_expect(fd, 2, NBDS_OK);
	raw_recv_any(fd, RAW_BIG);
	for (int i = 0; i < SITTERS; i++)
		close(sitter[i]);
	close(fd);
	live_end(live);
}

/*
 * Answers that are sent together have each a time of their own: a client that reads them
 * one by one keeps its connection, and what it has read is memory for others at once.
 */
static void who_reads_steadily_is_not_evicted(void **state)
{
	enum { ANSWERS = 12, READ = 2 };
	const struct nbds_limits limits = {
		.memory = NBDS_MEMORY_MIN,
		.patience_ms = 1500, /* and a second for each answer of RAW_PIECE */
		.handshake_ms = 2600,
	};
	struct live *live = live_start(&limits);
	int reader = raw_open(live), sitter = raw_open(live), lazy = raw_open(live);
	int filler, clock, fd;

	/* Two that shall lose theirs: one does not send, the other does not read. */
	raw_write(sitter, 1, 0, RAW_PIECE);
	raw_send_any(sitter, 100);
	raw_request(lazy, NBDS_CMD_READ, 0, 1, 0, RAW_PIECE);
	live_wait_seen(live, 1);
	live_hold(live, true);
	for (uint64_t i = 0; i < ANSWERS; i++)
		raw_request(reader, NBDS_CMD_READ, 0, i, 0, RAW_PIECE);
	live_wait_seen(live, 1 + ANSWERS);
	live_hold(live, false);
	/* A silent client tells the time: by then all have been ready for too long. */
	clock = raw_connect(live);
	live_wait_for(live, handshake_timeouts, 1);
	for (uint64_t i = 0; i < READ; i++) {
		raw_expect(reader, i, NBDS_OK);
		raw_recv_any(reader, RAW_PIECE);
	}
	filler = raw_open(live); /* it has only begun to send */
	raw_write(filler, 1, 0, RAW_PIECE);
	raw_send_any(filler, 100);
	live_wait_for(live, memory, (ANSWERS - READ + 3) * RAW_PIECE);
	fd = raw_open(live);
	raw_request(fd, NBDS_CMD_READ, 0, 1, 0, RAW_BIG);
	live_wait_for(live, waited, 1);
	live_wait_for(live, evicted, 2);
	raw_send_any(filler, RAW_PIECE - 100);
	raw_expect(filler, 1, NBDS_OK);
	for (uint64_t i = READ; i < ANSWERS; i++) {
		raw_expect(reader, i, NBDS_OK);
		raw_recv_any(reader, RAW_PIECE);
	}
	raw_expect(fd, 1, NBDS_OK);
	raw_recv_any(fd, RAW_BIG);
	live_wait_for(live, memory, 0);
	live_wait_for(live, evicted, 2);
	close(reader);
	close(sitter);
	close(lazy);
	close(filler);
	close(clock);
	close(fd);
	live_end(live);
}

/*
 * While the group had the requests, a mirror away for instance, their client could not read
 * an answer: its time begins with the answer, and it keeps its connection.
 */
static void time_in_the_group_is_not_the_clients(void **state)
{
	enum { ANSWERS = 12 };
	const struct nbds_limits limits = {
		.memory = NBDS_MEMORY_MIN,
		.patience_ms = 1500, /* and a second for each answer of RAW_PIECE */
		.handshake_ms = 2600,
	};
	struct live *live = live_start(&limits);
	int reader = raw_open(live), sitter = raw_open(live), clock, fd;

	raw_write(sitter, 1, 0, RAW_PIECE);
	raw_send_any(sitter, 100);
	live_hold(live, true);
	for (uint64_t i = 0; i < ANSWERS; i++)
		raw_request(reader, NBDS_CMD_READ, 0, i, 0, RAW_PIECE);
	live_wait_seen(live, ANSWERS);
	live_wait_for(live, memory, (ANSWERS + 1) * RAW_PIECE);
	/* A silent client tells the time: by then the requests are older than patience. */
	clock = raw_connect(live);
	live_wait_for(live, handshake_timeouts, 1);
	live_hold(live, false);
	fd = raw_open(live);
	raw_request(fd, NBDS_CMD_READ, 0, 1, 0, RAW_BIG);
	live_wait_for(live, waited, 1);
	live_wait_for(live, evicted, 1); /* who does not send has no such excuse */
	for (uint64_t i = 0; i < ANSWERS; i++) {
		raw_expect(reader, i, NBDS_OK);
		raw_recv_any(reader, RAW_PIECE);
	}
	raw_expect(fd, 1, NBDS_OK);
	raw_recv_any(fd, RAW_BIG);
	live_wait_for(live, evicted, 1);
	close(reader);
	close(sitter);
	close(clock);
	close(fd);
	live_end(live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waiting_for_memory_is_in_order),
		cmocka_unit_test(waiter_that_goes_away_lets_others_go_on),
		cmocka_unit_test(held_writes_leave_memory_for_others),
		cmocka_unit_test(who_leaves_with_held_writes_leaves_memory),
		cmocka_unit_test(memory_is_short_while_anybody_stands_still),
		cmocka_unit_test(a_share_does_not_wear_out),
		cmocka_unit_test(memory_is_taken_from_those_who_sit_on_it),
		cmocka_unit_test(who_waits_is_served_when_their_time_is_over),
		cmocka_unit_test(who_reads_steadily_is_not_evicted),
		cmocka_unit_test(time_in_the_group_is_not_the_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
