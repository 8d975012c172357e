// SPDX-License-Identifier: BSD-3-Clause
/*
 * Two ends of a tunnel joined by a copy, without sockets, on one core: megabytes (10^6
 * bytes) of frames per second of processor time that each end needs, and datagrams of
 * sealed and coded data per second. With nothing lost, and with a share lost.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "replicator/tunnel/tunnel.h"
#include "tests/unit/tunnel/params.h"

#define BENCH_FRAME 65536
#define BENCH_BYTES (UINT64_C(256) << 20)
#define BENCH_ROUND 64 /* datagrams handed over at a time */
#define BENCH_GOAL 500 /* MB/s, each end */

struct bench {
	struct tunnel *end[2];
	double spent[2]; /* seconds */
	rt_time now;
	uint64_t taken, draws, datagrams;
	unsigned lose_one_in; /* 0: none */
	uint8_t batch[BENCH_ROUND][TUNNEL_DATAGRAM_MAX];
	size_t len[BENCH_ROUND];
	uint32_t stamp[BENCH_ROUND];
};

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void bench_fail(const char *what)
{
	fprintf(stderr, "bench_tunnel: %s\n", what);
	exit(1);
}

static bool bench_lost(struct bench *b)
{
	b->draws = b->draws * UINT64_C(6364136223846793005) + 1442695040888963407;
	return b->lose_one_in > 0 && (b->draws >> 33) % b->lose_one_in == 0;
}

/* One round from end `from` to the other; how many datagrams went. */
static unsigned bench_round(struct bench *b, int from)
{
	double start = now();
	unsigned n;

	for (n = 0; n < BENCH_ROUND; n++) {
		b->len[n] =
			tunnel_transmit(b->end[from], b->batch[n], b->now, &b->stamp[n]);
		if (b->len[n] == 0)
			break;
	}
	for (unsigned i = 0; i < n; i++)
		if (b->stamp[i] != 0)
			tunnel_left(b->end[from], b->stamp[i], b->now);
	b->spent[from] += now() - start;
	start = now();
	for (unsigned i = 0; i < n; i++)
		if (!bench_lost(b) &&
		    tunnel_receive(b->end[!from], b->batch[i], b->len[i], b->now) != 0)
			bench_fail("a datagram was refused");
	b->spent[!from] += now() - start;
	b->datagrams += n;
	return n;
}

static void bench_fill(struct bench *b, const uint8_t *frame)
{
	double start = now();

	while (tunnel_submit(b->end[0], frame, BENCH_FRAME, b->now) == 0)
		tunnel_expedite(b->end[0], b->now);
	b->spent[0] += now() - start;
}

static void bench_take(struct bench *b, const uint8_t *want)
{
	double start = now();
	const uint8_t *frame;
	size_t len;

	while (tunnel_next_frame(b->end[1], &frame, &len) == 1) {
		if (len != BENCH_FRAME)
			bench_fail("a frame is not whole");
		b->taken += len;
	}
	b->spent[1] += now() - start;
}

static void bench_run(double share, unsigned repairs, unsigned lose_one_in)
{
	static struct bench b;
	static uint8_t frame[BENCH_FRAME];
	struct tunnel_params p = params_tunnel(1, 16 << 20, 1 << 20);
	struct tunnel_stats s;

	p.fec = params_fec(repairs, share);
	memset(&b, 0, sizeof(b));
	b.now.ns = RT_S;
	b.lose_one_in = lose_one_in;
	for (int i = 0; i < 2; i++) {
		p.dialed = i == 0;
		if (tunnel_new(&p, b.now, &b.end[i]) != 0)
			bench_fail("no tunnel");
	}
	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7);
	while (b.taken < BENCH_BYTES) {
		bench_fill(&b, frame);
		(void)bench_round(&b, 0);
		bench_take(&b, frame);
		(void)bench_round(&b, 1);
		b.now.ns += 20 * RT_US;
	}
	tunnel_stats(b.end[0], &s);
	printf("share %.3f m %u loss %s: sender %5.0f MB/s, receiver %5.0f MB/s of "
	       "frames "
	       "(goal %d), repairs %.1f %%, again %llu\n",
	       share, repairs, lose_one_in ? "1 %" : "0  ",
	       (double)b.taken / b.spent[0] / 1e6, (double)b.taken / b.spent[1] / 1e6,
	       BENCH_GOAL, 100.0 * (double)s.sent_repairs / (double)s.sent_data,
	       (unsigned long long)s.retransmitted);
	tunnel_free(b.end[0]);
	tunnel_free(b.end[1]);
}

int main(void)
{
	bench_run(0.125, 3, 0);
	bench_run(0.125, 3, 100);
	bench_run(0.375, 6, 100);
	return 0;
}
