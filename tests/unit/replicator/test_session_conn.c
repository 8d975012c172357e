// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/held_change.h"
#include "tests/unit/replicator/lies.h"

#include "rt/check.h"

/*
 * The life of a control connection: what is a sign of life and of whom, when silence ends
 * it, what goes on without it and for how long, and whom a site counts as a stranger.
 */

static int primary_up(void **state)
{
	site_set_up(state, GROUP_PRIMARY, true);
	SITE_UNTIL(site, group_serving(site->group));
	return 0;
}

static int mirror_up(void **state)
{
	site_set_up(state, GROUP_MIRROR, true);
	return 0;
}

static int fresh_mirror_up(void **state)
{
	site_set_up(state, GROUP_MIRROR, false);
	return 0;
}

static int tear_down(void **state)
{
	if (held_change)
		end_change(0);
	hold_change = false;
	return tcp_tear_down(state);
}

static void say_number(enum message_type type, uint64_t n)
{
	uint8_t body[8];

	if (site->conn)
		(void)conn_send(site->conn, type, body,
				message_encode_number(n, body, sizeof(body)));
}

static void say_ping_with(uint64_t admitted, uint32_t flags)
{
	const struct message_ping ping = {
		.serial = 1, .admitted = admitted, .bytes = 100 * admitted, .flags = flags
	};
	uint8_t body[64];

	if (site->conn)
		(void)conn_send(site->conn, MESSAGE_PING, body,
				message_encode_ping(&ping, body, sizeof(body)));
}

static void say_ping(uint64_t admitted)
{
	say_ping_with(admitted, PING_SERVES);
}

/* ---- signs of life ------------------------------------------------------------------------------ */

#define LONG_NS (100 * RT_S)

static void no_fence(struct message_hello *m)
{
}

static void as_fenced(struct message_hello *m)
{
	m->flags |= HELLO_FENCED;
}

static void of_another_history(struct message_hello *m)
{
	m->meta.epochs[m->meta.nepochs - 1].id ^= 1;
}

static void as_starting(struct message_hello *m)
{
	m->flags |= HELLO_STARTING;
}

/*
 * A promotion is refused beside a primary that lives: not beside anybody who says PING, nor
 * beside a primary that serves nobody.
 */
static void the_pings_of_a_primary_are_its_sign_of_life(void **state)
{
	static const struct {
		char hello; /* said before, on this connection; 0: none */
		void (*change)(struct message_hello *m);
		uint32_t ping;	   /* its flags */
		bool hello_serves; /* the HELLO, */
		bool ping_serves;  /* and the PING, show one that serves */
		bool counts;	   /* the PING is of a primary at all */
		bool position;	   /* and of a history that goes on from here */
	} cases[] = {
		{ 'H', no_fence, PING_SERVES, true, true, true, true },
		{ 'H', no_fence, 0, true, false, true, false },
		{ 'H', as_fenced, 0, false, false, true, false },
		/* This mirror has agreed: it may serve at any moment. */
		{ 'H', as_starting, 0, true, false, true, false },
		{ 'H', as_starting, PING_SERVES, true, true, true, true },
		{ 0, NULL, PING_SERVES, false, false, false, false },
		{ 'M', no_fence, PING_SERVES, false, false, false, false },
		/* The histories have parted. */
		{ 'H', of_another_history, PING_SERVES, true, true, true, false },
	};
	struct peer_watch *w = &site->group->watch;

	for (unsigned i = 0; i < RT_ARRAY_LEN(cases); i++) {
		rt_time long_ago;

		meet();
		peer_watch_primary_rx(w, true,
				      (rt_time){ rt_now(site->loop).ns - LONG_NS });
		say_first();
		if (cases[i].hello)
			say_hello_but(cases[i].hello, cases[i].change);
		SITE_UNTIL(site, site->came[MESSAGE_PONG] == 1 &&
					 site->group->session->control.hello_received ==
						 !!cases[i].hello);
		if ((peer_watch_primary_served_ns(w, rt_now(site->loop)) < LONG_NS) !=
		    cases[i].hello_serves)
			fail_msg("HELLO %u", i);
		long_ago = (rt_time){ rt_now(site->loop).ns - LONG_NS };
		peer_watch_primary_rx(w, true, long_ago);
		w->position = (struct peer_watch_position){ 0 };
		say_ping_with(70 + i, cases[i].ping);
		SITE_UNTIL(site, site->came[MESSAGE_PONG] == 2 || site->closed);
		if ((peer_watch_primary_silence_ns(w, rt_now(site->loop)) < LONG_NS) !=
			    cases[i].counts ||
		    (peer_watch_primary_served_ns(w, rt_now(site->loop)) < LONG_NS) !=
			    cases[i].ping_serves)
			fail_msg("PING %u", i);
		assert_int_equal(peer_watch_primary_says(w)->lsn,
				 cases[i].position ? 70 + i : 0);
		assert_int_equal(peer_watch_primary_says(w)->bytes,
				 cases[i].position ? 100 * (70 + i) : 0);
	}
}

