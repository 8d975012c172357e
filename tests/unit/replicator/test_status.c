// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/talk.h"

#include <errno.h>

#include "replicator/policy.h"
#include "replicator/tunnel/io.h"
#include "rt/check.h"

/* What a person reads of a group is the sum of all that it knows, wherever it is counted. */

static int primary_up(void **state)
{
	site_set_up(state, GROUP_PRIMARY, true);
	return 0;
}

static struct group_status *status(void)
{
	static struct group_status now;

	group_status(site->group, &now);
	return &now;
}

void __wrap_tunnel_io_stats(const struct tunnel_io *io, struct tunnel_io_stats *ret);

void __wrap_tunnel_io_stats(const struct tunnel_io *io, struct tunnel_io_stats *ret)
{
	*ret = (struct tunnel_io_stats){ .foreign = 3, .enobufs = 5, .errors = 7 };
}

/* Datagrams of no tunnel are counted by the socket, those of a tunnel by the transports. */
static void refused_datagrams_of_both_kinds_are_shown(void **state)
{
	site->group->session->counted.unauthentic = 4;
	assert_int_equal(status()->link.unauthentic, 4 + 3);
	assert_int_equal(status()->link.enobufs, 5);
	assert_int_equal(status()->link.send_errors, 7);
}

/* ---- without its mirror ------------------------------------------------------------------------- */

static void network(struct group_config *config)
{
	config->sync = GROUP_NETWORK;
	for (unsigned i = 0; i < config->nvolumes; i++)
		config->volumes[i].sync = GROUP_NETWORK;
}

static int exposed_up(void **state)
{
	site_tweak = network;
	site_set_up(state, GROUP_PRIMARY, true);
	SITE_UNTIL(site, status()->state == GROUP_EXPOSED);
	return 0;
}

static int tear_down(void **state)
{
	site_tweak = NULL;
	return site_tear_down(state);
}

/* What the file says from now on, of the group and of its second volume. */
struct exposed {
	bool fua_remote;
	enum group_mode group_sync;
	enum group_disconnect on_disconnect;
	enum group_mode sync;
	int own; /* on_disconnect of the volume; -1: the group's */
	enum group_hold hold;
	const char *why; /* part of it; "": all writes complete */
	enum group_mode effective;
	const char *diverged; /* part of it, too, where that is the state */
};

static const struct exposed exposed[] = {
	{ false, GROUP_NETWORK, GROUP_CONTINUE, GROUP_NETWORK, -1, GROUP_HOLD_WRITE, "",
	  GROUP_LOCAL, "" },
	{ true, GROUP_NETWORK, GROUP_CONTINUE, GROUP_NETWORK, -1, GROUP_HOLD_WRITE,
	  "but FLUSH and FUA wait for it, as fua is remote; start the mirror",
	  GROUP_LOCAL,
	  "and FLUSH and FUA wait for the mirror, as fua is remote; decide" },
	{ false, GROUP_NETWORK, GROUP_CONTINUE, GROUP_REMOTE, -1, GROUP_HOLD_WRITE,
	  "but those of a volume wait for it, whose sync is remote; start", GROUP_REMOTE,
	  "and writes of a volume whose sync is remote wait for the mirror; decide" },
	/* Only its FLUSHes wait: that is enough. */
	{ false, GROUP_NETWORK, GROUP_CONTINUE, GROUP_REMOTE, -1, GROUP_HOLD_FLUSH,
	  "whose sync is remote", GROUP_REMOTE, "whose sync is remote" },
	{ false, GROUP_NETWORK, GROUP_CONTINUE, GROUP_REMOTE, GROUP_CONTINUE,
	  GROUP_HOLD_WRITE, "", GROUP_LOCAL, "" },
	{ false, GROUP_NETWORK, GROUP_CONTINUE, GROUP_NETWORK, GROUP_STOP,
	  GROUP_HOLD_WRITE, "whose on_disconnect is hold", GROUP_NETWORK,
	  "whose on_disconnect is hold" },
	{ false, GROUP_NETWORK, GROUP_CONTINUE, GROUP_LOCAL, GROUP_STOP, GROUP_HOLD_WRITE,
	  "", GROUP_LOCAL, "" },
	{ false, GROUP_LOCAL, GROUP_STOP, GROUP_NETWORK, -1, GROUP_HOLD_WRITE,
	  "as on_disconnect is hold", GROUP_NETWORK, "as on_disconnect is hold" },
};

