// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/talk.h"

#include <errno.h>

#include "replicator/identity.h"
#include "rt/check.h"

/*
 * A connection with the key is the peer's only once both have said which versions they
 * speak and who they are; and it takes the place of no connection that lives. Protects: a
 * copy of a store, which has the key, disturbs nobody.
 */

#define AWAY_MS 400

static void soon_away(struct group_config *config)
{
	tcp_peer(config);
	config->away_ms = AWAY_MS;
	config->on_disconnect = GROUP_CONTINUE;
}

static int primary_up(void **state)
{
	site_tweak = soon_away;
	site_set_up(state, GROUP_PRIMARY, true);
	SITE_UNTIL(site, group_serving(site->group));
	return 0;
}

static int new_primary_up(void **state)
{
	site_tweak = soon_away;
	site_set_up(state, GROUP_PRIMARY, false);
	return 0;
}

static int mirror_up(void **state)
{
	site_tweak = soon_away;
	site_set_up(state, GROUP_MIRROR, true);
	return 0;
}

static int tear_down(void **state)
{
	peer_identity = NULL;
	site->older_answers = false;
	return tcp_tear_down(state);
}

/* Dialed; says nothing by itself. */
static void dial_silently(void)
{
	site->says_nothing = true;
	peer_dial();
	SITE_UNTIL(site, site->established);
	site->says_nothing = false;
}

static void send_versions(uint16_t min, uint16_t max, const char *group)
{
	struct message_negotiate m = { .min = min, .max = max, .features = UINT64_MAX };
	uint8_t body[512] = { 0 };

	(void)snprintf(m.group_name, sizeof(m.group_name), "%s", group);
	/* Bytes behind it are a later version's. */
	assert_int_equal(conn_send(site->conn, MESSAGE_NEGOTIATE, body,
				   message_encode_negotiate(&m, body, sizeof(body)) + 7),
			 0);
}

static void is_refused_with(const char *part)
{
	SITE_UNTIL(site, site->refused[0]);
	if (!strstr(site->refused, part))
		fail_msg("%s\n  instead of ... %s", site->refused, part);
	SITE_UNTIL(site, site->closed); /* a little later */
}

/* ---- versions ------------------------------------------------------------------------------ */

/* The first message of a primary of protocol 3, as revision 6432cf4 encodes it. */
static const uint8_t hello_of_protocol_3[] = {
	0x03, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x03, 0x6e, 0x79, 0x63, 0x34, 0x3d,
	0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22,
	0x11, 0x00, 0x00, 0x00, 0x00, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77,
	0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x01, 0x67, 0x00, 0x00, 0x02,
	0x00, 0x02, 0x00, 0x00, 0x00, 0x01, 0x61, 0xa1, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x62, 0xb2,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x11, 0x47, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00,
};

static void protocol_3_is_told_both_versions(void **state)
{
	dial_silently();
	assert_int_equal(conn_send(site->conn, MESSAGE_HELLO, hello_of_protocol_3,
				   sizeof(hello_of_protocol_3)),
			 0);
	is_refused_with("this daemon speaks the protocol versions 4 to 4, the other one 3");
	assert_null(site->group->session->control.conn);
}

static void a_common_version_is_enough(void **state)
{
	static const struct {
		uint16_t min, max;
		const char *why; /* or NULL: it is spoken */
	} cases[] = {
		{ 4, 4, NULL },
		{ 2, 4, NULL },
		{ 4, 9, NULL },
		{ 5, 9, "speaks the protocol versions 4 to 4, the other one 5 to 9" },
		{ 1, 3, "speaks the protocol versions 4 to 4, the other one 1 to 3" },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(cases); i++) {
		dial_silently();
		send_versions(cases[i].min, cases[i].max, site->config.name);
		if (cases[i].why) {
			is_refused_with(cases[i].why);
			continue;
		}
		SITE_UNTIL(site, site->came[MESSAGE_IDENTITY] == 1);
		assert_string_equal(site->identity.node, site->config.node);
		assert_memory_equal(site->identity.store, lfs_store_id(site->group->lfs),
				    LFS_ID_LEN);
	}
}

