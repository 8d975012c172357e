// SPDX-License-Identifier: BSD-3-Clause
/*
 * What one end seals only the other end opens, and only unchanged: each direction, suite
 * and key epoch has a key of its own. Keys change at the same number at both ends, and
 * forged numbers do not make us derive keys without end.
 */
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

#include "replicator/tunnel/seal.h"
#include "rt/bytes.h"
#include "rt/check.h"
#include "tests/unit/unit.h"

#define LEN 100

struct ends {
	struct seal *tx, *rx;
	uint8_t head[20], plain[LEN], sealed[LEN + SEAL_TAG], opened[LEN];
};

static void ends_init(struct ends *e)
{
	uint8_t secret[SEAL_SECRET] = { 1, 2, 3 };

	*e = (struct ends){ .head = { 9, 8, 7 }, .plain = { 5, 4, 3 } };
	assert_int_equal(seal_new(secret, true, &e->tx), 0);
	assert_int_equal(seal_new(secret, true, &e->rx), 0);
}

static void ends_release(struct ends *e)
{
	seal_free(e->tx);
	seal_free(e->rx);
}

static void ends_close(struct ends *e, enum seal_suite suite, uint64_t number)
{
	struct seal_text text = { e->head, sizeof(e->head), e->plain, LEN };

	assert_int_equal(seal_close(e->tx, suite, number, &text, e->sealed), 0);
}

static int ends_open(struct ends *e, enum seal_suite suite, uint64_t number)
{
	struct seal_text text = { e->head, sizeof(e->head), e->sealed,
				  sizeof(e->sealed) };
	int res = seal_open(e->rx, suite, number, &text, e->opened);

	if (res == 0)
		assert_memory_equal(e->opened, e->plain, LEN);
	return res;
}

