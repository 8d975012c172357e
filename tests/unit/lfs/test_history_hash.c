// SPDX-License-Identifier: BSD-3-Clause
/*
 * The history hash is what two sites compare to know whether one's log is a prefix of the
 * other's. It must be the hash of docs/format.md to the byte, depend on all that a write
 * says, and on nothing else.
 */
#include <string.h>

#include "lfs/lfs.h"
#include "rt/bytes.h"
#include "rt/hash.h"
#include "tests/unit/unit.h"

#define PREV UINT64_C(0x0123456789abcdef)
#define EPOCH UINT64_C(0xfedcba9876543210)

static uint32_t crcs[4] = { 0x11111111, 0x22222222, 0x33333333, 0x44444444 };
static uint8_t data[16];

static struct lfs_op write_op(void)
{
	return (struct lfs_op){ .kind = LFS_WRITE,
				.volume = 3,
				.lba = UINT64_C(0x1122334455),
				.blocks = 2,
				.crcs = crcs,
				.data = data };
}

/* By hand, field by field, as the document has it. */
static void the_bytes_are_those_of_the_document(void **state)
{
	struct lfs_op ops[2] = { write_op(),
				 { .kind = LFS_TRIM, .lba = 7, .blocks = 100 } };
	uint8_t bytes[48] = {
		1,    0,    0,	  0,	3,    0,    0,	  0,	/* kind, volume */
		0x55, 0x44, 0x33, 0x22, 0x11, 0,    0,	  0,	/* lba */
		2,    0,    0,	  0,				/* blocks */
		0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x22, 0x22, /* crcs */
		3,    0,    0,	  0,	0,    0,    0,	  0,	7, 0,
		0,    0,    0,	  0,	0,    0,    100,  0,	0, 0,
	};

	assert_int_equal(lfs_history_next(PREV, EPOCH, ops, 2),
			 rt_siphash(PREV, EPOCH, bytes, sizeof(bytes)));
	assert_int_equal(lfs_history_next(PREV, EPOCH, ops, 1),
			 rt_siphash(PREV, EPOCH, bytes, 28));
}

static void it_depends_on_all_that_a_write_says(void **state)
{
	struct lfs_op ops[2] = { write_op(), write_op() };
	uint64_t seen[16];
	unsigned n = 0;

	ops[1].lba = 1;
	seen[n++] = lfs_history_next(PREV, EPOCH, ops, 1);
	seen[n++] = lfs_history_next(PREV + 1, EPOCH, ops, 1);
	seen[n++] = lfs_history_next(PREV, EPOCH + 1, ops, 1);
	seen[n++] = lfs_history_next(PREV, EPOCH, ops, 2);
	ops[0].volume++;
	seen[n++] = lfs_history_next(PREV, EPOCH, ops, 1);
	ops[0] = write_op();
	ops[0].lba++;
	seen[n++] = lfs_history_next(PREV, EPOCH, ops, 1);
	ops[0] = write_op();
	ops[0].blocks--;
	seen[n++] = lfs_history_next(PREV, EPOCH, ops, 1);
	ops[0] = write_op();
	ops[0].crcs = crcs + 1;
	seen[n++] = lfs_history_next(PREV, EPOCH, ops, 1);
	ops[0] = write_op();
	ops[0].kind = LFS_ZERO;
	seen[n++] = lfs_history_next(PREV, EPOCH, ops, 1);
	ops[0].kind = LFS_TRIM;
	seen[n++] = lfs_history_next(PREV, EPOCH, ops, 1);
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < i; k++)
			assert_int_not_equal(seen[i], seen[k]);
}

/* Where the bytes lie in memory, and what a trim's unused fields say. */
static void it_depends_on_nothing_else(void **state)
{
	struct lfs_op a = write_op(), b = write_op();
	uint32_t copy[2] = { crcs[0], crcs[1] };

	b.crcs = copy;
	b.data = data + 1;
	assert_int_equal(lfs_history_next(PREV, EPOCH, &a, 1),
			 lfs_history_next(PREV, EPOCH, &b, 1));
	a.kind = b.kind = LFS_ZERO;
	b.crcs = NULL;
	b.data = NULL;
	assert_int_equal(lfs_history_next(PREV, EPOCH, &a, 1),
			 lfs_history_next(PREV, EPOCH, &b, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bytes_are_those_of_the_document),
		cmocka_unit_test(it_depends_on_all_that_a_write_says),
		cmocka_unit_test(it_depends_on_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
