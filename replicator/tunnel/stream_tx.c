// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/stream_tx.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "rt/bytes.h"
#include "rt/check.h"
#include "rt/mem.h"

int stream_tx_init(struct stream_tx *s, size_t size, uint32_t capacity)
{
	*s = (struct stream_tx){ .size = size, .capacity = capacity };
	s->symbols = rt_zalloc(capacity, sizeof(*s->symbols));
	s->spare = rt_zalloc(capacity, sizeof(*s->spare));
	s->bytes = rt_alloc_blocks((size_t)capacity * (STREAM_ROOM + size));
	if (s->symbols == NULL || s->spare == NULL || s->bytes == NULL) {
		stream_tx_release(s);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < capacity; i++)
		s->spare[i] = capacity - 1 - i;
	s->nspare = capacity;
	return 0;
}

void stream_tx_release(struct stream_tx *s)
{
	rt_free(s->symbols);
	rt_free(s->spare);
	rt_free(s->bytes);
	s->symbols = NULL;
	s->spare = NULL;
	s->bytes = NULL;
}

static struct stream_symbol *stream_tx_slot(const struct stream_tx *s, uint64_t number)
{
	return &s->symbols[number % s->capacity];
}

struct stream_symbol *stream_tx_symbol(const struct stream_tx *s, uint64_t number)
{
	rt_assert(number >= s->confirmed && number < s->closed);
	return stream_tx_slot(s, number);
}

static uint8_t *stream_tx_buffer(const struct stream_tx *s,
				 const struct stream_symbol *sym)
{
	return s->bytes + (size_t)sym->buffer * (STREAM_ROOM + s->size) + STREAM_ROOM;
}

uint8_t *stream_tx_bytes(const struct stream_tx *s, uint64_t number)
{
	return stream_tx_buffer(s, stream_tx_symbol(s, number));
}

bool stream_tx_room(const struct stream_tx *s, size_t len)
{
	size_t room = (size_t)s->nspare * s->size;

	if (s->fill > 0)
		room += s->size - s->fill;
	return len <= room && STREAM_HEAD <= room - len;
}

static void stream_tx_close(struct stream_tx *s)
{
	stream_tx_slot(s, s->closed)->frames = s->frames;
	s->closed++;
	s->fill = 0;
}

static void stream_tx_open(struct stream_tx *s)
{
	rt_assert(s->nspare > 0);
	*stream_tx_slot(s, s->closed) =
		(struct stream_symbol){ .buffer = s->spare[--s->nspare] };
}

static void stream_tx_copy(struct stream_tx *s, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		size_t n;

		if (s->fill == s->size)
			stream_tx_close(s);
		if (s->fill == 0)
			stream_tx_open(s);
		n = s->size - s->fill;
		if (n > len)
			n = len;
		memcpy(stream_tx_buffer(s, stream_tx_slot(s, s->closed)) + s->fill, bytes,
		       n);
		s->fill += n;
		bytes += n;
		len -= n;
	}
}

void stream_tx_append(struct stream_tx *s, const struct iovec *iov, size_t len)
{
	uint8_t head[STREAM_HEAD] = { STREAM_FRAME };
	le32 length = le32_make((uint32_t)len);

	rt_assert(stream_tx_room(s, len));
	memcpy(head + 1, &length, sizeof(length));
	stream_tx_copy(s, head, sizeof(head));
	for (; len > 0; iov++) {
		stream_tx_copy(s, iov->iov_base, iov->iov_len);
		len -= iov->iov_len;
	}
	/* Only now: symbols closed on the way do not end this frame. */
	s->frames++;
	if (s->fill == s->size)
		stream_tx_close(s);
}

void stream_tx_flush(struct stream_tx *s)
{
	uint8_t *at;

	if (s->fill == 0)
		return;
	at = stream_tx_buffer(s, stream_tx_slot(s, s->closed));
	memset(at + s->fill, STREAM_PAD, s->size - s->fill);
	stream_tx_close(s);
}

uint64_t stream_tx_frames(const struct stream_tx *s, uint64_t below)
{
	if (below <= s->confirmed)
		return s->frames_confirmed;
	return stream_tx_symbol(s, below - 1)->frames;
}

void stream_tx_confirm(struct stream_tx *s, uint64_t below)
{
	rt_assert(below <= s->sent);
	if (below <= s->confirmed)
		return;
	s->frames_confirmed = stream_tx_frames(s, below);
	for (; s->confirmed < below; s->confirmed++)
		s->spare[s->nspare++] = stream_tx_slot(s, s->confirmed)->buffer;
}
