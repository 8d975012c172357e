/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_LOG_SENDER_H
#define REPLICATOR_LOG_SENDER_H

#include <stdbool.h>
#include <stdint.h>

struct group;
struct transport;
struct log_sender;

/*
 * The primary's sender for the life of one transport: every LSN from `from` on goes into the
 * transport once and in order, from the memory of the writes that are still here, else from
 * the log. Keeps which frame ends which LSN.
 */
int log_sender_new(struct group *g, struct transport *t, uint64_t from,
		   struct log_sender **ret);
void log_sender_free(struct log_sender *s); /* NULL is fine */

/* Submit what there is, as far as the transport has room. 0, or the errno of a broken log. */
int log_sender_pump(struct log_sender *s);
/* The next LSN to be submitted. */
uint64_t log_sender_next(const struct log_sender *s);

struct log_sender_marks {
	uint64_t onwire, received; /* LSNs, never below from - 1 */
};
void log_sender_marks(struct log_sender *s, struct log_sender_marks *ret);

#endif
