/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NBD_SERVER_PAYLOAD_H
#define NBD_SERVER_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

/*
 * Memory for the data of requests: whole blocks, block-aligned, never more than `limit`
 * bytes, what is kept for the next use included. Up to 1 MiB in powers of two that are
 * used again; longer ones are rare and go back to the system.
 */
#define NBDS_PAYLOAD_CLASSES 9 /* 4 KiB << 0 .. 8 */
#define NBDS_PAYLOAD_KEPT_MAX (UINT64_C(16) << 20)

struct nbds_payload_free;

struct nbds_payload {
	uint64_t limit;
	uint64_t used; /* lent out */
	uint64_t kept; /* in the free lists */
	struct nbds_payload_free *free[NBDS_PAYLOAD_CLASSES];
};

void nbds_payload_init(struct nbds_payload *pool, uint64_t limit);
void nbds_payload_release(struct nbds_payload *pool); /* nothing may be lent out */

/* What `len` bytes (1 .. 2^31) cost of the limit. */
size_t nbds_payload_cost(size_t len);

/*
 * At least `len` bytes, uninitialised. 0; -ENOBUFS when they would exceed the limit now;
 * -ENOMEM when the system has none.
 */
int nbds_payload_get(struct nbds_payload *pool, size_t len, uint8_t **ret);

/* Give back; `len` as it was asked for. */
void nbds_payload_put(struct nbds_payload *pool, uint8_t *buf, size_t len);

#endif
