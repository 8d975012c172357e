// SPDX-License-Identifier: BSD-3-Clause
/*
 * The coefficients are a wire format: both ends, and any later version, must draw the same
 * from a key and a symbol number. And what is drawn must be as good as docs/fec.md says: a
 * singular matrix is a symbol that enough repairs do not rebuild.
 */
#include "fec/gf.h"
#include "fec/window.h"
#include "tests/unit/fec/reference.h"

static void coefficients_as_documented(void **state)
{
	static const uint32_t keys[] = { 0,	     1,		 127,	     128,
					 129,	     999,	 65535,	     0x7fffffff,
					 0x80000000, 0x80000001, 0xdeadbeef, 0xffffffff };
	static const uint64_t firsts[] = { 0, 1, 5, 127, 1000003, UINT64_MAX - 1100 };
	uint8_t got[1024], one;

	for (unsigned k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
		for (unsigned f = 0; f < sizeof(firsts) / sizeof(firsts[0]); f++) {
			window_coefficients(keys[k], firsts[f], 1024, got);
			for (unsigned i = 0; i < 1024; i++) {
				assert_true(got[i] != 0);
				assert_int_equal(got[i],
						 ref_coefficient(keys[k], firsts[f] + i));
			}
			window_coefficients(keys[k], firsts[f] + 77, 1, &one);
			assert_int_equal(one, got[77]);
		}
	}
}

/* A few values by hand, so that a mistake in both implementations would show. */
static void coefficients_by_hand(void **state)
{
	uint8_t got[2];

	window_coefficients(0, 0, 2, got);
	assert_int_equal(ref_mul(got[0], 0x80), 1);
	assert_int_equal(ref_mul(got[1], 0x81), 1);
	window_coefficients(129, 3, 1, got); /* x = 1, y = 40: 0x80 ^ 1 ^ 40 = 0xa9 */
	assert_int_equal(ref_mul(got[0], 0xa9), 1);
	/* row 5: 8 ^ 5 = 13 and 9 ^ 5 = 12 lie under the same random factor */
	window_coefficients(WINDOW_KEY_BLOCKED | 5, 16, 2, got);
	assert_int_equal(ref_mul(got[0], 13), ref_mul(got[1], 12));
}

static unsigned rank(uint8_t m[12][12], unsigned n)
{
	unsigned rank = 0;

	for (unsigned col = 0; col < n; col++) {
		unsigned pivot = rank;

		while (pivot < n && m[pivot][col] == 0)
			pivot++;
		if (pivot == n)
			continue;
		for (unsigned i = 0; i < n; i++) {
			uint8_t swap = m[pivot][i];

			m[pivot][i] = m[rank][i];
			m[rank][i] = swap;
		}
		for (unsigned row = rank + 1; row < n; row++) {
			uint8_t factor = ref_mul(m[row][col], gf_inverses[m[rank][col]]);

			for (unsigned i = 0; i < n; i++)
				m[row][i] ^= ref_mul(factor, m[rank][i]);
		}
		rank++;
	}
	return rank;
}

/* d repairs rebuild any d symbols: every square submatrix drawn is regular. */
static void cauchy_submatrices_are_regular(void **state)
{
	struct ref_random r = { 4711 };

	for (unsigned i = 0; i < 5000; i++) {
		unsigned n = 1 + ref_below(&r, 12);
		uint64_t base = ref_random(&r);
		uint32_t keys = ref_below(&r, 1 << 24) * 128u;
		uint8_t used[2][128] = { 0 }, m[12][12];
		unsigned key[12], number[12];

		for (unsigned j = 0; j < n; j++) {
			do {
				key[j] = ref_below(&r, 128);
			} while (used[0][key[j]]++);
			do {
				number[j] = ref_below(&r, 128);
			} while (used[1][number[j]]++);
		}
		for (unsigned j = 0; j < n; j++)
			for (unsigned k = 0; k < n; k++)
				window_coefficients((keys + key[j]) & ~WINDOW_KEY_BLOCKED,
						    base + number[k], 1, &m[j][k]);
		assert_int_equal(rank(m, n), n);
	}
}

/* The rank of the small matrix's part of these rows and columns. */
static unsigned block_rank(unsigned rows, unsigned cols)
{
	uint8_t m[12][12] = { 0 };
	unsigned n = 0;

	for (unsigned row = 0; row < WINDOW_BLOCK; row++) {
		unsigned at = 0;

		if (!(rows >> row & 1))
			continue;
		for (unsigned col = 0; col < WINDOW_BLOCK; col++)
			if (cols >> col & 1)
				m[n][at++] = window_row_factor(row, col);
		n++;
	}
	return rank(m, n);
}

/*
 * Losses of one block can be rebuilt from any repairs with as many different rows:
 * every square part of the small matrix is regular, and no coefficient is 0.
 */
static void rows_of_a_block_are_regular(void **state)
{
	for (unsigned rows = 1; rows < 256; rows++)
		for (unsigned cols = 1; cols < 256; cols++)
			if (__builtin_popcount(rows) == __builtin_popcount(cols))
				assert_int_equal(block_rank(rows, cols),
						 __builtin_popcount(rows));
	for (uint32_t key = 0; key < 200; key++)
		for (uint64_t b = 0; b < 500; b++)
			assert_true(window_block_factor(key, b) != 0);
}

/* Whole blocks are kept as sums: their two factors are what a repair's coefficients are. */
static void a_coefficient_is_the_product_of_its_two_parts(void **state)
{
	struct ref_random r = { 31 };

	for (unsigned i = 0; i < 2000; i++) {
		uint32_t key = (uint32_t)ref_random(&r) | WINDOW_KEY_BLOCKED;
		uint64_t first = ref_random(&r) >> ref_below(&r, 60);
		unsigned count = 1 + ref_below(&r, 40);
		uint8_t got[40];

		window_coefficients(key, first, count, got);
		for (unsigned j = 0; j < count; j++) {
			uint64_t n = first + j;

			assert_int_equal(
				got[j],
				ref_mul(window_block_factor(key, n / WINDOW_BLOCK),
					window_row_factor(key % WINDOW_BLOCK, n)));
		}
	}
}

/* Later keys must not repeat earlier ones, nor a block the one before it. */
static void keys_and_blocks_differ(void **state)
{
	uint8_t seen[WINDOW_CAUCHY_MAX * 4][8];

	for (uint32_t key = 0; key < WINDOW_CAUCHY_MAX * 4; key++) {
		window_coefficients(key, 1000, 8, seen[key]);
		for (uint32_t other = 0; other < key; other++)
			assert_memory_not_equal(seen[key], seen[other], 8);
	}
	for (uint32_t key = 0; key < 64; key++) {
		unsigned equal = 0;

		for (uint64_t b = 0; b < 255; b++)
			equal += window_block_factor(key, b) ==
				 window_block_factor(key, b + 1);
		assert_true(equal < 12); /* one in 255 by chance */
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(coefficients_as_documented),
		cmocka_unit_test(coefficients_by_hand),
		cmocka_unit_test(a_coefficient_is_the_product_of_its_two_parts),
		cmocka_unit_test(keys_and_blocks_differ),
		cmocka_unit_test(rows_of_a_block_are_regular),
		cmocka_unit_test(cauchy_submatrices_are_regular),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
