// SPDX-License-Identifier: BSD-3-Clause
/*
 * Checksums and hashes are in every format: they are the published functions, whatever
 * way a buffer is cut, so that what one version wrote another can read.
 */
#include <string.h>

#include "rt/bytes.h"
#include "rt/check.h"
#include "rt/crc.h"
#include "rt/hash.h"
#include "tests/unit/unit.h"

static void crc32c_is_the_published_one(void **state)
{
	uint8_t buf[32];

	assert_int_equal(rt_crc32c("123456789", 9), 0xe3069283);
	assert_int_equal(rt_crc32c("", 0), 0);
	/* RFC 3720 appendix B.4 */
	memset(buf, 0, sizeof(buf));
	assert_int_equal(rt_crc32c(buf, sizeof(buf)), 0x8a9136aa);
	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(rt_crc32c(buf, sizeof(buf)), 0x62a8ab43);
	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)i;
	assert_int_equal(rt_crc32c(buf, sizeof(buf)), 0x46dd794e);
}

static void crc32c_in_pieces_is_the_same(void **state)
{
	uint8_t buf[300];

	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 37 + 11);
	for (size_t cut = 0; cut <= sizeof(buf); cut++) {
		uint32_t crc = rt_crc32c(buf, cut);

		crc = rt_crc32c_more(crc, buf + cut, sizeof(buf) - cut);
		assert_int_equal(crc, rt_crc32c(buf, sizeof(buf)));
	}
}

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
		cmocka_unit_test(crc32c_is_the_published_one),
		cmocka_unit_test(crc32c_in_pieces_is_the_same),
		cmocka_unit_test(siphash_is_the_published_one),
		cmocka_unit_test(siphash_depends_on_each_byte_and_the_length),
		cmocka_unit_test(integers_have_their_byte_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
