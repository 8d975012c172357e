// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "rt/mem.h"
#include "rt/uring.h"

/* In the name of a request to cancel the operation whose address is the rest of it. */
#define CANCEL_TAG UINT64_C(1)

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

static const struct uring_class *const classes[URING_KINDS] = {
	[URING_READ] = &uring_file_class,
	[URING_READV] = &uring_file_class,
	[URING_WRITE] = &uring_file_class,
	[URING_WRITEV] = &uring_file_class,
	[URING_FDATASYNC] = &uring_file_class,
	[URING_CONNECT] = &uring_sock_class,
	[URING_RECV] = &uring_sock_class,
	[URING_SEND] = &uring_sock_class,
	[URING_AWAIT_END] = &uring_sock_class,
	[URING_DGRAM_SEND] = &uring_dgram_send_class,
	[URING_ACCEPT] = &uring_listener_class,
	[URING_SIGNAL] = &uring_signal_class,
	[URING_DGRAM_PART] = &uring_dgram_part_class,
	[URING_DGRAM_RECV] = &uring_dgram_recv_class,
	[URING_DGRAM_ERROR] = &uring_dgram_error_class,
};

static void clock_read(struct rt_loop *loop)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail */
	loop->now.ns = (int64_t)ts.tv_sec * RT_S + ts.tv_nsec;
}

/*
 * A filter may let a ring be made and forbid its use: better known now than later. So is a
 * limit on threads: files need one of the kernel's, which from then on stays.
 */
static int ring_try(struct rt_loop *loop)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);
	struct io_uring_cqe *cqe;
	int r;

	rt_assert(sqe);
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
	r = io_uring_submit_and_wait(&loop->ring, 1);
	if (r < 0)
		return r;
	r = io_uring_wait_cqe(&loop->ring, &cqe);
	if (r < 0)
		return r;
	r = cqe->res == -ECANCELED ? -EAGAIN : cqe->res;
	io_uring_cqe_seen(&loop->ring, cqe);
	return r;
}

/* rt_random() cannot fail, so what would make it fail is looked for at the start. */
static int random_try(void)
{
	char byte;

	if (getrandom(&byte, sizeof(byte), GRND_NONBLOCK) >= 0 || errno == EAGAIN)
		return 0; /* early after a boot it has to wait */
	return -errno;
}

/* The best ring that this kernel has. */
static int ring_init(struct rt_loop *loop)
{
	static const unsigned flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_SUBMIT_ALL,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
		0,
	};
	unsigned i = loop->without & URING_WITHOUT_DEFER ? 1 : 0;
	int r = -EINVAL;

	for (; i < RT_ARRAY_LEN(flags) && r == -EINVAL; i++) {
		struct io_uring_params params = {
			.flags = flags[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
			.cq_entries = URING_CQ_ENTRIES,
		};

		r = io_uring_queue_init_params(URING_SQ_ENTRIES, &loop->ring, &params);
	}
	if (r < 0)
		return r;
	/* Waits carry their timeout, and no completion is lost: Linux 5.11. */
	if (!(loop->ring.features & IORING_FEAT_EXT_ARG) ||
	    !(loop->ring.features & IORING_FEAT_NODROP)) {
		io_uring_queue_exit(&loop->ring);
		return -ENOSYS;
	}
	r = ring_try(loop);
	if (r < 0) {
		io_uring_queue_exit(&loop->ring);
		return r;
	}
	/* Only saves a look-up in each call: not having it is no failure. */
	(void)io_uring_register_ring_fd(&loop->ring);
	return 0;
}

int uring_loop_new(unsigned without, struct rt_loop **ret)
{
	struct rt_loop *loop = rt_zalloc(1, sizeof(*loop));
	int r;

	if (!loop)
		return -ENOMEM;
	loop->without = without;
	loop->signals.fd = -1;
	loop->ts_id = without & URING_WITHOUT_TS_ID ? 0 : -1;
	rt_list_init(&loop->queue);
	rt_list_init(&loop->dgrams);
	rt_list_init(&loop->ready);
	rt_list_init(&loop->idle);
	r = uring_timer_init(loop);
	if (r == 0)
		r = random_try();
	if (r == 0)
		r = ring_init(loop);
	if (r < 0) {
		rt_free(loop->heap);
		rt_free(loop);
		return r;
	}
	clock_read(loop);
	*ret = loop;
	return 0;
}

