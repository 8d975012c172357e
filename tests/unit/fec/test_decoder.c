// SPDX-License-Identifier: BSD-3-Clause
/*
 * The decoder stands between the path and the mirror's log: it must give back exactly the
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

/* One path: what is sent, shuffled within `reorder`, some lost, some twice. */
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

/* ---- one thing at a time ---------------------------------------------------------- */

static struct fec_repair repair_of(uint64_t first, unsigned count, uint32_t key,
				   uint8_t *out)
{
	memset(out, 0, REF_SIZE);
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; j < REF_SIZE; j++)
			out[j] ^= ref_mul(ref_coefficient(key, first + i),
					  stream[(first + i) % REF_SYMBOLS][j]);
	return (struct fec_repair){
		.first = first, .count = (uint16_t)count, .key = key, .stride = 1
	};
}

static int give_repair(struct fec_decoder *dec, uint64_t first, unsigned count,
		       uint32_t key)
{
	uint8_t bytes[REF_SIZE];
	struct fec_repair head = repair_of(first, count, key, bytes);

	return fec_decoder_repair(dec, &head, bytes);
}

static int give_symbol(struct fec_decoder *dec, uint64_t number)
{
	return fec_decoder_symbol(dec, number, stream[number % REF_SYMBOLS]);
}

static void expect_here(struct fec_decoder *dec, uint64_t number, bool rebuilt)
{
	bool was = !rebuilt;
	const uint8_t *sym = fec_decoder_get(dec, number, &was);

	assert_non_null(sym);
	assert_memory_equal(sym, stream[number % REF_SYMBOLS], REF_SIZE);
	assert_int_equal(was, rebuilt);
}

/* Repairs overtake the symbols they cover: each symbol is rebuilt once it can be. */
static void repairs_before_their_symbols(void **state)
{
	struct fec_decoder *dec = decoder(FEC_WINDOW, 16, 64);

	assert_int_equal(give_repair(dec, 0, 4, 0), 0);
	assert_int_equal(give_repair(dec, 0, 4, 1), 0);
	assert_int_equal(fec_decoder_seen(dec), 4);
	assert_int_equal(fec_decoder_deficit(dec), 2);
	assert_int_equal(give_symbol(dec, 2), 0);
	assert_int_equal(fec_decoder_deficit(dec), 1);
	assert_null(fec_decoder_get(dec, 0, NULL));
	assert_int_equal(give_symbol(dec, 0), 0);
	assert_int_equal(fec_decoder_deficit(dec), 0);
	assert_int_equal(fec_decoder_missing_first(dec), 4);
	assert_int_equal(fec_decoder_rebuilt(dec), 2);
	expect_here(dec, 0, false);
	expect_here(dec, 1, true);
	expect_here(dec, 2, false);
	expect_here(dec, 3, true);
	/* the symbols themselves, late: nothing changes */
	assert_int_equal(give_symbol(dec, 1), 0);
	expect_here(dec, 1, true);
	assert_int_equal(fec_decoder_rebuilt(dec), 2);
	fec_decoder_free(dec);
}

/* An inner part that is determined by itself is given out before the rest is. */
static void a_determined_part_is_rebuilt_alone(void **state)
{
	struct fec_decoder *dec = decoder(FEC_WINDOW, 16, 64);

	assert_int_equal(give_repair(dec, 0, 8, 0), 0);
	assert_int_equal(give_repair(dec, 2, 2, 1), 0);
	assert_int_equal(give_repair(dec, 2, 2, 2), 0);
	expect_here(dec, 2, true);
	expect_here(dec, 3, true);
	assert_int_equal(fec_decoder_deficit(dec), 5);
	assert_int_equal(fec_decoder_missing_first(dec), 0);
	fec_decoder_free(dec);
}

