// SPDX-License-Identifier: BSD-3-Clause
/*
 * A send batch counts when its own first datagram's timestamp and the closing datagram's
 * are both in, and never otherwise: not by half of them, not by another send batch's, not
 * by waiting.
 */
#include "replicator/tunnel/evidence.h"
#include "replicator/tunnel/wire_gate.h"
#include "rt/check.h"
#include "tests/unit/tunnel/pair.h"

struct run {
	struct evidence e;
	struct evidence_sent sent;
	uint64_t repairs;  /* that have left, */
	uint64_t resolved; /* of so many */
};

static void run_init(struct run *r, enum tunnel_evidence level)
{
	*r = (struct run){ .sent.now = { RT_S } };
	evidence_init(&r->e, level);
}

/*
 * Send data symbols, then repairs; *first and *closing get the timestamps of the send
 * batch.
 */
static void batch(struct run *r, unsigned symbols, unsigned repairs, uint32_t *first,
		  uint32_t *closing)
{
	unsigned n = symbols + repairs;

	for (unsigned i = 0; i < n; i++) {
		uint32_t timestamp;

		r->sent.number++;
		r->sent.symbols += i < symbols;
		r->sent.repairs += i >= symbols;
		r->sent.last = i == n - 1;
		timestamp = evidence_add(&r->e, &r->sent);
		assert_int_equal(timestamp != 0, i == 0 || i == n - 1);
		if (i == 0)
			*first = timestamp;
		*closing = timestamp;
	}
}

static bool resolved(struct run *r, int64_t after_ns, bool *left)
{
	struct wire_gate_batch out = { 0 };
	bool res = evidence_resolve(&r->e, rt_time_add(r->sent.now, after_ns), &out);

	*left = out.left;
	if (res && out.left)
		r->repairs += out.repairs - r->resolved;
	if (res)
		r->resolved = out.repairs;
	return res;
}

static void both_timestamps_are_needed(void **state)
{
	uint32_t first, closing;
	struct run r;
	bool left;

	run_init(&r, TUNNEL_DRIVER);
	batch(&r, 3, 3, &first, &closing);
	assert_int_not_equal(first, closing);
	assert_false(resolved(&r, 0, &left));
	evidence_timestamp(&r.e, closing, r.sent.now);
	evidence_timestamp(&r.e, closing + 1, r.sent.now);
	evidence_timestamp(&r.e, 0, r.sent.now);
	assert_false(resolved(&r, 0, &left));
	evidence_timestamp(&r.e, first, r.sent.now);
	assert_true(resolved(&r, 0, &left));
	assert_true(left);
	assert_int_equal(r.repairs, 3);
	assert_false(resolved(&r, RT_S, &left));
}

static void one_datagram_is_its_own_fence(void **state)
{
	uint32_t first, closing;
	struct run r;
	bool left;

	run_init(&r, TUNNEL_DRIVER);
	batch(&r, 0, 1, &first, &closing);
	assert_int_equal(first, closing);
	evidence_timestamp(&r.e, first, r.sent.now);
	assert_true(resolved(&r, 0, &left) && left);
}

/* Head drop: the closing datagram is in, the first is not. Tail drop: the other way. */
static void a_cut_batch_fails_after_its_bound(void **state)
{
	for (int tail = 0; tail < 2; tail++) {
		uint32_t first = 0, closing = 0;
		struct run r;
		bool left;

		run_init(&r, TUNNEL_DRIVER);
		batch(&r, 4, 2, &first, &closing);
		evidence_timestamp(&r.e, tail ? first : closing, r.sent.now);
		assert_false(resolved(&r, EVIDENCE_BOUND_NS - 1, &left));
		assert_int_equal(rt_time_since(evidence_deadline(&r.e), r.sent.now),
				 EVIDENCE_BOUND_NS);
		assert_true(resolved(&r, EVIDENCE_BOUND_NS, &left));
		assert_false(left);
		assert_int_equal(r.repairs, 0);
		assert_int_equal(r.resolved, 2);
		/* Too late now. */
		evidence_timestamp(&r.e, tail ? closing : first, r.sent.now);
		assert_false(resolved(&r, EVIDENCE_BOUND_MAX_NS, &left));
		assert_int_equal(r.repairs, 0);
	}
}

/*
 * The timestamps of both ends say nothing of a send between them: its send batch waits
 * for the kernel's word, also when others overtake it, and has failed when that is a
 * refusal.
 */
