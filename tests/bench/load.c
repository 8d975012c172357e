// SPDX-License-Identifier: BSD-3-Clause
/*
 * load URI [seconds=N] [depth=N] [bytes=N] [per_second=N] [reads=1]
 *
 * Random writes over NBD of `bytes` each (4096), spread evenly over the export; with `reads`
 * reads instead, which the figures below then mean. Closed
 * loop: `depth` in flight (1), the next one issued when one completes. With `per_second`
 * open loop: each write has its time, and is issued then whether or not those before it
 * are done, as long as `depth` allows (256 then); the time counts from when it was due to
 * be issued, so that a stall is seen by all the writes that it holds up. Each is due
 * anywhere in its own period: evenly spaced ones would meet, at round trips that hold a
 * whole number of periods, always or never with what is done about earlier ones. Prints
 *
 *	writes=N median_us=X mean_us=X p99_us=X p999_us=X rate=X mbit=X held=N
 *
 * held: writes that were issued too late because `depth` were in flight.
 */
#include "rt/hash.h"
#include "tests/bench/measure.h"
#include "tests/bench/turn.h"

#include <errno.h>
#include <libnbd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define MAX_DEPTH 256
#define MAX_BYTES (1u << 20)
#define MAX_TIMES (1u << 22) /* writes beyond this are counted, not timed */

struct load;

struct slot {
	struct load *load;
	bool busy;
	uint64_t began_ns;
	uint8_t *block;
};

struct load {
	struct nbd_handle *nbd;
	uint64_t seconds, depth, bytes, per_second, reads;
	uint64_t span; /* places on the export */
	uint64_t issued, completed, held, failed;
	uint64_t began_ns, ended_ns;
	struct measure_times times;
	struct slot slots[MAX_DEPTH];
};

static int request_done(void *data, int *error)
{
	struct slot *slot = data;
	struct load *load = slot->load;
	uint64_t took = measure_now_ns() - slot->began_ns;

	slot->busy = false;
	if (*error != 0) {
		load->failed++;
		return 1;
	}
	measure_times_add(&load->times, took);
	load->completed++;
	return 1;
}

static int issue(struct load *load, struct slot *slot, uint64_t began_ns)
{
	nbd_completion_callback done = { .callback = request_done, .user_data = slot };
	uint64_t place = rt_mix64(++load->issued) % load->span;
	int64_t cookie;

	slot->busy = true;
	slot->began_ns = began_ns;
	if (load->reads) {
		cookie = nbd_aio_pread(load->nbd, slot->block, load->bytes,
				       place * load->bytes, done, 0);
		return cookie < 0 ? -EIO : 0;
	}
	/* Blocks that differ: nothing on the way may win by what it finds in them. */
	for (uint64_t at = 0; at < load->bytes; at += 4096)
		memcpy(slot->block + at, &load->issued, sizeof(load->issued));
	cookie = nbd_aio_pwrite(load->nbd, slot->block, load->bytes, place * load->bytes,
				done, 0);
	return cookie < 0 ? -EIO : 0;
}

static struct slot *free_slot(struct load *load)
{
	for (uint64_t i = 0; i < load->depth; i++)
		if (!load->slots[i].busy)
			return &load->slots[i];
	return NULL;
}

/* When the next write is due: each in its own period, somewhere. */
static uint64_t next_due(const struct load *load)
{
	uint64_t period_ns, within_ns;

	if (load->per_second == 0)
		return 0;
	period_ns = NS_PER_S / load->per_second;
	within_ns = rt_mix64(~load->issued) % (period_ns + 1);
	return load->began_ns + load->issued * NS_PER_S / load->per_second + within_ns;
}

/* Issue what is due; *until is when the next will be. */
static int issue_due(struct load *load, uint64_t end, uint64_t *until)
{
	struct slot *slot;
	uint64_t due;

	*until = measure_now_ns() + NS_PER_S;
	while ((due = next_due(load)) < end) {
		uint64_t now = measure_now_ns();

		if (now >= end)
			return 0;
		if (due > now) {
			*until = due;
			return 0;
		}
		slot = free_slot(load);
		if (slot == NULL) {
			load->held += load->per_second != 0;
			return 0;
		}
		if (issue(load, slot, load->per_second ? due : now) != 0)
			return -EIO;
	}
	return 0;
}

static int run(struct load *load)
{
	uint64_t end, until;

	load->began_ns = measure_now_ns();
	end = load->began_ns + load->seconds * NS_PER_S;
	while (measure_now_ns() < end || load->completed < load->issued) {
		if (issue_due(load, end, &until) != 0 || load->failed != 0)
			return -EIO;
		if (until > end && measure_now_ns() < end)
			until = end;
		if (turn(&load->nbd, 1, until) != 0)
			return -EIO;
	}
	load->ended_ns = measure_now_ns();
	return load->failed != 0 ? -EIO : 0;
}

static void report(struct load *load)
{
	double span = (double)(load->ended_ns - load->began_ns) / 1e9;
	double rate = (double)load->completed / span;
	struct measure_times *t = &load->times;

	measure_times_sum(t);
	(void)printf("writes=%llu median_us=%.1f mean_us=%.1f p99_us=%.1f p999_us=%.1f "
		     "rate=%.1f mbit=%.1f held=%llu\n",
		     (unsigned long long)load->completed, t->median_us, t->mean_us,
		     t->p99_us, t->p999_us, rate, rate * (double)load->bytes * 8 / 1e6,
		     (unsigned long long)load->held);
}

static int option(struct load *load, const char *arg)
{
	const struct measure_option options[] = {
		{ "seconds=", &load->seconds, 1 },
		{ "depth=", &load->depth, 1 },
		{ "bytes=", &load->bytes, 1 },
		{ "per_second=", &load->per_second, 1 },
		{ "reads=", &load->reads, 1 },
	};

	return measure_option(arg, options, sizeof(options) / sizeof(options[0]));
}

static int open_volume(struct load *load, const char *uri)
{
	if (measure_times_init(&load->times, MAX_TIMES) != 0)
		return -ENOMEM;
	for (uint64_t i = 0; i < load->depth; i++) {
		load->slots[i].load = load;
		load->slots[i].block = calloc(1, load->bytes);
		if (load->slots[i].block == NULL)
			return -ENOMEM;
	}
	load->nbd = nbd_create();
	if (load->nbd == NULL || nbd_connect_uri(load->nbd, uri) < 0)
		return -EIO;
	load->span = (uint64_t)nbd_get_size(load->nbd) / load->bytes;
	return load->span ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	static struct load load = { .seconds = 2, .bytes = 4096 };
	int err = argc < 2 ? -EINVAL : 0;

	for (int i = 2; i < argc && err == 0; i++)
		err = option(&load, argv[i]);
	if (load.depth == 0)
		load.depth = load.per_second ? MAX_DEPTH : 1;
	if (err != 0 || load.depth > MAX_DEPTH || load.bytes > MAX_BYTES) {
		(void)fprintf(stderr, "usage: load URI [seconds=N] [depth=N] [bytes=N] "
				      "[per_second=N] [reads=1]\n");
		return 2;
	}
	(void)prctl(PR_SET_TIMERSLACK, 1000UL);
	err = open_volume(&load, argv[1]);
	if (err == 0)
		err = run(&load);
	if (err == 0)
		report(&load);
	else
		(void)fprintf(stderr, "load: %s\n",
			      nbd_get_error() ? nbd_get_error() : strerror(-err));
	nbd_close(load.nbd);
	for (uint64_t i = 0; i < load.depth; i++)
		free(load.slots[i].block);
	measure_times_release(&load.times);
	return err != 0;
}
