// SPDX-License-Identifier: BSD-3-Clause
#include "rt/check.h"
#include "tests/sim/oracle.h"
#include "tests/sim/sim.h"

/* Random work, shaped differently in every run. */

void work_shape_draw(struct sim_rng *rng, struct work_shape *ret)
{
	*ret = (struct work_shape){
		.blocks_max = (uint32_t)sim_skewed(rng, 1, 64),
		.ops_max = sim_chance(rng, 0.5) ? 1 : (unsigned)sim_between(rng, 2, 6),
		.zero = sim_chance(rng, 0.5) ? sim_unit(rng) * 0.2 : 0,
		.trim = sim_chance(rng, 0.5) ? sim_unit(rng) * 0.3 : 0,
		.hot = sim_chance(rng, 0.5) ? sim_unit(rng) : 0,
		.sequential = sim_chance(rng, 0.5) ? sim_unit(rng) : 0,
		.huge_trim = sim_chance(rng, 0.3) ? 20 : 0,
	};
}

void work_init(struct work *work, const struct oracle *o, const struct work_shape *shape)
{
	rt_assert(shape->ops_max >= 1 && shape->blocks_max >= 1);
	*work = (struct work){ .oracle = o, .shape = *shape };
}

static enum work_kind draw_kind(const struct work_shape *shape, struct sim_rng *rng)
{
	double x = sim_unit(rng);

	if (x < shape->zero)
		return WORK_ZERO;
	return x < shape->zero + shape->trim ? WORK_TRIM : WORK_WRITE;
}

static uint64_t draw_lba(struct work *work, struct sim_rng *rng, unsigned volume,
			 uint32_t blocks)
{
	uint64_t last = oracle_blocks(work->oracle, volume) - blocks;

	if (sim_chance(rng, work->shape.sequential) && work->next_lba[volume] <= last)
		return work->next_lba[volume];
	if (sim_chance(rng, work->shape.hot))
		return sim_below(rng, last / 10 + 1);
	return sim_below(rng, last + 1);
}

unsigned work_next(struct work *work, struct sim_rng *rng, uint32_t data_max,
		   struct work_op *ops)
{
	const struct work_shape *shape = &work->shape;
	unsigned n = (unsigned)sim_skewed(rng, 1, shape->ops_max), i;

	rt_assert(data_max >= 1);
	for (i = 0; i < n; i++) {
		struct work_op *op = &ops[i];
		uint64_t size, max = shape->blocks_max;

		op->kind = draw_kind(shape, rng);
		if (op->kind == WORK_WRITE && data_max == 0)
			op->kind = WORK_ZERO;
		op->volume = (unsigned)sim_below(rng, oracle_volumes(work->oracle));
		size = oracle_blocks(work->oracle, op->volume);
		if (op->kind == WORK_TRIM && shape->huge_trim != 0 &&
		    sim_below(rng, shape->huge_trim) == 0)
			max = size;
		if (op->kind == WORK_WRITE && max > data_max)
			max = data_max;
		if (max > size)
			max = size;
		op->blocks = (uint32_t)sim_skewed(rng, 1, max);
		op->lba = draw_lba(work, rng, op->volume, op->blocks);
		work->next_lba[op->volume] = op->lba + op->blocks;
		if (op->kind == WORK_WRITE)
			data_max -= op->blocks;
	}
	return n;
}

void work_apply(struct oracle *o, const struct work_op *ops, unsigned nops)
{
	for (unsigned i = 0; i < nops; i++) {
		if (ops[i].kind == WORK_WRITE)
			oracle_write(o, ops[i].volume, ops[i].lba, ops[i].blocks);
		else
			oracle_unmap(o, ops[i].volume, ops[i].lba, ops[i].blocks);
	}
}
