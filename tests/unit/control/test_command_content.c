// SPDX-License-Identifier: BSD-3-Clause
/*
 * `create` asks what is on a device before it makes a store there. Content that cannot be
 * seen is not an empty device.
 */
#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/command.h"
#include "tests/unit/unit.h"

/* The linker brings calls of blkid_do_safeprobe() here. */
int __real_blkid_do_safeprobe(blkid_probe probe);
int __wrap_blkid_do_safeprobe(blkid_probe probe);

static int probe_errno; /* the probe fails; < 0: and does not say why */

int __wrap_blkid_do_safeprobe(blkid_probe probe)
{
	if (!probe_errno)
		return __real_blkid_do_safeprobe(probe);
	errno = probe_errno > 0 ? probe_errno : 0;
	return -1;
}

static char path[] = "/tmp/wanmirror-content-XXXXXX";

static int file_set_up(void **state)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4 << 20), 0);
	(void)close(fd);
	probe_errno = 0;
	return 0;
}

static int file_tear_down(void **state)
{
	assert_int_equal(unlink(path), 0);
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	return 0;
}

/* The mark of a swap area, at the end of its first page, with a version and a size. */
static void make_swap(void)
{
	const uint32_t head[2] = { 1, 1023 };
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, head, sizeof(head), 1024), sizeof(head));
	assert_int_equal(pwrite(fd, "SWAPSPACE2", 10, 4086), 10);
	(void)close(fd);
}

static void what_is_there_is_named(void **state)
{
	char what[COMMAND_FOUND_MAX] = "";

	assert_int_equal(command_find_content(path, what), 0);
	make_swap();
	assert_int_equal(command_find_content(path, what), 1);
	assert_non_null(strstr(what, "swap"));
}

static void a_probe_that_fails_has_not_found_nothing(void **state)
{
	char what[COMMAND_FOUND_MAX] = "";

	make_swap();
	probe_errno = EREMOTEIO;
	assert_int_equal(command_find_content(path, what), -EREMOTEIO);
	probe_errno = -1;
	assert_int_equal(command_find_content(path, what), -EIO);
}

static void a_device_that_is_not_there_holds_nothing(void **state)
{
	char what[COMMAND_FOUND_MAX] = "";

	assert_int_equal(command_find_content("/tmp/wanmirror-not-there", what), 0);
	assert_int_equal(command_find_content("/tmp/wanmirror-not-there/x", what), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, file_set_up, file_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_is_there_is_named),
		TEST(a_probe_that_fails_has_not_found_nothing),
		TEST(a_device_that_is_not_there_holds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
