// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/check.h"
#include "tests/safety/safety.h"

/*
 * The real codes. Symbols are numbers written out, so that what is rebuilt can be checked;
 * a symbol that is still missing when the other side has been heard is sent again.
 */
#define RING (1u << 16) /* symbols between the first not released and the next one */
#define CAPACITY 16384
#define SPACING 127

struct codec {
	const struct safety_codec *c;
	struct fec_encoder *enc;
	struct fec_decoder *dec;
	struct safety_line line;
	struct safety_drawn drawn;
	uint64_t symbols;	/* sent */
	uint64_t included;	/* one above the newest that a repair includes */
	uint64_t completed;	/* what the gate has let pass */
	uint8_t covers[RING];	/* [symbol]: repairs that cover it, 255 at most */
	uint64_t missing[RING]; /* [symbol]: first one missing when it was sent */
	uint64_t released;
	uint64_t spacing; /* datagrams until the next kill */
	uint64_t kills;
	bool fatal; /* the last one */
	int error;
};

static void symbol_make(uint64_t number, uint8_t *sym)
{
	uint64_t words[SAFETY_SYMBOL / 8];

	for (unsigned i = 0; i < SAFETY_SYMBOL / 8; i++)
		words[i] = (number + 1) * (UINT64_C(0x9e3779b97f4a7c15) + 2 * i);
	memcpy(sym, words, SAFETY_SYMBOL);
}

static void codec_kill(struct codec *k)
{
	bool fatal;

	if (--k->spacing > 0)
		return;
	k->spacing = 1 + safety_below(&k->line, SPACING);
	fatal = k->completed > fec_decoder_missing_first(k->dec);
	k->drawn.disasters++;
	k->drawn.fatal += fatal;
	k->drawn.losses += fatal && !k->fatal;
	k->drawn.squares += fatal;
	k->fatal = fatal;
}

/* Errors of the codes are bugs here: the decoder is given room for all that it is sent. */
static void codec_result(struct codec *k, int res)
{
	if (res < 0 && k->error == 0)
		k->error = res;
}

static void codec_gate(struct codec *k, const struct fec_repair *head)
{
	uint64_t last = head->first + (uint64_t)(head->count - 1) * head->stride;

	for (uint64_t s = head->first; s <= last; s += head->stride)
		k->covers[s % RING] += k->covers[s % RING] < UINT8_MAX;
	if (last + 1 > k->included)
		k->included = last + 1;
	if (k->c->paper) {
		k->completed = k->included;
		return;
	}
	while (k->completed < k->symbols &&
	       k->covers[k->completed % RING] >= k->c->repairs)
		k->completed++;
}

static bool codec_repair(struct codec *k)
{
	_Alignas(FEC_SYMBOL_ALIGN) uint8_t bytes[SAFETY_SYMBOL];
	struct fec_repair head;

	if (!fec_encoder_repair(k->enc, &head, bytes))
		return false;
	codec_gate(k, &head);
	if (!safety_line_loses(&k->line))
		codec_result(k, fec_decoder_repair(k->dec, &head, bytes));
	codec_kill(k);
	return true;
}

static void codec_symbol(struct codec *k)
{
	_Alignas(FEC_SYMBOL_ALIGN) uint8_t sym[SAFETY_SYMBOL];

	symbol_make(k->symbols, sym);
	k->covers[k->symbols % RING] = 0;
	fec_encoder_add(k->enc, sym);
	if (!safety_line_loses(&k->line))
		codec_result(k, fec_decoder_symbol(k->dec, k->symbols, sym));
	k->missing[k->symbols % RING] = fec_decoder_missing_first(k->dec);
	k->symbols++;
	codec_kill(k);
}

/* What was missing a flight ago, and still is, comes now; what is there is read. */
static void codec_hear(struct codec *k)
{
	_Alignas(FEC_SYMBOL_ALIGN) uint8_t sym[SAFETY_SYMBOL];
	uint64_t then, first = fec_decoder_missing_first(k->dec);

	for (; k->released < first; k->released++) {
		bool rebuilt = false;
		const uint8_t *got = fec_decoder_get(k->dec, k->released, &rebuilt);

		if (!rebuilt)
			continue;
		symbol_make(k->released, sym);
		if (!got || memcmp(got, sym, SAFETY_SYMBOL) != 0)
			codec_result(k, -EBADMSG);
	}
	fec_decoder_release(k->dec, first);
	if (k->symbols <= k->c->flight)
		return;
	then = k->missing[(k->symbols - 1 - k->c->flight) % RING];
	fec_encoder_confirm(k->enc, then);
	while (k->error == 0 && first + k->c->flight < k->symbols) {
		symbol_make(first, sym);
		codec_result(k, fec_decoder_symbol(k->dec, first, sym));
		first = fec_decoder_missing_first(k->dec);
	}
}

static int codec_init(struct codec *k, const struct safety_codec *c, uint64_t seed)
{
	struct fec_params p = c->code;
	int res;

	k->c = c;
	p.symbol_size = SAFETY_SYMBOL;
	p.capacity = CAPACITY;
	res = fec_encoder_new(&p, &k->enc);
	if (res < 0)
		return res;
	p.window = FEC_WINDOW_MAX; /* what any repair may span */
	safety_line_init(&k->line, &c->line, seed);
	k->spacing = 1;
	return fec_decoder_new(&p, &k->dec);
}

int safety_codec_draw(const struct safety_codec *c, uint64_t kills, uint64_t seed,
		      struct safety_drawn *ret)
{
	struct codec *k = calloc(1, sizeof(*k));
	double due = 0;
	int res = k ? codec_init(k, c, seed) : -ENOMEM;

	rt_assert(c->flight + FEC_WINDOW_MAX < CAPACITY);
	while (res == 0 && k->error == 0 && k->drawn.disasters < kills) {
		codec_symbol(k);
		if (c->code.code == FEC_WINDOW) {
			due += c->share;
			if (due >= 1 && codec_repair(k))
				due -= 1;
		} else {
			while (fec_encoder_due(k->enc) > 0 && codec_repair(k)) {
			}
		}
		codec_hear(k);
	}
	if (k) {
		res = res < 0 ? res : k->error;
		fec_encoder_free(k->enc);
		fec_decoder_free(k->dec);
		*ret = k->drawn;
	}
	free(k);
	return res;
}
