// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "replicator/conn.h"
#include "replicator/group_private.h"
#include "replicator/history.h"
#include "replicator/log_sender.h"
#include "replicator/pairing.h"
#include "replicator/transport.h"
#include "replicator/tunnel/io.h"
#include "rt/bug.h"
#include "rt/mem.h"


static struct message_hello *session_hello_new(void)
{
	return rt_zalloc(1, sizeof(struct message_hello));
}

/* ---- connections ---------------------------------------------------------------------- */

void session_control_reset(struct session *s, struct conn *conn)
{
	group_log_reader_free(s->control.pull.reader);
	log_hash_end(&s->control.log_hash);
	s->control = (struct session_control){ .conn = conn };
}

/* SESSION_DROP. */
static void session_end_conn(struct session *s)
{
	if (!s->control.conn)
		return;
	conn_close(s->control.conn); /* nothing, where it ended by itself */
	s->identity.lost = rt_now(s->group->loop);
	session_control_reset(s, NULL);
	primary_start_conn_lost(s->group);
	session_dial_later(s);
	group_wake(s->group);
}

void session_drop(struct session *s)
{
	if (!s->control.conn)
		return;
	session_event(s, s->transport && s->group->apply.err == 0
				 ? SESSION_EV_CONN_LOST_DATA_GOOD
				 : SESSION_EV_CONN_LOST);
}

void session_connected(struct session *s, struct conn *conn, const struct rt_addr *address,
		       const struct message_identity *identity)
{
	char text[RT_ADDR_TEXT_MAX];

	conn_close(s->control.conn);
	session_control_reset(s, conn);
	s->control.address = *address;
	s->control.identity = *identity;
	primary_start_conn_lost(
		s->group);	    /* the older connection's, if it still pulled */
	if (!session_is_refused(s)) /* else it is one of many that lead nowhere */
		group_event(s->group, RT_LOG_INFO,
			    "connected address=%s peer-key=verified peer=%s",
			    rt_addr_format(address, text), identity->node);
	session_event(s, SESSION_EV_CONNECTED);
	group_wake(s->group);
}

void session_say_refused(struct session *s, const char *peer, const char *why)
{
	if (refusal_is_news(&s->logged.refused, why, rt_now(s->group->loop)))
		group_event(s->group, RT_LOG_WARN, "refused peer=%s why=\"%s\"", peer,
			    why);
	(void)snprintf(s->refusal, sizeof(s->refusal), "%s", why);
}

void session_refuse(struct session *s, const char *why)
{
	size_t len = message_encode_text(why, s->scratch, MESSAGE_MAX);

	/* The first reason is the one; who goes on talking does not put off the end. */
	if (s->control.conn && s->state == SESSION_REFUSED)
		return;
	peer_watch_refused(&s->group->watch);
	session_say_refused(s, s->control.conn ? s->control.identity.node : "?", why);
	if (!s->control.conn)
		return;
	(void)conn_send(s->control.conn, MESSAGE_REFUSE, s->scratch,
			len); /* it closes anyway */
	session_event(s, SESSION_EV_REFUSE);
	group_wake(s->group);
}

bool session_is_refused(const struct session *s)
{
	return s->refusal[0] || s->peer_refusal[0];
}

const char *session_peer_node(const struct session *s, const char *unknown)
{
	return s && s->peer->node[0] ? s->peer->node : unknown;
}

void session_forget_refusals(struct session *s)
{
	s->refusal[0] = s->peer_refusal[0] = 0;
}

/* The peer's words are quoted: its "this site" is the other one. */
void session_refused_by_peer(struct session *s, const uint8_t *body, size_t len)
{
	rt_time now = rt_now(s->group->loop);
	char text[MESSAGE_TEXT_MAX + 1];

	message_reason(body, len, text);
	if (refusal_is_news(&s->logged.refused_by_peer, text, now))
		group_event(s->group, RT_LOG_WARN, "peer-refused why=\"%s\"", text);
	(void)snprintf(s->peer_refusal, sizeof(s->peer_refusal),
		       "the other site says: %s", text);
	peer_watch_mirror_refused(&s->group->watch, now);
}

