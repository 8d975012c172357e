/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_RECOVERY_H
#define REPLICATOR_RECOVERY_H

#include <stddef.h>
#include <stdint.h>

#include "lfs/lfs.h"
#include "replicator/group.h"
#include "replicator/peer_watch.h"
#include "rt/time.h"

/*
 * What a promotion of this mirror would find, as figures and in the words that a tired person
 * reads. Positions are compared within one history only. Pure.
 */
struct recovery {
	struct lfs_image image;
	uint64_t epoch; /* number, of that LSN */
	const struct peer_watch *watch;
	rt_time now;
	int64_t wall_ns;	    /* the same, by this site's wall clock */
	const char *node, *primary; /* their names */
};

void recovery_find(const struct recovery *r, struct group_recovery *ret);
/* In lines; `size` bytes at `text`, cut where that is not enough. */
void recovery_describe(const struct recovery *r, char *text, size_t size);

/* "0.4 s", "31 days"; "12 KiB"; "2026-11-30 14:02:11.31 UTC". */
#define RECOVERY_WORD_MAX 96
const char *recovery_age_text(int64_t ns, char text[RECOVERY_WORD_MAX]);
const char *recovery_bytes_text(uint64_t bytes, char text[RECOVERY_WORD_MAX]);
const char *recovery_time_text(int64_t wall_ns, char text[RECOVERY_WORD_MAX]);

#endif
