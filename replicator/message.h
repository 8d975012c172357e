/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_MESSAGE_H
#define REPLICATOR_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "lfs/lfs.h"

/*
 * What the two daemons say to each other over the control connection. Pure: structs to
 * bytes and back. Encoders return the length and assert that it fits MESSAGE_MAX;
 * decoders return 0 or -EPROTO, and believe nothing that is out of range.
 */
enum message_type {
	MESSAGE_HELLO = 1, /* what I am and what I hold; from both */
	MESSAGE_START,	/* primary: from this LSN, in this history, with these keys' id */
	MESSAGE_READY,	/* mirror: the history is durable here; send */
	MESSAGE_PULL,	/* primary in its start: give me what you have from this LSN on */
	MESSAGE_ENTRY,	/* mirror: one wire record */
	MESSAGE_PULLED, /* mirror: that was all of it */
	MESSAGE_PING,	/* heartbeat, both ways */
	MESSAGE_PONG,
	MESSAGE_REFUSE, /* why this connection leads nowhere; then it is closed */
	/* Over the data connection of transport tcp (replicator/transport_tcp.c). */
	MESSAGE_JOIN,	  /* both, first: which tunnel this is the data of */
	MESSAGE_FRAME,	  /* primary: one wire record */
	MESSAGE_PROGRESS, /* mirror: what was taken */
	MESSAGE_PROBE,	  /* primary: a number that PROGRESS gives back */
	/* The first two of a control connection, from both. */
	MESSAGE_NEGOTIATE, /* the versions that I speak; its form never changes */
	MESSAGE_IDENTITY,  /* which store, of which run of a daemon */
	/* The two sites change roles. */
	MESSAGE_SWITCHOVER, /* mirror: hand over to me */
	MESSAGE_GRANT,	    /* primary that is SEALED: begin this epoch */
	MESSAGE_DECLINE,    /* primary: a text, why it does not hand over */
	MESSAGE_HASH, /* who holds more: another history hash than yours; REFUSE follows */
};

#define MESSAGE_PROTOCOL 4     /* the newest version that this daemon speaks, */
#define MESSAGE_PROTOCOL_MIN 4 /* and the oldest */
#define MESSAGE_FEATURES UINT64_C(0)
#define MESSAGE_EPOCH_MAX (UINT64_C(1) << 62) /* of an epoch's number */
#define MESSAGE_TEXT_MAX 200
/* The longest message but for ENTRY: a HELLO with full history and all volumes. */
#define MESSAGE_MAX (64u << 10)

#define HELLO_FENCED 1u
#define HELLO_ALONE 2u
#define HELLO_UNPAIRED 4u
#define HELLO_STARTING 8u /* a primary that does not serve yet */
#define HELLO_SEALED 16u  /* a primary that has handed over, and knows not more yet */
#define HELLO_FLAGS 31u

/*
 * First on a control connection, and the same in every version: bytes behind those that
 * this one knows are ignored, and so are features that it does not know. In force are the
 * highest version and the features that both have.
 */
struct message_negotiate {
	uint16_t min, max; /* versions of the protocol */
	uint64_t features;
	uint8_t group[LFS_ID_LEN]; /* zero: not paired yet */
	char group_name[LFS_NAME_MAX];
};

struct message_identity {
	uint8_t store[LFS_ID_LEN];
	uint8_t paired[LFS_ID_LEN]; /* the store that this one is paired with, or zero */
	uint8_t boot[LFS_ID_LEN];   /* of the machine; zero: not known */
	uint64_t run;		    /* of the daemon: random, never 0 */
	/* As a peer's HELLO gave it to this run, the last that led to START; or 0; */
	uint64_t number;
	uint64_t giver; /* and which run that was */
	char node[LFS_NAME_MAX];
};

struct message_hello {
	uint64_t number; /* what the peer's next IDENTITY must say */
	uint8_t role;	 /* enum lfs_role */
	uint32_t flags;
	char node[LFS_NAME_MAX];
	uint64_t lsn, hash;    /* what I hold: durable at a mirror */
	uint64_t log_floor;    /* the log gives back records above it */
	uint64_t persisted;    /* what you hold for good, as far as I know */
	uint32_t heartbeat_ms; /* mine; 0: not said */
	/* HELLO_STARTING: the epoch that it is about to begin; else 0, 0. */
	uint64_t next_number, next_id;
	uint64_t
		undone; /* id of the epoch whose promotion this site has undone; 0: none */
	struct lfs_meta meta; /* group, group_name, max_request, volumes, epochs */
};

