// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "control/control_request.h"

/*
 * A promotion that was not asked for, or one with a force that nobody gave, costs data:
 * only whole, known requests are taken, whatever bytes come over the control socket.
 */

static struct control_request request;
static char why[CONTROL_WHY_MAX];

static int parse(const char *line)
{
	memset(&request, 0x77, sizeof(request));
	return control_request_parse(line, strlen(line), &request, why);
}

static void good_requests_are_read(void **state)
{
	assert_int_equal(parse("{\"verb\":\"status\"}"), 0);
	assert_int_equal(request.verb, CONTROL_STATUS);
	assert_string_equal(request.group, "");
	assert_int_equal(parse(" { \"group\" : \"db\", \"verb\" : \"promote\" } "), 0);
	assert_int_equal(request.verb, CONTROL_PROMOTE);
	assert_string_equal(request.group, "db");
	assert_false(request.force || request.hold || request.dry_run);
	assert_int_equal(parse("{\"verb\":\"promote\",\"dry_run\":true,\"force\":true}"),
			 0);
	assert_true(request.force && request.dry_run && !request.hold);
}

static void anything_else_is_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"{}",
		"[]",
		"null",
		"\"status\"",
		"{\"verb\":\"status\"} {\"verb\":\"status\"}",
		"{\"verb\":5}",
		"{\"verb\":null}",
		"{\"verb\":\"STATUS\"}",
		"{\"verb\":\"destroy\"}",
		"{\"verb\":\"status\",\"verb\":\"promote\"}",
		"{\"verb\":\"status\",\"group\":5}",
		"{\"verb\":\"status\",\"force\":true}",
		"{\"verb\":\"promote\",\"force\":1}",
		"{\"verb\":\"promote\",\"force\":\"true\"}",
		"{\"verb\":\"promote\",\"forces\":true}",
		"{\"verb\":\"promote\",\"group\":"
		"\"a2345678901234567890123456789012345678901234"
		"567890123456789012345\"}",
		"{\"verb\":\"status\",\"group\":\"\\u0000\"}",
		"{\"verb\":\"status\",\"group\":\"\xff\"}",
		"{\"group\":\"db\"}",
		"{\"verb\":\"events\",\"since_ns\":-1}",
		"{\"verb\":\"events\",\"since_ns\":1.5}",
		"{\"verb\":\"events\",\"since_ns\":\"10min\"}",
		"{\"verb\":\"events\",\"since_ns\":99999999999999999999}",
		"{\"verb\":\"events\",\"from_seq\":null}",
		"{\"verb\":\"events\",\"dry_run\":true}",
		"{\"verb\":\"events\",\"force\":true}",
		"{\"verb\":\"status\",\"since_ns\":1}",
		"{\"verb\":\"promote\",\"from_seq\":1}",
	};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct control_request before;

		memset(why, 0, sizeof(why));
		memset(&before, 0x77, sizeof(before));
		if (parse(lines[i]) != -EINVAL)
			fail_msg("accepted: %s", lines[i]);
		assert_true(why[0] != 0);
		assert_memory_equal(&request, &before, sizeof(request));
	}
}

static void verbs_of_later_versions_are_named(void **state)
{
	assert_int_equal(parse("{\"verb\":\"rejoin\",\"group\":\"db\"}"), -ENOTSUP);
	assert_non_null(strstr(why, "not in this version"));
	assert_true(control_verb_is_later("snapshot"));
	assert_false(control_verb_is_later("status"));
	assert_false(control_verb_is_later("destroy"));
}

static void every_truncation_is_refused(void **state)
{
	static const char line[] =
		"{\"verb\":\"promote\",\"group\":\"db\",\"force\":true}";

	for (size_t len = 0; len < strlen(line); len++)
		assert_int_equal(control_request_parse(line, len, &request, why),
				 -EINVAL);
	assert_int_equal(control_request_parse(line, strlen(line), &request, why), 0);
}

/* A flipped bit gives no request, or one that says what its bytes say: never more. */
static void every_flipped_bit_is_survived(void **state)
{
	static const char line[] = "{\"verb\":\"promote\",\"group\":\"db\"}";
	char copy[sizeof(line)];

	for (unsigned bit = 0; bit < 8 * strlen(line); bit++) {
		memcpy(copy, line, sizeof(line));
		copy[bit / 8] ^= (char)(1 << bit % 8);
		if (control_request_parse(copy, strlen(line), &request, why) == 0) {
			assert_int_equal(request.verb, CONTROL_PROMOTE);
			assert_false(request.force || request.hold || request.dry_run);
		}
	}
}

static void what_is_written_is_read_back(void **state)
{
	char line[CONTROL_LINE_MAX];

	for (unsigned i = 0; i < 16; i++) {
		struct control_request out = { .verb = CONTROL_PROMOTE,
					       .force = i & 1,
					       .hold = i & 2,
					       .dry_run = i & 4 };
		size_t len;

		if (i & 8)
			memset(out.group, 'g', CONTROL_GROUP_MAX);
		len = control_request_encode(&out, line);
		assert_int_equal(line[len - 1], '\n');
		assert_null(memchr(line, '\n', len - 1));
		assert_int_equal(control_request_parse(line, len - 1, &request, why), 0);
		assert_int_equal(request.verb, CONTROL_PROMOTE);
		assert_string_equal(request.group, out.group);
		assert_int_equal(request.force, out.force);
		assert_int_equal(request.hold, out.hold);
		assert_int_equal(request.dry_run, out.dry_run);
	}
}

