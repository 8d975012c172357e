// SPDX-License-Identifier: BSD-3-Clause
/*
 * fill FILE: write zeros where the file has holes, so that what is measured later is not
 * how its file system finds room. What a reader sees stays as it was. For a store: after
 * `wanmirror create`, before the daemon runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)4 << 20)

static int fill_hole(int fd, const void *zeros, off_t from, off_t to)
{
	while (from < to) {
		size_t n = to - from < (off_t)PIECE ? (size_t)(to - from) : PIECE;
		ssize_t done = pwrite(fd, zeros, n, from);

		if (done < 0)
			return -errno;
		from += done;
	}
	return 0;
}

static int fill(int fd, const void *zeros)
{
	off_t at = 0, hole, data;
	struct stat st;
	int err = 0;

	if (fstat(fd, &st) != 0)
		return -errno;
	while (err == 0 && at < st.st_size) {
		hole = lseek(fd, at, SEEK_HOLE);
		if (hole < 0 || hole >= st.st_size)
			break;
		data = lseek(fd, hole, SEEK_DATA);
		if (data < 0)
			data = st.st_size; /* a hole up to the end */
		err = fill_hole(fd, zeros, hole, data);
		at = data;
	}
	if (err == 0 && fsync(fd) != 0)
		err = -errno;
	return err;
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC) : -1;
	void *zeros = aligned_alloc(4096, PIECE);
	int err;

	if (argc != 2 || zeros == NULL) {
		(void)fprintf(stderr, "usage: fill FILE\n");
		free(zeros);
		return 2;
	}
	memset(zeros, 0, PIECE);
	err = fd < 0 ? -errno : fill(fd, zeros);
	if (err != 0)
		(void)fprintf(stderr, "fill: %s: %s\n", argv[1], strerror(-err));
	if (fd >= 0)
		(void)close(fd);
	free(zeros);
	return err != 0;
}
