/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_FEC_H
#define FEC_FEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Erasure codes over a stream of fixed-size symbols numbered 0, 1, 2, ... An encoder
 * takes symbols and makes repairs; a decoder takes symbols and repairs in any order,
 * with duplicates, and gives symbols back. Pure: no sockets, no clock, and no allocation
 * after set-up.
 */
enum fec_code { FEC_NONE, FEC_LAYERED, FEC_RS, FEC_WINDOW };

/* 0, or -ENOENT for a name that is no code; *ret by name ("none", "window", ...). */
int fec_code_parse(const char *name, enum fec_code *ret);
const char *fec_code_name(enum fec_code code);
/* Whether this version can run it: all that have a name. */
bool fec_code_available(enum fec_code code);

#define FEC_SYMBOL_MAX 8192
#define FEC_SYMBOL_ALIGN 32
#define FEC_WINDOW_MAX 1024

#define FEC_LAYERS_MAX 8
#define FEC_BLOCK_MAX 128      /* r; FEC_RS: also c, and r + c below 256 */
#define FEC_INTERLEAVE_MAX 512 /* bins of one layer */
#define FEC_SPAN_MAX 4096      /* from the first symbol of a repair to its last */
/* A repair of a layer of FEC_LAYERED covers r symbols, every bins-th: their span. */
unsigned fec_layer_span(unsigned r, unsigned bins);

struct fec_params {
	enum fec_code code;
	uint16_t symbol_size; /* bytes, a multiple of FEC_SYMBOL_ALIGN */
	/*
	 * FEC_WINDOW: most symbols one repair covers, 1..FEC_WINDOW_MAX. Decoder: most
	 * from the first to the last symbol of a repair, 0..FEC_SPAN_MAX; 0: no repairs.
	 */
	uint16_t window;
	/* Decoder: symbols held at once, more than the least of window, FEC_WINDOW_MAX. */
	uint32_t capacity;
	/* FEC_LAYERED, FEC_RS: c repairs for every r symbols. */
	uint16_t r, c;
	uint16_t interleave[FEC_LAYERS_MAX]; /* FEC_LAYERED: bins of layer 0 .. c - 1 */
	bool delayed; /* FEC_LAYERED: a repair leaves when its bin gets its next symbol */
};

/*
 * What a repair covers, as it travels in its datagram. A repair says all that its decoder
 * needs: one decoder takes repairs of every kind, mixed, so that a sender may change codes.
 */
enum fec_kind {
	FEC_COMBINATION, /* over GF(2^8); coefficients drawn from (key, symbol number) */
	FEC_XOR,	 /* the sum of `count` symbols that lie `stride` apart */
};

struct fec_repair {
	uint64_t first;
	uint16_t count;	 /* symbols covered: first, first + stride, ... */
	uint32_t key;	 /* FEC_COMBINATION only */
	uint16_t stride; /* FEC_XOR: 1 .. FEC_INTERLEAVE_MAX; FEC_COMBINATION: 1 */
	uint8_t kind;	 /* enum fec_kind */
};

/* ---- encoder -------------------------------------------------------------------- */

struct fec_encoder;

/*
 * 0, -EINVAL for parameters that cannot be, -ENOMEM. Interleaves that share factors, or
 * no repairs at all (c = 0), are only unwise.
 */
int fec_encoder_new(const struct fec_params *params, struct fec_encoder **ret);
void fec_encoder_free(struct fec_encoder *enc);

/*
 * Take the next symbol (numbers are given in order from 0); `sym` is copied. FEC_WINDOW:
 * the oldest one leaves the window when it is full.
 */
void fec_encoder_add(struct fec_encoder *enc, const uint8_t *sym);
/* The other side has every symbol below `below`: they leave the window. */
void fec_encoder_confirm(struct fec_encoder *enc, uint64_t below);
/*
 * First symbol in the window, and the next number to be added; equal when it is empty,
 * and always with a code that has no window.
 */
uint64_t fec_encoder_first(const struct fec_encoder *enc);
uint64_t fec_encoder_next(const struct fec_encoder *enc);
/*
 * The next repair, written to `out` (symbol_size bytes, FEC_SYMBOL_ALIGN aligned); false
 * when there is none.
 *
 * FEC_WINDOW: a fresh one over the whole window, independent of all before it, whenever
 * the window is not empty.
 * FEC_LAYERED, FEC_RS: the oldest of those that are due, see fec_encoder_queued().
 */
