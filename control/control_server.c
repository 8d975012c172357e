// SPDX-License-Identifier: BSD-3-Clause
#include "control/control_server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "control/answer.h"
#include "control/attached.h"
#include "control/control_request.h"
#include "control/events.h"
#include "nbd-server/nbds.h"
#include "replicator/group.h"
#include "rt/check.h"
#include "rt/list.h"
#include "rt/log.h"
#include "rt/loop.h"
#include "rt/mem.h"

struct control_server {
	struct rt_loop *loop; /* borrowed */
	char node[64];
	char name[64];	     /* of the group */
	struct group *group; /* borrowed, or NULL */
	char state[16];	     /* while group is NULL */
	char why[CONTROL_STATUS_WHY];
	struct rt_listener *listener;
	struct rt_list clients;	  /* who has been idle longest comes first */
	unsigned nclients, nopen; /* all; those with a socket */
	enum control_exit (*set)(void *owner, const struct control_request *request,
				 char *text);
	bool (*nbd_stats)(void *owner, struct nbds_stats *ret);
	unsigned (*nbd_attached)(void *owner, struct nbds_attached *ret, unsigned max);
	void *params_owner; /* of these three */
	int64_t idle_ms;
	bool stopping;
	uint64_t refused;
	void (*stopped)(void *owner);
	void *owner;
	struct rt_op stop_op;
};

/*
 * One connection. It is reading (the receive is in flight), busy (the group does a verb, and
 * progress may be sent), or sending the answer; then it looks for the next line. Freed when closed and nothing of it
 * is in flight.
 */
struct client {
	struct rt_list link;
	struct control_server *srv;
	struct rt_sock *sock; /* owned; NULL when closed */
	struct rt_timer idle;
	struct rt_op recv_op, send_op;
	bool receiving, sending, busy;
	bool ending; /* close once the answer is sent */
	char line[CONTROL_LINE_MAX];
	size_t have;
	char *answer;		   /* owned: a line or more, being sent; or NULL */
	char *next;		   /* owned: what follows them, or NULL */
	struct attached *attached; /* owned: when a switchover was asked, or NULL */
	size_t answer_len, sent;
	struct iovec iov;
	union {
		struct group_promote promote;
		struct group_peer peer;
		struct group_switchover switchover;
	};
};

static void client_next(struct client *c);

/* ---- ends ------------------------------------------------------------------------------ */

static void server_stop_done(struct rt_op *op, int res)
{
	struct control_server *srv = rt_container_of(op, struct control_server, stop_op);

	srv->stopped(srv->owner);
}

static void server_check_stopped(struct control_server *srv)
{
	if (srv->stopping && srv->nclients == 0) {
		srv->stopping = false; /* once */
		rt_defer(srv->loop, &srv->stop_op);
	}
}

/* The last thing that is done to a client in any call. */
static void client_put(struct client *c)
{
	struct control_server *srv = c->srv;

	if (c->sock || c->receiving || c->sending || c->busy)
		return;
	rt_list_remove(&c->link);
	srv->nclients--;
	answer_free(c->answer);
	answer_free(c->next);
	rt_free(c->attached);
	rt_free(c);
	server_check_stopped(srv);
}

static void client_close(struct client *c)
{
	rt_timer_disarm(c->srv->loop, &c->idle);
	rt_sock_close(c->sock);
	c->sock = NULL;
	c->srv->nopen--;
	client_put(c);
}

static void client_idle_fire(struct rt_timer *timer)
{
	client_close(rt_container_of(timer, struct client, idle));
}

static void client_idle_arm(struct client *c)
{
	rt_timer_arm(c->srv->loop, &c->idle,
		     rt_time_add(rt_now(c->srv->loop), c->srv->idle_ms * RT_MS));
}

/* ---- answering --------------------------------------------------------------------------- */