/* Of this connection's last PING only. */
static void the_round_trip_is_that_of_the_last_ping(void **state)
{
	struct session *s = site->group->session;
	rt_time began = rt_now(site->loop);

	meet();
	SITE_UNTIL(site, site->came[MESSAGE_PING] > 0);
	say_number(MESSAGE_PONG, site->ping.serial + 1000);
	say_ping(0);
	SITE_UNTIL(site, site->came[MESSAGE_PONG] == 1);
	assert_true(s->ping.rtt_ms < 0);
	SITE_UNTIL(site,
		   (say_number(MESSAGE_PONG, site->ping.serial), s->ping.rtt_ms >= 0));
	assert_true(s->ping.rtt_ms <=
		    (double)rt_time_since(rt_now(site->loop), began) / RT_MS);
}

/* What this peer has said before is not what it says now. */
static void what_is_cut_off_is_refused(void **state)
{
	const struct session *s = site->group->session;
	uint8_t *body = malloc(MESSAGE_MAX);
	size_t len;

	assert_non_null(body);
	converse("M");
	assert_int_equal(conn_send(site->conn, MESSAGE_PING, "12345", 5), 0);
	SITE_UNTIL(site, site->refused[0]);
	assert_string_equal(site->refused, "a PING that is not legal");
	assert_true(s->control.hello_received);
	converse("M");
	len = put_hello('M', body);
	assert_int_equal(conn_send(site->conn, MESSAGE_HELLO, body, len - 1), 0);
	SITE_UNTIL(site, site->refused[0]);
	assert_string_equal(site->refused, "a HELLO that is not legal");
	assert_false(s->control.hello_received);
	free(body);
}

static void is_of_another_group(struct message_hello *m)
{
	m->meta.group[3] ^= 1;
	m->meta.epochs[0].number = 99;
}

/* Another group of the same key counts its own epochs. */
static void an_epoch_of_another_group_is_not_seen(void **state)
{
	uint64_t before;

	converse("M");
	before = site->group->watch.epoch_seen;
	assert_true(before < 99);
	meet();
	say_hello_but('M', is_of_another_group);
	SITE_UNTIL(site, site->refused[0]);
	assert_int_equal(site->group->watch.epoch_seen, before);
}

static void a_site_alone_says_so(void **state)
{
	meet();
	assert_int_equal(site->hello.flags, 0);
	group_set_alone(site->group, GROUP_ALONE);
	meet();
	assert_int_equal(site->hello.flags, HELLO_ALONE);
	group_set_alone(site->group, GROUP_NOT_ALONE);
}

/* ---- silence ------------------------------------------------------------------------------------ */

#define LIMIT_MS 150

static void is_impatient(struct group_config *config)
{
	tcp_peer(config);
	config->control_timeout_ms = LIMIT_MS;
}

static int impatient_primary_up(void **state)
{
	site_tweak = is_impatient;
	return primary_up(state);
}

static int impatient_mirror_up(void **state)
{
	site_tweak = is_impatient;
	return mirror_up(state);
}

static int impatient_mirror_down(void **state)
{
	return tear_down(state);
}

static bool is_over_since(rt_time then)
{
	return rt_time_since(rt_now(site->loop), then) > LIMIT_MS * RT_MS;
}

static void a_silent_connection_ends(void **state)
{
	rt_time then;

	meet();
	say_ping(0);
	then = rt_now(site->loop);
	SITE_UNTIL(site, site->closed);
	assert_true(is_over_since(then));
	assert_int_equal(site->group->session->state, SESSION_DISCONNECTED);
}

/* It talks, and the path of the data carries nothing: another connection may. */
static void a_path_that_carries_nothing_ends_the_connection(void **state)
{
	converse("M");
	say('Y');
	SITE_UNTIL(site, session_streaming(site->group->session));
	SITE_UNTIL(site, (say_ping(0), site->closed));
	assert_int_equal(site->group->session->state, SESSION_DATA_ONLY);
}

