// SPDX-License-Identifier: BSD-3-Clause
/*
 * load URI [seconds=N] [depth=N] [bytes=N] [per_second=N]
 *
 * Random writes over NBD of `bytes` each (4096), spread evenly over the export. Closed
 * loop: `depth` in flight (1), the next one issued when one completes. With `per_second`
 * open loop: each write has its time, and is issued then whether or not those before it
 * are done, as long as `depth` allows (256 then); the time counts from when it was due to
 * be issued, so that a stall is seen by all the writes that it holds up. Prints
 *
 *	writes=N median_us=X mean_us=X p99_us=X p999_us=X rate=X mbit=X held=N
 *
 * held: writes that came too late because `depth` were in flight.
 */
#include "rt/hash.h"

#include <errno.h>
#include <libnbd.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
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
	uint64_t seconds, depth, bytes, per_second;
	uint64_t span; /* places on the export */
	uint64_t issued, completed, held, failed;
	uint64_t began_ns, ended_ns;
	uint32_t *times_ns;
	struct slot slots[MAX_DEPTH];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int write_done(void *data, int *error)
{
	struct slot *slot = data;
	struct load *load = slot->load;
	uint64_t took = now_ns() - slot->began_ns;

	slot->busy = false;
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

static int issue(struct load *load, struct slot *slot, uint64_t began_ns)
{
	nbd_completion_callback done = { .callback = write_done, .user_data = slot };
	uint64_t place = rt_mix64(++load->issued) % load->span;

	/* Blocks that differ: nothing on the way may win by what it finds in them. */
	for (uint64_t at = 0; at < load->bytes; at += 4096)
		memcpy(slot->block + at, &load->issued, sizeof(load->issued));
	slot->busy = true;
	slot->began_ns = began_ns;
	return nbd_aio_pwrite(load->nbd, slot->block, load->bytes, place * load->bytes,
			      done, 0) < 0
		       ? -EIO
		       : 0;
}

static struct slot *free_slot(struct load *load)
{
	for (uint64_t i = 0; i < load->depth; i++)
		if (!load->slots[i].busy)
			return &load->slots[i];
	return NULL;
}

/* When the next write is due. */
static uint64_t next_due(const struct load *load)
{
	if (load->per_second == 0)
		return 0;
	return load->began_ns + load->issued * NS_PER_S / load->per_second;
}

/* Until something happens on the connection, or `until` has come. */
static int wait_for(struct load *load, uint64_t until)
{
	unsigned int dir = nbd_aio_get_direction(load->nbd);
	struct pollfd fd = { .fd = nbd_aio_get_fd(load->nbd) };
	uint64_t now = now_ns(), left = until > now ? until - now : 0;
	struct timespec t = { (time_t)(left / NS_PER_S), (long)(left % NS_PER_S) };

	if (dir & LIBNBD_AIO_DIRECTION_READ)
		fd.events |= POLLIN;
	if (dir & LIBNBD_AIO_DIRECTION_WRITE)
		fd.events |= POLLOUT;
	if (ppoll(&fd, 1, &t, NULL) < 0 && errno != EINTR)
		return -errno;
	if (dir & LIBNBD_AIO_DIRECTION_READ && fd.revents & (POLLIN | POLLHUP))
		return nbd_aio_notify_read(load->nbd) < 0 ? -EIO : 0;
	if (dir & LIBNBD_AIO_DIRECTION_WRITE && fd.revents & POLLOUT)
		return nbd_aio_notify_write(load->nbd) < 0 ? -EIO : 0;
	return fd.revents & (POLLERR | POLLNVAL) ? -EIO : 0;
}

/* Issue what is due; *until is when the next will be. */
static int issue_due(struct load *load, uint64_t end, uint64_t *until)
{
	struct slot *slot;
	uint64_t due;

	*until = now_ns() + NS_PER_S;
	while ((due = next_due(load)) < end) {
		uint64_t now = now_ns();

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

	load->began_ns = now_ns();
	end = load->began_ns + load->seconds * NS_PER_S;
	while (now_ns() < end || load->completed < load->issued) {
		if (issue_due(load, end, &until) != 0 || load->failed != 0)
			return -EIO;
		if (until > end && now_ns() < end)
			until = end;
		if (wait_for(load, until) != 0)
			return -EIO;
	}
	load->ended_ns = now_ns();
	return load->failed != 0 ? -EIO : 0;
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
	double rate = (double)load->completed / span, sum = 0;

	qsort(load->times_ns, n, sizeof(*load->times_ns), by_value);
	for (uint64_t i = 0; i < n; i++)
		sum += load->times_ns[i];
	(void)printf("writes=%llu median_us=%.1f mean_us=%.1f p99_us=%.1f p999_us=%.1f "
		     "rate=%.1f mbit=%.1f held=%llu\n",
		     (unsigned long long)load->completed,
		     n ? load->times_ns[n / 2] / 1e3 : 0, n ? sum / (double)n / 1e3 : 0,
		     n ? load->times_ns[n * 99 / 100] / 1e3 : 0,
		     n ? load->times_ns[n * 999 / 1000] / 1e3 : 0, rate,
		     rate * (double)load->bytes * 8 / 1e6,
		     (unsigned long long)load->held);
}

static int option(struct load *load, const char *arg)
{
	static const char *const names[] = { "seconds=", "depth=", "bytes=",
					     "per_second=" };
	uint64_t *values[] = { &load->seconds, &load->depth, &load->bytes,
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
		load->slots[i].block = calloc(1, load->bytes);
		if (load->slots[i].block == NULL)
			return -ENOMEM;
	}
	load->nbd = nbd_create();
	if (load->times_ns == NULL || load->nbd == NULL ||
	    nbd_connect_uri(load->nbd, uri) < 0)
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
				      "[per_second=N]\n");
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
	free(load.times_ns);
	return err != 0;
}
