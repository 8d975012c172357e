// SPDX-License-Identifier: BSD-3-Clause
#include "rt/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ADDR_HOST_MAX INET6_ADDRSTRLEN
#define ADDR_PORT_DIGITS 5

/* The first 12 bytes of an IPv4 address in IPv6 clothes, RFC 4291 section 2.5.5.2. */
static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

/* Decimal digits and nothing else, 0 to 65535. */
static int port_parse(const char *text, uint16_t *ret)
{
	size_t digits = strspn(text, "0123456789");
	unsigned port = 0;

	if (digits == 0 || digits > ADDR_PORT_DIGITS || text[digits])
		return -EINVAL;
	for (size_t i = 0; i < digits; i++)
		port = port * 10 + (unsigned)(text[i] - '0');
	if (port > UINT16_MAX)
		return -EINVAL;
	*ret = (uint16_t)port;
	return 0;
}

static int inet6_parse(const char *host, struct rt_addr *addr)
{
	if (inet_pton(AF_INET6, host, addr->ip) != 1)
		return -EINVAL;
	addr->kind = RT_ADDR_INET6;
	/* One address, one form: received ones are compared with configured ones. */
	if (memcmp(addr->ip, mapped_prefix, sizeof(mapped_prefix)) == 0) {
		addr->kind = RT_ADDR_INET;
		memmove(addr->ip, addr->ip + 12, 4);
		memset(addr->ip + 4, 0, 12);
	}
	return 0;
}

static int host_parse(const char *text, size_t len, struct rt_addr *addr)
{
	char host[ADDR_HOST_MAX];
	bool bracket = len >= 2 && text[0] == '[' && text[len - 1] == ']';

	if (bracket) {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	if (bracket)
		return inet6_parse(host, addr);
	if (strcmp(host, "*") == 0) {
		addr->kind = RT_ADDR_INET6; /* `::` takes both families */
		return 0;
	}
	addr->kind = RT_ADDR_INET;
	return inet_pton(AF_INET, host, addr->ip) == 1 ? 0 : -EINVAL;
}

static int unix_parse(const char *path, struct rt_addr *addr)
{
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(addr->path))
		return -EINVAL;
	addr->kind = RT_ADDR_UNIX;
	memcpy(addr->path, path, len);
	return 0;
}

int rt_addr_parse(const char *text, struct rt_addr *ret)
{
	struct rt_addr addr = { .kind = RT_ADDR_NONE };
	const char *colon;
	int r;

	if (strncmp(text, "unix:", 5) == 0) {
		r = unix_parse(text + 5, &addr);
	} else {
		if (strncmp(text, "tcp:", 4) == 0 || strncmp(text, "udp:", 4) == 0)
			text += 4;
		colon = strrchr(text, ':');
		if (!colon)
			return -EINVAL;
		r = port_parse(colon + 1, &addr.port);
		if (r == 0)
			r = host_parse(text, (size_t)(colon - text), &addr);
	}
	if (r < 0)
		return r;
	*ret = addr;
	return 0;
}

const char *rt_addr_format(const struct rt_addr *addr, char buf[RT_ADDR_TEXT_MAX])
{
	char host[ADDR_HOST_MAX] = "";

	switch (addr->kind) {
	case RT_ADDR_UNIX:
		(void)snprintf(buf, RT_ADDR_TEXT_MAX, "unix:%.*s", RT_ADDR_PATH_MAX - 1,
			       addr->path);
		return buf;
	case RT_ADDR_INET:
		(void)inet_ntop(AF_INET, addr->ip, host, sizeof(host));
		(void)snprintf(buf, RT_ADDR_TEXT_MAX, "%s:%u", host, addr->port);
		return buf;
	case RT_ADDR_INET6:
		(void)inet_ntop(AF_INET6, addr->ip, host, sizeof(host));
		(void)snprintf(buf, RT_ADDR_TEXT_MAX, "[%s]:%u", host, addr->port);
		return buf;
	case RT_ADDR_NONE:
		break;
	}
	(void)snprintf(buf, RT_ADDR_TEXT_MAX, "none");
	return buf;
}

bool rt_addr_equal(const struct rt_addr *a, const struct rt_addr *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case RT_ADDR_UNIX:
		return strncmp(a->path, b->path, sizeof(a->path)) == 0;
	case RT_ADDR_INET:
		return a->port == b->port && memcmp(a->ip, b->ip, 4) == 0;
	case RT_ADDR_INET6:
		return a->port == b->port && memcmp(a->ip, b->ip, 16) == 0;
	case RT_ADDR_NONE:
		break;
	}
	return true;
}
