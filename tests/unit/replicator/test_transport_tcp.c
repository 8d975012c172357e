// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "replicator/conn.h"
#include "replicator/transport.h"
#include "replicator/transport_tcp.h"
#include "rt/check.h"
#include "rt/loop.h"

/*
 * The data path where UDP is closed: frames of any length come out whole and in order; a
 * mirror that does not take them holds the sender within its memory; who is not the other
 * end of the control connection gets nothing; what a mirror says of itself is believed
 * only where it can be true. Over real sockets and real TLS, on loopback.
 */

#define BOUND_NS (20 * RT_S)
#define FRAME_MAX (3u << 20)
#define SEND_MEMORY (8u << 20)

static const uint8_t key[SECURE_KEY_LEN] = "both sites were given this key.";

struct world {
	struct rt_loop *loop;
	struct rt_listener *listener;
	struct rt_addr addr;
	struct transport *end[2]; /* 0 sends and dials */
	struct conn *conn;	  /* accepted, not joined */
	bool keep;		  /* the accepted one is ours: it plays the mirror */
	bool established, refused, closed;
	struct rt_timer bound;
	bool late;
};

static void changed(void *owner)
{
	struct world *w = owner;

	rt_loop_stop(w->loop);
}

static const struct transport_events events = { .changed = changed };

static void conn_established(void *owner, struct conn *conn)
{
	struct world *w = owner;

	(void)conn;
	w->established = true;
	rt_loop_stop(w->loop);
}

static void link_said(void *owner, struct conn *conn, unsigned type, const uint8_t *body,
		      size_t len)
{
	struct world *w = owner;

	if (w->keep)
		return;
	assert_int_equal(type, MESSAGE_JOIN);
	assert_int_equal(conn_purpose(conn), SECURE_DATA);
	w->conn = NULL;
	if (!transport_join(w->end[1], conn, body, len)) {
		conn_close(conn);
		w->refused = true;
	}
	rt_loop_stop(w->loop);
}

static void conn_closed(void *owner, struct conn *conn, int err, const char *why)
{
	struct world *w = owner;

	(void)conn;
	(void)err;
	(void)why;
	w->conn = NULL;
	w->closed = true;
	rt_loop_stop(w->loop);
}

static const struct conn_events conn_events = {
	.established = conn_established,
	.message = link_said,
	.closed = conn_closed,
};

static void accepted(void *owner, struct rt_sock *sock, const struct rt_addr *peer)
{
	struct world *w = owner;
	const struct conn_params params = { .group = "db",
					    .key = key,
					    .message_max = FRAME_MAX,
					    .handshake_ns = 5 * RT_S,
					    .events = &conn_events,
					    .owner = w };

	(void)peer;
	assert_null(w->conn);
	assert_int_equal(conn_serve(w->loop, sock, &params, &w->conn), 0);
}

static void bound_fire(struct rt_timer *timer)
{
	struct world *w = rt_container_of(timer, struct world, bound);

	w->late = true;
	rt_loop_stop(w->loop);
}

/* Run until `what` is true; a test that waits for ever fails. */
#define RUN_UNTIL(w, what)                                                               \
	do {                                                                             \
		rt_timer_arm((w)->loop, &(w)->bound,                                     \
			     rt_time_add(rt_now((w)->loop), BOUND_NS));                  \
		while (!(what) && !(w)->late)                                            \
			assert_int_equal(rt_loop_run((w)->loop), 0);                     \
		rt_timer_disarm((w)->loop, &(w)->bound);                                 \
		if ((w)->late)                                                           \
			fail_msg("never: %s", #what);                                    \
	} while (0)

static void new_end(struct world *w, unsigned end,
		    const struct transport_tcp_params *params)
{
	struct transport_tcp_params p = *params;

	p.sends = p.dials = end == 0;
	p.addr = w->addr;
	assert_int_equal(transport_tcp_new(w->loop, &p, &events, w, &w->end[end]), 0);
	transport_begin(w->end[end]);
}

static struct transport_tcp_params tcp_params(void)
{
	return (struct transport_tcp_params){ .id = 4711,
					      .proofs = { "the one's proof",
							  "the other's one" },
					      .group = "db",
					      .key = key,
					      .congestion = "",
					      .frame_max = FRAME_MAX,
					      .send_memory = SEND_MEMORY,
					      .handshake_ns = 5 * RT_S,
					      .probe_ns = 50 * RT_MS };
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct rt_addr addr;

	assert_non_null(w);
	w->bound.fire = bound_fire;
	assert_int_equal(rt_loop_new(&w->loop), 0);
	assert_int_equal(rt_addr_parse("127.0.0.1:0", &addr), 0);
	assert_int_equal(rt_listen(w->loop, &addr, accepted, w, &w->listener), 0);
	rt_listener_addr(w->listener, &w->addr);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	transport_free(w->end[0]);
	transport_free(w->end[1]);
	conn_close(w->conn);
	rt_listener_close(w->listener);
	assert_int_equal(rt_loop_run(w->loop), 0); /* to the last operation in flight */
	rt_loop_free(w->loop);
	free(w);
	return 0;
}

static void fill(uint8_t *bytes, size_t len, uint64_t number)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251 + number);
}

