// SPDX-License-Identifier: BSD-3-Clause
/*
 * latency URI [seconds=N] [depth=N] [span=BLOCKS] [per_second=N]
 *
 * Random 4 KiB writes over NBD, `depth` in flight, the next one issued when one completes
 * (closed loop), or at most `per_second`. Prints
 * "writes=N median_us=X p99_us=X rate=X".
 */
#include "rt/hash.h"

#include <errno.h>
#include <libnbd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCK 4096
#define MAX_DEPTH 256
#define MAX_TIMES (1 << 22) /* writes beyond this are counted, not timed */

struct load;

struct slot {
	struct load *load;
	uint64_t began_ns; /* 0: free */
	uint8_t *block;
};

struct load {
	struct nbd_handle *nbd;
	uint64_t seconds, depth, span, per_second;
	uint64_t issued, completed, failed;
	uint64_t began_ns, ended_ns;
	uint32_t *times_ns;
	struct slot slots[MAX_DEPTH];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int write_done(void *data, int *error)
{
	struct slot *slot = data;
	struct load *load = slot->load;
	uint64_t took = now_ns() - slot->began_ns;

	slot->began_ns = 0;
	if (*error != 0) {
		load->failed++;
		return 1;
	}
	if (load->completed < MAX_TIMES)
		load->times_ns[load->completed] =
			took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
	load->completed++;
	return 1;
}

static int issue(struct load *load, struct slot *slot)
{
	nbd_completion_callback done = { .callback = write_done, .user_data = slot };
	uint64_t lba = rt_mix64(++load->issued) % load->span;

	/* Blocks that differ: nothing on the way may win by what it finds in them. */
	memcpy(slot->block, &load->issued, sizeof(load->issued));
	slot->began_ns = now_ns();
	return nbd_aio_pwrite(load->nbd, slot->block, BLOCK, lba * BLOCK, done, 0) < 0
		       ? -EIO
		       : 0;
}

/* How many may have been issued by now. */
static uint64_t allowance(const struct load *load, uint64_t now)
{
	if (load->per_second == 0)
		return UINT64_MAX;
	return 1 + (now - load->began_ns) * load->per_second / 1000000000;
}

static int run(struct load *load)
{
	uint64_t end;

	load->began_ns = now_ns();
	end = load->began_ns + load->seconds * 1000000000;
	for (;;) {
		uint64_t now = now_ns();
		uint64_t allowed = allowance(load, now);

		for (uint64_t i = 0; i < load->depth && now < end; i++) {
			if (load->slots[i].began_ns == 0 && load->issued < allowed &&
			    issue(load, &load->slots[i]) != 0)
				return -EIO;
		}
		if (load->failed != 0)
			return -EIO;
		if (now >= end && load->completed == load->issued)
			break;
		if (nbd_poll(load->nbd, load->per_second ? 1 : 1000) < 0)
			return -EIO;
	}
	load->ended_ns = now_ns();
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void report(struct load *load)
{
	uint64_t n = load->completed < MAX_TIMES ? load->completed : MAX_TIMES;
	double span = (double)(load->ended_ns - load->began_ns) / 1e9;

	qsort(load->times_ns, n, sizeof(*load->times_ns), by_value);
	(void)printf("writes=%llu median_us=%.1f p99_us=%.1f rate=%.1f\n",
		     (unsigned long long)load->completed,
		     n ? load->times_ns[n / 2] / 1e3 : 0,
		     n ? load->times_ns[n * 99 / 100] / 1e3 : 0,
		     (double)load->completed / span);
}

static int option(struct load *load, const char *arg)
{
	static const char *const names[] = { "seconds=", "depth=", "span=",
					     "per_second=" };
	uint64_t *values[] = { &load->seconds, &load->depth, &load->span,
			       &load->per_second };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = strlen(names[i]);
		char *end;

		if (strncmp(arg, names[i], len) != 0)
			continue;
		*values[i] = strtoull(arg + len, &end, 10);
		return *end == '\0' && *values[i] != 0 ? 0 : -EINVAL;
	}
	return -EINVAL;
}

static int open_volume(struct load *load, const char *uri)
{
	load->times_ns = calloc(MAX_TIMES, sizeof(*load->times_ns));
	for (uint64_t i = 0; i < load->depth; i++) {
		load->slots[i].load = load;
		load->slots[i].block = calloc(1, BLOCK);
		if (load->slots[i].block == NULL)
			return -ENOMEM;
	}
	load->nbd = nbd_create();
	if (load->times_ns == NULL || load->nbd == NULL ||
	    nbd_connect_uri(load->nbd, uri) < 0)
		return -EIO;
	if (load->span * BLOCK > (uint64_t)nbd_get_size(load->nbd))
		load->span = (uint64_t)nbd_get_size(load->nbd) / BLOCK;
	return load->span ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	static struct load load = { .seconds = 2, .depth = 1, .span = 8192 };
	int err = argc < 2 ? -EINVAL : 0;

	for (int i = 2; i < argc && err == 0; i++)
		err = option(&load, argv[i]);
	if (err != 0 || load.depth > MAX_DEPTH) {
		(void)fprintf(stderr, "usage: latency URI [seconds=N] [depth=N] "
				      "[span=BLOCKS] [per_second=N]\n");
		return 2;
	}
	err = open_volume(&load, argv[1]);
	if (err == 0)
		err = run(&load);
	if (err == 0)
		report(&load);
	else
		(void)fprintf(stderr, "latency: %s\n",
			      nbd_get_error() ? nbd_get_error() : strerror(-err));
	nbd_close(load.nbd);
	for (uint64_t i = 0; i < load.depth; i++)
		free(load.slots[i].block);
	free(load.times_ns);
	return err != 0;
}
