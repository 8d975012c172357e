// SPDX-License-Identifier: BSD-3-Clause
/*
 * The codec alone, in megabytes (10^6 bytes) of data per second of one core: what the
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
#define BENCH_SYMBOLS 200000
#define BENCH_ROUNDS 3

static uint8_t *pool, *repair_bytes;
static struct fec_repair *repairs;
static unsigned made;

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

static struct fec_params bench_params(unsigned window)
{
	return (struct fec_params){ .code = FEC_WINDOW,
				    .symbol_size = BENCH_SYMBOL,
				    .window = (uint16_t)window,
				    .capacity = 4096 };
}

/* Seconds to send BENCH_SYMBOLS with a repair after every `every` of them. */
static double send_all(unsigned window, unsigned every)
{
	struct fec_params params = bench_params(window);
	struct fec_encoder *enc;
	double start;

	if (fec_encoder_new(&params, &enc) < 0)
		exit(1);
	made = 0;
	start = now();
	for (uint64_t i = 0; i < BENCH_SYMBOLS; i++) {
		fec_encoder_add(enc, pool_symbol(i));
		if ((i + 1) % every == 0) {
			(void)fec_encoder_repair(enc, &repairs[made],
						 repair_bytes +
							 (size_t)made * BENCH_SYMBOL);
			made++;
		}
	}
	start = now() - start;
	fec_encoder_free(enc);
	return start;
}

/* Seconds to receive them, every `lost`-th datagram missing (0: none). */
static double receive_all(unsigned window, unsigned every, unsigned lost,
			  uint64_t *rebuilt)
{
	struct fec_params params = bench_params(window);
	struct fec_decoder *dec;
	unsigned repair = 0, datagram = 0;
	double start;

	if (fec_decoder_new(&params, &dec) < 0)
		exit(1);
	start = now();
	for (uint64_t i = 0; i < BENCH_SYMBOLS; i++) {
		if (!lost || ++datagram % lost)
			(void)fec_decoder_symbol(dec, i, pool_symbol(i));
		if ((i + 1) % every == 0) {
			const uint8_t *bytes =
				repair_bytes + (size_t)repair * BENCH_SYMBOL;

			if (!lost || ++datagram % lost)
				(void)fec_decoder_repair(dec, &repairs[repair], bytes);
			repair++;
			fec_decoder_release(dec, fec_decoder_missing_first(dec));
		}
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

static void bench(unsigned window, unsigned every)
{
	const double mb = (double)BENCH_SYMBOLS * BENCH_SYMBOL / 1e6;
	double send = 1e9, clean = 1e9, lossy = 1e9;
	uint64_t none = 0, rebuilt = 0;

	for (unsigned i = 0; i < BENCH_ROUNDS; i++) {
		send = best(send, send_all(window, every));
		clean = best(clean, receive_all(window, every, 0, &none));
		lossy = best(lossy, receive_all(window, every, 97, &rebuilt));
	}
	(void)printf("window %4u, repairs %4.1f %%: send %6.0f MB/s (%.2f M symbols/s), "
		     "receive %6.0f MB/s, with 1.03 %% lost %6.0f MB/s (%lu rebuilt)\n",
		     window, 100.0 / every, mb / send, BENCH_SYMBOLS / send / 1e6,
		     mb / clean, mb / lossy, (unsigned long)rebuilt);
}

int main(void)
{
	const size_t most = BENCH_SYMBOLS;

	pool = aligned_alloc(4096, (size_t)BENCH_POOL * BENCH_SYMBOL);
	repair_bytes = aligned_alloc(4096, most / 2 * BENCH_SYMBOL);
	repairs = calloc(most / 2, sizeof(*repairs));
	if (!pool || !repair_bytes || !repairs)
		return 1;
	for (size_t i = 0; i < (size_t)BENCH_POOL * BENCH_SYMBOL; i++)
		pool[i] = (uint8_t)(i * 2654435761u >> 23);
	(void)printf("symbols of %u bytes, one core, best of %u\n", BENCH_SYMBOL,
		     BENCH_ROUNDS);
	bench(64, 10);
	bench(128, 10);
	bench(140, 10);
	bench(128, 5);
	bench(512, 10);
	free(pool);
	free(repair_bytes);
	free(repairs);
	return 0;
}
