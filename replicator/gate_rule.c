// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/gate_rule.h"

#include "rt/bug.h"

enum group_hold group_hold_of(enum group_hold hold, enum group_mode sync)
{
	if (hold != GROUP_HOLD_BY_MODE)
		return hold;
	return sync == GROUP_REMOTE ? GROUP_HOLD_FLUSH : GROUP_HOLD_WRITE;
}

enum group_mode gate_rule_mode(enum group_hold hold, enum group_mode sync,
			       const struct gate_rule_request *r)
{
	bool flushes = r->client_flushes || RT_BUG(NEVER_FLUSHED_FORGOTTEN);

	if (r->durable || !flushes || group_hold_of(hold, sync) == GROUP_HOLD_WRITE)
		return sync;
	return GROUP_LOCAL;
}
