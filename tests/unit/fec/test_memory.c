// SPDX-License-Identifier: BSD-3-Clause
/*
 * Memory that runs out while a codec is set up is an error for the caller, and what was
 * made so far is given back. After set-up a codec asks for none.
 */
#include <errno.h>
#include <stdio.h>

#include "fec/fec.h"
#include "rt/mem.h"
#include "tests/unit/fec/reference.h"

static unsigned asked, held, fail_at; /* fail_at 0: never */

/* These stand for rt.a's: the linker takes the first it finds. */
static void *give(void *p)
{
	held += p != NULL;
	return p;
}

void *rt_alloc(size_t size)
{
	return ++asked == fail_at ? NULL : give(malloc(size));
}

void *rt_zalloc(size_t n, size_t size)
{
	return ++asked == fail_at ? NULL : give(calloc(n, size));
}

void *rt_alloc_blocks(size_t size)
{
	size = (size + RT_BLOCK - 1) / RT_BLOCK * RT_BLOCK;
	return ++asked == fail_at ? NULL : give(aligned_alloc(RT_BLOCK, size));
}

void rt_free(void *p)
{
	held -= p != NULL;
	free(p);
}

static void each_failure_is_survived(void **state)
{
	static const struct fec_params params[] = { { FEC_WINDOW, 64, 16, 64 },
						    { FEC_NONE, 64, 0, 64 } };

	for (unsigned i = 0; i < 2; i++) {
		struct fec_encoder *enc = NULL;
		struct fec_decoder *dec = NULL;
		unsigned failures = 0;

		for (fail_at = 1, asked = 0; fec_encoder_new(&params[i], &enc);
		     fail_at++) {
			assert_int_equal(held, 0);
			asked = 0;
			failures++;
		}
		fec_encoder_free(enc);
		for (fail_at = 1, asked = 0; fec_decoder_new(&params[i], &dec);
		     fail_at++) {
			assert_int_equal(held, 0);
			asked = 0;
			failures++;
		}
		fec_decoder_free(dec);
		assert_int_equal(held, 0);
		assert_true(failures >= 4);
	}
	fail_at = 0;
}

static void none_is_asked_for_afterwards(void **state)
{
	static uint8_t sym[64] __attribute__((aligned(32)));
	static uint8_t repair[64] __attribute__((aligned(32)));
	struct fec_params params = { FEC_WINDOW, 64, 16, 64 };
	struct fec_encoder *enc;
	struct fec_decoder *dec;
	struct fec_repair head;
	unsigned before;

	assert_int_equal(fec_encoder_new(&params, &enc), 0);
	assert_int_equal(fec_decoder_new(&params, &dec), 0);
	before = asked;
	for (unsigned i = 0; i < 1000; i++) {
		sym[0] = (uint8_t)i;
		fec_encoder_add(enc, sym);
		if (i % 10)
			assert_int_equal(fec_decoder_symbol(dec, i, sym), 0);
		if (i % 4 == 0) {
			assert_true(fec_encoder_repair(enc, &head, repair));
			assert_int_equal(fec_decoder_repair(dec, &head, repair), 0);
		}
		fec_decoder_release(dec, fec_decoder_missing_first(dec));
	}
	assert_int_equal(fec_decoder_rebuilt(dec), 100);
	assert_int_equal(asked, before);
	fec_encoder_free(enc);
	fec_decoder_free(dec);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_failure_is_survived),
		cmocka_unit_test(none_is_asked_for_afterwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
