/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_FEC_LINE_H
#define TESTS_UNIT_FEC_LINE_H

/*
 * What a sender puts on the path, in its order: symbols whose bytes are a function of
 * their number, and the repairs that its encoder gives.
 */
#include <stdio.h>

#include "fec/fec.h"
#include "tests/unit/fec/reference.h"

struct packet {
	bool repair;
	uint64_t number;
	struct fec_repair head;
	uint8_t bytes[REF_SIZE] __attribute__((aligned(32)));
};

struct line {
	struct fec_encoder *enc;
	struct packet *packet;
	unsigned n, room;
};

static inline void line_truth(uint64_t number, uint8_t *sym)
{
	for (unsigned i = 0; i < REF_SIZE; i++)
		sym[i] = (uint8_t)((number + 1) * (2 * i + 1) * 0x9e3779b1u >> 13);
}

static inline void line_init(struct line *line, const struct fec_params *params)
{
	*line = (struct line){ .room = 1024 };
	line->packet = aligned_alloc(32, line->room * sizeof(*line->packet));
	assert_non_null(line->packet);
	assert_int_equal(fec_encoder_new(params, &line->enc), 0);
}

static inline void line_free(struct line *line)
{
	fec_encoder_free(line->enc);
	free(line->packet);
}

static inline struct packet *line_push(struct line *line)
{
	if (line->n == line->room) {
		struct packet *more =
			aligned_alloc(32, 2 * line->room * sizeof(*line->packet));

		assert_non_null(more);
		memcpy(more, line->packet, line->n * sizeof(*more));
		free(line->packet);
		line->packet = more;
		line->room *= 2;
	}
	memset(&line->packet[line->n], 0, sizeof(*line->packet));
	return &line->packet[line->n++];
}

/* One repair of the encoder's choice. */
static inline void line_repair(struct line *line)
{
	struct packet *p = line_push(line);

	p->repair = true;
	assert_true(fec_encoder_repair(line->enc, &p->head, p->bytes));
}

/* What is due. Returns how much it was. */
static inline unsigned line_drain(struct line *line)
{
	unsigned n = fec_encoder_queued(line->enc);

	for (unsigned i = 0; i < n; i++)
		line_repair(line);
	assert_int_equal(fec_encoder_queued(line->enc), 0);
	return n;
}

/* The next symbol, and what becomes due with it. */
static inline unsigned line_symbol(struct line *line)
{
	struct packet *p = line_push(line);

	p->number = fec_encoder_next(line->enc);
	line_truth(p->number, p->bytes);
	fec_encoder_add(line->enc, p->bytes);
	return line_drain(line);
}

static inline unsigned line_flush(struct line *line)
{
	bool partial = fec_encoder_partial(line->enc);
	unsigned n;

	fec_encoder_flush(line->enc);
	assert_false(fec_encoder_partial(line->enc));
	n = line_drain(line);
	assert_int_equal(partial, n > 0);
	return n;
}

static inline bool line_covers(const struct fec_repair *head, uint64_t number)
{
	for (unsigned i = 0; i < head->count; i++)
		if (head->first + (uint64_t)i * head->stride == number)
			return true;
	return false;
}

/* A repair is what its head says, by the book. */
static inline void line_expect_true(const struct packet *p)
{
	uint8_t want[REF_SIZE] = { 0 }, sym[REF_SIZE];

	assert_true(p->head.count > 0 && p->head.stride > 0);
	for (unsigned i = 0; i < p->head.count; i++) {
		uint64_t number = p->head.first + (uint64_t)i * p->head.stride;
		uint8_t factor = p->head.kind == FEC_XOR
					 ? 1
					 : ref_coefficient(p->head.key, number);

		line_truth(number, sym);
		for (unsigned j = 0; j < REF_SIZE; j++)
			want[j] ^= ref_mul(factor, sym[j]);
	}
	assert_memory_equal(p->bytes, want, REF_SIZE);
}

static inline struct fec_decoder *line_decoder(uint16_t window, uint32_t capacity)
{
	struct fec_params params = { .symbol_size = REF_SIZE,
				     .window = window,
				     .capacity = capacity };
	struct fec_decoder *dec;

	assert_int_equal(fec_decoder_new(&params, &dec), 0);
	return dec;
}

static inline int line_give(struct fec_decoder *dec, const struct packet *p)
{
	return p->repair ? fec_decoder_repair(dec, &p->head, p->bytes)
			 : fec_decoder_symbol(dec, p->number, p->bytes);
}

static inline void line_expect_here(const struct fec_decoder *dec, uint64_t number)
{
	const uint8_t *got = fec_decoder_get(dec, number, NULL);
	uint8_t want[REF_SIZE];

	assert_non_null(got);
	line_truth(number, want);
	assert_memory_equal(got, want, REF_SIZE);
}

#endif
