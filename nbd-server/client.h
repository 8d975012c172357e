/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NBD_SERVER_CLIENT_H
#define NBD_SERVER_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "nbd-server/handshake.h"
#include "nbd-server/nbds.h"
#include "nbd-server/notice.h"
#include "nbd-server/protocol.h"
#include "replicator/group.h"
#include "rt/list.h"
#include "rt/loop.h"

struct nbds_server;
struct nbds_client;

/* Private to nbd-server/: one connection. client.c has its life and the negotiation,
 * receive.c takes requests in, reply.c sends answers. */

#define NBDS_INPUT_SIZE (64u << 10) /* many small requests come with one receive */
#define NBDS_PEER_TEXT 64	    /* an address with its port, or "unix" */
#define NBDS_BATCH 128u		    /* answers that one send gathers */

static_assert(NBDS_INPUT_SIZE >= NBDS_HANDSHAKE_INPUT, "an option fits");

enum nbds_client_state {
	NBDS_CL_NEGOTIATING,
	NBDS_CL_SERVING,
	NBDS_CL_DRAINING,  /* no request is read any more; answers still go out */
	NBDS_CL_LINGERING, /* all said; what the client still sends is thrown away */
	NBDS_CL_CLOSED,	   /* the socket is gone; waits for what is in flight */
};

/* One request, from its validation until its answer is sent. */
struct nbds_job {
	struct group_request group; /* lent to the group while it is there */
	/* In `in_group`, `answers` or `sent` of the client, in srv->abandoned, or kept. */
	struct rt_list link;
	struct nbds_server *srv;    /* borrowed */
	struct nbds_client *client; /* borrowed; NULL: gone, and the group has this yet */
	uint64_t cookie;
	uint8_t *buf;  /* owned, or NULL: no data, or error */
	size_t span;   /* of buf */
	int res;       /* when it is to be answered */
	rt_time since; /* payload is awaited, or the answer waits, since then */
};

/* What is received from the client and not yet decoded (nbd_receive.c). */
struct nbds_client_input {
	struct rt_op recv_op;
	bool receiving;
	bool receiving_direct; /* into payload.filling */
	uint8_t *bytes;	       /* owned; NBDS_INPUT_SIZE */
	size_t begin, end;
	bool stuck;   /* stands still at a limit */
	bool flushes; /* a FLUSH, or a change with FUA, was among it */
};

/* The write request whose payload is being received. */
struct nbds_client_payload {
	struct nbds_job *filling; /* a write whose payload is not all there; or NULL */
	uint32_t filled;
	uint32_t skip;		   /* payload of a refused write that is still to come */
	struct nbds_job *skipping; /* that write */
};

/* The answers on their way out (reply.c). */
struct nbds_client_reply {
	struct rt_op send_op;
	bool sending;
	struct rt_list answers; /* not sent yet */
	struct rt_list sent;	/* being sent; the first not whole yet, */
	size_t passed;		/* but so many bytes of it */
	struct iovec iov[2 * NBDS_BATCH];
	unsigned iov_at, iov_end;
	struct nbds_reply_head heads[NBDS_BATCH];
};

/* Whether the client is still there, be anything received and sent or not. */
struct nbds_client_end {
	struct rt_op op;
	bool awaited;	       /* op is in flight */
	struct rt_timer check; /* while `half`: is it over? */
	bool half;	       /* the client sends nothing more; it may still read */
	bool over;	       /* it does not read either */
};

struct nbds_client {
	struct nbds_server *srv; /* borrowed */
	struct rt_list link;	 /* in srv->clients */
	enum nbds_client_state state;
	struct rt_sock *sock;	   /* owned; NULL when closed */
	struct rt_timer timer;	   /* negotiation, or the patience of the end */
	bool polite;		   /* an end that the client does not expect: linger */
	bool attached;		   /* it has an export, and the log has said so */
	char peer[NBDS_PEER_TEXT]; /* for people */
	struct nbds_client_end end;
	unsigned abandoned; /* requests that were left to the group */
	nbds_done_fn *done; /* nbds_server_serve_fds(), or NULL */
	void *owner;

	struct nbds_handshake handshake;
	struct rt_timer retry; /* while the handshake waits for an export */
	rt_time wait_until;    /* then it is refused */
	uint8_t *out;	       /* owned; answers of the negotiation, NULL after it */
	size_t out_len, out_sent;

	struct nbds_client_input input;
	struct nbds_client_payload payload;
	struct rt_list waiting; /* in srv->waiters */

	unsigned njobs;	    /* all of them */
	unsigned nin_group; /* those that the group has */
	struct rt_list in_group;
	uint64_t memory; /* payload that they cost */
	bool is_short;	 /* counted in srv->nshort */

	struct nbds_client_reply reply;

	struct rt_op turn_op;
	bool scheduled;
};

/* ---- client.c ---------------------------------------------------------------------- */

/*
 * Begin to serve `sock`, which is the client's from success on. It frees itself when it
 * has ended. 0 or -ENOMEM.
 */
int nbds_client_new(struct nbds_server *srv, struct rt_sock *sock, const char *peer,
		    nbds_done_fn *done, void *owner);

/* Look at everything again in the next turn: requests, answers, the end. */
void nbds_client_schedule(struct nbds_client *c);

/* Close at once; what is in flight ends by itself. May be called in any state. */
void nbds_client_close(struct nbds_client *c);

/*
 * The same, with a line in the log: `why` and, unless it is 0, the error `err`. A client
 * that is closed already has none.
 */
void nbds_client_fail(struct nbds_client *c, enum nbds_notice_kind kind, int err,
		      const char *why);

/* A send or a receive ended with the error `res`: fail as lost. */
void nbds_client_lost(struct nbds_client *c, int res);

/* Others wait for the memory that it has had for too long. */
void nbds_client_evict(struct nbds_client *c);

/*
 * Read no more requests; close when all are answered. `polite`: the client does not
 * expect it, so leave it time to read the answers.
 */
void nbds_client_drain(struct nbds_client *c, bool polite);

/* The server is stopping. */
void nbds_client_stop(struct nbds_client *c);

/* The group has answered all it had: if an end is due, patience begins now. */
void nbds_client_answered(struct nbds_client *c);

/*
 * The client has said that it sends nothing more, and only the group keeps it: its place may
 * be given to another one, which costs it its answers.
 */
bool nbds_client_is_leaving(const struct nbds_client *c);

/* A receive has come back, with `res`, when no request is read any more. */
void nbds_client_ignored(struct nbds_client *c, int res);

/* It has sat on memory for longer than is decent when others wait for it. */
bool nbds_client_overdue(const struct nbds_client *c, rt_time now);

/* It stands still at a limit: a client that is not there any more is closed. */
void nbds_client_stuck(struct nbds_client *c);

/* A job with its counts, or NULL without memory. */
struct nbds_job *nbds_job_new(struct nbds_client *c, uint64_t cookie);
void nbds_job_free(struct nbds_job *job);
void nbds_job_free_buffer(struct nbds_job *job); /* if it still has one */

/* ---- receive.c --------------------------------------------------------------------- */

/* Take in requests as far as limits and input reach, and ask for more input. */
void nbds_receive(struct nbds_client *c);

/* Let go of a write whose payload will not come. Not while receiving. */
void nbds_receive_drop(struct nbds_client *c);

/* ---- reply.c ----------------------------------------------------------------------- */

/* Queue the answer `res` of a job; it goes out in the client's next turn. */
void nbds_reply(struct nbds_job *job, int res);

/* Send what is queued, unless a send is under way. */
void nbds_reply_send(struct nbds_client *c);

#endif
