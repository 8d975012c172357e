// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/pending.h"

#include <stddef.h>
#include <string.h>

/* Of an IPv6 address: one host may use all that follow. */
#define NETWORK_BYTES 8

static bool pending_same_host(const struct rt_addr *a, const struct rt_addr *b)
{
	size_t len = a->kind == RT_ADDR_INET6 ? NETWORK_BYTES : sizeof(a->ip);

	return a->kind == b->kind && memcmp(a->ip, b->ip, len) == 0;
}

static unsigned pending_of_host(const struct pending_place *places, unsigned n,
				const struct rt_addr *from)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++)
		count += places[i].conn && pending_same_host(&places[i].from, from);
	return count;
}

/* Whether `a`, whose host holds a_count places, makes room before `b`. */
static bool pending_goes_before(const struct pending_place *a, unsigned a_count,
				const struct pending_place *b, unsigned b_count)
{
	if (a_count != b_count)
		return a_count > b_count;
	if (a->answered != b->answered)
		return b->answered;
	return a->number < b->number;
}

unsigned pending_choose(const struct pending_place *places, unsigned n)
{
	unsigned best = 0, best_count = 0;

	for (unsigned i = 0; i < n; i++) {
		unsigned count;

		if (!places[i].conn)
			return i;
		count = pending_of_host(places, n, &places[i].from);
		if (i > 0 &&
		    !pending_goes_before(&places[i], count, &places[best], best_count))
			continue;
		best = i;
		best_count = count;
	}
	return best;
}
