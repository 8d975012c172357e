// SPDX-License-Identifier: BSD-3-Clause
/*
 * One decoder for all codes, and an encoder that may go from any to any other under way:
 * no symbol without its repairs, nothing rebuilt wrong, and nothing rebuilt later than by
 * a slow decoder that does what both halves of ours do by the book.
 */
#include <errno.h>

#include "tests/unit/fec/line.h"

/* ---- the reference ---------------------------------------------------------------- */

/* Gauss over all combinations and symbols; each sum by itself, until nothing moves. */
struct ref_mixed {
	struct ref_decoder gauss;
	struct packet sum[2048];
	unsigned sums;
};

static void ref_sum(struct ref_mixed *ref, const struct packet *sum, bool *moved)
{
	uint8_t bytes[REF_SIZE];
	unsigned unknowns = 0, last = 0;

	memcpy(bytes, sum->bytes, REF_SIZE);
	for (unsigned i = 0; i < sum->head.count; i++) {
		unsigned n = (unsigned)sum->head.first + i * sum->head.stride;

		if (!ref->gauss.known[n]) {
			unknowns++;
			last = n;
			continue;
		}
		for (unsigned j = 0; j < REF_SIZE; j++)
			bytes[j] ^= ref->gauss.sym[n][j];
	}
	if (unknowns != 1)
		return;
	ref_symbol(&ref->gauss, last, bytes);
	ref->gauss.known[last] = true;
	memcpy(ref->gauss.sym[last], bytes, REF_SIZE);
	*moved = true;
}

static void ref_settle(struct ref_mixed *ref)
{
	bool moved = true;

	while (moved) {
		moved = false;
		ref_solve(&ref->gauss);
		for (unsigned i = 0; i < ref->sums; i++)
			ref_sum(ref, &ref->sum[i], &moved);
	}
}

static void ref_take(struct ref_mixed *ref, const struct packet *p)
{
	unsigned end =
		(unsigned)p->head.first + (p->head.count - 1u) * p->head.stride + 1;

	if (!p->repair) {
		ref_symbol(&ref->gauss, (unsigned)p->number, p->bytes);
	} else if (p->head.kind == FEC_COMBINATION) {
		ref_repair(&ref->gauss, (unsigned)p->head.first, p->head.count,
			   p->head.key, p->bytes);
	} else {
		ref->sum[ref->sums++] = *p;
		if (end > ref->gauss.seen)
			ref->gauss.seen = end;
	}
}

static void compare(struct ref_mixed *ref, const struct fec_decoder *dec,
		    uint64_t released)
{
	unsigned first;

	ref_settle(ref);
	for (first = 0; first < ref->gauss.seen && ref->gauss.known[first];)
		first++;
	assert_int_equal(fec_decoder_seen(dec), ref->gauss.seen);
	assert_int_equal(fec_decoder_missing_first(dec), first);
	assert_int_equal(fec_decoder_deficit(dec), ref->gauss.seen - ref->gauss.rank);
	for (uint64_t i = released; i < ref->gauss.seen; i++) {
		assert_int_equal(fec_decoder_get(dec, i, NULL) != NULL,
				 ref->gauss.known[i]);
		if (ref->gauss.known[i])
			line_expect_here(dec, i);
	}
}

/* ---- random senders --------------------------------------------------------------- */

static struct fec_params any_params(struct ref_random *r)
{
	struct fec_params params = { .code = (enum fec_code)ref_below(r, 4),
				     .symbol_size = REF_SIZE,
				     .window = (uint16_t)(1 + ref_below(r, 140)),
				     .delayed = ref_below(r, 2) };

	params.r = (uint16_t)(1 + ref_below(r, 9));
	params.c = (uint16_t)ref_below(r, 4);
	for (unsigned l = 0; l < params.c; l++)
		params.interleave[l] = (uint16_t)(1 + ref_below(r, 12));
	return params;
}

/* How often a sender does what, per symbol. */
struct habits {
	double change, flush, confirm, share;
};

