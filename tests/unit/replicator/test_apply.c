// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/held_flush.h"
#include "tests/unit/replicator/lies.h"

#include "replicator/history.h"
#include "rt/check.h"

/*
 * Records of a peer that has the key and lies. Whatever is wrong in one, it never gets as
 * far as the log, where it would meet an assert or become part of the image: it is refused
 * with the error that names the lie, it is counted, nothing changes, and the next honest
 * record is taken. At the door itself, over a data connection, and at a primary that pulls
 * back.
 */

static uint64_t refused(void)
{
	struct group_status *status = calloc(1, sizeof(*status));
	uint64_t n;

	assert_non_null(status);
	group_status(site->group, status);
	n = status->link.refused_records;
	free(status);
	return n;
}

static uint64_t admitted(void)
{
	return lfs_lsn(site->group->lfs).admitted;
}

static bool durable(void)
{
	struct lfs_lsn lsn = lfs_lsn(site->group->lfs);

	return lsn.durable == lsn.admitted && apply_idle(&site->group->apply);
}

/* ---- at the door ---------------------------------------------------------------------------- */

/* Room for a record that may touch 512 leaves of the map. */
static void roomy(struct group_config *config)
{
	config->store_size = 64u << 20;
}

static int mirror_up(void **state)
{
	site_tweak = roomy;
	site_set_up(state, GROUP_MIRROR, true);
	return 0;
}

static int tear_down(void **state)
{
	site_tweak = NULL;
	if (held_flush) /* the test has failed */
		begin_flush();
	return site_tear_down(state);
}

static int give(const struct forged *f)
{
	return apply_record(&site->group->apply, forged_bytes,
			    forge_put(f, forged_bytes));
}

/* The honest record is taken, and nothing is left behind of what was not. */
static void honesty_goes_on(void)
{
	struct apply *a = &site->group->apply;
	uint64_t before = admitted();
	struct forged f;

	apply_discard(a);
	assert_true(apply_idle(a));
	assert_int_equal(a->bytes, 0);
	apply_restart(a);
	forge_honest(&f, 0);
	assert_int_equal(give(&f), 0);
	assert_int_equal(admitted(), before + 1);
	SITE_UNTIL(site, durable());
	assert_int_equal(a->bytes, 0);
	assert_int_equal(a->err, 0);
}

static void must_refuse(const struct forged *f, const char *name, int res,
			const char *why)
{
	struct apply *a = &site->group->apply;
	uint64_t count = refused(), applied = a->applied, held;
	struct lfs_position before;
	struct forged honest;

	where(&before);
	assert_int_equal(give(f), res);
	assert_int_equal(a->err, res);
	if (!strstr(a->why, why))
		fail_msg("%s: \"%s\" where \"%s\" was due", name, a->why, why);
	assert_int_equal(refused(), count + 1);
	/* It is final: what comes behind it is refused for the same reason, and not kept. */
	held = a->bytes;
	forge_honest(&honest, 0);
	assert_int_equal(give(&honest), res);
	assert_int_equal(a->bytes, held);
	assert_int_equal(refused(), count + 1);
	apply_retry(a);
	apply_discard(a);
	is_where(&before);
	assert_int_equal(a->applied, applied);
}

static void each_lie_is_refused_and_counted(void **state)
{
	for (size_t i = 0; i < RT_ARRAY_LEN(lies); i++) {
		struct forged f;

		forge_honest(&f, 0);
		lies[i].tell(&f);
		must_refuse(&f, lies[i].name, lies[i].res, lies[i].why);
		honesty_goes_on();
	}
}

/* A peer that sends faster than the log takes is made to wait before memory runs out. */
static void what_waits_has_a_bound(void **state)
{
	struct apply *a = &site->group->apply;

	assert_true(apply_room(a));
	a->bytes = APPLY_BYTES_MAX - 1;
	assert_true(apply_room(a));
	a->bytes = APPLY_BYTES_MAX;
	assert_false(apply_room(a));
	a->bytes = 0;
	a->err = -EIO;
	assert_false(apply_room(a));
	a->err = 0;
}

