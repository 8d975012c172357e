// SPDX-License-Identifier: BSD-3-Clause
/*
 * Integers of every format have the byte order that their type says, on any machine.
 */
#include "rt/bytes.h"
#include "tests/unit/unit.h"

static void integers_have_their_byte_order(void **state)
{
	static const uint8_t up[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	le64 le = le64_make(UINT64_C(0x0807060504030201));
	be64 be = be64_make(UINT64_C(0x0102030405060708));

	assert_memory_equal(le.b, up, 8);
	assert_memory_equal(be.b, up, 8);
	assert_true(le64_get(le) == UINT64_C(0x0807060504030201));
	assert_true(be64_get(be) == UINT64_C(0x0102030405060708));
	assert_int_equal(le32_get(le32_make(0x80000001)), 0x80000001);
	assert_int_equal(be32_make(0x80000001).b[0], 0x80);
	assert_int_equal(be16_get(be16_make(0x1234)), 0x1234);
	assert_int_equal(le16_make(0x1234).b[0], 0x34);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_have_their_byte_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
