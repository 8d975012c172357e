// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/conclusions.h"
#include "tests/unit/replicator/lies.h"
#include "tests/unit/replicator/refused_append.h"

#include "rt/check.h"

/*
 * What a primary concludes from its peer's HELLO, and what each conclusion owes: who is
 * superseded completes nothing more, durably; who is refused loses nothing that a person
 * must decide about; a mirror that is another one, or has lost data, is counted from what it
 * has now; and a want of room while it takes back is no fork.
 */

static int tear_down(void **state)
{
	append_err = 0;
	return tcp_tear_down(state);
}

/* ---- its conclusions -------------------------------------------------------------------------- */

/* It was promoted, or opened after a crash, behind the last write. */
static int second_epoch_up(void **state)
{
	tcp_primary_up(state);
	second_epoch_begin();
	return 0;
}

static void holds_one_more(struct message_hello *m)
{
	m->lsn++;
}

static void went_on_in_the_first_epoch(struct message_hello *m)
{
	m->meta.nepochs = 1;
	m->lsn++;
}

#define FORKED                                                                           \
	"the mirror holds operations after a fork: it needs rejoin, which is not in "    \
	"this version"
#define OLDER "two primaries: the older epoch is superseded and needs rejoin"
#define SUPERSEDED "this site is fenced: it has been superseded"

static const struct conclusion conclusions[] = {
	{ 'M', nothing_else, NULL, GROUP_STANDING_GOOD },
	{ 'Q', nothing_else, NULL, GROUP_STANDING_GOOD },
	{ 'M', is_still_in_the_first_epoch, NULL, GROUP_STANDING_GOOD },
	{ 'M', went_on_in_the_first_epoch, FORKED, GROUP_STANDING_GOOD },
	{ 'M', holds_one_more, "the mirror holds more of this epoch than its primary",
	  GROUP_STANDING_DIVERGED },
	{ 'M', has_another_hash,
	  "split brain: the histories of the two sites have parted",
	  GROUP_STANDING_DIVERGED },
	{ 'Q', has_another_hash, SESSION_TWO_CONTENTS, GROUP_STANDING_DIVERGED },
	{ 'M', has_parted, "split brain: the histories of the two sites have parted",
	  GROUP_STANDING_DIVERGED },
	{ 'H', is_still_in_the_first_epoch, OLDER, GROUP_STANDING_GOOD },
	{ 'H', went_on_in_the_first_epoch, OLDER, GROUP_STANDING_GOOD },
	{ 'H', has_parted, "split brain: both sites have been primary since they parted",
	  GROUP_STANDING_DIVERGED },
	{ 'H', nothing_else,
	  "both sites are primary in the same epoch: one store is a copy",
	  GROUP_STANDING_DIVERGED },
	{ 'M', has_another_name,
	  "the group names differ: both files must name the same group",
	  GROUP_STANDING_GOOD },
	{ 'M', is_of_another_group,
	  "this store belongs to another group of the same name; the mirror needs a new "
	  "one: wanmirror create there",
	  GROUP_STANDING_GOOD },
	{ 'H', is_of_another_group,
	  "both sites are primaries, each of a group of its own; one must be the mirror, "
	  "with a new store: wanmirror create there",
	  GROUP_STANDING_GOOD },
	{ 'M', has_longer_requests, "max_request differs between the two sites",
	  GROUP_STANDING_GOOD },
	/* The last one: it is for good. */
	{ 'M', goes_on_in_a_third, SUPERSEDED, GROUP_STANDING_FENCED },
};

static void each_hello_has_its_conclusion(void **state)
{
	struct group *g = site->group;

	for (unsigned i = 0; i < RT_ARRAY_LEN(conclusions); i++) {
		const struct conclusion *c = &conclusions[i];

		group_set_standing(g, GROUP_STANDING_GOOD);
		group_set_why(g, "%s", "");
		g->watch.refused = false;
		meet();
		say_hello_but(c->letter, c->change);
		SITE_UNTIL(site, answers() > 0);
		if (strcmp(site->refused, c->refusal ? c->refusal : "") != 0)
			fail_msg("conclusion %u: \"%s\"", i, site->refused);
		if (g->standing != c->standing)
			fail_msg("conclusion %u: standing %d", i, (int)g->standing);
		assert_int_equal(site->came[MESSAGE_START], !c->refusal);
		assert_int_equal(g->watch.refused, !!c->refusal);
		if (c->letter == 'Q' && c->refusal) {
			assert_int_equal(site->came[MESSAGE_HASH], 1);
			assert_int_equal(site->hash.lsn, SITE_LSNS - 2);
			assert_int_equal(site->hash.hash, site->hashes[SITE_LSNS - 2]);
		}
		if (c->standing == GROUP_STANDING_DIVERGED)
			assert_string_equal(g->why, c->refusal);
		if (!c->refusal)
			assert_int_equal(site->start.from_lsn, c->letter == 'Q'
								       ? SITE_LSNS - 1
								       : SITE_LSNS + 1);
	}
	assert_true(lfs_meta(g->lfs)->flags & LFS_FENCED);
	converse("M");
	assert_string_equal(site->refused, SUPERSEDED);
	assert_true(site->hello.flags & HELLO_FENCED);
}

