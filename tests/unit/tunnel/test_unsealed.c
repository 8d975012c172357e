// SPDX-License-Identifier: BSD-3-Clause
/*
 * Without memory for a cipher a datagram leaves without its content, and the driver
 * timestamps it like any other. Protects: that is no evidence of what it should have
 * held.
 */
#include <dlfcn.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "replicator/tunnel/state.h"
#include "tests/unit/tunnel/pair.h"

static bool failing;
static unsigned failed;

/* In place of the library's, for this program: the linker takes the first it finds. */
int gnutls_aead_cipher_init(gnutls_aead_cipher_hd_t *handle,
			    gnutls_cipher_algorithm_t cipher, const gnutls_datum_t *key)
{
	static int (*real)(gnutls_aead_cipher_hd_t * handle,
			   gnutls_cipher_algorithm_t cipher, const gnutls_datum_t *key);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "gnutls_aead_cipher_init");
	assert_non_null(real);
	failed += failing;
	return failing ? GNUTLS_E_MEMORY_ERROR : real(handle, cipher, key);
}

static void what_was_not_sealed_has_not_left(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(10 * RT_MS, 0);
	rt_time now;
	struct pair p;

	pair_init(&p, &params, &line, 5);
	assert_true(pair_submit(&p, 0, 500));
	tunnel_expedite(p.end[0], pair_now(&p));
	pair_run(&p, RT_S);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 1);
	assert_true(tunnel_proven(p.end[0], pair_now(&p)));
	failing = true;
	p.end[0]->suite = !p.end[0]->suite; /* it needs a new key */
	assert_true(pair_submit(&p, 0, 5000));
	tunnel_expedite(p.end[0], pair_now(&p));
	for (unsigned i = 0; i < 500; i++) {
		pair_run(&p, RT_MS);
		now = pair_now(&p);
		assert_int_equal(tunnel_onwire(p.end[0], now), 1);
	}
	assert_true(failed > 3);
	failing = false;
	pair_run(&p, 2 * RT_S);
	assert_int_equal(tunnel_onwire(p.end[0], pair_now(&p)), 2);
	assert_int_equal(p.taken[1], 2);
	pair_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_not_sealed_has_not_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
