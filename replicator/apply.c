// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/apply.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "replicator/group_private.h"
#include "replicator/record.h"
#include "replicator/session.h"
#include "rt/bug.h"
#include "rt/check.h"
#include "rt/mem.h"

struct apply_item {
	struct rt_list link;
	struct apply *apply;
	struct record_owned owned;
	struct lfs_append append;
};

void apply_init(struct apply *a, struct group *g)
{
	*a = (struct apply){ .group = g };
	rt_list_init(&a->queue);
}

void apply_restart(struct apply *a)
{
	rt_assert(rt_list_empty(&a->queue));
	a->err = 0;
	a->next_lsn = lfs_lsn(a->group->lfs).admitted + 1;
}

static int __attribute__((format(printf, 3, 4)))
apply_fail(struct apply *a, int err, const char *fmt, ...)
{
	va_list args;

	if (a->err == 0) {
		a->err = err;
		if (err == -EPROTO || err == -EBADMSG)
			a->refused++;
		va_start(args, fmt);
		(void)vsnprintf(a->why, sizeof(a->why), fmt, args);
		va_end(args);
	}
	return a->err;
}

/* What a record counts for in the bound, so that a flood of trims is bounded too. */
static uint64_t apply_item_cost(const struct apply_item *item)
{
	return item->owned.data_len + sizeof(*item) +
	       item->owned.rec.nops * sizeof(struct lfs_op);
}

static void apply_item_free(struct apply_item *item)
{
	item->apply->bytes -= apply_item_cost(item);
	record_release(&item->owned);
	rt_free(item);
}

static void apply_append_done(struct lfs_append *append, int res)
{
	struct apply_item *item = rt_container_of(append, struct apply_item, append);
	struct apply *a = item->apply;

	a->inflight--;
	if (res == 0) {
		a->applied++;
		a->applied_bytes += item->owned.data_len;
	} else {
		(void)apply_fail(a, res, "this site cannot write its log");
	}
	apply_item_free(item);
	group_wake(a->group);
}

/* Everything that ties this record to the one before it. */
static int apply_check_place(struct apply *a, const struct record *rec)
{
	struct lfs_position end;

	lfs_position(a->group->lfs, &end);
	if (rec->hash_before != end.hash)
		return apply_fail(a, -EPROTO, "the histories differ before LSN %llu",
				  (unsigned long long)rec->lsn);
	if (rec->epoch_id != lfs_epoch_of(lfs_meta(a->group->lfs), rec->lsn)->id)
		return apply_fail(a, -EPROTO,
				  "LSN %llu is of an epoch that is not agreed",
				  (unsigned long long)rec->lsn);
	return 0;
}

/* The deliberate bug waits for company now and then, so that there is what to swap. */
static bool apply_waits_for_company(const struct apply *a, const struct apply_item *item)
{
	return RT_BUG(APPLY_OUT_OF_ORDER) && item->link.next == &a->queue &&
	       item->owned.rec.lsn % 4 == 0 &&
	       peer_watch_primary_lead(&a->group->watch, item->owned.rec.lsn + 1) > 0;
}

/* The deliberate bug: the content of two LSNs changes places. */
static void apply_swap_with_next(struct apply *a, struct apply_item *item)
{
	struct apply_item *next;
	struct record_owned owned = item->owned;

	if (item->link.next == &a->queue)
		return;
	next = rt_container_of(item->link.next, struct apply_item, link);
	item->owned = next->owned;
	next->owned = owned;
	next->owned.rec.lsn = item->owned.rec.lsn;
	item->owned.rec.lsn = owned.rec.lsn;
}

/* Why the log of this site does not take a record. */
static const char *apply_refusal(int err)
{
	switch (err) {
	case -ENOSPC:
		return "the log of this site is full";
	case -EDQUOT:
		return "the map of this site needs more than map_memory";
	case -ENOMEM:
		return "this site is out of memory";
	default:
		return "this site cannot write its log";
	}
}

static int apply_append(struct apply *a, struct apply_item *item)
{
	struct record *rec = &item->owned.rec;
	int err;

	if (RT_BUG(APPLY_OUT_OF_ORDER))
		apply_swap_with_next(a, item);
	else if (apply_check_place(a, rec) < 0)
		return a->err;
	item->append = (struct lfs_append){ .lsn = rec->lsn,
					    .ops = rec->ops,
					    .nops = rec->nops,
					    .wall_ns = rec->wall_ns,
					    .done = apply_append_done };
	err = lfs_append(a->group->lfs, &item->append);
	if (err == -EAGAIN)
		return err;
	if (err < 0) {
		group_log_refused(a->group, err);
		return apply_fail(a, err, "%s", apply_refusal(err));
	}
	return 0;
}

void apply_retry(struct apply *a)
{
	while (a->err == 0 && !rt_list_empty(&a->queue)) {
		struct apply_item *item =
			rt_container_of(a->queue.next, struct apply_item, link);

		if (apply_waits_for_company(a, item) || apply_append(a, item) < 0)
			return;
		rt_list_remove(&item->link);
		a->inflight++;
	}
}

int apply_record(struct apply *a, const uint8_t *bytes, size_t len)
{
	struct apply_item *item;
	int err;

	if (a->err < 0)
		return a->err;
	item = rt_zalloc(1, sizeof(*item));
	if (!item)
		return apply_fail(a, -ENOMEM, "out of memory");
	item->apply = a;
	err = record_decode(bytes, len, lfs_meta(a->group->lfs), &item->owned);
	if (err < 0) {
		rt_free(item);
		return apply_fail(a, err,
				  err == -EBADMSG  ? "a record's checksum is wrong"
				  : err == -ENOMEM ? "out of memory"
						   : "a record is not legal");
	}
	a->bytes += apply_item_cost(item);
	if (item->owned.rec.lsn != a->next_lsn) {
		err = apply_fail(a, -EPROTO,
				 "LSN %llu was received where %llu was expected",
				 (unsigned long long)item->owned.rec.lsn,
				 (unsigned long long)a->next_lsn);
		apply_item_free(item);
		return err;
	}
	a->next_lsn++;
	rt_list_push_back(&a->queue, &item->link);
	apply_retry(a);
	return a->err;
}

bool apply_room(const struct apply *a)
{
	return a->err == 0 && a->bytes < APPLY_BYTES_MAX;
}

bool apply_idle(const struct apply *a)
{
	return rt_list_empty(&a->queue) && a->inflight == 0;
}

void apply_discard(struct apply *a)
{
	struct rt_list *link;

	while ((link = rt_list_pop(&a->queue)))
		apply_item_free(rt_container_of(link, struct apply_item, link));
}
