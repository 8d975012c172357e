// SPDX-License-Identifier: BSD-3-Clause
#include "fec/window.h"

#include "fec/gf.h"

/* The finaliser of splitmix64 (Steele, Lea, Flood: Fast splittable generators, 2014). */
static uint64_t window_mix(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static void window_cauchy(uint32_t key, uint64_t first, unsigned count, uint8_t *ret)
{
	unsigned x = key & 127, shift = (key >> 7) * 37;

	for (unsigned i = 0; i < count; i++)
		ret[i] = gf_inverses[128 | (((first + i + shift) ^ x) & 127)];
}

uint8_t window_block_factor(uint32_t key, uint64_t b)
{
	uint64_t seed = (uint64_t)key * UINT64_C(0x9e3779b97f4a7c15);
	uint64_t byte = window_mix(seed + b / 8) >> b % 8 * 8 & 255;

	return (uint8_t)(1 + (byte * 255 >> 8));
}

uint8_t window_row_factor(unsigned row, uint64_t n)
{
	return gf_inverses[row % WINDOW_BLOCK ^ (WINDOW_BLOCK | n % WINDOW_BLOCK)];
}

static void window_blocked(uint32_t key, uint64_t first, unsigned count, uint8_t *ret)
{
	uint8_t factor = 0;

	for (unsigned i = 0; i < count; i++) {
		uint64_t n = first + i;

		if (i == 0 || n % WINDOW_BLOCK == 0)
			factor = window_block_factor(key, n / WINDOW_BLOCK);
		ret[i] = gf_multiply(factor, window_row_factor(key, n));
	}
}

void window_coefficients(uint32_t key, uint64_t first, unsigned count, uint8_t *ret)
{
	if (key & WINDOW_KEY_BLOCKED)
		window_blocked(key, first, count, ret);
	else
		window_cauchy(key, first, count, ret);
}
