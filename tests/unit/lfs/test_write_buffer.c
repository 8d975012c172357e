// SPDX-License-Identifier: BSD-3-Clause
/*
 * Admitted blocks that are not in the map yet are read from memory: of each block the
 * youngest version, or zeros where a zero or trim is younger. A read that sees an older
 * one breaks read-after-write for every client.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lfs/write_buffer.h"
#include "tests/unit/unit.h"

#define LBAS 24u
#define APPENDS 40u
#define OPS 4u
#define ROOM (APPENDS * OPS * 4)

static uint8_t data[APPENDS * OPS * 4][LFS_BLOCK];
static uint32_t crcs[APPENDS * OPS * 4];
static struct lfs_op ops[APPENDS][OPS];
static struct lfs_append appends[APPENDS];

static unsigned long long rng;

static unsigned draw(unsigned n)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(rng >> 33) % n;
}

/* What a read must find, by looking at every operation from the oldest on. */
static enum lfs_seen model(unsigned from, unsigned to, uint32_t volume, uint64_t lba,
			   const uint8_t **ret)
{
	enum lfs_seen seen = LFS_SEEN_NOT;

	for (unsigned i = from; i < to; i++)
		for (unsigned n = 0; n < appends[i].nops; n++) {
			const struct lfs_op *op = &ops[i][n];

			if (op->volume != volume || lba < op->lba ||
			    lba - op->lba >= op->blocks)
				continue;
			seen = op->kind == LFS_WRITE ? LFS_SEEN_DATA : LFS_SEEN_ZERO;
			*ret = op->kind == LFS_WRITE
				       ? op->data + (lba - op->lba) * LFS_BLOCK
				       : NULL;
		}
	return seen;
}

static void compare(const struct lfs_write_buffer *o, unsigned from, unsigned to)
{
	for (uint32_t volume = 0; volume < 2; volume++)
		for (uint64_t lba = 0; lba < LBAS; lba++) {
			const uint8_t *want = NULL, *got = NULL;
			uint32_t crc = 0;

			assert_int_equal(lfs_write_buffer_get(o, volume, lba, &got, &crc),
					 model(from, to, volume, lba, &want));
			assert_ptr_equal(got, want);
			if (want)
				assert_int_equal(crc, crcs[(want - data[0]) / LFS_BLOCK]);
		}
}

static void append_draw(unsigned i)
{
	struct lfs_append *a = &appends[i];

	*a = (struct lfs_append){ .lsn = i + 1, .ops = ops[i], .nops = 1 + draw(OPS) };
	for (unsigned n = 0; n < a->nops; n++) {
		unsigned at = (i * OPS + n) * 4;

		ops[i][n] = (struct lfs_op){ .kind = 1 + draw(3),
					     .volume = draw(2),
					     .lba = draw(LBAS - 4),
					     .blocks = 1 + draw(4),
					     .crcs = crcs + at,
					     .data = data[at] };
	}
}

static void the_youngest_is_seen(void **state)
{
	const char *given = getenv("SEED");
	unsigned long long first = given ? strtoull(given, NULL, 0) : 1;

	for (size_t i = 0; i < sizeof(crcs) / sizeof(*crcs); i++)
		crcs[i] = (uint32_t)i;
	for (unsigned long long seed = first; seed < first + 50; seed++) {
		struct lfs_write_buffer o;
		unsigned from = 0, to = 0;

		rng = seed;
		assert_int_equal(lfs_write_buffer_init(&o, ROOM), 0);
		while (from < APPENDS) {
			if (to < APPENDS && draw(3)) {
				append_draw(to);
				lfs_write_buffer_add(&o, &appends[to++]);
			} else if (from < to) {
				lfs_write_buffer_remove(&o, &appends[from++]);
			}
			compare(&o, from, to);
		}
		if (o.unused != ROOM)
			print_message("seed %llu\n", seed);
		assert_int_equal(o.unused, ROOM);
		lfs_write_buffer_release(&o);
	}
}

/* Within one LSN the later operation counts, both ways round. */
static void of_one_lsn_the_last_operation_counts(void **state)
{
	const uint8_t *got;
	struct lfs_write_buffer o;
	uint32_t crc;

	assert_int_equal(lfs_write_buffer_init(&o, 8), 0);
	ops[0][0] = (struct lfs_op){
		.kind = LFS_WRITE, .blocks = 1, .crcs = crcs, .data = data[0]
	};
	ops[0][1] = (struct lfs_op){ .kind = LFS_TRIM, .blocks = 1 };
	ops[0][2] = ops[0][0];
	ops[0][2].data = data[1];
	appends[0] = (struct lfs_append){ .lsn = 5, .ops = ops[0], .nops = 2 };
	lfs_write_buffer_add(&o, &appends[0]);
	assert_int_equal(lfs_write_buffer_get(&o, 0, 0, &got, &crc), LFS_SEEN_ZERO);
	lfs_write_buffer_remove(&o, &appends[0]);
	appends[0].nops = 3;
	lfs_write_buffer_add(&o, &appends[0]);
	assert_int_equal(o.unused, 6);
	assert_int_equal(lfs_write_buffer_get(&o, 0, 0, &got, &crc), LFS_SEEN_DATA);
	assert_ptr_equal(got, data[1]);
	lfs_write_buffer_remove(&o, &appends[0]);
	assert_int_equal(lfs_write_buffer_get(&o, 0, 0, &got, &crc), LFS_SEEN_NOT);
	assert_int_equal(o.unused, 8);
	lfs_write_buffer_release(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_youngest_is_seen),
		cmocka_unit_test(of_one_lsn_the_last_operation_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
