// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/control_request.h"
#include "control/control_server.h"
#include "control/events.h"
#include "nbd-server/nbds.h"
#include "rt/check.h"
#include "rt/log.h"
#include "tests/unit/control/talk.h"

/*
 * The control socket is private to its owner, answers every request with one line, in
 * order, and outlives whatever is sent to it: no JSON, half a line, a line without an end,
 * clients that leave, stay silent, or come in crowds.
 */

/* ---- before and after ------------------------------------------------------------------- */

/* More than are named; the last of these is the longest that there may be. */
static unsigned crowd(void *owner, struct nbds_attached *ret, unsigned max)
{
	static char longest[200];

	memset(longest, 'x', sizeof(longest) - 1);
	for (unsigned i = 0; i < max; i++)
		ret[i] = (struct nbds_attached){ "unix", "data", .read_only = i == 1 };
	ret[max - 1] = (struct nbds_attached){ longest, longest, .read_only = true };
	return max + 7;
}

static struct control_server_params params;

static int start_with(int64_t idle_ms)
{
	params.node = "nyc";
	params.group = "db";
	params.idle_ms = idle_ms;

	memset(&group, 0, sizeof(group));
	if (rt_loop_new(&loop) < 0 || control_server_new(loop, &params, &srv) < 0)
		return -1;
	group.loop = loop;
	(void)snprintf(group.status.name, sizeof(group.status.name), "db");
	group.status.role = GROUP_MIRROR;
	group.status.state = GROUP_FOLLOWING;
	control_server_set_group(srv, &group, "");
	return control_server_listen(srv, path);
}

static int start_crowded(void **state)
{
	int res;

	params.nbd_attached = crowd;
	res = start_with(0);
	params.nbd_attached = NULL;
	return res;
}

static int start(void **state)
{
	return start_with(0);
}

static int start_hasty(void **state)
{
	return start_with(50);
}

static void stopped(void *owner)
{
	*(bool *)owner = true;
	rt_loop_stop(loop);
}

static int stop(void **state)
{
	bool done = false;

	control_server_stop(srv, stopped, &done);
	while (!done)
		if (rt_loop_run(loop) < 0)
			return -1;
	control_server_free(srv);
	rt_loop_free(loop);
	return access(path, F_OK) < 0 ? 0 : -1; /* the socket is gone with it */
}

static void no_lines(void *owner, enum rt_log_level level, const char *line)
{
}

static int dir_make(void **state)
{
	rt_log_set_sink(no_lines, NULL);
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/control.sock", dir);
	return 0;
}

