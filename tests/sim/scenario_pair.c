// SPDX-License-Identifier: BSD-3-Clause
#include <stddef.h>

#include "rt/check.h"
#include "tests/sim/pair.h"

/*
 * Two sites under load, crashes of either or both, cut lines, and at last a disaster or a
 * quiet end. Protects: what a completion promises in each mode, at both sites; that the
 * mirror is a prefix whenever one looks; that the primary comes back with what it must,
 * its own or the mirror's; that everything finishes when faults stop.
 */

static void let_it_run(struct pair *p)
{
	unsigned changes =
		sim_chance(p->rng, 0.3) ? (unsigned)sim_between(p->rng, 1, 3) : 0;

	p->budget = sim_skewed(p->rng, 10, 1500);
	pair_load(p, true);
	while (changes-- > 0) {
		(void)sim_run_for(p->w, (int64_t)sim_skewed(p->rng, 1, 300) * RT_MS);
		pair_change(p);
	}
	(void)sim_run_for(p->w, (int64_t)sim_skewed(p->rng, 1, 1000) * RT_MS);
}

static bool site0_serving(void *arg)
{
	struct pair *p = arg;

	return p->site[0].serving || !sim_node_up(p->site[0].node);
}

static enum sim_crash draw_crash(struct pair *p)
{
	return sim_chance(p->rng, 0.5) ? SIM_KILL : SIM_POWER;
}

static bool site_is_over(void *arg)
{
	return !sim_node_up(((struct site *)arg)->node);
}

/* The mirror on its own: whatever it shows is a prefix that contains what it confirmed. */
static void check_mirror(struct pair *p)
{
	struct group_status status;

	pair_status(p, 1, &status);
	(void)pair_image(p, 1, p->promises.remote, status.lsn.admitted, "the mirror");
}

/*
 * Open a site, and mostly let it die at a completion on the way, up to three times, before
 * it may live. Returns the worst of these deaths.
 */
static enum sim_crash open_dying(struct pair *p, unsigned i, enum sim_crash worst)
{
	struct sim_node *node = p->site[i].node;

	for (unsigned deep = (unsigned)sim_below(p->rng, 4); deep > 0; deep--) {
		bool disk = sim_chance(p->rng, 0.5);
		enum sim_crash kind = draw_crash(p);

		sim_node_crash_after(node, kind, disk ? SIM_ON_DISK : SIM_ON_ANY,
				     disk ? sim_between(p->rng, 1, 25)
					  : sim_skewed(p->rng, 1, 300));
		pair_start(p, i);
		if (sim_node_up(
			    node)) /* it may still ask the mirror, or take data back */
			(void)sim_run_until(p->w, site_is_over, &p->site[i],
					    (int64_t)sim_skewed(p->rng, 1, 300) * RT_MS);
		sim_node_crash_after(node, kind, SIM_ON_ANY, 0);
		pair_crash(p, i, kind);
		worst = kind == SIM_POWER ? kind : worst;
	}
	pair_start(p, i);
	return worst;
}

static void restart_primary(struct pair *p, enum sim_crash kind)
{
	kind = open_dying(p, 0, kind);
	sim_require(sim_run_until(p->w, site0_serving, p, 120 * RT_S),
		    "the primary does not serve again");
	pair_check_reopened(p, kind);
}

/* Whether a primary of this group may open without asking the mirror. */
static bool may_open_apart(const struct pair *p)
{
	const struct group_config *c = &p->site[0].config;

	return !c->fua_remote && c->on_disconnect == GROUP_CONTINUE &&
	       c->volumes[2].sync != GROUP_REMOTE;
}

/*
 * The primary loses its power and opens without the mirror. What only the mirror has is
 * then a surplus, which it keeps and which nobody mixes with what is new; without one
 * everything goes on. False when the pair has parted for good.
 */
