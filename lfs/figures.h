/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_FIGURES_H
#define LFS_FIGURES_H

#include <stdint.h>

#include "rt/time.h"

/* Counted since the store was opened: lfs_stats() shows them. */
struct lfs_figures {
	uint64_t client_bytes, disk_bytes, records, flushes;
	uint64_t checksum_errors, read_errors; /* blocks; reads that the disk refused */
	rt_time checkpoint_at;		       /* the last one; RT_NEVER: none */
};

#endif
