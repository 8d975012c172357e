// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>

#include "nbd-server/payload.h"
#include "rt/check.h"
#include "rt/mem.h"

struct nbds_payload_free {
	struct nbds_payload_free *next;
};

#define PAYLOAD_CLASS_MAX ((size_t)RT_BLOCK << (NBDS_PAYLOAD_CLASSES - 1))

void nbds_payload_init(struct nbds_payload *pool, uint64_t limit)
{
	*pool = (struct nbds_payload){ .limit = limit };
}

static unsigned payload_class(size_t len)
{
	unsigned c = 0;

	while (((size_t)RT_BLOCK << c) < len)
		c++;
	return c;
}

size_t nbds_payload_cost(size_t len)
{
	if (len <= PAYLOAD_CLASS_MAX)
		return (size_t)RT_BLOCK << payload_class(len);
	return (len + RT_BLOCK - 1) / RT_BLOCK * RT_BLOCK;
}

/* Take a kept buffer of class `c` out, or NULL. */
static void *payload_pop(struct nbds_payload *pool, unsigned c)
{
	struct nbds_payload_free *f = pool->free[c];

	if (!f)
		return NULL;
	pool->free[c] = f->next;
	pool->kept -= (uint64_t)RT_BLOCK << c;
	return f;
}

/* Give kept buffers back to the system until they are not more than `kept`. */
static void payload_trim(struct nbds_payload *pool, uint64_t kept)
{
	unsigned c = NBDS_PAYLOAD_CLASSES;

	while (c-- > 0)
		while (pool->kept > kept && pool->free[c])
			rt_free(payload_pop(pool, c));
}

void nbds_payload_release(struct nbds_payload *pool)
{
	rt_assert(pool->used == 0);
	payload_trim(pool, 0);
}

int nbds_payload_get(struct nbds_payload *pool, size_t len, uint8_t **ret)
{
	size_t cost = nbds_payload_cost(len);
	void *buf = NULL;

	if (cost > pool->limit - pool->used)
		return -ENOBUFS;
	if (cost <= PAYLOAD_CLASS_MAX)
		buf = payload_pop(pool, payload_class(len));
	if (!buf) {
		payload_trim(pool, pool->limit - pool->used - cost);
		buf = rt_alloc_blocks(cost);
	}
	if (!buf)
		return -ENOMEM;
	pool->used += cost;
	*ret = buf;
	return 0;
}

void nbds_payload_put(struct nbds_payload *pool, uint8_t *buf, size_t len)
{
	size_t cost = nbds_payload_cost(len);
	struct nbds_payload_free *f = (void *)buf;

	rt_assert(pool->used >= cost);
	pool->used -= cost;
	if (cost > PAYLOAD_CLASS_MAX || pool->kept + cost > NBDS_PAYLOAD_KEPT_MAX) {
		rt_free(buf);
		return;
	}
	f->next = pool->free[payload_class(len)];
	pool->free[payload_class(len)] = f;
	pool->kept += cost;
}
