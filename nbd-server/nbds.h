/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NBD_SERVER_NBDS_H
#define NBD_SERVER_NBDS_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/addr.h"

/*
 * The NBD protocol towards clients: listeners, connections, and the exports of the groups
 * that were added. All on one rt_loop, in its thread. What of the protocol is served
 * stands in docs/nbd.md.
 */
struct nbds_server;
struct rt_loop;
struct group;

/* A group has one export per volume, named as the volume. */
#define NBDS_GROUPS_MAX 16
#define NBDS_LISTENERS_MAX 16

/* Bounds. A 0 stands for the default; the ranges are for the configuration. */
struct nbds_limits {
	unsigned connections;	/* one more is accepted and closed at once */
	unsigned inflight;	/* requests of one connection that are not answered yet */
	uint64_t memory;	/* payload of all connections, bytes */
	uint64_t client_memory; /* payload of one connection, bytes; <= memory */
	int64_t handshake_ms;	/* from the connect to the end of negotiation */
	/*
	 * How long a client may leave its answers unread once its connection is to end,
	 * and how long it may sit on payload memory that others wait for.
	 */
	int64_t patience_ms;
};
#define NBDS_CONNECTIONS_DEFAULT 1024u
#define NBDS_CONNECTIONS_MAX 65536u
#define NBDS_INFLIGHT_DEFAULT 256u
#define NBDS_INFLIGHT_MAX 4096u
#define NBDS_MEMORY_DEFAULT (UINT64_C(128) << 20)
#define NBDS_MEMORY_MIN (UINT64_C(40) << 20) /* the longest request must fit */
#define NBDS_CLIENT_MEMORY_DEFAULT (UINT64_C(64) << 20)
#define NBDS_HANDSHAKE_MS_DEFAULT 10000
#define NBDS_PATIENCE_MS_DEFAULT 10000
/*
 * Requests that a group may have of clients of one export that are gone: then nobody gets the
 * export until it is fewer.
 */
#define NBDS_ABANDONED_MAX 16384u
/* A client whose host has vanished gives its place back after so long. */
#define NBDS_SILENCE_MS 60000

/*
 * A server without groups and listeners. `limits` is copied; NULL stands for the defaults.
 * 0, -EINVAL for limits outside their ranges, or -ENOMEM.
 */
int nbds_server_new(struct rt_loop *loop, const struct nbds_limits *limits,
		    struct nbds_server **ret);

/*
 * Export the volumes of `group`, which must outlive the server or nbds_server_stop().
 * While the group is not serving, who asks for its exports is kept waiting for half of
 * handshake_ms, and then refused. 0;
 * -EEXIST when a volume's name is exported already; -ENOSPC beyond NBDS_GROUPS_MAX.
 */
int nbds_server_add_group(struct nbds_server *srv, struct group *group);

/* 0, -ENOSPC beyond NBDS_LISTENERS_MAX, or as rt_listen(). */
int nbds_server_listen(struct nbds_server *srv, const struct rt_addr *addr);
/* The same on a socket that listens already (systemd); it is owned from success on. */
int nbds_server_listen_fd(struct nbds_server *srv, int fd);
/* Where listener `i` (in the order of the calls) listens: the port chosen for port 0. */
int nbds_server_addr(const struct nbds_server *srv, unsigned i, struct rt_addr *ret);

/*
 * Serve one connection over two descriptors that are handed over (standard input and
 * output; they may be the same). `done(owner)` is called once when it has ended. 0 or
 * -errno, and then `done` is not called.
 */
typedef void nbds_done_fn(void *owner);
int nbds_server_serve_fds(struct nbds_server *srv, int in, int out, nbds_done_fn *done,
			  void *owner);

/*
 * Stop: accept nothing more, refuse what is negotiated, read no more requests, answer those
 * that a group has; a connection closes when all of them are answered. Those that the
 * group's own stop ends have no answer: a client that connects again sends them again.
 * `done(owner)` is called when none is left. From this call on no group is asked for
 * anything, so group_stop() may follow at once (it ends what is still held). Once only.
 */
void nbds_server_stop(struct nbds_server *srv, nbds_done_fn *done, void *owner);

/* After the `done` of a stop, or when there never was a connection. NULL is fine. */
void nbds_server_free(struct nbds_server *srv);

/* Counted since the server was made, but for the first four, which are as of now. */
struct nbds_stats {
	unsigned connections;
	unsigned inflight;
	unsigned abandoned; /* those of inflight whose client is gone */
	uint64_t memory;    /* payload bytes in use */
	uint64_t accepted;
	uint64_t refused; /* connections beyond the limit, or for want of memory */
	uint64_t handshake_errors; /* ended by a breach of the protocol */
	uint64_t handshake_timeouts;
	uint64_t refused_options;
	uint64_t protocol_errors; /* the same after negotiation */
	uint64_t evicted;	  /* closed because others waited for what they held */
	uint64_t waited;	  /* times a connection stood still at a limit */
	uint64_t reads, writes, flushes, trims, zeroes;
	uint64_t read_bytes, write_bytes;
	uint64_t refused_requests; /* answered with an error before any group saw them */
	uint64_t failed_requests;  /* answered with an error of a group */
	uint64_t unlogged; /* refusals and ends without a log line: these are limited */
};
void nbds_server_stats(const struct nbds_server *srv, struct nbds_stats *ret);

/* A connection that has an export. Its texts are lent until the loop's next turn. */
struct nbds_attached {
	const char *client; /* its address, "unix", or what nbds_server_serve_fds() has */
	const char *export;
	bool read_only; /* as it was negotiated */
};
/*
 * Those that are attached now, in the order in which they connected; `max` of them at most.
 * How many there are in all.
 */
unsigned nbds_server_attached(const struct nbds_server *srv, struct nbds_attached *ret,
			      unsigned max);

#endif
