// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/tunnel.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "replicator/tunnel/state.h"
#include "rt/mem.h"

#define TUNNEL_FRAME_MAX (UINT32_C(1) << 30)
#define TUNNEL_MEMORY_MAX (UINT64_C(1) << 36)

static bool tunnel_params_possible(const struct tunnel_params *p)
{
	if (p->symbol_size < 64 || p->symbol_size > PACKET_SYMBOL_MAX ||
	    p->symbol_size % FEC_SYMBOL_ALIGN != 0)
		return false;
	if (p->frame_max == 0 || p->frame_max > TUNNEL_FRAME_MAX || p->timeout_ns <= 0)
		return false;
	if (p->send_memory > TUNNEL_MEMORY_MAX || p->receive_memory > TUNNEL_MEMORY_MAX)
		return false;
	if (p->rate_bps > CC_RATE_MAX || p->evidence > TUNNEL_MIRROR)
		return false;
	return true;
}

/* Symbols for `memory` bytes, and never fewer than two longest frames need. */
static uint32_t tunnel_capacity(const struct tunnel_params *p, size_t memory,
				uint32_t extra)
{
	uint64_t frame = (p->frame_max + STREAM_HEAD) / p->symbol_size + 2;
	uint64_t want = memory / p->symbol_size;

	if (want < 2 * frame)
		want = 2 * frame;
	return (uint32_t)(want < extra ? extra : want);
}

/* A data datagram, less its symbol. */
#define TUNNEL_OVERHEAD                                                                  \
	(sizeof(struct packet_head) + sizeof(struct packet_data) + PACKET_TAG)

static void tunnel_mtu_init(struct tunnel *t, rt_time now)
{
	uint16_t most = PACKET_SYMBOL_MAX - PACKET_SYMBOL_MAX % FEC_SYMBOL_ALIGN;
	struct mtu_params params = {
		.overhead = TUNNEL_OVERHEAD,
		.follower_len = sizeof(struct packet_head) + PACKET_TAG,
		.symbol = t->params.symbol_size,
		.symbol_max = most,
	};

	mtu_init(&t->mtu, &params, now);
}

static int tunnel_new_sending(struct tunnel *t, rt_time now)
{
	const struct tunnel_params *p = &t->params;
	uint64_t in_flight = tunnel_rate_datagrams(tunnel_rate_memory(p));
	int res = tunnel_redundancy_init(t, now);

	if (res != 0)
		return res;
	res = stream_tx_init(&t->tx, p->symbol_size,
			     tunnel_capacity(p, p->send_memory, FEC_WINDOW_MAX));
	if (res == 0)
		res = sent_init(&t->sent, in_flight);
	evidence_init(&t->evidence, TUNNEL_MIRROR);
	if (res == 0)
		res = wire_gate_init(&t->gate, t->tx.capacity);
	if (res == 0)
		res = seal_new(p->secret, p->dialed, &t->seal_tx);
	tunnel_gate_changed(t);
	tunnel_rate_init(t, now);
	path_init(&t->path);
	tunnel_mtu_init(t, now);
	t->suite = seal_suite_best();
	t->peer.credit = TUNNEL_CREDIT_FIRST;
	t->probing.eliciting_at = now;
	t->probing.prove_until = now;
	t->probing.at_once = true;
	return res;
}

static int tunnel_new_receiving(struct tunnel *t, rt_time now)
{
	const struct tunnel_params *p = &t->params;
	struct stream_rx_params rx = {
		.size = p->symbol_size,
		.capacity = tunnel_capacity(p, p->receive_memory,
					    FEC_WINDOW_MAX + TUNNEL_CREDIT_FIRST),
		.frame_max = p->frame_max,
	};
	int res = stream_rx_init(&t->rx, &rx);

	if (res == 0)
		res = replay_init(&t->replay,
				  tunnel_rate_memory(p) / 8 / TUNNEL_DATAGRAM_MAX);
	if (res == 0)
		res = seal_new(p->secret, !p->dialed, &t->seal_rx);
	ack_init(&t->ack);
	tally_init(&t->tally, now);
	return res;
}

