// SPDX-License-Identifier: BSD-3-Clause
/*
 * Everything else stands on the order of the loop: timers fire in the order of their
 * times and never early, deferred calls come in the next turn, nothing is called from
 * inside the call that started it, and a run ends when there is nothing left to do.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "rt/hash.h"
#include "rt/uring.h"
#include "tests/unit/rt/call.h"

#define TIMERS 2000u
/* Changes of the heap; each is checked against a plain search. */
#define HEAP_STEPS 20000u

static int loop_setup(void **state)
{
	return rt_loop_new((struct rt_loop **)state);
}

static int loop_teardown(void **state)
{
	rt_loop_free(*state);
	return 0;
}

static void an_empty_loop_ends(void **state)
{
	assert_int_equal(rt_loop_run(*state), 0);
	assert_int_equal(rt_loop_run(*state), 0);
}

struct fired {
	struct rt_timer timer;
	struct rt_loop *loop;
	rt_time want;
	rt_time *last;
	unsigned *count;
};

static void fired_fire(struct rt_timer *timer)
{
	struct fired *f = rt_container_of(timer, struct fired, timer);

	assert_false(rt_timer_armed(timer));
	assert_false(rt_time_before(rt_now(f->loop), f->want)); /* never early */
	assert_false(rt_time_before(f->want, *f->last));
	*f->last = f->want;
	++*f->count;
}

static void timers_fire_in_order_and_not_early(void **state)
{
	struct rt_loop *loop = *state;
	struct fired *all = calloc(TIMERS, sizeof(*all));
	rt_time start = rt_now(loop), last = { 0 };
	unsigned count = 0, kept = 0;
	uint64_t x = 1;

	assert_non_null(all);
	for (unsigned i = 0; i < TIMERS; i++) {
		x = rt_mix64(x + i);
		all[i] = (struct fired){ { .fire = fired_fire },
					 loop,
					 rt_time_add(start, (int64_t)(x % 30) * RT_MS),
					 &last,
					 &count };
		rt_timer_arm(loop, &all[i].timer, all[i].want);
	}
	for (unsigned i = 0; i < TIMERS; i += 3)
		rt_timer_disarm(loop, &all[i].timer);
	for (unsigned i = 0; i < TIMERS; i++)
		kept += rt_timer_armed(&all[i].timer);
	assert_int_equal(kept, TIMERS - (TIMERS + 2) / 3);
	assert_int_equal(rt_loop_run(loop), 0);
	assert_int_equal(count, kept);
	rt_timer_disarm(loop, &all[0].timer);
	free(all);
}

static void never(struct rt_timer *timer)
{
	fail();
}

/* The heap against a search of all timers, through arming, rearming and disarming. */
static void the_next_timer_is_the_earliest(void **state)
{
	static struct rt_timer timers[64];
	struct rt_loop *loop = *state;
	uint64_t x = 42;

	for (unsigned step = 0; step < HEAP_STEPS; step++) {
		struct rt_timer *t;
		rt_time first = RT_NEVER;

		x = rt_mix64(x + step);
		t = &timers[x % RT_ARRAY_LEN(timers)];
		t->fire = never;
		if (x >> 32 & 1)
			rt_timer_arm(loop, t, (rt_time){ (int64_t)(x >> 40) + RT_S });
		else
			rt_timer_disarm(loop, t);
		for (unsigned i = 0; i < RT_ARRAY_LEN(timers); i++) {
			if (rt_timer_armed(&timers[i]))
				first = rt_time_min(first, timers[i].at);
		}
		assert_int_equal(uring_timer_next(loop).ns, first.ns);
	}
	for (unsigned i = 0; i < RT_ARRAY_LEN(timers); i++)
		rt_timer_arm(loop, &timers[i], RT_NEVER); /* disarms */
	assert_int_equal(rt_loop_run(loop), 0);
}

struct again {
	struct rt_timer timer;
	struct rt_loop *loop;
	unsigned count;
};

static void again_fire(struct rt_timer *timer)
{
	struct again *again = rt_container_of(timer, struct again, timer);

	if (++again->count < 100)
		rt_timer_arm(again->loop, timer, rt_now(again->loop));
}

