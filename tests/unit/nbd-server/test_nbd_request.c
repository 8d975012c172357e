// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "nbd-server/nbd_request.h"
#include "replicator/group.h"
#include "rt/check.h"
#include "tests/unit/unit.h"

#define SIZE (UINT64_C(1) << 30)
#define ALL_FLAGS                                                                        \
	(NBDS_FLAG_HAS_FLAGS | NBDS_FLAG_SEND_FLUSH | NBDS_FLAG_SEND_FUA |               \
	 NBDS_FLAG_SEND_TRIM | NBDS_FLAG_SEND_WRITE_ZEROES | NBDS_FLAG_SEND_FAST_ZERO |  \
	 NBDS_FLAG_CAN_MULTI_CONN)
#define MIRROR_FLAGS                                                                     \
	(NBDS_FLAG_HAS_FLAGS | NBDS_FLAG_SEND_FLUSH | NBDS_FLAG_SEND_FUA |               \
	 NBDS_FLAG_READ_ONLY | NBDS_FLAG_CAN_MULTI_CONN)

static int check(uint16_t type, uint16_t flags, uint64_t offset, uint32_t len)
{
	struct nbds_request req = { flags, type, 7, offset, len };

	return nbds_request_check(&req, SIZE, ALL_FLAGS);
}

/* What a client puts into a header is what the server takes out of it. */
static void head_goes_round(void **state)
{
	struct nbds_request in = { 0x8001, 0x1234, UINT64_C(0x0102030405060708),
				   UINT64_C(0x1112131415161718), 0x21222324 };
	static const uint8_t bytes[28] = { 0x25, 0x60, 0x95, 0x13, 0x80, 0x01, 0x12,
					   0x34, 1,    2,    3,	   4,	 5,    6,
					   7,	 8,    0x11, 0x12, 0x13, 0x14, 0x15,
					   0x16, 0x17, 0x18, 0x21, 0x22, 0x23, 0x24 };
	struct nbds_request_head head;
	struct nbds_request out;

	nbds_request_encode(&in, &head);
	assert_memory_equal(&head, bytes, sizeof(bytes));
	assert_int_equal(nbds_request_decode(&head, &out), 0);
	assert_int_equal(out.flags, in.flags);
	assert_int_equal(out.type, in.type);
	assert_int_equal(out.cookie, in.cookie);
	assert_int_equal(out.offset, in.offset);
	assert_int_equal(out.len, in.len);
}

/* A stream that has lost its step is never read as requests: each bit of the magic counts. */
static void wrong_magic_is_refused(void **state)
{
	struct nbds_request in = { 0, NBDS_CMD_READ, 1, 0, 4096 };
	struct nbds_request out;
	struct nbds_request_head head;

	for (int bit = 0; bit < 32; bit++) {
		nbds_request_encode(&in, &head);
		head.magic.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(nbds_request_decode(&head, &out), -EPROTO);
	}
}

/* Each edge of a range, one byte to either side, and what each command says beyond it. */
static void ranges_have_exact_edges(void **state)
{
	static const struct {
		uint16_t type;
		int beyond;
	} commands[] = {
		{ NBDS_CMD_READ, -EINVAL },
		{ NBDS_CMD_WRITE, -ENOSPC },
		{ NBDS_CMD_TRIM, -EINVAL },
		{ NBDS_CMD_WRITE_ZEROES, -ENOSPC },
	};

	for (size_t i = 0; i < RT_ARRAY_LEN(commands); i++) {
		uint16_t t = commands[i].type;

		assert_int_equal(check(t, 0, 0, 1), 0);
		assert_int_equal(check(t, 0, SIZE - 1, 1), 0);
		assert_int_equal(check(t, 0, SIZE - 4096, 4096), 0);
		assert_int_equal(check(t, 0, SIZE - 4096, 4097), commands[i].beyond);
		assert_int_equal(check(t, 0, SIZE - 1, 2), commands[i].beyond);
		assert_int_equal(check(t, 0, SIZE, 1), commands[i].beyond);
		assert_int_equal(check(t, 0, SIZE + 1, 1), commands[i].beyond);
		assert_int_equal(check(t, 0, UINT64_MAX, 1), commands[i].beyond);
		/* offset + len wraps to something small */
		assert_int_equal(check(t, 0, UINT64_MAX - 4095, 8192),
				 commands[i].beyond);
		assert_int_equal(check(t, 0, 0, 0), -EINVAL);
		assert_int_equal(check(t, 0, SIZE, 0), -EINVAL);
	}
}