int rt_loop_new(struct rt_loop **ret)
{
	return uring_loop_new(0, ret);
}

/* ---- operations -------------------------------------------------------------- */

static void queue_push(struct rt_loop *loop, struct rt_op *op)
{
	enum uring_kind kind = uring_kind(op);
	bool dgram = kind == URING_DGRAM_SEND || kind == URING_DGRAM_PART;

	uring_set_state(op, URING_QUEUED);
	rt_list_push_back(dgram ? &loop->dgrams : &loop->queue, uring_link(op));
}

static bool queue_empty(const struct rt_loop *loop)
{
	return rt_list_empty(&loop->queue) && rt_list_empty(&loop->dgrams);
}

static void ready_push(struct rt_loop *loop, struct rt_op *op, int res)
{
	uring_set_state(op, URING_READY);
	op->res = res;
	rt_list_push_back(&loop->ready, uring_link(op));
}

static void op_begin(struct rt_loop *loop, struct rt_op *op, enum uring_kind kind,
		     void *handle)
{
	op->kind = (unsigned)kind;
	op->res = 0;
	op->impl[2] = handle;
	if (kind >= URING_ACCEPT)
		loop->own++;
	else
		loop->lent++;
}

void uring_start(struct rt_loop *loop, struct rt_op *op, enum uring_kind kind,
		 void *handle)
{
	op_begin(loop, op, kind, handle);
	queue_push(loop, op);
}

void uring_restart(struct rt_loop *loop, struct rt_op *op)
{
	if (op->kind & URING_CANCEL)
		ready_push(loop, op, -ECANCELED);
	else
		queue_push(loop, op);
}

void uring_end(struct rt_loop *loop, struct rt_op *op, int res)
{
	rt_list_remove(uring_link(op));
	ready_push(loop, op, res);
}

void uring_finish(struct rt_loop *loop, struct rt_op *op, int res)
{
	uring_set_state(op, URING_IDLE);
	if (uring_kind(op) >= URING_ACCEPT) {
		loop->own--;
		return;
	}
	loop->lent--;
	op->done(op, res);
}

void rt_defer(struct rt_loop *loop, struct rt_op *op)
{
	op_begin(loop, op, URING_DEFER, NULL);
	ready_push(loop, op, 0);
}

void rt_defer_idle(struct rt_loop *loop, struct rt_op *op)
{
	op_begin(loop, op, URING_DEFER, NULL);
	uring_set_state(op, URING_READY);
	op->res = 0;
	rt_list_push_back(&loop->idle, uring_link(op));
}

void rt_cancel(struct rt_loop *loop, struct rt_op *op)
{
	enum uring_kind kind = uring_kind(op);

	if (kind == URING_WRITE || kind == URING_WRITEV || kind == URING_FDATASYNC)
		return;
	switch (uring_state(op)) {
	case URING_IDLE:
	case URING_LANDED:
		return;
	case URING_READY:
		if (kind == URING_DEFER)
			op->res = -ECANCELED;
		return;
	case URING_QUEUED:
		uring_end(loop, op, -ECANCELED);
		return;
	case URING_FLYING:
		if (op->kind & URING_CANCEL)
			return;
		op->kind |= URING_CANCEL;
		/* Its own link queues the request: nothing to allocate, none to lose. */
		rt_list_push_back(&loop->queue, uring_link(op));
		return;
	}
}

/* ---- one turn ----------------------------------------------------------------- */

/*
 * Move the queues into the submission queue. What does not fit, because the kernel takes
 * no more for now, stays queued for the next turn. Datagrams come last: to send one is
 * work that the kernel does in this very thread, and the disk and the client with his
 * reply need not wait for it.
 */
static void queue_flush(struct rt_loop *loop)
{
	while (!queue_empty(loop)) {
		struct rt_list *queue =
			rt_list_empty(&loop->queue) ? &loop->dgrams : &loop->queue;
		struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);
		struct rt_op *op;

		if (!sqe && io_uring_submit(&loop->ring) >= 0)
			sqe = io_uring_get_sqe(&loop->ring);
		if (!sqe)
			return;
		op = uring_op_of(rt_list_pop(queue));
		if (uring_state(op) == URING_FLYING) {
			io_uring_prep_cancel(sqe, op, 0);
			io_uring_sqe_set_data64(sqe, (uintptr_t)op | CANCEL_TAG);
			op->kind |= URING_CANCELLING;
			continue;
		}
		classes[uring_kind(op)]->prep(op, sqe);
		io_uring_sqe_set_data(sqe, op);
		uring_set_state(op, URING_FLYING);
	}
}

