// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "replicator/group_private.h"
#include "replicator/history.h"
#include "replicator/session.h"
#include "rt/check.h"
#include "tests/sim/sites.h"

/*
 * Two sites change roles again and again, asked at either, under load, and in many of them a
 * site dies or the path is cut at some instant. Protects: never are both written, nothing
 * completed is lost, generations stay, what waited is answered, and once both are back and
 * the path works, one of them serves.
 */
#define WAIT_NS (90 * RT_S)

struct asking {
	struct group_switchover asked;
	struct switching *c;
	int res;
};

struct switching {
	struct sites *a;
	struct sim_rng *rng;
	struct asking *asking; /* owned: the last one */
	bool answered;
	unsigned asked_at;
	uint64_t generation;
	uint64_t load; /* requests left: the log takes so much, and gives nothing back */
	unsigned done;
};

static void verb_over(struct group_verb *v, int res)
{
	struct asking *asking = rt_container_of(v, struct asking, asked.verb);

	asking->res = res;
	asking->c->answered = true;
}

static void ask(struct switching *c, unsigned i)
{
	struct site *s = &c->a->side[i].site;

	sim_require(c->answered, "a verb was never answered at %s",
		    sim_node_name(c->a->side[c->asked_at].site.node));
	free(c->asking);
	c->asking = calloc(1, sizeof(*c->asking));
	rt_assert(c->asking);
	*c->asking = (struct asking){ .asked.verb.done = verb_over, .c = c };
	c->asked_at = i;
	c->answered = false;
	sim_node_enter(s->node);
	group_switchover(s->group, &c->asking->asked);
	sim_node_leave(s->node);
}

static int primary_of(const struct switching *c)
{
	int found = -1;

	for (unsigned i = 0; i < 2; i++) {
		if (!sites_writable(c->a, i) ||
		    switchover_pauses(c->a->side[i].site.group))
			continue;
		sim_require(found < 0, "both sites take writes");
		found = (int)i;
	}
	return found;
}

static void run_for(struct switching *c, int64_t ns)
{
	for (; ns > 0; ns -= 20 * RT_MS) {
		for (unsigned i = 0; i < 2; i++)
			if (sites_idle(c->a, i) && c->load >= 20) {
				sites_load(c->a, i, 20);
				c->load -= 20;
			}
		sites_run_for(c->a, 20 * RT_MS);
		(void)primary_of(c);
	}
}

static bool in_sync(const struct switching *c)
{
	int i = primary_of(c);

	return i >= 0 && c->a->side[i].site.group->state == GROUP_IN_SYNC;
}

static void settle(struct switching *c, const char *when)
{
	for (int64_t ns = WAIT_NS; ns > 0 && !in_sync(c); ns -= 100 * RT_MS)
		run_for(c, 100 * RT_MS);
	sim_require(in_sync(c), "%s: nyc is %s (%s), lon is %s (%s)", when,
		    group_state_name(c->a->side[0].site.group->state),
		    c->a->side[0].site.group->why,
		    group_state_name(c->a->side[1].site.group->state),
		    c->a->side[1].site.group->why);
}

/* A client's cache is as good as before, wherever it is attached next. */
static void require_generation(struct switching *c)
{
	const struct lfs_meta *meta = lfs_meta(c->a->side[primary_of(c)].site.group->lfs);
	uint64_t generation = history_generation(meta, meta->volumes[0].id);

	sim_require(c->generation == 0 || generation == c->generation,
		    "a switchover without a loss has changed the generation");
	c->generation = generation;
}

/* One that is not disturbed takes a moment, and ends well at the site that was asked. */
static void undisturbed(struct switching *c)
{
	unsigned before = (unsigned)primary_of(c);
	const struct tree_node *had;

	require_generation(c);
	had = c->a->side[before].promise.kill;
	ask(c, (unsigned)sim_below(c->rng, 2));
	for (int64_t ns = 20 * RT_S; ns > 0 && !c->answered; ns -= 20 * RT_MS)
		run_for(c, 20 * RT_MS);
	sim_require(c->answered, "a switchover hangs");
	/* The path lost it, or the connection just then: nothing has happened. */
	if (c->asking->res == -EAGAIN || c->asking->res == -EPERM)
		return;
	sim_require(c->asking->res == 0, "a switchover is refused: %s",
		    c->asking->asked.verb.text);
	settle(c, "after a switchover");
	sim_require((unsigned)primary_of(c) != before, "%s, and is still the primary",
		    sim_node_name(c->a->side[before].site.node));
	sim_require(!had || tree_holds(c->a->side[!before].tip, had),
		    "a switchover has lost LSN %llu", (unsigned long long)had->lsn);
	require_generation(c);
	c->done++;
}

