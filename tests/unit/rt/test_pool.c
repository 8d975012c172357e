// SPDX-License-Identifier: BSD-3-Clause
/*
 * Memory for payloads is bounded: the pool never gives out more than its limit, who
 * waits is served in order and by nobody's mistake forgotten, and lists stay whole.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rt/bug.h"
#include "rt/check.h"
#include "rt/mem.h"
#include "rt/pool.h"
#include "rt/time.h"
#include "tests/unit/unit.h"

static void buffers_are_aligned_and_bounded(void **state)
{
	struct rt_pool pool;
	void *bufs[4];

	rt_pool_init(&pool, 3 * RT_BLOCK, 4);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 4; i++) {
			bufs[i] = rt_pool_get(&pool);
			assert_non_null(bufs[i]);
			assert_int_equal((uintptr_t)bufs[i] % RT_BLOCK, 0);
			memset(bufs[i], i, 3 * RT_BLOCK);
		}
		assert_null(rt_pool_get(&pool));
		for (int i = 0; i < 4; i++)
			rt_pool_put(&pool, bufs[i]);
	}
	rt_pool_release(&pool);
}

struct waiting {
	struct rt_pool_waiter waiter;
	void *buf;
	unsigned turn;
};

static unsigned waiting_turn;

static void waiting_ready(struct rt_pool_waiter *waiter, void *buf)
{
	struct waiting *w = rt_container_of(waiter, struct waiting, waiter);

	w->buf = buf;
	w->turn = ++waiting_turn;
}

static void waiters_are_served_in_order(void **state)
{
	struct rt_pool pool;
	struct waiting w[3] = { 0 };
	void *buf;

	waiting_turn = 0;
	rt_pool_init(&pool, RT_BLOCK, 1);
	for (int i = 0; i < 3; i++)
		rt_pool_waiter_init(&w[i].waiter, waiting_ready);
	/* With nothing out there is nobody to wait for. */
	assert_int_equal(rt_pool_wait(&pool, &w[0].waiter), -ENOMEM);
	buf = rt_pool_get(&pool);
	assert_non_null(buf);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rt_pool_wait(&pool, &w[i].waiter), 0);
	rt_pool_unwait(&w[1].waiter);
	rt_pool_unwait(&w[1].waiter);
	rt_pool_put(&pool, buf);
	assert_int_equal(w[0].turn, 1);
	assert_null(rt_pool_get(&pool)); /* not before the one that waits */
	rt_pool_put(&pool, w[0].buf);
	assert_int_equal(w[2].turn, 2);
	assert_int_equal(w[1].turn, 0);
	rt_pool_put(&pool, w[2].buf);
	buf = rt_pool_get(&pool);
	assert_ptr_equal(buf, w[2].buf);
	rt_pool_put(&pool, buf);
	rt_pool_release(&pool);
}

static void memory_is_what_was_asked_for(void **state)
{
	uint8_t *p = rt_zalloc(100, 7);

	assert_non_null(p);
	for (int i = 0; i < 700; i++)
		assert_int_equal(p[i], 0);
	rt_free(p);
	assert_null(rt_zalloc(SIZE_MAX / 2, 3));
	assert_null(rt_alloc_blocks(SIZE_MAX - 5));
	p = rt_alloc_blocks(1);
	assert_non_null(p);
	assert_int_equal((uintptr_t)p % RT_BLOCK, 0);
	rt_free(p);
	p = rt_alloc(0);
	assert_non_null(p);
	rt_free(p);
	rt_free(NULL);
}

struct item {
	struct rt_list link;
	int n;
};

static void lists_keep_their_order(void **state)
{
	struct rt_list head;
	struct item items[4] = { { .n = 0 }, { .n = 1 }, { .n = 2 }, { .n = 3 } };
	static const int want[] = { 3, 0, 2 };

	rt_list_init(&head);
	assert_null(rt_list_pop(&head));
	for (int i = 0; i < 3; i++)
		rt_list_push_back(&head, &items[i].link);
	rt_list_push_front(&head, &items[3].link);
	rt_list_remove(&items[1].link);
	rt_list_remove(&items[1].link); /* in no list: harmless */
	for (int i = 0; i < 3; i++) {
		struct rt_list *e = rt_list_pop(&head);

		assert_non_null(e);
		assert_int_equal(rt_container_of(e, struct item, link)->n, want[i]);
	}
	assert_true(rt_list_empty(&head));
}

static void time_is_held_at_never(void **state)
{
	rt_time t = { 5 };

	assert_true(rt_time_is_never(rt_time_add(RT_NEVER, 1)));
	assert_true(rt_time_is_never(rt_time_add(t, INT64_MAX)));
	assert_int_equal(rt_time_add(t, -3).ns, 2);
	assert_int_equal(rt_time_since(t, rt_time_add(t, 7)), -7);
	assert_int_equal(rt_time_min(t, RT_NEVER).ns, 5);
}

static void bugs_are_chosen_by_name(void **state)
{
#ifdef RT_BUGS
	assert_int_equal(rt_bug_select("NO_SUCH_BUG"), -ENOENT);
	assert_false(RT_BUG(LSN_TWICE));
	assert_int_equal(rt_bug_select("LSN_TWICE"), 0);
	assert_true(RT_BUG(LSN_TWICE));
	assert_false(RT_BUG(FLUSH_DOES_NOTHING));
	assert_int_equal(rt_bug_select("UNALIGNED_NO_LOCK"), 0);
	assert_true(RT_BUG(UNALIGNED_NO_LOCK));
	assert_int_equal(rt_bug_select("NONE"), 0);
#else
	_Static_assert(RT_BUG(LSN_TWICE) == 0, "none in a normal build");
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_are_aligned_and_bounded),
		cmocka_unit_test(waiters_are_served_in_order),
		cmocka_unit_test(memory_is_what_was_asked_for),
		cmocka_unit_test(lists_keep_their_order),
		cmocka_unit_test(time_is_held_at_never),
		cmocka_unit_test(bugs_are_chosen_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
