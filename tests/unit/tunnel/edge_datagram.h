/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_TUNNEL_EDGE_DATAGRAM_H
#define TESTS_UNIT_TUNNEL_EDGE_DATAGRAM_H

#include <string.h>

#include "replicator/tunnel/packet.h"

/* A datagram as a tunnel sends it; the relay looks at its head and hashes the rest. */
static inline size_t edge_datagram(uint64_t number, uint8_t type, uint8_t *buf)
{
	struct packet p = { .type = (enum packet_type)type, .id = 7, .number = number };
	struct packet_head head;

	memset(buf, (int)number, 200);
	packet_head_encode(&p, &head);
	memcpy(buf, &head, sizeof(head));
	return 200;
}

#endif
