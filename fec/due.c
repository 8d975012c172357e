// SPDX-License-Identifier: BSD-3-Clause
#include "fec/due.h"

#include <errno.h>
#include <string.h>

#include "fec/fec.h"
#include "rt/check.h"
#include "rt/mem.h"

int due_init(struct due *due, size_t symbol_size, unsigned slots)
{
	*due = (struct due){ .symbol_size = symbol_size, .slots = slots };
	if (slots == 0)
		return 0;
	due->head = rt_zalloc(slots, sizeof(*due->head));
	due->bytes = rt_alloc_blocks(slots * symbol_size);
	if (due->head && due->bytes)
		return 0;
	due_release_memory(due);
	return -ENOMEM;
}

void due_release_memory(struct due *due)
{
	rt_free(due->head);
	rt_free(due->bytes);
	*due = (struct due){ 0 };
}

static const uint8_t *due_oldest(const struct due *due)
{
	return due->bytes + due->first * due->symbol_size;
}

static void due_drop(struct due *due)
{
	due->first = (due->first + 1) % due->slots;
	due->count--;
}

uint8_t *due_push(struct due *due, const struct fec_repair *head)
{
	unsigned slot;

	rt_assert(due->slots > 0);
	if (due->count == 0)
		due->first = 0; /* stay where the cache is warm */
	if (due->count == due->slots)
		due_drop(due);
	slot = (due->first + due->count++) % due->slots;
	due->head[slot] = *head;
	return due->bytes + slot * due->symbol_size;
}

bool due_pop(struct due *due, struct fec_repair *head, uint8_t *out)
{
	if (due->count == 0)
		return false;
	*head = due->head[due->first];
	memcpy(out, due_oldest(due), due->symbol_size);
	due_drop(due);
	return true;
}

void due_move(struct due *to, struct due *from)
{
	rt_assert(from->count > 0);
	memcpy(due_push(to, &from->head[from->first]), due_oldest(from),
	       from->symbol_size);
	due_drop(from);
}