static void history_set(struct group *g, int res)
{
	site_ended(res);
}

/* Each LSN has one epoch: neither the older one nor the newer one is taken out of turn. */
static void an_epoch_counts_for_its_own_lsns_only(void **state)
{
	struct group *g = site->group;
	uint64_t old = lfs_epoch_of(lfs_meta(g->lfs), 1)->id, first = admitted() + 2;
	struct forged f;

	history_begin(facts_edit(g),
		      &(struct history_start){
			      .number = history_next_number(lfs_meta(g->lfs), 0),
			      .id = LIES_EPOCH,
			      .first_lsn = first,
			      .store = lfs_store_id(g->lfs) });
	site->waiting = 1;
	facts_change(g, history_set);
	assert_int_equal(site_wait(), 0);
	forge_honest(&f, 0);
	assert_true(le64_get(f.head.epoch_id) == old);
	f.head.epoch_id = le64_make(LIES_EPOCH);
	must_refuse(&f, "the newer one", -EPROTO, LIE_EPOCH);
	honesty_goes_on();
	assert_int_equal(admitted() + 1, first);
	forge_honest(&f, 0);
	assert_true(le64_get(f.head.epoch_id) == LIES_EPOCH);
	f.head.epoch_id = le64_make(old);
	must_refuse(&f, "the older one", -EPROTO, LIE_EPOCH);
	honesty_goes_on();
}

/* The longest that is legal, so that the table's "one more" is at the limit. */
static void what_is_just_legal_is_taken(void **state)
{
	uint32_t blocks = lfs_data_max(site->config.max_request) / LFS_BLOCK;
	struct forged f;

	forge_honest(&f, 0);
	f.nops = f.blocks = 0;
	forge_op(&f, LFS_WRITE, 0, 0, blocks);
	assert_int_equal(give(&f), 0);
	SITE_UNTIL(site, durable());
	forge_honest(&f, 0);
	f.nops = f.blocks = 0;
	for (unsigned i = 0; i < LFS_OPS_MAX; i++)
		forge_op(&f, LFS_TRIM, i & 1, i / 2, 1);
	assert_int_equal(give(&f), 0);
	SITE_UNTIL(site, durable());
	forge_honest(&f, 0);
	f.nops = f.blocks = 0;
	forge_op(&f, LFS_ZERO, 0, 0,
		 (uint32_t)(site->config.volumes[0].size / LFS_BLOCK));
	forge_op(&f, LFS_ZERO, 1, 0,
		 (uint32_t)(site->config.volumes[1].size / LFS_BLOCK));
	assert_int_equal(give(&f), 0);
	SITE_UNTIL(site, durable());
	assert_int_equal(refused(), 0);
}

static void promote_answered(struct group_verb *v, int res)
{
	site_ended(res);
}

/* The primary's clock may say anything: it is shown, and nothing is computed past its end. */
static void any_time_of_the_primary_can_be_told(void **state)
{
	static const uint64_t times[] = { 1, INT64_MAX, (uint64_t)INT64_MIN, UINT64_MAX };

	for (size_t i = 0; i < RT_ARRAY_LEN(times); i++) {
		struct group_promote p = { .dry_run = true,
					   .verb.done = promote_answered };
		struct forged f;

		forge_honest(&f, 0);
		f.head.wall_ns = le64_make(times[i]);
		assert_int_equal(give(&f), 0);
		SITE_UNTIL(site, durable());
		site->waiting = 1;
		group_promote(site->group, &p);
		assert_int_equal(site_wait(), 0);
		assert_non_null(strstr(p.verb.text, " UTC, "));
	}
}

