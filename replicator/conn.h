/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_CONN_H
#define REPLICATOR_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replicator/tunnel/secure.h"
#include "rt/time.h"

struct iovec;
struct rt_addr;
struct rt_loop;
struct rt_sock;

/*
 * One secured connection to the peer, for control or for data: whole messages, in order,
 * over a secured byte stream. A frame is le32 length of the body, le16 type, le16 zero,
 * body (docs/tunnel.md).
 *
 * Events are called from the loop only. After conn_close(), or after `closed`, none is
 * called any more and the handle is dead; the memory goes when the last operation in
 * flight has ended.
 */
struct conn;

struct conn_events {
	/* Both ends have shown that they know the key. */
	void (*established)(void *owner, struct conn *conn);
	/* One message; the body is lent for the call. */
	void (*message)(void *owner, struct conn *conn, unsigned type,
			const uint8_t *body, size_t len);
	/* The connection is over; `why` is a text for people. */
	void (*closed)(void *owner, struct conn *conn, int err, const char *why);
	/* What was queued has been sent: conn_room() may be true again. May be NULL. */
	void (*drained)(void *owner, struct conn *conn);
};

struct conn_params {
	const char *group;		  /* whose key it is; copied */
	const uint8_t *key;		  /* SECURE_KEY_LEN bytes, copied */
	size_t message_max;		  /* longest body taken */
	int64_t handshake_ns;		  /* until established */
	const struct conn_events *events; /* borrowed, outlives the connection */
	void *owner;
};

/* Dial `addr`. 0, -ENOMEM or -errno when not even the start works. */
int conn_dial(struct rt_loop *loop, const struct rt_addr *addr,
	      enum secure_purpose purpose, const struct conn_params *params,
	      struct conn **ret);
/* Serve an accepted socket, which the connection owns from now on, also on failure. */
int conn_serve(struct rt_loop *loop, struct rt_sock *sock,
	       const struct conn_params *params, struct conn **ret);
void conn_close(struct conn *conn); /* NULL is fine */

/* Both ends have shown the key. */
bool conn_key_shown(const struct conn *conn);
/* Of an accepted one: what the peer has said so far takes the key (secure_hello_keyed). */
bool conn_answered(const struct conn *conn);
/* What it is for; of an accepted one, once established. */
enum secure_purpose conn_purpose(const struct conn *conn);
/* Events go to somebody else from now on. */
void conn_hand_over(struct conn *conn, const struct conn_events *events, void *owner);
/*
 * Choose "reno", "cubic", "bbr", ... for what we send. 0; or -errno, when the kernel does
 * not have it, or not for this user.
 */
int conn_congestion(struct conn *conn, const char *name);

/*
 * Queue one message (body copied, at most message_max). 0, or -ENOMEM, -EPIPE after which
 * the connection closes.
 */
int conn_send(struct conn *conn, unsigned type, const void *body, size_t len);
/* As above, gathered from pieces. */
int conn_sendv(struct conn *conn, unsigned type, const struct iovec *iov, unsigned n);
/* Less than a bound of bytes waits for the wire: bulk senders stop at false. */
bool conn_room(const struct conn *conn);
/* Bytes that wait for the wire. */
size_t conn_waiting(const struct conn *conn);
/* Bytes that the kernel has taken, heads and all. */
uint64_t conn_sent(const struct conn *conn);
/*
 * The last times at which bytes of the peer were received and the kernel accepted bytes of
 * ours. Parts of a message count: a long message takes its time on a narrow path.
 */
rt_time conn_last_rx(const struct conn *conn);
rt_time conn_last_tx(const struct conn *conn);
/*
 * No message is handed up from now on (one that is being handed up is the last), and
 * nothing is read that the peer would send: its socket retains it. Or go on.
 */
void conn_pause(struct conn *conn, bool paused);
/* Keying material of this connection (secure_export). */
int conn_export(struct conn *conn, const char *label, uint8_t *out, size_t len);

#endif
