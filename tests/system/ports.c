// SPDX-License-Identifier: BSD-3-Clause
/*
 * ports N: N port numbers of 127.0.0.1 at which nobody listens, neither TCP nor UDP, one
 * a line. They were free a moment ago. They lie below those that the kernel gives to who
 * connects, which another test does all the time, and above those of tests/wan/pair.sh.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORTS_MAX 100
#define PORT_FIRST 30002
#define PORT_LAST 32767
#define TRIES 1000

static int bound(int type, struct sockaddr_in *sin)
{
	socklen_t len = sizeof(*sin);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, (void *)sin, len) == 0 &&
	    getsockname(fd, (void *)sin, &len) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

/* All sockets stay open until the end, so that no number comes twice. */
static int find(void)
{
	for (int i = 0; i < TRIES; i++) {
		struct sockaddr_in sin = { .sin_family = AF_INET };
		unsigned draw;

		if (getrandom(&draw, sizeof(draw), 0) != sizeof(draw))
			return -1;
		draw = PORT_FIRST + draw % (PORT_LAST - PORT_FIRST + 1);
		sin.sin_port = htons((uint16_t)draw);
		sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		if (bound(SOCK_DGRAM, &sin) >= 0 && bound(SOCK_STREAM, &sin) >= 0)
			return ntohs(sin.sin_port);
	}
	return -1;
}

int main(int argc, char **argv)
{
	long n = argc == 2 ? strtol(argv[1], NULL, 10) : 0;

	if (n < 1 || n > PORTS_MAX)
		return 2;
	while (n-- > 0) {
		int port = find();

		if (port < 0)
			return 1;
		(void)printf("%d\n", port);
	}
	return 0;
}
