// SPDX-License-Identifier: BSD-3-Clause
#include <stddef.h>
#include <string.h>

#include "replicator/group_private.h"
#include "replicator/session.h"
#include "rt/check.h"
#include "tests/sim/sites.h"

/*
 * Three machines and one group: stores are copied, put back as they once were, and started
 * beside the original; sites crash, stop, part and are promoted, and clients write wherever
 * they may. Protects: an LSN has one content in one epoch, an epoch has one writer, every
 * branch is complete, and what was acknowledged is on the branch that it was acknowledged on;
 * a mirror says when its image was admitted, whichever way it took there;
 * a store follows the one that it is paired with, and a copy that is started beside a pair
 * that works changes nothing for it.
 */
#define SITES 3

struct copies {
	struct sites *a;
	struct sim_rng *rng;
	struct sites_copy copy;
	bool has_copy;
};

static void let_it_run(struct copies *c, uint64_t most_ms)
{
	for (unsigned i = 0; i < SITES; i++)
		sites_load(c->a, i, sim_skewed(c->rng, 1, 400));
	sites_run_for(c->a, (int64_t)sim_skewed(c->rng, 1, most_ms) * RT_MS);
}

static enum sim_crash draw_crash(struct copies *c)
{
	return sim_chance(c->rng, 0.5) ? SIM_KILL : SIM_POWER;
}

static void down(struct copies *c, unsigned i)
{
	if (!sites_up(c->a, i))
		return;
	if (sim_chance(c->rng, 0.4))
		sites_stop(c->a, i);
	else
		sites_crash(c->a, i, draw_crash(c));
}

static bool has_store(const struct copies *c, unsigned i)
{
	return sim_disk_exists(sim_disk(c->a->side[i].site.node, SITE_STORE));
}

static void restart(struct copies *c, unsigned i)
{
	down(c, i);
	if (sim_chance(c->rng, 0.5))
		let_it_run(c, 3000);
	if (has_store(c, i))
		sites_start(c->a, i);
}

/* Somebody restarts it all day, and its mirror is away: that leaves nothing behind. */
static void restart_loop(struct copies *c, unsigned i)
{
	struct sim_node *node = c->a->side[i].site.node;
	unsigned first = 0;

	if (!sites_up(c->a, i))
		return;
	for (unsigned k = 0; k < SITES; k++) {
		sites_load(c->a, k, 0);
		if (k != i)
			sim_net_cut_both(node, c->a->side[k].site.node, true);
	}
	for (unsigned n = 0; n < 4; n++) {
		if (n == 0 && sim_chance(c->rng, 0.5)) /* what it lost stays lost */
			sites_crash(c->a, i, SIM_POWER);
		else
			down(c, i);
		sites_start(c->a, i);
		sites_run_for(c->a, 4 * RT_S);
		if (n == 0) /* that one may follow an epoch that START has named */
			first = sites_epochs(c->a, i);
	}
	sim_require(sites_epochs(c->a, i) <= first,
		    "restarts without a write make %u epochs of %u",
		    sites_epochs(c->a, i), first);
	for (unsigned k = 0; k < SITES; k++)
		if (k != i)
			sim_net_mend(node, c->a->side[k].site.node);
}

static void copy(struct copies *c, unsigned i)
{
	if (!has_store(c, i))
		return;
	sites_copy(c->a, i, &c->copy);
	c->has_copy = true;
}

/* A pair that works, and the third machine. */
struct beside {
	unsigned one, other;
	bool works;
};

static void find_beside(const struct copies *c, unsigned i, struct beside *ret)
{
	int with;

	*ret = (struct beside){ .works = false };
	for (unsigned k = 0; k < SITES && !ret->works; k++) {
		with = sites_streams_with(c->a, k);
		if (k == i || with < 0 || (unsigned)with == i ||
		    sites_streams_with(c->a, (unsigned)with) != (int)k)
			continue;
		*ret = (struct beside){ k, (unsigned)with, true };
	}
}

