// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lfs/open_store.h"
#include "rt/check.h"
#include "rt/crc.h"
#include "tests/sim/lfs_site.h"

/*
 * A store that is almost full while most leaves of a large map are dirty, and a crash when
 * it may be in the middle of a checkpoint. Protects: what was kept free is enough to open
 * it again, however often it crashes; a full store is never one that cannot be opened.
 */
#define LEAVES 1600u
#define WINDOW 40u /* segments that are free */
#define DEPTH 400u
#define CRASHES 2u

static void shape(struct lfs_site *s)
{
	struct lfs_create_params params = { .meta = &s->meta };
	struct lfs_meta *m = &s->meta;

	if (s->huge)
		m->nvolumes--;
	s->huge = (uint64_t)LEAVES * LFS_LEAF_BLOCKS;
	m->max_request = 256 << 10;
	m->volumes[m->nvolumes] =
		(struct lfs_volume){ .name = "z", .size = s->huge * LFS_BLOCK };
	m->nvolumes++;
	s->segment_size = LFS_SEGMENT_MIN;
	s->checkpoint_every = (uint64_t)LEAVES * 2 * LFS_BLOCK;
	params.segment_size = s->segment_size;
	s->size = lfs_store_size_min(&params);
}

/* All but a window of the segments are in use, though nothing is written there. */
static void fill(struct lfs_site *s)
{
	struct lfs_segments *segs = &s->lfs->segs;
	uint32_t first = s->lfs->head.built.segment + WINDOW;

	for (uint32_t i = first; i < segs->n; i++) {
		struct lfs_segment_info info = {
			.kind = LFS_HEAD_CLIENT,
			.generation = i + 1,
			.incarnation = 1,
			.first_lsn = 1,
		};

		if (!lfs_segment_in_use(&segs->s[i]))
			lfs_segments_open(segs, i, &info);
	}
}

static void must_open(struct lfs_site *s)
{
	int res;

	rt_assert(lfs_site_open(s, &res));
	sim_require(!res, "a store that was full cannot be opened: %d %s", res, s->why);
}

/* ---- appends: one block, in another leaf each time ------------------------------------ */

struct full_append {
	struct lfs_append a;
	struct lfs_op op;
	struct full *full;
	bool busy;
};

struct full {
	struct lfs_site *s;
	struct full_append appends[DEPTH];
	uint8_t *zeros;
	uint32_t crc;
	unsigned busy, leaf;
};

static void append_done(struct lfs_append *a, int res)
{
	struct full_append *fa = rt_container_of(a, struct full_append, a);
	struct full *f = fa->full;

	sim_require(!res, "append: %d", res);
	fa->busy = false;
	f->busy--;
	sim_back(&fa->op, sizeof(fa->op));
	sim_back(a, sizeof(*a));
}

static bool some_free(void *arg)
{
	return ((struct full *)arg)->busy < DEPTH;
}

static int append_one(struct full *f)
{
	struct lfs_site *s = f->s;
	struct full_append *fa = f->appends;
	int res;

	while (fa->busy)
		fa++;
	fa->op = (struct lfs_op){
		.kind = LFS_WRITE,
		.volume = s->meta.nvolumes - 1,
		.lba = (uint64_t)(f->leaf % LEAVES) * LFS_LEAF_BLOCKS,
		.blocks = 1,
		.crcs = &f->crc,
		.data = f->zeros,
	};
	fa->a.lsn = lfs_lsn(s->lfs).admitted + 1;
	fa->a.ops = &fa->op;
	fa->a.nops = 1;
	fa->a.done = append_done;
	sim_node_enter(s->node);
	res = lfs_append(s->lfs, &fa->a);
	sim_node_leave(s->node);
	if (res)
		return res;
	f->leaf++;
	fa->full = f;
	fa->busy = true;
	f->busy++;
	return 0;
}

static void append_until_full(struct full *f)
{
	int res;

	do {
		if (!some_free(f))
			rt_assert(lfs_site_run(f->s, some_free, f));
		res = append_one(f);
		if (res == -EAGAIN)
			rt_assert(lfs_site_idle(f->s, RT_MS));
	} while (!res || res == -EAGAIN);
	sim_require(res == -ENOSPC, "append: %d", res);
}

static void run_full(struct sim_world *w)
{
	struct full *f = lfs_site_alloc(sizeof(*f));
	struct lfs_site *s = f->s = lfs_site_new(w);
	uint64_t lsn = 0;
	int res;

	f->zeros = lfs_site_alloc(LFS_BLOCK);
	f->crc = rt_crc32c(f->zeros, LFS_BLOCK);
	if (s->device)
		goto end; /* its size is drawn already */
	shape(s);
	sim_disk_config(s->disk)->write_min_ns = 0;
	sim_disk_config(s->disk)->write_max_ns =
		(int64_t)sim_skewed(s->rng, 1, 3000) * RT_US;
	rt_assert(lfs_site_create(s));
	must_open(s);
	rt_assert(!append_one(f) && lfs_site_idle(s, RT_S) && !f->busy);
	fill(s);
	/* Something has changed since, so that a checkpoint keeps it. */
	rt_assert(!append_one(f) && lfs_site_idle(s, RT_S) && !f->busy);
	rt_assert(lfs_site_close(s, &res) && !res);
	for (unsigned n = 0; n < CRASHES; n++) {
		must_open(s);
		append_until_full(f);
		(void)lfs_site_idle(s, (int64_t)sim_skewed(s->rng, 1, 3000) * RT_US);
		sim_note(s->w, "full", s->lfs->segs.free, s->lfs->ck.state,
			 s->lfs->map.stale);
		lsn = lfs_lsn(s->lfs).written;
		sim_node_crash(s->node, SIM_KILL);
		lfs_site_gone(s);
		memset(f->appends, 0, sizeof(f->appends));
		f->busy = 0;
	}
	must_open(s);
	sim_require(lfs_lsn(s->lfs).admitted >= lsn, "lsn %llu is missing",
		    (unsigned long long)lsn);
	rt_assert(lfs_site_close(s, &res));
	sim_require(!res, "close: %d", res);
end:
	free(f->zeros);
	free(f);
	lfs_site_free(s);
}

/* Only a large map is written while clients go on. */
static const char *const full_bugs[] = { "CAPTURE_LATE", NULL };

SIM_SCENARIO(lfs_full, "a full store with a large map, and a crash", run_full, full_bugs,
	     .all_max = 12)
