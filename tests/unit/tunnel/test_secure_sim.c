// SPDX-License-Identifier: BSD-3-Clause
/*
 * The simulator's stand-in for TLS must keep the same contract as GnuTLS does, or the
 * simulated handshakes prove nothing; and the same seed must give the same bytes.
 */
#include "tests/sim/secure_sim.c" /* instead of tunnel.a's: the linker takes these */
#include "tests/unit/tunnel/secure_contract.h"

static void same_seed_gives_same_bytes(void **state)
{
	uint8_t wire[3][256], secret[3][24];
	size_t len[3];

	for (int i = 0; i < 3; i++) {
		struct contract c;

		secure_sim_seed(i < 2 ? 7 : 8);
		contract_open(&c, contract_key, contract_key, 4096);
		len[i] = secure_output(c.end[0], wire[i], sizeof(wire[i]));
		assert_int_equal(secure_input(c.end[1], wire[i], len[i], NULL), 0);
		contract_pump(&c);
		assert_int_equal(secure_export(c.end[0], "l", secret[i], 24), 0);
		contract_close(&c);
	}
	assert_int_equal(len[0], len[1]);
	assert_memory_equal(wire[0], wire[1], len[0]);
	assert_memory_equal(secret[0], secret[1], 24);
	assert_memory_not_equal(wire[0], wire[2], len[0]);
	assert_memory_not_equal(secret[0], secret[2], 24);
}

/* Anybody gets an answer to this, as to a TLS hello that names no group. */
static void who_asks_shows_no_key(void **state)
{
	uint8_t ask[64], answer[64];
	size_t len = secure_sim_ask(ask, sizeof(ask));
	struct contract c;

	contract_open(&c, contract_key, contract_key, 4096);
	assert_int_equal(secure_input(c.end[1], ask, len, NULL), 0);
	assert_true(secure_output(c.end[1], answer, sizeof(answer)) > 0);
	assert_false(secure_hello_keyed(c.end[1]));
	assert_false(secure_established(c.end[1]));
	contract_close(&c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_seed_gives_same_bytes),
		cmocka_unit_test(who_asks_shows_no_key),
	};

	return cmocka_run_group_tests(contract_tests, NULL, NULL) ||
	       cmocka_run_group_tests(tests, NULL, NULL);
}
