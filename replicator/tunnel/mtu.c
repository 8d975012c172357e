// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/mtu.h"

#include "fec/fec.h"
#include "rt/check.h"

/* A probe that the path has only delayed may arrive so much after its follower. */
#define MTU_REO_WND_MIN_NS RT_MS
/* Until a follower counts as lost: at least this, three round trips, and at most that. */
#define MTU_LOST_NS (200 * RT_MS)
#define MTU_LOST_MAX_NS (5 * RT_S)
#define MTU_PADS_MAX 1024 /* that an echo is taken for */

/*
 * Symbols to try: for links of 1500 bytes over IPv4, those with headers of other tunnels
 * in front (PPPoE, GRE, VXLAN, WireGuard, IPv6), and what is left of bad luck.
 */
static const uint16_t ladder[MTU_LADDER] = { MTU_SMALL, 800,  960,  1120, 1184,
					     1248,	1312, 1344, 1376, 1408 };

size_t mtu_symbol(size_t path, size_t overhead, size_t symbol_max)
{
	size_t symbol = path < overhead ? 0 : path - overhead;

	if (symbol > symbol_max)
		symbol = symbol_max;
	symbol -= symbol % FEC_SYMBOL_ALIGN;
	return symbol < MTU_SMALL ? 0 : symbol;
}

/* ---- a round ------------------------------------------------------------------------ */

static void mtu_round(struct mtu *m, rt_time now)
{
	m->probes = m->sent = m->pads = 0;
	m->follower = 0;
	m->answered = false;
	if (m->rounds > 0) {
		for (unsigned i = 0; i < MTU_LADDER - 1; i++)
			if (m->overhead + ladder[i] < m->want)
				m->sizes[m->probes++] =
					(uint16_t)(m->overhead + ladder[i]);
	}
	m->sizes[m->probes++] = (uint16_t)m->want;
	m->next_at = now;
}

static void mtu_search(struct mtu *m, size_t want, rt_time now)
{
	m->searching = true;
	m->want = want;
	m->rounds = 0;
	m->unanswered = 0;
	m->best = 0;
	mtu_round(m, now);
}

void mtu_init(struct mtu *m, const struct mtu_params *params, rt_time now)
{
	*m = (struct mtu){
		.overhead = params->overhead,
		.follower_len = params->follower_len,
		.size = params->overhead + params->symbol,
		.max = params->overhead + params->symbol_max,
	};
	rt_assert(m->size <= m->max && m->max <= UINT16_MAX);
	mtu_search(m, m->size, now);
}

/* The largest of this round, or since then, that arrived; 0: none. */
static size_t mtu_round_best(const struct mtu *m)
{
	uint16_t behind = (uint16_t)(m->serial - m->echo);

	if (m->echo != 0 && behind < m->pads)
		return m->size;
	if (m->echo == 0 || behind >= m->sent)
		return 0;
	return m->sizes[m->sent - 1 - behind];
}

/* 0 is no serial; it would be the first of a round, or end one early. */
static void mtu_next_serial(struct mtu *m)
{
	if (++m->serial != 0)
		return;
	m->serial = 1;
	m->sent = m->pads = 0;
}

uint16_t mtu_pad(struct mtu *m)
{
	mtu_next_serial(m);
	m->sent = 0;
	m->pads += m->pads < MTU_PADS_MAX;
	return m->serial;
}

/* ---- a search ----------------------------------------------------------------------- */

/* Nothing is searched for: the next time may be for more, or because it is too little. */
static void mtu_rest(struct mtu *m, rt_time now)
{
	m->searching = false;
	if (m->is_short)
		m->next_at = rt_time_add(now, MTU_RETRY_NS);
	else if (m->path < m->max)
		m->next_at = rt_time_add(now, MTU_RAISE_NS);
	else
		m->next_at = RT_NEVER;
}