static void a_setting_goes_there_and_back(void **state)
{
	struct control_request change = { .verb = CONTROL_SET, .dry_run = true }, again;
	char line[CONTROL_LINE_MAX];
	size_t len;

	(void)snprintf(change.group, sizeof(change.group), "db");
	(void)snprintf(change.key, sizeof(change.key), "fec.interleave");
	(void)snprintf(change.value, sizeof(change.value), "1, \"20\", 40");
	len = control_request_encode(&change, line);
	assert_int_equal(control_request_parse(line, len - 1, &again, why), 0);
	assert_memory_equal(&change, &again, sizeof(request));
}

static void a_setting_without_its_parts_is_refused(void **state)
{
	static const char *const wrong[] = {
		"{\"verb\":\"set\"}",
		"{\"verb\":\"set\",\"key\":\"\",\"value\":\"x\"}",
		"{\"verb\":\"set\",\"key\":7,\"value\":\"x\"}",
		"{\"verb\":\"set\",\"key\":\"sync\",\"value\":true}",
		"{\"verb\":\"set\",\"key\":\"sync\",\"force\":true}",
		"{\"verb\":\"status\",\"key\":\"sync\"}",
		"{\"verb\":\"promote\",\"key\":\"sync\",\"value\":\"local\"}",
		"{\"verb\":\"status\",\"dry_run\":true}",
	};

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(control_request_parse(wrong[i], strlen(wrong[i]),
						       &request, why),
				 -EINVAL);
}

static void a_request_for_events_goes_there_and_back(void **state)
{
	struct control_request again,
		events = { .verb = CONTROL_EVENTS, .since_ns = INT64_MAX, .from_seq = 7 };
	char line[CONTROL_LINE_MAX];
	size_t len = control_request_encode(&events, line);

	assert_int_equal(control_request_parse(line, len - 1, &again, why), 0);
	assert_memory_equal(&events, &again, sizeof(again));
	assert_int_equal(parse("{\"verb\":\"events\"}"), 0);
	assert_int_equal(request.since_ns, 0);
	assert_int_equal(request.from_seq, 0);
}

/* A pairing ends only by the word for it: no change is the default, none is guessed. */
static void a_change_of_the_peer_goes_there_and_back(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		struct control_request change = {
			.verb = CONTROL_PEER,
			.change = i & 1 ? CONTROL_FORGET : CONTROL_REPLACE,
			.dry_run = i & 2,
		};
		struct control_request again;
		char line[CONTROL_LINE_MAX];
		size_t len = control_request_encode(&change, line);

		assert_int_equal(control_request_parse(line, len - 1, &again, why), 0);
		assert_memory_equal(&change, &again, sizeof(again));
	}
	assert_int_equal(parse("{\"verb\":\"peer\",\"change\":\"forget\"}"), 0);
	assert_int_equal(request.change, CONTROL_FORGET);
	assert_false(request.dry_run);
}

static void a_change_of_the_peer_is_named(void **state)
{
	static const char *const wrong[] = {
		"{\"verb\":\"peer\"}",
		"{\"verb\":\"peer\",\"change\":\"\"}",
		"{\"verb\":\"peer\",\"change\":\"Replace\"}",
		"{\"verb\":\"peer\",\"change\":\"forgets\"}",
		"{\"verb\":\"peer\",\"change\":1}",
		"{\"verb\":\"peer\",\"change\":null}",
		"{\"verb\":\"peer\",\"change\":\"forget\",\"force\":true}",
		"{\"verb\":\"peer\",\"change\":\"forget\",\"key\":\"sync\"}",
		"{\"verb\":\"promote\",\"change\":\"replace\"}",
		"{\"verb\":\"status\",\"change\":\"replace\"}",
	};

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (parse(wrong[i]) != -EINVAL)
			fail_msg("accepted: %s", wrong[i]);
}

static void an_opening_alone_goes_there_and_back(void **state)
{
	struct control_request in = { .verb = CONTROL_OPEN,
				      .alone = true,
				      .dry_run = true };
	char line[CONTROL_LINE_MAX];
	size_t len = control_request_encode(&in, line);

	line[len - 1] = 0;
	assert_int_equal(parse(line), 0);
	assert_int_equal(request.verb, CONTROL_OPEN);
	assert_true(request.alone && request.dry_run);
	assert_int_equal(parse("{\"verb\":\"open\"}"), -EINVAL);
	assert_int_equal(parse("{\"verb\":\"open\",\"alone\":false}"), -EINVAL);
	assert_int_equal(parse("{\"verb\":\"promote\",\"alone\":true}"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_requests_are_read),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(verbs_of_later_versions_are_named),
		cmocka_unit_test(a_setting_goes_there_and_back),
		cmocka_unit_test(a_setting_without_its_parts_is_refused),
		cmocka_unit_test(a_request_for_events_goes_there_and_back),
		cmocka_unit_test(a_change_of_the_peer_goes_there_and_back),
		cmocka_unit_test(a_change_of_the_peer_is_named),
		cmocka_unit_test(an_opening_alone_goes_there_and_back),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(every_flipped_bit_is_survived),
		cmocka_unit_test(what_is_written_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
