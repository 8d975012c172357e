// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/lies.h"
#include "tests/unit/replicator/promoting.h"

#include "rt/check.h"

/*
 * A promotion makes a second writer possible: it is refused beside a primary that lives,
 * unless somebody insists, and says why. One that is made takes in everything that has
 * arrived, begins an epoch of its own behind it, durably, and shows clients another
 * generation, because what the primary completed last may be missing.
 */

static void network_or_nothing(struct group_config *config)
{
	network(config);
	config->on_disconnect = GROUP_STOP;
}

static int holding_mirror_up(void **state)
{
	site_tweak = network_or_nothing;
	site_set_up(state, GROUP_MIRROR, true);
	return 0;
}

static void network_bounded(struct group_config *config)
{
	network(config);
	config->exposure_writes = 1;
}

static int bounded_mirror_up(void **state)
{
	site_tweak = network_bounded;
	site_set_up(state, GROUP_MIRROR, true);
	return 0;
}

static int fresh_mirror_up(void **state)
{
	site_set_up(state, GROUP_MIRROR, false);
	return 0;
}

static int primary_up(void **state)
{
	site_set_up(state, GROUP_PRIMARY, true);
	SITE_UNTIL(site, group_serving(site->group));
	return 0;
}

/* ---- whether ---------------------------------------------------------------------------------- */

#define NEVER_RECEIVED (-1)

struct verdict {
	int silence_ms; /* since the primary was last received */
	bool fenced;
	int failed;
	bool force;
	int res;
	const char *text; /* part of it */
	int awake_ms;	  /* this daemon; 0: for long */
};

static void judged(const struct verdict *v, bool hold)
{
	struct group *g = site->group;
	struct group_promote p = { .dry_run = true, .force = v->force, .hold = hold };
	uint32_t flags = lfs_meta(g->lfs)->flags;
	enum group_role role = g->role;
	int res;

	if (v->silence_ms != NEVER_RECEIVED)
		peer_watch_primary_rx(
			&g->watch, true,
			(rt_time){ rt_now(g->loop).ns - v->silence_ms * RT_MS });
	peer_watch_awake(&g->watch, v->awake_ms ? (rt_time){ rt_now(g->loop).ns -
							     v->awake_ms * RT_MS }
						: (rt_time){ 0 });
	if (v->fenced)
		group_set_standing(g, GROUP_STANDING_FENCED);
	g->failed = v->failed;
	p.verb.done = promote_over;
	promoted = 0;
	group_promote(g, &p);
	if (v->fenced)
		group_set_standing(g, GROUP_STANDING_GOOD);
	g->failed = 0;
	SITE_UNTIL(site, promoted == 1);
	res = promoted_res;
	if (res != v->res || !strstr(p.verb.text, v->text))
		fail_msg("received %d ms ago, fenced %d, failed %d, force %d: %d \"%s\"",
			 v->silence_ms, v->fenced, v->failed, v->force, res, p.verb.text);
	assert_int_equal(g->role, role);
	assert_int_equal(lfs_meta(g->lfs)->flags, flags);
}

static void a_mirror_is_promoted_where_the_primary_is_silent(void **state)
{
	static const struct verdict verdicts[] = {
		{ NEVER_RECEIVED, false, 0, false, 0, "nothing was changed", 0 },
		{ 0, false, 0, false, -EPERM, "the primary was received", 0 },
		{ 1000, false, 0, false, -EPERM, "the primary was received", 0 },
		{ 4900, false, 0, false, -EPERM, "the primary was received", 0 },
		{ 5000, false, 0, false, 0, "nothing was changed", 0 },
		{ 0, false, 0, true, 0, "nothing was changed", 0 },
		{ NEVER_RECEIVED, false, -EIO, false, -EIO, "the log of this site", 0 },
		{ NEVER_RECEIVED, false, -EIO, true, -EIO, "the log of this site", 0 },
		/* It may be on its way back to a daemon that has just started, or woken. */
		{ 60000, false, 0, false, -EPERM, "may live and not be back yet", 1 },
		{ 60000, false, 0, false, -EPERM, "may live and not be back yet", 7900 },
		{ 60000, false, 0, false, 0, "nothing was changed", 8000 },
		{ 60000, false, 0, true, 0, "nothing was changed", 1 },
		/* It has come back since. */
		{ 4900, false, 0, false, -EPERM, "the primary was received", 5000 },
		{ 5000, false, 0, false, 0, "nothing was changed", 5100 },
	};

	for (size_t i = 0; i < RT_ARRAY_LEN(verdicts); i++)
		for (unsigned hold = 0; hold < 2; hold++)
			judged(&verdicts[i], hold);
}

