// SPDX-License-Identifier: BSD-3-Clause
#include "control/plan.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "control/config_units.h"

/* A datagram of the default symbol: with the tunnel's and the IP headers it fills 1500. */
#define PLAN_SYMBOL 1408.0
#define PLAN_DATAGRAM 1500.0
#define PLAN_WRITE_SYMBOLS 3 /* of a write of 4 KiB */

static double datagrams_ms(const struct plan_question *q, double datagrams)
{
	return datagrams * PLAN_DATAGRAM * 8 * 1000 / (double)q->rate_bps;
}

__attribute__((format(printf, 2, 3))) static void note(struct plan_answer *a,
						       const char *fmt, ...)
{
	va_list args;

	if (a->notes == PLAN_NOTES)
		return;
	va_start(args, fmt);
	(void)vsnprintf(a->note[a->notes++], PLAN_NOTE_TEXT, fmt, args);
	va_end(args);
}

static unsigned common_factor(unsigned a, unsigned b)
{
	while (b) {
		unsigned rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* Two symbols that share a bin in one layer should not share one in the other. */
static void note_layers(const struct plan_question *q, struct plan_answer *a)
{
	const uint16_t *bins = q->code.interleave;
	unsigned above = 0;

	for (unsigned i = 0; i < q->code.c; i++) {
		for (unsigned j = i + 1; j < q->code.c; j++) {
			unsigned factor = common_factor(bins[i], bins[j]);

			if (factor > 1)
				note(a,
				     "the interleaves %u and %u share the factor %u: "
				     "losses that one layer cannot mend often defeat the "
				     "other as well",
				     bins[i], bins[j], factor);
		}
		above += bins[i] > q->goal.assume.burst;
	}
	if (q->goal.assume.burst > 1)
		note(a, "%u of the %u layers reach beyond a run of %g losses", above,
		     q->code.c, q->goal.assume.burst);
}

/* Symbols until the last repair of a symbol has left, while data flows. */
static double blocks_wait(const struct fec_params *code)
{
	unsigned most = 1;

	for (unsigned i = 0; code->code == FEC_LAYERED && i < code->c; i++)
		most = code->interleave[i] > most ? code->interleave[i] : most;
	return (double)most * code->r;
}

static void weigh_waits(const struct plan_question *q, struct plan_answer *a)
{
	unsigned m = a->redundancy.repairs;
	unsigned isolated = a->redundancy.isolated[PLAN_WRITE_SYMBOLS];
	double flow = m / a->share;

	if (q->code.code != FEC_WINDOW) {
		isolated = q->code.c; /* flushed, each bin gives its repair */
		flow = blocks_wait(&q->code);
	}
	a->lone_datagrams = PLAN_WRITE_SYMBOLS + isolated;
	a->busy_datagrams = flow * (1 + a->share);
	a->lone_ms = datagrams_ms(q, a->lone_datagrams);
	a->busy_ms = datagrams_ms(q, a->busy_datagrams);
	if (a->gate == PLAN_REPAIRS && a->busy_ms > q->rtt_ms)
		note(a,
		     "in a flow of data the repairs take longer than the round trip of "
		     "%g "
		     "ms: the mirror's word comes first",
		     q->rtt_ms);
}

static int weigh_blocks(const struct plan_question *q, struct plan_answer *a)
{
	struct fec_goal goal = q->goal;
	int res;

	goal.share = (double)q->code.c / q->code.r;
	if (goal.share > 1)
		return -EINVAL;
	res = fec_redundancy(&goal, NULL, &a->redundancy);
	if (res == -EINVAL)
		return res;
	a->share = goal.share;
	if (res < 0)
		a->gate = PLAN_OUT_OF_REACH;
	else if (a->redundancy.repairs > q->code.c)
		a->gate = PLAN_TOO_FEW;
	if (q->code.code == FEC_LAYERED)
		note_layers(q, a);
	return 0;
}

static int weigh_window(const struct plan_question *q, struct plan_answer *a)
{
	int res = fec_redundancy(&q->goal, NULL, &a->redundancy);

	if (res == -EINVAL)
		return res;
	a->share = a->redundancy.share;
	if (res == -ERANGE)
		a->gate = PLAN_OUT_OF_REACH;
	return 0;
}

int plan_weigh(const struct plan_question *q, struct plan_answer *ret)
{
	struct plan_question asked = *q;
	struct plan_answer a = { .gate = PLAN_REPAIRS };
	double flight;
	int res = 0;

	if (q->rate_bps == 0 || !(q->rtt_ms >= 0 && q->rtt_ms <= 1e6))
		return -EINVAL;
	flight = (double)q->rate_bps * q->rtt_ms / 1000 / (8 * PLAN_DATAGRAM);
	asked.goal.flight = flight < 1e6 ? 1 + (unsigned)flight : 1000000;
	if (q->code.code == FEC_NONE)
		a.gate = PLAN_RECEIVED;
	else if (q->code.code == FEC_WINDOW)
		res = weigh_window(&asked, &a);
	else
		res = weigh_blocks(&asked, &a);
	if (res < 0)
		return res;
	if (a.share > 0)
		weigh_waits(q, &a);
	a.goodput_bps = (double)q->rate_bps * PLAN_SYMBOL / PLAN_DATAGRAM / (1 + a.share);
	*ret = a;
	return 0;
}

/* ---- for people --------------------------------------------------------------------------- */

static void print_gate(const struct plan_question *q, const struct plan_answer *a,
		       FILE *out)
{
	const struct fec_redundancy *r = &a->redundancy;

	switch (a->gate) {
	case PLAN_REPAIRS:
		fprintf(out,
			"gate       a write completes when %u repairs that cover it have "
			"left"
			"\n           %u for an isolated one of 4 KiB\n",
			r->repairs, r->isolated[PLAN_WRITE_SYMBOLS]);
		break;
	case PLAN_RECEIVED:
		fprintf(out,
			"gate       no repairs: a write completes when the mirror has "
			"received it\n");
		break;
	case PLAN_TOO_FEW:
		fprintf(out,
			"gate       the goal asks for %u repairs that cover a write, and "
			"this "
			"code gives %u:\n           a write completes when the mirror "
			"has "
			"received it\n",
			r->repairs, q->code.c);
		break;
	case PLAN_OUT_OF_REACH:
		fprintf(out,
			"gate       the goal is out of reach: a write completes when "
			"the mirror has received it\n");
		break;
	}
}

static void print_wait(const struct plan_question *q, const struct plan_answer *a,
		       FILE *out)
{
	if (a->gate != PLAN_REPAIRS) {
		fprintf(out,
			"wait       %g ms, a round trip, and what it takes to repair\n",
			q->rtt_ms);
		return;
	}
	fprintf(out, "wait       %.0f datagrams, %.3g ms for an isolated write\n",
		a->lone_datagrams, a->lone_ms);
	fprintf(out, "           %.0f datagrams, %.3g ms in a flow of data\n",
		ceil(a->busy_datagrams), a->busy_ms);
}

static void print_risk(const struct plan_answer *a, bool window, FILE *out)
{
	const struct fec_redundancy *r = &a->redundancy;

	if (a->gate == PLAN_REPAIRS && !window) {
		fprintf(out,
			"risk       not stated: the model is that of the window code\n");
		return;
	}
	if (a->gate == PLAN_REPAIRS) {
		fprintf(out,
			"risk       %.1e: share of disasters that lose a completed "
			"`network` "
			"write\n",
			r->residual);
		return;
	}
	fprintf(out, "risk       none: what completes is at the mirror\n");
	if (a->gate == PLAN_OUT_OF_REACH && window)
		fprintf(out,
			"           (%u repairs at a share of %.3g and a window of %u "
			"would "
			"leave %.1e)\n",
			r->repairs, r->share, r->window, r->residual);
}

void plan_print(const struct plan_question *q, const struct plan_answer *a, FILE *out)
{
	char rate[CONFIG_QUANTITY_TEXT];
	const struct fec_path *line = &q->goal.assume;

	fprintf(out, "link       %g %% lost, ", 100 * line->loss);
	if (line->burst > 1)
		fprintf(out, "in bursts of %g on average", line->burst);
	else
		fprintf(out, "each on its own");
	fprintf(out, "; %g ms round trip; %s\n", q->rtt_ms,
		config_quantity_format(q->rate_bps, config_rate_units, rate));
	fprintf(out, "goal       at most %g of all disasters lose a completed write\n",
		q->goal.safety);
	fprintf(out, "code       %s", fec_code_name(q->code.code));
	if (q->code.code == FEC_WINDOW)
		fprintf(out, " of %u symbols", a->redundancy.window);
	else if (q->code.code != FEC_NONE)
		fprintf(out, " (%u,%u)", q->code.r, q->code.c);
	for (unsigned i = 0; q->code.code == FEC_LAYERED && i < q->code.c; i++)
		fprintf(out, "%s%u", i ? "," : " over ", q->code.interleave[i]);
	fprintf(out, "\noverhead   %.3g %% of the data while it flows\n", 100 * a->share);
	fprintf(out, "goodput    %.3g Mbit/s at most\n", a->goodput_bps / 1e6);
	print_gate(q, a, out);
	print_wait(q, a, out);
	print_risk(a, q->code.code == FEC_WINDOW, out);
	for (unsigned i = 0; i < a->notes; i++)
		fprintf(out, "note       %s\n", a->note[i]);
}

/* ---- for scripts -------------------------------------------------------------------------- */

static const char *gate_name(enum plan_gate gate)
{
	switch (gate) {
	case PLAN_REPAIRS:
		return "repairs";
	case PLAN_RECEIVED:
	case PLAN_TOO_FEW:
	case PLAN_OUT_OF_REACH:
		break;
	}
	return "received";
}

static json_t *notes_json(const struct plan_answer *a)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < a->notes; i++)
		(void)json_array_append_new(list,
					    json_string(a->note[i])); /* seen below */
	return list;
}