/* At some instant of it something dies, or the path does. */
static void disturbed(struct switching *c)
{
	struct sim_node *nyc = c->a->side[0].site.node, *lon = c->a->side[1].site.node;
	unsigned victim = (unsigned)sim_below(c->rng, 2);
	bool may_lose = false;

	ask(c, (unsigned)sim_below(c->rng, 2));
	(void)sim_run_for(c->a->w, (int64_t)sim_skewed(c->rng, 1, 400000) * RT_US);
	switch (sim_below(c->rng, 5)) {
	case 0:
		sites_crash(c->a, victim, SIM_KILL);
		c->answered |= c->asked_at == victim;
		c->generation = 0;
		break;
	case 1:
		sites_crash(c->a, victim, SIM_POWER);
		c->answered |= c->asked_at == victim;
		c->generation = 0; /* what completed locally may be lost */
		may_lose = c->a->side[victim].site.config.cold_serve;
		break;
	case 2:
		sites_stop(c->a, victim);
		c->answered |= c->asked_at == victim;
		break;
	case 3:
		sim_net_cut_both(nyc, lon, sim_chance(c->rng, 0.5));
		break;
	default:
		sim_net_reset(nyc, lon);
		break;
	}
	if (!sites_up(c->a, victim) && sim_chance(c->rng, 0.4) && !may_lose) {
		/* It is back before it can ask the other one, and has what that one has. */
		sim_net_cut_both(nyc, lon, true);
		sites_start(c->a, victim);
		run_for(c, 8 * RT_S);
	}
	run_for(c, (int64_t)sim_skewed(c->rng, 1, 15000) * RT_MS);
	sim_net_mend(nyc, lon);
	if (!sites_up(c->a, victim))
		sites_start(c->a, victim);
	for (int64_t ns = 40 * RT_S; ns > 0 && !c->answered; ns -= 20 * RT_MS)
		run_for(c, 20 * RT_MS);
	settle(c, "after a disturbed switchover");
}

static void switching_run(struct sim_world *w)
{
	struct switching c = { .a = sites_new(w, 2), .rng = sim_rng(w) };
	unsigned rounds = (unsigned)sim_between(c.rng, 2, 8);
	bool serve = sim_chance(c.rng, 0.3);

	c.answered = true;
	c.load = sim_skewed(c.rng, 100, 6000);

	for (unsigned i = 0; i < 2; i++) {
		c.a->side[i].site.config.cold_serve = serve;
		/* A mirror that dials does so each 3 s. */
		c.a->side[i].site.config.open_timeout_ms = 5000;
	}
	sites_start(c.a, 1);
	sites_start(c.a, 0);
	settle(&c, "at first");
	while (rounds-- > 0) {
		if (sim_chance(c.rng, 0.6))
			undisturbed(&c);
		else
			disturbed(&c);
		run_for(&c, (int64_t)sim_skewed(c.rng, 1, 2000) * RT_MS);
		settle(&c, "between two");
	}
	sites_load(c.a, 0, 0);
	sites_load(c.a, 1, 0);
	(void)sim_run_for(w, 20 * RT_S);
	for (unsigned i = 0; i < 2; i++)
		sim_require(sites_idle(c.a, i), "requests hang at %s",
			    sim_node_name(c.a->side[i].site.node));
	sites_free(c.a);
	free(c.asking);
}

static const char *const switching_bugs[] = { "SEAL_FORGOTTEN", "WAITING_RUNS_LATER",
					      "GRANT_SURVIVES_CONNECTION", NULL };

SIM_SCENARIO(switchover, "two sites change roles, and something dies meanwhile",
	     switching_run, switching_bugs, .all_max = 60)
