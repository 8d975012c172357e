// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "replicator/conn.h"
#include "replicator/message.h"
#include "replicator/transport.h"
#include "replicator/transport_tcp.h"
#include "replicator/transport_udp.h"
#include "replicator/tunnel/io.h"
#include "rt/check.h"
#include "rt/loop.h"
#include "tests/unit/tunnel/params.h"

/*
 * Every transport keeps one contract, or the log sender, the session and the status would
 * have to know which one carries the frames: frames come out whole and in order, the
 * watermarks never contradict each other, a peer that takes nothing stops the sender
 * within its memory, more frames may be on their way than any ring begins with, and what
 * has arrived is still there when the peer is gone. Over real sockets on loopback.
 */

#define BOUND_NS (20 * RT_S)
#define FRAME_MAX (3u << 20)
#define SEND_MEMORY (8u << 20)
#define TRANSPORT_ID 4711

static const uint8_t key[SECURE_KEY_LEN] = "both sites were given this key.";

/* Two ends of one kind; end 0 sends and dials. */
struct world {
	struct rt_loop *loop;
	struct transport *end[2];
	struct tunnel_io *io[2];      /* of UDP */
	struct rt_listener *listener; /* of TCP */
	struct rt_addr addr;
	struct conn *pending; /* accepted, not joined */
	struct rt_timer bound;
	bool late;
	uint64_t sent, taken;
};

static void world_changed(void *owner)
{
	struct world *w = owner;

	rt_loop_stop(w->loop);
}

/* ---- the two kinds ------------------------------------------------------------------------ */

static void udp_make(struct world *w)
{
	static const struct tunnel_io_events events = { world_changed };
	struct transport_udp_params params = {
		.tunnel = params_tunnel(TRANSPORT_ID, SEND_MEMORY, FRAME_MAX),
	};
	struct rt_addr any, addr;

	params.tunnel.rate_bps = 4000000000;
	params.tunnel.symbol_size = 1408;
	assert_int_equal(rt_addr_parse("udp:127.0.0.1:0", &any), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(tunnel_io_new(w->loop, &any, &events, w, &w->io[i]), 0);
	tunnel_io_local(w->io[1], &addr);
	for (int i = 0; i < 2; i++) {
		params.tunnel.dialed = i == 0;
		params.peer = i == 0 ? addr : (struct rt_addr){ .kind = RT_ADDR_NONE };
		assert_int_equal(transport_udp_new(w->io[i], &params, rt_now(w->loop),
						   &w->end[i]),
				 0);
	}
}

static void tcp_said(void *owner, struct conn *conn, unsigned type, const uint8_t *body,
		     size_t len)
{
	struct world *w = owner;

	assert_int_equal(type, MESSAGE_JOIN);
	w->pending = NULL;
	assert_true(transport_join(w->end[1], conn, body, len));
}

static void tcp_established(void *owner, struct conn *conn)
{
	(void)owner;
	assert_int_equal(conn_purpose(conn), SECURE_DATA);
}

static void tcp_closed(void *owner, struct conn *conn, int err, const char *why)
{
	struct world *w = owner;

	(void)conn;
	(void)err;
	(void)why;
	w->pending = NULL;
}

static void tcp_accepted(void *owner, struct rt_sock *sock, const struct rt_addr *peer)
{
	static const struct conn_events events = { .established = tcp_established,
						   .message = tcp_said,
						   .closed = tcp_closed };
	struct world *w = owner;
	const struct conn_params params = { .group = "db",
					    .key = key,
					    .message_max = FRAME_MAX,
					    .handshake_ns = 5 * RT_S,
					    .events = &events,
					    .owner = w };

	(void)peer;
	assert_null(w->pending);
	assert_int_equal(conn_serve(w->loop, sock, &params, &w->pending), 0);
}

static void tcp_make(struct world *w)
{
	static const struct transport_events events = { world_changed };
	struct transport_tcp_params params = {
		.id = TRANSPORT_ID,
		.proofs = { "the one's proof", "the other's one" },
		.group = "db",
		.key = key,
		.congestion = "",
		.frame_max = FRAME_MAX,
		.send_memory = SEND_MEMORY,
		.handshake_ns = 5 * RT_S,
		.probe_ns = 50 * RT_MS,
	};
	struct rt_addr any;

	assert_int_equal(rt_addr_parse("127.0.0.1:0", &any), 0);
	assert_int_equal(rt_listen(w->loop, &any, tcp_accepted, w, &w->listener), 0);
	rt_listener_addr(w->listener, &params.addr);
	for (int i = 1; i >= 0; i--) {
		params.sends = params.dials = i == 0;
		assert_int_equal(
			transport_tcp_new(w->loop, &params, &events, w, &w->end[i]), 0);
	}
}

/* ---- the world ---------------------------------------------------------------------------- */

static void bound_fire(struct rt_timer *timer)
{
	struct world *w = rt_container_of(timer, struct world, bound);

	w->late = true;
	rt_loop_stop(w->loop);
}

static int set_up(void **state, void (*make)(struct world *w))
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->bound.fire = bound_fire;
	assert_int_equal(rt_loop_new(&w->loop), 0);
	make(w);
	transport_begin(w->end[1]);
	transport_begin(w->end[0]);
	*state = w;
	return 0;
}

