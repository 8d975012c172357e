// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/turn.h"

#include <errno.h>
#include <libnbd.h>
#include <poll.h>
#include <time.h>

#include "tests/bench/measure.h"

static struct pollfd wanted(struct nbd_handle *nbd)
{
	struct pollfd fd = { .fd = nbd_aio_get_fd(nbd) };
	unsigned int dir = nbd_aio_get_direction(nbd);

	if (dir & LIBNBD_AIO_DIRECTION_READ)
		fd.events |= POLLIN;
	if (dir & LIBNBD_AIO_DIRECTION_WRITE)
		fd.events |= POLLOUT;
	return fd;
}

int turn(struct nbd_handle *const nbd[], size_t n, uint64_t until_ns)
{
	struct pollfd fds[TURN_MAX];
	uint64_t now = measure_now_ns(), left = until_ns > now ? until_ns - now : 0;
	struct timespec t = { (time_t)(left / NS_PER_S), (long)(left % NS_PER_S) };

	for (size_t i = 0; i < n; i++)
		fds[i] = wanted(nbd[i]);
	if (ppoll(fds, n, &t, NULL) < 0)
		return errno == EINTR ? 0 : -errno;
	for (size_t i = 0; i < n; i++) {
		int res = 0;

		if (fds[i].events & POLLIN && fds[i].revents & (POLLIN | POLLHUP))
			res = nbd_aio_notify_read(nbd[i]);
		else if (fds[i].revents & POLLOUT)
			res = nbd_aio_notify_write(nbd[i]);
		if (res < 0 || fds[i].revents & (POLLERR | POLLNVAL))
			return -EIO;
	}
	return 0;
}