static void show_what_waits(enum group_state in_state)
{
	struct group_config *c = malloc(sizeof(*c));

	assert_non_null(c);
	for (size_t i = 0; i < RT_ARRAY_LEN(exposed); i++) {
		const struct exposed *e = &exposed[i];
		const char *why = in_state == GROUP_EXPOSED ? e->why : e->diverged;
		struct group_volume_config *v = &c->volumes[1];

		*c = site->config;
		c->fua_remote = e->fua_remote;
		c->sync = e->group_sync;
		c->on_disconnect = e->on_disconnect;
		c->hold = e->hold;
		c->volumes[0].sync = e->group_sync;
		v->sync = e->sync;
		v->has_on_disconnect = e->own >= 0;
		if (e->own >= 0)
			v->on_disconnect = (enum group_disconnect)e->own;
		group_change(site->group, c);
		assert_int_equal(status()->state, in_state);
		if (!strstr(status()->why, why) ||
		    !why[0] != !strstr(status()->why, "wait"))
			fail_msg("%zu: %s", i, status()->why);
		assert_int_equal(status()->volumes[0].sync_effective, GROUP_LOCAL);
		assert_int_equal(status()->volumes[1].sync_effective, e->effective);
		assert_int_equal(status()->volumes[1].sync, e->sync);
	}
	free(c);
}

/* `EXPOSED: writes complete` is no comfort to who watches the volume that hangs. */
static void a_volume_that_waits_in_exposed_is_shown(void **state)
{
	show_what_waits(GROUP_EXPOSED);
}

/* Nor is it that two histories differ. */
static void a_volume_that_waits_in_diverged_is_shown(void **state)
{
	group_set_standing(site->group, GROUP_STANDING_DIVERGED);
	group_wake(site->group);
	SITE_UNTIL(site, status()->state == GROUP_DIVERGED);
	show_what_waits(GROUP_DIVERGED);
}

/* What the mirror lacks of an earlier start is in the log, with its time. */
static void exposure_is_no_false_zero_after_a_restart(void **state)
{
	double since = (double)site_wall_ns(1) / RT_S;

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(status()->exposure.writes, SITE_LSNS + i);
		SITE_UNTIL(site, status()->exposure.bytes != GROUP_NOT_KNOWN);
		assert_int_equal(status()->exposure.bytes, (SITE_LSNS + i) * LFS_BLOCK);
		assert_true(status()->exposure.seconds <=
			    (double)rt_wall_ns(site->loop) / RT_S - since + 1);
		assert_true(status()->exposure.seconds >=
			    (double)rt_wall_ns(site->loop) / RT_S - since - 1);
		assert_true(status()->exposure.probability == 1);
		if (i == 0)
			assert_int_equal(request_once(GROUP_WRITE, 0), 0);
	}
}

static void network_or_nothing(struct group_config *config)
{
	network(config);
	config->on_disconnect = GROUP_STOP;
}

static int holding_up(void **state)
{
	site_tweak = network_or_nothing;
	site_set_up(state, GROUP_PRIMARY, true);
	SITE_UNTIL(site, status()->state == GROUP_HOLDING);
	return 0;
}

static void exposure_is_not_known_before_it_serves(void **state)
{
	assert_false(group_serving(site->group));
	assert_true(status()->exposure.writes == GROUP_NOT_KNOWN);
	assert_true(status()->exposure.bytes == GROUP_NOT_KNOWN);
	assert_true(status()->exposure.seconds == -1);
	assert_true(status()->exposure.probability == 1);
}

static void a_flush_that_waits_is_counted(void **state)
{
	struct group_request *flush = request_new(GROUP_FLUSH);
	struct group_config *c = malloc(sizeof(*c));

	assert_non_null(c);
	*c = site->config;
	c->fua_remote = true;
	group_change(site->group, c);
	free(c);
	request_ended = NULL;
	group_submit(flush);
	assert_int_equal(status()->volumes[0].waiting_flushes, 1);
	assert_int_equal(status()->volumes[0].waiting, 0);
	assert_int_equal(status()->volumes[1].waiting_flushes, 0);
	assert_int_equal(gate_fail(&site->group->gate, -EIO), 1);
	assert_true(request_ended == flush && request_res == -EIO);
	assert_int_equal(status()->volumes[0].waiting_flushes, 0);
	request_free(flush);
}

/* ---- a mirror that vanishes without a word ------------------------------------------------------ */

static void local_volumes_over_tcp(struct group_config *config)
{
	tcp_peer(config);
	config->sync = GROUP_NETWORK;
	config->on_disconnect = GROUP_STOP;
}

static int in_sync_up(void **state)
{
	site_tweak = local_volumes_over_tcp;
	site_set_up(state, GROUP_PRIMARY, true);
	stream();
	SITE_UNTIL(site, status()->state == GROUP_IN_SYNC);
	return 0;
}

