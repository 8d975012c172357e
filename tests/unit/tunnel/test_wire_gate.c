// SPDX-License-Identifier: BSD-3-Clause
/*
 * The rule by which writes count as safely under way, as a table: histories with a name, and
 * the watermark that each step must give. Protects: the rule of each code, and whatever was
 * once wrong in it. Nothing that blocked once may come to be promised again by a change here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "replicator/tunnel/wire_gate.h"
#include "rt/check.h"
#include "tests/unit/unit.h"

/*
 * A history is a text of events; after each the watermark moves as far as it may.
 *
 *	sent N			N symbols
 *	repair N		N repairs of the window
 *	block FIRST N STRIDE	a block repair over N symbols
 *	left, failed		what was made since the last batch is one that has
 *	confirm N		all below N
 *	ack BELOW LARGEST DEFICIT OUTSIDE
 *				an acknowledgement: all below, largest packet, combinations
 *				and symbols outside the window that are missing
 *	lost ...		the same, and a datagram of what is missing must be lost
 *	follow M [LONE N]	m, and m(n) up to N symbols, follow the path
 *	choose M [LONE N]	the same as another rule; paper: the paper's policy
 *	code N			another code takes the window's place
 *	proven 0|1		the path is or is not; evidence 0|1: there is some or none
 *	is N			the watermark must be N
 *	lacks BELOW N		so many repairs must still be made for symbols below
 */
#define CAPACITY 128
#define PACKETS_MAX 256
#define NUMBERS 4

struct history {
	const char *name;
	enum fec_code code;
	unsigned m, window;
	const char *events;
};

