// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/stream_rx.h"

#include <errno.h>
#include <string.h>

#include "fec/fec.h"
#include "replicator/tunnel/packet.h"
#include "rt/bytes.h"
#include "rt/mem.h"

/* Symbols that are looked at for the holes of one acknowledgement. */
#define STREAM_RX_SCAN_MAX 4096

int stream_rx_init(struct stream_rx *s, const struct stream_rx_params *params)
{
	struct fec_params fec = {
		.code = FEC_WINDOW,
		.symbol_size = (uint16_t)params->size,
		/* The sender's code is its own choice: take any. */
		.window = FEC_SPAN_MAX,
		.capacity = params->capacity,
	};
	int res;

	*s = (struct stream_rx){
		.size = params->size,
		.capacity = params->capacity,
		.frame_max = params->frame_max,
	};
	res = fec_decoder_new(&fec, &s->decoder);
	if (res != 0) {
		s->decoder = NULL;
		return res;
	}
	s->frame = rt_alloc(params->frame_max);
	if (s->frame == NULL) {
		stream_rx_release(s);
		return -ENOMEM;
	}
	return 0;
}

void stream_rx_release(struct stream_rx *s)
{
	fec_decoder_free(s->decoder);
	rt_free(s->frame);
	s->decoder = NULL;
	s->frame = NULL;
}

/* Bytes of the frame's head; when it is whole, believe it or not. */
static size_t stream_rx_head(struct stream_rx *s, const uint8_t *bytes, size_t len)
{
	size_t n = STREAM_HEAD - s->head_have;
	le32 length;

	if (n > len)
		n = len;
	memcpy(s->head + s->head_have, bytes, n);
	s->head_have += n;
	if (s->head_have < STREAM_HEAD)
		return n;
	memcpy(&length, s->head + 1, sizeof(length));
	s->frame_len = le32_get(length);
	s->frame_have = 0;
	if (s->head[0] != STREAM_FRAME || s->frame_len == 0 ||
	    s->frame_len > s->frame_max)
		s->broken = true;
	return n;
}

/* How many of `len` bytes at `bytes`, in the middle of a symbol, were taken. */
static size_t stream_rx_take(struct stream_rx *s, const uint8_t *bytes, size_t len)
{
	size_t n;

	if (s->head_have == 0 && bytes[0] == STREAM_PAD) {
		/* Padding is zero to the end, or it is no stream of ours. */
		for (size_t i = 1; i < len; i++)
			s->broken |= bytes[i] != STREAM_PAD;
		return len;
	}
	if (s->head_have < STREAM_HEAD)
		return stream_rx_head(s, bytes, len);
	n = s->frame_len - s->frame_have;
	if (n > len)
		n = len;
	memcpy(s->frame + s->frame_have, bytes, n);
	s->frame_have += (uint32_t)n;
	return n;
}

int stream_rx_next(struct stream_rx *s, const uint8_t **frame, size_t *len)
{
	const uint8_t *sym;

	while (!s->broken &&
	       (sym = fec_decoder_get(s->decoder, s->reading, NULL)) != NULL) {
		bool whole;

		s->offset += stream_rx_take(s, sym + s->offset, s->size - s->offset);
		whole = s->head_have == STREAM_HEAD && s->frame_have == s->frame_len;
		if (s->offset == s->size) {
			s->offset = 0;
			s->reading++;
			fec_decoder_release(s->decoder, s->reading);
		}
		if (!whole || s->broken)
			continue;
		s->head_have = 0;
		*frame = s->frame;
		*len = s->frame_len;
		return 1;
	}
	return s->broken ? -EPROTO : 0;
}

uint64_t stream_rx_credit(const struct stream_rx *s)
{
	return s->reading + s->capacity;
}

void stream_rx_report(const struct stream_rx *s, struct packet_report *report)
{
	uint64_t below = fec_decoder_missing_first(s->decoder);
	uint64_t seen = fec_decoder_seen(s->decoder);
	uint64_t end = seen;
	bool hole = false;

	if (seen < below)
		seen = end = below;
	report->below = below;
	report->seen = seen;
	report->rebuilt = fec_decoder_rebuilt(s->decoder);
	report->credit = stream_rx_credit(s);
	report->deficit = fec_decoder_deficit(s->decoder);
	report->nholes = 0;
	if (end - below > STREAM_RX_SCAN_MAX)
		end = below + STREAM_RX_SCAN_MAX;
	for (uint64_t n = below; n < end; n++) {
		if (fec_decoder_get(s->decoder, n, NULL) != NULL) {
			hole = false;
			continue;
		}
		if (!hole && report->nholes == PACKET_HOLES_MAX)
			return;
		if (!hole) {
			report->holes[report->nholes].first = n;
			report->holes[report->nholes].count = 0;
			report->nholes++;
		}
		hole = true;
		report->holes[report->nholes - 1].count++;
	}
}