static void another_group_is_refused(void **state)
{
	dial_silently();
	send_versions(4, 4, "payments");
	is_refused_with("there");
}

/* Nothing is taken from who has not said who it is. */
static void nothing_comes_before_who_it_is(void **state)
{
	static const enum message_type types[] = { MESSAGE_PING, MESSAGE_START,
						   MESSAGE_IDENTITY, MESSAGE_PULL };

	for (unsigned i = 0; i < RT_ARRAY_LEN(types); i++) {
		dial_silently();
		assert_int_equal(conn_send(site->conn, types[i], "12345678", 8), 0);
		is_refused_with("does not begin with NEGOTIATE and IDENTITY");
		dial_silently();
		send_versions(4, 4, site->config.name);
		assert_int_equal(conn_send(site->conn, types[i], "12345678", 8), 0);
		is_refused_with("does not begin with NEGOTIATE and IDENTITY");
	}
	assert_null(site->group->session->control.conn);
}

/* ---- who it is ------------------------------------------------------------------------------- */

static void of_another_run(struct message_identity *m)
{
	m->run = 2;
	m->number = 0;
}

static void of_no_number(struct message_identity *m)
{
	m->number ^= 1;
}

static void of_another_store(struct message_identity *m)
{
	memset(m->store, 0x55, sizeof(m->store));
	m->run = 3;
	m->number = 0;
}

static void of_the_same_store(struct message_identity *m)
{
	memcpy(m->store, lfs_store_id(site->group->lfs), sizeof(m->store));
}

static void of_another_pair(struct message_identity *m)
{
	memset(m->paired, 0x66, sizeof(m->paired));
}

static bool still_streams(const struct conn *conn)
{
	return site->group->session->control.conn == conn &&
	       session_streaming(site->group->session);
}

/* The peer streams and answers: a second connection of its store is a copy's. */
static void who_lives_is_not_displaced(void **state)
{
	static void (*const who[])(struct message_identity *m) = { of_another_run, NULL,
								   of_no_number,
								   of_another_store };
	static const char *const why[] = { "a copy of this store is connected from 127.",
					   "a copy of this store is connected from 127.",
					   "was copied while it ran", "is paired with" };
	const struct conn *before;

	stream();
	before = site->group->session->control.conn;
	site->older_answers = true;
	peer_keep_older();
	for (unsigned i = 0; i < RT_ARRAY_LEN(who); i++) {
		peer_identity = who[i];
		peer_dial();
		is_refused_with(why[i]);
		assert_non_null(site->older);
		assert_true(still_streams(before));
	}
}

/* Its machine has lost its power: nobody ends that connection, and nobody answers on it. */
static void who_is_silent_is_replaced(void **state)
{
	rt_time began;

	stream();
	peer_keep_older();
	began = rt_now(site->loop);
	peer_identity = of_another_run;
	peer_dial();
	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 1);
	assert_true(rt_time_since(rt_now(site->loop), began) >= AWAY_MS * RT_MS / 2);
	assert_int_equal(site->group->session->identity.peer.run, 2);
}

/* A narrow path delivers its datagrams while TCP still waits to send again. */
static void whose_data_arrive_is_not_displaced(void **state)
{
	rt_time began, next;

	stream();
	peer_keep_older();
	began = rt_now(site->loop);
	peer_identity = of_another_run;
	peer_dial();
	while (rt_time_since(rt_now(site->loop), began) < 2 * AWAY_MS * RT_MS) {
		progress(0, SITE_LSNS);
		next = rt_time_add(rt_now(site->loop), AWAY_MS * RT_MS / 8);
		SITE_UNTIL(site, !rt_time_before(rt_now(site->loop), next));
	}
	assert_int_not_equal(site->group->session->identity.peer.run, 2);
	SITE_UNTIL(site, site->group->session->identity.peer.run == 2);
}

/* It waits for the end of its own older connection, and for nobody else's sake after that. */
static void the_peer_itself_is_let_in_at_once(void **state)
{
	rt_time began;

	stream();
	site->older_answers = true;
	peer_keep_older();
	peer_dial();
	SITE_UNTIL(site, site->established);
	say('M');
	began = rt_now(site->loop);
	conn_close(site->older);
	site->older = NULL;
	SITE_UNTIL(site, site->came[MESSAGE_START] == 1);
	assert_true(rt_time_since(rt_now(site->loop), began) < AWAY_MS * RT_MS / 2);
}