static const struct history histories[] = {
	{ "a symbol counts with its m-th repair, not with one that may not have left",
	  FEC_WINDOW, 3, 128,
	  "sent 3, repair 2, left, is 0, repair 1, is 0, left, is 3" },
	{ "repairs made before a symbol was sent do not cover it", FEC_WINDOW, 2, 128,
	  "sent 1, repair 2, sent 1, repair 1, left, is 1, repair 1, left, is 2" },
	{ "a repair of a failed batch does not count", FEC_WINDOW, 1, 128,
	  "sent 2, left, repair 3, failed, is 0, repair 1, left, is 2" },
	{ "with m = 0 a symbol counts when its batch has left", FEC_WINDOW, 0, 128,
	  "sent 2, is 0, left, is 2, sent 1, failed, is 2, repair 1, left, is 3" },
	{ "each symbol of a failed batch takes a repair, wherever it lies", FEC_WINDOW, 2,
	  128,
	  "sent 1, failed, sent 1, failed, repair 3, left, is 0, lacks 2 1, "
	  "repair 1, left, is 2" },
	{ "a failed symbol that is confirmed takes none", FEC_WINDOW, 2, 128,
	  "sent 2, failed, sent 1, repair 2, left, is 0, confirm 2, is 3" },
	{ "a failed symbol that is not confirmed still takes one", FEC_WINDOW, 2, 128,
	  "sent 2, failed, confirm 1, sent 1, repair 2, left, is 1, repair 1, left, is "
	  "3" },
	{ "nor does one that is confirmed with what is not resolved", FEC_WINDOW, 1, 128,
	  "sent 1, failed, sent 1, confirm 2, sent 1, repair 1, left, is 3" },
	{ "m(n) counts what lies behind a symbol, too", FEC_WINDOW, 8, 128,
	  "follow 5 3 3, sent 3, repair 2, sent 3, lacks 3 3, repair 1, left, is 0, "
	  "repair 2, left, is 3, repair 2, left, is 6" },
	{ "m(n) counts from what was safe when the symbol was sent", FEC_WINDOW, 8, 128,
	  "follow 5 3 3, sent 3, repair 3, left, is 3, sent 3, repair 3, left, "
	  "is 6" },
	{ "m(n) is asked anew when all before is confirmed", FEC_WINDOW, 8, 128,
	  "follow 5 3 3, sent 6, repair 3, left, is 0, confirm 3, is 6" },
	{ "m(n) is asked of just n symbols", FEC_WINDOW, 8, 128,
	  "follow 5 3 3, sent 4, repair 3, left, is 0, repair 2, left, is 4" },
	{ "m(n) counts from what was ready, proven or not", FEC_WINDOW, 8, 128,
	  "follow 5 3 3, proven 0, sent 3, repair 3, left, is 0, sent 3, repair 3, left, "
	  "proven 1, is 6" },
	{ "beyond the last m(n) it is m", FEC_WINDOW, 3, 128,
	  "follow 3 2 64, sent 64, repair 2, left, is 64, confirm 64, sent 65, repair 2, "
	  "left, is 64, repair 1, left, is 129" },
	{ "one sent before may lack more, when it was less alone", FEC_WINDOW, 5, 128,
	  "follow 5 3 3, sent 3, repair 4, sent 1, repair 1, left, is 3, sent 1, lacks 5 "
	  "4" },
	{ "repairs count only while the symbol is in the window", FEC_WINDOW, 3, 2,
	  "sent 2, repair 1, sent 1, repair 3, left, is 0, confirm 1, is 3" },
	{ "a symbol that left the window with its repairs counts", FEC_WINDOW, 2, 2,
	  "sent 2, repair 2, sent 2, left, is 2, repair 2, left, is 4" },
	{ "without proof of the path the watermark stands still", FEC_WINDOW, 1, 128,
	  "proven 0, sent 1, repair 1, left, is 0, proven 1, is 1, proven 0, "
	  "sent 1, repair 1, left, is 1, confirm 2, is 2" },
	{ "what was sent without evidence waits to be confirmed", FEC_WINDOW, 3, 128,
	  "evidence 0, sent 2, repair 3, left, is 0, evidence 1, is 0, sent 1, "
	  "repair 3, left, is 0, confirm 2, is 3" },
	{ "what is under way at a change of rules waits to be confirmed", FEC_WINDOW, 3,
	  128, "sent 3, choose 1, repair 5, left, is 0, confirm 3, is 3" },
	{ "what another rule has promised stays, and is not safe by the new one",
	  FEC_WINDOW, 1, 128,
	  "sent 3, repair 1, left, is 3, choose 5 3 3, is 3, sent 3, repair 3, "
	  "left, is 3, repair 2, left, is 6" },
	{ "a rule that follows the path applies to what is not ready", FEC_WINDOW, 1, 128,
	  "sent 1, repair 1, left, is 1, sent 1, follow 3, is 1, repair 2, left, "
	  "is 1, repair 1, left, is 2" },

	/* Deficits. Packets are numbered 1, 2, ... as symbols and repairs are made. */
	{ "a hole behind its m repairs blocks until d + m fresh ones have left",
	  FEC_WINDOW, 3, 128,
	  "sent 2, repair 3, left, is 2, ack 0 5 1, is 0, lacks 2 4, repair 3, "
	  "left, is 0, repair 1, lacks 2 0, is 0, left, is 2" },
	{ "a hole that is confirmed blocks no more", FEC_WINDOW, 3, 128,
	  "sent 2, repair 3, left, ack 0 5 1, is 0, confirm 1, is 2" },
	{ "an acknowledgement without a deficit lets nothing go", FEC_WINDOW, 3, 128,
	  "sent 2, repair 3, left, ack 0 5 1, is 0, ack 0 5 0, is 0, lacks 2 4, "
	  "repair 4, left, is 2" },
	{ "what has counted as lost blocks, though it may be late by now", FEC_WINDOW, 3,
	  128,
	  "sent 2, repair 3, left, lost 0 4 2, is 0, ack 0 4 2, is 0, repair 1, left, "
	  "is 2" },
	{ "a hole behind m repairs that have not left yet is one, too", FEC_WINDOW, 3,
	  128,
	  "sent 2, repair 3, ack 0 5 1, left, is 0, repair 3, left, is 0, repair 1, "
	  "left, is 2" },
	{ "lateness blocks nothing before the m repairs are behind", FEC_WINDOW, 3, 128,
	  "sent 2, repair 3, left, ack 0 4 2, is 2" },
	{ "what is reported missing and lost blocks until d have left", FEC_WINDOW, 3,
	  128,
	  "sent 2, repair 3, left, lost 0 2 1, is 2, lost 0 4 2, is 0, "
	  "lacks 2 1, repair 1, left, is 2" },
	{ "an older, smaller m has let go: the new one is no excuse", FEC_WINDOW, 1, 128,
	  "sent 2, repair 1, left, is 2, follow 5, ack 0 3 1, is 0, repair 5, "
	  "left, is 0, repair 1, left, is 2" },
	{ "a deficit made good blocks nothing any more, should m rise", FEC_WINDOW, 1,
	  128,
	  "sent 1, repair 1, left, ack 0 2 1, is 0, repair 2, left, is 1, "
	  "follow 9, is 1" },
	{ "one hole behind the other blocks at once", FEC_WINDOW, 1, 2,
	  "sent 2, repair 1, left, is 2, sent 2, lost 0 5 2 2, is 0, repair 1, "
	  "left, is 0, ack 1 5 1 1, is 1, confirm 2, is 4" },
	{ "a known hole stays one when what is acknowledged falls short of a new m",
	  FEC_WINDOW, 1, 128,
	  "sent 2, repair 1, left, ack 0 3 1, is 0, follow 9, ack 0 3 1, is 0, "
	  "repair 9, left, is 0, repair 1, left, is 2" },
	{ "a hole known before anything left stays one when m rises", FEC_WINDOW, 1, 128,
	  "sent 2, repair 1, ack 0 3 1, follow 9, ack 0 3 1, left, repair 8, left, is 0, "
	  "repair 2, left, is 2" },
	{ "a hole that was made good is not known any more", FEC_WINDOW, 1, 128,
	  "sent 2, repair 1, ack 0 3 1, repair 2, left, is 2, follow 9, ack 0 3 1, is "
	  "2" },
	{ "a hole keeps what it was first promised by", FEC_WINDOW, 1, 128,
	  "sent 2, repair 1, left, is 2, lost 0 3 2, is 0, follow 3, repair 3, left, is "
	  "0, ack 1 3 1, is 1" },
	{ "what was never promised is not broken", FEC_WINDOW, 3, 128,
	  "sent 2, ack 0 1 1, repair 3, left, is 2" },
	{ "a hole outside the window blocks until it is confirmed", FEC_WINDOW, 1, 2,
	  "sent 2, repair 1, left, sent 1, ack 0 4 1 1, is 0, lacks 1 0, repair 9, left, "
	  "is 0, lacks 1 0, confirm 1, is 3" },
	{ "a hole outside the window is one without a deficit in it, too", FEC_WINDOW, 1,
	  2, "sent 2, repair 1, left, sent 1, ack 0 4 0 1, is 0, confirm 1, is 2" },
	{ "a hole that left the window before what is acknowledged blocks, too",
	  FEC_WINDOW, 1, 2,
	  "sent 2, repair 1, left, sent 1, repair 2, left, ack 0 6 1 1, is 0, confirm 1, "
	  "is 3" },
	{ "repairs made after the hole left the window mend nothing", FEC_WINDOW, 1, 2,
	  "sent 2, repair 1, left, ack 0 3 1, repair 1, sent 1, repair 5, left, is 0, "
	  "confirm 1, is 3" },
	{ "the paper's policy asks for nothing that a deficit would", FEC_WINDOW, 3, 128,
	  "sent 2, repair 3, left, ack 0 5 1, lacks 2 4, paper 3, lacks 2 0" },
	{ "deficits fall while the path is not proven", FEC_WINDOW, 1, 128,
	  "sent 1, repair 1, left, is 1, proven 0, ack 0 2 1, is 0, repair 2, "
	  "left, is 0, proven 1, is 1" },

	/* Blocks. */
	{ "a symbol of blocks counts with the m-th repair that covers it", FEC_LAYERED, 2,
	  128,
	  "sent 4, block 0 4 1, left, is 0, block 0 2 2, left, is 1, "
	  "block 1 2 2, is 1, left, is 4" },
	{ "a block repair of a failed batch does not count", FEC_RS, 1, 128,
	  "sent 2, left, block 0 2 1, failed, is 0, block 0 2 1, left, is 2" },
	{ "a block repair over what has not left does not count", FEC_RS, 1, 128,
	  "sent 1, failed, sent 1, block 0 2 1, left, is 0, confirm 1, is 1" },
	{ "a symbol of a block that is missing and lost blocks until it is confirmed",
	  FEC_RS, 1, 128,
	  "sent 2, block 0 2 1, left, is 2, lost 0 2 1 1, is 0, block 0 2 1, "
	  "left, is 0, confirm 2, is 2" },
	{ "an acknowledgement that names no hole lets none of blocks go", FEC_RS, 1, 128,
	  "sent 2, block 0 2 1, left, is 2, lost 0 2 1 1, is 0, ack 0 3 0 0, is 0, "
	  "confirm 2, is 2" },
	{ "m repairs of blocks were tried, and have not left yet", FEC_RS, 2, 128,
	  "sent 2, block 0 2 1, block 0 2 1, block 0 2 1, ack 0 4 1 1, left, is 0, "
	  "confirm 2, is 2" },
	{ "m repairs of blocks were not tried while the m-th is under way", FEC_RS, 2,
	  128, "sent 2, block 0 2 1, block 0 2 1, block 0 2 1, ack 0 3 1 1, left, is 2" },
	{ "a symbol of a block blocks behind its m repairs", FEC_RS, 2, 128,
	  "sent 2, block 0 2 1, block 0 2 1, left, is 2, ack 0 3 1 1, is 2, "
	  "ack 0 4 1 1, is 0" },
	{ "a symbol of a block that has fewer than m repairs is not broken", FEC_RS, 2,
	  128, "sent 2, block 0 2 1, ack 0 3 1 1, block 0 2 1, left, is 2" },
	{ "symbols that a change takes out of the window keep their repairs", FEC_WINDOW,
	  2, 128,
	  "sent 2, repair 2, code 2, repair 0, left, is 2, sent 1, left, is 2, "
	  "block 2 1 1, block 2 1 1, left, is 3" },

	/* The paper's policy, as a comparison. */
	{ "paper: up to the newest symbol that any repair includes", FEC_LAYERED, 3, 128,
	  "paper 3, sent 3, left, is 0, block 0 2 2, failed, is 0, block 0 2 2, "
	  "left, is 3, lost 0 5 2 2, is 3" },
	{ "paper: without repairs, up to what has not left", FEC_NONE, 3, 128,
	  "paper 3, sent 2, left, is 2, sent 1, failed, is 2, sent 1, left, is 2, "
	  "confirm 3, is 4" },
	{ "paper: not on top of what waits to be confirmed", FEC_LAYERED, 3, 128,
	  "sent 1, paper 3, sent 1, block 0 2 1, left, is 0, confirm 1, is 2" },
};

