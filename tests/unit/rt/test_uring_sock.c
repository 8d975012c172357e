// SPDX-License-Identifier: BSD-3-Clause
/*
 * Clients and the mirror are at the other end of streams: bytes arrive whole and in
 * order, the end of a stream is seen, and a close or cancel at any moment ends what is
 * in flight, once.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt/log.h"
#include "rt/uring.h"
#include "tests/unit/rt/call.h"

#define SOCKS_MAX 8
#define PATTERN_LEN (3u << 20)

struct world {
	struct rt_loop *loop;
	char dir[64];
	struct rt_addr addr;
	struct rt_listener *listener;
	struct rt_sock *client;
	struct rt_sock *servers[SOCKS_MAX];
	unsigned accepted;
	unsigned pause_at; /* connections; pause the listener from its own callback */
	unsigned close_at; /* the same, close it */
	struct rt_addr peer;
};

static void accepted(void *owner, struct rt_sock *sock, const struct rt_addr *peer)
{
	struct world *w = owner;

	assert_true(w->accepted < SOCKS_MAX);
	w->servers[w->accepted++] = sock;
	w->peer = *peer;
	if (w->accepted == w->pause_at)
		rt_listener_pause(w->listener, true);
	if (w->accepted == w->close_at) {
		rt_listener_close(w->listener);
		w->listener = NULL;
	}
	rt_loop_stop(w->loop);
}

static int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_int_equal(rt_loop_new(&w->loop), 0);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/wanmirror-rt-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	*state = w;
	return 0;
}

static int world_teardown(void **state)
{
	struct world *w = *state;

	rt_sock_close(w->client);
	for (unsigned i = 0; i < w->accepted; i++)
		rt_sock_close(w->servers[i]);
	rt_listener_close(w->listener);
	assert_int_equal(rt_loop_run(w->loop), 0);
	rt_loop_free(w->loop);
	assert_int_equal(rmdir(w->dir), 0); /* the unix socket is gone, too */
	free(w);
	return 0;
}

static void world_listen(struct world *w, const char *text)
{
	struct rt_addr addr;

	assert_int_equal(rt_addr_parse(text, &addr), 0);
	assert_int_equal(rt_listen(w->loop, &addr, accepted, w, &w->listener), 0);
	rt_listener_addr(w->listener, &w->addr);
}

static void world_listen_unix(struct world *w)
{
	char text[96];

	(void)snprintf(text, sizeof(text), "unix:%s/s", w->dir);
	world_listen(w, text);
}

static void world_connect(struct world *w)
{
	struct call connect;

	assert_int_equal(
		rt_connect(w->loop, &w->addr, call_op(w->loop, &connect), &w->client), 0);
	assert_int_equal(call_wait(&connect), 0);
	run_until(w->loop, &w->accepted, 1);
}

static int sock_send(struct rt_loop *loop, struct rt_sock *sock, const void *buf,
		     size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	struct call call;

	rt_sendv(sock, call_op(loop, &call), &iov, 1);
	return call_wait(&call);
}

static int sock_recv(struct rt_loop *loop, struct rt_sock *sock, void *buf, size_t len)
{
	struct call call;

	rt_recv(sock, call_op(loop, &call), buf, len);
	return call_wait(&call);
}

