// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/conn.h"
#include "replicator/group_private.h"
#include "replicator/session.h"
#include "rt/check.h"
#include "rt/loop.h"
#include "tests/sim/pair.h"

/*
 * A third machine has the key, knows all that the peer of a site says of itself, and says it
 * in the peer's place, but for one lie: in NEGOTIATE, IDENTITY or HELLO. It lies while the
 * peer is there, or is away, to a site that works or that has just been started, as a
 * mirror or as a primary.
 * Protects: whatever the lie, what is connected stays connected; no site is fenced; and when
 * the liar is gone the two sites work again, with all that was promised.
 */
#define LIES_MAX 5
#define STAYS_NS (12 * RT_S) /* longer than `away` */

struct liar {
	struct pair *p;
	unsigned victim;
	struct sim_node *node;
	struct rt_addr addr;
	struct conn *conn;
	bool pongs, hasty, said_hello;
	bool met; /* the site has taken it for its peer */
	struct message_negotiate negotiate;
	struct message_identity identity;
	struct message_hello hello;
	uint8_t buf[MESSAGE_MAX];
};

/* ---- lies --------------------------------------------------------------------------------- */

static uint64_t other_number(struct sim_rng *rng, uint64_t honest)
{
	switch (sim_below(rng, 6)) {
	case 0:
		return honest + 1;
	case 1:
		return honest - 1;
	case 2:
		return 0;
	case 3:
		return UINT64_MAX;
	case 4:
		return honest + sim_skewed(rng, 1, UINT64_C(1) << 33);
	default:
		return sim_draw(rng);
	}
}

static void other_id(struct sim_rng *rng, uint8_t id[LFS_ID_LEN])
{
	if (sim_chance(rng, 0.3))
		memset(id, 0, LFS_ID_LEN);
	else
		id[sim_below(rng, LFS_ID_LEN)] ^= (uint8_t)(1 + sim_below(rng, 255));
}

static void other_name(struct sim_rng *rng, char name[LFS_NAME_MAX])
{
	if (sim_chance(rng, 0.3))
		name[0] = 0;
	else
		memset(name, 'x', sim_between(rng, 1, LFS_NAME_MAX - 1));
}

static void lie_before_hello(struct liar *l, struct sim_rng *rng)
{
	struct message_negotiate *n = &l->negotiate;
	struct message_identity *m = &l->identity;

	switch (sim_below(rng, 11)) {
	case 0:
		n->min = (uint16_t)other_number(rng, n->min);
		break;
	case 1:
		n->max = (uint16_t)other_number(rng, n->max);
		break;
	case 2:
		n->features = other_number(rng, n->features);
		break;
	case 3:
		other_id(rng, n->group);
		break;
	case 4:
		other_name(rng, n->group_name);
		break;
	case 5:
		other_id(rng, m->store);
		break;
	case 6:
		other_id(rng, m->paired);
		break;
	case 7:
		other_id(rng, m->boot);
		break;
	case 8:
		m->run = other_number(rng, m->run);
		break;
	case 9:
		m->number = other_number(rng, m->number);
		break;
	default:
		other_name(rng, m->node);
		break;
	}
}

static void lie_of_group(struct sim_rng *rng, struct message_hello *m)
{
	struct lfs_volume *v = &m->meta.volumes[sim_below(rng, m->meta.nvolumes)];

	switch (sim_below(rng, 7)) {
	case 0:
		other_id(rng, m->meta.group);
		break;
	case 1:
		other_name(rng, m->meta.group_name);
		break;
	case 2:
		m->meta.max_request = (uint32_t)other_number(rng, m->meta.max_request);
		break;
	case 3:
		m->meta.nvolumes = (unsigned)sim_below(rng, LFS_VOLUMES_MAX + 1);
		break;
	case 4:
		other_name(rng, v->name);
		break;
	case 5:
		v->id = other_number(rng, v->id);
		break;
	default:
		v->size = other_number(rng, v->size);
		break;
	}
}

static void lie_of_epochs(struct sim_rng *rng, struct message_hello *m)
{
	struct lfs_epoch *e = &m->meta.epochs[sim_below(rng, m->meta.nepochs)];

	switch (sim_below(rng, 6)) {
	case 0:
		e->number = other_number(rng, e->number);
		break;
	case 1:
		e->id = other_number(rng, e->id);
		break;
	case 2:
		e->first_lsn = other_number(rng, e->first_lsn);
		break;
	case 3:
		e->lossy = other_number(rng, e->lossy);
		break;
	case 4:
		other_id(rng, e->store);
		break;
	default:
		m->meta.nepochs = (unsigned)sim_below(rng, m->meta.nepochs);
		break;
	}
}

