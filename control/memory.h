/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_MEMORY_H
#define CONTROL_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How much memory a configuration may come to need, and how much the system gives this
 * process: who gives less has a daemon that the kernel ends one day under load.
 */
struct config;

/* Bytes at most, each. */
struct memory_need {
	uint64_t process; /* the programs, the rings' buffers, one request each way */
	uint64_t clients; /* payloads of NBD clients */
	uint64_t map;	  /* of the volumes; never above map_memory */
	uint64_t peer;	  /* frames that the tunnel keeps until they are acknowledged */
	uint64_t spread;  /* what the allocator has freed and cannot give back */
	uint64_t total;
};
void memory_need(const struct config *config, struct memory_need *ret);

#define MEMORY_LIMIT_TEXT 128
/* The least limit; bytes UINT64_MAX: none. `by` is what sets it. */
struct memory_limit {
	uint64_t bytes;
	char by[MEMORY_LIMIT_TEXT];
};

/*
 * The limits of this process: those of its control groups, of both versions, up to the root,
 * and RLIMIT_AS and RLIMIT_DATA. `proc` is /proc and `cgroup` /sys/fs/cgroup, but in tests.
 * What cannot be read limits nothing.
 */
void memory_limit(const char *proc, const char *cgroup, struct memory_limit *ret);

/* What `config` needs beside what this process may have: false where that is less. */
bool memory_suffices(const struct config *config, struct memory_need *need,
		     struct memory_limit *limit);

/* A warning in the log: `need` is above `limit`. */
void memory_warn(const struct memory_need *need, const struct memory_limit *limit);

#endif
