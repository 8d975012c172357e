// SPDX-License-Identifier: BSD-3-Clause
/*
 * Repairs that wait to leave: each leaves with its own head and bytes, oldest first, and
 * where there is no room it is the oldest that goes. One mixed up with another would be
 * decoded into wrong bytes at the mirror.
 */
#include <errno.h>

#include "fec/fec.h"
#include "fec/repair_queue.h"
#include "tests/unit/alloc.h"
#include "tests/unit/fec/reference.h"

static struct fec_repair repair_of(unsigned serial)
{
	return (struct fec_repair){ .first = serial * 10u,
				    .count = (uint16_t)(serial % 100 + 1),
				    .key = serial,
				    .stride = (uint16_t)(serial % 7 + 1),
				    .kind = FEC_XOR };
}

static void push(struct repair_queue *queue, unsigned serial)
{
	struct fec_repair head = repair_of(serial);

	memset(repair_queue_push(queue, &head), (int)(serial % 251), queue->symbol_size);
}

static void expect_pop(struct repair_queue *queue, unsigned serial)
{
	struct fec_repair head, want = repair_of(serial);
	uint8_t out[REF_SIZE + 1];

	memset(out, 0xee, sizeof(out));
	assert_true(repair_queue_pop(queue, &head, out));
	assert_int_equal(head.first, want.first);
	assert_int_equal(head.count, want.count);
	assert_int_equal(head.key, want.key);
	assert_int_equal(head.stride, want.stride);
	assert_int_equal(head.kind, want.kind);
	for (unsigned i = 0; i < REF_SIZE; i++)
		assert_int_equal(out[i], serial % 251);
	assert_int_equal(out[REF_SIZE], 0xee);
}

static void expect_empty(struct repair_queue *queue)
{
	struct fec_repair head = repair_of(1), was = head;
	uint8_t out[REF_SIZE] = { 5 };

	assert_int_equal(queue->count, 0);
	assert_false(repair_queue_pop(queue, &head, out));
	assert_memory_equal(&head, &was, sizeof(head));
	assert_int_equal(out[0], 5);
}

/* As a list of serial numbers would do it, at every fill of a ring of every size. */
static void the_oldest_leaves_first(void **state)
{
	for (unsigned slots = 1; slots <= 9; slots++) {
		struct ref_random r = { slots };
		struct repair_queue queue;
		unsigned oldest = 0, next = 0;

		assert_int_equal(repair_queue_init(&queue, REF_SIZE, slots), 0);
		expect_empty(&queue);
		for (unsigned i = 0; i < 3000; i++) {
			if (ref_below(&r, 200) < 90 + i / 30) {
				push(&queue, next++);
				if (next - oldest > slots)
					oldest++;
			} else if (oldest == next) {
				expect_empty(&queue);
			} else {
				expect_pop(&queue, oldest++);
			}
			assert_int_equal(queue.count, next - oldest);
		}
		assert_true(oldest > 1000 && next > oldest);
		while (oldest < next)
			expect_pop(&queue, oldest++);
		expect_empty(&queue);
		repair_queue_release(&queue);
	}
	assert_int_equal(held, 0);
}

/* A code that fills slot after slot must not write over what has not left. */
static void a_slot_is_the_repairs_own_until_it_leaves(void **state)
{
	struct fec_repair head = repair_of(0);
	struct repair_queue queue;
	uint8_t *at[4];

	assert_int_equal(repair_queue_init(&queue, REF_SIZE, 4), 0);
	for (unsigned i = 0; i < 4; i++) {
		at[i] = repair_queue_push(&queue, &head);
		for (unsigned j = 0; j < i; j++)
			assert_true(at[i] >= at[j] + REF_SIZE ||
				    at[j] >= at[i] + REF_SIZE);
		assert_int_equal((uintptr_t)at[i] % FEC_SYMBOL_ALIGN, 0);
	}
	assert_ptr_equal(repair_queue_push(&queue, &head), at[0]); /* the oldest went */
	repair_queue_release(&queue);
}

/* What one code left goes on in the next one's queue, in its order, behind what is there. */
static void moved_repairs_keep_their_order(void **state)
{
	struct repair_queue from, to;

	assert_int_equal(repair_queue_init(&from, REF_SIZE, 3), 0);
	assert_int_equal(repair_queue_init(&to, REF_SIZE, 4), 0);
	push(&to, 1);
	push(&to, 2);
	for (unsigned i = 0; i < 5; i++) /* its ring has wrapped */
		push(&from, 10 + i);
	while (from.count)
		repair_queue_move(&to, &from);
	expect_empty(&from);
	expect_pop(&to, 2); /* there was room for four */
	for (unsigned i = 2; i < 5; i++)
		expect_pop(&to, 10 + i);
	expect_empty(&to);
	repair_queue_release(&from);
	repair_queue_release(&to);
}

static void without_slots_there_is_nothing(void **state)
{
	struct repair_queue queue;

	asked = 0;
	assert_int_equal(repair_queue_init(&queue, REF_SIZE, 0), 0);
	assert_int_equal(asked, 0);
	expect_empty(&queue);
	repair_queue_release(&queue);
}

static void memory_that_runs_out_is_said(void **state)
{
	struct repair_queue queue;

	for (unsigned n = 1; n <= 2; n++) {
		asked = 0;
		fail_at = n;
		assert_int_equal(repair_queue_init(&queue, REF_SIZE, 5), -ENOMEM);
		assert_int_equal(held, 0);
		fail_at = 0;
		repair_queue_release(&queue); /* also of one that was not made */
		assert_int_equal(held, 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_leaves_first),
		cmocka_unit_test(a_slot_is_the_repairs_own_until_it_leaves),
		cmocka_unit_test(moved_repairs_keep_their_order),
		cmocka_unit_test(without_slots_there_is_nothing),
		cmocka_unit_test(memory_that_runs_out_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
