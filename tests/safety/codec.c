// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/tunnel/wire_gate.h"
#include "rt/check.h"
#include "tests/safety/safety.h"

/*
 * The real codes, and the product's own gate. Symbols are numbers written out, so that what
 * is rebuilt can be checked; a symbol that is still missing when the other side has reported
 * is sent again. Each datagram is a send batch of its own. In a history without trouble it has
 * left at once, and deficits are not reported: so the gate opens as early as it ever may. In one
 * with trouble some batches fail, and half of those are lost in the host; the gate takes in
 * what the other side reports, and now and then nothing proves the path for a while.
 */
#define RING (1u << 16) /* symbols between the first not released and the next one */
#define CAPACITY 16384
#define SPACING 127
#define UNPROVEN_EVERY 1000 /* reports behind which the path is not proven for a while */

/* Of the other side, with the newest datagram that it has received. */
struct report {
	uint64_t largest, repairs, below, deficit;
	uint64_t missing; /* symbols */
};

struct codec {
	const struct safety_codec *c;
	struct fec_encoder *enc;
	struct fec_decoder *dec;
	struct safety_line line;
	struct safety_drawn drawn;
	struct wire_gate gate;
	struct wire_gate_batch batch; /* all that was sent */
	uint64_t symbols;	      /* sent */
	uint64_t completed;	      /* what the gate has let pass */
	uint64_t missing[RING];	      /* [symbol]: first one missing when it was sent */
	struct report reports[RING];  /* [symbol]: the newest then; in trouble */
	struct report newest;
	uint64_t heard;	       /* largest of the report that was received last */
	uint64_t proven_again; /* the path, when so many symbols were sent */
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

/* What counts now completes, and stays so. */
static void codec_complete(struct codec *k)
{
	wire_gate_update(&k->gate, k->symbols >= k->proven_again);
	if (wire_gate_watermark(&k->gate) > k->completed)
		k->completed = wire_gate_watermark(&k->gate);
}

/* The batch of the newest datagram is resolved. */
static void codec_gate(struct codec *k)
{
	k->batch.number++;
	wire_gate_resolved(&k->gate, &k->batch);
	k->batch.newest = 0;
	codec_complete(k);
}

/* Whether the next datagram is lost: on the line, or in the host with its batch. */
static bool codec_loses(struct codec *k)
{
	bool loses = safety_line_loses(&k->line), fails;

	if (k->c->fails == 0)
		return loses;
	fails = safety_below(&k->line, k->c->fails) == 0;
	k->batch.left = !fails || k->c->failures_ignored;
	return (fails && safety_below(&k->line, 2) == 0) || loses;
}

/* The mirror acknowledges the newest datagram, and reports what it lacks. */
static void codec_received(struct codec *k)
{
	k->newest.largest = k->batch.number;
	k->newest.repairs = k->batch.repairs;
}

static void codec_made(struct codec *k, const struct fec_repair *head)
{
	k->batch.newest = head->first + (uint64_t)(head->count - 1) * head->stride + 1;
	if (k->c->code.code == FEC_WINDOW) {
		k->batch.repairs++;
		wire_gate_repair(&k->gate);
	} else {
		k->batch.blocks++;
		wire_gate_block(&k->gate, head, k->batch.number + 1);
	}
	codec_gate(k);
}

static bool codec_repair(struct codec *k)
{
	_Alignas(FEC_SYMBOL_ALIGN) uint8_t bytes[SAFETY_SYMBOL];
	struct fec_repair head;
	bool loses;

	if (!fec_encoder_repair(k->enc, &head, bytes))
		return false;
	loses = codec_loses(k);
	codec_made(k, &head);
	if (!loses) {
		codec_result(k, fec_decoder_repair(k->dec, &head, bytes));
		codec_received(k);
	}
	codec_kill(k);
	return true;
}

/* What the other side reports when symbol `number` was sent. */
static void codec_report(struct codec *k, uint64_t number)
{
	struct report *r = &k->newest;

	if (k->c->fails == 0)
		return;
	r->below = fec_decoder_missing_first(k->dec);
	r->deficit = fec_decoder_deficit(k->dec);
	r->missing = 0;
	for (uint64_t n = r->below; n < fec_decoder_seen(k->dec); n++)
		r->missing += fec_decoder_get(k->dec, n, NULL) == NULL;
	k->reports[number % RING] = *r;
}

static void codec_symbol(struct codec *k)
{
	_Alignas(FEC_SYMBOL_ALIGN) uint8_t sym[SAFETY_SYMBOL];
	uint64_t number = k->symbols;
	bool loses = codec_loses(k);

	symbol_make(number, sym);
	fec_encoder_add(k->enc, sym);
	wire_gate_sent(&k->gate, fec_encoder_first(k->enc));
	if (!loses)
		codec_result(k, fec_decoder_symbol(k->dec, number, sym));
	k->missing[number % RING] = fec_decoder_missing_first(k->dec);
	k->batch.symbols = ++k->symbols;
	codec_gate(k);
	if (!loses)
		codec_received(k);
	codec_report(k, number);
	codec_kill(k);
}

/*
 * The gate hears of what was missing a flight ago: in no window any more, and its datagrams are
 * lost, since the line does not reorder.
 */
static void codec_trouble(struct codec *k, const struct report *r)
{
	struct wire_gate_report report = {
		.largest = r->largest,
		.repairs = r->repairs,
		.deficit = r->deficit,
		.outside = r->missing,
		.lost = r->missing > 0,
	};

	if (k->c->fails == 0 || r->largest <= k->heard)
		return;
	k->heard = r->largest;
	wire_gate_acknowledged(&k->gate, &report);
	if (safety_below(&k->line, UNPROVEN_EVERY) == 0)
		k->proven_again =
			k->symbols + safety_below(&k->line, k->c->code.window + 1u);
	codec_complete(k);
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
	wire_gate_confirmed(&k->gate, then);
	codec_trouble(k, &k->reports[(k->symbols - 1 - k->c->flight) % RING]);
	while (k->error == 0 && first + k->c->flight < k->symbols) {
		symbol_make(first, sym);
		codec_result(k, fec_decoder_symbol(k->dec, first, sym));
		first = fec_decoder_missing_first(k->dec);
	}
}

static int codec_init_gate(struct codec *k, const struct safety_codec *c)
{
	struct wire_gate_rule rule = {
		.code = c->code.code,
		.paper = c->paper,
		.repairs = c->repairs,
		.covers = c->code.c,
	};
	int res = wire_gate_init(&k->gate, CAPACITY);

	if (res < 0)
		return res;
	for (unsigned n = 1; n <= FEC_ISOLATED_MAX; n++)
		rule.isolated[n] =
			c->isolated != NULL ? c->isolated[n] : (uint16_t)c->repairs;
	k->batch.left = true;
	wire_gate_follow(&k->gate, &rule);
	wire_gate_set_evidence(&k->gate, true);
	return 0;
}

static int codec_init(struct codec *k, const struct safety_codec *c, uint64_t seed)
{
	struct fec_params p = c->code;
	int res;

	k->c = c;
	p.symbol_size = SAFETY_SYMBOL;
	p.capacity = CAPACITY;
	res = codec_init_gate(k, c);
	if (res == 0)
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

	/* What is confirmed was known two flights ago. */
	rt_assert(2 * c->flight + FEC_WINDOW_MAX < CAPACITY);
	while (res == 0 && k->error == 0 && k->drawn.disasters < kills) {
		codec_symbol(k);
		if (c->code.code == FEC_WINDOW) {
			due += c->share;
			if (due >= 1 && codec_repair(k))
				due -= 1;
		} else {
			while (fec_encoder_queued(k->enc) > 0 && codec_repair(k)) {
			}
		}
		codec_hear(k);
	}
	if (k) {
		res = res < 0 ? res : k->error;
		wire_gate_release(&k->gate);
		fec_encoder_free(k->enc);
		fec_decoder_free(k->dec);
		*ret = k->drawn;
	}
	free(k);
	return res;
}
