// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "replicator/group_private.h"

struct group_volume *group_volume_find(struct group *group, const char *name)
{
	for (unsigned i = 0; i < group->nvolumes; i++)
		if (strcmp(group->volumes[i].name, name) == 0)
			return &group->volumes[i];
	return NULL;
}

unsigned group_volume_count(const struct group *group)
{
	return group->nvolumes;
}

struct group_volume *group_volume_at(struct group *group, unsigned i)
{
	rt_assert(i < group->nvolumes);
	return &group->volumes[i];
}

const char *group_volume_name(const struct group_volume *volume)
{
	return volume->name;
}

uint64_t group_volume_size(const struct group_volume *volume)
{
	return volume->size;
}

bool group_volume_read_only(const struct group_volume *volume)
{
	const struct group *g = volume->group;

	return g->role == GROUP_MIRROR || group_is_fenced(g) || group_is_undoing(g);
}

bool group_serving(const struct group *group)
{
	return group->life == GROUP_LIFE_SERVING || group->life == GROUP_LIFE_STOPPING;
}

void group_number_volumes(struct group *g)
{
	const struct lfs_meta *meta = lfs_meta(g->lfs);

	for (unsigned i = 0; i < meta->nvolumes; i++) {
		struct group_volume *v = group_volume_find(g, meta->volumes[i].name);

		rt_assert(v);
		v->index = i;
	}
}

const char *group_mode_name(enum group_mode mode)
{
	switch (mode) {
	case GROUP_LOCAL:
		return "local";
	case GROUP_NETWORK:
		return "network";
	case GROUP_REMOTE:
		return "remote";
	}
	rt_assert(!"a mode");
	return "";
}
