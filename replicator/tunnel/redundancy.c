// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>

#include "fec/risk.h"
#include "replicator/tunnel/state.h"

/* How much is sent: from the goal and the line, and the code that does it. */

#define REDUNDANCY_SHARE_MAX 4.0

static bool redundancy_possible(const struct tunnel_fec *fec)
{
	const struct fec_goal *g = &fec->goal;

	if (fec->policy > TUNNEL_PAPER || fec->code.window > FEC_WINDOW_MAX)
		return false;
	if (fec->repairs_fixed && fec->repairs > FEC_RISK_REPAIRS_MAX)
		return false;
	return g->share >= 0 && g->share <= REDUNDANCY_SHARE_MAX;
}

/* The code as the encoder is given it: without repairs it is none. */
static struct fec_params redundancy_code(const struct tunnel *t,
					 const struct tunnel_fec *fec, unsigned window)
{
	struct fec_params code = fec->code;

	if ((code.code == FEC_LAYERED || code.code == FEC_RS) && code.c == 0)
		code.code = FEC_NONE;
	if (code.code != FEC_WINDOW)
		code.window = 1;
	else if (code.window == 0)
		code.window =
			(uint16_t)(window < FEC_WINDOW_MAX ? window : FEC_WINDOW_MAX);
	code.symbol_size = t->params.symbol_size;
	code.capacity = 0;
	return code;
}

static int redundancy_weigh(const struct tunnel_fec *fec, struct fec_redundancy *ret)
{
	struct fec_redundancy r = { .share = fec->goal.share, .residual = -1 };
	const struct fec_goal *g = &fec->goal;

	r.repairs = fec->repairs;
	if (!fec->repairs_fixed &&
	    fec_risk_repairs(&g->assume, g->safety, g->share, &r.repairs) != 0)
		return -EINVAL;
	r.window = fec_risk_window(r.repairs, g->share);
	for (unsigned n = 1; n <= FEC_LONE_MAX; n++)
		r.lone[n] = (uint8_t)r.repairs;
	*ret = r;
	return 0;
}

static void redundancy_apply(struct tunnel *t, const struct fec_params *code,
			     const struct fec_redundancy *r)
{
	t->code = *code;
	t->redundancy = *r;
	t->share = code->code == FEC_WINDOW
			   ? (uint64_t)(r->share * (double)TUNNEL_SHARE_ONE)
			   : 0;
}

int tunnel_redundancy_init(struct tunnel *t)
{
	const struct tunnel_fec *fec = &t->params.fec;
	struct fec_redundancy r = { .residual = -1 };
	struct fec_params code;
	int res = 0;

	if (!redundancy_possible(fec))
		return -EINVAL;
	if (fec->code.code != FEC_NONE)
		res = redundancy_weigh(fec, &r);
	if (res != 0)
		return res;
	code = redundancy_code(t, fec, r.window);
	res = fec_encoder_new(&code, &t->encoder);
	if (res != 0) {
		t->encoder = NULL;
		return res;
	}
	redundancy_apply(t, &code, &r);
	return 0;
}

static bool redundancy_same_code(const struct fec_params *a, const struct fec_params *b)
{
	if (a->code != b->code || a->window != b->window)
		return false;
	if (a->code != FEC_LAYERED && a->code != FEC_RS)
		return true;
	for (unsigned i = 0; i < FEC_LAYERS_MAX; i++)
		if (a->interleave[i] != b->interleave[i])
			return false;
	return a->r == b->r && a->c == b->c && a->delayed == b->delayed;
}

/* Symbols that were in the window and are no more: no repair covers them from now on. */
static void redundancy_dropped(struct tunnel *t, uint64_t first, uint64_t next)
{
	if (first < t->tx.confirmed)
		first = t->tx.confirmed;
	for (; first < next && !tunnel_in_window(t, first); first++)
		stream_tx_symbol(&t->tx, first)->left_at = t->sent.last.repairs;
}

static int redundancy_change(struct tunnel *t, const struct fec_params *code,
			     const struct fec_redundancy *r)
{
	bool window = t->code.code == FEC_WINDOW;
	uint64_t first = fec_encoder_first(t->encoder);
	uint64_t next = fec_encoder_next(t->encoder);
	int res;

	if (!redundancy_same_code(&t->code, code)) {
		res = fec_encoder_change(t->encoder, code);
		if (res != 0)
			return res;
	}
	redundancy_apply(t, code, r);
	if (window)
		redundancy_dropped(t, first, next);
	return 0;
}

int tunnel_set_fec(struct tunnel *t, const struct tunnel_fec *fec, rt_time now)
{
	struct fec_redundancy r = { .residual = -1 };
	struct fec_params code;
	int res = 0;

	if (!redundancy_possible(fec))
		return -EINVAL;
	if (fec->code.code != FEC_NONE)
		res = redundancy_weigh(fec, &r);
	if (res != 0)
		return res;
	code = redundancy_code(t, fec, r.window);
	res = redundancy_change(t, &code, &r);
	if (res != 0)
		return res;
	t->params.fec = *fec;
	tunnel_gate_changed(t);
	tunnel_onwire_update(t, now);
	return 0;
}
