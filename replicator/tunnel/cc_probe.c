// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/cc_probe.h"

void cc_probe_init(struct cc_probe *p)
{
	p->full = 0;
	p->full_rounds = p->brake = p->braked = 0;
	p->wait = CC_PROBE_WAIT_MIN;
	cc_probe_wait_anew(p);
}

void cc_probe_startup_ack(struct cc_probe *p, bool queued)
{
	if (!cc_probe_braking(p))
		p->brake = queued ? p->brake + 1 : 0;
}

bool cc_probe_braking(const struct cc_probe *p)
{
	return p->brake >= CC_PROBE_BRAKE_ACKS;
}

/*
 * Startup ends when more does not come out: three times, or once and it queues up. At the
 * first sign of a queue it stops to grow, for a round in which to see what comes out.
 */
bool cc_probe_startup_round(struct cc_probe *p, double rate, bool limited, bool queued)
{
	if (cc_probe_braking(p))
		return p->braked++ > 0;
	if (rate >= 1.25 * p->full) {
		p->full = rate;
		p->full_rounds = 0;
		return false;
	}
	if (limited)
		return false;
	p->full_rounds++;
	return p->full_rounds >= 3 || queued;
}

bool cc_probe_ready(const struct cc_probe *p, unsigned rounds, int64_t waited_ns)
{
	int64_t wait_ns =
		p->wait > CC_PROBE_WAIT_MAX ? CC_PROBE_WAIT_LOSS_NS : CC_PROBE_WAIT_NS;

	return rounds >= p->wait || p->waited_ns + waited_ns >= wait_ns;
}

void cc_probe_waited(struct cc_probe *p, int64_t waited_ns)
{
	p->waited_ns += waited_ns;
}

void cc_probe_wait_anew(struct cc_probe *p)
{
	p->waited_ns = 0;
}

void cc_probe_begin(struct cc_probe *p, double rate)
{
	p->gain = CC_PROBE_GAIN;
	p->from = rate;
}

bool cc_probe_judge(struct cc_probe *p, const struct cc_probe_outcome *o)
{
	if (o->rate > p->from * 1.1 && !o->queued) {
		p->wait = CC_PROBE_WAIT_MIN;
		p->from = o->rate;
		p->gain = p->gain * 1.25 < CC_PROBE_GAIN_MAX ? p->gain * 1.25
							     : CC_PROBE_GAIN_MAX;
		return true;
	}
	/* Nothing was asked for, so nothing was learnt. */
	if (!o->limited_before && o->rate < p->from * 1.1) {
		unsigned max = o->excess ? CC_PROBE_WAIT_LOSS_MAX : CC_PROBE_WAIT_MAX;

		if (p->wait < max)
			p->wait *= 2;
	}
	return false;
}
