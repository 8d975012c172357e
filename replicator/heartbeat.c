// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/heartbeat.h"

#include <stdio.h>

/* The same rules as for the times of one site (control/config_check.c). */
bool heartbeat_fits(uint32_t peer_ms, int64_t away_ms, int64_t control_timeout_ms,
		    char why[HEARTBEAT_WHY_MAX])
{
	if (peer_ms == 0)
		return true;
	if (peer_ms >= away_ms) {
		(void)snprintf(
			why, HEARTBEAT_WHY_MAX,
			"it would time out while it is well: heartbeat there (%u ms) "
			"must be less than `away` here (%lld ms)",
			(unsigned)peer_ms, (long long)away_ms);
		return false;
	}
	if (2 * (int64_t)peer_ms >= control_timeout_ms) {
		(void)snprintf(
			why, HEARTBEAT_WHY_MAX,
			"connections would be dropped that are well: heartbeat there "
			"(%u ms) must be less than half of `control_timeout` here "
			"(%lld ms)",
			(unsigned)peer_ms, (long long)control_timeout_ms);
		return false;
	}
	return true;
}