struct world {
	struct wire_gate g;
	struct wire_gate_rule rule;
	struct wire_gate_batch batch; /* totals so far */
	uint64_t window;
	uint64_t repairs[PACKETS_MAX]; /* made up to packet i */
	bool proven;
};

static void world_packet(struct world *w)
{
	w->batch.number++;
	assert_true(w->batch.number < PACKETS_MAX);
	w->repairs[w->batch.number] = w->batch.repairs;
}

static void world_sent(struct world *w)
{
	uint64_t next = w->batch.symbols + 1, first = w->g.window;

	if (w->rule.code != FEC_WINDOW)
		first = next;
	else if (next - first > w->window)
		first = next - w->window;
	wire_gate_sent(&w->g, first);
	w->batch.symbols++;
	world_packet(w);
}

static void world_repair(struct world *w)
{
	wire_gate_repair(&w->g);
	w->batch.repairs++;
	w->batch.newest = w->batch.symbols;
	world_packet(w);
}

static void world_block(struct world *w, const uint64_t a[NUMBERS])
{
	struct fec_repair repair = { .first = a[0],
				     .count = (uint16_t)a[1],
				     .stride = (uint16_t)a[2] };

	w->batch.blocks++;
	w->batch.newest = a[0] + a[2] * (a[1] - 1) + 1;
	world_packet(w);
	wire_gate_block(&w->g, &repair, w->batch.number);
}

