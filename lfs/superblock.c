// SPDX-License-Identifier: BSD-3-Clause
#include "lfs/superblock.h"

#include <errno.h>
#include <string.h>

#include "lfs/log_record.h"
#include "lfs/why.h"
#include "rt/check.h"
#include "rt/crc.h"

#define CRC_FROM (offsetof(struct lfs_superblock_head, crc) + sizeof(le32))
#define LENGTH_MIN LFS_BLOCK
#define FLAGS_KNOWN                                                                      \
	(LFS_FENCED | LFS_SEALED | LFS_ALONE | LFS_UNPAIRED | LFS_CLEAN | LFS_HOLD |     \
	 LFS_PEER_FORGOTTEN)
#define SEGMENTS_ALIGN (UINT64_C(1) << 20)

static uint64_t geometry_round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* ---- geometry --------------------------------------------------------------------------- */

static uint64_t geometry_inner_max(uint64_t segments, uint32_t segment_size)
{
	uint64_t each = (uint64_t)LFS_INNER_LEAVES * LFS_LEAF_BLOCKS * LFS_BLOCK;

	/* Volumes take at most 4/5 of the segments; each may end inside an inner node. */
	return segments * segment_size / 5 * 4 / each + LFS_VOLUMES_MAX;
}

uint64_t lfs_geometry_inner(const struct lfs_geometry *geo)
{
	return geometry_inner_max(geo->segments, geo->segment_size);
}

static uint64_t geometry_checkpoint_slot_size(uint64_t segments, uint32_t segment_size)
{
	return geometry_round_up(
		sizeof(struct lfs_checkpoint_slot_head) +
			geometry_inner_max(segments, segment_size) *
				sizeof(struct lfs_checkpoint_slot_inner) +
			segments * sizeof(struct lfs_checkpoint_slot_segment),
		LFS_BLOCK);
}

static uint64_t geometry_segments_off(uint64_t segments, uint32_t segment_size)
{
	return geometry_round_up(LFS_EVENTS_OFF + LFS_EVENT_REGION +
					 2 * geometry_checkpoint_slot_size(segments,
									   segment_size),
				 SEGMENTS_ALIGN);
}

static bool geometry_segment_size_fits(uint32_t size)
{
	return size >= LFS_SEGMENT_MIN && size <= LFS_SEGMENT_MAX && !(size & (size - 1));
}

int lfs_geometry_make(uint64_t size, uint32_t segment_size, uint64_t checkpoint_every,
		      struct lfs_geometry *ret, char why[LFS_WHY_MAX])
{
	uint64_t n;

	if (!geometry_segment_size_fits(segment_size)) {
		lfs_say(why,
			"segment size %u: must be a power of two from %u to %u bytes",
			segment_size, LFS_SEGMENT_MIN, LFS_SEGMENT_MAX);
		return -EINVAL;
	}
	if (checkpoint_every < LFS_CHECKPOINT_MIN ||
	    checkpoint_every > LFS_CHECKPOINT_MAX) {
		lfs_say(why, "checkpoint distance %llu: must be from %llu to %llu bytes",
			(unsigned long long)checkpoint_every,
			(unsigned long long)LFS_CHECKPOINT_MIN,
			(unsigned long long)LFS_CHECKPOINT_MAX);
		return -EINVAL;
	}
	if (size / LFS_BLOCK > LFS_PBA_MAX) {
		lfs_say(why, "store of %llu bytes: at most %llu",
			(unsigned long long)size,
			(unsigned long long)LFS_PBA_MAX * LFS_BLOCK);
		return -EFBIG;
	}
	n = size / segment_size;
	while (n && geometry_segments_off(n, segment_size) + n * segment_size > size)
		n--;
	if (n < LFS_SEGMENTS_MIN) {
		lfs_say(why,
			"store of %llu bytes: room for %llu segments of %u, at least %u",
			(unsigned long long)size, (unsigned long long)n, segment_size,
			LFS_SEGMENTS_MIN);
		return -ENOSPC;
	}
	*ret = (struct lfs_geometry){
		.store_size = size,
		.segments_off = geometry_segments_off(n, segment_size),
		.checkpoint_slot_size = geometry_checkpoint_slot_size(n, segment_size),
		.checkpoint_every = checkpoint_every,
		.segment_size = segment_size,
		.segments = (uint32_t)n,
	};
	return 0;
}

