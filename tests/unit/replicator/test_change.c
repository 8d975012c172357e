// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/talk.h"

#include "rt/check.h"

/*
 * A configuration that changes while the group runs: each key that may change is obeyed
 * from then on, and none is that may not.
 */

static int alone_up(void **state)
{
	site_set_up(state, GROUP_PRIMARY, true);
	SITE_UNTIL(site, group_serving(site->group));
	return 0;
}

static struct group_config *changed(void)
{
	struct group_config *c = malloc(sizeof(*c));

	assert_non_null(c);
	*c = site->config;
	c->sync = GROUP_REMOTE;
	c->hold = GROUP_HOLD_FLUSH;
	c->fua_remote = true;
	c->on_disconnect = GROUP_STOP;
	c->hold_timeout_ms = 11111;
	c->open_timeout_ms = 22222;
	c->control_timeout_ms = 33333;
	c->heartbeat_ms = 44;
	c->away_ms = 55555;
	c->exposure_ms = 66666;
	c->exposure_bytes = 77777;
	c->exposure_writes = 88888;
	c->peer.tcp = true;
	(void)snprintf(c->peer.congestion, sizeof(c->peer.congestion), "reno");
	c->peer.rate_auto = true;
	c->peer.rate_bps = 99999;
	c->peer.evidence = GROUP_EV_QUEUED;
	c->peer.fec.safety = 1e-3;
	c->volumes[0].sync = GROUP_NETWORK;
	c->volumes[1].sync = GROUP_REMOTE;
	c->volumes[1].has_on_disconnect = true;
	c->volumes[1].on_disconnect = GROUP_STOP;
	return c;
}

static void what_may_change_does(void **state)
{
	struct group *g = site->group;
	struct group_config *c = changed();

	group_change(g, c);
	assert_memory_equal(&g->config.volumes, &c->volumes, sizeof(c->volumes));
	assert_memory_equal(&g->config.peer, &c->peer, sizeof(c->peer));
	assert_memory_equal(&g->config, c, sizeof(*c));
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(g->volumes[i].sync, c->volumes[i].sync);
		assert_int_equal(g->volumes[i].has_policy,
				 c->volumes[i].has_on_disconnect);
		assert_int_equal(g->volumes[i].policy, c->volumes[i].on_disconnect);
	}
	free(c);
}

/* A volume that held goes on by the group's rule, and back. */
static void a_volume_may_change_its_mind(void **state)
{
	struct group *g = site->group;
	struct group_config *c = changed();

	group_change(g, c);
	c->volumes[1].on_disconnect = GROUP_CONTINUE;
	group_change(g, c);
	assert_true(g->volumes[1].has_policy);
	assert_int_equal(g->volumes[1].policy, GROUP_CONTINUE);
	c->volumes[1].has_on_disconnect = false;
	group_change(g, c);
	assert_false(g->volumes[1].has_policy);
	free(c);
}

static void what_may_not_change_stays(void **state)
{
	struct group *g = site->group;
	struct group_config *before = malloc(sizeof(*before)), *c = malloc(sizeof(*c));

	assert_true(before && c);
	*before = *c = g->config;
	(void)snprintf(c->name, sizeof(c->name), "other");
	(void)snprintf(c->store, sizeof(c->store), "/nowhere");
	c->store_size = c->map_memory = c->send_memory = c->checkpoint_bytes = 1;
	c->max_request = c->segment_size = 1;
	c->role = GROUP_MIRROR;
	c->has_peer = false;
	c->nvolumes = 1;
	c->volumes[0].size = 1;
	c->peer.dials = !c->peer.dials;
	c->peer.key[0] ^= 1;
	group_change(g, c);
	assert_memory_equal(&g->config, before, sizeof(*before));
	free(before);
	free(c);
}

/* ---- while requests hang ------------------------------------------------------------ */

static void holds(struct group_config *c)
{
	c->on_disconnect = GROUP_STOP;
}

static void goes_on(struct group_config *c)
{
	c->on_disconnect = GROUP_CONTINUE;
}

static void volume_holds(struct group_config *c)
{
	c->volumes[0].has_on_disconnect = true;
	c->volumes[0].on_disconnect = GROUP_STOP;
}

static void volume_goes_on(struct group_config *c)
{
	c->volumes[0].on_disconnect = GROUP_CONTINUE;
}

