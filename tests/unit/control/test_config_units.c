// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "control/config_units.h"

/*
 * A size that is read as another one makes a store that is too small or a line that is
 * too slow: every unit means what it says, nothing without a unit passes, and nothing
 * wraps at 64 bits.
 */

static uint64_t good(const char *text, const struct config_unit *units)
{
	const char *why = "";
	uint64_t value = 0;

	assert_int_equal(config_quantity_parse(text, units, &value, &why), 0);
	assert_null(why);
	return value;
}

static void bad(const char *text, const struct config_unit *units, int err)
{
	const char *why = NULL;
	uint64_t value = 77;

	assert_int_equal(config_quantity_parse(text, units, &value, &why), err);
	assert_int_equal(value, 77);
	assert_non_null(why);
}

static void units_mean_what_they_say(void **state)
{
	assert_int_equal(good("1B", config_size_units), 1);
	assert_int_equal(good("3KiB", config_size_units), 3072);
	assert_int_equal(good("64MiB", config_size_units), 64u << 20);
	assert_int_equal(good("400GiB", config_size_units), UINT64_C(400) << 30);
	assert_int_equal(good("2 TiB", config_size_units), UINT64_C(2) << 40);
	assert_int_equal(good("900Mbit", config_rate_units), 900000000);
	assert_int_equal(good("1kbit", config_rate_units), 1000);
	assert_int_equal(good("10Gbit", config_rate_units), UINT64_C(10000000000));
	assert_int_equal(good("250ms", config_time_units), 250);
	assert_int_equal(good("10s", config_time_units), 10000);
	assert_int_equal(good("2min", config_time_units), 120000);
	assert_int_equal(good("1h", config_time_units), 3600000);
	assert_int_equal(good("100 writes", config_write_units), 100);
}

static void anything_else_is_refused(void **state)
{
	static const char *const sizes[] = { "",     "1",     "MiB", "1.5GiB", "1 ",
					     "1  B", "-1B",   "+1B", " 1B",    "1MB",
					     "1mib", "1MiB ", "1M",  "1,5GiB", "0x10B",
					     "1e3B", "1Mbit", "1 s" };

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		bad(sizes[i], config_size_units, -EINVAL);
	bad("5m", config_time_units, -EINVAL);
	bad("5sec", config_time_units, -EINVAL);
	bad("5MB", config_rate_units, -EINVAL);
}

static void nothing_wraps(void **state)
{
	assert_int_equal(good("18446744073709551615B", config_size_units), UINT64_MAX);
	bad("18446744073709551616B", config_size_units, -ERANGE);
	bad("99999999999999999999999999B", config_size_units, -ERANGE);
	assert_int_equal(good("16777215TiB", config_size_units), UINT64_C(16777215)
									 << 40);
	bad("16777216TiB", config_size_units, -ERANGE);
}

static void what_is_written_is_read_back(void **state)
{
	static const uint64_t values[] = { 0,	      1,    1023,     1024,
					   1025,      4096, 1u << 20, UINT64_C(3) << 40,
					   UINT64_MAX };
	char buf[CONFIG_QUANTITY_TEXT];

	for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++) {
		(void)config_quantity_format(values[i], config_size_units, buf);
		assert_int_equal(good(buf, config_size_units), values[i]);
		(void)config_quantity_format(values[i], config_rate_units, buf);
		assert_int_equal(good(buf, config_rate_units), values[i]);
	}
	assert_string_equal(config_quantity_format(64u << 20, config_size_units, buf),
			    "64MiB");
	assert_string_equal(config_quantity_format(7, config_write_units, buf),
			    "7 writes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_mean_what_they_say),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(nothing_wraps),
		cmocka_unit_test(what_is_written_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