/* Once a connection streams, nothing is left of what the two sites held against each other. */
static void a_connection_that_streams_is_an_agreement(void **state)
{
	struct group *g = site->group;

	meet();
	say_hello_but('M', has_parted);
	SITE_UNTIL(site, site->closed);
	assert_int_equal(g->standing, GROUP_STANDING_DIVERGED);
	assert_string_not_equal(session_why(g->session), "");
	stream();
	assert_int_equal(g->standing, GROUP_STANDING_GOOD);
	assert_string_equal(g->why, "");
	/* Only what the path has proven is better than what was there before. */
	SITE_UNTIL(site, transport_proven(g->session->transport, rt_now(site->loop)));
	SITE_UNTIL(site, session_why(g->session)[0] == 0);
}

static void say_hash(uint64_t lsn, uint64_t hash)
{
	const struct message_hash m = { lsn, hash };
	uint8_t body[64];

	assert_int_equal(conn_send(site->conn, MESSAGE_HASH, body,
				   message_encode_hash(&m, body, sizeof(body))),
			 0);
	SITE_UNTIL(site, site->refused[0]);
}

/* The mirror has looked: what this site holds is not what that one holds. */
static void a_hash_from_who_is_ahead_parts_the_sites(void **state)
{
	struct group *g = site->group;

	meet();
	say('N');
	SITE_UNTIL(site, site->came[MESSAGE_PULL] == 1);
	say_hash(SITE_LSNS, site->hashes[SITE_LSNS] ^ 1);
	assert_string_equal(site->refused, SESSION_TWO_CONTENTS);
	assert_int_equal(g->standing, GROUP_STANDING_DIVERGED);
	assert_int_equal(g->start.phase, PRIMARY_ASKING);
}

/* It says nothing, or was not asked for, or is of another LSN. */
static void a_hash_that_parts_nobody_is_refused(void **state)
{
	struct group *g = site->group;

	for (unsigned i = 0; i < 3; i++) {
		meet();
		if (i > 0)
			say('N');
		if (i > 0)
			SITE_UNTIL(site, site->came[MESSAGE_PULL] == 1);
		say_hash(SITE_LSNS - (i == 2), site->hashes[SITE_LSNS] ^ (i != 1));
		assert_string_equal(site->refused, "a HASH that is not legal here");
		assert_int_equal(g->standing, GROUP_STANDING_GOOD);
	}
}

/* ---- fenced ----------------------------------------------------------------------------------- */

static void network_tcp(struct group_config *config)
{
	tcp_peer(config);
	for (unsigned i = 0; i < config->nvolumes; i++)
		config->volumes[i].sync = GROUP_NETWORK;
	config->on_disconnect = GROUP_STOP;
}

static int network_up(void **state)
{
	site_tweak = network_tcp;
	site_set_up(state, GROUP_PRIMARY, true);
	return 0; /* it waits for its mirror */
}

/* It was no success, and never will be: the other site has gone on without it. */
static void superseded_it_completes_nothing_more(void **state)
{
	struct group *g = site->group;
	struct group_request *r;

	stream();
	SITE_UNTIL(site, group_serving(g) && peer_watch_in_sync(&g->watch));
	r = request_new(GROUP_WRITE);
	request_ended = NULL;
	group_submit(r);
	SITE_UNTIL(site, frames_received == 1);
	assert_null(request_ended);
	meet();
	say('K');
	SITE_UNTIL(site, request_ended == r);
	assert_int_equal(request_res, -EPERM);
	assert_true(group_is_fenced(g));
	assert_true(lfs_meta(g->lfs)->flags & LFS_FENCED);
	SITE_UNTIL(site, site->refused[0]);
	assert_string_equal(site->refused, SUPERSEDED);
	assert_non_null(strstr(g->why, "there is primary in epoch 3"));
	assert_int_equal(request_once(GROUP_WRITE, 0), -EPERM);
	assert_int_equal(request_once(GROUP_READ, 0), 0);
	request_free(r);
}

