// SPDX-License-Identifier: BSD-3-Clause
/*
 * The decoder stands between the line and the mirror's log: it must give back exactly the
 * symbols that were sent, as soon as what has arrived determines them, and never more
 * than that, whatever is lost, reordered, doubled or invented.
 */
#include <errno.h>
#include <stdio.h>

#include "fec/fec.h"
#include "tests/unit/fec/reference.h"

static uint8_t stream[REF_SYMBOLS][REF_SIZE] __attribute__((aligned(32)));

static void stream_fill(struct ref_random *r)
{
	for (unsigned i = 0; i < REF_SYMBOLS; i++)
		for (unsigned j = 0; j < REF_SIZE; j++)
			stream[i][j] = (uint8_t)ref_below(r, 256);
}

static struct fec_decoder *decoder(enum fec_code code, uint16_t window, uint32_t capacity)
{
	struct fec_params params = { .code = code,
				     .symbol_size = REF_SIZE,
				     .window = window,
				     .capacity = capacity };
	struct fec_decoder *dec;

	assert_int_equal(fec_decoder_new(&params, &dec), 0);
	return dec;
}

static struct fec_encoder *encoder(enum fec_code code, uint16_t window)
{
	struct fec_params params = { .code = code,
				     .symbol_size = REF_SIZE,
				     .window = window };
	struct fec_encoder *enc;

	assert_int_equal(fec_encoder_new(&params, &enc), 0);
	return enc;
}

/* ---- against the reference -------------------------------------------------------- */

struct packet {
	bool repair;
	unsigned number;
	struct fec_repair head;
	uint8_t bytes[REF_SIZE] __attribute__((aligned(32)));
};

/* One line: what is sent, shuffled within `reorder`, some lost, some twice. */
struct scenario {
	uint16_t window;
	unsigned symbols, reorder;
	double share, loss, twice, confirm;
};

static unsigned scenario_send(const struct scenario *sc, struct ref_random *r,
			      struct packet *line)
{
	struct fec_encoder *enc = encoder(FEC_WINDOW, sc->window);
	unsigned n = 0;

	for (unsigned i = 0; i < sc->symbols; i++) {
		fec_encoder_add(enc, stream[i]);
		line[n] = (struct packet){ .number = i };
		memcpy(line[n++].bytes, stream[i], REF_SIZE);
		while (ref_chance(r, sc->share)) {
			line[n] = (struct packet){ .repair = true };
			assert_true(
				fec_encoder_repair(enc, &line[n].head, line[n].bytes));
			n++;
		}
		if (ref_chance(r, sc->confirm))
			fec_encoder_confirm(enc, fec_encoder_first(enc) +
							 ref_below(r, sc->window));
	}
	fec_encoder_free(enc);
	for (unsigned i = 0; i < n; i++) {
		unsigned j = i + ref_below(r, sc->reorder + 1);
		struct packet swap = line[i];

		if (j < n) {
			line[i] = line[j];
			line[j] = swap;
		}
	}
	return n;
}

static void compare(struct ref_decoder *ref, const struct fec_decoder *dec,
		    uint64_t released)
{
	unsigned missing = 0, first = REF_SYMBOLS;

	ref_solve(ref);
	for (unsigned i = 0; i < ref->seen; i++) {
		const uint8_t *sym = fec_decoder_get(dec, i, NULL);

		if (!ref->known[i]) {
			missing++;
			if (first == REF_SYMBOLS)
				first = i;
		}
		if (i < released) {
			assert_null(sym);
			continue;
		}
		assert_int_equal(sym != NULL, ref->known[i]);
		if (sym)
			assert_memory_equal(sym, ref->sym[i], REF_SIZE);
	}
	if (first == REF_SYMBOLS)
		first = ref->seen;
	assert_int_equal(fec_decoder_seen(dec), ref->seen);
	assert_int_equal(fec_decoder_missing_first(dec), first);
	assert_int_equal(fec_decoder_deficit(dec), ref->seen - ref->rank);
}

static void scenario_run(const struct scenario *sc, uint64_t seed,
			 struct ref_decoder *ref, struct packet *line)
{
	struct ref_random r = { seed };
	struct fec_decoder *dec = decoder(FEC_WINDOW, sc->window, REF_SYMBOLS);
	uint64_t released = 0;
	unsigned n;

	ref->n = ref->seen = ref->rank = 0;
	stream_fill(&r);
	n = scenario_send(sc, &r, line);
	for (unsigned i = 0; i < n; i++) {
		unsigned times = ref_chance(&r, sc->loss)    ? 0
				 : ref_chance(&r, sc->twice) ? 2
							     : 1;
		for (; times; times--) {
			int ret;

			if (line[i].repair)
				ret = fec_decoder_repair(dec, &line[i].head,
							 line[i].bytes);
			else
				ret = fec_decoder_symbol(dec, line[i].number,
							 line[i].bytes);
			assert_true(ret == 0 || (ret == -ENOBUFS && line[i].repair));
			if (ret == -ENOBUFS) /* as many equations wait as may */
				ref->seen = (unsigned)fec_decoder_seen(dec);
			else if (line[i].repair)
				ref_repair(ref, (unsigned)line[i].head.first,
					   line[i].head.count, line[i].head.key,
					   line[i].bytes);
			else
				ref_symbol(ref, line[i].number, line[i].bytes);
		}
		compare(ref, dec, released);
		if (ref_chance(&r, 0.2)) {
			released = fec_decoder_missing_first(dec);
			fec_decoder_release(dec, released);
		}
	}
	for (unsigned i = 0; i < ref->seen; i++)
		if (ref->known[i])
			assert_memory_equal(ref->sym[i], stream[i], REF_SIZE);
	fec_decoder_free(dec);
}

static void random_lines_decode_as_gauss_would(void **state)
{
	static const struct scenario scenarios[] = {
		{ 1, 60, 3, 0.5, 0.2, 0.1, 0 },
		{ 4, 100, 6, 0.4, 0.2, 0.1, 0.1 },
		{ 16, 120, 0, 0.2, 0.1, 0, 0 },
		{ 16, 120, 20, 0.25, 0.15, 0.2, 0.1 },
		{ 16, 120, 4, 0.45, 0.4, 0, 0 },
		{ 40, 200, 60, 0.2, 0.12, 0.1, 0.05 },
		{ 128, 180, 10, 0.15, 0.1, 0, 0.3 },
		{ 200, 230, 10, 0.15, 0.1, 0, 0 },
	};
	struct ref_decoder *ref = malloc(sizeof(*ref));
	struct packet *line = aligned_alloc(32, 2048 * sizeof(*line));

	assert_non_null(ref);
	assert_non_null(line);
	for (unsigned i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		for (uint64_t seed = 1; seed <= 6; seed++)
			scenario_run(&scenarios[i], seed * 1000 + i, ref, line);
	free(line);
	free(ref);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_lines_decode_as_gauss_would),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
