// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/talk.h"

#include <errno.h>

#include "rt/check.h"

/*
 * What a peer with the right key may say at the wrong time. HELLO is answered by START or
 * PULL, once, from a primary, to a mirror that can take it: whatever else comes ends the
 * connection with a reason, changes nothing in the log, and the next connection goes on
 * from where this site was.
 */

/* ---- a mirror ------------------------------------------------------------------------------ */

struct refused_talk {
	const char *said, *why;
};

static void all_refused(const struct refused_talk *cases, size_t n, const char *good,
			enum message_type answer)
{
	struct lfs_position before;

	where(&before);
	for (size_t i = 0; i < n; i++) {
		converse(cases[i].said);
		if (strcmp(site->refused, cases[i].why) != 0)
			fail_msg("\"%s\": \"%s\" where \"%s\" was due", cases[i].said,
				 site->refused, cases[i].why);
		assert_int_equal(site->came[MESSAGE_REFUSE], 1);
		is_where(&before);
		/* Nothing of it is left behind. */
		converse(good);
		assert_int_equal(site->refused[0], 0);
		assert_int_equal(site->came[answer], 1);
		is_where(&before);
	}
}

#define START_NOT_LEGAL "a START that is not legal here"
#define START_NO_FIT "a START that does not go on from this mirror's position"
#define PULL_NOT_LEGAL "a PULL that is not legal here"
#define PULL_NOT_SERVED "a PULL that this mirror cannot serve"
#define NO_PRIMARY "a message that a primary does not send"

static int mirror_up(void **state)
{
	site_set_up(state, GROUP_MIRROR, true);
	return 0;
}

static void what_a_mirror_cannot_follow_is_refused(void **state)
{
	static const struct refused_talk cases[] = {
		{ "S", START_NOT_LEGAL },
		{ "P", PULL_NOT_LEGAL },
		{ "SH", START_NOT_LEGAL }, /* the HELLO behind it mends nothing */
		{ "PHS", PULL_NOT_LEGAL },
		{ "HSS", START_NOT_LEGAL },
		{ "HSP", PULL_NOT_LEGAL },
		{ "HPS", START_NOT_LEGAL },
		{ "APP", PULL_NOT_LEGAL },
		{ "HT", START_NOT_LEGAL },
		{ "HW", START_NO_FIT },
		{ "HV", START_NO_FIT },
		{ "HF", START_NO_FIT },
		{ "HL", "a START whose symbols no tunnel can have" },
		{ "AV", START_NO_FIT },
		{ "HZ", PULL_NOT_SERVED },
		{ "HB", PULL_NOT_SERVED },
		{ "HR", NO_PRIMARY },
		{ "HSR", NO_PRIMARY },
		{ "HE", NO_PRIMARY },
		{ "HD", NO_PRIMARY },
		{ "HX", NO_PRIMARY },
		{ "MS", "both sites are mirrors: promote one of them" },
		{ "HS S", START_NOT_LEGAL },
		{ "HS P", PULL_NOT_LEGAL },
		{ "AP W", START_NO_FIT },
		{ "AP B", PULL_NOT_SERVED },
	};

	all_refused(cases, RT_ARRAY_LEN(cases), "HS", MESSAGE_READY);
}

/* As close behind the HELLO as can be, and in the order of an opening primary. */
static void start_and_pull_may_come_with_the_hello(void **state)
{
	struct lfs_position before;

	where(&before);
	converse("HS");
	assert_int_equal(site->came[MESSAGE_READY], 1);
	assert_int_equal(site->number, 4711);
	converse("HHS"); /* said twice is not asked twice */
	assert_int_equal(site->came[MESSAGE_READY], 1);
	converse("AP");
	assert_int_equal(site->came[MESSAGE_ENTRY], 3);
	assert_int_equal(site->came[MESSAGE_PULLED], 1);
	assert_int_equal(site->number, SITE_LSNS);
	converse("AP P S");
	assert_int_equal(site->came[MESSAGE_ENTRY], 6);
	assert_int_equal(site->came[MESSAGE_PULLED], 2);
	assert_int_equal(site->came[MESSAGE_READY], 1);
	assert_int_equal(site->came[MESSAGE_REFUSE], 0);
	is_where(&before);
}

