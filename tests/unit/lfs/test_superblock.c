// SPDX-License-Identifier: BSD-3-Clause
/*
 * The superblock is what a store is known by. Everything is read back; a flipped bit is
 * damage, another version or feature is not taken for damage, and a geometry or group
 * that this program could not have made is refused, at each limit.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lfs/superblock.h"
#include "rt/crc.h"
#include "tests/unit/unit.h"

#define MIB (UINT64_C(1) << 20)

static uint8_t buf[LFS_SUPERBLOCK_REGION];
static struct lfs_meta meta, got_meta;
static struct lfs_superblock superblock, got;
static char why[LFS_WHY_MAX];

static void sample(unsigned nvolumes, unsigned nepochs)
{
	memset(&meta, 0, sizeof(meta));
	memset(&superblock, 0, sizeof(superblock));
	memset(meta.group, 1, sizeof(meta.group));
	memset(meta.boot, 2, sizeof(meta.boot));
	memset(meta.peer_store, 5, sizeof(meta.peer_store));
	meta.peer_persisted = UINT64_C(0x0102030405060708);
	meta.peer_reached = UINT64_C(0x0203040506070809);
	meta.promotion = (struct lfs_promotion){ 11, 12, 13, 14 };
	strncpy(meta.group_name, "payments", LFS_NAME_MAX - 1);
	meta.role = LFS_MIRROR;
	meta.flags = LFS_FENCED | LFS_CLEAN;
	meta.max_request = 1 << 20;
	meta.nvolumes = nvolumes;
	for (unsigned i = 0; i < nvolumes; i++) {
		meta.volumes[i] = (struct lfs_volume){
			.id = i + 1,
			.size = (i + 1) * LFS_BLOCK,
		};
		meta.volumes[i].name[0] = (char)('a' + i / 26);
		meta.volumes[i].name[1] = (char)('a' + i % 26);
	}
	meta.nepochs = nepochs;
	for (unsigned i = 0; i < nepochs; i++)
		meta.epochs[i] = (struct lfs_epoch){
			.number = i + 1,
			.id = i * 77,
			.first_lsn = i * 10 + 1,
		};
	superblock.seq = 9;
	superblock.incarnation = 4;
	superblock.checkpoint_slot = 1;
	superblock.checkpoint_slot_seq = 17;
	memset(superblock.store, 3, sizeof(superblock.store));
	memset(superblock.node, 4, sizeof(superblock.node));
	assert_int_equal(lfs_geometry_make(256 * MIB, 4 << 20, MIB, &superblock.geo, why),
			 0);
}

static int decode(void)
{
	return lfs_superblock_decode(buf, &got, &got_meta, why);
}

static void check_round_trip(unsigned nvolumes, unsigned nepochs)
{
	uint32_t len;

	sample(nvolumes, nepochs);
	len = lfs_superblock_encode(buf, &superblock, &meta);
	assert_int_equal(len % LFS_BLOCK, 0);
	assert_true(len <= LFS_SUPERBLOCK_REGION);
	memset(&got, 0, sizeof(got));
	assert_int_equal(decode(), 0);
	assert_memory_equal(&got, &superblock, sizeof(superblock));
	assert_memory_equal(&got_meta, &meta, sizeof(meta));
}

static void what_is_written_is_read_back(void **state)
{
	check_round_trip(0, 1);
	check_round_trip(3, 2);
	check_round_trip(LFS_VOLUMES_MAX, LFS_HISTORY_MAX);
}

static void any_flipped_bit_is_damage(void **state)
{
	uint32_t len;

	sample(3, 2);
	len = lfs_superblock_encode(buf, &superblock, &meta);
	for (size_t bit = 0; bit < len * 8; bit++) {
		int res;

		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		res = decode();
		assert_int_equal(res, bit < 64 ? -EMEDIUMTYPE : -EUCLEAN);
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	/* Cut off anywhere: zeros follow. */
	for (size_t n = 8; n < sizeof(struct lfs_superblock_head) + 3 * 88 + 2 * 24;
	     n++) {
		lfs_superblock_encode(buf, &superblock, &meta);
		if (buf[n] == 0)
			continue;
		memset(buf + n, 0, sizeof(buf) - n);
		assert_int_equal(decode(), -EUCLEAN);
	}
}

/* Nine blocks: the checksum is that of all of them. */
static void a_flipped_bit_in_any_block_is_damage(void **state)
{
	uint32_t len;

	sample(LFS_VOLUMES_MAX, LFS_HISTORY_MAX);
	len = lfs_superblock_encode(buf, &superblock, &meta);
	assert_true(len > 8 * LFS_BLOCK);
	for (size_t n = 8; n < len; n += 61) {
		buf[n] ^= 1;
		assert_int_equal(decode(), -EUCLEAN);
		buf[n] ^= 1;
	}
	assert_int_equal(decode(), 0);
}