static void client_send(struct client *c)
{
	c->iov.iov_base = c->answer + c->sent;
	c->iov.iov_len = c->answer_len - c->sent;
	c->sending = true;
	client_idle_arm(c);
	rt_sendv(c->sock, &c->send_op, &c->iov, 1);
}

/* A send or a receive has come back with `res`: was it the last? */
static bool client_ends(struct client *c, int res)
{
	if (!c->sock)
		client_put(c);
	else if (res <= 0)
		client_close(c);
	else
		return false;
	return true;
}

static void client_send_text(struct client *c, char *text)
{
	c->answer = text;
	c->answer_len = strlen(text);
	c->sent = 0;
	client_send(c);
}

static void client_send_done(struct rt_op *op, int res)
{
	struct client *c = rt_container_of(op, struct client, send_op);

	c->sending = false;
	if (client_ends(c, res))
		return;
	c->sent += (size_t)res;
	if (c->sent < c->answer_len) {
		client_send(c);
		return;
	}
	answer_free(c->answer);
	c->answer = NULL;
	if (c->next) {
		char *next = c->next;

		c->next = NULL;
		client_send_text(c, next);
	} else if (c->busy) { /* that was progress */
		rt_timer_disarm(c->srv->loop, &c->idle);
	} else if (c->ending || c->srv->stopping) {
		client_close(c);
	} else {
		client_next(c);
	}
}

/* `text` is owned from here on; NULL: there was no memory for it. */
static void client_answer(struct client *c, char *text)
{
	if (!c->sock) {
		answer_free(text);
		client_put(c);
		return;
	}
	if (text && c->sending) /* progress: the answer comes after it */
		text = c->next = answer_join(c->next, text);
	else if (text)
		client_send_text(c, text);
	if (!text)
		client_close(c);
}

static void client_answer_text(struct client *c, enum control_exit exit, const char *text)
{
	client_answer(c, exit == CONTROL_DONE ? answer_text(text)
					      : answer_error(exit, text));
}

/* The verb that it has asked goes on. */
static void client_say_progress(struct client *c, const char *text)
{
	char *line;

	if (!c->sock || (c->next && strlen(c->next) > CONTROL_PROGRESS_MAX))
		return;
	line = answer_progress(text);
	if (line && c->sending)
		c->next = answer_join(c->next, line);
	else if (line)
		client_send_text(c, line);
}

/* It asked for something that is no request: say why; the connection may go on. */
static void client_refuse(struct client *c, const char *why)
{
	c->srv->refused++;
	client_answer(c, answer_error(CONTROL_USAGE, why));
}

/* ---- requests ------------------------------------------------------------------------------ */

static void client_promote_done(struct group_verb *v, int res)
{
	struct client *c = rt_container_of(v, struct client, promote.verb);
	const struct group_promote *p = &c->promote;

	c->busy = false;
	rt_log(res == 0 || res == -EALREADY ? RT_LOG_INFO : RT_LOG_WARN,
	       "%s group=%s result=\"%s\" lsn=%llu",
	       p->dry_run ? "promote-dry-run"
	       : p->undo  ? "promote-undo"
			  : "promote",
	       c->srv->name, res < 0 ? strerror(-res) : "done",
	       (unsigned long long)p->recovery.lsn);
	client_answer(c, answer_promote(p, res));
}

/*
 * Why: what the daemon waits for, or else what the state of a group that is not open means.
 * An open group says the rest itself.
 */
static const char *server_why(const struct control_server *srv)
{
	static const struct {
		const char *state, *why;
	} closed[] = {
		{ "STARTING", "it opens its store; it goes on by itself" },
		{ "STOPPING", "it is being stopped; it goes on by itself" },
		{ "FAILED", "its store could not be opened, and this daemon ends; mend "
			    "what its log names, and start it again" },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(closed); i++)
		if (!srv->why[0] && !srv->group &&
		    strcmp(srv->state, closed[i].state) == 0)
			return closed[i].why;
	return srv->why;
}