static void opens_what_was_closed(void **state)
{
	for (unsigned suite = 0; suite < SEAL_SUITES; suite++) {
		struct ends e;

		ends_init(&e);
		ends_close(&e, suite, 1);
		assert_int_equal(ends_open(&e, suite, 1), 0);
		/* Another number, suite, or head. */
		assert_int_equal(ends_open(&e, suite, 2), -EBADMSG);
		assert_int_equal(ends_open(&e, !suite, 1), -EBADMSG);
		for (unsigned bit = 0; bit < 8 * sizeof(e.head); bit++) {
			e.head[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(ends_open(&e, suite, 1), -EBADMSG);
			e.head[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		for (unsigned bit = 0; bit < 8 * sizeof(e.sealed); bit++) {
			e.sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(ends_open(&e, suite, 1), -EBADMSG);
			e.sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		assert_int_equal(ends_open(&e, suite, 1), 0);
		ends_release(&e);
	}
}

static void directions_and_secrets_differ(void **state)
{
	uint8_t secret[SEAL_SECRET] = { 1, 2, 3 };
	struct ends e;

	ends_init(&e);
	ends_close(&e, SEAL_AES_128_GCM, 1);
	seal_free(e.rx);
	assert_int_equal(seal_new(secret, false, &e.rx), 0);
	assert_int_equal(ends_open(&e, SEAL_AES_128_GCM, 1), -EBADMSG);
	seal_free(e.rx);
	secret[31] = 1;
	assert_int_equal(seal_new(secret, true, &e.rx), 0);
	assert_int_equal(ends_open(&e, SEAL_AES_128_GCM, 1), -EBADMSG);
	ends_release(&e);
}

/* The same number modulo the epoch's length is another nonce under another key. */
static void key_epochs_follow_the_number(void **state)
{
	uint8_t first[LEN + SEAL_TAG];
	struct ends e;

	ends_init(&e);
	for (uint64_t epoch = 0; epoch < 8; epoch++) {
		uint64_t at = epoch * SEAL_EPOCH_LEN;

		/* In disorder over the change, as a line may deliver. */
		ends_close(&e, SEAL_AES_128_GCM, at + 5);
		assert_int_equal(ends_open(&e, SEAL_AES_128_GCM, at + 5), 0);
		if (epoch == 0)
			memcpy(first, e.sealed, sizeof(first));
		else
			assert_memory_not_equal(first, e.sealed, sizeof(first));
		if (epoch > 0) {
			ends_close(&e, SEAL_AES_128_GCM, at - 1);
			assert_int_equal(ends_open(&e, SEAL_AES_128_GCM, at - 1), 0);
		}
	}
	/* Not next to the newest: not even tried. */
	ends_close(&e, SEAL_AES_128_GCM, 9 * SEAL_EPOCH_LEN);
	assert_int_equal(ends_open(&e, SEAL_AES_128_GCM, 9 * SEAL_EPOCH_LEN), -EBADMSG);
	ends_close(&e, SEAL_AES_128_GCM, 5 * SEAL_EPOCH_LEN);
	assert_int_equal(ends_open(&e, SEAL_AES_128_GCM, 5 * SEAL_EPOCH_LEN), -EBADMSG);
	/* A forged number of the next epoch does not move us there. */
	ends_close(&e, SEAL_AES_128_GCM, 8 * SEAL_EPOCH_LEN);
	e.sealed[0] ^= 1;
	assert_int_equal(ends_open(&e, SEAL_AES_128_GCM, 8 * SEAL_EPOCH_LEN), -EBADMSG);
	ends_close(&e, SEAL_AES_128_GCM, 6 * SEAL_EPOCH_LEN);
	assert_int_equal(ends_open(&e, SEAL_AES_128_GCM, 6 * SEAL_EPOCH_LEN), 0);
	ends_release(&e);
}

/* What docs/tunnel.md writes, step by step, and nothing of seal.c. */
static void document_expand(const uint8_t info[32], uint8_t *out, size_t len)
{
	static uint8_t secret[SEAL_SECRET] = { 1, 2, 3 };
	gnutls_datum_t from = { secret, sizeof(secret) };
	gnutls_datum_t with = { (unsigned char *)info, 32 };

	assert_int_equal(gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &from, &with, out, len),
			 0);
}

static void document_close(enum seal_suite suite, bool dialer, uint64_t number,
			   const struct seal_text *text, uint8_t *out)
{
	gnutls_cipher_algorithm_t algorithm = suite == SEAL_AES_128_GCM
						      ? GNUTLS_CIPHER_AES_128_GCM
						      : GNUTLS_CIPHER_CHACHA20_POLY1305;
	uint8_t info[32] = "wanmirror datagram", bytes[32], nonce[12];
	gnutls_datum_t datum = { bytes, suite == SEAL_AES_128_GCM ? 16 : 32 };
	size_t len = text->in_len + 16;
	gnutls_aead_cipher_hd_t cipher;
	le64 epoch = le64_make(number >> 21);

	info[20] = dialer;
	info[21] = (uint8_t)suite;
	memcpy(info + 24, &epoch, sizeof(epoch));
	info[22] = 1;
	document_expand(info, bytes, datum.size);
	info[22] = 2;
	document_expand(info, nonce, sizeof(nonce));
	for (unsigned i = 0; i < 8; i++)
		nonce[4 + i] ^= (uint8_t)(number >> (56 - 8 * i));
	assert_int_equal(gnutls_aead_cipher_init(&cipher, algorithm, &datum), 0);
	assert_int_equal(gnutls_aead_cipher_encrypt(cipher, nonce, sizeof(nonce),
						    text->head, text->head_len, 16,
						    text->in, text->in_len, out, &len),
			 0);
	gnutls_aead_cipher_deinit(cipher);
}

/*
 * Two ends that make the same mistake understand each other: a key that is not changed, or
 * a nonce that gives the key away, shows only beside the document.
 */
static void the_bytes_are_the_documents(void **state)
{
	static const uint64_t numbers[] = { 1,
					    2,
					    SEAL_EPOCH_LEN - 1,
					    SEAL_EPOCH_LEN,
					    3 * SEAL_EPOCH_LEN + 1,
					    7 * SEAL_EPOCH_LEN + 300,
					    UINT64_C(0x123456789abcdef0) };
	uint8_t secret[SEAL_SECRET] = { 1, 2, 3 };

	for (unsigned dialer = 0; dialer < 2; dialer++)
		for (unsigned suite = 0; suite < SEAL_SUITES; suite++) {
			uint8_t want[LEN + SEAL_TAG];
			struct ends e;

			ends_init(&e);
			seal_free(e.tx);
			assert_int_equal(seal_new(secret, dialer, &e.tx), 0);
			for (unsigned i = 0; i < RT_ARRAY_LEN(numbers); i++) {
				struct seal_text text = { e.head, sizeof(e.head), e.plain,
							  LEN };

				ends_close(&e, suite, numbers[i]);
				document_close(suite, dialer, numbers[i], &text, want);
				assert_memory_equal(e.sealed, want, sizeof(want));
			}
			ends_release(&e);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_what_was_closed),
		cmocka_unit_test(directions_and_secrets_differ),
		cmocka_unit_test(key_epochs_follow_the_number),
		cmocka_unit_test(the_bytes_are_the_documents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
