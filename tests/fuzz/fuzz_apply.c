// SPDX-License-Identifier: BSD-3-Clause
/* fuzz-links: replicator */
/*
 * Records of a peer that has the key and lies, one after the other, at the door of apply.
 * The log behind it is a double that asserts what lfs.h asks of its callers, takes or
 * refuses, and completes when the input says so. Whatever comes, nothing reaches one of
 * its asserts; each refusal is final and counted; memory and order stay in account.
 *
 * An input is a list of steps. A step that gives a record says which of its fields are put
 * right first (LSN, epoch, history hash, checksums), so that those behind them are reached.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/group_private.h"
#include "replicator/record.h"
#include "rt/bug.h"
#include "rt/check.h"
#include "rt/crc.h"
#include "rt/mem.h"

#define FUZZ_STEPS_MAX 64
#define FUZZ_APPENDS 16u
#define FUZZ_REQUEST (64u << 10)
#define FUZZ_BLOCKS (FUZZ_REQUEST / LFS_BLOCK + 2) /* one more than is legal */
#define FUZZ_HEAD                                                                        \
	(sizeof(struct record_head) + (LFS_OPS_MAX + 1) * sizeof(struct record_op))

/* What a step puts right. */
#define MEND_LSN 1u
#define MEND_EPOCH 2u
#define MEND_HASH 4u
#define MEND_CRC 8u
#define MEND_DATA 16u  /* checksums and blocks, as many as the operations ask for, */
#define SPOIL_DATA 32u /* and then the last byte of these */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the log: what lfs.h promises, and nothing behind it ------------------------------ */

struct lfs {
	struct lfs_meta meta;
	struct lfs_append *appends[FUZZ_APPENDS]; /* lent, in order */
	unsigned nappends;
	uint64_t admitted, hash;
	int refuses; /* what the next append ends with */
	bool waits;  /* -EAGAIN */
};

static struct lfs store;
static struct group group = { .lfs = &store };

const struct lfs_meta *lfs_meta(const struct lfs *lfs)
{
	return &lfs->meta;
}

const struct lfs_epoch *lfs_epoch_of(const struct lfs_meta *meta, uint64_t lsn)
{
	unsigned i = meta->nepochs - 1;

	while (i > 0 && meta->epochs[i].first_lsn > lsn)
		i--;
	return &meta->epochs[i];
}

struct lfs_lsn lfs_lsn(const struct lfs *lfs)
{
	return (struct lfs_lsn){ lfs->admitted, lfs->admitted, lfs->admitted };
}

void lfs_position(const struct lfs *lfs, struct lfs_position *ret)
{
	*ret = (struct lfs_position){ .lsn = lfs->admitted, .hash = lfs->hash };
}

static bool ops_share_a_block(const struct lfs_op *a, const struct lfs_op *b)
{
	return a->volume == b->volume && a->lba < b->lba + b->blocks &&
	       b->lba < a->lba + a->blocks;
}

static void check_op(const struct lfs_append *a, unsigned n)
{
	const struct lfs_op *op = &a->ops[n];
	uint64_t blocks;

	rt_assert(op->volume < store.meta.nvolumes && op->blocks >= 1);
	blocks = lfs_volume_blocks(&store.meta.volumes[op->volume]);
	rt_assert(op->lba < blocks && op->blocks <= blocks - op->lba);
	for (unsigned i = 0; i < n; i++)
		rt_assert(!ops_share_a_block(&a->ops[i], op));
	rt_assert(op->kind == LFS_WRITE || op->kind == LFS_ZERO || op->kind == LFS_TRIM);
	if (op->kind != LFS_WRITE)
		return;
	rt_assert((uintptr_t)op->data % LFS_BLOCK == 0);
	for (uint32_t i = 0; i < op->blocks; i++)
		rt_assert(rt_crc32c(op->data + (size_t)i * LFS_BLOCK, LFS_BLOCK) ==
			  op->crcs[i]);
}

int lfs_append(struct lfs *lfs, struct lfs_append *a)
{
	uint64_t written = 0;

	rt_assert(a->lsn == lfs->admitted + 1);
	rt_assert(a->nops >= 1 && a->nops <= LFS_OPS_MAX);
	for (unsigned i = 0; i < a->nops; i++) {
		check_op(a, i);
		written += a->ops[i].kind == LFS_WRITE ? a->ops[i].blocks : 0;
	}
	rt_assert(written * LFS_BLOCK <= lfs_data_max(lfs->meta.max_request));
	if (lfs->waits || lfs->nappends == FUZZ_APPENDS)
		return -EAGAIN;
	if (lfs->refuses < 0)
		return lfs->refuses;
	lfs->hash = a->hash = lfs_history_next(
		lfs->hash, lfs_epoch_of(&lfs->meta, a->lsn)->id, a->ops, a->nops);
	lfs->admitted++;
	lfs->appends[lfs->nappends++] = a;
	return 0;
}