struct sender {
	struct line line;
	struct fec_params params;
	struct ref_random *r;
	/* for each symbol: the code that it was added under, and where its packet is */
	struct fec_params under[REF_SYMBOLS];
	unsigned at[REF_SYMBOLS];
};

static void sender_change(struct sender *s)
{
	struct fec_params params = any_params(s->r);
	uint64_t first = fec_encoder_first(s->line.enc);
	uint64_t next = fec_encoder_next(s->line.enc);
	bool stays = params.code == FEC_WINDOW && s->params.code == FEC_WINDOW;

	assert_int_equal(fec_encoder_change(s->line.enc, &params), 0);
	assert_int_equal(fec_encoder_next(s->line.enc), next);
	if (!stays)
		assert_int_equal(fec_encoder_first(s->line.enc), next);
	else if (next - first <= params.window)
		assert_int_equal(fec_encoder_first(s->line.enc), first);
	else
		assert_int_equal(fec_encoder_first(s->line.enc), next - params.window);
	/* unless it happens to be what there was */
	if (params.code != s->params.code || params.r != s->params.r)
		assert_false(fec_encoder_partial(s->line.enc));
	s->params = params;
	if (ref_chance(s->r, 0.5)) /* or they wait for the next symbol */
		(void)line_drain(&s->line);
}

static void sender_run(struct sender *s, const struct habits *h, unsigned symbols)
{
	unsigned uncovered = 0;

	s->params = any_params(s->r);
	line_init(&s->line, &s->params);
	for (unsigned n = 0; n < symbols; n++) {
		s->under[n] = s->params;
		s->at[n] = s->line.n;
		(void)line_symbol(&s->line);
		uncovered = s->params.code == FEC_WINDOW ? uncovered + 1 : 0;
		while (uncovered &&
		       (ref_chance(s->r, h->share) || uncovered >= s->params.window)) {
			line_repair(&s->line);
			uncovered = 0;
		}
		if (ref_chance(s->r, h->flush))
			(void)line_flush(&s->line);
		if (ref_chance(s->r, h->confirm))
			fec_encoder_confirm(s->line.enc, fec_encoder_first(s->line.enc) +
								 ref_below(s->r, 20));
		if (ref_chance(s->r, h->change)) {
			sender_change(s);
			/* at most so many are without a repair, and must not leave so */
			uncovered = (unsigned)(fec_encoder_next(s->line.enc) -
					       fec_encoder_first(s->line.enc));
			if (uncovered >= s->params.window) {
				(void)line_drain(&s->line);
				line_repair(&s->line);
				uncovered = 0;
			}
		}
	}
	(void)line_drain(&s->line);
	(void)line_flush(&s->line);
	if (s->params.code == FEC_WINDOW && uncovered)
		line_repair(&s->line);
}

/* ---- against the reference -------------------------------------------------------- */

static void shuffle(struct line *line, struct ref_random *r, unsigned reach)
{
	for (unsigned i = 0; i < line->n; i++) {
		unsigned j = i + ref_below(r, reach + 1);

		if (j < line->n) {
			struct packet swap = line->packet[i];

			line->packet[i] = line->packet[j];
			line->packet[j] = swap;
		}
	}
}

static void mixed_run(struct ref_mixed *ref, struct sender *s, uint64_t seed)
{
	struct ref_random r = { seed * 77 + 1 };
	const struct habits h = { ref_chance(&r, 0.3) ? 0 : 0.04, 0.02, 0.02, 0.4 };
	struct fec_decoder *dec = line_decoder(256, 4096);
	double loss = 0.02 + ref_below(&r, 30) / 100.0;
	uint64_t released = 0;

	ref->sums = ref->gauss.n = ref->gauss.seen = ref->gauss.rank = 0;
	s->r = &r;
	sender_run(s, &h, 40 + ref_below(&r, 120));
	shuffle(&s->line, &r, ref_below(&r, 3) * 15);
	for (unsigned i = 0; i < s->line.n; i++) {
		const struct packet *p = &s->line.packet[i];
		unsigned times = ref_chance(&r, loss) ? 0 : 1 + ref_chance(&r, 0.1);

		for (; times; times--) {
			assert_int_equal(line_give(dec, p), 0);
			ref_take(ref, p);
		}
		if (i % 5 == 0 || i == s->line.n - 1)
			compare(ref, dec, released);
		if (ref_chance(&r, 0.05)) {
			released = fec_decoder_missing_first(dec);
			fec_decoder_release(dec, released);
		}
	}
	line_free(&s->line);
	fec_decoder_free(dec);
}

