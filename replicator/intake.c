// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/intake.h"

#include <errno.h>
#include <stdio.h>

static bool intake_may_pass(int err)
{
	return err == -ENOMEM || err == -EPROTO || err == -EBADMSG;
}

/* Before the next try, after the `times`-th failure in a row that may pass. */
static int64_t intake_pause(unsigned times)
{
	int64_t pause = INTAKE_PAUSE_MS * RT_MS;

	if (times == 1)
		return 0;
	while (times-- > 2 && pause < INTAKE_ROOM_MS * RT_MS)
		pause *= 2;
	return pause < INTAKE_ROOM_MS * RT_MS ? pause : INTAKE_ROOM_MS * RT_MS;
}

void intake_failed(struct intake *in, int err, const char *why, uint64_t lsn, rt_time now)
{
	unsigned times = in->times > 0 && in->lsn == lsn ? in->times + 1 : 1;

	if (err != -ENOSPC && err != -EDQUOT && !intake_may_pass(err))
		return;
	*in = (struct intake){ .closed = true, .lsn = lsn };
	in->times = intake_may_pass(err) ? times : 0;
	in->until = rt_time_add(now, intake_may_pass(err) ? intake_pause(times)
							  : INTAKE_ROOM_MS * RT_MS);
	if (err != -ENOSPC)
		in->free_bytes = UINT64_MAX; /* more room helps none of these */
	(void)snprintf(in->why, sizeof(in->why), "%s", why);
}

bool intake_open(struct intake *in, uint64_t free_bytes, uint64_t step, rt_time now)
{
	if (!in->closed)
		return true;
	/* The room is measured now: records under way at the failure have ended since. */
	if (in->free_bytes == 0)
		in->free_bytes = free_bytes + 1;
	if (!rt_time_before(now, in->until) ||
	    (free_bytes >= step && free_bytes - step >= in->free_bytes - 1))
		in->closed = false;
	return !in->closed;
}
