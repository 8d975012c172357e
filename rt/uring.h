/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RT_URING_H
#define RT_URING_H

/* Private to rt: what the files of the io_uring loop (uring_*.c) share. */

#include <liburing.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "rt/check.h"
#include "rt/list.h"
#include "rt/loop.h"

#define URING_SQ_ENTRIES 512u
#define URING_CQ_ENTRIES 4096u
/* Completions reaped, and then dispatched, in one turn. */
#define URING_BATCH 256u
/* Rounds of what callbacks make ready, in one turn, before the kernel is asked again. */
#define URING_ROUNDS 8u
/* Bytes in one read, write or receive at most; more is a short one. */
#define URING_IO_MAX ((size_t)1 << 30)
#define URING_IOV_MAX 1024u

/* Features that a test can take away, to run what older kernels run. */
#define URING_WITHOUT_DEFER 1u	   /* deferred task work, single issuer (6.1) */
#define URING_WITHOUT_MULTISHOT 2u /* multishot receive, provided buffers (6.0) */
#define URING_WITHOUT_TS_ID 4u	   /* an identifier per TX timestamp (6.13) */

/*
 * rt_op.kind holds one of these in its low byte, uring_state in the next, and
 * URING_CANCEL. From URING_ACCEPT on they are the loop's own, with no `done`.
 */
enum uring_kind {
	URING_NONE,
	URING_DEFER,
	URING_READ,
	URING_READV,
	URING_WRITE,
	URING_WRITEV,
	URING_FDATASYNC,
	URING_CONNECT,
	URING_RECV,
	URING_SEND,
	URING_AWAIT_END,
	URING_DGRAM_SEND,
	URING_ACCEPT,
	URING_SIGNAL,
	URING_DGRAM_PART,
	URING_DGRAM_RECV,
	URING_DGRAM_ERROR,
	URING_KINDS,
};

/*
 * QUEUED waits in loop->queue, or loop->dgrams, for a place in the submission queue,
 * FLYING is with the kernel, LANDED has completed but for the answer to a cancel request
 * of ours, READY waits in loop->ready to be dispatched without the kernel. A FLYING op is
 * in loop->queue only to have itself cancelled.
 */
enum uring_state { URING_IDLE, URING_QUEUED, URING_FLYING, URING_LANDED, URING_READY };
#define URING_CANCEL 0x10000u	  /* its end was asked for */
#define URING_CANCELLING 0x20000u /* and the request is with the kernel */

/* One class of operations: how it is handed to the kernel, and what comes back. */
struct uring_class {
	void (*prep)(struct rt_op *op, struct io_uring_sqe *sqe);
	/* `flags` of the completion; with IORING_CQE_F_MORE op stays in flight. */
	void (*complete)(struct rt_loop *loop, struct rt_op *op, int res, unsigned flags);
};

/* The address that something leaves from, as the kernel takes it. */
struct uring_source {
	int level, type;
	size_t len; /* of the one below; 0: the kernel chooses */
	union {
		struct in_pktinfo inet;
		struct in6_pktinfo inet6;
	} info;
};

/* A datagram or a message on its way out: what sendmsg() wants to be lent. */
struct uring_msg {
	struct msghdr hdr; /* first: rt_op.msg points here */
	struct iovec iov;
	struct sockaddr_in6 to; /* or a sockaddr_in */
	struct uring_source from;
	uint32_t timestamp;
	uint16_t segment; /* of a message; 0: one datagram */
	bool again;	  /* was sent a second time */
	bool elsewhere;	  /* not from `from`: the kernel chooses */
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
						 3 * CMSG_SPACE(sizeof(uint32_t))];
	struct rt_op part;	/* a datagram of a message that we have cut */
	struct rt_op *message;	/* that message's */
	struct uring_msg *next; /* in loop->msgs */
};

struct uring_signals {
	int fd; /* signalfd; -1 before the first rt_signal() */
	struct rt_op op;
	sigset_t set;
	struct {
		rt_signal_fn *fn;
		void *owner;
	} handlers[_NSIG];
};

/* Buffers that the kernel picks from for datagrams received, shared by all sockets. */
struct uring_buffers {
	struct io_uring_buf_ring *ring; /* owned; NULL when there are none */
	uint8_t *memory;		/* owned */
};

struct rt_loop {
	struct io_uring ring;
	unsigned without; /* URING_WITHOUT_* */
	bool stopping;
	rt_time now;
	struct rt_list queue;  /* of ops: to be submitted, or cancelled */
	struct rt_list dgrams; /* of datagrams: to be sent, after those */
	struct rt_list ready;  /* of ops: to be dispatched in the next turn */
	struct rt_list idle;   /* of ops: as ready, once there is nothing else */
	uint32_t lent;	       /* ops of others between start and done */
	uint32_t own;	       /* ops of our own between start and last completion */
	uint32_t handles;      /* listeners, datagram sockets, signals: keep us running */
	struct rt_timer **heap;
	size_t timers, heap_room;
	struct uring_msg *msgs;		/* free ones */
	struct uring_msg_chunk *chunks; /* owned; the memory of all msgs */
	struct uring_buffers buffers;
	struct uring_signals signals;
	bool has_boot;
	uint8_t boot[16]; /* of rt_boot_id(), once it has been read */
	int ts_id; /* 1 kernel has SCM_TS_OPT_ID, 0 has not, -1 not known yet */
	struct io_uring_cqe batch[URING_BATCH];
};