static void every_send_of_a_batch_is_heard(void **state)
{
	uint32_t first[4], closing[4];
	struct run r;
	bool left;

	run_init(&r, TUNNEL_DRIVER);
	for (unsigned i = 0; i < 4; i++)
		batch(&r, 4, 2, &first[i], &closing[i]);
	evidence_lent(&r.e, 3); /* of 1 .. 6 */
	for (unsigned i = 0; i < 4; i++) {
		evidence_timestamp(&r.e, first[i], r.sent.now);
		evidence_timestamp(&r.e, closing[i], r.sent.now);
	}
	assert_false(resolved(&r, 0, &left));
	evidence_lent(&r.e, 6);
	assert_false(resolved(&r, 0, &left));
	evidence_lent(&r.e, 7);
	assert_true(resolved(&r, 0, &left) && left);
	assert_false(resolved(&r, 0, &left));
	evidence_unsent(&r.e, 12,
			13); /* the last of the second, the first of the third */
	evidence_lent(&r.e, UINT64_MAX);
	assert_true(resolved(&r, 0, &left) && !left);
	assert_true(resolved(&r, 0, &left) && !left);
	assert_true(resolved(&r, 0, &left) && left);
	assert_int_equal(r.repairs, 4);
	batch(&r, 4, 2, &first[0], &closing[0]);
	evidence_timestamp(&r.e, first[0], r.sent.now);
	evidence_timestamp(&r.e, closing[0], r.sent.now);
	evidence_lent(&r.e, 30);
	assert_true(resolved(&r, EVIDENCE_BOUND_MAX_NS, &left) && !left);
}

/* A refused message without data takes no send batch with it, on either side of it. */
static void a_refused_acknowledgement_fails_nothing(void **state)
{
	uint32_t first[2] = { 0 }, closing[2] = { 0 };
	struct run r;
	bool left;

	run_init(&r, TUNNEL_DRIVER);
	batch(&r, 4, 2, &first[0], &closing[0]);
	r.sent.number += 2; /* 7 and 8 */
	batch(&r, 4, 2, &first[1], &closing[1]);
	evidence_unsent(&r.e, 7, 8);
	for (unsigned i = 0; i < 2; i++) {
		evidence_timestamp(&r.e, first[i], r.sent.now);
		evidence_timestamp(&r.e, closing[i], r.sent.now);
	}
	assert_true(resolved(&r, 0, &left) && left);
	evidence_unsent(&r.e, 8, 9); /* the first of the second */
	assert_true(resolved(&r, 0, &left) && !left);
}

/*
 * A socket or queue without room refuses one message in ten, of up to 17 datagrams each:
 * the share of symbols whose leaving is not proven. `longest` 0: as the code has it.
 */
static double unproven(unsigned longest, uint64_t seed)
{
	uint64_t first = 1, failed = 0, total = 200000, resolved = 0;
	struct pair_rng rng = { seed };
	struct run r;

	run_init(&r, TUNNEL_DRIVER);
	for (uint64_t n = 1, timestamp = 0; n <= total; n++) {
		struct wire_gate_batch out;
		uint32_t next;

		if (longest != 0)
			r.e.longest = longest;
		r.sent.number++;
		r.sent.symbols++;
		next = evidence_add(&r.e, &r.sent);
		if (next == 0 && n - first < 17)
			continue;
		/* The message before this datagram goes out. */
		if (n > 1 && pair_chance(&rng, 0.1))
			evidence_unsent(&r.e, first, n - 1);
		else if (timestamp != 0)
			evidence_timestamp(&r.e, (uint32_t)timestamp, r.sent.now);
		first = n;
		timestamp = next;
		evidence_lent(&r.e, n);
		while (evidence_resolve(&r.e, r.sent.now, &out)) {
			failed += out.left ? 0 : out.symbols - resolved;
			resolved = out.symbols;
		}
	}
	return (double)failed / (double)total;
}

static void a_refusal_takes_little_with_it(void **state)
{
	double always = unproven(EVIDENCE_BATCH_MAX, 1), now = unproven(0, 1);

	print_message("refused 0.1 of the messages, not proven: %.3f of the symbols; in "
		      "send batches of %u %.3f\n",
		      now, EVIDENCE_BATCH_MAX, always);
	assert_true(always > 0.3);
	assert_true(now < 0.7 * always && now > 0.1);
}