static void mixed_lines_decode_as_the_reference(void **state)
{
	struct ref_mixed *ref = aligned_alloc(32, sizeof(*ref));
	struct sender *s = malloc(sizeof(*s));

	assert_non_null(ref);
	assert_non_null(s);
	for (uint64_t seed = 1; seed <= 60; seed++)
		mixed_run(ref, s, seed);
	free(s);
	free(ref);
}

/* ---- changes -------------------------------------------------------------------------- */

static unsigned covering(const struct line *line, uint64_t number)
{
	unsigned n = 0;

	for (unsigned i = 0; i < line->n; i++)
		n += line->packet[i].repair && line_covers(&line->packet[i].head, number);
	return n;
}

static bool has_repairs(const struct fec_params *params)
{
	return params->code == FEC_WINDOW || (params->code != FEC_NONE && params->c > 0);
}

/* Every symbol has all the repairs of the code that it was added under. */
static void changes_leave_no_symbol_uncovered(void **state)
{
	const struct habits h = { 0.08, 0.02, 0, 0.02 };
	struct sender *s = malloc(sizeof(*s));

	assert_non_null(s);
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct ref_random r = { seed * 999 };

		s->r = &r;
		sender_run(s, &h, 200);
		for (unsigned i = 0; i < s->line.n; i++)
			if (s->line.packet[i].repair)
				line_expect_true(&s->line.packet[i]);
		for (unsigned n = 0; n < 200; n++) {
			const struct fec_params *under = &s->under[n];
			unsigned covers = covering(&s->line, n);

			if (under->code == FEC_WINDOW)
				assert_true(covers >= 1);
			else
				assert_int_equal(covers,
						 has_repairs(under) ? under->c : 0);
		}
		line_free(&s->line);
	}
	free(s);
}

/* Within what any code can do, one loss: it is rebuilt, whatever changes around it. */
static void any_lone_loss_is_rebuilt_across_changes(void **state)
{
	const struct habits h = { 0.1, 0.02, 0, 0.1 };
	struct sender *s = malloc(sizeof(*s));
	unsigned tried = 0;

	assert_non_null(s);
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct ref_random r = { seed * 31337 };
		unsigned lost;

		s->r = &r;
		sender_run(s, &h, 100);
		for (lost = 0; lost < 100; lost++) {
			struct fec_decoder *dec = line_decoder(256, 1024);
			bool back = has_repairs(&s->under[lost]);

			for (unsigned i = 0; i < s->line.n; i++)
				if (i != s->at[lost])
					assert_int_equal(
						line_give(dec, &s->line.packet[i]), 0);
			assert_int_equal(fec_decoder_get(dec, lost, NULL) != NULL, back);
			if (back) {
				line_expect_here(dec, lost);
				tried++;
			}
			fec_decoder_free(dec);
		}
		line_free(&s->line);
	}
	assert_true(tried > 1000);
	free(s);
}