static void lie_of_position(struct sim_rng *rng, struct message_hello *m)
{
	switch (sim_below(rng, 11)) {
	case 0:
		m->number = other_number(rng, m->number);
		break;
	case 1:
		m->role = sim_chance(rng, 0.7) ? m->role ^ 3 : (uint8_t)sim_draw(rng);
		break;
	case 2:
		m->flags ^= 1u << sim_below(rng, sim_chance(rng, 0.7) ? 5 : 32);
		break;
	case 3:
		other_name(rng, m->node);
		break;
	case 4:
		m->lsn = other_number(rng, m->lsn);
		break;
	case 5:
		m->hash = other_number(rng, m->hash);
		break;
	case 6:
		m->log_floor = other_number(rng, m->log_floor);
		break;
	case 7:
		m->persisted = other_number(rng, m->persisted);
		break;
	case 8:
		m->heartbeat_ms = (uint32_t)other_number(rng, m->heartbeat_ms);
		break;
	case 9:
		m->next_number = other_number(rng, m->next_number);
		m->next_id = other_number(rng, m->next_id);
		break;
	default:
		m->undone = other_number(rng, m->undone);
		break;
	}
}

static void lie(struct liar *l, struct sim_rng *rng)
{
	switch (sim_below(rng, 4)) {
	case 0:
		lie_before_hello(l, rng);
		break;
	case 1:
		lie_of_group(rng, &l->hello);
		break;
	case 2:
		lie_of_epochs(rng, &l->hello);
		break;
	default:
		lie_of_position(rng, &l->hello);
		break;
	}
}

/* ---- what the peer says of itself ------------------------------------------------------------ */

static void learn(struct liar *l)
{
	const struct site *s = &l->p->site[!l->victim];
	const struct group *g = s->group;
	const struct lfs_meta *meta = lfs_meta(g->lfs);
	struct lfs_position end;

	l->negotiate = (struct message_negotiate){ .min = MESSAGE_PROTOCOL_MIN,
						   .max = MESSAGE_PROTOCOL };
	memcpy(l->negotiate.group, meta->group, LFS_ID_LEN);
	memcpy(l->negotiate.group_name, meta->group_name, LFS_NAME_MAX);
	l->identity = (struct message_identity){ .run = sim_draw(l->p->rng) | 1 };
	memcpy(l->identity.store, lfs_store_id(g->lfs), LFS_ID_LEN);
	memcpy(l->identity.paired, meta->peer_store, LFS_ID_LEN);
	if (rt_boot_id(g->loop, l->identity.boot) < 0)
		memset(l->identity.boot, 0, LFS_ID_LEN);
	(void)snprintf(l->identity.node, LFS_NAME_MAX, "%s", g->config.node);
	lfs_position(g->lfs, &end);
	l->hello = (struct message_hello){ .number = 7,
					   .role = (uint8_t)meta->role,
					   .lsn = end.lsn,
					   .hash = end.hash,
					   .persisted = g->gate.marks.persisted,
					   .heartbeat_ms = 1000,
					   .meta = *meta };
	(void)snprintf(l->hello.node, LFS_NAME_MAX, "%s", g->config.node);
}

/* ---- talking ------------------------------------------------------------------------------------ */

static void liar_say(struct liar *l, unsigned type, size_t len)
{
	if (l->conn)
		(void)conn_send(l->conn, type, l->buf, len);
}

static void liar_say_hello(struct liar *l)
{
	l->said_hello = true;
	liar_say(l, MESSAGE_HELLO,
		 message_encode_hello(&l->hello, l->buf, sizeof(l->buf)));
}

static void liar_established(void *owner, struct conn *conn)
{
	struct liar *l = owner;

	(void)conn;
	liar_say(l, MESSAGE_NEGOTIATE,
		 message_encode_negotiate(&l->negotiate, l->buf, sizeof(l->buf)));
	liar_say(l, MESSAGE_IDENTITY,
		 message_encode_identity(&l->identity, l->buf, sizeof(l->buf)));
	if (l->hasty) /* as to a mirror that waits for what its primary has sent */
		liar_say_hello(l);
}

static void liar_message(void *owner, struct conn *conn, unsigned type,
			 const uint8_t *body, size_t len)
{
	struct liar *l = owner;
	uint64_t serial;

	(void)conn;
	if (type == MESSAGE_PING && l->pongs && len >= sizeof(serial)) {
		memcpy(l->buf, body, sizeof(serial));
		liar_say(l, MESSAGE_PONG, sizeof(serial));
	}
	l->met |= type == MESSAGE_HELLO;
	if (type == MESSAGE_HELLO && !l->said_hello)
		liar_say_hello(l);
}

static void liar_closed(void *owner, struct conn *conn, int err, const char *why)
{
	struct liar *l = owner;

	(void)err;
	(void)why;
	if (l->conn == conn)
		l->conn = NULL;
}

