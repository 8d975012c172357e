/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_RECOUNT_H
#define LFS_RECOUNT_H

#include <stdbool.h>

#include "lfs/lfs.h"

struct lfs_map;
struct lfs_segments;

/*
 * Counts what the map refers to, and holds it against what the map and the segments have
 * counted along the way; with `hashes`, the set-hashes too. 0, -EUCLEAN with `why`, -ENOMEM.
 */
int lfs_recount_tables(const struct lfs_map *map, const struct lfs_segments *segs,
		       bool hashes, char why[LFS_WHY_MAX]);

#endif