/* A copy of the peer that led to nothing has given one, too: the peer would not know it. */
void session_number_counts(struct session *s)
{
	s->identity.number = s->peer->number;
	s->identity.giver = s->control.identity.run;
}

/* Positions are compared within one history only, and of a primary that serves. */
static void session_position_count(struct session *s)
{
	const struct message_ping *ping = &s->control.last_ping;

	if (s->control.goes_on && (ping->flags & PING_SERVES))
		peer_watch_primary_position(&s->group->watch, ping->admitted, ping->bytes,
					    rt_now(s->group->loop));
}

void session_goes_on(struct session *s)
{
	s->control.goes_on = true;
	session_position_count(s);
}

static void session_ping_received(struct session *s, const uint8_t *body, size_t len)
{
	struct message_ping ping;

	if (message_decode_ping(body, len, &ping) < 0) {
		session_refuse(s, "a PING that is not legal");
		return;
	}
	s->control.last_ping = ping;
	if (s->control.hello_received && s->peer->role == LFS_PRIMARY) {
		peer_watch_primary_rx(&s->group->watch, ping.flags & PING_SERVES,
				      rt_now(s->group->loop));
		session_position_count(s);
	}
	/* Who asks and does not read gets no more answers than fit. */
	if (conn_room(s->control.conn))
		session_send_number(s, MESSAGE_PONG, ping.serial);
}

static void session_pong_received(struct session *s, const uint8_t *body, size_t len)
{
	uint64_t serial;

	if (message_decode_number(body, len, &serial) < 0 || serial > s->ping.serial)
		return; /* of nothing that was asked: harmless */
	newcomer_peer_lives(s, serial);
	if (serial == s->ping.serial)
		s->ping.rtt_ms =
			(double)rt_time_since(rt_now(s->group->loop), s->ping.at) / RT_MS;
}

void session_epochs_seen(struct session *s)
{
	const struct lfs_meta *ours = lfs_meta(s->group->lfs), *theirs = &s->peer->meta;

	if (theirs->nepochs == 0 ||
	    memcmp(theirs->group, ours->group, sizeof(ours->group)) != 0)
		return;
	peer_watch_epoch_seen(&s->group->watch,
			      theirs->epochs[theirs->nepochs - 1].number);
}

static bool session_epoch_leaps(const struct lfs_meta *mine, uint64_t number)
{
	return number > mine->epochs[mine->nepochs - 1].number &&
	       !history_may_be_next(mine, number);
}

static void session_hello_received(struct session *s, const uint8_t *body, size_t len)
{
	if (message_decode_hello(body, len, s->peer) < 0) {
		session_event(s, SESSION_EV_HELLO_BAD);
		session_refuse(s, "a HELLO that is not legal");
		return;
	}
	/* A site sends HELLO only to a store that it has accepted. */
	s->identity.refused_us = false;
	if (s->peer->role == LFS_PRIMARY)
		peer_watch_primary_rx(&s->group->watch,
				      !(s->peer->flags &
					(HELLO_FENCED | HELLO_STARTING | HELLO_SEALED)),
				      rt_now(s->group->loop));
	if (s->peer->flags & HELLO_UNPAIRED)
		s->control.mirror_was_unpaired = true;
	if (history_counts_as_seen(
		    lfs_meta(s->group->lfs),
		    s->peer->meta.epochs[s->peer->meta.nepochs - 1].number))
		session_epochs_seen(s);
	session_event(s, SESSION_EV_PEER_HELLO);
	session_check_heartbeat(s);
	if (s->group->role == GROUP_MIRROR)
		mirror_hello_received(s);
}

static void session_say_hash(struct session *s, uint64_t lsn, uint64_t hash)
{
	const struct message_hash m = { .lsn = lsn, .hash = hash };

	(void)conn_send(s->control.conn, MESSAGE_HASH, s->scratch,
			message_encode_hash(&m, s->scratch, MESSAGE_MAX));
}

