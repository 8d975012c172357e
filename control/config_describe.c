// SPDX-License-Identifier: BSD-3-Clause
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/config.h"
#include "control/config_fec.h"
#include "control/config_schema.h"
#include "control/config_units.h"
#include "control/memory.h"
#include "rt/check.h"

static const char *size_text(uint64_t bytes, char buf[CONFIG_QUANTITY_TEXT])
{
	return config_quantity_format(bytes, config_size_units, buf);
}

/* What the level proves, and what it does not: operators choose by this. */
static const char *evidence_text(enum group_evidence evidence)
{
	switch (evidence) {
	case GROUP_EV_QUEUED:
		return "queued: the kernel took the datagram. It proves nothing: drops "
		       "in\n"
		       "              this host's own queues go unseen. For comparisons "
		       "only";
	case GROUP_EV_DRIVER:
		return "driver: the card's driver took the datagram (TX timestamp,\n"
		       "              TX_SOFTWARE). Queues of a hypervisor or of the "
		       "building's\n"
		       "              switches are not covered. Where a device gives no "
		       "timestamps,\n"
		       "              `mirror` is used, and status and the log say so";
	case GROUP_EV_MIRROR:
		return "mirror: the mirror has received it. A `network` write then "
		       "takes\n"
		       "              a round trip";
	case GROUP_EV_NIC:
		return "nic: the card has sent it (its own TX timestamp). Queues of the\n"
		       "              building's switches are not covered. Where a card "
		       "gives no\n"
		       "              timestamps, `mirror` is used, and status and the "
		       "log say so";
	case GROUP_EV_EDGE:
		return "edge: the relay at this site's border has passed it on. Queues\n"
		       "              beyond it are not covered";
	}
	rt_assert(!"an evidence");
	return "";
}

static void describe_transport(const struct group_peer_config *p, FILE *out)
{
	char rate[CONFIG_QUANTITY_TEXT];

	if (p->tcp) {
		fprintf(out,
			"    transport tcp: a second TLS connection, congestion control "
			"%s; rate,\n"
			"              evidence and fec say nothing: `network` waits for "
			"what "
			"the mirror\n"
			"              has received, a round trip\n",
			p->congestion[0] ? p->congestion : "as the system has it");
		return;
	}
	(void)config_quantity_format(p->rate_bps, config_rate_units, rate);
	if (p->rate_auto)
		fprintf(out,
			"    rate      auto: begins at %s/s and finds what the link "
			"carries\n",
			rate);
	else
		fprintf(out, "    rate      %s/s\n", rate);
	fprintf(out, "    evidence  %s\n", evidence_text(p->evidence));
	config_fec_describe(p, out);
}

static void describe_peer(const struct config *config, FILE *out)
{
	const struct group_config *g = &config->group;
	char text[RT_ADDR_TEXT_MAX];

	if (!g->has_peer) {
		fprintf(out,
			"    peer      none: state STANDALONE, every write is local\n");
		return;
	}
	fprintf(out, "    peer      %s %s, %s; key %s\n",
		g->peer.dials ? "dials" : "listens on",
		rt_addr_format(&g->peer.addr, text), g->peer.tcp ? "TCP" : "TCP and UDP",
		config->key_path);
	describe_transport(&g->peer, out);
	fprintf(out, "    away      %lld ms of silence; then new writes %s\n",
		(long long)g->away_ms,
		g->on_disconnect == GROUP_STOP
			? "wait for the mirror"
			: "go on at local level, EXPOSED; `remote` ones wait");
}

static const char *describe_hold(const struct group_config *g, enum group_mode sync)
{
	return group_hold_of(g->hold, sync) == GROUP_HOLD_FLUSH ? "flush" : "write";
}

static void describe_volumes(const struct group_config *g, FILE *out)
{
	char size[CONFIG_QUANTITY_TEXT];

	for (unsigned i = 0; i < g->nvolumes; i++) {
		const struct group_volume_config *v = &g->volumes[i];

		fprintf(out, "    volume    %s, %s, %s, hold = \"%s\"%s\n", v->name,
			size_text(v->size, size), group_mode_name(v->sync),
			describe_hold(g, v->sync),
			!v->has_on_disconnect ? ""
			: v->on_disconnect == GROUP_STOP
				? ", holds without its mirror"
				: ", goes on without its mirror");
	}
}

static void describe_memory(const struct config *config, FILE *out)
{
	struct memory_limit limit;
	struct memory_need need;
	bool suffices = memory_suffices(config, &need, &limit);

	fprintf(out, "  memory      %" PRIu64 " MiB at most", need.total >> 20);
	if (!suffices)
		fprintf(out,
			", and %s allows %" PRIu64
			": the kernel may end the daemon under load",
			limit.by, limit.bytes >> 20);
	fprintf(out, "\n");
}

void config_describe(const struct config *config, FILE *out)
{
	const struct group_config *g = &config->group;
	char text[RT_ADDR_TEXT_MAX];
	char a[CONFIG_QUANTITY_TEXT], b[CONFIG_QUANTITY_TEXT];

	fprintf(out, "node %s\n", config->node);
	fprintf(out, "  control     unix:%s\n", config->control);
	for (unsigned i = 0; i < config->nbd.nlisten; i++) {
		const struct rt_addr *addr = &config->nbd.listen[i];

		fprintf(out, "  nbd         %s%s\n",
			addr->kind == RT_ADDR_UNIX ? "" : "tcp:",
			rt_addr_format(addr, text));
	}
	if (config->nbd.nlisten == 0)
		fprintf(out, "  nbd         on no address\n");
	fprintf(out, "  clients     %u at most%s\n", config->nbd.connections,
		config->nbd.allow_plaintext ? ", in plaintext beyond loopback too" : "");
	describe_memory(config, out);
	fprintf(out, "  group %s\n", g->name);
	fprintf(out, "    store     %s, %s", g->store,
		g->store_size ? size_text(g->store_size, a)
			      : "its default size when it is a file");
	fprintf(out, ", segments of %s\n", size_text(g->segment_size, b));
	fprintf(out, "    role      %s, where it is created\n",
		g->role == GROUP_MIRROR ? "mirror" : "primary");
	fprintf(out, "    sync      %s, hold = \"%s\"%s\n", group_mode_name(g->sync),
		describe_hold(g, g->sync), g->fua_remote ? ", FUA and FLUSH remote" : "");
	describe_volumes(g, out);
	describe_peer(config, out);
}
