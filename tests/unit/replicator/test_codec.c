// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/codec.h"

#include <string.h>

#include "rt/check.h"
#include "tests/unit/unit.h"

/* Every message of a peer is read through this: no field reaches beyond its place. */

#define ROOM 8 /* of a name, with its terminating 0 */

static void a_name_is_shorter_than_its_place(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *name; /* NULL: bad */
	} cases[] = {
		{ "\0", 1, "" },
		{ "\3abc", 4, "abc" },
		{ "\7abcdefg", 8, "abcdefg" },
		{ "\10abcdefgh", 9, NULL }, /* fills its place */
		{ "\11abcdefghi", 10, NULL },
		{ "\377abcdefgh", 9, NULL },
		{ "\3ab", 3, NULL }, /* cut off */
		{ "\3a\0c", 4, NULL },
		{ "", 0, NULL },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(cases); i++) {
		char name[ROOM + 1];
		struct reader r;

		memset(name, '#', sizeof(name));
		reader_init(&r, cases[i].bytes, cases[i].len);
		get_name(&r, name, ROOM);
		assert_int_equal(name[ROOM], '#');
		assert_int_equal(reader_done(&r), cases[i].name != NULL);
		if (cases[i].name)
			assert_string_equal(name, cases[i].name);
	}
}

static void the_first_error_stays(void **state)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4 };
	uint8_t out[4] = { 0 };
	struct reader r;
	struct writer w;

	reader_init(&r, bytes, sizeof(bytes));
	assert_int_equal(get_u16(&r), 0x0201);
	assert_int_equal(get_u64(&r), 0);
	assert_int_equal(get_u8(&r), 0); /* it would fit */
	assert_true(r.bad);
	writer_init(&w, out, sizeof(out));
	put_u16(&w, 0x0201);
	put_name(&w, "ab");
	assert_true(w.bad);
	put_u8(&w, 9);
	assert_true(w.bad);
	assert_memory_equal(out, "\1\2\2\0", 4); /* the name's length still did fit */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_shorter_than_its_place),
		cmocka_unit_test(the_first_error_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
