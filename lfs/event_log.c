// SPDX-License-Identifier: BSD-3-Clause
#include "lfs/event_log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lfs/event_sector.h"
#include "lfs/open_store.h"
#include "rt/bug.h"
#include "rt/check.h"
#include "rt/mem.h"

#define EVENTS_PER_BLOCK (LFS_BLOCK / LFS_EVENT_SECTOR)
static_assert(LFS_EVENTS % EVENTS_PER_BLOCK == 0, "whole blocks");

static uint8_t *event_log_sector(const struct lfs_event_log *log, unsigned number)
{
	return log->image + (size_t)number * LFS_EVENT_SECTOR;
}

/* ---- writing ---------------------------------------------------------------------------- */

static void event_log_advance(struct lfs *lfs);

static void event_log_flushed(struct lfs_wait *w, int res)
{
	struct lfs_event_log *log = rt_container_of(w, struct lfs_event_log, wait);
	struct lfs *lfs = rt_container_of(log, struct lfs, event_log);

	log->waiting = false;
	if (!res)
		log->durable = log->flushing;
	event_log_advance(lfs);
	if (lfs_closing(&lfs->closing))
		lfs_schedule(lfs);
}

/*
 * By the flush of the log: a flush of its own could be the one that the disk reports its
 * failure to, and the log would not know of it.
 */
static void event_log_flush(struct lfs *lfs)
{
	struct lfs_event_log *log = &lfs->event_log;

	if (log->waiting || log->durable == log->todo - 1 || lfs->failed)
		return;
	log->waiting = true;
	log->flushing = log->todo - 1;
	log->wait.done = event_log_flushed;
	lfs_flush_wait(lfs, &log->wait);
}

static void event_log_written(struct rt_op *op, int res)
{
	struct lfs_event_log *log = rt_container_of(op, struct lfs_event_log, op);
	struct lfs *lfs = rt_container_of(log, struct lfs, event_log);

	log->writing = false;
	if (res == LFS_BLOCK)
		lfs->figures.disk_bytes += LFS_BLOCK;
	else
		log->lost += log->taken - log->todo;
	log->todo = log->taken;
	if (RT_BUG(EVENT_BEFORE_FLUSH))
		log->durable = log->todo - 1;
	event_log_advance(lfs);
	lfs_advance(lfs);
}

static void event_log_write(struct lfs *lfs)
{
	struct lfs_event_log *log = &lfs->event_log;
	unsigned sector = lfs_event_sector_of(log->todo),
		 first = sector - sector % EVENTS_PER_BLOCK;
	uint64_t behind = log->todo + (EVENTS_PER_BLOCK - sector % EVENTS_PER_BLOCK);

	memcpy(log->block, event_log_sector(log, first), LFS_BLOCK);
	if (RT_BUG(EVENT_ALONE_IN_BLOCK))
		memset(log->block, 0, (size_t)(sector - first) * LFS_EVENT_SECTOR);
	log->taken = log->next < behind ? log->next : behind;
	log->writing = true;
	log->op.done = event_log_written;
	rt_write(lfs->file, &log->op, log->block, LFS_BLOCK,
		 LFS_EVENTS_OFF + (uint64_t)first * LFS_EVENT_SECTOR);
}

static void event_log_advance(struct lfs *lfs)
{
	struct lfs_event_log *log = &lfs->event_log;

	if (log->writing)
		return;
	if (log->todo < log->next)
		event_log_write(lfs);
	else
		event_log_flush(lfs);
}

void lfs_event_log_append(struct lfs *lfs, unsigned level, const char *text)
{
	struct lfs_event_log *log = &lfs->event_log;
	struct lfs_event event = {
		.seq = log->next,
		.wall_ns = rt_wall_ns(lfs->loop),
		.level = (uint8_t)level,
	};

	if (lfs_closing(&lfs->closing) || log->next - log->todo >= LFS_EVENTS_QUEUE ||
	    log->next > LFS_EVENT_SEQ_MAX) {
		log->lost++;
		return;
	}
	(void)snprintf(event.text, sizeof(event.text), "%s", text);
	lfs_event_sector_encode(event_log_sector(log, lfs_event_sector_of(event.seq)),
				lfs->superblock.current.store, &event);
	log->next++;
	event_log_advance(lfs);
}

