/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_SHIP_H
#define REPLICATOR_SHIP_H

#include <stdbool.h>
#include <stdint.h>

struct group;
struct transport;
struct ship;

/*
 * The primary's sender for the life of one transport: every LSN from `from` on goes into the
 * transport once and in order, from the memory of the writes that are still here, else from
 * the log. Keeps which frame ends which LSN.
 */
int ship_new(struct group *g, struct transport *t, uint64_t from, struct ship **ret);
void ship_free(struct ship *s); /* NULL is fine */

/* Submit what there is, as far as the transport has room. 0, or the errno of a broken log. */
int ship_pump(struct ship *s);
/* The next LSN to be submitted. */
uint64_t ship_next(const struct ship *s);

struct ship_marks {
	uint64_t onwire, received; /* LSNs, never below from - 1 */
};
void ship_marks(struct ship *s, struct ship_marks *ret);

#endif
