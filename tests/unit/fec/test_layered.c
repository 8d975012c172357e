// SPDX-License-Identifier: BSD-3-Clause
/*
 * Layered interleaving is the paper's code and the baseline of every comparison: it must
 * be that code, every symbol in one repair of each layer, and its repairs must be true.
 */
#include "tests/unit/fec/line.h"

static struct fec_params layered(unsigned r, unsigned c, const uint16_t *bins,
				 bool delayed)
{
	struct fec_params params = { .code = FEC_LAYERED,
				     .symbol_size = REF_SIZE,
				     .r = (uint16_t)r,
				     .c = (uint16_t)c,
				     .delayed = delayed };

	memcpy(params.interleave, bins, c * sizeof(*bins));
	return params;
}

static const struct {
	unsigned r, c;
	uint16_t bins[FEC_LAYERS_MAX];
} settings[] = {
	{ 8, 3, { 1, 20, 40 } },   { 8, 3, { 1, 19, 41 } }, { 8, 1, { 1 } },
	{ 8, 1, { 12 } },	   { 1, 2, { 1, 5 } },	    { 2, 3, { 6, 6, 6 } },
	{ 7, 2, { 14, 49 } },	   { 12, 3, { 1, 8, 30 } }, { 128, 2, { 1, 3 } },
	{ 6, 4, { 2, 4, 9, 36 } },
};
#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static struct fec_params setting(unsigned i, bool delayed)
{
	return layered(settings[i].r, settings[i].c, settings[i].bins, delayed);
}

/* Repairs of this stride that cover `number`. */
static unsigned covering(const struct line *line, unsigned stride, uint64_t number)
{
	unsigned n = 0;

	for (unsigned i = 0; i < line->n; i++)
		n += line->packet[i].repair && line->packet[i].head.stride == stride &&
		     line_covers(&line->packet[i].head, number);
	return n;
}

/* Layers of this setting that have so many bins. */
static unsigned layers_of(const struct fec_params *params, unsigned bins)
{
	unsigned n = 0;

	for (unsigned l = 0; l < params->c; l++)
		n += params->interleave[l] == bins;
	return n;
}

static void each_symbol_is_in_one_repair_of_each_layer(void **state)
{
	for (unsigned i = 0; i < 2 * SETTINGS; i++) {
		struct fec_params params = setting(i / 2, i % 2);
		struct ref_random r = { 9 + i };
		const unsigned symbols = 900;
		struct line line;

		line_init(&line, &params);
		for (unsigned n = 0; n < symbols; n++) {
			(void)line_symbol(&line);
			if (ref_chance(&r, 0.005))
				(void)line_flush(&line);
		}
		(void)line_flush(&line);
		assert_int_equal(line_flush(&line), 0);
		for (unsigned n = 0; n < line.n; n++) {
			const struct packet *p = &line.packet[n];

			if (!p->repair)
				continue;
			assert_int_equal(p->head.kind, FEC_XOR);
			assert_true(p->head.count <= params.r);
			assert_true(layers_of(&params, p->head.stride) > 0);
			line_expect_true(p);
		}
		for (unsigned n = 0; n < symbols; n++)
			for (unsigned l = 0; l < params.c; l++)
				assert_int_equal(covering(&line, params.interleave[l], n),
						 layers_of(&params,
							   params.interleave[l]));
		line_free(&line);
	}
}

/*
 * Once each bin was full, r successive symbols see just one repair of each layer leave,
 * and every repair is over r symbols: the path's load is even, and r : c.
 */
static void repairs_leave_evenly(void **state)
{
	for (unsigned i = 0; i < SETTINGS; i++) {
		struct fec_params params = setting(i, false);
		unsigned given[FEC_LAYERS_MAX][4096] = { 0 }, warm = 0, n;
		struct line line;

		for (unsigned l = 0; l < params.c; l++)
			if (2u * params.r * params.interleave[l] > warm)
				warm = 2u * params.r * params.interleave[l];
		line_init(&line, &params);
		for (n = 0; n < warm + 8u * params.r; n++) {
			unsigned from = line.n;

			(void)line_symbol(&line);
			for (unsigned k = from + 1; k < line.n; k++) {
				const struct fec_repair *head = &line.packet[k].head;

				for (unsigned l = 0; l < params.c; l++)
					given[l][n] +=
						head->stride == params.interleave[l];
				if (n >= warm)
					assert_int_equal(head->count, params.r);
			}
		}
		for (unsigned l = 0; l < params.c; l++) {
			unsigned share = layers_of(&params, params.interleave[l]);

			/* a turn begins where it begins, but each is r symbols long */
			for (unsigned at = warm; at + 2u * params.r <= n; at++) {
				unsigned sum = 0;

				for (unsigned k = at; k < at + 2u * params.r; k++)
					sum += given[l][k];
				assert_true(sum >= share && sum <= 3 * share);
			}
		}
		line_free(&line);
	}
}

