// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>

#include "fec/risk.h"
#include "replicator/tunnel/state.h"

/* How much is sent: from the goal, as long as the line is what was assumed. */

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

static int redundancy_weigh(const struct tunnel_fec *fec, struct fec_redundancy *ret)
{
	struct fec_redundancy r = { .share = fec->goal.share, .residual = -1 };
	const struct fec_goal *g = &fec->goal;

	r.repairs = fec->repairs;
	if (!fec->repairs_fixed &&
	    fec_risk_repairs(&g->assume, g->safety, g->share, &r.repairs) != 0)
		return -EINVAL;
	r.window = fec->code.window > 0 ? fec->code.window
					: fec_risk_window(r.repairs, g->share);
	for (unsigned n = 1; n <= FEC_LONE_MAX; n++)
		r.lone[n] = (uint8_t)r.repairs;
	*ret = r;
	return 0;
}

int tunnel_redundancy_init(struct tunnel *t)
{
	const struct tunnel_fec *fec = &t->params.fec;
	struct fec_params code = fec->code;
	int res;

	if (!redundancy_possible(fec))
		return -EINVAL;
	/* What these make due is not sent yet. */
	if (code.code == FEC_LAYERED || code.code == FEC_RS)
		return -ENOTSUP;
	if (code.code != FEC_NONE) {
		res = redundancy_weigh(fec, &t->redundancy);
		if (res != 0)
			return res;
	}
	t->share = (uint64_t)(t->redundancy.share * (double)TUNNEL_SHARE_ONE);
	code.symbol_size = t->params.symbol_size;
	code.window = code.code == FEC_NONE ? 1 : (uint16_t)t->redundancy.window;
	res = fec_encoder_new(&code, &t->encoder);
	if (res != 0)
		t->encoder = NULL;
	return res;
}

int tunnel_set_fec(struct tunnel *t, const struct tunnel_fec *fec, rt_time now)
{
	const struct fec_params *old = &t->params.fec.code, *new = &fec->code;
	struct fec_redundancy r;
	int res;

	if (!redundancy_possible(fec))
		return -EINVAL;
	if (new->code != old->code || new->window != old->window)
		return -ENOTSUP;
	if (new->code != FEC_NONE) {
		res = redundancy_weigh(fec, &r);
		if (res != 0)
			return res;
		r.window = t->redundancy.window;
		t->redundancy = r;
		t->share = (uint64_t)(r.share * (double)TUNNEL_SHARE_ONE);
	}
	t->params.fec = *fec;
	return 0;
}