enum session_same session_compare(struct session *s)
{
	uint64_t lsn = s->peer->lsn, hash;
	char why[MESSAGE_TEXT_MAX];
	int err;

	if (lsn > lfs_lsn(s->group->lfs).admitted)
		return SESSION_SAME; /* the peer looks */
	if (RT_BUG(HASH_NOT_ASKED) && lsn < lfs_lsn(s->group->lfs).admitted)
		return SESSION_SAME;
	err = log_hash_after(s->group, &s->control.log_hash, lsn, &hash);
	if (err == -EAGAIN)
		return SESSION_SAME_ASKED;
	if (err == 0 && hash == s->peer->hash)
		return SESSION_SAME;
	if (err == 0) {
		session_say_hash(s, lsn, hash);
		return SESSION_NOT_SAME;
	}
	if (err == -ENOENT)
		(void)snprintf(
			why, sizeof(why),
			"the log of %s no longer reaches back to LSN %llu: to catch "
			"up from so far back is not in this version",
			s->group->config.node, (unsigned long long)lsn);
	else
		(void)snprintf(why, sizeof(why), "%s cannot read LSN %llu of its log: %s",
			       s->group->config.node, (unsigned long long)lsn + 1,
			       strerror(-err));
	session_refuse(s, why);
	return SESSION_SAME_NOT_KNOWN;
}

/* Before anything is sent to the other site, and before anything of it is taken. */
static bool session_takes_hash(const struct session *s)
{
	return s->state == SESSION_DECIDING || s->state == SESSION_WAITING ||
	       s->state == SESSION_PULLING;
}

/* Of what was asked with this site's HELLO. It is believed no more than a HELLO that says so. */
static void session_hash_received(struct session *s, const uint8_t *body, size_t len)
{
	struct message_hash m;
	struct lfs_position end;

	lfs_position(s->group->lfs, &end);
	if (message_decode_hash(body, len, &m) < 0 || !s->control.hello_received ||
	    m.lsn != end.lsn || m.hash == end.hash || !session_takes_hash(s))
		session_refuse(s, "a HASH that is not legal here");
	else if (s->group->role == GROUP_PRIMARY)
		primary_is_parted(s);
	else
		mirror_is_parted(s);
}

void session_message(struct session *s, unsigned type, const uint8_t *body, size_t len)
{
	group_wake(s->group);
	switch (type) {
	case MESSAGE_PING:
		session_ping_received(s, body, len);
		return;
	case MESSAGE_PONG:
		session_pong_received(s, body, len);
		return;
	case MESSAGE_REFUSE:
		session_refused_by_peer(s, body, len);
		s->control.refused_by_peer = true;
		/* It was accepted here sooner than there: only a HELLO shows that it is there. */
		if (!s->control.hello_received)
			s->identity.refused_us = true;
		return;
	case MESSAGE_HELLO:
		session_hello_received(s, body, len);
		return;
	case MESSAGE_HASH:
		session_hash_received(s, body, len);
		return;
	case MESSAGE_SWITCHOVER:
	case MESSAGE_GRANT:
	case MESSAGE_DECLINE:
		switchover_message(s, type, body, len);
		return;
	default:
		if (s->group->role == GROUP_PRIMARY)
			primary_message(s, type, body, len);
		else
			mirror_message(s, type, body, len);
		return;
	}
}

/* ---- intake ------------------------------------------------------------------------------- */

void session_intake_failed(struct session *s, int err, const char *why)
{
	const struct group *g = s->group;

	intake_failed(&s->intake, err, why, lfs_lsn(g->lfs).admitted, rt_now(g->loop));
}

bool session_intake_open(struct session *s)
{
	const struct group *g = s->group;
	struct lfs_stats stats;

	lfs_stats(g->lfs, &stats);
	return intake_open(&s->intake, stats.free_bytes, g->config.segment_size,
			   rt_now(g->loop));
}

/* ---- what both ends say ------------------------------------------------------------------ */