int tunnel_new(const struct tunnel_params *params, rt_time now, struct tunnel **ret)
{
	struct tunnel *t;
	int res;

	if (!tunnel_params_possible(params))
		return -EINVAL;
	t = rt_zalloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->params = *params;
	t->peer.last_rx = now;
	res = tunnel_new_sending(t, now);
	if (res == 0)
		res = tunnel_new_receiving(t, now);
	/* The seals have copies of their own, and wipe them. */
	explicit_bzero(t->params.secret, sizeof(t->params.secret));
	if (res != 0)
		goto fail;
	t->scratch = rt_alloc_blocks(TUNNEL_SCRATCH_LEN);
	if (t->scratch == NULL) {
		res = -ENOMEM;
		goto fail;
	}
	*ret = t;
	return 0;
fail:
	tunnel_free(t);
	return res;
}

void tunnel_free(struct tunnel *t)
{
	if (t == NULL)
		return;
	fec_encoder_free(t->encoder);
	stream_tx_release(&t->tx);
	sent_release(&t->sent);
	wire_gate_release(&t->gate);
	seal_free(t->seal_tx);
	stream_rx_release(&t->rx);
	replay_release(&t->replay);
	seal_free(t->seal_rx);
	rt_free(t->scratch);
	rt_free(t);
}

/* ---- frames ------------------------------------------------------------------------ */

bool tunnel_room(const struct tunnel *t, size_t len)
{
	return stream_tx_room(&t->tx, len);
}

int tunnel_submitv(struct tunnel *t, const struct iovec *iov, unsigned n, rt_time now)
{
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += iov[i].iov_len;
	if (len == 0 || len > t->params.frame_max)
		return -EINVAL;
	if (!stream_tx_room(&t->tx, len))
		return -EAGAIN;
	stream_tx_append(&t->tx, iov, len);
	return 0;
}

int tunnel_submit(struct tunnel *t, const uint8_t *frame, size_t len, rt_time now)
{
	struct iovec iov = { (void *)frame, len };

	return tunnel_submitv(t, &iov, 1, now);
}

void tunnel_expedite(struct tunnel *t, rt_time now)
{
	t->repairs.urgent = stream_tx_end(&t->tx);
	/* Without a request only small datagrams have proven the path. */
	if (!rt_time_before(now, t->probing.prove_until))
		t->mtu.asked = t->sent.last.full;
	t->probing.prove_until = rt_time_add(now, TUNNEL_PROVE_NS);
}

void tunnel_set_coalescing(struct tunnel *t, bool coalescing)
{
	t->repairs.coalescing = coalescing;
}

int tunnel_next_frame(struct tunnel *t, const uint8_t **frame, size_t *len)
{
	int res;

	if (tunnel_broken(t))
		return -EPROTO;
	res = stream_rx_next(&t->rx, frame, len);
	/* A sender that has used up its credit waits for this. */
	if (stream_rx_credit(&t->rx) - t->ack.credit >= t->rx.capacity / 4)
		ack_at_once(&t->ack, (rt_time){ 0 });
	return res;
}

void tunnel_set_watermark(struct tunnel *t, uint64_t watermark, rt_time now)
{
	if (watermark <= t->watermark)
		return;
	t->watermark = watermark;
	ack_at_once(&t->ack, now);
}

uint64_t tunnel_peer_watermark(const struct tunnel *t)
{
	return t->peer.watermark;
}

/* ---- watermarks -------------------------------------------------------------------- */

uint64_t tunnel_submitted(const struct tunnel *t)
{
	return t->tx.frames;
}

void tunnel_gate_update(struct tunnel *t, rt_time now)
{
	struct wire_gate_batch batch;
	bool resolved;

	do {
		resolved = evidence_resolve(&t->evidence, now, &batch);
		/* The batch may have shown that there are no TX timestamps to be had. */
		wire_gate_set_evidence(&t->gate, evidence_counts(&t->evidence));
		if (resolved)
			wire_gate_resolved(&t->gate, &batch);
	} while (resolved);
	wire_gate_update(&t->gate, tunnel_proven(t, now));
}

uint64_t tunnel_onwire(const struct tunnel *t, rt_time now)
{
	/* Every event has moved it as far as it may go; time alone never does. */
	return stream_tx_frames(&t->tx, wire_gate_watermark(&t->gate));
}

