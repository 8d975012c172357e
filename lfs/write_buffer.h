/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LFS_WRITE_BUFFER_H
#define LFS_WRITE_BUFFER_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "lfs/lfs.h"
#include "rt/list.h"

/* What is admitted and not in the map yet: reads look here first. Pure but for its memory. */
struct lfs_write_buffer_block {
	struct lfs_write_buffer_block *next; /* in its bucket, youngest first */
	const uint8_t *data;		     /* lent by the append */
	uint64_t order; /* LSN << 8 | operation: the higher is newer */
	uint64_t lba;
	uint32_t volume;
	uint32_t crc;
};

struct lfs_write_buffer {
	struct lfs_write_buffer_block *blocks; /* owned: all there are */
	struct lfs_write_buffer_block *free;
	struct lfs_write_buffer_block **buckets; /* owned */
	uint32_t mask;				 /* buckets - 1 */
	uint32_t unused;			 /* in `free` */
	struct rt_list unmaps; /* appends with zero or trim, oldest first */
};

enum lfs_seen { LFS_SEEN_NOT, LFS_SEEN_ZERO, LFS_SEEN_DATA };

int lfs_write_buffer_init(struct lfs_write_buffer *o, uint32_t blocks);
void lfs_write_buffer_release(struct lfs_write_buffer *o);
/* There must be room for the blocks of data (o->unused). */
void lfs_write_buffer_add(struct lfs_write_buffer *o, struct lfs_append *a);
void lfs_write_buffer_remove(struct lfs_write_buffer *o, struct lfs_append *a);
enum lfs_seen lfs_write_buffer_get(const struct lfs_write_buffer *o, uint32_t volume,
				   uint64_t lba, const uint8_t **ret_data,
				   uint32_t *ret_crc);

/* ---- behind lfs_append.impl --------------------------------------------------------- */

struct lfs_append_impl {
	struct rt_list link;  /* in the queue, then in its record */
	struct rt_list unmap; /* in the write buffer, when it has zero or trim */
};
static_assert(sizeof(struct lfs_append_impl) <= sizeof(((struct lfs_append *)0)->impl),
	      "fits into impl");

static inline struct lfs_append_impl *lfs_append_impl(struct lfs_append *a)
{
	return (struct lfs_append_impl *)(void *)a->impl;
}

static inline struct lfs_append *lfs_append_of(struct rt_list *link)
{
	return (struct lfs_append *)(void *)((char *)link -
					     offsetof(struct lfs_append, impl));
}

#endif
