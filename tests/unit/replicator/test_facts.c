// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/talk.h"

#include <errno.h>

#include "rt/check.h"

/*
 * A mirror makes its pairing and the history of START durable before it goes on. If that
 * fails, the connection ends with the reason: a session that waited for ever on a living
 * connection would be a mirror that never follows. The next connection tries it again.
 */

/* ---- a superblock that fails -------------------------------------------------------------- */

/* The linker brings calls of lfs_set_meta() to __wrap_..., the real one is __real_... */
void __real_lfs_set_meta(struct lfs *lfs, struct lfs_set_meta *s,
			 const struct lfs_meta *meta);
void __wrap_lfs_set_meta(struct lfs *lfs, struct lfs_set_meta *s,
			 const struct lfs_meta *meta);

static int fail_with;		     /* the next change; 0: it succeeds */
static struct lfs_set_meta *to_fail; /* taken, and neither failed nor done */
static struct rt_op fail_op;

static void change_failed(struct rt_op *op, int res)
{
	struct lfs_set_meta *set = to_fail;
	int err = fail_with;

	(void)op;
	(void)res; /* rt_defer has no result of its own */
	to_fail = NULL;
	fail_with = 0;
	set->done(set, err);
}

/* As a completion: never from inside the call. */
static void change_fail(void)
{
	assert_non_null(to_fail);
	fail_op.done = change_failed;
	rt_defer(site->loop, &fail_op);
	SITE_UNTIL(site, !to_fail);
}

void __wrap_lfs_set_meta(struct lfs *lfs, struct lfs_set_meta *s,
			 const struct lfs_meta *meta)
{
	if (fail_with)
		to_fail = s;
	else
		__real_lfs_set_meta(lfs, s, meta);
}

static bool change_is_taken(void)
{
	return to_fail != NULL;
}

/* ---- pairing ------------------------------------------------------------------------------ */

static int fresh_mirror_up(void **state)
{
	site_set_up(state, GROUP_MIRROR, false);
	return 0;
}

static bool unpaired(void)
{
	return lfs_meta(site->group->lfs)->flags & LFS_UNPAIRED;
}

static void is_refused(const char *fact, int err)
{
	char why[MESSAGE_TEXT_MAX];

	(void)snprintf(why, sizeof(why), "this mirror cannot make %s durable: %s", fact,
		       strerror(-err));
	SITE_UNTIL(site, answers() > 0);
	assert_string_equal(site->refused, why);
	assert_string_equal(site->group->why, why);
	SITE_UNTIL(site, site->closed);
}

/* The primary's HELLO to a mirror without a group leads to its next HELLO. */
static void pairs(void)
{
	say('H');
	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 2 || answers() > 0);
	assert_int_equal(answers(), 0);
	assert_false(site->hello.flags & HELLO_UNPAIRED);
	assert_false(unpaired());
	say('S');
	SITE_UNTIL(site, answers() > 0);
	assert_int_equal(site->came[MESSAGE_READY], 1);
}

static void a_pairing_that_fails_ends_the_connection(void **state)
{
	static const int errors[] = { -ENOMEM, -EINVAL, -EIO };

	for (unsigned i = 0; i < RT_ARRAY_LEN(errors); i++) {
		fail_with = errors[i];
		meet();
		say('H');
		SITE_UNTIL(site, change_is_taken());
		assert_int_equal(site->group->session->state, SESSION_PAIRING);
		change_fail();
		is_refused("the pairing", errors[i]);
		assert_true(unpaired());
	}
	meet();
	pairs();
	assert_string_equal(site->group->why, "");
}

/* It is not the new connection's failure: that one decides once the write has ended. */
static void a_failure_of_an_older_connection_refuses_no_newer_one(void **state)
{
	fail_with = -ENOMEM;
	meet();
	say('H');
	SITE_UNTIL(site, change_is_taken());
	meet();
	say('H');
	SITE_UNTIL(site, site->group->session->state == SESSION_UNPAIRED_DECIDING);
	change_fail();
	pairs();
}

/* ---- the history of START ------------------------------------------------------------------- */

static int mirror_up(void **state)
{
	site_set_up(state, GROUP_MIRROR, true);
	return 0;
}

static void a_history_that_fails_ends_the_connection(void **state)
{
	static const int errors[] = { -ENOMEM, -EINVAL, -EIO };
	unsigned nepochs = lfs_meta(site->group->lfs)->nepochs;
	struct lfs_position before;

	where(&before);
	for (unsigned i = 0; i < RT_ARRAY_LEN(errors); i++) {
		fail_with = errors[i];
		meet();
		say_together("HG", 2);
		SITE_UNTIL(site, change_is_taken());
		assert_int_equal(site->group->session->state, SESSION_WRITING_HISTORY);
		change_fail();
		is_refused("the history of START", errors[i]);
		assert_int_equal(site->came[MESSAGE_READY], 0);
		assert_int_equal(lfs_meta(site->group->lfs)->nepochs, nepochs);
		is_where(&before);
	}
	converse("HG");
	assert_int_equal(site->came[MESSAGE_READY], 1);
	assert_int_equal(lfs_meta(site->group->lfs)->nepochs, nepochs + 1);
	assert_string_equal(site->group->why, "");
}

/* ---- what waits for the end of a write ------------------------------------------------------ */

static void no_heartbeat(struct group_config *config)
{
	config->heartbeat_ms = 3 * SITE_BOUND_NS / RT_MS;
	config->control_timeout_ms = 10 * config->heartbeat_ms;
}

static int mirror_without_heartbeat_up(void **state)
{
	site_tweak = no_heartbeat;
	return mirror_up(state);
}

static int tear_down(void **state)
{
	site_tweak = NULL;
	return site_tear_down(state);
}

/*
 * START and PULL that arrive before the mirror's conclusion wait for it, here because the
 * superblock is being written; but not for the next heartbeat, too.
 */
static void start_and_pull_are_answered_with_the_conclusion(void **state)
{
	static const struct {
		const char *said;
		enum session_state waits;
		enum message_type answer;
	} cases[] = {
		{ "HS", SESSION_DECIDING_START, MESSAGE_READY },
		{ "AP", SESSION_DECIDING_PULL, MESSAGE_PULLED },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(cases); i++) {
		fail_with = -ENOMEM;
		meet();
		say_together("HG", 2);
		SITE_UNTIL(site, change_is_taken());
		meet();
		say_together(cases[i].said, 2);
		SITE_UNTIL(site, site->group->session->state == cases[i].waits);
		/* Its timer of the old transport would wake the group, too. */
		SITE_UNTIL(site, !rt_timer_armed(&site->group->session->drain));
		change_fail();
		SITE_UNTIL(site, answers() > 0);
		assert_int_equal(site->came[cases[i].answer], 1);
	}
}

int main(void)
{
#define TEST(f, up) cmocka_unit_test_setup_teardown(f, up, site_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_pairing_that_fails_ends_the_connection, fresh_mirror_up),
		TEST(a_failure_of_an_older_connection_refuses_no_newer_one,
		     fresh_mirror_up),
		TEST(a_history_that_fails_ends_the_connection, mirror_up),
		cmocka_unit_test_setup_teardown(
			start_and_pull_are_answered_with_the_conclusion,
			mirror_without_heartbeat_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
