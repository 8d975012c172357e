// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/intake.h"

#include <errno.h>
#include <stdio.h>

/* The `times`-th want of memory in a row. */
static int64_t intake_memory_pause(unsigned times)
{
	int64_t pause = INTAKE_MEMORY_MS * RT_MS;

	if (times == 1)
		return 0;
	while (times-- > 2 && pause < INTAKE_ROOM_MS * RT_MS)
		pause *= 2;
	return pause < INTAKE_ROOM_MS * RT_MS ? pause : INTAKE_ROOM_MS * RT_MS;
}

void intake_failed(struct intake *in, int err, const char *why, uint64_t lsn, rt_time now)
{
	unsigned times = in->times > 0 && in->lsn == lsn ? in->times + 1 : 1;

	if (err != -ENOSPC && err != -EDQUOT && err != -ENOMEM)
		return;
	*in = (struct intake){ .closed = true, .lsn = lsn };
	in->times = err == -ENOMEM ? times : 0;
	in->until = rt_time_add(now, err == -ENOMEM ? intake_memory_pause(times)
						    : INTAKE_ROOM_MS * RT_MS);
	if (err != -ENOSPC)
		in->free_bytes = UINT64_MAX; /* more room is no more memory */
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