/* The same parameters again: nothing is flushed, nothing leaves early. */
static void a_change_to_the_same_changes_nothing(void **state)
{
	struct ref_random r = { 8 };

	for (unsigned i = 0; i < 100; i++) {
		struct fec_params params = any_params(&r);
		struct line line;
		uint64_t first;
		bool partial;

		line_init(&line, &params);
		for (unsigned n = 0; n < 7; n++)
			(void)line_symbol(&line);
		first = fec_encoder_first(line.enc);
		partial = fec_encoder_partial(line.enc);
		params.capacity++; /* a decoder's */
		assert_int_equal(fec_encoder_change(line.enc, &params), 0);
		assert_int_equal(fec_encoder_queued(line.enc), 0);
		assert_int_equal(fec_encoder_first(line.enc), first);
		assert_int_equal(fec_encoder_partial(line.enc), partial);
		params.symbol_size += FEC_SYMBOL_ALIGN;
		assert_int_equal(fec_encoder_change(line.enc, &params), -EINVAL);
		line_free(&line);
	}
}

/* What differs in one parameter only is a change: the partial bins and blocks leave. */
static void a_change_of_one_parameter_is_one(void **state)
{
	const struct fec_params layered = { .code = FEC_LAYERED,
					    .symbol_size = REF_SIZE,
					    .r = 8,
					    .c = 2,
					    .interleave = { 3, 5 } };
	const struct fec_params rs = {
		.code = FEC_RS, .symbol_size = REF_SIZE, .r = 8, .c = 2
	};
	struct {
		struct fec_params from, to;
	} changes[] = {
		{ layered, layered }, { layered, layered }, { layered, layered },
		{ layered, layered }, { rs, rs },	    { rs, rs },
	};

	changes[0].to.r = 7;
	changes[1].to.c = 1;
	changes[2].to.interleave[1] = 7;
	changes[3].to.delayed = true;
	changes[4].to.r = 7;
	changes[5].to.c = 1;
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct line line;

		line_init(&line, &changes[i].from);
		(void)line_symbol(&line);
		assert_true(fec_encoder_partial(line.enc));
		assert_int_equal(fec_encoder_change(line.enc, &changes[i].to), 0);
		assert_false(fec_encoder_partial(line.enc));
		assert_int_equal(line_drain(&line), 2);
		line_free(&line);
	}
}

/* A window's repairs are independent because no two have the same key, across changes too. */
static void no_key_is_used_twice(void **state)
{
	static const struct fec_params codes[] = {
		{ .code = FEC_WINDOW, .symbol_size = REF_SIZE, .window = 100 },
		{ .code = FEC_WINDOW, .symbol_size = REF_SIZE, .window = 2 },
		{ .code = FEC_NONE, .symbol_size = REF_SIZE },
		{ .code = FEC_WINDOW, .symbol_size = REF_SIZE, .window = 2 },
	};
	struct line line;

	line_init(&line, &codes[0]);
	for (unsigned i = 0; i < 100; i++) {
		for (unsigned n = 0; n < 4; n++) /* of which two leave a window of two */
			(void)line_symbol(&line);
		assert_int_equal(fec_encoder_change(line.enc, &codes[(i + 1) % 4]), 0);
		(void)line_drain(&line);
		if (fec_encoder_first(line.enc) < fec_encoder_next(line.enc))
			line_repair(&line);
	}
	for (unsigned i = 0; i < line.n; i++)
		for (unsigned j = 0; line.packet[i].repair && j < i; j++)
			assert_false(line.packet[j].repair &&
				     (line.packet[j].head.key & INT32_MAX) ==
					     (line.packet[i].head.key & INT32_MAX));
	line_free(&line);
}

/* ---- all codes side by side ------------------------------------------------------------ */

#define SIDE_SYMBOLS 2000

/* What of the stream is there after these losses: NULL where it is not. */
static void side_run(const struct fec_params *params, const bool *lost,
		     const uint8_t *(*there)[SIDE_SYMBOLS], struct fec_decoder **dec)
{
	struct line line;

	line_init(&line, params);
	for (unsigned n = 0; n < SIDE_SYMBOLS; n++) {
		(void)line_symbol(&line);
		if (params->code == FEC_WINDOW && n % 8 == 7)
			line_repair(&line);
	}
	(void)line_flush(&line);
	*dec = line_decoder(FEC_SPAN_MAX, 4096);
	for (unsigned i = 0; i < line.n; i++)
		if (line.packet[i].repair || !lost[line.packet[i].number])
			assert_int_equal(line_give(*dec, &line.packet[i]), 0);
	for (unsigned n = 0; n < SIDE_SYMBOLS; n++)
		(*there)[n] = fec_decoder_get(*dec, n, NULL);
	line_free(&line);
}