static void server_not_open(const struct control_server *srv, char text[CONTROL_SET_TEXT])
{
	(void)snprintf(text, CONTROL_SET_TEXT, "the group is not open: %s: %s",
		       srv->state, server_why(srv));
}

/* The group does it from here on, and says when it has. */
static void client_begin(struct client *c)
{
	c->busy = true;
	rt_timer_disarm(c->srv->loop, &c->idle);
}

static void client_promote(struct client *c, const struct control_request *request)
{
	memset(&c->promote, 0, sizeof(c->promote));
	c->promote.force = request->force;
	c->promote.hold = request->hold;
	c->promote.undo = request->undo;
	c->promote.dry_run = request->dry_run;
	c->promote.verb.done = client_promote_done;
	client_begin(c);
	group_promote(c->srv->group, &c->promote);
}

static void client_switchover_done(struct group_verb *v, int res)
{
	struct client *c = rt_container_of(v, struct client, switchover.verb);
	const struct group_switchover *p = &c->switchover;

	c->busy = false;
	rt_log(res == 0 ? RT_LOG_INFO : RT_LOG_WARN,
	       "%s group=%s result=\"%s\" lsn=%llu pause-ms=%lld",
	       p->dry_run ? "switchover-dry-run" : "switchover", c->srv->name,
	       res < 0 ? strerror(-res) : "done", (unsigned long long)p->lsn,
	       (long long)p->pause_ms);
	client_answer(c, answer_switchover(p, res, c->attached));
}

static void client_switchover_goes_on(struct group_switchover *p, const char *text)
{
	client_say_progress(rt_container_of(p, struct client, switchover), text);
}

/* Whose writes fail at the site that becomes the mirror. */
static void client_say_attached(struct client *c)
{
	struct nbds_attached list[ATTACHED_MAX];
	struct control_server *srv = c->srv;
	char text[ATTACHED_TEXT];

	if (!c->attached && srv->nbd_attached)
		c->attached = rt_alloc(sizeof(*c->attached));
	if (!c->attached)
		return;
	attached_take(c->attached, list,
		      srv->nbd_attached(srv->params_owner, list, ATTACHED_MAX));
	attached_text(c->attached, text);
	client_say_progress(c, text);
}

static void client_switchover(struct client *c, const struct control_request *request)
{
	c->switchover =
		(struct group_switchover){ .dry_run = request->dry_run,
					   .verb.done = client_switchover_done,
					   .progress = client_switchover_goes_on };
	client_begin(c);
	client_say_attached(c);
	group_switchover(c->srv->group, &c->switchover);
}

static void client_peer_done(struct group_verb *v, int res)
{
	struct client *c = rt_container_of(v, struct client, peer.verb);
	const struct group_peer *p = &c->peer;

	c->busy = false;
	rt_log(res == 0 ? RT_LOG_INFO : RT_LOG_WARN,
	       "%s group=%s change=%s result=\"%s\"",
	       p->dry_run ? "peer-dry-run" : "peer", c->srv->name,
	       p->change == GROUP_PEER_FORGET ? "forget" : "replace",
	       res < 0 ? strerror(-res) : "done");
	client_answer(c, answer_peer(p, res));
}

static void client_peer(struct client *c, const struct control_request *request)
{
	c->peer = (struct group_peer){
		.change = request->change == CONTROL_FORGET ? GROUP_PEER_FORGET
							    : GROUP_PEER_REPLACE,
		.dry_run = request->dry_run,
		.verb.done = client_peer_done,
	};
	client_begin(c);
	group_peer(c->srv->group, &c->peer);
}

static void client_set(struct client *c, const struct control_request *request)
{
	struct control_server *srv = c->srv;
	char text[CONTROL_SET_TEXT] = "";
	enum control_exit exit = CONTROL_FAILED;

	if (!srv->set)
		server_not_open(srv, text);
	else
		exit = srv->set(srv->params_owner, request, text);
	client_answer_text(c, exit, text);
}