/* What arrived while the process was stopped is read only now. */
static void a_daemon_that_was_stopped_waits_again(void **state)
{
	struct group *g = site->group;
	struct group_promote p = { .dry_run = true };

	assert_int_equal(promote(&p), 0);
	g->turn.ticked = (rt_time){ rt_now(g->loop).ns - 60 * RT_S };
	group_tick(&g->turn.tick);
	assert_int_equal(promote(&p), -EPERM);
	assert_non_null(strstr(p.verb.text, "was started, or stopped, 0 ms ago"));
	peer_watch_awake(&g->watch, (rt_time){ 0 });
	group_tick(&g->turn.tick); /* in time */
	assert_int_equal(promote(&p), 0);
}

static void a_primary_is_promoted_only_where_it_is_fenced(void **state)
{
	static const struct verdict verdicts[] = {
		{ NEVER_RECEIVED, false, 0, false, -EALREADY, "the primary already", 0 },
		{ NEVER_RECEIVED, false, 0, true, -EALREADY, "the primary already", 0 },
		{ NEVER_RECEIVED, true, 0, false, -EPERM, "this site is fenced", 0 },
		{ NEVER_RECEIVED, true, 0, true, 0, "nothing was changed", 0 },
		{ NEVER_RECEIVED, true, -EIO, true, -EIO, "the log of this site", 0 },
	};

	for (size_t i = 0; i < RT_ARRAY_LEN(verdicts); i++)
		judged(&verdicts[i], false);
}

/* It holds nothing of anybody, whatever is asked. */
static void a_mirror_that_was_never_filled_is_not_promoted(void **state)
{
	static const struct verdict verdicts[] = {
		{ NEVER_RECEIVED, false, 0, false, -EPERM, "never been filled", 0 },
		{ NEVER_RECEIVED, false, 0, true, -EPERM, "never been filled", 0 },
	};

	for (size_t i = 0; i < RT_ARRAY_LEN(verdicts); i++)
		judged(&verdicts[i], false);
}

/* `nothing` would be believed: it is said only of a primary that was received. */
static void what_is_missing_is_known_or_not(void **state)
{
	static const struct {
		uint64_t
			admitted; /* at the primary, by its last heartbeat; 0: there was none */
		const char *text;
	} rows[] = {
		{ 0, "what is missing is not known" },
		{ SITE_LSNS + 65, "at most 65 writes, 260 KiB, are missing of what the "
				  "primary had when it was last received, 0.0 s ago" },
		{ SITE_LSNS, "nothing is missing of what the primary had" },
	};

	for (size_t i = 0; i < RT_ARRAY_LEN(rows); i++) {
		struct group_promote p = { .dry_run = true };

		if (rows[i].admitted)
			peer_watch_primary_position(&site->group->watch, rows[i].admitted,
						    rows[i].admitted * LFS_BLOCK,
						    rt_now(site->loop));
		assert_int_equal(promote(&p), 0);
		assert_true(p.found);
		assert_int_equal(p.recovery.lsn, SITE_LSNS);
		assert_int_equal(p.recovery.epoch, 1);
		assert_true(p.recovery.admitted_at ==
			    (double)site_wall_ns(SITE_LSNS) / RT_S);
		assert_int_equal(p.recovery.known, rows[i].admitted > 0);
		if (p.recovery.known)
			assert_int_equal(p.recovery.missing_writes,
					 rows[i].admitted - SITE_LSNS);
		if (!strstr(p.verb.text, rows[i].text))
			fail_msg("%zu: %s", i, p.verb.text);
	}
}

