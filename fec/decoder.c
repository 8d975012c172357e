// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "fec/code.h"
#include "fec/fec.h"
#include "fec/peeler.h"
#include "fec/solver.h"
#include "fec/store.h"
#include "rt/mem.h"

struct fec_decoder {
	uint32_t span;	 /* most symbols from a repair's first to its last */
	uint16_t window; /* most symbols of a combination */
	struct store store;
	struct solver solver; /* combinations */
	struct peeler peeler; /* plain sums */
};

int fec_decoder_new(const struct fec_params *params, struct fec_decoder **ret)
{
	uint16_t span = params->window;
	uint16_t window = span < FEC_WINDOW_MAX ? span : FEC_WINDOW_MAX;
	struct fec_decoder *dec;
	int err;

	if (!fec_symbol_size_possible(params->symbol_size) || span > FEC_SPAN_MAX ||
	    params->capacity <= window || params->capacity > FEC_CAPACITY_MAX)
		return -EINVAL;
	dec = rt_zalloc(1, sizeof(*dec));
	if (!dec)
		return -ENOMEM;
	dec->span = span;
	dec->window = window;
	err = store_init(&dec->store, params->symbol_size, params->capacity, span);
	if (err == 0 && span > 0)
		err = solver_init(&dec->solver, &dec->store, window);
	if (err == 0 && span > 0)
		err = peeler_init(&dec->peeler, &dec->store);
	if (err < 0)
		goto fail;
	*ret = dec;
	return 0;
fail:
	fec_decoder_free(dec);
	return err;
}

void fec_decoder_free(struct fec_decoder *dec)
{
	if (!dec)
		return;
	peeler_release_memory(&dec->peeler);
	solver_release_memory(&dec->solver);
	store_release_memory(&dec->store);
	rt_free(dec);
}

/* What one rebuilds the other may be waiting for. */
static void decoder_settle(struct fec_decoder *dec)
{
	uint64_t number;

	for (;;) {
		if (solver_step(&dec->solver, &number))
			peeler_known(&dec->peeler, number);
		else if (peeler_step(&dec->peeler, &number))
			solver_known(&dec->solver, number);
		else
			break;
	}
}

int fec_decoder_symbol(struct fec_decoder *dec, uint64_t number, const uint8_t *sym)
{
	struct store *st = &dec->store;

	if (number < st->released)
		return 0;
	if (number - st->released >= st->capacity)
		return -ENOBUFS;
	if (store_state(st, number) != STORE_MISSING)
		return 0;
	memcpy(store_slot(st, number), sym, st->symbol_size);
	store_know(st, number, STORE_RECEIVED);
	solver_known(&dec->solver, number);
	peeler_known(&dec->peeler, number);
	decoder_settle(dec);
	return 0;
}

/* Repairs end with the newest symbol as a rule: what is missing is found at once. */
static bool decoder_misses(const struct store *st, const struct fec_repair *head,
			   uint64_t end)
{
	uint64_t number = head->first;

	if (end > st->seen)
		return true;
	if (number < st->missing_first)
		number += (st->missing_first - number + head->stride - 1) / head->stride *
			  head->stride;
	for (; number < end; number += head->stride)
		if (store_state(st, number) == STORE_MISSING)
			return true;
	return false;
}

/* Symbols from the first to the last that head names; 0 if there is no such repair. */
static uint32_t decoder_span(const struct fec_decoder *dec, const struct fec_repair *head)
{
	uint32_t span;

	if (head->count == 0 || head->stride == 0)
		return 0;
	switch (head->kind) {
	case FEC_COMBINATION:
		if (head->stride != 1 || head->count > dec->window)
			return 0;
		break;
	case FEC_XOR:
		if (head->count > FEC_BLOCK_MAX || head->stride > FEC_INTERLEAVE_MAX)
			return 0;
		break;
	default:
		return 0;
	}
	span = (head->count - 1u) * head->stride + 1;
	return span <= dec->span && head->first + span >= head->first ? span : 0;
}

int fec_decoder_repair(struct fec_decoder *dec, const struct fec_repair *head,
		       const uint8_t *bytes)
{
	struct store *st = &dec->store;
	uint32_t span = decoder_span(dec, head);
	uint64_t end = head->first + span;
	int err;

	if (span == 0)
		return -EPROTO;
	if (end <= st->missing_first)
		return 0;
	if (!store_reaches(st, end))
		return -ENOBUFS;
	if (!decoder_misses(st, head, end))
		return 0;
	store_name(st, end);
	if (head->kind == FEC_XOR)
		err = peeler_add(&dec->peeler, head, bytes);
	else
		err = solver_add(&dec->solver, head->first, head->count, head->key,
				 bytes);
	decoder_settle(dec);
	return err;
}

const uint8_t *fec_decoder_get(const struct fec_decoder *dec, uint64_t number,
			       bool *rebuilt)
{
	const struct store *st = &dec->store;
	enum store_state state;

	if (number < st->released || number >= st->seen)
		return NULL;
	state = store_state(st, number);
	if (state == STORE_MISSING)
		return NULL;
	if (rebuilt)
		*rebuilt = state == STORE_REBUILT;
	return store_slot(st, number);
}

void fec_decoder_release(struct fec_decoder *dec, uint64_t below)
{
	store_release(&dec->store, below);
}

uint64_t fec_decoder_missing_first(const struct fec_decoder *dec)
{
	return dec->store.missing_first;
}

uint64_t fec_decoder_seen(const struct fec_decoder *dec)
{
	return dec->store.seen;
}

uint32_t fec_decoder_deficit(const struct fec_decoder *dec)
{
	return (uint32_t)(dec->store.seen - dec->store.known) - dec->solver.active;
}

uint64_t fec_decoder_rebuilt(const struct fec_decoder *dec)
{
	return dec->store.rebuilt;
}
