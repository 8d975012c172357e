// SPDX-License-Identifier: BSD-3-Clause
/*
 * Every repair must be exactly the combination that its head names, whether it was made of
 * single symbols or of the sums of blocks: a wrong one would put wrong bytes into the mirror's log wherever
 * a symbol is rebuilt.
 */
#include <errno.h>
#include <stdio.h>

#include "fec/fec.h"
#include "tests/unit/fec/reference.h"

#define STREAM 6000

static uint8_t stream[STREAM][REF_SIZE];

static struct fec_encoder *encoder(enum fec_code code, unsigned window)
{
	struct fec_params params = { .code = code,
				     .symbol_size = REF_SIZE,
				     .window = (uint16_t)window };
	struct fec_encoder *enc;

	assert_int_equal(fec_encoder_new(&params, &enc), 0);
	return enc;
}

static int stream_setup(void **state)
{
	struct ref_random r = { 77 };

	for (unsigned i = 0; i < STREAM; i++)
		for (unsigned j = 0; j < REF_SIZE; j++)
			stream[i][j] = (uint8_t)ref_below(&r, 256);
	return 0;
}

static void expect_combination(const struct fec_repair *head, const uint8_t *bytes)
{
	uint8_t want[REF_SIZE] = { 0 };

	for (unsigned i = 0; i < head->count; i++) {
		uint8_t factor = ref_coefficient(head->key, head->first + i);

		assert_true(factor != 0);
		for (unsigned j = 0; j < REF_SIZE; j++)
			want[j] ^= ref_mul(factor, stream[head->first + i][j]);
	}
	assert_memory_equal(bytes, want, REF_SIZE);
}

/* One sender's habits. */
struct habit {
	unsigned window;
	unsigned every, jitter; /* a repair after `every` symbols, more or fewer */
	unsigned burst;		/* so many at once */
	unsigned lag;		/* confirmed so far behind; 0: never */
};

static void habit_run(const struct habit *h, unsigned symbols)
{
	struct fec_encoder *enc = encoder(FEC_WINDOW, h->window);
	struct ref_random r = { h->window * 131 + h->every };
	unsigned next_repair = h->every;
	uint32_t *keys = calloc(STREAM * 8, sizeof(*keys));
	unsigned nkeys = 0;

	assert_non_null(keys);
	for (unsigned i = 0; i < symbols; i++) {
		fec_encoder_add(enc, stream[i]);
		if (h->lag && i > h->lag && ref_chance(&r, 0.3))
			fec_encoder_confirm(enc, i - h->lag);
		assert_int_equal(fec_encoder_next(enc), i + 1);
		assert_true(fec_encoder_next(enc) - fec_encoder_first(enc) <= h->window);
		if (i + 1 < next_repair)
			continue;
		next_repair =
			i + 1 + h->every - h->jitter + ref_below(&r, 2 * h->jitter + 1);
		for (unsigned n = 0; n < h->burst; n++) {
			uint8_t out[REF_SIZE] __attribute__((aligned(32)));
			struct fec_repair head;

			assert_true(fec_encoder_repair(enc, &head, out));
			assert_true(head.count >= 1 && head.count <= h->window);
			assert_int_equal(head.first + head.count, i + 1);
			assert_int_equal(head.first, fec_encoder_first(enc));
			expect_combination(&head, out);
			for (unsigned k = 0; k < nkeys; k++)
				assert_true(keys[k] != head.key);
			keys[nkeys++] = head.key;
		}
	}
	free(keys);
	fec_encoder_free(enc);
}

static void repairs_are_what_their_heads_say(void **state)
{
	static const struct habit habits[] = {
		{ 1, 1, 0, 1, 0 },	{ 1, 3, 1, 3, 0 },    { 16, 5, 0, 1, 0 },
		{ 64, 10, 0, 1, 0 },	{ 64, 7, 3, 1, 0 },   { 128, 10, 0, 1, 0 },
		{ 128, 10, 2, 1, 0 },	{ 128, 10, 0, 4, 0 }, { 128, 40, 39, 2, 0 },
		{ 128, 2, 0, 1, 0 },	{ 128, 1, 0, 1, 0 },  { 128, 3, 0, 7, 2 },
		{ 128, 10, 3, 2, 50 },	{ 140, 10, 1, 1, 0 }, { 300, 7, 5, 1, 0 },
		{ 1024, 100, 9, 1, 0 }, { 96, 300, 0, 1, 0 }, { 128, 10, 0, 1, 100 },
	};

	for (unsigned i = 0; i < sizeof(habits) / sizeof(habits[0]); i++)
		habit_run(&habits[i], habits[i].window > 200 ? 2500 : 700);
}

