// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "rt/check.h"
#include "tests/sim/pair.h"

/*
 * One thing fails at one of two sites: a disk, memory, the room in a log, the order in
 * which people do things. Protects: a site that has failed says so and promises nothing;
 * what was promised before is there afterwards; an end that comes at any moment leaves
 * nothing behind and touches nothing that is gone.
 */

static bool serves(void *arg)
{
	struct pair *p = arg;

	return p->site[0].serving || !sim_node_up(p->site[0].node);
}

static void begin(struct pair *p)
{
	pair_create(p);
	pair_start(p, 1);
	pair_start(p, 0);
	sim_require(sim_run_until(p->w, serves, p, 120 * RT_S),
		    "the primary never serves");
}

static void run_ms(struct pair *p, uint64_t low, uint64_t high)
{
	(void)sim_run_for(p->w, (int64_t)sim_skewed(p->rng, low, high) * RT_MS);
}

static void load(struct pair *p)
{
	p->budget = sim_skewed(p->rng, 10, 1500);
	pair_load(p, true);
	run_ms(p, 1, 1000);
}

/* A write, a flush or a read of the store fails soon, once; the rest succeeds. */
static void fail_disk(struct pair *p, unsigned i)
{
	static const unsigned kinds[] = { SIM_ON_WRITE, SIM_ON_FLUSH,
					  SIM_ON_WRITE | SIM_ON_FLUSH };

	sim_disk_fail_at(sim_disk(p->site[i].node, SITE_STORE),
			 kinds[sim_below(p->rng, 3)], sim_skewed(p->rng, 1, 60));
}

static void flap(struct pair *p)
{
	for (unsigned n = (unsigned)sim_below(p->rng, 4); n > 0; n--) {
		sim_net_reset(p->site[0].node, p->site[1].node);
		run_ms(p, 1, 3000);
	}
}

/* What the mirror has confirmed survives its death, whatever its disk did before. */
static void mirror_disk(struct pair *p)
{
	struct group_status status;

	begin(p);
	load(p);
	fail_disk(p, 1);
	load(p);
	flap(p);
	load(p);
	flap(p);
	pair_crash(p, 1, SIM_POWER);
	pair_load(p, false);
	sim_net_cut_both(p->site[0].node, p->site[1].node, true);
	sim_disk_fail_at(sim_disk(p->site[1].node, SITE_STORE), SIM_ON_DISK, 0);
	pair_start(p, 1);
	pair_status(p, 1, &status);
	(void)pair_image(p, 1, p->promises.remote, status.lsn.admitted, "the mirror");
}

/* The log fails: every request ends, and nothing that was acknowledged is missing later. */
static void primary_disk(struct pair *p)
{
	enum sim_crash kind = sim_chance(p->rng, 0.5) ? SIM_KILL : SIM_POWER;

	begin(p);
	load(p);
	fail_disk(p, 0);
	load(p);
	flap(p);
	if (pair_state(p, 0) == GROUP_FAILED) {
		sim_require(sim_run_until(p->w, pair_idle, p, 60 * RT_S),
			    "requests hang in a group that has failed");
		if (sim_chance(p->rng, 0.3)) {
			pair_stop(p, 0);
			kind = SIM_POWER;
		}
	}
	pair_load(p, false);
	if (p->site[0].group)
		pair_crash(p, 0, kind);
	sim_disk_fail_at(sim_disk(p->site[0].node, SITE_STORE), SIM_ON_DISK, 0);
	pair_start(p, 0);
	sim_require(sim_run_until(p->w, serves, p, 120 * RT_S),
		    "the primary does not serve again");
	/* A flush that failed leaves what was written before it to the disk's mood. */
	pair_check_reopened(p, SIM_POWER);
}

static void all_network(struct pair *p, enum group_disconnect policy)
{
	for (unsigned i = 0; i < 2; i++) {
		struct group_config *c = &p->site[i].config;

		c->hold = GROUP_HOLD_WRITE;
		c->fua_remote = false;
		c->on_disconnect = policy;
		for (unsigned v = 0; v < SITE_VOLUMES; v++)
			c->volumes[v].sync = GROUP_NETWORK;
	}
}