/* Released symbols still help the repairs that cover them, but are given no more. */
static void repairs_over_released_symbols(void **state)
{
	struct fec_decoder *dec = decoder(FEC_WINDOW, 16, 24);

	for (uint64_t base = 0; base < 480; base += 16) {
		for (unsigned i = 0; i < 15; i++)
			assert_int_equal(give_symbol(dec, base + i), 0);
		fec_decoder_release(dec, base + 15);
		assert_null(fec_decoder_get(dec, base + 14, NULL));
		assert_int_equal(give_symbol(dec, base + 3), 0);
		assert_int_equal(give_repair(dec, base, 16, (uint32_t)base), 0);
		expect_here(dec, base + 15, true);
		assert_int_equal(fec_decoder_missing_first(dec), base + 16);
		fec_decoder_release(dec, base + 16);
		assert_int_equal(give_repair(dec, base, 16, 7), 0);
		assert_int_equal(fec_decoder_deficit(dec), 0);
	}
	assert_int_equal(fec_decoder_rebuilt(dec), 30);
	fec_decoder_free(dec);
}

/*
 * The ring's slots serve again: a number that was not sent yet is never answered with what
 * its slot holds of old, and what was released stays so.
 */
static void old_symbols_are_not_given_for_new_numbers(void **state)
{
	struct fec_decoder *dec = decoder(FEC_WINDOW, 16, 24);

	for (uint64_t n = 0; n < 200; n++) {
		assert_int_equal(give_symbol(dec, n), 0);
		fec_decoder_release(dec, n);
		expect_here(dec, n, false);
		for (uint64_t ahead = 1; ahead < 100; ahead++)
			assert_null(fec_decoder_get(dec, n + ahead, NULL));
		fec_decoder_release(dec, n / 2);
		for (uint64_t before = n > 60 ? n - 60 : 0; before < n; before++)
			assert_null(fec_decoder_get(dec, before, NULL));
	}
	fec_decoder_free(dec);
}

static void nothing_beyond_capacity_is_kept(void **state)
{
	struct fec_decoder *dec = decoder(FEC_WINDOW, 16, 64);

	assert_int_equal(give_symbol(dec, 64), -ENOBUFS);
	assert_int_equal(give_symbol(dec, UINT64_MAX), -ENOBUFS);
	assert_int_equal(give_repair(dec, 50, 15, 1), -ENOBUFS);
	assert_int_equal(give_repair(dec, UINT64_MAX - 16, 16, 1), -ENOBUFS);
	assert_int_equal(fec_decoder_seen(dec), 0);
	assert_int_equal(fec_decoder_deficit(dec), 0);
	assert_int_equal(give_symbol(dec, 63), 0);
	assert_int_equal(fec_decoder_seen(dec), 64);
	assert_int_equal(fec_decoder_deficit(dec), 63);
	for (unsigned i = 0; i < 63; i++)
		assert_int_equal(give_symbol(dec, i), 0);
	assert_int_equal(give_symbol(dec, 64), -ENOBUFS);
	fec_decoder_release(dec, 1);
	assert_int_equal(give_symbol(dec, 64), 0);
	assert_int_equal(give_symbol(dec, 65), -ENOBUFS);
	assert_int_equal(fec_decoder_missing_first(dec), 65);
	fec_decoder_free(dec);
}

/* The reader stands still while history and capacity are full: nothing is beyond `seen`. */
static void a_full_ring_has_an_end(void **state)
{
	struct fec_decoder *dec = decoder(FEC_WINDOW, 16, 64);

	for (uint64_t n = 0; n < 64; n++)
		assert_int_equal(give_symbol(dec, n), 0);
	fec_decoder_release(dec, 40);
	for (uint64_t n = 64; n < 104; n++)
		assert_int_equal(give_symbol(dec, n), 0);
	assert_int_equal(fec_decoder_missing_first(dec), 104);
	assert_int_equal(fec_decoder_seen(dec), 104);
	fec_decoder_free(dec);
}

