// SPDX-License-Identifier: BSD-3-Clause
#include "control/events.h"

#include <string.h>

#include "control/moment.h"
#include "replicator/group.h"

/* ---- of a group ------------------------------------------------------------------------- */

static const char *event_level_name(enum rt_log_level level)
{
	switch (level) {
	case RT_LOG_ERROR:
		return "error";
	case RT_LOG_WARN:
		return "warn";
	case RT_LOG_INFO:
	case RT_LOG_DEBUG:
		break;
	}
	return "info";
}

/* Mostly ours; but a text that was cut, or a peer's name in it, may be no UTF-8. */
static json_t *event_text_json(const char *text, bool known)
{
	json_t *value = known ? json_string(text) : json_null();

	return value ? value : json_string("(a text that is no UTF-8)");
}

static json_t *event_json(const struct group_past_event *event)
{
	bool state = event->from[0] && event->to[0];
	char at[MOMENT_TEXT];

	return json_pack("{s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "seq",
			 (json_int_t)event->seq, "time",
			 moment_format(event->wall_ns, true, at), "level",
			 event_level_name(event->level), "event",
			 event_text_json(event->name, true), "from",
			 event_text_json(event->from, state), "to",
			 event_text_json(event->to, state), "why",
			 event_text_json(event->text, state && event->text[0]), "text",
			 event_text_json(event->text, !state && event->text[0]));
}

json_t *events_new(const struct group *group, const char *name,
		   const struct events_wanted *wanted)
{
	json_t *root = json_pack("{s:s, s:[], s:n}", "group", name, "events", "next");
	json_t *list = json_object_get(root, "events");
	struct group_past_event event;
	uint64_t seq = wanted->from_seq;

	for (; root && group_past_event(group, seq, &event) == 0; seq = event.seq + 1) {
		if (event.wall_ns < wanted->since_ns)
			continue;
		if (json_array_size(list) == EVENTS_PAGE) {
			(void)json_object_set_new(root, "next",
						  json_integer((json_int_t)event.seq));
			break;
		}
		if (json_array_append_new(list, event_json(&event)) == 0)
			continue;
		json_decref(root);
		root = NULL;
	}
	return root;
}

int64_t events_add_page(json_t *events, const json_t *page)
{
	json_t *list = json_object_get(events, "events");
	json_t *more = json_object_get(page, "events");
	int64_t next = json_integer_value(json_object_get(page, "next"));

	if (events != page && (!json_is_array(more) || json_array_extend(list, more) < 0))
		next = 0;
	(void)json_object_del(events, "next"); /* there may be none */
	return next;
}

/* ---- for people ------------------------------------------------------------------------- */

/* Without bytes that would move a terminal's cursor. */
static void event_put_text(const json_t *event, const char *name, FILE *out)
{
	const char *text = json_string_value(json_object_get(event, name));

	for (text = text ? text : "-"; *text; text++)
		(void)fputc(*text >= ' ' && *text != 0x7f ? *text : '?', out);
}

static bool event_has(const json_t *event, const char *name)
{
	return json_is_string(json_object_get(event, name));
}

/* In this host's time zone; as it is where that is not understood. */
static void event_put_time(const json_t *event, FILE *out)
{
	const char *text = json_string_value(json_object_get(event, "time"));
	char at[MOMENT_TEXT];
	const char *why;
	int64_t ns;

	if (text && strlen(text) < MOMENT_TEXT && moment_parse(text, 0, &ns, &why) == 0)
		fprintf(out, "%s  ", moment_format(ns, false, at));
	else
		fprintf(out, "-  ");
}

static void event_put_level(const json_t *event, FILE *out)
{
	const char *level = json_string_value(json_object_get(event, "level"));
	const char *name = "-";

	for (unsigned i = RT_LOG_ERROR; level && i <= RT_LOG_INFO; i++)
		if (strcmp(level, event_level_name((enum rt_log_level)i)) == 0)
			name = event_level_name((enum rt_log_level)i);
	fprintf(out, "%-5s  ", name);
}

static void event_print(const json_t *event, FILE *out)
{
	event_put_time(event, out);
	event_put_level(event, out);
	if (event_has(event, "to")) {
		event_put_text(event, "from", out);
		fprintf(out, " -> ");
		event_put_text(event, "to", out);
	} else {
		event_put_text(event, "event", out);
	}
	if (event_has(event, "why")) {
		fprintf(out, ": ");
		event_put_text(event, "why", out);
	} else if (event_has(event, "text")) {
		fprintf(out, " ");
		event_put_text(event, "text", out);
	}
	fprintf(out, "\n");
}

void events_print(const json_t *events, FILE *out)
{
	const json_t *event;
	size_t i;

	json_array_foreach(json_object_get(events, "events"), i, event)
		event_print(event, out);
}
