// SPDX-License-Identifier: BSD-3-Clause
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_impl.h"

/*
 * Memory that was given back: it holds a pattern at once, so that whoever still reads it
 * reads nothing that fits, and it is kept for a while, so that whoever still writes to it
 * is found. The address sanitizer does that better: with it nothing is kept.
 */
#define BACK 0xdb
#define KEPT_MAX 128u
#define KEPT_BYTES_MAX ((size_t)1 << 20)

struct kept {
	void *p; /* owned, of malloc() */
	size_t size;
};

struct sim_kept {
	struct kept ring[KEPT_MAX];
	unsigned first, n;
	size_t bytes;
};

void sim_back(void *p, size_t size)
{
	if (size > 0)
		memset(p, BACK, size);
}

void sim_back_check(const void *p, size_t size, const char *what)
{
	const uint8_t *bytes = p;

	if (size > 0 && (bytes[0] != BACK || memcmp(bytes, bytes + 1, size - 1) != 0))
		sim_violation("%s was written to after it had been given back", what);
}

static void kept_pop(struct sim_kept *kept)
{
	struct kept *k = &kept->ring[kept->first];

	sim_back_check(k->p, k->size, "memory");
	free(k->p);
	kept->bytes -= k->size;
	kept->first = (kept->first + 1) % KEPT_MAX;
	kept->n--;
}

void sim_back_free(void *p, size_t size)
{
	struct sim_world *w = sim_world_now;

	if (p == NULL)
		return;
#ifdef __SANITIZE_ADDRESS__
	free(p);
	return;
#endif
	sim_back(p, size);
	if (size > KEPT_BYTES_MAX / 4) {
		free(p);
		return;
	}
	if (w->kept == NULL)
		w->kept = sim_calloc(1, sizeof(*w->kept));
	while (w->kept->n == KEPT_MAX || w->kept->bytes + size > KEPT_BYTES_MAX)
		kept_pop(w->kept);
	w->kept->ring[(w->kept->first + w->kept->n) % KEPT_MAX] =
		(struct kept){ .p = p, .size = size };
	w->kept->n++;
	w->kept->bytes += size;
}

void sim_back_release(struct sim_world *w)
{
	while (w->kept != NULL && w->kept->n > 0)
		kept_pop(w->kept);
	free(w->kept);
}
