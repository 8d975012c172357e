// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/config.h"
#include "control/config_fec.h"
#include "control/config_read.h"
#include "control/config_units.h"
#include "rt/check.h"

/* What holds between the keys of a file, each of which is right by itself. */

#define WRONG CONFIG_WRONG

/* Of two keys that do not go together: one that the file sets. */
static const char *check_either(const struct config_checking *c, const char *key,
				const char *other)
{
	return config_is_set(c->file, key) ? key : other;
}

bool config_addr_is_loopback(const struct rt_addr *addr)
{
	static const uint8_t six[16] = { [15] = 1 };
	static const uint8_t mapped[13] = { [10] = 0xff, [11] = 0xff, [12] = 127 };

	if (addr->kind == RT_ADDR_INET)
		return addr->ip[0] == 127;
	return memcmp(addr->ip, six, sizeof(six)) == 0 ||
	       memcmp(addr->ip, mapped, sizeof(mapped)) == 0;
}

static void check_nbd(struct config_checking *c)
{
	const struct config_nbd *nbd = &c->config->nbd;

	for (unsigned i = 0; i < nbd->nlisten; i++) {
		const struct rt_addr *addr = &nbd->listen[i];
		char text[RT_ADDR_TEXT_MAX];

		if (addr->kind == RT_ADDR_UNIX &&
		    strcmp(addr->path, c->config->control) == 0)
			WRONG(c, "nbd.listen", "%s is the control socket already",
			      addr->path);
		if (addr->kind != RT_ADDR_UNIX && !nbd->allow_plaintext &&
		    !config_addr_is_loopback(addr))
			WRONG(c, "nbd.listen",
			      "%s is reached from beyond this host, in plaintext and by "
			      "anybody; allowed: a loopback address, or allow_plaintext "
			      "= "
			      "true on a network that is trusted",
			      rt_addr_format(addr, text));
		for (unsigned j = 0; j < i; j++)
			if (rt_addr_equal(addr, &nbd->listen[j]))
				WRONG(c, "nbd.listen", "%s is named twice",
				      rt_addr_format(addr, text));
	}
}

static void check_volumes(struct config_checking *c)
{
	struct group_config *g = &c->config->group;

	for (unsigned i = 0; i < g->nvolumes; i++) {
		struct group_volume_config *v = &g->volumes[i];
		char key[CONFIG_KEY_PATH];

		(void)snprintf(key, sizeof(key), "groups[0].volumes[%u].on_disconnect",
			       i);
		if (c->file)
			v->has_on_disconnect = config_is_set(c->file, key);
		if (v->has_on_disconnect && !g->has_peer)
			WRONG(c, key, "the group has no peer that could disconnect");
		(void)snprintf(key, sizeof(key), "groups[0].volumes[%u].sync", i);
		if (c->file)
			c->config->own_sync[i] = config_is_set(c->file, key);
		if (!c->config->own_sync[i])
			v->sync = g->sync;
		else if (v->sync != GROUP_LOCAL && !g->has_peer)
			WRONG(c, key,
			      "\"%s\" needs a peer, and the group has none; "
			      "allowed: \"local\"",
			      group_mode_name(v->sync));
		(void)snprintf(key, sizeof(key), "groups[0].volumes[%u].name", i);
		for (unsigned j = 0; j < i; j++)
			if (strcmp(v->name, g->volumes[j].name) == 0)
				WRONG(c, key, "\"%s\" is the name of volume %u already",
				      v->name, j);
	}
}

/* Without a peer there is one mode, and nothing that only a peer gives a meaning. */
static void check_alone(struct config_checking *c)
{
	static const char *const idle[] = {
		"groups[0].on_disconnect",
		"groups[0].max_exposure",
		"groups[0].hold_timeout",
		"groups[0].open_timeout",
	};
	struct group_config *g = &c->config->group;

	if (c->file && !config_is_set(c->file, "groups[0].sync"))
		g->sync = GROUP_LOCAL;
	if (g->sync != GROUP_LOCAL)
		WRONG(c, "groups[0].sync",
		      "\"%s\" needs a peer, and the group has none; allowed: \"local\"",
		      group_mode_name(g->sync));
	if (g->fua_remote)
		WRONG(c, "groups[0].fua",
		      "\"remote\" needs a peer, and the group has none; allowed: "
		      "\"mode\"");
	for (unsigned i = 0; i < RT_ARRAY_LEN(idle); i++)
		if (config_is_set(c->file, idle[i]))
			WRONG(c, idle[i], "it says nothing in a group without a peer");
	if (g->role == GROUP_MIRROR)
		WRONG(c, "groups[0].role",
		      "a mirror needs a peer, and the group has none");
}

