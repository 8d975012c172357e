/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_FEC_REFERENCE_H
#define TESTS_UNIT_FEC_REFERENCE_H

/*
 * Slow and obvious: GF(2^8) one bit at a time, coefficients straight from their
 * definition in docs/fec.md, and a decoder that keeps every equation it was ever given and
 * solves them all anew, by the book, each time it is asked.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static inline uint8_t ref_mul(uint8_t a, uint8_t b)
{
	unsigned product = 0, x = a;

	for (; b; b >>= 1) {
		if (b & 1)
			product ^= x;
		x = x << 1 ^ (x & 128 ? 0x11d : 0);
	}
	return (uint8_t)product;
}

static inline uint8_t ref_inv(uint8_t a)
{
	for (unsigned b = 1; b < 256; b++)
		if (ref_mul(a, (uint8_t)b) == 1)
			return (uint8_t)b;
	return 0;
}

static inline uint8_t ref_coefficient(uint32_t key, uint64_t number)
{
	uint64_t x;
	uint8_t byte;

	if (!(key >> 31))
		return ref_inv(
			(uint8_t)(128 ^ (key & 127) ^ (number + (key >> 7) * 37) % 128));
	x = key * UINT64_C(0x9e3779b97f4a7c15) + number / 64;
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	byte = (uint8_t)(x >> number / 8 % 8 * 8);
	return ref_mul((uint8_t)(1 + byte * 255 / 256),
		       ref_inv((uint8_t)(8 ^ key % 8 ^ number % 8)));
}

/* ---- random numbers: xorshift64* ------------------------------------------------ */

struct ref_random {
	uint64_t x;
};

static inline uint64_t ref_random(struct ref_random *r)
{
	r->x ^= r->x >> 12;
	r->x ^= r->x << 25;
	r->x ^= r->x >> 27;
	return r->x * UINT64_C(0x2545f4914f6cdd1d);
}

static inline unsigned ref_below(struct ref_random *r, unsigned n)
{
	return (unsigned)((ref_random(r) >> 33) % n);
}

static inline bool ref_chance(struct ref_random *r, double p)
{
	return (double)(ref_random(r) >> 11) < p * 9007199254740992.0;
}

/* ---- the decoder ------------------------------------------------------------------ */

#define REF_SYMBOLS 256 /* numbers 0 .. REF_SYMBOLS - 1 only */
#define REF_SIZE 32

struct ref_equation {
	uint8_t factor[REF_SYMBOLS];
	uint8_t bytes[REF_SIZE];
};

struct ref_decoder {
	struct ref_equation eq[4096], work[4096];
	unsigned n;
	unsigned seen;
	/* made by ref_solve() */
	unsigned rank;
	bool known[REF_SYMBOLS];
	uint8_t sym[REF_SYMBOLS][REF_SIZE];
};

static inline void ref_symbol(struct ref_decoder *d, unsigned number, const uint8_t *sym)
{
	struct ref_equation *e = &d->eq[d->n++];

	memset(e, 0, sizeof(*e));
	e->factor[number] = 1;
	memcpy(e->bytes, sym, REF_SIZE);
	if (number + 1 > d->seen)
		d->seen = number + 1;
}

static inline void ref_repair(struct ref_decoder *d, unsigned first, unsigned count,
			      uint32_t key, const uint8_t *bytes)
{
	struct ref_equation *e = &d->eq[d->n++];

	memset(e, 0, sizeof(*e));
	for (unsigned i = first; i < first + count; i++)
		e->factor[i] = ref_coefficient(key, i);
	memcpy(e->bytes, bytes, REF_SIZE);
	if (first + count > d->seen)
		d->seen = first + count;
}

static inline void ref_add(struct ref_equation *to, const struct ref_equation *from,
			   uint8_t factor)
{
	for (unsigned i = 0; i < REF_SYMBOLS; i++)
		to->factor[i] ^= ref_mul(factor, from->factor[i]);
	for (unsigned i = 0; i < REF_SIZE; i++)
		to->bytes[i] ^= ref_mul(factor, from->bytes[i]);
}

/* Gauss and Jordan; then a symbol is known if its row has nothing else in it. */
static inline void ref_solve(struct ref_decoder *d)
{
	memcpy(d->work, d->eq, d->n * sizeof(d->eq[0]));
	memset(d->known, 0, sizeof(d->known));
	d->rank = 0;
	for (unsigned col = 0; col < d->seen; col++) {
		unsigned pivot = d->rank;
		struct ref_equation swap;

		while (pivot < d->n && d->work[pivot].factor[col] == 0)
			pivot++;
		if (pivot == d->n)
			continue;
		swap = d->work[pivot];
		d->work[pivot] = d->work[d->rank];
		d->work[d->rank] = (struct ref_equation){ 0 };
		ref_add(&d->work[d->rank], &swap, ref_inv(swap.factor[col]));
		for (unsigned i = 0; i < d->n; i++)
			if (i != d->rank && d->work[i].factor[col])
				ref_add(&d->work[i], &d->work[d->rank],
					d->work[i].factor[col]);
		d->rank++;
	}
	for (unsigned i = 0; i < d->rank; i++) {
		unsigned unknowns = 0, last = 0;

		for (unsigned col = 0; col < d->seen; col++) {
			if (d->work[i].factor[col]) {
				unknowns++;
				last = col;
			}
		}
		if (unknowns != 1)
			continue;
		d->known[last] = true;
		memcpy(d->sym[last], d->work[i].bytes, REF_SIZE);
	}
	d->n = d->rank; /* the reduced equations say the same */
	memcpy(d->eq, d->work, d->n * sizeof(d->eq[0]));
}

#endif
