// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/secure_queue.h"

#include <errno.h>
#include <string.h>

#include "replicator/tunnel/secure.h"
#include "rt/mem.h"

#define SECURE_QUEUE_FIRST 4096

void secure_queue_release(struct secure_queue *q)
{
	rt_free(q->bytes);
	*q = (struct secure_queue){ 0 };
}

static int queue_reserve(struct secure_queue *q, size_t len)
{
	size_t have = secure_queue_len(q), size = q->size ? q->size : SECURE_QUEUE_FIRST;
	uint8_t *bytes;

	if (len > SECURE_QUEUE_MAX - have)
		return -ENOBUFS;
	if (len <= q->size - q->tail)
		return 0;
	if (have + len <= q->size) {
		memmove(q->bytes, q->bytes + q->head, have);
	} else {
		while (size < have + len)
			size *= 2;
		bytes = rt_alloc(size);
		if (!bytes)
			return -ENOMEM;
		if (have)
			memcpy(bytes, q->bytes + q->head, have);
		rt_free(q->bytes);
		q->bytes = bytes;
		q->size = size;
	}
	q->head = 0;
	q->tail = have;
	return 0;
}

int secure_queue_put(struct secure_queue *q, const void *bytes, size_t len)
{
	int ret = queue_reserve(q, len);

	if (ret < 0 || len == 0)
		return ret;
	memcpy(q->bytes + q->tail, bytes, len);
	q->tail += len;
	return 0;
}

size_t secure_queue_take(struct secure_queue *q, void *buf, size_t size)
{
	size_t len = secure_queue_len(q);

	if (len > size)
		len = size;
	if (len == 0)
		return 0;
	memcpy(buf, q->bytes + q->head, len);
	q->head += len;
	if (q->head == q->tail)
		q->head = q->tail = 0;
	return len;
}