/* `size` comes through: found by a probe, or shown by data. */
static void mtu_passes(struct mtu *m, size_t size, rt_time now)
{
	bool over = m->searching && m->want <= size;

	if (m->path < size)
		m->path = size;
	if (size < m->size)
		return;
	m->doubted = false;
	if (m->is_short || over) {
		m->is_short = false;
		mtu_rest(m, now);
	}
}

static void mtu_fails(struct mtu *m, rt_time now)
{
	if (m->best < mtu_round_best(m))
		m->best = mtu_round_best(m);
	m->unanswered = 0;
	if (++m->rounds < MTU_ROUNDS) {
		mtu_round(m, now);
		return;
	}
	if (m->want == m->size) {
		m->is_short = true;
		m->path = m->best;
	} else if (m->path < m->best) {
		m->path = m->best;
	}
	mtu_rest(m, now);
}

int64_t mtu_silence_ns(const struct mtu *m)
{
	return 3 * m->rtt_ns > MTU_LOST_NS ? 3 * m->rtt_ns : MTU_LOST_NS;
}

static int64_t mtu_reply_timeout_ns(const struct mtu *m)
{
	int64_t ns = mtu_silence_ns(m);

	for (unsigned i = 0; i < m->unanswered && ns < MTU_LOST_MAX_NS; i++)
		ns *= 2;
	return ns;
}

size_t mtu_next(struct mtu *m, uint64_t number, rt_time now, uint16_t *serial)
{
	*serial = 0;
	if (!m->searching) {
		/* Too short, or silent: again. Else there may be more by now. */
		bool retry = m->is_short || rt_time_before(now, m->next_at);

		mtu_search(m, retry ? m->size : m->max, now);
	} else if (m->answered) {
		mtu_fails(m, now);
	} else if (m->follower != 0) {
		m->unanswered++;
		mtu_round(m, now);
	}
	if (!m->searching)
		return 0;
	if (m->sent < m->probes) {
		mtu_next_serial(m);
		*serial = m->serial;
		return m->sizes[m->sent++];
	}
	m->follower = number;
	m->next_at = rt_time_add(now, mtu_reply_timeout_ns(m));
	return m->follower_len;
}

/* ---- what comes back ------------------------------------------------------------------ */

/* What has full size: does it come? `probed`: the newest probe of that size has. */
static void mtu_full(struct mtu *m, const struct mtu_news *news, bool probed, rt_time now)
{
	if (news->full_largest || news->marks > m->marks || probed) {
		m->marks = news->marks;
		m->full_received = news->full;
		mtu_passes(m, m->size, now);
		return;
	}
	if (news->full < m->full_received + MTU_DOUBT)
		return;
	m->doubted = true;
	if (news->full < m->full_received + MTU_SUSPECT || m->is_short ||
	    (m->searching && m->want == m->size))
		return;
	mtu_search(m, m->size, now);
}

void mtu_acknowledged(struct mtu *m, const struct mtu_news *news, rt_time now)
{
	int64_t reo_wnd_ns = news->rtt_ns / 4;
	bool echoed = news->echo != m->echo;

	m->rtt_ns = news->rtt_ns;
	m->echo = news->echo;
	if (m->searching && m->sent > 0 && mtu_round_best(m) >= m->want)
		mtu_passes(m, m->want, now);
	mtu_full(m, news, echoed && mtu_round_best(m) >= m->size, now);
	if (!m->searching || m->follower == 0 || m->answered ||
	    news->largest < m->follower)
		return;
	m->answered = true;
	m->next_at = rt_time_add(
		now, reo_wnd_ns > MTU_REO_WND_MIN_NS ? reo_wnd_ns : MTU_REO_WND_MIN_NS);
}

void mtu_refused(struct mtu *m, rt_time now)
{
	if (m->is_short || (m->searching && m->want == m->size))
		return;
	/* It may have been a probe for more: ask for what we send, and do not ask twice. */
	mtu_search(m, m->size, now);
}
