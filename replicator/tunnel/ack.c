// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/ack.h"

void ack_init(struct ack *a)
{
	*a = (struct ack){ .deadline = RT_NEVER };
}

void ack_at_once(struct ack *a, rt_time now)
{
	a->deadline = rt_time_min(a->deadline, now);
}

void ack_add(struct ack *a, uint64_t number, enum ack_why why, rt_time now)
{
	if (number > a->largest) {
		a->largest = number;
		a->largest_at = now;
	}
	a->received++;
	a->waiting++;
	if (why == ACK_ASKED ||
	    a->waiting >= (why == ACK_GAP ? ACK_EVERY_GAP : ACK_EVERY))
		ack_at_once(a, now);
	else
		a->deadline = rt_time_min(a->deadline, rt_time_add(now, ACK_DELAY_NS));
}

void ack_done(struct ack *a, uint64_t credit)
{
	a->waiting = 0;
	a->deadline = RT_NEVER;
	a->credit = credit;
}
