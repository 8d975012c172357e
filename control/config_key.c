// SPDX-License-Identifier: BSD-3-Clause
#include "control/config_key.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/config_read.h"
#include "rt/check.h"

/* Longer than any key file by far, so that too long is seen. */
#define KEY_FILE_MAX 256

/* By GnuTLS, which is linked for the tunnel anyway. */
void config_key_encode(const uint8_t key[CONFIG_KEY_LEN], char text[CONFIG_KEY_TEXT + 1])
{
	const gnutls_datum_t raw = { (unsigned char *)(uintptr_t)key, CONFIG_KEY_LEN };
	gnutls_datum_t made;

	rt_assert(gnutls_base64_encode2(&raw, &made) == 0); /* the command's beginning */
	rt_assert(made.size == CONFIG_KEY_TEXT);
	memcpy(text, made.data, CONFIG_KEY_TEXT);
	text[CONFIG_KEY_TEXT] = 0;
	gnutls_memset(made.data, 0, made.size);
	gnutls_free(made.data);
}

int config_key_decode(const char *text, size_t len, uint8_t key[CONFIG_KEY_LEN])
{
	char again[CONFIG_KEY_TEXT + 1];
	gnutls_datum_t digits = { (unsigned char *)(uintptr_t)text, CONFIG_KEY_TEXT },
		       raw;
	int res = -EINVAL;

	if (len == CONFIG_KEY_TEXT + 1 && text[CONFIG_KEY_TEXT] == '\n')
		len--;
	if (len != CONFIG_KEY_TEXT || gnutls_base64_decode2(&digits, &raw) < 0)
		return -EINVAL;
	/* It takes what no encoder makes; a key has one form. */
	if (raw.size == CONFIG_KEY_LEN) {
		config_key_encode(raw.data, again);
		if (memcmp(again, text, CONFIG_KEY_TEXT) == 0)
			res = 0;
	}
	if (res == 0)
		memcpy(key, raw.data, CONFIG_KEY_LEN);
	gnutls_memset(again, 0, sizeof(again));
	gnutls_memset(raw.data, 0, raw.size);
	gnutls_free(raw.data);
	return res;
}

static int key_check_mode(int fd, char *why)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		(void)snprintf(why, CONFIG_KEY_WHY, "%s", strerror(errno));
		return -errno;
	}
	if (!S_ISREG(st.st_mode)) {
		(void)snprintf(why, CONFIG_KEY_WHY, "is no regular file");
		return -EINVAL;
	}
	if (st.st_mode & 077) {
		(void)snprintf(why, CONFIG_KEY_WHY,
			       "has mode %04o, so that others than its owner may use it; "
			       "allowed: 0600 or less",
			       (unsigned)(st.st_mode & 07777));
		return -EPERM;
	}
	return 0;
}

int config_key_read(const char *path, uint8_t key[CONFIG_KEY_LEN],
		    char why[CONFIG_KEY_WHY])
{
	char text[KEY_FILE_MAX];
	size_t len = 0;
	int fd, res;

	/* Not blocking: it might be a pipe, which is refused then. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		res = -errno;
		(void)snprintf(why, CONFIG_KEY_WHY, "cannot be read: %s", strerror(-res));
		return res;
	}
	res = key_check_mode(fd, why);
	if (res == 0) {
		res = config_read_all(fd, text, sizeof(text), &len);
		if (res < 0 && res != -EFBIG)
			(void)snprintf(why, CONFIG_KEY_WHY, "%s", strerror(-res));
		else if (res == -EFBIG || config_key_decode(text, len, key) < 0)
			res = -EINVAL;
		if (res == -EINVAL)
			(void)snprintf(why, CONFIG_KEY_WHY,
				       "%s; allowed: one line with the base64 of 32 "
				       "bytes, as `wanmirror keygen` makes it",
				       memchr(text, '\r', len) ? "its line ends as on "
								 "Windows, with a "
								 "carriage return"
							       : "holds no key");
	}
	explicit_bzero(text, sizeof(text));
	(void)close(fd); /* it was only read */
	return res;
}

static int key_write(int fd)
{
	uint8_t key[CONFIG_KEY_LEN];
	char text[CONFIG_KEY_TEXT + 2];
	size_t done = 0, len = CONFIG_KEY_TEXT + 1;
	int res = 0;

	/* The command has no loop: a key can be made where io_uring is forbidden. */
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return -EIO;
	config_key_encode(key, text);
	text[CONFIG_KEY_TEXT] = '\n';
	while (done < len) {
		ssize_t n = write(fd, text + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			res = n < 0 ? -errno : -EIO;
			break;
		}
		done += (size_t)n;
	}
	explicit_bzero(key, sizeof(key));
	explicit_bzero(text, sizeof(text));
	if (res == 0 && fsync(fd) < 0)
		res = -errno;
	return res;
}

int config_key_make(const char *path, char why[CONFIG_KEY_WHY])
{
	int fd, res;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0) {
		res = -errno;
		if (res == -EEXIST)
			(void)snprintf(why, CONFIG_KEY_WHY,
				       "is there already, and never overwritten");
		else
			(void)snprintf(why, CONFIG_KEY_WHY, "cannot be made: %s",
				       strerror(-res));
		return res;
	}
	res = key_write(fd);
	if (close(fd) < 0 && res == 0)
		res = -errno;
	if (res < 0) {
		(void)snprintf(why, CONFIG_KEY_WHY, "%s", strerror(-res));
		(void)unlink(path); /* it holds half a key at most */
	}
	return res;
}
