// SPDX-License-Identifier: BSD-3-Clause
#include <stdlib.h>
#include <string.h>

#include "lfs/open_store.h"
#include "replicator/group_private.h"
#include "rt/check.h"
#include "tests/sim/oracle.h"
#include "tests/sim/sim_impl.h"
#include "tests/sim/site.h"

/* What the log of a site shows, at every LSN that it takes, in the call that takes it. */
int __real_lfs_append(struct lfs *lfs, struct lfs_append *a);
int __wrap_lfs_append(struct lfs *lfs, struct lfs_append *a);

static struct site *sites; /* borrowed: those of this world that are looked at */

static uint64_t blocks_of(const struct site *s, unsigned v)
{
	return s->config.volumes[v].size / ORACLE_BLOCK;
}

/* The block that a read would bring now, in `buf` or in the log's own memory. */
static const uint8_t *block_shown(const struct site *s, const struct lfs *lfs,
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
		sim_disk_peek(sim_disk(s->node, SITE_STORE), (uint64_t)place * LFS_BLOCK,
			      buf, LFS_BLOCK);
		return buf;
	}
	memset(buf, 0, LFS_BLOCK);
	return buf;
}

/* A mirror numbers its volumes as the primary that paired it does. */
static unsigned volume_configured(const struct site *s, const struct lfs *lfs,
				  uint32_t volume)
{
	unsigned v = 0;

	while (strcmp(s->config.volumes[v].name, lfs_meta(lfs)->volumes[volume].name) !=
	       0)
		v++;
	rt_assert(v < SITE_VOLUMES);
	return v;
}

static void look_at_block(struct site *s, const struct lfs *lfs, uint32_t volume,
			  uint64_t lba)
{
	static uint8_t buf[LFS_BLOCK];
	struct site_image *image = &s->image;
	unsigned v = volume_configured(s, lfs, volume);
	uint64_t *stamp = &image->stamps[v][lba];

	image->digest ^= oracle_hash(v, lba, *stamp);
	sim_require(oracle_block(&image->digest, v, lba,
				 block_shown(s, lfs, volume, lba, buf), stamp) == 0,
		    "volume %u block %llu of %s is no block of it", v,
		    (unsigned long long)lba, sim_node_name(s->node));
}

int __wrap_lfs_append(struct lfs *lfs, struct lfs_append *a)
{
	int res = __real_lfs_append(lfs, a);

	for (struct site *s = sites; res == 0 && s; s = s->next) {
		if (s->node != sim_node_entered())
			continue;
		for (unsigned n = 0; n < a->nops; n++)
			for (uint32_t b = 0; b < a->ops[n].blocks; b++)
				look_at_block(s, lfs, a->ops[n].volume,
					      a->ops[n].lba + b);
		if (s->watch->taken)
			s->watch->taken(s, lfs, a);
	}
	return res;
}

void site_image_begin(struct site *s)
{
	for (unsigned v = 0; v < SITE_VOLUMES; v++)
		s->image.stamps[v] = sim_calloc(blocks_of(s, v), sizeof(uint64_t));
	s->next = sites;
	sites = s;
}

void site_look(struct site *s)
{
	const struct lfs *lfs = s->group->lfs;

	for (unsigned v = 0; v < SITE_VOLUMES; v++)
		for (uint64_t lba = 0;
		     lba < lfs_volume_blocks(&lfs_meta(lfs)->volumes[v]); lba++)
			look_at_block(s, lfs, v, lba);
}

void site_end(struct site *s)
{
	struct site **at = &sites;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	for (unsigned v = 0; v < SITE_VOLUMES; v++)
		free(s->image.stamps[v]);
	free(s->open);
	free(s->stop);
	free(s->promote);
}

void site_at_rest(struct site *s)
{
	const struct group *g = s->group;
	const struct lfs_admission *log = &g->lfs->admission;

	if (g->failed) /* what the log had taken stays there */
		return;
	sim_require(g->pending.requests == 0 && gate_empty(&g->gate) &&
			    rt_list_empty(&g->writes.waiting) &&
			    rt_list_empty(&g->writes.locks) &&
			    rt_list_empty(&g->writes.inflight),
		    "%s is idle, and has requests or range locks",
		    sim_node_name(s->node));
	sim_require(apply_idle(&g->apply) && g->apply.bytes == 0,
		    "%s is idle, and holds %llu bytes of records", sim_node_name(s->node),
		    (unsigned long long)g->apply.bytes);
	sim_require(rt_list_empty(&log->queue) && log->pending_appends == 0 &&
			    log->pending_leaves == 0 && log->queued_blocks == 0,
		    "the log of %s is idle, and counts %llu appends, %llu leaves, %llu "
		    "blocks",
		    sim_node_name(s->node), (unsigned long long)log->pending_appends,
		    (unsigned long long)log->pending_leaves,
		    (unsigned long long)log->queued_blocks);
}
