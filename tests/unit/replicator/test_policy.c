// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/policy.h"

#include <string.h>

#include "rt/check.h"
#include "tests/unit/unit.h"

/*
 * The state that people act on, and whether writes complete without the mirror. Each row
 * has a name; a row that changes is a change of what docs/replication.md promises.
 */
#define PRIMARY(mode)                                                                    \
	.role = GROUP_PRIMARY, .connects = true, .has_peer = true, .serving = true,      \
	.sync = GROUP_##mode
#define STARTS .role = GROUP_PRIMARY, .connects = true, .has_peer = true
#define MIRROR .role = GROUP_MIRROR, .connects = true, .has_peer = true, .serving = true

struct row {
	const char *name;
	struct policy_inputs in;
	enum group_state state;
	enum group_mode effective;
	const char *why; /* part of it; "" for none */
};

static const struct row rows[] = {
	{ "a failed log is FAILED, whatever else",
	  { PRIMARY(NETWORK), .failed = true, .fenced = true, .path_serves = true },
	  GROUP_FAILED,
	  GROUP_NETWORK,
	  "has failed" },
	{ "fenced comes before diverged",
	  { PRIMARY(NETWORK), .fenced = true, .diverged = true },
	  GROUP_FENCED,
	  GROUP_NETWORK,
	  "newer epoch" },
	{ "no peer",
	  { .role = GROUP_PRIMARY, .serving = true },
	  GROUP_STANDALONE,
	  GROUP_LOCAL,
	  "" },
	{ "no peer, not serving yet",
	  { .role = GROUP_PRIMARY },
	  GROUP_STARTING,
	  GROUP_LOCAL,
	  "opens its store" },

	{ "mirror listens",
	  { MIRROR },
	  GROUP_LISTENING,
	  GROUP_LOCAL,
	  "no primary is connected" },
	{ "mirror follows",
	  { MIRROR, .streaming = true },
	  GROUP_FOLLOWING,
	  GROUP_LOCAL,
	  "" },
	{ "mirror diverged",
	  { MIRROR, .diverged = true },
	  GROUP_DIVERGED,
	  GROUP_LOCAL,
	  "histories" },
	{ "promotion comes before diverged",
	  { MIRROR, .promoting = true, .diverged = true },
	  GROUP_PROMOTING,
	  GROUP_LOCAL,
	  "being made the primary" },
	{ "a mirror that stops",
	  { .role = GROUP_MIRROR, .streaming = true, .has_peer = true },
	  GROUP_LISTENING,
	  GROUP_LOCAL,
	  "no primary is connected" },

	{ "start: asks the mirror",
	  { STARTS, .bound = PRIMARY_BOUND_FUA },
	  GROUP_STARTING,
	  GROUP_LOCAL,
	  "asks the mirror" },
	{ "start: asks the mirror, for open_timeout",
	  { STARTS },
	  GROUP_STARTING,
	  GROUP_LOCAL,
	  "asks the mirror" },
	{ "start: open_timeout is over, it may open",
	  { STARTS, .waited = true },
	  GROUP_STARTING,
	  GROUP_LOCAL,
	  "asks the mirror" },
	{ "start: open_timeout is over, fua forbids it",
	  { STARTS, .bound = PRIMARY_BOUND_FUA, .waited = true },
	  GROUP_HOLDING,
	  GROUP_LOCAL,
	  "may not open without it: fua" },
	{ "start: open_timeout is over, on_disconnect forbids it",
	  { STARTS, .bound = PRIMARY_BOUND_POLICY, .waited = true },
	  GROUP_HOLDING,
	  GROUP_LOCAL,
	  "may not open without it: on_disconnect is hold" },
	{ "start: open_timeout is over, on_disconnect of a volume forbids it",
	  { STARTS, .bound = PRIMARY_BOUND_VOLUME_POLICY, .waited = true },
	  GROUP_HOLDING,
	  GROUP_LOCAL,
	  "may not open without it: on_disconnect of a volume" },
	{ "start: open_timeout is over, a remote volume forbids it",
	  { STARTS, .bound = PRIMARY_BOUND_VOLUME_MODE, .waited = true },
	  GROUP_HOLDING,
	  GROUP_LOCAL,
	  "may not open without it: sync of a volume" },
	{ "start: open_timeout is over, and it was down",
	  { STARTS, .bound = PRIMARY_BOUND_COLD, .waited = true },
	  GROUP_HOLDING,
	  GROUP_LOCAL,
	  "was down and the mirror does not answer" },
	{ "start: it was down, and the mirror answers and refuses it",
	  { STARTS, .bound = PRIMARY_BOUND_COLD, .waited = true, .refuses = true },
	  GROUP_HOLDING,
	  GROUP_LOCAL,
	  "the mirror has answered, and refuses this store" },
	{ "start: the histories differ, nothing is served",
	  { STARTS, .diverged = true, .bound = PRIMARY_BOUND_FUA, .waited = true },
	  GROUP_DIVERGED,
	  GROUP_LOCAL,
	  "histories" },
	{ "start: what the mirror holds does not fit",
	  { STARTS, .intake_closed = true, .bound = PRIMARY_BOUND_FUA, .waited = true },
	  GROUP_HOLDING,
	  GROUP_LOCAL,
	  "cannot take back" },
	{ "start: takes back",
	  { STARTS, .pulling = true, .diverged = true, .bound = PRIMARY_BOUND_FUA,
	    .waited = true },
	  GROUP_RECOVERING,
	  GROUP_LOCAL,
	  "takes back" },

	{ "in sync",
	  { PRIMARY(NETWORK), .path_serves = true, .caught_up = true, .in_sync = true },
	  GROUP_IN_SYNC,
	  GROUP_NETWORK,
	  "" },
	{ "in sync, but behind: modes count all the same",
	  { PRIMARY(NETWORK), .path_serves = true, .caught_up = true, .in_sync = true,
	    .behind = true },
	  GROUP_CATCHING_UP,
	  GROUP_NETWORK,
	  "carries less than it is sent" },
	{ "catching up",
	  { PRIMARY(NETWORK), .path_serves = true },
	  GROUP_CATCHING_UP,
	  GROUP_NETWORK,
	  "does not have everything" },
	{ "catching up after a timeout",
	  { PRIMARY(NETWORK), .path_serves = true, .timed_out = true },
	  GROUP_CATCHING_UP,
	  GROUP_LOCAL,
	  "does not have everything" },
	{ "diverged",
	  { PRIMARY(NETWORK), .diverged = true, .path_serves = true },
	  GROUP_DIVERGED,
	  GROUP_NETWORK,
	  "histories" },
	{ "silent, not timed out",
	  { PRIMARY(NETWORK), .in_sync = true, .caught_up = true },
	  GROUP_HOLDING,
	  GROUP_NETWORK,
	  "not yet for as long" },
	{ "timed out, continue",
	  { PRIMARY(NETWORK), .timed_out = true },
	  GROUP_EXPOSED,
	  GROUP_LOCAL,
	  "without the mirror" },
	{ "timed out, hold",
	  { PRIMARY(NETWORK), .timed_out = true, .on_disconnect = GROUP_STOP },
	  GROUP_HOLDING,
	  GROUP_NETWORK,
	  "on_disconnect is hold" },
	{ "timed out, stuck, hold",
	  { PRIMARY(NETWORK), .timed_out = true, .stuck = true,
	    .on_disconnect = GROUP_STOP },
	  GROUP_HOLDING,
	  GROUP_NETWORK,
	  "does not persist" },
	{ "timed out, refuses, hold",
	  { PRIMARY(NETWORK), .timed_out = true, .refuses = true,
	    .on_disconnect = GROUP_STOP },
	  GROUP_HOLDING,
	  GROUP_NETWORK,
	  "the mirror refuses what it is sent" },
	{ "timed out, stuck, continue",
	  { PRIMARY(NETWORK), .timed_out = true, .stuck = true },
	  GROUP_EXPOSED,
	  GROUP_LOCAL,
	  "without the mirror, which does not persist" },
	{ "timed out, refuses, continue",
	  { PRIMARY(NETWORK), .timed_out = true, .refuses = true },
	  GROUP_EXPOSED,
	  GROUP_LOCAL,
	  "without the mirror, which refuses" },
	{ "timed out, bounded, nobody waits",
	  { PRIMARY(NETWORK), .timed_out = true, .exposure_bounded = true },
	  GROUP_EXPOSED,
	  GROUP_LOCAL,
	  "without the mirror" },
	{ "timed out, bounded, requests wait",
	  { PRIMARY(NETWORK), .timed_out = true, .exposure_bounded = true,
	    .requests_wait = true },
	  GROUP_HOLDING,
	  GROUP_LOCAL,
	  "max_exposure is reached" },
	{ "timed out, unbounded, requests wait",
	  { PRIMARY(NETWORK), .timed_out = true, .requests_wait = true },
	  GROUP_EXPOSED,
	  GROUP_LOCAL,
	  "without the mirror" },
	{ "remote holds, whatever on_disconnect says",
	  { PRIMARY(REMOTE), .timed_out = true },
	  GROUP_HOLDING,
	  GROUP_REMOTE,
	  "what is remote waits" },
	{ "local goes on while the path is silent",
	  { PRIMARY(LOCAL), .on_disconnect = GROUP_STOP },
	  GROUP_EXPOSED,
	  GROUP_LOCAL,
	  "without the mirror" },

	{ "alone: every mode counts as local",
	  { PRIMARY(REMOTE), .alone = true, .timed_out = true,
	    .on_disconnect = GROUP_STOP, .exposure_bounded = true,
	    .requests_wait = true },
	  GROUP_EXPOSED,
	  GROUP_LOCAL,
	  "no mirror has been in sync" },
	{ "alone, and the mirror has caught up: modes count",
	  { PRIMARY(REMOTE), .alone = true, .caught_up = true },
	  GROUP_HOLDING,
	  GROUP_REMOTE,
	  "not yet for as long" },
};

