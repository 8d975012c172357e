// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/config_key.h"

/*
 * The key is all that keeps strangers from the mirror: a made one is new, private and
 * never over another; a file that others can read, or that holds anything but a whole
 * key, is refused.
 */

static char dir[] = "/tmp/wanmirror-key-XXXXXX";
static char path[sizeof(dir) + 8];

static int dir_make(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/key", dir);
	return 0;
}

static int dir_remove(void **state)
{
	(void)unlink(path);
	return rmdir(dir);
}

static void key_write(const char *text, size_t len, mode_t mode)
{
	FILE *f;

	(void)unlink(path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void base64_round_trip(void **state)
{
	uint8_t key[CONFIG_KEY_LEN], back[CONFIG_KEY_LEN];
	char text[CONFIG_KEY_TEXT + 1];

	/* From RFC 4648's alphabet by hand: 32 bytes of 0, and of 0xff. */
	memset(key, 0, sizeof(key));
	config_key_encode(key, text);
	assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	memset(key, 0xff, sizeof(key));
	config_key_encode(key, text);
	assert_string_equal(text, "//////////////////////////////////////////8=");
	for (unsigned seed = 0; seed < 200; seed++) {
		for (unsigned i = 0; i < sizeof(key); i++)
			key[i] = (uint8_t)(seed * 131 + i * i * 7 + (seed >> 3) * i);
		config_key_encode(key, text);
		assert_int_equal(config_key_decode(text, CONFIG_KEY_TEXT, back), 0);
		assert_memory_equal(key, back, sizeof(key));
	}
}

static void base64_of_anything_else_is_refused(void **state)
{
	char text[CONFIG_KEY_TEXT + 8] =
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n";
	uint8_t key[CONFIG_KEY_LEN];

	for (size_t len = 0; len < CONFIG_KEY_TEXT; len++)
		assert_int_equal(config_key_decode(text, len, key), -EINVAL);
	assert_int_equal(config_key_decode(text, CONFIG_KEY_TEXT, key), 0);
	assert_int_equal(config_key_decode(text, CONFIG_KEY_TEXT + 1, key), 0);
	assert_int_equal(config_key_decode(text, CONFIG_KEY_TEXT + 2, key), -EINVAL);
	for (unsigned i = 0; i < CONFIG_KEY_TEXT; i++) {
		char was = text[i];

		text[i] = '-';
		assert_int_equal(config_key_decode(text, CONFIG_KEY_TEXT, key), -EINVAL);
		text[i] = 0;
		assert_int_equal(config_key_decode(text, CONFIG_KEY_TEXT, key), -EINVAL);
		text[i] = was;
	}
	text[CONFIG_KEY_TEXT - 2] = 'B'; /* a padding bit that is not zero */
	assert_int_equal(config_key_decode(text, CONFIG_KEY_TEXT, key), -EINVAL);
}

static void keygen_makes_a_key_and_never_overwrites(void **state)
{
	uint8_t key[CONFIG_KEY_LEN], again[CONFIG_KEY_LEN], other[CONFIG_KEY_LEN];
	char why[CONFIG_KEY_WHY];
	struct stat st;

	(void)unlink(path);
	(void)umask(0);
	assert_int_equal(config_key_make(path, why), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, CONFIG_KEY_TEXT + 1);
	assert_int_equal(config_key_read(path, key, why), 0);

	assert_int_equal(config_key_make(path, why), -EEXIST);
	assert_non_null(strstr(why, "never overwritten"));
	assert_int_equal(config_key_read(path, again, why), 0);
	assert_memory_equal(key, again, sizeof(key));

	(void)unlink(path);
	assert_int_equal(config_key_make(path, why), 0);
	assert_int_equal(config_key_read(path, other, why), 0);
	assert_memory_not_equal(key, other, sizeof(key));
	assert_int_equal(config_key_make("/nonexistent-folder/key", why), -ENOENT);
}

static void key_with_wider_permissions_is_refused(void **state)
{
	static const char text[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
	uint8_t key[CONFIG_KEY_LEN];
	char why[CONFIG_KEY_WHY];

	for (unsigned bit = 1; bit <= 040; bit <<= 1) {
		key_write(text, strlen(text), 0600 | bit);
		assert_int_equal(config_key_read(path, key, why), -EPERM);
		assert_non_null(strstr(why, "0600"));
	}
	key_write(text, strlen(text), 0400);
	assert_int_equal(config_key_read(path, key, why), 0);
}

static void key_file_with_anything_else_is_refused(void **state)
{
	char long_text[1000];
	uint8_t key[CONFIG_KEY_LEN];
	char why[CONFIG_KEY_WHY];

	memset(long_text, 'A', sizeof(long_text));
	key_write("", 0, 0600);
	assert_int_equal(config_key_read(path, key, why), -EINVAL);
	key_write(long_text, sizeof(long_text), 0600);
	assert_int_equal(config_key_read(path, key, why), -EINVAL);
	assert_non_null(strstr(why, "keygen"));
	key_write("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n", 46, 0600);
	assert_int_equal(config_key_read(path, key, why), -EINVAL);
	assert_non_null(strstr(why, "carriage return"));
	key_write("AAAA", 4, 0600);
	assert_int_equal(config_key_read(path, key, why), -EINVAL);
	(void)unlink(path);
	assert_int_equal(config_key_read(path, key, why), -ENOENT);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(config_key_read(path, key, why), -EINVAL);
	assert_int_equal(config_key_read(dir, key, why), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_round_trip),
		cmocka_unit_test(base64_of_anything_else_is_refused),
		cmocka_unit_test(keygen_makes_a_key_and_never_overwrites),
		cmocka_unit_test(key_with_wider_permissions_is_refused),
		cmocka_unit_test(key_file_with_anything_else_is_refused),
	};

	return cmocka_run_group_tests(tests, dir_make, dir_remove);
}
