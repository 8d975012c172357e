// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "nbd-server/client.h"
#include "rt/check.h"
#include "rt/log.h"
#include "tests/unit/alloc.h"
#include "tests/unit/nbd-server/live/live.h"

/*
 * Whoever is refused, closed or lost has a line in the log: its address, what and why, and
 * what would be right where there is something to do. A flood of them is a line a second,
 * and what had no line is counted.
 */

#define LINES_MAX 1024

/* Written by the loop's thread. */
static pthread_mutex_t lines_lock = PTHREAD_MUTEX_INITIALIZER;
static char lines[LINES_MAX][512];
static unsigned nlines;

static void line_keep(void *owner, enum rt_log_level level, const char *line)
{
	pthread_mutex_lock(&lines_lock);
	if (nlines < LINES_MAX)
		(void)snprintf(lines[nlines++], sizeof(lines[0]), "%s", line);
	pthread_mutex_unlock(&lines_lock);
}

static int lines_begin(void **state)
{
	rt_log_set_sink(line_keep, NULL);
	return 0;
}

static int lines_clear(void **state)
{
	pthread_mutex_lock(&lines_lock);
	nlines = 0;
	pthread_mutex_unlock(&lines_lock);
	return 0;
}

static unsigned lines_of(const char *event)
{
	unsigned n = 0;

	pthread_mutex_lock(&lines_lock);
	for (unsigned i = 0; i < nlines; i++)
		n += strncmp(lines[i], event, strlen(event)) == 0;
	pthread_mutex_unlock(&lines_lock);
	return n;
}

/* The last line that begins with `event` has all the texts. */
static void last_line_has(const char *event, const char *const *texts)
{
	const char *line = NULL;

	if (lines_of(event) == 0)
		fail_msg("no line is of %s", event);
	pthread_mutex_lock(&lines_lock);
	for (unsigned i = 0; i < nlines; i++)
		if (strncmp(lines[i], event, strlen(event)) == 0)
			line = lines[i];
	for (; *texts; texts++)
		if (!strstr(line, *texts))
			fail_msg("no %s in: %s", *texts, line);
	pthread_mutex_unlock(&lines_lock);
}

/* The same of the only one. */
static void line_has(const char *event, const char *const *texts)
{
	if (lines_of(event) != 1)
		fail_msg("%u lines are of %s", lines_of(event), event);
	last_line_has(event, texts);
}

/* ---- clients over TCP: they have an address ------------------------------------------ */

/* "client=ADDRESS " of the last one that connected. */
static char client_text[96];

static int tcp_connect(struct live *live, bool v6)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6,
				     .sin6_addr = IN6ADDR_LOOPBACK_INIT,
				     .sin6_port = htons((uint16_t)live_port(live, v6)) };
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr = { htonl(INADDR_LOOPBACK) },
				   .sin_port = sin6.sin6_port };
	socklen_t len = v6 ? sizeof(sin6) : sizeof(sin);
	struct sockaddr *addr = v6 ? (void *)&sin6 : (void *)&sin;
	struct timeval limit = { LIVE_WAIT_MS / 1000, 0 };
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, addr, len), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)),
			 0);
	assert_int_equal(getsockname(fd, addr, &len), 0);
	(void)snprintf(client_text, sizeof(client_text), "client=%s:%u ",
		       v6 ? "[::1]" : "127.0.0.1",
		       ntohs(v6 ? sin6.sin6_port : sin.sin_port));
	return fd;
}

static void negotiate(int fd)
{
	static const uint8_t hello[] = "\0\0\0\3IHAVEOPT\0\0\0\7\0\0\0\12"
				       "\0\0\0\4vol0\0\0";

	raw_send(fd, hello, sizeof(hello) - 1);
	raw_recv_any(fd, 18 + 20 + 14 + 20 + 12 + 20);
}

/* What a client sends, and what the log says of it. */
struct breach {
	const char *bytes;
	size_t len;
	const char *event;
	const char *texts[4];
};

#define SENDS(text) text, sizeof(text) - 1

