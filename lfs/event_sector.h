/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_EVENT_SECTOR_H
#define LFS_EVENT_SECTOR_H

#include <stdint.h>

#include "lfs/format.h"

/* An event as it lies in its sector: bytes only, no I/O. */

/* The sector of an event's number. */
static inline unsigned lfs_event_sector_of(uint64_t seq)
{
	return (unsigned)(seq % LFS_EVENTS);
}

/* event->seq is 1 .. LFS_EVENT_SEQ_MAX, its text ends with a zero byte. */
void lfs_event_sector_encode(uint8_t sector[LFS_EVENT_SECTOR],
			     const uint8_t store[LFS_ID_LEN],
			     const struct lfs_event *event);
/*
 * 0 with *ret; -EBADMSG: the sector of this number holds no event of this store. Damage and
 * what another store has left look the same, and both are no event.
 */
int lfs_event_sector_decode(const uint8_t sector[LFS_EVENT_SECTOR],
			    const uint8_t store[LFS_ID_LEN], unsigned number,
			    struct lfs_event *ret);

#endif
