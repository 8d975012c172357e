/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_REPLICATOR_LIES_H
#define TESTS_UNIT_REPLICATOR_LIES_H

/*
 * The table of hostile records: each is the honest next record of the site with one lie in
 * it and right checksums, so that nothing but the check of that field can refuse it. For
 * every place where records of a peer come in.
 */
#include <errno.h>

#include "tests/unit/replicator/forge.h"
#include "tests/unit/replicator/talk.h"

/* Of the record that is sent. */
static uint8_t forged_bytes[FORGE_BYTES];

#define LIES_EPOCH UINT64_C(0x1badb002) /* of no history */

#define LIE_NOT_LEGAL "a record is not legal"
#define LIE_CHECKSUM "a record's checksum is wrong"
#define LIE_HISTORY "the histories differ before LSN"
#define LIE_EPOCH "is of an epoch that is not agreed"
#define LIE_PLACE "where"

/* What an honest peer sends next, behind `before` others like it. */
static inline void forge_honest(struct forged *f, unsigned before)
{
	const struct lfs_meta *meta = lfs_meta(site->group->lfs);
	struct lfs_position end;

	lfs_position(site->group->lfs, &end);
	memset(f, 0, sizeof(*f));
	f->head.version = RECORD_VERSION;
	f->head.lsn = le64_make(end.lsn + 1 + before);
	f->head.epoch_id = le64_make(lfs_epoch_of(meta, end.lsn + 1 + before)->id);
	f->head.hash_before = le64_make(end.hash);
	f->head.wall_ns = le64_make(1700000000 * (uint64_t)RT_S);
	forge_op(f, LFS_WRITE, 0, 1, 2);
	forge_op(f, LFS_TRIM, 1, 3, 7);
	forge_op(f, LFS_WRITE, 1, 20, 1);
	forge_op(f, LFS_ZERO, 0, 100, 1);
}

static inline void lie_lsn(struct forged *f, uint64_t by)
{
	f->head.lsn = le64_make(le64_get(f->head.lsn) + by);
}

static inline void lsn_repeats(struct forged *f)
{
	lie_lsn(f, UINT64_MAX);
}

static inline void lsn_goes_back(struct forged *f)
{
	lie_lsn(f, UINT64_MAX - 2);
}

static inline void lsn_leaps(struct forged *f)
{
	lie_lsn(f, 1);
}

static inline void lsn_leaps_far(struct forged *f)
{
	lie_lsn(f, UINT64_C(1) << 40);
}

static inline void lsn_is_the_last(struct forged *f)
{
	f->head.lsn = le64_make(UINT64_MAX);
}

static inline void lsn_is_0(struct forged *f)
{
	f->head.lsn = le64_make(0);
}

static inline void epoch_is_foreign(struct forged *f)
{
	f->head.epoch_id = le64_make(LIES_EPOCH);
}

static inline void epoch_is_0(struct forged *f)
{
	f->head.epoch_id = le64_make(0);
}

static inline void history_differs(struct forged *f)
{
	f->head.hash_before = le64_make(le64_get(f->head.hash_before) ^ 1);
}

static inline void no_operations(struct forged *f)
{
	f->head.nops = le16_make(0);
}

static inline void nothing_at_all(struct forged *f)
{
	f->nops = f->blocks = 0;
	f->head.nops = le16_make(0);
}

static inline void one_operation_more_said(struct forged *f)
{
	f->head.nops = le16_make((uint16_t)(f->nops + 1));
}

static inline void one_operation_less_said(struct forged *f)
{
	f->head.nops = le16_make((uint16_t)(f->nops - 1));
}

static inline void all_operations_said(struct forged *f)
{
	f->head.nops = le16_make(UINT16_MAX);
}

/* Each a block of its own, so that nothing but their number is wrong. */
static inline void too_many_operations(struct forged *f)
{
	f->nops = f->blocks = 0;
	for (unsigned i = 0; i < LFS_OPS_MAX + 1; i++)
		forge_op(f, LFS_TRIM, i & 1, i / 2, 1);
}

static inline void lba_beyond(struct forged *f)
{
	f->ops[0].lba = le64_make(site->config.volumes[0].size / LFS_BLOCK);
}

static inline void lba_wraps(struct forged *f)
{
	f->ops[0].lba = le64_make(UINT64_MAX);
}

static inline void range_ends_beyond(struct forged *f)
{
	f->ops[0].lba = le64_make(site->config.volumes[0].size / LFS_BLOCK - 1);
}

static inline void trim_ends_beyond(struct forged *f)
{
	f->ops[1].blocks = le32_make(UINT32_MAX);
}

static inline void no_blocks(struct forged *f)
{
	f->ops[1].blocks = le32_make(0);
}

static inline void volume_unknown(struct forged *f)
{
	f->ops[1].volume = le16_make(2);
}

static inline void volume_far(struct forged *f)
{
	f->ops[1].volume = le16_make(UINT16_MAX);
}

static inline void kind_0(struct forged *f)
{
	f->ops[1].kind = 0;
}

static inline void kind_unknown(struct forged *f)
{
	f->ops[1].kind = LFS_TRIM + 1;
}

static inline void writes_overlap(struct forged *f)
{
	f->ops[2].volume = le16_make(0);
	f->ops[2].lba = le64_make(2);
}

static inline void trim_over_a_write(struct forged *f)
{
	f->ops[1].volume = le16_make(0);
	f->ops[1].lba = le64_make(0);
	f->ops[1].blocks = le32_make(2);
}