static void breaches_have_their_lines(void **state)
{
	static const struct breach breaches[] = {
		{ SENDS("\x16\x03\x01\x02"), /* the beginning of TLS */
		  "nbd-handshake-failed ",
		  { "flags that no NBD client sets", "without TLS" } },
		{ SENDS("\0\0\0\3GET / HTTP/1.1\r\n"),
		  "nbd-handshake-failed ",
		  { "no option begins like this", "is it an NBD client" } },
		{ SENDS("\0\0\0\0IHAVEOPT\0\0\0\7\0\0\0\0"),
		  "nbd-handshake-failed ",
		  { "no option but EXPORT_NAME" } },
		{ SENDS("\0\0\0\3IHAVEOPT\0\0\0\1\0\0\x10\1"),
		  "nbd-handshake-failed ",
		  { "name of the export is too long" } },
		{ SENDS("\0\0\0\3IHAVEOPT\0\0\0\1\0\0\x20\1"),
		  "nbd-handshake-failed ",
		  { "name of the export is too long" } },
		{ SENDS("\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0\4vol9"),
		  "nbd-handshake-failed ",
		  { "export=\"vol9\" why=\"no export of this name", "LIST" } },
		{ SENDS("\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0\0"),
		  "nbd-handshake-failed ",
		  { " why=\"there is more than one export" } },
		{ SENDS("\0\0\0\3IHAVEOPT\0\0\0\7\0\0\0\12\0\0\0\4vo\"\n\0\0"),
		  "nbd-option-refused ",
		  { "export=\"vo\\\"\\x0a\" why=\"no export of this name",
		    "option=7 " } },
		{ SENDS("\0\0\0\3IHAVEOPT\0\0\0\5\0\0\0\0"),
		  "nbd-option-refused ",
		  { "does not have this option", "option=5 " } },
	};
	static char bytes[9000];

	for (size_t i = 0; i < RT_ARRAY_LEN(breaches); i++) {
		const struct breach *b = &breaches[i];
		bool refused = strcmp(b->event, "nbd-option-refused ") == 0;
		struct live *live = live_start(NULL);
		int fd = tcp_connect(live, i % 2);

		(void)lines_clear(NULL);
		raw_recv_any(fd, 18);
		memcpy(bytes, b->bytes, b->len);
		/* Those of a long name follow. */
		raw_send(fd, bytes,
			 b->len == 20 && b->bytes[18] ? sizeof(bytes) : b->len);
		if (refused)
			live_wait_for(live, refused_options, 1);
		else
			live_wait_for(live, handshake_errors, 1);
		line_has(b->event, b->texts);
		line_has(b->event, (const char *[]){ client_text, " others=0", NULL });
		live_wait_for(live, unlogged, 0);
		close(fd);
		live_end(live);
	}
}

static void bad_request_has_its_line(void **state)
{
	struct live *live = live_start(NULL);
	int fd = tcp_connect(live, true);

	negotiate(fd);
	raw_send(fd, "this is no request at all...", 28);
	raw_expect_end(fd);
	live_wait_for(live, protocol_errors, 1);
	line_has("nbd-protocol-error ",
		 (const char *[]){ client_text, "export=\"vol0\"",
				   "why=\"no request begins like this\"", NULL });
	close(fd);
	live_end(live);
}

static void slow_negotiations_have_their_lines(void **state)
{
	static const char *const whys[] = { "it has said nothing in time",
					    "it has chosen no export in time" };
	const struct nbds_limits limits = { .handshake_ms = 100 };

	for (unsigned i = 0; i < RT_ARRAY_LEN(whys); i++) {
		struct live *live = live_start(&limits);
		int fd = tcp_connect(live, false);

		(void)lines_clear(NULL);
		raw_send(fd, "\0\0\0\3IHAVE", i == 0 ? 3 : 9);
		live_wait_for(live, handshake_timeouts, 1);
		line_has("nbd-handshake-timeout ",
			 (const char *[]){ client_text, whys[i], NULL });
		close(fd);
		live_end(live);
	}
}

