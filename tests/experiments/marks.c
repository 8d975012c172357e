// SPDX-License-Identifier: BSD-3-Clause
/*
 * marks SOCKET [every_us=N] [seconds=N] [least=N] [most=N] [bytes=N] [log=FILE]
 *
 * Looks at the watermarks of a daemon every `every_us` (1000), through its control socket,
 * for `seconds` (5). With `least`, until `received` has moved that often, but not longer
 * than `most` seconds. A line of LOG is one look:
 *
 *	TIME_NS ADMITTED WRITTEN DURABLE ONWIRE RECEIVED PERSISTED SENT REPAIR EXPOSED
 *
 * time by CLOCK_MONOTONIC, bytes sent, bytes of repairs sent, bytes completed that the
 * mirror has not persisted. What the daemon does not know is -1. At the end
 *
 *	seconds=X moved=N events=N rate=X mbit=X sent=N repair=N
 *
 * rate: how fast `received` moved, from its first move to its last, so that a slow one is
 * not counted by how many of its moves happen to fall into the time. mbit: the same, each
 * LSN being `bytes`. SIGTERM ends it early, in order. Exit 1: the daemon did not answer.
 */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/measure.h"

#define ANSWER_MAX (1u << 20)

static const char *const lsn_names[] = { "admitted", "written",	 "durable",
					 "onwire",   "received", "persisted" };
enum { LSN_RECEIVED = 4, LSNS = 6 };

struct look {
	uint64_t at_ns;
	int64_t lsn[LSNS];
	int64_t sent, repair, exposed;
};

struct marks {
	const char *path;
	uint64_t every_us, seconds, least, most, bytes;
	FILE *log;
	int fd;
	char *answer;
	struct look first, last;     /* of all looks */
	struct look moved, moved_at; /* at the first move, and at the last */
	uint64_t events;
};

static volatile sig_atomic_t ending;

static void end(int sig)
{
	ending = 1;
}

