// SPDX-License-Identifier: BSD-3-Clause
/*
 * A train counts when its own first datagram's stamp and the fence's are both in, and
 * never otherwise: not by half of them, not by another train's, not by waiting.
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

/* Send data symbols, then repairs; *first and *fence get the stamps of the train. */
static void train(struct run *r, unsigned symbols, unsigned repairs, uint32_t *first,
		  uint32_t *fence)
{
	unsigned n = symbols + repairs;

	for (unsigned i = 0; i < n; i++) {
		uint32_t stamp;

		r->sent.number++;
		r->sent.symbols += i < symbols;
		r->sent.repairs += i >= symbols;
		r->sent.last = i == n - 1;
		stamp = evidence_add(&r->e, &r->sent);
		assert_int_equal(stamp != 0, i == 0 || i == n - 1);
		if (i == 0)
			*first = stamp;
		*fence = stamp;
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

static void both_stamps_are_needed(void **state)
{
	uint32_t first, fence;
	struct run r;
	bool left;

	run_init(&r, TUNNEL_DRIVER);
	train(&r, 3, 3, &first, &fence);
	assert_int_not_equal(first, fence);
	assert_false(resolved(&r, 0, &left));
	evidence_stamp(&r.e, fence, r.sent.now);
	evidence_stamp(&r.e, fence + 1, r.sent.now);
	evidence_stamp(&r.e, 0, r.sent.now);
	assert_false(resolved(&r, 0, &left));
	evidence_stamp(&r.e, first, r.sent.now);
	assert_true(resolved(&r, 0, &left));
	assert_true(left);
	assert_int_equal(r.repairs, 3);
	assert_false(resolved(&r, RT_S, &left));
}

static void one_datagram_is_its_own_fence(void **state)
{
	uint32_t first, fence;
	struct run r;
	bool left;

	run_init(&r, TUNNEL_DRIVER);
	train(&r, 0, 1, &first, &fence);
	assert_int_equal(first, fence);
	evidence_stamp(&r.e, first, r.sent.now);
	assert_true(resolved(&r, 0, &left) && left);
}

/* Head drop: the fence is in, the first is not. Tail drop: the other way. */
static void a_cut_train_fails_after_its_bound(void **state)
{
	for (int tail = 0; tail < 2; tail++) {
		uint32_t first = 0, fence = 0;
		struct run r;
		bool left;

		run_init(&r, TUNNEL_DRIVER);
		train(&r, 4, 2, &first, &fence);
		evidence_stamp(&r.e, tail ? first : fence, r.sent.now);
		assert_false(resolved(&r, EVIDENCE_BOUND_NS - 1, &left));
		assert_int_equal(rt_time_since(evidence_deadline(&r.e), r.sent.now),
				 EVIDENCE_BOUND_NS);
		assert_true(resolved(&r, EVIDENCE_BOUND_NS, &left));
		assert_false(left);
		assert_int_equal(r.repairs, 0);
		assert_int_equal(r.resolved, 2);
		/* Too late now. */
		evidence_stamp(&r.e, tail ? fence : first, r.sent.now);
		assert_false(resolved(&r, EVIDENCE_BOUND_MAX_NS, &left));
		assert_int_equal(r.repairs, 0);
	}
}

/*
 * The stamps of both ends say nothing of a send between them: its train waits for the
 * kernel's word, also when others overtake it, and has failed when that is a refusal.
 */
static void every_send_of_a_train_is_heard(void **state)
{
	uint32_t first[4], fence[4];
	struct run r;
	bool left;

	run_init(&r, TUNNEL_DRIVER);
	for (unsigned i = 0; i < 4; i++)
		train(&r, 4, 2, &first[i], &fence[i]);
	evidence_lent(&r.e, 3); /* of 1 .. 6 */
	for (unsigned i = 0; i < 4; i++) {
		evidence_stamp(&r.e, first[i], r.sent.now);
		evidence_stamp(&r.e, fence[i], r.sent.now);
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
	train(&r, 4, 2, &first[0], &fence[0]);
	evidence_stamp(&r.e, first[0], r.sent.now);
	evidence_stamp(&r.e, fence[0], r.sent.now);
	evidence_lent(&r.e, 30);
	assert_true(resolved(&r, EVIDENCE_BOUND_MAX_NS, &left) && !left);
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
	for (uint64_t n = 1, stamp = 0; n <= total; n++) {
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
		else if (stamp != 0)
			evidence_stamp(&r.e, (uint32_t)stamp, r.sent.now);
		first = n;
		stamp = next;
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
	double always = unproven(EVIDENCE_TRAIN_MAX, 1), now = unproven(0, 1);

	print_message("refused 0.1 of the messages, not proven: %.3f of the symbols; in "
		      "trains of %u %.3f\n",
		      now, EVIDENCE_TRAIN_MAX, always);
	assert_true(always > 0.3);
	assert_true(now < 0.7 * always && now > 0.1);
}

/* And trains are long again when there are no refusals. */
static void trains_grow_again(void **state)
{
	uint32_t first = 0, fence = 0;
	struct run r;
	bool left;

	run_init(&r, TUNNEL_DRIVER);
	train(&r, 4, 2, &first, &fence);
	evidence_unsent(&r.e, 2, 3);
	assert_true(resolved(&r, 0, &left) && !left);
	for (unsigned n = EVIDENCE_TRAIN_MIN; n <= EVIDENCE_TRAIN_MAX; n++) {
		assert_int_equal(r.e.longest, n);
		train(&r, n, 0, &first, &fence);
		assert_int_equal(r.e.tail - r.e.head, 1);
		evidence_stamp(&r.e, first, r.sent.now);
		evidence_stamp(&r.e, fence, r.sent.now);
		assert_true(resolved(&r, 0, &left) && left);
	}
	assert_true(r.e.longest > r.e.train_max);
}

/* Trains are resolved in order; one that two others have overtaken has failed. */
static void an_overtaken_train_fails_at_once(void **state)
{
	uint32_t first[4], fence[4];
	struct run r;
	bool left;

	run_init(&r, TUNNEL_DRIVER);
	for (unsigned i = 0; i < 4; i++)
		train(&r, 1, 1, &first[i], &fence[i]);
	for (unsigned i = 1; i < 3; i++) {
		assert_false(resolved(&r, 0, &left));
		evidence_stamp(&r.e, first[i], r.sent.now);
		evidence_stamp(&r.e, fence[i], r.sent.now);
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

/* Datagrams from one fence to the next when nothing ends a train early. */
static unsigned train_length(struct run *r)
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

/* Stamps cost calls: fast lines have long trains, and others wait for none of these. */
static void trains_are_as_long_as_the_rate_allows(void **state)
{
	static const struct {
		uint64_t rate_bps;
		unsigned length;
	} lines[] = {
		{ 1000000, EVIDENCE_TRAIN_MAX },
		{ 1000000000, EVIDENCE_TRAIN_MAX },
		{ 2000000000, 84 },
		{ UINT64_C(10000000000), EVIDENCE_TRAIN_LONG },
		{ 0, EVIDENCE_TRAIN_LONG },
	};
	struct run r;

	run_init(&r, TUNNEL_DRIVER);
	assert_int_equal(train_length(&r), EVIDENCE_TRAIN_MAX);
	for (unsigned i = 0; i < RT_ARRAY_LEN(lines); i++) {
		evidence_set_rate(&r.e, lines[i].rate_bps);
		assert_int_equal(train_length(&r), lines[i].length);
	}
}

/* However many trains wait: no more than the ring holds, and none is forgotten. */
static void trains_without_stamps_are_bounded(void **state)
{
	uint32_t first, fence, stamps = 0;
	struct run r;
	bool left;

	run_init(&r, TUNNEL_DRIVER);
	for (unsigned i = 0; i < 10 * EVIDENCE_TRAINS; i++) {
		uint32_t stamp;

		r.sent.number++;
		r.sent.symbols++;
		r.sent.last = true;
		stamp = evidence_add(&r.e, &r.sent);
		stamps += stamp != 0;
		assert_true(r.e.tail - r.e.head <= EVIDENCE_TRAINS);
	}
	assert_int_equal(stamps, EVIDENCE_TRAINS);
	while (resolved(&r, 100 * RT_S, &left))
		assert_false(left);
	/* The one left open takes the next fence. */
	assert_int_equal(r.e.tail - r.e.head, 1);
	assert_true(evidence_wants_fence(&r.e, rt_time_add(r.sent.now, RT_S)));
	r.sent.now = rt_time_add(r.sent.now, RT_S);
	train(&r, 0, 1, &first, &fence);
	assert_int_not_equal(fence, 0);
}

/* Trains arrive and there is never a stamp: the device gives none. */
static void a_device_without_stamps_is_found_out(void **state)
{
	uint32_t first, fence;
	struct run r;
	bool left;

	run_init(&r, TUNNEL_DRIVER);
	for (unsigned i = 0; i < EVIDENCE_BLIND; i++) {
		assert_int_equal(r.e.level, TUNNEL_DRIVER);
		train(&r, 1, 3, &first, &fence);
		evidence_arrived(&r.e, r.sent.number);
		assert_true(resolved(&r, 10 * RT_S, &left));
	}
	assert_int_equal(r.e.level, TUNNEL_MIRROR);
	/* Drops in this host look different: nothing arrives. */
	run_init(&r, TUNNEL_DRIVER);
	for (unsigned i = 0; i < 100; i++) {
		train(&r, 1, 3, &first, &fence);
		assert_true(resolved(&r, 10 * RT_S, &left));
	}
	assert_int_equal(r.e.level, TUNNEL_DRIVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_stamps_are_needed),
		cmocka_unit_test(one_datagram_is_its_own_fence),
		cmocka_unit_test(a_cut_train_fails_after_its_bound),
		cmocka_unit_test(every_send_of_a_train_is_heard),
		cmocka_unit_test(a_refusal_takes_little_with_it),
		cmocka_unit_test(trains_grow_again),
		cmocka_unit_test(an_overtaken_train_fails_at_once),
		cmocka_unit_test(trains_are_as_long_as_the_rate_allows),
		cmocka_unit_test(trains_without_stamps_are_bounded),
		cmocka_unit_test(a_device_without_stamps_is_found_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
