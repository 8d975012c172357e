/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NBD_SERVER_SERVER_H
#define NBD_SERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "nbd-server/handshake.h"
#include "nbd-server/nbds.h"
#include "nbd-server/notice.h"
#include "nbd-server/payload.h"
#include "rt/list.h"
#include "rt/loop.h"

struct nbds_client;
struct nbds_job;

#define NBDS_JOBS_KEPT 1024u

/* Private to nbd-server/: what its connections share. */
struct nbds_server {
	struct rt_loop *loop; /* borrowed */
	struct nbds_limits limits;
	struct nbds_catalog catalog;
	struct group *groups[NBDS_GROUPS_MAX]; /* borrowed */
	unsigned ngroups;
	struct rt_listener *listeners[NBDS_LISTENERS_MAX]; /* owned */
	unsigned nlisteners;

	struct rt_list clients;
	unsigned nclients, nopen; /* all; those with a socket */
	struct rt_list abandoned; /* requests that a group has of clients that are gone */
	unsigned nabandoned;
	unsigned njobs; /* requests of all clients that are not answered yet */
	struct nbds_payload payload;
	struct rt_list waiters; /* clients that stand still for memory, in order */
	unsigned nshort; /* clients that stand still for memory or their share of it */
	struct rt_timer pressure; /* armed while there are waiters */
	struct rt_list jobs;	  /* unused, for the next request */
	unsigned njobs_kept;

	bool stopping;
	bool stop_said; /* stop_op is under way, or over */
	nbds_done_fn *stopped;
	void *stopped_owner;
	struct rt_op stop_op;

	struct nbds_stats stats;
	struct nbds_notice notice;
};

/* Payload memory is free again, or a waiter has left: the first waiter tries again. */
void nbds_server_memory_freed(struct nbds_server *srv);

/* `client` stands still until there is memory; it may stand in the queue already. */
void nbds_server_wait(struct nbds_server *srv, struct nbds_client *client);

/* `client` stands still, or does not any more, for memory or for its share of it. */
void nbds_server_set_short(struct nbds_server *srv, struct nbds_client *client,
			   bool is_short);

/* `client` no longer waits, if it did. */
void nbds_server_leave(struct nbds_server *srv, struct nbds_client *client);

/* A client is gone for good. */
void nbds_server_client_gone(struct nbds_server *srv);

/* Its client is gone, and the group has it still: the server keeps it until it is done. */
void nbds_server_abandon(struct nbds_server *srv, struct nbds_job *job);
void nbds_server_abandoned_done(struct nbds_job *job);

#endif