static void one_promotion_is_enough(void **state)
{
	struct group_promote first = { .verb.done = promote_over }, second = first;

	promoted = 0;
	group_promote(site->group, &first);
	group_promote(site->group, &second);
	assert_non_null(strstr(second.verb.text, "a promotion is under way"));
	SITE_UNTIL(site, promoted == 2);
	assert_int_equal(site->group->role, GROUP_PRIMARY);
	assert_non_null(strstr(first.verb.text, "now primary in epoch 2"));
	assert_int_equal(promote(&second), -EALREADY);
}

/* ---- what it makes ------------------------------------------------------------------------------- */

static void fence_set(struct group *g, int res)
{
	assert_int_equal(res, 0);
	site_ended(res);
}

/* Or it would be fenced again by the next start. */
static void by_force_a_fenced_site_is_fenced_no_more(void **state)
{
	struct group *g = site->group;
	struct group_promote p = { .force = true };

	facts_edit(g)->flags |= LFS_FENCED;
	site->waiting = 1;
	facts_change(g, fence_set);
	assert_int_equal(site_wait(), 0);
	group_set_standing(g, GROUP_STANDING_FENCED);
	/* The site that fenced this one is in an epoch further on; its connection is over. */
	peer_watch_epoch_seen(&g->watch, 7);
	peer_watch_epoch_seen(&g->watch, 6);
	assert_int_equal(promote(&p), 0);
	assert_int_equal(lfs_meta(g->lfs)->flags & LFS_FENCED, 0);
	assert_false(group_is_fenced(g));
	assert_int_equal(lfs_meta(g->lfs)->epochs[lfs_meta(g->lfs)->nepochs - 1].number,
			 8);
	assert_non_null(strstr(p.verb.text, "now primary in epoch 8"));
}

static void sealed_set(struct group *g, int res)
{
	assert_int_equal(res, 0);
	site_ended(res);
}

/* It has handed over, and the other site is destroyed: somebody must say so. */
static void by_force_a_sealed_site_takes_writes_again(void **state)
{
	struct group *g = site->group;
	struct group_promote p = { 0 };

	facts_edit(g)->flags |= LFS_SEALED;
	site->waiting = 1;
	facts_change(g, sealed_set);
	assert_int_equal(site_wait(), 0);
	assert_int_equal(promote(&p), -EPERM);
	assert_non_null(strstr(p.verb.text, "has handed over"));
	assert_non_null(
		strstr(p.verb.text, "here holds what it wrote itself, up to LSN 5"));
	assert_false(p.recovery.known);
	p.force = true;
	assert_int_equal(promote(&p), 0);
	assert_int_equal(lfs_meta(g->lfs)->flags & LFS_SEALED, 0);
	assert_non_null(strstr(p.verb.text, "now primary in epoch "));
	assert_int_equal(request_once(GROUP_WRITE, 0), 0);
}

/* What is not durable is not so: it stays a mirror, and may be asked again. */
static void an_epoch_that_is_not_durable_is_none(void **state)
{
	struct group *g = site->group;
	struct group_promote p = { .verb.done = promote_over };

	promoted = 0;
	hold_change = true;
	group_promote(g, &p);
	SITE_UNTIL(site, held_change);
	assert_int_equal(g->role, GROUP_MIRROR);
	end_change(-ENOMEM);
	SITE_UNTIL(site, promoted == 1);
	assert_int_equal(promoted_res, -ENOMEM);
	assert_non_null(strstr(p.verb.text, "could not be made durable"));
	assert_int_equal(g->role, GROUP_MIRROR);
	assert_int_equal(lfs_meta(g->lfs)->nepochs, 1);
	group_set_why(g, "%s", "both sites are mirrors");
	becomes_primary(false);
	assert_string_equal(g->why, "");
}