/* The habit changes under way: more loss, then a pause, then single writes. */
static void repairs_stay_right_when_the_habit_changes(void **state)
{
	struct fec_encoder *enc = encoder(FEC_WINDOW, 128);
	struct ref_random r = { 5 };
	unsigned every = 10;

	for (unsigned i = 0; i < STREAM; i++) {
		uint8_t out[REF_SIZE] __attribute__((aligned(32)));
		struct fec_repair head;

		fec_encoder_add(enc, stream[i]);
		if (i % 150 == 149)
			every = 1 + ref_below(&r, 30);
		if (i % 400 == 399)
			fec_encoder_confirm(enc, i + 1 - ref_below(&r, 10));
		if (i % every)
			continue;
		if (!fec_encoder_repair(enc, &head, out))
			continue;
		assert_int_equal(head.first, fec_encoder_first(enc));
		assert_int_equal(head.first + head.count, i + 1);
		assert_true(head.count <= 128);
		expect_combination(&head, out);
	}
	fec_encoder_free(enc);
}

static void confirmed_symbols_leave_the_window(void **state)
{
	struct fec_encoder *enc = encoder(FEC_WINDOW, 8);
	uint8_t out[REF_SIZE] __attribute__((aligned(32)));
	struct fec_repair head;

	assert_false(fec_encoder_repair(enc, &head, out));
	for (unsigned i = 0; i < 12; i++)
		fec_encoder_add(enc, stream[i]);
	assert_int_equal(fec_encoder_first(enc), 4);
	fec_encoder_confirm(enc, 2); /* late news */
	assert_int_equal(fec_encoder_first(enc), 4);
	fec_encoder_confirm(enc, 9);
	assert_int_equal(fec_encoder_first(enc), 9);
	assert_true(fec_encoder_repair(enc, &head, out));
	assert_int_equal(head.first, 9);
	assert_int_equal(head.count, 3);
	fec_encoder_confirm(enc, UINT64_MAX); /* a lie: the future */
	assert_int_equal(fec_encoder_first(enc), 12);
	assert_int_equal(fec_encoder_next(enc), 12);
	assert_false(fec_encoder_repair(enc, &head, out));
	fec_encoder_free(enc);
}

static void no_code_gives_no_repairs(void **state)
{
	struct fec_encoder *enc = encoder(FEC_NONE, 0);
	uint8_t out[REF_SIZE] __attribute__((aligned(32)));
	struct fec_repair head;

	for (unsigned i = 0; i < 5; i++)
		fec_encoder_add(enc, stream[i]);
	assert_int_equal(fec_encoder_next(enc), 5);
	assert_int_equal(fec_encoder_first(enc), 5);
	fec_encoder_confirm(enc, 3);
	assert_false(fec_encoder_repair(enc, &head, out));
	fec_encoder_free(enc);
}

static struct fec_params layered_of(unsigned r, unsigned c, unsigned bins)
{
	struct fec_params params = {
		.code = FEC_LAYERED, .symbol_size = 32, .r = (uint16_t)r, .c = (uint16_t)c
	};

	for (unsigned l = 0; l < c && l < FEC_LAYERS_MAX; l++)
		params.interleave[l] = (uint16_t)bins;
	return params;
}

static struct fec_params rs_of(unsigned r, unsigned c)
{
	return (struct fec_params){
		.code = FEC_RS, .symbol_size = 32, .r = (uint16_t)r, .c = (uint16_t)c
	};
}

static struct fec_params window_of(unsigned size, unsigned window)
{
	return (struct fec_params){ .code = FEC_WINDOW,
				    .symbol_size = (uint16_t)size,
				    .window = (uint16_t)window };
}

