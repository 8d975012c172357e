// SPDX-License-Identifier: BSD-3-Clause
/*
 * The codes alone, in megabytes (10^6 bytes) of data per second of one core: what the
 * sender spends on symbols and their repairs, what the receiver spends with nothing lost
 * and with losses rebuilt. Processor time, so that what else runs here counts less.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fec/fec.h"

#define BENCH_SYMBOL 1408
#define BENCH_POOL 256 /* symbols: as in use, they were touched just before */
#define BENCH_SYMBOLS 100000
#define BENCH_ROUNDS 3

static uint8_t *pool, *repair_bytes;
/* For each symbol, the repairs that leave before the next one: up to last[number]. */
static unsigned last[BENCH_SYMBOLS];
static struct fec_repair repairs[BENCH_SYMBOLS];

struct bench {
	const char *name;
	struct fec_params params;
	double share; /* FEC_WINDOW */
};

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint8_t *pool_symbol(uint64_t number)
{
	return pool + number % BENCH_POOL * BENCH_SYMBOL;
}

static void send_repair(struct fec_encoder *enc, unsigned *made)
{
	if (fec_encoder_repair(enc, &repairs[*made],
			       repair_bytes + (size_t)*made * BENCH_SYMBOL))
		++*made;
}

/* Seconds to send BENCH_SYMBOLS and the repairs that are due, or the share asks for. */
static double send_all(const struct bench *b)
{
	struct fec_encoder *enc;
	double start, owed = 0;
	unsigned made = 0;

	if (fec_encoder_new(&b->params, &enc) < 0)
		exit(1);
	start = now();
	for (uint64_t i = 0; i < BENCH_SYMBOLS; i++) {
		fec_encoder_add(enc, pool_symbol(i));
		while (fec_encoder_queued(enc))
			send_repair(enc, &made);
		for (owed += b->share; owed >= 1; owed--)
			send_repair(enc, &made);
		last[i] = made;
	}
	start = now() - start;
	fec_encoder_free(enc);
	return start;
}

/* Seconds to receive them, every `lost`-th datagram missing (0: none). */
static double receive_all(unsigned lost, uint64_t *rebuilt)
{
	struct fec_params params = { .symbol_size = BENCH_SYMBOL,
				     .window = FEC_SPAN_MAX,
				     .capacity = 8192 };
	unsigned repair = 0, datagram = 0;
	struct fec_decoder *dec;
	double start;

	if (fec_decoder_new(&params, &dec) < 0)
		exit(1);
	start = now();
	for (uint64_t i = 0; i < BENCH_SYMBOLS; i++) {
		if (!lost || ++datagram % lost)
			(void)fec_decoder_symbol(dec, i, pool_symbol(i));
		for (; repair < last[i]; repair++)
			if (!lost || ++datagram % lost)
				(void)fec_decoder_repair(
					dec, &repairs[repair],
					repair_bytes + (size_t)repair * BENCH_SYMBOL);
		fec_decoder_release(dec, fec_decoder_missing_first(dec));
	}
	start = now() - start;
	*rebuilt = fec_decoder_rebuilt(dec);
	fec_decoder_free(dec);
	return start;
}

static double best(double a, double b)
{
	return a < b ? a : b;
}

static void bench(const struct bench *b)
{
	const double mb = (double)BENCH_SYMBOLS * BENCH_SYMBOL / 1e6;
	double send = 1e9, clean = 1e9, lossy = 1e9, share;
	uint64_t none = 0, rebuilt = 0;

	for (unsigned i = 0; i < BENCH_ROUNDS; i++) {
		send = best(send, send_all(b));
		clean = best(clean, receive_all(0, &none));
		if (b->params.code != FEC_NONE)
			lossy = best(lossy, receive_all(97, &rebuilt));
	}
	share = 100.0 * last[BENCH_SYMBOLS - 1] / BENCH_SYMBOLS;
	(void)printf("%-24s repairs %4.1f %%: send %6.0f MB/s, receive %6.0f MB/s",
		     b->name, share, mb / send, mb / clean);
	if (rebuilt)
		(void)printf(", 1.03 %% lost %6.0f MB/s (%lu rebuilt)", mb / lossy,
			     (unsigned long)rebuilt);
	(void)printf("\n");
}

static struct fec_params window_of(unsigned window)
{
	return (struct fec_params){ .code = FEC_WINDOW,
				    .symbol_size = BENCH_SYMBOL,
				    .window = (uint16_t)window };
}

int main(void)
{
	const struct bench benches[] = {
		{ "none", { .code = FEC_NONE, .symbol_size = BENCH_SYMBOL }, 0 },
		{ "layered (8,3) (1,20,40)",
		  { .code = FEC_LAYERED,
		    .symbol_size = BENCH_SYMBOL,
		    .r = 8,
		    .c = 3,
		    .interleave = { 1, 20, 40 } },
		  0 },
		{ "rs (8,3)",
		  { .code = FEC_RS, .symbol_size = BENCH_SYMBOL, .r = 8, .c = 3 },
		  0 },
		{ "window 64", window_of(64), 0.1 },
		{ "window 128", window_of(128), 0.1 },
		{ "window 128", window_of(128), 0.375 },
		{ "window 320", window_of(320), 0.1 },
		{ "window 320", window_of(320), 0.375 },
		{ "window 1024", window_of(1024), 0.1 },
	};

	pool = aligned_alloc(4096, (size_t)BENCH_POOL * BENCH_SYMBOL);
	repair_bytes = aligned_alloc(4096, (size_t)BENCH_SYMBOLS / 2 * BENCH_SYMBOL);
	if (!pool || !repair_bytes)
		return 1;
	memset(repair_bytes, 0, (size_t)BENCH_SYMBOLS / 2 * BENCH_SYMBOL);
	for (size_t i = 0; i < (size_t)BENCH_POOL * BENCH_SYMBOL; i++)
		pool[i] = (uint8_t)(i * 2654435761u >> 23);
	(void)printf("symbols of %u bytes, one core, best of %u\n", BENCH_SYMBOL,
		     BENCH_ROUNDS);
	for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
		bench(&benches[i]);
	free(pool);
	free(repair_bytes);
	return 0;
}
