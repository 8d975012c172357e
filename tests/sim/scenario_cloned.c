// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <stdlib.h>

#include "replicator/group_private.h"
#include "replicator/session.h"
#include "rt/check.h"
#include "tests/sim/oracle.h"
#include "tests/sim/secure_sim.h"
#include "tests/sim/site.h"

/*
 * The machine of a primary is cloned with its memory, random numbers and all: both begin the
 * same epoch of the same store, and write in it. The mirror has followed one of the two, and
 * meets the other: nothing but the content of an LSN tells them apart.
 * Protects: that is found before anything is sent or taken back, whoever of the two holds
 * more; both sites know, nothing is applied anywhere, and the mirror follows its own primary
 * again.
 */
enum { NYC, LON, BAK, SITES };

struct cloned {
	struct sim_world *w;
	struct sim_rng *rng;
	struct site site[SITES];
	uint64_t stamps;
	uint8_t *buf; /* owned */
};

struct writing {
	struct group_request req;
	bool done;
};

static const struct site_watch watch = { .opened = NULL };

static void wrote(struct group_request *req, int res)
{
	sim_require(res == 0, "a write in local fails: %d", res);
	rt_container_of(req, struct writing, req)->done = true;
}

static bool is_written(void *arg)
{
	return ((struct writing *)arg)->done;
}

static void write_some(struct cloned *c, unsigned i, uint64_t n)
{
	struct site *s = &c->site[i];

	for (; n > 0; n--) {
		uint64_t lba =
			sim_below(c->rng, s->config.volumes[0].size / ORACLE_BLOCK);
		struct writing *r = calloc(1, sizeof(*r));

		rt_assert(r);
		oracle_fill(c->buf, 0, lba, 1, ++c->stamps);
		r->req = (struct group_request){ .kind = GROUP_WRITE,
						 .volume = group_volume_at(s->group, 0),
						 .offset = lba * ORACLE_BLOCK,
						 .len = ORACLE_BLOCK,
						 .buf = c->buf,
						 .done = wrote };
		sim_node_enter(s->node);
		group_submit(&r->req);
		sim_node_leave(s->node);
		sim_require(sim_run_until(c->w, is_written, r, SITE_WAIT_NS),
			    "a write hangs");
		free(r);
	}
}

static bool serves(void *arg)
{
	return ((struct site *)arg)->serving;
}

static bool streams(void *arg)
{
	const struct site *s = arg;

	return s->group->session->state == SESSION_STREAMING &&
	       s->group->gate.marks.persisted == lfs_lsn(s->group->lfs).admitted;
}

static bool has_diverged(void *arg)
{
	return ((struct site *)arg)->group->standing == GROUP_STANDING_DIVERGED;
}

static void cut(struct cloned *c, bool on)
{
	for (unsigned i = 0; i < SITES; i++) {
		if (i == LON)
			continue;
		if (on)
			sim_net_cut_both(c->site[i].node, c->site[LON].node, true);
		else
			sim_net_mend(c->site[i].node, c->site[LON].node);
	}
}

static void configure(struct cloned *c)
{
	const uint64_t blocks[SITE_VOLUMES] = { 40, 8, 8 };
	static const char *const names[SITES] = { "nyc", "lon", "bak" };
	bool tcp = sim_chance(c->rng, 0.3);

	for (unsigned i = 0; i < SITES; i++) {
		struct site *s = &c->site[i];

		site_init(s, c->w, names[i], &watch, c);
		site_configure(&s->config, blocks);
		for (unsigned v = 0; v < SITE_VOLUMES; v++)
			s->config.volumes[v].sync = GROUP_LOCAL;
		s->config.sync = GROUP_LOCAL;
		s->config.role = i == LON ? GROUP_MIRROR : GROUP_PRIMARY;
		s->config.on_disconnect = GROUP_CONTINUE;
		s->config.open_timeout_ms = 4000;
		s->config.away_ms = 2000;
		s->config.heartbeat_ms = 500;
		s->config.peer.tcp = tcp;
		s->config.peer.dials = i != LON;
		s->config.peer.addr =
			(struct rt_addr){ .kind = RT_ADDR_INET, .port = SITE_PORT };
		(void)snprintf(s->config.node, sizeof(s->config.node), "%s", names[i]);
		site_image_begin(s);
	}
	for (unsigned i = 0; i < SITES; i++)
		if (i != LON)
			sim_node_addr(c->site[LON].node, SITE_PORT,
				      &c->site[i].config.peer.addr);
}

