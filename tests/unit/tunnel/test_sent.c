// SPDX-License-Identifier: BSD-3-Clause
/*
 * What was sent under which number. Loss, round trips and rate are differences of these
 * totals: one that counts too much is a loss that never was. And a number that is no longer
 * remembered must not be taken for the one that took its place.
 */
#include <errno.h>

#include "replicator/tunnel/sent.h"
#include "rt/check.h"
#include "tests/unit/alloc.h"
#include "tests/unit/unit.h"

static rt_time at(uint64_t number)
{
	return (rt_time){ (int64_t)number * RT_US };
}

static void each_kind_counts_where_it_belongs(void **state)
{
	static const struct {
		enum sent_kind kind;
		unsigned originals, repairs, eliciting, full;
	} table[] = {
		{ SENT_FIRST, 1, 0, 1, 1 },  { SENT_RETRANSMITTED, 0, 0, 1, 1 },
		{ SENT_REPAIR, 0, 1, 1, 1 }, { SENT_BLOCK, 0, 0, 1, 1 },
		{ SENT_PROBE, 0, 0, 1, 0 },  { SENT_PAD, 0, 0, 1, 1 },
		{ SENT_ACK, 0, 0, 0, 0 },
	};
	struct sent_entry want = { 0 };
	struct sent s;

	assert_int_equal(sent_init(&s, 0), 0);
	for (unsigned i = 0; i < 5 * RT_ARRAY_LEN(table); i++) {
		unsigned row = i * i % RT_ARRAY_LEN(table); /* some in a row */
		const struct sent_entry *e;

		sent_add(&s, table[row].kind, at(i + 1));
		want.number++;
		want.originals += table[row].originals;
		want.repairs += table[row].repairs;
		want.eliciting += table[row].eliciting;
		want.full += table[row].full;
		e = sent_find(&s, i + 1);
		assert_non_null(e);
		assert_int_equal(e->number, want.number);
		assert_int_equal(e->at.ns, at(i + 1).ns);
		assert_int_equal(e->originals, want.originals);
		assert_int_equal(e->repairs, want.repairs);
		assert_int_equal(e->eliciting, want.eliciting);
		assert_int_equal(e->full, want.full);
		assert_memory_equal(&s.last, e, sizeof(*e));
	}
	sent_release(&s);
}

/* Entries stay what they were, for as long as there is room, and then they are gone. */
static void the_newest_are_remembered_and_no_others(void **state)
{
	struct sent s;

	assert_int_equal(sent_init(&s, 0), 0);
	assert_null(sent_find(&s, 0));
	assert_null(sent_find(&s, 1));
	for (uint64_t n = 1; n <= 3 * SENT_MIN; n++) {
		uint64_t oldest = n > SENT_MIN ? n - SENT_MIN + 1 : 1;

		sent_add(&s, SENT_FIRST, at(n));
		assert_int_equal(sent_find(&s, n)->originals, n);
		assert_int_equal(sent_find(&s, oldest)->number, oldest);
		assert_int_equal(sent_find(&s, oldest)->at.ns, at(oldest).ns);
		assert_null(sent_find(&s, oldest - 1));
		assert_null(sent_find(&s, n + 1));
		assert_null(sent_find(&s, n + SENT_MIN));
		assert_null(sent_find(&s, 0));
	}
	assert_null(sent_find(&s, UINT64_MAX));
	sent_release(&s);
	sent_release(&s);
	assert_int_equal(held, 0);
}

static void memory_lies_within_its_bounds(void **state)
{
	static const struct {
		uint64_t want, size;
	} table[] = {
		{ 0, SENT_MIN },
		{ SENT_MIN, SENT_MIN },
		{ SENT_MIN + 1, 2 * SENT_MIN },
		{ 2 * SENT_MIN, 2 * SENT_MIN },
		{ SENT_MAX - 1, SENT_MAX },
		{ SENT_MAX, SENT_MAX },
		{ SENT_MAX + 1, SENT_MAX },
		{ UINT64_MAX, SENT_MAX },
	};
	struct sent s;

	for (unsigned i = 0; i < RT_ARRAY_LEN(table); i++) {
		assert_int_equal(sent_init(&s, table[i].want), 0);
		assert_int_equal(s.size, table[i].size);
		sent_release(&s);
	}
	asked = 0;
	fail_at = 1;
	assert_int_equal(sent_init(&s, 1), -ENOMEM);
	fail_at = 0;
	assert_int_equal(held, 0);
	sent_release(&s);
	assert_int_equal(held, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_counts_where_it_belongs),
		cmocka_unit_test(the_newest_are_remembered_and_no_others),
		cmocka_unit_test(memory_lies_within_its_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
