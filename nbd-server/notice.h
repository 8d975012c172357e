/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NBD_SERVER_NOTICE_H
#define NBD_SERVER_NOTICE_H

#include <stdint.h>

#include "rt/time.h"

/*
 * What the log says of connections that are refused, closed or lost: a line with the
 * client's address, what and why; of each kind one a second at most, with the number of
 * those that had none.
 */
enum nbds_notice_kind {
	NBDS_NOTICE_REFUSED,   /* it was not let in */
	NBDS_NOTICE_OPTION,    /* one of its options was refused */
	NBDS_NOTICE_HANDSHAKE, /* it was closed: a breach of the protocol in negotiation, */
	NBDS_NOTICE_TIMEOUT,   /* negotiation that takes too long, */
	NBDS_NOTICE_PROTOCOL, /* a breach after it, */
	NBDS_NOTICE_EVICTED,  /* it holds up others, or its own end, */
	NBDS_NOTICE_LOST,     /* or there is no going on: broken, or no memory */
};
#define NBDS_NOTICE_KINDS 7u
#define NBDS_NOTICE_TEXT 320

struct nbds_notice {
	struct {
		rt_time last;	 /* a line was logged then; 0: never */
		uint64_t others; /* without a line since then */
	} kinds[NBDS_NOTICE_KINDS];
	uint64_t unlogged; /* in all */
};

/* Of the client at `peer`; `text` is key=value pairs: why, and what else is known. */
void nbds_notice(struct nbds_notice *notice, enum nbds_notice_kind kind, rt_time now,
		 const char *peer, const char *text);

#endif
