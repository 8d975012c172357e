// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/peer_watch.h"

#include "rt/bug.h"
#include "rt/check.h"

/* A mirror that refuses is connected again, and refuses again, within this. */
#define REFUSAL_LASTS_NS (10 * RT_S)

void peer_watch_init(struct peer_watch *w)
{
	*w = (struct peer_watch){
		.path_proven = RT_NEVER,
		.primary_rx = { INT64_MIN / 2 },
		.primary_served = { INT64_MIN / 2 },
		.awake = { INT64_MIN / 2 },
		.mirror_refused = { INT64_MIN / 2 },
	};
}

static void watch_set_level(struct peer_watch *w, enum peer_watch_level level)
{
	switch (level) {
	case PEER_WATCH_CATCHING_UP: /* a mirror that timed out first catches up */
		rt_assert(w->level != PEER_WATCH_TIMED_OUT);
		break;
	case PEER_WATCH_TIMED_OUT:
		break;
	case PEER_WATCH_CAUGHT_UP:
		rt_assert(w->level == PEER_WATCH_CATCHING_UP ||
			  w->level == PEER_WATCH_TIMED_OUT);
		break;
	case PEER_WATCH_IN_SYNC:
		rt_assert(w->level == PEER_WATCH_CAUGHT_UP);
		break;
	}
	w->level = level;
}

/* ---- events ---------------------------------------------------------------------------- */

void peer_watch_streaming(struct peer_watch *w, uint64_t admitted, rt_time now)
{
	w->path_tried = now;
	w->on_trial = true;
	w->caught_up_target = admitted;
}

void peer_watch_path_proven(struct peer_watch *w, rt_time now)
{
	w->path_proven = now;
	w->proven_once = true;
	w->on_trial = false;
}

void peer_watch_transport_closed(struct peer_watch *w)
{
	if (peer_watch_caught_up(w))
		watch_set_level(w, PEER_WATCH_CATCHING_UP);
}

void peer_watch_refused(struct peer_watch *w)
{
	w->refused = true;
}

void peer_watch_mirror_refused(struct peer_watch *w, rt_time now)
{
	w->refused = true;
	w->mirror_refused = now;
}

void peer_watch_epoch_seen(struct peer_watch *w, uint64_t number)
{
	if (number > w->epoch_seen)
		w->epoch_seen = number;
}

void peer_watch_epoch_announced(struct peer_watch *w, uint64_t number, uint64_t id)
{
	if (id == 0)
		return;
	w->announced_number = number;
	w->announced_id = id;
}

void peer_watch_mirror_lost_data(struct peer_watch *w)
{
	w->received_most = 0;
}

void peer_watch_opened_alone(struct peer_watch *w)
{
	watch_set_level(w, PEER_WATCH_TIMED_OUT);
}

void peer_watch_promoted(struct peer_watch *w, rt_time now)
{
	watch_set_level(w, PEER_WATCH_TIMED_OUT);
	w->persisted_moved = now;
}

void peer_watch_switched(struct peer_watch *w, rt_time now)
{
	const struct peer_watch before = *w;

	peer_watch_init(w);
	w->awake = before.awake;
	w->epoch_seen = before.epoch_seen;
	w->path_proven = w->persisted_moved = now; /* it has `away` to come back */
}

void peer_watch_control_lost(struct peer_watch *w, rt_time now)
{
	w->control_lost = now;
}

void peer_watch_primary_rx(struct peer_watch *w, bool serves, rt_time now)
{
	w->primary_rx = now;
	if (serves || RT_BUG(FENCED_IS_ALIVE))
		w->primary_served = now;
}

void peer_watch_awake(struct peer_watch *w, rt_time now)
{
	w->awake = now;
}

void peer_watch_primary_position(struct peer_watch *w, uint64_t lsn, uint64_t bytes,
				 rt_time now)
{
	w->position =
		(struct peer_watch_position){ PEER_WATCH_REPORTED, lsn, bytes, now };
}

void peer_watch_parted(struct peer_watch *w)
{
	w->position = (struct peer_watch_position){ .knowledge = PEER_WATCH_PARTED };
}

/*
 * A mirror whose disk hangs receives and persists nothing; so does one that refuses what it
 * receives, and connects again for ever. Nothing received beyond `persisted` is no such
 * case: then the path is what stands still.
 */
static void watch_persisted(struct peer_watch *w, const struct peer_watch_input *input)
{
	if (input->received > w->received_most)
		w->received_most = input->received;
	if (input->persisted != w->persisted || input->persisted >= input->admitted) {
		w->persisted = input->persisted;
		w->persisted_moved = input->now;
		w->refused = false;
	} else if (w->received_most <= input->persisted && !w->refused) {
		w->persisted_moved = input->now;
	}
}

/*
 * First the mirror receives what was admitted when the path began to serve; until then the
 * modes stay lowered. From then on they count, but what completed before did not wait for
 * the wire: IN_SYNC, once that has left, too. Both targets are fixed when they are set, so
 * a load that never ends does not move them.
 */