static void session_say_hello(struct session *s)
{
	struct group *g = s->group;
	struct message_hello *hello = session_hello_new();
	struct lfs_position end;

	if (!hello) {
		session_drop(s); /* without memory for a hello: later */
		return;
	}
	lfs_position(g->lfs, &end);
	hello->number = s->identity.peer.given;
	hello->role = (uint8_t)lfs_meta(g->lfs)->role;
	hello->meta = *lfs_meta(g->lfs);
	hello->lsn = end.lsn;
	hello->hash = end.hash;
	hello->persisted = g->gate.marks.persisted;
	hello->heartbeat_ms = (uint32_t)g->config.heartbeat_ms;
	(void)snprintf(hello->node, sizeof(hello->node), "%s", g->config.node);
	hello->undone = hello->meta.promotion.undone;
	if (group_is_fenced(g) && g->start.phase == PRIMARY_RUNNING)
		hello->flags |= HELLO_FENCED;
	if (g->alone != GROUP_NOT_ALONE)
		hello->flags |= HELLO_ALONE;
	if (hello->meta.flags & LFS_UNPAIRED)
		hello->flags |= HELLO_UNPAIRED;
	if (switchover_is_sealed(g))
		hello->flags |= HELLO_SEALED;
	if (g->role == GROUP_PRIMARY && g->start.phase != PRIMARY_RUNNING) {
		hello->flags |= HELLO_STARTING;
		primary_start_next_epoch(g, &hello->next_number, &hello->next_id);
	}
	(void)conn_send(s->control.conn, MESSAGE_HELLO, s->scratch,
			message_encode_hello(hello, s->scratch, MESSAGE_MAX));
	rt_free(hello);
	if (s->control.hello_received) /* it arrived before ours */
		session_event(s, SESSION_EV_PEER_HELLO);
}

void session_send_number(struct session *s, unsigned type, uint64_t n)
{
	uint8_t body[8];

	if (s->control
		    .conn) /* a failed send closes the connection, which has its event */
		(void)conn_send(s->control.conn, type, body,
				message_encode_number(n, body, sizeof(body)));
}

const char *session_judge_hello(const struct session *s)
{
	const struct lfs_meta *mine = lfs_meta(s->group->lfs);
	const struct message_hello *peer = s->peer;

	if (!identity_is_none(mine->peer_store) &&
	    memcmp(s->control.identity.store, mine->peer_store, LFS_ID_LEN) != 0)
		return "this store has been paired with another one meanwhile";
	if (strcmp(peer->meta.group_name, mine->group_name) != 0)
		return "the group names differ: both files must name the same group";
	if ((peer->flags & HELLO_UNPAIRED) || (mine->flags & LFS_UNPAIRED))
		return NULL;
	if (memcmp(peer->meta.group, mine->group, sizeof(mine->group)) != 0)
		return mine->role == LFS_PRIMARY && peer->role == LFS_PRIMARY
			       ? "both sites are primaries, each of a group of its own; "
				 "one must be the mirror, with a new store: wanmirror "
				 "create there"
			       : "this store belongs to another group of the same name; "
				 "the mirror needs a new one: wanmirror create there";
	if (peer->meta.max_request != mine->max_request)
		return "max_request differs between the two sites";
	if (session_epoch_leaps(mine, peer->meta.epochs[peer->meta.nepochs - 1].number) ||
	    session_epoch_leaps(mine, peer->next_number))
		return "its epoch's number is far beyond those of this site";
	return NULL;
}

/* ---- the state ------------------------------------------------------------------------------- */

