// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "rt/bug.h"
#include "rt/check.h"
#include "tests/sim/sim_impl.h"

/*
 * sim SCENARIO --seed N --runs M: run i has the seed N + i; "all" does that with every
 * scenario. Ends with "N passed, M
 * failed" alone on a line; 0 when none has failed, 1 at the first violation, 2 for wrong
 * usage.
 */
static struct sim_scenario *scenarios; /* by name */

void sim_scenario_add(struct sim_scenario *s)
{
	struct sim_scenario **p = &scenarios;

	while (*p != NULL && strcmp((*p)->name, s->name) < 0)
		p = &(*p)->next;
	s->next = *p;
	*p = s;
}

struct options {
	const char *scenario, *bug;
	uint64_t seed, runs;
	bool twice, traces;
};

static int usage(FILE *out)
{
	fprintf(out, "usage: sim SCENARIO|all [--seed N] [--runs M] [--bug NAME] "
		     "[--twice] [--traces] [-v]\n"
		     "       sim --list | --bugs\n"
		     "\n"
		     "  --seed N    of the first run; run i has the seed N + i (1)\n"
		     "  --runs M    how many (1)\n"
		     "  --bug NAME  switch on a deliberate bug (builds with BUGS=1)\n"
		     "  --twice     run each seed twice and compare the traces\n"
		     "  --traces    print \"SCENARIO SEED HASH\" for each run\n"
		     "  -v          the engines' log lines on standard output\n"
		     "  --list      scenarios; --bugs: \"BUG SCENARIO\" for each bug\n");
	return out == stdout ? 0 : 2;
}

static int list(void)
{
	for (struct sim_scenario *s = scenarios; s != NULL; s = s->next)
		printf("%-16s %s\n", s->name, s->text);
	return 0;
}

static const char *scenario_of_bug(const char *bug)
{
	for (struct sim_scenario *s = scenarios; s != NULL; s = s->next)
		for (unsigned i = 0; s->bugs != NULL && s->bugs[i] != NULL; i++)
			if (strcmp(s->bugs[i], bug) == 0)
				return s->name;
	return "-";
}

static int list_bugs(void)
{
	static const char *const bugs[] = {
#define BUG_NAME(name) #name,
		RT_BUG_LIST(BUG_NAME)
#undef BUG_NAME
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(bugs); i++)
		printf("%s %s\n", bugs[i], scenario_of_bug(bugs[i]));
	return 0;
}

static bool number(const char *text, uint64_t *ret)
{
	char *end;

	if (text == NULL || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0';
}

static bool option(struct options *o, char **argv, int *i)
{
	const char *arg = argv[*i];

	if (strcmp(arg, "-v") == 0) {
		sim_verbose = true;
	} else if (strcmp(arg, "--twice") == 0) {
		o->twice = true;
	} else if (strcmp(arg, "--traces") == 0) {
		o->traces = true;
	} else if (strcmp(arg, "--seed") == 0) {
		return number(argv[++*i], &o->seed);
	} else if (strcmp(arg, "--runs") == 0) {
		return number(argv[++*i], &o->runs);
	} else if (strcmp(arg, "--bug") == 0) {
		o->bug = argv[++*i];
		return o->bug != NULL;
	} else if (arg[0] != '-' && o->scenario == NULL) {
		o->scenario = arg;
	} else {
		return false;
	}
	return true;
}

static int select_bug(const char *name)
{
	if (name == NULL)
		return 0;
#ifdef RT_BUGS
	if (rt_bug_select(name) == 0)
		return 0;
	fprintf(stderr, "sim: no bug is called %s\n", name);
#else
	fprintf(stderr, "sim: no bugs in this build; make BUGS=1\n");
#endif
	return -1;
}

/* Of secure_sim.c, which is there when the tunnel is. */
void secure_sim_seed(uint64_t seed) __attribute__((weak));

/* Of processor time: an engine that loops is found, too, and a busy machine is not. */
#define RUN_MAX_S 120

static uint64_t run_once(const struct sim_scenario *s, uint64_t seed, const char *bug)
{
	const struct itimerval limit = { .it_value.tv_sec = RUN_MAX_S };
	struct sim_world *w;
	uint64_t hash;

	sim_trace_begin(s->name, seed, bug);
	(void)setitimer(ITIMER_PROF, &limit, NULL); /* cannot fail like this */
	if (secure_sim_seed != NULL)
		secure_sim_seed(seed);
	w = sim_world_new(seed);
	s->run(w);
	hash = sim_trace_hash(w);
	sim_world_free(w);
	return hash;
}

static void run_scenario(const struct sim_scenario *s, const struct options *o,
			 uint64_t runs, uint64_t *passed)
{
	for (uint64_t i = 0; i < runs; i++) {
		uint64_t hash = run_once(s, o->seed + i, o->bug);

		if (o->twice && run_once(s, o->seed + i, o->bug) != hash)
			sim_violation("the same seed has given another trace");
		sim_trace_passed(++*passed);
		if (o->traces || sim_verbose)
			printf("%s %llu %016llx\n", s->name,
			       (unsigned long long)(o->seed + i),
			       (unsigned long long)hash);
	}
}

static int run_named(const struct options *o)
{
	uint64_t passed = 0;
	unsigned found = 0;

	for (struct sim_scenario *s = scenarios; s != NULL; s = s->next) {
		bool all = strcmp(o->scenario, "all") == 0;
		uint64_t runs = o->runs;

		if (!all && strcmp(s->name, o->scenario) != 0)
			continue;
		found++;
		if (all && s->all_max != 0 && runs > s->all_max)
			runs = s->all_max;
		run_scenario(s, o, runs, &passed);
		if (all)
			printf("%-16s %llu runs\n", s->name, (unsigned long long)runs);
	}
	if (found == 0) {
		fprintf(stderr, "sim: no scenario is called %s (--list)\n", o->scenario);
		return 2;
	}
	printf("%llu passed, 0 failed\n", (unsigned long long)passed);
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = { .seed = 1, .runs = 1 };

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout);
	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list();
	if (argc == 2 && strcmp(argv[1], "--bugs") == 0)
		return list_bugs();
	for (int i = 1; i < argc; i++)
		if (!option(&o, argv, &i))
			return usage(stderr);
	if (o.scenario == NULL)
		return usage(stderr);
	if (select_bug(o.bug) < 0)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	sim_trace_catch();
	return run_named(&o);
}