/* What the transport carries outlives its control connection by control_timeout. */
static void loses_its_connection(void)
{
	struct session *s = site->group->session;

	conn_close(site->conn);
	site->conn = NULL;
	SITE_UNTIL(site, !s->control.conn);
	assert_int_equal(s->state, SESSION_DATA_ONLY);
	assert_non_null(s->transport);
}

static void is_given_up_after(rt_time then)
{
	struct session *s = site->group->session;

	SITE_UNTIL(site, s->state == SESSION_DISCONNECTED);
	assert_true(is_over_since(then));
	assert_null(s->transport);
	assert_null(s->log_sender);
}

static void a_primary_sends_on_for_a_while(void **state)
{
	rt_time then;

	stream();
	then = rt_now(site->loop);
	loses_its_connection();
	assert_int_equal(request_once(GROUP_WRITE, 0), 0);
	SITE_UNTIL(site, frames_received == 1);
	is_given_up_after(then);
}

static void a_mirror_takes_on_for_a_while(void **state)
{
	struct forged f;
	rt_time then;

	converse("HC");
	assert_int_equal(site->came[MESSAGE_READY], 1);
	data_dial(4711);
	then = rt_now(site->loop);
	loses_its_connection();
	forge_honest(&f, 0);
	assert_int_equal(conn_send(data, MESSAGE_FRAME, forged_bytes,
				   forge_put(&f, forged_bytes)),
			 0);
	is_given_up_after(then);
	assert_int_equal(lfs_lsn(site->group->lfs).durable, SITE_LSNS + 1);
}

/* ---- refused by the other site ------------------------------------------------------------------ */

static void heartbeats(unsigned n)
{
	unsigned pings = site->came[MESSAGE_PING];

	SITE_UNTIL(site, site->closed || site->came[MESSAGE_PING] >= pings + n);
}

/* What was said before the refusal counts: it is decided first, however long that takes. */
static void a_refusal_waits_for_the_decision(void **state)
{
	static const struct {
		const char *said;
		enum session_state waits;
	} cases[] = {
		{ "HU", SESSION_DECIDING },
		{ "HSU", SESSION_DECIDING_START },
		{ "APU", SESSION_DECIDING_PULL },
	};
	struct group *g = site->group;

	for (unsigned i = 0; i < RT_ARRAY_LEN(cases); i++) {
		hold_change = true;
		meet();
		say_together("HG", 2); /* another history, which is being written */
		SITE_UNTIL(site, held_change);
		meet();
		say_together(cases[i].said, strlen(cases[i].said));
		SITE_UNTIL(site, g->session->control.refused_by_peer);
		heartbeats(2);
		assert_false(site->closed);
		assert_int_equal(g->session->state, cases[i].waits);
		end_change(-ENOMEM);
		SITE_UNTIL(site, site->closed);
		assert_string_equal(site->refused, "");
		assert_string_equal(session_why(g->session), "the other site says: no");
		assert_true(g->watch.refused);
	}
}

static void a_refusal_waits_for_the_pairing(void **state)
{
	struct group *g = site->group;

	hold_change = true;
	meet();
	say('H');
	SITE_UNTIL(site, held_change);
	meet();
	say_together("HU", 2);
	SITE_UNTIL(site, g->session->control.refused_by_peer);
	heartbeats(2);
	assert_false(site->closed);
	assert_int_equal(g->session->state, SESSION_UNPAIRED_DECIDING);
	end_change(0);
	SITE_UNTIL(site, site->closed);
	assert_int_equal(lfs_meta(g->lfs)->flags & LFS_UNPAIRED, 0);
}

static void a_refusal_waits_for_the_fence(void **state)
{
	struct group *g = site->group;

	hold_change = true;
	meet();
	say_together("KU", 2);
	SITE_UNTIL(site, held_change && g->session->control.refused_by_peer);
	heartbeats(2);
	assert_false(site->closed);
	assert_false(group_is_fenced(g));
	end_change(0);
	SITE_UNTIL(site, site->closed);
	assert_true(group_is_fenced(g));
}

/* A failed log decides nothing any more. */
static void a_refusal_waits_for_no_failed_log(void **state)
{
	static const uint8_t too_long[MESSAGE_TEXT_MAX + 1];

	group_log_failed(site->group, -EIO, "its disk is gone");
	meet();
	say('M');
	SITE_UNTIL(site, site->group->session->state == SESSION_DECIDING);
	assert_int_equal(
		conn_send(site->conn, MESSAGE_REFUSE, too_long, sizeof(too_long)), 0);
	SITE_UNTIL(site, site->closed);
	assert_string_equal(session_why(site->group->session),
			    "the other site says: it does not say why");
}

