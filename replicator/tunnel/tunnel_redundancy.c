// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/tunnel_redundancy.h"

#include <errno.h>
#include <string.h>

#include "replicator/tunnel/blocks.h"
#include "replicator/tunnel/state.h"
#include "rt/log.h"

#define REDUNDANCY_FLIGHT_MIN                                                            \
	256 /* symbols; an isolated write's round trip is no measure */
#define REDUNDANCY_FLIGHT_MAX (1u << 20)

static bool redundancy_possible(const struct tunnel_fec *fec)
{
	const struct fec_goal *g = &fec->goal;

	if (fec->policy > TUNNEL_PAPER || fec->code.window > FEC_WINDOW_MAX)
		return false;
	if (fec->repairs_fixed && fec->repairs > FEC_RISK_REPAIRS_MAX)
		return false;
	return g->share >= 0 && g->share <= REDUNDANCY_SHARE_MAX;
}

/* A code without repairs is none. */
static enum fec_code redundancy_kind(const struct fec_params *code)
{
	bool blocks = code->code == FEC_LAYERED || code->code == FEC_RS;

	return blocks && code->c == 0 ? FEC_NONE : code->code;
}

/* The code as the encoder is given it. */
static struct fec_params redundancy_code(const struct tunnel *t,
					 const struct tunnel_fec *fec,
					 const struct fec_redundancy *r)
{
	struct fec_params code = fec->code;

	code.code = redundancy_kind(&fec->code);
	code.symbol_size = t->params.symbol_size;
	code.capacity = 0;
	if (code.code != FEC_WINDOW)
		code.window = 1;
	else if (code.window == 0)
		code.window = (uint16_t)(r->window < FEC_WINDOW_MAX ? r->window
								    : FEC_WINDOW_MAX);
	return code;
}

/* Symbols in a round trip, as a power of two: it need not be known well. */
static unsigned redundancy_flight(const struct tunnel *t)
{
	double bits = 8.0 * (t->params.symbol_size + t->pacer.headers), want;
	unsigned flight = REDUNDANCY_FLIGHT_MIN;

	if (t->path.rtt_ns < 0 || t->pacer.rate_bps == 0)
		return 0;
	want = (double)t->pacer.rate_bps / bits * (double)t->path.rtt_ns / (double)RT_S;
	while (flight < want && flight < REDUNDANCY_FLIGHT_MAX)
		flight *= 2;
	return flight;
}

/* An isolated symbol needs as many as any other. */
static void redundancy_alone(struct fec_redundancy *r)
{
	for (unsigned n = 1; n <= FEC_ISOLATED_MAX; n++)
		r->isolated[n] = (uint16_t)r->repairs;
}

static void redundancy_fixed(const struct tunnel_fec *fec, struct fec_redundancy *ret)
{
	*ret = (struct fec_redundancy){
		.repairs = fec->repairs,
		.share = fec->goal.share,
		.window = fec_risk_window(fec->repairs, fec->goal.share),
		.residual = -1,
	};
	redundancy_alone(ret);
}

/* The path is never taken for better than assumed; `upper` NULL: nothing is measured. */
static struct fec_path redundancy_worst(const struct tunnel_fec *fec,
					const struct fec_path *upper)
{
	struct fec_path worst = fec->goal.assume;

	if (upper && upper->loss > worst.loss)
		worst.loss = upper->loss;
	if (upper && upper->burst > worst.burst)
		worst.burst = upper->burst;
	return worst;
}

/* What blocks need: they have no share to choose, and no window. */
static int redundancy_blocks(const struct tunnel_fec *fec, const struct fec_path *path,
			     unsigned flight, struct fec_redundancy *ret)
{
	const struct fec_goal *goal = &fec->goal;
	struct fec_path worst = redundancy_worst(fec, path);

	if (!(goal->safety > 0 && goal->safety <= 1) || !fec_path_valid(&worst))
		return -EINVAL;
	if (goal->flight > 0)
		flight = goal->flight;
	ret->repairs = blocks_repairs(&fec->code, &worst, goal->safety,
				      flight > 0 ? flight : FEC_FLIGHT_DEFAULT);
	redundancy_alone(ret);
	ret->share = (double)fec->code.c / (fec->code.r > 0 ? fec->code.r : 1);
	return 0;
}

