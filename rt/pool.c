// SPDX-License-Identifier: BSD-3-Clause
#include "rt/pool.h"

#include <errno.h>

#include "rt/check.h"
#include "rt/mem.h"

void rt_pool_init(struct rt_pool *pool, size_t size, uint32_t limit)
{
	rt_assert(size >= sizeof(void *) && limit > 0);
	*pool = (struct rt_pool){ .size = size, .limit = limit };
	rt_list_init(&pool->waiters);
}

static void *free_pop(struct rt_pool *pool)
{
	void *buf = pool->free;

	if (buf) {
		pool->free = *(void **)buf;
		pool->spare--;
	}
	return buf;
}

void rt_pool_release(struct rt_pool *pool)
{
	void *buf;

	rt_assert(pool->used == 0 && rt_list_empty(&pool->waiters));
	while ((buf = free_pop(pool)))
		rt_free(buf);
}

void *rt_pool_get(struct rt_pool *pool)
{
	void *buf;

	if (!rt_list_empty(&pool->waiters))
		return NULL;
	buf = free_pop(pool);
	if (!buf && pool->used < pool->limit)
		buf = rt_alloc_blocks(pool->size);
	if (buf)
		pool->used++;
	return buf;
}

void rt_pool_put(struct rt_pool *pool, void *buf)
{
	struct rt_list *first = rt_list_pop(&pool->waiters);
	struct rt_pool_waiter *waiter;

	rt_assert(pool->used > 0);
	if (first) {
		waiter = rt_container_of(first, struct rt_pool_waiter, link);
		waiter->ready(waiter, buf);
		return;
	}
	*(void **)buf = pool->free;
	pool->free = buf;
	pool->spare++;
	pool->used--;
}

int rt_pool_wait(struct rt_pool *pool, struct rt_pool_waiter *waiter)
{
	rt_assert(rt_list_empty(&waiter->link));
	if (pool->used == 0)
		return -ENOMEM;
	rt_list_push_back(&pool->waiters, &waiter->link);
	return 0;
}

void rt_pool_unwait(struct rt_pool_waiter *waiter)
{
	rt_list_remove(&waiter->link);
}

void rt_pool_waiter_init(struct rt_pool_waiter *waiter,
			 void (*ready)(struct rt_pool_waiter *waiter, void *buf))
{
	waiter->ready = ready;
	rt_list_init(&waiter->link);
}
