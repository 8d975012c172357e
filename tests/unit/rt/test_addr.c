// SPDX-License-Identifier: BSD-3-Clause
/*
 * Addresses come from configurations and commands: what is one is read and printed back
 * as the same, and nothing else is taken for one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rt/addr.h"
#include "rt/check.h"
#include "rt/uring.h"
#include "tests/unit/unit.h"

static void good_ones_are_read_and_printed(void **state)
{
	static const struct {
		const char *text, *printed;
		enum rt_addr_kind kind;
	} good[] = {
		{ "unix:/run/x.sock", "unix:/run/x.sock", RT_ADDR_UNIX },
		{ "unix:a:b", "unix:a:b", RT_ADDR_UNIX },
		{ "tcp:127.0.0.1:10809", "127.0.0.1:10809", RT_ADDR_INET },
		{ "udp:10.0.0.255:0", "10.0.0.255:0", RT_ADDR_INET },
		{ "192.0.2.1:65535", "192.0.2.1:65535", RT_ADDR_INET },
		{ "[::1]:7", "[::1]:7", RT_ADDR_INET6 },
		{ "tcp:[2001:db8::1]:00080", "[2001:db8::1]:80", RT_ADDR_INET6 },
		{ "*:9", "[::]:9", RT_ADDR_INET6 },
		{ "[::ffff:192.0.2.1]:1", "192.0.2.1:1", RT_ADDR_INET },
	};
	char text[RT_ADDR_TEXT_MAX];
	struct rt_addr a, b;

	for (size_t i = 0; i < RT_ARRAY_LEN(good); i++) {
		memset(&a, 0xff, sizeof(a));
		assert_int_equal(rt_addr_parse(good[i].text, &a), 0);
		assert_int_equal(a.kind, good[i].kind);
		assert_string_equal(rt_addr_format(&a, text), good[i].printed);
		assert_int_equal(rt_addr_parse(text, &b), 0);
		assert_true(rt_addr_equal(&a, &b));
		assert_memory_equal(&a, &b, sizeof(a));
	}
}

static void bad_ones_are_refused_untouched(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		"::",
		"unix:",
		"tcp:",
		"tcp:1.2.3.4",
		"1.2.3.4",
		"1.2.3.4:",
		"1.2.3.4:-1",
		"1.2.3.4:+1",
		"1.2.3.4: 1",
		"1.2.3.4:1 ",
		"1.2.3.4:65536",
		"1.2.3.4:99999",
		"1.2.3.4:000080",
		"1.2.3.4:4294967297",
		"1.2.3.4:0x10",
		"1.2.3:1",
		"1.2.3.4.5:1",
		"1.2.3.256:1",
		"localhost:1",
		"tcp:tcp:1.2.3.4:1",
		"::1:1",
		"[::1]",
		"[::1]1",
		"[::1:1",
		"::1]:1",
		"[]:1",
		"[1.2.3.4]:1",
		"[::1%lo]:1",
		"[fe80::1%1]:1",
		"[*]:1",
		"**:1",
		"TCP:1.2.3.4:1",
		"unix",
		"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1",
	};
	struct rt_addr a, before;

	memset(&before, 0x77, sizeof(before));
	for (size_t i = 0; i < RT_ARRAY_LEN(bad); i++) {
		memcpy(&a, &before, sizeof(a));
		assert_int_equal(rt_addr_parse(bad[i], &a), -EINVAL);
		assert_memory_equal(&a, &before, sizeof(a));
	}
}

static void a_path_that_does_not_fit_is_refused(void **state)
{
	char text[5 + RT_ADDR_PATH_MAX + 1] = "unix:";
	char printed[RT_ADDR_TEXT_MAX];
	struct rt_addr a;

	memset(text + 5, 'p', RT_ADDR_PATH_MAX);
	text[5 + RT_ADDR_PATH_MAX] = '\0';
	assert_int_equal(rt_addr_parse(text, &a), -EINVAL);
	text[5 + RT_ADDR_PATH_MAX - 1] = '\0';
	assert_int_equal(rt_addr_parse(text, &a), 0);
	assert_string_equal(rt_addr_format(&a, printed), text);
}

static void equal_means_the_same_place(void **state)
{
	struct rt_addr a, b;

	assert_int_equal(rt_addr_parse("1.2.3.4:5", &a), 0);
	b = a;
	b.ip[9] = 1; /* not part of an IPv4 address */
	assert_true(rt_addr_equal(&a, &b));
	b.port = 6;
	assert_false(rt_addr_equal(&a, &b));
	b = a;
	b.ip[3] = 5;
	assert_false(rt_addr_equal(&a, &b));
	assert_int_equal(rt_addr_parse("unix:1.2.3.4", &b), 0);
	assert_false(rt_addr_equal(&a, &b));
}

/* To the kernel's addresses and back, and mapped ones under their own name. */
static void the_kernel_gets_the_same_address(void **state)
{
	static const char *const texts[] = { "unix:/x", "1.2.3.4:5", "[2001:db8::2]:6" };
	struct sockaddr_storage ss;
	struct rt_addr a, b;
	socklen_t len;

	for (size_t i = 0; i < RT_ARRAY_LEN(texts); i++) {
		assert_int_equal(rt_addr_parse(texts[i], &a), 0);
		len = uring_sockaddr(&a, uring_family(&a), &ss);
		assert_true(len > 0);
		uring_addr(&ss, len, &b);
		assert_true(rt_addr_equal(&a, &b));
	}
	assert_int_equal(rt_addr_parse("1.2.3.4:5", &a), 0);
	len = uring_sockaddr(&a, AF_INET6, &ss);
	assert_int_equal(len, sizeof(struct sockaddr_in6));
	uring_addr(&ss, len, &b);
	assert_true(rt_addr_equal(&a, &b));
	assert_int_equal(rt_addr_parse("[::1]:5", &a), 0);
	assert_int_equal(uring_sockaddr(&a, AF_INET, &ss), 0);
	uring_addr(&ss, 0, &b);
	assert_int_equal(b.kind, RT_ADDR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones_are_read_and_printed),
		cmocka_unit_test(bad_ones_are_refused_untouched),
		cmocka_unit_test(a_path_that_does_not_fit_is_refused),
		cmocka_unit_test(equal_means_the_same_place),
		cmocka_unit_test(the_kernel_gets_the_same_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
