// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>

#include "replicator/tunnel/state.h"
#include "rt/log.h"

/*
 * How fast a tunnel sends: what acknowledgements say goes to the controller, and what that
 * decides goes to the pacer and to the window over what is in flight.
 */

/* The ring that remembers datagrams has room for what is sent in this time. */
#define RATE_MEMORY_MS 1000
/* The pacer is set anew only when the rate has changed by this part of it. */
#define RATE_STEP 32

/* A datagram of data on the path, in bytes. */
static unsigned rate_datagram(const struct tunnel *t)
{
	return (unsigned)(sizeof(struct packet_head) + sizeof(struct packet_data) +
			  t->params.symbol_size + PACKET_TAG) +
	       t->pacer.headers;
}

static void rate_state_changed(void *owner, const struct cc_event *event)
{
	const struct tunnel *t = owner;

	rt_log(RT_LOG_DEBUG,
	       "congestion tunnel=%016llx from=%s to=%s rate=%llu queue-us=%lld "
	       "loss=%.4f",
	       (unsigned long long)t->params.id, cc_state_name(event->from),
	       cc_state_name(event->to), (unsigned long long)event->rate_bps,
	       (long long)(event->queue_ns / RT_US), event->loss);
}

static struct cc_params rate_params(struct tunnel *t)
{
	return (struct cc_params){ .automatic = t->params.rate_auto,
				   .rate_bps = t->params.rate_bps,
				   .datagram = rate_datagram(t),
				   .changed = rate_state_changed,
				   .owner = t };
}

uint64_t tunnel_rate_datagrams(uint64_t bps)
{
	return bps / 8 / TUNNEL_DATAGRAM_MAX * RATE_MEMORY_MS / 1000;
}

uint64_t tunnel_rate_memory(const struct tunnel_params *p)
{
	if (p->rate_auto && p->rate_bps < TUNNEL_AUTO_MEMORY_BPS)
		return TUNNEL_AUTO_MEMORY_BPS;
	return p->rate_bps;
}

static void rate_changed(struct tunnel *t, uint64_t rate_bps, rt_time now)
{
	pacer_set_rate(&t->pacer, rate_bps, now);
	evidence_set_rate(&t->evidence, rate_bps);
}

void tunnel_rate_init(struct tunnel *t, rt_time now)
{
	struct cc_params params;

	pacer_init(&t->pacer, 0, TUNNEL_DATAGRAM_MAX, now);
	params = rate_params(t);
	cc_init(&t->cc, &params, now);
	pacer_set_rate(&t->pacer, cc_rate_bps(&t->cc), now);
	evidence_set_rate(&t->evidence, t->pacer.rate_bps);
}

int tunnel_set_rate(struct tunnel *t, bool automatic, uint64_t bps, rt_time now)
{
	const struct tunnel_params wanted = { .rate_auto = automatic, .rate_bps = bps };
	struct cc_params params;

	if (bps > CC_RATE_MAX)
		return -EINVAL;
	if (automatic == t->params.rate_auto && bps == t->params.rate_bps)
		return 0; /* what was found out stays */
	if (t->sent.size < SENT_MAX &&
	    tunnel_rate_datagrams(tunnel_rate_memory(&wanted)) > t->sent.size)
		return -ENOSPC;
	t->params.rate_auto = automatic;
	t->params.rate_bps = bps;
	params = rate_params(t);
	cc_set(&t->cc, &params, now);
	rate_changed(t, cc_rate_bps(&t->cc), now);
	return 0;
}

void tunnel_set_ipv6(struct tunnel *t, bool ipv6)
{
	unsigned headers = ipv6 ? PACER_IPV6 : PACER_IPV4;

	if (headers == t->pacer.headers)
		return;
	pacer_set_headers(&t->pacer, headers);
	cc_set_datagram(&t->cc, rate_datagram(t));
}

static uint64_t rate_in_flight(const struct tunnel *t)
{
	const struct sent_entry *e = sent_find(&t->sent, t->path.largest);

	return t->sent.last.eliciting - (e == NULL ? 0 : e->eliciting);
}

bool tunnel_may_send(const struct tunnel *t, rt_time now)
{
	return pacer_ready(&t->pacer, now) && tunnel_rate_open(t);
}

bool tunnel_rate_open(const struct tunnel *t)
{
	uint64_t in_flight = rate_in_flight(t);

	/*
	 * What is remembered is a bound, too: of what is forgotten an acknowledgement says
	 * nothing. And nobody knows how fast `auto` may become.
	 */
	if (in_flight >= (t->params.rate_auto ? t->sent.size / 2 : t->sent.size / 4 * 3))
		return false;
	return cc_open(&t->cc, in_flight);
}

void tunnel_rate_acked(struct tunnel *t, const struct packet_report *report,
		       const struct sent_entry *entry, rt_time now)
{
	int64_t delay_ns = report->delay_us * RT_US, rtt_ns;
	uint64_t rate, old = t->pacer.rate_bps;
	struct cc_ack ack;

	t->peer.received += (uint32_t)(report->received - (uint32_t)t->peer.received);
	if (entry == NULL)
		return;
	rtt_ns = rt_time_since(now, entry->at);
	/* The other side's word on its delay counts, but only so far. */
	if (delay_ns > rtt_ns / 2)
		delay_ns = rtt_ns / 2;
	rtt_ns -= delay_ns;
	ack = (struct cc_ack){
		.arrived = rt_time_add(now, -delay_ns),
		.sent_at = entry->at,
		.sent_all = t->sent.last.eliciting,
		.sent = entry->eliciting,
		.received = (double)t->peer.received,
		.rtt_ns = rtt_ns > 0 ? rtt_ns : 1,
	};
	cc_acked(&t->cc, &ack);
	rate = cc_rate_bps(&t->cc);
	if (rate > old + old / RATE_STEP || rate < old - old / RATE_STEP)
		rate_changed(t, rate, now);
}