static int set_up_udp(void **state)
{
	return set_up(state, udp_make);
}

static int set_up_tcp(void **state)
{
	return set_up(state, tcp_make);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 2; i++) {
		transport_free(w->end[i]);
		tunnel_io_free(w->io[i]);
	}
	conn_close(w->pending);
	rt_listener_close(w->listener);
	assert_int_equal(rt_loop_run(w->loop), 0); /* to the last operation in flight */
	rt_loop_free(w->loop);
	free(w);
	return 0;
}

/* What holds at every moment of both ends. */
static void world_check(const struct world *w)
{
	for (int i = 0; i < 2; i++) {
		const struct transport *t = w->end[i];
		uint64_t onwire;

		if (!t)
			continue;
		onwire = transport_onwire(t, rt_now(w->loop));
		if (i == 0) {
			assert_true(transport_received(t) <= onwire);
			assert_true(onwire <= transport_submitted(t));
			assert_int_equal(transport_submitted(t), w->sent);
		}
		assert_null(transport_over(t));
	}
}

/* Run until `what` is true, checking all the way; a test that waits for ever fails. */
#define RUN_UNTIL(w, what)                                                               \
	do {                                                                             \
		rt_timer_arm((w)->loop, &(w)->bound,                                     \
			     rt_time_add(rt_now((w)->loop), BOUND_NS));                  \
		while (!(what) && !(w)->late) {                                          \
			assert_int_equal(rt_loop_run((w)->loop), 0);                     \
			world_check(w);                                                  \
		}                                                                        \
		rt_timer_disarm((w)->loop, &(w)->bound);                                 \
		if ((w)->late)                                                           \
			fail_msg("never: %s", #what);                                    \
	} while (0)

static void fill(uint8_t *bytes, size_t len, uint64_t number)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251 + number * 3);
}

/* Submits the next frame; -EAGAIN changes nothing. */
static int send_frame(struct world *w, uint8_t *bytes, size_t len)
{
	/* In three pieces, of which one is empty. */
	const struct iovec iov[3] = { { bytes, len / 3 },
				      { bytes + len / 3, len - len / 3 },
				      { NULL, 0 } };
	int err;

	fill(bytes, len, w->sent);
	err = transport_submitv(w->end[0], iov, 3, rt_now(w->loop));
	if (err == 0)
		w->sent++;
	else
		assert_int_equal(err, -EAGAIN);
	assert_int_equal(transport_submitted(w->end[0]), w->sent);
	transport_transmit(w->end[0]);
	return err;
}

/* Takes the next frame, if one is there, and compares it; reports what is taken. */
static bool take_frame(struct world *w, uint8_t *want, size_t len)
{
	const uint8_t *frame;
	size_t got;
	int res = transport_next_frame(w->end[1], &frame, &got);

	assert_true(res == 0 || res == 1);
	if (res == 1) {
		fill(want, len, w->taken);
		assert_int_equal(got, len);
		assert_memory_equal(frame, want, len);
		w->taken++;
		transport_set_watermark(w->end[1], 100 + w->taken, rt_now(w->loop));
	}
	transport_transmit(w->end[1]);
	return res == 1;
}