/*
 * The same symbols lost under every code: where two have one back they agree, and where
 * no more is lost than all of them bear, all have everything back.
 */
static void all_codes_give_the_same_bytes(void **state)
{
	static const struct fec_params codes[] = {
		{ .code = FEC_NONE, .symbol_size = REF_SIZE },
		{ .code = FEC_LAYERED,
		  .symbol_size = REF_SIZE,
		  .r = 8,
		  .c = 3,
		  .interleave = { 1, 20, 40 } },
		{ .code = FEC_RS, .symbol_size = REF_SIZE, .r = 8, .c = 3 },
		{ .code = FEC_WINDOW, .symbol_size = REF_SIZE, .window = 128 },
		{ .code = FEC_WINDOW, .symbol_size = REF_SIZE, .window = 320 },
	};
	enum { CODES = sizeof(codes) / sizeof(codes[0]) };
	static const uint8_t *there[CODES][SIDE_SYMBOLS];
	static bool lost[SIDE_SYMBOLS];
	struct fec_decoder *dec[CODES];
	struct ref_random r = { 4 };

	for (unsigned round = 0; round < 10; round++) {
		unsigned losses = 0, back[CODES] = { 0 };

		for (unsigned n = 0; n < SIDE_SYMBOLS; n++) {
			/* the first rounds: one of each 16; then more than some bear */
			lost[n] = round < 5 ? n % 16 == round * 3
					    : ref_chance(&r, 0.02 * (round - 4));
			losses += lost[n];
		}
		for (unsigned c = 0; c < CODES; c++) {
			side_run(&codes[c], lost, &there[c], &dec[c]);
			for (unsigned n = 0; n < SIDE_SYMBOLS; n++) {
				back[c] += lost[n] && there[c][n];
				if (there[c][n])
					line_expect_here(dec[c], n);
			}
		}
		for (unsigned c = 0; c < CODES; c++) {
			assert_int_equal(back[c] == losses,
					 fec_decoder_deficit(dec[c]) == 0);
			if (round < 5)
				assert_int_equal(back[c], c == 0 ? 0 : losses);
			else if (c > 0)
				assert_true(back[c] > losses / 2);
		}
		for (unsigned c = 0; c < CODES; c++)
			fec_decoder_free(dec[c]);
	}
}

/* ---- hostile sums ---------------------------------------------------------------------- */

/* Sums that never come to an end: bounded, and the symbols still bring everything. */
static void sums_that_wait_are_bounded(void **state)
{
	struct fec_decoder *dec = line_decoder(FEC_SPAN_MAX, 8192);
	struct packet sum = { .repair = true,
			      .head = { .count = FEC_BLOCK_MAX, .kind = FEC_XOR } };
	unsigned refused = 0;

	for (unsigned i = 0; i < 2000; i++) {
		int ret;

		sum.head.first = i;
		sum.head.stride = (uint16_t)(1 + i % 32);
		ret = line_give(dec, &sum);
		assert_true(ret == 0 || ret == -ENOBUFS);
		refused += ret == -ENOBUFS;
	}
	assert_true(refused > 1000 && refused < 2000);
	assert_int_equal(fec_decoder_deficit(dec), fec_decoder_seen(dec));
	/* lies, so only that it ends is sure */
	for (uint64_t n = 0; n < 8000; n++) {
		struct packet sym = { .number = n };

		assert_int_equal(line_give(dec, &sym), 0);
		assert_non_null(fec_decoder_get(dec, n, NULL));
	}
	assert_int_equal(fec_decoder_deficit(dec), 0);
	/* and there is room again */
	sum.head = (struct fec_repair){
		.first = 7999, .count = 2, .stride = 1, .kind = FEC_XOR
	};
	assert_int_equal(line_give(dec, &sum), 0);
	assert_non_null(fec_decoder_get(dec, 8000, NULL));
	fec_decoder_free(dec);
}

