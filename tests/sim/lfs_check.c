// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>

#include "rt/check.h"
#include "rt/crc.h"
#include "tests/sim/lfs_site.h"

/* ---- checks --------------------------------------------------------------------------------- */

static bool digest_of(struct lfs_site *s, uint64_t *ret, int *res)
{
	uint8_t *buf = lfs_site_alloc(SITE_READ_BLOCKS * LFS_BLOCK);
	uint64_t digest = 0;

	*res = 0;
	for (unsigned v = 0; v < oracle_volumes(s->oracle) && !*res; v++) {
		uint64_t size = oracle_blocks(s->oracle, v);

		for (uint64_t lba = 0; lba < size && !*res; lba += SITE_READ_BLOCKS) {
			uint32_t n = SITE_READ_BLOCKS < size - lba
					     ? SITE_READ_BLOCKS
					     : (uint32_t)(size - lba);

			if (!lfs_site_read(s, v, lba, n, buf, res)) {
				free(buf);
				return false;
			}
			for (uint32_t i = 0; i < n && !*res; i++)
				sim_require(!oracle_block(&digest, v, lba + i,
							  buf + (size_t)i * LFS_BLOCK,
							  NULL),
					    "volume %u block %llu is no block", v,
					    (unsigned long long)lba + i);
		}
	}
	free(buf);
	*ret = digest;
	return true;
}

/* When its last durable LSN was admitted, whatever has happened to the store since. */
static void image_check(const struct lfs_site *s, const struct lfs_image *image)
{
	uint64_t at = image->lsn % SITE_HASHES_MAX;

	sim_require(image->lsn >= s->flushed, "durable below what a flush covered");
	sim_require(image->wall_ns == (image->lsn ? s->walls[at] : 0) &&
			    image->bytes == (image->lsn ? s->bytes[at] : 0),
		    "another time, or another amount of data, at lsn %llu",
		    (unsigned long long)image->lsn);
}

bool lfs_site_check(struct lfs_site *s)
{
	struct lfs_position pos;
	struct lfs_image image;
	uint64_t digest, last = oracle_last(s->oracle);
	char why[LFS_WHY_MAX];
	int res;

	sim_node_enter(s->node);
	lfs_position(s->lfs, &pos);
	lfs_image(s->lfs, &image);
	res = lfs_recount(s->lfs, why);
	sim_node_leave(s->node);
	sim_require(!res || (s->starved && res == -ENOMEM), "recount: %s", why);
	sim_require(pos.lsn == last, "lsn %llu, not %llu", (unsigned long long)pos.lsn,
		    (unsigned long long)last);
	sim_require(!last || pos.hash == s->hashes[last % SITE_HASHES_MAX],
		    "another history after lsn %llu", (unsigned long long)last);
	sim_require(pos.bytes == (last ? s->bytes[last % SITE_HASHES_MAX] : 0),
		    "%llu bytes of data up to lsn %llu", (unsigned long long)pos.bytes,
		    (unsigned long long)last);
	image_check(s, &image);
	if (!digest_of(s, &digest, &res))
		return false;
	if (res) {
		sim_require(s->damaged && res == -EBADMSG, "image: %d", res);
		return true;
	}
	sim_require(digest == oracle_digest(s->oracle, last),
		    "the image is not the one after lsn %llu", (unsigned long long)last);
	return true;
}

struct follow_call {
	struct lfs_site_call call;
	struct lfs_log_reader_next n;
};

static void follow_done(struct lfs_log_reader_next *n, int res)
{
	struct follow_call *call = rt_container_of(n, struct follow_call, n);

	call->call = (struct lfs_site_call){ .ended = true, .res = res };
}

static void entry_check(struct lfs_site *s, const struct lfs_entry *e, uint64_t lsn)
{
	sim_require(e->lsn == lsn, "follow: lsn %llu, not %llu",
		    (unsigned long long)e->lsn, (unsigned long long)lsn);
	sim_require(e->hash_after == s->hashes[lsn % SITE_HASHES_MAX] &&
			    (lsn == 1 ||
			     e->hash_before == s->hashes[(lsn - 1) % SITE_HASHES_MAX]),
		    "follow: another history at lsn %llu", (unsigned long long)lsn);
	sim_require(e->wall_ns == s->walls[lsn % SITE_HASHES_MAX],
		    "follow: another time at lsn %llu", (unsigned long long)lsn);
	sim_require(e->bytes_before + lfs_ops_bytes(e->ops, e->nops) ==
			    s->bytes[lsn % SITE_HASHES_MAX],
		    "follow: another amount of data at lsn %llu",
		    (unsigned long long)lsn);
	for (unsigned i = 0; i < e->nops; i++)
		for (uint32_t k = 0; e->ops[i].kind == LFS_WRITE && k < e->ops[i].blocks;
		     k++)
			sim_require(rt_crc32c(e->ops[i].data + (size_t)k * LFS_BLOCK,
					      LFS_BLOCK) == e->ops[i].crcs[k],
				    "follow: data of lsn %llu", (unsigned long long)lsn);
}

bool lfs_site_follow(struct lfs_site *s)
{
	struct follow_call call = { .n.done = follow_done };
	uint64_t last = oracle_last(s->oracle), lsn;
	struct lfs_log_reader *f;
	int res;

	if (last >= SITE_HASHES_MAX)
		return true;
	lsn = sim_chance(s->rng, 0.5) ? 1 : sim_between(s->rng, 1, last + 1);
	sim_node_enter(s->node);
	res = lfs_log_reader_new(s->lfs, lsn, &f);
	sim_node_leave(s->node);
	if (res == -ENOMEM && s->starved)
		return true;
	sim_require(!res, "follow from %llu: %d", (unsigned long long)lsn, res);
	for (;; lsn++) {
		call.call.ended = false;
		sim_node_enter(s->node);
		lfs_log_reader_next(f, &call.n);
		sim_node_leave(s->node);
		if (!lfs_site_run(s, lfs_site_call_ended, &call.call)) {
			lfs_site_gone(s);
			return false;
		}
		if (call.call.res)
			break;
		entry_check(s, &call.n.entry, lsn);
	}
	sim_require(call.call.res == -ENODATA || s->damaged, "follow at lsn %llu: %d",
		    (unsigned long long)lsn, call.call.res);
	sim_require(lsn == last + 1 || s->damaged, "follow ends at lsn %llu of %llu",
		    (unsigned long long)lsn - 1, (unsigned long long)last);
	sim_node_enter(s->node);
	lfs_log_reader_free(f);
	sim_node_leave(s->node);
	return true;
}

void lfs_site_follow_to_end(struct lfs_site *s, struct lfs_log_reader *f)
{
	struct follow_call call = { .n.done = follow_done };

	do {
		call.call.ended = false;
		sim_node_enter(s->node);
		lfs_log_reader_next(f, &call.n);
		sim_node_leave(s->node);
		(void)lfs_site_run(s, lfs_site_call_ended, &call.call);
	} while (!call.call.res);
	sim_node_enter(s->node);
	lfs_log_reader_free(f);
	sim_node_leave(s->node);
}
