/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_DUE_H
#define FEC_DUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fec_repair;

/*
 * Repairs that are made and wait to leave, oldest first: a ring of `slots`. A code writes
 * a repair straight into the slot that due_push() gives.
 */
struct due {
	size_t symbol_size;
	unsigned slots, first, count;
	struct fec_repair *head; /* owned: slots of them */
	uint8_t *bytes;		 /* owned: slots symbols */
};

/* 0 or -ENOMEM; slots may be 0 if nothing is ever pushed. */
int due_init(struct due *due, size_t symbol_size, unsigned slots);
void due_release_memory(struct due *due);

/* Where the repair with this head is to be written. The oldest goes if there is no room. */
uint8_t *due_push(struct due *due, const struct fec_repair *head);
/* Take the oldest; false if there is none. */
bool due_pop(struct due *due, struct fec_repair *head, uint8_t *out);
/* Move the oldest of `from`, which has some. */
void due_move(struct due *to, struct due *from);

#endif
