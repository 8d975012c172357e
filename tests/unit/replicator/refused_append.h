/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_REPLICATOR_REFUSED_APPEND_H
#define TESTS_UNIT_REPLICATOR_REFUSED_APPEND_H

/* A log that refuses a record when the test says so; linked with --wrap=lfs_append. */
#include "lfs/lfs.h"

/* The linker brings calls of lfs_append() to __wrap_..., the real one is __real_... */
int __real_lfs_append(struct lfs *lfs, struct lfs_append *a);
int __wrap_lfs_append(struct lfs *lfs, struct lfs_append *a);

static int append_err; /* what the log says to a record; 0: it takes it */

int __wrap_lfs_append(struct lfs *lfs, struct lfs_append *a)
{
	return append_err ? append_err : __real_lfs_append(lfs, a);
}

#endif
