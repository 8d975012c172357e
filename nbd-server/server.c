// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <string.h>

#include "nbd-server/client.h"
#include "nbd-server/server.h"
#include "replicator/group.h"
#include "rt/check.h"
#include "rt/log.h"
#include "rt/mem.h"

/* How often those who sit on memory are looked for, while others wait for it. */
#define SERVER_PRESSURE_MS 250

/* ---- exports ----------------------------------------------------------------------- */

static unsigned server_volumes(const struct nbds_server *srv)
{
	unsigned n = 0;

	for (unsigned g = 0; g < srv->ngroups; g++)
		n += group_volume_count(srv->groups[g]);
	return n;
}

/* Volume `i` of all, and its group; NULL beyond the last. */
static struct group_volume *server_volume(const struct nbds_server *srv, unsigned i,
					  struct group **group)
{
	for (unsigned g = 0; g < srv->ngroups; g++) {
		unsigned n = group_volume_count(srv->groups[g]);

		*group = srv->groups[g];
		if (i < n)
			return group_volume_at(srv->groups[g], i);
		i -= n;
	}
	return NULL;
}

static const char *server_export_name(void *owner, unsigned i)
{
	struct group *group;
	struct group_volume *volume = server_volume(owner, i, &group);

	return volume ? group_volume_name(volume) : NULL;
}

static uint16_t server_export_flags(const struct group_volume *volume)
{
	uint16_t flags = NBDS_FLAG_HAS_FLAGS | NBDS_FLAG_SEND_FLUSH | NBDS_FLAG_SEND_FUA |
			 NBDS_FLAG_CAN_MULTI_CONN;

	if (group_volume_read_only(volume))
		return flags | NBDS_FLAG_READ_ONLY;
	return flags | NBDS_FLAG_SEND_TRIM | NBDS_FLAG_SEND_WRITE_ZEROES |
	       NBDS_FLAG_SEND_FAST_ZERO;
}

static struct group_volume *server_find(struct nbds_server *srv, const char *name,
					size_t len, struct group **group)
{
	struct group_volume *volume;
	char text[NBDS_NAME_MAX + 1];

	/* The default export is the only one; where there are more, there is none. */
	if (len == 0)
		return server_volumes(srv) == 1 ? server_volume(srv, 0, group) : NULL;
	if (memchr(name, 0, len))
		return NULL;
	memcpy(text, name, len);
	text[len] = 0;
	for (unsigned g = 0; g < srv->ngroups; g++) {
		*group = srv->groups[g];
		volume = group_volume_find(srv->groups[g], text);
		if (volume)
			return volume;
	}
	return NULL;
}

/* Does the group hold as many requests of clients of this export that are gone as it may? */
static bool server_has_abandoned(const struct nbds_server *srv,
				 const struct group_volume *volume)
{
	unsigned n = 0;

	if (srv->nabandoned < NBDS_ABANDONED_MAX)
		return false;
	for (struct rt_list *e = srv->abandoned.next; e != &srv->abandoned; e = e->next)
		n += rt_container_of(e, struct nbds_job, link)->group.volume == volume;
	return n >= NBDS_ABANDONED_MAX;
}

static int server_export_find(void *owner, const char *name, size_t len,
			      struct nbds_export *ret)
{
	struct nbds_server *srv = owner;
	struct group_volume *volume;
	struct group *group = NULL;

	rt_assert(!srv->stopping && len <= NBDS_NAME_MAX);
	volume = server_find(srv, name, len, &group);
	if (!volume)
		return -ENOENT;
	if (!group_serving(group) || server_has_abandoned(srv, volume))
		return -EAGAIN;
	*ret = (struct nbds_export){
		.size = group_volume_size(volume),
		.flags = server_export_flags(volume),
		.name = group_volume_name(volume),
		.volume = volume,
	};
	return 0;
}

