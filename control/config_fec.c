// SPDX-License-Identifier: BSD-3-Clause
#include "control/config_fec.h"

#include <errno.h>
#include <string.h>

#include "control/config.h"
#include "control/config_read.h"
#include "control/config_schema.h"
#include "fec/fec.h"
#include "fec/redundancy.h"
#include "rt/check.h"

_Static_assert(CONFIG_FEC_R_MAX == FEC_BLOCK_MAX, "what the codes take");
_Static_assert(CONFIG_FEC_LAYERS == FEC_LAYERS_MAX, "what the codes take");
_Static_assert(CONFIG_FEC_BINS_MAX == FEC_INTERLEAVE_MAX, "what the codes take");

#define RS_SYMBOLS_MAX 255 /* r + c: the field has no more points */

#define KEY(name) "groups[0].peer.fec." name

static enum fec_code code_of(const struct group_fec_config *f)
{
	enum fec_code code = FEC_NONE;
	int res = fec_code_parse(f->code, &code);

	rt_assert(res == 0); /* the schema's words are the codes' names */
	return code;
}

/*
 * As fec_redundancy(), of a line that nobody has measured; of the other codes, what the
 * model asks for at their share of repairs.
 */
static int fec_model(const struct group_fec_config *f, struct fec_redundancy *ret)
{
	struct fec_goal goal = {
		.safety = f->safety,
		.assume = { f->assume_loss, f->assume_burst },
		.min = f->min,
		.max = f->max,
		.share = f->share,
	};

	if (code_of(f) != FEC_WINDOW)
		goal.share = f->c < f->r ? (double)f->c / f->r : 1;
	return fec_redundancy(&goal, NULL, ret);
}

/* ---- checking ------------------------------------------------------------------------ */

static unsigned check_layers(const struct group_fec_config *f)
{
	unsigned n = 0;

	while (n < CONFIG_FEC_LAYERS && f->interleave[n] > 0)
		n++;
	return n;
}

static void check_layer_span(struct config_checking *c, const struct group_fec_config *f,
			     unsigned layer)
{
	unsigned bins = f->interleave[layer], span = fec_layer_span(f->r, bins);

	if (span > FEC_SPAN_MAX)
		CONFIG_WRONG(c,
			     config_is_set(c->file, KEY("interleave")) ? KEY("interleave")
								       : KEY("r"),
			     "r = %u with %u bins spans %u symbols; allowed: (r - 1) x "
			     "bins + 1 up to %u",
			     f->r, bins, span, FEC_SPAN_MAX);
}

static void check_layered(struct config_checking *c, const struct group_fec_config *f)
{
	unsigned n = check_layers(f);
	bool set = config_is_set(c->file, KEY("interleave"));

	if (f->c > CONFIG_FEC_LAYERS)
		CONFIG_WRONG(c, KEY("c"),
			     "%u is too many for code = \"layered\"; allowed: 0 to %d",
			     f->c, CONFIG_FEC_LAYERS);
	else if (n < f->c || (set && n != f->c && f->c > 0))
		CONFIG_WRONG(c, set ? KEY("interleave") : KEY("c"),
			     "c is %u, and interleave has %u entries; allowed: one for "
			     "each of the c layers",
			     f->c, n);
	else
		for (unsigned i = 0; i < f->c; i++)
			check_layer_span(c, f, i);
}

static void check_rs(struct config_checking *c, const struct group_fec_config *f)
{
	if (f->c == 0)
		CONFIG_WRONG(c, KEY("c"),
			     "0 is no code = \"rs\"; allowed: 1 or more, or code = "
			     "\"none\"");
	if (f->r + f->c > RS_SYMBOLS_MAX)
		CONFIG_WRONG(c, config_is_set(c->file, KEY("r")) ? KEY("r") : KEY("c"),
			     "r + c is %u; allowed: %d for code = \"rs\"", f->r + f->c,
			     RS_SYMBOLS_MAX);
}