static void world_resolve(struct world *w, bool left)
{
	w->batch.left = left;
	wire_gate_resolved(&w->g, &w->batch);
	w->batch.newest = 0;
}

static void world_acknowledge(struct world *w, const uint64_t a[NUMBERS], bool lost)
{
	struct wire_gate_report report = { .largest = a[1],
					   .repairs = w->repairs[a[1]],
					   .deficit = a[2],
					   .outside = a[3],
					   .lost = lost };

	wire_gate_confirmed(&w->g, a[0]);
	wire_gate_acknowledged(&w->g, &report);
}

static void world_rule(struct world *w, unsigned m, uint64_t isolated, uint64_t upto)
{
	w->rule.repairs = m;
	for (unsigned n = 0; n <= FEC_ISOLATED_MAX; n++)
		w->rule.isolated[n] = (uint16_t)(n <= upto ? isolated : m);
	wire_gate_follow(&w->g, &w->rule);
}

static void world_code(struct world *w, enum fec_code code)
{
	w->rule.code = code;
	wire_gate_window(&w->g, w->batch.symbols);
	wire_gate_follow(&w->g, &w->rule);
}

static bool world_is(struct world *w, const char *op, const uint64_t a[NUMBERS],
		     const char *name)
{
	uint64_t is = wire_gate_watermark(&w->g), want = a[0];

	if (strcmp(op, "lacks") == 0) {
		is = wire_gate_lacking(&w->g, a[0]);
		want = a[1];
	} else if (strcmp(op, "is") != 0) {
		return false;
	}
	if (is != want)
		fail_msg("%s: %s %llu and not %llu", name, op, (unsigned long long)is,
			 (unsigned long long)want);
	return true;
}

