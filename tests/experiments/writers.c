// SPDX-License-Identifier: BSD-3-Clause
/*
 * writers URI [connections=N] [writers=N] [bytes=N] [segment=N] [seconds=N]
 *             [groups=N group=N] [log=FILE]
 *
 * Appends over NBD: `writers` (64) of them, spread over `connections` (8), each in a
 * segment of its own of `segment` bytes (100 MiB) and from its beginning again when that
 * is full, `bytes` (512 KiB) at a time, the next one when the one before is complete. Ends
 * after `seconds` (5), at SIGTERM, or with the connection, which is no failure.
 *
 * With `groups` it is an open loop instead: so many times a second each of the first
 * `group` (8) writers appends at once, whether or not earlier appends are complete, over
 * one connection, so that the order of the log is that of the connection. LOG then gets a
 * line per append, "NUMBER ISSUED_NS COMPLETED_NS", in the order of completion;
 * CLOCK_MONOTONIC. Prints
 *
 *	writes=N mbit=X mean_us=X median_us=X p99_us=X p999_us=X late=N
 *
 * late: groups that could not be issued in time, as too much was in flight.
 */
#include <errno.h>
#include <libnbd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "tests/bench/measure.h"
#include "tests/bench/turn.h"

#define MAX_CONNECTIONS TURN_MAX
#define MAX_SLOTS 4096	     /* appends in flight */
#define MAX_TIMES (1u << 20) /* appends beyond this are counted, not timed */

struct run;

struct slot {
	struct run *run;
	struct nbd_handle *nbd; /* borrowed */
	bool busy;
	uint64_t number, began_ns;
};

struct run {
	uint64_t connections, writers, bytes, segment, seconds, groups, group;
	FILE *log;
	struct nbd_handle *nbd[MAX_CONNECTIONS];
	struct slot slots[MAX_SLOTS];
	uint64_t done[MAX_SLOTS]; /* appends issued by each writer */
	uint64_t issued, completed, failed, issued_groups, late;
	uint64_t began_ns, end_ns;
	struct measure_times times;
	uint8_t *data; /* what is written: the same for all, never all zero */
};

static volatile sig_atomic_t ending;

static void end(int sig)
{
	ending = 1;
}

static int write_done(void *data, int *error)
{
	struct slot *slot = data;
	struct run *run = slot->run;
	uint64_t now = measure_now_ns(), took = now - slot->began_ns;

	slot->busy = false;
	if (*error != 0) {
		run->failed++;
		return 1;
	}
	measure_times_add(&run->times, took);
	run->completed++;
	if (run->log != NULL)
		(void)fprintf(run->log, "%llu %llu %llu\n",
			      (unsigned long long)slot->number,
			      (unsigned long long)slot->began_ns,
			      (unsigned long long)now);
	return 1;
}

/* The next append of a writer. */
static void issue(struct run *run, struct slot *slot, uint64_t writer)
{
	nbd_completion_callback done = { .callback = write_done, .user_data = slot };
	uint64_t places = run->segment / run->bytes;
	uint64_t at = writer * run->segment + run->done[writer]++ % places * run->bytes;

	slot->busy = true;
	slot->number = ++run->issued;
	slot->began_ns = measure_now_ns();
	if (nbd_aio_pwrite(slot->nbd, run->data, run->bytes, at, done, 0) < 0) {
		slot->busy = false;
		run->failed++;
	}
}

static bool over(const struct run *run)
{
	return ending || run->failed != 0 || measure_now_ns() >= run->end_ns;
}

/* ---- closed loop ------------------------------------------------------------------------ */

static void issue_closed(struct run *run)
{
	for (uint64_t w = 0; w < run->writers; w++) {
		if (!run->slots[w].busy)
			issue(run, &run->slots[w], w);
	}
}

/* ---- open loop: groups ------------------------------------------------------------------ */

static uint64_t next_group_ns(const struct run *run)
{
	return run->began_ns + run->issued_groups * NS_PER_S / run->groups;
}

/* Slots for a whole group, or none. */
static bool find_slots(struct run *run, struct slot **ret)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < MAX_SLOTS && n < run->group; i++) {
		if (!run->slots[i].busy)
			ret[n++] = &run->slots[i];
	}
	return n == run->group;
}

static void issue_groups(struct run *run)
{
	struct slot *slots[MAX_CONNECTIONS];

	while (measure_now_ns() >= next_group_ns(run)) {
		run->issued_groups++;
		if (!find_slots(run, slots)) {
			run->late++;
			continue;
		}
		for (uint64_t w = 0; w < run->group; w++)
			issue(run, slots[w], w);
	}
}

/* ---- both ------------------------------------------------------------------------------- */

