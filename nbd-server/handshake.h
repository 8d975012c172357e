/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NBD_SERVER_HANDSHAKE_H
#define NBD_SERVER_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a client gets for the name it asked for. */
struct nbds_export {
	uint64_t size;
	uint16_t flags; /* NBDS_FLAG_* */
	const char *name;
	void *volume; /* the owner's; not looked at here */
};

/* Where the names come from. */
struct nbds_catalog {
	void *owner;
	/* Name `i`, not longer than NBDS_NAME_MAX, or NULL beyond the last. */
	const char *(*name)(void *owner, unsigned i);
	/*
	 * The export of that name ("" is the default one); `len` <= NBDS_NAME_MAX bytes
	 * of any value, not ended by a 0. 0; -ENOENT there is none; -EAGAIN it is not
	 * being served now.
	 */
	int (*find)(void *owner, const char *name, size_t len, struct nbds_export *ret);
};

enum nbds_handshake_state {
	NBDS_HS_GREETING, /* our greeting is due */
	NBDS_HS_FLAGS,	  /* the client's flags are due */
	NBDS_HS_OPTION,	  /* an option is due */
	NBDS_HS_LISTING,  /* in the middle of the answers to LIST */
	NBDS_HS_SKIPPING, /* in the middle of data that is of no interest */
	NBDS_HS_DONE,	  /* over; what follows are requests to `chosen` */
	NBDS_HS_ABORTED,  /* over by the client's wish: send what there is, and close */
	NBDS_HS_BROKEN,	  /* over by a breach of the protocol: close */
};

#define NBDS_MISSING_TEXT 64

/*
 * Negotiation after the fixed newstyle. Pure: bytes in, bytes out. It keeps no bytes: an
 * option is looked at when all of it is there, and so the caller's input buffer must hold
 * NBDS_HANDSHAKE_INPUT bytes.
 */
struct nbds_handshake {
	enum nbds_handshake_state state;
	const struct nbds_catalog *catalog; /* borrowed */
	bool no_zeroes;
	bool fixed;
	bool waiting; /* the option at hand asks for an export that is not served yet */
	bool late;    /* set by the owner when it has waited enough: refuse it then */
	bool stopping; /* set by the owner: options are refused, the catalog is not asked */
	uint32_t skip;		 /* NBDS_HS_SKIPPING: bytes still to come */
	unsigned listed;	 /* NBDS_HS_LISTING: names answered so far */
	unsigned refused;	 /* options that were refused */
	uint32_t refused_option; /* the last of them, */
	const char *refused_why; /* and why */
	/* The export that it asked for, where there is none of this name: its beginning. */
	char missing[NBDS_MISSING_TEXT];
	const char *broken_why;	   /* NBDS_HS_BROKEN: how the client broke the protocol */
	struct nbds_export chosen; /* NBDS_HS_DONE */
};

#define NBDS_HANDSHAKE_INPUT (16u + 8192u) /* an option's head and data */
#define NBDS_HANDSHAKE_ROOM 8192u	   /* no single answer is longer */

/* Bytes in and out of one run. */
struct nbds_handshake_io {
	const uint8_t *in;
	size_t in_len;
	size_t in_used; /* result */
	uint8_t *out;
	size_t out_size; /* at least NBDS_HANDSHAKE_ROOM */
	size_t out_len;	 /* result */
};

void nbds_handshake_init(struct nbds_handshake *hs, const struct nbds_catalog *catalog);

/*
 * Go on as far as the input and the room for output reach. 0, and `state` says where it
 * stands; or -EPROTO with NBDS_HS_BROKEN, and then the output is not to be sent. To be
 * called again when there is more input, or room again; and with `waiting`, after a
 * while, with the same input, for the catalog may have changed its mind by then.
 */
int nbds_handshake_run(struct nbds_handshake *hs, struct nbds_handshake_io *io);

#endif
