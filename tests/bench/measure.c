// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/measure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t measure_now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

int measure_option(const char *arg, const struct measure_option *options, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(options[i].name);
		uint64_t value;
		char *stop;

		if (strncmp(arg, options[i].name, len) != 0)
			continue;
		value = strtoull(arg + len, &stop, 10);
		if (*stop != '\0' || arg[len] == '\0' || value < options[i].least)
			return -EINVAL;
		*options[i].value = value;
		return 0;
	}
	return -EINVAL;
}

int measure_times_init(struct measure_times *t, uint64_t max)
{
	*t = (struct measure_times){ .max = max };
	t->ns = calloc(max, sizeof(*t->ns));
	return t->ns != NULL ? 0 : -ENOMEM;
}

void measure_times_add(struct measure_times *t, uint64_t took_ns)
{
	if (t->n < t->max)
		t->ns[t->n++] = took_ns > UINT32_MAX ? UINT32_MAX : (uint32_t)took_ns;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void measure_times_sum(struct measure_times *t)
{
	double sum = 0;

	if (t->n == 0)
		return;
	qsort(t->ns, t->n, sizeof(*t->ns), by_value);
	for (uint64_t i = 0; i < t->n; i++)
		sum += t->ns[i];
	t->mean_us = sum / (double)t->n / 1e3;
	t->median_us = t->ns[t->n / 2] / 1e3;
	t->p99_us = t->ns[t->n * 99 / 100] / 1e3;
	t->p999_us = t->ns[t->n * 999 / 1000] / 1e3;
}

void measure_times_release(struct measure_times *t)
{
	free(t->ns);
	t->ns = NULL;
}
