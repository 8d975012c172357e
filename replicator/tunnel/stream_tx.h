/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_STREAM_TX_H
#define REPLICATOR_TUNNEL_STREAM_TX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iovec;

/*
 * Frames in, symbols out. The stream is frame after frame, each a head of STREAM_HEAD
 * bytes and its own bytes, cut into symbols of one size; a zero byte where a head would
 * begin pads to the symbol's end. Symbols are kept until the other side has them.
 * Invariant: confirmed <= sent <= closed, closed - confirmed <= capacity.
 */
#define STREAM_HEAD 5  /* STREAM_FRAME, le32 length */
#define STREAM_FRAME 1 /* a frame begins */
#define STREAM_PAD 0   /* nothing more in this symbol */
#define STREAM_ROOM 32 /* bytes before each symbol, for the head that it leaves with */

struct stream_symbol {
	uint64_t frames; /* frames that end in this symbol or before it */
	uint64_t number; /* packet number of its newest transmission */
	uint32_t buffer;
	bool queued;	    /* to be sent again */
	bool retransmitted; /* was sent again */
};

struct stream_tx {
	size_t size; /* of a symbol */
	uint32_t capacity;
	uint32_t nspare;
	struct stream_symbol *symbols; /* owned; ring by number % capacity */
	uint32_t *spare;	       /* owned; buffers not in use, the warmest on top */
	uint8_t *bytes;		       /* owned; capacity * (STREAM_ROOM + size) */
	uint64_t confirmed;	       /* the other side has all symbols below */
	uint64_t sent;		       /* next symbol to be sent for the first time */
	uint64_t closed;	       /* the symbol being filled, if fill > 0 */
	size_t fill;
	uint64_t frames; /* taken so far */
	uint64_t frames_confirmed;
};

/* 0 or -ENOMEM. */
int stream_tx_init(struct stream_tx *s, size_t size, uint32_t capacity);
void stream_tx_release(struct stream_tx *s);

bool stream_tx_room(const struct stream_tx *s, size_t len);
/* Take a frame of `len` bytes in pieces; there is room. */
void stream_tx_append(struct stream_tx *s, const struct iovec *iov, size_t len);
/* Pad what is being filled, if anything is. */
void stream_tx_flush(struct stream_tx *s);
/* Symbols that hold what was taken so far, the one being filled included. */
static inline uint64_t stream_tx_end(const struct stream_tx *s)
{
	return s->closed + (s->fill > 0);
}
static inline bool stream_tx_unsent(const struct stream_tx *s)
{
	return s->sent < stream_tx_end(s);
}

/* A closed symbol that is not confirmed. */
struct stream_symbol *stream_tx_symbol(const struct stream_tx *s, uint64_t number);
/* Its bytes, to be read only; the STREAM_ROOM before them may be written to. */
uint8_t *stream_tx_bytes(const struct stream_tx *s, uint64_t number);
/* The other side has all below `below`, which is at most `sent`. */
void stream_tx_confirm(struct stream_tx *s, uint64_t below);
/* Frames that end below symbol `below`, confirmed <= below <= closed or less. */
uint64_t stream_tx_frames(const struct stream_tx *s, uint64_t below);

#endif
