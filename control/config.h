/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_CONFIG_H
#define CONTROL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "nbd-server/nbds.h"
#include "replicator/group.h"
#include "rt/addr.h"
#include "rt/log.h"

/*
 * The configuration file, read and checked as a whole: what comes out of here can be used
 * without looking again. Every key, with its unit, range and default, is in one table
 * (config_schema.c); wanmirror.conf(5) is held against it by a test.
 */

#define CONFIG_DEFAULT_PATH "/etc/wanmirror/wanmirror.conf"
#define CONFIG_FILE_MAX (1u << 20) /* longest file, bytes */
#define CONFIG_LISTEN_MAX NBDS_LISTENERS_MAX
#define CONFIG_GROUPS_MAX 1 /* of this version */
#define CONFIG_PATH_MAX 1024

struct config_nbd {
	unsigned nlisten;
	struct rt_addr listen[CONFIG_LISTEN_MAX];
	bool allow_plaintext; /* TCP without TLS beyond loopback */
	uint32_t connections; /* most at once */
};

struct config {
	char node[64];
	char control[RT_ADDR_PATH_MAX]; /* path of the control socket */
	enum rt_log_level log;
	struct config_nbd nbd;
	unsigned ngroups;
	struct group_config
		group; /* the one group of this version; peer.key from key_path */
	uint64_t rate; /* group.peer's, bit/s; 0: "auto" */
	bool own_sync[GROUP_VOLUMES_MAX]; /* the volume's, not the group's */
	char key_path[CONFIG_PATH_MAX];
	char edge_key_path[CONFIG_PATH_MAX]; /* ""; or group.peer.edge_key's */
};

/* ---- what is wrong with a file ---------------------------------------------------- */

#define CONFIG_ERRORS_MAX 16
#define CONFIG_ERROR_TEXT 1024

/* "FILE:LINE: KEY: what is wrong; what is allowed", in the order found. */
struct config_errors {
	char file[CONFIG_PATH_MAX];
	unsigned n;
	unsigned dropped; /* further errors that had no room */
	char text[CONFIG_ERRORS_MAX][CONFIG_ERROR_TEXT];
};

/* `line` 0: of the file as a whole; `key` NULL: of no key. */
void config_error(struct config_errors *errors, unsigned line, const char *key,
		  const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* One line each. */
void config_errors_print(const struct config_errors *errors, FILE *out);

/* ---- reading ---------------------------------------------------------------------- */

#define CONFIG_READ_KEYS 1u /* also read and check the key files that it names */

/*
 * Read the file at `path`. 0 with *ret set; or -EINVAL with at least one error, and *ret
 * untouched.
 */
int config_load(const char *path, unsigned flags, struct config *ret,
		struct config_errors *errors);
/* The same for `len` bytes of text that come from a file called `name`. */
int config_parse(const char *name, const char *text, size_t len, unsigned flags,
		 struct config *ret, struct config_errors *errors);

/*
 * For a check before the daemon starts: what `create`, or the kernel of this host, would
 * refuse of a configuration that config_load() has taken. 0; or -EINVAL with errors.
 */
int config_check_host(const char *path, const struct config *config,
		      struct config_errors *errors);

/* ---- using ------------------------------------------------------------------------ */

/* Reached from this host only. Not for RT_ADDR_UNIX. */
bool config_addr_is_loopback(const struct rt_addr *addr);

/* For people: what this configuration makes the daemon do, and what it does not prove. */
void config_describe(const struct config *config, FILE *out);

/* ---- changing (config_change.c) ----------------------------------------------------- */

typedef void config_changed_fn(void *owner, const char *key, bool live);

/*
 * Call `changed` for each key in which two configurations differ; `live`: it may change
 * while the daemon runs.
 */
void config_compare(const struct config *a, const struct config *b,
		    config_changed_fn *changed, void *owner);
/*
 * Take over from `fresh` every key that may change while the daemon runs. 0; or -EINVAL
 * with errors and *config untouched, where one of them does not go with another that
 * needs a restart.
 */
int config_take_live(struct config *config, const struct config *fresh,
		     struct config_errors *errors);
/*
 * Set one key of the group, named from groups[] or groups[].peer on ("sync", "fec.code"),
 * to a value written as in the file, without quotes. 0; or -EINVAL with one error or more
 * and *config untouched: no such key, it needs a restart, no such value, or it does not go
 * with another key.
 */
int config_set(struct config *config, const char *name, const char *value,
	       struct config_errors *errors);

#endif