/* A chain in which each sum waits for the one before: one symbol brings down all. */
static void a_chain_of_sums_comes_down(void **state)
{
	struct fec_decoder *dec = line_decoder(FEC_SPAN_MAX, 4096);
	struct packet sum = { .repair = true,
			      .head = { .count = 2, .stride = 3, .kind = FEC_XOR } };
	struct packet sym = { .number = 0 };
	uint8_t next[REF_SIZE];

	for (unsigned i = 0; i < 256; i++) {
		sum.head.first = 3u * i;
		line_truth(3u * i, sum.bytes);
		line_truth(3u * (i + 1), next);
		for (unsigned j = 0; j < REF_SIZE; j++)
			sum.bytes[j] ^= next[j];
		line_expect_true(&sum);
		assert_int_equal(line_give(dec, &sum), 0);
		assert_int_equal(line_give(dec, &sum), 0); /* twice */
	}
	assert_int_equal(line_give(dec, &sum), -ENOBUFS);
	line_truth(0, sym.bytes);
	assert_int_equal(line_give(dec, &sym), 0);
	assert_int_equal(fec_decoder_rebuilt(dec), 256);
	for (unsigned i = 0; i <= 256; i++)
		line_expect_here(dec, 3u * i);
	fec_decoder_free(dec);
}

/* A symbol that the solver finds is what a sum waits for, and the other way round. */
static void each_half_hands_on_what_it_rebuilds(void **state)
{
	struct fec_decoder *dec = line_decoder(64, 128);
	const struct fec_params rs = {
		.code = FEC_RS, .symbol_size = REF_SIZE, .r = 4, .c = 1
	};
	struct packet sum = { .repair = true,
			      .head = { 3, 2, 0, 4, FEC_XOR } }; /* symbols 3 and 7 */
	uint8_t other[REF_SIZE];
	struct line line;

	line_init(&line, &rs);
	for (unsigned n = 0; n < 8; n++)
		(void)line_symbol(&line);
	line_truth(3, sum.bytes);
	line_truth(7, other);
	for (unsigned j = 0; j < REF_SIZE; j++)
		sum.bytes[j] ^= other[j];
	/* 3 and 7 are lost, and so is 5; packets: 0 1 2 3 R 4 5 6 7 R */
	assert_int_equal(line_give(dec, &sum), 0);
	assert_int_equal(line_give(dec, &line.packet[9]), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(line_give(dec, &line.packet[i]), 0);
	assert_int_equal(line_give(dec, &line.packet[5]), 0);
	assert_int_equal(line_give(dec, &line.packet[7]), 0);
	assert_null(fec_decoder_get(dec, 3, NULL));
	assert_int_equal(fec_decoder_deficit(dec), 2);
	/* the first block's repair gives 3, the sum 7, the second block's repair 5 */
	assert_int_equal(line_give(dec, &line.packet[4]), 0);
	assert_int_equal(fec_decoder_deficit(dec), 0);
	for (unsigned n = 0; n < 8; n++)
		line_expect_here(dec, n);
	line_free(&line);
	fec_decoder_free(dec);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(mixed_lines_decode_as_the_reference),
		cmocka_unit_test(changes_leave_no_symbol_uncovered),
		cmocka_unit_test(any_lone_loss_is_rebuilt_across_changes),
		cmocka_unit_test(a_change_to_the_same_changes_nothing),
		cmocka_unit_test(a_change_of_one_parameter_is_one),
		cmocka_unit_test(no_key_is_used_twice),
		cmocka_unit_test(all_codes_give_the_same_bytes),
		cmocka_unit_test(sums_that_wait_are_bounded),
		cmocka_unit_test(a_chain_of_sums_comes_down),
		cmocka_unit_test(each_half_hands_on_what_it_rebuilds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
