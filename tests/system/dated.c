// SPDX-License-Identifier: BSD-3-Clause
/*
 * dated write URI [count=N] [every=MS]
 * dated newest URI
 *
 * `write` writes one block after the other from the beginning of the volume, one in flight,
 * each with its number and the wall clock at which it was sent; until `count` of them are
 * complete or the connection ends, which is no failure. Its last line is the number of
 * completed writes, and the wall clock of the last of them in seconds.
 * `newest` prints the same of the newest such block in the image: what a writer knows of an
 * image, which the sites say in their own way.
 */
#include <inttypes.h>
#include <libnbd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCK 4096u

struct date {
	uint64_t number; /* 1, 2, ...; 0: no write of ours */
	uint64_t wall_ns;
};

static uint64_t wall_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void date_print(const struct date *date)
{
	(void)printf("%" PRIu64 " %" PRIu64 ".%09" PRIu64 "\n", date->number,
		     date->wall_ns / 1000000000u, date->wall_ns % 1000000000u);
}

static int dates_write(struct nbd_handle *nbd, uint64_t count, unsigned every_ms)
{
	const struct timespec pause = { .tv_sec = every_ms / 1000,
					.tv_nsec = every_ms % 1000 * 1000000L };
	uint64_t blocks = (uint64_t)nbd_get_size(nbd) / BLOCK;
	static uint64_t buf[BLOCK / sizeof(uint64_t)];
	struct date last = { 0 };

	for (uint64_t n = 1; n <= count; n++) {
		struct date date = { .number = n, .wall_ns = wall_ns() };

		memcpy(buf, &date, sizeof(date));
		if (nbd_pwrite(nbd, buf, BLOCK, (n - 1) % blocks * BLOCK, 0) < 0)
			break;
		last = date;
		if (every_ms > 0)
			(void)nanosleep(&pause, NULL);
	}
	date_print(&last);
	return 0;
}

static int dates_newest(struct nbd_handle *nbd)
{
	int64_t size = nbd_get_size(nbd);
	static uint64_t buf[BLOCK / sizeof(uint64_t)];
	struct date newest = { 0 };

	for (int64_t at = 0; at < size; at += BLOCK) {
		struct date date;

		if (nbd_pread(nbd, buf, BLOCK, (uint64_t)at, 0) < 0) {
			(void)fprintf(stderr, "dated: %s\n", nbd_get_error());
			return 1;
		}
		memcpy(&date, buf, sizeof(date));
		if (date.number == 0)
			break; /* nothing was written from here on */
		if (date.number > newest.number)
			newest = date;
	}
	date_print(&newest);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t count = UINT64_MAX;
	unsigned every_ms = 0;
	struct nbd_handle *nbd;
	int status = 2;

	for (int i = 3; i < argc; i++) {
		if (strncmp(argv[i], "count=", 6) == 0)
			count = strtoull(argv[i] + 6, NULL, 10);
		else if (strncmp(argv[i], "every=", 6) == 0)
			every_ms = (unsigned)strtoul(argv[i] + 6, NULL, 10);
	}
	if (argc < 3) {
		(void)fprintf(stderr,
			      "usage: dated write|newest URI [count=N] [every=MS]\n");
		return 2;
	}
	nbd = nbd_create();
	if (!nbd || nbd_connect_uri(nbd, argv[2]) < 0) {
		(void)fprintf(stderr, "dated: %s\n", nbd_get_error());
		return 1;
	}
	if (strcmp(argv[1], "write") == 0)
		status = dates_write(nbd, count, every_ms);
	else if (strcmp(argv[1], "newest") == 0)
		status = dates_newest(nbd);
	nbd_close(nbd);
	return status;
}