/* Before the mirror has even said who it is. */
static void a_start_in_the_first_breath_is_refused(void **state)
{
	struct lfs_position before;

	where(&before);
	for (const char *letter = "SP"; *letter; letter++) {
		peer_dial();
		SITE_UNTIL(site, site->established);
		say(*letter);
		say('H');
		SITE_UNTIL(site, answers() > 0);
		assert_string_equal(site->refused,
				    *letter == 'S' ? START_NOT_LEGAL : PULL_NOT_LEGAL);
		is_where(&before);
	}
	/* It waits for the HELLO that says what the old tunnel still brings. */
	for (const char *said = "S\0P\0HS\0HP\0"; *said; said += strlen(said) + 1) {
		converse("HS");
		assert_int_equal(site->came[MESSAGE_READY], 1);
		peer_dial();
		SITE_UNTIL(site, site->came[MESSAGE_PING] > 0);
		assert_int_equal(site->group->session->state, SESSION_DRAINING);
		say_together(said, strlen(said));
		SITE_UNTIL(site, answers() > 0);
		assert_string_equal(site->refused,
				    strchr(said, 'S') ? START_NOT_LEGAL : PULL_NOT_LEGAL);
		is_where(&before);
	}
	converse("HS");
	assert_int_equal(site->came[MESSAGE_READY], 1);
}

/*
 * A peer that goes on talking does not keep open what leads nowhere, and hears the one
 * reason once.
 */
static void talk(struct rt_timer *timer)
{
	if (!site->conn)
		return;
	say('S');
	say('P');
	rt_timer_arm(site->loop, timer, rt_time_add(rt_now(site->loop), 50 * RT_MS));
}

static void a_refused_connection_ends_in_any_case(void **state)
{
	struct rt_timer timer = { .fire = talk };
	struct lfs_position before;

	where(&before);
	converse("MS");
	rt_timer_arm(site->loop, &timer, rt_now(site->loop));
	SITE_UNTIL(site, site->closed || site->came[MESSAGE_REFUSE] > 1);
	rt_timer_disarm(site->loop, &timer);
	assert_true(site->closed);
	assert_int_equal(site->came[MESSAGE_REFUSE], 1);
	assert_string_equal(site->group->session->refusal,
			    "both sites are mirrors: promote one of them");
	is_where(&before);
	converse("HS");
	assert_int_equal(site->came[MESSAGE_READY], 1);
}

/* ---- a fresh mirror -------------------------------------------------------------------------- */

static int fresh_mirror_up(void **state)
{
	site_set_up(state, GROUP_MIRROR, false);
	return 0;
}

static bool unpaired(void)
{
	return lfs_meta(site->group->lfs)->flags & LFS_UNPAIRED;
}

/* It has no history that a START could go on from; it must be paired first. */
static void a_fresh_mirror_is_not_started(void **state)
{
	converse("HS");
	assert_string_equal(site->refused, START_NOT_LEGAL);
	assert_true(unpaired());
	converse("HP");
	assert_string_equal(site->refused, PULL_NOT_LEGAL);
	assert_true(unpaired());
	meet();
	assert_true(site->hello.flags & HELLO_UNPAIRED);
	say('H');
	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 2);
	assert_false(site->hello.flags & HELLO_UNPAIRED);
	assert_false(unpaired());
	say('S');
	SITE_UNTIL(site, answers() > 0);
	assert_int_equal(site->came[MESSAGE_READY], 1);
}

static void has_another_name(struct message_hello *m)
{
	(void)snprintf(m->meta.group_name, sizeof(m->meta.group_name), "db2");
}

/* With the right key: two groups may have been given the same one. */
static void a_fresh_mirror_joins_no_group_of_another_name(void **state)
{
	meet();
	say_hello_but('H', has_another_name);
	SITE_UNTIL(site, answers() > 0);
	assert_string_equal(
		site->refused,
		"the group names differ: both files must name the same group");
	assert_true(unpaired());
}

/* The same name twice is as many volumes as there are here, and each has one here. */
static void has_a_volume_twice(struct message_hello *m)
{
	m->meta.volumes[1] = m->meta.volumes[0];
}