/* What a newcomer says while it waits is taken in order, once it is the peer. */
static void the_end_of_the_old_one_lets_the_next_in(void **state)
{
	stream();
	site->older_answers = true;
	peer_keep_older();
	peer_identity = of_another_run;
	peer_dial();
	SITE_UNTIL(site, site->established);
	say('M');
	conn_close(site->older);
	site->older = NULL;
	SITE_UNTIL(site, site->came[MESSAGE_START] == 1);
}

static void a_stale_number_is_a_clone(void **state)
{
	converse("M"); /* START: it has the number */
	say('Y');
	SITE_UNTIL(site, session_streaming(site->group->session));
	peer_dial(); /* shows it, and gets another */
	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 1);
	peer_identity = of_no_number;
	peer_dial();
	is_refused_with("was copied while it ran");
	peer_identity = NULL;
	peer_dial();
	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 1);
}

/* The number that the peer gave is shown to it. */
static void the_site_shows_its_number(void **state)
{
	uint64_t first;

	meet();
	assert_int_equal(site->identity.number, 0);
	first = site->identity.run;
	say('M');
	SITE_UNTIL(site, site->came[MESSAGE_START] == 1);
	meet();
	assert_int_equal(site->identity.number, site->number_given);
	assert_int_equal(site->identity.run, first);
}

static void the_same_store_twice_is_refused(void **state)
{
	peer_identity = of_the_same_store;
	peer_dial();
	is_refused_with("have the same store");
	peer_identity = of_another_pair;
	peer_dial();
	is_refused_with("there is paired with store 6666666666666666, here has ");
}

/* More than there are places: who has been there for longest makes room. */
static void the_fifth_newcomer_finds_a_place(void **state)
{
	stream();
	site->older_answers = true;
	peer_keep_older();
	for (unsigned i = 0; i < NEWCOMERS_MAX + 2; i++)
		dial_silently();
	peer_dial();
	is_refused_with("a copy of this store is connected from 127.");
}

/* ---- pairing ------------------------------------------------------------------------------------ */

static bool is_paired_with(uint8_t byte)
{
	uint8_t id[LFS_ID_LEN];

	memset(id, byte, sizeof(id));
	return memcmp(lfs_meta(site->group->lfs)->peer_store, id, sizeof(id)) == 0;
}

static void of_this_group(struct message_hello *m)
{
	memcpy(m->meta.group, lfs_meta(site->group->lfs)->group, sizeof(m->meta.group));
}

/* Before it says START to it. */
static void a_primary_binds_its_first_mirror(void **state)
{
	assert_true(is_paired_with(0));
	meet();
	say_hello_but('M', of_this_group);
	SITE_UNTIL(site, site->came[MESSAGE_START] == 1);
	assert_true(is_paired_with(SITE_PEER_STORE));
	peer_identity = of_another_store;
	peer_dial();
	is_refused_with("is paired with store 9999999999999999, there has 5555555555555555; "
			"to take that one: wanmirror peer replace");
}

static int changed_res;
static unsigned changed;

static void peer_changed(struct group_verb *v, int res)
{
	changed_res = res;
	changed++;
	rt_loop_stop(site->loop);
}

static int change_peer(struct group_peer *p)
{
	p->verb.done = peer_changed;
	changed = 0;
	group_peer(site->group, p);
	SITE_UNTIL(site, changed == 1);
	return changed_res;
}

