// SPDX-License-Identifier: BSD-3-Clause
#include "tests/wan/wanem.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK (16 * 1024)
#define MAX_CREDIT (32 << 20) /* bytes of a stream that may be under way or unwritten */

/* A stream: what is read from fd[dir] is, after the line, written to fd[1 - dir]. */
struct stream {
	bool readable; /* until read() says EAGAIN */
	bool writable;
	bool read_end; /* nothing more will be read */
	bool written_end;
	bool resume;	    /* an event will read on */
	uint64_t last_due;  /* streams do not overtake themselves when delays change */
	uint64_t unsettled; /* bytes read and not yet written */
	struct wanem_event *due; /* arrived, waiting for the socket to take them */
	struct wanem_event **due_end;
};

/* A connection, side A's socket and ours to side B. Lives until its last event. */
struct wanem_conn {
	struct wanem_conn *next;
	struct wanem_conn **link;
	int fd[WANEM_DIRS];
	bool connected; /* to side B */
	bool dead;
	unsigned int events; /* in the heap or waiting to be written */
	struct stream stream[WANEM_DIRS];
};

int wanem_tcp_open(struct wanem *w)
{
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(w->listen);

	w->tcp_listener = fd;
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&w->listen, sizeof(w->listen)) != 0 ||
	    listen(fd, WANEM_MAX_CONNS) != 0 ||
	    getsockname(fd, (struct sockaddr *)&w->listen, &len) != 0)
		return -errno;
	return wanem_watch(w, fd, EPOLLIN | EPOLLET, &w->tcp_listener);
}

static void conn_unref(struct wanem_conn *conn)
{
	if (conn->dead && conn->events == 0)
		free(conn);
}

static void event_free(struct wanem_event *event)
{
	struct wanem_conn *conn = event->conn;

	free(event);
	conn->events--;
	conn_unref(conn);
}

/* Both sockets go; `reset` makes both ends see a reset instead of an end. */
static void conn_close(struct wanem *w, struct wanem_conn *conn, bool reset)
{
	struct linger abort_it = { .l_onoff = 1, .l_linger = 0 };

	if (conn->dead)
		return;
	conn->events++; /* held until the end of this function */
	conn->dead = true;
	for (int dir = 0; dir < WANEM_DIRS; dir++) {
		struct stream *stream = &conn->stream[dir];

		if (reset)
			(void)setsockopt(conn->fd[dir], SOL_SOCKET, SO_LINGER, &abort_it,
					 sizeof(abort_it));
		(void)close(conn->fd[dir]);
		while (stream->due != NULL) {
			struct wanem_event *event = stream->due;

			stream->due = event->next;
			event_free(event);
		}
	}
	*conn->link = conn->next;
	if (conn->next != NULL)
		conn->next->link = conn->link;
	w->n_conns--;
	conn->events--;
	conn_unref(conn);
}

/* Puts an event into the line, behind what the stream has there. */
static int stream_put(struct wanem *w, struct wanem_conn *conn, struct wanem_event *event)
{
	struct stream *stream = &conn->stream[event->dir];

	if (event->due_ns < stream->last_due)
		event->due_ns = stream->last_due;
	stream->last_due = event->due_ns;
	event->conn = conn;
	if (wanem_events_put(&w->events, event) != 0) {
		free(event);
		return -ENOMEM;
	}
	conn->events++;
	return 0;
}

static int stream_mark(struct wanem *w, struct wanem_conn *conn, int dir,
		       enum wanem_kind kind)
{
	struct wanem_event *event = wanem_event_new(kind, dir, NULL, 0);

	if (event == NULL)
		return -ENOMEM;
	event->due_ns = wanem_now() + w->way[dir].line.p.delay_ns;
	return stream_put(w, conn, event);
}

