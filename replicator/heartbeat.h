/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_HEARTBEAT_H
#define REPLICATOR_HEARTBEAT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The `heartbeat` of the other site beside the times of this one: its signs of life must
 * arrive before this site takes it for dead. Pure.
 */
#define HEARTBEAT_WHY_MAX 200

/*
 * Does a `heartbeat` there of `peer_ms` go with `away` and `control_timeout` here? 0: the
 * other site does not say, which is well. If not, `why` is what is wrong with which values,
 * and what helps.
 */
bool heartbeat_fits(uint32_t peer_ms, int64_t away_ms, int64_t control_timeout_ms,
		    char why[HEARTBEAT_WHY_MAX]);

#endif
