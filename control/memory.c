// SPDX-License-Identifier: BSD-3-Clause
#include "control/memory.h"

#include "control/config.h"
#include "nbd-server/nbds.h"
#include "rt/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define MIB (UINT64_C(1) << 20)
#define PROCESS_MEMORY (40 * MIB)
/* A tunnel has this beside its frames: the window of the code, and a record of each datagram. */
#define PEER_MEMORY (16 * MIB)
/* A leaf of the map: 8 bytes for each block of 4 KiB, and its head. */
#define MAP_SHARE 500

void memory_need(const struct config *config, struct memory_need *ret)
{
	const struct group_config *g = &config->group;

	*ret = (struct memory_need){ .process = PROCESS_MEMORY };
	if (config->nbd.nlisten > 0)
		ret->clients = NBDS_MEMORY_DEFAULT;
	for (unsigned i = 0; i < g->nvolumes; i++)
		ret->map += g->volumes[i].size / MAP_SHARE;
	if (ret->map > g->map_memory)
		ret->map = g->map_memory;
	/* As a primary it sends and as a mirror it receives; a promotion changes that. */
	if (g->has_peer)
		ret->peer = g->send_memory + PEER_MEMORY;
	ret->spread = (ret->process + ret->clients + ret->map + ret->peer) / 4;
	ret->total = ret->process + ret->clients + ret->map + ret->peer + ret->spread;
}

/* ---- limits ---------------------------------------------------------------------------- */

static void limit_keep(struct memory_limit *limit, uint64_t bytes, const char *by)
{
	if (bytes >= limit->bytes)
		return;
	limit->bytes = bytes;
	(void)snprintf(limit->by, sizeof(limit->by), "%s", by);
}

static void limit_of_process(struct memory_limit *limit, int resource, const char *by)
{
	struct rlimit rlimit;

	if (getrlimit(resource, &rlimit) == 0 && rlimit.rlim_cur != RLIM_INFINITY)
		limit_keep(limit, rlimit.rlim_cur, by);
}

/* One number in a file; "max" and what cannot be read are none. */
static void limit_of_file(struct memory_limit *limit, const char *folder,
			  const char *file)
{
	char path[CONFIG_PATH_MAX], text[32] = "", *end;
	unsigned long long bytes;
	FILE *in;

	if (snprintf(path, sizeof(path), "%s/%s", folder, file) >= (int)sizeof(path))
		return;
	in = fopen(path, "re");
	if (!in)
		return;
	if (!fgets(text, sizeof(text), in))
		text[0] = 0;
	(void)fclose(in);
	errno = 0;
	bytes = strtoull(text, &end, 10);
	if (end != text && errno == 0)
		limit_keep(limit, bytes, file);
}

/*
 * A control group's limit holds for all below it. Version 1 has its tree of the controller
 * below the root, version 2 is the root.
 */
static void limit_of_group(struct memory_limit *limit, const char *root,
			   const char *group, const char *file)
{
	char folder[CONFIG_PATH_MAX];
	size_t least = strlen(root);

	if (snprintf(folder, sizeof(folder), "%s%s", root, group) >= (int)sizeof(folder))
		return;
	for (;;) {
		char *slash = strrchr(folder, '/');

		limit_of_file(limit, folder, file);
		if (!slash || (size_t)(slash - folder) < least)
			return;
		*slash = 0;
	}
}

/* "0::/a" is a group of version 2, "4:memory:/a" of version 1. */
static void limit_of_line(struct memory_limit *limit, const char *cgroup, char *line)
{
	char *controllers = strchr(line, ':'), *group, root[CONFIG_PATH_MAX];

	if (!controllers)
		return;
	group = strchr(++controllers, ':');
	if (!group)
		return;
	*group++ = 0;
	group[strcspn(group, "\n")] = 0;
	if (controllers[0] == 0) {
		limit_of_group(limit, cgroup, group, "memory.max");
	} else if (strcmp(controllers, "memory") == 0 &&
		   snprintf(root, sizeof(root), "%s/memory", cgroup) <
			   (int)sizeof(root)) {
		limit_of_group(limit, root, group, "memory.limit_in_bytes");
	}
}

static void limit_of_groups(struct memory_limit *limit, const char *proc,
			    const char *cgroup)
{
	char line[CONFIG_PATH_MAX];
	FILE *in;

	if (snprintf(line, sizeof(line), "%s/self/cgroup", proc) >= (int)sizeof(line))
		return;
	in = fopen(line, "re");
	if (!in)
		return;
	while (fgets(line, sizeof(line), in))
		limit_of_line(limit, cgroup, line);
	(void)fclose(in);
}

void memory_limit(const char *proc, const char *cgroup, struct memory_limit *ret)
{
	*ret = (struct memory_limit){ .bytes = UINT64_MAX };
	limit_of_process(ret, RLIMIT_AS, "ulimit -v");
	limit_of_process(ret, RLIMIT_DATA, "ulimit -d");
	limit_of_groups(ret, proc, cgroup);
}

bool memory_suffices(const struct config *config, struct memory_need *need,
		     struct memory_limit *limit)
{
	memory_need(config, need);
	memory_limit("/proc", "/sys/fs/cgroup", limit);
	return limit->bytes >= need->total;
}

void memory_warn(const struct memory_need *need, const struct memory_limit *limit)
{
	rt_log(RT_LOG_WARN,
	       "memory-limit-low by=\"%s\" limit=%llu needed=%llu hint=\"the kernel may "
	       "end this process under load: raise the limit (MemoryMax= of the "
	       "service, or the container's), or lower map_memory and send_memory; see "
	       "MEMORY in wanmirrord(8)\"",
	       limit->by, (unsigned long long)limit->bytes,
	       (unsigned long long)need->total);
}
