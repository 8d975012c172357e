// SPDX-License-Identifier: BSD-3-Clause
/*
 * Measures what a line does, from outside: it is both ends at once.
 *
 * wanprobe udp LISTEN TO MBIT MS [BYTES]   sends stamped datagrams in both directions
 * wanprobe tcp LISTEN TO BYTES             sends a stream from A to B, which B answers
 * wanprobe netns A B MBIT MS [BYTES]       datagrams between two network namespaces
 *
 * LISTEN is the relay's port, TO the one it relays to; A and B are the namespaces' names.
 * BYTES is a datagram's payload (1408). Prints name=value words.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_PAYLOAD 1408
#define MAX_PAYLOAD 1472
#define HEADS 28 /* of IP and UDP */
#define NETNS_A "10.77.0.1"
#define NETNS_B "10.77.0.2"
#define NETNS_PORT 5999
#define MAX_BURST 64
#define MAX_MEASURED 4000000
#define SILENCE_MS 500 /* longer than any delay that is tested */

struct stamp {
	uint64_t number;
	uint64_t sent_ns;
};

struct end {
	int fd;
	uint64_t sent, received, late_order, expected;
	uint64_t first_ns, last_ns, least_ns;
	uint64_t runs; /* of losses */
	uint32_t *delays_us;
};

static size_t payload = DEFAULT_PAYLOAD;

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static _Noreturn void give_up(const char *what)
{
	(void)fprintf(stderr, "wanprobe: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct sockaddr_in loopback(const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port =
					       htons((uint16_t)strtoul(port, NULL, 10)),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return address;
}

/* Sends stamped datagrams, up to `owed` and a batch. */
static void send_some(struct end *end, uint64_t owed)
{
	unsigned int n = owed > MAX_BURST ? MAX_BURST : (unsigned int)owed;
	static uint8_t data[MAX_BURST][MAX_PAYLOAD];
	struct mmsghdr msgs[MAX_BURST];
	struct iovec iov[MAX_BURST];
	int sent;

	for (unsigned int i = 0; i < n; i++) {
		struct stamp stamp = { end->sent + i, now_ns() };

		memcpy(data[i], &stamp, sizeof(stamp));
		iov[i] = (struct iovec){ data[i], payload };
		msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i],
							 .msg_iovlen = 1 } };
	}
	sent = sendmmsg(end->fd, msgs, n, 0);
	if (sent > 0)
		end->sent += (uint64_t)sent;
}

static void take(struct end *end, const uint8_t *data, uint64_t now)
{
	struct stamp stamp;
	uint64_t delay;

	memcpy(&stamp, data, sizeof(stamp));
	delay = now - stamp.sent_ns;
	if (end->first_ns == 0)
		end->first_ns = now;
	end->last_ns = now;
	if (end->received < MAX_MEASURED)
		end->delays_us[end->received] = (uint32_t)(delay / 1000);
	if (end->received == 0 || delay < end->least_ns)
		end->least_ns = delay;
	end->received++;
	if (stamp.number < end->expected) {
		end->late_order++;
		return;
	}
	if (stamp.number > end->expected)
		end->runs++;
	end->expected = stamp.number + 1;
}

static bool receive_some(struct end *end)
{
	static uint8_t data[MAX_BURST][MAX_PAYLOAD];
	struct mmsghdr msgs[MAX_BURST];
	struct iovec iov[MAX_BURST];
	uint64_t now;
	int n;

	for (int i = 0; i < MAX_BURST; i++) {
		iov[i] = (struct iovec){ data[i], MAX_PAYLOAD };
		msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i],
							 .msg_iovlen = 1 } };
	}
	n = recvmmsg(end->fd, msgs, MAX_BURST, MSG_DONTWAIT, NULL);
	now = now_ns();
	for (int i = 0; i < n; i++)
		take(end, data[i], now);
	return n > 0;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void report(const char *name, const struct end *end)
{
	uint64_t n = end->received < MAX_MEASURED ? end->received : MAX_MEASURED;
	double span = (double)(end->last_ns - end->first_ns) / 1e9;
	uint64_t lost = end->sent > end->received ? end->sent - end->received : 0;

	qsort(end->delays_us, n, sizeof(*end->delays_us), by_value);
	(void)printf("%s.sent=%llu %s.received=%llu %s.reordered=%llu ", name,
		     (unsigned long long)end->sent, name,
		     (unsigned long long)end->received, name,
		     (unsigned long long)end->late_order);
	(void)printf("%s.least_ms=%.3f %s.median_ms=%.3f %s.p99_ms=%.3f ", name,
		     (double)end->least_ns / 1e6, name,
		     n ? (double)end->delays_us[n / 2] / 1e3 : 0, name,
		     n ? (double)end->delays_us[n * 99 / 100] / 1e3 : 0);
	(void)printf("%s.mbit=%.3f %s.burst=%.3f\n", name,
		     span > 0 ? (double)n * (double)(payload + HEADS) * 8 / span / 1e6
			      : 0,
		     name, end->runs ? (double)lost / (double)end->runs : 0);
}

