// SPDX-License-Identifier: BSD-3-Clause
#include "lfs/event_sector.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "rt/check.h"
#include "rt/crc.h"

#define CRC_FROM (offsetof(struct lfs_event_sector, crc) + sizeof(le32))

void lfs_event_sector_encode(uint8_t sector[LFS_EVENT_SECTOR],
			     const uint8_t store[LFS_ID_LEN],
			     const struct lfs_event *event)
{
	struct lfs_event_sector s = {
		.magic = le64_make(LFS_EVENT_MAGIC),
		.level = event->level,
		.seq = le64_make(event->seq),
		.wall_ns = le64_make((uint64_t)event->wall_ns),
	};
	size_t len = strnlen(event->text, sizeof(s.text));

	rt_assert(event->seq && event->seq <= LFS_EVENT_SEQ_MAX && len < sizeof(s.text));
	memcpy(s.store, store, LFS_ID_LEN);
	memcpy(s.text, event->text, len);
	memcpy(sector, &s, sizeof(s));
	s.crc = le32_make(rt_crc32c(sector + CRC_FROM, LFS_EVENT_SECTOR - CRC_FROM));
	memcpy(sector, &s, sizeof(s));
}

static bool event_sector_zeros(const struct lfs_event_sector *s)
{
	size_t len = strnlen(s->text, sizeof(s->text));

	if (len == sizeof(s->text))
		return false;
	for (; len < sizeof(s->text); len++)
		if (s->text[len])
			return false;
	return !s->zero[0] && !s->zero[1] && !s->zero[2];
}

int lfs_event_sector_decode(const uint8_t sector[LFS_EVENT_SECTOR],
			    const uint8_t store[LFS_ID_LEN], unsigned number,
			    struct lfs_event *ret)
{
	struct lfs_event_sector s;
	uint64_t seq;

	memcpy(&s, sector, sizeof(s));
	if (le64_get(s.magic) != LFS_EVENT_MAGIC ||
	    rt_crc32c(sector + CRC_FROM, LFS_EVENT_SECTOR - CRC_FROM) !=
		    le32_get(s.crc) ||
	    memcmp(s.store, store, LFS_ID_LEN) != 0)
		return -EBADMSG;
	seq = le64_get(s.seq);
	if (!seq || seq > LFS_EVENT_SEQ_MAX || lfs_event_sector_of(seq) != number ||
	    !event_sector_zeros(&s))
		return -EBADMSG;
	*ret = (struct lfs_event){
		.seq = seq,
		.wall_ns = (int64_t)le64_get(s.wall_ns),
		.level = s.level,
	};
	memcpy(ret->text, s.text, sizeof(s.text));
	return 0;
}
