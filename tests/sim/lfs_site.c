// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/lfs_site.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lfs/format.h"
#include "rt/check.h"
#include "rt/crc.h"
#include "rt/loop.h"

#define GROUP "sim"

void *lfs_site_alloc(size_t size)
{
	void *p = aligned_alloc(ORACLE_BLOCK,
				(size + ORACLE_BLOCK - 1) / ORACLE_BLOCK * ORACLE_BLOCK);

	rt_assert(p);
	memset(p, 0, size);
	return p;
}

/* ---- the site ------------------------------------------------------------------------ */

static void draw_volumes(struct lfs_site *s)
{
	uint64_t blocks[SITE_VOLUMES_MAX];
	struct lfs_meta *m = &s->meta;

	m->nvolumes = (unsigned)sim_between(s->rng, 1, SITE_VOLUMES_MAX);
	for (unsigned i = 0; i < m->nvolumes; i++) {
		blocks[i] = sim_skewed(s->rng, 16, 3000);
		m->volumes[i].name[0] = (char)('a' + i);
		m->volumes[i].size = blocks[i] * LFS_BLOCK;
	}
	s->oracle = oracle_new(m->nvolumes, blocks);
	if (!s->huge)
		return;
	m->volumes[m->nvolumes].name[0] = 'z';
	m->volumes[m->nvolumes++].size = s->huge * LFS_BLOCK;
}

/* Most runs are small; some have more segments, or larger ones, than fit into a piece. */
static void draw_geometry(struct lfs_site *s)
{
	struct lfs_create_params params = { .meta = &s->meta };
	uint64_t more = sim_skewed(s->rng, 0, 64) << 20;

	s->segment_size = UINT32_C(1) << 20;
	switch (sim_below(s->rng, 20)) {
	case 0:
		s->huge = UINT64_C(1) << 23;
		s->segment_size = UINT32_C(32) << 20;
		break;
	case 1:
		more = UINT64_C(6) << 30;
		break;
	case 2:
	case 3:
	case 4:
		s->segment_size <<= sim_between(s->rng, 1, 3);
		break;
	default:
		break;
	}
	draw_volumes(s);
	params.segment_size = s->segment_size;
	s->size = lfs_store_size_min(&params) + more;
}

struct lfs_site *lfs_site_new(struct sim_world *w)
{
	struct lfs_site *s = lfs_site_alloc(sizeof(*s));
	struct work_shape shape;

	s->w = w;
	s->rng = sim_rng(w);
	s->node = sim_node_new(w, "site");
	memcpy(s->meta.group_name, GROUP, sizeof(GROUP));
	s->meta.role = LFS_PRIMARY;
	s->meta.max_request = (uint32_t)sim_between(s->rng, 1, 4) << 16;
	draw_geometry(s);
	s->device = sim_chance(s->rng, 0.2);
	s->disk = s->device ? sim_disk_device(s->node, SITE_STORE, s->size)
			    : sim_disk(s->node, SITE_STORE);
	work_shape_draw(s->rng, &shape);
	work_init(&s->work, s->oracle, &shape);
	s->checkpoint_every = sim_skewed(s->rng, 64, 1024) * LFS_BLOCK;
	return s;
}

struct flush_call {
	struct lfs_site_call call;
	struct lfs_flush f;
	struct lfs_site *s;
	uint64_t covers;
	struct flush_call *next; /* of those that nobody waits for */
	bool owned;
};

struct lfs_site_append {
	struct lfs_append a;
	struct lfs_site *s;
	struct lfs_op ops[8];
	uint8_t *data;
	uint32_t *crcs;
	size_t data_size, crcs_size;
	struct lfs_site_append *next;
};

static void append_free(struct lfs_site_append *a)
{
	sim_back_free(a->data, a->data_size);
	sim_back_free(a->crcs, a->crcs_size);
	sim_back_free(a, sizeof(*a));
}

void lfs_site_gone(struct lfs_site *s)
{
	while (s->appends) {
		struct lfs_site_append *a = s->appends;

		s->appends = a->next;
		append_free(a);
	}
	while (s->flushes) {
		struct flush_call *call = s->flushes;

		s->flushes = call->next;
		free(call);
	}
	s->pending = 0;
	s->closing = false;
	s->lfs = NULL;
	s->loop = NULL;
}

void lfs_site_free(struct lfs_site *s)
{
	lfs_site_gone(s);
	oracle_free(s->oracle);
	free(s);
}