/* And send batches are long again when there are no refusals. */
static void batches_grow_again(void **state)
{
	uint32_t first = 0, closing = 0;
	struct run r;
	bool left;

	run_init(&r, TUNNEL_DRIVER);
	batch(&r, 4, 2, &first, &closing);
	evidence_unsent(&r.e, 2, 3);
	assert_true(resolved(&r, 0, &left) && !left);
	for (unsigned n = EVIDENCE_BATCH_MIN; n <= EVIDENCE_BATCH_MAX; n++) {
		assert_int_equal(r.e.longest, n);
		batch(&r, n, 0, &first, &closing);
		assert_int_equal(r.e.tail - r.e.head, 1);
		evidence_timestamp(&r.e, first, r.sent.now);
		evidence_timestamp(&r.e, closing, r.sent.now);
		assert_true(resolved(&r, 0, &left) && left);
	}
	assert_true(r.e.longest > r.e.batch_max);
}

/*
 * Failures in a row double the bound, and the first send batch that leaves ends that: a
 * timestamp that is lost long after a fault must not stop the gate for a second.
 */
static void the_bound_falls_with_the_first_that_leaves(void **state)
{
	int64_t bound_ns = EVIDENCE_BOUND_NS;
	uint32_t first, closing;
	struct run r;
	bool left;

	run_init(&r, TUNNEL_DRIVER);
	for (unsigned i = 0; i < 10; i++) {
		batch(&r, 4, 2, &first, &closing);
		assert_int_equal(rt_time_since(evidence_deadline(&r.e), r.sent.now),
				 bound_ns);
		assert_true(resolved(&r, bound_ns, &left) && !left);
		bound_ns = 2 * bound_ns < EVIDENCE_BOUND_MAX_NS ? 2 * bound_ns
								: EVIDENCE_BOUND_MAX_NS;
	}
	batch(&r, 4, 2, &first, &closing);
	evidence_timestamp(&r.e, first, r.sent.now);
	evidence_timestamp(&r.e, closing, r.sent.now);
	assert_true(resolved(&r, 0, &left) && left);
	batch(&r, 4, 2, &first, &closing);
	assert_int_equal(rt_time_since(evidence_deadline(&r.e), r.sent.now),
			 EVIDENCE_BOUND_NS);
	assert_true(resolved(&r, EVIDENCE_BOUND_NS, &left) && !left);
}

/* Send batches are resolved in order; one that two others have overtaken has failed. */
static void an_overtaken_batch_fails_at_once(void **state)
{
	uint32_t first[4], closing[4];
	struct run r;
	bool left;

	run_init(&r, TUNNEL_DRIVER);
	for (unsigned i = 0; i < 4; i++)
		batch(&r, 1, 1, &first[i], &closing[i]);
	for (unsigned i = 1; i < 3; i++) {
		assert_false(resolved(&r, 0, &left));
		evidence_timestamp(&r.e, first[i], r.sent.now);
		evidence_timestamp(&r.e, closing[i], r.sent.now);
	}
	assert_true(resolved(&r, 0, &left));
	assert_false(left);
	for (unsigned i = 1; i < 3; i++) {
		assert_true(resolved(&r, 0, &left));
		assert_true(left);
	}
	assert_false(resolved(&r, 0, &left));
	assert_int_equal(r.repairs, 2);
	assert_int_equal(r.resolved, 3);
}

/*
 * Datagrams from one closing datagram to the next when nothing ends a send batch early.
 */
static unsigned batch_length(struct run *r)
{
	unsigned length = 0;

	r->sent.last = false;
	do {
		r->sent.number++;
		r->sent.symbols++;
		length++;
	} while (evidence_add(&r->e, &r->sent) == 0 || length == 1);
	return length;
}

/*
 * TX timestamps cost calls: fast lines have long send batches, and others wait for none
 * of these.
 */
static void batches_are_as_long_as_the_rate_allows(void **state)
{
	static const struct {
		uint64_t rate_bps;
		unsigned length;
	} lines[] = {
		{ 1000000, EVIDENCE_BATCH_MAX },
		{ 1000000000, EVIDENCE_BATCH_MAX },
		{ 2000000000, 84 },
		{ UINT64_C(10000000000), EVIDENCE_BATCH_LONG },
		{ 0, EVIDENCE_BATCH_LONG },
	};
	struct run r;

	run_init(&r, TUNNEL_DRIVER);
	assert_int_equal(batch_length(&r), EVIDENCE_BATCH_MAX);
	for (unsigned i = 0; i < RT_ARRAY_LEN(lines); i++) {
		evidence_set_rate(&r.e, lines[i].rate_bps);
		assert_int_equal(batch_length(&r), lines[i].length);
	}
}