/* ---- the contract ---------------------------------------------------------------------------- */

static size_t length_of(uint64_t number)
{
	static const size_t lens[] = { 1, 4219, 70000, (1u << 20) + 500, FRAME_MAX };

	return lens[number % RT_ARRAY_LEN(lens)];
}

static bool exchange(struct world *w, uint8_t *bytes, uint64_t frames)
{
	while (w->sent < frames && send_frame(w, bytes, length_of(w->sent)) == 0)
		;
	while (take_frame(w, bytes, length_of(w->taken)))
		;
	return w->taken == frames;
}

static void frames_come_out_whole_and_in_order(void **state)
{
	struct world *w = *state;
	uint8_t *bytes = malloc(FRAME_MAX);
	struct transport_stats stats;
	struct transport_path path;

	assert_non_null(bytes);
	RUN_UNTIL(w, exchange(w, bytes, 40));
	RUN_UNTIL(w, transport_received(w->end[0]) == 40);
	RUN_UNTIL(w, transport_peer_watermark(w->end[0]) == 140);
	RUN_UNTIL(w, transport_proven(w->end[0], rt_now(w->loop)));
	assert_int_equal(transport_onwire(w->end[0], rt_now(w->loop)), 40);
	assert_int_equal(transport_peer_watermark(w->end[1]), 0);
	assert_false(transport_stalled(w->end[0], rt_now(w->loop), BOUND_NS));
	assert_false(transport_path_differs(w->end[0], 1408, &path));
	transport_stats(w->end[0], &stats);
	assert_true(stats.rtt_ns >= 0);
	assert_true(stats.counters.sent_bytes > 8 * (uint64_t)FRAME_MAX);
	assert_int_equal(stats.counters.unauthentic, 0);
	free(bytes);
}

/* Nobody takes: the sender stops within its memory, and goes on when somebody does. */
static void a_peer_that_takes_nothing_stops_the_sender(void **state)
{
	struct world *w = *state;
	size_t len = 1u << 20;
	uint8_t *bytes = malloc(len);
	uint64_t most;

	assert_non_null(bytes);
	RUN_UNTIL(w, send_frame(w, bytes, len) == 0);
	/* As long as it moves: a turn without `changed` for a second is the end of it. */
	for (unsigned still = 0; still < 10; still++) {
		uint64_t before = w->sent;

		rt_timer_arm(w->loop, &w->bound,
			     rt_time_add(rt_now(w->loop), 100 * RT_MS));
		while (!w->late) {
			while (send_frame(w, bytes, len) == 0)
				;
			assert_int_equal(rt_loop_run(w->loop), 0);
			world_check(w);
		}
		w->late = false;
		if (w->sent > before)
			still = 0;
	}
	most = w->sent;
	/* What was not taken lies in the two memories: one frame less or more of each. */
	assert_in_range(most, SEND_MEMORY / len - 1, 2 * SEND_MEMORY / len + 2);
	RUN_UNTIL(w, take_frame(w, bytes, len) && w->taken == most);
	RUN_UNTIL(w, transport_received(w->end[0]) == most);
	RUN_UNTIL(w, send_frame(w, bytes, len) == 0);
	free(bytes);
}

/* Rings of frames begin small; none of them may forget one when it has to grow. */
static void more_frames_are_on_their_way_than_a_ring_begins_with(void **state)
{
	struct world *w = *state;
	uint64_t frames = 20000, most = 0;
	uint8_t byte[100];

	RUN_UNTIL(w, send_frame(w, byte, sizeof(byte)) == 0);
	while (w->taken < frames) {
		uint64_t held;

		while (w->sent < frames && send_frame(w, byte, sizeof(byte)) == 0)
			;
		held = w->sent - transport_received(w->end[0]);
		most = held > most ? held : most;
		RUN_UNTIL(w, take_frame(w, byte, sizeof(byte)));
		while (take_frame(w, byte, sizeof(byte)))
			;
	}
	assert_true(most > 4096);
	RUN_UNTIL(w, transport_received(w->end[0]) == frames);
	RUN_UNTIL(w, transport_peer_watermark(w->end[0]) == 100 + frames);
}

