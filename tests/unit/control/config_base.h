/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_CONTROL_CONFIG_BASE_H
#define TESTS_UNIT_CONTROL_CONFIG_BASE_H

/*
 * A file with most keys, one line of which a test replaces. Included once per test
 * program.
 */
#include <stdio.h>
#include <string.h>

#include "control/config.h"
#include "tests/unit/unit.h"

static const char *const base[] = {
	/* 1 */ "node = \"nyc\";",
	/* 2 */ "control = \"/run/wm/control.sock\";",
	/* 3 */ "nbd: { listen = [ \"unix:/run/wm/nbd.sock\", \"tcp:127.0.0.1:10809\" ];",
	/* 4 */ "  tls = \"off\";",
	/* 5 */ "  connections = 100; };",
	/* 6 */ "groups: (",
	/* 7 */ "  { name = \"db\";",
	/* 8 */ "    store = \"/dev/vg0/wm-db\";",
	/* 9 */ "    store_size = \"600GiB\";",
	/* 10 */ "    role = \"primary\";",
	/* 11 */ "    volumes = ( { name = \"data\"; size = \"400GiB\"; },",
	/* 12 */
	"                { name = \"wal\"; size = \"20GiB\"; sync = \"remote\"; } );",
	/* 13 */ "    sync = \"network\";",
	/* 14 */ "    max_exposure = \"none\";",
	/* 15 */ "    hold = \"write\";",
	/* 16 */ "    on_disconnect = \"continue\";",
	/* 17 */ "    peer: {",
	/* 18 */ "      address = \"203.0.113.7:7700\";",
	/* 19 */ "      key = \"/etc/wm/db.key\";",
	/* 20 */ "      rate = \"900Mbit\";",
	/* 21 */ "      evidence = \"driver\";",
	/* 22 */ "      fec: { code = \"window\";",
	/* 23 */ "             safety = 1e-6;",
	/* 24 */ "             assume: { loss = 0.01; burst = 1; };",
	/* 25 */ "             share = 0.10; };",
	/* 26 */ "    };",
	/* 27 */ "  } );",
};
#define LINES (sizeof(base) / sizeof(*base))

static struct config config;
static struct config_errors errors;

/* Stands in place of line 22, for limits that a code could not live with. */
static const char *line_22;

/* The base with `text` in place of line `line` (1-based; 0: none). */
static inline int parse_with(unsigned line, const char *text)
{
	static char file[16384];
	size_t len = 0;

	for (unsigned i = 0; i < LINES; i++)
		len += (size_t)snprintf(file + len, sizeof(file) - len, "%s\n",
					i + 1 == line	     ? text
					: i == 21 && line_22 ? line_22
							     : base[i]);
	return config_parse("test.conf", file, len, 0, &config, &errors);
}

static inline void good(unsigned line, const char *text)
{
	if (parse_with(line, text) < 0)
		fail_msg("refused: %s", errors.text[0]);
}

/* Refused, and the first error begins with `start` and has `part` in it. */
static inline void bad(unsigned line, const char *text, const char *start,
		       const char *part)
{
	char expected[300];

	(void)snprintf(expected, sizeof(expected), "test.conf:%s", start);
	if (parse_with(line, text) == 0)
		fail_msg("accepted: %s", text);
	if (strncmp(errors.text[0], expected, strlen(expected)) != 0 ||
	    !strstr(errors.text[0], part))
		fail_msg("%s\n  instead of %s ... %s", errors.text[0], expected, part);
}

#endif
