/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_LIFECYCLE_H
#define REPLICATOR_LIFECYCLE_H

#include "lfs/lfs.h"
#include "rt/loop.h"

struct group;
struct group_open;
struct group_stop;

/* The end of a group: a stop that was asked for, or an open that failed. */
struct group_ending {
	struct group_stop *stop; /* the caller's; or */
	struct group_open *open; /* the caller's, */
	int open_err;		 /* and what it ends with */
	rt_time deadline;	 /* of a stop */
	struct rt_timer timer;	 /* that deadline */
	struct lfs_close close;
	int close_res;
};

void stopping_turn(struct group *g);
void closing_turn(struct group *g);

#endif