/* What cannot be is refused, by a new encoder and by a running one, which goes on. */
static void parameters_out_of_range(void **state)
{
	const struct fec_params wrong[] = {
		window_of(0, 8),
		window_of(33, 8),
		window_of(FEC_SYMBOL_MAX + 32, 8),
		window_of(32, 0),
		window_of(32, FEC_WINDOW_MAX + 1),
		{ .code = (enum fec_code)9, .symbol_size = 32, .window = 8 },
		layered_of(0, 1, 1),
		layered_of(FEC_BLOCK_MAX + 1, 1, 1),
		layered_of(8, FEC_LAYERS_MAX + 1, 1),
		layered_of(8, 3, 0),
		layered_of(2, 1, FEC_INTERLEAVE_MAX + 1),
		layered_of(FEC_SPAN_MAX / 512 + 1, 1, 512),
		rs_of(0, 1),
		rs_of(FEC_BLOCK_MAX + 1, 1),
		rs_of(1, 129),
		rs_of(128, 128),
	};
	const struct fec_params well = window_of(32, 8);
	struct fec_encoder *enc = NULL, *runs;

	assert_int_equal(fec_encoder_new(&well, &runs), 0);
	fec_encoder_add(runs, stream[0]);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(fec_encoder_new(&wrong[i], &enc), -EINVAL);
		assert_int_equal(fec_encoder_change(runs, &wrong[i]), -EINVAL);
		assert_int_equal(fec_encoder_first(runs), 0);
	}
	assert_null(enc);
	fec_encoder_free(runs);
	fec_encoder_free(NULL);
}

static void extreme_parameters_are_taken(void **state)
{
	const struct fec_params extreme[] = {
		window_of(FEC_SYMBOL_MAX, FEC_WINDOW_MAX),
		layered_of(FEC_SPAN_MAX / 512, FEC_LAYERS_MAX, 512),
		layered_of(FEC_SPAN_MAX / 512 + 1, 1, 511), /* 8 * 511 + 1 */
		layered_of(FEC_BLOCK_MAX, 8, 32),
		layered_of(1, 1, 1),
		layered_of(1, 0, 0),
		rs_of(128, 127),
		rs_of(1, 128),
		rs_of(1, 0),
	};
	struct fec_encoder *enc;

	for (unsigned i = 0; i < sizeof(extreme) / sizeof(extreme[0]); i++) {
		assert_int_equal(fec_encoder_new(&extreme[i], &enc), 0);
		fec_encoder_free(enc);
	}
}

static void decoder_parameters(void **state)
{
	struct fec_params params = window_of(FEC_SYMBOL_MAX, FEC_SPAN_MAX + 1);
	struct fec_decoder *dec = NULL;

	params.capacity = 2 * FEC_SPAN_MAX;
	assert_int_equal(fec_decoder_new(&params, &dec), -EINVAL);
	params.window = FEC_WINDOW_MAX;
	params.capacity = params.window;
	assert_int_equal(fec_decoder_new(&params, &dec), -EINVAL);
	params.capacity = UINT32_MAX;
	assert_int_equal(fec_decoder_new(&params, &dec), -EINVAL);
	params.capacity = FEC_WINDOW_MAX + 1;
	params.symbol_size = 33;
	assert_int_equal(fec_decoder_new(&params, &dec), -EINVAL);
	params.symbol_size = 32;
	assert_null(dec);
	assert_int_equal(fec_decoder_new(&params, &dec), 0);
	fec_decoder_free(dec);
	params.window = FEC_SPAN_MAX;
	assert_int_equal(fec_decoder_new(&params, &dec), 0);
	fec_decoder_free(dec);
	fec_decoder_free(NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(repairs_are_what_their_heads_say),
		cmocka_unit_test(repairs_stay_right_when_the_habit_changes),
		cmocka_unit_test(confirmed_symbols_leave_the_window),
		cmocka_unit_test(no_code_gives_no_repairs),
		cmocka_unit_test(parameters_out_of_range),
		cmocka_unit_test(extreme_parameters_are_taken),
		cmocka_unit_test(decoder_parameters),
	};

	return cmocka_run_group_tests(tests, stream_setup, NULL);
}