static int dir_remove(void **state)
{
	return rmdir(dir);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void socket_is_private(void **state)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void status_is_answered(void **state)
{
	struct talk *t = talk("{\"verb\":\"status\"}\n", 1);
	json_t *root = answer(t, 0);
	json_t *status = json_object_get(root, "status");
	json_t *g = json_array_get(json_object_get(status, "groups"), 0);

	assert_string_equal(json_string_value(json_object_get(status, "node")), "nyc");
	assert_string_equal(json_string_value(json_object_get(g, "state")), "FOLLOWING");
	json_decref(root);
}

/* What status shows of the group. */
static void member_is(const char *name, const char *expected)
{
	json_t *root = answer(talk("{\"verb\":\"status\"}\n", 1), 0);
	json_t *groups = json_object_get(json_object_get(root, "status"), "groups");
	const char *text =
		json_string_value(json_object_get(json_array_get(groups, 0), name));

	assert_string_equal(text ? text : "null", expected);
	json_decref(root);
}

static void why_is(const char *expected)
{
	member_is("why", expected);
}

/* Whoever waits for a start finds for what, whether the group is open or not. */
static void what_the_daemon_waits_for_comes_first(void **state)
{
	why_is("null");
	control_server_set_why(srv, "an NBD address is in use");
	why_is("an NBD address is in use");
	(void)snprintf(group.status.why, sizeof(group.status.why), "the mirror is gone");
	why_is("an NBD address is in use; and the mirror is gone");
	control_server_set_group(srv, NULL, "STARTING");
	why_is("an NBD address is in use");
	control_server_set_why(srv, "a path that is no text: \xff");
	why_is("(a text that is no UTF-8)");
	control_server_set_why(srv, "");
	why_is("it opens its store; it goes on by itself");
}

/* Nobody has said why: the state of a group that is not open has a reason all the same. */
static void a_group_that_is_not_open_has_a_reason(void **state)
{
	static const char *const states[][2] = {
		{ "STARTING", "it opens its store; it goes on by itself" },
		{ "STOPPING", "it is being stopped; it goes on by itself" },
		{ "FAILED", "its store could not be opened, and this daemon ends; mend "
			    "what its log names, and start it again" },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(states); i++) {
		control_server_set_group(srv, NULL, states[i][0]);
		member_is("state", states[i][0]);
		why_is(states[i][1]);
		answer_is(talk("{\"verb\":\"promote\"}\n", 1), 0, 1, states[i][1]);
	}
}

/* What status shows of the requests that were none. */
static void status_counts(json_int_t refused)
{
	json_t *root = answer(talk("{\"verb\":\"status\"}\n", 1), 0);
	json_t *status = json_object_get(root, "status");
	json_t *control = json_object_get(status, "control");
	json_t *log = json_object_get(status, "log");

	assert_int_equal(json_integer_value(json_object_get(control, "refused")),
			 refused);
	assert_true(json_is_integer(json_object_get(log, "dropped")));
	json_decref(root);
}

static void promotion_tells_its_end(void **state)
{
	struct talk *t =
		talk("{\"verb\":\"promote\",\"group\":\"db\",\"force\":true}\n", 1);
	json_t *root = answer(t, 0), *recovery;

	assert_true(json_is_true(json_object_get(root, "ok")));
	assert_string_equal(json_string_value(json_object_get(root, "text")), "forced");
	assert_int_equal(json_integer_value(json_object_get(root, "lsn")), 4711);
	recovery = json_object_get(root, "recovery");
	assert_int_equal(json_integer_value(json_object_get(recovery, "lsn")), 4711);
	assert_int_equal(json_integer_value(json_object_get(recovery, "epoch")), 3);
	/* A time since 1970 keeps its milliseconds. */
	assert_true(json_number_value(json_object_get(recovery, "admitted_at")) ==
		    1796085133.592);
	assert_true(json_number_value(json_object_get(recovery, "age_s")) == 0.25);
	assert_true(json_is_true(json_object_get(recovery, "known")));
	assert_int_equal(json_integer_value(json_object_get(recovery, "missing_writes")),
			 2);
	assert_int_equal(json_integer_value(json_object_get(recovery, "missing_bytes")),
			 8192);
	json_decref(root);

	group.result = -EPERM;
	answer_is(talk("{\"verb\":\"promote\"}\n", 1), 0, 3, "mirror is fresh");
	group.result = -EIO;
	answer_is(talk("{\"verb\":\"promote\"}\n", 1), 0, 1, "mirror is fresh");
	group.result = -EALREADY;
	answer_is(talk("{\"verb\":\"promote\"}\n", 1), 0, 0, NULL);
}

/* Ask for a change of the peer, let it end with `result`; the exit code and what is said. */
static void peer_is(const char *members, int result, int exit, const char *text)
{
	static struct talk t;
	char line[200];
	json_t *root;

	(void)snprintf(line, sizeof(line), "{\"verb\":\"peer\",%s}\n", members);
	talk_start(&t, line, strlen(line), 1);
	while (!group.changing)
		turn();
	assert_int_equal(lines(&t), 0); /* the answer waits for the group */
	group.result = result;
	double_peer_end(&group);
	while (lines(&t) == 0)
		turn();
	talk_end(&t);
	root = answer(&t, 0);
	assert_int_equal(json_integer_value(json_object_get(root, "exit")), exit);
	assert_string_equal(
		json_string_value(json_object_get(root, exit == 0 ? "text" : "error")),
		text);
	json_decref(root);
}

/* It is answered when it is durable, in the group's words. */
static void a_change_of_the_peer_tells_its_end(void **state)
{
	peer_is("\"change\":\"replace\"", 0, 0, "replace");
	peer_is("\"change\":\"forget\",\"group\":\"db\"", 0, 0, "forget");
	peer_is("\"change\":\"forget\",\"dry_run\":true", 0, 0, "forget dry");
	peer_is("\"change\":\"replace\"", -EBUSY, 1, "replace");
	control_server_set_group(srv, NULL, "STARTING");
	answer_is(talk("{\"verb\":\"peer\",\"change\":\"forget\"}\n", 1), 0, 1,
		  "not open");
}

/* Whoever asked and left: the change is made, and its end goes to nobody. */
static void a_verb_tells_its_end(void **state)
{
	static const struct {
		const char *line, *text;
		int result, exit;
	} rows[] = {
		{ "{\"verb\":\"switchover\"}\n", NULL, 0, 0 },
		{ "{\"verb\":\"switchover\"}\n", "switchover", -EPERM, 3 },
		{ "{\"verb\":\"switchover\"}\n", "switchover", -EAGAIN, 1 },
		{ "{\"verb\":\"open\",\"alone\":true}\n", NULL, -EALREADY, 0 },
		{ "{\"verb\":\"open\",\"alone\":true}\n", "opens", -EPERM, 3 },
		{ "{\"verb\":\"open\"}\n", "alone", 0, 2 },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		group.result = rows[i].result;
		answer_is(talk(rows[i].line, 1), 0, rows[i].exit, rows[i].text);
	}
	assert_int_equal(group.opened, 2);
}

static void progress_is(const struct talk *t, unsigned i, const char *part)
{
	json_t *root = line_of(t, i);
	const char *text = json_string_value(json_object_get(root, "progress"));

	if (!text || !strstr(text, part))
		fail_msg("line %u is %s instead of %s", i, text ? text : "none", part);
	json_decref(root);
}

/* Who is attached comes first, then each step, and the answer last. */
static void a_switchover_shows_who_is_attached_and_each_step(void **state)
{
	static const char text[] = "{\"verb\":\"switchover\"}\n";
	const struct talk *t;
	json_t *root, *clients;

	group.steps = 3;
	t = talk(text, 5);
	progress_is(t, 0,
		    "71 clients are attached here:\n  export data: unix\n"
		    "  export data: unix, reads only\n  export data: unix\n");
	progress_is(t, 0, "xxx, reads only\n  and 7 more");
	for (unsigned i = 0; i < 3; i++)
		progress_is(t, i + 1, "step ");
	answer_is(t, 4, 0, NULL);
	root = answer(t, 4);
	clients = json_object_get(root, "clients");
	assert_int_equal(json_array_size(clients), 64);
	assert_true(
		json_is_true(json_object_get(json_array_get(clients, 1), "read_only")));
	json_decref(root);
	group.steps = 0;
	group.result = -EPERM;
	answer_is(talk(text, 2), 1, 3, "switchover");
}

/* Progress has a bound, and the answer is sent all the same, to one that waited for it. */
static void much_progress_does_not_keep_the_answer(void **state)
{
	static const char text[] = "{\"verb\":\"switchover\"}\n{\"verb\":\"status\"}\n";
	static char line[CONTROL_LINE_MAX + sizeof(text)];
	static struct talk t;

	(void)snprintf(line, sizeof(line), "%s", text);
	memset(line + sizeof(text) - 1, 'x', CONTROL_LINE_MAX); /* that ends it */
	group.steps = 100000;
	talk_start(&t, line, sizeof(text) - 1 + CONTROL_LINE_MAX, 0);
	assert_int_equal(rt_loop_run(loop), 0);
	talk_end(&t);
	assert_true(lines(&t) > 100 && lines(&t) < 1000);
	progress_is(&t, 0, "step 0");
	answer_is(&t, lines(&t) - 3, 0, NULL);
	answer_is(&t, lines(&t) - 2, 0, NULL);
	answer_is(&t, lines(&t) - 1, 2, "too long");
}

static void leaving_during_a_change_of_the_peer(void **state)
{
	static const char text[] = "{\"verb\":\"peer\",\"change\":\"forget\"}\n";
	static struct talk t;

	talk_start(&t, text, strlen(text), 1);
	while (!group.changing)
		turn();
	talk_end(&t);
	answer_is(talk("{\"verb\":\"status\"}\n", 1), 0, 0, NULL);
	double_peer_end(&group);
	answer_is(talk("{\"verb\":\"status\"}\n", 1), 0, 0, NULL);
}

static void events_are_answered_in_pages(void **state)
{
	static struct group_past_event past[EVENTS_PAGE + 2];
	char request[80];
	json_t *root, *events;
	json_int_t next;

	for (unsigned i = 0; i < RT_ARRAY_LEN(past); i++) {
		past[i].seq = i + 1;
		past[i].wall_ns = (i + 1) * RT_S;
	}
	group.past = past;
	group.npast = RT_ARRAY_LEN(past);
	root = answer(talk("{\"verb\":\"events\",\"group\":\"db\"}\n", 1), 0);
	events = json_object_get(root, "events");
	assert_string_equal(json_string_value(json_object_get(events, "group")), "db");
	assert_int_equal(json_array_size(json_object_get(events, "events")), EVENTS_PAGE);
	next = json_integer_value(json_object_get(events, "next"));
	assert_int_equal(next, EVENTS_PAGE + 1);
	json_decref(root);

	(void)snprintf(request, sizeof(request),
		       "{\"verb\":\"events\",\"from_seq\":%d}\n", (int)next);
	root = answer(talk(request, 1), 0);
	events = json_object_get(root, "events");
	assert_int_equal(json_array_size(json_object_get(events, "events")), 2);
	assert_true(json_is_null(json_object_get(events, "next")));
	json_decref(root);

	root = answer(talk("{\"verb\":\"events\",\"since_ns\":65500000000}\n", 1), 0);
	events = json_object_get(root, "events");
	assert_int_equal(json_array_size(json_object_get(events, "events")), 1);
	json_decref(root);

	control_server_set_group(srv, NULL, "STOPPING");
	answer_is(talk("{\"verb\":\"events\"}\n", 1), 0, 1, "not open: STOPPING");
}

static void lines_are_answered_in_order(void **state)
{
	struct talk *t;

	group.promote_ms = 30;
	t = talk("{\"verb\":\"promote\"}\n{\"verb\":\"status\"}\n{\"verb\":\"no\"}\n"
		 "{\"verb\":\"status\",\"group\":\"other\"}\n",
		 4);
	answer_is(t, 0, 0, NULL);
	answer_is(t, 1, 0, NULL);
	answer_is(t, 2, 2, "no verb");
	answer_is(t, 3, 2, "allowed: db");
	assert_int_equal(control_server_refused(srv), 2);
	status_counts(2);
}

static void garbage_is_answered_and_the_connection_goes_on(void **state)
{
	static const char *const garbage[] = {
		"\n",
		"hello\n",
		"{\"verb\":\n",
		"{\"verb\":\"status\"}}\n",
		"\xff\xfe\n",
		"[[[[[[[[\n",
		"{\"verb\":\"rewind\"}\n",
	};

	for (unsigned i = 0; i < sizeof(garbage) / sizeof(*garbage); i++) {
		char text[200];
		struct talk *t;

		(void)snprintf(text, sizeof(text), "%s{\"verb\":\"status\"}\n",
			       garbage[i]);
		t = talk(text, 2);
		answer_is(t, 0, 2, "");
		answer_is(t, 1, 0, NULL);
	}
}

static void line_without_an_end_is_refused(void **state)
{
	static char text[CONTROL_LINE_MAX + 1];
	static const char request[] = "{\"verb\":\"status\"}";
	struct talk *t;

	/* The longest line that fits is one of blanks, a request and its newline. */
	memset(text, ' ', sizeof(text));
	memcpy(text + CONTROL_LINE_MAX - sizeof(request), request, sizeof(request) - 1);
	text[CONTROL_LINE_MAX - 1] = '\n';
	text[CONTROL_LINE_MAX] = 0;
	answer_is(talk(text, 1), 0, 0, NULL);

	memset(text, ' ', CONTROL_LINE_MAX);
	t = talk(text, 0); /* until the server closes */
	answer_is(t, 0, 2, "too long");
	assert_int_equal(lines(t), 1);
}

static void half_a_request_and_gone(void **state)
{
	static struct talk t;

	for (unsigned i = 0; i < 3 * CONTROL_CLIENTS_MAX; i++) {
		talk_start(&t, "{\"verb\":\"sta", 12, 1);
		while (t.len > 0)
			turn();
		talk_end(&t);
	}
	answer_is(talk("{\"verb\":\"status\"}\n", 1), 0, 0, NULL);
}

/* Who asked for a promotion and left still gets it done, once. */
static void leaving_during_a_promotion(void **state)
{
	static const char text[] = "{\"verb\":\"promote\"}\n";
	static struct talk t;

	group.promote_ms = -1;
	talk_start(&t, text, strlen(text), 1);
	while (!group.promoting)
		turn();
	talk_end(&t);
	answer_is(talk("{\"verb\":\"status\"}\n", 1), 0, 0, NULL);
	double_promote_end(&group);
	answer_is(talk("{\"verb\":\"status\"}\n", 1), 0, 0, NULL);
}

/* Who has been idle longest makes room: an operator can always ask. */
static void a_crowd_of_idle_clients_keeps_nobody_out(void **state)
{
	static const char text[] = "{\"verb\":\"status\"}\n";
	static struct talk crowd[CONTROL_CLIENTS_MAX], late[2];

	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		talk_start(&crowd[i], text, strlen(text), 2); /* and waits for more */
		while (lines(&crowd[i]) == 0)
			turn();
	}
	for (unsigned i = 0; i < RT_ARRAY_LEN(late); i++) {
		talk_start(&late[i], text, strlen(text), 2);
		while (lines(&late[i]) == 0 || !crowd[i].closed)
			turn();
		assert_false(crowd[i + 1].closed);
	}
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		talk_end(&crowd[i]);
	for (unsigned i = 0; i < RT_ARRAY_LEN(late); i++)
		talk_end(&late[i]);
}

