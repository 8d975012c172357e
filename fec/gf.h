/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_GF_H
#define FEC_GF_H

#include <stddef.h>
#include <stdint.h>

/*
 * Arithmetic over GF(2^8) with the polynomial 0x11d, which is isa-l's. Addition is XOR.
 */

/* What isa-l needs to multiply by one constant: tables of many factors lie in a row. */
#define GF_TABLE_LEN 32
extern uint8_t gf_tables[256][GF_TABLE_LEN];
extern uint8_t gf_inverses[256]; /* that of 0 is 0 */

uint8_t gf_multiply(uint8_t a, uint8_t b);

/* dest[i] = a[i] ^ b[i], len a multiple of GF_XOR_STEP; dest may be a or b. */
#define GF_XOR_STEP 32
void gf_xor(uint8_t *dest, const uint8_t *a, const uint8_t *b, size_t len);

/* dest[i] ^= factor * src[i] */
void gf_add_multiple(uint8_t *dest, uint8_t factor, const uint8_t *src, size_t len);
/* Sources of one gf_dot_product(); more are added up in several. */
#define GF_SOURCES_MAX 256
/* dest[i] = sum of factors[j] * src[j][i], n <= GF_SOURCES_MAX. */
void gf_dot_product(uint8_t *dest, const uint8_t *factors, const uint8_t *const src[],
		    unsigned n, size_t len);
/* dest[j][i] = sum of factor(j, s) * src[s][i] over n sources; tables: rows * n of them. */
void gf_combine(uint8_t *const dest[], unsigned rows, const uint8_t *tables,
		const uint8_t *const src[], unsigned n, size_t len);

#endif