bool lfs_site_run(struct lfs_site *s, bool (*cond)(void *), void *arg)
{
	struct sim_until until = { .cond = cond, .arg = arg, .ns = 600 * RT_S };

	switch (sim_run(s->w, &until)) {
	case SIM_COND:
		lfs_site_events_note(s);
		/* The crash may have come right behind the callback. */
		return sim_node_up(s->node);
	case SIM_CRASHED:
		return false;
	case SIM_TIME:
	case SIM_EVENTS:
	case SIM_IDLE:
		break;
	}
	sim_violation("waited for something that never came");
}

bool lfs_site_idle(struct lfs_site *s, int64_t ns)
{
	if (sim_run_for(s->w, ns) == SIM_CRASHED)
		return false;
	lfs_site_events_note(s);
	return true;
}

/* ---- create, open, close --------------------------------------------------------------- */

bool lfs_site_call_ended(void *arg)
{
	return ((struct lfs_site_call *)arg)->ended;
}

struct create_call {
	struct lfs_site_call call;
	struct lfs_create c;
};

static void create_done(struct lfs_create *c, int res)
{
	struct create_call *call = rt_container_of(c, struct create_call, c);

	call->call = (struct lfs_site_call){ .ended = true, .res = res };
}

static bool create(struct lfs_site *s, int *res)
{
	struct create_call call = { .c.done = create_done };
	struct lfs_create_params params = {
		.path = SITE_STORE,
		.size = s->device ? 0 : s->size,
		.segment_size = s->segment_size,
		.checkpoint_every = s->checkpoint_every < LFS_CHECKPOINT_MIN
					    ? LFS_CHECKPOINT_MIN
					    : s->checkpoint_every,
		.meta = &s->meta,
		/* One in four of those that are not large: it must make no difference. */
		.fill = s->size <= UINT64_C(64) << 20 && (s->size >> 20) % 4 == 0,
	};

	sim_node_enter(s->node);
	lfs_create(s->loop, &params, &call.c);
	sim_node_leave(s->node);
	if (!lfs_site_run(s, lfs_site_call_ended, &call.call)) {
		lfs_site_gone(s);
		return false;
	}
	*res = call.call.res;
	memcpy(s->why, call.c.why, sizeof(s->why));
	return true;
}

bool lfs_site_create(struct lfs_site *s)
{
	int res;

	s->loop = sim_node_start(s->node);
	if (!create(s, &res))
		return false;
	sim_require(!res, "create: %d %s", res, s->why);
	/* There is one now: nobody makes another one over it. */
	if (!create(s, &res))
		return false;
	sim_require(res == -EEXIST, "create again: %d", res);
	sim_node_stop(s->node);
	return true;
}

static void advanced(void *owner)
{
	(void)owner;
}

static void failed(void *owner, int err, const char *why)
{
	struct lfs_site *s = owner;

	s->failed = true;
	s->failed_calls++;
	sim_require(s->failed_calls == 1, "failed twice: %d %s", err, why);
	sim_require(s->faulty, "the log failed without a fault: %d %s", err, why);
}

static const struct lfs_events lfs_site_events = { .advanced = advanced,
						   .failed = failed };

struct open_call {
	struct lfs_site_call call;
	struct lfs_open o;
};

static void open_done(struct lfs_open *o, int res)
{
	struct open_call *call = rt_container_of(o, struct open_call, o);

	call->call = (struct lfs_site_call){ .ended = true, .res = res };
}

bool lfs_site_open(struct lfs_site *s, int *res)
{
	struct open_call call = { .o.done = open_done };
	struct lfs_open_params params = {
		.path = SITE_STORE,
		.group_name = GROUP,
		.map_memory = UINT64_C(1) << 30,
		.checkpoint_every = s->checkpoint_every,
		.checkpoint_ms = sim_chance(s->rng, 0.3) ? 500 : 0,
		.events = &lfs_site_events,
		.owner = s,
	};

	s->failed = false;
	s->failed_calls = 0;
	if (!sim_node_up(s->node))
		s->loop = sim_node_start(s->node);
	sim_node_enter(s->node);
	lfs_open(s->loop, &params, &call.o);
	sim_node_leave(s->node);
	if (!lfs_site_run(s, lfs_site_call_ended, &call.call)) {
		lfs_site_gone(s);
		return false;
	}
	*res = call.call.res;
	memcpy(s->why, call.o.why, sizeof(s->why));
	sim_require(!*res || s->why[0], "no reason for %d", *res);
	s->lfs = *res ? NULL : call.o.lfs;
	return true;
}