static void client_status(struct client *c)
{
	struct control_server *srv = c->srv;
	struct nbds_stats stats;
	bool nbd = srv->nbd_stats && srv->nbd_stats(srv->params_owner, &stats);

	client_answer(c, answer_status(&(struct answer_subject){
				 .node = srv->node,
				 .name = srv->name,
				 .group = srv->group,
				 .state = srv->state,
				 .why = server_why(srv),
				 .nbd = nbd ? &stats : NULL,
				 .control_refused = srv->refused,
			 }));
}

static void client_events(struct client *c, const struct control_request *request)
{
	const struct events_wanted wanted = { .since_ns = request->since_ns,
					      .from_seq = (uint64_t)request->from_seq };

	client_answer(c, answer_events(c->srv->group, c->srv->name, &wanted));
}

static void client_open(struct client *c, const struct control_request *request)
{
	char text[GROUP_OPEN_TEXT_MAX];
	int res = group_open_alone(c->srv->group, request->dry_run, text);

	client_answer_text(c, answer_exit(res), text);
}

static void client_do(struct client *c, const struct control_request *request)
{
	char text[CONTROL_SET_TEXT];

	if (!c->srv->group && request->verb != CONTROL_STATUS) {
		server_not_open(c->srv, text);
		client_answer(c, answer_error(CONTROL_FAILED, text));
		return;
	}
	switch (request->verb) {
	case CONTROL_STATUS:
		client_status(c);
		break;
	case CONTROL_PROMOTE:
		client_promote(c, request);
		break;
	case CONTROL_SET:
		client_set(c, request);
		break;
	case CONTROL_PEER:
		client_peer(c, request);
		break;
	case CONTROL_EVENTS:
		client_events(c, request);
		break;
	case CONTROL_OPEN:
		client_open(c, request);
		break;
	case CONTROL_SWITCHOVER:
		client_switchover(c, request);
		break;
	}
}