void session_event(struct session *s, enum session_event event)
{
	rt_time now = rt_now(s->group->loop);
	struct session_step step;

	if (!session_machine_next(s->group->role, s->state, event, &step) ||
	    (step.actions & SESSION_OUT_OF_TURN)) {
		rt_log(RT_LOG_ERROR, "session-bug state=%s event=%s",
		       session_state_name(s->state), session_event_name(event));
		rt_assert(!"an event of this state");
	}
	s->state = step.state;
	if (step.actions & SESSION_DROP)
		session_end_conn(s);
	rt_assert(session_state_connected(s->state) == (s->control.conn != NULL));
	if (step.actions & (SESSION_KEEP_HELLO | SESSION_FORGET_HELLO))
		s->control.hello_received = step.actions & SESSION_KEEP_HELLO;
	if (step.actions & SESSION_CLOSE_TRANSPORT)
		session_close_transport(s);
	if (step.actions & SESSION_SAY_HELLO)
		session_say_hello(s);
	if (step.actions & SESSION_AWAIT_REST)
		mirror_await_rest(s);
	if (step.actions & SESSION_TIME_LOSS)
		peer_watch_control_lost(&s->group->watch, now);
	if (step.actions & SESSION_CLOSE_DELAYED)
		s->close_at = rt_time_add(now, SESSION_REFUSED_STAYS_MS * RT_MS);
	if (step.actions & SESSION_SERVE_PULL)
		mirror_serve_pull(s);
}

bool session_takes(const struct session *s, enum session_event event)
{
	struct session_step step;

	return session_machine_next(s->group->role, s->state, event, &step) &&
	       !(step.actions & SESSION_OUT_OF_TURN);
}

/* ---- time ------------------------------------------------------------------------------------ */

uint64_t session_say_ping(struct session *s)
{
	struct group *g = s->group;
	struct lfs_position end;
	struct message_ping ping = { .serial = ++s->ping.serial,
				     .wall_ns = (uint64_t)rt_wall_ns(g->loop),
				     .durable = lfs_lsn(g->lfs).durable,
				     .flags = group_is_writable(g) ? PING_SERVES : 0 };
	uint8_t body[64];

	lfs_position(g->lfs, &end);
	ping.admitted = end.lsn;
	ping.bytes = end.bytes;
	s->ping.at = rt_now(g->loop);
	(void)conn_send(s->control.conn, MESSAGE_PING, body,
			message_encode_ping(&ping, body, sizeof(body)));
	return ping.serial;
}

/* The transport stands still beside a control connection that lives. */
static bool session_transport_is_stalled(const struct session *s, rt_time now)
{
	const struct group *g = s->group;
	int64_t limit = g->config.control_timeout_ms * RT_MS;

	return g->role == GROUP_PRIMARY && s->state == SESSION_STREAMING &&
	       peer_watch_unproven_ns(&g->watch, now) > limit &&
	       transport_stalled(s->transport, now, limit);
}

/* The path is narrower than its `rate`: somebody should know. */
static void session_say_guarded(struct session *s)
{
	struct transport_stats stats;

	if (!s->transport)
		return;
	transport_stats(s->transport, &stats);
	/* Unless it has risen to `rate` again: then nobody has to look. */
	if (stats.counters.guarded > s->guarded &&
	    stats.rate_bps < s->group->config.peer.rate_bps)
		group_event(s->group, RT_LOG_WARN,
			    "path-narrower-than-rate rate=%llu found=%llu",
			    (unsigned long long)s->group->config.peer.rate_bps,
			    (unsigned long long)stats.rate_bps);
	s->guarded = stats.counters.guarded; /* a new transport begins at 0 */
}

void session_tick(struct session *s)
{
	struct group *g = s->group;
	rt_time now = rt_now(g->loop);
	int64_t limit = g->config.control_timeout_ms * RT_MS;

	/* A long message on a narrow path is no silence. */
	if (s->control.conn &&
	    rt_time_since(now, conn_last_rx(s->control.conn)) > limit) {
		group_event(
			g, RT_LOG_WARN, "control-silent seconds=%lld",
			(long long)(rt_time_since(now, conn_last_rx(s->control.conn)) /
				    RT_S));
		session_drop(s);
	}
	if (session_transport_is_stalled(s, now)) {
		group_event(g, RT_LOG_WARN, "data-silent seconds=%lld",
			    (long long)(limit / RT_S));
		session_drop(s);
	}
	session_say_guarded(s);
	if (s->state == SESSION_STREAMING && !peer_watch_is_tried(&g->watch))
		s->redial_ms = SESSION_REDIAL_MIN_MS;
	if (s->state == SESSION_REFUSED && !rt_time_before(now, s->close_at))
		session_drop(s);
	else if (s->control.conn)
		(void)session_say_ping(s);
	if (s->state == SESSION_DATA_ONLY &&
	    peer_watch_control_lost_ns(&g->watch, now) > limit)
		session_event(s, SESSION_EV_CONTROL_TIMEOUT);
}