/* Met while it opens: clients may read what there is, in no epoch of its own. */
static void superseded_while_it_opens_it_serves_reads(void **state)
{
	struct group *g = site->group;

	assert_false(group_serving(g));
	meet();
	say('K');
	SITE_UNTIL(site, group_serving(g));
	assert_true(group_is_fenced(g));
	assert_int_equal(lfs_meta(g->lfs)->nepochs, 1);
	assert_int_equal(request_once(GROUP_READ, 0), 0);
	assert_int_equal(request_once(GROUP_WRITE, 0), -EPERM);
}

/* ---- what the mirror is counted from ----------------------------------------------------------- */

static void persisted_is(uint64_t lsn)
{
	const struct gate_marks *marks = &site->group->gate.marks;

	assert_int_equal(marks->persisted, lsn);
	assert_int_equal(marks->received, lsn);
	assert_int_equal(marks->onwire, lsn);
}

static void has_persisted(uint64_t lsn)
{
	stream();
	progress(0, lsn);
	SITE_UNTIL(site,
		   transport_proven(site->group->session->transport, rt_now(site->loop)));
	persisted_is(lsn);
	site->group->watch.received_most = lsn;
}

static void held_durable(struct group *g, int res)
{
	(void)g; /* SITE_UNTIL */
	assert_int_equal(res, 0);
}

/*
 * What it held for good it does not lose: it is an older copy of its store, and the store
 * that it is a copy of, on whichever machine, need not wait for it. A person may take it.
 */
static void a_mirror_that_holds_less_than_it_did_is_an_older_copy(void **state)
{
	struct group *g = site->group;
	char words[160];

	has_persisted(SITE_LSNS);
	SITE_UNTIL(site, lfs_meta(g->lfs)->peer_reached == SITE_LSNS);
	converse("Q");
	assert_int_equal(site->came[MESSAGE_START], 0);
	(void)snprintf(
		words, sizeof(words),
		"the mirror's store is an older copy: it holds LSN %u, and has held "
		"LSN %u; start the newer one, or take this one: wanmirror peer "
		"replace db",
		SITE_LSNS - 2, SITE_LSNS);
	assert_non_null(strstr(site->refused, words));
	assert_int_equal(g->standing, GROUP_STANDING_GOOD);
	assert_int_equal(g->session->identity.peer.run, 0);
	persisted_is(SITE_LSNS);
	stream();
	persisted_is(SITE_LSNS);
}

/* Before it has asked anybody: what an earlier run knew is durable. */
static void an_older_copy_is_no_answer_to_an_opening_primary(void **state)
{
	struct group *g = site->group;
	struct lfs_meta *meta = facts_edit(g);

	meta->peer_reached = SITE_LSNS + 4;
	facts_change(g, held_durable);
	SITE_UNTIL(site, facts_can_change(g));
	converse("N"); /* ahead of this site, and behind what it was */
	assert_non_null(strstr(site->refused, "store is an older copy"));
	assert_int_equal(site->came[MESSAGE_PULL], 0);
	assert_int_equal(g->start.phase, PRIMARY_ASKING);
	assert_false(g->start.answered);
}

static void is_unpaired(struct message_hello *m)
{
	m->flags |= HELLO_UNPAIRED;
}

/* However far it says that it is: the one before it promised that, and is gone. */
static void another_mirror_is_counted_anew(void **state)
{
	has_persisted(SITE_LSNS);
	meet();
	say_hello_but('M', is_unpaired);
	SITE_UNTIL(site, site->group->session->control.mirror_was_unpaired);
	SITE_UNTIL(site, site->group->session->state == SESSION_HELLO);
	assert_false(site->group->session->control.hello_received);
	assert_int_equal(answers(), 0);
	persisted_is(SITE_LSNS);
	say('M');
	SITE_UNTIL(site, answers() > 0);
	assert_int_equal(site->came[MESSAGE_START], 1);
	persisted_is(0);
	say('Y');
	SITE_UNTIL(site, session_streaming(site->group->session));
	persisted_is(SITE_LSNS);
	/* And only on this connection: the next one is of a mirror that is known. */
	converse("M");
	persisted_is(SITE_LSNS);
}

/* It answers a START by its number, whole. */
static void a_ready_cut_off_is_none(void **state)
{
	uint8_t body[8];

	converse("M");
	(void)message_encode_number(site->start.tunnel_id, body, sizeof(body));
	assert_int_equal(conn_send(site->conn, MESSAGE_READY, body, 7), 0);
	SITE_UNTIL(site, site->refused[0]);
	assert_string_equal(site->refused, "a READY that fits no START");
	assert_null(site->group->session->log_sender);
}

