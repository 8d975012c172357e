/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_CONTROL_REQUEST_H
#define CONTROL_CONTROL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the command asks of the daemon: one JSON object on a line, such as
 * {"verb":"promote","group":"db","force":false}.
 */
#define CONTROL_LINE_MAX 4096 /* a request with its newline */
#define CONTROL_WHY_MAX 256
#define CONTROL_GROUP_MAX 63 /* bytes of a group's name */
#define CONTROL_KEY_MAX 63   /* bytes of a key's name */
#define CONTROL_VALUE_MAX 255

enum control_verb {
	CONTROL_STATUS,
	CONTROL_PROMOTE,
	CONTROL_SET,
	CONTROL_PEER,
	CONTROL_OPEN,
	CONTROL_SWITCHOVER,
	CONTROL_EVENTS,
};

/* What CONTROL_PEER does with the peer; the other verbs do nothing with it. */
enum control_change { CONTROL_KEEP, CONTROL_REPLACE, CONTROL_FORGET };

struct control_request {
	enum control_verb verb;
	char group[CONTROL_GROUP_MAX +
		   1]; /* "": the daemon's only one, or all of them for status */
	bool force, hold, undo; /* CONTROL_PROMOTE */
	bool alone;	  /* CONTROL_OPEN, always */
	bool dry_run;	  /* of each verb that changes something */
	enum control_change change;
	char key[CONTROL_KEY_MAX + 1], value[CONTROL_VALUE_MAX + 1]; /* CONTROL_SET */
	/* CONTROL_EVENTS: of the wall clock, since 1970; number of the first that is asked for */
	int64_t since_ns, from_seq;
};

/*
 * Read `len` bytes without the newline. 0; or -EINVAL, -ENOTSUP for a verb that is known
 * but not in this version, with `why` in words and *ret untouched.
 */
int control_request_parse(const char *line, size_t len, struct control_request *ret,
			  char why[CONTROL_WHY_MAX]);
/* The line for it with its newline. Returns its length. */
size_t control_request_encode(const struct control_request *request,
			      char line[CONTROL_LINE_MAX]);

/* "replace", "forget": true with *ret. */
bool control_change_parse(const char *word, enum control_change *ret);

/* A verb of the command that this version knows and does not have. */
bool control_verb_is_later(const char *verb);

#endif
