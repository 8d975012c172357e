/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SAFETY_SAFETY_H
#define TESTS_SAFETY_SAFETY_H

#include <stdbool.h>
#include <stdint.h>

#include "fec/fec.h"
#include "fec/redundancy.h"
#include "fec/risk.h"

/*
 * Disasters drawn by the million, to hold what fec/ states against: an ideal code
 * and its rule (ideal.c), an ideal code and the product's wire gate (mixed.c), or that gate and
 * the real codes on small symbols (codec.c). Each is one long stream; killing its sender behind any datagram leaves at the other side just
 * what the decoder has then, so that every instant is a disaster of its own.
 */

/* ---- line.c: a Gilbert line ------------------------------------------------------------- */

struct safety_line {
	uint64_t random;
	double stays_good, stays_bad; /* logarithms of the probabilities */
	bool bad;
	uint64_t run; /* datagrams that the state will last */
};

void safety_line_init(struct safety_line *l, const struct fec_path *is, uint64_t seed);
/* Whether the next datagram is lost. */
bool safety_line_loses(struct safety_line *l);
/* A random number below n. */
uint64_t safety_below(struct safety_line *l, uint64_t n);

/* ---- what was drawn ---------------------------------------------------------------------- */

struct safety_drawn {
	uint64_t disasters; /* instants looked at */
	uint64_t fatal;	    /* of these, with a completed write missing */
	uint64_t losses;    /* independent ones: runs of fatal instants */
	double squares;	    /* of the runs' lengths, summed */
};

double safety_share(const struct safety_drawn *d);
/* Relative standard error of that. */
double safety_noise(const struct safety_drawn *d);

/* ---- ideal.c: data flows, a code that rebuilds whatever can be ----------------------------- */

struct safety_ideal {
	struct fec_path line;
	double share;
	unsigned repairs; /* that the gate asks for */
	unsigned window;  /* symbols */
	unsigned flight;  /* symbols until a hole is mended */
};

#define SAFETY_NOISE_MOST 0.15

/* Until `losses` were drawn and the noise is no more than that; or `most` datagrams. */
void safety_ideal_draw(const struct safety_ideal *c, uint64_t losses, uint64_t most,
		       uint64_t seed, struct safety_drawn *ret);

/* ---- mixed.c: writes come and go, repairs follow on demand ---------------------------------- */

struct safety_mixed {
	struct fec_path line;
	const struct fec_redundancy *redundancy;
	double load;	 /* share of the line that data asks for, up to 1 */
	unsigned flight; /* datagrams until the peer's report is received */
	/* One in so many, 0: none. */
	unsigned fails; /* send batches fail, and half of these never leave the host */
	unsigned
		cuts; /* datagrams begin a time, up to 2 flights, in which all are lost */
	/* The rule as it must not be: */
	bool careless;	       /* symbols behind the one in question do not count */
	bool failures_ignored; /* the gate takes each batch that fails for one that has left */
	bool deficits_ignored; /* deficits block nothing */
};

/*
 * Looks only at instants at which something that was sent is not confirmed. 0 or -ENOMEM.
 */
int safety_mixed_draw(const struct safety_mixed *c, uint64_t losses, uint64_t most,
		      uint64_t seed, struct safety_drawn *ret);

/* ---- codec.c: the real gate, encoder and decoder -------------------------------------------- */

#define SAFETY_SYMBOL 32 /* bytes */

struct safety_codec {
	struct fec_params code; /* symbol_size and capacity are filled in */
	double share;		/* FEC_WINDOW */
	struct fec_path line;
	unsigned repairs;	  /* m */
	const uint16_t *isolated; /* m(n); NULL: m */
	bool paper;	 /* the prototype's rule instead: up to the newest symbol that
			   * any repair includes */
	unsigned flight; /* symbols until the peer's report is received */
	/*
	 * In trouble: one send batch in so many fails, and half of these never leave the host.
	 * Deficits are reported then, and the path is not always proven. 0: no trouble.
	 */
	unsigned fails;
	bool failures_ignored; /* the gate takes each batch that fails for one that has left */
};

/* So many kills, 1 .. 127 datagrams apart. 0, or what the codes returned. */
int safety_codec_draw(const struct safety_codec *c, uint64_t kills, uint64_t seed,
		      struct safety_drawn *ret);

#endif
