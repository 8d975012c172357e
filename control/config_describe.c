// SPDX-License-Identifier: BSD-3-Clause
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/config.h"
#include "control/config_schema.h"
#include "control/config_units.h"
#include "fec/risk.h"
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
		return "driver: the card's driver took the datagram (a TX_SOFTWARE time\n"
		       "              stamp). Not proven: what a hypervisor or the "
		       "building's\n"
		       "              switches still queue. Where a device gives no "
		       "stamps,\n"
		       "              `mirror` is used, and status and the log say so";
	case GROUP_EV_MIRROR:
		return "mirror: the mirror has received it. A `network` write then "
		       "takes\n"
		       "              a round trip";
	case GROUP_EV_NIC:
	case GROUP_EV_EDGE:
		break;
	}
	return "not in this version";
}

static void describe_fec(const struct group_fec_config *f, FILE *out)
{
	struct fec_line line = { f->assume_loss, f->assume_burst };
	unsigned repairs;

	if (strcmp(f->code, "none") == 0) {
		fprintf(out, "    fec       none: `network` waits for what the mirror "
			     "has received, "
			     "a round trip\n");
		return;
	}
	fprintf(out, "    fec       %s, share %g of the data", f->code, f->share);
	if (fec_risk_repairs(&line, f->safety, f->share, &repairs) == 0)
		fprintf(out, ", %u repairs cover a write before it counts as on the line",
			repairs);
	fprintf(out,
		"\n              at a loss of %g or less, a disaster loses a completed "
		"`network` write\n              with probability %g at most\n",
		f->assume_loss, f->safety);
}

static void describe_peer(const struct config *config, FILE *out)
{
	const struct group_config *g = &config->group;
	char text[RT_ADDR_TEXT_MAX], rate[CONFIG_QUANTITY_TEXT];

	if (!g->has_peer) {
		fprintf(out,
			"    peer      none: state STANDALONE, every write is local\n");
		return;
	}
	fprintf(out, "    peer      %s %s, TCP and UDP; key %s\n",
		g->peer.dials ? "dials" : "listens on",
		rt_addr_format(&g->peer.addr, text), config->key_path);
	fprintf(out, "    rate      %s/s\n",
		config_quantity_format(g->peer.rate_bps, config_rate_units, rate));
	fprintf(out, "    evidence  %s\n", evidence_text(g->peer.evidence));
	describe_fec(&g->peer.fec, out);
	fprintf(out, "    away      %lld ms of silence; then new writes %s\n",
		(long long)g->away_ms,
		g->on_disconnect == GROUP_STOP
			? "wait for the mirror"
			: "go on at local level, EXPOSED; `remote` ones wait");
}

static void describe_volumes(const struct group_config *g, FILE *out)
{
	char size[CONFIG_QUANTITY_TEXT];

	for (unsigned i = 0; i < g->nvolumes; i++) {
		const struct group_volume_config *v = &g->volumes[i];

		fprintf(out, "    volume    %s, %s, %s%s\n", v->name,
			size_text(v->size, size), group_mode_name(v->sync),
			!v->has_on_disconnect ? ""
			: v->on_disconnect == GROUP_STOP
				? ", holds without its mirror"
				: ", goes on without its mirror");
	}
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
	fprintf(out, "  group %s\n", g->name);
	fprintf(out, "    store     %s, %s", g->store,
		g->store_size ? size_text(g->store_size, a)
			      : "its default size when it is a file");
	fprintf(out, ", segments of %s\n", size_text(g->segment_size, b));
	fprintf(out, "    role      %s, where it is created\n",
		g->role == GROUP_MIRROR ? "mirror" : "primary");
	fprintf(out, "    sync      %s, hold = \"%s\"%s\n", group_mode_name(g->sync),
		g->hold == GROUP_HOLD_FLUSH ? "flush" : "write",
		g->fua_remote ? ", FUA and FLUSH remote" : "");
	describe_volumes(g, out);
	describe_peer(config, out);
}

/* ---- what has changed ------------------------------------------------------------------- */

struct compare {
	void (*changed)(void *owner, const char *key, bool live);
	void *owner;
};

static void compare_section(const struct compare *c, const struct config_section *section,
			    const char *a, const char *b)
{
	for (unsigned i = 0; i < section->nkeys; i++) {
		const struct config_key *key = &section->keys[i];
		char name[128];

		(void)snprintf(name, sizeof(name), "%s%s%s", section->name,
			       section->name[0] ? "." : "", key->name);
		if (memcmp(a + key->offset, b + key->offset, key->width) != 0)
			c->changed(c->owner, name, key->live);
		/* Elements with a stride were compared as one field. */
		if (key->section && !key->stride)
			compare_section(c, key->section, a, b);
	}
}

void config_compare(const struct config *a, const struct config *b,
		    void (*changed)(void *owner, const char *key, bool live), void *owner)
{
	struct compare c = { changed, owner };

	compare_section(&c, &config_root, (const char *)a, (const char *)b);
	if (memcmp(a->group.peer.key, b->group.peer.key, sizeof(a->group.peer.key)) != 0)
		changed(owner, "the key in groups[].peer.key", false);
}
