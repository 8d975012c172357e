// SPDX-License-Identifier: BSD-3-Clause
#include "control/command.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "control/config_units.h"
#include "control/plan.h"
#include "rt/check.h"

enum {
	OPTION_LOSS = 256,
	OPTION_BURST,
	OPTION_RTT,
	OPTION_RATE,
	OPTION_SAFETY,
	OPTION_SHARE,
	OPTION_CODE,
	OPTION_R,
	OPTION_C,
	OPTION_INTERLEAVE,
	OPTION_JSON,
	OPTION_HELP,
};

static const struct option options[] = {
	{ "loss", required_argument, NULL, OPTION_LOSS },
	{ "burst", required_argument, NULL, OPTION_BURST },
	{ "rtt", required_argument, NULL, OPTION_RTT },
	{ "rate", required_argument, NULL, OPTION_RATE },
	{ "safety", required_argument, NULL, OPTION_SAFETY },
	{ "share", required_argument, NULL, OPTION_SHARE },
	{ "code", required_argument, NULL, OPTION_CODE },
	{ "r", required_argument, NULL, OPTION_R },
	{ "c", required_argument, NULL, OPTION_C },
	{ "interleave", required_argument, NULL, OPTION_INTERLEAVE },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ 0 },
};

static const char usage[] =
	"usage: wanmirror plan --rtt MS --rate RATE [--loss P] [--burst N] [--safety P]\n"
	"                      [--share S] [--code CODE] [--r N] [--c N]\n"
	"                      [--interleave N,N,...] [--json]\n"
	"  --loss P       share of datagrams that the link loses (0.01); also 1%\n"
	"  --burst N      mean length of a loss burst (1: each loss on its own)\n"
	"  --safety P     share of disasters that may lose a completed write (1e-6)\n"
	"  --share S      repairs per data symbol, fixed; otherwise the least that does\n"
	"  --code CODE    window, layered, rs or none; --r 8 --c 3, --interleave "
	"1,19,41\n"
	"It asks no daemon. See wanmirror(1).\n";

struct plan_line {
	struct plan_question question;
	unsigned interleaves; /* given */
	bool json, help;
};

__attribute__((format(printf, 2, 3))) static bool wrong(FILE *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(err, "wanmirror: plan: ");
	(void)vfprintf(err, fmt, args); /* standard error is all there is to tell */
	fprintf(err, "\n");
	va_end(args);
	return false;
}

/* A number from least to most, or as many hundredths with a percent sign. */
static bool take_number(const char *name, double least, double most, double *ret,
			FILE *err)
{
	char *end;
	double value = strtod(optarg, &end);

	if (end != optarg && strcmp(end, "%") == 0 && most <= 1) {
		value /= 100;
		end++;
	}
	if (end == optarg || *end || !(value >= least && value <= most))
		return wrong(err, "%s: %s is not possible; allowed: %g to %g", name,
			     optarg, least, most);
	*ret = value;
	return true;
}

static bool take_count(const char *name, const char *text, unsigned most, uint16_t *ret,
		       const char **rest, FILE *err)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || value < 1 || value > most ||
	    (*end && !(rest && *end == ',')))
		return wrong(err, "%s: %s is not possible; allowed: 1 to %u%s", name,
			     optarg, most, rest ? ", with commas between" : "");
	*ret = (uint16_t)value;
	if (rest)
		*rest = *end ? end + 1 : end;
	return true;
}

static bool take_interleave(struct plan_line *l, FILE *err)
{
	const char *text = optarg;

	for (l->interleaves = 0; l->interleaves == 0 || *text; l->interleaves++) {
		if (l->interleaves == FEC_LAYERS_MAX)
			return wrong(err, "--interleave: more than %d layers",
				     FEC_LAYERS_MAX);
		if (!take_count("--interleave", text, FEC_INTERLEAVE_MAX,
				&l->question.code.interleave[l->interleaves], &text, err))
			return false;
	}
	return true;
}

static bool take_rtt(struct plan_line *l, FILE *err)
{
	char *end;
	double ms = strtod(optarg, &end);

	if (end == optarg || (*end && strcmp(end, "ms") != 0) ||
	    !(ms >= 0 && ms <= 60000))
		return wrong(err, "--rtt: %s is not possible; allowed: 0 to 60000, in ms",
			     optarg);
	l->question.rtt_ms = ms;
	return true;
}

static bool take_rate(struct plan_line *l, FILE *err)
{
	const char *why;

	if (config_quantity_parse(optarg, config_rate_units, &l->question.rate_bps,
				  &why) < 0)
		return wrong(err, "--rate: %s: %s; allowed: bit, kbit, Mbit, Gbit",
			     optarg, why);
	if (l->question.rate_bps == 0)
		return wrong(err, "--rate: 0 is no rate; allowed: 1bit and more");
	return true;
}

static bool take_code(struct plan_line *l, FILE *err)
{
	if (fec_code_parse(optarg, &l->question.code.code) == 0)
		return true;
	return wrong(err, "--code: %s is no code; allowed: window, layered, rs, none",
		     optarg);
}

