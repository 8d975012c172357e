// SPDX-License-Identifier: BSD-3-Clause
#include <stdlib.h>

#include "rt/check.h"
#include "tests/sim/pair.h"

/* What a site shows, against what is known and what was promised (struct pair). */

uint64_t pair_image(struct pair *p, unsigned i, uint64_t low, uint64_t high,
		    const char *what)
{
	uint64_t digest = 0, lsn = 0;

	for (unsigned v = 0; v < SITE_VOLUMES; v++)
		site_read_volume(&p->site[i], v, &digest);
	if (high > oracle_last(p->oracle))
		high = oracle_last(p->oracle);
	sim_require(low <= high, "%s: %s must hold LSN %llu, and at most %llu exist",
		    what, sim_node_name(p->site[i].node), (unsigned long long)low,
		    (unsigned long long)high);
	sim_require(oracle_find(p->oracle, digest, low, high, &lsn) == 0,
		    "%s: the image of %s is no prefix in %llu..%llu", what,
		    sim_node_name(p->site[i].node), (unsigned long long)low,
		    (unsigned long long)high);
	return lsn;
}

void pair_check_reopened(struct pair *p, enum sim_crash kind)
{
	struct group_status status;
	uint64_t low = p->promises.flushed;

	pair_status(p, 0, &status);
	if (kind == SIM_KILL && p->promises.completed > low)
		low = p->promises.completed;
	if (p->promises.remote > low)
		low = p->promises.remote;
	sim_require(status.lsn.admitted >= low,
		    "nyc came back with LSN %llu, promised was %llu",
		    (unsigned long long)status.lsn.admitted, (unsigned long long)low);
	sim_require(status.epoch_id != p->epoch_id ||
			    status.lsn.admitted == oracle_last(p->oracle),
		    "LSN %llu is given again in the same epoch",
		    (unsigned long long)status.lsn.admitted + 1);
	p->epoch_id = status.epoch_id;
	oracle_take_back(p->oracle, status.lsn.admitted);
	pair_judge_taken_back(p);
	(void)pair_image(p, 0, low, status.lsn.admitted, "after the crash");
	/* What this site lost in spite of a completion is lost to its clients, too. */
	if (p->promises.completed > status.lsn.admitted)
		p->promises.completed = status.lsn.admitted;
	if (p->promises.network > status.lsn.admitted)
		p->promises.network = status.lsn.admitted;
	if (p->promises.lowered > status.lsn.admitted)
		p->promises.lowered = status.lsn.admitted;
	/* A FLUSH covers what was replied to before it, and before the restart, too. */
	for (unsigned v = 0; v < SITE_VOLUMES; v++)
		if (p->promises.replied[v] > status.lsn.admitted)
			p->promises.replied[v] = status.lsn.admitted;
	p->broken = false;
}

/* ---- a mirror that has vanished ------------------------------------------------------------ */

/* How long something received from the mirror proves the path. */
static int64_t proof_ns(const struct pair *p, const struct group_status *status)
{
	int64_t rtt_ns = (int64_t)(status->link.rtt_ms * RT_MS) + 1;

	if (rtt_ns < 0)
		rtt_ns = 0;
	if (status->link.tcp)
		return p->site[0].config.away_ms * RT_MS / 5 + 3 * rtt_ns;
	return 2 * rtt_ns > 50 * RT_MS ? 3 * rtt_ns : rtt_ns + 50 * RT_MS;
}

/* A state is judged by seconds, and at the heartbeat when nothing else happens. */
static bool lacks_for_long(struct pair *p, const struct group_status *status,
			   int64_t silence_ns)
{
	int64_t bound_ns = (1000 + p->site[0].config.heartbeat_ms + 100) * RT_MS;
	rt_time now = sim_now(p->w);

	if (status->lsn.received >= p->unreceived ||
	    status->lsn.admitted < p->unreceived) {
		p->unreceived = status->lsn.admitted;
		p->unreceived_at = now;
	}
	return silence_ns > bound_ns && rt_time_since(now, p->unreceived_at) > bound_ns;
}

void pair_judge_status(struct pair *p, const struct group_status *status)
{
	uint64_t completed = p->promises.completed;
	double risk = status->exposure.probability;
	struct sim_net_stats stats;
	int64_t silence_ns;

	if (status->role != GROUP_PRIMARY)
		return;
	if (completed > status->lsn.admitted) /* lost here, by a crash */
		completed = status->lsn.admitted;
	sim_net_stats(p->site[1].node, p->site[0].node, &stats);
	silence_ns = rt_time_since(sim_now(p->w), stats.arrived_at) - proof_ns(p, status);
	sim_require(
		silence_ns <= 0 || p->broken || completed <= status->lsn.received ||
			risk < 0 || risk == 1,
		"nothing proves the path for %lld ms, the mirror has received %llu of "
		"%llu completed, and the probability is %g",
		(long long)(silence_ns / RT_MS), (unsigned long long)status->lsn.received,
		(unsigned long long)completed, risk);
	sim_require(
		!lacks_for_long(p, status, silence_ns) ||
			(status->state != GROUP_IN_SYNC && !status->link.connected),
		"nothing proves the path for %lld ms, the mirror lacks writes, and it "
		"is %s, connected %d",
		(long long)(silence_ns / RT_MS), group_state_name(status->state),
		status->link.connected);
}

static bool is_in_sync(void *arg)
{
	struct pair *p = arg;
	struct group_status status;

	pair_status(p, 0, &status);
	return status.state == GROUP_IN_SYNC && status.link.connected &&
	       status.lsn.persisted >= p->promises.network;
}

void pair_wait_in_sync(struct pair *p)
{
	bool ok = sim_run_until(p->w, is_in_sync, p, SITE_WAIT_NS);
	struct group_status a, b;

	if (ok)
		return;
	pair_status(p, 0, &a);
	pair_status(p, 1, &b);
	sim_violation("the sites do not come in sync: nyc %s (%s), lon %s (%s)",
		      group_state_name(a.state), a.why, group_state_name(b.state), b.why);
}

void pair_promote(struct pair *p, bool check_network)
{
	struct site *s = &p->site[1];
	struct group_status status;
	uint64_t low = p->promises.remote;
	int res = site_promote(s, true);

	sim_require(res == 0, "promote: %d %s", res, s->promote->verb.text);
	site_look(s);
	pair_judge_image(p, 1, "promoted");
	pair_status(p, 1, &status);
	if (check_network && p->promises.network > low)
		low = p->promises.network;
	sim_require(
		status.lsn.admitted >= low,
		"promoted at LSN %llu, but remote has completed to %llu, network to %llu",
		(unsigned long long)status.lsn.admitted,
		(unsigned long long)p->promises.remote,
		(unsigned long long)p->promises.network);
	(void)pair_image(p, 1, low, status.lsn.admitted, "promoted");
}
