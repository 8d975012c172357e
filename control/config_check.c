// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stddef.h>
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

/* fe80::/10 is of one link, and nothing in an address here says of which. */
static bool addr_needs_scope(const struct rt_addr *addr)
{
	return addr->kind == RT_ADDR_INET6 && addr->ip[0] == 0xfe &&
	       (addr->ip[1] & 0xc0) == 0x80;
}

static void check_scope(struct config_checking *c, const char *key,
			const struct rt_addr *addr)
{
	char text[RT_ADDR_TEXT_MAX];

	if (addr_needs_scope(addr))
		WRONG(c, key,
		      "%s is valid on one link only, and which one cannot be said in "
		      "this version; allowed: an address that is valid everywhere, as "
		      "from fc00::/7 or 2000::/3",
		      rt_addr_format(addr, text));
}

static void check_nbd(struct config_checking *c)
{
	const struct config_nbd *nbd = &c->config->nbd;

	for (unsigned i = 0; i < nbd->nlisten; i++) {
		const struct rt_addr *addr = &nbd->listen[i];
		char text[RT_ADDR_TEXT_MAX];

		check_scope(c, "nbd.listen", addr);
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
		"groups[0].on_disconnect", "groups[0].max_exposure",
		"groups[0].hold_timeout",  "groups[0].open_timeout",
		"groups[0].cold_open",
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

/* Two times of which the first must be over well before the second is. */
static const struct check_times {
	const char *shorter, *longer;
	size_t shorter_at, longer_at; /* int64_t in group_config, ms */
	unsigned factor;
	const char *why;
} check_times[] = {
#define TIMES(a, key_a, b, key_b)                                                        \
	key_a, key_b, offsetof(struct group_config, a##_ms),                             \
		offsetof(struct group_config, b##_ms)
	{ TIMES(heartbeat, "groups[0].peer.heartbeat", away, "groups[0].peer.away"), 1,
	  "a peer that is well would time out between two heartbeats" },
	{ TIMES(heartbeat, "groups[0].peer.heartbeat", control_timeout,
		"groups[0].peer.control_timeout"),
	  2, "connections that are well would be dropped between two heartbeats" },
	{ TIMES(away, "groups[0].peer.away", hold_timeout, "groups[0].hold_timeout"), 1,
	  "writes would fail before on_disconnect says what becomes of them" },
#undef TIMES
};

static void check_all_times(struct config_checking *c)
{
	const char *g = (const char *)&c->config->group;

	for (unsigned i = 0; i < RT_ARRAY_LEN(check_times); i++) {
		const struct check_times *t = &check_times[i];
		int64_t shorter, longer;
		char times[32] = "";

		memcpy(&shorter, g + t->shorter_at, sizeof(shorter));
		memcpy(&longer, g + t->longer_at, sizeof(longer));
		/* 0: that time is not limited. */
		if (longer == 0 || longer > shorter * t->factor)
			continue;
		if (t->factor > 1)
			(void)snprintf(times, sizeof(times), "%u times ", t->factor);
		WRONG(c, check_either(c, t->longer, t->shorter),
		      "%s (%lld ms) is not more than %s%s (%lld ms): %s; allowed: %s "
		      "above %lld ms, or %s below %lld ms",
		      strrchr(t->longer, '.') + 1, (long long)longer, times,
		      strrchr(t->shorter, '.') + 1, (long long)shorter, t->why,
		      strrchr(t->longer, '.') + 1, (long long)(shorter * t->factor),
		      strrchr(t->shorter, '.') + 1,
		      (long long)((longer + t->factor - 1) / t->factor));
	}
}

static void check_peer(struct config_checking *c)
{
	struct group_config *g = &c->config->group;
	char memory[CONFIG_QUANTITY_TEXT], size[CONFIG_QUANTITY_TEXT];

	if (c->file)
		check_who_dials(c);
	check_all_times(c);
	if (g->send_memory / 2 < g->max_request)
		WRONG(c,
		      check_either(c, "groups[0].peer.send_memory",
				   "groups[0].max_request"),
		      "send_memory (%s) is less than two requests of max_request (%s)",
		      config_quantity_format(g->send_memory, config_size_units, memory),
		      config_quantity_format(g->max_request, config_size_units, size));
	check_scope(c, g->peer.dials ? "groups[0].peer.address" : "groups[0].peer.listen",
		    &g->peer.addr);
	if (g->peer.has_edge)
		check_scope(c, "groups[0].peer.edge.address", &g->peer.edge);
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
