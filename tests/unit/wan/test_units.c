// SPDX-License-Identifier: BSD-3-Clause
/* A mistyped parameter is refused: a disaster at 10 % loss instead of 1 shows nothing. */
#include "tests/unit/unit.h"
#include "tests/wan/units.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static void values_with_their_units(void **state)
{
	struct wanem_line_params p = { 0 };
	const struct {
		const char *name, *text;
		const uint64_t *is;
		uint64_t value;
	} values[] = {
		{ "delay", "25ms", &p.delay_ns, 25000000 },
		{ "delay", "0", &p.delay_ns, 0 },
		{ "jitter", "0.5us", &p.jitter_ns, 500 },
		{ "rate", "1.5Gbit", &p.rate_bps, 1500000000 },
		{ "rate", "none", &p.rate_bps, 0 },
		{ "queue", "256KiB", &p.queue_bytes, 262144 },
		{ "queue", "20ms", &p.queue_ns, 20000000 },
		{ "extent", "3ms", &p.extent_ns, 3000000 },
		{ "mtu", "1400", &p.mtu, 1400 },
		{ "mtu", "none", &p.mtu, 0 },
		{ "site.rate", "10Mbit", &p.site_rate_bps, 10000000 },
		{ "site.queue", "64KiB", &p.site_queue_bytes, 65536 },
		{ "site.queue", "5ms", &p.site_queue_ns, 5000000 },
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		assert_int_equal(wanem_units_set(&p, values[i].name, values[i].text), 0);
		assert_int_equal(*values[i].is, values[i].value);
	}
	/* A queue in time takes the place of one in bytes. */
	assert_int_equal(p.queue_bytes, 0);
	assert_int_equal(p.site_queue_bytes, 0);
}

static void shares_and_lengths(void **state)
{
	struct wanem_line_params p = { 0 };
	const struct {
		const char *name, *text;
		const double *is;
		double value;
	} values[] = {
		{ "loss", "1%", &p.loss, 0.01 },
		{ "reorder", "2%", &p.reorder, 0.02 },
		{ "corrupt", "0.5", &p.corrupt, 0.5 },
		{ "burst", "8", &p.burst, 8 },
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		assert_int_equal(wanem_units_set(&p, values[i].name, values[i].text), 0);
		assert_true(fabs(*values[i].is / values[i].value - 1) < 1e-9);
	}
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
		cmocka_unit_test(shares_and_lengths),
		cmocka_unit_test(what_is_no_value_is_refused_and_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