struct close_call {
	struct lfs_site_call call;
	struct lfs_close c;
};

static void close_done(struct lfs_close *c, int res)
{
	struct close_call *call = rt_container_of(c, struct close_call, c);

	sim_back(c, sizeof(*c));
	call->call = (struct lfs_site_call){ .ended = true, .res = res };
}

bool lfs_site_close(struct lfs_site *s, int *res)
{
	struct close_call call = { .c.done = close_done };
	bool all_taken = lfs_site_events_all_taken(s);

	sim_node_enter(s->node);
	lfs_close(s->lfs, &call.c);
	sim_node_leave(s->node);
	s->closing = true;
	if (!lfs_site_run(s, lfs_site_call_ended, &call.call)) {
		lfs_site_gone(s);
		return false;
	}
	*res = call.call.res;
	if (!*res && all_taken && !s->faulty)
		lfs_site_events_durable(s, s->events.last);
	sim_require(!s->pending, "%u appends without an answer after close", s->pending);
	sim_node_stop(s->node);
	lfs_site_gone(s);
	return true;
}

/* ---- appends ------------------------------------------------------------------------------ */

static void append_done(struct lfs_append *la, int res)
{
	struct lfs_site_append *a = rt_container_of(la, struct lfs_site_append, a), **at;
	struct lfs_site *s = a->s;

	if (res)
		sim_require(res == -EIO && s->failed, "append: %d", res);
	else
		sim_require(la->lsn == s->told + 1, "lsn %llu after %llu",
			    (unsigned long long)la->lsn, (unsigned long long)s->told);
	if (!res) {
		s->told = la->lsn;
		s->written = la->lsn;
		sim_require(lfs_lsn(s->lfs).admitted >= la->lsn, "admitted behind");
	}
	for (at = &s->appends; *at != a; at = &(*at)->next)
		;
	*at = a->next;
	s->pending--;
	append_free(a);
}

static void append_fill(struct lfs_site_append *a, const struct work_op *ops, unsigned n,
			uint64_t stamp)
{
	uint32_t blocks = 0, at = 0;

	for (unsigned i = 0; i < n; i++)
		blocks += ops[i].kind == WORK_WRITE ? ops[i].blocks : 0;
	a->data_size = (size_t)blocks * LFS_BLOCK + 1;
	a->crcs_size = (size_t)blocks * sizeof(uint32_t) + 1;
	a->data = lfs_site_alloc(a->data_size);
	a->crcs = lfs_site_alloc(a->crcs_size);
	for (unsigned i = 0; i < n; i++) {
		struct lfs_op *op = &a->ops[i];
		uint8_t *data = a->data + (size_t)at * LFS_BLOCK;

		*op = (struct lfs_op){
			.kind = ops[i].kind == WORK_WRITE  ? LFS_WRITE
				: ops[i].kind == WORK_ZERO ? LFS_ZERO
							   : LFS_TRIM,
			.volume = ops[i].volume,
			.lba = ops[i].lba,
			.blocks = ops[i].blocks,
		};
		if (op->kind != LFS_WRITE)
			continue;
		op->data = data;
		op->crcs = a->crcs + at;
		oracle_fill(data, op->volume, op->lba, op->blocks, stamp);
		for (uint32_t k = 0; k < op->blocks; k++)
			a->crcs[at + k] =
				rt_crc32c(data + (size_t)k * LFS_BLOCK, LFS_BLOCK);
		at += op->blocks;
	}
}

/* One more operation, on the volume that no oracle knows. */
static unsigned append_huge(struct lfs_site *s, struct lfs_site_append *a, unsigned n)
{
	static uint8_t *zeros;
	static uint32_t crc;
	struct lfs_op *op = &a->ops[n];

	if (!s->huge || !sim_chance(s->rng, 0.3))
		return n;
	if (!zeros) {
		zeros = lfs_site_alloc(LFS_BLOCK);
		crc = rt_crc32c(zeros, LFS_BLOCK);
	}
	*op = (struct lfs_op){
		.kind = LFS_WRITE,
		.volume = s->meta.nvolumes - 1,
		.lba = sim_below(s->rng, s->huge),
		.blocks = 1,
		.crcs = &crc,
		.data = zeros,
	};
	if (sim_chance(s->rng, 0.2)) {
		op->kind = sim_chance(s->rng, 0.5) ? LFS_ZERO : LFS_TRIM;
		if (sim_chance(s->rng, 0.3))
			op->lba = 0;
		op->blocks = (uint32_t)(op->lba ? sim_skewed(s->rng, 1, s->huge - op->lba)
						: s->huge);
	}
	return n + 1;
}