int nbds_server_add_group(struct nbds_server *srv, struct group *group)
{
	struct group *other;

	if (srv->ngroups == NBDS_GROUPS_MAX)
		return -ENOSPC;
	for (unsigned i = 0; i < group_volume_count(group); i++) {
		const char *name = group_volume_name(group_volume_at(group, i));

		if (strlen(name) == 0 || strlen(name) > NBDS_NAME_MAX)
			return -EINVAL;
		if (server_find(srv, name, strlen(name), &other))
			return -EEXIST;
	}
	srv->groups[srv->ngroups++] = group;
	return 0;
}

/* ---- memory ------------------------------------------------------------------------ */

void nbds_server_memory_freed(struct nbds_server *srv)
{
	if (rt_list_empty(&srv->waiters))
		return;
	nbds_client_schedule(
		rt_container_of(srv->waiters.next, struct nbds_client, waiting));
}

void nbds_server_set_short(struct nbds_server *srv, struct nbds_client *client,
			   bool is_short)
{
	unsigned before = srv->nshort;

	if (client->is_short == is_short)
		return;
	client->is_short = is_short;
	srv->nshort += is_short ? 1 : -1u;
	if ((before > 0) == (srv->nshort > 0) || srv->stopping)
		return;
	for (unsigned g = 0; g < srv->ngroups; g++)
		group_set_memory_short(srv->groups[g], is_short);
}

void nbds_server_wait(struct nbds_server *srv, struct nbds_client *client)
{
	nbds_server_set_short(srv, client, true);
	if (!rt_list_empty(&client->waiting))
		return;
	rt_list_push_back(&srv->waiters, &client->waiting);
	if (!rt_timer_armed(&srv->pressure))
		rt_timer_arm(srv->loop, &srv->pressure,
			     rt_time_add(rt_now(srv->loop), SERVER_PRESSURE_MS * RT_MS));
}

void nbds_server_leave(struct nbds_server *srv, struct nbds_client *client)
{
	nbds_server_set_short(srv, client, false);
	if (rt_list_empty(&client->waiting))
		return;
	rt_list_remove(&client->waiting);
	nbds_server_memory_freed(srv);
}

/* Close who has held memory for longer than is decent while others stand still. */
static void server_pressure_fired(struct rt_timer *timer)
{
	struct nbds_server *srv = rt_container_of(timer, struct nbds_server, pressure);
	rt_time now = rt_now(srv->loop);
	struct rt_list *e;

	if (rt_list_empty(&srv->waiters))
		return;
	for (e = srv->clients.next; e != &srv->clients; e = e->next) {
		struct nbds_client *c = rt_container_of(e, struct nbds_client, link);

		if (!nbds_client_overdue(c, now))
			continue;
		srv->stats.evicted++;
		nbds_client_evict(c);
	}
	rt_timer_arm(srv->loop, timer, rt_time_add(now, SERVER_PRESSURE_MS * RT_MS));
}

/* ---- connections ------------------------------------------------------------------- */

/* It is not let in. */
static void server_refused(struct nbds_server *srv, const char *peer, const char *text)
{
	srv->stats.refused++;
	nbds_notice(&srv->notice, NBDS_NOTICE_REFUSED, rt_now(srv->loop), peer, text);
}

/* The connection that left first, and waits for nothing but the group, gives its place. */
static bool server_make_room(struct nbds_server *srv)
{
	for (struct rt_list *e = srv->clients.next; e != &srv->clients; e = e->next) {
		struct nbds_client *c = rt_container_of(e, struct nbds_client, link);

		if (nbds_client_is_leaving(c)) {
			nbds_client_close(c);
			return true;
		}
	}
	return false;
}

/* One more? Those that were closed keep their descriptors for a turn or two. */
static bool server_has_room(struct nbds_server *srv)
{
	if (srv->nclients >= 2 * srv->limits.connections)
		return false;
	return srv->nopen < srv->limits.connections || server_make_room(srv);
}