/* The peer, or at least this end's kernel on the way to the peer, has all that was sent. */
static bool delivered(const struct world *w)
{
	struct transport_stats stats;

	transport_stats(w->end[0], &stats);
	return transport_received(w->end[0]) == w->sent ||
	       (stats.tcp && stats.waiting == 0 &&
		stats.counters.sent_bytes > w->sent * 5000);
}

/* A mirror drains what has arrived after the primary is gone. */
static void what_arrived_outlives_the_peer(void **state)
{
	struct world *w = *state;
	uint8_t bytes[5000];

	RUN_UNTIL(w, send_frame(w, bytes, sizeof(bytes)) == 0);
	RUN_UNTIL(w, take_frame(w, bytes, sizeof(bytes)));
	assert_int_equal(send_frame(w, bytes, sizeof(bytes)), 0);
	assert_int_equal(send_frame(w, bytes, sizeof(bytes)), 0);
	RUN_UNTIL(w, delivered(w));
	transport_free(w->end[0]);
	w->end[0] = NULL;
	rt_timer_arm(w->loop, &w->bound, rt_time_add(rt_now(w->loop), BOUND_NS));
	while (w->taken < 3) {
		while (take_frame(w, bytes, sizeof(bytes)))
			;
		if (w->taken < 3)
			assert_int_equal(rt_loop_run(w->loop), 0);
		assert_false(w->late);
	}
	rt_timer_disarm(w->loop, &w->bound);
}

/* A JOIN of another connection, or with no proof, joins nothing. */
static void a_foreign_join_is_refused(void **state)
{
	struct world *w = *state;
	struct message_join join = { .tunnel_id = TRANSPORT_ID };
	uint8_t body[64];
	size_t len = message_encode_join(&join, body, sizeof(body));

	for (int i = 0; i < 2; i++) {
		assert_false(transport_join(w->end[i], NULL, body, len));
		assert_false(transport_join(w->end[i], NULL, body, len - 1));
	}
}

static void rules_change_while_frames_are_under_way(void **state)
{
	struct world *w = *state;
	struct tunnel_fec fec = params_tunnel(1, SEND_MEMORY, FRAME_MAX).fec;
	struct transport_rules rules = { .fec = &fec, .rate_bps = 2000000000 };
	uint8_t *bytes = malloc(FRAME_MAX);

	assert_non_null(bytes);
	RUN_UNTIL(w, exchange(w, bytes, 10));
	assert_int_equal(transport_set_rules(w->end[0], &rules, rt_now(w->loop)), 0);
	rules.fec = NULL;
	assert_int_equal(transport_set_rules(w->end[0], &rules, rt_now(w->loop)), 0);
	RUN_UNTIL(w, exchange(w, bytes, 20));
	RUN_UNTIL(w, transport_received(w->end[0]) == 20);
	free(bytes);
}

/* Status counts since the daemon's start, over all transports that there were. */
static void every_counter_is_added(void **state)
{
	struct transport_counters sum = { 0 };
	uint64_t one[sizeof(sum) / sizeof(uint64_t)], two[RT_ARRAY_LEN(one)];

	_Static_assert(sizeof(one) == sizeof(sum), "counters only");
	for (unsigned i = 0; i < RT_ARRAY_LEN(one); i++) {
		one[i] = 1000 + i;
		two[i] = 2 * one[i];
	}
	transport_counters_add(&sum, (const void *)one);
	assert_memory_equal(&sum, one, sizeof(sum));
	transport_counters_add(&sum, (const void *)one);
	assert_memory_equal(&sum, two, sizeof(sum));
}

#define OVER_BOTH(test)                                                                  \
	{ "udp: " #test, test, set_up_udp, tear_down, NULL },                            \
	{                                                                                \
		"tcp: " #test, test, set_up_tcp, tear_down, NULL                         \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OVER_BOTH(frames_come_out_whole_and_in_order),
		OVER_BOTH(a_peer_that_takes_nothing_stops_the_sender),
		OVER_BOTH(more_frames_are_on_their_way_than_a_ring_begins_with),
		OVER_BOTH(what_arrived_outlives_the_peer),
		OVER_BOTH(a_foreign_join_is_refused),
		OVER_BOTH(rules_change_while_frames_are_under_way),
		cmocka_unit_test(every_counter_is_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
