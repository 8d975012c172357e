/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_NBD_SERVER_LIVE_FAKE_GROUP_H
#define TESTS_UNIT_NBD_SERVER_LIVE_FAKE_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "replicator/group.h"

/*
 * A double of the group, for the connections' tests only: volumes in memory behind the
 * doors of replicator/group.h that nbd-server uses. Requests complete in a later turn of
 * the loop, as the contract says; what the contract asks of the caller is asserted.
 */
#define FAKE_VOLUMES 3

/* Its volumes are "vol<first>" and those that follow. */
struct group *fake_group_new(struct rt_loop *loop, uint64_t size, unsigned first);
void fake_group_free(struct group *group); /* nothing may be in flight */

uint8_t *fake_group_image(struct group *group, unsigned volume);

/* From now on requests are kept (true), or completed again, with those that were kept. */
void fake_group_hold(struct group *group, bool hold);
/* From now on writes are kept, as by a mirror that is away, while the log takes them. */
void fake_group_hold_writes(struct group *group, bool hold);
/* From now on every request ends with `res`. */
void fake_group_fail(struct group *group, int res);
void fake_group_set(struct group *group, bool serving, bool read_only);
/* What the group has been asked for, and has not answered. */
unsigned fake_group_held(const struct group *group);
uint64_t fake_group_seen(const struct group *group);
unsigned fake_group_last_flags(const struct group *group);

#endif
