// SPDX-License-Identifier: BSD-3-Clause
/*
 * When the receiver acknowledges. Protects: ACK_DELAY_NS counts from the first datagram that
 * was not acknowledged, however many follow it, and the reported delay is that of the highest
 * number. A sender takes what is late for a longer path.
 */
#include "replicator/tunnel/ack.h"
#include "rt/check.h"
#include "tests/unit/unit.h"

#define NOW ((rt_time){ RT_S })

struct arrival {
	unsigned count; /* datagrams in a row */
	enum ack_why why;
	int64_t apart_ns; /* the first of them at NOW */
	int64_t due_ns;	  /* after NOW */
};

static const struct arrival arrivals[] = {
	{ 1, ACK_PLAIN, 0, ACK_DELAY_NS },
	{ 1, ACK_GAP, 0, ACK_DELAY_NS },
	{ 1, ACK_ASKED, 0, 0 },
	{ ACK_EVERY - 1, ACK_PLAIN, 0, ACK_DELAY_NS },
	{ ACK_EVERY - 1, ACK_PLAIN, ACK_DELAY_NS / 20, ACK_DELAY_NS },
	{ ACK_EVERY - 1, ACK_PLAIN, ACK_DELAY_NS / 2, ACK_DELAY_NS },
	{ ACK_EVERY, ACK_PLAIN, 10, (ACK_EVERY - 1) * 10 },
	{ ACK_EVERY_GAP - 1, ACK_GAP, ACK_DELAY_NS / 2, ACK_DELAY_NS },
	{ ACK_EVERY_GAP, ACK_GAP, 10, (ACK_EVERY_GAP - 1) * 10 },
};

static void the_first_datagram_sets_the_time(void **state)
{
	struct ack a;

	ack_init(&a);
	assert_true(rt_time_is_never(a.deadline));
	for (unsigned i = 0; i < RT_ARRAY_LEN(arrivals); i++) {
		const struct arrival *r = &arrivals[i];

		for (unsigned k = 0; k < r->count; k++)
			ack_add(&a, 100 * i + k + 1, r->why,
				rt_time_add(NOW, k * r->apart_ns));
		if (rt_time_since(a.deadline, NOW) != r->due_ns)
			fail_msg("row %u: due after %lld ns", i,
				 (long long)rt_time_since(a.deadline, NOW));
		/* One that is sent leaves nothing for the next to begin with. */
		ack_done(&a, i);
		assert_true(rt_time_is_never(a.deadline));
		assert_int_equal(a.credit, i);
	}
}

static void the_highest_number_has_the_delay(void **state)
{
	struct ack a;

	ack_init(&a);
	ack_add(&a, 7, ACK_PLAIN, NOW);
	ack_add(&a, 6, ACK_PLAIN, rt_time_add(NOW, RT_MS));
	assert_int_equal(a.largest, 7);
	assert_int_equal(rt_time_since(a.largest_at, NOW), 0);
	ack_add(&a, 8, ACK_PLAIN, rt_time_add(NOW, 2 * RT_MS));
	assert_int_equal(a.largest, 8);
	assert_int_equal(rt_time_since(a.largest_at, NOW), 2 * RT_MS);
	assert_int_equal(a.received, 3);
}

static void nothing_puts_an_acknowledgement_off(void **state)
{
	struct ack a;

	ack_init(&a);
	ack_at_once(&a, NOW);
	ack_at_once(&a, rt_time_add(NOW, RT_MS));
	ack_add(&a, 1, ACK_PLAIN, rt_time_add(NOW, RT_MS));
	assert_int_equal(rt_time_since(a.deadline, NOW), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_datagram_sets_the_time),
		cmocka_unit_test(the_highest_number_has_the_delay),
		cmocka_unit_test(nothing_puts_an_acknowledgement_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