/* One random append. Returns what lfs_append() says. */
static int append_one(struct lfs_site *s)
{
	struct lfs_site_append *a = lfs_site_alloc(sizeof(*a));
	struct work_op ops[8];
	unsigned n = work_next(&s->work, s->rng, s->meta.max_request / LFS_BLOCK, ops);
	int res;

	append_fill(a, ops, n, oracle_stamp(s->oracle));
	a->s = s;
	a->a.lsn = oracle_last(s->oracle) + 1;
	a->a.ops = a->ops;
	a->a.nops = append_huge(s, a, n);
	a->a.wall_ns = sim_chance(s->rng, 0.1) ? 0 : (int64_t)sim_draw(s->rng);
	a->a.done = append_done;
	a->next = s->appends;
	s->appends = a;
	s->pending++;
	sim_node_enter(s->node);
	res = lfs_append(s->lfs, &a->a);
	sim_node_leave(s->node);
	if (res) {
		s->appends = a->next;
		s->pending--;
		append_free(a);
		return res;
	}
	work_apply(s->oracle, ops, n);
	oracle_commit(s->oracle);
	s->hashes[oracle_last(s->oracle) % SITE_HASHES_MAX] = a->a.hash;
	s->walls[oracle_last(s->oracle) % SITE_HASHES_MAX] = a->a.wall_ns;
	s->bytes[oracle_last(s->oracle) % SITE_HASHES_MAX] =
		s->bytes[(oracle_last(s->oracle) - 1) % SITE_HASHES_MAX] +
		lfs_ops_bytes(a->ops, a->a.nops);
	return 0;
}

static bool none_pending(void *arg)
{
	return ((struct lfs_site *)arg)->pending == 0;
}

bool lfs_site_drain(struct lfs_site *s)
{
	if (lfs_site_run(s, none_pending, s))
		return true;
	lfs_site_gone(s);
	return false;
}

/* ---- flush -------------------------------------------------------------------------------- */

static void flush_done(struct lfs_flush *f, int res)
{
	struct flush_call *call = rt_container_of(f, struct flush_call, f);
	struct lfs_site *s = call->s;

	if (res)
		sim_require(s->failed && res == -EIO, "flush: %d", res);
	else if (call->covers > s->flushed)
		s->flushed = call->covers;
	if (!res)
		sim_require(lfs_lsn(s->lfs).durable >= call->covers,
			    "durable below what a flush covered");
	call->call = (struct lfs_site_call){ .ended = true, .res = res };
	if (call->owned) {
		struct flush_call **at = &s->flushes;

		while (*at != call)
			at = &(*at)->next;
		*at = call->next;
		sim_back_free(call, sizeof(*call));
		return;
	}
	sim_back(f, sizeof(*f));
}

static void flush_go(struct lfs_site *s, struct flush_call *call)
{
	call->f.done = flush_done;
	call->s = s;
	call->covers = s->written;
	sim_node_enter(s->node);
	lfs_flush(s->lfs, &call->f);
	sim_node_leave(s->node);
}

bool lfs_site_flush(struct lfs_site *s, int *res)
{
	struct flush_call call = { 0 };

	flush_go(s, &call);
	if (!lfs_site_run(s, lfs_site_call_ended, &call.call)) {
		lfs_site_gone(s);
		return false;
	}
	*res = call.call.res;
	return true;
}

/* Not waited for. */
static void flush_behind(struct lfs_site *s)
{
	struct flush_call *call = lfs_site_alloc(sizeof(*call));

	call->owned = true;
	call->next = s->flushes;
	s->flushes = call;
	flush_go(s, call);
}

/* ---- reads --------------------------------------------------------------------------------- */

struct read_call {
	struct lfs_site_call call;
	struct lfs_read r;
};

static void read_done(struct lfs_read *r, int res)
{
	struct read_call *call = rt_container_of(r, struct read_call, r);

	sim_back(r, sizeof(*r));
	call->call = (struct lfs_site_call){ .ended = true, .res = res };
}

bool lfs_site_read(struct lfs_site *s, uint32_t volume, uint64_t lba, uint32_t blocks,
		   uint8_t *buf, int *res)
{
	struct read_call call = {
		.r = {
			.volume = volume,
			.lba = lba,
			.blocks = blocks,
			.buf = buf,
			.done = read_done,
		},
	};

	sim_node_enter(s->node);
	lfs_read(s->lfs, &call.r);
	sim_node_leave(s->node);
	if (!lfs_site_run(s, lfs_site_call_ended, &call.call)) {
		lfs_site_gone(s);
		return false;
	}
	*res = call.call.res;
	return true;
}

