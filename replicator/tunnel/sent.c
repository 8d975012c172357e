// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/sent.h"

#include <errno.h>
#include <stddef.h>

#include "rt/mem.h"

int sent_init(struct sent *s, uint64_t want)
{
	uint64_t size = SENT_MIN;

	while (size < want && size < SENT_MAX)
		size *= 2;
	*s = (struct sent){ .size = size };
	s->ring = rt_zalloc(size, sizeof(*s->ring));
	return s->ring == NULL ? -ENOMEM : 0;
}

void sent_release(struct sent *s)
{
	rt_free(s->ring);
	s->ring = NULL;
}

void sent_add(struct sent *s, enum sent_kind kind, rt_time now)
{
	s->last.number++;
	s->last.at = now;
	s->last.originals += kind == SENT_FIRST;
	s->last.repairs += kind == SENT_REPAIR;
	s->last.eliciting += kind != SENT_ACK;
	s->last.full += kind != SENT_ACK && kind != SENT_PROBE;
	s->ring[s->last.number % s->size] = s->last;
}

const struct sent_entry *sent_find(const struct sent *s, uint64_t number)
{
	const struct sent_entry *e = &s->ring[number % s->size];

	return number != 0 && e->number == number ? e : NULL;
}
