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
 * Blocked: for windows longer than 128, where y repeats. Symbols 8b .. 8b + 7 are a block;
 * the coefficient is the product of a random one, never 0, for (key, b), and of one for
 * (key mod 8, n mod 8) from a Cauchy matrix of 8 x 8. So the eight sums of a block that
 * the key's last three bits can ask for may be kept, and a repair adds up one of them for
 * each block instead of all symbols. Successive keys take successive rows of the small
 * matrix, so that losses of one block can be rebuilt.
 */
#define WINDOW_KEY_BLOCKED (UINT32_C(1) << 31)
#define WINDOW_CAUCHY_MAX 128
#define WINDOW_BLOCK 8

/* The coefficients of symbols first .. first + count - 1; none is 0. */
void window_coefficients(uint32_t key, uint64_t first, unsigned count, uint8_t *ret);
/* The two parts of a blocked one: of block number b, and of symbol n with row key mod 8. */
uint8_t window_block_factor(uint32_t key, uint64_t b);
uint8_t window_row_factor(unsigned row, uint64_t n);

#endif