/* True if the line takes no more just now; then an event will read on. */
static bool stream_must_wait(struct wanem *w, struct wanem_conn *conn, int dir)
{
	struct stream *stream = &conn->stream[dir];
	struct wanem_event *event;
	uint64_t now = wanem_now();
	uint64_t room = wanem_line_room(&w->way[dir].line, now);

	if (stream->unsettled > MAX_CREDIT)
		return true; /* a write will read on */
	if (room <= now)
		return false;
	if (stream->resume)
		return true;
	event = wanem_event_new(WANEM_RESUME, dir, NULL, 0);
	if (event == NULL)
		return true;
	event->due_ns = room;
	event->conn = conn;
	if (wanem_events_put(&w->events, event) != 0) {
		free(event);
		return true;
	}
	conn->events++;
	stream->resume = true;
	return true;
}

static int stream_take(struct wanem *w, struct wanem_conn *conn, int dir,
		       const uint8_t *data, size_t len)
{
	struct wanem_way *way = &w->way[dir];
	struct wanem_event *event = wanem_event_new(WANEM_CHUNK, dir, data, len);

	if (event == NULL)
		return -ENOMEM;
	event->arrived_ns = wanem_now();
	event->due_ns = wanem_line_stream(&way->line, event->arrived_ns, len);
	way->in_line_stream += len;
	conn->stream[dir].unsettled += len;
	return stream_put(w, conn, event);
}

static void stream_read(struct wanem *w, struct wanem_conn *conn, int dir)
{
	struct stream *stream = &conn->stream[dir];
	static uint8_t data[CHUNK];
	int err = 0;

	while (!conn->dead && wanem_line_is_open(w) && conn->connected &&
	       stream->readable && !stream->read_end && err == 0) {
		ssize_t n;

		if (stream_must_wait(w, conn, dir))
			return;
		n = read(conn->fd[dir], data, sizeof(data));
		if (n > 0) {
			err = stream_take(w, conn, dir, data, (size_t)n);
		} else if (n == 0) {
			stream->read_end = true;
			err = stream_mark(w, conn, dir, WANEM_END);
		} else if (errno == EAGAIN) {
			stream->readable = false;
		} else if (errno != EINTR) {
			stream->read_end = true;
			err = stream_mark(w, conn, dir, WANEM_RESET);
		}
	}
	if (err != 0)
		conn_close(w, conn, true);
}

/* Writes one arrived event; 1 if it is done with, 0 if the socket is full, or -errno. */
static int event_write(struct wanem_conn *conn, struct wanem_event *event)
{
	int fd = conn->fd[1 - event->dir];
	struct stream *stream = &conn->stream[event->dir];

	if (event->kind == WANEM_RESET)
		return -ECONNRESET;
	if (event->kind == WANEM_END) {
		stream->written_end = true;
		return shutdown(fd, SHUT_WR) == 0 ? 1 : -errno;
	}
	while (event->done < event->len) {
		ssize_t n = send(fd, event->data + event->done, event->len - event->done,
				 MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			event->done += (uint32_t)n;
			stream->unsettled -= (uint64_t)n;
		}
	}
	return 1;
}

static void stream_write(struct wanem *w, struct wanem_conn *conn, int dir)
{
	struct stream *stream = &conn->stream[dir];

	while (!conn->dead && stream->due != NULL && stream->writable) {
		struct wanem_event *event = stream->due;
		int res = event_write(conn, event);

		if (res < 0) {
			conn_close(w, conn, true);
			return;
		}
		if (res == 0) {
			stream->writable = false;
			break;
		}
		stream->due = event->next;
		if (stream->due == NULL)
			stream->due_end = &stream->due;
		event_free(event);
	}
	if (conn->dead)
		return;
	if (conn->stream[WANEM_AB].written_end && conn->stream[WANEM_BA].written_end)
		conn_close(w, conn, false);
	else
		stream_read(w, conn, dir);
}

void wanem_tcp_event(struct wanem *w, struct wanem_event *event)
{
	struct wanem_conn *conn = event->conn;
	int dir = event->dir;
	struct stream *stream = &conn->stream[dir];

	if (event->kind == WANEM_CHUNK) {
		w->way[dir].in_line_stream -= event->len;
		if (!conn->dead)
			w->way[dir].count.stream_bytes += event->len;
	}
	if (conn->dead) {
		event_free(event);
		return;
	}
	if (event->kind == WANEM_RESUME) {
		stream->resume = false;
		stream_read(w, conn, dir);
		event_free(event);
		return;
	}
	event->next = NULL;
	*stream->due_end = event;
	stream->due_end = &event->next;
	stream_write(w, conn, dir);
}

