// SPDX-License-Identifier: BSD-3-Clause
/*
 * resender URI [depth=N] [blocks=N] [most=N]
 *
 * A client as an application would want it: whenever its connection ends, it connects again
 * and sends again what had no answer. Keeps `depth` requests in flight, of up to `most`
 * blocks each: writes, zeroes, flushes, and reads of what it knows to be there. After SIGTERM
 * it waits for what is in flight, reads all of its blocks, and says on standard output what
 * it did.
 *
 * Exit: 0 no request has failed and every block is as it was written; else 1, with a reason.
 */
#include <errno.h>
#include <libnbd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCK 4096u
#define WORDS (BLOCK / sizeof(uint64_t))
#define DEPTH_MAX 256u
#define MOST_MAX 256u	  /* blocks of a request */
#define PATIENCE_MS 30000 /* without a connection */
#define AGAIN_MS 10

enum kind { WRITE, ZERO, FLUSH, READ };

/* Each slot has blocks of its own, so that the order of requests in flight is no matter. */
struct slot {
	struct resender *owner;
	enum kind kind;
	uint64_t first; /* block */
	uint64_t version;
	uint32_t n, flags;
	bool busy;   /* has a request that is not answered */
	bool unsent; /* and that is to be sent, for the first time or again */
	uint64_t *buf;
};

struct resender {
	const char *uri;
	struct nbd_handle *nbd; /* owned */
	unsigned depth, most;
	uint64_t blocks;
	uint64_t *
		version; /* owned; of each block: its last acknowledged write; 0: zeroes */
	uint64_t chosen, answered, resent, connects;
	bool has_failed;
	struct slot slots[DEPTH_MAX];
};

static volatile sig_atomic_t stopping;

static void stop(int signo)
{
	stopping = 1;
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * UINT64_C(0x7fb5d329728ea185);
	x = (x ^ x >> 27) * UINT64_C(0x81dadef4bc2dd44d);
	return x ^ x >> 33;
}

/* ---- blocks ------------------------------------------------------------------------- */

static void block_fill(uint64_t *words, uint64_t block, uint64_t version)
{
	uint64_t seed = mix(block << 32 ^ version);

	for (unsigned i = 0; i < WORDS; i++)
		words[i] = version ? seed + i : 0;
}

static void blocks_check(struct resender *r, const uint64_t *words, uint64_t first,
			 uint64_t n)
{
	uint64_t want[WORDS];

	for (uint64_t i = 0; i < n && !r->has_failed; i++) {
		block_fill(want, first + i, r->version[first + i]);
		if (memcmp(words + i * WORDS, want, BLOCK) == 0)
			continue;
		(void)fprintf(stderr, "resender: block %llu is not as it was written\n",
			      (unsigned long long)(first + i));
		r->has_failed = true;
	}
}

/* ---- requests ----------------------------------------------------------------------- */

static void slot_answered(struct slot *slot)
{
	struct resender *r = slot->owner;

	slot->busy = false;
	r->answered++;
	if (slot->kind == READ)
		blocks_check(r, slot->buf, slot->first, slot->n);
	for (uint32_t i = 0; slot->kind != READ && i < slot->n; i++)
		r->version[slot->first + i] = slot->version;
}

/* ENOTCONN is the library's word for a request that the end of the connection has ended. */
static int slot_done(void *data, int *error)
{
	struct slot *slot = data;

	if (*error == ENOTCONN) {
		slot->unsent = true;
		slot->owner->resent++;
	} else if (*error) {
		(void)fprintf(stderr, "resender: request of kind %d at block %llu: %s\n",
			      (int)slot->kind, (unsigned long long)slot->first,
			      strerror(*error));
		slot->owner->has_failed = true;
		slot->busy = false;
	} else {
		slot_answered(slot);
	}
	return 1;
}

static void slot_choose(struct slot *slot)
{
	static const enum kind kinds[] = { WRITE, WRITE, WRITE, WRITE,
					   READ,  READ,	 FLUSH, ZERO };
	struct resender *r = slot->owner;
	uint64_t chance = mix(++r->chosen);
	uint64_t each = r->blocks / r->depth;

	slot->kind = kinds[chance % 8];
	slot->n = slot->kind == FLUSH ? 0 : (uint32_t)(1 + (chance >> 8) % r->most);
	slot->first = (uint64_t)(slot - r->slots) * each +
		      (chance >> 32) % (each - r->most + 1);
	slot->version = slot->kind == WRITE ? r->chosen : 0;
	slot->flags = (slot->kind == WRITE || slot->kind == ZERO) && chance >> 20 & 1
			      ? LIBNBD_CMD_FLAG_FUA
			      : 0;
	for (uint32_t i = 0; slot->kind == WRITE && i < slot->n; i++)
		block_fill(slot->buf + i * WORDS, slot->first + i, slot->version);
	slot->busy = slot->unsent = true;
}

