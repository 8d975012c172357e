// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt/check.h"
#include "rt/list.h"
#include "rt/loop.h"
#include "tests/unit/nbd-server/live/fake_group.h"

struct group_volume {
	struct group *group;
	char name[64];
	uint8_t *image;
};

struct group {
	struct rt_loop *loop;
	uint64_t size;
	struct group_volume volumes[FAKE_VOLUMES];
	bool serving, read_only, hold, hold_writes, memory_short;
	int fail;
	struct rt_list queue;
	unsigned queued;
	uint64_t seen;
	unsigned last_flags;
	struct rt_op op;
	bool busy;
};

struct fake_entry {
	struct rt_list link;
	struct group_request *request;
	bool stored; /* and released */
};

static void fake_kick(struct group *group);

/* ---- the doors --------------------------------------------------------------------- */

unsigned group_volume_count(const struct group *group)
{
	return FAKE_VOLUMES;
}

struct group_volume *group_volume_at(struct group *group, unsigned i)
{
	rt_assert(i < FAKE_VOLUMES);
	return &group->volumes[i];
}

struct group_volume *group_volume_find(struct group *group, const char *name)
{
	for (unsigned i = 0; i < FAKE_VOLUMES; i++)
		if (strcmp(group->volumes[i].name, name) == 0)
			return &group->volumes[i];
	return NULL;
}

const char *group_volume_name(const struct group_volume *volume)
{
	return volume->name;
}

uint64_t group_volume_size(const struct group_volume *volume)
{
	return volume->group->size;
}

bool group_volume_read_only(const struct group_volume *volume)
{
	return volume->group->read_only;
}

bool group_serving(const struct group *group)
{
	return group->serving;
}

static void fake_write(struct group_request *r)
{
	uint64_t edge = r->offset % GROUP_BLOCK;
	size_t span = group_request_span(r->offset, r->len);

	memcpy(r->volume->image + r->offset, r->buf + edge, r->len);
	/* The edges are the group's to fill in, so nobody may count on them. */
	memset(r->buf, 0xa5, edge);
	memset(r->buf + edge + r->len, 0xa5, span - edge - r->len);
}

static int fake_serve(struct group *group, struct group_request *r)
{
	uint8_t *at = r->volume->image + r->offset;

	if (group->fail)
		return group->fail;
	if (r->offset > group->size || r->len > group->size - r->offset)
		return r->kind == GROUP_WRITE || r->kind == GROUP_ZERO ? -ENOSPC
								       : -EINVAL;
	if (group->read_only && r->kind != GROUP_READ && r->kind != GROUP_FLUSH)
		return -EPERM;
	switch (r->kind) {
	case GROUP_READ:
		memset(r->buf, 0x5a, group_request_span(r->offset, r->len));
		memcpy(r->buf + r->offset % GROUP_BLOCK, at, r->len);
		return 0;
	case GROUP_WRITE:
		fake_write(r);
		return 0;
	case GROUP_TRIM:
	case GROUP_ZERO:
		memset(at, 0, r->len);
		return 0;
	case GROUP_FLUSH:
		return 0;
	}
	rt_assert(!"no such kind");
	return -EINVAL;
}

static bool fake_keeps(const struct group *group, const struct fake_entry *entry)
{
	return group->hold || (group->hold_writes && entry->request->kind == GROUP_WRITE);
}

static void fake_end(struct group *group, struct fake_entry *entry)
{
	struct group_request *r = entry->request;
	bool stored = entry->stored;

	rt_list_remove(&entry->link);
	free(entry);
	group->queued--;
	r->done(r, stored ? 0 : fake_serve(group, r));
}

/* What is kept needs its buffer no more. */
static void fake_release(struct group *group, struct fake_entry *entry)
{
	struct group_request *r = entry->request;

	if (!group->hold_writes || !group->memory_short || entry->stored)
		return;
	rt_assert(fake_serve(group, r) == 0);
	entry->stored = true;
	r->released(r);
}

static void fake_turn(struct rt_op *op, int res)
{
	struct group *group = rt_container_of(op, struct group, op);
	struct rt_list *e, *next;

	group->busy = false;
	for (e = group->queue.next; e != &group->queue; e = next) {
		struct fake_entry *entry = rt_container_of(e, struct fake_entry, link);

		next = e->next;
		if (!fake_keeps(group, entry))
			fake_end(group, entry);
		else if (entry->request->kind == GROUP_WRITE)
			fake_release(group, entry);
	}
}

void group_set_memory_short(struct group *group, bool is_short)
{
	group->memory_short = is_short;
	fake_kick(group);
}

static void fake_kick(struct group *group)
{
	if (group->busy || group->hold || rt_list_empty(&group->queue))
		return;
	group->busy = true;
	rt_defer(group->loop, &group->op);
}

void group_submit(struct group_request *r)
{
	struct group *group = r->volume->group;
	struct fake_entry *entry = malloc(sizeof(*entry));

	rt_assert(entry);
	if (r->kind == GROUP_READ || r->kind == GROUP_WRITE) {
		rt_assert(r->len >= 1 && r->len <= GROUP_REQUEST_MAX);
		rt_assert(r->buf && (uintptr_t)r->buf % GROUP_BLOCK == 0);
	}
	rt_assert(r->kind != GROUP_FLUSH || (r->len == 0 && r->offset == 0));
	group->seen++;
	group->last_flags = r->flags;
	entry->request = r;
	rt_list_push_back(&group->queue, &entry->link);
	group->queued++;
	fake_kick(group);
}

/* ---- for the tests ----------------------------------------------------------------- */

struct group *fake_group_new(struct rt_loop *loop, uint64_t size, unsigned first)
{
	struct group *group = calloc(1, sizeof(*group));

	rt_assert(group);
	group->loop = loop;
	group->size = size;
	group->serving = true;
	group->op.done = fake_turn;
	rt_list_init(&group->queue);
	for (unsigned i = 0; i < FAKE_VOLUMES; i++) {
		group->volumes[i].group = group;
		(void)snprintf(group->volumes[i].name, sizeof(group->volumes[i].name),
			       "vol%u", first + i);
		group->volumes[i].image = calloc(1, size);
		rt_assert(group->volumes[i].image);
	}
	return group;
}

void fake_group_free(struct group *group)
{
	rt_assert(rt_list_empty(&group->queue));
	for (unsigned i = 0; i < FAKE_VOLUMES; i++)
		free(group->volumes[i].image);
	free(group);
}

uint8_t *fake_group_image(struct group *group, unsigned volume)
{
	return group->volumes[volume].image;
}

void fake_group_hold(struct group *group, bool hold)
{
	group->hold = hold;
	fake_kick(group);
}

void fake_group_hold_writes(struct group *group, bool hold)
{
	group->hold_writes = hold;
	fake_kick(group);
}

void fake_group_fail(struct group *group, int res)
{
	group->fail = res;
}

void fake_group_set(struct group *group, bool serving, bool read_only)
{
	group->serving = serving;
	group->read_only = read_only;
}

unsigned fake_group_held(const struct group *group)
{
	return group->queued;
}

uint64_t fake_group_seen(const struct group *group)
{
	return group->seen;
}

unsigned fake_group_last_flags(const struct group *group)
{
	return group->last_flags;
}