/* Whether nyc shows this state at each look, while clients send a little all the time. */
static bool stays(struct pair *p, enum group_state state)
{
	bool all = true;

	for (unsigned i = 0; i < 400; i++) {
		if (p->budget < 2)
			p->budget = 2;
		pair_load(p, true);
		(void)sim_run_for(p->w, 50 * RT_MS);
		all = all && pair_state(p, 0) == state;
	}
	return all;
}

/* What two sites say to each other in 20 s, where one of them takes nothing. */
#define FULL_BYTES (256u << 10)

/*
 * The mirror's log is full, whatever comes, and each new connection ends in that: for the
 * policy it is a mirror that has timed out, all the time. Clients wait, or go on alone.
 */
static void mirror_full(struct pair *p)
{
	bool hold = sim_chance(p->rng, 0.5), stayed;
	struct group_status a, b;
	struct sim_net_stats before, after;
	uint64_t completed, persisted;

	all_network(p, hold ? GROUP_STOP : GROUP_CONTINUE);
	p->site[1].config.store_size = UINT64_C(16) << 20;
	begin(p);
	p->budget = UINT64_MAX;
	pair_load(p, true);
	for (unsigned s = 0; s < 600; s++) {
		(void)sim_run_for(p->w, RT_S / 10);
		pair_status(p, 1, &b);
		if (strstr(b.why, "is full"))
			break;
	}
	if (!strstr(b.why, "is full"))
		return;
	p->budget = 0;
	(void)sim_run_for(p->w, 2 * RT_S);
	sim_net_stats(p->site[0].node, p->site[1].node, &before);
	(void)sim_run_for(p->w, 20 * RT_S);
	sim_net_stats(p->site[0].node, p->site[1].node, &after);
	pair_status(p, 0, &a);
	completed = p->promises.completed;
	pair_status(p, 0, &a);
	persisted = a.lsn.persisted;
	stayed = stays(p, hold ? GROUP_HOLDING : GROUP_EXPOSED);
	pair_status(p, 0, &a);
	pair_status(p, 1, &b);
	pair_load(p, false);
	if (a.lsn.persisted != persisted)
		return; /* it has found room */
	sim_require(after.bytes - before.bytes < FULL_BYTES,
		    "a mirror that takes nothing was sent %llu bytes: %s",
		    (unsigned long long)(after.bytes - before.bytes), b.why);
	sim_require(strstr(a.why, "is full"), "nyc does not say why: %s", a.why);
	sim_require((p->promises.completed == completed) == hold,
		    "the mirror takes nothing, and %llu writes completed: %s, %s",
		    (unsigned long long)(p->promises.completed - completed), a.why,
		    b.why);
	sim_require(stayed, "the mirror takes nothing: nyc is %s now and then",
		    group_state_name(a.state));
}

static bool is_in_sync(void *arg)
{
	return pair_state(arg, 0) == GROUP_IN_SYNC;
}

#define LOOK_NS (10 * RT_MS)

/*
 * The mirror is gone, with its connection or behind a silent one: with `continue` writes
 * stand still for one `away`, and the status says that nothing protects them.
 */
