// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/tally.h"

#include "replicator/tunnel/replay.h"

void tally_init(struct tally *t, rt_time now)
{
	*t = (struct tally){ .turned = now };
}

/* The next `numbers` behind `decided` are missing. */
static void tally_missing(struct tally *t, uint64_t numbers)
{
	if (!t->running) {
		t->bursts++;
		t->run = t->decided + 1;
	}
	t->running = true;
	t->missing += numbers;
	t->decided += numbers;
}

/* The next number was received; *longest: of the bursts that have ended in this turn. */
static void tally_received(struct tally *t, uint64_t *longest)
{
	t->decided++;
	if (t->running && t->decided - t->run > *longest) {
		*longest = t->decided - t->run;
		t->gap_first = t->run;
		t->gap_end = t->decided;
	}
	t->running = false;
}

static void tally_decide(struct tally *t, const struct replay *replay)
{
	/* Half the window is remembered for sure, and bounds the walk. */
	uint64_t known = replay->highest - replay->highest % 64;
	uint64_t longest = TALLY_GAP_MIN - 1;

	known = known > replay->size / 2 ? known - replay->size / 2 : 0;
	if (known > t->mark)
		known = t->mark;
	if (known > t->decided)
		tally_missing(t, known - t->decided);
	while (t->decided < t->mark) {
		if (replay_has(replay, t->decided + 1))
			tally_received(t, &longest);
		else
			tally_missing(t, 1);
	}
	t->originals = t->upto;
}

void tally_turn(struct tally *t, const struct replay *replay, rt_time now)
{
	if (rt_time_since(now, t->turned) < TALLY_REO_WND_NS)
		return;
	t->turned = now;
	tally_decide(t, replay);
	t->mark = replay->highest;
	t->upto = t->received;
}

void tally_first(struct tally *t, uint64_t number)
{
	if (number <= t->decided)
		return;
	t->received++;
	t->upto += number <= t->mark;
}
