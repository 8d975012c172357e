// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <errno.h>

#include "replicator/gate.h"
#include "rt/check.h"

/*
 * The gate is where a completion becomes a promise: nothing opens before its own
 * condition holds, whatever others wait for, and nothing is lowered that may not be.
 */

struct test_waiter {
	struct gate_waiter w;
	struct gate_need need;
	int opened; /* how often */
	int res;
};

static void needs(const struct gate_waiter *w, struct gate_need *ret)
{
	*ret = rt_container_of(w, struct test_waiter, w)->need;
}

static void opened(struct gate_waiter *w, int res)
{
	struct test_waiter *t = rt_container_of(w, struct test_waiter, w);

	t->opened++;
	t->res = res;
}

static void wait_at(struct gate *gate, struct test_waiter *t, uint64_t lsn,
		    struct gate_need need)
{
	*t = (struct test_waiter){ .w = { .lsn = lsn, .need = needs, .opened = opened },
				   .need = need };
	gate_wait(gate, &t->w);
}

static void marks(struct gate *gate, uint64_t written, uint64_t durable, uint64_t onwire,
		  uint64_t received, uint64_t persisted)
{
	gate_set_marks(gate, &(struct gate_marks){ written, durable, onwire, received,
						   persisted });
	(void)gate_run(gate);
}

static void each_mode_waits_for_its_own_watermark(void **state)
{
	struct gate gate;
	struct test_waiter t[6];

	(void)state;
	gate_init(&gate);
	for (unsigned m = 0; m < 3; m++) {
		wait_at(&gate, &t[m], 5,
			(struct gate_need){ (enum group_mode)m, false, true });
		wait_at(&gate, &t[m + 3], 5,
			(struct gate_need){ (enum group_mode)m, true, false });
	}
	marks(&gate, 4, 4, 5, 5, 4);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(t[i].opened, 0);
	marks(&gate, 5, 4, 5, 5, 4);
	assert_int_equal(t[0].opened, 1);
	assert_int_equal(t[1].opened, 1);
	assert_int_equal(t[2].opened, 0);
	assert_int_equal(t[3].opened, 0);
	marks(&gate, 5, 5, 5, 5, 4);
	assert_int_equal(t[3].opened, 1);
	assert_int_equal(t[4].opened, 1);
	assert_int_equal(t[5].opened, 0);
	marks(&gate, 5, 5, 5, 5, 5);
	assert_int_equal(t[2].opened, 1);
	assert_int_equal(t[5].opened, 1);
	assert_true(gate_empty(&gate));
}

/*
 * A mirror that receives and does not persist may lose what it has received: network then
 * waits for what is persisted, and goes back to the wire when that moves again.
 */
static void what_a_stuck_mirror_has_received_opens_nothing(void **state)
{
	struct gate gate;
	struct test_waiter t[3];

	gate_init(&gate);
	gate.conditions.stuck = true;
	for (unsigned m = 0; m < 3; m++)
		wait_at(&gate, &t[m], 5,
			(struct gate_need){ (enum group_mode)m, false, false });
	marks(&gate, 9, 9, 9, 9, 4);
	assert_int_equal(t[GROUP_LOCAL].opened, 1);
	assert_int_equal(t[GROUP_NETWORK].opened, 0);
	assert_int_equal(t[GROUP_REMOTE].opened, 0);
	marks(&gate, 9, 9, 9, 9, 5);
	assert_int_equal(t[GROUP_NETWORK].opened, 1);
	assert_int_equal(t[GROUP_REMOTE].opened, 1);
	wait_at(&gate, &t[0], 8, (struct gate_need){ GROUP_NETWORK, false, false });
	assert_int_equal(gate_run(&gate), 0);
	assert_int_equal(gate_onwire(&gate), 5);
	assert_int_equal(gate_received(&gate), 5);
	gate.conditions.stuck = false;
	assert_int_equal(gate_onwire(&gate), 9);
	assert_int_equal(gate_received(&gate), 9);
	assert_int_equal(gate_run(&gate), 1);
}

/*
 * Waiters open in the order of their LSNs, not of their arrival: a flush may cover less than
 * the write before it, by one LSN, too.
 */
static void waiters_open_by_lsn_not_by_arrival(void **state)
{
	static const uint64_t lsns[] = { 5, 4, 9, 8, 7, 1, 6 };
	struct test_waiter t[RT_ARRAY_LEN(lsns)];
	struct gate gate;

	gate_init(&gate);
	for (size_t i = 0; i < RT_ARRAY_LEN(lsns); i++)
		wait_at(&gate, &t[i], lsns[i],
			(struct gate_need){ GROUP_LOCAL, true, false });
	for (uint64_t lsn = 1; lsn <= 9; lsn++) {
		marks(&gate, lsn, lsn, 0, 0, 0);
		for (size_t i = 0; i < RT_ARRAY_LEN(lsns); i++)
			assert_int_equal(t[i].opened, lsns[i] <= lsn);
	}
	assert_true(gate_empty(&gate));
}