bool lfs_event_log_idle(const struct lfs *lfs)
{
	return !lfs->event_log.writing && !lfs->event_log.waiting;
}

/* ---- reading ---------------------------------------------------------------------------- */

int lfs_event_log_find(const struct lfs *lfs, uint64_t seq, struct lfs_event *ret)
{
	const struct lfs_event_log *log = &lfs->event_log;

	if (log->next > LFS_EVENTS && seq < log->next - LFS_EVENTS)
		seq = log->next - LFS_EVENTS;
	for (; seq < log->next; seq++) {
		unsigned sector = lfs_event_sector_of(seq);

		if (!lfs_event_sector_decode(event_log_sector(log, sector),
					     lfs->superblock.current.store, sector,
					     ret) &&
		    ret->seq == seq)
			return 0;
	}
	return -ENOENT;
}

void lfs_event_log_figures(const struct lfs *lfs, struct lfs_event_figures *ret)
{
	*ret = (struct lfs_event_figures){
		.last = lfs->event_log.next - 1,
		.durable = lfs->event_log.durable,
		.lost = lfs->event_log.lost,
	};
}

/* ---- the load --------------------------------------------------------------------------- */

/* What is no event becomes zeros: the next write of its block makes it so on the disk, too. */
static void event_log_loaded(struct lfs *lfs)
{
	struct lfs_event_log *log = &lfs->event_log;
	struct lfs_event event;
	uint64_t last = 0;

	for (unsigned i = 0; i < LFS_EVENTS; i++) {
		uint8_t *sector = event_log_sector(log, i);

		if (lfs_event_sector_decode(sector, lfs->superblock.current.store, i,
					    &event))
			memset(sector, 0, LFS_EVENT_SECTOR);
		else if (event.seq > last)
			last = event.seq;
	}
	log->next = log->todo = log->taken = last + 1;
	log->flushing = log->durable = last;
	log->loaded->done(log->loaded, 0);
}

static void event_log_read_done(struct rt_op *op, int res);

static void event_log_read(struct lfs *lfs)
{
	struct lfs_event_log *log = &lfs->event_log;
	uint32_t len = log->single ? LFS_BLOCK : LFS_EVENT_REGION - log->got;

	log->op.done = event_log_read_done;
	rt_read(lfs->file, &log->op, log->image + log->got, len,
		LFS_EVENTS_OFF + log->got);
}

static void event_log_read_done(struct rt_op *op, int res)
{
	struct lfs_event_log *log = rt_container_of(op, struct lfs_event_log, op);
	struct lfs *lfs = rt_container_of(log, struct lfs, event_log);

	if (res >= LFS_BLOCK) {
		log->got += (uint32_t)res / LFS_BLOCK * LFS_BLOCK;
		log->single = false;
	} else if (!log->single) {
		log->single = true;
	} else { /* one bad block costs its own events and no others */
		memset(log->image + log->got, 0, LFS_BLOCK);
		log->got += LFS_BLOCK;
		log->single = false;
	}
	if (log->got < LFS_EVENT_REGION)
		event_log_read(lfs);
	else
		event_log_loaded(lfs);
}

int lfs_event_log_load(struct lfs *lfs, struct lfs_wait *w)
{
	struct lfs_event_log *log = &lfs->event_log;

	log->image = rt_alloc_blocks(LFS_EVENT_REGION);
	log->block = rt_alloc_blocks(LFS_BLOCK);
	if (!log->image || !log->block)
		return -ENOMEM;
	log->loaded = w;
	event_log_read(lfs);
	return 0;
}

void lfs_event_log_release(struct lfs_event_log *log)
{
	rt_free(log->image);
	rt_free(log->block);
}