/*
 * The maximum bounds what is allocated; commands without data have none. A write above it
 * is the only request after which the connection ends.
 */
static void length_has_its_maximum(void **state)
{
	struct nbds_request req = { .type = NBDS_CMD_WRITE };

	assert_int_equal(check(NBDS_CMD_READ, 0, 0, NBDS_REQUEST_MAX), 0);
	assert_int_equal(check(NBDS_CMD_READ, 0, 0, NBDS_REQUEST_MAX + 1), -EINVAL);
	assert_int_equal(check(NBDS_CMD_WRITE, 0, 0, NBDS_REQUEST_MAX), 0);
	assert_int_equal(check(NBDS_CMD_WRITE, 0, 0, NBDS_REQUEST_MAX + 1), -EINVAL);
	assert_int_equal(check(NBDS_CMD_TRIM, 0, 0, 1u << 30), 0);
	assert_int_equal(check(NBDS_CMD_WRITE_ZEROES, 0, 0, 1u << 30), 0);
	req.len = NBDS_REQUEST_MAX;
	assert_false(nbds_request_hopeless(&req));
	assert_int_equal(nbds_request_payload(&req), NBDS_REQUEST_MAX);
	req.len++;
	assert_true(nbds_request_hopeless(&req));
	req.type = NBDS_CMD_READ;
	assert_false(nbds_request_hopeless(&req));
	assert_int_equal(nbds_request_payload(&req), 0);
}

/* FUA is good everywhere; every other flag only where it was offered; no unknown one. */
static void flags_are_those_offered(void **state)
{
	static const uint16_t types[] = { NBDS_CMD_READ, NBDS_CMD_WRITE, NBDS_CMD_TRIM,
					  NBDS_CMD_WRITE_ZEROES };

	for (size_t i = 0; i < RT_ARRAY_LEN(types); i++) {
		for (unsigned bit = 0; bit < 16; bit++) {
			uint16_t flag = (uint16_t)(1u << bit);
			bool zero = types[i] == NBDS_CMD_WRITE_ZEROES;
			bool good = flag == NBDS_CMD_FLAG_FUA ||
				    (zero && (flag == NBDS_CMD_FLAG_NO_HOLE ||
					      flag == NBDS_CMD_FLAG_FAST_ZERO));
			struct nbds_request req = { flag, types[i], 0, 0, 4096 };

			assert_int_equal(check(types[i], flag, 0, 4096),
					 good ? 0 : -EINVAL);
			if (flag == NBDS_CMD_FLAG_FAST_ZERO || flag == NBDS_CMD_FLAG_FUA)
				assert_int_equal(
					nbds_request_check(
						&req, SIZE,
						NBDS_FLAG_HAS_FLAGS |
							NBDS_FLAG_SEND_TRIM |
							NBDS_FLAG_SEND_WRITE_ZEROES),
					-EINVAL);
		}
	}
	assert_int_equal(check(NBDS_CMD_FLUSH, NBDS_CMD_FLAG_FUA, 0, 0), 0);
	assert_int_equal(check(NBDS_CMD_FLUSH, NBDS_CMD_FLAG_NO_HOLE, 0, 0), -EINVAL);
}

/* A flush has no range; commands that are not served are refused, all 65,000 of them. */
static void unknown_commands_are_refused(void **state)
{
	assert_int_equal(check(NBDS_CMD_FLUSH, 0, 0, 0), 0);
	assert_int_equal(check(NBDS_CMD_FLUSH, 0, 1, 0), -EINVAL);
	assert_int_equal(check(NBDS_CMD_FLUSH, 0, 0, 1), -EINVAL);
	assert_int_equal(check(NBDS_CMD_DISC, 0xffff, 1, 1), 0);
	for (unsigned t = 0; t <= UINT16_MAX; t++)
		if ((t > NBDS_CMD_TRIM && t != NBDS_CMD_WRITE_ZEROES))
			assert_int_equal(check((uint16_t)t, 0, 0, 4096), -EINVAL);
}