static bool crash_apart(struct pair *p)
{
	struct group_status before, after, primary;

	sim_net_cut_both(p->site[0].node, p->site[1].node, true);
	pair_crash(p, 0, SIM_POWER);
	(void)sim_run_for(p->w, 3 * RT_S);
	check_mirror(p);
	pair_status(p, 1, &before);
	restart_primary(p, SIM_POWER);
	pair_status(p, 0, &primary);
	let_it_run(p);
	sim_net_mend(p->site[0].node, p->site[1].node);
	if (before.lsn.admitted <= primary.lsn.admitted)
		return true;
	(void)sim_run_for(p->w, 20 * RT_S);
	pair_status(p, 0, &primary);
	pair_status(p, 1, &after);
	sim_require(
		after.lsn.admitted == before.lsn.admitted &&
			primary.state != GROUP_IN_SYNC && after.why[0] && primary.why[0],
		"a mirror with a surplus was not left alone: nyc %s, lon %llu then %llu",
		group_state_name(primary.state), (unsigned long long)before.lsn.admitted,
		(unsigned long long)after.lsn.admitted);
	return false;
}

static void crash_primary(struct pair *p)
{
	enum sim_crash kind = draw_crash(p);

	pair_crash(p, 0, kind);
	if (sim_chance(p->rng, 0.5)) { /* what was in the line has arrived: look */
		(void)sim_run_for(p->w, (int64_t)sim_between(p->rng, 2000, 8000) * RT_MS);
		check_mirror(p);
	} else {
		(void)sim_run_for(p->w, (int64_t)sim_skewed(p->rng, 1, 500) * RT_MS);
	}
	restart_primary(p, kind);
}

static void crash_mirror(struct pair *p)
{
	pair_crash(p, 1, draw_crash(p));
	(void)sim_run_for(p->w, (int64_t)sim_skewed(p->rng, 1, 8000) * RT_MS);
	if (sim_chance(p->rng, 0.5)) { /* it dies as it says hello, or takes new writes */
		(void)open_dying(p, 1, SIM_KILL);
		pair_crash(p, 1, draw_crash(p));
	}
	sim_net_cut_both(p->site[0].node, p->site[1].node, true);
	(void)open_dying(p, 1, SIM_KILL);
	check_mirror(p); /* before anything new arrives */
	sim_net_mend(p->site[0].node, p->site[1].node);
}

static void crash_both(struct pair *p)
{
	enum sim_crash kind = draw_crash(p);

	pair_crash(p, 0, kind);
	pair_crash(p, 1, draw_crash(p));
	(void)open_dying(p, 1, SIM_KILL);
	check_mirror(p);
	restart_primary(p, kind);
}

static void cut_line(struct pair *p)
{
	struct sim_node *a = p->site[0].node, *b = p->site[1].node;

	switch (sim_below(p->rng, 4)) {
	case 0:
		sim_net_cut(a, b, sim_chance(p->rng, 0.5));
		break;
	case 1:
		sim_net_cut(b, a, sim_chance(p->rng, 0.5));
		break;
	case 2:
		sim_net_cut_both(a, b, true);
		break;
	default:
		sim_net_swallow_datagrams(a, b, true);
		break;
	}
	(void)sim_run_for(p->w, (int64_t)sim_skewed(p->rng, 1, 20000) * RT_MS);
	sim_net_swallow_datagrams(a, b, false);
	sim_net_mend(a, b);
	if (sim_chance(p->rng, 0.3))
		sim_net_reset(a, b);
}

static void clean_restart(struct pair *p)
{
	pair_load(p, false);
	pair_stop(p, 0);
	pair_start(p, 0);
	sim_require(sim_run_until(p->w, site0_serving, p, 120 * RT_S),
		    "the primary does not serve after a clean stop");
	pair_check_reopened(p, SIM_KILL);
}

static bool mirror_has_all(void *arg)
{
	struct pair *p = arg;
	struct group_status a, b;

	pair_status(p, 0, &a);
	pair_status(p, 1, &b);
	return a.lsn.persisted == a.lsn.admitted && b.lsn.durable == a.lsn.admitted;
}

static void quiet_end(struct pair *p)
{
	struct group_status a, b;

	pair_load(p, false);
	sim_require(sim_run_until(p->w, pair_idle, p, 120 * RT_S),
		    "requests do not complete after the faults have stopped");
	pair_wait_in_sync(p);
	/* What local volumes wrote may still be in the log: TCP that loses is slow. */
	(void)sim_run_until(p->w, mirror_has_all, p,
			    p->site[0].config.peer.tcp ? 120 * RT_S : 5 * RT_S);
	pair_status(p, 0, &a);
	pair_status(p, 1, &b);
	sim_require(a.lsn.persisted == a.lsn.admitted && b.lsn.durable == a.lsn.admitted,
		    "idle, but the mirror persists %llu of %llu",
		    (unsigned long long)a.lsn.persisted,
		    (unsigned long long)a.lsn.admitted);
	site_at_rest(&p->site[0]);
	site_at_rest(&p->site[1]);
	(void)pair_image(p, 0, a.lsn.admitted, a.lsn.admitted, "at the end");
	(void)pair_image(p, 1, a.lsn.admitted, a.lsn.admitted, "at the end");
	pair_stop(p, 0);
	pair_stop(p, 1);
}

