// SPDX-License-Identifier: BSD-3-Clause
/* fuzz-links: control */
/*
 * A configuration comes from a person, or from a program that a person wrote: whatever its
 * bytes, it is refused with at least one reason, or it gives a configuration that keeps
 * every bound that the rest of the daemon relies on; and the same text gives the same
 * again. A key file holds a key, or none.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "control/config.h"
#include "control/config_key.h"
#include "rt/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 itself forgets a string that a syntax error follows. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig";
}

static void config_is_sound(const struct config *c)
{
	const struct group_config *g = &c->group;

	rt_assert(c->node[0] && c->control[0] == '/');
	rt_assert(c->nbd.nlisten <= CONFIG_LISTEN_MAX);
	rt_assert(c->nbd.connections >= 1 && c->nbd.connections <= NBDS_CONNECTIONS_MAX);
	rt_assert(c->ngroups == 1 && g->name[0] && g->store[0] == '/');
	rt_assert(g->role == GROUP_PRIMARY || g->role == GROUP_MIRROR);
	rt_assert(g->nvolumes >= 1 && g->nvolumes <= GROUP_VOLUMES_MAX);
	for (unsigned i = 0; i < g->nvolumes; i++) {
		rt_assert(g->volumes[i].name[0]);
		rt_assert(g->volumes[i].size > 0 &&
			  g->volumes[i].size % GROUP_SECTOR == 0);
		rt_assert(g->volumes[i].sync <= GROUP_REMOTE);
		rt_assert(g->has_peer || g->volumes[i].sync == GROUP_LOCAL);
	}
	rt_assert((g->segment_size & (g->segment_size - 1)) == 0);
	rt_assert(g->max_request >= GROUP_BLOCK && g->max_request <= g->segment_size / 4);
	if (!g->has_peer)
		return;
	rt_assert(c->key_path[0] == '/' && g->peer.rate_bps > 0 && g->peer.addr.port > 0);
	rt_assert(g->peer.fec.safety > 0 && g->peer.fec.share >= 0);
	rt_assert(g->peer.fec.min > 0 && g->peer.fec.min <= g->peer.fec.max);
	rt_assert(g->peer.fec.r >= 1 && g->peer.fec.r <= 128 && g->peer.fec.c <= 127);
	rt_assert(g->peer.fec.interleave[0] >= 1 && g->peer.fec.interleave[7] <= 512);
	rt_assert(g->peer.has_edge == (g->peer.evidence == GROUP_EV_EDGE));
	rt_assert(g->peer.fec.assume_loss >= 0 && g->peer.fec.assume_loss < 1);
	rt_assert(g->heartbeat_ms < g->away_ms && g->send_memory >= 2 * g->max_request);
}

/* A key that is taken is written as the same text again. */
static void key_read(const char *data, size_t size)
{
	uint8_t key[CONFIG_KEY_LEN];
	char text[CONFIG_KEY_TEXT + 1];

	if (config_key_decode(data, size, key) < 0)
		return;
	config_key_encode(key, text);
	rt_assert(memcmp(text, data, CONFIG_KEY_TEXT) == 0);
}

static void note_change(void *owner, const char *key, bool live)
{
	rt_assert(!"the same text gave another configuration");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config config, again;
	static struct config_errors errors;
	static char text[1 << 16];
	FILE *out;

	key_read((const char *)data, size);
	if (config_parse("fuzz", (const char *)data, size, 0, &config, &errors) < 0) {
		rt_assert(errors.n > 0 && errors.n <= CONFIG_ERRORS_MAX);
		for (unsigned i = 0; i < errors.n; i++)
			rt_assert(strncmp(errors.text[i], "fuzz", 4) == 0);
		return 0;
	}
	config_is_sound(&config);
	rt_assert(config_parse("fuzz", (const char *)data, size, 0, &again, &errors) ==
		  0);
	config_compare(&config, &again, note_change, NULL);
	out = fmemopen(text, sizeof(text), "w");
	rt_assert(out);
	config_describe(&config, out);
	(void)fclose(out); /* a text that is too long is cut */
	return 0;
}