static int dial(struct marks *m)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (strlen(m->path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, m->path, strlen(m->path) + 1);
	m->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (m->fd < 0 || connect(m->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return 0;
}

/* One question, one line. */
static int ask(struct marks *m, size_t *len)
{
	static const char question[] = "{\"verb\":\"status\"}\n";

	if (send(m->fd, question, sizeof(question) - 1, MSG_NOSIGNAL) < 0)
		return -errno;
	for (*len = 0; *len < ANSWER_MAX;) {
		ssize_t n = recv(m->fd, m->answer + *len, ANSWER_MAX - *len, 0);

		if (n <= 0)
			return n < 0 ? -errno : -ECONNRESET;
		*len += (size_t)n;
		if (m->answer[*len - 1] == '\n')
			return 0;
	}
	return -EPROTO;
}

static int64_t whole(json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	return json_is_integer(value) ? (int64_t)json_integer_value(value) : -1;
}

/* Wherever in the answer the list of groups is. */
static json_t *first_group(json_t *root)
{
	json_t *groups = json_object_get(root, "groups");

	if (!groups)
		groups = json_object_get(json_object_get(root, "status"), "groups");
	return json_array_get(groups, 0);
}

static int look(struct marks *m, struct look *ret)
{
	json_t *root, *group, *lsn, *link;
	size_t len = 0;
	int err = ask(m, &len);

	if (err != 0)
		return err;
	ret->at_ns = measure_now_ns();
	root = json_loadb(m->answer, len, 0, NULL);
	group = first_group(root);
	lsn = json_object_get(group, "lsn");
	link = json_object_get(group, "link");
	for (int i = 0; i < LSNS; i++)
		ret->lsn[i] = whole(lsn, lsn_names[i]);
	ret->sent = whole(link, "sent_bytes");
	ret->repair = whole(link, "repair_bytes");
	ret->exposed = whole(json_object_get(group, "exposure"), "bytes");
	json_decref(root);
	return lsn ? 0 : -EPROTO;
}

static void keep(struct marks *m, const struct look *l)
{
	if (m->first.at_ns == 0) {
		m->first = *l;
	} else if (l->lsn[LSN_RECEIVED] != m->last.lsn[LSN_RECEIVED]) {
		if (m->events++ == 0)
			m->moved = *l;
		m->moved_at = *l;
	}
	m->last = *l;
	if (m->log == NULL)
		return;
	(void)fprintf(m->log, "%llu", (unsigned long long)l->at_ns);
	for (int i = 0; i < LSNS; i++)
		(void)fprintf(m->log, " %lld", (long long)l->lsn[i]);
	(void)fprintf(m->log, " %lld %lld %lld\n", (long long)l->sent,
		      (long long)l->repair, (long long)l->exposed);
}

static int run(struct marks *m)
{
	uint64_t began = measure_now_ns(), next = began;

	while (!ending) {
		uint64_t now = measure_now_ns(), took = now - began;
		struct timespec at;
		struct look l;
		int err;

		if (took >= m->seconds * NS_PER_S &&
		    (m->events >= m->least || took >= m->most * NS_PER_S))
			return 0;
		err = look(m, &l);
		if (err != 0)
			return ending ? 0 : err;
		keep(m, &l);
		next += m->every_us * 1000;
		if (next < now)
			next = now; /* late: looks are not made up for */
		at = (struct timespec){ (time_t)(next / NS_PER_S),
					(long)(next % NS_PER_S) };
		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
	}
	return 0;
}

static void report(const struct marks *m)
{
	double seconds = (double)(m->last.at_ns - m->first.at_ns) / 1e9;
	int64_t moved = m->last.lsn[LSN_RECEIVED] - m->first.lsn[LSN_RECEIVED];
	double rate = seconds > 0 ? (double)moved / seconds : 0;

	if (m->events >= 2)
		rate = (double)(m->moved_at.lsn[LSN_RECEIVED] -
				m->moved.lsn[LSN_RECEIVED]) *
		       1e9 / (double)(m->moved_at.at_ns - m->moved.at_ns);
	(void)printf("seconds=%.3f moved=%lld events=%llu rate=%.3f mbit=%.3f "
		     "sent=%lld repair=%lld\n",
		     seconds, (long long)moved, (unsigned long long)m->events, rate,
		     rate * (double)m->bytes * 8 / 1e6,
		     (long long)(m->last.sent - m->first.sent),
		     (long long)(m->last.repair - m->first.repair));
}

static int option(struct marks *m, const char *arg)
{
	const struct measure_option options[] = {
		{ "every_us=", &m->every_us, 0 }, { "seconds=", &m->seconds, 0 },
		{ "least=", &m->least, 0 },	  { "most=", &m->most, 0 },
		{ "bytes=", &m->bytes, 0 },
	};

	if (strncmp(arg, "log=", 4) == 0) {
		m->log = fopen(arg + 4, "we");
		return m->log ? 0 : -errno;
	}
	return measure_option(arg, options, sizeof(options) / sizeof(options[0]));
}

int main(int argc, char **argv)
{
	struct marks m = { .every_us = 1000, .seconds = 5, .bytes = 4096, .fd = -1 };
	struct sigaction action = { .sa_handler = end };
	int err = argc < 2 ? -EINVAL : 0;

	for (int i = 2; i < argc && err == 0; i++)
		err = option(&m, argv[i]);
	if (err != 0 || m.every_us == 0) {
		(void)fprintf(stderr, "usage: marks SOCKET [every_us=N] [seconds=N] "
				      "[least=N] [most=N] [bytes=N] [log=FILE]\n");
		return 2;
	}
	(void)sigaction(SIGTERM, &action, NULL);
	m.path = argv[1];
	m.answer = malloc(ANSWER_MAX);
	err = m.answer ? dial(&m) : -ENOMEM;
	if (err == 0)
		err = run(&m);
	if (err != 0)
		(void)fprintf(stderr, "marks: %s: %s\n", m.path, strerror(-err));
	else
		report(&m);
	if (m.log != NULL && fclose(m.log) != 0)
		err = -errno;
	if (m.fd >= 0)
		(void)close(m.fd);
	free(m.answer);
	return err != 0;
}
