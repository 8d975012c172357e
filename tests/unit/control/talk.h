/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_CONTROL_TALK_H
#define TESTS_UNIT_CONTROL_TALK_H

/* Clients of a control socket on the loop of the server. Included once per test program. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "control/control_server.h"
#include "tests/unit/control/double.h"
#include "tests/unit/unit.h"

#define ANSWERS_MAX 65536
#define TEST_LIMIT_MS 20000 /* a test that waits longer has failed */

static struct rt_loop *loop;
static struct control_server *srv;
static struct group group;
static char dir[] = "/tmp/wanmirror-control-XXXXXX";
static char path[sizeof(dir) + 16];

/* ---- one client on the same loop ------------------------------------------------------- */

struct talk {
	struct rt_sock *sock;
	struct rt_op connect_op, send_op, recv_op;
	struct rt_timer limit;
	struct iovec iov;
	const char *text; /* to be sent */
	size_t len;
	unsigned want; /* answers; 0: until the server closes */
	char got[ANSWERS_MAX];
	size_t have;
	bool closed; /* by the server */
	bool receiving, sending;
	bool *over; /* of all clients of the test */
};

static unsigned lines(const struct talk *t)
{
	unsigned n = 0;

	for (size_t i = 0; i < t->have; i++)
		n += t->got[i] == '\n';
	return n;
}

static void talk_recv(struct talk *t)
{
	if (t->closed || (t->want > 0 && lines(t) >= t->want)) {
		rt_timer_disarm(loop, &t->limit);
		rt_loop_stop(loop);
		return;
	}
	t->receiving = true;
	rt_recv(t->sock, &t->recv_op, t->got + t->have, sizeof(t->got) - 1 - t->have);
}

static void talk_recv_done(struct rt_op *op, int res)
{
	struct talk *t = rt_container_of(op, struct talk, recv_op);

	t->receiving = false;
	if (!t->sock)
		return;
	if (res > 0)
		t->have += (size_t)res;
	else
		t->closed = true;
	talk_recv(t);
}

static void talk_send_done(struct rt_op *op, int res)
{
	struct talk *t = rt_container_of(op, struct talk, send_op);

	t->sending = false;
	if (res <= 0 || !t->sock || (t->len -= (size_t)res) == 0)
		return;
	t->text += res;
	t->iov = (struct iovec){ (void *)(uintptr_t)t->text, t->len };
	t->sending = true;
	rt_sendv(t->sock, &t->send_op, &t->iov, 1);
}

static void talk_connected(struct rt_op *op, int res)
{
	struct talk *t = rt_container_of(op, struct talk, connect_op);

	assert_int_equal(res, 0);
	if (t->len > 0) {
		t->iov = (struct iovec){ (void *)(uintptr_t)t->text, t->len };
		t->sending = true;
		rt_sendv(t->sock, &t->send_op, &t->iov, 1);
	}
	talk_recv(t);
}

static void talk_limit(struct rt_timer *timer)
{
	fail_msg("no answer in %d ms", TEST_LIMIT_MS);
}

static void talk_start(struct talk *t, const char *text, size_t len, unsigned want)
{
	struct rt_addr addr = { .kind = RT_ADDR_UNIX };

	memset(t, 0, sizeof(*t));
	t->text = text;
	t->len = len;
	t->want = want;
	t->connect_op.done = talk_connected;
	t->send_op.done = talk_send_done;
	t->recv_op.done = talk_recv_done;
	t->limit.fire = talk_limit;
	rt_timer_arm(loop, &t->limit, rt_time_add(rt_now(loop), TEST_LIMIT_MS * RT_MS));
	(void)snprintf(addr.path, sizeof(addr.path), "%s", path);
	assert_int_equal(rt_connect(loop, &addr, &t->connect_op, &t->sock), 0);
}

static void stop_loop(struct rt_op *op, int res)
{
	rt_loop_stop(loop);
}

static void turn(void)
{
	struct rt_op op = { .done = stop_loop };

	rt_defer(loop, &op);
	assert_int_equal(rt_loop_run(loop), 0);
}

static void talk_end(struct talk *t)
{
	rt_timer_disarm(loop, &t->limit);
	rt_sock_close(t->sock);
	t->sock = NULL;
	while (t->receiving || t->sending)
		turn();
}

/* Send and wait for `want` answers. The one talk of most tests. */
static struct talk *talk(const char *text, unsigned want)
{
	static struct talk t;

	talk_start(&t, text, strlen(text), want);
	assert_int_equal(rt_loop_run(loop), 0);
	talk_end(&t);
	return &t;
}

/* Line `i` of a talk as JSON, which the caller gives back. */
static json_t *line_of(const struct talk *t, unsigned i)
{
	const char *p = t->got;
	const char *end;
	json_t *root;

	for (; i > 0; i--)
		p = strchr(p, '\n') + 1;
	end = strchr(p, '\n');
	assert_non_null(end);
	root = json_loadb(p, (size_t)(end - p), 0, NULL);
	assert_non_null(root);
	return root;
}

/* The same of one that is an answer. */
static json_t *answer(const struct talk *t, unsigned i)
{
	json_t *root = line_of(t, i);

	assert_true(json_is_boolean(json_object_get(root, "ok")));
	assert_true(json_is_integer(json_object_get(root, "exit")));
	return root;
}

static void answer_is(const struct talk *t, unsigned i, int exit, const char *error)
{
	json_t *root = answer(t, i);
	const char *text = json_string_value(json_object_get(root, "error"));

	assert_int_equal(json_integer_value(json_object_get(root, "exit")), exit);
	assert_int_equal(json_is_true(json_object_get(root, "ok")), exit == 0);
	if (error && (!text || !strstr(text, error)))
		fail_msg("error is %s instead of %s", text ? text : "none", error);
	json_decref(root);
}

#endif