static bool superblock_request_fits(const struct lfs_meta *meta, uint32_t segment_size)
{
	return meta->max_request >= LFS_REQUEST_MIN &&
	       meta->max_request <= LFS_REQUEST_MAX &&
	       meta->max_request % LFS_BLOCK == 0 &&
	       meta->max_request <= segment_size / 4;
}

/* Segments that a store with these volumes has. */
static uint64_t geometry_segments_needed(const struct lfs_meta *meta,
					 uint32_t segment_size)
{
	uint64_t blocks = 0;

	for (unsigned i = 0; i < meta->nvolumes; i++)
		blocks += lfs_volume_blocks(&meta->volumes[i]);
	return (blocks + blocks / 4 + segment_size / LFS_BLOCK - 1) /
		       (segment_size / LFS_BLOCK) +
	       LFS_SEGMENTS_MIN;
}

/*
 * Segments in which each block can be written once by requests of max_request bytes, with the
 * images of the leaves: of long requests few fit into a segment, and what is left of it is lost.
 */
static uint64_t geometry_segments_filled(const struct lfs_meta *meta,
					 uint32_t segment_size)
{
	uint32_t request = meta->max_request / LFS_BLOCK;
	uint32_t segment_blocks = segment_size / LFS_BLOCK;
	uint64_t usable = lfs_segment_usable(segment_blocks, meta->max_request);
	uint64_t log = 0, leaves = 0;

	for (unsigned i = 0; i < meta->nvolumes; i++) {
		uint64_t blocks = lfs_volume_blocks(&meta->volumes[i]);
		uint64_t requests = (blocks + request - 1) / request;

		log += blocks + requests * lfs_record_head_blocks(1, request);
		leaves += (blocks + LFS_LEAF_BLOCKS - 1) / LFS_LEAF_BLOCKS;
	}
	return (log + usable - 1) / usable +
	       lfs_images_segments(leaves + leaves / LFS_INNER_LEAVES + meta->nvolumes,
				   segment_blocks) +
	       LFS_SEGMENTS_MIN;
}

uint64_t lfs_geometry_size_min(const struct lfs_meta *meta, uint32_t segment_size)
{
	uint64_t n, filled;

	if (!geometry_segment_size_fits(segment_size) ||
	    !superblock_request_fits(meta, segment_size))
		return 0;
	n = geometry_segments_needed(meta, segment_size);
	filled = geometry_segments_filled(meta, segment_size);
	if (filled > n)
		n = filled;
	return geometry_segments_off(n, segment_size) + n * segment_size;
}

/* A decoded geometry must be one that lfs_geometry_make() could have made. */
static bool geometry_fits(const struct lfs_geometry *geo)
{
	struct lfs_geometry want;
	char why[LFS_WHY_MAX];

	return !lfs_geometry_make(geo->store_size, geo->segment_size,
				  geo->checkpoint_every, &want, why) &&
	       want.segments_off == geo->segments_off &&
	       want.checkpoint_slot_size == geo->checkpoint_slot_size &&
	       want.segments == geo->segments;
}

/* ---- meta --------------------------------------------------------------------------------- */

static bool superblock_name_fits(const char name[LFS_NAME_MAX])
{
	return name[0] && memchr(name, 0, LFS_NAME_MAX);
}

static int superblock_volumes_check(const struct lfs_meta *meta, char why[LFS_WHY_MAX])
{
	if (meta->nvolumes > LFS_VOLUMES_MAX) {
		lfs_say(why, "%u volumes: at most %u", meta->nvolumes, LFS_VOLUMES_MAX);
		return -EINVAL;
	}
	for (unsigned i = 0; i < meta->nvolumes; i++) {
		const struct lfs_volume *v = &meta->volumes[i];

		if (!superblock_name_fits(v->name)) {
			lfs_say(why, "volume %u: its name must have 1 to %u bytes", i,
				LFS_NAME_MAX - 1);
			return -EINVAL;
		}
		if (!v->size || v->size % LFS_SECTOR ||
		    lfs_volume_blocks(v) >= LFS_PBA_MAX) {
			lfs_say(why, "volume %s: %llu bytes: must be a multiple of %u",
				v->name, (unsigned long long)v->size, LFS_SECTOR);
			return -EINVAL;
		}
		for (unsigned k = 0; k < i; k++) {
			if (strcmp(v->name, meta->volumes[k].name))
				continue;
			lfs_say(why, "volume %s: named twice", v->name);
			return -EINVAL;
		}
	}
	return 0;
}

