// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/cc_loss.h"

#include <math.h>

void cc_loss_init(struct cc_loss *l)
{
	*l = (struct cc_loss){ .burst = 1 };
}

double cc_loss_share(const struct cc_loss *l)
{
	double share;

	if (l->sent < 1)
		return 0;
	share = l->lost / l->sent;
	return share < CC_LOSS_MAX ? share : CC_LOSS_MAX;
}

bool cc_loss_excess(const struct cc_loss *l, double sent, double lost)
{
	double expected = sent * cc_loss_share(l);

	return lost > expected + 3 * sqrt(expected * l->burst) + sent / 100 + 3;
}

void cc_loss_exclude(struct cc_loss *l, uint64_t to)
{
	l->excluded_to = to;
}

bool cc_loss_excluded(const struct cc_loss *l, uint64_t from)
{
	return from < l->excluded_to;
}

void cc_loss_learn(struct cc_loss *l, double sent, double lost)
{
	if (lost > sent / 2)
		return; /* that is no loss but an interruption */
	if (l->sent > sent) {
		double expected = sent * cc_loss_share(l), off = lost - expected;

		off = off * off / (expected > 1 ? expected : 1);
		l->burst += (off - l->burst) / 16;
		l->burst = fmin(fmax(l->burst, 1), CC_LOSS_BURST_MAX);
	}
	l->sent += sent;
	l->lost += lost > 0 ? lost : 0;
	if (l->sent > CC_LOSS_MEMORY) {
		l->sent /= 2;
		l->lost /= 2;
	}
}

void cc_loss_count_from(struct cc_loss *l, const struct cc_ack *ack)
{
	l->from_sent = ack->sent;
	l->from_received = ack->received;
}

bool cc_loss_episode(struct cc_loss *l, const struct cc_ack *ack, bool queued,
		     struct cc_loss_count *ret)
{
	double sent = (double)(ack->sent - l->from_sent);
	double lost = sent - (ack->received - l->from_received);

	if (ack->sent <= l->reacted)
		return false;
	/* What was sent before the reaction was lost to the same congestion. */
	if (l->from_sent < l->reacted) {
		cc_loss_count_from(l, ack);
		return false;
	}
	if (!queued || !cc_loss_excess(l, sent, lost))
		return false;
	if (l->congested_to < l->from_sent)
		l->congested_from = l->from_sent;
	l->congested_to = l->reacted = ack->sent_all;
	*ret = (struct cc_loss_count){ .sent = sent, .lost = lost };
	return true;
}

bool cc_loss_congested(const struct cc_loss *l, uint64_t from, uint64_t to)
{
	return from < l->congested_to && to > l->congested_from;
}
