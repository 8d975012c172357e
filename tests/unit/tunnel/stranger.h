/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_TUNNEL_STRANGER_H
#define TESTS_UNIT_TUNNEL_STRANGER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * The hello of TLS 1.3 (RFC 8446, 4.1.2) that anybody can say: it names a group and brings
 * no share for it, so that the server asks for another hello, which is an answer.
 */
#define STRANGER_HELLO_MAX 256

static inline size_t stranger_put(uint8_t *buf, size_t at, const void *bytes, size_t len)
{
	memcpy(buf + at, bytes, len);
	return at + len;
}

static inline void stranger_len(uint8_t *at, size_t len)
{
	at[0] = (uint8_t)(len >> 8);
	at[1] = (uint8_t)len;
}

/* Bytes written to `buf`. */
static inline size_t stranger_hello(uint8_t buf[STRANGER_HELLO_MAX])
{
	static const uint8_t record[] = { 22, 3, 1, 0, 0 },
			     hello[] = { 1, 0, 0, 0, 3, 3 }, random[32] = { 7 };
	/* No session; TLS_AES_128_GCM_SHA256; no compression; the length of extensions. */
	static const uint8_t suites[] = { 0, 0, 2, 0x13, 0x01, 1, 0, 0, 0 };
	static const uint8_t versions[] = { 0, 43, 0, 3, 2, 3, 4 }, /* TLS 1.3 */
		groups[] = { 0, 10, 0, 4, 0, 2, 0, 23 },	    /* secp256r1 */
		signatures[] = { 0, 13, 0, 4, 0, 2, 4, 3 },
			     shares[] = { 0, 51, 0, 2, 0, 0 }, /* none */
		modes[] = { 0, 45, 0, 2, 1, 1 };	       /* psk_dhe_ke */
	size_t at = 0, len_at;

	at = stranger_put(buf, at, record, sizeof(record));
	at = stranger_put(buf, at, hello, sizeof(hello));
	at = stranger_put(buf, at, random, sizeof(random));
	at = stranger_put(buf, at, suites, sizeof(suites));
	len_at = at - 2;
	at = stranger_put(buf, at, versions, sizeof(versions));
	at = stranger_put(buf, at, groups, sizeof(groups));
	at = stranger_put(buf, at, signatures, sizeof(signatures));
	at = stranger_put(buf, at, shares, sizeof(shares));
	at = stranger_put(buf, at, modes, sizeof(modes));
	stranger_len(buf + len_at, at - len_at - 2);
	stranger_len(buf + 7, at - 9);
	stranger_len(buf + 3, at - 5);
	return at;
}

#endif