static void check_policy(struct config_checking *c, const struct group_fec_config *f)
{
	if (!f->paper)
		return;
	if (code_of(f) == FEC_NONE)
		CONFIG_WRONG(c, KEY("policy"),
			     "\"paper\" counts repairs, and code = \"none\" makes none");
	if (config_is_set(c->file, KEY("safety")))
		CONFIG_WRONG(c, KEY("safety"),
			     "it says nothing with policy = \"paper\", which waits for a "
			     "repair and asks for no probability");
}

static void check_risk(struct config_checking *c, const struct group_fec_config *f)
{
	struct fec_redundancy need;

	if (f->min > f->max) {
		CONFIG_WRONG(c,
			     config_is_set(c->file, KEY("min")) ? KEY("min") : KEY("max"),
			     "min (%g) is more than max (%g)", f->min, f->max);
		return;
	}
	if (code_of(f) == FEC_WINDOW && !f->paper && fec_model(f, &need) == -ERANGE)
		CONFIG_WRONG(
			c, KEY("safety"),
			"%g is out of reach at a loss of %g in bursts of %g, with %u "
			"repairs and a window of %u too: %.2g is what is left; "
			"allowed: more risk, or a larger share or max",
			f->safety, f->assume_loss, f->assume_burst, need.repairs,
			need.window, need.residual);
}

void config_fec_check(struct config_checking *c)
{
	const struct group_fec_config *f = &c->config->group.peer.fec;

	if (code_of(f) == FEC_LAYERED)
		check_layered(c, f);
	if (code_of(f) == FEC_RS)
		check_rs(c, f);
	check_policy(c, f);
	check_risk(c, f);
}

/* ---- describing ---------------------------------------------------------------------- */

static void describe_code(const struct group_fec_config *f, FILE *out)
{
	fprintf(out, "    fec       %s", f->code);
	switch (code_of(f)) {
	case FEC_WINDOW:
		if (f->share > 0)
			fprintf(out, ", %g repairs for each symbol", f->share);
		else
			fprintf(out,
				", as many repairs as the link asks for, %g to %g for "
				"each symbol",
				f->min, f->max);
		break;
	case FEC_LAYERED:
		fprintf(out, ", r = %u, c = %u, interleave =", f->r, f->c);
		for (unsigned i = 0; i < f->c; i++)
			fprintf(out, "%s %u", i > 0 ? "," : "", f->interleave[i]);
		fprintf(out, "%s", f->delayed ? ", delayed" : "");
		break;
	case FEC_RS:
		fprintf(out, ", c = %u repairs for each block of r = %u", f->c, f->r);
		break;
	case FEC_NONE:
		break;
	}
	fprintf(out, "%s\n", f->on_demand ? "" : "; none on demand and none at idle");
}

static void describe_risk(const struct group_fec_config *f, FILE *out)
{
	struct fec_redundancy need;
	int res = fec_model(f, &need);

	if (res < 0 && res != -ERANGE)
		return;
	fprintf(out,
		"              at a loss of %g in bursts of %g: a write counts as on the "
		"wire when\n"
		"              %u repairs that cover it have left, %u if it is alone; "
		"%.3g repairs for\n"
		"              each symbol, window %u; a disaster then costs a completed "
		"`network`\n"
		"              write with probability %.2g\n",
		f->assume_loss, f->assume_burst, need.repairs, need.isolated[1],
		need.share, need.window, need.residual);
	if (res == -ERANGE)
		fprintf(out,
			"              which is more than the safety of %g that is "
			"asked for\n",
			f->safety);
	if (code_of(f) != FEC_WINDOW)
		fprintf(out,
			"              (the model is that of `window`; where %s cannot "
			"give "
			"so many,\n"
			"              `network` waits for what the mirror has "
			"received)\n",
			f->code);
}

void config_fec_describe(const struct group_peer_config *peer, FILE *out)
{
	const struct group_fec_config *f = &peer->fec;

	if (peer->tcp)
		return;
	if (code_of(f) == FEC_NONE) {
		fprintf(out, "    fec       none: `network` waits for what the mirror "
			     "has received, "
			     "a round trip\n");
		return;
	}
	describe_code(f, out);
	if (f->paper)
		fprintf(out, "              policy paper, for comparisons: one repair "
			     "that covers a write\n"
			     "              has left; no probability is promised\n");
	else
		describe_risk(f, out);
}
