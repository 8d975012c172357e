/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NBD_SERVER_NBD_REQUEST_H
#define NBD_SERVER_NBD_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "nbd-server/protocol.h"

struct group_request;

/*
 * One request of a client, as it was received: any value in any field. Pure: bytes
 * in, verdict out. Nothing is allocated for a request before nbds_request_check() has
 * said 0.
 */
struct nbds_request {
	uint16_t flags;
	uint16_t type;
	uint64_t cookie;
	uint64_t offset;
	uint32_t len;
};

/* 0, or -EPROTO for a wrong magic: the stream has lost its step and must be closed. */
int nbds_request_decode(const struct nbds_request_head *head, struct nbds_request *ret);

void nbds_request_encode(const struct nbds_request *req, struct nbds_request_head *ret);

/*
 * May this request go to a group, over an export of `size` bytes with the transmission
 * flags `flags`? 0, or what it is to be answered with: -EINVAL unknown command, flag that
 * was not offered, no length, a length above the maximum, a read or trim beyond the end;
 * -ENOSPC a write or zero beyond the end; -EPERM a change of a read-only export. DISC is
 * always good, whatever its fields hold.
 */
int nbds_request_check(const struct nbds_request *req, uint64_t size, uint16_t flags);

/* Bytes that follow the header, whether or not the request is good. */
uint32_t nbds_request_payload(const struct nbds_request *req);

/*
 * The payload is so long that the connection is closed rather than read on: it was
 * refused, and what follows would be anything.
 */
bool nbds_request_hopeless(const struct nbds_request *req);

/* Fill in kind, offset, len and flags. For a request that was checked, and is no DISC. */
void nbds_request_to_group(const struct nbds_request *req, struct group_request *ret);

#endif
