/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_REPLICATOR_SITE_H
#define TESTS_UNIT_REPLICATOR_SITE_H

/*
 * A site on the real ring, its store in a file of its own, and the other end of its
 * control connection played by the test: with the right key, and whatever it likes to say.
 * Included once per test program.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fec/fec.h"
#include "lfs/lfs.h"
#include "replicator/conn.h"
#include "replicator/group_private.h"
#include "replicator/session.h"
#include "rt/crc.h"
#include "rt/log.h"
#include "rt/mem.h"
#include "tests/unit/unit.h"

#define SITE_BOUND_NS (20 * RT_S)
#define SITE_POLL_NS (2 * RT_MS)
#define SITE_LSNS 5
#define SITE_TYPES 20
#define SITE_PEER_STORE 0x99 /* each byte of its id */

struct site {
	struct rt_loop *loop;
	char dir[64];
	struct group_config config;
	struct group *group;
	struct lfs *lfs; /* while the store is prepared */
	uint64_t hashes[SITE_LSNS + 1]; /* of the history after each LSN of site_fill() */
	unsigned waiting;
	int res;
	struct rt_timer bound, poll;
	bool late;

	/* the peer */
	struct conn *conn;
	struct conn *older; /* which a newer one is to replace */
	bool older_answers; /* its PINGs */
	bool says_nothing;  /* of itself, once it is connected */
	bool established, closed;
	unsigned came[SITE_TYPES]; /* messages of a type, of this connection */
	char refused[MESSAGE_TEXT_MAX + 1];
	struct message_hello hello;
	struct message_start start;
	struct message_identity identity;
	uint64_t number_given; /* to the site, with the last HELLO */
	struct message_grant grant;
	struct message_hash hash;
	struct message_ping ping; /* the last one */
	uint64_t number;	  /* of READY, PULL, PULLED */
};

