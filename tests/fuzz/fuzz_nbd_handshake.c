// SPDX-License-Identifier: BSD-3-Clause
/* fuzz-links: nbd-server */
/*
 * Anybody who reaches the port may send anything as a negotiation. It keeps to its
 * buffers, always goes on or ends, and says the same however the bytes are cut.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbd-server/handshake.h"
#include "nbd-server/protocol.h"
#include "rt/check.h"

#define FUZZ_OUT_MAX (256u << 10)
#define FUZZ_NAMES 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *fuzz_name(void *owner, unsigned i)
{
	static char text[16];

	if (i >= FUZZ_NAMES)
		return NULL;
	(void)snprintf(text, sizeof(text), "volume%u", i);
	return text;
}

static int fuzz_find(void *owner, const char *name, size_t len, struct nbds_export *ret)
{
	uint8_t sum = 0;

	rt_assert(len <= NBDS_NAME_MAX);
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + name[i]);
	if (sum % 4 == 1)
		return -ENOENT;
	if (sum % 4 == 2)
		return -EAGAIN;
	*ret = (struct nbds_export){ UINT64_C(1) << (sum % 64), sum, "volume", NULL };
	return 0;
}

static const struct nbds_catalog fuzz_catalog = { NULL, fuzz_name, fuzz_find };

struct fuzz_talk {
	struct nbds_handshake hs;
	uint8_t *out;
	size_t out_len;
	size_t used;
	int err;
};

static bool talk_is_over(const struct fuzz_talk *t)
{
	switch (t->hs.state) {
	case NBDS_HS_DONE:
	case NBDS_HS_ABORTED:
	case NBDS_HS_BROKEN:
		return true;
	default:
		return false;
	}
}

/* One run over the bytes from `used` on, of which `avail` have arrived in all. */
static bool talk_step(struct fuzz_talk *t, const uint8_t *data, size_t avail)
{
	struct nbds_handshake_io io = {
		.in_len = avail - t->used,
		.out = t->out + t->out_len,
		.out_size = NBDS_HANDSHAKE_ROOM + t->used % 1000,
	};
	uint8_t *copy;

	/* The caller's buffer has this size: what does not end in it would never end. */
	if (io.in_len > NBDS_HANDSHAKE_INPUT)
		io.in_len = NBDS_HANDSHAKE_INPUT;
	copy = malloc(io.in_len + 1); /* of just its size, for the sanitizer */
	rt_assert(copy);
	if (io.in_len > 0)
		memcpy(copy, data + t->used, io.in_len);
	io.in = copy;
	t->err = nbds_handshake_run(&t->hs, &io);
	free(copy);
	rt_assert(t->err == 0 || t->err == -EPROTO);
	rt_assert((t->err != 0) == (t->hs.state == NBDS_HS_BROKEN));
	rt_assert(io.in_used <= io.in_len && io.out_len <= io.out_size);
	rt_assert(talk_is_over(t) || io.in_used > 0 || io.out_len > 0 || t->hs.waiting ||
		  io.in_len < NBDS_HANDSHAKE_INPUT);
	t->used += io.in_used;
	t->out_len += t->err ? 0 : io.out_len;
	if (t->hs.waiting && io.out_len == 0)
		t->hs.late = true;
	return !talk_is_over(t) && (io.in_used > 0 || io.out_len > 0 || t->hs.waiting);
}

static void talk_run(struct fuzz_talk *t, const uint8_t *data, size_t size, size_t piece)
{
	size_t avail = 0;

	nbds_handshake_init(&t->hs, &fuzz_catalog);
	do {
		avail = size - avail < piece ? size : avail + piece;
		while (t->out_len < FUZZ_OUT_MAX / 2 && talk_step(t, data, avail))
			;
	} while (!talk_is_over(t) && avail < size && t->out_len < FUZZ_OUT_MAX / 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[2][FUZZ_OUT_MAX];
	struct fuzz_talk whole = { .out = out[0] };
	struct fuzz_talk cut = { .out = out[1] };
	size_t piece = 1;

	if (size > 0)
		piece = 1 + data[size - 1];
	talk_run(&whole, data, size, size + 1);
	talk_run(&cut, data, size, piece);
	if (whole.out_len < FUZZ_OUT_MAX / 2 && cut.out_len < FUZZ_OUT_MAX / 2) {
		/* Only what a breach leaves unsent depends on where it was cut. */
		rt_assert(whole.hs.state == cut.hs.state && whole.err == cut.err);
		rt_assert(whole.err || whole.used == cut.used);
		rt_assert(whole.err || whole.out_len == cut.out_len);
		rt_assert(whole.err || memcmp(whole.out, cut.out, whole.out_len) == 0);
	}
	return 0;
}