/* Nobody who waits for an answer is sent away for somebody else. */
static void a_crowd_of_busy_clients_stays(void **state)
{
	static const char text[] = "{\"verb\":\"promote\"}\n";
	static struct talk crowd[CONTROL_CLIENTS_MAX], late;
	uint64_t refused = control_server_refused(srv);

	group.promote_ms = -1;
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		talk_start(&crowd[i], text, strlen(text), 1);
		while (group.promotions <= i)
			turn();
	}
	talk_start(&late, text, strlen(text), 1);
	while (!late.closed)
		turn();
	assert_int_equal(late.have, 0);
	assert_int_equal(control_server_refused(srv), refused + 1);
	talk_end(&late);
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		assert_false(crowd[i].closed);
		group.promoting = group.asked[i];
		double_promote_end(&group);
		while (lines(&crowd[i]) == 0)
			turn();
		talk_end(&crowd[i]);
	}
}

static void silence_ends_a_connection(void **state)
{
	struct talk *t = talk("{\"verb\":\"sta", 0);

	assert_true(t->closed);
	assert_int_equal(t->have, 0);
	/* A promotion may take longer than that. */
	group.promote_ms = 120;
	answer_is(talk("{\"verb\":\"promote\"}\n", 1), 0, 0, NULL);
}