/* Whatever was started beside it, it works as before. */
static void require_beside(const struct copies *c, const struct beside *b, unsigned i)
{
	const struct sites *a = c->a;

	if (!b->works)
		return;
	sim_require(sites_streams_with(a, b->one) == (int)b->other &&
			    sites_streams_with(a, b->other) == (int)b->one,
		    "a copy was started at %s, and %s has lost %s",
		    sim_node_name(a->side[i].site.node),
		    sim_node_name(a->side[b->one].site.node),
		    sim_node_name(a->side[b->other].site.node));
	for (unsigned k = 0; k < SITES; k++)
		sim_require((k != b->one && k != b->other) ||
				    a->side[k].site.group->standing ==
					    GROUP_STANDING_GOOD,
			    "a copy was started at %s, and %s is fenced",
			    sim_node_name(a->side[i].site.node),
			    sim_node_name(a->side[k].site.node));
}

/* A primary whose mirror has refused it as a copy serves nobody, however long it waits. */
static void require_refused(const struct copies *c, unsigned i)
{
	const struct group *g = c->a->side[i].site.group;

	sim_require(!sites_up(c->a, i) || !g->session || g->role != GROUP_PRIMARY ||
			    !strstr(g->session->peer_refusal, "a copy of this store") ||
			    !group_serving(g) || group_is_fenced(g),
		    "%s is refused as a copy, and serves",
		    sim_node_name(c->a->side[i].site.node));
}

static void put_back(struct copies *c, unsigned i)
{
	struct beside beside;

	if (!c->has_copy)
		return;
	down(c, i);
	find_beside(c, i, &beside);
	sites_put(c->a, i, &c->copy);
	sites_start(c->a, i);
	let_it_run(c, 8000);
	require_beside(c, &beside, i);
	require_refused(c, i);
}

/* The machine of a primary is cloned while it is down for a moment, and the clone started at once. */
static void clone(struct copies *c, unsigned i)
{
	struct beside beside;
	unsigned primary;

	find_beside(c, i, &beside);
	if (!beside.works)
		return;
	primary = c->a->side[beside.one].site.group->role == GROUP_PRIMARY ? beside.one
									   : beside.other;
	down(c, primary);
	copy(c, primary);
	sites_start(c->a, primary);
	for (unsigned n = 0; n < 40 && sites_streams_with(c->a, primary) < 0; n++)
		sites_run_for(c->a, 100 * RT_MS);
	put_back(c, i);
	sites_run_for(c->a, 5 * RT_S); /* longer than open_timeout */
	require_refused(c, i);
}

static void renew(struct copies *c, unsigned i)
{
	if (c->a->side[i].site.config.role != GROUP_MIRROR || !has_store(c, i))
		return;
	down(c, i);
	sites_renew(c->a, i);
	sites_start(c->a, i);
}

static void replace_peer(struct copies *c, unsigned i)
{
	if (sites_up(c->a, i))
		sites_replace_peer(c->a, i);
}

static void cut(struct copies *c)
{
	struct sim_node *x = c->a->side[sim_below(c->rng, SITES)].site.node;
	struct sim_node *y = c->a->side[sim_below(c->rng, SITES)].site.node;

	if (x == y)
		return;
	sim_net_cut_both(x, y, sim_chance(c->rng, 0.5));
	let_it_run(c, 10000);
	sim_net_mend(x, y);
}

static void promote(struct copies *c, unsigned i)
{
	if (sim_chance(c->rng, 0.3))
		let_it_run(c, 30000);
	if (sites_up(c->a, i))
		sites_promote(c->a, i, sim_chance(c->rng, 0.5));
}

/*
 * A mirror is promoted, and then put back to what it was: its primary is fenced, and dials.
 * That is nobody who could be replaced.
 */
static void promote_beside_fenced(struct copies *c, unsigned i)
{
	int with = sites_streams_with(c->a, i);

	if (with < 0 || c->a->side[i].site.group->role != GROUP_MIRROR)
		return;
	copy(c, i);
	sites_promote(c->a, i, true);
	let_it_run(c, 10000);
	put_back(c, i);
	c->has_copy = false; /* of what is in use again */
	let_it_run(c, 30000);
	if (sites_up(c->a, i))
		sites_promote(c->a, i, false);
}

