// SPDX-License-Identifier: BSD-3-Clause
/* fuzz-links: nbd-server */
/*
 * Requests with any bytes in any field: what passes the check keeps every promise of the
 * group's door, so nothing that a client sends can reach one of its asserts.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "nbd-server/error.h"
#include "nbd-server/nbd_request.h"
#include "replicator/group.h"
#include "rt/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_group(const struct nbds_request *req, uint64_t size, uint16_t flags)
{
	struct group_request group = { 0 };

	nbds_request_to_group(req, &group);
	rt_assert(!(flags & NBDS_FLAG_READ_ONLY) || group.kind == GROUP_READ ||
		  group.kind == GROUP_FLUSH);
	rt_assert((group.flags & ~(GROUP_FUA | GROUP_NO_HOLE | GROUP_FAST_ZERO)) == 0);
	rt_assert(group.kind == GROUP_ZERO ||
		  !(group.flags & (GROUP_NO_HOLE | GROUP_FAST_ZERO)));
	if (group.kind == GROUP_FLUSH) {
		rt_assert(group.offset == 0 && group.len == 0);
		return;
	}
	rt_assert(group.len > 0 && group.offset <= size);
	rt_assert(group.len <= size - group.offset);
	if (group.kind != GROUP_READ && group.kind != GROUP_WRITE)
		return;
	rt_assert(group.len <= GROUP_REQUEST_MAX);
	rt_assert(group_request_span(group.offset, group.len) <=
		  (size_t)GROUP_REQUEST_MAX + GROUP_BLOCK);
	rt_assert(group_request_span(group.offset, group.len) >=
		  group.offset % GROUP_BLOCK + group.len);
}

static void fuzz_request(const struct nbds_request_head *head, uint64_t size,
			 uint16_t flags)
{
	struct nbds_request_head again;
	struct nbds_request req;
	int err;

	if (nbds_request_decode(head, &req) != 0) {
		rt_assert(be32_get(head->magic) != NBDS_REQUEST_MAGIC);
		return;
	}
	nbds_request_encode(&req, &again);
	rt_assert(memcmp(head, &again, sizeof(again)) == 0);
	err = nbds_request_check(&req, size, flags);
	rt_assert(err == 0 || err == -EINVAL || err == -ENOSPC || err == -EPERM);
	rt_assert(err == 0 || nbds_error(err) != NBDS_OK);
	if (nbds_request_hopeless(&req))
		rt_assert(err != 0);
	if (err == 0 && req.type != NBDS_CMD_DISC)
		fuzz_group(&req, size, flags);
}

/* The size and flags of an export, then heads; most of them get the right magic. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nbds_request_head head;
	uint64_t export_size;
	uint16_t flags;

	if (size < 11)
		return 0;
	memcpy(&export_size, data, 8);
	memcpy(&flags, data + 8, 2);
	export_size >>= data[10] % 64;
	for (size_t at = 11; size - at >= sizeof(head); at += sizeof(head)) {
		memcpy(&head, data + at, sizeof(head));
		if (data[10] < 128)
			head.magic = be32_make(NBDS_REQUEST_MAGIC);
		fuzz_request(&head, export_size, flags);
	}
	return 0;
}