/* ---- times that do not go together ---------------------------------------------------------------- */

static unsigned warnings;
static char warning[512];

static void warning_keep(void *owner, enum rt_log_level level, const char *line)
{
	if (strncmp(line, "heartbeat-too-long ", 19) != 0)
		return;
	assert_int_equal(level, RT_LOG_WARN);
	warnings++;
	(void)snprintf(warning, sizeof(warning), "%s", line);
}

static uint32_t peer_heartbeat_ms;

static void beats_slowly(struct message_hello *m)
{
	m->heartbeat_ms = peer_heartbeat_ms;
}

static void says_heartbeat(uint32_t ms)
{
	peer_heartbeat_ms = ms;
	meet();
	assert_int_equal(site->hello.heartbeat_ms, site->group->config.heartbeat_ms);
	say_hello_but('M', beats_slowly);
	SITE_UNTIL(site, site->group->session->control.hello_received);
}

/* Both values and what helps, once for as long as it stays so. */
static void a_heartbeat_too_long_for_this_site_is_said(void **state)
{
	struct group_config *c = &site->group->config;
	struct group_config changed;

	warnings = 0;
	rt_log_set_sink(warning_keep, NULL);
	says_heartbeat(0);
	says_heartbeat((uint32_t)c->away_ms - 1);
	assert_int_equal(warnings, 0);
	for (unsigned i = 0; i < 3; i++)
		says_heartbeat((uint32_t)c->away_ms);
	assert_int_equal(warnings, 1);
	assert_non_null(strstr(warning, " peer=there "));
	assert_non_null(strstr(warning,
			       "heartbeat there (5000 ms) must be less than `away` "
			       "here (5000 ms)"));
	/* A change here may mend it, or not. */
	changed = site->group->config;
	changed.away_ms = 4000;
	group_change(site->group, &changed);
	assert_int_equal(warnings, 2);
	assert_non_null(strstr(warning, "`away` here (4000 ms)"));
	changed.away_ms = 6000;
	changed.control_timeout_ms = 10001;
	group_change(site->group, &changed);
	says_heartbeat(5000);
	assert_int_equal(warnings, 2);
	rt_log_set_sink(site_silent, NULL);
}

/* ---- strangers ----------------------------------------------------------------------------------- */

static struct conn *stranger;

static void stranger_met(void *owner, struct conn *conn)
{
	fail_msg("it has another key");
}

static void stranger_closed(void *owner, struct conn *conn, int err, const char *why)
{
	stranger = NULL;
	rt_loop_stop(site->loop);
}

static void a_stranger_dials(void)
{
	static const struct conn_events events = { .established = stranger_met,
						   .closed = stranger_closed };
	uint8_t key[sizeof(site->config.peer.key)];
	const struct conn_params params = { .group = site->config.name,
					    .key = key,
					    .message_max = 1u << 20,
					    .handshake_ns = 5 * RT_S,
					    .events = &events };
	uint64_t strangers = site->group->session->callers.strangers;
	struct rt_addr addr;

	memset(key, 0xa5, sizeof(key));
	rt_listener_addr(site->group->session->listener, &addr);
	assert_int_equal(conn_dial(site->loop, &addr, SECURE_CONTROL, &params, &stranger),
			 0);
	SITE_UNTIL(site,
		   !stranger && site->group->session->callers.strangers > strangers);
	assert_int_equal(site->group->session->callers.strangers, strangers + 1);
}

static unsigned complaints;

static void complaint_heard(void *owner, enum rt_log_level level, const char *line)
{
	complaints += strstr(line, "connection-failed") != NULL;
}

/* It is why there is no peer, unless the peer is here; and is said once a minute. */
static void a_wrong_key_is_said_where_no_peer_is(void **state)
{
	struct session *s = site->group->session;

	complaints = 0;
	rt_log_set_sink(complaint_heard, NULL);
	meet();
	a_stranger_dials();
	assert_string_equal(session_why(s), "");
	conn_close(site->conn);
	site->conn = NULL;
	SITE_UNTIL(site, !s->control.conn);
	a_stranger_dials();
	assert_non_null(
		strstr(session_why(s), "are the key and the group's name the same"));
	assert_int_equal(complaints, 1);
	s->logged.complained.ns -= 60 * RT_S;
	a_stranger_dials();
	rt_log_set_sink(site_silent, NULL);
	assert_int_equal(complaints, 2);
	/* The peer ended in order, and gets in again. */
	converse("M");
	assert_int_equal(site->came[MESSAGE_START], 1);
	assert_int_equal(s->callers.strangers, 3);
}

