// SPDX-License-Identifier: BSD-3-Clause
/* fuzz-links: replicator */
/*
 * Control messages come from a peer that holds the key and may still lie: the first byte
 * chooses the message, and what is taken for one is within all bounds and encodes again.
 */
#include <stdint.h>
#include <string.h>

#include "replicator/message.h"
#include "rt/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_hello(const uint8_t *data, size_t size)
{
	static struct message_hello hello;
	static uint8_t again[MESSAGE_MAX];

	if (message_decode_hello(data, size, &hello) < 0)
		return;
	rt_assert(message_encode_hello(&hello, again, sizeof(again)) == size);
	rt_assert(memcmp(again, data, size) == 0);
}

/* What a later version appends is no part of it. */
static void try_negotiate(const uint8_t *data, size_t size)
{
	struct message_negotiate m;
	uint8_t again[512];
	size_t len;

	if (message_decode_negotiate(data, size, &m) < 0)
		return;
	len = message_encode_negotiate(&m, again, sizeof(again));
	rt_assert(len <= size && memcmp(again, data, len) == 0);
	rt_assert(m.min >= 1 && m.min <= m.max);
}

static void try_identity(const uint8_t *data, size_t size)
{
	struct message_identity m;
	uint8_t again[512];

	if (message_decode_identity(data, size, &m) < 0)
		return;
	rt_assert(message_encode_identity(&m, again, sizeof(again)) == size);
	rt_assert(memcmp(again, data, size) == 0);
}

static void try_grant(const uint8_t *data, size_t size)
{
	struct message_grant m;
	uint8_t again[64];

	if (message_decode_grant(data, size, &m) < 0)
		return;
	rt_assert(message_encode_grant(&m, again, sizeof(again)) == size);
	rt_assert(memcmp(again, data, size) == 0);
}

static void try_hash(const uint8_t *data, size_t size)
{
	struct message_hash m;
	uint8_t again[64];

	if (message_decode_hash(data, size, &m) < 0)
		return;
	rt_assert(message_encode_hash(&m, again, sizeof(again)) == size);
	rt_assert(memcmp(again, data, size) == 0);
}

static void try_start(const uint8_t *data, size_t size)
{
	static struct message_start start;
	static uint8_t again[MESSAGE_MAX];

	if (message_decode_start(data, size, &start) < 0)
		return;
	rt_assert(start.symbol_size % 32 == 0 && start.window >= 1);
	rt_assert(message_encode_start(&start, again, sizeof(again)) == size);
	rt_assert(memcmp(again, data, size) == 0);
}

static void try_join(const uint8_t *data, size_t size)
{
	struct message_join join;
	uint8_t again[64];

	if (message_decode_join(data, size, &join) < 0)
		return;
	rt_assert(message_encode_join(&join, again, sizeof(again)) == size);
	rt_assert(memcmp(again, data, size) == 0);
}

static void try_progress(const uint8_t *data, size_t size)
{
	struct message_progress progress;
	uint8_t again[64];

	if (message_decode_progress(data, size, &progress) < 0)
		return;
	rt_assert(message_encode_progress(&progress, again, sizeof(again)) == size);
	rt_assert(memcmp(again, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message_ping ping;
	char text[MESSAGE_TEXT_MAX + 1];
	uint64_t n;

	if (size == 0)
		return 0;
	switch (data[0] % 11) {
	case 0:
		try_hello(data + 1, size - 1);
		break;
	case 1:
		try_start(data + 1, size - 1);
		break;
	case 2: /* any outcome is fine as long as it ends */
		(void)message_decode_ping(data + 1, size - 1, &ping);
		break;
	case 3:
		(void)message_decode_number(data + 1, size - 1, &n);
		break;
	case 4:
		try_join(data + 1, size - 1);
		break;
	case 5:
		try_progress(data + 1, size - 1);
		break;
	case 6:
		try_negotiate(data + 1, size - 1);
		break;
	case 7:
		try_identity(data + 1, size - 1);
		break;
	case 8:
		try_grant(data + 1, size - 1);
		break;
	case 10:
		try_hash(data + 1, size - 1);
		break;
	default:
		if (message_decode_text(data + 1, size - 1, text) == 0)
			rt_assert(strlen(text) == size - 1);
		break;
	}
	return 0;
}
