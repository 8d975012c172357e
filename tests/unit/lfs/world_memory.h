/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_LFS_WORLD_MEMORY_H
#define TESTS_UNIT_LFS_WORLD_MEMORY_H

/* A store in memory: completions, failures and power cuts are the test's to choose. */
#include "tests/unit/lfs/memory_loop.h"
#include "tests/unit/lfs/world.h"

static inline void memory_poke(struct world *w, uint64_t off, const void *bytes,
			       size_t len)
{
	disk_poke(off, bytes, len);
}

static inline void memory_peek(struct world *w, uint64_t off, void *bytes, size_t len)
{
	assert_true(off + len <= disk.size);
	memcpy(bytes, disk.bytes + off, len);
}

static inline uint64_t memory_size(struct world *w)
{
	return disk.size;
}

static const struct world_medium world_memory = {
	.poke = memory_poke,
	.peek = memory_peek,
	.size = memory_size,
};

static inline int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	rt_log_set_sink(silent, NULL);
	disk_reset();
	assert_int_equal(rt_loop_new(&w->loop), 0);
	memcpy(w->path, "store", sizeof("store"));
	w->buf = rt_alloc_blocks(BLOCKS_MAX * LFS_BLOCK);
	assert_non_null(w->buf);
	w->map_memory = 64 * MIB;
	w->medium = &world_memory;
	*state = w;
	return 0;
}

static inline int world_teardown(void **state)
{
	struct world *w = *state;

	disk_reset();
	rt_free(w->buf);
	free(w);
	return 0;
}

#endif
