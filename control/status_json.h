/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_STATUS_JSON_H
#define CONTROL_STATUS_JSON_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

struct group_recovery;
struct group_status;
struct nbds_stats;

/*
 * What `wanmirror status --json` prints. The names are a promise (wanmirror(1)): all of
 * them are always there, and what is not known is null. New references; NULL when out of
 * memory.
 */

/*
 * Significant digits of its numbers, wherever it is written: a time since 1970 has ten before
 * the point, and three behind it count. More would only show how binary fractions are rounded.
 */
#define STATUS_JSON_DIGITS 13

/* What of the daemon is no group's. */
struct status_daemon {
	const char *node;
	const struct nbds_stats *nbd; /* NULL: there is no server yet */
	uint64_t control_refused;
	uint64_t log_dropped;
};

/* What a promotion finds; NULL: all null. */
json_t *status_recovery_json(const struct group_recovery *r);
/* {"node":, "version":, "nbd":{}, "control":{}, "log":{}, "groups":[]} */
json_t *status_new(const struct status_daemon *daemon);
/* Append one group. 0 or -ENOMEM. */
int status_add_group(json_t *status, const struct group_status *group);
/*
 * The same for a group whose store is not open: its name, STARTING or FAILED, why ("" for
 * null), and nulls.
 */
int status_add_closed_group(json_t *status, const char *name, const char *state,
			    const char *why);

/* One screen for people. What is missing or of another type is shown as "-". */
void status_print(const json_t *status, FILE *out);

#endif