bool fec_encoder_repair(struct fec_encoder *enc, struct fec_repair *head, uint8_t *out);
/*
 * Repairs that are to leave before the next symbol: of bins and blocks that are full, or
 * were flushed, and what a change left; fec_encoder_repair() gives these first. For
 * FEC_WINDOW and FEC_NONE only a change leaves any. fec_encoder_add() with repairs due is
 * allowed as long as fewer than FEC_QUEUE_MAX are; beyond that the oldest may be dropped.
 * A flush or a change drops none that were allowed.
 */
#define FEC_QUEUE_MAX 1024
unsigned fec_encoder_queued(const struct fec_encoder *enc);
/*
 * Nothing follows for now: partial bins and the short block become due, so that every
 * symbol has all its c repairs. No-op for FEC_WINDOW and FEC_NONE. fec_encoder_partial():
 * whether this would make any due.
 */
void fec_encoder_flush(struct fec_encoder *enc);
bool fec_encoder_partial(const struct fec_encoder *enc);
/*
 * Go on with other parameters from the next symbol on; symbol_size must be the same. What
 * is due stays due, what is partial is flushed first, and symbols in a window stay in it
 * as far as the new one has room. If symbols leave that no repair covered yet, one over
 * the whole old window becomes due; more for them is the caller's to send before. The
 * same parameters again change nothing. Errors as fec_encoder_new(), and then nothing
 * changed.
 */
int fec_encoder_change(struct fec_encoder *enc, const struct fec_params *params);

/* ---- decoder -------------------------------------------------------------------- */

struct fec_decoder;

/*
 * A decoder takes repairs of every kind; of the parameters it uses symbol_size, capacity,
 * and window: the most symbols from the first to the last that one repair may span (a
 * combination: no more than FEC_WINDOW_MAX). Errors as fec_encoder_new().
 */
int fec_decoder_new(const struct fec_params *params, struct fec_decoder **ret);
void fec_decoder_free(struct fec_decoder *dec);

/*
 * Take symbol `number`. 0, also for a duplicate or one that was released already;
 * -ENOBUFS if it is capacity or more beyond the first symbol not yet released (nothing
 * is kept). The bytes are copied. Work is bounded by the window, also with repairs from
 * a lying peer.
 */
int fec_decoder_symbol(struct fec_decoder *dec, uint64_t number, const uint8_t *sym);
/*
 * Take a repair. 0, also when it brings nothing new; -EPROTO if head is impossible (an
 * unknown kind; count or stride 0, above its bound, or a span above the window; a
 * combination with a stride; wraps); -ENOBUFS as above or when too many repairs wait. The
 * bytes are copied when kept.
 */
int fec_decoder_repair(struct fec_decoder *dec, const struct fec_repair *head,
		       const uint8_t *bytes);
/*
 * Symbol `number` if it is here, received or rebuilt, and not released; else NULL. Lent
 * until the next call that changes the decoder. *rebuilt (may be NULL): made from
 * repairs.
 */
const uint8_t *fec_decoder_get(const struct fec_decoder *dec, uint64_t number,
			       bool *rebuilt);
/*
 * The reader is done with every symbol below `below`. The last `window` of them stay
 * inside for repairs that cover them, and are no longer given by fec_decoder_get().
 */
void fec_decoder_release(struct fec_decoder *dec, uint64_t below);
/* First symbol that is neither received nor rebuilt. */
uint64_t fec_decoder_missing_first(const struct fec_decoder *dec);
/* One above the highest symbol received, rebuilt or named by a repair. */
uint64_t fec_decoder_seen(const struct fec_decoder *dec);
/*
 * How many more independent combinations would rebuild every missing symbol below
 * fec_decoder_seen(); 0 exactly when none is missing. Plain sums that wait are not counted
 * on, so that with them it may be too large by their number, never too small.
 */
uint32_t fec_decoder_deficit(const struct fec_decoder *dec);
/* Symbols rebuilt so far. */
uint64_t fec_decoder_rebuilt(const struct fec_decoder *dec);

#endif
