// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/tally.h"

#include "replicator/tunnel/replay.h"

void tally_init(struct tally *t, rt_time now)
{
	*t = (struct tally){ .turned = now };
}

/* The next `numbers` behind what is settled are missing. */
static void tally_missing(struct tally *t, uint64_t numbers)
{
	if (!t->running) {
		t->runs++;
		t->run = t->settled + 1;
	}
	t->running = true;
	t->missing += numbers;
	t->settled += numbers;
}

/* The next one came; *longest: of the runs that this turn has seen the end of. */
static void tally_came(struct tally *t, uint64_t *longest)
{
	t->settled++;
	if (t->running && t->settled - t->run > *longest) {
		*longest = t->settled - t->run;
		t->gap_first = t->run;
		t->gap_end = t->settled;
	}
	t->running = false;
}

static void tally_settle(struct tally *t, const struct replay *replay)
{
	/* Half the window is remembered for sure, and bounds the walk. */
	uint64_t known = replay->highest - replay->highest % 64;
	uint64_t longest = TALLY_GAP_MIN - 1;

	known = known > replay->size / 2 ? known - replay->size / 2 : 0;
	if (known > t->mark)
		known = t->mark;
	if (known > t->settled)
		tally_missing(t, known - t->settled);
	while (t->settled < t->mark) {
		if (replay_has(replay, t->settled + 1))
			tally_came(t, &longest);
		else
			tally_missing(t, 1);
	}
	t->firsts = t->upto;
}

void tally_turn(struct tally *t, const struct replay *replay, rt_time now)
{
	if (rt_time_since(now, t->turned) < TALLY_SETTLE_NS)
		return;
	t->turned = now;
	tally_settle(t, replay);
	t->mark = replay->highest;
	t->upto = t->came;
}

void tally_first(struct tally *t, uint64_t number)
{
	if (number <= t->settled)
		return;
	t->came++;
	t->upto += number <= t->mark;
}