static void log_completes(int res)
{
	struct lfs_append *a = store.appends[0];

	if (store.nappends == 0)
		return;
	store.nappends--;
	memmove(store.appends, store.appends + 1, store.nappends * sizeof(a));
	a->done(a, res);
	rt_assert(res == 0 || group.apply.err < 0);
}

void group_log_refused(struct group *g, int err)
{
}

void group_wake(struct group *g)
{
	rt_assert(g == &group);
}

/* ---- records ------------------------------------------------------------------------------ */

struct fuzz {
	const uint8_t *data;
	size_t size;
	uint64_t hash;	/* of the history behind all that was taken */
	uint8_t *bytes; /* the record that is given */
	size_t len;
};

static uint8_t fuzz_byte(struct fuzz *f)
{
	if (f->size == 0)
		return 0;
	f->size--;
	return *f->data++;
}

/* Head and operations as far as the input goes, zeros behind. */
static size_t take_head(struct fuzz *f)
{
	size_t len = fuzz_byte(f) | (size_t)fuzz_byte(f) << 8, n;

	len %= FUZZ_HEAD + 1;
	n = len < f->size ? len : f->size;
	memset(f->bytes, 0, len);
	if (n > 0)
		memcpy(f->bytes, f->data, n);
	f->data += n;
	f->size -= n;
	return len;
}

/* Blocks that the operations there say they write, as many as there is room for. */
static size_t blocks_said(const uint8_t *bytes, size_t len)
{
	size_t blocks = 0;

	for (size_t at = sizeof(struct record_head); at + sizeof(struct record_op) <= len;
	     at += sizeof(struct record_op)) {
		struct record_op op;

		memcpy(&op, bytes + at, sizeof(op));
		if (op.kind == LFS_WRITE && le32_get(op.blocks) <= FUZZ_BLOCKS)
			blocks += le32_get(op.blocks);
	}
	return blocks < FUZZ_BLOCKS ? blocks : FUZZ_BLOCKS;
}

static size_t put_data(uint8_t *bytes, size_t len)
{
	size_t blocks = blocks_said(bytes, len);
	uint8_t *crcs = bytes + len, *data = crcs + blocks * sizeof(le32);

	for (size_t i = 0; i < blocks; i++, data += LFS_BLOCK) {
		le32 crc;

		memset(data, (int)(i + len), LFS_BLOCK);
		crc = le32_make(rt_crc32c(data, LFS_BLOCK));
		memcpy(crcs + i * sizeof(crc), &crc, sizeof(crc));
	}
	return blocks;
}

static void mend(struct fuzz *f, size_t head_len, size_t blocks, unsigned how)
{
	const struct apply *a = &group.apply;
	struct record_head head;

	if (head_len < sizeof(head))
		return;
	memcpy(&head, f->bytes, sizeof(head));
	if (how & MEND_LSN)
		head.lsn = le64_make(a->next_lsn);
	if (how & MEND_EPOCH)
		head.epoch_id =
			le64_make(lfs_epoch_of(&store.meta, le64_get(head.lsn))->id);
	if (how & MEND_HASH)
		head.hash_before = le64_make(f->hash);
	memcpy(f->bytes, &head, sizeof(head));
	head.crc =
		le32_make(rt_crc32c(f->bytes + sizeof(head.crc),
				    head_len + blocks * sizeof(le32) - sizeof(head.crc)));
	if (how & MEND_CRC)
		memcpy(f->bytes, &head.crc, sizeof(head.crc));
}

/* The history behind a record that was taken, from its own bytes. */
static void history_goes_on(struct fuzz *f)
{
	struct record_owned owned;

	rt_assert(record_decode(f->bytes, f->len, &store.meta, &owned) == 0);
	if (rt_list_empty(&group.apply.queue)) { /* it is in the log already */
		rt_assert(owned.rec.hash_before == f->hash);
		rt_assert(owned.rec.epoch_id ==
			  lfs_epoch_of(&store.meta, owned.rec.lsn)->id);
	}
	f->hash = lfs_history_next(f->hash, owned.rec.epoch_id, owned.rec.ops,
				   owned.rec.nops);
	record_release(&owned);
}

