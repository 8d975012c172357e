// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "replicator/tunnel/wire_gate.h"
#include "tests/safety/safety.h"

/*
 * The product's wire gate where data comes and goes: writes of three symbols arrive at random,
 * leave at once, with the paced repairs among them; when none waits, the repairs follow that the
 * gate says are lacking. Each datagram is a send batch of its own, which has left, or has failed
 * and may be lost in the host. Where nothing is to be sent a probe is, so that each datagram's
 * time that the line does not lose is one whose report is received `flight` later. The gate takes
 * in the report, and as many repairs are sent once more as it says are missing.
 *
 * An ideal code as in ideal.c, with a window that does not end: only how many symbols are
 * missing since the last time that none was.
 */
#define WRITE_SYMBOLS 3
#define RING (1u << 16)

/* Of the other side, with the newest datagram that it has received. */
struct report {
	uint64_t largest, repairs, prefix, deficit;
};

struct mixed {
	uint64_t now;	    /* datagrams' times */
	uint64_t asked;	    /* symbols that were ever to be sent */
	uint64_t symbols;   /* sent */
	uint64_t completed; /* symbols */
	uint64_t confirmed;
	uint64_t deficit, prefix; /* the other side's */
	struct wire_gate gate;
	struct wire_gate_batch batch; /* all that was sent */
	struct report newest;
	struct report reports[RING]; /* [time]: the newest then */
	uint64_t heard;		     /* largest of the report that was received last */
	uint64_t befores[RING];	     /* [s]: repairs sent before symbol s */
	uint64_t safe[RING];	     /* [s]: symbols completed when s was sent */
	uint64_t answers, answered;  /* repairs to be sent for it; when that was asked */
	uint64_t cut;		     /* datagrams until the path is whole again */
	uint64_t cut_end;	     /* what was sent later shows that it is */
	double due;
	uint64_t run;
};

/*
 * The rule as it must not be: symbols behind s do not count in m(n). It is no history that the
 * gate could be shown, so it is written out.
 */
static bool covered_carelessly(const struct mixed *x, const struct safety_mixed *c,
			       uint64_t s)
{
	const struct fec_redundancy *r = c->redundancy;
	uint64_t after = x->batch.repairs - x->befores[s % RING], n = s + 1;

	if (after == 0)
		return false;
	if (after >= r->repairs)
		return true;
	n -= x->safe[s % RING] > x->confirmed ? x->safe[s % RING] : x->confirmed;
	return n <= FEC_ISOLATED_MAX && after >= r->isolated[n];
}

/* ---- the line, and the host before it --------------------------------------------------- */

/* Whether what is sent now is lost on the line, which may be cut for a while. */
static bool line_loses(struct mixed *x, const struct safety_mixed *c,
		       struct safety_line *line)
{
	bool loses = safety_line_loses(line);

	if (c->cuts > 0 && x->cut == 0 && safety_below(line, c->cuts) == 0)
		x->cut = 1 + safety_below(line, 2 * c->flight);
	if (x->cut == 0)
		return loses;
	x->cut--;
	x->cut_end = x->now + 1;
	return true;
}

/* Whether the next datagram's batch has failed; it is lost in the host, or it is not. */
static bool host_drops(struct mixed *x, const struct safety_mixed *c,
		       struct safety_line *line)
{
	bool fails = c->fails > 0 && safety_below(line, c->fails) == 0;

	x->batch.left = !fails || c->failures_ignored;
	return fails && safety_below(line, 2) == 0;
}

/* The batch of the datagram just made is resolved; it is received, or lost. */
static void sent(struct mixed *x, bool lost)
{
	x->batch.number = x->now + 1;
	wire_gate_resolved(&x->gate, &x->batch);
	if (x->deficit == 0)
		x->prefix = x->symbols;
	if (!lost)
		x->newest = (struct report){ x->now + 1, x->batch.repairs, x->prefix,
					     x->deficit };
}

static void send_symbol(struct mixed *x, const struct safety_mixed *c,
			struct safety_line *line)
{
	bool dropped = host_drops(x, c, line), lost = line_loses(x, c, line) || dropped;

	x->safe[x->symbols % RING] = x->completed;
	x->befores[x->symbols % RING] = x->batch.repairs;
	wire_gate_sent(&x->gate, 0);
	x->batch.symbols = ++x->symbols;
	x->deficit += lost;
	sent(x, lost);
}

