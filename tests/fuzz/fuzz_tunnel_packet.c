// SPDX-License-Identifier: BSD-3-Clause
/* fuzz-links: tunnel */
/*
 * Datagrams as bytes, before and behind the seal: the decoders take what can be a
 * datagram and nothing else, and what they take they would write the same way. The first
 * byte chooses: a whole datagram to a tunnel without the key, or a payload to one decoder.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "replicator/tunnel/packet.h"
#include "replicator/tunnel/tunnel.h"
#include "rt/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_head(const uint8_t *data, size_t size)
{
	struct packet p;
	struct packet_head head;

	if (packet_head_decode(data, size, 1408, &p) != 0)
		return;
	packet_head_encode(&p, &head);
	rt_assert(memcmp(&head, data, sizeof(head)) == 0);
}

static void fuzz_ack(const uint8_t *data, size_t size)
{
	struct packet_report report;
	uint8_t again[PACKET_ACK_MAX];

	if (packet_ack_decode(data, size, &report) != 0)
		return;
	rt_assert(packet_ack_encode(&report, again) == size);
	rt_assert(memcmp(again, data, size) == 0);
	for (unsigned i = 0; i < report.nholes; i++)
		rt_assert(report.holes[i].first >= report.below &&
			  report.holes[i].first + report.holes[i].count <= report.seen);
}

static void fuzz_data(enum packet_type type, const uint8_t *data, size_t size)
{
	struct packet_data raw, again;
	struct packet_symbol sym;

	if (size < sizeof(raw))
		return;
	memcpy(&raw, data, sizeof(raw));
	if (packet_data_decode(type, &raw, &sym) != 0)
		return;
	packet_data_encode(&sym, &again);
	rt_assert(memcmp(&again, &raw, sizeof(raw)) == 0);
}

static void fuzz_probe(const uint8_t *data, size_t size)
{
	uint8_t again[PACKET_SYMBOL_MAX];
	uint16_t serial;

	if (size > sizeof(again) || packet_probe_decode(data, size, &serial) != 0)
		return;
	rt_assert((size == 0) == (serial == 0));
	if (serial == 0)
		return;
	packet_probe_encode(serial, again, size);
	rt_assert(memcmp(again, data, size) == 0);
}

/* Nobody without the key gets in, whatever he guesses. */
static void fuzz_tunnel(const uint8_t *data, size_t size)
{
	static struct tunnel *t;
	struct tunnel_params params = { .id = 1,
					.secret = { 1 },
					.fec = { .code = { .code = FEC_NONE } },
					.symbol_size = 1408,
					.frame_max = 4096,
					.timeout_ns = RT_S };
	uint64_t id;

	if (t == NULL)
		rt_assert(tunnel_new(&params, (rt_time){ RT_S }, &t) == 0);
	(void)tunnel_datagram_id(data, size, &id); /* whether or not it names ours */
	rt_assert(tunnel_receive(t, data, size, (rt_time){ RT_S }) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 6) {
	case 0:
		fuzz_head(data + 1, size - 1);
		break;
	case 1:
		fuzz_ack(data + 1, size - 1);
		break;
	case 2:
		fuzz_data(PACKET_DATA, data + 1, size - 1);
		break;
	case 3:
		fuzz_data(PACKET_REPAIR, data + 1, size - 1);
		break;
	case 4:
		fuzz_tunnel(data + 1, size - 1);
		break;
	case 5:
		fuzz_probe(data + 1, size - 1);
		break;
	}
	return 0;
}
