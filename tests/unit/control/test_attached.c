// SPDX-License-Identifier: BSD-3-Clause
#include "control/attached.h"

#include <string.h>

#include "nbd-server/nbds.h"
#include "tests/unit/unit.h"

/*
 * Who is attached, as a person reads it before a switchover: nobody is left out unsaid, and no
 * name is longer than its place.
 */

static void nobody_is_said(void **state)
{
	static char text[ATTACHED_TEXT];
	struct attached a;
	json_t *json;

	attached_take(&a, NULL, 0);
	attached_text(&a, text);
	assert_string_equal(text, "no client is attached here");
	json = attached_json(&a);
	assert_int_equal(json_array_size(json), 0);
	json_decref(json);
}

static void each_has_its_export_and_address(void **state)
{
	static const struct nbds_attached list[] = {
		{ "192.0.2.7:40112", "data", false },
		{ "unix", "wal", true },
	};
	static char text[ATTACHED_TEXT];
	struct attached a;
	json_t *json, *second;

	attached_take(&a, list, 1);
	attached_text(&a, text);
	assert_string_equal(text, "1 client is attached here:\n"
				  "  export data: 192.0.2.7:40112");
	attached_take(&a, list, 2);
	attached_text(&a, text);
	assert_string_equal(text, "2 clients are attached here:\n"
				  "  export data: 192.0.2.7:40112\n"
				  "  export wal: unix, reads only");
	json = attached_json(&a);
	assert_int_equal(json_array_size(json), 2);
	second = json_array_get(json, 1);
	assert_string_equal(json_string_value(json_object_get(second, "export")), "wal");
	assert_string_equal(json_string_value(json_object_get(second, "client")), "unix");
	assert_true(json_is_true(json_object_get(second, "read_only")));
	json_decref(json);
}

/* All as long as can be, and the greatest number. */
static void a_crowd_has_a_bound(void **state)
{
	static char text[ATTACHED_TEXT], longest[200];
	struct nbds_attached list[ATTACHED_MAX];
	struct attached a;
	json_t *json;

	memset(longest, 'x', sizeof(longest) - 1);
	for (unsigned i = 0; i < ATTACHED_MAX; i++)
		list[i] = (struct nbds_attached){ longest, longest, true };
	attached_take(&a, list, UINT32_MAX);
	attached_text(&a, text);
	assert_non_null(strstr(text, "x, reads only\n  and 4294967231 more"));
	json = attached_json(&a);
	assert_int_equal(json_array_size(json), ATTACHED_MAX);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_is_said),
		cmocka_unit_test(each_has_its_export_and_address),
		cmocka_unit_test(a_crowd_has_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