static void send_repair(struct mixed *x, const struct safety_mixed *c,
			struct safety_line *line)
{
	bool dropped = host_drops(x, c, line), lost = line_loses(x, c, line) || dropped;

	wire_gate_repair(&x->gate);
	x->batch.repairs++;
	x->deficit -= !lost && x->deficit > 0;
	sent(x, lost);
}

static void send_probe(struct mixed *x, const struct safety_mixed *c,
		       struct safety_line *line)
{
	if (!line_loses(x, c, line))
		x->newest = (struct report){ x->now + 1, x->batch.repairs, x->prefix,
					     x->deficit };
}

static bool lacks_repairs(const struct mixed *x, const struct safety_mixed *c)
{
	if (c->careless)
		return x->symbols > x->completed;
	return wire_gate_lacking(&x->gate, x->symbols) > 0;
}

/* One datagram's time: a symbol, a repair, or a probe. */
static void send(struct mixed *x, const struct safety_mixed *c, struct safety_line *line)
{
	if (x->due >= 1) {
		x->due -= 1;
		send_repair(x, c, line);
	} else if (x->asked > x->symbols) {
		send_symbol(x, c, line);
		x->due += c->redundancy->share;
	} else if (x->answers > 0 || lacks_repairs(x, c)) {
		x->answers -= x->answers > 0;
		send_repair(x, c, line);
	} else {
		send_probe(x, c, line);
	}
}

/* ---- the gate ---------------------------------------------------------------------------- */

static void complete(struct mixed *x, const struct safety_mixed *c)
{
	/* The path is proven by what was sent since it was last cut. */
	wire_gate_update(&x->gate, x->cut == 0 && x->heard >= x->cut_end);
	if (c->careless) {
		while (x->completed < x->symbols &&
		       covered_carelessly(x, c, x->completed))
			x->completed++;
		return;
	}
	/* What has completed stays so, also where the gate takes a promise back. */
	if (wire_gate_watermark(&x->gate) > x->completed)
		x->completed = wire_gate_watermark(&x->gate);
}

static void hear(struct mixed *x, const struct safety_mixed *c)
{
	const struct report *r = &x->reports[(x->now - c->flight) % RING];
	struct wire_gate_report report = {
		.largest = r->largest,
		.repairs = r->repairs,
		.deficit = r->deficit,
		.lost = r->deficit > 0, /* this line does not reorder */
	};

	x->reports[x->now % RING] = x->newest;
	if (x->now < c->flight || r->largest <= x->heard)
		return;
	x->heard = r->largest;
	x->confirmed = r->prefix;
	wire_gate_confirmed(&x->gate, r->prefix);
	if (!c->deficits_ignored)
		wire_gate_acknowledged(&x->gate, &report);
	if (r->deficit > 0)
		complete(x, c);
	if (r->deficit > 0 && x->now >= x->answered + c->flight) {
		x->answers = r->deficit;
		x->answered = x->now;
	}
}

/* ------------------------------------------------------------------------------------------ */

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

static int mixed_init(struct mixed *x, const struct safety_mixed *c)
{
	struct wire_gate_rule rule = { .code = FEC_WINDOW,
				       .repairs = c->redundancy->repairs };
	int res;

	memset(x, 0, sizeof(*x));
	res = wire_gate_init(&x->gate, RING);
	if (res < 0)
		return res;
	memcpy(rule.isolated, c->redundancy->isolated, sizeof(rule.isolated));
	wire_gate_follow(&x->gate, &rule);
	wire_gate_set_evidence(&x->gate, true);
	return 0;
}

int safety_mixed_draw(const struct safety_mixed *c, uint64_t losses, uint64_t most,
		      uint64_t seed, struct safety_drawn *ret)
{
	static struct mixed x;
	struct safety_drawn d = { 0 };
	struct safety_line line;
	uint64_t every = (uint64_t)(WRITE_SYMBOLS / c->load);
	int res = mixed_init(&x, c);

	if (res < 0)
		return res;
	safety_line_init(&line, &c->line, seed);
	while (d.losses < losses && x.now < most) {
		if (safety_below(&line, every) == 0 &&
		    x.asked < x.symbols + 100 * WRITE_SYMBOLS)
			x.asked += WRITE_SYMBOLS;
		send(&x, c, &line);
		complete(&x, c);
		look(&x, &d);
		hear(&x, c);
		x.now++;
	}
	wire_gate_release(&x.gate);
	*ret = d;
	return 0;
}
