/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_LFS_WORLD_FILE_H
#define TESTS_UNIT_LFS_WORLD_FILE_H

/* A store in a file of its own, on the real ring. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/lfs/world.h"

static inline void file_poke(struct world *w, uint64_t off, const void *bytes, size_t len)
{
	int fd = open(w->path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, (off_t)off), (ssize_t)len);
	assert_int_equal(fsync(fd), 0);
	(void)close(fd);
}

static inline void file_peek(struct world *w, uint64_t off, void *bytes, size_t len)
{
	int fd = open(w->path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, bytes, len, (off_t)off), (ssize_t)len);
	(void)close(fd);
}

static inline uint64_t file_size(struct world *w)
{
	struct stat st;

	assert_int_equal(stat(w->path, &st), 0);
	return (uint64_t)st.st_size;
}

static const struct world_medium world_file = {
	.poke = file_poke,
	.peek = file_peek,
	.size = file_size,
};

static inline int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	rt_log_set_sink(silent, NULL);
	assert_int_equal(rt_loop_new(&w->loop), 0);
	/* Not in /tmp, which may be a file system without O_DIRECT. */
	(void)snprintf(w->dir, sizeof(w->dir), "/var/tmp/wanmirror-lfs-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->path, sizeof(w->path), "%s/store", w->dir);
	w->buf = rt_alloc_blocks(BLOCKS_MAX * LFS_BLOCK);
	assert_non_null(w->buf);
	w->map_memory = 64 * MIB;
	w->medium = &world_file;
	*state = w;
	return 0;
}

static inline int world_teardown(void **state)
{
	struct world *w = *state;

	rt_loop_free(w->loop);
	(void)unlink(w->path);
	assert_int_equal(rmdir(w->dir), 0);
	rt_free(w->buf);
	free(w);
	return 0;
}

#endif