/* ---- those whose memory others need --------------------------------------------------- */

static void evicted_clients_have_their_line(void **state)
{
	enum { SITTERS = 9 };
	static const char *const whys[] = {
		"the data of a write that it has begun do not",
		"it does not read its answers"
	};
	const struct nbds_limits limits = {
		.memory = NBDS_MEMORY_MIN,
		.patience_ms = 1, /* and a second for RAW_PIECE */
	};

	for (unsigned way = 0; way < RT_ARRAY_LEN(whys); way++) {
		struct live *live = live_start(&limits);
		int sitter[SITTERS], waits;

		(void)lines_clear(NULL);
		for (unsigned i = 0; i < SITTERS; i++) {
			sitter[i] = raw_open(live); /* a socket that takes little */
			raw_request(sitter[i], way ? NBDS_CMD_READ : NBDS_CMD_WRITE, 0, 1,
				    0, RAW_PIECE);
		}
		live_wait_for(live, memory, SITTERS * RAW_PIECE);
		waits = raw_open(live);
		raw_request(waits, NBDS_CMD_READ, 0, 2, 0, RAW_BIG);
		raw_expect(waits, 2, NBDS_OK);
		raw_recv_any(waits, RAW_BIG);
		last_line_has("nbd-evicted ",
			      (const char *[]){ "client=unix ", "export=\"vol0\"",
						"others wait for memory", whys[way],
						NULL });
		for (unsigned i = 0; i < SITTERS; i++)
			close(sitter[i]);
		close(waits);
		live_end(live);
	}
}

/* Who does not read its last answers. */
static void who_holds_up_its_own_end_has_its_line(void **state)
{
	const struct nbds_limits limits = { .patience_ms = 100 };
	struct live *live = live_start(&limits);
	int fd = tcp_connect(live, false);

	negotiate(fd);
	for (unsigned n = 0; n < 40; n++) /* more than the kernel takes */
		raw_request(fd, NBDS_CMD_READ, 0, n, 0, RAW_PIECE);
	raw_request(fd, NBDS_CMD_DISC, 0, 0, 0, 0);
	live_wait_for(live, connections, 0);
	line_has("nbd-evicted ",
		 (const char *[]){ client_text, "does not read its last answers", NULL });
	close(fd);
	live_end(live);
}

/* ---- connections that break ----------------------------------------------------------- */

static void reset_connection_has_its_line(void **state)
{
	const struct linger at_once = { .l_onoff = 1 };
	struct live *live = live_start(NULL);
	int fd = tcp_connect(live, false);

	negotiate(fd);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)),
			 0);
	close(fd);
	live_wait_for(live, connections, 0);
	line_has("nbd-connection-lost ",
		 (const char *[]){ client_text, "export=\"vol0\"",
				   "error=\"Connection reset by peer\"", NULL });
	live_end(live);
}

/* This process's socket whose other end is that of `fd`: the server's. */
static int other_end(int fd)
{
	struct sockaddr_in mine, peer;
	socklen_t len = sizeof(mine);
	struct dirent *e;
	int found = -1;
	DIR *dir = opendir("/proc/self/fd");

	assert_non_null(dir);
	assert_int_equal(getsockname(fd, (void *)&mine, &len), 0);
	while ((e = readdir(dir))) {
		int other = (int)strtol(e->d_name, NULL, 10);

		len = sizeof(peer);
		if (getpeername(other, (void *)&peer, &len) == 0 &&
		    peer.sin_family == AF_INET && peer.sin_port == mine.sin_port)
			found = other;
	}
	closedir(dir);
	assert_true(found >= 0);
	return found;
}

/*
 * A host that vanishes: here, one that takes nothing any more, and a kernel that waits for
 * less long than the server lets it.
 */