static const struct conn_events liar_events = { .established = liar_established,
						.message = liar_message,
						.closed = liar_closed };

static void liar_dial(struct liar *l)
{
	const struct group_config *config = &l->p->site[l->victim].config;
	const struct conn_params params = { .group = config->name,
					    .key = config->peer.key,
					    .message_max = MESSAGE_MAX,
					    .handshake_ns = 10 * RT_S,
					    .events = &liar_events,
					    .owner = l };

	l->said_hello = l->met = false;
	sim_node_enter(l->node);
	sim_require(conn_dial(sim_node_loop(l->node), &l->addr, SECURE_CONTROL, &params,
			      &l->conn) == 0,
		    "the liar cannot even begin");
	sim_node_leave(l->node);
}

static void liar_hang_up(struct liar *l)
{
	sim_node_enter(l->node);
	conn_close(l->conn);
	l->conn = NULL;
	sim_node_leave(l->node);
}

/* ---- what is protected ---------------------------------------------------------------------------- */

static bool is_fenced(const struct pair *p)
{
	for (unsigned i = 0; i < 2; i++)
		if (p->site[i].group &&
		    lfs_meta(p->site[i].group->lfs)->flags & LFS_FENCED)
			return true;
	return false;
}

/* The peer is there, and answers: it stays. */
static void beside_the_peer(struct liar *l)
{
	struct pair *p = l->p;
	uint64_t run = p->site[!l->victim].group->session->identity.run;

	liar_dial(l);
	(void)sim_run_for(p->w, 6 * RT_S);
	sim_require(!l->met || p->site[l->victim].group->session->control.identity.run ==
				       run,
		    "a liar has taken the place of a peer that lives");
	liar_hang_up(l);
}

/* The peer is away; the site works on, or was started a moment ago. */
static void in_place_of_the_peer(struct liar *l)
{
	struct pair *p = l->p;
	struct sim_node *one = p->site[0].node, *other = p->site[1].node;
	bool restart = sim_chance(p->rng, 0.5);

	sim_net_cut_both(one, other, true);
	if (restart) {
		pair_load(p, false);
		pair_crash(p, l->victim, SIM_KILL);
		pair_start(p, l->victim);
	}
	for (int64_t ns = STAYS_NS; ns > 0; ns -= RT_S) {
		if (!l->conn && !l->met)
			liar_dial(l);
		(void)sim_run_for(p->w, RT_S);
	}
	liar_hang_up(l);
	sim_net_mend(one, other);
}

static bool serves_again(void *arg)
{
	struct pair *p = arg;

	return p->site[0].serving &&
	       p->site[0].group->session->state == SESSION_STREAMING;
}

static void one_lie(struct liar *l)
{
	struct pair *p = l->p;

	learn(l);
	if (sim_chance(p->rng, 0.95))
		lie(l, p->rng);
	l->hasty = sim_chance(p->rng, 0.5);
	l->pongs = sim_chance(p->rng, 0.8);
	if (sim_chance(p->rng, 0.3))
		beside_the_peer(l);
	else
		in_place_of_the_peer(l);
	sim_require(!is_fenced(p), "a liar has fenced a site");
	sim_require(sim_run_until(p->w, serves_again, p, 120 * RT_S),
		    "the liar is gone, and the pair does not work: %s, %s; %s, %s",
		    group_state_name(p->site[0].group->state),
		    session_why(p->site[0].group->session),
		    group_state_name(p->site[1].group->state),
		    session_why(p->site[1].group->session));
	pair_wait_in_sync(p);
}

static void liar_run(struct sim_world *w)
{
	struct pair *p = pair_new(w);
	struct liar *l = calloc(1, sizeof(*l));
	unsigned lies = (unsigned)sim_between(p->rng, 1, LIES_MAX);

	rt_assert(l);
	l->p = p;
	l->victim = p->site[0].config.peer.dials ? 1 : 0;
	pair_create(p);
	pair_start(p, 1);
	pair_start(p, 0);
	l->node = sim_node_new(w, "eve");
	(void)sim_node_start(l->node);
	sim_node_addr(p->site[l->victim].node, SITE_PORT, &l->addr);
	sim_require(sim_run_until(w, serves_again, p, 120 * RT_S), "no pair at first");
	while (lies-- > 0) {
		p->budget = sim_skewed(p->rng, 1, 200);
		pair_load(p, true);
		(void)sim_run_for(w, (int64_t)sim_between(p->rng, 100, 3000) * RT_MS);
		pair_wait_in_sync(p);
		one_lie(l);
	}
	pair_load(p, false);
	sim_node_stop(l->node);
	pair_free(p);
	free(l);
}

SIM_SCENARIO(liar, "who has the key lies about each field of HELLO", liar_run, NULL,
	     .all_max = 30)
