// SPDX-License-Identifier: BSD-3-Clause
/*
 * Which codes there are, and with which parameters. Names are in configurations and
 * documents; parameters that pass here size rings and bound loops everywhere behind.
 */
#include <errno.h>

#include "fec/code.h"
#include "fec/fec.h"
#include "tests/unit/unit.h"

static void codes_have_names(void **state)
{
	static const struct {
		const char *name;
		enum fec_code code;
	} table[] = {
		{ "none", FEC_NONE },
		{ "layered", FEC_LAYERED },
		{ "rs", FEC_RS },
		{ "window", FEC_WINDOW },
	};
	enum fec_code code;

	for (unsigned i = 0; i < 4; i++) {
		assert_string_equal(fec_code_name(table[i].code), table[i].name);
		assert_int_equal(fec_code_parse(table[i].name, &code), 0);
		assert_int_equal(code, table[i].code);
		assert_true(fec_code_available(code));
	}
	assert_false(fec_code_available((enum fec_code)(FEC_WINDOW + 1)));
	assert_false(fec_code_available((enum fec_code) - 1));
}

static void other_names_are_none(void **state)
{
	static const char *const names[] = {
		"Window", "", "windo", "windows", " rs", "no"
	};
	enum fec_code code = FEC_RS;

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(fec_code_parse(names[i], &code), -ENOENT);
		assert_int_equal(code, FEC_RS);
	}
}

/* Each bound, and one beyond it. */
static void parameters_have_bounds(void **state)
{
	static const struct {
		struct fec_params params;
		int res;
	} table[] = {
		{ { FEC_NONE, 32, .window = 0 }, 0 },
		{ { FEC_NONE, 0, .window = 0 }, -EINVAL },
		{ { FEC_NONE, 16, .window = 0 }, -EINVAL },
		{ { FEC_NONE, 33, .window = 0 }, -EINVAL },
		{ { FEC_NONE, 63, .window = 0 }, -EINVAL },
		{ { FEC_NONE, FEC_SYMBOL_MAX, .window = 0 }, 0 },
		{ { FEC_NONE, FEC_SYMBOL_MAX + 32, .window = 0 }, -EINVAL },
		{ { FEC_WINDOW, 32, .window = 0 }, -EINVAL },
		{ { FEC_WINDOW, 32, .window = 1 }, 0 },
		{ { FEC_WINDOW, 32, .window = FEC_WINDOW_MAX }, 0 },
		{ { FEC_WINDOW, 32, .window = FEC_WINDOW_MAX + 1 }, -EINVAL },
		{ { FEC_WINDOW, 31, .window = 8 }, -EINVAL },
		{ { FEC_RS, 32, .r = 0, .c = 1 }, -EINVAL },
		{ { FEC_RS, 32, .r = 1, .c = 0 }, 0 },
		{ { FEC_RS, 32, .r = 1, .c = 128 }, 0 },
		{ { FEC_RS, 32, .r = 1, .c = 129 }, -EINVAL },
		{ { FEC_RS, 32, .r = 128, .c = 127 }, 0 },
		{ { FEC_RS, 32, .r = 128, .c = 128 }, -EINVAL },
		{ { FEC_RS, 32, .r = 129, .c = 1 }, -EINVAL },
		{ { FEC_RS, 31, .r = 8, .c = 1 }, -EINVAL },
		{ { FEC_RS, 32, .r = 1, .c = UINT16_MAX }, -EINVAL },
		{ { FEC_LAYERED, 32, .r = 0, .c = 1, .interleave = { 1 } }, -EINVAL },
		{ { FEC_LAYERED, 32, .r = 1, .c = 0 }, 0 },
		{ { FEC_LAYERED, 32, .r = 1, .c = 1, .interleave = { 0 } }, -EINVAL },
		{ { FEC_LAYERED, 32, .r = 2, .c = 2, .interleave = { 1 } }, -EINVAL },
		{ { FEC_LAYERED, 32, .r = 2, .c = 1, .interleave = { 1 } }, 0 },
		{ { FEC_LAYERED, 32, .r = 2, .c = 1, .interleave = { 512 } }, 0 },
		{ { FEC_LAYERED, 32, .r = 2, .c = 1, .interleave = { 513 } }, -EINVAL },
		/* 8 * 511 + 1 of at most 4096 symbols, and 8 * 512 + 1 */
		{ { FEC_LAYERED, 32, .r = 9, .c = 1, .interleave = { 511 } }, 0 },
		{ { FEC_LAYERED, 32, .r = 9, .c = 1, .interleave = { 512 } }, -EINVAL },
		{ { FEC_LAYERED, 32, .r = 128, .c = 1, .interleave = { 32 } }, 0 },
		{ { FEC_LAYERED, 32, .r = 129, .c = 1, .interleave = { 1 } }, -EINVAL },
		{ { FEC_LAYERED, 31, .r = 2, .c = 1, .interleave = { 1 } }, -EINVAL },
		{ { FEC_LAYERED, 32, .r = 2, .c = 8,
		    .interleave = { 1, 2, 3, 4, 5, 6, 7, 8 } },
		  0 },
		{ { FEC_LAYERED, 32, .r = 2, .c = 8,
		    .interleave = { 1, 2, 3, 4, 5, 6, 7, 513 } },
		  -EINVAL },
		{ { FEC_LAYERED, 32, .r = 2, .c = 9,
		    .interleave = { 1, 2, 3, 4, 5, 6, 7, 8 } },
		  -EINVAL },
		{ { (enum fec_code)(FEC_WINDOW + 1), 32, .window = 8, .r = 2 }, -EINVAL },
	};

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (fec_params_check(&table[i].params) != table[i].res)
			fail_msg("row %u", i);
}

static void a_layers_repair_spans_its_symbols(void **state)
{
	assert_int_equal(fec_layer_span(1, 40), 1);
	assert_int_equal(fec_layer_span(2, 40), 41);
	assert_int_equal(fec_layer_span(8, 1), 8);
	assert_int_equal(fec_layer_span(8, 20), 141);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_have_names),
		cmocka_unit_test(other_names_are_none),
		cmocka_unit_test(parameters_have_bounds),
		cmocka_unit_test(a_layers_repair_spans_its_symbols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
