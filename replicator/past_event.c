// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/past_event.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "replicator/group_policy.h"
#include "replicator/group_private.h"
#include "rt/crc.h"

_Static_assert(GROUP_EVENT_TEXT_MAX == LFS_EVENT_TEXT_MAX, "one length");

/* ---- what is kept ----------------------------------------------------------------------- */

enum past_event_rule {
	PAST_EVENT_NEVER, /* each connection brings one, and the state says what matters */
	PAST_EVENT_HOURLY,	/* a fault that lasts brings one again and again */
	PAST_EVENT_HOURLY_EACH, /* the same, but its text says which fault */
};

/* All other kinds are kept each time. */
static const struct past_event_kind {
	const char *name;
	enum past_event_rule rule;
} kinds[] = {
	{ "connected", PAST_EVENT_NEVER },
	{ "disconnected", PAST_EVENT_NEVER },
	{ "streaming", PAST_EVENT_NEVER },
	{ "following", PAST_EVENT_NEVER },
	{ "in-sync", PAST_EVENT_NEVER },
	{ "waiting", PAST_EVENT_NEVER },
	{ "checksum-error", PAST_EVENT_HOURLY },
	{ "read-error", PAST_EVENT_HOURLY },
	{ "connection-failed", PAST_EVENT_HOURLY },
	{ "control-silent", PAST_EVENT_HOURLY },
	{ "data-silent", PAST_EVENT_HOURLY },
	{ "hold-timeout", PAST_EVENT_HOURLY },
	{ "log-full", PAST_EVENT_HOURLY },
	{ "log-has-room", PAST_EVENT_HOURLY },
	{ "log-low", PAST_EVENT_HOURLY },
	{ "map-full", PAST_EVENT_HOURLY },
	{ "map-has-room", PAST_EVENT_HOURLY },
	{ "path-mtu", PAST_EVENT_HOURLY },
	{ "path-narrower-than-rate", PAST_EVENT_HOURLY },
	{ "data-connection-over", PAST_EVENT_HOURLY_EACH },
	{ "heartbeat-too-long", PAST_EVENT_HOURLY_EACH },
	{ "peer-refused", PAST_EVENT_HOURLY_EACH },
	{ "record-refused", PAST_EVENT_HOURLY_EACH },
	{ "refused", PAST_EVENT_HOURLY_EACH },
};
_Static_assert(RT_ARRAY_LEN(kinds) <= PAST_EVENT_KINDS_MAX, "each has its memory");

static const struct past_event_kind *past_event_kind_of(const char *text)
{
	size_t len = strcspn(text, " ");

	for (unsigned i = 0; i < RT_ARRAY_LEN(kinds); i++)
		if (strlen(kinds[i].name) == len && memcmp(kinds[i].name, text, len) == 0)
			return &kinds[i];
	return NULL;
}

bool past_event_keeps(struct past_events *log, enum rt_log_level level, const char *text,
		      rt_time now, uint64_t *left_out)
{
	const struct past_event_kind *kind = past_event_kind_of(text);
	uint32_t crc = rt_crc32c(text, strlen(text));
	struct past_event_repeat *r;
	int64_t least_ns = PAST_EVENT_REPEATS;

	*left_out = 0;
	if (level > RT_LOG_INFO || (kind && kind->rule == PAST_EVENT_NEVER))
		return false;
	if (!kind)
		return true;
	r = &log->repeats[kind - kinds];
	if (kind->rule == PAST_EVENT_HOURLY_EACH && crc != r->crc)
		least_ns = PAST_EVENT_OTHER;
	if (r->known && rt_time_since(now, r->last) < least_ns) {
		r->left_out++;
		return false;
	}
	*left_out = r->left_out;
	*r = (struct past_event_repeat){ .known = true, .last = now, .crc = crc };
	return true;
}

/* ---- into the store --------------------------------------------------------------------- */

void past_event_add(struct group *g, enum rt_log_level level, const char *text)
{
	char kept[GROUP_EVENT_TEXT_MAX];
	uint64_t left_out;

	if (!g->lfs ||
	    !past_event_keeps(&g->past_events, level, text, rt_now(g->loop), &left_out))
		return;
	if (left_out > 0) {
		(void)snprintf(kept, sizeof(kept), "%.*s left-out=%llu",
			       GROUP_EVENT_TEXT_MAX - 40, text,
			       (unsigned long long)left_out);
		text = kept;
	}
	lfs_event_log_append(g->lfs, level, text);
}

void past_event_add_state(struct group *g, enum group_state from)
{
	char why[GROUP_STATUS_WHY_MAX], kept[GROUP_EVENT_TEXT_MAX];

	if (!g->lfs)
		return;
	group_policy_why(g, why, sizeof(why));
	(void)snprintf(kept, sizeof(kept), "state from=%s to=%s why=%.*s",
		       group_state_name(from), group_state_name(g->state),
		       GROUP_EVENT_TEXT_MAX - 64, why);
	lfs_event_log_append(g->lfs, group_state_level(g->state), kept);
}

void past_event_mode(struct group *g, enum group_mode mode)
{
	struct past_events *past = &g->past_events;
	enum group_mode from = past->mode;
	bool known = past->mode_known;

	past->mode_known = true;
	past->mode = mode;
	if (!known || mode == from)
		return;
	group_event(g, mode < from ? RT_LOG_WARN : RT_LOG_INFO, "%s from=%s to=%s",
		    mode < from ? "mode-lowered" : "mode-raised", group_mode_name(from),
		    group_mode_name(mode));
}

/* ---- out of the store ------------------------------------------------------------------- */

/* The word behind `key`, up to a blank: what follows it, or NULL where it is not there. */
static const char *past_event_word(const char *text, const char *key, char *to,
				   size_t size)
{
	size_t len = strlen(key), n;

	if (strncmp(text, key, len) != 0)
		return NULL;
	text += len;
	n = strcspn(text, " ");
	(void)snprintf(to, size, "%.*s", (int)n, text);
	return text + n + (text[n] == ' ');
}

static void past_event_split(const char *text, struct group_past_event *ret)
{
	const char *rest = past_event_word(text, "", ret->name, sizeof(ret->name)), *why;

	(void)snprintf(ret->text, sizeof(ret->text), "%s", rest);
	if (strcmp(ret->name, "state") != 0)
		return;
	rest = past_event_word(rest, "from=", ret->from, sizeof(ret->from));
	if (rest)
		rest = past_event_word(rest, "to=", ret->to, sizeof(ret->to));
	why = rest ? strstr(rest, "why=") : NULL;
	if (why == rest && why)
		(void)snprintf(ret->text, sizeof(ret->text), "%s", why + strlen("why="));
}

int group_past_event(const struct group *g, uint64_t seq, struct group_past_event *ret)
{
	struct lfs_event event;
	int res = g->lfs ? lfs_event_log_find(g->lfs, seq, &event) : -ENOENT;

	if (res < 0)
		return res;
	*ret = (struct group_past_event){
		.seq = event.seq,
		.wall_ns = event.wall_ns,
		.level = event.level > RT_LOG_INFO ? RT_LOG_INFO
						   : (enum rt_log_level)event.level,
	};
	past_event_split(event.text, ret);
	return 0;
}