static void check_edge(struct config_checking *c)
{
	const struct group_peer_config *p = &c->config->group.peer;
	bool edge = p->evidence == GROUP_EV_EDGE;

	if (edge && !p->has_edge)
		WRONG(c, "groups[0].peer.evidence",
		      "\"edge\" needs edge: the address and the key of the relay");
	if (c->file && p->has_edge && !edge) /* one key may change what uses it */
		WRONG(c, "groups[0].peer.edge",
		      "it says nothing without evidence = \"edge\"");
	if (edge && !p->dials)
		WRONG(c, "groups[0].peer.evidence",
		      "\"edge\" needs address, not listen: the relay must know where the "
		      "mirror is");
	if (edge && p->edge.kind == RT_ADDR_INET6 && p->addr.kind == RT_ADDR_INET)
		WRONG(c,
		      check_either(c, "groups[0].peer.edge.address",
				   "groups[0].peer.evidence"),
		      "the relay's address is of IPv6 and the peer's of IPv4, and one "
		      "socket is for both: give the relay's IPv4 address");
	if (edge && p->tcp)
		WRONG(c,
		      check_either(c, "groups[0].peer.transport",
				   "groups[0].peer.evidence"),
		      "evidence = \"edge\" is of datagrams; allowed: transport = "
		      "\"udp\"");
}

static void check_rate(struct config_checking *c)
{
	struct group_peer_config *p = &c->config->group.peer;

	p->rate_auto = c->config->rate == 0;
	p->rate_bps = p->rate_auto ? CONFIG_RATE_BEGIN : c->config->rate;
}

static void check_who_dials(struct config_checking *c)
{
	bool dials = config_is_set(c->file, "groups[0].peer.address");
	bool listens = config_is_set(c->file, "groups[0].peer.listen");

	c->config->group.peer.dials = dials;
	if (dials && listens)
		WRONG(c, "groups[0].peer.listen",
		      "address is set too; allowed: address at the site that dials, "
		      "listen at the other one");
	if (!dials && !listens)
		WRONG(c, "groups[0].peer",
		      "it has neither address nor listen; allowed: address at the site "
		      "that dials, listen at the other one");
}

static void check_peer(struct config_checking *c)
{
	struct group_config *g = &c->config->group;
	char memory[CONFIG_QUANTITY_TEXT], size[CONFIG_QUANTITY_TEXT];

	if (c->file)
		check_who_dials(c);
	if (g->heartbeat_ms >= g->away_ms)
		WRONG(c,
		      check_either(c, "groups[0].peer.heartbeat", "groups[0].peer.away"),
		      "heartbeat (%lld ms) is not less than away (%lld ms)",
		      (long long)g->heartbeat_ms, (long long)g->away_ms);
	if (g->send_memory / 2 < g->max_request)
		WRONG(c,
		      check_either(c, "groups[0].peer.send_memory",
				   "groups[0].max_request"),
		      "send_memory (%s) is less than two requests of max_request (%s)",
		      config_quantity_format(g->send_memory, config_size_units, memory),
		      config_quantity_format(g->max_request, config_size_units, size));
	check_rate(c);
	check_edge(c);
	config_fec_check(c);
}

static void check_store(struct config_checking *c)
{
	struct group_config *g = &c->config->group;
	uint64_t volumes = 0;
	char size[CONFIG_QUANTITY_TEXT], segment[CONFIG_QUANTITY_TEXT];

	/* As the log's creation: a segment holds at least four of the largest requests. */
	if (g->segment_size / 4 < g->max_request)
		WRONG(c, check_either(c, "groups[0].max_request", "groups[0].segment"),
		      "max_request (%s) is more than a quarter of segment (%s)",
		      config_quantity_format(g->max_request, config_size_units, size),
		      config_quantity_format(g->segment_size, config_size_units,
					     segment));
	for (unsigned i = 0; i < g->nvolumes; i++)
		volumes += g->volumes[i].size;
	if (g->store_size && g->store_size < volumes)
		WRONG(c, "groups[0].store_size",
		      "it is less than the volumes, which have %s together",
		      config_quantity_format(volumes, config_size_units, size));
}

void config_check(const struct config_t *file, struct config *config,
		  struct config_errors *errors)
{
	struct config_checking c = { file, config, errors };

	(void)snprintf(config->group.node, sizeof(config->group.node), "%s",
		       config->node);
	check_nbd(&c);
	if (config->group.has_peer)
		check_peer(&c);
	else
		check_alone(&c);
	check_volumes(&c);
	check_store(&c);
}
