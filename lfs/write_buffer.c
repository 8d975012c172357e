// SPDX-License-Identifier: BSD-3-Clause
#include "lfs/write_buffer.h"

#include <errno.h>

#include "rt/check.h"
#include "rt/hash.h"
#include "rt/mem.h"

/*
 * Blocks by (volume, lba) in a hash table, the youngest of a bucket first; zero and trim
 * stay what they are, runs, in a list that is as good as always very short.
 */

#define ORDER_BITS 8
static_assert(LFS_OPS_MAX <= 1u << ORDER_BITS, "an operation's number fits");

static uint64_t buffer_order_of(const struct lfs_append *a, unsigned op)
{
	return a->lsn << ORDER_BITS | op;
}

static struct lfs_write_buffer_block **buffer_bucket_of(const struct lfs_write_buffer *o,
							uint32_t volume, uint64_t lba)
{
	return &o->buckets[rt_mix64(lba ^ (uint64_t)volume << 48) & o->mask];
}

int lfs_write_buffer_init(struct lfs_write_buffer *o, uint32_t blocks)
{
	uint32_t n = 1;

	while (n < blocks)
		n *= 2;
	rt_list_init(&o->unmaps);
	o->mask = n - 1;
	o->blocks = rt_zalloc(blocks, sizeof(*o->blocks));
	o->buckets = rt_zalloc(n, sizeof(struct lfs_write_buffer_block *));
	if (!o->blocks || !o->buckets) {
		lfs_write_buffer_release(o);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < blocks; i++) {
		o->blocks[i].next = o->free;
		o->free = &o->blocks[i];
	}
	o->unused = blocks;
	return 0;
}

void lfs_write_buffer_release(struct lfs_write_buffer *o)
{
	rt_free(o->blocks);
	rt_free(o->buckets);
	o->blocks = NULL;
	o->buckets = NULL;
}

static void add_block(struct lfs_write_buffer *o, const struct lfs_op *op, uint32_t i,
		      uint64_t order)
{
	struct lfs_write_buffer_block **bucket =
		buffer_bucket_of(o, op->volume, op->lba + i);
	struct lfs_write_buffer_block *b = o->free;

	rt_assert(b);
	o->free = b->next;
	o->unused--;
	*b = (struct lfs_write_buffer_block){
		.next = *bucket,
		.data = op->data + (size_t)i * LFS_BLOCK,
		.order = order,
		.lba = op->lba + i,
		.volume = op->volume,
		.crc = op->crcs[i],
	};
	*bucket = b;
}

static void remove_block(struct lfs_write_buffer *o, uint32_t volume, uint64_t lba,
			 uint64_t order)
{
	struct lfs_write_buffer_block **at = buffer_bucket_of(o, volume, lba), *b;

	while ((b = *at) != NULL) {
		if (b->order == order && b->lba == lba && b->volume == volume)
			break;
		at = &b->next;
	}
	rt_assert(b);
	*at = b->next;
	b->next = o->free;
	o->free = b;
	o->unused++;
}

void lfs_write_buffer_add(struct lfs_write_buffer *o, struct lfs_append *a)
{
	bool unmaps = false;

	for (unsigned n = 0; n < a->nops; n++) {
		const struct lfs_op *op = &a->ops[n];

		if (op->kind != LFS_WRITE) {
			unmaps = true;
			continue;
		}
		for (uint32_t i = 0; i < op->blocks; i++)
			add_block(o, op, i, buffer_order_of(a, n));
	}
	rt_list_init(&lfs_append_impl(a)->unmap);
	if (unmaps)
		rt_list_push_back(&o->unmaps, &lfs_append_impl(a)->unmap);
}

void lfs_write_buffer_remove(struct lfs_write_buffer *o, struct lfs_append *a)
{
	for (unsigned n = 0; n < a->nops; n++) {
		const struct lfs_op *op = &a->ops[n];

		if (op->kind != LFS_WRITE)
			continue;
		for (uint32_t i = 0; i < op->blocks; i++)
			remove_block(o, op->volume, op->lba + i, buffer_order_of(a, n));
	}
	rt_list_remove(&lfs_append_impl(a)->unmap);
}

/* The youngest zero or trim over this block: its order + 1, or 0. */
static uint64_t buffer_unmap_order(const struct lfs_write_buffer *o, uint32_t volume,
				   uint64_t lba)
{
	for (struct rt_list *l = o->unmaps.prev; l != &o->unmaps; l = l->prev) {
		struct lfs_append_impl *impl =
			rt_container_of(l, struct lfs_append_impl, unmap);
		const struct lfs_append *a = lfs_append_of(&impl->link);

		for (unsigned n = a->nops; n--;) {
			const struct lfs_op *op = &a->ops[n];

			if (op->kind != LFS_WRITE && op->volume == volume &&
			    lba >= op->lba && lba - op->lba < op->blocks)
				return buffer_order_of(a, n) + 1;
		}
	}
	return 0;
}

enum lfs_seen lfs_write_buffer_get(const struct lfs_write_buffer *o, uint32_t volume,
				   uint64_t lba, const uint8_t **ret_data,
				   uint32_t *ret_crc)
{
	const struct lfs_write_buffer_block *b = *buffer_bucket_of(o, volume, lba);
	uint64_t unmapped = 0;

	while (b && (b->lba != lba || b->volume != volume))
		b = b->next;
	if (!rt_list_empty(&o->unmaps))
		unmapped = buffer_unmap_order(o, volume, lba);
	if (b && b->order >= unmapped) {
		*ret_data = b->data;
		*ret_crc = b->crc;
		return LFS_SEEN_DATA;
	}
	return unmapped ? LFS_SEEN_ZERO : LFS_SEEN_NOT;
}
