// SPDX-License-Identifier: BSD-3-Clause
#include <stdlib.h>
#include <string.h>

#include "lfs/open_store.h"
#include "replicator/group_private.h"
#include "rt/check.h"
#include "tests/sim/pair.h"
#include "tests/sim/sim_impl.h"

/*
 * What the log of a site shows is judged at every LSN that it takes, in the call that takes
 * it, and as a whole when it is opened or promoted. The log is looked at directly: no time
 * passes and no number is drawn, so that a run is the same run with it.
 */
int __real_lfs_append(struct lfs *lfs, struct lfs_append *a);
int __wrap_lfs_append(struct lfs *lfs, struct lfs_append *a);

static struct pair *judged; /* borrowed: the one pair of this world; or NULL */

/* The block that a read would bring now, in `buf` or in the log's own memory. */
static const uint8_t *block_shown(const struct pair_site *s, const struct lfs *lfs,
				  uint32_t volume, uint64_t lba, uint8_t *buf)
{
	const uint8_t *data;
	uint32_t crc, place;

	switch (lfs_write_buffer_get(&lfs->admission.write_buffer, volume, lba, &data,
				     &crc)) {
	case LFS_SEEN_DATA:
		return data;
	case LFS_SEEN_ZERO:
		break;
	case LFS_SEEN_NOT:
		place = lfs_map_get(&lfs->map, volume, lba, &crc);
		if (place == 0)
			break;
		sim_disk_peek(sim_disk(s->node, PAIR_STORE), (uint64_t)place * LFS_BLOCK,
			      buf, LFS_BLOCK);
		return buf;
	}
	memset(buf, 0, LFS_BLOCK);
	return buf;
}

/* A mirror numbers its volumes as the primary that paired it does. */
static unsigned oracle_volume(const struct pair_site *s, const struct lfs *lfs,
			      uint32_t volume)
{
	unsigned v = 0;

	while (strcmp(s->config.volumes[v].name, lfs_meta(lfs)->volumes[volume].name) !=
	       0)
		v++;
	return v;
}

static void judge_block(struct pair_site *s, const struct lfs *lfs, uint32_t volume,
			uint64_t lba)
{
	static uint8_t buf[LFS_BLOCK];
	struct pair_judge *j = &s->judge;
	unsigned v = oracle_volume(s, lfs, volume);
	uint64_t *stamp = &j->stamps[v][lba];

	j->digest ^= oracle_hash(v, lba, *stamp);
	sim_require(oracle_block(&j->digest, v, lba,
				 block_shown(s, lfs, volume, lba, buf), stamp) == 0,
		    "volume %u block %llu of %s is no block of it", v,
		    (unsigned long long)lba, sim_node_name(s->node));
}

static void judge_lsn(struct pair_site *s, uint64_t lsn, const char *when)
{
	struct oracle *o = s->pair->oracle;
	struct pair_judge *j = &s->judge;

	j->lsn = lsn;
	if (j->parted) /* nobody knows any more what it should hold */
		return;
	sim_require(lsn <= oracle_last(o), "%s: %s is at LSN %llu, and %llu exist", when,
		    sim_node_name(s->node), (unsigned long long)lsn,
		    (unsigned long long)oracle_last(o));
	sim_require(j->digest == oracle_digest(o, lsn),
		    "%s: what %s shows is not the image after LSN %llu", when,
		    sim_node_name(s->node), (unsigned long long)lsn);
}

int __wrap_lfs_append(struct lfs *lfs, struct lfs_append *a)
{
	int res = __real_lfs_append(lfs, a);

	for (unsigned i = 0; judged != NULL && res == 0 && i < 2; i++) {
		struct pair_site *s = &judged->site[i];

		if (s->node != sim_node_entered())
			continue;
		for (unsigned n = 0; n < a->nops; n++)
			for (uint32_t b = 0; b < a->ops[n].blocks; b++)
				judge_block(s, lfs, a->ops[n].volume, a->ops[n].lba + b);
		judge_lsn(s, a->lsn, "taken");
	}
	return res;
}

void pair_judge_begin(struct pair *p)
{
	judged = p;
	for (unsigned i = 0; i < 2; i++)
		for (unsigned v = 0; v < PAIR_VOLUMES; v++)
			p->site[i].judge.stamps[v] =
				sim_calloc(oracle_blocks(p->oracle, v), sizeof(uint64_t));
}

void pair_judge_end(struct pair *p)
{
	judged = NULL;
	for (unsigned i = 0; i < 2; i++)
		for (unsigned v = 0; v < PAIR_VOLUMES; v++)
			free(p->site[i].judge.stamps[v]);
}

void pair_judge_image(struct pair *p, unsigned i, const char *when)
{
	struct pair_site *s = &p->site[i];
	const struct lfs *lfs = s->group->lfs;
	struct pair_judge *j = &s->judge;
	uint64_t lsn = lfs_lsn(lfs).admitted;

	for (unsigned v = 0; v < PAIR_VOLUMES; v++)
		for (uint64_t lba = 0; lba < lfs_volume_blocks(&lfs_meta(lfs)->volumes[v]);
		     lba++)
			judge_block(s, lfs, v, lba);
	if (j->parted && lsn <= oracle_last(p->oracle) &&
	    j->digest == oracle_digest(p->oracle, lsn))
		j->parted = false; /* it has lost what nobody else has */
	judge_lsn(s, lsn, when);
}

void pair_at_rest(struct pair *p, unsigned i)
{
	const struct group *g = p->site[i].group;
	const struct lfs_admission *log = &g->lfs->admission;

	if (g->failed) /* what the log had taken stays there */
		return;
	sim_require(g->pending.requests == 0 && gate_empty(&g->gate) &&
			    rt_list_empty(&g->writes.waiting) &&
			    rt_list_empty(&g->writes.locks) &&
			    rt_list_empty(&g->writes.inflight),
		    "%s is idle, and has requests or range locks",
		    sim_node_name(p->site[i].node));
	sim_require(apply_idle(&g->apply) && g->apply.bytes == 0,
		    "%s is idle, and holds %llu bytes of records",
		    sim_node_name(p->site[i].node), (unsigned long long)g->apply.bytes);
	sim_require(rt_list_empty(&log->queue) && log->pending_appends == 0 &&
			    log->pending_leaves == 0 && log->queued_blocks == 0,
		    "the log of %s is idle, and counts %llu appends, %llu leaves, %llu "
		    "blocks",
		    sim_node_name(p->site[i].node),
		    (unsigned long long)log->pending_appends,
		    (unsigned long long)log->pending_leaves,
		    (unsigned long long)log->queued_blocks);
}

void pair_judge_taken_back(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++)
		if (p->site[i].judge.lsn > oracle_last(p->oracle))
			p->site[i].judge.parted = true;
}
