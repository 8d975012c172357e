// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/log_room.h"

#include <errno.h>

#include "lfs/lfs.h"

unsigned log_room_refused(struct log_room *r, int err)
{
	if (err == -ENOSPC && !r->full) {
		r->full = true;
		return LOG_ROOM_NEWS_FULL;
	}
	if (err == -EDQUOT && !r->map_full) {
		r->map_full = true;
		return LOG_ROOM_NEWS_MAP_FULL;
	}
	return 0;
}

void log_room_count(struct log_room *r, int err)
{
	r->refused_writes += err == -ENOSPC;
	r->refused_by_map += err == -EDQUOT;
}

unsigned log_room_turn(struct log_room *r, const struct lfs_stats *stats)
{
	unsigned news = 0;

	if (r->full && stats->has_room) {
		r->full = false;
		news |= LOG_ROOM_NEWS_ROOM;
	}
	if (r->map_full && stats->has_map_memory) {
		r->map_full = false;
		news |= LOG_ROOM_NEWS_MAP_ROOM;
	}
	if (!r->low && stats->free_bytes < stats->store_bytes / 10) {
		r->low = true;
		news |= LOG_ROOM_NEWS_LOW;
	} else if (r->low && stats->free_bytes >= stats->store_bytes / 5) {
		r->low = false;
	}
	return news;
}
