/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_SECURE_QUEUE_H
#define REPLICATOR_TUNNEL_SECURE_QUEUE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Bytes that wait on one side of an implementation of secure.h, SECURE_QUEUE_MAX at most:
 * bytes[head .. tail). All zero is an empty one.
 */
struct secure_queue {
	uint8_t *bytes; /* owned */
	size_t head, tail, size;
};

void secure_queue_release(struct secure_queue *q);
/* 0, -ENOBUFS when it would be too long, -ENOMEM; on error nothing is taken. */
int secure_queue_put(struct secure_queue *q, const void *bytes, size_t len);
/* How many bytes were moved out to `buf`, at most `size`. */
size_t secure_queue_take(struct secure_queue *q, void *buf, size_t size);

static inline size_t secure_queue_len(const struct secure_queue *q)
{
	return q->tail - q->head;
}

#endif