/* A timer that is always due leaves the others their turn. */
static void a_timer_that_rearms_itself_does_not_hold_the_loop(void **state)
{
	struct rt_loop *loop = *state;
	struct again again = { { .fire = again_fire }, loop, 0 };
	struct call call;

	rt_timer_arm(loop, &again.timer, rt_now(loop));
	rt_defer(loop, call_op(loop, &call));
	assert_int_equal(call_wait(&call), 0);
	assert_true(again.count < 100);
	assert_int_equal(rt_loop_run(loop), 0);
	assert_int_equal(again.count, 100);
}

struct chain {
	struct rt_op op;
	struct rt_loop *loop;
	unsigned count;
	bool inside;
};

static void chain_done(struct rt_op *op, int res)
{
	struct chain *chain = rt_container_of(op, struct chain, op);

	assert_int_equal(res, 0);
	assert_false(chain->inside);
	chain->inside = true;
	if (++chain->count < 1000)
		rt_defer(chain->loop, op);
	chain->inside = false;
}

static void deferred_calls_come_in_a_later_turn(void **state)
{
	struct rt_loop *loop = *state;
	struct chain chain = { { .done = chain_done }, loop, 0, false };
	struct call call;

	rt_defer(loop, &chain.op);
	assert_int_equal(chain.count, 0);
	rt_defer(loop, call_op(loop, &call));
	assert_int_equal(call_wait(&call), 0);
	assert_int_equal(chain.count, 1); /* the chain does not run ahead */
	assert_int_equal(rt_loop_run(loop), 0);
	assert_int_equal(chain.count, 1000);
}

struct endless {
	struct rt_op op;
	struct rt_timer timer;
	struct rt_loop *loop;
	unsigned count, fired_at;
};

static void endless_done(struct rt_op *op, int res)
{
	struct endless *endless = rt_container_of(op, struct endless, op);

	assert_int_equal(res, 0);
	if (endless->count++ == 0)
		rt_timer_arm(endless->loop, &endless->timer, rt_now(endless->loop));
	if (endless->fired_at == 0)
		rt_defer(endless->loop, op);
}

static void endless_fire(struct rt_timer *timer)
{
	struct endless *endless = rt_container_of(timer, struct endless, timer);

	endless->fired_at = endless->count;
}

/* Rounds without the kernel have a bound: timers and completions come between. */
static void a_deferred_call_that_comes_back_does_not_hold_the_loop(void **state)
{
	struct rt_loop *loop = *state;
	struct endless endless = {
		{ .done = endless_done }, { .fire = endless_fire }, loop, 0, 0
	};

	rt_defer(loop, &endless.op);
	assert_int_equal(rt_loop_run(loop), 0);
	assert_in_range(endless.fired_at, 1, URING_ROUNDS);
}

static void a_deferred_call_can_be_cancelled(void **state)
{
	struct rt_loop *loop = *state;
	struct call call;

	rt_defer(loop, call_op(loop, &call));
	rt_cancel(loop, &call.op);
	assert_int_equal(call_wait(&call), -ECANCELED);
}

struct busy {
	struct rt_op op, idle;
	struct rt_timer timer;
	struct rt_loop *loop;
	unsigned count, idle_at, idles;
};

static void busy_done(struct rt_op *op, int res)
{
	struct busy *busy = rt_container_of(op, struct busy, op);

	assert_int_equal(res, 0);
	if (++busy->count < 1000)
		rt_defer(busy->loop, op);
}

static void busy_idle(struct rt_op *op, int res)
{
	struct busy *busy = rt_container_of(op, struct busy, idle);

	assert_int_equal(res, 0);
	busy->idle_at = busy->count;
	/* From inside it waits once more for a turn of its own. */
	if (++busy->idles < 3)
		rt_defer_idle(busy->loop, op);
}

static void busy_fire(struct rt_timer *timer)
{
	struct busy *busy = rt_container_of(timer, struct busy, timer);

	assert_int_equal(busy->idles, 3);
}