static void conn_ready(struct wanem *w, struct wanem_conn *conn, int side,
		       uint32_t events)
{
	if (side == 1 && !conn->connected) {
		int err = 0;
		socklen_t len = sizeof(err);

		(void)getsockopt(conn->fd[1], SOL_SOCKET, SO_ERROR, &err, &len);
		if (err != 0) {
			conn_close(w, conn, true);
			return;
		}
		if (!(events & EPOLLOUT))
			return;
		conn->connected = true;
		conn->stream[WANEM_AB].writable = true;
		stream_read(w, conn, WANEM_AB);
	}
	conn->events++; /* it may be closed on the way */
	if (events & EPOLLOUT) {
		conn->stream[1 - side].writable = true;
		stream_write(w, conn, 1 - side);
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) {
		conn->stream[side].readable = true;
		stream_read(w, conn, side);
	}
	conn->events--;
	conn_unref(conn);
}

void wanem_tcp_ready(struct wanem *w, void *tag, uint32_t events)
{
	for (struct wanem_conn *conn = w->conns; conn != NULL; conn = conn->next) {
		for (int side = 0; side < WANEM_DIRS; side++) {
			if (tag != &conn->fd[side])
				continue;
			conn_ready(w, conn, side, events);
			return;
		}
	}
}

static int conn_new(struct wanem *w, int fd)
{
	struct wanem_conn *conn = calloc(1, sizeof(*conn));
	int one = 1;
	int res;

	if (conn == NULL)
		return -ENOMEM;
	conn->fd[0] = fd;
	conn->fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	conn->stream[WANEM_AB].due_end = &conn->stream[WANEM_AB].due;
	conn->stream[WANEM_BA].due_end = &conn->stream[WANEM_BA].due;
	for (int side = 0; side < WANEM_DIRS && conn->fd[1] >= 0; side++)
		(void)setsockopt(conn->fd[side], IPPROTO_TCP, TCP_NODELAY, &one,
				 sizeof(one));
	if (conn->fd[1] < 0 ||
	    (connect(conn->fd[1], (struct sockaddr *)&w->to, sizeof(w->to)) != 0 &&
	     errno != EINPROGRESS)) {
		res = -errno;
		goto fail;
	}
	conn->link = &w->conns;
	conn->next = w->conns;
	if (conn->next != NULL)
		conn->next->link = &conn->next;
	w->conns = conn;
	w->n_conns++;
	for (int side = 0; side < WANEM_DIRS; side++) {
		res = wanem_watch(w, conn->fd[side],
				  EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				  &conn->fd[side]);
		if (res != 0) {
			conn_close(w, conn, true);
			return 0;
		}
	}
	return 0;
fail:
	if (conn->fd[1] >= 0)
		(void)close(conn->fd[1]);
	free(conn);
	return res;
}

void wanem_tcp_accept(struct wanem *w)
{
	/* While the line is cut, whoever dials is left waiting, as on a real one. */
	while (wanem_line_is_open(w) && w->n_conns < WANEM_MAX_CONNS) {
		int fd = accept4(w->tcp_listener, NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		if (conn_new(w, fd) != 0)
			(void)close(fd);
	}
}

void wanem_tcp_pump(struct wanem *w)
{
	struct wanem_conn *next;

	for (struct wanem_conn *conn = w->conns; conn != NULL; conn = next) {
		next = conn->next;
		conn->events++;
		stream_read(w, conn, WANEM_AB);
		stream_read(w, conn, WANEM_BA);
		conn->events--;
		conn_unref(conn);
	}
	wanem_tcp_accept(w);
}

void wanem_tcp_reset_all(struct wanem *w)
{
	while (w->conns != NULL)
		conn_close(w, w->conns, true);
}

void wanem_tcp_close(struct wanem *w)
{
	wanem_tcp_reset_all(w);
	if (w->tcp_listener >= 0)
		(void)close(w->tcp_listener);
}