static void make_end(struct end *end)
{
	int bytes = 16 << 20;

	end->fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (setsockopt(end->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0)
		(void)setsockopt(end->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	end->delays_us = calloc(MAX_MEASURED, sizeof(*end->delays_us));
	if (end->delays_us == NULL)
		give_up("memory");
}

/* An end in another network namespace, as tests/wan/line.sh addresses them. */
static void open_in_netns(struct end *end, const char *name, const char *own,
			  const char *other)
{
	struct sockaddr_in here = { .sin_family = AF_INET,
				    .sin_port = htons(NETNS_PORT) };
	struct sockaddr_in there = here;
	char path[128];
	int netns;

	(void)snprintf(path, sizeof(path), "/run/netns/%s", name);
	netns = open(path, O_RDONLY | O_CLOEXEC);
	if (netns < 0 || setns(netns, CLONE_NEWNET) != 0)
		give_up(name);
	(void)close(netns);
	make_end(end);
	(void)inet_pton(AF_INET, own, &here.sin_addr);
	(void)inet_pton(AF_INET, other, &there.sin_addr);
	if (bind(end->fd, (struct sockaddr *)&here, sizeof(here)) != 0 ||
	    connect(end->fd, (struct sockaddr *)&there, sizeof(there)) != 0)
		give_up(own);
}

static void open_udp(struct end *a, struct end *b, const char *listen_port,
		     const char *to_port)
{
	struct sockaddr_in relay = loopback(listen_port);
	struct sockaddr_in here = loopback(to_port);
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	uint8_t hello[MAX_PAYLOAD];

	make_end(a);
	make_end(b);
	if (bind(b->fd, (struct sockaddr *)&here, sizeof(here)) != 0)
		give_up("bind");
	if (connect(a->fd, (struct sockaddr *)&relay, sizeof(relay)) != 0)
		give_up("connect");
	/* B learns the relay's address from the first datagram that comes through. */
	for (int tries = 0;; tries++) {
		struct pollfd in = { .fd = b->fd, .events = POLLIN };

		if (tries == 50) {
			errno = ETIMEDOUT;
			give_up("nothing comes through");
		}
		(void)send(a->fd, hello, 1, 0);
		if (poll(&in, 1, 100) == 1)
			break;
	}
	if (recvfrom(b->fd, hello, sizeof(hello), 0, (struct sockaddr *)&from, &len) <
		    0 ||
	    connect(b->fd, (struct sockaddr *)&from, sizeof(from)) != 0)
		give_up("first datagram");
	for (struct pollfd in = { .fd = b->fd, .events = POLLIN };
	     poll(&in, 1, 300) == 1;)
		(void)recv(b->fd, hello, sizeof(hello), MSG_DONTWAIT);
}

static int probe_udp(char **argv)
{
	struct end a = { 0 };
	struct end b = { 0 };
	double per_ns = strtod(argv[4], NULL) * 1e-3 / 8 / (double)(payload + HEADS);
	uint64_t duration = strtoull(argv[5], NULL, 10) * 1000000;
	uint64_t began, last;

	if (strcmp(argv[1], "udp") == 0) {
		open_udp(&a, &b, argv[2], argv[3]);
	} else {
		open_in_netns(&a, argv[2], NETNS_A, NETNS_B);
		open_in_netns(&b, argv[3], NETNS_B, NETNS_A);
	}
	(void)printf("ready\n");
	(void)fflush(stdout);
	began = last = now_ns();
	for (;;) {
		uint64_t now = now_ns();
		uint64_t owed = (uint64_t)((double)(now - began) * per_ns);
		struct pollfd in[2] = { { .fd = a.fd, .events = POLLIN },
					{ .fd = b.fd, .events = POLLIN } };
		bool sending = now - began < duration;
		bool heard;

		if (sending && owed > a.sent)
			send_some(&a, owed - a.sent);
		if (sending && owed > b.sent)
			send_some(&b, owed - b.sent);
		heard = receive_some(&a);
		heard = receive_some(&b) || heard;
		if (heard)
			last = now;
		else
			(void)poll(in, 2, 1);
		if (!sending && now - last > SILENCE_MS * UINT64_C(1000000))
			break;
	}
	/* What a sent, b received, and the other way round. */
	uint64_t sent_by_a = a.sent;

	a.sent = b.sent;
	b.sent = sent_by_a;
	report("ab", &b);
	report("ba", &a);
	free(a.delays_us);
	free(b.delays_us);
	return 0;
}

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at * 2654435761U >> 13);
}