static void go(struct run *run)
{
	bool alive = true;

	run->began_ns = measure_now_ns();
	run->end_ns = run->began_ns + run->seconds * NS_PER_S;
	while (alive && !over(run)) {
		uint64_t until = run->end_ns;

		if (run->groups != 0) {
			issue_groups(run);
			if (next_group_ns(run) < until)
				until = next_group_ns(run);
		} else {
			issue_closed(run);
		}
		alive = turn(run->nbd, run->connections, until) == 0;
	}
	run->end_ns = measure_now_ns();
	/* In an open loop what was issued counts: those that took long most of all. */
	while (run->groups != 0 && alive && !ending && run->failed == 0 &&
	       run->completed < run->issued &&
	       measure_now_ns() < run->end_ns + 5 * NS_PER_S)
		alive = turn(run->nbd, run->connections,
			     measure_now_ns() + NS_PER_S / 10) == 0;
}

static void report(struct run *run)
{
	double span = (double)(run->end_ns - run->began_ns) / 1e9;
	struct measure_times *t = &run->times;

	measure_times_sum(t);
	(void)printf("writes=%llu mbit=%.2f mean_us=%.1f median_us=%.1f p99_us=%.1f "
		     "p999_us=%.1f late=%llu\n",
		     (unsigned long long)run->completed,
		     (double)run->completed * (double)run->bytes * 8 / 1e6 / span,
		     t->mean_us, t->median_us, t->p99_us, t->p999_us,
		     (unsigned long long)run->late);
}

static int option(struct run *run, const char *arg)
{
	const struct measure_option options[] = {
		{ "connections=", &run->connections, 1 },
		{ "writers=", &run->writers, 1 },
		{ "bytes=", &run->bytes, 1 },
		{ "segment=", &run->segment, 1 },
		{ "seconds=", &run->seconds, 1 },
		{ "groups=", &run->groups, 1 },
		{ "group=", &run->group, 1 },
	};

	if (strncmp(arg, "log=", 4) == 0) {
		run->log = fopen(arg + 4, "we");
		return run->log ? 0 : -errno;
	}
	return measure_option(arg, options, sizeof(options) / sizeof(options[0]));
}

static bool possible(struct run *run)
{
	if (run->groups != 0) {
		run->connections = 1;
		run->writers = run->group;
	}
	return run->connections <= MAX_CONNECTIONS && run->writers <= MAX_SLOTS &&
	       run->group <= MAX_CONNECTIONS && run->bytes <= run->segment;
}

static int open_all(struct run *run, const char *uri)
{
	run->data = malloc(run->bytes);
	if (run->data == NULL || measure_times_init(&run->times, MAX_TIMES) != 0)
		return -ENOMEM;
	for (uint64_t i = 0; i < run->bytes; i++)
		run->data[i] = (uint8_t)(i * 197 + i / 4096 + 1);
	for (uint64_t i = 0; i < run->connections; i++) {
		run->nbd[i] = nbd_create();
		if (run->nbd[i] == NULL || nbd_connect_uri(run->nbd[i], uri) < 0)
			return -EIO;
	}
	for (uint64_t i = 0; i < MAX_SLOTS; i++) {
		run->slots[i].run = run;
		run->slots[i].nbd = run->nbd[i % run->connections];
	}
	if ((uint64_t)nbd_get_size(run->nbd[0]) < run->writers * run->segment) {
		(void)fprintf(stderr, "writers: the volume is too small\n");
		return -ENOSPC;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct run run = { .connections = 8,
				  .writers = 64,
				  .bytes = 512 << 10,
				  .segment = 100 << 20,
				  .seconds = 5,
				  .group = 8 };
	struct sigaction action = { .sa_handler = end };
	int err = argc < 2 ? -EINVAL : 0;

	for (int i = 2; i < argc && err == 0; i++)
		err = option(&run, argv[i]);
	if (err != 0 || !possible(&run)) {
		(void)fprintf(stderr,
			      "usage: writers URI [connections=N] [writers=N] [bytes=N] "
			      "[segment=N] [seconds=N] [groups=N group=N] [log=FILE]\n");
		return 2;
	}
	(void)prctl(PR_SET_TIMERSLACK, 1000UL);
	(void)sigaction(SIGTERM, &action, NULL);
	err = open_all(&run, argv[1]);
	if (err == 0) {
		(void)printf("ready\n");
		(void)fflush(stdout);
		go(&run);
		report(&run);
	} else {
		(void)fprintf(stderr, "writers: %s\n",
			      nbd_get_error() ? nbd_get_error() : strerror(-err));
	}
	run.failed = 0; /* closing completes what is in flight, with an error */
	if (run.log != NULL && fclose(run.log) != 0)
		err = -errno;
	run.log = NULL;
	for (uint64_t i = 0; i < run.connections; i++)
		nbd_close(run.nbd[i]);
	measure_times_release(&run.times);
	free(run.data);
	return err != 0;
}