static inline void the_same_operation_twice(struct forged *f)
{
	forge_op(f, LFS_TRIM, 1, 3, 7);
}

static inline void trim_with_a_payload(struct forged *f)
{
	f->blocks += 7;
}

static inline void zero_with_a_payload(struct forged *f)
{
	f->blocks++;
}

static inline void write_without_its_payload(struct forged *f)
{
	f->blocks--;
}

static inline void more_than_a_request(struct forged *f)
{
	f->nops = f->blocks = 0;
	forge_op(f, LFS_WRITE, 0, 0,
		 lfs_data_max(site->config.max_request) / LFS_BLOCK + 1);
}

static inline void more_than_a_request_in_two(struct forged *f)
{
	uint32_t blocks = lfs_data_max(site->config.max_request) / LFS_BLOCK;

	f->nops = f->blocks = 0;
	forge_op(f, LFS_WRITE, 0, 0, blocks);
	forge_op(f, LFS_WRITE, 1, 0, 1);
}

static inline void one_byte_less(struct forged *f)
{
	f->more = -1;
}

static inline void one_byte_more(struct forged *f)
{
	f->more = 1;
}

static inline void a_block_more(struct forged *f)
{
	f->more = LFS_BLOCK;
}

static inline void version_0(struct forged *f)
{
	f->head.version = 0;
}

static inline void version_of_later(struct forged *f)
{
	f->head.version = RECORD_VERSION + 1;
}

static inline void reserved_of_the_head(struct forged *f)
{
	f->head.zero = 1;
}

static inline void reserved_of_an_operation(struct forged *f)
{
	f->ops[1].zero = 0x80;
}

static inline void head_checksum(struct forged *f)
{
	f->head_lies = true;
}

static inline void block_checksum(struct forged *f)
{
	f->block_lies = true;
}

struct lie {
	const char *name;
	void (*tell)(struct forged *f);
	int res;
	const char *why; /* part of it */
};

#define LIE(tell, res, why)                                                              \
	{                                                                                \
#tell, tell, res, why                                                    \
	}
static const struct lie lies[] = {
	LIE(lsn_repeats, -EPROTO, LIE_PLACE),
	LIE(lsn_goes_back, -EPROTO, LIE_PLACE),
	LIE(lsn_leaps, -EPROTO, LIE_PLACE),
	LIE(lsn_leaps_far, -EPROTO, LIE_PLACE),
	LIE(lsn_is_the_last, -EPROTO, LIE_PLACE),
	LIE(lsn_is_0, -EPROTO, LIE_NOT_LEGAL),
	LIE(epoch_is_foreign, -EPROTO, LIE_EPOCH),
	LIE(epoch_is_0, -EPROTO, LIE_EPOCH),
	LIE(history_differs, -EPROTO, LIE_HISTORY),
	LIE(no_operations, -EPROTO, LIE_NOT_LEGAL),
	LIE(nothing_at_all, -EPROTO, LIE_NOT_LEGAL),
	LIE(one_operation_more_said, -EPROTO, LIE_NOT_LEGAL),
	LIE(one_operation_less_said, -EPROTO, LIE_NOT_LEGAL),
	LIE(all_operations_said, -EPROTO, LIE_NOT_LEGAL),
	LIE(too_many_operations, -EPROTO, LIE_NOT_LEGAL),
	LIE(lba_beyond, -EPROTO, LIE_NOT_LEGAL),
	LIE(lba_wraps, -EPROTO, LIE_NOT_LEGAL),
	LIE(range_ends_beyond, -EPROTO, LIE_NOT_LEGAL),
	LIE(trim_ends_beyond, -EPROTO, LIE_NOT_LEGAL),
	LIE(no_blocks, -EPROTO, LIE_NOT_LEGAL),
	LIE(volume_unknown, -EPROTO, LIE_NOT_LEGAL),
	LIE(volume_far, -EPROTO, LIE_NOT_LEGAL),
	LIE(kind_0, -EPROTO, LIE_NOT_LEGAL),
	LIE(kind_unknown, -EPROTO, LIE_NOT_LEGAL),
	LIE(writes_overlap, -EPROTO, LIE_NOT_LEGAL),
	LIE(trim_over_a_write, -EPROTO, LIE_NOT_LEGAL),
	LIE(the_same_operation_twice, -EPROTO, LIE_NOT_LEGAL),
	LIE(trim_with_a_payload, -EPROTO, LIE_NOT_LEGAL),
	LIE(zero_with_a_payload, -EPROTO, LIE_NOT_LEGAL),
	LIE(write_without_its_payload, -EPROTO, LIE_NOT_LEGAL),
	LIE(more_than_a_request, -EPROTO, LIE_NOT_LEGAL),
	LIE(more_than_a_request_in_two, -EPROTO, LIE_NOT_LEGAL),
	LIE(one_byte_less, -EPROTO, LIE_NOT_LEGAL),
	LIE(one_byte_more, -EPROTO, LIE_NOT_LEGAL),
	LIE(a_block_more, -EPROTO, LIE_NOT_LEGAL),
	LIE(version_0, -EPROTO, LIE_NOT_LEGAL),
	LIE(version_of_later, -EPROTO, LIE_NOT_LEGAL),
	LIE(reserved_of_the_head, -EPROTO, LIE_NOT_LEGAL),
	LIE(reserved_of_an_operation, -EPROTO, LIE_NOT_LEGAL),
	LIE(head_checksum, -EBADMSG, LIE_CHECKSUM),
	LIE(block_checksum, -EBADMSG, LIE_CHECKSUM),
};
#undef LIE

#endif