static void each_row_of_the_rule(void **state)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct policy_decision d = policy_decide(&row->in);

		if (d.state != row->state || d.effective != row->effective ||
		    !strstr(d.why, row->why) || !row->why[0] != !d.why[0] ||
		    !d.why[0] != !d.remedy[0])
			fail_msg("%s: %s, %s, \"%s\"", row->name,
				 group_state_name(d.state), group_mode_name(d.effective),
				 d.why);
	}
}

/* What a start says that helps, by what forbids it to go on. */
static void a_start_names_its_remedy(void **state)
{
	static const struct {
		struct policy_inputs in;
		const char *remedy; /* part of it */
	} starts[] = {
		{ { STARTS }, "by itself, after open_timeout at the latest" },
		{ { STARTS, .bound = PRIMARY_BOUND_FUA }, "and not before" },
		{ { STARTS, .waited = true, .bound = PRIMARY_BOUND_FUA },
		  "was not promoted, wanmirror set fua=mode" },
		{ { STARTS, .waited = true, .bound = PRIMARY_BOUND_POLICY },
		  "was not promoted, wanmirror set on_disconnect=continue" },
		{ { STARTS, .waited = true, .bound = PRIMARY_BOUND_VOLUME_POLICY },
		  "let on_disconnect of that volume be continue" },
		{ { STARTS, .waited = true, .bound = PRIMARY_BOUND_VOLUME_MODE },
		  "let on_disconnect of that volume be continue" },
		{ { STARTS, .waited = true, .bound = PRIMARY_BOUND_COLD },
		  "was not promoted, wanmirror open --alone" },
		{ { STARTS, .waited = true, .bound = PRIMARY_BOUND_COLD,
		    .refuses = true },
		  "mend what it names" },
		{ { STARTS, .waited = true, .intake_closed = true,
		    .bound = PRIMARY_BOUND_FUA },
		  "make room or memory" },
		{ { STARTS, .diverged = true, .bound = PRIMARY_BOUND_POLICY },
		  "nothing is served until you decide" },
		{ { STARTS, .diverged = true }, "decide which one to keep" },
		{ { PRIMARY(NETWORK), .diverged = true }, "decide which one to keep" },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(starts); i++) {
		struct policy_decision d = policy_decide(&starts[i].in);

		if (!strstr(d.remedy, starts[i].remedy))
			fail_msg("%u: %s; %s", i, d.why, d.remedy);
	}
}