/* Alone, in the epoch that the other of the two begins, too. */
static void open_alone(struct cloned *c, unsigned i, uint64_t epoch, uint64_t writes)
{
	struct site *s = &c->site[i];

	cut(c, true);
	(void)site_start(s);
	s->group->start.next_id = epoch;
	sim_require(sim_run_until(c->w, serves, s, SITE_WAIT_NS), "it does not open");
	write_some(c, i, writes);
}

static void require_streams(struct cloned *c, unsigned i, const char *when)
{
	sim_require(sim_run_until(c->w, streams, &c->site[i], SITE_WAIT_NS),
		    "%s: no connection streams: %s", when,
		    session_why(c->site[i].group->session));
}

/* What the two are when they meet, and must be afterwards. */
struct before {
	uint64_t lsn, digest;
};

static struct before look(const struct site *s)
{
	return (struct before){ lfs_lsn(s->group->lfs).admitted, s->image.digest };
}

static void require_as_before(const struct site *s, const struct before *b)
{
	sim_require(lfs_lsn(s->group->lfs).admitted == b->lsn &&
			    s->image.digest == b->digest,
		    "%s holds LSN %llu after it has met a stranger, and held %llu",
		    sim_node_name(s->node),
		    (unsigned long long)lfs_lsn(s->group->lfs).admitted,
		    (unsigned long long)b->lsn);
}

/* As it is, or as it opens again. */
static void meet(struct cloned *c)
{
	struct site *bak = &c->site[BAK], *lon = &c->site[LON];
	struct before ours, theirs;

	if (sim_chance(c->rng, 0.5)) {
		site_crash(bak, SIM_KILL);
		cut(c, false);
		(void)site_start(bak);
	} else {
		cut(c, false);
	}
	ours = look(bak);
	theirs = look(lon);
	sim_require(sim_run_until(c->w, has_diverged, bak, 30 * RT_S),
		    "the clone does not know that it is one: %s",
		    session_why(bak->group->session));
	sim_require(sim_run_until(c->w, has_diverged, lon, 30 * RT_S),
		    "the mirror does not know that it has met a clone: %s",
		    session_why(lon->group->session));
	(void)sim_run_for(c->w, 10 * RT_S);
	require_as_before(bak, &ours);
	require_as_before(lon, &theirs);
}

static void cloned_run(struct sim_world *w)
{
	struct cloned c = { .w = w, .rng = sim_rng(w) };
	const struct sim_net_config net = {
		.delay_ns = (int64_t)sim_between(c.rng, 1, 30) * RT_MS
	};
	uint64_t epoch = sim_draw(c.rng) | 1;

	c.buf = aligned_alloc(ORACLE_BLOCK, ORACLE_BLOCK);
	rt_assert(c.buf);
	secure_sim_seed(sim_draw(c.rng));
	sim_net_set_all(w, &net);
	configure(&c);
	site_create(&c.site[NYC]);
	site_create(&c.site[LON]);
	(void)site_start(&c.site[LON]);
	(void)site_start(&c.site[NYC]);
	sim_require(sim_run_until(w, serves, &c.site[NYC], SITE_WAIT_NS), "no opening");
	write_some(&c, NYC, sim_skewed(c.rng, 0, 30));
	require_streams(&c, NYC, "at first");
	site_stop(&c.site[NYC]);
	site_exit(&c.site[NYC]);
	sim_disk_copy(sim_disk(c.site[NYC].node, SITE_STORE),
		      sim_disk(c.site[BAK].node, SITE_STORE));

	open_alone(&c, NYC, epoch, sim_skewed(c.rng, 1, 40));
	cut(&c, false);
	require_streams(&c, NYC, "before there is a clone");
	site_crash(&c.site[NYC], SIM_KILL);
	(void)sim_run_for(w, 4 * RT_S);
	open_alone(&c, BAK, epoch, sim_skewed(c.rng, 1, 40));
	meet(&c);
	site_crash(&c.site[BAK], SIM_KILL);
	(void)sim_run_for(w, 4 * RT_S);
	(void)site_start(&c.site[NYC]);
	require_streams(&c, NYC, "once the clone is gone");
	sim_require(c.site[LON].group->standing == GROUP_STANDING_GOOD &&
			    c.site[NYC].group->standing == GROUP_STANDING_GOOD,
		    "the clone is gone, and the pair is not as before");
	for (unsigned i = 0; i < BAK; i++) {
		site_stop(&c.site[i]);
		site_exit(&c.site[i]);
	}
	for (unsigned i = 0; i < SITES; i++)
		site_end(&c.site[i]);
	free(c.buf);
}

static const char *const cloned_bugs[] = { "HASH_NOT_ASKED", NULL };

SIM_SCENARIO(cloned, "the mirror of a primary meets a clone that has written, too",
	     cloned_run, cloned_bugs, .all_max = 30)