static bool world_made(struct world *w, const char *op, const uint64_t a[NUMBERS])
{
	if (strcmp(op, "block") == 0)
		world_block(w, a);
	else if (strcmp(op, "left") == 0 || strcmp(op, "failed") == 0)
		world_resolve(w, op[0] == 'l');
	else if (strcmp(op, "sent") == 0)
		for (uint64_t i = 0; i < a[0]; i++)
			world_sent(w);
	else if (strcmp(op, "repair") == 0)
		for (uint64_t i = 0; i < a[0]; i++)
			world_repair(w);
	else
		return false;
	return true;
}

static bool world_ruled(struct world *w, const char *op, const uint64_t a[NUMBERS])
{
	if (strcmp(op, "code") == 0) {
		world_code(w, (enum fec_code)a[0]);
	} else if (strcmp(op, "follow") == 0) {
		world_rule(w, (unsigned)a[0], a[1], a[2]);
	} else if (strcmp(op, "choose") == 0 || strcmp(op, "paper") == 0) {
		w->rule.paper = op[0] == 'p';
		world_rule(w, (unsigned)a[0], a[1], a[2]);
		wire_gate_choose(&w->g);
	} else {
		return false;
	}
	return true;
}

static void world_event(struct world *w, const char *text, const char *name)
{
	char op[16];
	uint64_t a[NUMBERS] = { 0 };
	int n = sscanf(text, " %15[a-z] %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, op,
		       &a[0], &a[1], &a[2], &a[3]);

	assert_true(n >= 1);
	if (strcmp(op, "confirm") == 0)
		wire_gate_confirmed(&w->g, a[0]);
	else if (strcmp(op, "ack") == 0 || strcmp(op, "lost") == 0)
		world_acknowledge(w, a, op[0] == 'l');
	else if (strcmp(op, "proven") == 0)
		w->proven = a[0];
	else if (strcmp(op, "evidence") == 0)
		wire_gate_set_evidence(&w->g, a[0]);
	else if (!world_made(w, op, a) && !world_ruled(w, op, a) &&
		 !world_is(w, op, a, name))
		fail_msg("%s: no event is called %s", name, op);
	wire_gate_update(&w->g, w->proven);
}

static void world_events(struct world *w, const char *events, const char *name)
{
	char text[64];

	while (*events != '\0') {
		size_t len = strcspn(events, ",");

		assert_true(len < sizeof(text));
		memcpy(text, events, len);
		text[len] = '\0';
		world_event(w, text, name);
		events += len + (events[len] == ',');
	}
}

static void world_init(struct world *w, const struct history *h)
{
	*w = (struct world){ .window = h->window, .proven = true };
	assert_int_equal(wire_gate_init(&w->g, CAPACITY), 0);
	w->rule.code = h->code;
	world_rule(w, h->m, 0, 0);
	wire_gate_set_evidence(&w->g, true);
}

static void histories_give_their_watermarks(void **state)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(histories); i++) {
		const struct history *h = &histories[i];
		struct world w;

		world_init(&w, h);
		world_events(&w, h->events, h->name);
		wire_gate_release(&w.g);
	}
}

/* More repairs than are remembered: fewer may count than have left, never more. */
static void forgotten_repairs_do_not_count(void **state)
{
	struct wire_gate_batch batch = { .left = true };
	struct wire_gate g;

	assert_int_equal(wire_gate_init(&g, CAPACITY), 0);
	for (unsigned i = 0; i < 2 * WIRE_GATE_REPAIRS; i++) {
		wire_gate_repair(&g);
		batch.number++;
		batch.repairs++;
		assert_int_equal(wire_gate_promised(&g, batch.repairs - 1), 1);
		assert_int_equal(wire_gate_left(&g, batch.repairs - 1), 0);
		wire_gate_resolved(&g, &batch);
	}
	assert_int_equal(wire_gate_left(&g, batch.repairs - 5), 5);
	assert_int_equal(wire_gate_left(&g, batch.repairs), 0);
	assert_int_equal(wire_gate_left(&g, batch.repairs + 100), 0);
	assert_int_equal(wire_gate_left(&g, 0), WIRE_GATE_REPAIRS - 1);
	assert_int_equal(wire_gate_left(&g, WIRE_GATE_REPAIRS), WIRE_GATE_REPAIRS - 1);
	wire_gate_release(&g);
}