static int server_admit(struct nbds_server *srv, struct rt_sock *sock, const char *peer,
			nbds_done_fn *done, void *owner)
{
	int err;

	if (!server_has_room(srv)) {
		server_refused(srv, peer,
			       "why=\"the limit of nbd.connections is reached\"");
		return -EBUSY;
	}
	err = nbds_client_new(srv, sock, peer, done, owner);
	if (err) {
		server_refused(
			srv, peer,
			"why=\"no memory for one more: let the daemon have more, or "
			"lower nbd.connections\"");
		return err;
	}
	srv->stats.accepted++;
	return 0;
}

static void server_accepted(void *owner, struct rt_sock *sock, const struct rt_addr *peer)
{
	struct nbds_server *srv = owner;
	char text[RT_ADDR_TEXT_MAX] = "unix";

	if (peer->kind == RT_ADDR_INET || peer->kind == RT_ADDR_INET6)
		(void)rt_addr_format(peer, text);
	/* Of a unix socket it fails: there no host vanishes by itself. */
	(void)rt_sock_watch(sock, NBDS_SILENCE_MS);
	if (srv->stopping || server_admit(srv, sock, text, NULL, NULL))
		rt_sock_close(sock);
}

static void server_check_stopped(struct nbds_server *srv)
{
	if (!srv->stopping || srv->nclients > 0 || srv->nabandoned > 0 || srv->stop_said)
		return;
	srv->stop_said = true;
	rt_defer(srv->loop, &srv->stop_op);
}

void nbds_server_client_gone(struct nbds_server *srv)
{
	rt_assert(srv->nclients > 0);
	srv->nclients--;
	server_check_stopped(srv);
}

void nbds_server_abandon(struct nbds_server *srv, struct nbds_job *job)
{
	rt_list_push_back(&srv->abandoned, &job->link);
	srv->nabandoned++;
}

void nbds_server_abandoned_done(struct nbds_job *job)
{
	struct nbds_server *srv = job->srv;

	rt_assert(srv->nabandoned > 0);
	srv->nabandoned--;
	nbds_job_free(job);
	server_check_stopped(srv);
}

int nbds_server_serve_fds(struct nbds_server *srv, int in, int out, nbds_done_fn *done,
			  void *owner)
{
	struct rt_sock *sock;
	int err;

	if (srv->stopping)
		return -ESHUTDOWN;
	err = rt_sock_from_fds(srv->loop, in, out, &sock);
	if (err)
		return err;
	err = server_admit(srv, sock, "stdin", done, owner);
	if (err)
		rt_sock_close(sock);
	return err;
}

/* ---- listeners --------------------------------------------------------------------- */

int nbds_server_listen(struct nbds_server *srv, const struct rt_addr *addr)
{
	int err;

	if (srv->nlisteners == NBDS_LISTENERS_MAX)
		return -ENOSPC;
	err = rt_listen(srv->loop, addr, server_accepted, srv,
			&srv->listeners[srv->nlisteners]);
	if (!err)
		srv->nlisteners++;
	return err;
}

int nbds_server_listen_fd(struct nbds_server *srv, int fd)
{
	int err;

	if (srv->nlisteners == NBDS_LISTENERS_MAX)
		return -ENOSPC;
	err = rt_listen_fd(srv->loop, fd, server_accepted, srv,
			   &srv->listeners[srv->nlisteners]);
	if (!err)
		srv->nlisteners++;
	return err;
}

int nbds_server_addr(const struct nbds_server *srv, unsigned i, struct rt_addr *ret)
{
	if (i >= srv->nlisteners)
		return -ENOENT;
	rt_listener_addr(srv->listeners[i], ret);
	return 0;
}

static void server_close_listeners(struct nbds_server *srv)
{
	while (srv->nlisteners > 0)
		rt_listener_close(srv->listeners[--srv->nlisteners]);
}

/* ---- life -------------------------------------------------------------------------- */

static void server_stop_done(struct rt_op *op, int res)
{
	struct nbds_server *srv = rt_container_of(op, struct nbds_server, stop_op);

	srv->stopped(srv->stopped_owner);
}