/* Run until `what` is true, looked at often; a test that waits for ever fails. */
#define SITE_UNTIL(s, what)                                                              \
	do {                                                                             \
		rt_timer_arm((s)->loop, &(s)->bound,                                     \
			     rt_time_add(rt_now((s)->loop), SITE_BOUND_NS));             \
		while (!(what) && !(s)->late) {                                          \
			rt_timer_arm((s)->loop, &(s)->poll,                              \
				     rt_time_add(rt_now((s)->loop), SITE_POLL_NS));      \
			assert_int_equal(rt_loop_run((s)->loop), 0);                     \
		}                                                                        \
		rt_timer_disarm((s)->loop, &(s)->bound);                                 \
		rt_timer_disarm((s)->loop, &(s)->poll);                                  \
		if ((s)->late)                                                           \
			fail_msg("never: %s", #what);                                    \
	} while (0)

static struct site *site;
/* What a test has otherwise in the configuration; before site_set_up(). */
static void (*site_tweak)(struct group_config *config);

static inline void site_ended(int res)
{
	site->res = res;
	site->waiting--;
	rt_loop_stop(site->loop);
}

static inline int site_wait(void)
{
	SITE_UNTIL(site, site->waiting == 0);
	return site->res;
}

static inline void site_late(struct rt_timer *timer)
{
	struct site *s = rt_container_of(timer, struct site, bound);

	s->late = true;
	rt_loop_stop(s->loop);
}

static inline void site_poll(struct rt_timer *timer)
{
	rt_loop_stop(rt_container_of(timer, struct site, poll)->loop);
}

/* ---- the store ---------------------------------------------------------------------------- */

static inline void site_created(struct group_create *c, int res)
{
	site_ended(res);
}

static inline void site_log_moved(void *owner)
{
}

static inline void site_log_failed(void *owner, int err, const char *why)
{
	fail_msg("the log has failed: %s", why);
}

static inline void site_log_opened(struct lfs_open *o, int res)
{
	site->lfs = o->lfs;
	site_ended(res);
}

static inline void site_meta_set(struct lfs_set_meta *set, int res)
{
	site_ended(res);
}

static inline void site_appended(struct lfs_append *a, int res)
{
	site_ended(res);
}

static inline void site_log_closed(struct lfs_close *c, int res)
{
	site_ended(res);
}

/* The store of a site whose group is not open. */
static inline void site_open_log(void)
{
	static const struct lfs_events events = { site_log_moved, site_log_failed };
	struct lfs_open open = { .done = site_log_opened };

	site->waiting = 1;
	lfs_open(site->loop,
		 &(struct lfs_open_params){ .path = site->config.store,
					    .group_name = site->config.name,
					    .map_memory = site->config.map_memory,
					    .events = &events },
		 &open);
	assert_int_equal(site_wait(), 0);
}

static inline void site_set_meta(const struct lfs_meta *meta)
{
	struct lfs_set_meta set = { .done = site_meta_set };

	site->waiting = 1;
	lfs_set_meta(site->lfs, &set, meta);
	assert_int_equal(site_wait(), 0);
}

/* `unclean`: as after a crash. */
static inline void site_close_log(bool unclean)
{
	struct lfs_close close = { .done = site_log_closed, .unclean = unclean };

	site->waiting = 1;
	lfs_close(site->lfs, &close);
	assert_int_equal(site_wait(), 0);
}

/* When a primary has admitted the LSNs of site_fill(). */
static inline int64_t site_wall_ns(uint64_t lsn)
{
	return (1600000000 + (int64_t)lsn) * RT_S;
}

/* A store of a pair that has worked: it holds SITE_LSNS writes. */
static inline void site_fill(void)
{
	struct lfs_append append = { .done = site_appended };
	struct lfs_meta *meta = calloc(1, sizeof(*meta));
	uint8_t *block = rt_alloc_blocks(LFS_BLOCK);
	uint32_t crc;

	assert_true(meta && block);
	site_open_log();
	*meta = *lfs_meta(site->lfs);
	meta->flags &= ~LFS_UNPAIRED;
	memset(meta->group, 0x77, sizeof(meta->group));
	memset(meta->peer_store, SITE_PEER_STORE, sizeof(meta->peer_store));
	site_set_meta(meta);
	for (uint64_t lsn = 1; lsn <= SITE_LSNS; lsn++) {
		memset(block, (int)lsn, LFS_BLOCK);
		crc = rt_crc32c(block, LFS_BLOCK);
		append.lsn = lsn;
		append.ops = &(struct lfs_op){ .kind = LFS_WRITE,
					       .lba = lsn,
					       .blocks = 1,
					       .data = block,
					       .crcs = &crc };
		append.nops = 1;
		append.wall_ns = site_wall_ns(lsn);
		site->waiting = 1;
		assert_int_equal(lfs_append(site->lfs, &append), 0);
		assert_int_equal(site_wait(), 0);
		site->hashes[lsn] = append.hash;
	}
	site_close_log(false);
	rt_free(block);
	free(meta);
}

/* The flush of an event covers records, too: a test that wants none waits for it. */
static inline bool site_events_durable(void)
{
	struct lfs_event_figures f;

	lfs_event_log_figures(site->group->lfs, &f);
	return f.durable == f.last;
}

/* The store of the stopped site is as after a crash, of this boot or of another one. */
static inline void site_crash(bool machine)
{
	struct lfs_meta *meta = malloc(sizeof(*meta));

	assert_non_null(meta);
	site_open_log();
	*meta = *lfs_meta(site->lfs);
	meta->boot[0] ^= machine;
	site_set_meta(meta);
	site_close_log(true);
	free(meta);
}

/* The blocks of site_fill() are full of their LSN: find this one's in the store. */
static inline void spoil(uint64_t lsn)
{
	int fd = open(site->config.store, O_RDWR | O_CLOEXEC);
	uint8_t block[LFS_BLOCK], full[LFS_BLOCK];
	off_t at = 0;

	assert_true(fd >= 0);
	memset(full, (int)lsn, sizeof(full));
	do {
		assert_int_equal(pread(fd, block, sizeof(block), at), sizeof(block));
		at += LFS_BLOCK;
	} while (memcmp(block, full, sizeof(full)) != 0);
	full[99] ^= 0x10;
	assert_int_equal(pwrite(fd, full, sizeof(full), at - LFS_BLOCK), sizeof(full));
	assert_int_equal(fsync(fd), 0);
	(void)close(fd);
}

/* ---- the site ----------------------------------------------------------------------------- */

static inline void site_silent(void *owner, enum rt_log_level level, const char *line)
{
}

static inline void site_opened(struct group_open *o, int res)
{
	site->group = o->group;
	site_ended(res);
}

static inline void site_stopped(struct group_stop *stop, int res)
{
	site->group = NULL;
	site_ended(res);
}

static inline struct group_config site_config(enum group_role role)
{
	struct group_config c = {
		.name = "db",
		.node = "here",
		.role = role,
		.nvolumes = 2,
		.volumes = { { .name = "a", .size = 1u << 20 },
			     { .name = "b", .size = 1u << 20 } },
		.has_peer = true,
		.cold_serve =
			true, /* a store that has been prepared has left no sign of life */
		.segment_size = 1u << 20,
		.max_request = 128u << 10,
		.checkpoint_bytes = 1u << 20,
		.map_memory = 64u << 20,
		.send_memory = 4u << 20,
		.control_timeout_ms = 10000,
		.heartbeat_ms = 20,
		.away_ms = 5000,
		.peer = { .rate_bps = 100000000,
			  .evidence = GROUP_EV_MIRROR,
			  .fec = { .code = "window",
				   .safety = 1e-6,
				   .assume_loss = 0.01,
				   .assume_burst = 1,
				   .min = 0.03,
				   .max = 0.5 } },
	};

	assert_int_equal(rt_addr_parse("127.0.0.1:0", &c.peer.addr), 0);
	memset(c.peer.key, 0x5a, sizeof(c.peer.key));
	return c;
}

static inline void site_serves(void *owner, struct group *group, bool on)
{
	rt_loop_stop(site->loop);
}

/* Until its store is open. */
static inline void site_open(void)
{
	struct group_open open = { .done = site_opened };
	struct group_events events = { .serving = site_serves };

	site->waiting = 1;
	group_open(site->loop, &site->config, &events, NULL, &open);
	assert_int_equal(site_wait(), 0);
	peer_watch_awake(&open.group->watch, (rt_time){ 0 }); /* since the machine began */
}

static inline void site_stop(void)
{
	struct group_stop stop = { .done = site_stopped };

	site->waiting = 1;
	group_stop(site->group, 1000, &stop);
	assert_int_equal(site_wait(), 0);
}

/* A stop that has a limit is beyond it, and still waits: for what is being made durable. */
static inline void site_stop_waits(void)
{
	const struct group *g = site->group;

	SITE_UNTIL(site,
		   rt_time_since(rt_now(site->loop), g->ending.deadline) > 50 * RT_MS);
	assert_non_null(g->session);
	assert_true(group_is_stopping(g));
}

/* `filled`: it is one of a pair; else a primary of nothing, or a fresh mirror. */
static inline void site_set_up(void **state, enum group_role role, bool filled)
{
	struct group_create create = { .done = site_created };

	site = calloc(1, sizeof(*site));
	assert_non_null(site);
	*state = site;
	rt_log_set_sink(site_silent, NULL);
	site->bound.fire = site_late;
	site->poll.fire = site_poll;
	assert_int_equal(rt_loop_new(&site->loop), 0);
	/* Not in /tmp, which may be a file system without O_DIRECT. */
	(void)snprintf(site->dir, sizeof(site->dir), "/var/tmp/wanmirror-site-XXXXXX");
	assert_non_null(mkdtemp(site->dir));
	site->config = site_config(role);
	if (site_tweak)
		site_tweak(&site->config);
	(void)snprintf(site->config.store, sizeof(site->config.store), "%s/store",
		       site->dir);
	site->waiting = 1;
	group_create(site->loop, &site->config, &create);
	assert_int_equal(site_wait(), 0);
	if (filled)
		site_fill();
	site_open();
}

static inline int site_tear_down(void **state)
{
	conn_close(site->conn);
	conn_close(site->older);
	site_stop();
	assert_int_equal(rt_loop_run(site->loop), 0); /* to the last one in flight */
	rt_loop_free(site->loop);
	assert_int_equal(unlink(site->config.store), 0);
	assert_int_equal(rmdir(site->dir), 0);
	free(site);
	return 0;
}

/* ---- the peer ------------------------------------------------------------------------------ */

/* Who the peer says that it is. A test may have it be somebody else. */
static void (*peer_identity)(struct message_identity *m);

static inline void peer_introduce(struct conn *conn)
{
	struct message_negotiate versions = { .min = MESSAGE_PROTOCOL_MIN,
					      .max = MESSAGE_PROTOCOL };
	struct message_identity m = { .run = 1, .number = site->hello.number };
	uint8_t body[512];

	memcpy(versions.group_name, site->config.name, sizeof(site->config.name));
	memset(m.store, SITE_PEER_STORE, sizeof(m.store));
	(void)snprintf(m.node, sizeof(m.node), "there");
	if (peer_identity)
		peer_identity(&m);
	/* Without memory for it the connection ends, and that is its event. */
	(void)conn_send(conn, MESSAGE_NEGOTIATE, body,
			message_encode_negotiate(&versions, body, sizeof(body)));
	(void)conn_send(conn, MESSAGE_IDENTITY, body,
			message_encode_identity(&m, body, sizeof(body)));
}

static inline void peer_established(void *owner, struct conn *conn)
{
	site->established = true;
	if (!site->says_nothing)
		peer_introduce(conn);
	rt_loop_stop(site->loop);
}

static inline void peer_message(void *owner, struct conn *conn, unsigned type,
				const uint8_t *body, size_t len)
{
	assert_true(type < SITE_TYPES);
	if (conn == site->older && site->older_answers && type == MESSAGE_PING)
		assert_int_equal(conn_send(conn, MESSAGE_PONG, body, 8), 0);
	if (conn != site->conn)
		return;
	site->came[type]++;
	if (type == MESSAGE_HELLO)
		assert_int_equal(message_decode_hello(body, len, &site->hello), 0);
	if (type == MESSAGE_IDENTITY)
		assert_int_equal(message_decode_identity(body, len, &site->identity), 0);
	if (type == MESSAGE_GRANT)
		assert_int_equal(message_decode_grant(body, len, &site->grant), 0);
	if (type == MESSAGE_HASH)
		assert_int_equal(message_decode_hash(body, len, &site->hash), 0);
	if (type == MESSAGE_START)
		assert_int_equal(message_decode_start(body, len, &site->start), 0);
	if (type == MESSAGE_PING)
		assert_int_equal(message_decode_ping(body, len, &site->ping), 0);
	if (type == MESSAGE_READY || type == MESSAGE_PULL || type == MESSAGE_PULLED)
		assert_int_equal(message_decode_number(body, len, &site->number), 0);
	if (type == MESSAGE_REFUSE || type == MESSAGE_DECLINE)
		assert_int_equal(message_decode_text(body, len, site->refused), 0);
	rt_loop_stop(site->loop);
}

static inline void peer_closed(void *owner, struct conn *conn, int err, const char *why)
{
	if (conn == site->older)
		site->older = NULL;
	if (conn != site->conn)
		return;
	site->conn = NULL;
	site->closed = true;
	rt_loop_stop(site->loop);
}

/* The connection stays as it is while a newer one is made. */
static inline void peer_keep_older(void)
{
	conn_close(site->older);
	site->older = site->conn;
	site->conn = NULL;
}

/* Dial the site, and be its peer; an earlier connection is ended. */
static inline void peer_dial_within(int64_t handshake_ns)
{
	static const struct conn_events events = { .established = peer_established,
						   .message = peer_message,
						   .closed = peer_closed };
	const struct conn_params params = { .group = site->config.name,
					    .key = site->config.peer.key,
					    .message_max = 1u << 20,
					    .handshake_ns = handshake_ns,
					    .events = &events };
	struct rt_addr addr;

	conn_close(site->conn);
	site->conn = NULL;
	site->established = site->closed = false;
	memset(site->came, 0, sizeof(site->came));
	site->refused[0] = 0;
	rt_listener_addr(site->group->session->listener, &addr);
	assert_int_equal(
		conn_dial(site->loop, &addr, SECURE_CONTROL, &params, &site->conn), 0);
}

static inline void peer_dial(void)
{
	peer_dial_within(5 * RT_S);
}

#endif