/* What helps at one site is no help at the other, and what cannot be done is not said. */
static void the_remedy_is_for_this_site(void **state)
{
	static const struct {
		struct policy_inputs in;
		const char *has, *has_not;
	} remedies[] = {
		{ { PRIMARY(NETWORK), .failed = true },
		  "wanmirror promote there",
		  "lost" },
		{ { MIRROR, .failed = true }, "wanmirror create here", "promote" },
		{ { .role = GROUP_PRIMARY, .serving = true, .failed = true },
		  "restart this daemon",
		  "mirror" },
		{ { MIRROR }, "wanmirror promote here", "create" },
		{ { MIRROR, .unpaired = true }, "start the primary", "promote" },
		{ { PRIMARY(NETWORK), .fenced = true },
		  "wanmirror promote --force",
		  "lost" },
		{ { PRIMARY(NETWORK), .alone = true },
		  "wanmirror peer replace here",
		  "path" },
		{ { PRIMARY(NETWORK), .diverged = true },
		  "wanmirror peer replace at the one that you keep",
		  "nothing is served" },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(remedies); i++) {
		struct policy_decision d = policy_decide(&remedies[i].in);

		if (!strstr(d.remedy, remedies[i].has) ||
		    strstr(d.remedy, remedies[i].has_not))
			fail_msg("%u: %s; %s", i, d.why, d.remedy);
	}
}

