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

static void window_random(uint32_t key, uint64_t first, unsigned count, uint8_t *ret)
{
	uint64_t seed = (uint64_t)key * UINT64_C(0x9e3779b97f4a7c15), bytes = 0;

	for (unsigned i = 0; i < count; i++) {
		uint64_t number = first + i;

		if (i == 0 || number % 8 == 0)
			bytes = window_mix(seed + number / 8);
		ret[i] = (uint8_t)(1 + ((bytes >> number % 8 * 8 & 255) * 255 >> 8));
	}
}

void window_coefficients(uint32_t key, uint64_t first, unsigned count, uint8_t *ret)
{
	if (key & WINDOW_KEY_RANDOM)
		window_random(key, first, count, ret);
	else
		window_cauchy(key, first, count, ret);
}