/* 0 where a write waits for the mirror; what no model states is null. */
static json_t *risk_json(const struct plan_question *q, const struct plan_answer *a)
{
	if (a->gate != PLAN_REPAIRS)
		return json_real(0);
	return q->code.code == FEC_WINDOW ? json_real(a->redundancy.residual)
					  : json_null();
}

/* What depends on repairs is null where writes do not wait for them. */
static json_t *gate_json(const struct plan_answer *a)
{
	const struct fec_redundancy *r = &a->redundancy;

	if (a->gate != PLAN_REPAIRS)
		return json_pack("{s:n, s:n, s:n, s:n, s:n}", "lone_repairs",
				 "lone_datagrams", "lone_ms", "busy_datagrams",
				 "busy_ms");
	return json_pack("{s:i, s:f, s:f, s:f, s:f}", "lone_repairs",
			 (int)r->isolated[PLAN_WRITE_SYMBOLS], "lone_datagrams",
			 a->lone_datagrams, "lone_ms", a->lone_ms, "busy_datagrams",
			 a->busy_datagrams, "busy_ms", a->busy_ms);
}

int plan_print_json(const struct plan_question *q, const struct plan_answer *a, FILE *out)
{
	const struct fec_redundancy *r = &a->redundancy;
	const struct fec_path *line = &q->goal.assume;
	bool reached = a->gate != PLAN_OUT_OF_REACH;
	json_t *root =
		json_pack("{s:f, s:f, s:f, s:I, s:f, s:s, s:s, s:b, s:f, s:i, s:i, s:o, "
			  "s:o, s:o, s:f}",
			  "loss", line->loss, "burst", line->burst, "rtt_ms", q->rtt_ms,
			  "rate_bps", (json_int_t)q->rate_bps, "safety", q->goal.safety,
			  "code", fec_code_name(q->code.code), "gate", gate_name(a->gate),
			  "reached", (int)reached, "share", a->share, "repairs",
			  (int)r->repairs, "window", (int)r->window, "risk",
			  risk_json(q, a), "wait", gate_json(a), "notes", notes_json(a),
			  "goodput_bps", a->goodput_bps);
	int res = root ? json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(6))
		       : -1;

	json_decref(root);
	if (res == 0)
		fprintf(out, "\n");
	return res == 0 ? 0 : -ENOMEM;
}
