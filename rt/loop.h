/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RT_LOOP_H
#define RT_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "rt/addr.h"
#include "rt/time.h"

/*
 * The only door to disk, network, time and randomness. There are two implementations,
 * chosen at link time: rt/uring_*.c on io_uring, and tests/sim/loop_sim.c on a
 * simulated disk, network and clock. One thread owns a loop and makes every call on it.
 *
 * Rules for all of it: `done` and every other callback are called from rt_loop_run()
 * only, never from inside the call that started something; a callback runs to its end;
 * completions are reaped before callbacks run, so a callback may start, cancel and close
 * anything. Results are 0 or a count, or a negative errno.
 */
struct rt_loop;
struct rt_op;
struct rt_file;
struct rt_sock;
struct rt_listener;
struct rt_dgram;

typedef void rt_done_fn(struct rt_op *op, int res);

/*
 * One operation handed to the loop, embedded in the object it belongs to. From the call
 * that starts it until `done`, op and buffers are lent to the loop. `done` is called
 * exactly once per start.
 */
struct rt_op {
	rt_done_fn *done; /* set by the owner before the start */
	/* private to the loop */
	void *impl[4];
	uint64_t word[2];
	struct msghdr *msg;
	int res;
	unsigned kind;
};

/* ---- the loop ---------------------------------------------------------------- */

/*
 * 0, or -errno: -EPERM and -ENOSYS when io_uring or getrandom() is forbidden (sysctl,
 * seccomp) or not there, -EAGAIN when no thread may be made, -ENOMEM.
 */
int rt_loop_new(struct rt_loop **ret);
void rt_loop_free(struct rt_loop *loop); /* NULL is fine; nothing may be in flight */

/*
 * Run until rt_loop_stop(), or nothing is armed or in flight any more. 0; or -errno of the
 * kernel, and then what is in flight never ends: the process can only end, too.
 */
int rt_loop_run(struct rt_loop *loop);
void rt_loop_stop(struct rt_loop *loop);

/* Monotonic time, read once per turn of the loop. */
rt_time rt_now(struct rt_loop *loop);
/* Wall clock in nanoseconds since 1970; may jump either way. */
int64_t rt_wall_ns(struct rt_loop *loop);
/* Since the machine booted, also while it slept; goes on over restarts of the process. */
int64_t rt_loop_since_boot_ns(struct rt_loop *loop);
/* Unpredictable bytes (deterministic in the simulator). */
void rt_random(struct rt_loop *loop, void *buf, size_t len);
/* 16 bytes that change whenever the machine boots. 0 or -errno. */
int rt_boot_id(struct rt_loop *loop, uint8_t id[16]);

/* Call op->done(op, 0) in the next turn. */
void rt_defer(struct rt_loop *loop, struct rt_op *op);
/* The same in the first turn that has nothing else to do: the loop would sleep. */
void rt_defer_idle(struct rt_loop *loop, struct rt_op *op);
/*
 * Ask for an end of `op`. It still ends with `done`: with -ECANCELED, or with its result
 * if that is there first. Not for file writes and flushes, which run to their end.
 */
void rt_cancel(struct rt_loop *loop, struct rt_op *op);

/* ---- timers ------------------------------------------------------------------ */

/* Owned by the caller; zeroed but for `fire` before first use. */
struct rt_timer {
	void (*fire)(struct rt_timer *timer);
	rt_time at;   /* private from here on */
	size_t place; /* 1 + index in the loop's heap; 0 when not armed */
};

/* (Re)arm: `fire` is called once, at or soon after `at`. RT_NEVER disarms. */
void rt_timer_arm(struct rt_loop *loop, struct rt_timer *timer, rt_time at);
void rt_timer_disarm(struct rt_loop *loop,
		     struct rt_timer *timer); /* no-op if not armed */
static inline bool rt_timer_armed(const struct rt_timer *timer)
{
	return timer->place != 0;
}

/* ---- signals (the daemon only; the simulator has none) ------------------------ */

typedef void rt_signal_fn(void *owner, int signo);
/* Deliver `signo` to `fn` in the loop from now on (blocked elsewhere). 0 or -errno. */
int rt_signal(struct rt_loop *loop, int signo, rt_signal_fn *fn, void *owner);

/* ---- files ------------------------------------------------------------------- */

#define RT_FILE_WRITE 1u     /* else read-only */
#define RT_FILE_CREATE 2u    /* make it; -EEXIST if there is one */
#define RT_FILE_DIRECT 4u    /* O_DIRECT: buffers, lengths, offsets in RT_BLOCK */
#define RT_FILE_EXCLUSIVE 8u /* lock against other processes; -EBUSY if in use */

