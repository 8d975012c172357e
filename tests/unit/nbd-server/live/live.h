/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_NBD_SERVER_LIVE_LIVE_H
#define TESTS_UNIT_NBD_SERVER_LIVE_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nbd-server/nbds.h"
#include "nbd-server/protocol.h"

/*
 * A server over two fake groups, with its loop in a thread of its own, so that a test can be
 * an ordinary, blocking client. Nothing here sleeps and hopes: every wait is for a
 * condition, and ends the test when it takes longer than LIVE_WAIT_MS.
 */
#define LIVE_SIZE (UINT64_C(72) << 20)
#define LIVE_OTHER_SIZE (UINT64_C(1) << 20) /* vol3 to vol5, of a second group */
#define LIVE_WAIT_MS 20000

struct live;

struct live *live_start(const struct nbds_limits *limits);
/* Stop the server, wait until all is gone, free. */
void live_end(struct live *live);

/* Call fn(arg) in the thread of the loop, and wait until it has returned. */
void live_call(struct live *live, void (*fn)(struct live *live, void *arg), void *arg);

struct nbds_server *live_server(struct live *live); /* for live_call() only */
struct group *live_group(struct live *live);	    /* the same */

/* The same doors, from the test's thread. */
void live_stats(struct live *live, struct nbds_stats *ret);
void live_hold(struct live *live, bool hold);
void live_hold_writes(struct live *live, bool hold);
void live_fail(struct live *live, int res);
void live_set(struct live *live, bool serving, bool read_only);
uint64_t live_seen(struct live *live);
unsigned live_held(struct live *live);

/* Begin to stop the server; live_end() waits for its end. */
void live_stop(struct live *live);

/* Wait until `what` of the statistics is `value`. */
#define live_wait_for(live, what, value)                                                 \
	live_wait_field(live, offsetof(struct nbds_stats, what),                         \
			sizeof(((struct nbds_stats *)0)->what), value, #what)
void live_wait_field(struct live *live, size_t at, size_t size, uint64_t value,
		     const char *name);
/* Wait until the group has seen `n` requests in all. */
void live_wait_seen(struct live *live, uint64_t n);

const char *live_socket(const struct live *live); /* path of the unix socket */
unsigned live_port(struct live *live, bool v6);	  /* on loopback */

/* ---- a client that can do everything wrong ----------------------------------------- */

int raw_connect(struct live *live);
void raw_send(int fd, const void *p, size_t len);
/* Exactly `len` bytes. */
void raw_recv(int fd, void *p, size_t len);
/* The other side has closed (or reset) without another byte. */
void raw_expect_end(int fd);
/* Negotiate for "vol0" with GO. */
int raw_open(struct live *live);
void raw_request(int fd, uint16_t type, uint16_t flags, uint64_t cookie, uint64_t offset,
		 uint32_t len);
/* The same for a write; its payload is the caller's to send. */
void raw_write(int fd, uint64_t cookie, uint64_t offset, uint32_t len);
/* The next answer must have this error and cookie. */
void raw_expect(int fd, uint64_t cookie, uint32_t error);
/* `len` bytes of payload, or of anything. */
void raw_send_any(int fd, size_t len);
void raw_recv_any(int fd, size_t len);
/* A working client beside hostile ones. */
void raw_expect_service(struct live *live);

#define RAW_PIECE (1u << 20)
#define RAW_BIG (32u << 20) /* the longest request */

#endif
