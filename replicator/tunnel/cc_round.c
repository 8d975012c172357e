// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/cc_round.h"

void cc_round_begin(struct cc_round *r, const struct cc_ack *ack)
{
	*r = (struct cc_round){
		.began = ack->arrived,
		.sent_at = ack->sent_at,
		.sent = ack->sent,
		.received = ack->received,
		.mark = ack->sent_all,
		.rtt_low = ack->rtt_ns,
		.rtt_high = ack->rtt_ns,
		.limited_before = r->limited,
	};
}

void cc_round_add(struct cc_round *r, const struct cc_ack *ack)
{
	if (ack->rtt_ns < r->rtt_low)
		r->rtt_low = ack->rtt_ns;
	if (ack->rtt_ns > r->rtt_high)
		r->rtt_high = ack->rtt_ns;
}

bool cc_round_over(const struct cc_round *r, const struct cc_ack *ack)
{
	int64_t took_ns = rt_time_since(ack->arrived, r->began);

	if (ack->sent <= r->mark || took_ns < CC_ROUND_MIN_NS)
		return false;
	return ack->sent - r->sent >= CC_ROUND_MIN || took_ns >= CC_ROUND_MAX_NS;
}

void cc_round_measure(const struct cc_round *r, const struct cc_ack *ack,
		      struct cc_round_result *ret)
{
	int64_t sent_ns = rt_time_since(ack->sent_at, r->sent_at);
	int64_t passed_ns = rt_time_since(ack->arrived, r->began);
	double sent = (double)(ack->sent - r->sent);

	*ret = (struct cc_round_result){
		.sent = sent,
		.lost = sent - (ack->received - r->received),
		.sent_ns = sent_ns > 0 ? sent_ns : 1,
		.passed_ns = passed_ns > sent_ns ? passed_ns : sent_ns,
		.limited = r->limited || r->limited_before,
	};
}
