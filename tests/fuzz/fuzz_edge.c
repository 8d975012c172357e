// SPDX-License-Identifier: BSD-3-Clause
/* fuzz-links: tunnel */
/*
 * Messages between a primary and the relay at its border, as a liar with the key would
 * make them: the MAC is mended, the rest is as it comes. What is taken is written back
 * the same way, and proves nothing to a client that sent nothing.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "replicator/tunnel/edge.h"
#include "replicator/tunnel/edge_client.h"
#include "rt/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[EDGE_KEY_LEN] = { 7 };
	static struct edge_client client;
	uint8_t bytes[EDGE_MESSAGE_MAX + 64], again[EDGE_MESSAGE_MAX];
	uint64_t numbers[EDGE_ECHO_ENTRIES];
	struct edge_message m;
	struct edge_seen seen;

	if (size > sizeof(bytes))
		return 0;
	(void)edge_recognize(data, size, key, &seen);	  /* whether or not it is one */
	rt_assert(edge_decode(data, size, key, &m) != 0); /* nobody guesses a MAC */
	if (size < EDGE_MAC_LEN)
		return 0;
	memcpy(bytes, data, size);
	edge_seal(bytes, size - EDGE_MAC_LEN, key);
	edge_client_init(&client, key, 7, (rt_time){ RT_S });
	rt_assert(edge_client_echo(&client, bytes, size, numbers) <= 0);
	if (edge_decode(bytes, size, key, &m) != 0)
		return 0;
	rt_assert(edge_encode(&m, key, again) == size);
	rt_assert(memcmp(again, bytes, size) == 0);
	return 0;
}
