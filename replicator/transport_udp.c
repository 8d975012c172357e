// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/transport_udp.h"

#include <errno.h>

#include "replicator/transport.h"
#include "replicator/tunnel/io.h"
#include "rt/check.h"
#include "rt/mem.h"

struct transport_udp {
	struct transport base;
	struct tunnel *tunnel; /* owned */
	struct tunnel_io *io;  /* borrowed */
	uint16_t symbol_size;
};

static struct transport_udp *udp_of(const struct transport *t)
{
	return rt_container_of(t, struct transport_udp, base);
}

static struct tunnel *udp_tunnel(const struct transport *t)
{
	return udp_of(t)->tunnel;
}

static void udp_free(struct transport *t)
{
	static const struct rt_addr nowhere = { .kind = RT_ADDR_NONE };
	struct transport_udp *u = udp_of(t);

	tunnel_io_attach(u->io, NULL, &nowhere);
	tunnel_free(u->tunnel);
	rt_free(u);
}

static void udp_begin(struct transport *t)
{
	(void)t; /* the first datagram begins it */
}

static bool udp_join(struct transport *t, struct conn *conn, const uint8_t *body,
		     size_t len)
{
	(void)t; /* a tunnel has no connection that could be joined to it */
	(void)conn;
	(void)body;
	(void)len;
	return false;
}

static const char *udp_over(const struct transport *t)
{
	return tunnel_broken(udp_tunnel(t))
		       ? "the peer's datagrams are authentic and no legal ones"
		       : NULL;
}

static int udp_error(const struct transport *t)
{
	return tunnel_broken(udp_tunnel(t)) ? -EPROTO : 0;
}

static int udp_submitv(struct transport *t, const struct iovec *iov, unsigned n,
		       rt_time now)
{
	return tunnel_submitv(udp_tunnel(t), iov, n, now);
}

static void udp_expedite(struct transport *t, rt_time now)
{
	tunnel_expedite(udp_tunnel(t), now);
}

static int udp_next_frame(struct transport *t, const uint8_t **frame, size_t *len)
{
	return tunnel_next_frame(udp_tunnel(t), frame, len);
}

static void udp_set_watermark(struct transport *t, uint64_t watermark, rt_time now)
{
	tunnel_set_watermark(udp_tunnel(t), watermark, now);
}

static uint64_t udp_peer_watermark(const struct transport *t)
{
	return tunnel_peer_watermark(udp_tunnel(t));
}

static void udp_transmit(struct transport *t)
{
	tunnel_io_schedule(udp_of(t)->io);
}

static uint64_t udp_submitted(const struct transport *t)
{
	return tunnel_submitted(udp_tunnel(t));
}

static uint64_t udp_received(const struct transport *t)
{
	return tunnel_received(udp_tunnel(t));
}

static uint64_t udp_onwire(const struct transport *t, rt_time now)
{
	return tunnel_onwire(udp_tunnel(t), now);
}

static bool udp_proven(const struct transport *t, rt_time now)
{
	return tunnel_proven(udp_tunnel(t), now);
}

static rt_time udp_proof_at(const struct transport *t)
{
	return tunnel_proof_at(udp_tunnel(t));
}

static bool udp_stalled(const struct transport *t, rt_time now, int64_t limit_ns)
{
	(void)t; /* a tunnel sends again by itself, however long the path was silent */
	(void)now;
	(void)limit_ns;
	return false;
}

static enum tunnel_evidence udp_evidence(const struct transport *t)
{
	return tunnel_evidence_level(udp_tunnel(t));
}

static bool udp_path_differs(const struct transport *t, uint16_t most,
			     struct transport_path *ret)
{
	const struct transport_udp *u = udp_of(t);
	unsigned mtu = tunnel_path_mtu(u->tunnel);
	uint16_t fit = tunnel_symbol_fit(mtu, most);

	if (tunnel_mtu_short(u->tunnel) ? fit == u->symbol_size : fit <= u->symbol_size)
		return false;
	*ret = (struct transport_path){
		.mtu = mtu,
		.symbol_size = fit,
		.least = tunnel_mtu_least(),
		.mtu_least = tunnel_path_mtu_least(u->tunnel),
	};
	return true;
}

static int udp_set_rules(struct transport *t, const struct transport_rules *rules,
			 rt_time now)
{
	struct tunnel *tunnel = udp_tunnel(t);
	int err = rules->fec ? tunnel_set_fec(tunnel, rules->fec, now) : 0;

	return err < 0 ? err
		       : tunnel_set_rate(tunnel, rules->rate_auto, rules->rate_bps, now);
}

static void udp_stats(const struct transport *t, struct transport_stats *ret)
{
	struct tunnel_stats stats;

	tunnel_stats(udp_tunnel(t), &stats);
	*ret = (struct transport_stats){
		.counters = {
			.sent_bytes = stats.sent_bytes,
			.repair_bytes = stats.sent_repair_bytes,
			.rebuilt = stats.rebuilt,
			.retransmitted = stats.retransmitted,
			.duplicates = stats.duplicates,
			.spurious = stats.spurious,
			.deficits = stats.deficits,
			.unauthentic = stats.unauthentic,
			.replayed = stats.replayed,
			.malformed = stats.malformed,
			.guarded = stats.guarded,
			.outages = stats.outages,
			.overflowed = stats.overflowed + stats.peer_overflowed,
		},
		.rtt_ns = stats.rtt_ns,
		.queue_ns = stats.rtt_ns < 0 ? -1 : stats.queue_ns,
		.loss = stats.loss,
		.burst = stats.burst,
		.rate_bps = stats.rate_bps,
		.congestion = stats.congestion,
		.in_flight = stats.in_line,
		.repairs = stats.repairs,
		.overhead = stats.sent_data > 0
				    ? (double)stats.sent_repairs / (double)stats.sent_data
				    : -1,
		.residual = stats.residual,
	};
}

static const struct transport_ops udp_ops = {
	.free = udp_free,
	.begin = udp_begin,
	.join = udp_join,
	.over = udp_over,
	.error = udp_error,
	.submitv = udp_submitv,
	.expedite = udp_expedite,
	.next_frame = udp_next_frame,
	.set_watermark = udp_set_watermark,
	.peer_watermark = udp_peer_watermark,
	.transmit = udp_transmit,
	.submitted = udp_submitted,
	.received = udp_received,
	.onwire = udp_onwire,
	.proven = udp_proven,
	.proof_at = udp_proof_at,
	.stalled = udp_stalled,
	.evidence = udp_evidence,
	.path_differs = udp_path_differs,
	.set_rules = udp_set_rules,
	.stats = udp_stats,
};

int transport_udp_new(struct tunnel_io *io, const struct transport_udp_params *params,
		      rt_time now, struct transport **ret)
{
	struct transport_udp *u;
	struct tunnel *tunnel = NULL;
	int err = tunnel_new(&params->tunnel, now, &tunnel);

	if (err == 0)
		err = tunnel_io_set_edge(io, params->edge, params->edge_key);
	if (err < 0)
		goto fail;
	u = rt_zalloc(1, sizeof(*u));
	err = -ENOMEM;
	if (!u)
		goto fail;
	u->base.ops = &udp_ops;
	u->tunnel = tunnel;
	u->io = io;
	u->symbol_size = params->tunnel.symbol_size;
	tunnel_io_attach(io, tunnel, &params->peer);
	*ret = &u->base;
	return 0;
fail:
	tunnel_free(tunnel);
	return err;
}