enum message_transport { MESSAGE_UDP, MESSAGE_TCP };

struct message_start {
	uint64_t tunnel_id;
	uint64_t from_lsn;
	uint8_t transport; /* enum message_transport */
	uint8_t code;	   /* enum fec_code */
	uint16_t symbol_size;
	uint16_t window;
	unsigned nepochs;
	struct lfs_epoch epochs[LFS_HISTORY_MAX];
};

struct message_ping {
	uint64_t serial;
	uint64_t wall_ns;
	uint64_t admitted, durable; /* LSNs of the sender */
	uint64_t bytes;		    /* of data, of all LSNs up to `admitted` */
	uint32_t flags;
};

#define PING_SERVES 1u /* a primary that takes writes */
#define PING_FLAGS 1u

/* The epoch that the mirror begins behind `lsn`, where it holds all up to that. */
struct message_grant {
	uint64_t number, id, lsn;
};

/* The sender's history hash after the last LSN that the receiver's HELLO has named. */
struct message_hash {
	uint64_t lsn, hash;
};

#define MESSAGE_PROOF_LEN 16

/* The proof is the control connection's: who has it is the other end of that one. */
struct message_join {
	uint64_t tunnel_id;
	uint8_t proof[MESSAGE_PROOF_LEN];
};

struct message_progress {
	uint64_t frames, bytes; /* taken, of FRAME */
	uint64_t watermark;	/* persisted LSN */
	uint64_t echo;		/* newest PROBE */
};

size_t message_encode_negotiate(const struct message_negotiate *m, uint8_t *buf,
				size_t size);
int message_decode_negotiate(const uint8_t *buf, size_t len,
			     struct message_negotiate *ret);
size_t message_encode_identity(const struct message_identity *m, uint8_t *buf,
			       size_t size);
int message_decode_identity(const uint8_t *buf, size_t len, struct message_identity *ret);
size_t message_encode_hello(const struct message_hello *m, uint8_t *buf, size_t size);
int message_decode_hello(const uint8_t *buf, size_t len, struct message_hello *ret);
size_t message_encode_start(const struct message_start *m, uint8_t *buf, size_t size);
int message_decode_start(const uint8_t *buf, size_t len, struct message_start *ret);
size_t message_encode_ping(const struct message_ping *m, uint8_t *buf, size_t size);
int message_decode_ping(const uint8_t *buf, size_t len, struct message_ping *ret);
size_t message_encode_grant(const struct message_grant *m, uint8_t *buf, size_t size);
int message_decode_grant(const uint8_t *buf, size_t len, struct message_grant *ret);
size_t message_encode_hash(const struct message_hash *m, uint8_t *buf, size_t size);
int message_decode_hash(const uint8_t *buf, size_t len, struct message_hash *ret);
size_t message_encode_join(const struct message_join *m, uint8_t *buf, size_t size);
int message_decode_join(const uint8_t *buf, size_t len, struct message_join *ret);
size_t message_encode_progress(const struct message_progress *m, uint8_t *buf,
			       size_t size);
int message_decode_progress(const uint8_t *buf, size_t len, struct message_progress *ret);
/*
 * READY (tunnel id), PULL (from LSN), PULLED (last LSN), PONG (serial), PROBE (serial):
 * one number.
 */
size_t message_encode_number(uint64_t n, uint8_t *buf, size_t size);
int message_decode_number(const uint8_t *buf, size_t len, uint64_t *ret);
size_t message_encode_text(const char *text, uint8_t *buf, size_t size);
int message_decode_text(const uint8_t *buf, size_t len, char ret[MESSAGE_TEXT_MAX + 1]);
/* The text of a REFUSE or DECLINE; one that is not legal says that there is none. */
void message_reason(const uint8_t *buf, size_t len, char ret[MESSAGE_TEXT_MAX + 1]);

#endif