static void stop_waits_for_a_promotion(void **state)
{
	static const char text[] = "{\"verb\":\"promote\"}\n";
	static struct talk t;
	bool done = false;

	group.promote_ms = 40;
	talk_start(&t, text, strlen(text), 1);
	while (!group.promoting)
		turn();
	control_server_stop(srv, stopped, &done);
	while (!done)
		assert_int_equal(rt_loop_run(loop), 0);
	assert_null(group.promoting);
	answer_is(&t, 0, 0, NULL);
	talk_end(&t);
	control_server_free(srv);
	rt_loop_free(loop);
	assert_int_equal(start(state), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(socket_is_private, start, stop),
		cmocka_unit_test_setup_teardown(status_is_answered, start, stop),
		cmocka_unit_test_setup_teardown(what_the_daemon_waits_for_comes_first,
						start, stop),
		cmocka_unit_test_setup_teardown(a_group_that_is_not_open_has_a_reason,
						start, stop),
		cmocka_unit_test_setup_teardown(promotion_tells_its_end, start, stop),
		cmocka_unit_test_setup_teardown(a_change_of_the_peer_tells_its_end, start,
						stop),
		cmocka_unit_test_setup_teardown(a_verb_tells_its_end, start, stop),
		cmocka_unit_test_setup_teardown(
			a_switchover_shows_who_is_attached_and_each_step, start_crowded,
			stop),
		cmocka_unit_test_setup_teardown(much_progress_does_not_keep_the_answer,
						start, stop),
		cmocka_unit_test_setup_teardown(leaving_during_a_change_of_the_peer,
						start, stop),
		cmocka_unit_test_setup_teardown(events_are_answered_in_pages, start,
						stop),
		cmocka_unit_test_setup_teardown(lines_are_answered_in_order, start, stop),
		cmocka_unit_test_setup_teardown(
			garbage_is_answered_and_the_connection_goes_on, start, stop),
		cmocka_unit_test_setup_teardown(line_without_an_end_is_refused, start,
						stop),
		cmocka_unit_test_setup_teardown(half_a_request_and_gone, start, stop),
		cmocka_unit_test_setup_teardown(leaving_during_a_promotion, start, stop),
		cmocka_unit_test_setup_teardown(a_crowd_of_idle_clients_keeps_nobody_out,
						start, stop),
		cmocka_unit_test_setup_teardown(a_crowd_of_busy_clients_stays, start,
						stop),
		cmocka_unit_test_setup_teardown(silence_ends_a_connection, start_hasty,
						stop),
		cmocka_unit_test_setup_teardown(stop_waits_for_a_promotion, start, stop),
	};

	return cmocka_run_group_tests(tests, dir_make, dir_remove);
}
