/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RT_HASH_H
#define RT_HASH_H

#include <stddef.h>
#include <stdint.h>

/*
 * SipHash-2-4 with a 64-bit result (Aumasson and Bernstein, "SipHash: a fast
 * short-input PRF", 2012) of `len` bytes under the key (k0, k1).
 */
uint64_t rt_siphash(uint64_t k0, uint64_t k1, const void *p, size_t len);

/* A cheap bijective mixer of 64 bits, for hash tables and seeds; not for histories. */
static inline uint64_t rt_mix64(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

#endif