/* An idle call gives way to all that is ready, and does not wait for a timer. */
static void an_idle_call_comes_when_nothing_else_is_to_be_done(void **state)
{
	struct rt_loop *loop = *state;
	struct busy busy = { { .done = busy_done },
			     { .done = busy_idle },
			     { .fire = busy_fire },
			     loop,
			     0,
			     0,
			     0 };

	rt_timer_arm(loop, &busy.timer, rt_time_add(rt_now(loop), 50 * RT_MS));
	rt_defer_idle(loop, &busy.idle);
	rt_defer(loop, &busy.op);
	assert_int_equal(busy.idles, 0);
	assert_int_equal(rt_loop_run(loop), 0);
	assert_int_equal(busy.idle_at, 1000);
	assert_int_equal(busy.idles, 3);
}

static void an_idle_call_can_be_cancelled(void **state)
{
	struct rt_loop *loop = *state;
	struct call call;

	rt_defer_idle(loop, call_op(loop, &call));
	rt_cancel(loop, &call.op);
	assert_int_equal(call_wait(&call), -ECANCELED);
}

struct signals {
	struct rt_loop *loop;
	unsigned counts[2];
};

static void signal_taken(void *owner, int signo)
{
	struct signals *signals = owner;

	signals->counts[signo == SIGUSR2]++;
	rt_loop_stop(signals->loop);
}

static void signals_are_delivered(void **state)
{
	struct rt_loop *loop = *state;
	struct signals signals = { .loop = loop };
	unsigned *counts = signals.counts;

	assert_int_equal(rt_signal(loop, SIGUSR1, signal_taken, &signals), 0);
	(void)raise(SIGUSR1);
	assert_int_equal(rt_signal(loop, SIGUSR2, signal_taken, &signals), 0);
	(void)raise(SIGUSR2);
	run_until(loop, &counts[0], 1);
	run_until(loop, &counts[1], 1);
	(void)raise(SIGUSR1);
	run_until(loop, &counts[0], 2);
	assert_int_equal(counts[0], 2);
	assert_int_equal(counts[1], 1);
}

static void time_and_chance(void **state)
{
	struct rt_loop *loop = *state;
	uint8_t a[64] = { 0 }, b[64] = { 0 };

	rt_random(loop, a, sizeof(a));
	rt_random(loop, b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_true(rt_wall_ns(loop) > INT64_C(1600000000) * RT_S);
}

/* A process that has no descriptor left still knows on which boot it runs. */
static void the_boot_is_read_once(void **state)
{
	struct rt_loop *loop = *state;
	uint8_t id[16], same[16];
	struct rlimit limit, none;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(rt_boot_id(loop, id), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(rt_boot_id(loop, id), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(rt_boot_id(loop, same), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_memory_equal(id, same, sizeof(id));
}

/* The ring of older kernels, which cannot defer its task work. */
static void a_loop_without_deferred_work(void **state)
{
	struct rt_loop *loop;
	struct call call;
	struct rt_file *file;
	char buf[8];

	assert_int_equal(uring_loop_new(URING_WITHOUT_DEFER, &loop), 0);
	assert_int_equal(rt_file_open(loop, "README.md", 0, &file) == 0 ||
				 rt_file_open(loop, "Makefile", 0, &file) == 0,
			 1);
	rt_read(file, call_op(loop, &call), buf, sizeof(buf), 0);
	assert_int_equal(call_wait(&call), sizeof(buf));
	rt_file_close(file);
	rt_loop_free(loop);
}

#define T(f) cmocka_unit_test_setup_teardown(f, loop_setup, loop_teardown)

/* Wall time, for a loop that does not come to rest. */
#define TEST_BOUND_S 120

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_empty_loop_ends),
		T(timers_fire_in_order_and_not_early),
		T(the_next_timer_is_the_earliest),
		T(a_timer_that_rearms_itself_does_not_hold_the_loop),
		T(deferred_calls_come_in_a_later_turn),
		T(a_deferred_call_that_comes_back_does_not_hold_the_loop),
		T(a_deferred_call_can_be_cancelled),
		T(an_idle_call_comes_when_nothing_else_is_to_be_done),
		T(an_idle_call_can_be_cancelled),
		T(signals_are_delivered),
		T(time_and_chance),
		T(the_boot_is_read_once),
		cmocka_unit_test(a_loop_without_deferred_work),
	};

	(void)alarm(TEST_BOUND_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