/* A mirror that is filled from its primary's log is not new: it says that it does not know. */
static void an_age_that_the_primary_does_not_know_is_none(void **state)
{
	struct group_promote p = { .dry_run = true, .verb.done = promote_answered };
	struct group_status *status = calloc(1, sizeof(*status));
	struct forged f;

	assert_non_null(status);
	for (unsigned known = 2; known-- > 0;) {
		forge_honest(&f, 0);
		f.head.wall_ns =
			le64_make(known ? 1700000000 * (uint64_t)RT_S : (uint64_t)0);
		assert_int_equal(give(&f), 0);
		SITE_UNTIL(site, durable());
		peer_watch_primary_rx(&site->group->watch, true, rt_now(site->loop));
		/* Whatever it has beyond that, or an earlier record said. */
		peer_watch_primary_position(&site->group->watch, UINT64_MAX, 0,
					    rt_now(site->loop));
		group_status(site->group, status);
		assert_int_equal(status->recovery.admitted_at > 0, known);
		assert_int_equal(status->recovery.age_s > 0, known);
	}
	assert_true(status->recovery.admitted_at == -1 && status->recovery.age_s == -1);
	site->waiting = 1;
	p.force = true;
	group_promote(site->group, &p);
	assert_int_equal(site_wait(), 0);
	assert_non_null(
		strstr(p.verb.text, "its age is not known: the primary does not know"));
	/* With nothing missing the age is that of the last heartbeat, known or not. */
	peer_watch_primary_position(&site->group->watch,
				    lfs_lsn(site->group->lfs).durable, 0,
				    rt_now(site->loop));
	group_status(site->group, status);
	assert_true(status->recovery.admitted_at == -1 && status->recovery.age_s >= 0);
	free(status);
}

/* ---- over a data connection ------------------------------------------------------------------ */

static void frame(const struct forged *f)
{
	if (data) /* it may have ended with what is before it */
		(void)conn_send(data, MESSAGE_FRAME, forged_bytes,
				forge_put(f, forged_bytes));
}

/* Longer than any record: the transport takes no frame and no message of that length. */
static bool is_too_long(const struct forged *f)
{
	return forge_put(f, forged_bytes) > record_len_max(site->config.max_request);
}

/* Refused with its reason; what is too long even for that just ends the connection. */
static void expect_end(const struct lie *lie, uint64_t count)
{
	SITE_UNTIL(site, site->came[MESSAGE_REFUSE] > 0 || site->closed);
	if (refused() != count)
		fail_msg("%s: %u refused", lie->name, (unsigned)refused());
	if (site->came[MESSAGE_REFUSE] > 0 && !strstr(site->refused, lie->why))
		fail_msg("%s: \"%s\" where \"%s\" was due", lie->name, site->refused,
			 lie->why);
}

/* A record behind the lie is on its way already, and is not taken either. */
static void a_lie_in_a_frame_ends_the_connection(void **state)
{
	for (size_t i = 0; i < RT_ARRAY_LEN(lies); i++) {
		uint64_t count = refused(), before;
		struct forged f;

		converse("HC");
		assert_int_equal(site->came[MESSAGE_READY], 1);
		data_dial(4711);
		before = admitted();
		forge_honest(&f, 0);
		frame(&f);
		SITE_UNTIL(site, admitted() == before + 1 && durable());
		forge_honest(&f, 0);
		lies[i].tell(&f);
		frame(&f);
		count += !is_too_long(&f);
		forge_honest(&f, 0);
		frame(&f);
		expect_end(&lies[i], count);
		assert_int_equal(admitted(), before + 1);
		if (data)
			conn_close(data);
	}
	converse("HS");
	assert_int_equal(site->came[MESSAGE_READY], 1);
}

/*
 * A primary that lives and whose control connection broke says in its HELLO how far the old
 * tunnel went. All of that may have completed: the mirror waits for it, to the last record,
 * before it says where it stands.
 */
static void the_rest_of_the_old_tunnel_is_waited_for(void **state)
{
	uint64_t before = admitted();
	struct forged f;

	converse("HC");
	data_dial(4711);
	forge_honest(&f, 0);
	frame(&f);
	SITE_UNTIL(site, admitted() == before + 1 && durable());
	peer_dial();
	SITE_UNTIL(site, site->established);
	say('I');
	SITE_UNTIL(site, site->group->session->control.hello_received);
	forge_honest(&f, 0);
	frame(&f);
	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 1);
	assert_int_equal(site->hello.lsn, before + 2);
	if (data)
		conn_close(data);
}