static void mend(void)
{
	struct lfs_superblock_head h;

	memcpy(&h, buf, sizeof(h));
	h.crc = le32_make(rt_crc32c(buf + 12, le32_get(h.length) - 12));
	memcpy(buf, &h, sizeof(h));
}

static int with_head(void (*change)(struct lfs_superblock_head *h))
{
	struct lfs_superblock_head h;

	sample(3, 2);
	lfs_superblock_encode(buf, &superblock, &meta);
	memcpy(&h, buf, sizeof(h));
	change(&h);
	memcpy(buf, &h, sizeof(h));
	mend();
	return decode();
}

static void version_2(struct lfs_superblock_head *h)
{
	h->version = le32_make(LFS_VERSION + 1);
}
static void feature(struct lfs_superblock_head *h)
{
	h->incompat = le64_make(1);
}
static void feature_ro(struct lfs_superblock_head *h)
{
	h->compat_ro = le64_make(UINT64_C(1) << 63);
}
static void feature_compat(struct lfs_superblock_head *h)
{
	h->compat = le64_make(1);
}
static void segments_more(struct lfs_superblock_head *h)
{
	h->segments = le32_make(le32_get(h->segments) + 1);
}
static void segments_all(struct lfs_superblock_head *h)
{
	h->segments = le32_make(UINT32_MAX);
}
static void segment_size_odd(struct lfs_superblock_head *h)
{
	h->segment_size = le32_make((4 << 20) + 1);
}
static void slot_2(struct lfs_superblock_head *h)
{
	h->checkpoint_slot = le32_make(2);
}
static void slot_size_less(struct lfs_superblock_head *h)
{
	h->checkpoint_slot_size =
		le64_make(le64_get(h->checkpoint_slot_size) - LFS_BLOCK);
}
static void store_huge(struct lfs_superblock_head *h)
{
	h->store_size = le64_make(UINT64_MAX);
}
static void volumes_many(struct lfs_superblock_head *h)
{
	h->nvolumes = le32_make(LFS_VOLUMES_MAX + 1);
}
static void epochs_none(struct lfs_superblock_head *h)
{
	h->nepochs = le32_make(0);
}
static void epochs_many(struct lfs_superblock_head *h)
{
	h->nepochs = le32_make(UINT32_MAX);
}
static void epochs_beyond_length(struct lfs_superblock_head *h)
{
	h->nepochs = le32_make(LFS_HISTORY_MAX);
}
static void role_0(struct lfs_superblock_head *h)
{
	h->role = le32_make(0);
}
static void flags_unknown(struct lfs_superblock_head *h)
{
	h->flags = le32_make(LFS_PEER_FORGOTTEN << 1);
}
static void name_endless(struct lfs_superblock_head *h)
{
	memset(h->group_name, 'x', sizeof(h->group_name));
}
static void reserved(struct lfs_superblock_head *h)
{
	h->zero1[sizeof(h->zero1) - 1] = 1;
}

static void another_version_is_not_damage(void **state)
{
	assert_int_equal(with_head(version_2), -EPROTONOSUPPORT);
	assert_int_equal(with_head(feature), -EPROTONOSUPPORT);
	assert_int_equal(with_head(feature_ro), -EPROTONOSUPPORT);
	assert_int_equal(with_head(feature_compat), 0);
}