static void is_remote(struct group_config *c)
{
	c->volumes[0].sync = GROUP_REMOTE;
}

static void is_remote_by_default(struct group_config *c)
{
	is_remote(c);
	c->hold = GROUP_HOLD_BY_MODE;
}

static void is_network(struct group_config *c)
{
	c->volumes[0].sync = GROUP_NETWORK;
}

static void flush_is_remote(struct group_config *c)
{
	c->fua_remote = true;
}

static void flush_is_not(struct group_config *c)
{
	c->fua_remote = false;
}

static void holds_flushes_only(struct group_config *c)
{
	c->hold = GROUP_HOLD_FLUSH;
}

static unsigned in_gate(void)
{
	unsigned n = 0;

	for (unsigned q = 0; q < GATE_QUEUES; q++) {
		const struct rt_list *head = &site->group->gate.queue[q];

		for (const struct rt_list *at = head->next; at != head; at = at->next)
			n++;
	}
	return n;
}

/* The mirror is gone. `why` names the key: whoever changes it wants those that hang to go on. */
static void who_hangs_goes_on_by_the_new_rule(void **state)
{
	static const struct {
		enum group_request_kind kind;
		void (*before)(struct group_config *c);
		void (*after)(struct group_config *c);
	} rows[] = {
		{ GROUP_WRITE, holds, goes_on },
		{ GROUP_WRITE, volume_holds, volume_goes_on },
		{ GROUP_WRITE, is_remote, is_network },
		{ GROUP_WRITE, holds, holds_flushes_only },
		{ GROUP_WRITE, is_remote, is_remote_by_default },
		{ GROUP_FLUSH, flush_is_remote, flush_is_not },
		{ GROUP_FLUSH, holds, goes_on },
	};
	struct group_config *c = malloc(sizeof(*c));

	assert_non_null(c);
	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		struct group_request *r = request_new(rows[i].kind);

		*c = site->config;
		is_network(c);
		c->hold = GROUP_HOLD_WRITE;
		rows[i].before(c);
		group_change(site->group, c);
		r->flags = GROUP_CLIENT_FLUSHES;
		request_ended = NULL;
		group_submit(r);
		SITE_UNTIL(site,
			   in_gate() == 1 && lfs_lsn(site->group->lfs).written ==
						     lfs_lsn(site->group->lfs).admitted);
		assert_int_equal(gate_run(&site->group->gate), 0);
		rows[i].after(c);
		group_change(site->group, c);
		assert_null(request_ended); /* not from inside that call */
		SITE_UNTIL(site, request_ended == r);
		assert_int_equal(request_res, 0);
		request_free(r);
	}
	free(c);
}

/* ---- while it streams --------------------------------------------------------------- */

static void another_rate(struct group_config *c)
{
	c->peer.rate_bps /= 2;
}

static void another_goal(struct group_config *c)
{
	c->peer.fec.safety = 1e-3;
}

static void another_evidence(struct group_config *c)
{
	c->peer.evidence = GROUP_EV_QUEUED;
}

static void another_congestion(struct group_config *c)
{
	(void)snprintf(c->peer.congestion, sizeof(c->peer.congestion), "reno");
}

static void another_transport(struct group_config *c)
{
	c->peer.tcp = false;
}

/* What a running transport cannot change is obeyed by the next one, and at once. */
static void what_a_transport_cannot_change_ends_it(void **state)
{
	static const struct {
		void (*change)(struct group_config *c);
		bool ends;
	} rows[] = {
		{ another_rate, false },     { another_goal, false },
		{ another_evidence, true },  { another_congestion, true },
		{ another_transport, true },
	};
	struct session *s = site->group->session;
	struct group_config *c = malloc(sizeof(*c));

	assert_non_null(c);
	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		if (!data)
			stream();
		*c = site->group->config;
		rows[i].change(c);
		group_change(site->group, c);
		assert_int_equal(s->control.conn == NULL, rows[i].ends);
		if (!rows[i].ends)
			continue;
		conn_close(data);
		data = NULL;
	}
	free(c);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, alone_up, site_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_may_change_does),
		TEST(a_volume_may_change_its_mind),
		TEST(what_may_not_change_stays),
		TEST(who_hangs_goes_on_by_the_new_rule),
		cmocka_unit_test_setup_teardown(what_a_transport_cannot_change_ends_it,
						tcp_primary_up, tcp_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
