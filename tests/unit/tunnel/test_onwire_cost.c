// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the proof of leaving costs: how often a symbol or a send batch is looked at must not
 * grow with what is under way. Protects against the scans that took 18 % of a busy primary's
 * time: behind a reported hole, with batches that fail in a row, with late timestamps.
 */
#include <stdint.h>
#include <stdio.h>

#include "rt/check.h"

/* Each look at one goes through an assertion that it is under way: that is counted. */
static uint64_t looks;
#undef rt_assert
#define rt_assert(cond)                                                                  \
	(looks++, (cond) ? (void)0 : rt_assert_failed(#cond, __FILE__, __LINE__))
#include "replicator/tunnel/evidence.c" /* instead of tunnel.a's */
#include "replicator/tunnel/wire_gate.c"
#include "tests/unit/unit.h"

#define CAPACITY 8192
#define BATCH 8	    /* symbols */

struct flow {
	struct wire_gate gate;
	struct evidence evidence;
	rt_time now;
	uint64_t number, symbols, repairs;
	uint32_t timestamps[4 * EVIDENCE_BATCHES]; /* in the order in which they were asked */
	unsigned ntimestamps;
};

static const struct wire_gate_rule rule = { .code = FEC_WINDOW, .repairs = 3 };

static void flow_init(struct flow *f)
{
	*f = (struct flow){ .now = { RT_S } };
	assert_int_equal(wire_gate_init(&f->gate, CAPACITY), 0);
	wire_gate_follow(&f->gate, &rule);
	wire_gate_set_evidence(&f->gate, true);
	evidence_init(&f->evidence, TUNNEL_DRIVER);
}

/* After each event, as the tunnel does it. */
static void flow_update(struct flow *f)
{
	struct wire_gate_batch batch;

	while (evidence_resolve(&f->evidence, f->now, &batch))
		wire_gate_resolved(&f->gate, &batch);
	wire_gate_update(&f->gate, true);
}

static uint32_t flow_datagram(struct flow *f, bool last)
{
	struct evidence_sent sent = {
		.number = ++f->number,
		.symbols = f->symbols,
		.repairs = f->repairs,
		.last = last,
		.now = f->now,
	};
	uint32_t timestamp;

	flow_update(f);
	timestamp = evidence_add(&f->evidence, &sent);
	flow_update(f);
	return timestamp;
}

/* A send batch of so many symbols, then repairs; its timestamps are kept for later. */
static void flow_batch(struct flow *f, unsigned symbols, unsigned repairs)
{
	for (unsigned i = 0; i < symbols + repairs; i++) {
		uint32_t timestamp;

		if (i < symbols) {
			wire_gate_sent(&f->gate, 0);
			f->symbols++;
		} else {
			wire_gate_repair(&f->gate);
			f->repairs++;
		}
		timestamp = flow_datagram(f, i == symbols + repairs - 1);
		if (timestamp != 0)
			f->timestamps[f->ntimestamps++] = timestamp;
	}
}

/* The timestamps that were kept come in. */
static void flow_timestamps(struct flow *f)
{
	for (unsigned i = 0; i < f->ntimestamps; i++) {
		evidence_timestamp(&f->evidence, f->timestamps[i], f->now);
		flow_update(f);
	}
	f->ntimestamps = 0;
}

/* With so many symbols covered behind a hole that blocks them all, batches come and go. */
static uint64_t behind_a_hole(struct flow *f, unsigned batches)
{
	struct wire_gate_report report = { .deficit = 1 };

	for (unsigned i = 0; i < batches; i++) {
		flow_batch(f, BATCH, 3);
		flow_timestamps(f);
	}
	assert_int_equal(wire_gate_ready(&f->gate), batches * BATCH);
	report.largest = f->number;
	report.repairs = f->repairs;
	report.deficit = CAPACITY; /* more than will leave */
	wire_gate_acknowledged(&f->gate, &report);
	flow_update(f);
	assert_int_equal(wire_gate_ready(&f->gate), 0);
	looks = 0;
	for (unsigned i = 0; i < 64; i++) {
		flow_batch(f, BATCH, 3);
		flow_timestamps(f);
	}
	assert_int_equal(wire_gate_ready(&f->gate), 0);
	return looks / (64 * BATCH);
}

/* Batches fail in a row, and nothing is covered: so many symbols wait. */
static uint64_t failed_in_a_row(struct flow *f, unsigned batches)
{
	for (unsigned i = 0; i < batches; i++) {
		flow_batch(f, BATCH, 0);
		f->ntimestamps = 0;
		f->now = rt_time_add(f->now, 2 * RT_S);
	}
	looks = 0;
	for (unsigned i = 0; i < 64; i++) {
		flow_batch(f, BATCH, 0);
		f->ntimestamps = 0;
		f->now = rt_time_add(f->now, 2 * RT_S);
	}
	assert_int_equal(wire_gate_ready(&f->gate), 0);
	return looks / (64 * BATCH);
}

/*
 * So many batches are under way when timestamps come of batches that were given up: late
 * ones, for as many symbols again. None of them helps, and each is looked for.
 */
static uint64_t given_up(struct flow *f, unsigned batches)
{
	for (unsigned i = 0; i < batches; i++)
		flow_batch(f, BATCH, 0);
	f->now = rt_time_add(f->now, 2 * RT_S);
	for (unsigned i = 0; i < batches; i++) {
		unsigned kept = f->ntimestamps;

		flow_batch(f, BATCH, 0);
		f->ntimestamps = kept;
	}
	looks = 0;
	flow_timestamps(f);
	assert_int_equal(f->evidence.tail - f->evidence.head, batches);
	return looks / (batches * BATCH);
}

/* All of it was sent and timestamped, and the kernel is still silent on the first message. */
static uint64_t unheard(struct flow *f, unsigned batches)
{
	evidence_lent(&f->evidence, 1);
	for (unsigned i = 0; i < batches; i++)
		flow_batch(f, BATCH, 0);
	looks = 0;
	flow_timestamps(f);
	assert_int_equal(f->evidence.head, 0);
	return looks / (batches * BATCH);
}

/* The kernel refuses message after message. */
static uint64_t refused(struct flow *f, unsigned batches)
{
	for (unsigned i = 0; i < batches; i++)
		flow_batch(f, BATCH, 0);
	looks = 0;
	for (uint64_t n = 1; n <= f->number; n += BATCH)
		evidence_unsent(&f->evidence, n, n + BATCH - 1);
	flow_update(f);
	assert_int_equal(f->evidence.head, batches);
	return looks / (batches * BATCH);
}

static const struct {
	const char *name;
	uint64_t (*run)(struct flow *f, unsigned batches);
	unsigned few, many; /* batches */
} flows[] = {
	{ "behind a hole", behind_a_hole, 16, 512 },
	{ "failed in a row", failed_in_a_row, 16, 512 },
	{ "timestamps of batches given up", given_up, 16, 240 },
	{ "sends that the kernel says nothing of", unheard, 16, 240 },
	{ "sends that the kernel refuses", refused, 16, 240 },
};

#define LOOKS_MORE 4 /* a search among 256 takes four steps more than one among 16 */

static void what_is_under_way_is_not_looked_at_again(void **state)
{
	for (size_t i = 0; i < RT_ARRAY_LEN(flows); i++) {
		uint64_t looked[2];

		for (int many = 0; many < 2; many++) {
			struct flow f;

			flow_init(&f);
			looked[many] = flows[i].run(&f, many ? flows[i].many
							     : flows[i].few);
			wire_gate_release(&f.gate);
		}
		printf("%s: %u looks per symbol, %u with more under way\n", flows[i].name,
		       (unsigned)looked[0], (unsigned)looked[1]);
		assert_in_range(looked[1], 0, looked[0] + LOOKS_MORE);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_under_way_is_not_looked_at_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
