/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_CONTROL_SERVER_H
#define CONTROL_CONTROL_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "control/version.h"

/*
 * The control socket: takes requests of the command, one JSON object per line
 * (control/control_request.h), and answers each with one line
 * {"ok":, "exit":, "error":, ...} in the order of the requests; before it any number of
 * {"progress":...}. On the daemon's loop; whoever can open the socket (mode 0600) is
 * trusted to give orders, but not to send what is no order.
 */
struct control_request;
struct control_server;
struct nbds_attached;
struct nbds_stats;
struct group;
struct rt_loop;

#define CONTROL_CLIENTS_MAX 16 /* one more takes the place of who has been idle longest */
#define CONTROL_IDLE_MS 30000
#define CONTROL_SET_TEXT 1100
/* Progress that a client does not read waits up to so many bytes; more is left out. */
#define CONTROL_PROGRESS_MAX 16384
#define CONTROL_STATUS_WHY 512

struct control_server_params {
	const char *node;
	const char *group; /* name of the one group */
	int64_t idle_ms;   /* a client that asks nothing, or reads no answer, goes; 0: the
			    * default */
	/*
	 * `set`: do it, or with dry_run only say whether it could be done. A text for
	 * people of CONTROL_SET_TEXT bytes, what was done or why not. The exit code.
	 */
	enum control_exit (*set)(void *owner, const struct control_request *request,
				 char *text);
	/* Of the NBD server; false while there is none. May be NULL. */
	bool (*nbd_stats)(void *owner, struct nbds_stats *ret);
	/* As nbds_server_attached(), 0 while there is no server. May be NULL. */
	unsigned (*nbd_attached)(void *owner, struct nbds_attached *ret, unsigned max);
	void *owner;
};

/* `params` and its strings are copied. 0 or -ENOMEM. */
int control_server_new(struct rt_loop *loop, const struct control_server_params *params,
		       struct control_server **ret);
/* Listen on a unix socket that is made with mode 0600. 0 or as rt_listen(). */
int control_server_listen(struct control_server *srv, const char *path);
/* The same on a socket that listens already; it is owned from success on. */
int control_server_listen_fd(struct control_server *srv, int fd);

/*
 * What requests are about: `group` is borrowed until the next call. NULL: the store is not
 * open, and `state` ("STARTING", "FAILED") is all there is to say.
 */
void control_server_set_group(struct control_server *srv, struct group *group,
			      const char *state);

/*
 * What the daemon waits for, and what helps, for people; "" when it waits for nothing.
 * Status shows it before what the group says. Copied.
 */
void control_server_set_why(struct control_server *srv, const char *why);

/*
 * Accept and read nothing more, and close each client whose answer has been sent.
 * `done(owner)` is called when none is left. Once only.
 */
void control_server_stop(struct control_server *srv, void (*done)(void *owner),
			 void *owner);
/* After the `done` of a stop, or when it never listened. NULL is fine. */
void control_server_free(struct control_server *srv);

/* Requests that were refused as no requests, and connections, since the start. */
uint64_t control_server_refused(const struct control_server *srv);

#endif