/* A block repair over the first of two symbols, then so many over the second. */
static uint64_t heads_watermark(unsigned others, unsigned m, uint64_t confirmed)
{
	struct wire_gate_rule rule = { .code = FEC_RS, .repairs = m, .covers = 1 };
	struct fec_repair first = { .first = 0, .count = 1, .stride = 1 };
	struct fec_repair other = { .first = 1, .count = 1, .stride = 1 };
	struct wire_gate_batch batch = { .symbols = 2, .left = true };
	uint64_t watermark;
	struct wire_gate g;

	rule.isolated[1] = rule.isolated[2] = (uint16_t)m;
	assert_int_equal(wire_gate_init(&g, CAPACITY), 0);
	wire_gate_follow(&g, &rule);
	wire_gate_set_evidence(&g, true);
	wire_gate_sent(&g, 1);
	wire_gate_sent(&g, 2);
	wire_gate_block(&g, &first, 3);
	for (unsigned i = 0; i < others; i++)
		wire_gate_block(&g, &other, 4 + i);
	batch.blocks = 1 + others;
	wire_gate_resolved(&g, &batch);
	wire_gate_confirmed(&g, confirmed);
	wire_gate_update(&g, true);
	watermark = wire_gate_watermark(&g);
	wire_gate_release(&g);
	return watermark;
}

/*
 * A head that was forgotten before its batch was resolved does not count, and the one in its
 * place counts once.
 */
static void forgotten_heads_do_not_count(void **state)
{
	assert_int_equal(heads_watermark(WIRE_GATE_HEADS - 1, 1, 0), 2);
	assert_int_equal(heads_watermark(WIRE_GATE_HEADS, 1, 0), 0);
	assert_int_equal(heads_watermark(WIRE_GATE_HEADS, WIRE_GATE_HEADS, 1), 2);
	assert_int_equal(heads_watermark(WIRE_GATE_HEADS, WIRE_GATE_HEADS + 1, 1), 1);
}

/* A repair of the window that was made before a symbol left it may still arrive. */
static void repairs_of_the_window_may_come(void **state)
{
	struct history h = { "", FEC_WINDOW, 3, 2, "sent 2, repair 2, sent 1" };
	struct world w;

	world_init(&w, &h);
	world_events(&w, h.events, h.name);
	assert_false(wire_gate_in_window(&w.g, 0));
	assert_true(wire_gate_in_window(&w.g, 1));
	assert_false(wire_gate_in_window(&w.g, 3));
	assert_true(wire_gate_coming(&w.g, 0, 1, false));
	assert_false(wire_gate_coming(&w.g, 0, 2, true));
	wire_gate_release(&w.g);
}

/* Block repairs may come as long as data follows that fills a bin, and not for ever. */
static void blocks_may_be_filled(void **state)
{
	struct history h = { "", FEC_LAYERED, 1, 2, "sent 5" };
	struct world w;

	world_init(&w, &h);
	w.rule.covers = 1;
	w.rule.span = 3;
	wire_gate_follow(&w.g, &w.rule);
	world_events(&w, h.events, h.name);
	assert_true(wire_gate_coming(&w.g, 0, 0, true));
	assert_false(wire_gate_coming(&w.g, 0, 0, false));
	assert_int_equal(wire_gate_covering(&w.g, 1), 0);
	world_events(&w, "block 1 1 1", h.name);
	assert_int_equal(wire_gate_covering(&w.g, 1), 6);
	assert_false(wire_gate_coming(&w.g, 1, 0, true));
	world_events(&w, "sent 1", h.name);
	assert_true(wire_gate_coming(&w.g, 0, 0, true));
	world_events(&w, "sent 1", h.name);
	assert_false(wire_gate_coming(&w.g, 0, 0, true));
	wire_gate_release(&w.g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(histories_give_their_watermarks),
		cmocka_unit_test(forgotten_repairs_do_not_count),
		cmocka_unit_test(forgotten_heads_do_not_count),
		cmocka_unit_test(repairs_of_the_window_may_come),
		cmocka_unit_test(blocks_may_be_filled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
