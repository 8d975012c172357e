// SPDX-License-Identifier: BSD-3-Clause
/*
 * Memory that runs out while a codec is set up or changed is an error for the caller, and
 * what was made so far is given back. Otherwise a codec asks for none.
 */
#include <errno.h>

#include "tests/unit/alloc.h"
#include "tests/unit/fec/line.h"

static const struct fec_params codes[] = {
	{ .code = FEC_WINDOW, .symbol_size = REF_SIZE, .window = 64, .capacity = 128 },
	{ .code = FEC_NONE, .symbol_size = REF_SIZE, .capacity = 64 },
	{ .code = FEC_LAYERED,
	  .symbol_size = REF_SIZE,
	  .r = 4,
	  .c = 2,
	  .interleave = { 1, 5 } },
	{ .code = FEC_RS, .symbol_size = REF_SIZE, .r = 4, .c = 2 },
};
#define CODES (sizeof(codes) / sizeof(codes[0]))

static void each_failure_is_survived(void **state)
{
	for (unsigned i = 0; i < CODES; i++) {
		struct fec_encoder *enc = NULL;
		int res;

		for (fail_at = 1, asked = 0; (res = fec_encoder_new(&codes[i], &enc));
		     fail_at++, asked = 0) {
			assert_int_equal(res, -ENOMEM);
			assert_int_equal(held, 0);
		}
		assert_true(fail_at > (codes[i].code == FEC_NONE ? 1 : 3));
		fec_encoder_free(enc);
		assert_int_equal(held, 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		struct fec_decoder *dec = NULL;
		int res;

		for (fail_at = 1, asked = 0; (res = fec_decoder_new(&codes[i], &dec));
		     fail_at++, asked = 0) {
			assert_int_equal(res, -ENOMEM);
			assert_int_equal(held, 0);
		}
		assert_true(fail_at > (i == 0 ? 10 : 3));
		fec_decoder_free(dec);
		assert_int_equal(held, 0);
	}
	fail_at = 0;
}

/* A change that fails leaves an encoder that goes on as it was. */
static void a_change_that_fails_changes_nothing(void **state)
{
	for (unsigned i = 0; i < CODES * CODES; i++) {
		const struct fec_params *from = &codes[i / CODES],
					*to = &codes[i % CODES];
		struct line line;
		uint64_t first;
		bool partial;
		int res;

		fail_at = 0;
		line_init(&line, from);
		for (unsigned n = 0; n < 6; n++)
			(void)line_symbol(&line);
		first = fec_encoder_first(line.enc);
		partial = fec_encoder_partial(line.enc);
		for (fail_at = 1, asked = 0; (res = fec_encoder_change(line.enc, to));
		     fail_at++, asked = 0) {
			assert_int_equal(res, -ENOMEM);
			assert_int_equal(fec_encoder_first(line.enc), first);
			assert_int_equal(fec_encoder_queued(line.enc), 0);
			assert_int_equal(fec_encoder_partial(line.enc), partial);
		}
		fail_at = 0;
		for (unsigned n = 0; n < 6; n++)
			(void)line_symbol(&line);
		for (unsigned n = 0; n < line.n; n++)
			if (line.packet[n].repair)
				line_expect_true(&line.packet[n]);
		line_free(&line);
		assert_int_equal(held, 0);
	}
}

static void none_is_asked_for_afterwards(void **state)
{
	for (unsigned i = 0; i < CODES; i++) {
		struct fec_decoder *dec = line_decoder(64, 128);
		struct line line;
		unsigned before;

		line_init(&line, &codes[i]);
		before = asked;
		for (unsigned n = 0; n < 1000; n++) {
			const struct packet *p;
			unsigned from = line.n = 0;

			(void)line_symbol(&line);
			if (n % 50 == 49)
				(void)line_flush(&line);
			if (codes[i].code == FEC_WINDOW && n % 4 == 0)
				line_repair(&line);
			for (; from < line.n; from++) {
				p = &line.packet[from];
				if (p->repair || n % 10 || codes[i].code == FEC_NONE)
					assert_int_equal(line_give(dec, p), 0);
			}
			fec_decoder_release(dec, fec_decoder_missing_first(dec));
		}
		assert_int_equal(asked, before);
		assert_int_equal(fec_decoder_rebuilt(dec),
				 codes[i].code == FEC_NONE ? 0 : 100);
		line_free(&line);
		fec_decoder_free(dec);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_failure_is_survived),
		cmocka_unit_test(a_change_that_fails_changes_nothing),
		cmocka_unit_test(none_is_asked_for_afterwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