/* 0, -ERANGE with the best there is, or -EINVAL. */
static int redundancy_weigh(const struct tunnel_fec *fec, const struct fec_path *path,
			    unsigned flight, struct fec_redundancy *ret)
{
	struct fec_goal goal = fec->goal;
	enum fec_code kind = redundancy_kind(&fec->code);

	*ret = (struct fec_redundancy){ .residual = -1 };
	if (kind == FEC_NONE)
		return 0;
	if (fec->repairs_fixed) {
		redundancy_fixed(fec, ret);
		return 0;
	}
	if (kind != FEC_WINDOW)
		return redundancy_blocks(fec, path, flight, ret);
	/* Less cannot be modelled; more is no harm. */
	if (goal.min < FEC_SHARE_MIN)
		goal.min = FEC_SHARE_MIN;
	if (goal.share > 0 && goal.share < FEC_SHARE_MIN)
		goal.share = FEC_SHARE_MIN;
	if (goal.flight == 0)
		goal.flight = flight;
	return fec_redundancy(&goal, path, ret);
}

static void redundancy_apply(struct tunnel *t, const struct fec_params *code,
			     const struct fec_redundancy *r, bool unreachable)
{
	t->redundancy.code = *code;
	t->redundancy.now = *r;
	t->redundancy.unreachable = unreachable;
	t->repairs.share = code->code == FEC_WINDOW
				   ? (uint64_t)(r->share * (double)TUNNEL_SHARE_ONE)
				   : 0;
}

int tunnel_redundancy_init(struct tunnel *t, rt_time now)
{
	struct tunnel_redundancy *red = &t->redundancy;
	const struct tunnel_fec *fec = &t->params.fec;
	struct fec_redundancy r;
	struct fec_params code;
	int weighed, res;

	if (!redundancy_possible(fec))
		return -EINVAL;
	fec_estimate_init(&red->estimate);
	red->weighed_at = now;
	weighed = redundancy_weigh(fec, NULL, 0, &r);
	if (weighed != 0 && weighed != -ERANGE)
		return weighed;
	code = redundancy_code(t, fec, &r);
	res = fec_encoder_new(&code, &t->encoder);
	if (res != 0) {
		t->encoder = NULL;
		return res;
	}
	redundancy_apply(t, &code, &r, weighed != 0);
	return 0;
}

/* ---- the gate's rule ----------------------------------------------------------------- */

/* The code can give what the goal asks for. */
static bool redundancy_able(const struct tunnel *t)
{
	if (t->params.fec.policy == TUNNEL_PAPER)
		return true;
	switch (t->redundancy.code.code) {
	case FEC_NONE:
		return false;
	case FEC_LAYERED:
	case FEC_RS:
		return t->redundancy.now.repairs <= t->redundancy.code.c;
	case FEC_WINDOW:
		return !t->redundancy.unreachable;
	}
	return false;
}

/* Symbols from the first to the last of a block, at most. */
static uint64_t redundancy_span(const struct fec_params *code)
{
	uint64_t span = code->r;

	for (unsigned i = 0; code->code == FEC_LAYERED && i < code->c; i++)
		if (span < (uint64_t)code->r * code->interleave[i])
			span = (uint64_t)code->r * code->interleave[i];
	return span;
}

void tunnel_gate_changed(struct tunnel *t)
{
	struct wire_gate_rule rule = {
		.code = t->redundancy.code.code,
		.paper = t->params.fec.policy == TUNNEL_PAPER,
		.repairs = t->redundancy.now.repairs,
		.covers = t->redundancy.code.c,
		.span = redundancy_span(&t->redundancy.code),
	};

	static_assert(sizeof(rule.isolated) == sizeof(t->redundancy.now.isolated),
		      "the same");
	memcpy(rule.isolated, t->redundancy.now.isolated, sizeof(rule.isolated));
	wire_gate_follow(&t->gate, &rule);
	evidence_choose(&t->evidence,
			redundancy_able(t) ? t->params.evidence : TUNNEL_MIRROR);
}

/* ---- changes ------------------------------------------------------------------------- */

/* Go on with this code and redundancy. 0, or the encoder's error and nothing changed. */
static int redundancy_change(struct tunnel *t, const struct fec_params *code,
			     const struct fec_redundancy *r, bool unreachable)
{
	int res = fec_encoder_change(t->encoder, code);

	if (res != 0)
		return res;
	redundancy_apply(t, code, r, unreachable);
	wire_gate_window(&t->gate, fec_encoder_first(t->encoder));
	tunnel_gate_changed(t);
	return 0;
}

/* What was in force before a change of the settings. */
struct redundancy_before {
	struct tunnel_fec fec;
	struct fec_params code;
	struct fec_redundancy r;
};