static void ping_pong(struct world *w)
{
	char buf[16];

	world_connect(w);
	assert_int_equal(sock_send(w->loop, w->client, "ping", 4), 4);
	assert_int_equal(sock_recv(w->loop, w->servers[0], buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "ping", 4);
	assert_int_equal(sock_send(w->loop, w->servers[0], "pong!", 5), 5);
	assert_int_equal(sock_recv(w->loop, w->client, buf, sizeof(buf)), 5);
	rt_sock_shutdown(w->client);
	assert_int_equal(sock_recv(w->loop, w->servers[0], buf, sizeof(buf)), 0);
}

static void await_end(struct world *w, struct call *call)
{
	assert_int_equal(rt_sock_await_end(w->servers[0], call_op(w->loop, call)), 0);
}

static void client_closes(struct world *w)
{
	rt_sock_close(w->client);
	w->client = NULL;
}

/*
 * Who serves must see that a client is gone while it neither reads from it nor writes to it.
 * Data that nobody reads are no end, and hide none.
 */
static void the_end_of_a_unix_stream_is_seen(void **state)
{
	struct world *w = *state;
	struct call end;

	world_listen_unix(w);
	world_connect(w);
	await_end(w, &end);
	assert_int_equal(sock_send(w->loop, w->client, "data", 4), 4);
	run_turns(w->loop, 20);
	assert_int_equal(end.done, 0);
	client_closes(w);
	assert_int_equal(call_wait(&end), 1);
}

/* A side that has only ended its own direction may still read. */
static void half_an_end_is_told_from_a_whole(void **state)
{
	struct world *w = *state;
	struct call half;

	world_listen_unix(w);
	world_connect(w);
	await_end(w, &half);
	rt_sock_shutdown(w->client);
	assert_int_equal(call_wait(&half), 0);
	assert_false(rt_sock_is_over(w->servers[0]));
	client_closes(w);
	assert_true(rt_sock_is_over(w->servers[0]));
}

/* A TCP peer that closes looks like one that ends its side; what we send then shows it. */
static void the_end_of_a_tcp_stream_shows_with_an_answer(void **state)
{
	struct world *w = *state;
	struct call half;

	world_listen(w, "127.0.0.1:0");
	world_connect(w);
	await_end(w, &half);
	client_closes(w);
	assert_int_equal(call_wait(&half), 0);
	assert_false(rt_sock_is_over(w->servers[0]));
	assert_int_equal(sock_send(w->loop, w->servers[0], "answer", 6), 6);
	for (int ms = 0; ms < 5000 && !rt_sock_is_over(w->servers[0]); ms++)
		(void)poll(NULL, 0, 1);
	assert_true(rt_sock_is_over(w->servers[0]));
}

static void waiting_for_the_end_ends_with_a_close(void **state)
{
	struct world *w = *state;
	struct call end;

	world_listen(w, "127.0.0.1:0");
	world_connect(w);
	await_end(w, &end);
	run_turns(w->loop, 2);
	rt_sock_close(w->servers[--w->accepted]);
	assert_int_equal(call_wait(&end), -ECANCELED);
}

/* ---- no descriptor for a connection ----------------------------------------------------- */

static unsigned complaints;
static char complaint[256];

static void complaint_heard(void *owner, enum rt_log_level level, const char *line)
{
	if (strncmp(line, "accept-failed ", 14) != 0)
		return;
	complaints++;
	(void)snprintf(complaint, sizeof(complaint), "%s", line);
}

/* A stream to the listener, from outside of the loop; it is in the kernel's queue. */
static int outside_connect(struct world *w)
{
	struct sockaddr_storage ss;
	socklen_t len = uring_sockaddr(&w->addr, AF_INET, &ss);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

static void turns_for(struct world *w, int64_t ms)
{
	struct call_bound bound = { .timer = { .fire = call_bound_fire },
				    .loop = w->loop };

	rt_timer_arm(w->loop, &bound.timer, rt_time_add(rt_now(w->loop), ms * RT_MS));
	while (!bound.late)
		assert_int_equal(rt_loop_run(w->loop), 0);
}

/*
 * Without a descriptor for it a connection waits in the kernel, and each try fails anew: the
 * log says so once, of which address, and the connection is there as soon as it can be.
 */
static void failed_accepts_do_not_fill_the_log(void **state)
{
	struct world *w = *state;
	struct rlimit before, none;
	char expected[128], text[RT_ADDR_TEXT_MAX];
	int fd;

	world_listen(w, "127.0.0.1:0");
	fd = outside_connect(w);
	complaints = 0;
	rt_log_set_sink(complaint_heard, NULL);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ 0, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	turns_for(w, 650); /* six tries */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	rt_log_set_sink(NULL, NULL);
	assert_int_equal(w->accepted, 0);
	assert_int_equal(complaints, 1);
	(void)snprintf(expected, sizeof(expected),
		       "accept-failed on=%s error=\"Too many open files\"",
		       rt_addr_format(&w->addr, text));
	assert_string_equal(complaint, expected);
	run_until(w->loop, &w->accepted, 1);
	(void)close(fd);
}

static void unix_streams(void **state)
{
	struct world *w = *state;

	world_listen_unix(w);
	ping_pong(w);
	assert_int_equal(rt_sock_congestion(w->client, "reno"), -EOPNOTSUPP);
}

static void tcp_streams(void **state)
{
	struct world *w = *state;

	world_listen(w, "tcp:127.0.0.1:0");
	assert_true(w->addr.port != 0);
	ping_pong(w);
	assert_int_equal(w->peer.kind, RT_ADDR_INET);
	assert_int_equal(rt_sock_congestion(w->client, "reno"), 0);
	assert_int_equal(rt_sock_congestion(w->client, "no-such-thing"), -ENOENT);
}

static void any_address_takes_both_families(void **state)
{
	struct world *w = *state;
	uint16_t port;

	world_listen(w, "tcp:*:0");
	port = w->addr.port;
	assert_int_equal(rt_addr_parse("127.0.0.1:0", &w->addr), 0);
	w->addr.port = port;
	ping_pong(w);
	assert_int_equal(w->peer.kind, RT_ADDR_INET); /* not a mapped one */
}

static void connecting_to_nobody_is_refused(void **state)
{
	struct world *w = *state;
	struct call connect;

	world_listen(w, "tcp:127.0.0.1:0");
	rt_listener_close(w->listener);
	w->listener = NULL;
	assert_int_equal(rt_loop_run(w->loop), 0);
	assert_int_equal(
		rt_connect(w->loop, &w->addr, call_op(w->loop, &connect), &w->client), 0);
	assert_int_equal(call_wait(&connect), -ECONNREFUSED);
}

struct pump {
	struct rt_op op;
	struct rt_sock *sock;
	uint8_t *buf;
	size_t done;
	unsigned calls, finished;
	struct iovec iov;
};

static void pump_send(struct pump *pump)
{
	pump->iov = (struct iovec){ pump->buf + pump->done, PATTERN_LEN - pump->done };
	rt_sendv(pump->sock, &pump->op, &pump->iov, 1);
}

static void pump_send_done(struct rt_op *op, int res)
{
	struct pump *pump = rt_container_of(op, struct pump, op);

	assert_true(res > 0);
	pump->calls++;
	pump->done += (size_t)res;
	if (pump->done < PATTERN_LEN)
		pump_send(pump);
	else
		pump->finished = 1;
}

static void pump_recv(struct pump *pump)
{
	rt_recv(pump->sock, &pump->op, pump->buf + pump->done, PATTERN_LEN - pump->done);
}

static void pump_recv_done(struct rt_op *op, int res)
{
	struct pump *pump = rt_container_of(op, struct pump, op);

	assert_true(res > 0);
	pump->done += (size_t)res;
	if (pump->done < PATTERN_LEN)
		pump_recv(pump);
	else
		pump->finished = 1;
}

/* More than the kernel buffers: sends are partial, and nothing is lost between them. */
static void partial_sends_add_up(void **state)
{
	struct world *w = *state;
	struct pump out = { .op = { .done = pump_send_done } };
	struct pump in = { .op = { .done = pump_recv_done } };

	world_listen_unix(w);
	world_connect(w);
	out.sock = w->client;
	in.sock = w->servers[0];
	out.buf = malloc(PATTERN_LEN);
	in.buf = malloc(PATTERN_LEN);
	assert_true(out.buf && in.buf);
	for (size_t i = 0; i < PATTERN_LEN; i++)
		out.buf[i] = (uint8_t)(i * 2654435761u >> 13);
	pump_send(&out);
	pump_recv(&in);
	rt_listener_close(w->listener); /* else the run would not end */
	w->listener = NULL;
	assert_int_equal(rt_loop_run(w->loop), 0);
	assert_true(in.finished && out.finished);
	assert_true(out.calls > 1);
	assert_memory_equal(in.buf, out.buf, PATTERN_LEN);
	free(out.buf);
	free(in.buf);
}

static void close_ends_what_is_in_flight(void **state)
{
	struct world *w = *state;
	static uint8_t much[4 << 20];
	struct iovec iov = { much, sizeof(much) };
	struct call recv, send;
	char buf[16];

	world_listen(w, "tcp:127.0.0.1:0");
	world_connect(w);
	/* Both with the kernel: what the socket takes of the first send is not all. */
	rt_recv(w->client, call_op(w->loop, &recv), buf, sizeof(buf));
	do {
		rt_sendv(w->client, call_op(w->loop, &send), &iov, 1);
		run_turns(w->loop, 5); /* a send that finds room is done in one */
	} while (send.done);
	rt_sock_close(w->client);
	w->client = NULL;
	assert_int_equal(recv.done + send.done, 0);
	assert_int_equal(call_wait(&recv), -ECANCELED);
	assert_int_equal(call_wait(&send), -ECANCELED);
	/* And the other side sees the end, after what was sent. */
	while (sock_recv(w->loop, w->servers[0], much, sizeof(much)) > 0)
		;
}

static void close_before_submission(void **state)
{
	struct world *w = *state;
	struct iovec iov = { (void *)(uintptr_t) "x", 1 };
	struct call connect, recv, send;
	char buf[16];

	world_listen_unix(w);
	world_connect(w);
	rt_recv(w->client, call_op(w->loop, &recv), buf, sizeof(buf));
	rt_sendv(w->client, call_op(w->loop, &send), &iov, 1);
	rt_sock_close(w->client);
	assert_int_equal(call_wait(&recv), -ECANCELED);
	assert_int_equal(call_wait(&send), -ECANCELED);
	assert_int_equal(
		rt_connect(w->loop, &w->addr, call_op(w->loop, &connect), &w->client), 0);
	rt_sock_close(w->client);
	w->client = NULL;
	assert_int_equal(call_wait(&connect), -ECANCELED);
}

static void cancel_and_go_on(void **state)
{
	struct world *w = *state;
	struct call recv;
	char buf[16];

	world_listen_unix(w);
	world_connect(w);
	for (int i = 0; i < 3; i++) {
		rt_recv(w->client, call_op(w->loop, &recv), buf, sizeof(buf));
		run_turns(w->loop, (unsigned)i);
		rt_cancel(w->loop, &recv.op);
		rt_cancel(w->loop, &recv.op);
		assert_int_equal(call_wait(&recv), -ECANCELED);
	}
	/* A cancel of one that has ended does not reach the next under the same name. */
	rt_recv(w->client, call_op(w->loop, &recv), buf, sizeof(buf));
	assert_int_equal(sock_send(w->loop, w->servers[0], "a", 1), 1);
	assert_int_equal(call_wait(&recv), 1);
	rt_cancel(w->loop, &recv.op);
	rt_recv(w->client, call_op(w->loop, &recv), buf, sizeof(buf));
	assert_int_equal(sock_send(w->loop, w->servers[0], "bc", 2), 2);
	assert_int_equal(call_wait(&recv), 2);
}

static void a_peer_that_left_is_an_error_not_a_signal(void **state)
{
	struct world *w = *state;
	char buf[16];

	world_listen_unix(w);
	world_connect(w);
	rt_sock_close(w->servers[0]);
	w->accepted = 0;
	assert_int_equal(sock_send(w->loop, w->client, "x", 1), -EPIPE);
	assert_int_equal(sock_recv(w->loop, w->client, buf, sizeof(buf)), 0);
}

static void standard_input_and_output(void **state)
{
	struct world *w = *state;
	struct call recv;
	int in[2], out[2];
	char buf[16];

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe2(out, O_NONBLOCK), 0);
	assert_int_equal(rt_sock_from_fds(w->loop, in[0], out[1], &w->client), 0);
	assert_int_equal(sock_send(w->loop, w->client, "hello", 5), 5);
	assert_int_equal(read(out[0], buf, sizeof(buf)), 5);
	rt_recv(w->client, call_op(w->loop, &recv), buf, sizeof(buf));
	assert_int_equal(write(in[1], "abc", 3), 3);
	assert_int_equal(call_wait(&recv), 3);
	rt_sock_shutdown(w->client);
	assert_int_equal(read(out[0], buf, sizeof(buf)), 0);
	rt_recv(w->client, call_op(w->loop, &recv), buf, sizeof(buf));
	rt_sock_close(w->client);
	w->client = NULL;
	assert_int_equal(call_wait(&recv), -ECANCELED);
	(void)close(in[1]);
	(void)close(out[0]);
}

static void a_closed_pipe_is_an_error_not_a_signal(void **state)
{
	struct world *w = *state;
	int in[2], out[2];

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	(void)close(out[0]);
	assert_int_equal(rt_sock_from_fds(w->loop, in[0], out[1], &w->client), 0);
	assert_int_equal(sock_send(w->loop, w->client, "x", 1), -EPIPE);
	(void)close(in[1]);
}

/* How a connection limit is kept: one at a time from the moment of the pause. */
static void a_paused_listener_accepts_nobody(void **state)
{
	struct world *w = *state;
	struct rt_sock *more[3];
	struct call connect[3];

	world_listen_unix(w);
	w->pause_at = 1;
	for (int i = 0; i < 3; i++)
		assert_int_equal(rt_connect(w->loop, &w->addr,
					    call_op(w->loop, &connect[i]), &more[i]),
				 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(call_wait(&connect[i]), 0);
	run_turns(w->loop, 10);
	assert_int_equal(w->accepted, 1);
	rt_listener_pause(w->listener, false);
	run_until(w->loop, &w->accepted, 3);
	for (int i = 0; i < 3; i++)
		rt_sock_close(more[i]);
}

/* A pause that comes while accept is with the kernel. */
static void pause_and_resume_lose_nobody(void **state)
{
	struct world *w = *state;

	world_listen_unix(w);
	run_turns(w->loop, 1); /* accept is in flight now */
	rt_listener_pause(w->listener, true);
	rt_listener_pause(w->listener, false);
	rt_listener_pause(w->listener, true);
	run_turns(w->loop, 1);
	rt_listener_pause(w->listener, false);
	ping_pong(w);
}

/* A stranger who says nothing costs nothing; the first byte brings the connection. */
static void a_silent_connection_is_not_handed_over(void **state)
{
	struct world *w = *state;
	struct call connect;

	world_listen(w, "tcp:127.0.0.1:0");
	assert_int_equal(rt_listener_await_data(w->listener, 60000), 0);
	assert_int_equal(
		rt_connect(w->loop, &w->addr, call_op(w->loop, &connect), &w->client), 0);
	assert_int_equal(call_wait(&connect), 0);
	run_turns(w->loop, 10);
	assert_int_equal(w->accepted, 0);
	assert_int_equal(sock_send(w->loop, w->client, "x", 1), 1);
	run_until(w->loop, &w->accepted, 1);
}

static void only_tcp_keeps_the_silent(void **state)
{
	struct world *w = *state;

	world_listen_unix(w);
	assert_int_equal(rt_listener_await_data(w->listener, 1000), -EOPNOTSUPP);
}

static void a_listener_closed_from_its_callback(void **state)
{
	struct world *w = *state;

	world_listen_unix(w);
	w->close_at = 1;
	world_connect(w);
	assert_null(w->listener);
}

static void unix_paths(void **state)
{
	struct world *w = *state;
	struct rt_listener *other = NULL;
	struct rt_addr addr;
	int fd;

	world_listen_unix(w);
	assert_int_equal(rt_listen(w->loop, &w->addr, accepted, w, &other), -EADDRINUSE);
	addr = w->addr;
	rt_listener_close(w->listener);
	w->listener = NULL;
	assert_int_equal(rt_loop_run(w->loop), 0);
	/* A dead one, as a daemon that was killed leaves it. */
	fd = uring_bind(&addr, SOCK_STREAM, &(int){ 0 });
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(rt_listen(w->loop, &addr, accepted, w, &w->listener), 0);
	rt_listener_close(w->listener);
	w->listener = NULL;
	/* What is not a socket is not removed. */
	fd = open(addr.path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(rt_listen(w->loop, &addr, accepted, w, &other), -EADDRINUSE);
	assert_int_equal(unlink(addr.path), 0);
}

static void a_listener_handed_over(void **state)
{
	struct world *w = *state;
	struct rt_addr addr;
	int family, fd;

	assert_int_equal(rt_addr_parse("127.0.0.1:0", &addr), 0);
	fd = uring_bind(&addr, SOCK_STREAM | SOCK_NONBLOCK, &family);
	assert_true(fd >= 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(rt_listen_fd(w->loop, fd, accepted, w, &w->listener), 0);
	rt_listener_addr(w->listener, &w->addr);
	ping_pong(w);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

/* Wall time, for a loop that does not come to rest. */
#define TEST_BOUND_S 120

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_end_of_a_unix_stream_is_seen),
		T(half_an_end_is_told_from_a_whole),
		T(the_end_of_a_tcp_stream_shows_with_an_answer),
		T(waiting_for_the_end_ends_with_a_close),
		T(unix_streams),
		T(tcp_streams),
		T(any_address_takes_both_families),
		T(connecting_to_nobody_is_refused),
		T(partial_sends_add_up),
		T(close_ends_what_is_in_flight),
		T(close_before_submission),
		T(cancel_and_go_on),
		T(a_peer_that_left_is_an_error_not_a_signal),
		T(standard_input_and_output),
		T(a_closed_pipe_is_an_error_not_a_signal),
		T(a_paused_listener_accepts_nobody),
		T(pause_and_resume_lose_nobody),
		T(a_silent_connection_is_not_handed_over),
		T(only_tcp_keeps_the_silent),
		T(a_listener_closed_from_its_callback),
		T(unix_paths),
		T(a_listener_handed_over),
		T(failed_accepts_do_not_fill_the_log),
	};

	(void)alarm(TEST_BOUND_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