uint64_t tunnel_received(const struct tunnel *t)
{
	return t->tx.frames_confirmed;
}

enum tunnel_evidence tunnel_evidence_level(const struct tunnel *t)
{
	return t->evidence.level;
}

bool tunnel_proven(const struct tunnel *t, rt_time now)
{
	return path_proven(&t->path, now) && !mtu_doubtful(&t->mtu);
}

rt_time tunnel_proof_at(const struct tunnel *t)
{
	return t->path.proof_at;
}

bool tunnel_timed_out(const struct tunnel *t, rt_time now)
{
	return rt_time_since(now, t->peer.last_rx) >= t->params.timeout_ns;
}

bool tunnel_broken(const struct tunnel *t)
{
	return t->stats.malformed >= TUNNEL_MALFORMED_MAX || t->rx.broken;
}

/* ---- datagrams --------------------------------------------------------------------- */

void tunnel_left(struct tunnel *t, uint32_t timestamp, rt_time now)
{
	evidence_timestamp(&t->evidence, timestamp, now);
	tunnel_gate_update(t, now);
}

bool tunnel_lent(struct tunnel *t, uint64_t oldest, rt_time now)
{
	uint64_t decided = t->evidence.head;

	evidence_lent(&t->evidence, oldest);
	tunnel_gate_update(t, now);
	return t->evidence.head != decided;
}

void tunnel_unsent(struct tunnel *t, uint64_t first, uint64_t last)
{
	evidence_unsent(&t->evidence, first, last);
}

void tunnel_echoed(struct tunnel *t, uint64_t number, rt_time now)
{
	evidence_echo(&t->evidence, number, now);
	tunnel_gate_update(t, now);
}

void tunnel_overflowed(struct tunnel *t, uint64_t total)
{
	t->overflowed = total;
}

unsigned tunnel_path_mtu(const struct tunnel *t)
{
	return (unsigned)t->mtu.path;
}

unsigned tunnel_mtu_least(void)
{
	return (unsigned)(TUNNEL_OVERHEAD + MTU_SMALL);
}

unsigned tunnel_path_mtu_least(const struct tunnel *t)
{
	return tunnel_mtu_least() + t->pacer.headers;
}

bool tunnel_mtu_short(const struct tunnel *t)
{
	return t->mtu.is_short;
}

uint16_t tunnel_symbol_fit(unsigned path, uint16_t most)
{
	return (uint16_t)mtu_symbol(path, TUNNEL_OVERHEAD, most);
}

void tunnel_too_long(struct tunnel *t, rt_time now)
{
	mtu_refused(&t->mtu, now);
}

void tunnel_stats(const struct tunnel *t, struct tunnel_stats *ret)
{
	const struct sent_entry *e = sent_find(&t->sent, t->path.largest);
	struct fec_path upper, mean;

	*ret = t->stats;
	ret->rebuilt = fec_decoder_rebuilt(t->rx.decoder);
	ret->overflowed = t->overflowed;
	ret->peer_overflowed = t->path.overflowed;
	ret->rtt_ns = t->path.rtt_ns;
	ret->rtt_min_ns = t->path.rtt_min_ns;
	ret->loss = ret->burst = ret->loss_upper = ret->burst_upper = -1;
	if (fec_estimate_path(&t->redundancy.estimate, &upper, &mean)) {
		ret->loss = mean.loss;
		ret->burst = mean.burst;
		ret->loss_upper = upper.loss;
		ret->burst_upper = upper.burst;
	}
	ret->rate_bps = t->pacer.rate_bps;
	ret->guarded = t->cc.guard.trips;
	ret->queue_ns = cc_queue_ns(&t->cc);
	ret->congestion = cc_state_name(t->cc.state);
	ret->share = (double)t->repairs.share / (double)TUNNEL_SHARE_ONE;
	ret->residual = t->redundancy.now.residual;
	ret->repairs = t->redundancy.now.repairs;
	ret->window =
		t->redundancy.code.code == FEC_WINDOW ? t->redundancy.code.window : 0;
	ret->mtu = (unsigned)(TUNNEL_OVERHEAD + t->params.symbol_size);
	ret->in_line = t->sent.last.eliciting - (e == NULL ? 0 : e->eliciting);
}