/* Without it a mirror that knocks is refused, whatever the state says of paths and disks. */
static void a_forgotten_peer_is_named(void **state)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		struct policy_inputs in = rows[i].in;
		struct policy_decision d;

		in.forgotten = true;
		d = policy_decide(&in);
		assert_int_equal(d.state, rows[i].state);
		assert_int_equal(strstr(d.lack_remedy, "wanmirror peer replace") ||
					 (strstr(d.why, "the peer was forgotten") &&
					  strstr(d.remedy, "wanmirror peer replace")),
				 in.connects && !in.failed && !in.fenced);
		/* Once, and no mirror is to be started that there is not. */
		assert_false(d.lack[0] && strstr(d.why, "the peer was forgotten"));
		assert_false(in.serving && in.connects && !in.failed && !in.fenced &&
			     strstr(d.remedy, "start the mirror"));
	}
}

/* With hold = flush HOLDING is not each write: who looks reads which. */
static void holding_says_what_waits(void **state)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		const struct policy_inputs *in = &rows[i].in;
		struct policy_decision d = policy_decide(in);
		const char *some = policy_which_wait(in, d.state, GROUP_HOLD_FLUSH);

		assert_string_equal(policy_which_wait(in, d.state, GROUP_HOLD_WRITE), "");
		assert_int_equal(strstr(some, "other writes complete") != NULL,
				 d.state == GROUP_HOLDING && in->serving &&
					 d.effective != GROUP_LOCAL);
		assert_int_equal(strstr(some, "up to max_exposure") != NULL,
				 some[0] && in->exposure_bounded);
	}
}

static uint64_t draw(uint64_t *seed, unsigned below)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (*seed >> 33) % below;
}

static void draw_inputs(uint64_t *seed, struct policy_inputs *in)
{
	bool *flags[] = { &in->failed,	     &in->fenced,    &in->diverged,
			  &in->promoting,    &in->alone,     &in->connects,
			  &in->streaming,    &in->log_full,  &in->map_full,
			  &in->unpaired,     &in->forgotten, &in->serving,
			  &in->pulling,	     &in->waited,    &in->intake_closed,
			  &in->path_serves,  &in->timed_out, &in->caught_up,
			  &in->in_sync,	     &in->stuck,     &in->refuses,
			  &in->behind,	     &in->has_peer,  &in->exposure_bounded,
			  &in->requests_wait };

	*in = (struct policy_inputs){
		.role = draw(seed, 2) ? GROUP_PRIMARY : GROUP_MIRROR,
		.bound = (enum primary_bound)draw(seed, PRIMARY_BOUND_COLD + 1),
		.sync = (enum group_mode)draw(seed, 3),
		.on_disconnect = (enum group_disconnect)draw(seed, 2),
		.waiting =
			(enum policy_waiting)draw(seed, POLICY_WAITS_BY_VOLUME_MODE + 1),
	};
	/* Those that come first are rarely set: they hide the others. */
	for (unsigned i = 0; i < RT_ARRAY_LEN(flags); i++)
		*flags[i] = draw(seed, i < 4 ? 8 : 2) == 0;
}

