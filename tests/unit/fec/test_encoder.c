// SPDX-License-Identifier: BSD-3-Clause
/*
 * Every repair must be exactly the combination that its head names, whether it was made at
 * once or ahead of time: a wrong one would put wrong bytes into the mirror's log wherever
 * a symbol is rebuilt.
 */
#include <errno.h>
#include <stdio.h>

#include "fec/fec.h"
#include "fec/plan.h"
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
			assert_true(head.first <= fec_encoder_first(enc));
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
		assert_true(head.first <= fec_encoder_first(enc));
		assert_int_equal(head.first + head.count, i + 1);
		assert_true(head.count <= 128);
		expect_combination(&head, out);
	}
	fec_encoder_free(enc);
}

/* With regular repairs nearly all are made ahead: that is what makes them cheap. */
static void regular_repairs_are_planned(void **state)
{
	struct plan plan;
	uint64_t first, next;

	assert_int_equal(plan_init(&plan, REF_SIZE), 0);
	for (next = 10; next <= 200; next += 10) {
		assert_true(plan_left(&plan, next, 128, &first));
		/* the repair at next + 130 covers what begins at next + 2 */
		assert_int_equal(first, next + 2);
	}
	assert_false(plan_left(&plan, 200, 128, &first));
	plan_release_memory(&plan);
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

static void parameters_out_of_range(void **state)
{
	static const struct {
		struct fec_params params;
		int err;
	} wrong[] = {
		{ { FEC_WINDOW, 0, 8, 16 }, -EINVAL },
		{ { FEC_WINDOW, 33, 8, 16 }, -EINVAL },
		{ { FEC_WINDOW, FEC_SYMBOL_MAX + 32, 8, 16 }, -EINVAL },
		{ { FEC_WINDOW, 32, 0, 16 }, -EINVAL },
		{ { FEC_WINDOW, 32, FEC_WINDOW_MAX + 1, 5000 }, -EINVAL },
		{ { FEC_LAYERED, 32, 8, 16 }, -ENOTSUP },
		{ { FEC_RS, 32, 8, 16 }, -ENOTSUP },
		{ { (enum fec_code)9, 32, 8, 16 }, -EINVAL },
	};
	struct fec_params most = { FEC_WINDOW, FEC_SYMBOL_MAX, FEC_WINDOW_MAX, 0 };
	struct fec_encoder *enc = NULL;
	struct fec_decoder *dec = NULL;

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(fec_encoder_new(&wrong[i].params, &enc), wrong[i].err);
		assert_int_equal(fec_decoder_new(&wrong[i].params, &dec), wrong[i].err);
	}
	most.capacity = most.window;
	assert_int_equal(fec_decoder_new(&most, &dec), -EINVAL);
	most.capacity = UINT32_MAX;
	assert_int_equal(fec_decoder_new(&most, &dec), -EINVAL);
	assert_null(enc);
	assert_null(dec);
	most.capacity = most.window + 1u;
	assert_int_equal(fec_decoder_new(&most, &dec), 0);
	assert_int_equal(fec_encoder_new(&most, &enc), 0);
	fec_decoder_free(dec);
	fec_encoder_free(enc);
	fec_decoder_free(NULL);
	fec_encoder_free(NULL);
}

static void codes_have_names(void **state)
{
	enum fec_code code = FEC_NONE;

	for (int i = FEC_NONE; i <= FEC_WINDOW; i++) {
		assert_int_equal(fec_code_parse(fec_code_name((enum fec_code)i), &code),
				 0);
		assert_int_equal(code, i);
		assert_int_equal(fec_code_available(code),
				 code == FEC_NONE || code == FEC_WINDOW);
	}
	assert_int_equal(fec_code_parse("Window", &code), -ENOENT);
	assert_int_equal(fec_code_parse("", &code), -ENOENT);
	assert_int_equal(code, FEC_WINDOW);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(repairs_are_what_their_heads_say),
		cmocka_unit_test(repairs_stay_right_when_the_habit_changes),
		cmocka_unit_test(regular_repairs_are_planned),
		cmocka_unit_test(confirmed_symbols_leave_the_window),
		cmocka_unit_test(no_code_gives_no_repairs),
		cmocka_unit_test(parameters_out_of_range),
		cmocka_unit_test(codes_have_names),
	};

	return cmocka_run_group_tests(tests, stream_setup, NULL);
}