/* Submit, and wait for a completion or the next timer unless there is work already. */
static int ring_enter(struct rt_loop *loop)
{
	rt_time next = uring_timer_next(loop);
	struct io_uring_cqe *cqe;
	int64_t wait_ns = 0;
	int r;

	if (rt_list_empty(&loop->ready) && rt_list_empty(&loop->idle) &&
	    queue_empty(loop)) {
		clock_read(loop);
		wait_ns = rt_time_is_never(next) ? INT64_MAX
						 : rt_time_since(next, loop->now);
	}
	if (wait_ns <= 0) {
		r = io_uring_submit_and_get_events(&loop->ring);
	} else if (wait_ns == INT64_MAX) {
		r = io_uring_submit_and_wait(&loop->ring, 1);
	} else {
		struct __kernel_timespec ts = { wait_ns / RT_S, wait_ns % RT_S };

		r = io_uring_submit_and_wait_timeout(&loop->ring, &cqe, 1, &ts, NULL);
	}
	/*
	 * Time out, interrupted by a signal, or no room or memory just now: what was
	 * not submitted is still in the submission queue, and goes next time.
	 */
	if (r == -ETIME || r == -EINTR || r == -EAGAIN || r == -EBUSY || r == -ENOMEM)
		return 0;
	return r < 0 ? r : 0;
}

/* Copy completions out of the ring, so that callbacks run with an empty one. */
static unsigned batch_reap(struct rt_loop *loop)
{
	struct io_uring_cqe *cqe;
	unsigned head, n = 0;

	io_uring_for_each_cqe(&loop->ring, head, cqe)
	{
		if (n == URING_BATCH)
			break;
		loop->batch[n++] = *cqe;
	}
	io_uring_cq_advance(&loop->ring, n);
	return n;
}

/*
 * The kernel misses an operation that is just then on its way from a wake-up to the next
 * try, and says that there is none: while the operation is not back we ask again. One on
 * a file ends by itself.
 */
static void cancel_answered(struct rt_loop *loop, struct rt_op *op, int res)
{
	enum uring_kind kind = uring_kind(op);

	op->kind &= ~URING_CANCELLING;
	if (uring_state(op) == URING_LANDED) {
		uring_set_state(op, URING_IDLE);
		classes[kind]->complete(loop, op, op->res, (unsigned)op->word[0]);
	} else if (res < 0 && kind != URING_READ && kind != URING_READV) {
		rt_list_push_back(&loop->queue, uring_link(op));
	}
}

static void cqe_dispatch(struct rt_loop *loop, const struct io_uring_cqe *cqe)
{
	struct rt_op *op = (struct rt_op *)(uintptr_t)(cqe->user_data & ~CANCEL_TAG);

	if (cqe->user_data & CANCEL_TAG) {
		cancel_answered(loop, op, cqe->res);
		return;
	}
	if (!(cqe->flags & IORING_CQE_F_MORE)) {
		/* The kernel still has our request, which names it: it must stay. */
		if (op->kind & URING_CANCELLING) {
			uring_set_state(op, URING_LANDED);
			op->res = cqe->res;
			op->word[0] = cqe->flags;
			return;
		}
		/* A request that is still queued comes too late. */
		if (op->kind & URING_CANCEL)
			rt_list_remove(uring_link(op));
		uring_set_state(op, URING_IDLE);
	}
	classes[uring_kind(op)]->complete(loop, op, cqe->res, cqe->flags);
}

static void ready_run(struct rt_loop *loop)
{
	struct rt_list turn, *link;

	if (rt_list_empty(&loop->ready))
		return;
	/* What callbacks make ready from here on waits for the next turn. */
	rt_list_push_front(&loop->ready, &turn);
	rt_list_remove(&loop->ready);
	while ((link = rt_list_pop(&turn))) {
		struct rt_op *op = uring_op_of(link);

		uring_set_state(op, URING_IDLE);
		if (uring_kind(op) == URING_DEFER)
			uring_finish(loop, op, op->res);
		else
			classes[uring_kind(op)]->complete(loop, op, op->res, 0);
	}
}

