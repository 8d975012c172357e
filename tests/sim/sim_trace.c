// SPDX-License-Identifier: BSD-3-Clause
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rt/hash.h"
#include "rt/log.h"
#include "tests/sim/revision.h"
#include "tests/sim/sim_impl.h"

/* The hash of all that happened, the last of it in words, and how a run ends badly. */

#define RING 4096
#define RING_SHOWN 120
#define LINE_MAX_LEN 160

struct entry {
	int64_t at;
	uint64_t n;
	const char *what;
	char node[32];
	uint64_t a, b, c;
	char line[LINE_MAX_LEN];
};

static struct entry ring[RING];
static uint64_t ring_next;
static const char *trace_scenario = "", *trace_bug;
static uint64_t trace_seed, trace_passed;
static bool trace_ended;
bool sim_verbose;

static struct entry *ring_add(struct sim_world *w, const struct sim_node *node,
			      const char *what)
{
	struct entry *e = &ring[ring_next++ % RING];

	e->at = w->now;
	e->n = w->nevents;
	e->what = what;
	snprintf(e->node, sizeof(e->node), "%s", node != NULL ? node->name : "-");
	e->line[0] = '\0';
	return e;
}

static uint64_t hash_text(const char *text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *text != '\0'; text++)
		h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return h;
}

void sim_trace_event(struct sim_world *w, const struct sim_node *node, const char *what,
		     uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t parts[] = { (uint64_t)w->now,
				   hash_text(what),
				   a,
				   b,
				   c,
				   node != NULL ? node->index + 1 : 0 };
	struct entry *e = ring_add(w, node, what);

	e->a = a;
	e->b = b;
	e->c = c;
	for (unsigned i = 0; i < RT_ARRAY_LEN(parts); i++)
		w->trace = rt_mix64(w->trace ^ parts[i]) + i;
}

void sim_note(struct sim_world *w, const char *what, uint64_t a, uint64_t b, uint64_t c)
{
	sim_trace_event(w, sim_node_entered(), what, a, b, c);
}

uint64_t sim_trace_hash(const struct sim_world *w)
{
	return w->trace;
}

static void trace_log(void *owner, enum rt_log_level level, const char *line)
{
	struct sim_world *w = sim_world_now;
	struct sim_node *node = sim_node_entered();

	if (w == NULL)
		return;
	snprintf(ring_add(w, node, "log")->line, LINE_MAX_LEN, "%s", line);
	if (sim_verbose)
		printf("%12.6f %-8s %s\n", (double)w->now / 1e9,
		       node != NULL ? node->name : "-", line);
}

static void trace_print(void)
{
	uint64_t i = ring_next > RING_SHOWN ? ring_next - RING_SHOWN : 0;

	for (; i < ring_next; i++) {
		const struct entry *e = &ring[i % RING];

		if (e->line[0] != '\0')
			printf("  %8llu %14.6f %-8s %s\n", (unsigned long long)e->n,
			       (double)e->at / 1e9, e->node, e->line);
		else
			printf("  %8llu %14.6f %-8s %s %lld %lld %lld\n",
			       (unsigned long long)e->n, (double)e->at / 1e9, e->node,
			       e->what, (long long)e->a, (long long)e->b,
			       (long long)e->c);
	}
}

/* Once: a violation may end in an abort of its own. */
static void trace_end(const char *what)
{
	if (trace_ended)
		return;
	trace_ended = true;
	printf("last events:\n");
	trace_print();
	printf("VIOLATION scenario=%s seed=%llu revision=%s\n%s\n"
	       "again: sim %s --seed %llu --runs 1 -v%s%s\n%llu passed, 1 failed\n",
	       trace_scenario, (unsigned long long)trace_seed, SIM_REVISION, what,
	       trace_scenario, (unsigned long long)trace_seed,
	       trace_bug != NULL ? " --bug " : "", trace_bug != NULL ? trace_bug : "",
	       (unsigned long long)trace_passed);
	fflush(NULL);
}

void sim_violation(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	trace_end(text);
	_exit(1);
}

void sim_require_failed(const char *cond, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sim_violation("%s [not: %s]", text, cond);
}

void sim_trace_begin(const char *scenario, uint64_t seed, const char *bug)
{
	trace_bug = bug;
	trace_scenario = scenario;
	trace_seed = seed;
	ring_next = 0;
}

void sim_trace_passed(uint64_t passed)
{
	trace_passed = passed;
}

/* The engine has been at fault; nothing that runs here goes back to it. */
static void trace_signal(int signo)
{
	trace_end(signo == SIGABRT   ? "an assertion failed"
		  : signo == SIGPROF ? "one run takes for ever"
				     : "a deadly signal");
	_exit(1);
}

static void trace_death(void)
{
	trace_end("a sanitizer found an error");
}

/* The undefined-behaviour sanitizer has a runtime of its own, and calls this. */
void __ubsan_on_report(void);
void __ubsan_on_report(void)
{
	trace_death();
}

void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

void sim_trace_catch(void)
{
	signal(SIGABRT, trace_signal);
	signal(SIGPROF, trace_signal);
	if (__sanitizer_set_death_callback != NULL) {
		__sanitizer_set_death_callback(trace_death);
	} else {
		signal(SIGSEGV, trace_signal);
		signal(SIGBUS, trace_signal);
		signal(SIGFPE, trace_signal);
	}
	rt_log_set_sink(trace_log, NULL);
	rt_log_set_level(sim_verbose ? RT_LOG_DEBUG : RT_LOG_INFO);
}
