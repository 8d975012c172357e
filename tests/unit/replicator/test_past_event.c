// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a person asks for after the fact: a group's changes of state with their reasons, and
 * what else mattered, over restarts. What happens again and again does not displace it.
 */
#include "tests/unit/replicator/site.h"

#include <errno.h>

static struct past_events past_events;
static uint64_t left_out;

static bool kept(const char *text, int64_t after_s)
{
	return past_event_keeps(&past_events, RT_LOG_WARN, text,
				(rt_time){ after_s * RT_S }, &left_out);
}

static int forget(void **state)
{
	memset(&past_events, 0, sizeof(past_events));
	return 0;
}

static void what_happens_once_is_kept_each_time(void **state)
{
	static const char *const texts[] = {
		"fenced why=\"x\"",
		"promoted lsn=1",
		"peer-bound store=1",
		"peer-replace",
		"peer-forget",
		"starting-without-mirror waited_ms=1",
		"pulled-back to-lsn=1",
		"history-full epochs=1024",
		"mirror-timed-out policy=continue",
		"log-failed error=\"x\"",
		"recovered lsn=1",
		"serving role=primary",
		"superblock-write-failed",
		"of-a-later-version x=1",
		"stopping",
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(texts); i++)
		for (unsigned turn = 0; turn < 3; turn++) {
			if (!kept(texts[i], 0))
				fail_msg("%s is not kept", texts[i]);
			assert_int_equal(left_out, 0);
		}
	assert_false(past_event_keeps(&past_events, RT_LOG_DEBUG, "fenced",
				      (rt_time){ 0 }, &left_out));
}

static void what_each_connection_brings_is_never_kept(void **state)
{
	assert_false(kept("connected address=1 peer=a", 0));
	assert_false(kept("disconnected address=1", 0));
	assert_false(kept("waiting for=mirror", 0));
	assert_true(kept("waiting-for-godot", 0)); /* another kind */
}

/* A read of a bad block fails a thousand times an hour: once is enough, and how often. */
static void what_repeats_is_kept_hourly(void **state)
{
	assert_true(kept("checksum-error volume=a lba=1", 0));
	assert_int_equal(left_out, 0);
	for (int64_t s = 1; s < 3600; s++)
		assert_false(kept("checksum-error volume=a lba=2", s));
	assert_true(kept("read-error volume=a lba=2", 100)); /* each kind for itself */
	assert_true(kept("checksum-error volume=a lba=2", 3600));
	assert_int_equal(left_out, 3599);
	assert_false(kept("checksum-error volume=a lba=2", 3601));
}

/* Another reason to refuse is another event; two that take turns do not fill the store. */
static void another_reason_is_kept_sooner(void **state)
{
	assert_true(kept("refused peer=a why=\"x\"", 0));
	assert_false(kept("refused peer=a why=\"x\"", 600));
	assert_true(kept("refused peer=a why=\"y\"", 601));
	assert_int_equal(left_out, 1);
	assert_false(kept("refused peer=a why=\"x\"", 602));
	assert_true(kept("refused peer=a why=\"x\"", 661));
}

/* ---- of a group ------------------------------------------------------------------------- */

static void alone(struct group_config *config)
{
	config->has_peer = false;
	config->heartbeat_ms = config->away_ms = config->control_timeout_ms = 0;
}

static int up(void **state, bool has_peer)
{
	site_tweak = has_peer ? NULL : alone;
	site_set_up(state, GROUP_PRIMARY, has_peer);
	return 0;
}

static int up_alone(void **state)
{
	(void)up(state, false);
	SITE_UNTIL(site, site->group->state == GROUP_STANDALONE);
	return 0;
}

static int up_paired(void **state)
{
	return up(state, true);
}

/* The next event of this name from *seq on; 0 when there is none. */
static bool find(const char *name, uint64_t *seq, struct group_past_event *ret)
{
	while (group_past_event(site->group, *seq, ret) == 0) {
		*seq = ret->seq + 1;
		if (strcmp(ret->name, name) == 0)
			return true;
	}
	return false;
}

static void states_and_their_reasons_survive_a_restart(void **state)
{
	struct group_past_event event;
	uint64_t seq = 0, after;
	int64_t before_ns = rt_wall_ns(site->loop);

	site_stop();
	site_open();
	SITE_UNTIL(site, site->group->state == GROUP_STANDALONE);
	for (unsigned open = 0; open < 2; open++) {
		assert_true(find("recovered", &seq, &event));
		assert_int_equal(strncmp(event.text, "lsn=0 clean=1 ", 14), 0);
		assert_string_equal(event.from, "");
		assert_true(find("serving", &seq, &event));
		assert_true(find("state", &seq, &event));
		assert_string_equal(event.from, "STARTING");
		assert_string_equal(event.to, "STANDALONE");
		assert_string_equal(event.text, "");
		assert_int_equal(event.level, RT_LOG_INFO);
		assert_true(event.wall_ns > 0 && event.wall_ns <= rt_wall_ns(site->loop));
		assert_true(open == 0 || event.wall_ns >= before_ns);
		after = seq;
		assert_true(!find("stopping", &after, &event) == (open == 1));
	}
	assert_false(find("state", &seq, &event));
}

