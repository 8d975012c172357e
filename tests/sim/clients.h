/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SIM_CLIENTS_H
#define TESTS_SIM_CLIENTS_H

#include <stdbool.h>

#include "replicator/group.h"
#include "tests/sim/sim.h"
#include "tests/sim/site.h"

/*
 * The connections of the clients of a site, a few for each volume: some never flush, and rely
 * on each write by itself. What a completion promises them follows from what they have sent.
 */
#define CLIENTS_OF_VOLUME 2

struct clients {
	struct {
		bool never; /* it sends no FLUSH and no FUA */
		bool has_flushed;
	} of[SITE_VOLUMES][CLIENTS_OF_VOLUME];
};

void clients_draw(struct clients *clients, struct sim_rng *rng);
/* All of them connect anew. */
void clients_connect(struct clients *clients);
/*
 * A request that a client of `volume` sends, a FLUSH or with FUA where `durable`: *durable is
 * false from then on where that client does not do that. The flags of the request.
 */
unsigned clients_send(struct clients *clients, struct sim_rng *rng, unsigned volume,
		      bool *durable);
/* What the completion of a request with these flags promises, as nothing has lowered it. */
enum group_mode clients_promised(const struct group_config *config, unsigned volume,
				 enum group_request_kind kind, unsigned flags);

#endif
