/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_WAIT_H
#define LFS_WAIT_H

#include "rt/list.h"

/* Someone who waits for a flush or a checkpoint. `done` may free it. */
struct lfs_wait {
	struct rt_list link;
	void (*done)(struct lfs_wait *w, int res);
};

#endif
