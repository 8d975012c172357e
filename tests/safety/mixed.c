// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "tests/safety/safety.h"

/*
 * The gate where data comes and goes: writes of three symbols arrive at random, leave at
 * once, with the paced repairs among them; when none waits, repairs follow until the last
 * write is covered, by m or by isolated[]. Its reports are received `flight` datagrams later;
 * for what it lacked then as many repairs are sent once more.
 *
 * An ideal code as in ideal.c, with a window that does not end: only how many symbols are
 * missing since the last time that none was.
 */
#define WRITE_SYMBOLS 3
#define RING (1u << 16)

struct mixed {
	uint64_t now;		   /* datagrams' times */
	uint64_t asked;		   /* symbols that were ever to be sent */
	uint64_t symbols, repairs; /* sent */
	uint64_t completed;	   /* symbols */
	uint64_t confirmed;
	uint64_t deficit, prefix;   /* the other side's */
	uint64_t ends[RING];	    /* [r]: symbols sent before repair r */
	uint64_t heard[RING];	    /* [time]: prefix then */
	uint64_t lacked[RING];	    /* [time]: deficit then */
	uint64_t befores[RING];	    /* [s]: repairs sent before symbol s */
	uint64_t safe[RING];	    /* [s]: symbols completed when s was sent */
	uint64_t answers, answered; /* repairs to be sent for it; when that was asked */
	double due;
	uint64_t run;
};

/* The rule of fec/redundancy.h, asked of the newest repair. */
static bool covered(const struct mixed *x, const struct safety_mixed *c, uint64_t s)
{
	const struct fec_redundancy *r = c->redundancy;
	uint64_t after = x->repairs - x->befores[s % RING], n;

	if (after == 0)
		return false;
	if (after >= r->repairs)
		return true;
	n = c->careless ? s + 1 : x->ends[(x->repairs - 1) % RING];
	n -= x->safe[s % RING] > x->confirmed ? x->safe[s % RING] : x->confirmed;
	return n <= FEC_ISOLATED_MAX && after >= r->isolated[n];
}

static void send_symbol(struct mixed *x, struct safety_line *line)
{
	x->safe[x->symbols % RING] = x->completed;
	x->befores[x->symbols++ % RING] = x->repairs;
	x->deficit += safety_line_loses(line);
	if (x->deficit == 0)
		x->prefix = x->symbols;
}

static void send_repair(struct mixed *x, struct safety_line *line)
{
	x->ends[x->repairs++ % RING] = x->symbols;
	if (!safety_line_loses(line) && x->deficit > 0 && --x->deficit == 0)
		x->prefix = x->symbols;
}

/* One datagram's time: a symbol, a repair, or nothing. */
static void send(struct mixed *x, const struct safety_mixed *c, struct safety_line *line)
{
	if (x->due >= 1) {
		x->due -= 1;
		send_repair(x, line);
	} else if (x->asked > x->symbols) {
		send_symbol(x, line);
		x->due += c->redundancy->share;
	} else if (x->symbols > x->completed || x->answers > 0) {
		x->answers -= x->answers > 0;
		send_repair(x, line);
	} else {
		(void)safety_line_loses(line); /* time passes on the line as well */
	}
}

static void hear(struct mixed *x, const struct safety_mixed *c)
{
	uint64_t then = (x->now - c->flight) % RING;

	x->heard[x->now % RING] = x->prefix;
	x->lacked[x->now % RING] = x->deficit;
	if (x->now < c->flight)
		return;
	x->confirmed = x->heard[then];
	if (x->lacked[then] > 0 && x->now >= x->answered + c->flight) {
		x->answers = x->lacked[then];
		x->answered = x->now;
	}
}

static void look(struct mixed *x, struct safety_drawn *d)
{
	if (x->symbols > x->confirmed)
		d->disasters++;
	if (x->completed > x->prefix) {
		d->fatal++;
		x->run++;
	} else if (x->run > 0) {
		d->losses++;
		d->squares += (double)x->run * (double)x->run;
		x->run = 0;
	}
}

void safety_mixed_draw(const struct safety_mixed *c, uint64_t losses, uint64_t most,
		       uint64_t seed, struct safety_drawn *ret)
{
	static struct mixed x;
	struct safety_drawn d = { 0 };
	struct safety_line line;
	uint64_t every = (uint64_t)(WRITE_SYMBOLS / c->load);

	memset(&x, 0, sizeof(x));
	safety_line_init(&line, &c->line, seed);
	while (d.losses < losses && x.now < most) {
		if (safety_below(&line, every) == 0 &&
		    x.asked < x.symbols + 100 * WRITE_SYMBOLS)
			x.asked += WRITE_SYMBOLS;
		send(&x, c, &line);
		while (x.completed < x.symbols && covered(&x, c, x.completed))
			x.completed++;
		look(&x, &d);
		hear(&x, c);
		x.now++;
	}
	*ret = d;
}
