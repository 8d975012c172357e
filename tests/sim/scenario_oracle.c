// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/check.h"
#include "tests/sim/oracle.h"
#include "tests/sim/sim.h"

/*
 * The oracle against the slow way: an image that is really written, and its digest taken
 * from its bytes. If this fails, no verdict of any other scenario means anything.
 */
#define VOLUMES 2
#define BLOCKS 48
#define LSNS 60

struct image {
	uint8_t block[VOLUMES][BLOCKS][ORACLE_BLOCK];
};

static uint64_t image_digest(const struct image *image)
{
	uint64_t digest = 0;

	for (unsigned v = 0; v < VOLUMES; v++)
		for (uint64_t lba = 0; lba < BLOCKS; lba++)
			sim_require(oracle_block(&digest, v, lba, image->block[v][lba],
						 NULL) == 0,
				    "a block of its own is strange to it");
	return digest;
}

static void image_apply(struct image *image, const struct work_op *op, uint64_t stamp)
{
	uint8_t *at = image->block[op->volume][op->lba];

	if (op->kind == WORK_WRITE)
		oracle_fill(at, op->volume, op->lba, op->blocks, stamp);
	else
		memset(at, 0, (size_t)op->blocks * ORACLE_BLOCK);
}

static void one_lsn(struct sim_world *w, struct oracle *o, struct work *work,
		    struct image *image)
{
	struct work_op ops[16];
	unsigned n = work_next(work, sim_rng(w), 32, ops);

	for (unsigned i = 0; i < n; i++)
		image_apply(image, &ops[i], oracle_stamp(o));
	work_apply(o, ops, n);
	(void)oracle_commit(o);
	sim_require(image_digest(image) == oracle_digest(o, oracle_last(o)), "digest");
}

/* Digests follow the image, forward and after LSNs were taken back. */
static void oracle_knows_every_prefix(struct sim_world *w, struct oracle *o,
				      struct image *image)
{
	uint64_t cut = sim_below(sim_rng(w), LSNS), found;
	struct image *kept = malloc(sizeof(*kept));
	struct work_shape shape;
	struct work work;

	sim_require(kept != NULL, "memory");
	work_shape_draw(sim_rng(w), &shape);
	work_init(&work, o, &shape);
	memcpy(kept, image, sizeof(*kept));
	for (unsigned i = 0; i < LSNS; i++) {
		one_lsn(w, o, &work, image);
		if (oracle_last(o) == cut)
			memcpy(kept, image, sizeof(*kept));
	}
	sim_require(oracle_find(o, image_digest(kept), 0, cut, &found) == 0 &&
			    oracle_digest(o, found) == oracle_digest(o, cut),
		    "find");
	oracle_take_back(o, cut);
	sim_require(image_digest(kept) == oracle_digest(o, cut), "taken back");
	for (unsigned i = 0; i < LSNS; i++)
		one_lsn(w, o, &work, kept);
	/* What the other branch wrote is no prefix of this one, unless it is the same. */
	if (oracle_find(o, image_digest(image), 0, UINT64_MAX, &found) == 0)
		sim_require(image_digest(image) == oracle_digest(o, found), "branch");
	free(kept);
}

/* Without one LSN in the middle, the rest is as if that had never been asked for. */
static void oracle_drops_an_lsn(struct sim_world *w)
{
	struct oracle *o = oracle_new(VOLUMES, (uint64_t[VOLUMES]){ BLOCKS, BLOCKS });
	struct image *image = calloc(1, sizeof(*image));
	uint64_t drop = sim_between(sim_rng(w), 1, LSNS);
	struct work_shape shape;
	struct work work;

	sim_require(image != NULL, "memory");
	work_shape_draw(sim_rng(w), &shape);
	work_init(&work, o, &shape);
	for (uint64_t lsn = 1; lsn <= LSNS; lsn++) {
		struct work_op ops[16];
		unsigned n = work_next(&work, sim_rng(w), 32, ops);

		for (unsigned i = 0; i < n && lsn != drop; i++)
			image_apply(image, &ops[i], oracle_stamp(o));
		work_apply(o, ops, n);
		(void)oracle_commit(o);
	}
	oracle_drop(o, drop);
	sim_require(oracle_last(o) == LSNS - 1, "last");
	sim_require(image_digest(image) == oracle_digest(o, LSNS - 1), "dropped");
	for (unsigned i = 0; i < LSNS; i++)
		one_lsn(w, o, &work, image);
	oracle_take_back(o, drop - 1);
	oracle_take_back(o, 0);
	sim_require(oracle_digest(o, 0) == 0, "all taken back");
	oracle_free(o);
	free(image);
}

/* A single bit, a block of another place, a mixture of two writes: all are noticed. */
static void oracle_refuses_strange_blocks(struct sim_world *w)
{
	uint8_t a[ORACLE_BLOCK], b[ORACLE_BLOCK];
	uint64_t digest = 0, at = sim_below(sim_rng(w), ORACLE_BLOCK * 8);

	oracle_fill(a, 0, 7, 1, 5);
	a[at / 8] ^= (uint8_t)(1u << at % 8);
	sim_require(oracle_block(&digest, 0, 7, a, NULL) == -EBADMSG, "a flipped bit");
	oracle_fill(a, 0, 7, 1, 5);
	sim_require(oracle_block(&digest, 0, 8, a, NULL) == -EBADMSG, "another lba");
	sim_require(oracle_block(&digest, 1, 7, a, NULL) == -EBADMSG, "another volume");
	oracle_fill(b, 0, 7, 1, 6);
	memcpy(a + 512 * sim_between(sim_rng(w), 1, 7), b, 512);
	sim_require(oracle_block(&digest, 0, 7, a, NULL) == -EBADMSG, "two writes mixed");
	sim_require(digest == 0, "digest changed by what was refused");
}

static void run_oracle(struct sim_world *w)
{
	struct oracle *o = oracle_new(VOLUMES, (uint64_t[VOLUMES]){ BLOCKS, BLOCKS });
	struct image *image = calloc(1, sizeof(*image));

	sim_require(image != NULL, "memory");
	oracle_knows_every_prefix(w, o, image);
	oracle_drops_an_lsn(w);
	oracle_refuses_strange_blocks(w);
	free(image);
	oracle_free(o);
}

SIM_SCENARIO(oracle, "the oracle against an image that is really written", run_oracle,
	     NULL, .all_max = 20);
