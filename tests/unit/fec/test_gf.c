// SPDX-License-Identifier: BSD-3-Clause
/*
 * The field is a wire format: both ends, and any later version, must compute the same.
 * isa-l's vector code is held against arithmetic one bit at a time, for every pair of
 * factors and for lengths and offsets that do not suit it.
 */
#include "fec/gf.h"
#include "tests/unit/fec/reference.h"

static void every_product(void **state)
{
	for (unsigned a = 0; a < 256; a++) {
		assert_int_equal(gf_inverses[a], ref_inv((uint8_t)a));
		for (unsigned b = 0; b < 256; b++)
			assert_int_equal(gf_multiply((uint8_t)a, (uint8_t)b),
					 ref_mul((uint8_t)a, (uint8_t)b));
	}
}

static void any_length_and_offset(void **state)
{
	static uint8_t src[3][400], dest[3][400], want[3][400];
	uint8_t factors[3] = { 0x53, 1, 0xca }, *rows[3];
	const uint8_t *from[3];
	uint8_t tables[4][GF_TABLE_LEN];
	struct ref_random r = { 9 };

	for (size_t len = 1; len < 200; len += 1 + len / 9) {
		for (size_t at = 0; at < 40; at += 3) {
			for (unsigned j = 0; j < 3; j++) {
				for (unsigned i = 0; i < 400; i++) {
					src[j][i] = (uint8_t)ref_below(&r, 256);
					dest[j][i] = want[j][i] =
						(uint8_t)ref_below(&r, 256);
				}
				from[j] = src[j] + at + j;
				rows[j] = dest[j] + at + 2 * j;
			}
			for (size_t i = 0; i < len; i++) {
				for (unsigned j = 0; j < 2; j++)
					want[j][at + 2 * j + i] =
						ref_mul(factors[j], from[0][i]) ^
						ref_mul(factors[j + 1], from[1][i]);
			}
			for (unsigned j = 0; j < 2; j++) {
				memcpy(tables[2 * j], gf_tables[factors[j]],
				       GF_TABLE_LEN);
				memcpy(tables[2 * j + 1], gf_tables[factors[j + 1]],
				       GF_TABLE_LEN);
			}
			gf_combine(rows, 2, tables[0], from, 2, len);
			assert_memory_equal(dest, want, sizeof(dest));

			for (size_t i = 0; i < len / GF_XOR_STEP * GF_XOR_STEP; i++)
				want[2][at + 4 + i] = from[0][i] ^ want[2][at + 4 + i];
			gf_xor(rows[2], from[0], rows[2],
			       len / GF_XOR_STEP * GF_XOR_STEP);
			assert_memory_equal(dest, want, sizeof(dest));

			for (size_t i = 0; i < len; i++)
				want[1][at + i] ^= ref_mul(0x1d, from[2][i]);
			gf_add_multiple(dest[1] + at, 0x1d, from[2], len);
			assert_memory_equal(dest, want, sizeof(dest));

			for (size_t i = 0; i < len; i++) {
				want[2][at + i] = 0;
				for (unsigned j = 0; j < 3; j++)
					want[2][at + i] ^=
						ref_mul(factors[j], from[j][i]);
			}
			gf_dot_product(dest[2] + at, factors, from, 3, len);
			assert_memory_equal(dest, want, sizeof(dest));
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_product),
		cmocka_unit_test(any_length_and_offset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