static void client_request(struct client *c, const char *line, size_t len)
{
	struct control_server *srv = c->srv;
	struct control_request request;
	char why[CONTROL_WHY_MAX];

	if (control_request_parse(line, len, &request, why) < 0) {
		client_refuse(c, why);
		return;
	}
	if (request.group[0] && strcmp(request.group, srv->name) != 0) {
		(void)snprintf(why, sizeof(why),
			       "no group of that name here; allowed: %s", srv->name);
		client_refuse(c, why);
		return;
	}
	client_do(c, &request);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void client_recv_done(struct rt_op *op, int res)
{
	struct client *c = rt_container_of(op, struct client, recv_op);

	c->receiving = false;
	if (client_ends(c, res))
		return;
	c->have += (size_t)res;
	client_next(c);
}

/* Nothing is in flight: the next request that is here whole, or more bytes. */
static void client_next(struct client *c)
{
	char *end = memchr(c->line, '\n', c->have);
	char line[CONTROL_LINE_MAX];
	size_t len;

	if (end) {
		len = (size_t)(end - c->line);
		memcpy(line, c->line, len);
		c->have -= len + 1;
		memmove(c->line, end + 1, c->have);
		client_request(c, line, len);
		return;
	}
	if (c->have == sizeof(c->line)) {
		c->ending = true;
		client_refuse(c, "a line that is too long");
		return;
	}
	c->receiving = true;
	client_idle_arm(c);
	rt_list_remove(&c->link);
	rt_list_push_back(&c->srv->clients, &c->link);
	rt_recv(c->sock, &c->recv_op, c->line + c->have, sizeof(c->line) - c->have);
}

/* End the client that has waited longest for its own next request, if there is one. */
static void server_make_room(struct control_server *srv)
{
	for (struct rt_list *e = srv->clients.next; e != &srv->clients; e = e->next) {
		struct client *c = rt_container_of(e, struct client, link);

		if (c->sock && c->receiving) {
			client_close(c);
			return;
		}
	}
}

static void server_accepted(void *owner, struct rt_sock *sock, const struct rt_addr *peer)
{
	struct control_server *srv = owner;
	struct client *c;

	if (srv->nopen == CONTROL_CLIENTS_MAX)
		server_make_room(srv);
	/* Those that were closed are counted until nothing of them is in flight. */
	if (srv->nopen == CONTROL_CLIENTS_MAX ||
	    srv->nclients == 2 * CONTROL_CLIENTS_MAX || !(c = rt_zalloc(1, sizeof(*c)))) {
		srv->refused++;
		rt_sock_close(sock);
		return;
	}
	c->srv = srv;
	c->sock = sock;
	c->idle.fire = client_idle_fire;
	c->recv_op.done = client_recv_done;
	c->send_op.done = client_send_done;
	rt_list_push_back(&srv->clients, &c->link);
	srv->nclients++;
	srv->nopen++;
	client_next(c);
}

/* ---- the server ---------------------------------------------------------------------------------- */

int control_server_new(struct rt_loop *loop, const struct control_server_params *params,
		       struct control_server **ret)
{
	struct control_server *srv = rt_zalloc(1, sizeof(*srv));

	if (!srv)
		return -ENOMEM;
	srv->loop = loop;
	(void)snprintf(srv->node, sizeof(srv->node), "%s", params->node);
	(void)snprintf(srv->name, sizeof(srv->name), "%s", params->group);
	srv->set = params->set;
	srv->nbd_stats = params->nbd_stats;
	srv->nbd_attached = params->nbd_attached;
	srv->params_owner = params->owner;
	srv->idle_ms = params->idle_ms > 0 ? params->idle_ms : CONTROL_IDLE_MS;
	control_server_set_group(srv, NULL, "STARTING");
	rt_list_init(&srv->clients);
	srv->stop_op.done = server_stop_done;
	*ret = srv;
	return 0;
}

int control_server_listen(struct control_server *srv, const char *path)
{
	struct rt_addr addr = { .kind = RT_ADDR_UNIX };
	mode_t before;
	int res;

	rt_assert(!srv->listener && strlen(path) < sizeof(addr.path));
	(void)snprintf(addr.path, sizeof(addr.path), "%s", path);
	/* The mode is right from the start: there is no moment for others to connect. */
	before = umask(0177);
	if (umask(0177) != 0177)
		return -EPERM; /* only a filter does that, and everybody could connect */
	res = rt_listen(srv->loop, &addr, server_accepted, srv, &srv->listener);
	(void)umask(before);
	return res;
}

int control_server_listen_fd(struct control_server *srv, int fd)
{
	rt_assert(!srv->listener);
	return rt_listen_fd(srv->loop, fd, server_accepted, srv, &srv->listener);
}

void control_server_set_group(struct control_server *srv, struct group *group,
			      const char *state)
{
	srv->group = group;
	(void)snprintf(srv->state, sizeof(srv->state), "%s", state);
}

void control_server_set_why(struct control_server *srv, const char *why)
{
	(void)snprintf(srv->why, sizeof(srv->why), "%s", why);
}

void control_server_stop(struct control_server *srv, void (*done)(void *owner),
			 void *owner)
{
	struct rt_list *e, *next;

	srv->stopping = true;
	srv->stopped = done;
	srv->owner = owner;
	rt_listener_close(srv->listener);
	srv->listener = NULL;
	if (srv->nclients == 0)
		server_check_stopped(srv);
	for (e = srv->clients.next; e != &srv->clients; e = next) {
		struct client *c = rt_container_of(e, struct client, link);

		next = e->next;
		if (!c->sending && !c->busy && c->sock)
			client_close(c);
	}
}

void control_server_free(struct control_server *srv)
{
	if (!srv)
		return;
	rt_assert(srv->nclients == 0);
	rt_listener_close(srv->listener);
	rt_free(srv);
}

uint64_t control_server_refused(const struct control_server *srv)
{
	return srv->refused;
}
