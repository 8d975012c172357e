// SPDX-License-Identifier: BSD-3-Clause
/*
 * A hash is in formats and on the wire: it is the published function, so that what one
 * version wrote another can read.
 */
#include "rt/hash.h"
#include "tests/unit/unit.h"

static void siphash_is_the_published_one(void **state)
{
	/* The paper's appendix A, and the first of its authors' table. */
	const uint64_t k0 = UINT64_C(0x0706050403020100);
	const uint64_t k1 = UINT64_C(0x0f0e0d0c0b0a0908);
	uint8_t message[15];

	for (unsigned i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	assert_true(rt_siphash(k0, k1, message, 15) == UINT64_C(0xa129ca6149be45e5));
	assert_true(rt_siphash(k0, k1, message, 0) == UINT64_C(0x726fdb47dd0e0e31));
}

static void siphash_depends_on_each_byte_and_the_length(void **state)
{
	uint8_t buf[40] = { 0 };
	uint64_t seen[41 + 40];
	unsigned n = 0;

	for (size_t len = 0; len <= sizeof(buf); len++)
		seen[n++] = rt_siphash(1, 2, buf, len);
	for (size_t i = 0; i < sizeof(buf); i++) {
		buf[i] = 1;
		seen[n++] = rt_siphash(1, 2, buf, sizeof(buf));
		buf[i] = 0;
	}
	for (unsigned i = 0; i < n; i++) {
		for (unsigned j = 0; j < i; j++)
			assert_true(seen[i] != seen[j]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_is_the_published_one),
		cmocka_unit_test(siphash_depends_on_each_byte_and_the_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