/* A primary whose mirror does not answer: the state says why, as status does. */
static void a_state_has_its_reason(void **state)
{
	struct group_past_event event;
	struct group_status *status = malloc(sizeof(*status));
	uint64_t seq = 0;

	assert_non_null(status);
	SITE_UNTIL(site, site->group->state == GROUP_EXPOSED);
	group_status(site->group, status);
	while (find("state", &seq, &event) && strcmp(event.to, "EXPOSED") != 0)
		;
	assert_string_equal(event.to, "EXPOSED");
	assert_int_equal(event.level, RT_LOG_WARN);
	assert_true(event.text[0] != 0);
	assert_string_equal(event.text, status->why);
	free(status);
}

/* Whatever a store of a later version, or a disk, has in an event: words, and no more. */
static void any_text_is_an_event(void **state)
{
	static const struct {
		const char *text, *name, *from, *to, *rest;
	} texts[] = {
		{ "", "", "", "", "" },
		{ "state", "state", "", "", "" },
		{ "state from=A", "state", "A", "", "from=A" },
		{ "state from=A to=B", "state", "A", "B", "from=A to=B" },
		{ "state from=A to=B why=", "state", "A", "B", "" },
		{ "state from=A to=B why=a why=b", "state", "A", "B", "a why=b" },
		{ "state from=A to=B x=1 why=b", "state", "A", "B",
		  "from=A to=B x=1 why=b" },
		{ "state to=B from=A why=c", "state", "", "", "to=B from=A why=c" },
		{ "state from=ABCDEFGHIJKLMNOPQRS to=B why=c", "state", "ABCDEFGHIJKLMNO",
		  "B", "c" },
		{ "other from=A to=B why=c", "other", "", "", "from=A to=B why=c" },
		{ "a-name-that-is-longer-than-all-that-there-are x=1",
		  "a-name-that-is-longer-than-all-", "", "", "x=1" },
		{ "  two", "", "", "", " two" },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(texts); i++) {
		struct group_past_event event;
		struct lfs_event_figures f;

		lfs_event_log_append(site->group->lfs, 200, texts[i].text);
		lfs_event_log_figures(site->group->lfs, &f);
		assert_int_equal(group_past_event(site->group, f.last, &event), 0);
		assert_int_equal(event.level, RT_LOG_INFO);
		assert_string_equal(event.name, texts[i].name);
		assert_string_equal(event.from, texts[i].from);
		assert_string_equal(event.to, texts[i].to);
		assert_string_equal(event.text, texts[i].rest);
		assert_int_equal(group_past_event(site->group, f.last + 1, &event),
				 -ENOENT);
	}
}

/* How many were left out is part of the next one, however long that is. */
static void what_was_left_out_is_counted(void **state)
{
	struct group *g = site->group;
	char text[2 * GROUP_EVENT_TEXT_MAX] = "log-low x=";
	struct group_past_event event;
	struct lfs_event_figures f;

	memset(text + strlen(text), 'x', sizeof(text) - strlen(text) - 1);
	past_event_add(g, RT_LOG_WARN, text);
	past_event_add(g, RT_LOG_WARN, text);
	for (unsigned i = 0; i < PAST_EVENT_KINDS_MAX; i++)
		if (g->past_events.repeats[i].known)
			g->past_events.repeats[i].last.ns -= PAST_EVENT_REPEATS;
	past_event_add(g, RT_LOG_WARN, text);
	lfs_event_log_figures(g->lfs, &f);
	assert_int_equal(group_past_event(g, f.last, &event), 0);
	assert_non_null(strstr(event.text, "xxx left-out=1"));
}

/* From when on a completed write was here only: what a person asks after a disaster. */
static void a_mode_that_counts_as_another_is_an_event(void **state)
{
	struct group_past_event event;
	uint64_t seq = 0;

	past_event_mode(site->group, GROUP_REMOTE); /* as it was from the beginning */
	past_event_mode(site->group, GROUP_REMOTE);
	past_event_mode(site->group, GROUP_LOCAL);
	past_event_mode(site->group, GROUP_LOCAL);
	past_event_mode(site->group, GROUP_NETWORK);
	assert_true(find("mode-lowered", &seq, &event));
	assert_string_equal(event.text, "from=remote to=local");
	assert_int_equal(event.level, RT_LOG_WARN);
	assert_true(find("mode-raised", &seq, &event));
	assert_string_equal(event.text, "from=local to=network");
	assert_int_equal(event.level, RT_LOG_INFO);
	assert_false(find("mode-lowered", &seq, &event));
}

/* What the store did not take is a figure of status. */
static void lost_events_are_counted(void **state)
{
	struct group_status *status = malloc(sizeof(*status));

	assert_non_null(status);
	group_status(site->group, status);
	assert_int_equal(status->store.lost_events, 0);
	for (unsigned i = 0; i < 1000; i++)
		lfs_event_log_append(site->group->lfs, 0, "many at once");
	group_status(site->group, status);
	assert_true(status->store.lost_events > 0);
	free(status);
}

#define WITH(set_up, test) cmocka_unit_test_setup_teardown(test, set_up, site_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_happens_once_is_kept_each_time, forget),
		cmocka_unit_test_setup(what_each_connection_brings_is_never_kept, forget),
		cmocka_unit_test_setup(what_repeats_is_kept_hourly, forget),
		cmocka_unit_test_setup(another_reason_is_kept_sooner, forget),
		WITH(up_alone, states_and_their_reasons_survive_a_restart),
		WITH(up_paired, a_state_has_its_reason),
		WITH(up_alone, any_text_is_an_event),
		WITH(up_alone, what_was_left_out_is_counted),
		WITH(up_alone, a_mode_that_counts_as_another_is_an_event),
		WITH(up_alone, lost_events_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
