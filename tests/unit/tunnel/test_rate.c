// SPDX-License-Identifier: BSD-3-Clause
/*
 * What acknowledgements report to congestion control. The count of datagrams that were
 * received has 32 bits on the wire: a tunnel that lives for days must not take the carry for
 * the loss of all that was ever sent.
 */
#include "replicator/tunnel/state.h"
#include "tests/unit/tunnel/pair.h"

static void the_count_of_datagrams_goes_on_past_32_bits(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(5 * RT_MS, 0);
	const uint64_t before = UINT32_MAX - 200;
	struct pair p;

	params.rate_auto = true;
	params.rate_bps = 20000000;
	pair_init(&p, &params, &line, 1);
	p.end[1]->ack.received = (uint32_t)before;
	p.end[0]->peer.received = before;
	for (unsigned i = 0; i < 1000; i++) {
		(void)pair_submit(&p, 0, 4000);
		tunnel_expedite(p.end[0], pair_now(&p));
		pair_run(&p, RT_MS);
		assert_true(p.end[0]->peer.received >= before);
	}
	assert_true(p.end[0]->peer.received > UINT64_C(1) << 32);
	/* The rest is still to be acknowledged. */
	assert_in_range(p.end[1]->ack.received - (uint32_t)p.end[0]->peer.received, 0,
			64);
	pair_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_count_of_datagrams_goes_on_past_32_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