static bool others_are_down(const struct copies *c, unsigned i, unsigned k)
{
	for (unsigned n = 0; n < SITES; n++)
		if (n != i && n != k && sites_up(c->a, n))
			return false;
	return true;
}

/*
 * A mirror is promoted, and that is undone: before anybody writes, or too late. Its primary
 * may have been fenced meanwhile, and goes on.
 */
static void promote_and_undo(struct copies *c, unsigned i)
{
	struct sites_side *side = &c->a->side[i];
	int with = sites_streams_with(c->a, i);
	const struct tree_node *tip;
	bool cut = sim_chance(c->rng, 0.3), late = sim_chance(c->rng, 0.2);

	if (with < 0 || side->site.group->role != GROUP_MIRROR)
		return;
	if (cut)
		sim_net_cut_both(side->site.node, c->a->side[with].site.node, true);
	sites_load(c->a, i, 0);
	sites_promote(c->a, i, true);
	tip = side->tip;
	if (late)
		sites_load(c->a, i, 100);
	sites_run_for(c->a, (int64_t)sim_skewed(c->rng, 1, 8000) * RT_MS);
	if (sim_chance(c->rng, 0.3))
		restart(c, i);
	sites_load(c->a, i, 0);
	sites_run_for(c->a, 4 * RT_S); /* it opens, alone by record */
	sim_require(site_undo(&side->site) != 0 || side->tip == tip,
		    "a promotion is undone, and %llu LSNs with it",
		    (unsigned long long)(side->tip->lsn - tip->lsn));
	sim_require(side->site.promote_res == 0 || side->tip != tip ||
			    sites_streams_with(c->a, i) >= 0 ||
			    sites_idle(c->a, i) == false,
		    "nothing was written, and it is not undone: %s",
		    side->site.promote->verb.text);
	if (cut)
		sim_net_mend(side->site.node, c->a->side[with].site.node);
	let_it_run(c, 20000);
	if (side->site.promote_res != 0 || !others_are_down(c, i, (unsigned)with))
		return;
	sites_run_for(c->a, 20 * RT_S);
	sim_require(sites_streams_with(c->a, (unsigned)with) == (int)i &&
			    sites_writable(c->a, (unsigned)with),
		    "a promotion was undone, and %s does not go on",
		    sim_node_name(c->a->side[with].site.node));
}

static void one_round(struct copies *c)
{
	unsigned i = (unsigned)sim_below(c->rng, SITES);

	switch (sim_below(c->rng, 16)) {
	case 0:
	case 1:
		copy(c, i);
		break;
	case 2:
	case 3:
		put_back(c, i);
		break;
	case 4:
		cut(c);
		break;
	case 5:
		promote(c, i);
		break;
	case 6:
	case 14:
	case 15:
		restart_loop(c, i);
		break;
	case 7:
		renew(c, i);
		break;
	case 8:
		replace_peer(c, i);
		break;
	case 11:
	case 12:
		promote_and_undo(c, i);
		break;
	case 9:
	case 10:
		promote_beside_fenced(c, i);
		break;
	case 13:
		clone(c, i);
		break;
	default:
		restart(c, i);
		break;
	}
}

static void copies_run(struct sim_world *w)
{
	struct copies c = { .a = sites_new(w, SITES), .rng = sim_rng(w) };
	unsigned rounds = (unsigned)sim_between(c.rng, 3, 12);

	sites_start(c.a, 1);
	sites_start(c.a, 0);
	let_it_run(&c, 2000);
	while (rounds-- > 0) {
		one_round(&c);
		let_it_run(&c, 4000);
	}
	sites_free(c.a);
}

static const char *const copies_bugs[] = { "CLEAN_KEEPS_EPOCH",
					   "CONFIRMED_OPEN_KEEPS_EPOCH",
					   "EMPTY_EPOCHS_KEPT",
					   "NEWCOMER_REPLACES",
					   "MIRROR_UNBOUND",
					   "LOSSY_FOLDED_AWAY",
					   "AGE_OF_SHIPPING",
					   "FENCED_IS_ALIVE",
					   "RECEIVED_AS_PERSISTED",
					   NULL };

SIM_SCENARIO(copies, "stores copied, put back and started beside each other", copies_run,
	     copies_bugs, .all_max = 60)