/* As it would come: in memory of just its size, so that a sanitizer sees every overrun. */
static int give(struct fuzz *f)
{
	uint8_t *copy = malloc(f->len ? f->len : 1);
	int res;

	rt_assert(copy);
	memcpy(copy, f->bytes, f->len);
	res = apply_record(&group.apply, copy, f->len);
	free(copy);
	return res;
}

static void fuzz_record(struct fuzz *f)
{
	struct apply *a = &group.apply;
	unsigned how = fuzz_byte(f);
	size_t head_len = take_head(f), blocks = 0;
	uint64_t next = a->next_lsn, counted = a->refused;
	int before = a->err, res;

	if (how & MEND_DATA)
		blocks = put_data(f->bytes, head_len);
	f->len = head_len + blocks * (sizeof(le32) + LFS_BLOCK);
	if (blocks > 0 && (how & SPOIL_DATA))
		f->bytes[f->len - 1] ^= 0x10;
	mend(f, head_len, blocks, how);
	res = give(f);
	rt_assert(res == a->err);
	rt_assert(before == 0 || (res == before && a->refused == counted));
	rt_assert(before < 0 ||
		  a->refused == counted + (res == -EPROTO || res == -EBADMSG));
	rt_assert(res == 0 || a->why[0]);
	if (res == 0) {
		rt_assert(a->next_lsn == next + 1);
		history_goes_on(f);
	}
}

/* A new connection: what waits is thrown away, and the log says what comes next. */
static void fuzz_connection(struct fuzz *f)
{
	struct apply *a = &group.apply;

	apply_discard(a);
	while (store.nappends > 0)
		log_completes(0);
	rt_assert(apply_idle(a) && a->bytes == 0);
	apply_restart(a);
	f->hash = store.hash;
}

static void fuzz_step(struct fuzz *f)
{
	static const int errors[] = { 0, -ENOSPC, -EDQUOT, -ENOMEM, -EIO, -EROFS };
	struct apply *a = &group.apply;

	switch (fuzz_byte(f) % 8) {
	case 0:
	case 1:
	case 2:
		fuzz_record(f);
		break;
	case 3:
		store.waits = fuzz_byte(f) & 1;
		break;
	case 4:
		store.refuses = errors[fuzz_byte(f) % RT_ARRAY_LEN(errors)];
		break;
	case 5:
		log_completes(fuzz_byte(f) ? 0 : -EIO);
		break;
	case 6:
		apply_retry(a);
		break;
	case 7:
		fuzz_connection(f);
		break;
	}
}

/* What an honest peer sends is taken, whatever was sent before it. */
static void honesty_goes_on(struct fuzz *f)
{
	struct lfs_op op = { .kind = LFS_TRIM, .volume = 1, .lba = 5, .blocks = 1 };
	struct record rec = { .ops = &op, .nops = 1 };

	store.waits = false;
	store.refuses = 0;
	fuzz_connection(f);
	rec.lsn = store.admitted + 1;
	rec.epoch_id = lfs_epoch_of(&store.meta, rec.lsn)->id;
	rec.hash_before = store.hash;
	f->len = record_encode_head(&rec, f->bytes, FUZZ_HEAD);
	rt_assert(give(f) == 0 && store.admitted == rec.lsn);
	fuzz_connection(f);
}

static void start(struct fuzz *f)
{
	store = (struct lfs){ .admitted = 10, .hash = 0x1234 };
	store.meta.max_request = FUZZ_REQUEST;
	store.meta.nvolumes = 2;
	store.meta.volumes[0].size = 64 * LFS_BLOCK;
	store.meta.volumes[1].size = UINT64_C(1) << 40;
	store.meta.nepochs = 3;
	store.meta.epochs[0] =
		(struct lfs_epoch){ .number = 1, .id = 0x11, .first_lsn = 1 };
	store.meta.epochs[1] =
		(struct lfs_epoch){ .number = 2, .id = 0x22, .first_lsn = 11 };
	store.meta.epochs[2] =
		(struct lfs_epoch){ .number = 5, .id = 0x55, .first_lsn = 13 };
	apply_init(&group.apply, &group);
	apply_restart(&group.apply);
	f->hash = store.hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[FUZZ_HEAD + FUZZ_BLOCKS * (sizeof(le32) + LFS_BLOCK)];
	struct fuzz f = { .data = data, .size = size, .bytes = bytes };

	start(&f);
	for (unsigned i = 0; i < FUZZ_STEPS_MAX && f.size > 0; i++) {
		fuzz_step(&f);
		rt_assert(group.apply.err < 0 || !rt_list_empty(&group.apply.queue) ||
			  f.hash == store.hash);
	}
	honesty_goes_on(&f);
	return 0;
}
