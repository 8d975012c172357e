// SPDX-License-Identifier: BSD-3-Clause
#include "lfs/open_store.h"
#include "lfs/recount.h"
#include "rt/check.h"

/* Figures and watermarks. */

struct lfs_lsn lfs_lsn(const struct lfs *lfs)
{
	return (struct lfs_lsn){
		.admitted = lfs->admission.lsn,
		.written = lfs->head.applied.lsn,
		.durable = lfs->flusher.durable.lsn,
	};
}

void lfs_position(const struct lfs *lfs, struct lfs_position *ret)
{
	const struct lfs_epoch *epoch = lfs_epoch_of(&lfs->meta, lfs->admission.lsn);

	ret->lsn = lfs->admission.lsn;
	ret->hash = lfs->admission.hash;
	ret->bytes = lfs->admission.bytes;
	ret->epoch = epoch->number;
	ret->epoch_id = epoch->id;
}

void lfs_image(const struct lfs *lfs, struct lfs_image *ret)
{
	*ret = lfs->flusher.durable;
}

void lfs_stats(const struct lfs *lfs, struct lfs_stats *ret)
{
	uint64_t used = lfs->segs.n - lfs->segs.free;

	*ret = (struct lfs_stats){
		.store_bytes = lfs->geo.store_size,
		.used_bytes = used * lfs->geo.segment_size,
		.free_bytes = lfs_append_room(lfs) * LFS_BLOCK,
		.has_room = lfs_append_has_room(lfs),
		.has_map_memory = lfs_append_has_map_memory(lfs),
		.segments_free = lfs->segs.free,
		.client_bytes = lfs->figures.client_bytes,
		.disk_bytes = lfs->figures.disk_bytes,
		.records = lfs->figures.records,
		.flushes = lfs->figures.flushes,
		.checksum_errors = lfs->figures.checksum_errors,
		.read_errors = lfs->figures.read_errors,
		.checkpoint_age_ns = -1,
	};
	if (!rt_time_is_never(lfs->figures.checkpoint_at))
		ret->checkpoint_age_ns =
			rt_time_since(rt_now(lfs->loop), lfs->figures.checkpoint_at);
}

uint64_t lfs_mapped(const struct lfs *lfs, uint32_t volume)
{
	rt_assert(volume < lfs->map.nvolumes);
	return lfs->map.v[volume].mapped;
}

int lfs_recount(const struct lfs *lfs, char why[LFS_WHY_MAX])
{
	return lfs_recount_tables(&lfs->map, &lfs->segs, true, why);
}
