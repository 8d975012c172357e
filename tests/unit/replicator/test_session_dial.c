// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/talk.h"

/*
 * The site that dials: at once, one connection at a time, again after each that ends, and
 * later and later as long as none leads anywhere; not any more once it stops. The log says
 * whom.
 */

static struct rt_listener *there; /* the peer listens */
static bool serves;		  /* and serves what it accepts */
static unsigned dialed;

static void dialed_by_site(void *owner, struct rt_sock *sock, const struct rt_addr *from)
{
	static const struct conn_events events = { .established = peer_established,
						   .message = peer_message,
						   .closed = peer_closed };
	const struct conn_params params = { .group = site->config.name,
					    .key = site->config.peer.key,
					    .message_max = 1u << 20,
					    .handshake_ns = 5 * RT_S,
					    .events = &events };

	dialed++;
	rt_loop_stop(site->loop);
	if (!serves) {
		rt_sock_close(sock);
		return;
	}
	assert_null(site->conn);
	site->established = site->closed = false;
	memset(site->came, 0, sizeof(site->came));
	assert_int_equal(conn_serve(site->loop, sock, &params, &site->conn), 0);
}

static void dials(struct group_config *config)
{
	assert_int_equal(rt_listen(site->loop, &config->peer.addr, dialed_by_site, NULL,
				   &there),
			 0);
	rt_listener_addr(there, &config->peer.addr);
	config->peer.dials = true;
}

static void dials_v6(struct group_config *config)
{
	assert_int_equal(rt_addr_parse("[::1]:0", &config->peer.addr), 0);
	dials(config);
}

static int primary_up(void **state)
{
	dialed = 0;
	serves = true;
	site_tweak = dials;
	site_set_up(state, GROUP_PRIMARY, true);
	return 0;
}

static int primary_v6_up(void **state)
{
	dialed = 0;
	serves = true;
	site_tweak = dials_v6;
	site_set_up(state, GROUP_PRIMARY, true);
	return 0;
}

static int tear_down(void **state)
{
	rt_listener_close(there);
	site_tweak = NULL;
	return site_tear_down(state);
}

static void ends(void)
{
	conn_close(site->conn);
	site->conn = NULL;
	SITE_UNTIL(site, !site->group->session->control.conn);
}

/* The next one is dialed `ms` from now, or up to a half later. */
static void waits(int64_t ms)
{
	const struct rt_timer *redial = &site->group->session->redial;
	int64_t ns = rt_time_since(redial->at, rt_now(site->loop));

	assert_true(rt_timer_armed(redial));
	assert_true(ns <= ms * RT_MS * 3 / 2);
	assert_true(ns > ms * RT_MS / 2); /* some of it has gone by */
}

static void it_dials_again_when_a_connection_ends(void **state)
{
	struct session *s = site->group->session;

	for (unsigned i = 1; i <= 3; i++) {
		SITE_UNTIL(site, dialed == i);
		SITE_UNTIL(site, site->came[MESSAGE_PING] > 2);
		assert_int_equal(dialed, i); /* one is enough */
		assert_null(s->dialing);
		s->redial.fire(&s->redial); /* late, or twice */
		assert_null(s->dialing);
		ends();
		assert_true(rt_timer_armed(&s->redial));
	}
}

static void it_dials_later_and_later(void **state)
{
	static const int64_t ms[] = { 100, 200, 400, 800, 1600, 2000, 2000 };
	struct session *s = site->group->session;

	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 1);
	serves = false;
	ends();
	for (unsigned i = 0; i < sizeof(ms) / sizeof(ms[0]); i++) {
		unsigned before = dialed;

		waits(ms[i]);
		rt_timer_arm(site->loop, &s->redial, rt_now(site->loop));
		SITE_UNTIL(site, dialed > before && !s->dialing);
	}
	/* One that streams leads somewhere once its path is proven. */
	serves = true;
	rt_timer_arm(site->loop, &s->redial, rt_now(site->loop));
	SITE_UNTIL(site, site->conn && site->came[MESSAGE_HELLO] == 1);
	say('M');
	SITE_UNTIL(site, site->came[MESSAGE_START] == 1);
	say('Y');
	SITE_UNTIL(site, session_streaming(s));
	peer_watch_path_proven(&site->group->watch, rt_now(site->loop));
	SITE_UNTIL(site, s->redial_ms == SESSION_REDIAL_MIN_MS);
	ends();
	waits(100);
}

static void it_dials_no_more_once_it_stops(void **state)
{
	struct group *g = site->group;
	struct group_stop stop = { .done = site_stopped };
	struct group_request *r = request_new(GROUP_READ);

	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 1);
	say('M');
	SITE_UNTIL(site, group_serving(g));
	request_ended = NULL;
	group_submit(r);
	site->waiting = 1;
	group_stop(g, 2 * SITE_BOUND_NS / RT_MS, &stop);
	session_drop(g->session);
	assert_false(rt_timer_armed(&g->session->redial));
	assert_int_equal(site_wait(), 0);
	assert_ptr_equal(request_ended, r);
	request_free(r);
	site_open();
}

static char connected[256], disconnected[256], failed[256];

static void line_keep(void *owner, enum rt_log_level level, const char *line)
{
	if (strncmp(line, "connected ", 10) == 0)
		(void)snprintf(connected, sizeof(connected), "%s", line);
	if (strncmp(line, "disconnected ", 13) == 0)
		(void)snprintf(disconnected, sizeof(disconnected), "%s", line);
	if (strncmp(line, "connection-failed ", 18) == 0)
		(void)snprintf(failed, sizeof(failed), "%s", line);
}

static void the_log_says_whom_it_dials(void **state)
{
	struct session *s = site->group->session;
	char text[RT_ADDR_TEXT_MAX], address[RT_ADDR_TEXT_MAX + 16];

	(void)snprintf(address, sizeof(address), " address=%s ",
		       rt_addr_format(&site->config.peer.addr, text));
	connected[0] = disconnected[0] = failed[0] = 0;
	rt_log_set_sink(line_keep, NULL);
	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 1);
	serves = false;
	ends();
	SITE_UNTIL(site, !s->dialing && failed[0]);
	rt_log_set_sink(site_silent, NULL);
	assert_non_null(strstr(connected, address));
	assert_non_null(strstr(disconnected, address));
	assert_non_null(strstr(failed, address));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, primary_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(it_dials_again_when_a_connection_ends),
		TEST(it_dials_later_and_later),
		TEST(it_dials_no_more_once_it_stops),
		TEST(the_log_says_whom_it_dials),
		cmocka_unit_test_setup_teardown(the_log_says_whom_it_dials, primary_v6_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
