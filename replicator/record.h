/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_RECORD_H
#define REPLICATOR_RECORD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lfs/lfs.h"
#include "rt/bytes.h"

/*
 * The wire record: one LSN as it travels to the other site, in a tunnel's frame or in an
 * ENTRY message. Head, operations, block checksums, then the blocks; nothing in it depends
 * on a site. Over an isolated 4 KiB block it adds 60 bytes (docs/tunnel.md).
 */
struct record_head {
	le32 crc; /* CRC-32C of the rest of the head, the operations and the checksums */
	uint8_t version;
	uint8_t zero;
	le16 nops; /* 1 .. LFS_OPS_MAX */
	le64 epoch_id;
	le64 lsn;
	le64 hash_before; /* history after lsn - 1 */
	le64 wall_ns;	  /* of the primary when it admitted the write; 0: not known */
};
_Static_assert(sizeof(struct record_head) == 40, "wire size");
_Static_assert(_Alignof(struct record_head) == 1, "no padding");

struct record_op {
	uint8_t kind; /* enum lfs_kind */
	uint8_t zero;
	le16 volume;
	le32 blocks;
	le64 lba;
};
_Static_assert(sizeof(struct record_op) == 16, "wire size");

#define RECORD_VERSION 1

/* What precedes the blocks of a record, at most, for `blocks` written blocks. */
#define RECORD_HEAD_MAX(blocks)                                                          \
	(sizeof(struct record_head) + LFS_OPS_MAX * sizeof(struct record_op) +           \
	 (size_t)(blocks) * sizeof(le32))

/* The longest record of a group whose largest request is `max_request` bytes. */
static inline size_t record_len_max(uint32_t max_request)
{
	uint32_t data = lfs_data_max(max_request);

	return RECORD_HEAD_MAX(data / LFS_BLOCK) + data;
}

/* One LSN, as lfs_entry, with the time at which it was admitted; 0: not known. */
struct record {
	uint64_t epoch_id, lsn, hash_before;
	int64_t wall_ns;
	const struct lfs_op *ops;
	unsigned nops;
};

/* An LSN as it was read from the log; operations and data stay the reader's. */
struct record record_of_entry(const struct lfs_entry *entry);

/*
 * Encode everything before the blocks into `buf` of `size` bytes. Returns its length;
 * asserts that it fits (RECORD_HEAD_MAX). The blocks follow as ops[i].data, in order.
 */
size_t record_encode_head(const struct record *rec, uint8_t *buf, size_t size);
/* The pieces of a whole record for gathering: head, then the data of each write. */
unsigned record_gather(const struct record *rec, const uint8_t *head, size_t head_len,
		       struct iovec iov[1 + LFS_OPS_MAX]);

/*
 * A record that was decoded: owns one block-aligned allocation with the data, the
 * operations and the checksums.
 */
struct record_owned {
	struct record rec;
	void *memory;
	size_t data_len;
};

/*
 * Decode and verify a whole record: 0, -EPROTO (framing, fields, ranges against `meta`),
 * -EBADMSG (a checksum), -ENOMEM. *ret is to be released by record_release().
 */
int record_decode(const uint8_t *bytes, size_t len, const struct lfs_meta *meta,
		  struct record_owned *ret);
void record_release(struct record_owned *rec);

#endif
