/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_WINDOW_H
#define FEC_WINDOW_H

#include <stdint.h>

/*
 * The coefficients of the `window` code, from (key, symbol number); docs/fec.md has them
 * as a format. Two families, and the key says which:
 *
 * Cauchy (WINDOW_KEY_RANDOM clear): 1 / (x + y), x in 0..127 from the key's low seven
 * bits, y in 128..255 from the symbol number modulo 128. Among 128 successive keys and 128
 * successive symbols every square submatrix is regular: as good as any code can be. The
 * key's other bits move the symbols' y, so that later keys do not repeat earlier ones.
 *
 * Random: a mixer's bytes, none of them 0. For windows longer than 128, where y repeats.
 */
#define WINDOW_KEY_RANDOM (UINT32_C(1) << 31)
#define WINDOW_CAUCHY_MAX 128

/* The coefficients of symbols first .. first + count - 1; none is 0. */
void window_coefficients(uint32_t key, uint64_t first, unsigned count, uint8_t *ret);

#endif