/* The kernel had nothing for us: if nobody else has, what waited for that is ready. */
static void idle_end(struct rt_loop *loop)
{
	struct rt_list *link;

	if (!rt_list_empty(&loop->ready) || !queue_empty(loop))
		return;
	while ((link = rt_list_pop(&loop->idle)))
		rt_list_push_back(&loop->ready, link);
}

static int loop_turn(struct rt_loop *loop)
{
	unsigned n, rounds = 0;
	int r;

	queue_flush(loop);
	r = ring_enter(loop);
	if (r < 0)
		return r;
	n = batch_reap(loop);
	clock_read(loop);
	uring_timer_run(loop);
	for (unsigned i = 0; i < n; i++)
		cqe_dispatch(loop, &loop->batch[i]);
	if (n == 0)
		idle_end(loop);
	/*
	 * What is ready does not need the kernel: an entry into it between two rounds would
	 * cost more than most callbacks. All that they start goes out together after that.
	 */
	ready_run(loop);
	while (++rounds < URING_ROUNDS && !rt_list_empty(&loop->ready) &&
	       !loop->stopping) {
		clock_read(loop);
		ready_run(loop);
	}
	return 0;
}

int rt_loop_run(struct rt_loop *loop)
{
	int r = 0;

	loop->stopping = false;
	while (r == 0 && !loop->stopping &&
	       loop->lent + loop->own + loop->handles + loop->timers > 0)
		r = loop_turn(loop);
	return r;
}

void rt_loop_stop(struct rt_loop *loop)
{
	loop->stopping = true;
}

void rt_loop_free(struct rt_loop *loop)
{
	if (!loop)
		return;
	uring_signal_cancel(loop);
	rt_assert(loop->lent == 0 && loop->handles == 0);
	loop->timers = 0;
	/* Closed handles may still wait for the end of their last operation. */
	while (loop->own > 0 && loop_turn(loop) == 0)
		;
	uring_signal_release(loop);
	io_uring_queue_exit(&loop->ring);
	uring_buffers_release(loop);
	uring_msg_release(loop);
	rt_free(loop->heap);
	rt_free(loop);
}

/* ---- time, chance ---------------------------------------------------------------- */

rt_time rt_now(struct rt_loop *loop)
{
	return loop->now;
}

int64_t rt_wall_ns(struct rt_loop *loop)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail */
	return (int64_t)ts.tv_sec * RT_S + ts.tv_nsec;
}

int64_t rt_loop_since_boot_ns(struct rt_loop *loop)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_BOOTTIME, &ts); /* cannot fail */
	return (int64_t)ts.tv_sec * RT_S + ts.tv_nsec;
}

void rt_random(struct rt_loop *loop, void *buf, size_t len)
{
	uint8_t *b = buf;

	while (len) {
		ssize_t n = getrandom(b, len, 0);

		/* With these arguments a kernel of ours can only be interrupted. */
		rt_assert(n > 0 || errno == EINTR);
		if (n > 0) {
			b += n;
			len -= (size_t)n;
		}
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static int uring_boot_read(uint8_t id[16])
{
	char text[64];
	uint8_t bytes[16] = { 0 };
	unsigned digits = 0;
	ssize_t n;
	int fd = open(BOOT_ID_PATH, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text));
	if (n < 0)
		n = -errno;
	(void)close(fd);
	if (n < 0)
		return (int)n;
	for (ssize_t i = 0; i < n && digits < 32; i++) {
		int d = hex_digit(text[i]);

		if (d < 0)
			continue; /* the dashes */
		bytes[digits / 2] = (uint8_t)(bytes[digits / 2] << 4 | d);
		digits++;
	}
	if (digits != 32)
		return -ENODATA;
	memcpy(id, bytes, sizeof(bytes));
	return 0;
}

/* It is asked for with each heartbeat, and this process does not outlive a boot. */
int rt_boot_id(struct rt_loop *loop, uint8_t id[16])
{
	int res = loop->has_boot ? 0 : uring_boot_read(loop->boot);

	if (res < 0)
		return res;
	loop->has_boot = true;
	memcpy(id, loop->boot, sizeof(loop->boot));
	return 0;
}