/*
 * Open, size and lengthen happen at start-up and may block. The size of a block device
 * is its capacity; a block device cannot be set in size (-EINVAL unless equal).
 * rt_file_open: -ENOENT not there, -EBUSY locked by another, else -errno of the kernel.
 */
int rt_file_open(struct rt_loop *loop, const char *path, unsigned flags,
		 struct rt_file **ret);
int rt_file_size(struct rt_file *file, uint64_t *ret);
int rt_file_set_size(struct rt_file *file, uint64_t size); /* sparse */
bool rt_file_is_block_device(struct rt_file *file);
void rt_file_close(struct rt_file *file); /* NULL is fine; nothing may be in flight */
int rt_file_unlink(struct rt_loop *loop, const char *path);
/* Make the directory entry of `path` durable (fsync of its directory). Blocks. */
int rt_file_sync_dir(struct rt_loop *loop, const char *path);

/*
 * res of read and write: bytes, which may be fewer than asked; 0 at the end of the file.
 * The iovec array too is lent until `done`.
 */
void rt_read(struct rt_file *file, struct rt_op *op, void *buf, size_t len, uint64_t off);
void rt_readv(struct rt_file *file, struct rt_op *op, const struct iovec *iov, unsigned n,
	      uint64_t off);
void rt_write(struct rt_file *file, struct rt_op *op, const void *buf, size_t len,
	      uint64_t off);
void rt_writev(struct rt_file *file, struct rt_op *op, const struct iovec *iov,
	       unsigned n, uint64_t off);
/* Makes durable every write that had completed when this was called. */
void rt_fdatasync(struct rt_file *file, struct rt_op *op);

/* ---- byte streams: unix and TCP ------------------------------------------------ */

typedef void rt_accept_fn(void *owner, struct rt_sock *sock, const struct rt_addr *peer);

/*
 * Listen on `addr` (an existing, dead unix socket is replaced). Each connection goes to
 * `accepted`, which owns the sock. 0 or -errno (-EADDRINUSE, ...).
 */
int rt_listen(struct rt_loop *loop, const struct rt_addr *addr, rt_accept_fn *accepted,
	      void *owner, struct rt_listener **ret);
/* The same on a socket that somebody handed over and that listens already. */
int rt_listen_fd(struct rt_loop *loop, int fd, rt_accept_fn *accepted, void *owner,
		 struct rt_listener **ret);
/* The address in use: the port that the kernel chose for port 0. */
void rt_listener_addr(struct rt_listener *listener, struct rt_addr *ret);
void rt_listener_pause(struct rt_listener *listener, bool paused); /* stop accepting */
/*
 * Where the side that connects speaks first: a TCP connection that has said nothing costs
 * this process nothing, since the kernel hands it over `silence_ms` after it began, about,
 * or with its first bytes. 0 or -errno (-EOPNOTSUPP: no TCP). Many connects a second may fill
 * the kernel's own queue; what comes then is handed over at once.
 */
int rt_listener_await_data(struct rt_listener *listener, int64_t silence_ms);
void rt_listener_close(struct rt_listener *listener);		   /* NULL is fine */

/*
 * Start connecting; op->done gets 0 or -errno. *ret is owned by the caller at once and
 * may be closed before `done` (then -ECANCELED).
 */
int rt_connect(struct rt_loop *loop, const struct rt_addr *addr, struct rt_op *op,
	       struct rt_sock **ret);
/* A stream over two descriptors that the caller hands over (standard input, output). */
int rt_sock_from_fds(struct rt_loop *loop, int in, int out, struct rt_sock **ret);

/* res: bytes received, 0 when the peer has ended its side. One at a time per sock. */
void rt_recv(struct rt_sock *sock, struct rt_op *op, void *buf, size_t len);
/* res: bytes sent, may be fewer than given. One at a time per sock; iov lent as well. */
void rt_sendv(struct rt_sock *sock, struct rt_op *op, const struct iovec *iov,
	      unsigned n);
/* End our direction after what was sent. */
void rt_sock_shutdown(struct rt_sock *sock);
/*
 * The handle must not be used after this; what is in flight ends with -ECANCELED (or its
 * result) later. NULL is fine.
 */
void rt_sock_close(struct rt_sock *sock);
/*
 * Wait until the other side has ended a connection, whether or not anything is received or
 * sent. res: 0 when it has ended its direction and may still read; 1 when both are over or the
 * connection has failed; or -errno. One at a time per sock. 0, or -EOPNOTSUPP where there are
 * two descriptors, or one of no socket (the daemon only; the simulator has none).
 */
