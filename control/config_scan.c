// SPDX-License-Identifier: BSD-3-Clause
#include "control/config_scan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/config.h"

#define NUMBER_TEXT_MAX 64

struct seen {
	const char *name;
	unsigned len, line, depth;
};

struct scan {
	const char *p, *end;
	unsigned line;
	unsigned depth;
	unsigned nseen;
	bool comma;  /* the last thing before here */
	bool failed; /* an error that makes going on senseless */
	struct config_errors *errors;
	struct seen seen[CONFIG_NAMES_MAX];
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* One byte on, and the line with it. */
static void scan_step(struct scan *s)
{
	if (*s->p == '\n')
		s->line++;
	s->p++;
}

static bool scan_at(const struct scan *s, const char *what)
{
	size_t len = strlen(what);

	return (size_t)(s->end - s->p) >= len && memcmp(s->p, what, len) == 0;
}

static bool scan_comment(struct scan *s)
{
	if (scan_at(s, "#") || scan_at(s, "//")) {
		while (s->p < s->end && *s->p != '\n')
			s->p++;
		return true;
	}
	if (!scan_at(s, "/*"))
		return false;
	s->p += 2;
	while (s->p < s->end && !scan_at(s, "*/"))
		scan_step(s);
	if (s->p < s->end)
		s->p += 2;
	return true;
}

static void scan_string(struct scan *s)
{
	unsigned line = s->line;

	/* None goes over several lines: else the next string would be the one at fault. */
	for (s->p++; s->p < s->end && *s->p != '"' && *s->p != '\n'; scan_step(s)) {
		if (*s->p != '\\')
			continue;
		scan_step(s);
		if (s->p == s->end)
			break;
	}
	if (s->p >= s->end || *s->p == '\n') {
		config_error(s->errors, line, NULL,
			     "a string that does not end on its line");
		s->failed = true;
		return;
	}
	s->p++;
}

/* Digits and what may stick to them, as libconfig's lexer takes them. */
static void scan_number(struct scan *s)
{
	const char *first = s->p;
	char text[NUMBER_TEXT_MAX];
	bool wide, hex;
	size_t len;
	long long value;

	s->p++;
	while (s->p < s->end &&
	       (is_digit(*s->p) || is_letter(*s->p) || *s->p == '.' ||
		((*s->p == '+' || *s->p == '-') && (s->p[-1] == 'e' || s->p[-1] == 'E'))))
		s->p++;
	len = (size_t)(s->p - first);
	if (len >= sizeof(text)) {
		config_error(s->errors, s->line, NULL, "a number of %zu characters", len);
		return;
	}
	memcpy(text, first, len);
	text[len] = 0;
	hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	if (!hex && strpbrk(text, ".eE"))
		return;
	wide = strchr(text, 'L') != NULL;
	errno = 0;
	value = strtoll(text, NULL, hex ? 16 : 10);
	if (errno == ERANGE || (!wide && (value > INT32_MAX || value < INT32_MIN)))
		config_error(s->errors, s->line, NULL,
			     "%s is beyond %d bits and would be read as another number; "
			     "sizes, rates and times are strings with a unit, such as "
			     "\"400GiB\"",
			     text, wide ? 64 : 32);
}

static void skip_blank(struct scan *s)
{
	while (s->p < s->end)
		if (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' || *s->p == '\n')
			scan_step(s);
		else if (!scan_comment(s))
			return;
}

static void scan_set(struct scan *s, const char *name, unsigned len, unsigned line)
{
	unsigned i;

	for (i = s->nseen; i-- > 0 && s->seen[i].depth == s->depth;) {
		const struct seen *old = &s->seen[i];
		char key[64];

		if (old->len != len || memcmp(old->name, name, len) != 0)
			continue;
		(void)snprintf(key, sizeof(key), "%.*s", (int)len, name);
		config_error(s->errors, line, key, "set twice; first on line %u",
			     old->line);
		return;
	}
	if (s->nseen == CONFIG_NAMES_MAX) {
		config_error(s->errors, line, NULL, "more than %d settings in a section",
			     CONFIG_NAMES_MAX);
		s->failed = true;
		return;
	}
	s->seen[s->nseen++] = (struct seen){ name, len, line, s->depth };
}

static void scan_word(struct scan *s)
{
	const char *first = s->p;
	unsigned line = s->line;
	unsigned len;

	while (s->p < s->end && (is_letter(*s->p) || is_digit(*s->p) || *s->p == '-' ||
				 *s->p == '_' || *s->p == '*'))
		s->p++;
	len = (unsigned)(s->p - first);
	skip_blank(s);
	if (scan_at(s, "=") || scan_at(s, ":"))
		scan_set(s, first, len, line);
}

static void scan_bracket(struct scan *s)
{
	char c = *s->p;

	if (c == '{' || c == '(' || c == '[') {
		if (++s->depth > CONFIG_DEPTH_MAX) {
			config_error(s->errors, s->line, NULL,
				     "more than %d brackets within each other",
				     CONFIG_DEPTH_MAX);
			s->failed = true;
		}
		return;
	}
	if (s->comma)
		config_error(s->errors, s->line, NULL, "a comma before the closing '%c'",
			     c);
	while (s->nseen > 0 && s->seen[s->nseen - 1].depth == s->depth)
		s->nseen--;
	if (s->depth > 0)
		s->depth--;
}

static void scan_token(struct scan *s)
{
	char c = *s->p;

	if (c == '"') {
		scan_string(s);
	} else if (is_letter(c) || c == '*') {
		scan_word(s);
	} else if (is_digit(c) || c == '+' || c == '-' || c == '.') {
		scan_number(s);
	} else if (c == '@') {
		config_error(s->errors, s->line, "@include",
			     "not in this version: one file holds all");
		s->failed = true;
	} else {
		if (c != 0 && strchr("{}()[]", c))
			scan_bracket(s);
		s->p++;
	}
	s->comma = c == ',';
}

int config_scan(const char *text, size_t len, struct config_errors *errors)
{
	unsigned before = errors->n;
	struct scan *s;

	if (memchr(text, 0, len)) {
		config_error(errors, 0, NULL, "this is no text: it has bytes of 0");
		return -EINVAL;
	}
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		config_error(errors, 1, NULL,
			     "it begins with a byte order mark; save it as UTF-8 without "
			     "one");
		return -EINVAL;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		config_error(errors, 0, NULL, "out of memory");
		return -EINVAL;
	}
	s->p = text;
	s->end = text + len;
	s->line = 1;
	s->errors = errors;
	for (skip_blank(s); s->p < s->end && !s->failed; skip_blank(s))
		scan_token(s);
	free(s);
	return errors->n == before ? 0 : -EINVAL;
}
