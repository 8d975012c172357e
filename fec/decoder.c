// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "fec/code.h"
#include "fec/fec.h"
#include "fec/solver.h"
#include "fec/store.h"
#include "rt/mem.h"

struct fec_decoder {
	struct fec_params params;
	struct store store;
	struct solver solver; /* FEC_WINDOW only */
};

int fec_decoder_new(const struct fec_params *params, struct fec_decoder **ret)
{
	uint16_t window = params->code == FEC_WINDOW ? params->window : 0;
	struct fec_decoder *dec;
	int err = fec_params_check(params);

	if (err < 0)
		return err;
	if (params->capacity <= window || params->capacity > FEC_CAPACITY_MAX)
		return -EINVAL;
	dec = rt_zalloc(1, sizeof(*dec));
	if (!dec)
		return -ENOMEM;
	dec->params = *params;
	dec->params.window = window;
	err = store_init(&dec->store, params->symbol_size, params->capacity, window);
	if (err == 0 && params->code == FEC_WINDOW)
		err = solver_init(&dec->solver, &dec->store, window);
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
	solver_release_memory(&dec->solver);
	store_release_memory(&dec->store);
	rt_free(dec);
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
	return 0;
}

/* Repairs end with the newest symbol as a rule: what is missing is found at once. */
static bool decoder_misses(const struct store *st, uint64_t first, uint64_t end)
{
	if (end > st->seen)
		return true;
	if (first < st->missing_first)
		first = st->missing_first;
	for (uint64_t number = first; number < end; number++)
		if (store_state(st, number) == STORE_MISSING)
			return true;
	return false;
}

int fec_decoder_repair(struct fec_decoder *dec, const struct fec_repair *head,
		       const uint8_t *bytes)
{
	struct store *st = &dec->store;
	uint64_t end = head->first + head->count;

	if (head->count == 0 || head->count > dec->params.window || end < head->first)
		return -EPROTO;
	if (end <= st->missing_first)
		return 0;
	if (!store_reaches(st, end))
		return -ENOBUFS;
	if (!decoder_misses(st, head->first, end))
		return 0;
	store_name(st, end);
	return solver_add(&dec->solver, head->first, head->count, head->key, bytes);
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
