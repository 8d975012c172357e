/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_PENDING_H
#define REPLICATOR_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/addr.h"

struct conn;

/*
 * The accepted connections that have not shown the key yet, and which of them makes room
 * for the next one. Pure.
 *
 * Anybody can connect, at any rate. A stranger cannot keep the peer out: whoever holds the
 * most places gives one of them up, and a connection whose first message was made with the
 * key goes after the others of its own host; and where each host holds as many, after those
 * of all. So hosts without the key keep nobody out, however many they are.
 */
struct pending_place {
	struct conn *conn; /* owned by the session; NULL: free */
	struct rt_addr from;
	uint64_t number; /* in the order of arrival */
	bool answered;	 /* what it said first takes the key */
};

/* The place for the next connection: a free one, or that of the one which makes room. */
unsigned pending_choose(const struct pending_place *places, unsigned n);

#endif
