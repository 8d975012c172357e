/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_REPAIR_QUEUE_H
#define FEC_REPAIR_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fec_repair;

/*
 * Repairs that are made and wait to leave, oldest first: a ring of `slots`. A code writes
 * a repair straight into the slot that repair_queue_push() gives.
 */
struct repair_queue {
	size_t symbol_size;
	unsigned slots, first, count;
	struct fec_repair *head; /* owned: slots of them */
	uint8_t *bytes;		 /* owned: slots symbols */
};

/* 0 or -ENOMEM; slots may be 0 if nothing is ever pushed. */
int repair_queue_init(struct repair_queue *queue, size_t symbol_size, unsigned slots);
void repair_queue_release(struct repair_queue *queue);

/* Where the repair with this head is to be written. The oldest goes if there is no room. */
uint8_t *repair_queue_push(struct repair_queue *queue, const struct fec_repair *head);
/* Take the oldest; false if there is none. */
bool repair_queue_pop(struct repair_queue *queue, struct fec_repair *head, uint8_t *out);
/* Move the oldest of `from`, which has some. */
void repair_queue_move(struct repair_queue *to, struct repair_queue *from);

#endif