int rt_sock_await_end(struct rt_sock *sock, struct rt_op *op);
/* Are both directions over by now, or has the connection failed? Of a socket. */
bool rt_sock_is_over(const struct rt_sock *sock);
/* Choose "reno", "cubic", "bbr", ... for a TCP socket. 0 or -errno. */
int rt_sock_congestion(struct rt_sock *sock, const char *name);
/*
 * Ask the kernel to find out when the other host has vanished: a connection that hears
 * nothing of it for `silence_ms` (8000 or more) ends with -ETIMEDOUT, idle or not. 0 or
 * -errno (-EOPNOTSUPP, -ENOPROTOOPT: no TCP, and then nothing has changed that matters).
 */
int rt_sock_watch(struct rt_sock *sock, int64_t silence_ms);

/* ---- datagrams: UDP with evidence ------------------------------------------------ */

#define RT_DGRAM_MAX 65536
/* Of a message: bytes, and datagrams. */
#define RT_MESSAGE_MAX 65507
#define RT_MESSAGE_DATAGRAMS 64

struct rt_dgram_events {
	/* One datagram; the bytes are lent for the call. */
	void (*received)(void *owner, const uint8_t *dgram, size_t len,
			 const struct rt_addr *from);
	/* The driver has taken the datagram that was sent with TX timestamp `id`. */
	void (*left)(void *owner, uint32_t id);
	/*
	 * Datagrams that our own receive buffer dropped, in total; an estimate where the
	 * kernel puts several together and counts them as one.
	 */
	void (*overflowed)(void *owner, uint64_t total);
	/*
	 * An ICMP message says that a datagram was too long for the path. Anybody can send
	 * one, so nothing else follows from it. NULL: never mind.
	 */
	void (*too_long)(void *owner);
};

/*
 * A UDP socket bound to `local` (port 0: any), do-not-fragment set, IP_RECVERR on,
 * TX timestamps on where the device gives them. Events until it is closed.
 */
int rt_dgram_open(struct rt_loop *loop, const struct rt_addr *local,
		  const struct rt_dgram_events *events, void *owner,
		  struct rt_dgram **ret);
void rt_dgram_addr(struct rt_dgram *dgram, struct rt_addr *ret);
/*
 * From now on rt_dgram_local() says to which of this host's addresses a datagram was sent.
 * A socket that is bound to one address is not watched, and need not be. 0 or -errno.
 */
int rt_dgram_watch_local(struct rt_dgram *dgram);
/*
 * For received() only: where this datagram was sent to; RT_ADDR_NONE where that is not
 * watched. As rt_message.from it makes an answer leave from there.
 */
void rt_dgram_local(const struct rt_dgram *dgram, struct rt_addr *ret);
/*
 * Send one datagram. `timestamp` != 0 asks for left(timestamp) when a TX timestamp
 * (TX_SOFTWARE) proves that the driver took it; nothing is called when it was dropped.
 * res: 0, or -errno: -ENOBUFS dropped in this host, -EMSGSIZE too long for our device,
 * -EAGAIN the socket's buffer is full. An earlier ICMP error makes a send fail unsent
 * with -ECONNREFUSED: the loop sends it again itself, once.
 */
void rt_dgram_send(struct rt_dgram *dgram, struct rt_op *op, const struct rt_addr *to,
		   const void *buf, size_t len, uint32_t timestamp);
/*
 * Send a message of datagrams: `len` bytes as datagrams of `segment` bytes, the last one
 * perhaps shorter, in order. The kernel cuts it where it can (UDP_SEGMENT), else we do.
 *
 * `timestamp` is that of the first datagram. Where the kernel refuses a message that it
 * used to take, what was sent after it may be gone already: then the datagrams follow, and
 * the TX timestamp is that of the last, so that what is before it and what has one still
 * enclose them. res: 0, or the first error of a datagram; the others were sent.
 */
struct rt_message {
	const void *buf; /* lent until `done` */
	size_t len;	 /* 0 .. RT_MESSAGE_MAX */
	size_t segment;	 /* > 0, and at most RT_MESSAGE_DATAGRAMS of them */
	uint32_t timestamp;
	/*
	 * The address of this host that it leaves from; the port says nothing. Copied. The
	 * kernel chooses where this is NULL or RT_ADDR_NONE, or of another family than `to`,
	 * or where this host cannot send from it (any more).
	 */
	const struct rt_addr *from;
};
void rt_dgram_send_message(struct rt_dgram *dgram, struct rt_op *op,
			   const struct rt_addr *to, const struct rt_message *message);
/*
 * From now on left() says what the card itself has sent, by its own TX timestamps, and not
 * what its driver has taken (TX_HARDWARE; the card must do it, and its administrator must
 * have switched it on, as `hwstamp_ctl -t 1` does). Where that is not so, left() is not
 * called any more. 0 or -errno.
 */
int rt_dgram_timestamp_card(struct rt_dgram *dgram, bool card);
void rt_dgram_close(struct rt_dgram *dgram); /* NULL is fine; as rt_sock_close() */

#endif