static bool is_in_order(enum group_state state)
{
	return state == GROUP_STANDALONE || state == GROUP_IN_SYNC ||
	       state == GROUP_FOLLOWING;
}

/* Whatever it is that a group is in: who looks reads why, and what to do. */
static void each_state_has_a_reason_and_a_remedy(void **state)
{
	uint64_t seed = 20261130;
	unsigned seen = 0;

	for (unsigned i = 0; i < 300000; i++) {
		struct policy_inputs in;
		struct policy_decision d;

		draw_inputs(&seed, &in);
		d = policy_decide(&in);
		seen |= 1u << d.state;
		if (!d.why[0] != is_in_order(d.state) || !d.why[0] != !d.remedy[0] ||
		    !d.except[0] != !d.except_remedy[0] ||
		    !d.lack[0] != !d.lack_remedy[0])
			fail_msg("turn %u: %s: %s; %s", i, group_state_name(d.state),
				 d.why, d.remedy);
	}
	assert_int_equal(seen, (1u << (GROUP_FOLLOWING + 1)) - 1); /* each of them */
}

/* The one who is called at night goes to what is broken: a path, a disk, or neither. */
static void an_absent_mirror_has_the_remedy_of_its_fault(void **state)
{
	static const struct {
		bool stuck, refuses;
		const char *remedy;
	} faults[] = {
		{ false, false, "start the mirror, or mend the path" },
		{ true, false, "mend the disk of the mirror" },
		{ true, true, "mend the disk of the mirror" },
		{ false, true, "mend at the mirror what it names" },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(faults); i++)
		for (unsigned holds = 0; holds < 2; holds++) {
			const struct policy_inputs in = {
				PRIMARY(NETWORK),
				.timed_out = true,
				.stuck = faults[i].stuck,
				.refuses = faults[i].refuses,
				.on_disconnect = holds ? GROUP_STOP : GROUP_CONTINUE,
			};
			struct policy_decision d = policy_decide(&in);

			assert_int_equal(d.state, holds ? GROUP_HOLDING : GROUP_EXPOSED);
			if (strncmp(d.remedy, faults[i].remedy, strlen(faults[i].remedy)))
				fail_msg("%u: %s; %s", i, d.why, d.remedy);
		}
}

/*
 * EXPOSED is of the group's own mode, and DIVERGED says nothing of modes: whose writes hang
 * is said, and why.
 */