/* A power cut would take it back, and the primary counts it as safe. */
static void a_mirror_says_nothing_of_what_is_not_durable(void **state)
{
	uint64_t before = admitted();
	struct forged f;

	SITE_UNTIL(site, site->group->state == GROUP_LISTENING);
	hold_flushes();
	forge_honest(&f, 0);
	assert_int_equal(give(&f), 0);
	SITE_UNTIL(site, held_flush != NULL && apply_idle(&site->group->apply));
	peer_dial();
	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 1 || site->came[MESSAGE_PING] > 2);
	assert_int_equal(site->came[MESSAGE_HELLO], 0);
	begin_flush();
	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 1);
	assert_int_equal(site->hello.lsn, before + 1);
	assert_true(durable());
}

static void ask_back(uint64_t from)
{
	uint8_t body[8];

	assert_int_equal(conn_send(site->conn, MESSAGE_PULL, body,
				   message_encode_number(from, body, sizeof(body))),
			 0);
}

#define PARTS_RECORDS 70u /* of 128 KiB: more than one PULL gives back, and than two */

/* Each part has the same bound; none of them is empty before the end. */
static void what_is_much_is_given_back_in_parts(void **state)
{
	uint64_t last = SITE_LSNS + PARTS_RECORDS;
	unsigned parts = 0;

	for (unsigned i = 0; i < PARTS_RECORDS; i++) {
		struct forged f;

		forge_honest(&f, 0);
		f.nops = f.blocks = 0;
		forge_op(&f, LFS_WRITE, 0, 32 * (i % 8), 32);
		assert_int_equal(give(&f), 0);
		SITE_UNTIL(site, admitted() == SITE_LSNS + 1 + i);
	}
	SITE_UNTIL(site, durable());
	meet();
	say('A');
	while (site->came[MESSAGE_ENTRY] < last) {
		unsigned before = site->came[MESSAGE_ENTRY];

		ask_back(1 + before);
		parts++;
		SITE_UNTIL(site,
			   site->came[MESSAGE_PULLED] == parts || answers() > parts);
		assert_int_equal(site->came[MESSAGE_PULLED], parts);
		assert_true(site->came[MESSAGE_ENTRY] > before);
	}
	assert_int_equal(parts, 3);
	assert_int_equal(site->came[MESSAGE_ENTRY], last);
}

/* ---- a primary that pulls back ----------------------------------------------------------------- */

#define PULL_LOST 3 /* LSNs that only the mirror has: of HELLO N */

static void must_wait(struct group_config *config)
{
	config->on_disconnect = GROUP_STOP;
	config->open_timeout_ms = 1000;
}

static int opening_up(void **state)
{
	site_tweak = must_wait;
	site_set_up(state, GROUP_PRIMARY, true);
	assert_false(group_serving(site->group));
	return 0;
}

static void be_pulled_from(void)
{
	meet();
	say('N');
	SITE_UNTIL(site, site->came[MESSAGE_PULL] == 1);
	assert_int_equal(site->number, admitted() + 1);
}

static void entry(const struct forged *f)
{
	assert_int_equal(conn_send(site->conn, MESSAGE_ENTRY, forged_bytes,
				   forge_put(f, forged_bytes)),
			 0);
}

static void is_still_opening(const struct lfs_position *before)
{
	is_where(before);
	assert_false(group_serving(site->group));
}

static void a_lie_in_an_entry_is_refused(void **state)
{
	struct lfs_position before;

	where(&before);
	for (size_t i = 0; i < RT_ARRAY_LEN(lies); i++) {
		uint64_t count = refused();
		struct forged f;

		be_pulled_from();
		forge_honest(&f, 0);
		lies[i].tell(&f);
		entry(&f);
		expect_end(&lies[i], count + !is_too_long(&f));
		is_still_opening(&before);
		site->group->session->intake = (struct intake){ 0 }; /* it is the first */
	}
}