/* The longest sum: its first symbol was read long before its last one is rebuilt. */
static void a_long_sum_finds_what_was_released(void **state)
{
	enum { BINS = FEC_INTERLEAVE_MAX, TERMS = 8, LAST = BINS * (TERMS - 1) };
	struct fec_decoder *dec = decoder(FEC_LAYERED, LAST + 1, 1 << 14);
	const struct fec_repair head = {
		.count = TERMS, .stride = BINS, .kind = FEC_XOR
	};
	uint8_t sum[REF_SIZE] = { 0 };

	for (uint64_t n = 0; n <= LAST; n += BINS)
		for (unsigned j = 0; j < REF_SIZE; j++)
			sum[j] ^= stream[n % REF_SYMBOLS][j];
	for (uint64_t n = 0; n < LAST; n++)
		assert_int_equal(give_symbol(dec, n), 0);
	fec_decoder_release(dec, LAST);
	assert_int_equal(fec_decoder_repair(dec, &head, sum), 0);
	expect_here(dec, LAST, true);
	fec_decoder_free(dec);
}

/* A window is no longer than FEC_WINDOW_MAX, also where sums may be. */
static void a_combination_is_no_longer_than_a_window(void **state)
{
	struct fec_decoder *dec = decoder(FEC_LAYERED, FEC_SPAN_MAX, 1 << 14);
	struct fec_repair head = { .count = FEC_WINDOW_MAX + 1, .key = 1, .stride = 1 };

	assert_int_equal(fec_decoder_repair(dec, &head, stream[0]), -EPROTO);
	head.count = FEC_WINDOW_MAX;
	assert_int_equal(fec_decoder_repair(dec, &head, stream[0]), 0);
	fec_decoder_free(dec);
}