struct stream {
	int a, b, listener;
	uint64_t want, sent, received;
	bool wrong;
};

static bool stream_send(struct stream *s)
{
	uint8_t data[16384];
	size_t n = s->want - s->sent < sizeof(data) ? s->want - s->sent : sizeof(data);
	ssize_t res;

	for (size_t i = 0; i < n; i++)
		data[i] = pattern(s->sent + i);
	res = send(s->a, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (res < 0 && errno != EAGAIN)
		return false;
	if (res > 0)
		s->sent += (uint64_t)res;
	if (s->sent == s->want)
		(void)shutdown(s->a, SHUT_WR);
	return true;
}

/* 1 while there may be more, 0 at the end of the stream, -1 if it broke. */
static int stream_receive(struct stream *s)
{
	uint8_t data[16384];
	ssize_t n = recv(s->b, data, sizeof(data), MSG_DONTWAIT);

	if (n == 0)
		return 0;
	if (n < 0)
		return errno == EAGAIN ? 1 : -1;
	for (ssize_t i = 0; i < n; i++)
		s->wrong |= data[i] != pattern(s->received + (uint64_t)i);
	s->received += (uint64_t)n;
	return 1;
}

static int probe_tcp(char **argv)
{
	struct sockaddr_in relay = loopback(argv[2]);
	struct sockaddr_in here = loopback(argv[3]);
	struct stream s = { .want = strtoull(argv[4], NULL, 10) };
	uint64_t began, took;
	int more = 1;
	int one = 1;
	char answer;

	s.listener = socket(AF_INET, SOCK_STREAM, 0);
	s.a = socket(AF_INET, SOCK_STREAM, 0);
	(void)setsockopt(s.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s.listener, (struct sockaddr *)&here, sizeof(here)) != 0 ||
	    listen(s.listener, 1) != 0)
		give_up("listen");
	began = now_ns();
	if (connect(s.a, (struct sockaddr *)&relay, sizeof(relay)) != 0)
		give_up("connect");
	s.b = accept(s.listener, NULL, NULL);
	if (s.b < 0)
		give_up("accept");
	while (more == 1) {
		struct pollfd p[2] = { { .fd = s.b, .events = POLLIN },
				       { .fd = s.sent < s.want ? s.a : -1,
					 .events = POLLOUT } };

		if (poll(p, 2, 10000) <= 0)
			give_up("stream stands still");
		if (p[1].revents && !stream_send(&s))
			give_up("send");
		if (p[0].revents)
			more = stream_receive(&s);
	}
	if (more < 0)
		give_up("broken stream");
	took = now_ns() - began;
	if (send(s.b, "!", 1, MSG_NOSIGNAL) != 1 || recv(s.a, &answer, 1, 0) != 1)
		give_up("answer");
	(void)printf("received=%llu wrong=%d mbit=%.3f answer_ms=%.3f\n",
		     (unsigned long long)s.received, s.wrong,
		     (double)s.received * 8e3 / (double)took,
		     (double)(now_ns() - began - took) / 1e6);
	return s.wrong || s.received != s.want;
}

int main(int argc, char **argv)
{
	if (argc == 7) {
		payload = strtoull(argv[6], NULL, 10);
		argc--;
	}
	if (payload < sizeof(struct stamp) || payload > MAX_PAYLOAD)
		argc = 0;
	if (argc == 6 && (strcmp(argv[1], "udp") == 0 || strcmp(argv[1], "netns") == 0))
		return probe_udp(argv);
	if (argc == 5 && strcmp(argv[1], "tcp") == 0)
		return probe_tcp(argv);
	(void)fprintf(
		stderr,
		"usage: wanprobe udp LISTEN TO MBIT MS [BYTES] | tcp LISTEN TO BYTES |\n"
		"       netns A B MBIT MS [BYTES]\n");
	return 2;
}
