// SPDX-License-Identifier: BSD-3-Clause
/*
 * strangers FROM PORT RATE [HOSTS]: connects from address FROM to 127.0.0.1:PORT, RATE times
 * a second, until it is killed; says nothing, and gives up after some seconds. With HOSTS it
 * uses so many addresses from FROM on, and says the hello of TLS that anybody is answered.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/tunnel/stranger.h"

#define HELD_MAX 3000
#define NS_PER_S 1000000000L

static int knock(const struct sockaddr_in *from, const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (bind(fd, (const void *)from, sizeof(*from)) == 0 &&
	    (connect(fd, (const void *)to, sizeof(*to)) == 0 || errno == EINPROGRESS))
		return fd;
	(void)close(fd);
	return -1;
}

/* One that has connected a moment ago; if it was refused, so be it. */
static void say_hello(int fd)
{
	uint8_t hello[STRANGER_HELLO_MAX];

	if (fd >= 0)
		(void)send(fd, hello, stranger_hello(hello), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static unsigned places(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return 1;
	lim.rlim_cur = lim.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &lim);
	return lim.rlim_max > HELD_MAX + 50 ? HELD_MAX : (unsigned)lim.rlim_max - 50;
}

int main(int argc, char **argv)
{
	struct sockaddr_in from = { .sin_family = AF_INET }, to = from;
	long rate = argc >= 4 ? strtol(argv[3], NULL, 10) : 0;
	long hosts = argc == 5 ? strtol(argv[4], NULL, 10) : 1;
	static int held[HELD_MAX];
	unsigned n = places();
	struct timespec at;
	uint32_t first;

	if (argc > 5 || hosts < 1 || hosts > 10000 || rate < 1 || rate > NS_PER_S ||
	    inet_pton(AF_INET, argv[1], &from.sin_addr) != 1)
		return 2;
	first = ntohl(from.sin_addr.s_addr);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)strtol(argv[2], NULL, 10));
	memset(held, -1, sizeof(held));
	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	for (unsigned i = 0;; i = (i + 1) % n) {
		if (held[i] >= 0)
			(void)close(held[i]);
		from.sin_addr.s_addr = htonl(first + i % (uint32_t)hosts);
		held[i] = knock(&from, &to);
		if (argc == 5)
			say_hello(held[(i + n - 1) % n]);
		at.tv_nsec += NS_PER_S / rate;
		if (at.tv_nsec >= NS_PER_S) {
			at.tv_nsec -= NS_PER_S;
			at.tv_sec++;
		}
		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
	}
}