static size_t length_of(uint64_t number)
{
	static const size_t lens[] = { 1, 4219, 70000, (1u << 20) + 500, FRAME_MAX };

	return lens[number % RT_ARRAY_LEN(lens)];
}

static int submit(struct transport *t, const uint8_t *bytes, size_t len)
{
	/* In three pieces, of which one may be empty. */
	const struct iovec iov[3] = { { (void *)(uintptr_t)bytes, len / 3 },
				      { (void *)(uintptr_t)(bytes + len / 3),
					len - len / 3 },
				      { NULL, 0 } };

	return transport_submitv(t, iov, 3, (rt_time){ 0 });
}

static void frames_come_out_as_they_went_in(void **state)
{
	struct world *w = *state;
	struct transport_tcp_params params = tcp_params();
	uint8_t *bytes = malloc(FRAME_MAX), *want = malloc(FRAME_MAX);
	uint64_t sent = 0, got = 0;
	const uint8_t *frame;
	size_t len;

	assert_true(bytes && want);
	new_end(w, 1, &params);
	new_end(w, 0, &params);
	fill(bytes, 1, 0);
	assert_int_equal(submit(w->end[0], bytes, 1), -EAGAIN); /* nobody is there yet */
	rt_timer_arm(w->loop, &w->bound, rt_time_add(rt_now(w->loop), BOUND_NS));
	while (got < 40 && !w->late) {
		for (; sent < 40; sent++) {
			fill(bytes, length_of(sent), sent);
			if (submit(w->end[0], bytes, length_of(sent)) < 0)
				break;
		}
		while (transport_next_frame(w->end[1], &frame, &len) > 0) {
			assert_int_equal(len, length_of(got));
			fill(want, len, got);
			assert_memory_equal(frame, want, len);
			got++;
			transport_set_watermark(w->end[1], 100 + got, rt_now(w->loop));
		}
		transport_transmit(w->end[1]);
		if (got < 40)
			assert_int_equal(rt_loop_run(w->loop), 0);
	}
	assert_int_equal(got, 40);
	RUN_UNTIL(w, transport_received(w->end[0]) == 40 &&
			     transport_peer_watermark(w->end[0]) == 140);
	assert_true(transport_proven(w->end[0], rt_now(w->loop)));
	assert_null(transport_over(w->end[0]));
	free(bytes);
	free(want);
}

/* Nobody takes: what is under way stays within bounds, and goes on when somebody does. */
static void a_mirror_that_takes_nothing_holds_the_sender(void **state)
{
	struct world *w = *state;
	struct transport_tcp_params params = tcp_params();
	uint8_t *bytes = malloc(1u << 20);
	uint64_t held = 0;
	const uint8_t *frame;
	size_t len;

	assert_non_null(bytes);
	fill(bytes, 1u << 20, 0);
	new_end(w, 1, &params);
	new_end(w, 0, &params);
	RUN_UNTIL(w, submit(w->end[0], bytes, 1u << 20) == 0);
	for (unsigned turns = 0; turns < 300;
	     turns++) { /* as long as it moves, and more */
		while (submit(w->end[0], bytes, 1u << 20) == 0)
			;
		assert_true(transport_submitted(w->end[0]) <= SEND_MEMORY >> 20);
		assert_int_equal(rt_loop_run(w->loop), 0);
	}
	held = transport_submitted(w->end[0]);
	assert_int_equal(held, SEND_MEMORY >> 20);
	assert_int_equal(transport_received(w->end[0]), 0);
	while (held > 0) {
		RUN_UNTIL(w, transport_next_frame(w->end[1], &frame, &len) > 0);
		held--;
	}
	transport_transmit(w->end[1]);
	RUN_UNTIL(w, transport_received(w->end[0]) == SEND_MEMORY >> 20);
	assert_int_equal(submit(w->end[0], bytes, 1u << 20), 0);
	free(bytes);
}