/* What was admitted when the read began is what it shows, though nothing is written. */
static bool read_check(struct lfs_site *s)
{
	uint32_t volume = (uint32_t)sim_below(s->rng, oracle_volumes(s->oracle));
	uint64_t size = oracle_blocks(s->oracle, volume), lba = sim_below(s->rng, size);
	uint32_t blocks = (uint32_t)sim_skewed(s->rng, 1, SITE_READ_BLOCKS);
	uint8_t *buf;
	int res;

	if (blocks > size - lba)
		blocks = (uint32_t)(size - lba);
	buf = lfs_site_alloc((size_t)blocks * LFS_BLOCK);
	if (!lfs_site_read(s, volume, lba, blocks, buf, &res)) {
		free(buf);
		return false;
	}
	sim_require(!res || s->damaged || s->faulty, "read: %d", res);
	for (uint32_t i = 0; i < blocks && !res && !s->failed; i++) {
		uint64_t digest = 0, stamp = 0;

		sim_require(!oracle_block(&digest, volume, lba + i,
					  buf + (size_t)i * LFS_BLOCK, &stamp),
			    "volume %u block %llu is no block", volume,
			    (unsigned long long)lba + i);
		sim_require(stamp == oracle_now(s->oracle, volume, lba + i),
			    "volume %u block %llu: stamp %llx, not %llx", volume,
			    (unsigned long long)(lba + i), (unsigned long long)stamp,
			    (unsigned long long)oracle_now(s->oracle, volume, lba + i));
	}
	sim_back_free(buf, (size_t)blocks * LFS_BLOCK);
	return true;
}

/* ---- bursts -------------------------------------------------------------------------------- */

bool lfs_site_burst(struct lfs_site *s)
{
	unsigned n = (unsigned)sim_skewed(s->rng, 1, SITE_BURST_MAX);

	for (unsigned i = 0; i < n && !s->failed; i++) {
		int res = append_one(s);

		s->full |= res == -ENOSPC;
		if (res == -EAGAIN && !lfs_site_idle(s, 20 * RT_MS)) {
			lfs_site_gone(s);
			return false;
		}
		sim_require(!res || res == -EAGAIN || res == -ENOSPC ||
				    (res == -ENOMEM && s->starved) ||
				    (res == -EIO && s->failed),
			    "append: %d", res);
		if (res == -ENOSPC || res == -ENOMEM)
			break;
		if (sim_chance(s->rng, 0.05))
			flush_behind(s);
		if (sim_chance(s->rng, 0.05) && !read_check(s))
			return false;
		if (sim_chance(s->rng, 0.3) &&
		    !lfs_site_idle(s, (int64_t)sim_skewed(s->rng, 1, 3000) * RT_US)) {
			lfs_site_gone(s);
			return false;
		}
	}
	lfs_site_poison(s);
	return true;
}

/* ---- epochs ---------------------------------------------------------------------------------- */

struct meta_call {
	struct lfs_site_call call;
	struct lfs_set_meta m;
};

static void meta_done(struct lfs_set_meta *m, int res)
{
	struct meta_call *call = rt_container_of(m, struct meta_call, m);

	sim_back(m, sizeof(*m));
	call->call = (struct lfs_site_call){ .ended = true, .res = res };
}

bool lfs_site_epoch(struct lfs_site *s, int *res)
{
	struct meta_call call = { .m.done = meta_done };
	struct lfs_meta *meta = lfs_site_alloc(sizeof(*meta));
	struct lfs_epoch *e;

	*meta = *lfs_meta(s->lfs);
	e = &meta->epochs[meta->nepochs++];
	*e = (struct lfs_epoch){
		.number = e[-1].number + 1,
		.id = sim_draw(s->rng),
		.first_lsn = oracle_last(s->oracle) + 1,
	};
	sim_node_enter(s->node);
	lfs_set_meta(s->lfs, &call.m, meta);
	sim_node_leave(s->node);
	free(meta);
	if (!lfs_site_run(s, lfs_site_call_ended, &call.call)) {
		lfs_site_gone(s);
		return false;
	}
	if (!call.call.res)
		s->epochs = lfs_meta(s->lfs)->nepochs;
	*res = call.call.res;
	return true;
}
