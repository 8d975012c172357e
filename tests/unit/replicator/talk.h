/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_REPLICATOR_TALK_H
#define TESTS_UNIT_REPLICATOR_TALK_H

/*
 * What the peer of a site says, as strings of letters: valid messages and such that are
 * not, at the right time and at the wrong one. Included once per test program.
 */
#include "replicator/tunnel/secure.h"
#include "tests/unit/replicator/site.h"

/* ---- what the peer says ------------------------------------------------------------------- */

/*
 * A letter is a message; those after a blank wait for an answer to what is before it.
 * H, A, M, N, Q: the HELLO of a primary, of one that opens and has lost its last writes,
 * of a mirror, of one that holds three more, of one that lacks two.
 * I: of a primary that holds one more. K: of one that was promoted behind this site.
 * S, C, G: a START that fits, one of transport tcp, one whose history goes on to a new
 * epoch; W, V, F, T: from too far ahead, from below what is held, of another history, cut
 * off. P, Z, B: PULL of the last three, of
 * nothing, of what is not there. Y, R: a READY that fits, and one that does not.
 * E, D: ENTRY, PULLED. U: REFUSE. X: no message at all.
 */
/* The history is that of site_fill(), as far as that goes. */
static inline uint64_t hash_after(uint64_t lsn)
{
	struct lfs_position end;

	lfs_position(site->group->lfs, &end);
	return lsn < end.lsn && lsn <= SITE_LSNS ? site->hashes[lsn] : end.hash;
}

static inline size_t put_hello(char letter, uint8_t *body)
{
	const struct lfs_meta *meta = lfs_meta(site->group->lfs);
	struct message_hello *m = calloc(1, sizeof(*m));
	struct lfs_position end;
	size_t len;

	assert_non_null(m);
	lfs_position(site->group->lfs, &end);
	m->number = ++site->number_given;
	m->role = strchr("MNQ", letter) ? LFS_MIRROR : LFS_PRIMARY;
	m->flags = letter == 'A' ? HELLO_STARTING : 0;
	m->lsn = end.lsn;
	if (letter == 'A')
		m->lsn = SITE_LSNS - 3;
	if (letter == 'I')
		m->lsn++;
	if (letter == 'N')
		m->lsn += 3;
	if (letter == 'Q')
		m->lsn -= 2;
	m->hash = hash_after(m->lsn);
	m->meta = *meta;
	memset(m->meta.group, 0x77, sizeof(m->meta.group));
	if (letter == 'K') {
		const struct lfs_epoch *last = &meta->epochs[meta->nepochs - 1];

		m->meta.epochs[m->meta.nepochs++] = (struct lfs_epoch){
			.number = last->number + 1, .id = 0x6709, .first_lsn = end.lsn + 1
		};
	}
	(void)snprintf(m->node, sizeof(m->node), "there");
	len = message_encode_hello(m, body, MESSAGE_MAX);
	free(m);
	return len;
}

static inline size_t put_start(char letter, uint8_t *body)
{
	const struct lfs_meta *meta = lfs_meta(site->group->lfs);
	struct message_start *m = calloc(1, sizeof(*m));
	size_t len;

	assert_non_null(m);
	*m = (struct message_start){
		.tunnel_id = 4711,
		.from_lsn = lfs_lsn(site->group->lfs).admitted + 1,
		.code = FEC_WINDOW,
		.symbol_size = 1408,
		.window = FEC_WINDOW_MAX,
		.nepochs = meta->nepochs,
	};
	memcpy(m->epochs, meta->epochs, meta->nepochs * sizeof(meta->epochs[0]));
	if (letter == 'G') {
		const struct lfs_epoch *last = &m->epochs[m->nepochs - 1];

		m->epochs[m->nepochs++] = (struct lfs_epoch){ .number = last->number + 1,
							      .id = 0x6709,
							      .first_lsn = m->from_lsn };
	}
	if (letter == 'W')
		m->from_lsn++;
	if (letter == 'V')
		m->from_lsn--;
	if (letter == 'F')
		m->epochs[m->nepochs - 1].id++;
	if (letter == 'C')
		m->transport = MESSAGE_TCP;
	if (letter == 'L')
		m->symbol_size = FEC_SYMBOL_ALIGN;
	len = message_encode_start(m, body, MESSAGE_MAX);
	free(m);
	return letter == 'T' ? len - 1 : len;
}

static inline size_t put_number(char letter, uint8_t *body)
{
	uint64_t n = 0;

	if (letter == 'P')
		n = SITE_LSNS - 2;
	else if (letter == 'B')
		n = SITE_LSNS + 1;
	else if (letter == 'Y')
		n = site->start.tunnel_id;
	else if (letter == 'R')
		n = site->start.tunnel_id + 1;
	return message_encode_number(n, body, MESSAGE_MAX);
}