void nbds_server_stop(struct nbds_server *srv, nbds_done_fn *done, void *owner)
{
	struct rt_list *e;

	rt_assert(!srv->stopping);
	srv->stopping = true;
	srv->stopped = done;
	srv->stopped_owner = owner;
	server_close_listeners(srv);
	rt_timer_disarm(srv->loop, &srv->pressure);
	for (e = srv->clients.next; e != &srv->clients; e = e->next)
		nbds_client_stop(rt_container_of(e, struct nbds_client, link));
	server_check_stopped(srv);
}

static bool server_limits_are_good(const struct nbds_limits *l)
{
	return l->connections <= NBDS_CONNECTIONS_MAX &&
	       l->inflight <= NBDS_INFLIGHT_MAX && l->client_memory >= NBDS_MEMORY_MIN &&
	       l->memory >= l->client_memory && l->handshake_ms > 0 && l->patience_ms > 0;
}

static void server_limits_fill_in(struct nbds_limits *l)
{
	if (!l->connections)
		l->connections = NBDS_CONNECTIONS_DEFAULT;
	if (!l->inflight)
		l->inflight = NBDS_INFLIGHT_DEFAULT;
	if (!l->memory)
		l->memory = NBDS_MEMORY_DEFAULT;
	if (!l->client_memory)
		l->client_memory = l->memory < NBDS_CLIENT_MEMORY_DEFAULT
					   ? l->memory
					   : NBDS_CLIENT_MEMORY_DEFAULT;
	if (!l->handshake_ms)
		l->handshake_ms = NBDS_HANDSHAKE_MS_DEFAULT;
	if (!l->patience_ms)
		l->patience_ms = NBDS_PATIENCE_MS_DEFAULT;
}

int nbds_server_new(struct rt_loop *loop, const struct nbds_limits *limits,
		    struct nbds_server **ret)
{
	struct nbds_limits l = limits ? *limits : (struct nbds_limits){ 0 };
	struct nbds_server *srv;

	server_limits_fill_in(&l);
	if (!server_limits_are_good(&l))
		return -EINVAL;
	srv = rt_zalloc(1, sizeof(*srv));
	if (!srv)
		return -ENOMEM;
	srv->loop = loop;
	srv->limits = l;
	srv->catalog = (struct nbds_catalog){
		.owner = srv,
		.name = server_export_name,
		.find = server_export_find,
	};
	rt_list_init(&srv->clients);
	rt_list_init(&srv->abandoned);
	rt_list_init(&srv->waiters);
	rt_list_init(&srv->jobs);
	nbds_payload_init(&srv->payload, l.memory);
	srv->pressure.fire = server_pressure_fired;
	srv->stop_op.done = server_stop_done;
	*ret = srv;
	return 0;
}

void nbds_server_free(struct nbds_server *srv)
{
	struct rt_list *e;

	if (!srv)
		return;
	rt_assert(srv->nclients == 0 && srv->njobs == 0);
	server_close_listeners(srv);
	rt_timer_disarm(srv->loop, &srv->pressure);
	while ((e = rt_list_pop(&srv->jobs)))
		rt_free(rt_container_of(e, struct nbds_job, link));
	nbds_payload_release(&srv->payload);
	rt_free(srv);
}

void nbds_server_stats(const struct nbds_server *srv, struct nbds_stats *ret)
{
	*ret = srv->stats;
	ret->connections = srv->nclients;
	ret->inflight = srv->njobs;
	ret->abandoned = srv->nabandoned;
	ret->memory = srv->payload.used;
	ret->unlogged = srv->notice.unlogged;
}

unsigned nbds_server_attached(const struct nbds_server *srv, struct nbds_attached *ret,
			      unsigned max)
{
	unsigned n = 0;

	for (struct rt_list *e = srv->clients.next; e != &srv->clients; e = e->next) {
		const struct nbds_client *c =
			rt_container_of(e, struct nbds_client, link);
		const struct nbds_export *export = &c->handshake.chosen;

		if (!c->attached || !c->sock)
			continue;
		if (n < max)
			ret[n] = (struct nbds_attached){
				.client = c->peer,
				.export = export->name,
				.read_only = export->flags & NBDS_FLAG_READ_ONLY,
			};
		n++;
	}
	return n;
}