/* The key is not enough: the data belongs to one control connection, and one START. */
static void a_stranger_with_the_key_gets_nothing(void **state)
{
	struct world *w = *state;
	struct transport_tcp_params params = tcp_params(), other = tcp_params();

	new_end(w, 1, &params);
	other.id++;
	new_end(w, 0, &other);
	RUN_UNTIL(w, w->refused && transport_over(w->end[0]));
	transport_free(w->end[0]);
	w->refused = false;
	other = tcp_params();
	other.proofs[0][15]++;
	new_end(w, 0, &other);
	RUN_UNTIL(w, w->refused && transport_over(w->end[0]));
	transport_free(w->end[0]);
	/* The other way round: it takes our proof, and does not have its own. */
	other = tcp_params();
	other.proofs[1][0]++;
	new_end(w, 0, &other);
	RUN_UNTIL(w, transport_over(w->end[0]));
	assert_int_equal(transport_submitted(w->end[0]), 0);
}

static void say(struct world *w, const struct message_progress *m)
{
	uint8_t body[64];

	assert_int_equal(conn_send(w->conn, MESSAGE_PROGRESS, body,
				   message_encode_progress(m, body, sizeof(body))),
			 0);
}

/* A mirror with the keys that counts what was never sent, or backwards. */
static void a_lying_mirror_is_no_mirror(void **state)
{
	static const struct message_progress lies[] = {
		{ .frames = 3, .bytes = 200 },
		{ .frames = 2, .bytes = 201 },
		{ .frames = 2, .bytes = 199 },
		{ .frames = 1, .bytes = 200 },
		{ .frames = 0, .bytes = 100 },
		{ .frames = 1, .bytes = 99, .watermark = 1 },
		{ .frames = 1, .bytes = 100, .echo = 1u << 30 },
	};
	uint8_t bytes[100] = { 0 }, body[64];

	for (unsigned i = 0; i < RT_ARRAY_LEN(lies); i++) {
		struct world *w = *state;
		struct transport_tcp_params params = tcp_params();
		struct message_join join = { .tunnel_id = params.id };

		memcpy(join.proof, params.proofs[1], sizeof(join.proof));
		w->keep = true;
		w->established = false;
		new_end(w, 0, &params);
		RUN_UNTIL(w, w->established);
		assert_int_equal(
			conn_send(w->conn, MESSAGE_JOIN, body,
				  message_encode_join(&join, body, sizeof(body))),
			0);
		RUN_UNTIL(w, submit(w->end[0], bytes, 100) == 0);
		assert_int_equal(submit(w->end[0], bytes, 100), 0);
		say(w, &(struct message_progress){ .frames = 1, .bytes = 100 });
		RUN_UNTIL(w, transport_received(w->end[0]) == 1);
		say(w, &lies[i]);
		RUN_UNTIL(w, transport_over(w->end[0]));
		assert_int_equal(transport_received(w->end[0]), 1);
		transport_free(w->end[0]);
		w->end[0] = NULL;
		conn_close(w->conn);
		w->conn = NULL;
	}
}

static void congestion_control_is_chosen_or_missed(void **state)
{
	struct world *w = *state;
	struct transport_tcp_params params = tcp_params();

	new_end(w, 1, &params);
	params.congestion = "nosuchthing";
	new_end(w, 0, &params);
	RUN_UNTIL(w, transport_over(w->end[0]));
	assert_non_null(strstr(transport_over(w->end[0]), "congestion control"));
	transport_free(w->end[0]);
	w->end[0] = NULL;
	transport_free(w->end[1]);
	w->end[1] = NULL;
	params.congestion = "reno"; /* every kernel has it */
	new_end(w, 1, &params);
	new_end(w, 0, &params);
	RUN_UNTIL(w, submit(w->end[0], key, sizeof(key)) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(frames_come_out_as_they_went_in, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			a_mirror_that_takes_nothing_holds_the_sender, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stranger_with_the_key_gets_nothing,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_lying_mirror_is_no_mirror, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(congestion_control_is_chosen_or_missed,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