/* The old primary comes back and finds that it has been superseded. */
static void old_primary_returns(struct pair *p, enum sim_crash kind)
{
	enum group_state state;

	(void)kind;
	sim_net_mend(p->site[0].node, p->site[1].node);
	pair_start(p, 0);
	(void)sim_run_for(p->w, 30 * RT_S);
	state = pair_state(p, 0);
	sim_require(state == GROUP_FENCED || state == GROUP_DIVERGED,
		    "two primaries: nyc is %s", group_state_name(state));
	sim_require(state != GROUP_FENCED || p->site[0].serving,
		    "fenced while it opened, nyc serves no reads");
	sim_require(pair_state(p, 1) == GROUP_EXPOSED ||
			    pair_state(p, 1) == GROUP_DIVERGED,
		    "lon is %s after its promotion", group_state_name(pair_state(p, 1)));
}

/*
 * What completes in `network` is safe from what the line was said to lose. Who has said that
 * it takes ten times its rate loses what its queue drops, too; TCP sends that again, if it
 * was TCP all the time.
 */
static bool line_as_said(const struct pair *p, uint64_t dropped_before)
{
	struct sim_net_stats line;

	sim_net_stats(p->site[0].node, p->site[1].node, &line);
	return p->tcp_only || (p->line_loss <= 0.011 && line.dropped == dropped_before);
}

static void disaster(struct pair *p)
{
	enum sim_crash kind = draw_crash(p);
	struct sim_node *a = p->site[0].node, *b = p->site[1].node;
	struct sim_net_stats before;

	/* The last fault has been noticed and made good: the next one stands alone. */
	(void)sim_run_for(p->w, 7 * RT_S);
	pair_wait_in_sync(p);
	sim_net_stats(a, b, &before);
	p->tcp_only = p->site[0].config.peer.tcp;
	let_it_run(p);
	pair_crash(p, 0, kind);
	sim_net_cut_both(a, b, false);
	(void)sim_run_for(p->w,
			  2 * RT_S); /* what is in the line arrives, or was drawn lost */
	pair_promote(p, line_as_said(p, before.dropped));
	if (sim_chance(p->rng, 0.5))
		old_primary_returns(p, kind);
}

static void pair_run(struct sim_world *w)
{
	struct pair *p = pair_new(w);
	unsigned rounds = (unsigned)sim_between(sim_rng(w), 1, 5);

	pair_create(p);
	pair_start(p, 1);
	pair_start(p, 0);
	sim_require(sim_run_until(w, site0_serving, p, 120 * RT_S),
		    "the primary never serves");
	while (rounds-- > 0) {
		let_it_run(p);
		switch (sim_below(p->rng, 7)) {
		case 6:
			if (may_open_apart(p) && !crash_apart(p)) {
				pair_free(p);
				return;
			}
			break;
		case 0:
			crash_mirror(p);
			break;
		case 1:
			cut_line(p);
			break;
		case 2:
			crash_both(p);
			break;
		case 3:
			clean_restart(p);
			break;
		default:
			crash_primary(p);
			break;
		}
	}
	let_it_run(p);
	if (sim_chance(p->rng, 0.5))
		disaster(p);
	else
		quiet_end(p);
	pair_free(p);
}

static const char *const pair_bugs[] = {
	"LSN_TWICE",
	"ACK_BEFORE_WRITTEN",
	"APPLY_OUT_OF_ORDER",
	"SKIP_PULL_BACK",
	"EPOCH_NOT_FLUSHED",
	"NEVER_FLUSHED_FORGOTTEN",
	NULL,
};

SIM_SCENARIO(pair, "two sites, crashes, cuts, promotion", pair_run, pair_bugs)
