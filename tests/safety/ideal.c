// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "tests/safety/safety.h"

/*
 * An ideal code rebuilds as many symbols as repairs arrive that cover them. With windows
 * whose ends only move forward nothing is gained by any other order than the oldest first,
 * so that the decoder is a queue: lost symbols wait, each repair that arrives serves the
 * oldest, and one that is served late, when no window reaches back to it any more, is a
 * hole until that is reported to the sender. The prefix ends where the queue was last empty.
 */
#define QUEUE (1u << 16)

struct ideal {
	uint64_t symbols, repairs; /* sent */
	uint64_t lost[QUEUE];	   /* a ring: symbols that wait */
	uint64_t head, tail;
	uint64_t age_from;   /* repairs sent before the oldest of the busy period */
	uint64_t hole_until; /* symbols sent until the last hole is mended */
	uint64_t run;	     /* fatal instants in a row, up to now */
};

static void lose_symbol(struct ideal *i)
{
	if (i->head == i->tail)
		i->age_from = i->repairs;
	if (i->tail - i->head < QUEUE)
		i->lost[i->tail++ % QUEUE] = i->symbols;
}

static void drop_late(struct ideal *i, const struct safety_ideal *c)
{
	while (i->head != i->tail && i->lost[i->head % QUEUE] + c->window < i->symbols) {
		i->head++;
		i->hole_until = i->symbols + c->flight;
	}
}

static void look(struct ideal *i, const struct safety_ideal *c, struct safety_drawn *d)
{
	bool late = i->head != i->tail && i->repairs - i->age_from >= c->repairs;

	d->disasters++;
	if (late || i->symbols < i->hole_until) {
		d->fatal++;
		i->run++;
		return;
	}
	if (i->run == 0)
		return;
	d->losses++;
	d->squares += (double)i->run * (double)i->run;
	i->run = 0;
}

/* One hole, rare as it is, may outweigh a hundred other losses. */
static bool loud(const struct safety_drawn *d)
{
	double fatal = (double)d->fatal * SAFETY_NOISE_MOST;

	return d->squares > fatal * fatal;
}

void safety_ideal_draw(const struct safety_ideal *c, uint64_t losses, uint64_t most,
		       uint64_t seed, struct safety_drawn *ret)
{
	static struct ideal i;
	struct safety_drawn d = { 0 };
	struct safety_line line;
	double due = 0;

	memset(&i, 0, sizeof(i));
	safety_line_init(&line, &c->line, seed);
	while ((d.losses < losses || loud(&d)) && d.disasters < most) {
		if (safety_line_loses(&line))
			lose_symbol(&i);
		i.symbols++;
		drop_late(&i, c);
		look(&i, c, &d);
		due += c->share;
		if (due < 1)
			continue;
		due -= 1;
		i.repairs++;
		if (!safety_line_loses(&line) && i.head != i.tail)
			i.head++;
		look(&i, c, &d);
	}
	*ret = d;
}
