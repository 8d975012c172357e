/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RT_POOL_H
#define RT_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "rt/list.h"

/*
 * At most `limit` buffers of one size, aligned to RT_BLOCK. Memory is taken when it is
 * first needed and then kept. A caller that finds the pool empty may wait; waiters are
 * served in order.
 */
struct rt_pool {
	size_t size;	/* bytes in each buffer */
	uint32_t limit; /* buffers at most; used + free <= limit */
	uint32_t used;	/* with their owners */
	uint32_t spare; /* in `free` */
	void *free;	/* chained through their first bytes */
	struct rt_list waiters;
};

/* Embedded in who waits. The buffer given is the waiter's own: rt_pool_put() it. */
struct rt_pool_waiter {
	void (*ready)(struct rt_pool_waiter *waiter, void *buf);
	struct rt_list link; /* private; in no list unless waiting */
};

void rt_pool_init(struct rt_pool *pool, size_t size, uint32_t limit);
/* Every buffer must be back and nobody waiting. */
void rt_pool_release(struct rt_pool *pool);

/* A buffer, or NULL: at the limit, or there is no memory, or others wait already. */
void *rt_pool_get(struct rt_pool *pool);
/*
 * Give a buffer back. If someone waits, it goes to the first, whose ready() is called
 * from inside this call.
 */
void rt_pool_put(struct rt_pool *pool, void *buf);

/*
 * Get in line after rt_pool_get() gave NULL. If no buffer is out, nobody will bring one
 * back: the caller has to see to that itself (-ENOMEM, and it does not wait). Else 0.
 */
int rt_pool_wait(struct rt_pool *pool, struct rt_pool_waiter *waiter);
void rt_pool_unwait(struct rt_pool_waiter *waiter); /* no-op if not waiting */
void rt_pool_waiter_init(struct rt_pool_waiter *waiter,
			 void (*ready)(struct rt_pool_waiter *waiter, void *buf));

#endif
