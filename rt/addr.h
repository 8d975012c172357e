/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RT_ADDR_H
#define RT_ADDR_H

#include <stdbool.h>
#include <stdint.h>

enum rt_addr_kind { RT_ADDR_NONE, RT_ADDR_UNIX, RT_ADDR_INET, RT_ADDR_INET6 };

#define RT_ADDR_PATH_MAX 108

/* Where something listens or is reached. Comparable with rt_addr_equal(). */
struct rt_addr {
	enum rt_addr_kind kind;
	uint8_t ip[16]; /* the first four bytes for RT_ADDR_INET; network order */
	uint16_t port;	/* host order */
	char path[RT_ADDR_PATH_MAX];
};

/*
 * Read "unix:PATH", "tcp:HOST:PORT", "udp:HOST:PORT" or "HOST:PORT"; HOST is a numeric
 * address, IPv6 in brackets, or "*" for any. 0 or -EINVAL, with *ret untouched.
 */
int rt_addr_parse(const char *text, struct rt_addr *ret);

#define RT_ADDR_TEXT_MAX 128
/* As rt_addr_parse() reads it ("unix:PATH" or "HOST:PORT"). Returns `buf`. */
const char *rt_addr_format(const struct rt_addr *addr, char buf[RT_ADDR_TEXT_MAX]);

bool rt_addr_equal(const struct rt_addr *a, const struct rt_addr *b);

#endif