static void slot_send(struct slot *slot)
{
	nbd_completion_callback done = { .callback = slot_done, .user_data = slot };
	struct nbd_handle *nbd = slot->owner->nbd;
	uint64_t at = slot->first * BLOCK;
	size_t len = (size_t)slot->n * BLOCK;
	int64_t cookie = -1;

	/* Before: a connection that ends inside of the call has done its callback then. */
	slot->unsent = false;
	switch (slot->kind) {
	case WRITE:
		cookie = nbd_aio_pwrite(nbd, slot->buf, len, at, done, slot->flags);
		break;
	case ZERO:
		cookie = nbd_aio_zero(nbd, len, at, done, slot->flags);
		break;
	case FLUSH:
		cookie = nbd_aio_flush(nbd, done, 0);
		break;
	case READ:
		cookie = nbd_aio_pread(nbd, slot->buf, len, at, done, 0);
		break;
	}
	if (cookie < 0)
		slot->unsent = true;
}

/* ---- the connection ------------------------------------------------------------------ */

static bool is_connected(const struct resender *r)
{
	return r->nbd && nbd_aio_is_dead(r->nbd) == 0 && nbd_aio_is_closed(r->nbd) == 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Until it succeeds; false after the patience. */
static bool connect_again(struct resender *r)
{
	const struct timespec pause = { .tv_nsec = AGAIN_MS * 1000000L };
	int64_t until = now_ms() + PATIENCE_MS;

	while (now_ms() < until) {
		nbd_close(r->nbd); /* its requests in flight end with an error */
		r->nbd = nbd_create();
		if (r->nbd && nbd_connect_uri(r->nbd, r->uri) == 0) {
			r->connects++;
			return true;
		}
		(void)nanosleep(&pause, NULL);
	}
	(void)fprintf(stderr, "resender: no connection: %s\n", nbd_get_error());
	return false;
}

/* Fill free slots, and send each request that was not sent. True while one is unanswered. */
static bool send_all(struct resender *r)
{
	bool waiting = false;

	for (unsigned i = 0; i < r->depth && !r->has_failed; i++) {
		struct slot *slot = &r->slots[i];

		if (!slot->busy && !stopping)
			slot_choose(slot);
		if (slot->unsent)
			slot_send(slot);
		waiting |= slot->busy;
	}
	return waiting;
}

static bool run(struct resender *r)
{
	while (!r->has_failed) {
		if (!is_connected(r) && !connect_again(r))
			return false;
		if (!send_all(r))
			break;
		/* -1 is the end of the connection, which is seen above, or a signal. */
		(void)nbd_poll(r->nbd, 1000);
	}
	return !r->has_failed;
}

/* All blocks as they were acknowledged? Nothing is in flight. */
static bool verify(struct resender *r)
{
	for (uint64_t i = 0; i < r->blocks && !r->has_failed; i += r->most) {
		uint64_t n = r->blocks - i < r->most ? r->blocks - i : r->most;

		if (nbd_pread(r->nbd, r->slots[0].buf, n * BLOCK, i * BLOCK, 0) < 0) {
			(void)fprintf(stderr, "resender: %s\n", nbd_get_error());
			return false;
		}
		blocks_check(r, r->slots[0].buf, i, n);
	}
	return !r->has_failed;
}

static int option(struct resender *r, const char *arg)
{
	const char *value = strchr(arg, '=');
	unsigned long long n = value ? strtoull(value + 1, NULL, 10) : 0;

	if (strncmp(arg, "depth=", 6) == 0 && n >= 1 && n <= DEPTH_MAX)
		r->depth = (unsigned)n;
	else if (strncmp(arg, "blocks=", 7) == 0 && n >= 1)
		r->blocks = n;
	else if (strncmp(arg, "most=", 5) == 0 && n >= 1 && n <= MOST_MAX)
		r->most = (unsigned)n;
	else
		return -EINVAL;
	return 0;
}

static bool prepare(struct resender *r)
{
	const struct sigaction action = { .sa_handler = stop };

	r->version = calloc(r->blocks, sizeof(*r->version));
	for (unsigned i = 0; i < r->depth; i++) {
		r->slots[i].owner = r;
		r->slots[i].buf = malloc((size_t)r->most * BLOCK);
		if (!r->slots[i].buf)
			return false;
	}
	return r->version && sigaction(SIGTERM, &action, NULL) == 0;
}

int main(int argc, char **argv)
{
	static struct resender r = { .depth = 32, .blocks = 8192, .most = 16 };
	bool good;

	for (int i = 2; i < argc; i++)
		if (option(&r, argv[i]) < 0)
			argc = 0;
	if (argc < 2 || r.blocks / r.depth < r.most || !prepare(&r)) {
		(void)fprintf(stderr,
			      "usage: resender URI [depth=N] [blocks=N] [most=N]\n");
		return 2;
	}
	r.uri = argv[1];
	good = run(&r) && verify(&r);
	printf("answered=%llu resent=%llu connects=%llu\n",
	       (unsigned long long)r.answered, (unsigned long long)r.resent,
	       (unsigned long long)r.connects);
	nbd_close(r.nbd);
	for (unsigned i = 0; i < r.depth; i++)
		free(r.slots[i].buf);
	free(r.version);
	return good ? 0 : 1;
}
