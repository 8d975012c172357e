// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a configuration needs and what the system allows: the kernel ends who takes more, so
 * people must know before. The control groups are files laid out as the kernel does.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/config.h"
#include "control/memory.h"
#include "nbd-server/nbds.h"
#include "rt/check.h"
#include "rt/log.h"
#include "tests/unit/unit.h"

#define MIB (UINT64_C(1) << 20)

struct fixture {
	char root[64];
};

static int begin(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	(void)snprintf(f->root, sizeof(f->root), "/tmp/wm-memory-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	*state = f;
	return 0;
}

static int gone(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

static int end(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(nftw(f->root, gone, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(f);
	return 0;
}

/* A file below the root, with the folders that lead there. */
static void lay(const struct fixture *f, const char *name, const char *text)
{
	char path[256];
	FILE *out;

	(void)snprintf(path, sizeof(path), "%s/%s", f->root, name);
	for (char *at = strchr(path + strlen(f->root) + 1, '/'); at;
	     at = strchr(at + 1, '/')) {
		*at = 0;
		(void)mkdir(path, 0700);
		*at = '/';
	}
	out = fopen(path, "w");
	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static void limit_is(const struct fixture *f, uint64_t bytes, const char *by)
{
	struct memory_limit limit;
	char proc[128], cgroup[128];

	(void)snprintf(proc, sizeof(proc), "%s/proc", f->root);
	(void)snprintf(cgroup, sizeof(cgroup), "%s/cgroup", f->root);
	memory_limit(proc, cgroup, &limit);
	assert_int_equal(limit.bytes, bytes);
	assert_string_equal(limit.by, by);
}

static void without_limits_there_is_none(void **state)
{
	limit_is(*state, UINT64_MAX, "");
	lay(*state, "proc/self/cgroup",
	    "0::/system.slice/wanmirrord.service\nwhat?\n7:\n");
	limit_is(*state, UINT64_MAX, "");
	lay(*state, "cgroup/system.slice/wanmirrord.service/memory.max", "max\n");
	limit_is(*state, UINT64_MAX, "");
}

/* The least counts, wherever between the group and the root. */
static void groups_above_count(void **state)
{
	lay(*state, "proc/self/cgroup", "0::/a/b\n");
	lay(*state, "cgroup/a/b/memory.max", "300\n");
	limit_is(*state, 300, "memory.max");
	lay(*state, "cgroup/a/memory.max", "200\n");
	limit_is(*state, 200, "memory.max");
	lay(*state, "cgroup/memory.max", "100\n");
	limit_is(*state, 100, "memory.max");
	lay(*state, "memory.max", "1\n"); /* above the root */
	limit_is(*state, 100, "memory.max");
}

/*
 * Version 1: a tree for each controller, of which one is memory. A container sees its own
 * group as the root.
 */
static void groups_of_version_1_count(void **state)
{
	lay(*state, "proc/self/cgroup",
	    "9:name=systemd:/x\n4:memory:/docker/ab\n3:cpuset:/docker/ab\n0::/\n");
	lay(*state, "cgroup/memory/x/memory.limit_in_bytes", "5\n");
	lay(*state, "cgroup/cpuset/docker/ab/memory.limit_in_bytes", "6\n");
	limit_is(*state, UINT64_MAX, "");
	lay(*state, "cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	limit_is(*state, UINT64_C(9223372036854771712), "memory.limit_in_bytes");
	lay(*state, "cgroup/memory/memory.limit_in_bytes", "100663296\n");
	limit_is(*state, 96 * MIB, "memory.limit_in_bytes");
}

static void limits_of_the_process_count(void **state)
{
	struct rlimit before, less;

	assert_int_equal(getrlimit(RLIMIT_DATA, &before), 0);
	less = before;
	less.rlim_cur = 777 * MIB;
	assert_int_equal(setrlimit(RLIMIT_DATA, &less), 0);
	limit_is(*state, 777 * MIB, "ulimit -d");
	assert_int_equal(setrlimit(RLIMIT_DATA, &before), 0);
}

static void need_is(const struct config *config, uint64_t clients, uint64_t map,
		    uint64_t peer)
{
	struct memory_need need;

	memory_need(config, &need);
	assert_int_equal(need.clients, clients);
	assert_int_equal(need.map, map);
	assert_int_equal(need.peer, peer);
	assert_int_equal(need.spread, (need.process + clients + map + peer) / 4);
	assert_int_equal(need.total, need.process + clients + map + peer + need.spread);
}

static void a_configuration_needs_what_it_says(void **state)
{
	static struct config config;
	struct group_config *g = &config.group;

	g->map_memory = 10 * MIB;
	g->send_memory = 64 * MIB;
	need_is(&config, 0, 0, 0);
	config.nbd.nlisten = 1;
	need_is(&config, NBDS_MEMORY_DEFAULT, 0, 0);
	g->nvolumes = 2;
	g->volumes[0].size = 2000 * MIB;
	g->volumes[1].size = 1000 * MIB;
	need_is(&config, NBDS_MEMORY_DEFAULT, 6 * MIB, 0);
	g->volumes[1].size = 4000 * MIB;
	need_is(&config, NBDS_MEMORY_DEFAULT, 10 * MIB, 0);
	g->has_peer = true;
	need_is(&config, NBDS_MEMORY_DEFAULT, 10 * MIB, 80 * MIB);
}

/* The need of an empty configuration, and data of one byte less and of as much. */
static void a_limit_of_the_need_suffices(void **state)
{
	static const struct config config;
	struct rlimit before, less;
	struct memory_limit limit;
	struct memory_need need;

	memory_need(&config, &need);
	assert_int_equal(getrlimit(RLIMIT_DATA, &before), 0);
	less = before;
	less.rlim_cur = need.total - 1;
	assert_int_equal(setrlimit(RLIMIT_DATA, &less), 0);
	assert_false(memory_suffices(&config, &need, &limit));
	assert_int_equal(limit.bytes, need.total - 1);
	less.rlim_cur = need.total;
	assert_int_equal(setrlimit(RLIMIT_DATA, &less), 0);
	assert_true(memory_suffices(&config, &need, &limit));
	assert_int_equal(setrlimit(RLIMIT_DATA, &before), 0);
}

static void line_keep(void *owner, enum rt_log_level level, const char *line)
{
	(void)snprintf(owner, 512, "%d %s", (int)level, line);
}

static void less_than_needed_is_said_with_both(void **state)
{
	const struct memory_need need = { .total = 300 };
	const struct memory_limit limit = { .bytes = 299, .by = "memory.max" };
	char text[512] = "";

	rt_log_set_sink(line_keep, text);
	memory_warn(&need, &limit);
	rt_log_set_sink(NULL, NULL);
	assert_int_equal(text[0] - '0', RT_LOG_WARN);
	assert_non_null(
		strstr(text, "memory-limit-low by=\"memory.max\" limit=299 needed=300 "));
	assert_non_null(strstr(text, "MemoryMax="));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_limits_there_is_none, begin, end),
		cmocka_unit_test_setup_teardown(groups_above_count, begin, end),
		cmocka_unit_test_setup_teardown(groups_of_version_1_count, begin, end),
		cmocka_unit_test_setup_teardown(limits_of_the_process_count, begin, end),
		cmocka_unit_test(a_configuration_needs_what_it_says),
		cmocka_unit_test(a_limit_of_the_need_suffices),
		cmocka_unit_test(less_than_needed_is_said_with_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