static void impossible_heads_are_refused(void **state)
{
	struct fec_decoder *dec = decoder(FEC_WINDOW, 16, 64);
	/* first, count, key, stride, kind */
	static const struct fec_repair heads[] = {
		{ 0, 0, 1, 1, FEC_COMBINATION },
		{ 0, 17, 1, 1, FEC_COMBINATION },
		{ 0, UINT16_MAX, 1, 1, FEC_COMBINATION },
		{ UINT64_MAX - 3, 5, 1, 1, FEC_COMBINATION },
		{ UINT64_MAX, 16, 1, 1, FEC_COMBINATION },
		{ 0, 4, 1, 0, FEC_COMBINATION },
		{ 0, 4, 1, 2, FEC_COMBINATION },
		{ 0, 4, 1, UINT16_MAX, FEC_COMBINATION },
		{ 0, 0, 0, 1, FEC_XOR },
		{ 0, 17, 0, 1, FEC_XOR },
		{ 0, 6, 0, 4, FEC_XOR },
		{ 0, 2, 0, 16, FEC_XOR },
		{ 0, 4, 0, 0, FEC_XOR },
		{ 0, 1, 0, 0, FEC_XOR },
		{ 0, 1, 0, FEC_INTERLEAVE_MAX + 1, FEC_XOR },
		{ 0, UINT16_MAX, 0, UINT16_MAX, FEC_XOR },
		{ 0, FEC_BLOCK_MAX + 1, 0, 1, FEC_XOR },
		{ UINT64_MAX - 3, 2, 0, 4, FEC_XOR },
		{ UINT64_MAX, 1, 0, 1, FEC_XOR },
		{ 0, 1, 1, 1, 2 },
		{ 0, 1, 1, 1, UINT8_MAX },
	};

	for (unsigned i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		assert_int_equal(fec_decoder_repair(dec, &heads[i], stream[0]), -EPROTO);
	assert_int_equal(fec_decoder_seen(dec), 0);
	fec_decoder_free(dec);
}

/*
 * A peer that sends repairs and never a symbol: what waits is bounded, and the symbols
 * themselves still bring everything to its end.
 */
static void repairs_that_wait_are_bounded(void **state)
{
	struct fec_decoder *dec = decoder(FEC_WINDOW, 4, 1024);
	unsigned refused = 0;

	for (unsigned i = 0; i < 1000; i++) {
		int ret = give_repair(dec, i, 4, i);

		assert_true(ret == 0 || ret == -ENOBUFS);
		refused += ret == -ENOBUFS;
	}
	assert_true(refused > 900);
	assert_int_equal(fec_decoder_seen(dec), 1003);
	assert_int_equal(fec_decoder_deficit(dec), refused + 3);
	for (unsigned i = 0; i < 1003; i++)
		assert_int_equal(give_symbol(dec, i), 0);
	assert_int_equal(fec_decoder_deficit(dec), 0);
	assert_int_equal(fec_decoder_missing_first(dec), 1003);
	for (unsigned i = 0; i < 1003; i++)
		assert_memory_equal(fec_decoder_get(dec, i, NULL),
				    stream[i % REF_SYMBOLS], REF_SIZE);
	fec_decoder_free(dec);
}

/* Equations that contradict each other cost nothing but themselves. */
static void lies_do_not_spread(void **state)
{
	struct fec_decoder *dec = decoder(FEC_WINDOW, 16, 64);
	struct fec_repair head = { .first = 0, .count = 3, .key = 5, .stride = 1 };

	assert_int_equal(give_symbol(dec, 0), 0);
	assert_int_equal(give_symbol(dec, 1), 0);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(fec_decoder_repair(dec, &head, stream[i]), 0);
	assert_non_null(fec_decoder_get(dec, 2, NULL));
	assert_int_equal(fec_decoder_rebuilt(dec), 1);
	for (unsigned i = 3; i < 8; i++)
		assert_int_equal(give_symbol(dec, i), 0);
	assert_int_equal(give_repair(dec, 3, 6, 9), 0);
	expect_here(dec, 8, true);
	assert_int_equal(fec_decoder_deficit(dec), 0);
	fec_decoder_free(dec);
}

static void without_a_code_symbols_only(void **state)
{
	struct fec_decoder *dec = decoder(FEC_NONE, 0, 8);

	assert_int_equal(give_repair(dec, 0, 1, 0), -EPROTO);
	assert_int_equal(give_symbol(dec, 1), 0);
	assert_int_equal(fec_decoder_deficit(dec), 1);
	assert_int_equal(give_symbol(dec, 0), 0);
	expect_here(dec, 0, false);
	expect_here(dec, 1, false);
	fec_decoder_release(dec, 2);
	assert_null(fec_decoder_get(dec, 1, NULL));
	assert_int_equal(give_symbol(dec, 9), 0);
	assert_int_equal(give_symbol(dec, 10), -ENOBUFS);
	assert_int_equal(fec_decoder_missing_first(dec), 2);
	fec_decoder_free(dec);
}

/* ---- over a long path ------------------------------------------------------------- */

struct outcome {
	uint64_t lost, left; /* symbols lost, and never rebuilt */
	uint64_t differs;    /* packets after which the deficit was not the ideal one */
};

/* Losses come in bursts of mean length `burst`. */
struct long_line {
	unsigned window, every;
	double loss, burst;
	unsigned most_left, most_differs;
};

static bool long_line_loses(const struct long_line *l, struct ref_random *r, bool *bad)
{
	*bad = *bad ? !ref_chance(r, 1 / l->burst)
		    : ref_chance(r, l->loss / (1 - l->loss) / l->burst);
	return *bad;
}

static struct outcome long_line(const struct long_line *l, unsigned symbols,
				uint64_t seed)
{
	unsigned window = l->window, every = l->every;
	struct fec_decoder *dec = decoder(FEC_WINDOW, (uint16_t)window, 4096);
	struct fec_encoder *enc = encoder(FEC_WINDOW, (uint16_t)window);
	struct ref_random r = { seed };
	struct outcome o = { 0 };
	uint32_t ideal = 0;
	bool bad = false;

	for (uint64_t i = 0; i < symbols; i++) {
		uint8_t bytes[REF_SIZE] __attribute__((aligned(32)));
		uint64_t first = fec_decoder_missing_first(dec);
		struct fec_repair head;

		fec_encoder_add(enc, stream[i % REF_SYMBOLS]);
		if (long_line_loses(l, &r, &bad)) {
			o.lost++;
			ideal++;
		} else {
			assert_int_equal(give_symbol(dec, i), 0);
		}
		if (i % every == every - 1) {
			assert_true(fec_encoder_repair(enc, &head, bytes));
			if (!long_line_loses(l, &r, &bad)) {
				assert_int_equal(fec_decoder_repair(dec, &head, bytes),
						 0);
				ideal -= ideal > 0;
				o.differs += fec_decoder_deficit(dec) != ideal;
			}
		}
		/* what has left the window for good comes again, as the tunnel does it */
		if (i >= first + 2 * window) {
			assert_int_equal(give_symbol(dec, first), 0);
			o.left++;
			ideal = fec_decoder_deficit(dec);
		}
		for (; first < fec_decoder_missing_first(dec); first++)
			assert_memory_equal(fec_decoder_get(dec, first, NULL),
					    stream[first % REF_SYMBOLS], REF_SIZE);
		fec_decoder_release(dec, first);
	}
	fec_encoder_free(enc);
	fec_decoder_free(dec);
	return o;
}

/*
 * What was promised of the code: at 1 % loss and 10 % repairs nothing is left to be sent
 * again, and the decoder is as far as an ideal one after every repair.
 */
static void long_lines_leave_nothing(void **state)
{
	/* the last two columns: of 300,000 symbols */
	static const struct long_line lines[] = {
		{ 128, 10, 0.01, 1, 0, 5 }, { 128, 5, 0.05, 1, 0, 50 },
		{ 140, 10, 0.01, 1, 0, 5 }, { 320, 10, 0.02, 1, 0, 50 },
		{ 64, 3, 0.05, 1, 0, 50 },  { 320, 3, 0.01, 8, 0, 50 },
		{ 320, 3, 0.05, 4, 0, 50 }, { 128, 3, 0.01, 4, 10, 1000 },
	};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct outcome o = long_line(&lines[i], 300000, 31 + i);

		print_message("window %u, 1 repair in %u, loss %.2f, burst %.0f: %lu "
			      "lost, %lu left, deficit off after %lu repairs\n",
			      lines[i].window, lines[i].every, lines[i].loss,
			      lines[i].burst, (unsigned long)o.lost,
			      (unsigned long)o.left, (unsigned long)o.differs);
		assert_true(o.lost > 2000);
		assert_true(o.left <= lines[i].most_left);
		assert_true(o.differs <= lines[i].most_differs);
	}
}

static int stream_setup(void **state)
{
	struct ref_random r = { 20 };

	stream_fill(&r);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_lines_decode_as_gauss_would),
		cmocka_unit_test(repairs_before_their_symbols),
		cmocka_unit_test(a_determined_part_is_rebuilt_alone),
		cmocka_unit_test(repairs_over_released_symbols),
		cmocka_unit_test(old_symbols_are_not_given_for_new_numbers),
		cmocka_unit_test(nothing_beyond_capacity_is_kept),
		cmocka_unit_test(a_full_ring_has_an_end),
		cmocka_unit_test(a_long_sum_finds_what_was_released),
		cmocka_unit_test(a_combination_is_no_longer_than_a_window),
		cmocka_unit_test(impossible_heads_are_refused),
		cmocka_unit_test(repairs_that_wait_are_bounded),
		cmocka_unit_test(lies_do_not_spread),
		cmocka_unit_test(without_a_code_symbols_only),
		cmocka_unit_test(long_lines_leave_nothing),
	};

	return cmocka_run_group_tests(tests, stream_setup, NULL);
}
