// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/edge_client.h"

#include <errno.h>
#include <string.h>

void edge_client_init(struct edge_client *c, const uint8_t key[EDGE_KEY_LEN], uint64_t id,
		      rt_time now)
{
	*c = (struct edge_client){ .id = id, .register_at = now };
	memcpy(c->key, key, sizeof(c->key));
}

size_t edge_client_register(struct edge_client *c, uint8_t out[EDGE_MESSAGE_MAX],
			    rt_time now)
{
	struct edge_message m = { .type = EDGE_REGISTER,
				  .id = c->id,
				  .serial = c->serial + 1 };

	if (rt_time_before(now, c->register_at))
		return 0;
	c->serial++;
	c->register_at =
		rt_time_add(now, c->echoes > 0 ? EDGE_REFRESH_NS : EDGE_HURRY_NS);
	return edge_encode(&m, c->key, out);
}

void edge_client_await(struct edge_client *c, const uint8_t *dgram, size_t len)
{
	struct edge_seen seen;

	if (edge_recognize(dgram, len, c->key, &seen))
		c->awaited[seen.number % EDGE_AWAITED] = seen;
}

int edge_client_echo(struct edge_client *c, const uint8_t *dgram, size_t len,
		     uint64_t numbers[EDGE_ECHO_ENTRIES])
{
	struct edge_message m;
	int n = 0;

	if (edge_decode(dgram, len, c->key, &m) < 0 || m.type != EDGE_ECHO ||
	    m.id != c->id) {
		c->forged++;
		return -EPROTO;
	}
	c->echoes++;
	for (unsigned i = 0; i < m.count; i++) {
		struct edge_seen *sent = &c->awaited[m.seen[i].number % EDGE_AWAITED];

		if (m.seen[i].number == 0 || sent->number != m.seen[i].number ||
		    sent->hash != m.seen[i].hash)
			continue;
		numbers[n++] = sent->number;
		sent->number = 0;
	}
	return n;
}