/* The numbers that decided, and what follows from them; each with the one before. */
static void redundancy_say_changed(const struct tunnel *t,
				   const struct redundancy_before *before,
				   const struct fec_path *upper)
{
	const struct tunnel_redundancy *red = &t->redundancy;
	const struct fec_path worst = redundancy_worst(&t->params.fec, upper);

	rt_log(RT_LOG_INFO,
	       "fec-changed tunnel=%016llx code=%s code-before=%s "
	       "safety=%g safety-before=%g repairs=%u repairs-before=%u "
	       "share=%.4f share-before=%.4f window=%u window-before=%u "
	       "loss=%.4g burst=%.4g measured=%d flight=%u left=%.3g reached=%d",
	       (unsigned long long)t->params.id, fec_code_name(red->code.code),
	       fec_code_name(before->code.code), t->params.fec.goal.safety,
	       before->fec.goal.safety, red->now.repairs, before->r.repairs,
	       red->now.share, before->r.share, (unsigned)red->code.window,
	       (unsigned)before->code.window, worst.loss, worst.burst, upper != NULL,
	       red->flight, red->now.residual, !red->unreachable);
}

int tunnel_set_fec(struct tunnel *t, const struct tunnel_fec *fec, rt_time now)
{
	struct fec_path upper;
	bool known = fec_estimate_path(&t->redundancy.estimate, &upper, NULL);
	const struct redundancy_before before = { t->params.fec, t->redundancy.code,
						  t->redundancy.now };
	struct fec_redundancy r;
	struct fec_params code;
	int weighed, res;

	if (!redundancy_possible(fec))
		return -EINVAL;
	weighed = redundancy_weigh(fec, known ? &upper : NULL, t->redundancy.flight, &r);
	if (weighed != 0 && weighed != -ERANGE)
		return weighed;
	code = redundancy_code(t, fec, &r);
	tunnel_gate_update(t, now); /* by the old rule */
	t->params.fec = *fec;
	res = redundancy_change(t, &code, &r, weighed != 0);
	if (res != 0) {
		t->params.fec = before.fec;
		return res;
	}
	wire_gate_choose(&t->gate);
	tunnel_gate_update(t, now);
	redundancy_say_changed(t, &before, known ? &upper : NULL);
	return 0;
}

/* ---- following the path ------------------------------------------------------------- */

static bool redundancy_near(double a, double b)
{
	return a <= b * 1.1 && b <= a * 1.1;
}

/* The path has changed enough to ask again. */
static bool redundancy_stale(const struct tunnel *t, const struct fec_path *upper,
			     unsigned flight)
{
	const struct tunnel_redundancy *red = &t->redundancy;
	const struct fec_path path = redundancy_worst(&t->params.fec, upper);

	return flight != red->flight || !redundancy_near(path.loss, red->weighed.loss) ||
	       !redundancy_near(path.burst, red->weighed.burst);
}

/*
 * An elastic window grows at once. It becomes smaller when it is twice too large, and only
 * when what is in it has room in the new one: what leaves a window waits to be confirmed.
 */
static void redundancy_fit(const struct tunnel *t, struct fec_params *code)
{
	const struct fec_params *old = &t->redundancy.code;
	uint64_t in_window = fec_encoder_next(t->encoder) - fec_encoder_first(t->encoder);

	if (code->code != FEC_WINDOW || old->code != FEC_WINDOW)
		return;
	if (code->window < old->window &&
	    (2u * code->window > old->window || in_window > code->window))
		code->window = old->window;
}

void tunnel_redundancy_follow(struct tunnel *t, rt_time now)
{
	struct tunnel_redundancy *red = &t->redundancy;
	const struct tunnel_fec *fec = &t->params.fec;
	struct fec_path upper = fec->goal.assume;
	unsigned flight = redundancy_flight(t);
	struct fec_redundancy r;
	struct fec_params code;
	int weighed;

	if (fec->repairs_fixed || redundancy_kind(&fec->code) == FEC_NONE ||
	    rt_time_since(now, red->weighed_at) < REDUNDANCY_EVERY_NS)
		return;
	(void)fec_estimate_path(&red->estimate, &upper, NULL); /* or what is assumed */
	if (!redundancy_stale(t, &upper, flight))
		return;
	weighed = redundancy_weigh(fec, &upper, flight, &r);
	red->weighed_at = now;
	if (weighed != 0 && weighed != -ERANGE)
		return;
	code = redundancy_code(t, fec, &r);
	redundancy_fit(t, &code);
	/* Without memory for another window all stays as it is, until the next time. */
	if (redundancy_change(t, &code, &r, weighed != 0) != 0)
		return;
	red->weighed = redundancy_worst(fec, &upper);
	red->flight = flight;
}
