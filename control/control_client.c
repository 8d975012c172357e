// SPDX-License-Identifier: BSD-3-Clause
#include "control/control_client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/control_request.h"

/* A socket says EAGAIN when its time is over. */
static int socket_error(void)
{
	return errno == EAGAIN ? -ETIMEDOUT : -errno;
}

/* `seconds`: nothing on the socket waits for longer, the connect included; 0: for ever. */
static int daemon_connect(const char *path, int seconds)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const struct timeval most = { .tv_sec = seconds };
	int fd, res;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most)) < 0 ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		res = socket_error();
		(void)close(fd); /* nothing was sent */
		return res;
	}
	return fd;
}

static int send_all(int fd, const char *line, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, line, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return socket_error();
		line += n;
		len -= (size_t)n;
	}
	return 0;
}

/*
 * Take one line out of what has come: 1 when it was the answer (*ret), 0 when it was
 * progress, -EPROTO.
 */
static int line_take(const char *line, size_t len, FILE *progress, json_t **ret)
{
	json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *text = json_string_value(json_object_get(root, "progress"));

	if (json_is_boolean(json_object_get(root, "ok")) &&
	    json_is_integer(json_object_get(root, "exit"))) {
		*ret = root;
		return 1;
	}
	if (text && progress) {
		fprintf(progress, "%s\n", text);
		(void)fflush(
			progress); /* who waits reads it now; the end says whether it was */
	}
	json_decref(root);
	return text ? 0 : -EPROTO;
}

/* Lines until the answer; `buf` has room for the longest. */
static int receive_answer(int fd, char *buf, FILE *progress, json_t **ret)
{
	size_t have = 0;

	while (have < CONTROL_ANSWER_MAX) {
		ssize_t n = recv(fd, buf + have, CONTROL_ANSWER_MAX - have, 0);
		char *end;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return socket_error();
		if (n == 0)
			return -ECONNRESET;
		have += (size_t)n;
		while ((end = memchr(buf, '\n', have))) {
			int res = line_take(buf, (size_t)(end - buf), progress, ret);

			if (res != 0)
				return res < 0 ? res : 0;
			have -= (size_t)(end - buf) + 1;
			memmove(buf, end + 1, have);
		}
	}
	return -EPROTO;
}

int control_client_ask(const char *path, const struct control_request *request,
		       FILE *progress, json_t **ret, char why[CONTROL_CLIENT_WHY])
{
	bool asks = request->verb == CONTROL_STATUS || request->verb == CONTROL_EVENTS;
	int seconds = asks ? CONTROL_STATUS_S : 0;

	return control_client_ask_within(seconds, path, request, progress, ret, why);
}

int control_client_ask_within(int seconds, const char *path,
			      const struct control_request *request, FILE *progress,
			      json_t **ret, char why[CONTROL_CLIENT_WHY])
{
	char line[CONTROL_LINE_MAX];
	char *buf = malloc(CONTROL_ANSWER_MAX);
	int fd = buf ? daemon_connect(path, seconds) : -ENOMEM;
	int res = fd;

	if (fd >= 0) {
		res = send_all(fd, line, control_request_encode(request, line));
		if (res == 0)
			res = receive_answer(fd, buf, progress, ret);
		(void)close(fd); /* the answer is here, or will not come */
	}
	free(buf);
	if (res == -ENOENT || res == -ECONNREFUSED)
		(void)snprintf(why, CONTROL_CLIENT_WHY, "no daemon listens on %.150s: %s",
			       path, strerror(-res));
	else if (res == -EPROTO)
		(void)snprintf(why, CONTROL_CLIENT_WHY,
			       "what answers on %.150s is no daemon of this version",
			       path);
	else if (res == -ECONNRESET)
		(void)snprintf(why, CONTROL_CLIENT_WHY,
			       "the daemon on %.150s ended before it answered", path);
	else if (res == -ETIMEDOUT)
		(void)snprintf(why, CONTROL_CLIENT_WHY,
			       "the daemon on %.150s did not answer within %d s", path,
			       seconds);
	else if (res < 0)
		(void)snprintf(why, CONTROL_CLIENT_WHY, "%.150s: %s", path,
			       strerror(-res));
	return res;
}