static bool session_is_deciding(const struct session *s)
{
	return s->state == SESSION_DECIDING || s->state == SESSION_DECIDING_START ||
	       s->state == SESSION_DECIDING_PULL || s->state == SESSION_UNPAIRED_DECIDING;
}

void session_turn(struct session *s)
{
	rt_time now = rt_now(s->group->loop);

	newcomer_turn(s);
	pairing_turn(s);
	switchover_turn(s);
	if (s->group->role == GROUP_PRIMARY)
		primary_turn(s);
	else
		mirror_turn(s);
	/* Only now: the HELLO received with the refusal may fence this site. */
	if (s->control.refused_by_peer &&
	    !(session_is_deciding(s) && facts_changing(s->group)))
		session_drop(s);
	if (s->transport && transport_over(s->transport))
		session_transport_over(s);
	if (!s->transport)
		return;
	transport_transmit(s->transport);
	if (!transport_proven(s->transport, now))
		return;
	peer_watch_path_proven(&s->group->watch, transport_proof_at(s->transport));
	/* Only now: the path may be what led nowhere before. */
	s->transport_why[0] = 0;
	session_forget_refusals(s);
}

/* ---- beginning and end -------------------------------------------------------------------------- */

int session_new(struct group *g, char *why, struct session **ret)
{
	const struct group_peer_config *peer = &g->config.peer;
	struct session *s = rt_zalloc(1, sizeof(*s));
	struct rt_addr local = peer->addr;
	char text[RT_ADDR_TEXT_MAX];
	int err = -ENOMEM;

	(void)snprintf(why, GROUP_WHY_MAX, "out of memory");
	if (!s)
		return -ENOMEM;
	s->group = g;
	s->redial.fire = session_redial;
	s->redial_ms = SESSION_REDIAL_MIN_MS;
	s->ping.rtt_ms = -1;
	while (s->identity.run == 0)
		rt_random(g->loop, &s->identity.run, sizeof(s->identity.run));
	session_weigh_risk(g);
	s->peer = session_hello_new();
	s->start = rt_zalloc(1, sizeof(*s->start));
	s->scratch = rt_alloc(MESSAGE_MAX);
	if (!s->peer || !s->start || !s->scratch)
		goto fail;
	if (peer->dials) {
		memset(local.ip, 0, sizeof(local.ip));
		local.port = 0;
	}
	err = tunnel_io_new(g->loop, &local, &session_io_events, s, &s->io);
	if (err == 0 && !peer->dials)
		err = rt_listen(g->loop, &peer->addr, session_accepted, s, &s->listener);
	if (err < 0) {
		(void)snprintf(why, GROUP_WHY_MAX, "peer: cannot use %s: %s",
			       rt_addr_format(&peer->addr, text), strerror(-err));
		goto fail;
	}
	if (s->listener) /* who dials speaks first; without it there are the places */
		(void)rt_listener_await_data(s->listener, SESSION_SILENT_MS);
	if (peer->dials)
		rt_timer_arm(g->loop, &s->redial, rt_now(g->loop));
	*ret = s;
	return 0;
fail:
	session_free(s);
	return err;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	rt_timer_disarm(s->group->loop, &s->redial);
	rt_timer_disarm(s->group->loop, &s->drain);
	rt_listener_close(s->listener);
	conn_close(s->control.conn);
	for (unsigned i = 0; i < SESSION_PENDING_MAX; i++)
		conn_close(s->pending[i].conn);
	conn_close(s->dialing);
	newcomer_close_all(s);
	pairing_end(s);
	switchover_end(s);
	session_control_reset(s, NULL);
	session_close_transport(s);
	tunnel_io_free(s->io);
	rt_free(s->peer);
	rt_free(s->start);
	rt_free(s->scratch);
	rt_free(s);
}