static void mirror_dead(struct pair *p)
{
	const int64_t away_ms = (int64_t)sim_between(p->rng, 500, 5000);
	const int64_t away_ns = away_ms * RT_MS;
	int64_t stood_ns = 0, worst_ns = 0;
	struct group_status status;
	uint64_t done;

	all_network(p, GROUP_CONTINUE);
	p->site[0].config.away_ms = p->site[1].config.away_ms = away_ms;
	begin(p);
	if (!sim_run_until(p->w, is_in_sync, p, 60 * RT_S))
		return;
	p->budget = UINT64_MAX;
	pair_load(p, true);
	run_ms(p, 1, 1000);
	if (sim_chance(p->rng, 0.5))
		pair_crash(p, 1, SIM_POWER);
	else
		sim_net_cut_both(p->site[0].node, p->site[1].node, true);
	done = p->done;
	for (int64_t ns = 0; ns < 3 * away_ns && !p->broken; ns += LOOK_NS) {
		(void)sim_run_for(p->w, LOOK_NS);
		pair_status(p, 0, &status); /* which is judged */
		stood_ns = p->done == done ? stood_ns + LOOK_NS : 0;
		done = p->done;
		if (stood_ns > worst_ns)
			worst_ns = stood_ns;
	}
	if (p->broken)
		return; /* its own log is full */
	sim_require(worst_ns <= away_ns + away_ns / 5,
		    "writes stood still for %lld ms, away is %lld ms",
		    (long long)(worst_ns / RT_MS), (long long)away_ms);
	pair_load(p, false);
	pair_status(p, 0, &status);
	/* And sends people to the mirror, not to its disk. */
	sim_require(status.state == GROUP_EXPOSED && !status.link.connected &&
			    status.exposure.probability == 1 &&
			    strstr(status.why, "start the mirror"),
		    "without its mirror it is %s, connected %d, probability %g, \"%s\"",
		    group_state_name(status.state), status.link.connected,
		    status.exposure.probability, status.why);
}

static bool is_fenced(void *arg)
{
	return pair_state(arg, 0) == GROUP_FENCED;
}

/* The mirror is promoted beside a living primary, which finds out and ends everything. */
static void takeover(struct pair *p)
{
	begin(p);
	load(p);
	pair_promote(p, false);
	p->budget = 200;
	pair_load(p, true);
	sim_require(sim_run_until(p->w, is_fenced, p, 5 * RT_S),
		    "5 s after the promotion the old primary is %s",
		    group_state_name(pair_state(p, 0)));
	pair_load(p, false);
	sim_require(sim_run_until(p->w, pair_idle, p, 5 * RT_S),
		    "requests hang in a group that is fenced");
	pair_stop(p, 0);
	pair_start(p, 0);
	sim_require(sim_run_until(p->w, serves, p, 20 * RT_S),
		    "a fenced store does not serve reads");
	pair_stop(p, 0);
	pair_stop(p, 1);
}

static bool is_recovering(void *arg)
{
	return serves(arg) || pair_state(arg, 0) == GROUP_RECOVERING;
}

/* Of all that forbids the primary to open without its mirror, fua = "remote" alone. */
static void only_fua_remote(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		struct group_config *c = &p->site[i].config;

		c->fua_remote = true;
		c->on_disconnect = GROUP_CONTINUE;
		for (unsigned v = 0; v < SITE_VOLUMES; v++) {
			c->volumes[v].has_on_disconnect = false;
			if (c->volumes[v].sync == GROUP_REMOTE)
				c->volumes[v].sync = GROUP_NETWORK;
		}
	}
}

/* A volume that may not go on without the mirror does not open without it. */
static void open_in_vain(struct pair *p)
{
	sim_net_cut_both(p->site[0].node, p->site[1].node, true);
	pair_start(p, 0);
	(void)sim_run_for(p->w, 20 * RT_S);
	sim_require(!p->site[0].serving, "a volume that must hold opens apart");
	pair_stop(p, 0);
	sim_net_mend(p->site[0].node, p->site[1].node);
}