static void a_fresh_mirror_pairs_with_no_volume_twice(void **state)
{
	static const char why[] = "volume b of the mirror is not at the primary";

	meet();
	say_first();
	say_hello_but('H', has_a_volume_twice);
	say('S');
	SITE_UNTIL(site, answers() > 0);
	assert_int_equal(site->came[MESSAGE_READY], 0);
	assert_string_equal(site->refused, START_NOT_LEGAL);
	assert_true(unpaired());
	meet();
	say_hello_but('H', has_a_volume_twice);
	SITE_UNTIL(site, answers() > 0);
	assert_string_equal(site->refused, why);
	assert_true(unpaired());
}

static void has_its_volumes_in_another_order(struct message_hello *m)
{
	struct lfs_volume first = m->meta.volumes[0];

	m->meta.volumes[0] = m->meta.volumes[1];
	m->meta.volumes[1] = first;
}

/* The order in the log is the primary's: reads find each volume there, without a restart. */
static void a_fresh_mirror_takes_its_primarys_order(void **state)
{
	meet();
	say_hello_but('H', has_its_volumes_in_another_order);
	SITE_UNTIL(site, !unpaired() && site->came[MESSAGE_HELLO] == 2);
	assert_int_equal(group_volume_find(site->group, "a")->index, 1);
	assert_int_equal(group_volume_find(site->group, "b")->index, 0);
}

static void has_a_longer_volume(struct message_hello *m)
{
	m->meta.volumes[1].size = 2u << 20;
}

static void has_fewer_volumes(struct message_hello *m)
{
	m->meta.nvolumes = 1;
}

static void has_longer_requests(struct message_hello *m)
{
	m->meta.max_request = 256u << 10;
}

/* Whoever has to mend one of the two files reads which volume, and what both sites have. */
static void a_refused_pairing_says_what_differs(void **state)
{
	static const struct {
		void (*change)(struct message_hello *m);
		const char *why;
	} rows[] = {
		{ has_a_longer_volume,
		  "volume b has 1048576 bytes at the mirror, 2097152 at the primary" },
		{ has_fewer_volumes, "the mirror has 2 volumes, the primary 1" },
		{ has_longer_requests,
		  "max_request is 131072 bytes at the mirror, 262144 at the primary" },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		meet();
		say_hello_but('H', rows[i].change);
		SITE_UNTIL(site, answers() > 0);
		assert_string_equal(site->refused, rows[i].why);
		assert_string_equal(site->group->why, rows[i].why);
		assert_true(unpaired());
	}
}

/* ---- a primary ------------------------------------------------------------------------------- */

static int primary_up(void **state)
{
	site_set_up(state, GROUP_PRIMARY, true);
	SITE_UNTIL(site, group_serving(site->group));
	return 0;
}

static void a_primary_takes_no_orders(void **state)
{
	static const char no_mirror[] = "a message that a mirror does not send";
	static const char no_ready[] = "a READY that fits no START";
	static const struct refused_talk cases[] = {
		{ "S", no_mirror },   { "P", no_mirror },    { "MS", no_mirror },
		{ "MP", no_mirror },  { "SM", no_mirror },   { "R", no_ready },
		{ "MR", no_ready },   { "M R", no_ready },   { "M YY", no_ready },
		{ "M S", no_mirror }, { "M YS", no_mirror }, { "M YP", no_mirror },
		{ "EDMR", no_ready }, { "M YX", no_mirror }, { "OS", no_mirror },
	};

	all_refused(cases, RT_ARRAY_LEN(cases), "EDM", MESSAGE_START);
}

static enum group_state state_now(void)
{
	static struct group_status status;

	group_status(site->group, &status);
	return status.state;
}

/* Each goes on from here in its own way: no later HELLO may bring them together. */
static void a_primary_of_the_same_epoch_is_a_copy(void **state)
{
	converse("H");
	assert_string_equal(
		site->refused,
		"both sites are primary in the same epoch: one store is a copy");
	SITE_UNTIL(site, state_now() == GROUP_DIVERGED);
}

/* Who was promoted refuses what is behind it: its HELLO counts all the same. */
static void a_hello_counts_with_the_refusal_behind_it(void **state)
{
	const struct lfs_meta *meta = lfs_meta(site->group->lfs);

	meet();
	say_together("KU", 2);
	SITE_UNTIL(site, site->closed);
	assert_int_equal(state_now(), GROUP_FENCED);
	/* Beyond this connection: an epoch that begins here by force is none of its. */
	assert_int_equal(site->group->watch.epoch_seen,
			 meta->epochs[meta->nepochs - 1].number + 1);
}