/* A connection that is made meanwhile was a mirror's: it ends, and the next one is not. */
static void a_connection_made_meanwhile_begins_again(void **state)
{
	struct group_promote p = { .verb.done = promote_over };

	promoted = 0;
	hold_change = true;
	group_promote(site->group, &p);
	SITE_UNTIL(site, held_change);
	meet();
	assert_int_equal(site->hello.role, LFS_MIRROR);
	say('H');
	end_change(0);
	SITE_UNTIL(site, promoted == 1 && site->closed);
	assert_int_equal(promoted_res, 0);
	meet();
	assert_int_equal(site->hello.role, LFS_PRIMARY);
}

static void a_log_that_fails_meanwhile_promotes_nothing(void **state)
{
	struct group *g = site->group;
	struct group_promote p = { .verb.done = promote_over };

	promoted = 0;
	group_promote(g, &p);
	group_log_failed(g, -EIO, "its disk is gone");
	SITE_UNTIL(site, promoted == 1);
	assert_int_equal(promoted_res, -EIO);
	assert_non_null(strstr(p.verb.text, "the log of this site has failed"));
	assert_int_equal(g->role, GROUP_MIRROR);
	assert_null(g->promote);
}

/*
 * Alone, every mode counts as local, and writes go on: also where max_exposure bounds what a
 * mirror may lack, as there is none that it could be counted from.
 */
static void alone_it_completes_what_its_mode_cannot(void **state)
{
	struct group_request *r;

	becomes_primary(false);
	SITE_UNTIL(site, status()->state == GROUP_EXPOSED);
	assert_int_equal(status()->sync_effective, GROUP_LOCAL);
	r = write_begin();
	SITE_UNTIL(site, written == r);
	assert_int_equal(write_res, 0);
	write_end(r);
}

static bool write_is_in_the_log(void)
{
	struct lfs_lsn lsn = lfs_lsn(site->group->lfs);

	return lsn.admitted == SITE_LSNS + 1 && lsn.written == lsn.admitted;
}

/*
 * With --hold, and where the policy is to hold, the mode counts: no mirror, no completion.
 * The end of the test fails the write.
 */
static struct group_request *held;

static void with_hold_its_mode_counts(void **state)
{
	becomes_primary(true);
	held = write_begin();
	SITE_UNTIL(site, write_is_in_the_log() && status()->state == GROUP_HOLDING);
	assert_int_equal(status()->sync_effective, GROUP_NETWORK);
	assert_null(written);
}

static int held_tear_down(void **state)
{
	int res = tear_down(state);

	assert_ptr_equal(written, held);
	assert_int_equal(write_res, -ESHUTDOWN);
	write_end(held);
	return res;
}

/* ---- until a mirror is in sync ---------------------------------------------------------------------- */

static void tcp(struct group_config *config)
{
	network(config);
	config->peer.tcp = true;
}

static int tcp_mirror_up(void **state)
{
	site_tweak = tcp;
	site_set_up(state, GROUP_MIRROR, true);
	return 0;
}

static bool is_alone(void)
{
	return lfs_meta(site->group->lfs)->flags & LFS_ALONE;
}

/*
 * Alone ends with IN_SYNC, not before: what completed locally while the mirror caught up
 * must have left, too, or a path that ends now leaves modes that promise what is not so.
 */
static void alone_ends_when_the_mirror_is_in_sync(void **state)
{
	struct group *g = site->group;

	becomes_primary(false);
	converse("Q"); /* a mirror that lacks two */
	say('Y');
	SITE_UNTIL(site, session_streaming(g->session));
	data_dial(site->start.tunnel_id);
	SITE_UNTIL(site, frames_received == 2);
	write_one();
	SITE_UNTIL(site, frames_received == 3);
	assert_false(peer_watch_caught_up(&g->watch));
	progress(2, 0);
	SITE_UNTIL(site, peer_watch_caught_up(&g->watch));
	assert_false(peer_watch_in_sync(&g->watch));
	assert_false(facts_changing(g));
	assert_true(is_alone());
	progress(3, 0);
	SITE_UNTIL(site, peer_watch_in_sync(&g->watch) && !is_alone());
	assert_int_equal(status()->state, GROUP_IN_SYNC);
}