/* Connections break, and the mirror's machine with them, while the primary opens. */
static void opening(struct pair *p)
{
	unsigned times = (unsigned)sim_between(p->rng, 1, 6);
	struct group_volume_config *v = &p->site[0].config.volumes[2];

	v->has_on_disconnect = sim_chance(p->rng, 0.5);
	v->on_disconnect = GROUP_STOP;
	if (sim_chance(p->rng, 0.25))
		only_fua_remote(p);
	begin(p);
	load(p);
	pair_crash(p, 0, SIM_POWER);
	(void)sim_run_for(p->w, RT_S);
	if (v->has_on_disconnect || v->sync == GROUP_REMOTE ||
	    p->site[0].config.fua_remote || p->site[0].config.on_disconnect == GROUP_STOP)
		open_in_vain(p);
	pair_start(p, 0);
	while (times-- > 0) {
		if (sim_chance(p->rng, 0.5))
			(void)sim_run_until(p->w, is_recovering, p, 3 * RT_S);
		if (sim_chance(p->rng, 0.3))
			sim_mem_fail_at(p->site[0].node, sim_skewed(p->rng, 1, 500));
		run_ms(p, 1, 400);
		if (sim_chance(p->rng, 0.5)) {
			sim_net_reset(p->site[0].node, p->site[1].node);
			continue;
		}
		pair_crash(p, 1, sim_chance(p->rng, 0.5) ? SIM_POWER : SIM_KILL);
		pair_start(p, 1);
	}
	sim_require(sim_run_until(p->w, serves, p, 60 * RT_S),
		    "the primary does not serve: %s", group_state_name(pair_state(p, 0)));
	pair_check_reopened(p, SIM_POWER);
	load(p);
	pair_load(p, false);
	sim_require(sim_run_until(p->w, pair_idle, p, 60 * RT_S), "requests hang");
}

/* Everything can be stopped at any time. */
static void stop_any_time(struct pair *p)
{
	unsigned first = (unsigned)sim_below(p->rng, 2);

	pair_create(p);
	pair_start(p, 1);
	pair_start(p, 0);
	if (sim_chance(p->rng, 0.5)) {
		(void)sim_run_until(p->w, serves, p, 5 * RT_S);
		p->budget = UINT64_MAX;
		pair_load(p, true);
	}
	run_ms(p, 1, 3000);
	if (sim_chance(p->rng, 0.3))
		fail_disk(p, (unsigned)sim_below(p->rng, 2));
	if (sim_chance(p->rng, 0.4)) {
		pair_crash(p, 0, SIM_POWER);
		sim_disk_fail_at(sim_disk(p->site[0].node, SITE_STORE), SIM_ON_DISK, 0);
		pair_start(p, 0);
		run_ms(p, 1, 1000);
	}
	if (sim_chance(p->rng, 0.3))
		sim_net_cut_both(p->site[0].node, p->site[1].node, false);
	run_ms(p, 1, 1000);
	p->load = false;
	pair_stop(p, first);
	run_ms(p, 1, 1000);
	pair_stop(p, !first);
}

/* An allocation fails: nothing is lost and nobody falls over. */
static void no_memory(struct pair *p)
{
	struct group_status status;

	begin(p);
	for (unsigned n = (unsigned)sim_between(p->rng, 1, 5); n > 0; n--) {
		sim_mem_fail_at(p->site[sim_below(p->rng, 2)].node,
				sim_skewed(p->rng, 1, 3000));
		load(p);
		flap(p);
	}
	sim_mem_fail_at(p->site[0].node, 0);
	sim_mem_fail_at(p->site[1].node, 0);
	pair_load(p, false);
	sim_require(sim_run_until(p->w, pair_idle, p, 60 * RT_S), "requests hang");
	sim_net_cut_both(p->site[0].node, p->site[1].node, true);
	(void)sim_run_for(p->w, RT_S); /* what has arrived is in its log */
	pair_status(p, 1, &status);
	if (!p->broken)
		(void)pair_image(p, 1, p->promises.remote, status.lsn.admitted,
				 "the mirror");
}

static void run(struct sim_world *w)
{
	struct pair *p = pair_new(w);

	switch (sim_below(p->rng, 8)) {
	case 2:
		takeover(p);
		break;
	case 3:
		opening(p);
		break;
	case 4:
		stop_any_time(p);
		break;
	case 5:
		no_memory(p);
		break;
	case 6:
		mirror_dead(p);
		break;
	case 1:
		mirror_full(p);
		break;
	case 0:
		mirror_disk(p);
		break;
	default:
		primary_disk(p);
		break;
	}
	pair_free(p);
}

static const char *const fault_bugs[] = { "MEMORY_BACK_EARLY", NULL };

SIM_SCENARIO(fault, "one site's disk or memory fails, or people do it at a bad time", run,
	     fault_bugs)
