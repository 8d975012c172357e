/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_BENCH_MEASURE_H
#define TESTS_BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* What the programs that measure share: their clock, their options, and times. */

#define NS_PER_S UINT64_C(1000000000)

/* CLOCK_MONOTONIC. */
uint64_t measure_now_ns(void);

struct measure_option {
	const char *name; /* with its '=' */
	uint64_t *value;
	uint64_t least;
};

/*
 * The NAME=NUMBER of a command line among n of them. -EINVAL if it is none of these, no
 * whole number or one below the least; nothing is written then.
 */
int measure_option(const char *arg, const struct measure_option *options, size_t n);

/* How long each of many things took. What is beyond `max` is counted and not timed. */
struct measure_times {
	uint32_t *ns; /* owned */
	uint64_t max, n;
	double mean_us, median_us, p99_us, p999_us; /* after measure_times_sum() */
};

/* 0 or -ENOMEM. */
int measure_times_init(struct measure_times *t, uint64_t max);
void measure_times_add(struct measure_times *t, uint64_t took_ns);
/* Sets the figures, all 0 if nothing was timed. */
void measure_times_sum(struct measure_times *t);
void measure_times_release(struct measure_times *t);

#endif