static inline unsigned type_of(char letter)
{
	if (strchr("HIAMNQK", letter))
		return MESSAGE_HELLO;
	if (strchr("SWVFTLCG", letter))
		return MESSAGE_START;
	if (strchr("PZB", letter))
		return MESSAGE_PULL;
	if (strchr("YR", letter))
		return MESSAGE_READY;
	if (letter == 'U')
		return MESSAGE_REFUSE;
	return letter == 'E' ? MESSAGE_ENTRY : letter == 'D' ? MESSAGE_PULLED : 99;
}

static inline void say(char letter)
{
	unsigned type = type_of(letter);
	uint8_t *body = malloc(MESSAGE_MAX);
	size_t len;

	assert_non_null(body);
	if (type == MESSAGE_HELLO)
		len = put_hello(letter, body);
	else if (type == MESSAGE_START)
		len = put_start(letter, body);
	else if (type == MESSAGE_REFUSE)
		len = message_encode_text("no", body, MESSAGE_MAX);
	else
		len = put_number(letter, body);
	if (site->conn)
		(void)conn_send(site->conn, type, body, len); /* it may end */
	free(body);
}

/* That HELLO with one thing changed. */
static inline void say_hello_but(char letter, void (*change)(struct message_hello *m))
{
	struct message_hello *m = calloc(1, sizeof(*m));
	uint8_t *body = malloc(MESSAGE_MAX);
	size_t len = put_hello(letter, body);
	uint64_t lsn;

	assert_true(m && body);
	assert_int_equal(message_decode_hello(body, len, m), 0);
	lsn = m->lsn;
	change(m);
	if (m->lsn != lsn)
		m->hash = hash_after(m->lsn);
	len = message_encode_hello(m, body, MESSAGE_MAX);
	assert_int_equal(conn_send(site->conn, MESSAGE_HELLO, body, len), 0);
	free(body);
	free(m);
}

/* The first message is on its way alone; what is said behind it travels together. */
static inline void say_first(void)
{
	const struct message_ping ping = { .serial = 1 };
	uint8_t body[64];

	assert_int_equal(conn_send(site->conn, MESSAGE_PING, body,
				   message_encode_ping(&ping, body, sizeof(body))),
			 0);
}

static inline void say_together(const char *letters, size_t n)
{
	say_first();
	for (size_t i = 0; i < n; i++)
		say(letters[i]);
}

static inline unsigned answers(void)
{
	return site->came[MESSAGE_READY] + site->came[MESSAGE_PULLED] +
	       site->came[MESSAGE_START] + site->came[MESSAGE_REFUSE] + site->closed;
}

/*
 * A new connection, on which the site has said its HELLO. A mirror that still has an old
 * tunnel first hears from the primary how far that one went.
 */
static inline void meet(void)
{
	const struct group *g = site->group;

	peer_dial();
	if (g->role == GROUP_MIRROR && g->session->transport) {
		SITE_UNTIL(site, site->established);
		say('H');
		SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 1);
		peer_dial();
	}
	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 1);
}

static inline void converse(const char *letters)
{
	unsigned before;
	size_t n;

	meet();
	for (;; letters += n + 1) {
		n = strcspn(letters, " ");
		before = answers();
		say_together(letters, n);
		SITE_UNTIL(site, answers() > before);
		if (!letters[n])
			return;
	}
}

static inline void where(struct lfs_position *ret)
{
	lfs_position(site->group->lfs, ret);
	assert_int_equal(lfs_lsn(site->group->lfs).durable, ret->lsn);
	assert_true(apply_idle(&site->group->apply));
}

static inline void is_where(const struct lfs_position *before)
{
	struct lfs_position now;

	where(&now);
	assert_int_equal(now.lsn, before->lsn);
	assert_true(now.hash == before->hash);
	assert_true(now.epoch_id == before->epoch_id);
}

/* ---- the data connection of transport tcp ---------------------------------------------------- */

static struct conn *data;
static bool data_up;
#define FRAMES_MAX 8192
static unsigned frames_received;
static uint64_t frame_bytes[FRAMES_MAX + 1];		     /* of the first n frames */
static void (*frame_look)(const uint8_t *frame, size_t len); /* at each, or NULL */
static struct message_progress progressed; /* of a mirror, the last one */
static uint64_t probed;			   /* by a primary, the last serial */

static inline void data_established(void *owner, struct conn *conn)
{
	data_up = true;
	rt_loop_stop(site->loop);
}

