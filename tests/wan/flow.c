// SPDX-License-Identifier: BSD-3-Clause
/*
 * One TCP flow over a line, to compare with.
 *
 * flow sink PORT SECONDS [SKIP]    takes one connection, reads for SECONDS from the first
 *                                  byte on, or to its end, and prints
 *                                      bytes=N seconds=X mbit=X
 *                                  of what is received after the first SKIP seconds
 * flow send ADDRESS PORT CONGESTION
 *                                  fills a connection with that congestion control until
 *                                  the other end closes it; prints
 *                                      sent=N retransmitted=N srtt_ms=X
 *
 * The sink prints "ready" when it listens.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (256 << 10)
#define ACCEPT_SECONDS 30 /* nobody waits for a sender that does not come */

static uint8_t data[CHUNK];

static _Noreturn void give_up(const char *what)
{
	(void)fprintf(stderr, "flow: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int accept_one(const char *port)
{
	struct sockaddr_in here = { .sin_family = AF_INET,
				    .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
				    .sin_addr.s_addr = htonl(INADDR_ANY) };
	struct timeval patience = { .tv_sec = ACCEPT_SECONDS };
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int one = 1;
	int fd;

	(void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	(void)setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (bind(listener, (struct sockaddr *)&here, sizeof(here)) != 0 ||
	    listen(listener, 1) != 0)
		give_up(port);
	(void)printf("ready\n");
	(void)fflush(stdout);
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		give_up("accept");
	(void)close(listener);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static int flow_sink(const char *port, double seconds, double skip)
{
	int fd = accept_one(port);
	double began = 0;
	double last = 0;
	uint64_t bytes = 0;

	for (;;) {
		ssize_t n = read(fd, data, sizeof(data));

		if (n < 0)
			give_up("read");
		if (n == 0)
			break;
		last = now_s();
		if (began == 0)
			began = last;
		if (last - began >= skip)
			bytes += (uint64_t)n;
		if (last - began >= seconds)
			break;
	}
	last -= began + skip;
	(void)printf("bytes=%llu seconds=%.3f mbit=%.3f\n", (unsigned long long)bytes,
		     last, last > 0 ? (double)bytes * 8 / last / 1e6 : 0);
	(void)close(fd);
	return 0;
}

static int flow_send(const char *address, const char *port, const char *congestion)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	uint64_t sent = 0;
	ssize_t n;

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1) {
		errno = EINVAL;
		give_up(address);
	}
	if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion,
		       (socklen_t)strlen(congestion)) != 0)
		give_up(congestion);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		give_up("connect");
	while ((n = send(fd, data, sizeof(data), MSG_NOSIGNAL)) > 0) {
		sent += (uint64_t)n;
		(void)getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	}
	(void)printf("sent=%llu retransmitted=%u srtt_ms=%.3f\n",
		     (unsigned long long)sent, info.tcpi_total_retrans,
		     (double)info.tcpi_rtt / 1e3);
	return 0;
}

int main(int argc, char **argv)
{
	if ((argc == 4 || argc == 5) && strcmp(argv[1], "sink") == 0)
		return flow_sink(argv[2], strtod(argv[3], NULL),
				 argc == 5 ? strtod(argv[4], NULL) : 0);
	if (argc == 5 && strcmp(argv[1], "send") == 0)
		return flow_send(argv[2], argv[3], argv[4]);
	(void)fputs(
		"usage: flow sink PORT SECONDS [SKIP] | send ADDRESS PORT CONGESTION\n",
		stderr);
	return 2;
}
