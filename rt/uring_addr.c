// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "rt/uring.h"

/* Between rt_addr and the kernel's addresses. */

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

static socklen_t unix_sockaddr(const struct rt_addr *addr, struct sockaddr_storage *ret)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	_Static_assert(sizeof(sun.sun_path) == RT_ADDR_PATH_MAX, "path length");
	memcpy(sun.sun_path, addr->path, sizeof(sun.sun_path) - 1);
	memcpy(ret, &sun, sizeof(sun));
	return sizeof(sun);
}

static socklen_t inet6_sockaddr(const struct rt_addr *addr, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6,
				     .sin6_port = htons(addr->port) };

	if (addr->kind == RT_ADDR_INET6) {
		memcpy(&sin6.sin6_addr, addr->ip, 16);
	} else {
		memcpy(&sin6.sin6_addr, mapped_prefix, 12);
		memcpy(sin6.sin6_addr.s6_addr + 12, addr->ip, 4);
	}
	memcpy(ret, &sin6, sizeof(sin6));
	return sizeof(sin6);
}

static socklen_t inet_sockaddr(const struct rt_addr *addr, struct sockaddr_storage *ret)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(addr->port) };

	memcpy(&sin.sin_addr, addr->ip, 4);
	memcpy(ret, &sin, sizeof(sin));
	return sizeof(sin);
}

socklen_t uring_sockaddr(const struct rt_addr *addr, int family,
			 struct sockaddr_storage *ret)
{
	bool inet = addr->kind == RT_ADDR_INET;
	bool inet6 = addr->kind == RT_ADDR_INET6;

	if (family == AF_UNIX && addr->kind == RT_ADDR_UNIX)
		return unix_sockaddr(addr, ret);
	if (family == AF_INET && inet)
		return inet_sockaddr(addr, ret);
	if (family == AF_INET6 && (inet || inet6))
		return inet6_sockaddr(addr, ret);
	return 0;
}

void uring_addr(const void *sockaddr, socklen_t len, struct rt_addr *ret)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };
	const struct sockaddr_un *sun = (const void *)&ss;
	const struct sockaddr_in *sin = (const void *)&ss;
	const struct sockaddr_in6 *sin6 = (const void *)&ss;

	memset(ret, 0, sizeof(*ret));
	memcpy(&ss, sockaddr, len < sizeof(ss) ? len : sizeof(ss));
	if (ss.ss_family == AF_UNIX) {
		ret->kind = RT_ADDR_UNIX;
		memcpy(ret->path, sun->sun_path, sizeof(ret->path) - 1);
	} else if (ss.ss_family == AF_INET) {
		ret->kind = RT_ADDR_INET;
		ret->port = ntohs(sin->sin_port);
		memcpy(ret->ip, &sin->sin_addr, 4);
	} else if (ss.ss_family == AF_INET6) {
		ret->kind = RT_ADDR_INET6;
		ret->port = ntohs(sin6->sin6_port);
		memcpy(ret->ip, &sin6->sin6_addr, 16);
		if (memcmp(ret->ip, mapped_prefix, 12) == 0) {
			ret->kind = RT_ADDR_INET;
			memmove(ret->ip, ret->ip + 12, 4);
			memset(ret->ip + 4, 0, 12);
		}
	}
}

void uring_source(const struct rt_addr *from, struct uring_source *ret)
{
	*ret = (struct uring_source){ .len = 0 };
	if (!from)
		return;
	if (from->kind == RT_ADDR_INET) {
		ret->level = IPPROTO_IP;
		ret->type = IP_PKTINFO;
		ret->len = sizeof(ret->info.inet);
		memcpy(&ret->info.inet.ipi_spec_dst, from->ip, 4);
	} else if (from->kind == RT_ADDR_INET6) {
		ret->level = IPPROTO_IPV6;
		ret->type = IPV6_PKTINFO;
		ret->len = sizeof(ret->info.inet6);
		memcpy(&ret->info.inet6.ipi6_addr, from->ip, 16);
	}
}

void uring_source_addr(const struct cmsghdr *c, struct rt_addr *ret)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	struct in_pktinfo inet;
	struct in6_pktinfo inet6;

	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO &&
	    c->cmsg_len >= CMSG_LEN(sizeof(inet))) {
		memcpy(&inet, CMSG_DATA(c), sizeof(inet));
		sin.sin_addr = inet.ipi_addr;
		uring_addr(&sin, sizeof(sin), ret);
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
		   c->cmsg_len >= CMSG_LEN(sizeof(inet6))) {
		memcpy(&inet6, CMSG_DATA(c), sizeof(inet6));
		sin6.sin6_addr = inet6.ipi6_addr;
		uring_addr(&sin6, sizeof(sin6), ret);
	}
}

void uring_local_addr(int fd, struct rt_addr *ret)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		len = 0;
	uring_addr(&ss, len, ret);
}

int uring_family(const struct rt_addr *addr)
{
	switch (addr->kind) {
	case RT_ADDR_UNIX:
		return AF_UNIX;
	case RT_ADDR_INET:
		return AF_INET;
	case RT_ADDR_INET6:
		return AF_INET6;
	case RT_ADDR_NONE:
		break;
	}
	return AF_UNSPEC;
}

int uring_socket(const struct rt_addr *addr, int type)
{
	int family = uring_family(addr), fd;

	if (family == AF_UNSPEC)
		return -EINVAL;
	fd = socket(family, type | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static int bind_one(const struct rt_addr *addr, int type)
{
	struct sockaddr_storage ss;
	socklen_t len = uring_sockaddr(addr, uring_family(addr), &ss);
	int fd = uring_socket(addr, type);
	int on = 1, off = 0, r;

	if (fd < 0)
		return fd;
	if (ss.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	/* A daemon that comes back must not wait for TIME_WAIT. */
	if (type == SOCK_STREAM && ss.ss_family != AF_UNIX)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&ss, len) < 0) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	return fd;
}

int uring_bind(const struct rt_addr *addr, int type, int *family)
{
	static const uint8_t any[16];
	struct rt_addr any4 = { .kind = RT_ADDR_INET, .port = addr->port };
	int fd = bind_one(addr, type);

	*family = uring_family(addr);
	if (addr->kind == RT_ADDR_INET6 && memcmp(addr->ip, any, sizeof(any)) == 0 &&
	    (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)) {
		fd = bind_one(&any4, type);
		*family = AF_INET;
	}
	return fd;
}
