/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_CONFIG_KEY_H
#define CONTROL_CONFIG_KEY_H

#include <stddef.h>
#include <stdint.h>

/*
 * Key files: base64 of 32 random bytes and a newline, readable by their owner only.
 */
#define CONFIG_KEY_LEN 32
#define CONFIG_KEY_TEXT 44 /* base64 of it, without a newline */
#define CONFIG_KEY_WHY 256

/*
 * Read a key file. 0; -ENOENT and other errors of the system; -EPERM when others than the
 * owner may do anything with it; -EINVAL when it holds no key. `why` says it in words.
 */
int config_key_read(const char *path, uint8_t key[CONFIG_KEY_LEN],
		    char why[CONFIG_KEY_WHY]);
/*
 * Make a new key in a new file, durably. 0; -EEXIST when there is one (never touched), or
 * another error of the system; a file begun is taken away.
 */
int config_key_make(const char *path, char why[CONFIG_KEY_WHY]);

/* Base64 (RFC 4648, section 4) of exactly a key's length, padding bits zero. */
void config_key_encode(const uint8_t key[CONFIG_KEY_LEN], char text[CONFIG_KEY_TEXT + 1]);
/* `len` bytes that may end with one newline. 0 or -EINVAL. */
int config_key_decode(const char *text, size_t len, uint8_t key[CONFIG_KEY_LEN]);

#endif
