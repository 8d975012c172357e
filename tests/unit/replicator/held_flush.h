/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_REPLICATOR_HELD_FLUSH_H
#define TESTS_UNIT_REPLICATOR_HELD_FLUSH_H

/* A flush of the log that the test begins when it likes; linked with --wrap=lfs_flush. */
#include <stdbool.h>

#include "lfs/lfs.h"
#include "tests/unit/replicator/site.h"

/* The linker brings calls of lfs_flush() to __wrap_..., the real one is __real_... */
void __real_lfs_flush(struct lfs *lfs, struct lfs_flush *op);
void __wrap_lfs_flush(struct lfs *lfs, struct lfs_flush *op);

static bool hold_flush;
static struct lfs_flush *held_flush; /* asked for, and not begun */

void __wrap_lfs_flush(struct lfs *lfs, struct lfs_flush *op)
{
	if (hold_flush)
		held_flush = op;
	else
		__real_lfs_flush(lfs, op);
}

/* From now on. */
static inline void hold_flushes(void)
{
	SITE_UNTIL(site, site_events_durable());
	hold_flush = true;
}

static inline void begin_flush(void)
{
	struct lfs_flush *op = held_flush;

	assert_non_null(op);
	hold_flush = false;
	held_flush = NULL;
	__real_lfs_flush(site->group->lfs, op);
}

#endif