static void what_waits_is_named(void **state)
{
	static const struct {
		enum policy_waiting waiting;
		const char *why, *diverged, *remedy; /* part of each */
	} exceptions[] = {
		{ POLICY_NOTHING_WAITS, "", "", "" },
		{ POLICY_WAITS_FOR_TIMEOUT, "until it has timed out",
		  "until the mirror has timed out", "after `away`" },
		{ POLICY_WAITS_BY_FUA, "FLUSH and FUA wait for it",
		  "FLUSH and FUA wait for the mirror", "wanmirror set fua=mode" },
		{ POLICY_WAITS_BY_GROUP, "as on_disconnect is hold",
		  "as on_disconnect is hold", "wanmirror set on_disconnect=continue" },
		{ POLICY_WAITS_BY_VOLUME, "whose on_disconnect is hold",
		  "whose on_disconnect is hold",
		  "let on_disconnect of that volume be continue" },
		{ POLICY_WAITS_BY_VOLUME_MODE, "whose sync is remote",
		  "whose sync is remote",
		  "let on_disconnect of that volume be continue" },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(exceptions); i++) {
		struct policy_inputs in = { PRIMARY(NETWORK), .timed_out = true,
					    .waiting = exceptions[i].waiting };
		struct policy_decision d = policy_decide(&in);

		assert_int_equal(d.state, GROUP_EXPOSED);
		if (!strstr(d.except, exceptions[i].why) ||
		    !d.except[0] != !exceptions[i].why[0] ||
		    !d.except_remedy[0] != !d.except[0] ||
		    !strstr(d.except_remedy, exceptions[i].remedy))
			fail_msg("%u: %s; %s", i, d.except, d.except_remedy);
		in.diverged = true;
		d = policy_decide(&in);
		assert_int_equal(d.state, GROUP_DIVERGED);
		if (!strstr(d.except, exceptions[i].diverged) ||
		    !d.except[0] != !exceptions[i].why[0] ||
		    !strstr(d.except_remedy, exceptions[i].remedy))
			fail_msg("%u, diverged: %s; %s", i, d.except, d.except_remedy);
		in.serving = false; /* nothing is served: nothing waits */
		d = policy_decide(&in);
		assert_true(!d.except[0] && !d.except_remedy[0]);
		in.serving = in.path_serves = true; /* CATCHING_UP: they go on */
		in.diverged = false;
		d = policy_decide(&in);
		assert_true(!d.except[0] && !d.except_remedy[0]);
	}
}

/*
 * A lack changes no state; where nothing can be written anyway, or read, it is no news: a
 * start says itself that it cannot take back what the mirror holds.
 */
static void a_lack_is_beside_the_state(void **state)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		struct policy_inputs in = rows[i].in;
		struct policy_decision d = policy_decide(&in), full;
		bool starts = in.role == GROUP_PRIMARY && in.connects && !in.serving;
		bool told = !in.failed && !in.fenced && !starts;

		assert_true(!d.lack[0] && !d.lack_remedy[0]);
		in.log_full = true;
		full = policy_decide(&in);
		assert_int_equal(full.state, d.state);
		assert_int_equal(full.effective, d.effective);
		assert_string_equal(full.why, d.why);
		assert_int_equal(strstr(full.lack, "full") != NULL, told);
		assert_int_equal(full.lack_remedy[0] != 0, told);
		/* Each has its own name and remedy. */
		in.log_full = false;
		in.map_full = true;
		full = policy_decide(&in);
		assert_int_equal(full.state, d.state);
		assert_int_equal(strstr(full.lack, "map_memory") != NULL, told);
		assert_int_equal(strstr(full.lack_remedy, "raise map_memory") != NULL,
				 told);
	}
}

/* A late acknowledgement is no silence, unless nobody is connected. */
static void silent_without_a_proof_only(void **state)
{
	assert_false(policy_is_silent(true, false, POLICY_SILENT_NS));
	assert_true(policy_is_silent(true, false, POLICY_SILENT_NS + 1));
	assert_false(policy_is_silent(true, true, POLICY_SILENT_NS + 1));
	assert_true(policy_is_silent(false, false, 0));
	assert_false(policy_is_silent(false, true, POLICY_SILENT_NS + 1));
}

static void behind_by_seconds_and_back_by_half(void **state)
{
	assert_false(policy_is_behind(POLICY_BEHIND_NS, false));
	assert_true(policy_is_behind(POLICY_BEHIND_NS + 1, false));
	assert_true(policy_is_behind(POLICY_BEHIND_NS / 2 + 1, true));
	assert_false(policy_is_behind(POLICY_BEHIND_NS / 2, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_of_the_rule),
		cmocka_unit_test(a_start_names_its_remedy),
		cmocka_unit_test(the_remedy_is_for_this_site),
		cmocka_unit_test(a_forgotten_peer_is_named),
		cmocka_unit_test(holding_says_what_waits),
		cmocka_unit_test(each_state_has_a_reason_and_a_remedy),
		cmocka_unit_test(an_absent_mirror_has_the_remedy_of_its_fault),
		cmocka_unit_test(what_waits_is_named),
		cmocka_unit_test(a_lack_is_beside_the_state),
		cmocka_unit_test(silent_without_a_proof_only),
		cmocka_unit_test(behind_by_seconds_and_back_by_half),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
