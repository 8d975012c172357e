// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "rt/log.h"
#include "rt/uring.h"

static void signal_prep(struct rt_op *op, struct io_uring_sqe *sqe)
{
	struct rt_loop *loop = op->impl[2];

	io_uring_prep_poll_add(sqe, loop->signals.fd, POLLIN);
}

/* One that nobody can take must end the process, as it would without us. */
static void signals_give_up(struct uring_signals *signals)
{
	rt_log(RT_LOG_ERROR, "signals-lost error=\"%s\"", strerror(errno));
	(void)pthread_sigmask(SIG_UNBLOCK, &signals->set, NULL);
}

static void signal_complete(struct rt_loop *loop, struct rt_op *op, int res,
			    unsigned flags)
{
	struct uring_signals *signals = &loop->signals;
	struct signalfd_siginfo info;
	ssize_t n;

	if (res < 0) { /* cancelled: a poll of a signalfd does not fail */
		uring_finish(loop, op, res);
		return;
	}
	/* Each signal is pending at most once, so this ends. */
	while ((n = read(signals->fd, &info, sizeof(info))) == sizeof(info)) {
		rt_signal_fn *fn = signals->handlers[info.ssi_signo].fn;

		fn(signals->handlers[info.ssi_signo].owner, (int)info.ssi_signo);
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		signals_give_up(signals);
	uring_restart(loop, op);
}

const struct uring_class uring_signal_class = { signal_prep, signal_complete };

int rt_signal(struct rt_loop *loop, int signo, rt_signal_fn *fn, void *owner)
{
	struct uring_signals *signals = &loop->signals;
	bool first = signals->fd < 0;
	sigset_t set = signals->set;
	int fd, r;

	rt_assert(signo > 0 && signo < _NSIG);
	if (first)
		(void)sigemptyset(&set);
	if (sigaddset(&set, signo) < 0)
		return -errno;
	r = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (r != 0)
		return -r;
	fd = signalfd(signals->fd, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	signals->fd = fd;
	signals->set = set;
	signals->handlers[signo].fn = fn;
	signals->handlers[signo].owner = owner;
	if (first) {
		loop->handles++;
		uring_start(loop, &signals->op, URING_SIGNAL, loop);
	}
	return 0;
}

void uring_signal_cancel(struct rt_loop *loop)
{
	if (loop->signals.fd < 0)
		return;
	loop->handles--;
	rt_cancel(loop, &loop->signals.op);
}

/* They stay blocked: one that comes now must not kill a process that was handling it. */
void uring_signal_release(struct rt_loop *loop)
{
	if (loop->signals.fd >= 0)
		(void)close(loop->signals.fd);
}