/* One more datagram of the newest send batch, or of a new one. */
static void datagram(struct run *r, bool last, bool probe)
{
	r->sent.number++;
	r->sent.repairs++;
	r->sent.last = last;
	r->sent.probe = probe;
	(void)evidence_add(&r->e, &r->sent);
}

/*
 * A relay at the border answers for each datagram, and may be quicker than the send batch
 * is long: what was passed on before the rest was sent says nothing of the rest.
 */
static void a_batch_has_passed_the_border_with_its_last(void **state)
{
	struct run r;
	bool left;

	run_init(&r, TUNNEL_EDGE);
	datagram(&r, false, false);
	evidence_echo(&r.e, 1, r.sent.now);
	datagram(&r, false, false);
	evidence_echo(&r.e, 2, r.sent.now);
	assert_false(resolved(&r, 0, &left));
	datagram(&r, false, false);
	datagram(&r, true, false);
	assert_false(resolved(&r, 0, &left));
	evidence_echo(&r.e, 4, r.sent.now);
	assert_false(resolved(&r, 0, &left));
	evidence_echo(&r.e, 3, r.sent.now);
	assert_true(resolved(&r, 0, &left) && left);
	assert_int_equal(r.repairs, 4);
	/* One that is never echoed has failed with its send batch. */
	datagram(&r, false, false);
	evidence_echo(&r.e, 5, r.sent.now);
	datagram(&r, true, false);
	assert_false(resolved(&r, EVIDENCE_BOUND_NS - 1, &left));
	assert_true(resolved(&r, EVIDENCE_BOUND_NS, &left) && !left);
	/* No relay answers for a probe: all that it closes had passed before. */
	datagram(&r, false, false);
	evidence_echo(&r.e, 7, r.sent.now);
	assert_false(resolved(&r, 0, &left));
	datagram(&r, true, true);
	assert_true(resolved(&r, 0, &left) && left);
}

/* However many send batches wait: no more than the ring holds, and none is forgotten. */
static void batches_without_timestamps_are_bounded(void **state)
{
	uint32_t first, closing, timestamps = 0;
	struct run r;
	bool left;

	run_init(&r, TUNNEL_DRIVER);
	for (unsigned i = 0; i < 10 * EVIDENCE_BATCHES; i++) {
		uint32_t timestamp;

		r.sent.number++;
		r.sent.symbols++;
		r.sent.last = true;
		timestamp = evidence_add(&r.e, &r.sent);
		timestamps += timestamp != 0;
		assert_true(r.e.tail - r.e.head <= EVIDENCE_BATCHES);
	}
	assert_int_equal(timestamps, EVIDENCE_BATCHES);
	while (resolved(&r, 100 * RT_S, &left))
		assert_false(left);
	/* The one left open takes the next closing. */
	assert_int_equal(r.e.tail - r.e.head, 1);
	assert_true(evidence_wants_closing(&r.e, rt_time_add(r.sent.now, RT_S)));
	r.sent.now = rt_time_add(r.sent.now, RT_S);
	batch(&r, 0, 1, &first, &closing);
	assert_int_not_equal(closing, 0);
}

/* Send batches arrive and there is never a timestamp: the device gives none. */
static void a_device_without_timestamps_is_found_out(void **state)
{
	uint32_t first, closing;
	struct run r;
	bool left;

	run_init(&r, TUNNEL_DRIVER);
	for (unsigned i = 0; i < EVIDENCE_BLIND; i++) {
		assert_int_equal(r.e.level, TUNNEL_DRIVER);
		batch(&r, 1, 3, &first, &closing);
		evidence_arrived(&r.e, r.sent.number);
		assert_true(resolved(&r, 10 * RT_S, &left));
	}
	assert_int_equal(r.e.level, TUNNEL_MIRROR);
	assert_false(evidence_counts(&r.e));
	/* Another code or goal does not bring them back. */
	evidence_choose(&r.e, TUNNEL_DRIVER);
	assert_int_equal(r.e.level, TUNNEL_MIRROR);
	/* Drops in this host look different: nothing arrives. */
	run_init(&r, TUNNEL_DRIVER);
	for (unsigned i = 0; i < 100; i++) {
		batch(&r, 1, 3, &first, &closing);
		assert_true(resolved(&r, 10 * RT_S, &left));
	}
	assert_int_equal(r.e.level, TUNNEL_DRIVER);
}