/* ---- taking back ------------------------------------------------------------------------------- */

static void must_wait(struct group_config *config)
{
	config->on_disconnect = GROUP_STOP;
	config->open_timeout_ms = 60000;
}

static int opening_up(void **state)
{
	site_tweak = must_wait;
	site_set_up(state, GROUP_PRIMARY, true);
	assert_false(group_serving(site->group));
	return 0;
}

/* The mirror gives the first record back. */
static void give_back(void (*tell)(struct forged *f))
{
	struct forged f;

	meet();
	say('N');
	SITE_UNTIL(site, site->came[MESSAGE_PULL] == 1);
	forge_honest(&f, 0);
	if (tell)
		tell(&f);
	site->group->start.deadline = rt_now(site->loop);
	assert_int_equal(conn_send(site->conn, MESSAGE_ENTRY, forged_bytes,
				   forge_put(&f, forged_bytes)),
			 0);
	SITE_UNTIL(site, site->refused[0]);
	assert_int_equal(site->group->start.phase, PRIMARY_ASKING);
	/* It knows of writes that only the mirror has. */
	assert_true(rt_time_before(rt_now(site->loop), site->group->start.deadline));
	assert_string_equal(site->group->why, site->refused);
}

static void a_want_of_room_is_no_fork(void **state)
{
	static const struct {
		int err;
		const char *why;
		bool waits; /* it is asked for nothing for a while */
	} cases[] = {
		{ -ENOSPC, "the log of this site is full", true },
		{ -EDQUOT, "the map of this site needs more than map_memory", true },
		{ -ENOMEM, "this site is out of memory", false },
		{ -EIO, "this site cannot write its log", false },
	};
	struct group *g = site->group;

	for (unsigned i = 0; i < RT_ARRAY_LEN(cases); i++) {
		append_err = cases[i].err;
		give_back(NULL);
		append_err = 0;
		assert_string_equal(site->refused, cases[i].why);
		assert_int_equal(g->standing, GROUP_STANDING_GOOD);
		meet();
		say('N');
		SITE_UNTIL(site, site->came[MESSAGE_PULL] == 1 || site->refused[0]);
		assert_int_equal(site->came[MESSAGE_PULL], !cases[i].waits);
		assert_string_equal(site->refused, cases[i].waits ? cases[i].why : "");
		assert_string_equal(g->why, cases[i].waits ? cases[i].why : "");
		g->session->intake = (struct intake){ 0 };
	}
	give_back(history_differs);
	assert_int_equal(g->standing, GROUP_STANDING_DIVERGED);
}

static void keeps_just_enough(struct message_hello *m)
{
	m->log_floor = SITE_LSNS;
}

static void keeps_too_little(struct message_hello *m)
{
	m->log_floor = SITE_LSNS + 1;
}

/* It would be asked for for ever. */
static void what_the_log_of_the_mirror_lacks_is_not_pulled(void **state)
{
	meet();
	say_hello_but('N', keeps_too_little);
	SITE_UNTIL(site, site->refused[0]);
	assert_non_null(strstr(site->refused, "its log no longer has all of it"));
	assert_int_equal(site->came[MESSAGE_PULL], 0);
	assert_string_equal(site->group->why, site->refused);
	meet();
	say_hello_but('N', keeps_just_enough);
	SITE_UNTIL(site, site->came[MESSAGE_PULL] == 1);
}

int main(void)
{
#define TEST(f, up) cmocka_unit_test_setup_teardown(f, up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(each_hello_has_its_conclusion, second_epoch_up),
		TEST(a_connection_that_streams_is_an_agreement, second_epoch_up),
		TEST(a_hash_from_who_is_ahead_parts_the_sites, opening_up),
		TEST(a_hash_that_parts_nobody_is_refused, opening_up),
		TEST(superseded_it_completes_nothing_more, network_up),
		TEST(superseded_while_it_opens_it_serves_reads, network_up),
		TEST(a_mirror_that_holds_less_than_it_did_is_an_older_copy,
		     tcp_primary_up),
		TEST(an_older_copy_is_no_answer_to_an_opening_primary, opening_up),
		TEST(another_mirror_is_counted_anew, tcp_primary_up),
		TEST(a_ready_cut_off_is_none, tcp_primary_up),
		TEST(a_want_of_room_is_no_fork, opening_up),
		TEST(what_the_log_of_the_mirror_lacks_is_not_pulled, opening_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
