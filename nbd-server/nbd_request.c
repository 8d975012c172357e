// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>

#include "nbd-server/nbd_request.h"
#include "replicator/group.h"
#include "rt/check.h"

static_assert(NBDS_REQUEST_MAX == GROUP_REQUEST_MAX, "what we offer, the group takes");
static_assert(NBDS_PREFERRED == GROUP_BLOCK, "what we prefer is what costs least");

int nbds_request_decode(const struct nbds_request_head *head, struct nbds_request *ret)
{
	if (be32_get(head->magic) != NBDS_REQUEST_MAGIC)
		return -EPROTO;
	ret->flags = be16_get(head->flags);
	ret->type = be16_get(head->type);
	ret->cookie = be64_get(head->cookie);
	ret->offset = be64_get(head->offset);
	ret->len = be32_get(head->len);
	return 0;
}

void nbds_request_encode(const struct nbds_request *req, struct nbds_request_head *ret)
{
	ret->magic = be32_make(NBDS_REQUEST_MAGIC);
	ret->flags = be16_make(req->flags);
	ret->type = be16_make(req->type);
	ret->cookie = be64_make(req->cookie);
	ret->offset = be64_make(req->offset);
	ret->len = be32_make(req->len);
}

/* One command: what it may carry, and its error beyond the end. */
struct request_rule {
	uint16_t needs; /* the transmission flag that offers it; 0: always there */
	uint16_t flags; /* command flags that it takes if their own flag was offered */
	bool has_range; /* has an offset and a length, else both must be 0 */
	bool has_data;	/* the length is bounded by NBDS_REQUEST_MAX */
	bool changes;	/* not for read-only exports */
	int beyond;	/* error for a range beyond the end */
};

static const struct request_rule request_rules[] = {
	[NBDS_CMD_READ] = { 0, NBDS_CMD_FLAG_FUA, true, true, false, -EINVAL },
	[NBDS_CMD_WRITE] = { 0, NBDS_CMD_FLAG_FUA, true, true, true, -ENOSPC },
	[NBDS_CMD_FLUSH] = { NBDS_FLAG_SEND_FLUSH, NBDS_CMD_FLAG_FUA, false, false, false,
			     -EINVAL },
	[NBDS_CMD_TRIM] = { NBDS_FLAG_SEND_TRIM, NBDS_CMD_FLAG_FUA, true, false, true,
			    -EINVAL },
	[NBDS_CMD_WRITE_ZEROES] = { NBDS_FLAG_SEND_WRITE_ZEROES,
				    NBDS_CMD_FLAG_FUA | NBDS_CMD_FLAG_NO_HOLE |
					    NBDS_CMD_FLAG_FAST_ZERO,
				    true, false, true, -ENOSPC },
};

/* NULL for a command that is not served at all. */
static const struct request_rule *request_rule(uint16_t type)
{
	switch (type) {
	case NBDS_CMD_READ:
	case NBDS_CMD_WRITE:
	case NBDS_CMD_FLUSH:
	case NBDS_CMD_TRIM:
	case NBDS_CMD_WRITE_ZEROES:
		return &request_rules[type];
	default:
		return NULL;
	}
}

/* The command flags of `rule` that this export offers. */
static uint16_t request_flags_offered(const struct request_rule *rule, uint16_t flags)
{
	uint16_t offered = rule->flags;

	if (!(flags & NBDS_FLAG_SEND_FUA))
		offered &= (uint16_t)~NBDS_CMD_FLAG_FUA;
	if (!(flags & NBDS_FLAG_SEND_FAST_ZERO))
		offered &= (uint16_t)~NBDS_CMD_FLAG_FAST_ZERO;
	return offered;
}

int nbds_request_check(const struct nbds_request *req, uint64_t size, uint16_t flags)
{
	const struct request_rule *rule = request_rule(req->type);

	if (req->type == NBDS_CMD_DISC)
		return 0;
	if (!rule)
		return -EINVAL;
	/* Before `needs`: a read-only export offers no trim, and EPERM says why. */
	if (rule->changes && (flags & NBDS_FLAG_READ_ONLY))
		return -EPERM;
	if ((flags & rule->needs) != rule->needs)
		return -EINVAL;
	if (req->flags & ~request_flags_offered(rule, flags))
		return -EINVAL;
	if (!rule->has_range)
		return req->offset || req->len ? -EINVAL : 0;
	if (req->len == 0 || (rule->has_data && req->len > NBDS_REQUEST_MAX))
		return -EINVAL;
	/* offset + len may wrap: compare without adding. */
	if (req->offset > size || req->len > size - req->offset)
		return rule->beyond;
	return 0;
}

uint32_t nbds_request_payload(const struct nbds_request *req)
{
	return req->type == NBDS_CMD_WRITE ? req->len : 0;
}

bool nbds_request_hopeless(const struct nbds_request *req)
{
	return nbds_request_payload(req) > NBDS_REQUEST_MAX;
}

static enum group_request_kind request_kind(uint16_t type)
{
	switch (type) {
	case NBDS_CMD_READ:
		return GROUP_READ;
	case NBDS_CMD_WRITE:
		return GROUP_WRITE;
	case NBDS_CMD_TRIM:
		return GROUP_TRIM;
	case NBDS_CMD_WRITE_ZEROES:
		return GROUP_ZERO;
	default:
		rt_assert(type == NBDS_CMD_FLUSH);
		return GROUP_FLUSH;
	}
}

void nbds_request_to_group(const struct nbds_request *req, struct group_request *ret)
{
	ret->kind = request_kind(req->type);
	ret->offset = req->offset;
	ret->len = req->len;
	ret->flags = 0;
	/* The protocol lets FUA stand on a read and on a flush, where it says nothing. */
	if ((req->flags & NBDS_CMD_FLAG_FUA) && request_rules[req->type].changes)
		ret->flags |= GROUP_FUA;
	if (req->flags & NBDS_CMD_FLAG_NO_HOLE)
		ret->flags |= GROUP_NO_HOLE;
	if (req->flags & NBDS_CMD_FLAG_FAST_ZERO)
		ret->flags |= GROUP_FAST_ZERO;
}