/* Delayed: out with the bin's next symbol, one round of the bins after its last. */
static void delayed_repairs_wait_for_the_next_of_their_bin(void **state)
{
	for (unsigned i = 0; i < SETTINGS; i++) {
		struct fec_params params = setting(i, true);
		struct line line;

		line_init(&line, &params);
		for (unsigned n = 0; n < 1500; n++) {
			unsigned from = line.n;

			(void)line_symbol(&line);
			for (unsigned k = from + 1; k < line.n; k++) {
				const struct fec_repair *head = &line.packet[k].head;

				assert_int_equal(head->first + (uint64_t)head->count *
								       head->stride,
						 n);
			}
		}
		line_free(&line);
	}
}

/* Everything in `lost` successive datagrams is lost: whether all symbols come back. */
static bool survives(const struct fec_params *params, unsigned from, unsigned lost)
{
	struct fec_decoder *dec = line_decoder(FEC_SPAN_MAX, 2048);
	unsigned datagram = 0, symbols = 1600;
	struct line line;
	bool all;

	line_init(&line, params);
	for (unsigned n = 0; n < symbols; n++)
		(void)line_symbol(&line);
	(void)line_flush(&line);
	for (unsigned n = 0; n < line.n; n++) {
		bool in_burst = datagram >= from && datagram < from + lost;

		datagram++;
		if (!in_burst)
			assert_int_equal(line_give(dec, &line.packet[n]), 0);
	}
	all = fec_decoder_missing_first(dec) == symbols;
	assert_int_equal(fec_decoder_deficit(dec) == 0,
			 fec_decoder_missing_first(dec) == fec_decoder_seen(dec));
	for (uint64_t n = 0; n < fec_decoder_missing_first(dec); n++)
		line_expect_here(dec, n);
	line_free(&line);
	fec_decoder_free(dec);
	return all;
}

/*
 * What layers are for: with delayed repairs a burst of i datagrams never takes more than
 * one of a bin of i and its repair, so that it is rebuilt wherever it begins.
 */
static void bursts_up_to_the_interleave_are_rebuilt(void **state)
{
	static const uint16_t one[] = { 24 }, three[] = { 1, 20, 40 };
	const struct fec_params single = layered(8, 1, one, true);
	const struct fec_params paper = layered(8, 3, three, true);
	unsigned failed = 0;

	for (unsigned from = 300; from < 600; from += 7) {
		assert_true(survives(&single, from, 24));
		assert_true(survives(&paper, from, 40));
		failed += !survives(&single, from, 60);
	}
	assert_true(failed > 30);
}

/* Whatever is unwise is not refused: no layers are no repairs. */
static void no_layers_no_repairs(void **state)
{
	static const uint16_t none[1];
	const struct fec_params params = layered(8, 0, none, false);
	struct line line;

	line_init(&line, &params);
	for (unsigned n = 0; n < 50; n++)
		assert_int_equal(line_symbol(&line), 0);
	assert_int_equal(line_flush(&line), 0);
	line_free(&line);
}

/* Repairs that nobody takes do not pile up without end: the oldest go. */
static void repair_queue_repairs_are_bounded(void **state)
{
	static const uint16_t bins[] = { 1, 20, 40 };
	const struct fec_params params = layered(1, 3, bins, false);
	uint8_t sym[REF_SIZE], out[REF_SIZE] __attribute__((aligned(32)));
	const unsigned symbols = 4 * FEC_QUEUE_MAX;
	struct fec_encoder *enc;
	struct fec_repair head;
	uint64_t last = 0;

	assert_int_equal(fec_encoder_new(&params, &enc), 0);
	for (unsigned n = 0; n < symbols; n++) {
		line_truth(n, sym);
		fec_encoder_add(enc, sym);
	}
	assert_true(fec_encoder_queued(enc) >= FEC_QUEUE_MAX);
	assert_true(fec_encoder_queued(enc) <= FEC_QUEUE_MAX + 61);
	while (fec_encoder_repair(enc, &head, out)) {
		assert_true(head.first >= symbols - FEC_QUEUE_MAX);
		assert_true(head.first >= last);
		last = head.first;
		line_truth(last, sym);
		assert_memory_equal(out, sym, REF_SIZE);
	}
	assert_int_equal(last, symbols - 1);
	fec_encoder_free(enc);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_symbol_is_in_one_repair_of_each_layer),
		cmocka_unit_test(repairs_leave_evenly),
		cmocka_unit_test(delayed_repairs_wait_for_the_next_of_their_bin),
		cmocka_unit_test(bursts_up_to_the_interleave_are_rebuilt),
		cmocka_unit_test(no_layers_no_repairs),
		cmocka_unit_test(repair_queue_repairs_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
