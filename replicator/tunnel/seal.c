// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/seal.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

#include "rt/bytes.h"
#include "rt/check.h"
#include "rt/mem.h"

/* The newest epoch opened, the one before it, and the one after it. */
#define SEAL_SLOTS 3
#define SEAL_NONCE 12
#define SEAL_KEY_MAX 32

struct seal_key {
	gnutls_aead_cipher_hd_t cipher; /* owned; NULL: not derived yet */
	uint64_t epoch;
	uint8_t iv[SEAL_NONCE];
};

struct seal {
	struct seal_key keys[SEAL_SUITES][SEAL_SLOTS]; /* slot: epoch % SEAL_SLOTS */
	uint64_t newest; /* epoch of the highest authentic number */
	uint8_t secret[SEAL_SECRET];
	bool dialer;
};

static gnutls_cipher_algorithm_t seal_algorithm(enum seal_suite suite)
{
	return suite == SEAL_AES_128_GCM ? GNUTLS_CIPHER_AES_128_GCM
					 : GNUTLS_CIPHER_CHACHA20_POLY1305;
}

enum seal_suite seal_suite_best(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul")
		       ? SEAL_AES_128_GCM
		       : SEAL_CHACHA20_POLY1305;
#else
	return SEAL_AES_128_GCM;
#endif
}

int seal_new(const uint8_t secret[SEAL_SECRET], bool dialer, struct seal **ret)
{
	struct seal *s = rt_zalloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	memcpy(s->secret, secret, sizeof(s->secret));
	s->dialer = dialer;
	*ret = s;
	return 0;
}

static void seal_key_release(struct seal_key *key)
{
	if (key->cipher != NULL)
		gnutls_aead_cipher_deinit(key->cipher);
	gnutls_memset(key, 0, sizeof(*key));
}

void seal_free(struct seal *s)
{
	if (s == NULL)
		return;
	for (unsigned suite = 0; suite < SEAL_SUITES; suite++)
		for (unsigned i = 0; i < SEAL_SLOTS; i++)
			seal_key_release(&s->keys[suite][i]);
	gnutls_memset(s->secret, 0, sizeof(s->secret));
	rt_free(s);
}

/* What names a key, besides the secret; "which" tells key from nonce. */
struct seal_label {
	char name[20];
	uint8_t dialer, suite, which, zero;
	le64 epoch;
};

static int seal_expand(const struct seal *s, const struct seal_label *label, uint8_t *out,
		       size_t len)
{
	gnutls_datum_t secret = { (unsigned char *)s->secret, sizeof(s->secret) };
	gnutls_datum_t info = { (unsigned char *)label, sizeof(*label) };

	return gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &secret, &info, out, len) == 0
		       ? 0
		       : -EIO;
}

static int seal_key_derive(const struct seal *s, enum seal_suite suite, uint64_t epoch,
			   struct seal_key *key)
{
	struct seal_label label = { .name = "wanmirror datagram",
				    .dialer = s->dialer,
				    .suite = (uint8_t)suite,
				    .epoch = le64_make(epoch) };
	uint8_t bytes[SEAL_KEY_MAX];
	gnutls_datum_t datum = { bytes, (unsigned)gnutls_cipher_get_key_size(
						seal_algorithm(suite)) };
	int res;

	rt_assert(datum.size <= sizeof(bytes));
	seal_key_release(key);
	label.which = 1;
	res = seal_expand(s, &label, bytes, datum.size);
	if (res == 0) {
		label.which = 2;
		res = seal_expand(s, &label, key->iv, sizeof(key->iv));
	}
	if (res == 0 &&
	    gnutls_aead_cipher_init(&key->cipher, seal_algorithm(suite), &datum) != 0)
		res = -ENOMEM;
	gnutls_memset(bytes, 0, sizeof(bytes));
	if (res != 0) {
		key->cipher = NULL;
		return res;
	}
	key->epoch = epoch;
	return 0;
}

static int seal_key_get(struct seal *s, enum seal_suite suite, uint64_t number,
			struct seal_key **ret)
{
	uint64_t epoch = number / SEAL_EPOCH_LEN;
	struct seal_key *key = &s->keys[suite][epoch % SEAL_SLOTS];
	int res = 0;

	if (key->cipher == NULL || key->epoch != epoch)
		res = seal_key_derive(s, suite, epoch, key);
	*ret = key;
	return res;
}

/* The number goes into the last eight bytes, as in TLS 1.3 (RFC 8446, 5.3). */
static void seal_nonce(const struct seal_key *key, uint64_t number,
		       uint8_t nonce[SEAL_NONCE])
{
	memcpy(nonce, key->iv, SEAL_NONCE);
	for (unsigned i = 0; i < 8; i++)
		nonce[SEAL_NONCE - 1 - i] ^= (uint8_t)(number >> (8 * i));
}

int seal_close(struct seal *s, enum seal_suite suite, uint64_t number,
	       const struct seal_text *text, uint8_t *out)
{
	uint8_t nonce[SEAL_NONCE];
	struct seal_key *key;
	size_t out_len = text->in_len + SEAL_TAG;
	int res = seal_key_get(s, suite, number, &key);

	if (res != 0)
		return res;
	seal_nonce(key, number, nonce);
	res = gnutls_aead_cipher_encrypt(key->cipher, nonce, sizeof(nonce), text->head,
					 text->head_len, SEAL_TAG, text->in, text->in_len,
					 out, &out_len);
	return res == 0 ? 0 : -EIO;
}

int seal_open(struct seal *s, enum seal_suite suite, uint64_t number,
	      const struct seal_text *text, uint8_t *out)
{
	uint64_t epoch = number / SEAL_EPOCH_LEN;
	uint8_t nonce[SEAL_NONCE];
	struct seal_key *key;
	size_t out_len;

	if (text->in_len < SEAL_TAG)
		return -EBADMSG;
	/* Forged numbers must not make us derive keys: only neighbours are tried. */
	if (epoch > s->newest + 1 || epoch + 1 < s->newest)
		return -EBADMSG;
	if (seal_key_get(s, suite, number, &key) != 0)
		return -EBADMSG;
	seal_nonce(key, number, nonce);
	out_len = text->in_len - SEAL_TAG;
	if (gnutls_aead_cipher_decrypt(key->cipher, nonce, sizeof(nonce), text->head,
				       text->head_len, SEAL_TAG, text->in, text->in_len,
				       out, &out_len) != 0)
		return -EBADMSG;
	if (epoch > s->newest)
		s->newest = epoch;
	return 0;
}