static void what_cannot_be_is_refused(void **state)
{
	static void (*const changes[])(struct lfs_superblock_head * h) = {
		segments_more,	  segments_all,
		segment_size_odd, slot_2,
		slot_size_less,	  store_huge,
		volumes_many,	  epochs_none,
		epochs_many,	  epochs_beyond_length,
		role_0,		  flags_unknown,
		name_endless,	  reserved,
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		assert_int_equal(with_head(changes[i]), -EUCLEAN);
}

static int make(uint64_t size, uint32_t segment, uint64_t every)
{
	struct lfs_geometry geo;

	why[0] = 0;
	return lfs_geometry_make(size, segment, every, &geo, why);
}

static void geometry_has_limits(void **state)
{
	struct lfs_geometry geo;
	uint64_t least;

	assert_int_equal(make(256 * MIB, LFS_SEGMENT_MIN, LFS_CHECKPOINT_MIN), 0);
	assert_int_equal(make(256 * MIB, LFS_SEGMENT_MIN / 2, MIB), -EINVAL);
	assert_int_equal(make(256 * MIB, LFS_SEGMENT_MIN + 1, MIB), -EINVAL);
	assert_int_equal(make(256 * MIB, 3 << 20, MIB), -EINVAL);
	assert_int_equal(make(4096 * MIB, LFS_SEGMENT_MAX, MIB), 0);
	assert_int_equal(make(4096 * MIB, 512u << 20, MIB), -EINVAL);
	assert_int_equal(make(256 * MIB, LFS_SEGMENT_MIN, LFS_CHECKPOINT_MIN - 1),
			 -EINVAL);
	assert_int_equal(make(256 * MIB, LFS_SEGMENT_MIN, LFS_CHECKPOINT_MAX), 0);
	assert_int_equal(make(256 * MIB, LFS_SEGMENT_MIN, LFS_CHECKPOINT_MAX + 1),
			 -EINVAL);
	assert_true(why[0]);
	assert_int_equal(make(0, LFS_SEGMENT_MIN, MIB), -ENOSPC);
	assert_int_equal(make(UINT64_MAX, LFS_SEGMENT_MIN, MIB), -EFBIG);
	assert_int_equal(make((uint64_t)LFS_PBA_MAX * LFS_BLOCK, LFS_SEGMENT_MAX, MIB),
			 0);
	assert_int_equal(make((uint64_t)LFS_PBA_MAX * LFS_BLOCK + LFS_BLOCK,
			      LFS_SEGMENT_MAX, MIB),
			 -EFBIG);
	/* The least store for these volumes, and a block less. */
	sample(3, 1);
	meta.volumes[0].size = 40 * MIB;
	meta.max_request = LFS_REQUEST_MIN;
	least = lfs_geometry_size_min(&meta, LFS_SEGMENT_MIN);
	assert_int_equal(lfs_geometry_make(least, LFS_SEGMENT_MIN, MIB, &geo, why), 0);
	assert_int_equal(lfs_meta_check(&meta, &geo, why), 0);
	assert_int_equal(
		lfs_geometry_make(least - LFS_BLOCK, LFS_SEGMENT_MIN, MIB, &geo, why), 0);
	assert_int_equal(lfs_meta_check(&meta, &geo, why), -ENOSPC);
	assert_int_equal(lfs_geometry_size_min(&meta, 12345), 0);
	/* Three requests to a segment: a quarter of it is lost. */
	meta.max_request = LFS_SEGMENT_MIN / 4;
	assert_in_range(lfs_geometry_size_min(&meta, LFS_SEGMENT_MIN), least + 3 * MIB,
			least + 12 * MIB);
	meta.max_request += LFS_BLOCK;
	assert_int_equal(lfs_geometry_size_min(&meta, LFS_SEGMENT_MIN), 0);
}

static int check_meta(void)
{
	why[0] = 0;
	return lfs_meta_check(&meta, &superblock.geo, why);
}

static void meta_has_limits(void **state)
{
	sample(2, 2);
	assert_int_equal(check_meta(), 0);
	meta.max_request = LFS_REQUEST_MIN;
	assert_int_equal(check_meta(), 0);
	meta.max_request = LFS_REQUEST_MIN - LFS_BLOCK;
	assert_int_equal(check_meta(), -EINVAL);
	meta.max_request = superblock.geo.segment_size / 4;
	assert_int_equal(check_meta(), 0);
	meta.max_request += LFS_BLOCK;
	assert_int_equal(check_meta(), -EINVAL);
	sample(2, 2);
	meta.volumes[1].size = 0;
	assert_int_equal(check_meta(), -EINVAL);
	meta.volumes[1].size = LFS_BLOCK + 512;
	assert_int_equal(check_meta(), 0);
	meta.volumes[1].size = LFS_BLOCK + 511;
	assert_int_equal(check_meta(), -EINVAL);
	meta.volumes[1].size = 200 * MIB;
	assert_int_equal(check_meta(), -ENOSPC);
	meta.volumes[1].size = UINT64_MAX / LFS_BLOCK * LFS_BLOCK;
	assert_int_equal(check_meta(), -EINVAL);
	sample(2, 2);
	meta.volumes[1] = meta.volumes[0];
	assert_int_equal(check_meta(), -EINVAL);
	sample(2, 2);
	meta.volumes[1].name[0] = 0;
	assert_int_equal(check_meta(), -EINVAL);
	sample(2, 2);
	meta.epochs[1].number = 1;
	assert_int_equal(check_meta(), -EINVAL);
	assert_true(why[0]);
	sample(2, 2);
	meta.nvolumes = LFS_VOLUMES_MAX + 1;
	assert_int_equal(check_meta(), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(any_flipped_bit_is_damage),
		cmocka_unit_test(a_flipped_bit_in_any_block_is_damage),
		cmocka_unit_test(another_version_is_not_damage),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(geometry_has_limits),
		cmocka_unit_test(meta_has_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