static bool take_option(int option, struct plan_line *l, FILE *err)
{
	struct fec_goal *goal = &l->question.goal;
	struct fec_params *code = &l->question.code;

	switch (option) {
	case OPTION_LOSS:
		return take_number("--loss", 0, 0.5, &goal->assume.loss, err);
	case OPTION_BURST:
		return take_number("--burst", 1, FEC_BURST_MAX, &goal->assume.burst, err);
	case OPTION_SAFETY:
		return take_number("--safety", 1e-12, 1, &goal->safety, err);
	case OPTION_SHARE:
		return take_number("--share", FEC_SHARE_MIN, 1, &goal->share, err);
	case OPTION_RTT:
		return take_rtt(l, err);
	case OPTION_RATE:
		return take_rate(l, err);
	case OPTION_CODE:
		return take_code(l, err);
	case OPTION_R:
		return take_count("--r", optarg, FEC_BLOCK_MAX, &code->r, NULL, err);
	case OPTION_C:
		return take_count("--c", optarg, FEC_BLOCK_MAX, &code->c, NULL, err);
	case OPTION_INTERLEAVE:
		return take_interleave(l, err);
	case OPTION_JSON:
		l->json = true;
		return true;
	case OPTION_HELP:
		l->help = true;
		return true;
	}
	rt_assert(0);
	return false;
}

static bool layers_possible(const struct fec_params *code, FILE *err)
{
	for (unsigned i = 0; i < code->c; i++) {
		unsigned bins = code->interleave[i], span = fec_layer_span(code->r, bins);

		if (span > FEC_SPAN_MAX)
			return wrong(err,
				     "--interleave: %u bins with --r %u span %u symbols; "
				     "allowed: (r - 1) x bins + 1 up to %u",
				     bins, code->r, span, FEC_SPAN_MAX);
	}
	return true;
}

/* What one option alone does not show. */
static bool check_code(struct plan_line *l, FILE *err)
{
	static const uint16_t usual[] = { 1, 19, 41 }; /* as in the file */
	struct fec_params *code = &l->question.code;

	if (code->code != FEC_LAYERED && code->code != FEC_RS) {
		if (code->r || code->c || l->interleaves)
			return wrong(err, "--r, --c and --interleave go with --code "
					  "layered or rs");
		return true;
	}
	if (l->question.goal.share > 0)
		return wrong(err, "--share goes with --code window; of %s it is c / r",
			     fec_code_name(code->code));
	code->r = code->r ? code->r : 8;
	code->c = code->c ? code->c : 3;
	if (code->c > code->r)
		return wrong(err, "--c: %u is more than --r, %u", code->c, code->r);
	if (code->code == FEC_RS)
		return l->interleaves == 0 ||
		       wrong(err, "--interleave goes with --code layered");
	if (code->c > FEC_LAYERS_MAX)
		return wrong(err, "--c: %u is not possible; allowed: 1 to %d layers",
			     code->c, FEC_LAYERS_MAX);
	if (l->interleaves == 0 && code->c == RT_ARRAY_LEN(usual)) {
		memcpy(code->interleave, usual, sizeof(usual));
		l->interleaves = RT_ARRAY_LEN(usual);
	}
	if (l->interleaves != code->c)
		return wrong(err, "--interleave: %u given, and --c is %u: one for each",
			     l->interleaves, code->c);
	return layers_possible(code, err);
}

static bool line_parse(int argc, char **argv, struct plan_line *l, FILE *err)
{
	int option;

	opterr = 0;
	optind = 0; /* all over again, for tests that parse twice */
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (option == ':')
			return wrong(err, "%s wants a value", argv[optind - 1]);
		if (option == '?')
			return wrong(err,
				     "%s is no option of it; see wanmirror plan --help",
				     argv[optind - 1]);
		if (!take_option(option, l, err))
			return false;
	}
	if (l->help)
		return true;
	if (argc - optind != 1)
		return wrong(err, "it takes no argument, but options");
	if (l->question.rate_bps == 0)
		return wrong(err, "--rate is missing, such as 1Gbit");
	if (l->question.rtt_ms < 0)
		return wrong(err, "--rtt is missing, in ms");
	return check_code(l, err);
}

enum control_exit command_plan(const struct command *command, FILE *out, FILE *err)
{
	struct plan_line line = {
		.question = { .goal = { .safety = 1e-6,
					.assume = { 0.01, 1 },
					.min = 0.03,
					.max = 0.5 },
			      .code = { .code = FEC_WINDOW },
			      .rtt_ms = -1 },
	};
	struct plan_answer answer;

	if (!line_parse(command->argc, command->argv, &line, err))
		return CONTROL_USAGE;
	if (line.help) {
		fprintf(out, "%s", usage);
		return CONTROL_DONE;
	}
	if (plan_weigh(&line.question, &answer) < 0)
		return CONTROL_USAGE; /* each part of it was found possible before */
	if (line.json)
		return plan_print_json(&line.question, &answer, out) == 0
			       ? CONTROL_DONE
			       : CONTROL_FAILED;
	plan_print(&line.question, &answer, out);
	return CONTROL_DONE;
}