/* A flush of the log must cover the last one that waits for it, not the first. */
static void the_last_waiter_says_what_must_be_durable(void **state)
{
	struct test_waiter t[3];
	struct gate gate;

	gate_init(&gate);
	assert_int_equal(gate_wants_durable(&gate), 0);
	wait_at(&gate, &t[0], 3, (struct gate_need){ GROUP_REMOTE, true, false });
	wait_at(&gate, &t[1], 7, (struct gate_need){ GROUP_REMOTE, true, false });
	wait_at(&gate, &t[2], 9, (struct gate_need){ GROUP_LOCAL, false, false });
	assert_int_equal(gate_wants_durable(&gate), 7);
	assert_int_equal(gate_fail(&gate, -EIO), 3);
	assert_int_equal(gate_wants_durable(&gate), 0);
	/* Whatever its mode. */
	wait_at(&gate, &t[0], 8, (struct gate_need){ GROUP_LOCAL, true, false });
	wait_at(&gate, &t[1], 7, (struct gate_need){ GROUP_REMOTE, true, false });
	assert_int_equal(gate_wants_durable(&gate), 8);
}

/* The transport makes haste for them: as long as somebody waits, and for what counts now. */
static void who_waits_for_the_mirror_is_known(void **state)
{
	struct test_waiter t[2];
	struct gate gate;

	gate_init(&gate);
	assert_false(gate_wants_wire(&gate) || gate_wants_mirror(&gate));
	wait_at(&gate, &t[0], 1, (struct gate_need){ GROUP_NETWORK, false, true });
	assert_true(gate_wants_wire(&gate));
	assert_false(gate_wants_mirror(&gate));
	wait_at(&gate, &t[1], 2, (struct gate_need){ GROUP_REMOTE, true, false });
	assert_true(gate_wants_wire(&gate) && gate_wants_mirror(&gate));
	gate.conditions.lowered = true;
	assert_false(gate_wants_wire(&gate));
	assert_true(gate_wants_mirror(&gate));
	gate.conditions.alone = true;
	assert_false(gate_wants_wire(&gate) || gate_wants_mirror(&gate));
	gate.conditions.alone = gate.conditions.lowered = false;
	marks(&gate, 1, 0, 1, 0, 0);
	assert_int_equal(t[0].opened, 1);
	assert_false(gate_wants_wire(&gate));
	assert_true(gate_wants_mirror(&gate));
}

static void modes_overtake_each_other(void **state)
{
	struct gate gate;
	struct test_waiter remote, local;

	(void)state;
	gate_init(&gate);
	wait_at(&gate, &remote, 1, (struct gate_need){ GROUP_REMOTE, false, false });
	wait_at(&gate, &local, 2, (struct gate_need){ GROUP_LOCAL, false, false });
	marks(&gate, 2, 0, 0, 0, 0);
	assert_int_equal(local.opened, 1);
	assert_int_equal(remote.opened, 0);
	assert_int_equal(gate_fail(&gate, -EIO), 1);
	assert_int_equal(remote.res, -EIO);
}

static void only_what_may_be_lowered_is_lowered(void **state)
{
	struct gate gate;
	struct test_waiter may, may_not;

	(void)state;
	gate_init(&gate);
	wait_at(&gate, &may, 1, (struct gate_need){ GROUP_NETWORK, false, true });
	wait_at(&gate, &may_not, 1, (struct gate_need){ GROUP_REMOTE, false, false });
	marks(&gate, 1, 0, 0, 0, 0);
	assert_int_equal(may.opened, 0);
	gate.conditions.lowered = true;
	(void)gate_run(&gate);
	assert_int_equal(may.opened, 1);
	assert_int_equal(may_not.opened, 0);
	gate.conditions.alone = true;
	(void)gate_run(&gate);
	assert_int_equal(may_not.opened, 1);
}

/*
 * Who changes a rule means those that hang, too: they go on by it, in order, and have waited
 * since they arrived. What is raised does not open by what it needed before.
 */
