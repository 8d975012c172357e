// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/conn.h"

#include <errno.h>

#include "tests/unit/replicator/talk.h"

/*
 * A connection that ends says why, in its own words: a message that cannot be sealed is
 * neither a want of memory nor a late handshake. And it is not silent while a long message
 * is on its way.
 */

/* The linker brings calls of secure_write() to __wrap_..., the real one is __real_... */
int __real_secure_write(struct secure *s, const void *plain, size_t len);
int __wrap_secure_write(struct secure *s, const void *plain, size_t len);

static int seal_error; /* of our own end, from now on */

/* A narrow path: of all that was written, each write lets so many bytes more through. */
static size_t narrow; /* 0: all */
static uint8_t queued[4096];
static size_t nqueued;

static int write_piece(struct secure *s, const void *plain, size_t len)
{
	uint8_t piece[sizeof(queued)];

	assert_true(len <= sizeof(queued) - nqueued && narrow <= nqueued + len);
	memcpy(queued + nqueued, plain, len);
	nqueued += len - narrow;
	memcpy(piece, queued, narrow);
	memmove(queued, queued + narrow, nqueued);
	return __real_secure_write(s, piece, narrow);
}

int __wrap_secure_write(struct secure *s, const void *plain, size_t len)
{
	if (seal_error)
		return seal_error;
	return narrow ? write_piece(s, plain, len) : __real_secure_write(s, plain, len);
}

static struct conn *conn;
static bool up;
static int closed_err;
static char closed_why[128];
static unsigned closings;

static void is_up(void *owner, struct conn *c)
{
	peer_introduce(c);
}

/* The HELLO of the site: our part of the handshake has left. */
static void greeted(void *owner, struct conn *c, unsigned type, const uint8_t *body,
		    size_t len)
{
	up = up || type == MESSAGE_HELLO;
	rt_loop_stop(site->loop);
}

static void is_closed(void *owner, struct conn *c, int err, const char *why)
{
	conn = NULL;
	closings++;
	closed_err = err;
	(void)snprintf(closed_why, sizeof(closed_why), "%s", why);
	rt_loop_stop(site->loop);
}

static int mirror_up(void **state)
{
	site_set_up(state, GROUP_MIRROR, true);
	return 0;
}

static void dial(void)
{
	static const struct conn_events events = { .established = is_up,
						   .message = greeted,
						   .closed = is_closed };
	const struct conn_params params = { .group = site->config.name,
					    .key = site->config.peer.key,
					    .message_max = 1u << 20,
					    .handshake_ns = 5 * RT_S,
					    .events = &events };
	struct rt_addr addr;

	up = false;
	closings = 0;
	rt_listener_addr(site->group->session->listener, &addr);
	assert_int_equal(conn_dial(site->loop, &addr, SECURE_CONTROL, &params, &conn), 0);
	SITE_UNTIL(site, up);
}

static void a_failed_seal_is_its_own_reason(void **state)
{
	static const struct {
		int err;
		const char *why;
	} rows[] = { { -EIO, "could not be sealed" },
		     { -ENOMEM, "out of memory" },
		     { -ENOBUFS, "more is written than is sent" } };

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct message_ping ping = { .serial = 1 };
		uint8_t body[64];
		size_t len = message_encode_ping(&ping, body, sizeof(body));

		dial();
		seal_error = rows[i].err;
		assert_int_equal(conn_send(conn, MESSAGE_PING, body, len), 0);
		assert_int_equal(closings, 0); /* never from inside the call */
		assert_int_equal(conn_send(conn, MESSAGE_PING, body, len), -EPIPE);
		seal_error = 0;
		SITE_UNTIL(site, closings == 1);
		assert_int_equal(closed_err, rows[i].err);
		if (!strstr(closed_why, rows[i].why))
			fail_msg("%d: \"%s\"", rows[i].err, closed_why);
	}
}

/* Who drops a silent peer must not drop one whose record takes minutes on a narrow path. */
static void a_part_of_a_message_is_a_sign_of_life(void **state)
{
	const struct message_ping ping = { .serial = 1 };
	uint8_t body[64];
	size_t len = message_encode_ping(&ping, body, sizeof(body));
	const struct conn *ours;

	dial();
	SITE_UNTIL(site, site->group->session->control.conn);
	ours = site->group->session->control.conn;
	narrow = 1;
	for (size_t i = 0; i < len; i++) { /* less than one message, with its head */
		rt_time before = conn_last_rx(ours);

		assert_int_equal(conn_send(conn, MESSAGE_PING, body, len), 0);
		SITE_UNTIL(site, rt_time_before(before, conn_last_rx(ours)));
	}
	narrow = nqueued = 0;
	conn_close(conn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_failed_seal_is_its_own_reason,
						mirror_up, site_tear_down),
		cmocka_unit_test_setup_teardown(a_part_of_a_message_is_a_sign_of_life,
						mirror_up, site_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
