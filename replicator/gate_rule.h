/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_GATE_RULE_H
#define REPLICATOR_GATE_RULE_H

#include <stdbool.h>

#include "replicator/group.h"

/*
 * Which requests the mode of a volume gates: the rule of the configuration key `hold`. Pure.
 *
 * In `remote` each write that is waited for costs a round trip, and a client that flushes takes
 * none of them for safe before the flush. So it waits for its flushes; one that has never flushed
 * knows nothing but its writes, and is promised each of them.
 */
struct gate_rule_request {
	bool durable;	     /* FLUSH, or a change with FUA */
	bool client_flushes; /* its client has sent one of these before it */
};

/* The mode that gates a request of a volume of mode `sync`, where the file says `hold`. */
enum group_mode gate_rule_mode(enum group_hold hold, enum group_mode sync,
			       const struct gate_rule_request *r);

#endif
