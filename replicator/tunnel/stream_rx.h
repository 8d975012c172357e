/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_STREAM_RX_H
#define REPLICATOR_TUNNEL_STREAM_RX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replicator/tunnel/stream_tx.h"

struct fec_decoder;
struct packet_report;

/*
 * Symbols in any order in, whole frames in order out. Memory: `capacity` symbols in the
 * decoder and one frame. Invariant: every symbol below `reading` has been read and
 * released; what may be sent to us lies below reading + capacity, the credit.
 */
struct stream_rx {
	struct fec_decoder *decoder; /* owned */
	size_t size;
	uint32_t capacity;
	uint64_t reading; /* symbol being read */
	size_t offset;	  /* in it */
	uint32_t frame_max;
	uint8_t *frame; /* owned */
	uint8_t head[STREAM_HEAD];
	size_t head_have;
	uint32_t frame_len, frame_have;
	bool broken;
};

struct stream_rx_params {
	size_t size;
	uint32_t capacity; /* above FEC_WINDOW_MAX */
	uint32_t frame_max;
};

/* 0, -ENOMEM, or the decoder's error. */
int stream_rx_init(struct stream_rx *s, const struct stream_rx_params *params);
void stream_rx_release(struct stream_rx *s);

/* 1 with the next frame, lent until the next call; 0; -EPROTO for good. */
int stream_rx_next(struct stream_rx *s, const uint8_t **frame, size_t *len);
uint64_t stream_rx_credit(const struct stream_rx *s);
/* What is here and what is missing: below, seen, rebuilt, credit, deficit, holes. */
void stream_rx_report(const struct stream_rx *s, struct packet_report *report);

#endif
