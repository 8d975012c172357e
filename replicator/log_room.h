/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_LOG_ROOM_H
#define REPLICATOR_LOG_ROOM_H

#include <stdbool.h>
#include <stdint.h>

struct lfs_stats;

/*
 * What the log of this site lacks, as people hear of it. Pure: events in, news out. It is
 * full from the first operation that it refuses until any one operation has room, so that
 * small writes that still fit do not make it come and go.
 */
struct log_room {
	bool full;
	bool map_full; /* the same of map_memory, which is no want of room */
	bool low; /* clients have less than a tenth of the store left; until it is a fifth */
	/* Clients' requests, since the start: for want of room, and of map_memory. */
	uint64_t refused_writes, refused_by_map;
};

#define LOG_ROOM_NEWS_FULL 1u
#define LOG_ROOM_NEWS_ROOM 2u /* again */
#define LOG_ROOM_NEWS_LOW 4u
#define LOG_ROOM_NEWS_MAP_FULL 8u
#define LOG_ROOM_NEWS_MAP_ROOM 16u

/* The log refused an operation with `err`. Returns LOG_ROOM_NEWS_..., or 0: no change. */
unsigned log_room_refused(struct log_room *r, int err);
/* A client's request ends with `err`: count it, where the log or the map had no room. */
void log_room_count(struct log_room *r, int err);
/* Once in each turn. */
unsigned log_room_turn(struct log_room *r, const struct lfs_stats *stats);

#endif
