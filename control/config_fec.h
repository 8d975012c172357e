/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_CONFIG_FEC_H
#define CONTROL_CONFIG_FEC_H

#include <stdio.h>

struct config_checking;
struct group_peer_config;

/* groups[].peer.fec, of a group with a peer: what its keys mean together. */

void config_fec_check(struct config_checking *c);
/* For people: the code, what it costs, and what the risk model says of it. */
void config_fec_describe(const struct group_peer_config *peer, FILE *out);

#endif