static void silent_host_has_its_line(void **state)
{
	const int ms = 100;
	struct live *live = live_start(NULL);
	int fd = tcp_connect(live, false);

	negotiate(fd);
	assert_int_equal(setsockopt(other_end(fd), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms,
				    sizeof(ms)),
			 0);
	for (unsigned n = 0; n < 40; n++)
		raw_request(fd, NBDS_CMD_READ, 0, n, 0, RAW_PIECE);
	live_wait_for(live, connections, 0);
	line_has("nbd-connection-lost ",
		 (const char *[]){ client_text, "export=\"vol0\"", "for 60 s",
				   "is the host up", "error=\"Connection timed out\"",
				   NULL });
	close(fd);
	live_end(live);
}

/* ---- memory ------------------------------------------------------------------------------- */

static void input_fails(struct live *live, void *arg)
{
	fail_len = *(size_t *)arg;
}

static void set_fail_len(struct live *live, size_t len)
{
	live_call(live, input_fails, &len);
}

static void connection_without_memory_has_its_line(void **state)
{
	struct live *live = live_start(NULL);
	int fd;

	set_fail_len(live, NBDS_INPUT_SIZE);
	fd = tcp_connect(live, false);
	raw_expect_end(fd);
	live_wait_for(live, refused, 1);
	set_fail_len(live, 0);
	line_has("nbd-connection-refused ",
		 (const char *[]){ client_text, "no memory for one more",
				   "lower nbd.connections", NULL });
	raw_expect_service(live);
	close(fd);
	live_end(live);
}

static void request_without_memory_has_its_line(void **state)
{
	struct live *live = live_start(NULL);
	int fd = tcp_connect(live, false);

	negotiate(fd);
	set_fail_len(live, sizeof(struct nbds_job));
	raw_request(fd, NBDS_CMD_FLUSH, 0, 1, 0, 0);
	raw_expect_end(fd);
	set_fail_len(live, 0);
	live_wait_for(live, connections, 0);
	line_has("nbd-connection-lost ",
		 (const char *[]){ client_text, "no memory for a request",
				   "error=\"Cannot allocate memory\"", NULL });
	close(fd);
	live_end(live);
}

/* ---- floods ------------------------------------------------------------------------------ */

static void flood_is_a_line_a_second(void **state)
{
	enum { CROWD = 500 };
	struct timespec begin, end;
	struct live *live = live_start(NULL);
	struct nbds_stats stats;
	unsigned n;
	int fd;

	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	for (unsigned i = 0; i < CROWD; i++) {
		fd = tcp_connect(live, false);
		raw_send(fd, "\377\377\377\377", 4);
		raw_recv_any(fd, 18);
		raw_expect_end(fd);
		close(fd);
	}
	live_wait_for(live, handshake_errors, CROWD);
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	n = lines_of("nbd-handshake-failed ");
	assert_in_range(n, 1, 2 + (unsigned)(end.tv_sec - begin.tv_sec));
	live_stats(live, &stats);
	assert_int_equal(stats.unlogged + n, CROWD);
	/* Who is refused for another reason has its line meanwhile. */
	fd = tcp_connect(live, false);
	negotiate(fd);
	raw_send(fd, "this is no request at all...", 28);
	raw_expect_end(fd);
	live_wait_for(live, protocol_errors, 1);
	line_has("nbd-protocol-error ", (const char *[]){ client_text, NULL });
	close(fd);
	live_end(live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(breaches_have_their_lines, lines_clear),
		cmocka_unit_test_setup(bad_request_has_its_line, lines_clear),
		cmocka_unit_test_setup(slow_negotiations_have_their_lines, lines_clear),
		cmocka_unit_test_setup(evicted_clients_have_their_line, lines_clear),
		cmocka_unit_test_setup(who_holds_up_its_own_end_has_its_line,
				       lines_clear),
		cmocka_unit_test_setup(reset_connection_has_its_line, lines_clear),
		cmocka_unit_test_setup(silent_host_has_its_line, lines_clear),
		cmocka_unit_test_setup(connection_without_memory_has_its_line,
				       lines_clear),
		cmocka_unit_test_setup(request_without_memory_has_its_line, lines_clear),
		cmocka_unit_test_setup(flood_is_a_line_a_second, lines_clear),
	};

	return cmocka_run_group_tests(tests, lines_begin, NULL);
}
