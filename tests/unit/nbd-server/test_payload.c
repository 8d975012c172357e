// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "nbd-server/payload.h"
#include "rt/mem.h"
#include "tests/unit/unit.h"

/*
 * The limit is what keeps a thousand clients from taking all memory: it is reached to the
 * block, never passed, and what is given back can be had again.
 */
static void limit_is_exact(void **state)
{
	struct nbds_payload pool;
	uint8_t *buf[4], *more;

	nbds_payload_init(&pool, 4 * RT_BLOCK);
	for (int i = 0; i < 4; i++)
		assert_int_equal(nbds_payload_get(&pool, 1, &buf[i]), 0);
	assert_int_equal(nbds_payload_get(&pool, 1, &more), -ENOBUFS);
	nbds_payload_put(&pool, buf[3], 1);
	assert_int_equal(nbds_payload_get(&pool, RT_BLOCK + 1, &more), -ENOBUFS);
	assert_int_equal(nbds_payload_get(&pool, RT_BLOCK, &more), 0);
	nbds_payload_put(&pool, more, RT_BLOCK);
	for (int i = 0; i < 3; i++)
		nbds_payload_put(&pool, buf[i], 1);
	assert_int_equal(pool.used, 0);
	nbds_payload_release(&pool);
	assert_int_equal(pool.kept, 0);
}

/*
 * Lent and kept memory together stay below the limit, whatever sizes follow each other:
 * buffers kept from one size must make way for another.
 */
static void kept_buffers_make_way(void **state)
{
	const uint64_t limit = 64 * RT_BLOCK;
	struct nbds_payload pool;
	uint8_t *buf;

	nbds_payload_init(&pool, limit);
	for (size_t len = 1; len <= limit; len += 1000) {
		assert_int_equal(nbds_payload_get(&pool, len, &buf), 0);
		assert_int_equal((uintptr_t)buf % RT_BLOCK, 0);
		assert_true(nbds_payload_cost(len) >= len);
		memset(buf, 0x5a, len);
		assert_true(pool.used + pool.kept <= limit);
		nbds_payload_put(&pool, buf, len);
		assert_true(pool.used + pool.kept <= limit);
	}
	nbds_payload_release(&pool);
}

/* The longest request with the worst alignment costs its blocks, and not the next power. */
static void long_buffers_cost_what_they_are(void **state)
{
	struct nbds_payload pool;
	size_t len = (32u << 20) + RT_BLOCK;
	uint8_t *buf;

	assert_int_equal(nbds_payload_cost(len), len);
	assert_int_equal(nbds_payload_cost(1u << 20), 1u << 20);
	assert_int_equal(nbds_payload_cost((1u << 20) + 1), (1u << 20) + RT_BLOCK);
	nbds_payload_init(&pool, len);
	assert_int_equal(nbds_payload_get(&pool, len + 1, &buf), -ENOBUFS);
	assert_int_equal(nbds_payload_get(&pool, len, &buf), 0);
	nbds_payload_put(&pool, buf, len);
	assert_int_equal(pool.kept, 0);
	nbds_payload_release(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limit_is_exact),
		cmocka_unit_test(kept_buffers_make_way),
		cmocka_unit_test(long_buffers_cost_what_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
