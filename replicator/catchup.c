// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/catchup.h"

#include "replicator/exposure.h"

void catchup_turn(struct catchup *c, const struct exposure *e,
		  const struct catchup_input *input)
{
	bool begins = input->going && !c->going;

	c->going = input->going;
	if (!begins)
		return;
	c->from = input->received;
	c->target = input->admitted;
	c->began = input->now;
	c->bytes_known = exposure_bytes_before(e, c->from + 1, &c->bytes_from) &&
			 exposure_bytes_before(e, c->target + 1, &c->bytes_target);
}

static double catchup_eta_s(const struct catchup *c, uint64_t received, rt_time now)
{
	if (received >= c->target)
		return 0;
	if (received <= c->from)
		return -1;
	return (double)rt_time_since(now, c->began) / RT_S *
	       (double)(c->target - received) / (double)(received - c->from);
}

/* Of the backlog, as much as the samples tell; never more than there is. */
static uint64_t catchup_done(const struct catchup *c, const struct exposure *e,
			     uint64_t received)
{
	uint64_t bytes;

	if (received >= c->target)
		return c->bytes_target - c->bytes_from;
	if (!exposure_bytes_before(e, received + 1, &bytes) || bytes < c->bytes_from)
		return 0;
	return bytes - c->bytes_from;
}

void catchup_progress(const struct catchup *c, const struct exposure *e,
		      uint64_t received, rt_time now, struct catchup_progress *ret)
{
	*ret = (struct catchup_progress){ .eta_s = -1 };
	if (!c->going || c->target <= c->from)
		return;
	ret->eta_s = catchup_eta_s(c, received, now);
	ret->total = ret->done = CATCHUP_UNKNOWN;
	if (!c->bytes_known)
		return;
	ret->total = c->bytes_target - c->bytes_from;
	ret->done = catchup_done(c, e, received);
}
