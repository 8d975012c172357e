// SPDX-License-Identifier: BSD-3-Clause
/*
 * What fec/ states about disasters, against disasters drawn at random. `safety codec`
 * kills the real codes and the product's wire gate, `safety model` holds the risk model against an ideal
 * code over a grid of lines, `safety mixed` the rule for isolated writes. Exit status 1 where
 * a bar is missed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rt/check.h"
#include "tests/safety/safety.h"

#define SEED 20090224 /* of all that is drawn; --seed */
#define MODEL_LOSSES 150
#define MODEL_MOST 2000000000u
#define FLIGHT 4096
#define MIXED_MOST 20000000 /* datagrams */
#define MIXED_FAILS 20u
#define MIXED_CUTS 2000u

struct options {
	uint64_t seed, kills, losses;
};

static double seconds(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

/* ---- model ------------------------------------------------------------------------------- */

/* The fewest repairs that do, without the floor that the gate has. */
static double without_floor(const struct fec_goal *g, struct fec_redundancy *r)
{
	double stated;

	for (unsigned m = 1; m < r->repairs && r->repairs <= FEC_RISK_REPAIRS_MIN; m++) {
		if (fec_risk_residual(&g->assume, m, r->share, &stated) == 0 &&
		    stated <= g->safety) {
			r->repairs = m;
			return stated;
		}
	}
	return r->residual;
}

static bool model_point(const struct fec_goal *g, const struct options *o,
			struct safety_drawn *total)
{
	struct fec_redundancy r;
	int res = fec_redundancy(g, NULL, &r);
	double stated = without_floor(g, &r), drawn, ratio;
	struct safety_ideal c = { g->assume, r.share, r.repairs, r.window, FLIGHT };
	struct safety_drawn d;

	safety_ideal_draw(&c, o->losses, MODEL_MOST, o->seed + total->disasters, &d);
	drawn = safety_share(&d);
	ratio = d.fatal ? stated / drawn : 0;
	printf("%5.1f %% %5.0f %7.0e %6.3f %4u %6u  %9.2e %9.2e +-%2.0f %% %6llu "
	       "%7.2f%s%s\n",
	       100 * g->assume.loss, g->assume.burst, g->safety, r.share, r.repairs,
	       r.window, stated, drawn, 100 * safety_noise(&d),
	       (unsigned long long)d.losses, ratio, res < 0 ? "  goal out of reach" : "",
	       ratio >= 1 && ratio <= 30 ? "" : "  MISSED");
	total->disasters += d.disasters;
	total->losses += d.losses;
	return ratio >= 1 && ratio <= 30;
}

static int model(const struct options *o)
{
	static const double losses[] = { 0.001, 0.003, 0.01, 0.02, 0.05 };
	static const double bursts[] = { 1, 2, 4, 8, 16, 32, 64 };
	static const double safeties[] = { 1e-2, 1e-3, 1e-4 };
	const unsigned nlosses = RT_ARRAY_LEN(losses), nbursts = RT_ARRAY_LEN(bursts);
	struct safety_drawn total = { 0 };
	unsigned points = 0, good = 0;
	double start = seconds();

	printf("What the model states against what is drawn: ideal code, window as "
	       "chosen, "
	       "holes mended\nafter %d symbols, %llu losses a point\n\n",
	       FLIGHT, (unsigned long long)o->losses);
	printf("   loss burst  safety  share    m window     stated     drawn       "
	       "losses "
	       "  ratio\n");
	for (; points < nlosses * nbursts * RT_ARRAY_LEN(safeties); points++) {
		struct fec_goal g = { .safety = safeties[points % RT_ARRAY_LEN(safeties)],
				      .min = 0.03,
				      .max = 0.5,
				      .flight = FLIGHT };
		unsigned line = points / RT_ARRAY_LEN(safeties);

		g.assume = (struct fec_path){ losses[line / nbursts],
					      bursts[line % nbursts] };
		good += model_point(&g, o, &total);
	}
	printf("\nsafety-model: %u of %u points stated 1 to 30 times what is drawn "
	       "(%.1e disasters, %llu losses, %.0f s)\n",
	       good, points, (double)total.disasters, (unsigned long long)total.losses,
	       seconds() - start);
	return good == points ? 0 : 1;
}

/* ---- mixed ------------------------------------------------------------------------------- */

static bool mixed_draw(const struct safety_mixed *c, const struct options *o,
		       struct safety_drawn *ret)
{
	return safety_mixed_draw(c, o->losses, MIXED_MOST, o->seed, ret) == 0;
}

static bool mixed_point(const struct fec_goal *g, double load, unsigned flight,
			const struct options *o)
{
	struct safety_mixed c = { .line = g->assume, .load = load, .flight = flight };
	struct fec_redundancy r;
	struct safety_drawn d, careless;
	bool good;

	if (fec_redundancy(g, NULL, &r) < 0)
		return false;
	c.redundancy = &r;
	if (!mixed_draw(&c, o, &d))
		return false;
	c.careless = true;
	if (!mixed_draw(&c, o, &careless))
		return false;
	good = safety_share(&d) <= g->safety;
	printf("%5.1f %% %5.0f %7.0e %6.2f %7u %6.3f %4u %8u  %9.2e +-%2.0f %% %6llu  "
	       "%9.2e%s\n",
	       100 * g->assume.loss, g->assume.burst, g->safety, load, flight, r.share,
	       r.repairs, r.isolated[3], safety_share(&d),
	       d.fatal ? 100 * safety_noise(&d) : 0.0, (unsigned long long)d.losses,
	       safety_share(&careless), good ? "" : "  MISSED");
	return good;
}

/*
 * Where batches fail and the path is cut, too: by the rule, and were failures or deficits
 * ignored.
 */
static bool mixed_trouble(const struct fec_goal *g, double load, const struct options *o)
{
	struct safety_mixed c = { .line = g->assume,
				  .load = load,
				  .flight = 100,
				  .fails = MIXED_FAILS,
				  .cuts = MIXED_CUTS };
	struct fec_redundancy r;
	struct safety_drawn d, failures_ignored, deficits_ignored;
	bool good;

	if (fec_redundancy(g, NULL, &r) < 0)
		return false;
	c.redundancy = &r;
	if (!mixed_draw(&c, o, &d))
		return false;
	c.failures_ignored = true;
	if (!mixed_draw(&c, o, &failures_ignored))
		return false;
	c.failures_ignored = false;
	c.deficits_ignored = true;
	if (!mixed_draw(&c, o, &deficits_ignored))
		return false;
	good = safety_share(&d) <= g->safety &&
	       safety_share(&deficits_ignored) > safety_share(&d);
	printf("%5.1f %% %5.0f %7.0e %6.2f  %9.2e %6llu  %9.2e  %9.2e%s\n",
	       100 * g->assume.loss, g->assume.burst, g->safety, load, safety_share(&d),
	       (unsigned long long)d.losses, safety_share(&failures_ignored),
	       safety_share(&deficits_ignored), good ? "" : "  MISSED");
	return good;
}

static const struct fec_path mixed_lines[] = { { 0.01, 1 }, { 0.05, 1 }, { 0.02, 8 } };

static bool mixed_troubles(const struct options *o)
{
	bool good = true;

	printf("\nThe same; one send batch in %u fails, one datagram in %u begins a cut. "
	       "Beside it, were\nfailures not heard of, and were deficits to block "
	       "nothing\n\n"
	       "   loss burst  safety   load      drawn losses   failures   deficits\n",
	       MIXED_FAILS, MIXED_CUTS);
	for (unsigned i = 0; i < 2 * RT_ARRAY_LEN(mixed_lines); i++) {
		struct fec_goal g = { .safety = 1e-3,
				      .assume = mixed_lines[i / 2],
				      .min = 0.03,
				      .max = 0.5 };

		good = mixed_trouble(&g, i % 2 ? 0.6 : 0.1, o) && good;
	}
	return good;
}

static int mixed(const struct options *o)
{
	static const double loads[] = { 0.01, 0.1, 0.3, 0.6, 0.8 };
	static const double safeties[] = { 1e-2, 1e-3, 1e-4 };
	unsigned points = 0, good = 0;
	double start = seconds();
	bool troubles;

	printf("Writes that come and go, covered by m or by isolated[]; instants at "
	       "which "
	       "something is not\nconfirmed. Beside it, were symbols behind a write not "
	       "to "
	       "count in isolated[n]\n\n");
	printf("   loss burst  safety   load  flight  share    m  isolated[3]     drawn  "
	       "    "
	       " "
	       "losses  careless\n");
	for (unsigned i = 0; i < RT_ARRAY_LEN(mixed_lines) * RT_ARRAY_LEN(safeties);
	     i++) {
		struct fec_goal g = { .safety = safeties[i % 3],
				      .assume = mixed_lines[i / 3],
				      .min = 0.03,
				      .max = 0.5 };

		for (unsigned j = 0; j < 2 * RT_ARRAY_LEN(loads); j++, points++)
			good += mixed_point(&g, loads[j / 2], j % 2 ? 30 : 500, o);
	}
	troubles = mixed_troubles(o);
	printf("\nsafety-mixed: %u of %u points within their safety (%.0f s)\n", good,
	       points, seconds() - start);
	return good == points && troubles ? 0 : 1;
}

/* ---- codec ------------------------------------------------------------------------------- */

#define CODEC_SAFETY 1e-6
#define CODEC_MOST_LOST 8e-6 / 3 /* share of the kills */

static int codec_row(const char *name, const struct safety_codec *c, uint64_t kills,
		     const struct options *o, struct safety_drawn *ret)
{
	double start = seconds();
	int res = safety_codec_draw(c, kills, o->seed, ret);

	if (res < 0) {
		printf("%-46s %s\n", name, strerror(-res));
		return res;
	}
	printf("%-46s %9llu %7llu %9.2e %6.0f s\n", name, (unsigned long long)kills,
	       (unsigned long long)ret->fatal, safety_share(ret), seconds() - start);
	fflush(stdout);
	return 0;
}

static const struct fec_path codec_line = { 0.01, 1 };

static int codec_paper(const struct options *o)
{
	static const uint16_t interleaves[][3] = { { 1, 20, 40 }, { 1, 19, 41 } };
	uint64_t kills = o->kills / 10 > 0 ? o->kills / 10 : 1;
	struct safety_drawn d;

	for (unsigned i = 0; i < 2; i++) {
		struct safety_codec c = { .code = { .code = FEC_LAYERED, .r = 8, .c = 3 },
					  .line = codec_line,
					  .flight = FLIGHT };
		char name[64];

		memcpy(c.code.interleave, interleaves[i], sizeof(interleaves[i]));
		for (c.repairs = 0; c.repairs <= 3; c.repairs++) {
			c.paper = c.repairs == 0;
			(void)snprintf(name, sizeof(name),
				       "layered (8,3) I=(1,%u,%u), %s%.0u%s",
				       interleaves[i][1], interleaves[i][2],
				       c.paper ? "the paper's rule" : "gate at ",
				       c.repairs, c.paper ? "" : " repairs");
			if (codec_row(name, &c, kills, o, &d) < 0)
				return 1;
		}
	}
	return 0;
}

static int codec(const struct options *o)
{
	struct fec_goal g = {
		.safety = CODEC_SAFETY, .assume = codec_line, .min = 0.03, .max = 0.5
	};
	struct fec_redundancy r;
	struct safety_codec c = { .code = { .code = FEC_WINDOW },
				  .line = codec_line,
				  .flight = FLIGHT };
	struct safety_drawn enough, three;
	char name[64];

	if (fec_redundancy(&g, NULL, &r) < 0)
		return 1;
	printf("Senders killed in a flow of data, real codes on symbols of %d bytes, "
	       "loss "
	       "1 %%, safety %.0e\nthe model states %.1e at a share of %.3f, m = %u, "
	       "window "
	       "%u\n\n",
	       SAFETY_SYMBOL, g.safety, r.residual, r.share, r.repairs, r.window);
	printf("%-46s %9s %7s %9s\n", "", "kills", "lost", "share");
	c.share = r.share;
	c.code.window = (uint16_t)r.window;
	c.repairs = FEC_RISK_REPAIRS_MIN;
	(void)snprintf(name, sizeof(name), "window, m = %u", c.repairs);
	if (codec_row(name, &c, o->kills, o, &three) < 0)
		return 1;
	c.repairs = r.repairs;
	c.isolated = r.isolated;
	(void)snprintf(name, sizeof(name), "window, m = %u", c.repairs);
	if (codec_row(name, &c, o->kills, o, &enough) < 0 || codec_paper(o) != 0)
		return 1;
	if (safety_share(&enough) > CODEC_MOST_LOST ||
	    safety_share(&three) <= CODEC_MOST_LOST) {
		printf("\nsafety-codec: MISSED\n");
		return 1;
	}
	printf("\nsafety-codec: m = %u lost %llu of %llu kills, m = 3 lost %llu\n",
	       r.repairs, (unsigned long long)enough.fatal, (unsigned long long)o->kills,
	       (unsigned long long)three.fatal);
	return 0;
}

/* ------------------------------------------------------------------------------------------ */

static int usage(void)
{
	fprintf(stderr, "usage: safety codec|model|mixed [--kills N] [--losses N] "
			"[--seed N]\n");
	return 2;
}

static uint64_t *option_find(struct options *o, const char *name)
{
	if (strcmp(name, "--kills") == 0)
		return &o->kills;
	if (strcmp(name, "--losses") == 0)
		return &o->losses;
	return strcmp(name, "--seed") == 0 ? &o->seed : NULL;
}

int main(int argc, char **argv)
{
	struct options o = { SEED, 3000000, MODEL_LOSSES };

	if (argc < 2 || argc % 2 != 0)
		return usage();
	for (int i = 2; i < argc; i += 2) {
		uint64_t *value = option_find(&o, argv[i]);
		char *end;

		if (!value)
			return usage();
		*value = strtoull(argv[i + 1], &end, 10);
		if (*end || *value == 0)
			return usage();
	}
	if (strcmp(argv[1], "codec") == 0)
		return codec(&o);
	if (strcmp(argv[1], "model") == 0)
		return model(&o);
	return strcmp(argv[1], "mixed") == 0 ? mixed(&o) : usage();
}