/* One that has given timestamps has lost some: that is no reason to do without them. */
static void lost_timestamps_are_no_blindness(void **state)
{
	uint32_t first, closing;
	struct run r;
	bool left;

	run_init(&r, TUNNEL_DRIVER);
	for (unsigned i = 0; i < 4 * EVIDENCE_BLIND; i++) {
		batch(&r, 1, 3, &first, &closing);
		evidence_timestamp(&r.e, first, r.sent.now);
		evidence_arrived(&r.e, r.sent.number);
		assert_true(resolved(&r, 10 * RT_S, &left) && !left);
		assert_int_equal(r.e.level, TUNNEL_DRIVER);
	}
}

/*
 * A send batch of four: three echoes prove nothing, nor does the same one twice.
 */
static void a_batch_has_left_when_all_of_it_has(void **state)
{
	struct evidence e;
	struct wire_gate_batch out;
	rt_time now = { RT_S };

	evidence_init(&e, TUNNEL_EDGE);
	for (unsigned i = 1; i <= 4; i++) {
		struct evidence_sent sent = {
			.number = 10 * i, .symbols = i, .last = i == 4, .now = now
		};

		(void)evidence_add(&e, &sent);
	}
	for (unsigned i = 1; i <= 3; i++) {
		evidence_echo(&e, 10 * i, now);
		assert_false(evidence_resolve(&e, now, &out));
	}
	evidence_echo(&e, 40, now);
	assert_true(evidence_resolve(&e, now, &out));
	assert_true(out.left);
	evidence_echo(&e, 40, now); /* long resolved */
	assert_false(evidence_resolve(&e, now, &out));
	/* Nor does one that comes so late count for the next send batch. */
	for (unsigned i = 5; i <= 6; i++) {
		struct evidence_sent sent = {
			.number = 10 * i, .symbols = i, .last = i == 6, .now = now
		};

		(void)evidence_add(&e, &sent);
	}
	evidence_echo(&e, 40, now);
	evidence_echo(&e, 50, now);
	assert_false(evidence_resolve(&e, now, &out));
	evidence_echo(&e, 60, now);
	assert_true(evidence_resolve(&e, now, &out));
	assert_true(out.left);
}

/*
 * A probe closes a send batch where no repair can; no relay echoes it, before or after.
 */
static void a_closing_that_is_a_probe_is_not_waited_for(void **state)
{
	for (unsigned echoes_first = 0; echoes_first < 2; echoes_first++) {
		struct evidence e;
		struct wire_gate_batch out;
		rt_time now = { RT_S };
		struct evidence_sent sent = { .number = 1, .symbols = 1, .now = now };
		struct evidence_sent closing = {
			.number = 2, .symbols = 1, .last = true, .probe = true, .now = now
		};

		evidence_init(&e, TUNNEL_EDGE);
		(void)evidence_add(&e, &sent);
		if (echoes_first)
			evidence_echo(&e, 1, now);
		(void)evidence_add(&e, &closing);
		if (!echoes_first) {
			assert_false(evidence_resolve(&e, now, &out));
			evidence_echo(&e, 1, now);
		}
		assert_true(evidence_resolve(&e, now, &out));
		assert_true(out.left);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_timestamps_are_needed),
		cmocka_unit_test(one_datagram_is_its_own_fence),
		cmocka_unit_test(a_cut_batch_fails_after_its_bound),
		cmocka_unit_test(every_send_of_a_batch_is_heard),
		cmocka_unit_test(a_refused_acknowledgement_fails_nothing),
		cmocka_unit_test(a_refusal_takes_little_with_it),
		cmocka_unit_test(batches_grow_again),
		cmocka_unit_test(the_bound_falls_with_the_first_that_leaves),
		cmocka_unit_test(an_overtaken_batch_fails_at_once),
		cmocka_unit_test(batches_are_as_long_as_the_rate_allows),
		cmocka_unit_test(a_batch_has_passed_the_border_with_its_last),
		cmocka_unit_test(a_batch_has_left_when_all_of_it_has),
		cmocka_unit_test(a_closing_that_is_a_probe_is_not_waited_for),
		cmocka_unit_test(batches_without_timestamps_are_bounded),
		cmocka_unit_test(a_device_without_timestamps_is_found_out),
		cmocka_unit_test(lost_timestamps_are_no_blindness),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
