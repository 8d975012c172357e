/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_CONFIG_READ_H
#define CONTROL_CONFIG_READ_H

#include <stddef.h>
#include <stdint.h>

struct config;
struct config_errors;
struct config_key;
struct config_t;

#define CONFIG_KEY_PATH 128

/*
 * Read `fd` to its end. 0 with *len set; -EFBIG when it has `size` bytes or more; -errno.
 */
int config_read_all(int fd, char *buf, size_t size, size_t *len);

/* Is `key`, in the form "groups[0].peer.rate", set in the file (NULL: in none)? */
int config_is_set(const struct config_t *file, const char *key);
/* The line where it is set, or that of the nearest section around it that is. */
unsigned config_line(const struct config_t *file, const char *key);

/* config_check(), while it runs. */
struct config_checking {
	const struct config_t *file;
	struct config *config;
	struct config_errors *errors;
};
#define CONFIG_WRONG(c, key, ...)                                                        \
	config_error((c)->errors, config_line((c)->file, key), key, __VA_ARGS__)

/*
 * What holds between keys, once each of them is right by itself; fills in what depends on
 * others. Errors are added. `file` NULL: keys were changed one by one since they were
 * read, and what depends on which of them were left out stays as it is.
 */
/* Where rate = "auto" begins, bit/s. */
#define CONFIG_RATE_BEGIN UINT64_C(50000000)
void config_check(const struct config_t *file, struct config *config,
		  struct config_errors *errors);

#endif