/* One entry after the other, since each carries the hash of those before it. */
static void entries(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t before = admitted();
		struct forged f;

		forge_honest(&f, 0);
		entry(&f);
		SITE_UNTIL(site, admitted() == before + 1);
	}
}

/* It would ask for ever. */
static void a_mirror_that_gives_nothing_back_is_refused(void **state)
{
	struct lfs_position before;

	where(&before);
	be_pulled_from();
	say('D');
	SITE_UNTIL(site, site->came[MESSAGE_REFUSE] > 0);
	assert_string_equal(site->refused,
			    "the mirror gives back nothing of what it says it has");
	is_still_opening(&before);
	/* In pieces is in order. */
	be_pulled_from();
	entries(1);
	say('D');
	SITE_UNTIL(site, site->came[MESSAGE_PULL] == 2);
	assert_int_equal(site->number, admitted() + 1);
	say('D');
	SITE_UNTIL(site, site->came[MESSAGE_REFUSE] > 0);
	assert_false(group_serving(site->group));
}

static void a_mirror_gives_back_no_more_than_it_has(void **state)
{
	uint64_t before = admitted();
	struct forged f;

	be_pulled_from();
	entries(PULL_LOST);
	forge_honest(&f, 0);
	entry(&f);
	SITE_UNTIL(site, site->came[MESSAGE_REFUSE] > 0);
	assert_string_equal(site->refused, "more records than were asked for");
	assert_int_equal(refused(), 1);
	assert_int_equal(admitted(), before + PULL_LOST);
}

/* The site goes on from what it holds: no mirror at all is no reason to serve here. */
static void an_entry_that_nobody_asked_for_is_counted(void **state)
{
	struct lfs_position before;
	struct forged f;

	where(&before);
	meet();
	forge_honest(&f, 0);
	entry(&f);
	SITE_UNTIL(site, refused() == 1);
	is_still_opening(&before);
}

/* Its next epoch begins behind them, and may not begin behind what a power cut takes. */
static void what_was_pulled_is_durable_before_it_is_over(void **state)
{
	unsigned pings;

	hold_flushes();
	be_pulled_from();
	entries(PULL_LOST);
	say('D');
	SITE_UNTIL(site, site->group->session->state != SESSION_PULLING &&
				 apply_idle(&site->group->apply));
	pings = site->came[MESSAGE_PING];
	SITE_UNTIL(site, site->came[MESSAGE_PING] > pings + 2);
	assert_int_equal(site->group->start.phase, PRIMARY_PULLING);
	begin_flush();
	SITE_UNTIL(site, site->group->start.phase != PRIMARY_PULLING);
	assert_true(durable());
}

int main(void)
{
#define TEST(f, up) cmocka_unit_test_setup_teardown(f, up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(each_lie_is_refused_and_counted, mirror_up),
		TEST(what_waits_has_a_bound, mirror_up),
		TEST(an_epoch_counts_for_its_own_lsns_only, mirror_up),
		TEST(what_is_just_legal_is_taken, mirror_up),
		TEST(any_time_of_the_primary_can_be_told, mirror_up),
		TEST(an_age_that_the_primary_does_not_know_is_none, mirror_up),
		TEST(a_lie_in_a_frame_ends_the_connection, mirror_up),
		TEST(the_rest_of_the_old_tunnel_is_waited_for, mirror_up),
		TEST(a_mirror_says_nothing_of_what_is_not_durable, mirror_up),
		TEST(what_is_much_is_given_back_in_parts, mirror_up),
		TEST(a_lie_in_an_entry_is_refused, opening_up),
		TEST(a_mirror_that_gives_nothing_back_is_refused, opening_up),
		TEST(a_mirror_gives_back_no_more_than_it_has, opening_up),
		TEST(an_entry_that_nobody_asked_for_is_counted, opening_up),
		TEST(what_was_pulled_is_durable_before_it_is_over, opening_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
