// SPDX-License-Identifier: BSD-3-Clause
#include "fec/repair_queue.h"

#include <errno.h>
#include <string.h>

#include "fec/fec.h"
#include "rt/check.h"
#include "rt/mem.h"

int repair_queue_init(struct repair_queue *queue, size_t symbol_size, unsigned slots)
{
	*queue = (struct repair_queue){ .symbol_size = symbol_size, .slots = slots };
	if (slots == 0)
		return 0;
	queue->head = rt_zalloc(slots, sizeof(*queue->head));
	queue->bytes = rt_alloc_blocks(slots * symbol_size);
	if (queue->head && queue->bytes)
		return 0;
	repair_queue_release(queue);
	return -ENOMEM;
}

void repair_queue_release(struct repair_queue *queue)
{
	rt_free(queue->head);
	rt_free(queue->bytes);
	*queue = (struct repair_queue){ 0 };
}

static const uint8_t *repair_queue_oldest(const struct repair_queue *queue)
{
	return queue->bytes + queue->first * queue->symbol_size;
}

static void repair_queue_drop(struct repair_queue *queue)
{
	queue->first = (queue->first + 1) % queue->slots;
	queue->count--;
}

uint8_t *repair_queue_push(struct repair_queue *queue, const struct fec_repair *head)
{
	unsigned slot;

	rt_assert(queue->slots > 0);
	if (queue->count == 0)
		queue->first = 0; /* stay where the cache is warm */
	if (queue->count == queue->slots)
		repair_queue_drop(queue);
	slot = (queue->first + queue->count++) % queue->slots;
	queue->head[slot] = *head;
	return queue->bytes + slot * queue->symbol_size;
}

bool repair_queue_pop(struct repair_queue *queue, struct fec_repair *head, uint8_t *out)
{
	if (queue->count == 0)
		return false;
	*head = queue->head[queue->first];
	memcpy(out, repair_queue_oldest(queue), queue->symbol_size);
	repair_queue_drop(queue);
	return true;
}

void repair_queue_move(struct repair_queue *to, struct repair_queue *from)
{
	rt_assert(from->count > 0);
	memcpy(repair_queue_push(to, &from->head[from->first]), repair_queue_oldest(from),
	       from->symbol_size);
	repair_queue_drop(from);
}