/* A mirror's image is never changed, and EPERM is the client's only answer. */
static void mirror_refuses_changes(void **state)
{
	static const uint16_t changes[] = { NBDS_CMD_WRITE, NBDS_CMD_TRIM,
					    NBDS_CMD_WRITE_ZEROES };
	struct nbds_request req = { 0, NBDS_CMD_READ, 0, 0, 4096 };

	assert_int_equal(nbds_request_check(&req, SIZE, MIRROR_FLAGS), 0);
	for (size_t i = 0; i < RT_ARRAY_LEN(changes); i++) {
		req.type = changes[i];
		assert_int_equal(nbds_request_check(&req, SIZE, MIRROR_FLAGS), -EPERM);
	}
	req = (struct nbds_request){ 0, NBDS_CMD_FLUSH, 0, 0, 0 };
	assert_int_equal(nbds_request_check(&req, SIZE, MIRROR_FLAGS), 0);
}

/* Each flag of a command is that flag of the group's, and no other. */
static void each_flag_is_handed_on(void **state)
{
	static const struct {
		uint16_t flags;
		unsigned group;
	} rows[] = {
		{ 0, 0 },
		{ NBDS_CMD_FLAG_FUA, GROUP_FUA },
		{ NBDS_CMD_FLAG_NO_HOLE, GROUP_NO_HOLE },
		{ NBDS_CMD_FLAG_FAST_ZERO, GROUP_FAST_ZERO },
	};

	for (size_t i = 0; i < RT_ARRAY_LEN(rows); i++) {
		struct nbds_request req = { rows[i].flags, NBDS_CMD_WRITE_ZEROES, 1, 0,
					    1 };
		struct group_request group = { 0 };

		nbds_request_to_group(&req, &group);
		assert_int_equal(group.flags, rows[i].group);
	}
}

/* Nothing is lost or added on the way to the group. */
static void group_request_says_the_same(void **state)
{
	struct nbds_request req = { NBDS_CMD_FLAG_FUA | NBDS_CMD_FLAG_NO_HOLE |
					    NBDS_CMD_FLAG_FAST_ZERO,
				    NBDS_CMD_WRITE_ZEROES, 1, 12345, 678 };
	struct group_request group = { 0 };

	nbds_request_to_group(&req, &group);
	assert_int_equal(group.kind, GROUP_ZERO);
	assert_int_equal(group.offset, 12345);
	assert_int_equal(group.len, 678);
	assert_int_equal(group.flags, GROUP_FUA | GROUP_NO_HOLE | GROUP_FAST_ZERO);
	req = (struct nbds_request){ NBDS_CMD_FLAG_FUA, NBDS_CMD_READ, 1, 0, 1 };
	nbds_request_to_group(&req, &group);
	assert_int_equal(group.kind, GROUP_READ);
	assert_int_equal(group.flags, 0);
	req.type = NBDS_CMD_WRITE;
	nbds_request_to_group(&req, &group);
	assert_int_equal(group.kind, GROUP_WRITE);
	assert_int_equal(group.flags, GROUP_FUA);
	req.type = NBDS_CMD_TRIM;
	nbds_request_to_group(&req, &group);
	assert_int_equal(group.kind, GROUP_TRIM);
	req = (struct nbds_request){ NBDS_CMD_FLAG_FUA, NBDS_CMD_FLUSH, 1, 0, 0 };
	nbds_request_to_group(&req, &group);
	assert_int_equal(group.kind, GROUP_FLUSH);
	assert_int_equal(group.flags, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(head_goes_round),
		cmocka_unit_test(wrong_magic_is_refused),
		cmocka_unit_test(ranges_have_exact_edges),
		cmocka_unit_test(length_has_its_maximum),
		cmocka_unit_test(flags_are_those_offered),
		cmocka_unit_test(unknown_commands_are_refused),
		cmocka_unit_test(mirror_refuses_changes),
		cmocka_unit_test(each_flag_is_handed_on),
		cmocka_unit_test(group_request_says_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
