// SPDX-License-Identifier: BSD-3-Clause
/*
 * draws CONFIGURATION BURST KILLS [LOSS]
 *
 * Disasters by the thousand, where the real programs would take days: code and gate alone,
 * killed behind a random datagram of a busy line that loses LOSS (0.01) in runs of BURST.
 * CONFIGURATION as in lib.sh: network, network/told, network+fec. Prints
 *
 *	kills=N fatal=N share=X repairs=N
 *
 * fatal: disasters in which a completed write was missing; repairs that must have left.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/safety/safety.h"

#define SAFETY 1e-6
#define FLIGHT 2048 /* 200 Mbit/s, a round trip of 100 ms: 1700 */
#define SEED 11

static int window(struct safety_codec *c, const struct fec_path *assume)
{
	const struct fec_goal goal = { .safety = SAFETY,
				       .assume = *assume,
				       .min = 0.03,
				       .max = 0.5,
				       .flight = FLIGHT };
	struct fec_redundancy r;
	int res = fec_redundancy(&goal, NULL, &r);

	/* Out of reach: the best there is, which is what is measured then. */
	if (res < 0 && res != -ERANGE)
		return res;
	c->code.code = FEC_WINDOW;
	c->code.window = (uint16_t)r.window;
	c->share = r.share;
	c->repairs = r.repairs;
	return 0;
}

static int configure(struct safety_codec *c, const char *name)
{
	const struct fec_path independent = { c->line.loss, 1 };

	if (strcmp(name, "network") == 0)
		return window(c, &independent);
	if (strcmp(name, "network/told") == 0)
		return window(c, &c->line);
	if (strcmp(name, "network+fec") != 0)
		return -1;
	c->code = (struct fec_params){
		.code = FEC_LAYERED, .r = 8, .c = 3, .interleave = { 1, 20, 40 }
	};
	c->share = 3.0 / 8;
	c->repairs = 1;
	c->paper = true;
	return 0;
}

int main(int argc, char **argv)
{
	struct safety_codec c = { .flight = FLIGHT };
	struct safety_drawn d = { 0 };
	int res;

	if (argc < 4 || argc > 5) {
		(void)fprintf(stderr, "usage: draws CONFIGURATION BURST KILLS [LOSS]\n");
		return 2;
	}
	c.line.burst = strtod(argv[2], NULL);
	c.line.loss = argc > 4 ? strtod(argv[4], NULL) : 0.01;
	res = configure(&c, argv[1]);
	if (res == 0)
		res = safety_codec_draw(&c, strtoull(argv[3], NULL, 10), SEED, &d);
	if (res < 0) {
		(void)fprintf(stderr, "draws: %s at a burst of %s: %s\n", argv[1],
			      argv[2], strerror(-res));
		return 1;
	}
	(void)printf("kills=%llu fatal=%llu share=%.4f repairs=%u\n",
		     (unsigned long long)d.disasters, (unsigned long long)d.fatal,
		     c.share, c.repairs);
	return 0;
}
