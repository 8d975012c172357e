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
/* Whether this version can run it: only FEC_NONE and FEC_WINDOW so far. */
bool fec_code_available(enum fec_code code);

#define FEC_SYMBOL_MAX 8192
#define FEC_SYMBOL_ALIGN 32
#define FEC_WINDOW_MAX 1024

struct fec_params {
	enum fec_code code;
	uint16_t symbol_size; /* bytes, a multiple of FEC_SYMBOL_ALIGN */
	uint16_t
		window; /* FEC_WINDOW: most symbols one repair covers, 1..FEC_WINDOW_MAX */
	uint32_t capacity; /* decoder: symbols held at once, > window */
};

/*
 * What a repair covers, as it travels in its datagram: a linear combination over
 * GF(2^8) of symbols first .. first + count - 1, the coefficient of each drawn from
 * (key, symbol number).
 */
struct fec_repair {
	uint64_t first;
	uint16_t count; /* 1 .. window */
	uint32_t key;
};

/* ---- encoder -------------------------------------------------------------------- */

struct fec_encoder;

/* 0, -EINVAL for parameters out of range, -ENOTSUP for a code not available, -ENOMEM. */
int fec_encoder_new(const struct fec_params *params, struct fec_encoder **ret);
void fec_encoder_free(struct fec_encoder *enc);

/*
 * Take the next symbol (numbers are given in order from 0); `sym` is copied. The oldest
 * one leaves the window when it is full.
 */
void fec_encoder_add(struct fec_encoder *enc, const uint8_t *sym);
/* The other side has every symbol below `below`: they leave the window. */
void fec_encoder_confirm(struct fec_encoder *enc, uint64_t below);
/* First symbol in the window, and the next number to be added; equal when empty. */
uint64_t fec_encoder_first(const struct fec_encoder *enc);
uint64_t fec_encoder_next(const struct fec_encoder *enc);
/*
 * A fresh repair over the whole window, independent of all before it, written to `out`
 * (symbol_size bytes, FEC_SYMBOL_ALIGN aligned). It may begin before the window, with
 * symbols that are confirmed; head says so. False when the window is empty or the code
 * gives none.
 */
bool fec_encoder_repair(struct fec_encoder *enc, struct fec_repair *head, uint8_t *out);

/* ---- decoder -------------------------------------------------------------------- */

struct fec_decoder;

/* Errors as fec_encoder_new(). */
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
 * Take a repair. 0, also when it brings nothing new; -EPROTO if head is impossible
 * (count 0 or above the window, wraps); -ENOBUFS as above or when too many repairs wait.
 * The bytes are copied when kept.
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
 * fec_decoder_seen(); 0 when none is missing.
 */
uint32_t fec_decoder_deficit(const struct fec_decoder *dec);
/* Symbols rebuilt so far. */
uint64_t fec_decoder_rebuilt(const struct fec_decoder *dec);

#endif