static int superblock_epochs_check(const struct lfs_meta *meta, char why[LFS_WHY_MAX])
{
	const struct lfs_epoch *e = meta->epochs;

	if (!meta->nepochs || meta->nepochs > LFS_HISTORY_MAX) {
		lfs_say(why, "%u epochs: must be 1 to %u", meta->nepochs,
			LFS_HISTORY_MAX);
		return -EINVAL;
	}
	for (unsigned i = 1; i < meta->nepochs; i++) {
		if (e[i].number > e[i - 1].number && e[i].first_lsn >= e[i - 1].first_lsn)
			continue;
		lfs_say(why, "epoch %llu after %llu: history must ascend",
			(unsigned long long)e[i].number,
			(unsigned long long)e[i - 1].number);
		return -EINVAL;
	}
	return 0;
}

int lfs_meta_check(const struct lfs_meta *meta, const struct lfs_geometry *geo,
		   char why[LFS_WHY_MAX])
{
	uint64_t need;
	int ret;

	if (meta->role != LFS_PRIMARY && meta->role != LFS_MIRROR) {
		lfs_say(why, "role %u: neither primary nor mirror", (unsigned)meta->role);
		return -EINVAL;
	}
	if (meta->flags & ~FLAGS_KNOWN || !superblock_name_fits(meta->group_name)) {
		lfs_say(why,
			"group: its name must have 1 to %u bytes, its flags 0x%x be "
			"known",
			LFS_NAME_MAX - 1, meta->flags);
		return -EINVAL;
	}
	if (!superblock_request_fits(meta, geo->segment_size)) {
		lfs_say(why,
			"max_request %u: must be from %u to %u and a quarter of a "
			"segment of "
			"%u at most",
			meta->max_request, LFS_REQUEST_MIN, LFS_REQUEST_MAX,
			geo->segment_size);
		return -EINVAL;
	}
	ret = superblock_volumes_check(meta, why);
	if (!ret)
		ret = superblock_epochs_check(meta, why);
	if (ret)
		return ret;
	need = geometry_segments_needed(meta, geo->segment_size);
	if (need > geo->segments) {
		lfs_say(why,
			"the volumes need %llu segments of %u bytes, the store has %u",
			(unsigned long long)need, geo->segment_size, geo->segments);
		return -ENOSPC;
	}
	return 0;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static void superblock_put_tables(uint8_t *at, const struct lfs_meta *meta)
{
	for (unsigned i = 0; i < meta->nvolumes; i++) {
		const struct lfs_volume *v = &meta->volumes[i];
		struct lfs_superblock_volume d = {
			.id = le64_make(v->id),
			.size = le64_make(v->size),
		};

		memcpy(d.name, v->name, strnlen(v->name, LFS_NAME_MAX));
		memcpy(at, &d, sizeof(d));
		at += sizeof(d);
	}
	for (unsigned i = 0; i < meta->nepochs; i++) {
		const struct lfs_epoch *e = &meta->epochs[i];
		struct lfs_superblock_epoch d = {
			.number = le64_make(e->number),
			.id = le64_make(e->id),
			.first_lsn = le64_make(e->first_lsn),
			.lossy = le64_make(e->lossy),
		};

		memcpy(d.store, e->store, LFS_ID_LEN);
		memcpy(at, &d, sizeof(d));
		at += sizeof(d);
	}
}

static uint32_t superblock_used(uint32_t nvolumes, uint32_t nepochs)
{
	return (uint32_t)(sizeof(struct lfs_superblock_head) +
			  nvolumes * sizeof(struct lfs_superblock_volume) +
			  nepochs * sizeof(struct lfs_superblock_epoch));
}

uint32_t lfs_superblock_encode(uint8_t *buf, const struct lfs_superblock *superblock,
			       const struct lfs_meta *meta)
{
	uint32_t used = superblock_used(meta->nvolumes, meta->nepochs);
	uint32_t length = (uint32_t)geometry_round_up(used, LFS_BLOCK);
	struct lfs_superblock_head h = {
		.magic = le64_make(LFS_SUPERBLOCK_MAGIC),
		.length = le32_make(length),
		.version = le32_make(LFS_VERSION),
		.seq = le64_make(superblock->seq),
		.store_size = le64_make(superblock->geo.store_size),
		.segments_off = le64_make(superblock->geo.segments_off),
		.checkpoint_slot_size = le64_make(superblock->geo.checkpoint_slot_size),
		.checkpoint_every = le64_make(superblock->geo.checkpoint_every),
		.segment_size = le32_make(superblock->geo.segment_size),
		.segments = le32_make(superblock->geo.segments),
		.incarnation = le64_make(superblock->incarnation),
		.checkpoint_slot_seq = le64_make(superblock->checkpoint_slot_seq),
		.checkpoint_slot = le32_make(superblock->checkpoint_slot),
		.role = le32_make(meta->role),
		.flags = le32_make(meta->flags),
		.max_request = le32_make(meta->max_request),
		.nvolumes = le32_make(meta->nvolumes),
		.nepochs = le32_make(meta->nepochs),
		.peer.named_epoch = le64_make(meta->named_epoch),
		.peer.persisted = le64_make(meta->peer_persisted),
		.peer.promotion = { .before = le64_make(meta->promotion.before),
				    .epoch = le64_make(meta->promotion.epoch),
				    .undone = le64_make(meta->promotion.undone),
				    .fence = le64_make(meta->promotion.fence) },
		.peer.reached = le64_make(meta->peer_reached),
	};

	rt_assert(length <= LFS_SUPERBLOCK_MAX);
	memcpy(h.store, superblock->store, LFS_ID_LEN);
	memcpy(h.node, superblock->node, LFS_ID_LEN);
	memcpy(h.group, meta->group, LFS_ID_LEN);
	memcpy(h.boot, meta->boot, LFS_ID_LEN);
	memcpy(h.peer.store, meta->peer_store, LFS_ID_LEN);
	memcpy(h.group_name, meta->group_name, strnlen(meta->group_name, LFS_NAME_MAX));
	memset(buf, 0, LFS_SUPERBLOCK_REGION);
	superblock_put_tables(buf + sizeof(h), meta);
	memcpy(buf, &h, sizeof(h));
	h.crc = le32_make(rt_crc32c(buf + CRC_FROM, length - CRC_FROM));
	memcpy(buf, &h, sizeof(h));
	return length;
}

static void superblock_get_tables(const uint8_t *at, struct lfs_meta *meta)
{
	for (unsigned i = 0; i < meta->nvolumes; i++) {
		struct lfs_volume *v = &meta->volumes[i];
		struct lfs_superblock_volume d;

		memcpy(&d, at, sizeof(d));
		at += sizeof(d);
		memcpy(v->name, d.name, LFS_NAME_MAX);
		v->id = le64_get(d.id);
		v->size = le64_get(d.size);
	}
	for (unsigned i = 0; i < meta->nepochs; i++) {
		struct lfs_epoch *e = &meta->epochs[i];
		struct lfs_superblock_epoch d;

		memcpy(&d, at, sizeof(d));
		at += sizeof(d);
		e->number = le64_get(d.number);
		e->id = le64_get(d.id);
		e->first_lsn = le64_get(d.first_lsn);
		e->lossy = le64_get(d.lossy);
		memcpy(e->store, d.store, LFS_ID_LEN);
	}
}

static void superblock_get_head(const struct lfs_superblock_head *h,
				struct lfs_superblock *superblock, struct lfs_meta *meta)
{
	memset(meta, 0, sizeof(*meta));
	superblock->seq = le64_get(h->seq);
	memcpy(superblock->store, h->store, LFS_ID_LEN);
	memcpy(superblock->node, h->node, LFS_ID_LEN);
	superblock->geo = (struct lfs_geometry){
		.store_size = le64_get(h->store_size),
		.segments_off = le64_get(h->segments_off),
		.checkpoint_slot_size = le64_get(h->checkpoint_slot_size),
		.checkpoint_every = le64_get(h->checkpoint_every),
		.segment_size = le32_get(h->segment_size),
		.segments = le32_get(h->segments),
	};
	superblock->incarnation = le64_get(h->incarnation);
	superblock->checkpoint_slot_seq = le64_get(h->checkpoint_slot_seq);
	superblock->checkpoint_slot = le32_get(h->checkpoint_slot);
	memcpy(meta->group, h->group, LFS_ID_LEN);
	memcpy(meta->boot, h->boot, LFS_ID_LEN);
	memcpy(meta->peer_store, h->peer.store, LFS_ID_LEN);
	meta->peer_persisted = le64_get(h->peer.persisted);
	meta->peer_reached = le64_get(h->peer.reached);
	meta->promotion = (struct lfs_promotion){
		.before = le64_get(h->peer.promotion.before),
		.epoch = le64_get(h->peer.promotion.epoch),
		.undone = le64_get(h->peer.promotion.undone),
		.fence = le64_get(h->peer.promotion.fence),
	};
	memcpy(meta->group_name, h->group_name, LFS_NAME_MAX);
	meta->role = (enum lfs_role)le32_get(h->role);
	meta->flags = le32_get(h->flags);
	meta->max_request = le32_get(h->max_request);
	meta->nvolumes = le32_get(h->nvolumes);
	meta->nepochs = le32_get(h->nepochs);
	meta->named_epoch = le64_get(h->peer.named_epoch);
}

static bool superblock_head_zeros(const struct lfs_superblock_head *h)
{
	if (le32_get(h->zero0))
		return false;
	for (size_t i = 0; i < sizeof(h->zero1); i++)
		if (h->zero1[i])
			return false;
	return true;
}

static int superblock_decode_version(const struct lfs_superblock_head *h,
				     char why[LFS_WHY_MAX])
{
	if (le32_get(h->version) != LFS_VERSION) {
		lfs_say(why, "store of format version %u: this program knows version %u",
			le32_get(h->version), LFS_VERSION);
		return -EPROTONOSUPPORT;
	}
	if (le64_get(h->incompat) & ~LFS_INCOMPAT_KNOWN ||
	    le64_get(h->compat_ro) & ~LFS_COMPAT_RO_KNOWN) {
		lfs_say(why,
			"store with features 0x%llx/0x%llx that this program does not "
			"know",
			(unsigned long long)le64_get(h->incompat),
			(unsigned long long)le64_get(h->compat_ro));
		return -EPROTONOSUPPORT;
	}
	return 0;
}

int lfs_superblock_decode(const uint8_t *buf, struct lfs_superblock *superblock,
			  struct lfs_meta *meta, char why[LFS_WHY_MAX])
{
	char detail[LFS_WHY_MAX - 64];
	struct lfs_superblock_head h;
	uint32_t length;
	int ret;

	memcpy(&h, buf, sizeof(h));
	if (le64_get(h.magic) != LFS_SUPERBLOCK_MAGIC) {
		lfs_say(why,
			"no wanmirror store: the superblock's magic number is not there");
		return -EMEDIUMTYPE;
	}
	length = le32_get(h.length);
	if (length < LENGTH_MIN || length > LFS_SUPERBLOCK_MAX || length % LFS_BLOCK ||
	    rt_crc32c(buf + CRC_FROM, length - CRC_FROM) != le32_get(h.crc)) {
		lfs_say(why, "superblock damaged: its checksum is wrong");
		return -EUCLEAN;
	}
	ret = superblock_decode_version(&h, why);
	if (ret)
		return ret;
	superblock_get_head(&h, superblock, meta);
	if (meta->nvolumes > LFS_VOLUMES_MAX || meta->nepochs > LFS_HISTORY_MAX ||
	    superblock_used(meta->nvolumes, meta->nepochs) > length ||
	    !superblock_head_zeros(&h) || !geometry_fits(&superblock->geo) ||
	    superblock->checkpoint_slot > 1) {
		lfs_say(why, "superblock damaged: counts or geometry impossible");
		return -EUCLEAN;
	}
	superblock_get_tables(buf + sizeof(h), meta);
	_Static_assert(sizeof(detail) + 32 <= LFS_WHY_MAX, "fits into why");
	ret = lfs_meta_check(meta, &superblock->geo, why);
	if (!ret)
		return 0;
	memcpy(detail, why, sizeof(detail));
	detail[sizeof(detail) - 1] = 0;
	lfs_say(why, "superblock damaged: %s", detail);
	return -EUCLEAN;
}
