// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/transport.h"

void transport_free(struct transport *t)
{
	if (t)
		t->ops->free(t);
}

void transport_begin(struct transport *t)
{
	t->ops->begin(t);
}

bool transport_join(struct transport *t, struct conn *conn, const uint8_t *body,
		    size_t len)
{
	return t->ops->join(t, conn, body, len);
}

const char *transport_over(const struct transport *t)
{
	return t->ops->over(t);
}

int transport_error(const struct transport *t)
{
	return t->ops->error(t);
}

int transport_submitv(struct transport *t, const struct iovec *iov, unsigned n,
		      rt_time now)
{
	return t->ops->submitv(t, iov, n, now);
}

void transport_expedite(struct transport *t, rt_time now)
{
	t->ops->expedite(t, now);
}

int transport_next_frame(struct transport *t, const uint8_t **frame, size_t *len)
{
	return t->ops->next_frame(t, frame, len);
}

void transport_set_watermark(struct transport *t, uint64_t watermark, rt_time now)
{
	t->ops->set_watermark(t, watermark, now);
}

uint64_t transport_peer_watermark(const struct transport *t)
{
	return t->ops->peer_watermark(t);
}

void transport_transmit(struct transport *t)
{
	t->ops->transmit(t);
}

uint64_t transport_submitted(const struct transport *t)
{
	return t->ops->submitted(t);
}

uint64_t transport_received(const struct transport *t)
{
	return t->ops->received(t);
}

uint64_t transport_onwire(const struct transport *t, rt_time now)
{
	return t->ops->onwire(t, now);
}

bool transport_proven(const struct transport *t, rt_time now)
{
	return t->ops->proven(t, now);
}

rt_time transport_proof_at(const struct transport *t)
{
	return t->ops->proof_at(t);
}

bool transport_stalled(const struct transport *t, rt_time now, int64_t limit_ns)
{
	return t->ops->stalled(t, now, limit_ns);
}

enum tunnel_evidence transport_evidence(const struct transport *t)
{
	return t->ops->evidence(t);
}

bool transport_path_differs(const struct transport *t, uint16_t most,
			    struct transport_path *ret)
{
	return t->ops->path_differs(t, most, ret);
}

int transport_set_rules(struct transport *t, const struct transport_rules *rules,
			rt_time now)
{
	return t->ops->set_rules(t, rules, now);
}

void transport_counters_add(struct transport_counters *to,
			    const struct transport_counters *from)
{
	to->sent_bytes += from->sent_bytes;
	to->repair_bytes += from->repair_bytes;
	to->rebuilt += from->rebuilt;
	to->retransmitted += from->retransmitted;
	to->duplicates += from->duplicates;
	to->spurious += from->spurious;
	to->deficits += from->deficits;
	to->unauthentic += from->unauthentic;
	to->replayed += from->replayed;
	to->malformed += from->malformed;
	to->guarded += from->guarded;
	to->outages += from->outages;
	to->overflowed += from->overflowed;
}

void transport_stats(const struct transport *t, struct transport_stats *ret)
{
	t->ops->stats(t, ret);
}
