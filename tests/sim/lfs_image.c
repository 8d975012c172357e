// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lfs/recover.h"
#include "rt/check.h"
#include "rt/crc.h"
#include "tests/sim/lfs_site.h"

/*
 * A store whose structures say what no store of ours says, with their checksums right.
 * Protects: nothing on a disk reaches an assert or memory that is not there; the store is
 * refused with a reason, or opened and then read, followed, counted, written and closed.
 */
#define CHANGES_MAX 3

/* A few bytes become others, small and large numbers more often than any. */
static void mutate(struct lfs_site *s, uint8_t *bytes, size_t from, size_t to)
{
	static const uint64_t likely[] = {
		0,    1,       2,	   255,	       256,
		4096, 1 << 20, UINT32_MAX, UINT64_MAX, (uint64_t)1 << 63
	};
	size_t at = from + sim_below(s->rng, to - from);
	size_t len = (size_t)1 << sim_below(s->rng, 4);
	uint64_t value = sim_chance(s->rng, 0.5) ? likely[sim_below(s->rng, 10)]
						 : sim_draw(s->rng);

	if (sim_chance(s->rng, 0.7))
		at = at / 4 * 4;
	len = len < to - at ? len : to - at;
	if (sim_chance(s->rng, 0.3)) {
		memcpy(&value, bytes + at, len);
		value += sim_chance(s->rng, 0.5) ? 1 : UINT64_MAX;
	}
	memcpy(bytes + at, &value, len);
}

static void mend(uint8_t *bytes, size_t len)
{
	le32 crc = le32_make(rt_crc32c(bytes + 12, len - 12));

	memcpy(bytes + 8, &crc, sizeof(crc));
}

static void change_super(struct lfs_site *s)
{
	uint8_t *buf = lfs_site_alloc(LFS_SUPERBLOCK_REGION);
	struct lfs_superblock_head h;

	for (unsigned i = 0; i < 2; i++) {
		sim_disk_peek(s->disk, lfs_superblock_off(i), buf, LFS_SUPERBLOCK_REGION);
		memcpy(&h, buf, sizeof(h));
		mutate(s, buf, 12, 900);
		memcpy(&h, buf, sizeof(h));
		if (le32_get(h.length) >= LFS_BLOCK &&
		    le32_get(h.length) <= LFS_SUPERBLOCK_REGION)
			mend(buf, le32_get(h.length));
		sim_disk_poke(s->disk, lfs_superblock_off(i), buf, LFS_SUPERBLOCK_REGION);
	}
	free(buf);
}

static void change_slot(struct lfs_site *s, const struct lfs_superblock *superblock)
{
	uint64_t off =
		lfs_checkpoint_slot_off(&superblock->geo, superblock->checkpoint_slot);
	uint8_t *head = lfs_site_alloc(LFS_BLOCK), *body;
	struct lfs_checkpoint_slot_head h;
	uint64_t len;

	sim_disk_peek(s->disk, off, head, LFS_BLOCK);
	memcpy(&h, head, sizeof(h));
	len = le64_get(h.body_length);
	if (len >= LFS_BLOCK && len < superblock->geo.checkpoint_slot_size) {
		body = lfs_site_alloc(len);
		sim_disk_peek(s->disk, off + LFS_BLOCK, body, len);
		if (sim_chance(s->rng, 0.5))
			mutate(s, body, 0, len < 4096 ? len : 4096);
		h.body_crc = le32_make(rt_crc32c(body, len));
		memcpy(head, &h, sizeof(h));
		sim_disk_poke(s->disk, off + LFS_BLOCK, body, len);
		free(body);
	}
	if (sim_chance(s->rng, 0.5))
		mutate(s, head, 32, 148);
	mend(head, LFS_BLOCK);
	sim_disk_poke(s->disk, off, head, LFS_BLOCK);
	free(head);
}

/* A block of the log: a segment's header, a record's head area, or nothing to mend. */
static void change_log(struct lfs_site *s, const struct lfs_superblock *superblock)
{
	uint64_t blocks = superblock->geo.segment_size / LFS_BLOCK, at;
	uint8_t *area = lfs_site_alloc(LFS_HEAD_BLOCKS_MAX * LFS_BLOCK);
	size_t len = LFS_BLOCK;
	struct lfs_record rec;
	uint32_t want;

	at = superblock->geo.segments_off +
	     (sim_skewed(s->rng, 1, 4 * blocks) - 1) * LFS_BLOCK;
	for (uint64_t i = 0; i < blocks; i++, at += LFS_BLOCK) {
		sim_disk_peek(s->disk, at, area, LFS_BLOCK);
		if (area[1] == 'W' && area[2] == 'A' && area[3] == 'N')
			break;
	}
	if (lfs_record_decode(area, LFS_BLOCK, &rec, &want) == -EMSGSIZE) {
		len = (size_t)want * LFS_BLOCK;
		sim_disk_peek(s->disk, at, area, len);
	}
	mutate(s, area, 12, 300);
	mend(area, len);
	sim_disk_poke(s->disk, at, area, len);
	free(area);
}