static void a_person_replaces_the_peer(void **state)
{
	struct group_peer p = { .change = GROUP_PEER_REPLACE, .dry_run = true };

	stream();
	assert_int_equal(change_peer(&p), 0);
	assert_non_null(strstr(p.verb.text,
			       "the peer is store 9999999999999999, connected as "
			       "there\n"));
	assert_non_null(
		strstr(p.verb.text, "that connects would be the peer, and no other"));
	assert_non_null(strstr(p.verb.text, "nothing was changed (--dry-run)\n"));
	assert_true(still_streams(site->group->session->control.conn));
	p.dry_run = false;
	assert_int_equal(change_peer(&p), 0);
	assert_non_null(strstr(p.verb.text, "that connects is the peer, and no other"));
	assert_true(is_paired_with(0));
	assert_null(site->group->session->transport); /* it is asked for nothing more */
	SITE_UNTIL(site, site->closed);
	assert_int_equal(site->group->gate.marks.persisted, 0);
	peer_identity = of_another_store;
	converse("M");
	assert_int_equal(site->came[MESSAGE_START], 1);
	assert_true(is_paired_with(0x55));
	peer_identity = NULL;
	peer_dial();
	is_refused_with("is paired with store 5555555555555555");
}

static void a_forgotten_peer_stays_away(void **state)
{
	struct group_peer p = { .change = GROUP_PEER_FORGET, .dry_run = true };

	assert_int_equal(change_peer(&p), 0);
	assert_non_null(
		strstr(p.verb.text, "no store would be taken for the peer until: "));
	p.dry_run = false;
	assert_int_equal(change_peer(&p), 0);
	assert_non_null(strstr(p.verb.text, "the peer is store 9999999999999999\n"));
	assert_non_null(strstr(p.verb.text, "until: wanmirror peer replace"));
	peer_dial();
	is_refused_with("has forgotten its peer");
	peer_identity = of_another_store;
	peer_dial();
	is_refused_with("has forgotten its peer");
	p = (struct group_peer){ .change = GROUP_PEER_REPLACE };
	assert_int_equal(change_peer(&p), 0);
	assert_non_null(strstr(p.verb.text, "the peer was forgotten\n"));
	converse("M");
	assert_int_equal(site->came[MESSAGE_START], 1);
	assert_true(is_paired_with(0x55));
}

/* A mirror takes no other primary's records, either. */
static void a_mirror_is_bound_by_what_it_follows(void **state)
{
	struct group_peer p = { .change = GROUP_PEER_REPLACE };

	assert_int_equal(change_peer(&p), 0);
	converse("HC");
	assert_int_equal(site->came[MESSAGE_READY], 1);
	assert_true(is_paired_with(SITE_PEER_STORE));
	conn_close(site->conn);
	site->conn = NULL;
	peer_identity = of_another_store;
	peer_dial();
	is_refused_with("is paired with store 9999999999999999");
}

static void without_a_peer_there_is_none_to_change(void **state)
{
	struct group_peer p = { .change = GROUP_PEER_FORGET };
	struct session *session = site->group->session;

	site->group->session = NULL;
	p.verb.done = peer_changed;
	changed = 0;
	group_peer(site->group, &p);
	site->group->session = session;
	SITE_UNTIL(site, changed == 1);
	assert_int_equal(changed_res, -EINVAL);
	assert_string_equal(p.verb.text, "refused: the group has no peer\n");
}

int main(void)
{
#define TEST(name, up) cmocka_unit_test_setup_teardown(name, up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(protocol_3_is_told_both_versions, primary_up),
		TEST(a_common_version_is_enough, primary_up),
		TEST(another_group_is_refused, primary_up),
		TEST(nothing_comes_before_who_it_is, primary_up),
		TEST(who_lives_is_not_displaced, primary_up),
		TEST(who_is_silent_is_replaced, primary_up),
		TEST(whose_data_arrive_is_not_displaced, primary_up),
		TEST(the_peer_itself_is_let_in_at_once, primary_up),
		TEST(the_end_of_the_old_one_lets_the_next_in, primary_up),
		TEST(a_stale_number_is_a_clone, primary_up),
		TEST(the_site_shows_its_number, primary_up),
		TEST(the_same_store_twice_is_refused, primary_up),
		TEST(the_fifth_newcomer_finds_a_place, primary_up),
		TEST(a_primary_binds_its_first_mirror, new_primary_up),
		TEST(a_person_replaces_the_peer, primary_up),
		TEST(a_forgotten_peer_stays_away, primary_up),
		TEST(a_mirror_is_bound_by_what_it_follows, mirror_up),
		TEST(without_a_peer_there_is_none_to_change, primary_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
