// SPDX-License-Identifier: BSD-3-Clause
/*
 * What one pays a block code for is that any r of its r + c datagrams rebuild the block,
 * no matter which, also of a block that was closed early.
 */
#include "tests/unit/fec/line.h"

static struct fec_params rs(unsigned r, unsigned c)
{
	return (struct fec_params){ .code = FEC_RS,
				    .symbol_size = REF_SIZE,
				    .r = (uint16_t)r,
				    .c = (uint16_t)c };
}

/*
 * One block, alone or after others: of its packets only those in `kept` arrive. Whether
 * all symbols are there then.
 */
static bool rebuilt(const struct line *line, uint64_t first, unsigned r,
		    const struct packet *block, unsigned n, uint64_t kept)
{
	struct fec_decoder *dec = line_decoder(128, 4096);
	uint8_t sym[REF_SIZE];
	bool all;

	for (uint64_t before = 0; before < first; before++) {
		line_truth(before, sym);
		assert_int_equal(fec_decoder_symbol(dec, before, sym), 0);
	}
	for (unsigned i = 0; i < n; i++)
		if (kept >> i & 1)
			assert_int_equal(line_give(dec, &block[i]), 0);
	all = fec_decoder_missing_first(dec) == first + r;
	for (uint64_t i = first; i < first + r; i++)
		if (fec_decoder_get(dec, i, NULL))
			line_expect_here(dec, i);
	assert_int_equal(fec_decoder_deficit(dec) == 0,
			 fec_decoder_missing_first(dec) == fec_decoder_seen(dec));
	fec_decoder_free(dec);
	return all;
}

static void every_choice(const struct line *line, uint64_t first, unsigned r, unsigned c,
			 const struct packet *block)
{
	for (uint64_t kept = 0; kept < UINT64_C(1) << (r + c); kept++)
		if (__builtin_popcountll(kept) == (int)r)
			assert_true(rebuilt(line, first, r, block, r + c, kept));
}

/* All choices of r of r + c, at several places of the stream, whole blocks and short. */
static void any_r_rebuild_the_block(void **state)
{
	static const struct {
		unsigned r, c;
	} settings[] = { { 8, 3 }, { 1, 3 }, { 4, 4 }, { 5, 1 }, { 3, 7 } };

	for (unsigned i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		unsigned r = settings[i].r, c = settings[i].c;
		const struct fec_params params = rs(r, c);
		struct line line;

		line_init(&line, &params);
		for (unsigned n = 0; n < 40 * r; n++)
			assert_int_equal(line_symbol(&line), n % r == r - 1 ? c : 0);
		assert_int_equal(line_flush(&line), 0);
		for (unsigned n = 0; n < line.n; n++)
			if (line.packet[n].repair)
				line_expect_true(&line.packet[n]);
		for (unsigned b = 0; b < 40; b += 13)
			every_choice(&line, (uint64_t)b * r, r, c,
				     line.packet + (size_t)b * (r + c));
		for (unsigned n = 1; n < r; n++) {
			unsigned from = line.n;

			for (unsigned k = 0; k < n; k++)
				assert_int_equal(line_symbol(&line), 0);
			assert_int_equal(line_flush(&line), c);
			every_choice(&line, line.packet[from].number, n, c,
				     line.packet + from);
		}
		line_free(&line);
	}
}

/* The largest block with as many repairs as it may have: random choices. */
static void large_blocks(void **state)
{
	static const struct {
		unsigned r, c;
	} settings[] = { { 128, 127 }, { 1, 128 }, { 100, 30 } };
	struct ref_random random = { 3 };

	for (unsigned i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		unsigned r = settings[i].r, c = settings[i].c;
		const struct fec_params params = rs(r, c);

		for (unsigned round = 0; round < 6; round++) {
			struct fec_decoder *dec = line_decoder(128, 4096);
			struct line line;

			line_init(&line, &params);
			for (unsigned n = 0; n < r; n++)
				(void)line_symbol(&line);
			assert_int_equal(line.n, r + c);
			for (unsigned n = 0; n < r; n++) {
				unsigned at = n + ref_below(&random, r + c - n);
				struct packet swap = line.packet[at];

				line.packet[at] = line.packet[n];
				line.packet[n] = swap;
				assert_int_equal(line_give(dec, &line.packet[n]), 0);
			}
			for (unsigned n = 0; n < r; n++)
				line_expect_here(dec, n);
			line_free(&line);
			fec_decoder_free(dec);
		}
	}
}

static void no_repairs_when_none_are_asked_for(void **state)
{
	const struct fec_params params = rs(8, 0);
	struct line line;

	line_init(&line, &params);
	for (unsigned n = 0; n < 50; n++)
		assert_int_equal(line_symbol(&line), 0);
	assert_int_equal(line_flush(&line), 0);
	line_free(&line);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_r_rebuild_the_block),
		cmocka_unit_test(large_blocks),
		cmocka_unit_test(no_repairs_when_none_are_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