/* Its mirror tells what it lacks by it, when it is promoted. */
static void a_heartbeat_tells_what_is_not_durable_yet(void **state)
{
	meet();
	SITE_UNTIL(site, site_events_durable());
	assert_int_equal(request_once(GROUP_WRITE, 0), 0);
	SITE_UNTIL(site, site->ping.admitted > SITE_LSNS);
	assert_int_equal(site->ping.admitted, SITE_LSNS + 1);
	assert_int_equal(site->ping.durable, SITE_LSNS);
}

/* Two connections at once: the older one may have been another mirror's, or an older one. */
static void a_newer_connection_begins_without_a_hello(void **state)
{
	converse("M");
	assert_int_equal(site->came[MESSAGE_START], 1);
	peer_keep_older();
	peer_dial();
	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 1);
	assert_int_equal(site->group->session->state, SESSION_HELLO);
	say('Q');
	SITE_UNTIL(site, answers() > 0);
	assert_int_equal(site->start.from_lsn, SITE_LSNS - 1);
}

/* The time for the handshake ends with it, or each connection would break then. */
static void a_connection_outlives_the_time_for_its_handshake(void **state)
{
	int64_t within = 200 * RT_MS;
	rt_time over;

	peer_dial_within(within);
	SITE_UNTIL(site, site->established || site->closed);
	while (!site->established) { /* on a slow machine */
		within *= 2;
		peer_dial_within(within);
		SITE_UNTIL(site, site->established || site->closed);
	}
	over = rt_time_add(rt_now(site->loop), within);
	SITE_UNTIL(site, site->closed || rt_time_before(over, rt_now(site->loop)));
	assert_false(site->closed);
}

/* ---- a primary that streams ------------------------------------------------------------------ */

/*
 * What a mirror says that it has persisted completes writes. It cannot have what was never
 * sent: who claims one LSN more than that is no mirror any more.
 */
static void a_mirror_cannot_hold_what_was_never_sent(void **state)
{
	struct lfs_position end;
	struct group_status *status = calloc(1, sizeof(*status));

	assert_non_null(status);
	lfs_position(site->group->lfs, &end);
	stream();
	progress(0, end.lsn);
	SITE_UNTIL(site,
		   (group_status(site->group, status), status->lsn.persisted) == end.lsn);
	progress(0, end.lsn + 1);
	SITE_UNTIL(site, answers() > 1); /* START was the first */
	assert_string_equal(site->refused,
			    "the mirror claims to hold what was never sent");
	group_status(site->group, status);
	assert_int_equal(status->lsn.persisted, end.lsn);
	free(status);
}

/* A mirror that takes nothing ends the data connection, whose end may overtake the reason. */
static void the_reason_arrives_behind_the_end_of_the_data(void **state)
{
	static const char why[] = "the log of this site is full";
	uint8_t body[MESSAGE_TEXT_MAX + 8];

	stream();
	SITE_UNTIL(site, site->group->session->transport &&
				 transport_proven(site->group->session->transport,
						  rt_now(site->loop)));
	conn_close(data);
	data = NULL;
	SITE_UNTIL(site, !site->group->session->transport);
	assert_non_null(site->conn);
	(void)conn_send(site->conn, MESSAGE_REFUSE, body,
			message_encode_text(why, body, sizeof(body)));
	SITE_UNTIL(site, site->closed);
	assert_non_null(strstr(session_why(site->group->session), why));
}

/* A full mirror takes no START, so nothing is sent that it would throw away; for a while. */
static void a_full_mirror_says_so_before_anything_is_sent(void **state)
{
	static const char why[] = "the log of this site is full";
	struct intake *in = &site->group->session->intake;

	for (unsigned i = 0; i < 2; i++) {
		intake_failed(in, -ENOSPC, why, SITE_LSNS, rt_now(site->loop));
		converse("HS");
		assert_string_equal(site->refused, why);
		converse("AP"); /* it gives back what it has */
		assert_int_equal(site->came[MESSAGE_PULLED], 1);
		if (i == 0)
			in->until = rt_now(site->loop); /* a minute later */
		else
			in->free_bytes = 1; /* it had none, and has some now */
		converse("HS");
		assert_int_equal(site->came[MESSAGE_READY], 1);
	}
}

