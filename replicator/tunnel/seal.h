/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_SEAL_H
#define REPLICATOR_TUNNEL_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Sealing of datagrams: one key per direction, suite and key epoch, derived from the
 * tunnel's secret by HKDF-Expand (RFC 5869, SHA-256). The key epoch is the datagram's
 * number / SEAL_EPOCH_LEN, so that both ends change keys at the same number without a
 * word, and long before AES-GCM's limit of 2^23 full records or so under one key.
 */
#define SEAL_EPOCH_LEN (UINT64_C(1) << 21)
#define SEAL_TAG 16
#define SEAL_SECRET 32

enum seal_suite {
	SEAL_AES_128_GCM, /* 0.52 us for 1.4 KB where the CPU has AES instructions */
	SEAL_CHACHA20_POLY1305,
	SEAL_SUITES,
};

/* The faster suite on this CPU. Each direction has its own; datagrams name it. */
enum seal_suite seal_suite_best(void);

/* One direction's keys. */
struct seal;

/* `dialer`: of what the end that dialed sends. 0 or -ENOMEM. `secret` is copied. */
int seal_new(const uint8_t secret[SEAL_SECRET], bool dialer, struct seal **ret);
void seal_free(struct seal *s); /* NULL is fine */

struct seal_text {
	const uint8_t *head; /* associated data */
	size_t head_len;
	const uint8_t *in;
	size_t in_len;
};

/*
 * Seal in_len bytes to `out`, which has room for SEAL_TAG more. 0, or -EIO/-ENOMEM from
 * the library.
 */
int seal_close(struct seal *s, enum seal_suite suite, uint64_t number,
	       const struct seal_text *text, uint8_t *out);
/*
 * Open in_len bytes (tag included) to `out`, which has room for in_len - SEAL_TAG. 0, or
 * -EBADMSG: not authentic, or of a key epoch that is not next to the newest one opened.
 * `out` is then undefined.
 */
int seal_open(struct seal *s, enum seal_suite suite, uint64_t number,
	      const struct seal_text *text, uint8_t *out);

#endif
