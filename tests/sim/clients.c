// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/clients.h"

void clients_draw(struct clients *clients, struct sim_rng *rng)
{
	double never = sim_chance(rng, 0.5) ? 0.5 : 0;

	for (unsigned v = 0; v < SITE_VOLUMES; v++)
		for (unsigned i = 0; i < CLIENTS_OF_VOLUME; i++)
			clients->of[v][i].never = sim_chance(rng, never);
	clients_connect(clients);
}

void clients_connect(struct clients *clients)
{
	for (unsigned v = 0; v < SITE_VOLUMES; v++)
		for (unsigned i = 0; i < CLIENTS_OF_VOLUME; i++)
			clients->of[v][i].has_flushed = false;
}

unsigned clients_send(struct clients *clients, struct sim_rng *rng, unsigned volume,
		      bool *durable)
{
	unsigned i = (unsigned)sim_below(rng, CLIENTS_OF_VOLUME);
	bool flushed = clients->of[volume][i].has_flushed;

	if (clients->of[volume][i].never)
		*durable = false;
	clients->of[volume][i].has_flushed |= *durable;
	return flushed ? GROUP_CLIENT_FLUSHES : 0;
}

/* The words of wanmirror.conf(5), once more: the engine's own rule is what is judged. */
enum group_mode clients_promised(const struct group_config *config, unsigned volume,
				 enum group_request_kind kind, unsigned flags)
{
	enum group_mode sync = config->volumes[volume].sync;

	if (kind == GROUP_FLUSH || (flags & GROUP_FUA))
		return config->fua_remote ? GROUP_REMOTE : sync;
	if (config->hold == GROUP_HOLD_WRITE || !(flags & GROUP_CLIENT_FLUSHES))
		return sync;
	if (config->hold == GROUP_HOLD_BY_MODE && sync != GROUP_REMOTE)
		return sync;
	return GROUP_LOCAL;
}
