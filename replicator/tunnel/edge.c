// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/tunnel/edge.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

#include "replicator/tunnel/packet.h"
#include "rt/hash.h"

#define EDGE_DIGEST_LEN 32 /* SHA-256; the MAC is its first half */

bool edge_is_message(const uint8_t *dgram, size_t len)
{
	return len > 0 && dgram[0] >= EDGE_REGISTER;
}

static int edge_mac(const uint8_t key[EDGE_KEY_LEN], const uint8_t *bytes, size_t len,
		    uint8_t ret[EDGE_MAC_LEN])
{
	uint8_t digest[EDGE_DIGEST_LEN];

	if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, EDGE_KEY_LEN, bytes, len, digest) <
	    0)
		return -ENOMEM;
	memcpy(ret, digest, EDGE_MAC_LEN);
	return 0;
}

int edge_seal(uint8_t *bytes, size_t len, const uint8_t key[EDGE_KEY_LEN])
{
	return edge_mac(key, bytes, len, bytes + len);
}

size_t edge_encode(const struct edge_message *m, const uint8_t key[EDGE_KEY_LEN],
		   uint8_t out[EDGE_MESSAGE_MAX])
{
	struct edge_head head = {
		.type = (uint8_t)m->type,
		.count = (uint8_t)m->count,
		.id = le64_make(m->id),
		.serial = le64_make(m->serial),
	};
	size_t len = sizeof(head);

	memcpy(out, &head, sizeof(head));
	for (unsigned i = 0; i < m->count; i++) {
		struct edge_echo_entry entry = { le64_make(m->seen[i].number),
						 le64_make(m->seen[i].hash) };

		memcpy(out + len, &entry, sizeof(entry));
		len += sizeof(entry);
	}
	return edge_seal(out, len, key) < 0 ? 0 : len + EDGE_MAC_LEN;
}

static bool edge_is_possible(const struct edge_head *head, size_t len)
{
	size_t want = sizeof(*head) + EDGE_MAC_LEN;

	if (head->type != EDGE_REGISTER && head->type != EDGE_ECHO)
		return false;
	if (head->count > EDGE_ECHO_ENTRIES ||
	    (head->count == 0) != (head->type == EDGE_REGISTER))
		return false;
	if (le16_get(head->zero) != 0 || le32_get(head->zero2) != 0)
		return false;
	return len == want + head->count * sizeof(struct edge_echo_entry);
}

int edge_decode(const uint8_t *dgram, size_t len, const uint8_t key[EDGE_KEY_LEN],
		struct edge_message *ret)
{
	uint8_t mac[EDGE_MAC_LEN];
	struct edge_head head;

	if (len < sizeof(head) + EDGE_MAC_LEN)
		return -EPROTO;
	memcpy(&head, dgram, sizeof(head));
	if (!edge_is_possible(&head, len) ||
	    edge_mac(key, dgram, len - EDGE_MAC_LEN, mac) < 0 ||
	    gnutls_memcmp(mac, dgram + len - EDGE_MAC_LEN, EDGE_MAC_LEN) != 0)
		return -EPROTO;
	ret->type = (enum edge_type)head.type;
	ret->id = le64_get(head.id);
	ret->serial = le64_get(head.serial);
	ret->count = head.count;
	dgram += sizeof(head);
	for (unsigned i = 0; i < ret->count; i++) {
		struct edge_echo_entry entry;

		memcpy(&entry, dgram, sizeof(entry));
		ret->seen[i].number = le64_get(entry.number);
		ret->seen[i].hash = le64_get(entry.hash);
		dgram += sizeof(entry);
	}
	return 0;
}

bool edge_recognize(const uint8_t *dgram, size_t len, const uint8_t key[EDGE_KEY_LEN],
		    struct edge_seen *ret)
{
	struct packet_head head;
	le64 k[2];

	if (len < sizeof(head) + PACKET_TAG)
		return false;
	memcpy(&head, dgram, sizeof(head));
	if (head.type != PACKET_DATA && head.type != PACKET_REPAIR)
		return false;
	memcpy(k, key, sizeof(k));
	ret->number = le64_get(head.number);
	ret->hash = rt_siphash(le64_get(k[0]), le64_get(k[1]), dgram, len);
	return true;
}
