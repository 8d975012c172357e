// SPDX-License-Identifier: BSD-3-Clause
#include "control/notify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rt/check.h"

/* A path, or an abstract name, which begins with a zero and is not ended by one. */
static int notify_set_addr(struct notify *n, const char *where)
{
	size_t len = strlen(where);

	if ((where[0] != '/' && where[0] != '@') || len < 2)
		return -EAFNOSUPPORT;
	if (len >= sizeof(n->addr.sun_path))
		return -ENAMETOOLONG;
	n->addr.sun_family = AF_UNIX;
	memcpy(n->addr.sun_path, where, len);
	if (where[0] == '@')
		n->addr.sun_path[0] = 0;
	n->addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len +
				  (where[0] == '/'));
	return 0;
}

int notify_init(struct notify *n, const char *where)
{
	int res;

	memset(n, 0, sizeof(*n));
	n->fd = -1;
	if (!where || !where[0])
		return 0;
	res = notify_set_addr(n, where);
	if (res < 0)
		return res;
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return n->fd < 0 ? -errno : 0;
}

void notify_release(struct notify *n)
{
	if (n->fd >= 0)
		(void)close(n->fd);
	n->fd = -1;
}

static bool notify_is_due(bool ever, rt_time last, int64_t every_ms, rt_time now)
{
	return !ever || !rt_time_before(now, rt_time_add(last, every_ms * RT_MS));
}

static bool notify_extends(const struct notify *n, const struct notify_facts *facts,
			   rt_time now)
{
	return !facts->ready && !facts->stopping && !n->ready &&
	       notify_is_due(n->extended, n->extended_at, NOTIFY_EXTEND_EVERY_MS, now);
}

static bool notify_has_status(const struct notify *n, const struct notify_facts *facts,
			      rt_time now)
{
	bool turns = (facts->ready && !n->ready) || (facts->stopping && !n->stopping);

	if (strncmp(facts->status, n->status, sizeof(n->status) - 1) == 0)
		return false;
	return turns ||
	       notify_is_due(n->status[0] != 0, n->status_at, NOTIFY_STATUS_MS, now);
}

static size_t notify_add(char *text, size_t size, size_t len, const char *line)
{
	int n = snprintf(text + len, size - len, "%s\n", line);

	return n >= 0 && (size_t)n < size - len ? len + (size_t)n : len;
}

/* A line break in it would begin a variable of the protocol. */
static void notify_status_line(char *line, size_t size, const char *status)
{
	(void)snprintf(line, size, "STATUS=%.*s", NOTIFY_STATUS_MAX - 1, status);
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
}

size_t notify_compose(const struct notify *n, const struct notify_facts *facts,
		      rt_time now, char *text, size_t size)
{
	char line[NOTIFY_STATUS_MAX + 16];
	size_t len = 0;

	text[0] = 0;
	if (facts->ready && !n->ready)
		len = notify_add(text, size, len, "READY=1");
	if (facts->stopping && !n->stopping)
		len = notify_add(text, size, len, "STOPPING=1");
	if (notify_extends(n, facts, now)) {
		(void)snprintf(line, sizeof(line), "EXTEND_TIMEOUT_USEC=%lld",
			       NOTIFY_EXTEND_MS * 1000LL);
		len = notify_add(text, size, len, line);
	}
	if (notify_has_status(n, facts, now)) {
		notify_status_line(line, sizeof(line), facts->status);
		len = notify_add(text, size, len, line);
	}
	text[len] = 0;
	return len;
}

int notify_send(struct notify *n, const struct notify_facts *facts, rt_time now)
{
	char text[NOTIFY_STATUS_MAX + 128];
	size_t len;

	if (n->fd < 0)
		return 0;
	len = notify_compose(n, facts, now, text, sizeof(text));
	if (len == 0)
		return 0;
	if (sendto(n->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL,
		   (const struct sockaddr *)&n->addr, n->addr_len) < 0)
		return -errno;
	if (notify_extends(n, facts, now)) {
		n->extended = true;
		n->extended_at = now;
	}
	if (notify_has_status(n, facts, now)) {
		n->status_at = now;
		(void)snprintf(n->status, sizeof(n->status), "%s", facts->status);
	}
	n->ready |= facts->ready;
	n->stopping |= facts->stopping;
	return 0;
}
