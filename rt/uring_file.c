// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt/mem.h"
#include "rt/uring.h"

struct rt_file {
	struct rt_loop *loop; /* borrowed */
	int fd;		      /* owned */
	bool block_device;
	bool made;	 /* by this open */
	uint32_t flying; /* operations between start and done */
};

static int open_flags(unsigned flags, bool block_device)
{
	int o = O_CLOEXEC | (flags & RT_FILE_WRITE ? O_RDWR : O_RDONLY);

	if (flags & RT_FILE_CREATE)
		o |= O_CREAT | O_EXCL;
	if (flags & RT_FILE_DIRECT)
		o |= O_DIRECT;
	/* Of a block device this keeps out mounts, RAID, other O_EXCL: see open(2). */
	if (block_device && flags & RT_FILE_EXCLUSIVE)
		o |= O_EXCL;
	return o;
}

/* -errno unless `mode` is of what can be a store. */
static int mode_check(mode_t mode)
{
	if (S_ISREG(mode) || S_ISBLK(mode))
		return 0;
	return S_ISDIR(mode) ? -EISDIR : -EINVAL;
}

static int file_open(struct rt_file *file, const char *path, unsigned flags)
{
	struct stat st;
	int r;

	/* Look first: to open a FIFO would block, a device might rewind a tape. */
	if (stat(path, &st) == 0) {
		file->block_device = S_ISBLK(st.st_mode);
		r = flags & RT_FILE_CREATE ? -EEXIST : mode_check(st.st_mode);
		if (r < 0)
			return r;
	} else if (errno != ENOENT) {
		return -errno;
	}
	file->fd = open(path, open_flags(flags, file->block_device), 0600);
	if (file->fd < 0)
		return -errno;
	file->made = flags & RT_FILE_CREATE;
	if (fstat(file->fd, &st) < 0)
		return -errno;
	r = mode_check(st.st_mode);
	if (r < 0)
		return r;
	file->block_device = S_ISBLK(st.st_mode);
	/* Locks the inode, for a device, too: other opens of ours, in any process. */
	if (flags & RT_FILE_EXCLUSIVE && flock(file->fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

int rt_file_open(struct rt_loop *loop, const char *path, unsigned flags,
		 struct rt_file **ret)
{
	struct rt_file *file = rt_zalloc(1, sizeof(*file));
	int r;

	if (!file)
		return -ENOMEM;
	file->loop = loop;
	file->fd = -1;
	r = file_open(file, path, flags);
	if (r < 0)
		goto fail;
	*ret = file;
	return 0;
fail:
	/* Else the next try would find a file there, and nobody's. */
	if (file->made)
		(void)unlink(path);
	rt_file_close(file);
	return r;
}

int rt_file_size(struct rt_file *file, uint64_t *ret)
{
	struct stat st;

	if (file->block_device)
		return ioctl(file->fd, BLKGETSIZE64, ret) < 0 ? -errno : 0;
	if (fstat(file->fd, &st) < 0)
		return -errno;
	*ret = (uint64_t)st.st_size;
	return 0;
}

int rt_file_set_size(struct rt_file *file, uint64_t size)
{
	uint64_t have;
	int r;

	if (file->block_device) {
		r = rt_file_size(file, &have);
		if (r == 0 && have != size)
			r = -EINVAL;
		return r;
	}
	if (size > INT64_MAX)
		return -EFBIG;
	return ftruncate(file->fd, (off_t)size) < 0 ? -errno : 0;
}

bool rt_file_is_block_device(struct rt_file *file)
{
	return file->block_device;
}

void rt_file_close(struct rt_file *file)
{
	if (!file)
		return;
	rt_assert(file->flying == 0);
	if (file->fd >= 0) {
		/* The ring may hold the file a little longer, and its lock with it. */
		(void)flock(file->fd, LOCK_UN);
		(void)close(file->fd); /* what must be durable was synced before */
	}
	rt_free(file);
}

int rt_file_unlink(struct rt_loop *loop, const char *path)
{
	return unlink(path) < 0 ? -errno : 0;
}

int rt_file_sync_dir(struct rt_loop *loop, const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[4096];
	int n, fd, r;

	if (!slash)
		n = snprintf(dir, sizeof(dir), ".");
	else if (slash == path)
		n = snprintf(dir, sizeof(dir), "/");
	else
		n = snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	if (n < 0 || (size_t)n >= sizeof(dir))
		return -ENAMETOOLONG;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fsync(fd) < 0 ? -errno : 0;
	(void)close(fd);
	return r;
}

/* ---- operations -------------------------------------------------------------- */

static void file_prep(struct rt_op *op, struct io_uring_sqe *sqe)
{
	int fd = ((struct rt_file *)op->impl[2])->fd;
	unsigned n = (unsigned)op->word[1];

	switch (uring_kind(op)) {
	case URING_READ:
		io_uring_prep_read(sqe, fd, op->impl[3], n, op->word[0]);
		break;
	case URING_READV:
		io_uring_prep_readv(sqe, fd, op->impl[3], n, op->word[0]);
		break;
	case URING_WRITE:
		io_uring_prep_write(sqe, fd, op->impl[3], n, op->word[0]);
		break;
	case URING_WRITEV:
		io_uring_prep_writev(sqe, fd, op->impl[3], n, op->word[0]);
		break;
	default:
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
		break;
	}
}

static void file_complete(struct rt_loop *loop, struct rt_op *op, int res, unsigned flags)
{
	struct rt_file *file = op->impl[2];

	/* Nothing was done yet. Of a flush, any failure is final. */
	if ((res == -EINTR || res == -EAGAIN) && uring_kind(op) != URING_FDATASYNC) {
		uring_restart(loop, op);
		return;
	}
	file->flying--;
	uring_finish(loop, op, res);
}

const struct uring_class uring_file_class = { file_prep, file_complete };

static void file_start(struct rt_file *file, struct rt_op *op, enum uring_kind kind)
{
	file->flying++;
	uring_start(file->loop, op, kind, file);
}

static void buffer_set(struct rt_op *op, const void *buf, size_t len, uint64_t off)
{
	op->impl[3] = (void *)(uintptr_t)buf;
	op->word[0] = off;
	op->word[1] = len < URING_IO_MAX ? len : URING_IO_MAX;
}

static void iov_set(struct rt_op *op, const struct iovec *iov, unsigned n, uint64_t off)
{
	op->impl[3] = (void *)(uintptr_t)iov;
	op->word[0] = off;
	op->word[1] = n < URING_IOV_MAX ? n : URING_IOV_MAX;
}

void rt_read(struct rt_file *file, struct rt_op *op, void *buf, size_t len, uint64_t off)
{
	buffer_set(op, buf, len, off);
	file_start(file, op, URING_READ);
}

void rt_readv(struct rt_file *file, struct rt_op *op, const struct iovec *iov, unsigned n,
	      uint64_t off)
{
	iov_set(op, iov, n, off);
	file_start(file, op, URING_READV);
}

void rt_write(struct rt_file *file, struct rt_op *op, const void *buf, size_t len,
	      uint64_t off)
{
	buffer_set(op, buf, len, off);
	file_start(file, op, URING_WRITE);
}

void rt_writev(struct rt_file *file, struct rt_op *op, const struct iovec *iov,
	       unsigned n, uint64_t off)
{
	iov_set(op, iov, n, off);
	file_start(file, op, URING_WRITEV);
}

void rt_fdatasync(struct rt_file *file, struct rt_op *op)
{
	file_start(file, op, URING_FDATASYNC);
}