/* What has completed counts as on the wire, as over datagrams. */
static bool proof_is_over(void)
{
	struct group *g = site->group;
	bool proven = session_path_proven(g->session);

	g->gate.marks.onwire = lfs_lsn(g->lfs).admitted;
	assert_true(status()->exposure.probability == (proven ? 0 : 1));
	return !proven;
}

/* Its connection stands, and `away` is far: only the proof of the path has ended. */
static void a_mirror_that_vanishes_is_not_called_safe(void **state)
{
	assert_int_equal(request_once(GROUP_WRITE, 0), 0);
	SITE_UNTIL(site, frames_received == 1);
	SITE_UNTIL(site, proof_is_over());
	SITE_UNTIL(site, status()->state == GROUP_HOLDING);
	assert_non_null(site->group->session->control.conn);
	assert_false(status()->link.connected);
	assert_non_null(strstr(status()->why, "is silent, but not yet for as long"));
	progress(1, SITE_LSNS + 1);
	SITE_UNTIL(site, status()->state == GROUP_IN_SYNC);
	assert_true(status()->link.connected);
	assert_true(status()->exposure.probability == 0);
}

/* Nothing is at stake, and nobody waits. */
static void an_idle_path_that_is_not_proven_is_in_order(void **state)
{
	SITE_UNTIL(site, !session_path_proven(site->group->session));
	SITE_UNTIL(site, peer_watch_unproven_ns(&site->group->watch, rt_now(site->loop)) >
				 2 * POLICY_SILENT_NS);
	assert_int_equal(status()->state, GROUP_IN_SYNC);
	assert_true(status()->exposure.probability == 0);
}

/* ---- a mirror that its primary left ------------------------------------------------------------- */

static int mirror_up(void **state)
{
	site_set_up(state, GROUP_MIRROR, true);
	return 0;
}

/* How old an image is, a mirror has on its disk: it was started, and received nothing. */
static void the_age_of_an_image_survives_a_restart(void **state)
{
	for (unsigned restarts = 0; restarts < 3; restarts++) {
		assert_int_equal(status()->recovery.lsn, SITE_LSNS);
		assert_true(status()->recovery.admitted_at ==
			    (double)site_wall_ns(SITE_LSNS) / RT_S);
		assert_true(status()->recovery.age_s > 1e7);
		site_stop();
		if (restarts == 1)
			site_crash(true);
		site_open();
	}
}

/* The data path outlives the connection; but who is received no more is not followed. */
static void a_primary_that_is_gone_is_not_followed(void **state)
{
	converse("HS");
	SITE_UNTIL(site, status()->state == GROUP_FOLLOWING);
	assert_true(status()->link.connected);
	assert_string_equal(status()->why, "");
	conn_close(site->conn);
	site->conn = NULL;
	SITE_UNTIL(site, status()->state == GROUP_LISTENING);
	assert_int_equal(site->group->session->state, SESSION_DATA_ONLY);
	/* Sooner than beside a connection that lives. */
	assert_true(status()->last_received_s * 1000 < (double)site->config.away_ms);
	assert_false(status()->link.connected);
	assert_non_null(strstr(status()->why, "start the primary, or mend the path"));
	/* What arrives all the same is followed. */
	peer_watch_primary_rx(&site->group->watch, true,
			      rt_time_add(rt_now(site->loop), RT_S));
	SITE_UNTIL(site, status()->state == GROUP_FOLLOWING);
	assert_true(status()->link.connected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_volume_that_waits_in_exposed_is_shown,
						exposed_up, tear_down),
		cmocka_unit_test_setup_teardown(a_volume_that_waits_in_diverged_is_shown,
						exposed_up, tear_down),
		cmocka_unit_test_setup_teardown(a_mirror_that_vanishes_is_not_called_safe,
						in_sync_up, tcp_tear_down),
		cmocka_unit_test_setup_teardown(
			an_idle_path_that_is_not_proven_is_in_order, in_sync_up,
			tcp_tear_down),
		cmocka_unit_test_setup_teardown(a_primary_that_is_gone_is_not_followed,
						mirror_up, site_tear_down),
		cmocka_unit_test_setup_teardown(a_flush_that_waits_is_counted, exposed_up,
						tear_down),
		cmocka_unit_test_setup_teardown(exposure_is_no_false_zero_after_a_restart,
						exposed_up, tear_down),
		cmocka_unit_test_setup_teardown(the_age_of_an_image_survives_a_restart,
						mirror_up, tear_down),
		cmocka_unit_test_setup_teardown(exposure_is_not_known_before_it_serves,
						holding_up, tear_down),
		cmocka_unit_test_setup_teardown(refused_datagrams_of_both_kinds_are_shown,
						primary_up, site_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
