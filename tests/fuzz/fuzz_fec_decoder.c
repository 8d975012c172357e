// SPDX-License-Identifier: BSD-3-Clause
/* fuzz-links: fec */
/*
 * Symbols and repairs come from a peer that holds the key and may still lie: whatever
 * their numbers, windows, keys and bytes, the decoder keeps its own invariants and its
 * bounds; and as long as nobody lies, what it gives out is what was sent.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "fec/fec.h"
#include "fec/gf.h"
#include "fec/window.h"
#include "rt/check.h"

#define FUZZ_SIZE 32
#define FUZZ_CALLS_MAX 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	const uint8_t *data;
	size_t size;
	struct fec_decoder *dec;
	uint16_t window;
	uint32_t capacity;
	bool lied;
	uint64_t released;
};

static unsigned fuzz_byte(struct fuzz *f)
{
	if (f->size == 0)
		return 0;
	f->size--;
	return *f->data++;
}

/* Mostly near what the decoder looks at, sometimes anywhere. */
static uint64_t fuzz_number(struct fuzz *f)
{
	unsigned kind = fuzz_byte(f);
	uint64_t number = 0;

	if (kind < 192)
		return fec_decoder_missing_first(f->dec) + fuzz_byte(f) % 64;
	if (kind < 224)
		return fec_decoder_seen(f->dec) + fuzz_byte(f) - 128;
	if (kind < 240)
		return f->released + f->capacity + fuzz_byte(f) - 128;
	for (unsigned i = 0; i < 8; i++)
		number = number << 8 | fuzz_byte(f);
	return number;
}

static void truth(uint64_t number, uint8_t *sym)
{
	for (unsigned i = 0; i < FUZZ_SIZE; i++)
		sym[i] = (uint8_t)((number + 1) * (2 * i + 1) * 0x9e3779b1u >> 13);
}

static void fuzz_symbol(struct fuzz *f)
{
	uint64_t number = fuzz_number(f);
	uint8_t sym[FUZZ_SIZE];
	int ret;

	truth(number, sym);
	if (fuzz_byte(f) > 250) {
		sym[0] ^= 1;
		f->lied = true;
	}
	ret = fec_decoder_symbol(f->dec, number, sym);
	if (number >= f->released && number - f->released >= f->capacity)
		rt_assert(ret == -ENOBUFS);
	else
		rt_assert(ret == 0);
	if (ret == 0 && number >= f->released)
		rt_assert(fec_decoder_get(f->dec, number, NULL));
}

/* What a true repair with this head would hold. */
static void fuzz_true_sum(const struct fec_repair *head, uint8_t *sum)
{
	uint8_t factors[UINT16_MAX], sym[FUZZ_SIZE];

	if (head->kind != FEC_XOR)
		window_coefficients(head->key, head->first, head->count, factors);
	for (unsigned i = 0; i < head->count; i++) {
		truth(head->first + (uint64_t)i * head->stride, sym);
		gf_add_multiple(sum, head->kind == FEC_XOR ? 1 : factors[i], sym,
				FUZZ_SIZE);
	}
}

/* A combination, a plain sum, or (rarely) nothing that there is. Bit 3: its bytes lie. */
static unsigned fuzz_head(struct fuzz *f, struct fec_repair *head)
{
	unsigned how;

	head->first = fuzz_number(f);
	how = fuzz_byte(f);
	head->count = (uint16_t)(fuzz_byte(f) % (f->window + 2u));
	head->key = fuzz_byte(f) | (how & 1 ? WINDOW_KEY_BLOCKED : 0) | (how & 6) << 6;
	head->stride = 1;
	head->kind = FEC_COMBINATION;
	if (how & 16) {
		head->kind = FEC_XOR;
		head->stride = (uint16_t)(1 + fuzz_byte(f) % 41);
		head->count %= 16;
	}
	if (how > 250)
		head->count = (uint16_t)(head->count * 257);
	if (how > 244 && how < 249)
		head->stride = (uint16_t)(fuzz_byte(f) << 8 | fuzz_byte(f));
	if (how > 240 && how < 244)
		head->kind = (uint8_t)fuzz_byte(f);
	return how;
}

static bool fuzz_head_possible(const struct fuzz *f, const struct fec_repair *head)
{
	uint64_t span = (uint64_t)(head->count - 1) * head->stride + 1;

	if (head->count == 0 || head->stride == 0 || span > f->window ||
	    head->first + span < head->first)
		return false;
	if (head->kind == FEC_COMBINATION)
		return head->stride == 1;
	return head->kind == FEC_XOR && head->stride <= FEC_INTERLEAVE_MAX &&
	       head->count <= FEC_BLOCK_MAX;
}

static void fuzz_repair(struct fuzz *f)
{
	uint8_t sum[FUZZ_SIZE] = { 0 };
	struct fec_repair head;
	unsigned how = fuzz_head(f, &head);
	int ret;

	if (how & 8) {
		for (unsigned i = 0; i < FUZZ_SIZE; i++)
			sum[i] = (uint8_t)fuzz_byte(f);
		f->lied = true;
	} else {
		fuzz_true_sum(&head, sum);
	}
	ret = fec_decoder_repair(f->dec, &head, sum);
	if (fuzz_head_possible(f, &head))
		rt_assert(ret == 0 || ret == -ENOBUFS);
	else
		rt_assert(ret == -EPROTO);
}

static void fuzz_look(struct fuzz *f)
{
	uint64_t first = fec_decoder_missing_first(f->dec);
	uint64_t seen = fec_decoder_seen(f->dec), missing = 0;
	uint8_t sym[FUZZ_SIZE];

	rt_assert(f->released <= first && first <= seen);
	rt_assert(seen - f->released <= f->capacity);
	rt_assert(!fec_decoder_get(f->dec, first, NULL));
	for (uint64_t number = f->released; number < seen; number++) {
		const uint8_t *got = fec_decoder_get(f->dec, number, NULL);

		missing += !got;
		if (!got || f->lied)
			continue;
		truth(number, sym);
		rt_assert(memcmp(got, sym, FUZZ_SIZE) == 0);
	}
	rt_assert(fec_decoder_deficit(f->dec) <= missing);
	rt_assert((fec_decoder_deficit(f->dec) == 0) == (missing == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t windows[] = {
		1,  2,	7,   16,  40,	128,  150,  300,
		64, 96, 281, 512, 1024, 1025, 3000, FEC_SPAN_MAX,
	};
	struct fuzz f = { .data = data, .size = size };
	struct fec_params params = { .symbol_size = FUZZ_SIZE };

	f.window = windows[fuzz_byte(&f) % RT_ARRAY_LEN(windows)];
	f.capacity = f.window + 1 + fuzz_byte(&f);
	params.window = f.window;
	params.capacity = f.capacity;
	rt_assert(fec_decoder_new(&params, &f.dec) == 0);
	for (unsigned i = 0; f.size && i < FUZZ_CALLS_MAX; i++) {
		unsigned call = fuzz_byte(&f);

		if (call < 110) {
			fuzz_symbol(&f);
		} else if (call < 230) {
			fuzz_repair(&f);
		} else if (call < 245) {
			uint64_t first = fec_decoder_missing_first(f.dec);

			f.released += fuzz_byte(&f) % (first - f.released + 1);
			fec_decoder_release(f.dec, f.released);
		} else {
			fuzz_look(&f);
		}
	}
	fuzz_look(&f);
	fec_decoder_free(f.dec);
	return 0;
}
