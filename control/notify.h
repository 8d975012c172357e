/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_NOTIFY_H
#define CONTROL_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "rt/time.h"

/*
 * News for the service manager, by the protocol of sd_notify(3). libsystemd's own call
 * waits while the manager does not read, and the daemon's loop with it. This one never
 * waits: what cannot be delivered is still news at the next call. Only news is sent, and a
 * status at most once a second, but for that of the moment in which it becomes ready or stops.
 */
#define NOTIFY_STATUS_MAX 900
#define NOTIFY_STATUS_MS 1000
/* Until it is ready the manager waits so much longer from each message on, */
#define NOTIFY_EXTEND_MS 60000
/* which is sent so often: a loop that has stood still for the rest of it is stuck. */
#define NOTIFY_EXTEND_EVERY_MS 10000

struct notify {
	int fd; /* owned; -1: there is no manager */
	struct sockaddr_un addr;
	socklen_t addr_len;
	/* What was delivered: */
	bool ready, stopping, extended;
	rt_time extended_at, status_at; /* the last of each */
	char status[NOTIFY_STATUS_MAX];
};

/* How it is now. */
struct notify_facts {
	bool ready;	    /* once true it stays so for the manager */
	bool stopping;	    /* the same */
	const char *status; /* one line for people */
};

/*
 * `where` is the variable NOTIFY_SOCKET: a path, or "@" and an abstract name; NULL: there
 * is no manager, and nothing is ever sent. 0, -EAFNOSUPPORT for another kind of address,
 * -ENAMETOOLONG, or what socket() says; then nothing is ever sent either.
 */
int notify_init(struct notify *n, const char *where);
void notify_release(struct notify *n);

/*
 * The message that is due: lines that end with a newline, cut to `size`. Returns its
 * length, 0 when there is no news. Pure.
 */
size_t notify_compose(const struct notify *n, const struct notify_facts *facts,
		      rt_time now, char *text, size_t size);
/*
 * Send what is due. 0, also when nothing is; -EAGAIN when the manager does not read, or
 * another errno; then it is due still.
 */
int notify_send(struct notify *n, const struct notify_facts *facts, rt_time now);

#endif