/* rt_loop_new() that does as if the kernel lacked `without`. */
int uring_loop_new(unsigned without, struct rt_loop **ret);

static inline enum uring_kind uring_kind(const struct rt_op *op)
{
	return (enum uring_kind)(op->kind & 0xff);
}

static inline enum uring_state uring_state(const struct rt_op *op)
{
	return (enum uring_state)(op->kind >> 8 & 0xff);
}

static inline void uring_set_state(struct rt_op *op, enum uring_state state)
{
	op->kind = (op->kind & ~0xff00u) | (unsigned)state << 8;
}

/*
 * impl[0] and [1] are a list link, [2] is the handle (file, sock, ...), [3] a buffer or
 * iovec; word[0] is an offset (when LANDED, the completion's flags), word[1] a length or
 * count.
 */
_Static_assert(sizeof(struct rt_list) == 2 * sizeof(void *), "fits impl[0..1]");

static inline struct rt_list *uring_link(struct rt_op *op)
{
	return (struct rt_list *)(void *)op->impl;
}

static inline struct rt_op *uring_op_of(struct rt_list *link)
{
	return rt_container_of((void **)(void *)link, struct rt_op, impl);
}

/* Queue a new operation; whoever calls has filled impl[3], word and msg. */
void uring_start(struct rt_loop *loop, struct rt_op *op, enum uring_kind kind,
		 void *handle);
/* Hand an operation that has completed to the kernel once more, unless cancelled. */
void uring_restart(struct rt_loop *loop, struct rt_op *op);
/* A started operation ends with `res` in the next turn without the kernel. */
void uring_end(struct rt_loop *loop, struct rt_op *op, int res);
/* It is over: forget it and call its `done`, if it is not our own. */
void uring_finish(struct rt_loop *loop, struct rt_op *op, int res);

extern const struct uring_class uring_file_class;
extern const struct uring_class uring_sock_class;
extern const struct uring_class uring_listener_class;
extern const struct uring_class uring_signal_class;
extern const struct uring_class uring_dgram_send_class;
extern const struct uring_class uring_dgram_part_class;
extern const struct uring_class uring_dgram_recv_class;
extern const struct uring_class uring_dgram_error_class;

/* ---- timers (uring_timer.c) ------------------------------------------------- */

int uring_timer_init(struct rt_loop *loop); /* 0 or -ENOMEM */
rt_time uring_timer_next(const struct rt_loop *loop);
/* Fire what is due at loop->now, but nothing that is armed by what fires. */
void uring_timer_run(struct rt_loop *loop);

/* ---- signals (uring_signal.c) ------------------------------------------------- */

/* The loop ends: first cancel, and when nothing is in flight any more, release. */
void uring_signal_cancel(struct rt_loop *loop);
void uring_signal_release(struct rt_loop *loop);

/* ---- addresses (uring_addr.c) --------------------------------------------------- */

/* AF_*, AF_UNSPEC for RT_ADDR_NONE. */
int uring_family(const struct rt_addr *addr);
/* IPv4 becomes a mapped address if `family` is AF_INET6. 0 where it does not fit. */
socklen_t uring_sockaddr(const struct rt_addr *addr, int family,
			 struct sockaddr_storage *ret);
/*
 * To leave from `from` (NULL or RT_ADDR_NONE: no matter), on a socket of either family: the
 * one of the address that it sends to counts.
 */
void uring_source(const struct rt_addr *from, struct uring_source *ret);
/* The address in an IP_PKTINFO or IPV6_PKTINFO, without its port; else *ret stays. */
void uring_source_addr(const struct cmsghdr *c, struct rt_addr *ret);
/* Mapped IPv4 becomes IPv4; what we do not know becomes RT_ADDR_NONE. */
void uring_addr(const void *sockaddr, socklen_t len, struct rt_addr *ret);
/* The address that `fd` is bound to, or RT_ADDR_NONE. */
void uring_local_addr(int fd, struct rt_addr *ret);
/* A new socket of the family of `addr`, closed on exec: the descriptor, or -errno. */
int uring_socket(const struct rt_addr *addr, int type);
/*
 * A new socket bound to `addr`, closed on exec; `::` takes IPv4, too, and is 0.0.0.0 on
 * a host without IPv6. The descriptor, or -errno; its family in *family.
 */
int uring_bind(const struct rt_addr *addr, int type, int *family);

/* ---- streams (uring_sock.c) ------------------------------------------------------ */

/* A sock over a connected socket, which it then owns. 0 or -ENOMEM. */
int uring_sock_new(struct rt_loop *loop, int fd, struct rt_sock **ret);
/* 0 or -errno. */
int uring_set_blocking(int fd);

/* ---- datagrams (uring_msg.c, uring_buffers.c) --------------------------------- */

struct uring_msg *uring_msg_get(struct rt_loop *loop); /* NULL: no memory */
void uring_msg_put(struct rt_loop *loop, struct uring_msg *msg);
void uring_msg_release(struct rt_loop *loop);

/* A buffer of ours: RT_DGRAM_MAX bytes with what the kernel puts before them. */
#define URING_BUFFER_LEN (RT_DGRAM_MAX + 4096u)
#define URING_BGID 0 /* one group of buffers in a ring */
/* 0, also when they are there already, or -errno. */
int uring_buffers_init(struct rt_loop *loop);
void uring_buffers_release(struct rt_loop *loop);
uint8_t *uring_buffers_at(struct rt_loop *loop, unsigned id);
void uring_buffers_put(struct rt_loop *loop, unsigned id);

#endif
