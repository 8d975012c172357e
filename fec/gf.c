// SPDX-License-Identifier: BSD-3-Clause
#include "fec/gf.h"

#include <isa-l/erasure_code.h>
#include <string.h>

#include "rt/check.h"

uint8_t gf_tables[256][GF_TABLE_LEN] __attribute__((aligned(64)));
uint8_t gf_inverses[256];

/* Before main: nothing writes to the tables any more when there are several groups. */
static void __attribute__((constructor)) gf_fill(void)
{
	for (unsigned i = 0; i < 256; i++) {
		gf_vect_mul_init((uint8_t)i, gf_tables[i]);
		gf_inverses[i] = i ? gf_inv((uint8_t)i) : 0;
	}
}

uint8_t gf_multiply(uint8_t a, uint8_t b)
{
	/* isa-l's table of a: its products with 0x00..0x0f, then with 0x00, 0x10..0xf0 */
	return gf_tables[a][b & 15] ^ gf_tables[a][16 + (b >> 4)];
}

/* isa-l declares what it only reads as writable. */
static uint8_t *gf_readable(const uint8_t *p)
{
	return (uint8_t *)(uintptr_t)p;
}

/* isa-l's XOR crashes on addresses that are not aligned, and a datagram's are not. */
typedef uint64_t gf_vector
	__attribute__((vector_size(GF_XOR_STEP), aligned(1), may_alias));

void gf_xor(uint8_t *dest, const uint8_t *a, const uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len; i += GF_XOR_STEP)
		*(gf_vector *)(dest + i) =
			*(const gf_vector *)(a + i) ^ *(const gf_vector *)(b + i);
}

void gf_add_multiple(uint8_t *dest, uint8_t factor, const uint8_t *src, size_t len)
{
	uint8_t *rows[1] = { dest };

	ec_encode_data_update((int)len, 1, 1, 0, gf_tables[factor], gf_readable(src),
			      rows);
}

void gf_dot_product(uint8_t *dest, const uint8_t *factors, const uint8_t *const src[],
		    unsigned n, size_t len)
{
	uint8_t tables[GF_SOURCES_MAX][GF_TABLE_LEN];
	uint8_t *from[GF_SOURCES_MAX], *rows[1] = { dest };

	rt_assert(n > 0 && n <= GF_SOURCES_MAX);
	for (unsigned i = 0; i < n; i++) {
		memcpy(tables[i], gf_tables[factors[i]], GF_TABLE_LEN);
		from[i] = gf_readable(src[i]);
	}
	ec_encode_data((int)len, (int)n, 1, tables[0], from, rows);
}

void gf_combine(uint8_t *const dest[], unsigned rows, const uint8_t *tables,
		const uint8_t *const src[], unsigned n, size_t len)
{
	uint8_t *from[GF_SOURCES_MAX], *to[GF_SOURCES_MAX];

	rt_assert(n > 0 && n <= GF_SOURCES_MAX && rows <= GF_SOURCES_MAX);
	for (unsigned i = 0; i < n; i++)
		from[i] = gf_readable(src[i]);
	for (unsigned i = 0; i < rows; i++)
		to[i] = dest[i];
	ec_encode_data((int)len, (int)n, (int)rows, gf_readable(tables), from, to);
}