/* Whoever of the two dials: here it is the mirror. */
static void a_primary_that_is_dialed_sends_repairs(void **state)
{
	struct transport_stats stats;

	converse("M");
	say('Y');
	SITE_UNTIL(site, session_streaming(site->group->session));
	transport_stats(site->group->session->transport, &stats);
	assert_true(stats.repairs > 0);
}

static unsigned expedited;

void __wrap_transport_expedite(struct transport *t, rt_time now);
void __real_transport_expedite(struct transport *t, rt_time now);

void __wrap_transport_expedite(struct transport *t, rt_time now)
{
	expedited++;
	__real_transport_expedite(t, now);
}

static void network_and_remote(struct group_config *config)
{
	tcp_peer(config);
	config->volumes[0].sync = GROUP_NETWORK;
	config->volumes[1].sync = GROUP_REMOTE;
}

static int network_and_remote_up(void **state)
{
	site_tweak = network_and_remote;
	site_set_up(state, GROUP_PRIMARY, true);
	return 0; /* it waits for its mirror */
}

/* Who waits alone, in either mode, does not wait for what others write. */
static void the_transport_learns_that_a_write_waits(void **state)
{
	struct group *g = site->group;

	stream();
	SITE_UNTIL(site, group_serving(g) && peer_watch_in_sync(&g->watch));
	for (unsigned i = 0; i < 2; i++) {
		struct group_request *r = request_new(GROUP_WRITE);

		r->volume = group_volume_at(g, i);
		expedited = 0;
		request_ended = NULL;
		group_submit(r);
		SITE_UNTIL(site, frames_received == i + 1 && expedited > 0);
		assert_null(request_ended);
		progress(i + 1, SITE_LSNS + i + 1);
		SITE_UNTIL(site, request_ended == r);
		assert_int_equal(request_res, 0);
		request_free(r);
	}
}

static void what_a_mirror_lacks_is_not_persisted(void **state)
{
	struct group_status *status = calloc(1, sizeof(*status));

	assert_non_null(status);
	converse("Q");
	say('Y');
	SITE_UNTIL(site, session_streaming(site->group->session));
	group_status(site->group, status);
	assert_int_equal(status->lsn.persisted, SITE_LSNS - 2);
	assert_int_equal(status->lsn.received, SITE_LSNS - 2);
	free(status);
}

int main(void)
{
#define TEST(f, up) cmocka_unit_test_setup_teardown(f, up, site_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_a_mirror_cannot_follow_is_refused, mirror_up),
		TEST(start_and_pull_may_come_with_the_hello, mirror_up),
		TEST(a_start_in_the_first_breath_is_refused, mirror_up),
		TEST(a_refused_connection_ends_in_any_case, mirror_up),
		TEST(a_fresh_mirror_is_not_started, fresh_mirror_up),
		TEST(a_fresh_mirror_joins_no_group_of_another_name, fresh_mirror_up),
		TEST(a_fresh_mirror_pairs_with_no_volume_twice, fresh_mirror_up),
		TEST(a_fresh_mirror_takes_its_primarys_order, fresh_mirror_up),
		TEST(a_refused_pairing_says_what_differs, fresh_mirror_up),
		TEST(a_primary_takes_no_orders, primary_up),
		TEST(a_primary_of_the_same_epoch_is_a_copy, primary_up),
		TEST(a_hello_counts_with_the_refusal_behind_it, primary_up),
		TEST(a_primary_that_is_dialed_sends_repairs, primary_up),
		TEST(a_heartbeat_tells_what_is_not_durable_yet, primary_up),
		TEST(a_newer_connection_begins_without_a_hello, primary_up),
		TEST(a_connection_outlives_the_time_for_its_handshake, primary_up),
		cmocka_unit_test_setup_teardown(a_mirror_cannot_hold_what_was_never_sent,
						tcp_primary_up, tcp_tear_down),
		TEST(a_full_mirror_says_so_before_anything_is_sent, mirror_up),
		cmocka_unit_test_setup_teardown(
			the_reason_arrives_behind_the_end_of_the_data, tcp_primary_up,
			tcp_tear_down),
		cmocka_unit_test_setup_teardown(the_transport_learns_that_a_write_waits,
						network_and_remote_up, tcp_tear_down),
		cmocka_unit_test_setup_teardown(what_a_mirror_lacks_is_not_persisted,
						tcp_primary_up, tcp_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