/* ---- what has arrived -------------------------------------------------------------------------------- */

#define ARRIVED 30u /* records of 128 KiB: more than the log takes at once */

/*
 * The log stops taking records between two checkpoints: what has arrived then waits outside
 * of it, and belongs to the image that is promoted all the same.
 */
static void what_waits_for_the_log_is_promoted_too(void **state)
{
	struct group *g = site->group;
	struct lfs_meta *before = malloc(sizeof(*before));
	struct group_promote p = { 0 };
	uint64_t hash, epoch_id;
	struct forged f;

	assert_non_null(before);
	*before = *lfs_meta(g->lfs);
	forge_honest(&f, 0);
	hash = le64_get(f.head.hash_before);
	epoch_id = le64_get(f.head.epoch_id);
	for (unsigned i = 0; i < ARRIVED; i++) {
		struct record_owned owned;
		size_t len;

		forge_honest(&f, 0);
		f.nops = f.blocks = 0;
		forge_op(&f, LFS_WRITE, 0, i, 32);
		f.head.lsn = le64_make(SITE_LSNS + 1 + i);
		f.head.hash_before = le64_make(hash);
		len = forge_put(&f, forged_bytes);
		assert_int_equal(record_decode(forged_bytes, len, before, &owned), 0);
		hash = lfs_history_next(hash, epoch_id, owned.rec.ops, owned.rec.nops);
		record_release(&owned);
		assert_int_equal(apply_record(&g->apply, forged_bytes, len), 0);
	}
	assert_true(lfs_lsn(g->lfs).admitted < SITE_LSNS + ARRIVED);
	assert_int_equal(promote(&p), 0);
	assert_int_equal(g->apply.applied, ARRIVED);
	assert_int_equal(p.recovery.lsn, SITE_LSNS + ARRIVED);
	assert_int_equal(lfs_lsn(g->lfs).durable, SITE_LSNS + ARRIVED);
	is_an_epoch_of_its_own(before, SITE_LSNS + ARRIVED);
	assert_int_equal(g->apply.refused, 0);
	free(before);
}

int main(void)
{
#define TEST(f, up) cmocka_unit_test_setup_teardown(f, up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_mirror_is_promoted_where_the_primary_is_silent, mirror_up),
		TEST(a_daemon_that_was_stopped_waits_again, mirror_up),
		TEST(a_primary_is_promoted_only_where_it_is_fenced, primary_up),
		TEST(a_mirror_that_was_never_filled_is_not_promoted, fresh_mirror_up),
		TEST(what_is_missing_is_known_or_not, mirror_up),
		TEST(one_promotion_is_enough, mirror_up),
		TEST(by_force_a_fenced_site_is_fenced_no_more, primary_up),
		TEST(by_force_a_sealed_site_takes_writes_again, primary_up),
		TEST(an_epoch_that_is_not_durable_is_none, mirror_up),
		TEST(a_connection_made_meanwhile_begins_again, mirror_up),
		TEST(a_log_that_fails_meanwhile_promotes_nothing, mirror_up),
		TEST(alone_it_completes_what_its_mode_cannot, mirror_up),
		TEST(alone_it_completes_what_its_mode_cannot, holding_mirror_up),
		TEST(alone_it_completes_what_its_mode_cannot, bounded_mirror_up),
		cmocka_unit_test_setup_teardown(with_hold_its_mode_counts,
						holding_mirror_up, held_tear_down),
		cmocka_unit_test_setup_teardown(alone_ends_when_the_mirror_is_in_sync,
						tcp_mirror_up, tcp_tear_down),
		TEST(what_waits_for_the_log_is_promoted_too, mirror_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
