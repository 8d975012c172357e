// SPDX-License-Identifier: BSD-3-Clause
/*
 * The control connection carries every command and the secret that seals the datagrams:
 * only the holder of the same key gets in, whatever else arrives on the port. And who gets
 * that key one day must not read what was recorded before.
 */
#include <dlfcn.h>
#include <gnutls/gnutls.h>

#include "rt/check.h"
#include "tests/unit/tunnel/secure_contract.h"
#include "tests/unit/tunnel/stranger.h"

static gnutls_session_t sessions[2];
static unsigned made;

/* In place of the library's, for this program: the linker takes the first it finds. */
int gnutls_init(gnutls_session_t *session, unsigned int flags)
{
	static int (*real)(gnutls_session_t * session, unsigned int flags);
	int res;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "gnutls_init");
	assert_non_null(real);
	res = real(session, flags);
	sessions[made++ % RT_ARRAY_LEN(sessions)] = *session;
	return res;
}

static void keys_of_a_connection_are_its_own(void **state)
{
	struct contract c;

	made = 0;
	contract_open(&c, contract_key, contract_key, 4096);
	contract_pump(&c);
	assert_int_equal(made, 2);
	for (unsigned i = 0; i < made; i++) {
		assert_true(secure_established(c.end[i]));
		assert_int_equal(gnutls_protocol_get_version(sessions[i]), GNUTLS_TLS1_3);
		assert_int_equal(gnutls_kx_get(sessions[i]), GNUTLS_KX_ECDHE_PSK);
	}
	contract_close(&c);
}

/* What the end that dials says instead of its own identity; NULL: that. */
static const char *identity;

int gnutls_psk_set_client_credentials2(gnutls_psk_client_credentials_t res,
				       const gnutls_datum_t *name,
				       const gnutls_datum_t *key,
				       gnutls_psk_key_flags flags)
{
	static int (*real)(gnutls_psk_client_credentials_t, const gnutls_datum_t *,
			   const gnutls_datum_t *, gnutls_psk_key_flags);
	gnutls_datum_t other = *name;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "gnutls_psk_set_client_credentials2");
	assert_non_null(real);
	if (identity != NULL) {
		other.data = (unsigned char *)(uintptr_t)identity;
		other.size = (unsigned)strlen(identity);
	}
	return real(res, &other, key, flags);
}

/* Who has the key and names another purpose speaks another protocol. */
static void other_identities_are_refused(void **state)
{
	static const char *const others[] = { "wanmirro",      "wanmirror ",
					      "wanmirror dat", "wanmirror data2",
					      "Wanmirror",     "w" };

	for (unsigned i = 0; i < RT_ARRAY_LEN(others); i++) {
		struct contract c;

		identity = others[i];
		contract_open(&c, contract_key, contract_key, 4096);
		contract_pump(&c);
		assert_false(secure_established(c.end[1]));
		assert_int_equal(c.error[1], -EBADMSG);
		assert_non_null(strstr(c.why[1], "names another group"));
		contract_close(&c);
	}
	identity = NULL;
}

/* It is answered, as anybody is who may still have the key, and has not shown it. */
static void who_is_asked_for_another_hello_shows_no_key(void **state)
{
	uint8_t hello[STRANGER_HELLO_MAX], answer[1024];
	size_t len = stranger_hello(hello);
	struct secure *s;
	const char *why = NULL;

	assert_int_equal(secure_accept("db", contract_key, &s), 0);
	if (secure_input(s, hello, len, &why) != 0)
		fail_msg("%s", why);
	/* A request for another hello is a ServerHello; FINISHED would follow another one. */
	assert_true(secure_output(s, answer, sizeof(answer)) > 6);
	assert_int_equal(answer[0], 22);
	assert_int_equal(answer[5], 2);
	assert_false(secure_established(s));
	assert_false(secure_hello_keyed(s));
	secure_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_a_connection_are_its_own),
		cmocka_unit_test(other_identities_are_refused),
		cmocka_unit_test(who_is_asked_for_another_hello_shows_no_key),
	};

	return cmocka_run_group_tests(contract_tests, NULL, NULL) +
	       cmocka_run_group_tests(tests, NULL, NULL);
}