static inline void data_message(void *owner, struct conn *conn, unsigned type,
				const uint8_t *body, size_t len)
{
	if (type == MESSAGE_PROGRESS)
		assert_int_equal(message_decode_progress(body, len, &progressed), 0);
	if (type == MESSAGE_PROBE)
		assert_int_equal(message_decode_number(body, len, &probed), 0);
	if (type != MESSAGE_FRAME)
		return;
	assert_true(frames_received < FRAMES_MAX);
	if (frame_look)
		frame_look(body, len);
	frames_received++;
	frame_bytes[frames_received] = frame_bytes[frames_received - 1] + len;
}

static inline void data_closed(void *owner, struct conn *conn, int err, const char *why)
{
	data = NULL;
	rt_loop_stop(site->loop);
}

/* A data connection that has not said yet whose it is. */
static inline void data_connect(void)
{
	static const struct conn_events events = { .established = data_established,
						   .message = data_message,
						   .closed = data_closed };
	const struct conn_params params = { .group = site->config.name,
					    .key = site->config.peer.key,
					    .message_max = 1u << 20,
					    .handshake_ns = 5 * RT_S,
					    .events = &events };
	struct rt_addr addr;

	data_up = false;
	frames_received = 0;
	progressed = (struct message_progress){ 0 };
	probed = 0;
	rt_listener_addr(site->group->session->listener, &addr);
	assert_int_equal(conn_dial(site->loop, &addr, SECURE_DATA, &params, &data), 0);
	SITE_UNTIL(site, data_up);
}

/* The connection that a START of transport tcp asks for. */
static inline void data_dial(uint64_t tunnel_id)
{
	struct message_join join = { .tunnel_id = tunnel_id };
	uint8_t proofs[2][MESSAGE_PROOF_LEN], body[64];

	assert_int_equal(
		conn_export(site->conn, "wanmirror data", proofs[0], sizeof(proofs)), 0);
	memcpy(join.proof, proofs[0], sizeof(join.proof));
	data_connect();
	assert_int_equal(conn_send(data, MESSAGE_JOIN, body,
				   message_encode_join(&join, body, sizeof(body))),
			 0);
}

/* What a mirror says that it has taken, of the frames above, and persisted; it lives. */
static inline void progress(unsigned frames, uint64_t persisted)
{
	const struct message_progress m = { .frames = frames,
					    .bytes = frame_bytes[frames],
					    .watermark = persisted,
					    .echo = probed };
	uint8_t body[64];

	assert_int_equal(conn_send(data, MESSAGE_PROGRESS, body,
				   message_encode_progress(&m, body, sizeof(body))),
			 0);
}

static inline void tcp_peer(struct group_config *config)
{
	config->peer.tcp = true;
}

static inline int tcp_primary_up(void **state)
{
	site_tweak = tcp_peer;
	site_set_up(state, GROUP_PRIMARY, true);
	SITE_UNTIL(site, group_serving(site->group));
	return 0;
}

static inline int tcp_tear_down(void **state)
{
	site_tweak = NULL;
	if (data)
		conn_close(data);
	data = NULL;
	return site_tear_down(state);
}

/* Be a mirror that holds what the primary holds, over transport tcp. */
static inline void stream(void)
{
	converse("M");
	assert_int_equal(site->came[MESSAGE_START], 1);
	say('Y');
	SITE_UNTIL(site, session_streaming(site->group->session));
	data_dial(site->start.tunnel_id);
}

/* ---- a client ----------------------------------------------------------------------------------- */

static struct group_request *request_ended; /* the last one that did */
static int request_res;

static inline void request_over(struct group_request *r, int res)
{
	request_ended = r;
	request_res = res;
	rt_loop_stop(site->loop);
}

/* One block, or what the caller makes of it before it submits it. */
static inline struct group_request *request_new(enum group_request_kind kind)
{
	struct group_request *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	*r = (struct group_request){ .kind = kind,
				     .volume = group_volume_at(site->group, 0),
				     .len = kind == GROUP_FLUSH ? 0 : GROUP_BLOCK,
				     .buf = rt_alloc_blocks(2 * (size_t)GROUP_BLOCK),
				     .done = request_over };
	assert_non_null(r->buf);
	memset(r->buf, 0x77, 2 * (size_t)GROUP_BLOCK);
	return r;
}

static inline void request_free(struct group_request *r)
{
	rt_free(r->buf);
	free(r);
}

/* Its result. */
static inline int request_run(struct group_request *r)
{
	request_ended = NULL;
	group_submit(r);
	SITE_UNTIL(site, request_ended == r);
	return request_res;
}

/* One request of one block, at the beginning of the first volume. */
static inline int request_once(enum group_request_kind kind, unsigned flags)
{
	struct group_request *r = request_new(kind);
	int res;

	r->flags = flags;
	res = request_run(r);
	request_free(r);
	return res;
}

#endif
