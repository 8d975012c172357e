// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/group_private.h"
#include "rt/check.h"
#include "tests/sim/sites.h"

/*
 * The mirror is away, and the primary is restarted again and again while clients write.
 * Protects: what has completed beyond what the mirror has stays within max_exposure over all
 * restarts, and what status shows of it is so: never a false 0, and known soon after a start.
 */
#define REQUEST_BYTES (SITES_REQUEST_BLOCKS * ORACLE_BLOCK)

struct exposed {
	struct sites *a;
	struct sim_rng *rng;
	const struct tree_node *has; /* the mirror, when it was cut off */
	uint64_t bytes, writes;	     /* max_exposure; 0: none of that kind */
};

static void configure(struct exposed *x)
{
	x->bytes = sim_chance(x->rng, 0.7) ? sim_between(x->rng, 100, 600) << 10 : 0;
	x->writes =
		!x->bytes || sim_chance(x->rng, 0.3) ? sim_between(x->rng, 5, 100) : 0;
	for (unsigned i = 0; i < 2; i++) {
		struct group_config *c = &x->a->side[i].site.config;

		c->on_disconnect = GROUP_CONTINUE;
		c->exposure_bytes = x->bytes;
		c->exposure_writes = x->writes;
		for (unsigned v = 0; v < SITE_VOLUMES; v++)
			c->volumes[v].sync =
				sim_chance(x->rng, 0.7) ? GROUP_NETWORK : GROUP_LOCAL;
	}
	for (unsigned v = 0; v < SITE_VOLUMES; v++)
		x->a->side[1].site.config.volumes[v].sync =
			x->a->side[0].site.config.volumes[v].sync;
	x->a->flush = x->a->fua = 0;
}

static bool has_all(const struct exposed *x)
{
	const struct group *nyc = x->a->side[0].site.group,
			   *lon = x->a->side[1].site.group;
	uint64_t lsn = lfs_lsn(nyc->lfs).admitted;

	return nyc->state == GROUP_IN_SYNC && nyc->gate.marks.persisted == lsn &&
	       lfs_lsn(lon->lfs).durable == lsn && sites_idle(x->a, 0);
}

static void wait_for_all(struct exposed *x)
{
	for (unsigned s = 0; !has_all(x); s++) {
		sim_require(s < 120, "the mirror never has all");
		sites_run_for(x->a, RT_S);
	}
}

/* Nothing was promised to more clients than the bound allows. */
static void judge_completed(const struct exposed *x)
{
	const struct tree_node *done = x->a->side[0].promise.kill;

	if (!done || done->lsn <= x->has->lsn)
		return;
	sim_require(!x->writes || done->lsn - x->has->lsn <= x->writes,
		    "%llu writes have completed beyond the mirror's, allowed are %llu",
		    (unsigned long long)(done->lsn - x->has->lsn),
		    (unsigned long long)x->writes);
	sim_require(!x->bytes || done->bytes - x->has->bytes <= x->bytes + REQUEST_BYTES,
		    "%llu bytes have completed beyond the mirror's, allowed are %llu",
		    (unsigned long long)(done->bytes - x->has->bytes),
		    (unsigned long long)x->bytes);
}

/* The first LSN that the mirror does not have. */
static const struct tree_node *first_missing(const struct exposed *x)
{
	const struct tree_node *node = x->a->side[0].tip;

	while (node->lsn > x->has->lsn + 1)
		node = node->parent;
	return node;
}

static void judge_shown(struct exposed *x)
{
	const struct site *s = &x->a->side[0].site;
	const struct tree_node *tip = x->a->side[0].tip;
	struct group_status status;
	double age;

	if (!sites_writable(x->a, 0))
		return;
	site_status(&x->a->side[0].site, &status);
	sim_require(status.exposure.writes == tip->lsn - x->has->lsn,
		    "%llu writes are exposed, and shown are %llu",
		    (unsigned long long)(tip->lsn - x->has->lsn),
		    (unsigned long long)status.exposure.writes);
	sim_require(status.exposure.bytes == tip->bytes - x->has->bytes,
		    "%llu bytes are exposed, and shown are %lld",
		    (unsigned long long)(tip->bytes - x->has->bytes),
		    (long long)status.exposure.bytes);
	if (tip->lsn == x->has->lsn)
		return;
	age = (double)(rt_wall_ns(s->group->loop) - first_missing(x)->wall_ns) / RT_S;
	sim_require(status.exposure.seconds > age - 0.01 &&
			    status.exposure.seconds < age + 0.01,
		    "the oldest exposed write is %.3f s old, and shown is %.3f s", age,
		    status.exposure.seconds);
}

static void restart(struct exposed *x)
{
	if (sim_chance(x->rng, 0.4))
		sites_stop(x->a, 0);
	else
		sites_crash(x->a, 0, SIM_KILL);
	judge_completed(x);
	sites_start(x->a, 0);
	sites_run_for(x->a, 5 * RT_S); /* it asks the mirror first */
	sim_require(sites_writable(x->a, 0), "it does not serve without its mirror");
}

static void exposure_run(struct sim_world *w)
{
	struct exposed x = { .a = sites_new(w, 2), .rng = sim_rng(w) };
	struct sim_node *nyc = x.a->side[0].site.node, *lon = x.a->side[1].site.node;
	unsigned rounds = (unsigned)sim_between(x.rng, 2, 6);

	configure(&x);
	sites_start(x.a, 1);
	sites_start(x.a, 0);
	sites_load(x.a, 0, sim_skewed(x.rng, 1, 300));
	sites_run_for(x.a, (int64_t)sim_between(x.rng, 100, 5000) * RT_MS);
	sites_load(x.a, 0, 0);
	wait_for_all(&x);
	sites_run_for(x.a, 3 * RT_S); /* and that is kept */
	sim_net_cut_both(nyc, lon, sim_chance(x.rng, 0.5));
	x.has = x.a->side[0].tip;
	sites_run_for(x.a,
		      8 * RT_S); /* what leaves now is on the wire, and that is enough */
	while (rounds-- > 0) {
		sites_load(x.a, 0, sim_skewed(x.rng, 1, 100));
		sites_run_for(x.a, (int64_t)sim_skewed(x.rng, 1, 8000) * RT_MS);
		judge_completed(&x);
		judge_shown(&x);
		if (sim_chance(x.rng, 0.7))
			restart(&x);
	}
	judge_shown(&x);
	sim_net_mend(nyc, lon);
	wait_for_all(&x);
	x.has = x.a->side[0].tip;
	judge_shown(&x);
	sites_free(x.a);
}

static const char *const exposure_bugs[] = { "EXPOSURE_FORGETS", NULL };

SIM_SCENARIO(exposure, "max_exposure over restarts, while the mirror is away",
	     exposure_run, exposure_bugs, .all_max = 40)