static unsigned watch_catch_up(struct peer_watch *w, const struct peer_watch_input *input)
{
	if (!peer_watch_caught_up(w) && input->received >= w->caught_up_target) {
		watch_set_level(w, PEER_WATCH_CAUGHT_UP);
		w->in_sync_target = input->admitted;
	}
	if (w->level != PEER_WATCH_CAUGHT_UP ||
	    (input->onwire < w->in_sync_target && !RT_BUG(IN_SYNC_OFF_WIRE)))
		return 0;
	watch_set_level(w, PEER_WATCH_IN_SYNC);
	return PEER_WATCH_NEWS_IN_SYNC;
}

/* The path serves, after it did not, or still does. */
static unsigned watch_served(struct peer_watch *w, const struct peer_watch_input *input)
{
	bool interrupted = w->interrupted;

	w->interrupted = false;
	if (peer_watch_in_sync(w))
		return 0;
	/* What completed in between has to arrive, too, through the same transport. */
	if (interrupted) {
		w->caught_up_target = input->admitted;
		if (w->level == PEER_WATCH_CAUGHT_UP)
			watch_set_level(w, PEER_WATCH_CATCHING_UP);
	}
	return watch_catch_up(w, input);
}

unsigned peer_watch_turn(struct peer_watch *w, const struct peer_watch_input *input)
{
	unsigned news = 0;

	watch_persisted(w, input);
	if (rt_time_is_never(w->path_proven))
		w->path_proven = input->now;
	if (!peer_watch_serves(w, input->streaming, input->timeout_ns, input->now))
		w->interrupted = true;
	else if (!w->on_trial)
		return watch_served(w, input);
	if (rt_time_since(input->now, w->path_proven) < input->timeout_ns &&
	    !peer_watch_stuck(w, input->timeout_ns, input->now))
		return 0;
	if (!peer_watch_timed_out(w))
		news = PEER_WATCH_NEWS_TIMED_OUT;
	watch_set_level(w, PEER_WATCH_TIMED_OUT);
	return news;
}

/* ---- queries --------------------------------------------------------------------------- */

bool peer_watch_serves(const struct peer_watch *w, bool streaming, int64_t timeout_ns,
		       rt_time now)
{
	return streaming && peer_watch_unproven_ns(w, now) < timeout_ns &&
	       !peer_watch_stuck(w, timeout_ns, now);
}

bool peer_watch_is_tried(const struct peer_watch *w)
{
	return peer_watch_timed_out(w) && w->on_trial;
}

bool peer_watch_stuck(const struct peer_watch *w, int64_t timeout_ns, rt_time now)
{
	return rt_time_since(now, w->persisted_moved) >= timeout_ns;
}

/* `persisted` had stood still for `timeout_ns` when the mirror was last known to live. */
static bool watch_outlives_persisted(const struct peer_watch *w, rt_time lived,
				     int64_t timeout_ns)
{
	return rt_time_since(lived, w->persisted_moved) >= timeout_ns;
}

bool peer_watch_persists_nothing(const struct peer_watch *w, int64_t timeout_ns,
				 rt_time now)
{
	return watch_outlives_persisted(w, w->path_proven, timeout_ns) &&
	       rt_time_since(now, w->path_proven) < timeout_ns;
}

bool peer_watch_refuses(const struct peer_watch *w, int64_t timeout_ns, rt_time now)
{
	return watch_outlives_persisted(w, w->mirror_refused, timeout_ns) &&
	       rt_time_since(now, w->mirror_refused) < REFUSAL_LASTS_NS;
}

bool peer_watch_timed_out(const struct peer_watch *w)
{
	return w->level == PEER_WATCH_TIMED_OUT;
}

bool peer_watch_caught_up(const struct peer_watch *w)
{
	return w->level == PEER_WATCH_CAUGHT_UP || w->level == PEER_WATCH_IN_SYNC;
}

bool peer_watch_in_sync(const struct peer_watch *w)
{
	return w->level == PEER_WATCH_IN_SYNC;
}

int64_t peer_watch_unproven_ns(const struct peer_watch *w, rt_time now)
{
	return rt_time_since(now, w->on_trial ? w->path_tried : w->path_proven);
}

int64_t peer_watch_mirror_silence_ns(const struct peer_watch *w, rt_time now)
{
	return w->proven_once ? rt_time_since(now, w->path_proven) : -1;
}

int64_t peer_watch_control_lost_ns(const struct peer_watch *w, rt_time now)
{
	return rt_time_since(now, w->control_lost);
}

int64_t peer_watch_primary_silence_ns(const struct peer_watch *w, rt_time now)
{
	return rt_time_since(now, w->primary_rx);
}

int64_t peer_watch_primary_served_ns(const struct peer_watch *w, rt_time now)
{
	return rt_time_since(now, w->primary_served);
}

bool peer_watch_primary_is_back(const struct peer_watch *w)
{
	return !rt_time_before(w->primary_served, w->awake);
}

int64_t peer_watch_primary_wait_ns(const struct peer_watch *w, int64_t silence_ns,
				   int64_t redial_ns, rt_time now)
{
	if (!peer_watch_primary_is_back(w))
		return silence_ns + redial_ns - rt_time_since(now, w->awake);
	return silence_ns - rt_time_since(now, w->primary_served);
}

const struct peer_watch_position *peer_watch_primary_says(const struct peer_watch *w)
{
	return &w->position;
}

uint64_t peer_watch_primary_lead(const struct peer_watch *w, uint64_t lsn)
{
	return w->position.lsn > lsn ? w->position.lsn - lsn : 0;
}
