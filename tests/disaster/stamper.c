// SPDX-License-Identifier: BSD-3-Clause
/*
 * stamper URI VOLUME LOG [blocks=N] [depth=N] [count=N]
 *
 * Writes stamped blocks to a volume, `depth` in flight, until `count` are done or the
 * connection dies, which is no failure: to find out what that leaves is what it is for.
 * LOG gets `blocks` and then the number of each completed write, 64 bits each; as this is
 * not the process that dies, nothing of it is lost. The last line on standard output is
 * "issued=N completed=N".
 */
#include "tests/disaster/stamp.h"

#include <errno.h>
#include <libnbd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 1024

struct slot {
	struct stamper *stamper;
	uint64_t number; /* STAMP_NONE: free */
	uint64_t lba;
	uint8_t *block;
};

struct stamper {
	struct nbd_handle *nbd;
	FILE *log;
	uint64_t volume;
	uint64_t blocks, count;
	unsigned int depth;
	uint64_t issued, completed, failed;
	uint64_t below;	  /* all writes up to this one are complete */
	uint8_t *is_done; /* by number modulo DONE_RING, of those above `below` */
	struct slot slots[MAX_DEPTH];
};

/* Far more than can be in flight, so that a place is free again before it is needed. */
#define DONE_RING 65536

static int write_done(void *data, int *error)
{
	struct slot *slot = data;
	struct stamper *s = slot->stamper;

	if (*error != 0) {
		s->failed++;
	} else {
		s->completed++;
		s->is_done[slot->number % DONE_RING] = 1;
		if (fwrite(&slot->number, sizeof(slot->number), 1, s->log) != 1)
			abort();
		while (s->is_done[(s->below + 1) % DONE_RING]) {
			s->below++;
			s->is_done[s->below % DONE_RING] = 0;
		}
	}
	slot->number = STAMP_NONE;
	return 1;
}

/* A free slot; NULL if all are in use, or one of them has the block of the next write. */
static struct slot *free_slot(struct stamper *s)
{
	uint64_t lba = stamp_lba(s->issued + 1, s->blocks);
	struct slot *found = NULL;

	if (s->issued - s->below >= DONE_RING - 1)
		return NULL;
	for (unsigned int i = 0; i < s->depth; i++) {
		struct slot *slot = &s->slots[i];

		if (slot->number == STAMP_NONE)
			found = slot;
		else if (slot->lba == lba)
			return NULL;
	}
	return found;
}

static int issue(struct stamper *s, struct slot *slot)
{
	nbd_completion_callback done = { .callback = write_done, .user_data = slot };
	struct stamp stamp = { .volume = s->volume,
			       .number = s->issued + 1,
			       .lba = stamp_lba(s->issued + 1, s->blocks),
			       .below = s->below };

	stamp_encode(&stamp, slot->block);
	slot->number = stamp.number;
	slot->lba = stamp.lba;
	s->issued++;
	if (nbd_aio_pwrite(s->nbd, slot->block, STAMP_BLOCK, stamp.lba * STAMP_BLOCK,
			   done, 0) < 0)
		return -EIO;
	return 0;
}

static void run(struct stamper *s)
{
	while (s->failed == 0 && nbd_aio_is_dead(s->nbd) == 0) {
		struct slot *slot;
		int err = 0;

		while (err == 0 && s->failed == 0 && s->issued < s->count &&
		       (slot = free_slot(s)) != NULL)
			err = issue(s, slot);
		if (err != 0 || (s->completed == s->count))
			return;
		if (nbd_poll(s->nbd, -1) < 0)
			return;
	}
}

static int option(struct stamper *s, const char *arg)
{
	const char *value = strchr(arg, '=');
	char *end;
	unsigned long long n;

	if (value == NULL)
		return -EINVAL;
	n = strtoull(value + 1, &end, 10);
	if (*end != '\0' || n == 0)
		return -EINVAL;
	if (strncmp(arg, "blocks=", 7) == 0 && (n & (n - 1)) == 0)
		s->blocks = n;
	else if (strncmp(arg, "depth=", 6) == 0 && n <= MAX_DEPTH)
		s->depth = (unsigned int)n;
	else if (strncmp(arg, "count=", 6) == 0)
		s->count = n;
	else
		return -EINVAL;
	return 0;
}

static int open_all(struct stamper *s, const char *uri, const char *log)
{
	s->log = fopen(log, "wbe");
	s->is_done = calloc(DONE_RING, 1);
	if (s->log == NULL || s->is_done == NULL ||
	    fwrite(&s->blocks, sizeof(s->blocks), 1, s->log) != 1) {
		perror(log);
		return 1;
	}
	for (unsigned int i = 0; i < s->depth; i++) {
		s->slots[i].stamper = s;
		s->slots[i].block = malloc(STAMP_BLOCK);
		if (s->slots[i].block == NULL)
			return 1;
	}
	s->nbd = nbd_create();
	if (s->nbd == NULL || nbd_connect_uri(s->nbd, uri) < 0) {
		(void)fprintf(stderr, "stamper: %s\n", nbd_get_error());
		return 1;
	}
	if ((uint64_t)nbd_get_size(s->nbd) < s->blocks * STAMP_BLOCK) {
		(void)fprintf(stderr, "stamper: the volume is too small\n");
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct stamper s = { .blocks = 4096, .depth = 32, .count = UINT64_MAX };
	bool whole;

	for (int i = 4; i < argc; i++) {
		if (option(&s, argv[i]) != 0)
			argc = 0;
	}
	if (argc < 4) {
		(void)fprintf(
			stderr,
			"usage: stamper URI VOLUME LOG [blocks=N] [depth=N] [count=N]\n");
		return 2;
	}
	s.volume = stamp_volume(argv[2]);
	if (open_all(&s, argv[1], argv[3]) != 0)
		return 1;
	(void)printf("ready\n");
	(void)fflush(stdout);
	run(&s);
	/* Closing completes what is in flight, with an error: nothing is logged for it. */
	nbd_close(s.nbd);
	whole = fclose(s.log) == 0;
	for (unsigned int i = 0; i < s.depth; i++)
		free(s.slots[i].block);
	free(s.is_done);
	(void)printf("issued=%llu completed=%llu\n", (unsigned long long)s.issued,
		     (unsigned long long)s.completed);
	return whole ? 0 : 1;
}
