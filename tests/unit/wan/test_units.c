// SPDX-License-Identifier: BSD-3-Clause
/* A mistyped parameter is refused: a disaster at 10 % loss instead of 1 shows nothing. */
#include "tests/unit/unit.h"
#include "tests/wan/units.h"

#include <errno.h>
#include <string.h>

static void values_with_their_units(void **state)
{
	struct wanem_line_params p = { 0 };

	assert_int_equal(wanem_units_set(&p, "delay", "25ms"), 0);
	assert_int_equal(p.delay_ns, 25000000);
	assert_int_equal(wanem_units_set(&p, "delay", "0"), 0);
	assert_int_equal(p.delay_ns, 0);
	assert_int_equal(wanem_units_set(&p, "jitter", "0.5us"), 0);
	assert_int_equal(p.jitter_ns, 500);
	assert_int_equal(wanem_units_set(&p, "rate", "1.5Gbit"), 0);
	assert_int_equal(p.rate_bps, 1500000000);
	assert_int_equal(wanem_units_set(&p, "rate", "none"), 0);
	assert_int_equal(p.rate_bps, 0);
	assert_int_equal(wanem_units_set(&p, "queue", "256KiB"), 0);
	assert_int_equal(p.queue_bytes, 262144);
	assert_int_equal(wanem_units_set(&p, "queue", "20ms"), 0);
	assert_int_equal(p.queue_bytes, 0);
	assert_int_equal(p.queue_ns, 20000000);
	assert_int_equal(wanem_units_set(&p, "loss", "1%"), 0);
	assert_true(p.loss > 0.0099 && p.loss < 0.0101);
	assert_int_equal(wanem_units_set(&p, "reorder", "2%"), 0);
	assert_true(p.reorder > 0.0199 && p.reorder < 0.0201);
	assert_int_equal(wanem_units_set(&p, "corrupt", "0.5"), 0);
	assert_true(p.corrupt > 0.49 && p.corrupt < 0.51);
	assert_int_equal(wanem_units_set(&p, "extent", "3ms"), 0);
	assert_int_equal(p.extent_ns, 3000000);
	assert_int_equal(wanem_units_set(&p, "mtu", "1400"), 0);
	assert_int_equal(p.mtu, 1400);
	assert_int_equal(wanem_units_set(&p, "mtu", "none"), 0);
	assert_int_equal(p.mtu, 0);
	assert_int_equal(wanem_units_set(&p, "site.rate", "10Mbit"), 0);
	assert_int_equal(p.site_rate_bps, 10000000);
	assert_int_equal(wanem_units_set(&p, "site.queue", "64KiB"), 0);
	assert_int_equal(p.site_queue_bytes, 65536);
	assert_int_equal(wanem_units_set(&p, "site.queue", "5ms"), 0);
	assert_int_equal(p.site_queue_bytes, 0);
	assert_int_equal(p.site_queue_ns, 5000000);
	assert_int_equal(wanem_units_set(&p, "burst", "8"), 0);
	assert_true(p.burst > 7.9 && p.burst < 8.1);
}

static void what_is_no_value_is_refused_and_changes_nothing(void **state)
{
	static const char *const bad[][2] = {
		{ "delay", "25" },    { "delay", "ms" },     { "delay", "-1ms" },
		{ "delay", "25 ms" }, { "delay", "61s" },    { "delay", "nan" },
		{ "delay", "inf" },   { "delay", "" },	     { "rate", "200" },
		{ "rate", "1Tbit" },  { "rate", "101Gbit" }, { "queue", "5" },
		{ "queue", "2GiB" },  { "loss", "1.01" },    { "loss", "101%" },
		{ "loss", "-0.1" },   { "loss", "1ms" },     { "duplicate", "2" },
		{ "burst", "1e9" },   { "burst", "x" },	     { "mtu", "67" },
		{ "mtu", "65536" },   { "reorder", "2" },    { "corrupt", "-1" },
		{ "extent", "5" },    { "site.rate", "5" },
	};
	struct wanem_line_params p = { 0 };
	struct wanem_line_params before = p;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(wanem_units_set(&p, bad[i][0], bad[i][1]), -EINVAL);
		assert_memory_equal(&p, &before, sizeof(p));
	}
	assert_int_equal(wanem_units_set(&p, "los", "0.1"), -ENOENT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_with_their_units),
		cmocka_unit_test(what_is_no_value_is_refused_and_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
