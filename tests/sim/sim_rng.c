// SPDX-License-Identifier: BSD-3-Clause
#include "rt/check.h"
#include "rt/hash.h"
#include "tests/sim/sim.h"

/*
 * xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators",
 * 2021), its state filled from the seed by a counter through a mixer.
 */
void sim_rng_init(struct sim_rng *rng, uint64_t seed)
{
	for (unsigned i = 0; i < 4; i++) {
		seed += UINT64_C(0x9e3779b97f4a7c15);
		rng->s[i] = rt_mix64(seed);
	}
}

static uint64_t rotate(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

uint64_t sim_draw(struct sim_rng *rng)
{
	uint64_t *s = rng->s;
	uint64_t ret = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return ret;
}

uint64_t sim_below(struct sim_rng *rng, uint64_t n)
{
	rt_assert(n > 0);
	return (uint64_t)(((unsigned __int128)sim_draw(rng) * n) >> 64);
}

uint64_t sim_between(struct sim_rng *rng, uint64_t low, uint64_t high)
{
	rt_assert(low <= high && high - low < UINT64_MAX);
	return low + sim_below(rng, high - low + 1);
}

double sim_unit(struct sim_rng *rng)
{
	return (double)(sim_draw(rng) >> 11) * 0x1p-53;
}

bool sim_chance(struct sim_rng *rng, double p)
{
	if (p <= 0)
		return false; /* draws nothing: what is off does not move the rest */
	return sim_unit(rng) < p;
}

uint64_t sim_skewed(struct sim_rng *rng, uint64_t low, uint64_t high)
{
	uint64_t span = high - low;
	unsigned bits = span > 0 ? 64 - (unsigned)__builtin_clzll(span) : 0;
	unsigned take = (unsigned)sim_below(rng, bits + 1);
	uint64_t x = take > 0 ? sim_draw(rng) >> (64 - take) : 0;

	return low + (x <= span ? x : span);
}