/* With the right key, and of no transport that is waited for; the right one still gets in. */
static void a_data_connection_of_nothing_is_closed(void **state)
{
	struct session *s = site->group->session;

	meet();
	data_dial(4711);
	SITE_UNTIL(site, !data);
	converse("M");
	data_dial(site->start.tunnel_id + 1);
	SITE_UNTIL(site, !data);
	data_connect();
	assert_int_equal(conn_send(data, MESSAGE_FRAME, "x", 1), 0);
	SITE_UNTIL(site, !data);
	say('Y');
	SITE_UNTIL(site, session_streaming(s));
	data_dial(site->start.tunnel_id);
	assert_int_equal(request_once(GROUP_WRITE, 0), 0);
	SITE_UNTIL(site, frames_received == 1);
	assert_int_equal(site->refused[0], 0);
	assert_non_null(site->conn);
	for (unsigned i = 0; i < SESSION_PENDING_MAX; i++)
		assert_null(s->pending[i].conn);
}

/* ---- whom the log names ---------------------------------------------------------------------------- */

static void listens_on_v6(struct group_config *config)
{
	assert_int_equal(rt_addr_parse("[::1]:0", &config->peer.addr), 0);
}

static int mirror_v6_up(void **state)
{
	site_tweak = listens_on_v6;
	site_set_up(state, GROUP_MIRROR, true);
	site_tweak = NULL;
	return 0;
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

/* The value of address= in a line of the log. */
static const char *address_in(const char *line, char buf[64])
{
	const char *at = strstr(line, " address=");

	if (!at || sscanf(at, " address=%63s", buf) != 1)
		fail_msg("no address in: %s", line);
	return buf;
}

/* Both lines name the same end, an address of this host and the port that it dialed from. */
static void whoever_connects_is_named(void **state)
{
	bool v6 = site->config.peer.addr.kind == RT_ADDR_INET6;
	const char *host = v6 ? "[::1]:" : "127.0.0.1:";
	char first[64], last[64], stranger_address[64];

	connected[0] = disconnected[0] = failed[0] = 0;
	rt_log_set_sink(line_keep, NULL);
	a_stranger_dials();
	/* What follows does not lead nowhere, so that it has its lines. */
	site->group->session->refusal[0] = 0;
	meet();
	conn_close(site->conn);
	site->conn = NULL;
	SITE_UNTIL(site, !site->group->session->control.conn);
	rt_log_set_sink(site_silent, NULL);
	assert_memory_equal(address_in(connected, first), host, strlen(host));
	assert_string_equal(address_in(disconnected, last), first);
	assert_memory_equal(address_in(failed, stranger_address), host, strlen(host));
	assert_string_not_equal(stranger_address, first);
}

int main(void)
{
#define TEST(f, up) cmocka_unit_test_setup_teardown(f, up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_pings_of_a_primary_are_its_sign_of_life, mirror_up),
		TEST(the_round_trip_is_that_of_the_last_ping, primary_up),
		TEST(what_is_cut_off_is_refused, primary_up),
		TEST(an_epoch_of_another_group_is_not_seen, primary_up),
		TEST(a_site_alone_says_so, primary_up),
		TEST(a_silent_connection_ends, impatient_primary_up),
		TEST(a_path_that_carries_nothing_ends_the_connection,
		     impatient_primary_up),
		TEST(a_primary_sends_on_for_a_while, impatient_primary_up),
		cmocka_unit_test_setup_teardown(a_mirror_takes_on_for_a_while,
						impatient_mirror_up,
						impatient_mirror_down),
		TEST(a_refusal_waits_for_the_decision, mirror_up),
		TEST(a_refusal_waits_for_the_pairing, fresh_mirror_up),
		TEST(a_refusal_waits_for_the_fence, primary_up),
		TEST(a_refusal_waits_for_no_failed_log, primary_up),
		TEST(a_heartbeat_too_long_for_this_site_is_said, primary_up),
		TEST(a_wrong_key_is_said_where_no_peer_is, primary_up),
		TEST(whoever_connects_is_named, primary_up),
		TEST(whoever_connects_is_named, mirror_v6_up),
		TEST(a_data_connection_of_nothing_is_closed, tcp_primary_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
