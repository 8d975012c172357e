/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_SECURE_H
#define REPLICATOR_TUNNEL_SECURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The control connection's security as bytes in and bytes out: TLS 1.3 with an external
 * pre-shared key and (EC)DHE, by GnuTLS (tunnel/secure_gnutls.c). The simulator links
 * tests/sim/secure_sim.c instead: deterministic, the same messages' worth of round trips,
 * and it too refuses a wrong key.
 */
struct secure;

#define SECURE_KEY_LEN 32
/* Most bytes that wait inside in one direction: the owner reads and outputs in between. */
#define SECURE_QUEUE_MAX (1u << 20)

/*
 * What a connection is for, and of which group: said by who dials as the identity of its
 * key, so that the handshake itself covers it.
 */
enum secure_purpose { SECURE_CONTROL, SECURE_DATA };

#define SECURE_GROUP_MAX 63 /* bytes of a group's name */

/* The side that dials, for `purpose`. 0, -ENOMEM, or -EIO when the library refuses. */
int secure_dial(enum secure_purpose purpose, const char *group,
		const uint8_t key[SECURE_KEY_LEN], struct secure **ret);
/*
 * The side that accepts: secure_purpose() says for what, once established. Who names another
 * group is refused as one that has another key.
 */
int secure_accept(const char *group, const uint8_t key[SECURE_KEY_LEN],
		  struct secure **ret);
enum secure_purpose secure_purpose(const struct secure *s);
void secure_free(struct secure *s); /* NULL is fine */

/*
 * Bytes from the wire. 0; -EBADMSG when they are no TLS or fail authentication (a wrong
 * key among them), or more than SECURE_QUEUE_MAX is unread; -EIO for our own lack of
 * memory: the connection is of no use any more, but its last output (an alert) may still
 * be sent. All bytes are taken. *why, if not NULL, gets a static text on error.
 */
int secure_input(struct secure *s, const uint8_t *bytes, size_t len, const char **why);
/* Bytes for the wire: how many were written to `buf`, 0 when there are none. */
size_t secure_output(struct secure *s, uint8_t *buf, size_t size);
/* The handshake is complete. */
bool secure_established(const struct secure *s);
/*
 * At the side that accepts: the first message was made with the key, by the peer or by who
 * has recorded it. Not of one that was only answered by a request for another: whoever
 * names no group that we know gets that.
 */
bool secure_hello_keyed(const struct secure *s);

/* 0 and all bytes are taken; -EPIPE outside of an established connection, or after
 * secure_bye(); -ENOMEM; -ENOBUFS when SECURE_QUEUE_MAX waits for output; -EIO when they
 * cannot be sealed. */
int secure_write(struct secure *s, const void *plain, size_t len);
/* Plaintext that arrived: bytes, 0 for none now, -ENODATA after the peer closed in order,
 * -EBADMSG. */
long secure_read(struct secure *s, void *plain, size_t size);
/* Say goodbye in order (close_notify); more output may follow. */
void secure_bye(struct secure *s);

/* Keying material (RFC 5705/8446 exporter) under `label`; same bytes at both ends. */
int secure_export(struct secure *s, const char *label, uint8_t *out, size_t len);

#endif