static void who_waits_follows_the_rules_of_now(void **state)
{
	const struct gate_need holds = { GROUP_NETWORK, false, false };
	const struct gate_need goes_on = { GROUP_NETWORK, false, true };
	struct test_waiter t[4];
	struct gate gate;

	gate_init(&gate);
	gate.conditions.lowered = true;
	for (unsigned i = 0; i < 4; i++) {
		wait_at(&gate, &t[i], i + 1, i == 1 ? goes_on : holds);
		t[i].w.since = (rt_time){ i * 100 };
	}
	t[0].need = t[2].need = goes_on;
	gate_follow_rules(&gate);
	marks(&gate, 1, 0, 0, 0, 0);
	assert_true(t[0].opened == 1 && t[1].opened == 0 && t[2].opened == 0);
	marks(&gate, 2, 0, 0, 0, 0);
	assert_true(t[1].opened == 1 && t[2].opened == 0);
	t[2].need = (struct gate_need){ GROUP_REMOTE, false, true };
	t[3].need = (struct gate_need){ GROUP_REMOTE, false, false };
	gate_follow_rules(&gate);
	gate.conditions.lowered = false;
	marks(&gate, 4, 0, 4, 4, 2);
	assert_true(t[2].opened == 0 && t[3].opened == 0);
	assert_int_equal(gate_expire(&gate, (rt_time){ 201 }, -EIO), 1);
	assert_int_equal(t[2].res, -EIO);
	marks(&gate, 4, 0, 4, 4, 4);
	assert_int_equal(t[3].opened, 1);
	assert_true(gate_empty(&gate));
}

static void a_flush_that_covers_less_overtakes_a_later_fua(void **state)
{
	struct gate gate;
	struct test_waiter fua, flush;
	const struct gate_need need = { GROUP_LOCAL, true, false };

	(void)state;
	gate_init(&gate);
	wait_at(&gate, &fua, 9, need);
	wait_at(&gate, &flush, 3, need);
	assert_int_equal(gate_wants_durable(&gate), 9);
	marks(&gate, 9, 3, 0, 0, 0);
	assert_int_equal(flush.opened, 1);
	assert_int_equal(fua.opened, 0);
	assert_int_equal(gate_fail(&gate, -EIO), 1);
}

static void onwire_may_fall_and_holds_again(void **state)
{
	struct gate gate;
	struct test_waiter t;

	(void)state;
	gate_init(&gate);
	marks(&gate, 9, 0, 9, 5, 5);
	marks(&gate, 9, 0, 5, 5, 5);
	wait_at(&gate, &t, 7, (struct gate_need){ GROUP_NETWORK, false, false });
	(void)gate_run(&gate);
	assert_int_equal(t.opened, 0);
	marks(&gate, 9, 0, 7, 5, 5);
	assert_int_equal(t.opened, 1);
}

static void the_exposure_bound_holds_local_completions(void **state)
{
	struct gate gate;
	struct test_waiter t[2];
	const struct gate_need need = { GROUP_LOCAL, false, false };

	(void)state;
	gate_init(&gate);
	gate.conditions.local_max = 1;
	wait_at(&gate, &t[0], 1, need);
	wait_at(&gate, &t[1], 2, need);
	marks(&gate, 2, 0, 0, 0, 0);
	assert_int_equal(t[0].opened, 1);
	assert_int_equal(t[1].opened, 0);
	gate.conditions.local_max = 2;
	(void)gate_run(&gate);
	assert_int_equal(t[1].opened, 1);
}

static void only_those_that_waited_too_long_expire(void **state)
{
	struct gate gate;
	struct test_waiter t[2];
	const struct gate_need need = { GROUP_REMOTE, false, false };

	(void)state;
	gate_init(&gate);
	for (unsigned i = 0; i < 2; i++) {
		wait_at(&gate, &t[i], i + 1, need);
		t[i].w.since = (rt_time){ i * 100 };
	}
	assert_int_equal(gate_expire(&gate, (rt_time){ 100 }, -EIO), 1);
	assert_int_equal(t[0].res, -EIO);
	assert_int_equal(t[1].opened, 0);
	assert_int_equal(gate_fail(&gate, -ESHUTDOWN), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mode_waits_for_its_own_watermark),
		cmocka_unit_test(what_a_stuck_mirror_has_received_opens_nothing),
		cmocka_unit_test(waiters_open_by_lsn_not_by_arrival),
		cmocka_unit_test(the_last_waiter_says_what_must_be_durable),
		cmocka_unit_test(who_waits_for_the_mirror_is_known),
		cmocka_unit_test(modes_overtake_each_other),
		cmocka_unit_test(only_what_may_be_lowered_is_lowered),
		cmocka_unit_test(who_waits_follows_the_rules_of_now),
		cmocka_unit_test(a_flush_that_covers_less_overtakes_a_later_fua),
		cmocka_unit_test(onwire_may_fall_and_holds_again),
		cmocka_unit_test(the_exposure_bound_holds_local_completions),
		cmocka_unit_test(only_those_that_waited_too_long_expire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