static void change(struct lfs_site *s)
{
	uint8_t *buf = lfs_site_alloc(LFS_SUPERBLOCK_REGION);
	struct lfs_meta *meta = lfs_site_alloc(sizeof(*meta));
	struct lfs_superblock superblock[2];
	char why[LFS_WHY_MAX];
	bool good[2];
	unsigned best;

	for (unsigned i = 0; i < 2; i++) {
		sim_disk_peek(s->disk, lfs_superblock_off(i), buf, LFS_SUPERBLOCK_REGION);
		good[i] = !lfs_superblock_decode(buf, &superblock[i], meta, why);
	}
	free(buf);
	free(meta);
	best = !good[0] || (good[1] && superblock[1].seq > superblock[0].seq);
	if (!good[best] || sim_chance(s->rng, 0.2))
		change_super(s);
	else if (sim_chance(s->rng, 0.4))
		change_slot(s, &superblock[best]);
	else
		change_log(s, &superblock[best]);
}

/* ---- what can still be done with it ------------------------------------------------------- */

static void read_all(struct lfs_site *s)
{
	const struct lfs_meta *meta = lfs_meta(s->lfs);
	uint8_t *buf = lfs_site_alloc(SITE_READ_BLOCKS * LFS_BLOCK);
	int res;

	for (unsigned v = 0; v < meta->nvolumes; v++) {
		uint64_t size = lfs_volume_blocks(&meta->volumes[v]);

		for (uint64_t lba = 0; lba < size && lba < 4096;
		     lba += SITE_READ_BLOCKS) {
			uint64_t n = size - lba;

			(void)lfs_site_read(s, v, lba,
					    n < SITE_READ_BLOCKS ? (uint32_t)n
								 : SITE_READ_BLOCKS,
					    buf, &res);
			sim_require(!res || res == -EBADMSG || res == -EIO, "read: %d",
				    res);
		}
	}
	free(buf);
}

static void follow_all(struct lfs_site *s)
{
	for (uint64_t from = 1; from < 3; from++) {
		struct lfs_log_reader *f;
		int res;

		sim_node_enter(s->node);
		res = lfs_log_reader_new(s->lfs, from, &f);
		sim_node_leave(s->node);
		sim_require(!res || res == -ENOENT, "follow: %d", res);
		if (!res)
			lfs_site_follow_to_end(s, f);
	}
}

static void run_image(struct sim_world *w)
{
	struct lfs_site *s = lfs_site_new(w);
	unsigned changes = (unsigned)sim_between(s->rng, 1, CHANGES_MAX);
	char why[LFS_WHY_MAX];
	int res;

	rt_assert(lfs_site_create(s) && lfs_site_open(s, &res) && !res);
	for (unsigned i = (unsigned)sim_below(s->rng, 4); i > 0; i--)
		rt_assert(lfs_site_burst(s));
	if (sim_chance(s->rng, 0.5)) {
		rt_assert(lfs_site_drain(s) && lfs_site_flush(s, &res));
	}
	if (sim_chance(s->rng, 0.3)) {
		rt_assert(lfs_site_close(s, &res));
	} else {
		sim_node_crash(s->node, SIM_POWER);
		lfs_site_gone(s);
	}
	for (unsigned i = 0; i < changes; i++)
		change(s);
	s->damaged = s->faulty = true;
	rt_assert(lfs_site_open(s, &res));
	sim_note(s->w, "image", (uint64_t)-res, 0, 0);
	if (!res) {
		read_all(s);
		follow_all(s);
		sim_node_enter(s->node);
		res = lfs_recount(s->lfs, why);
		sim_node_leave(s->node);
		sim_require(!res, "recount: %s", why);
		rt_assert(lfs_site_close(s, &res));
	}
	lfs_site_free(s);
}

SIM_SCENARIO(lfs_image, "a store that lies, with its checksums right", run_image, NULL)
