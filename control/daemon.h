/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_DAEMON_H
#define CONTROL_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "control/config.h"

/*
 * The daemon behind wanmirrord's main: opens the group, serves it over NBD, answers the
 * control socket, and stops in order on SIGTERM and SIGINT. One loop, one thread.
 */
struct daemon_params {
	const char *path; /* of the configuration, for SIGHUP */
	bool verbose;	  /* -v: log debug whatever the file says */
	bool single; /* -s: one NBD connection on descriptors 0 and 1, no listeners */
	int64_t patience_ms; /* 0: DAEMON_PATIENCE_MS */
};

#define DAEMON_STOP_MS 20000 /* for requests in flight, once asked to stop */
/*
 * After its start a daemon waits this long for addresses and a store that are in use: a
 * killed one is gone before the kernel has taken its ring down, which holds them.
 */
#define DAEMON_PATIENCE_MS 5000
#define DAEMON_RETRY_MS 100
#define DAEMON_NOTIFY_MS 1000 /* so often it looks for news for the service manager */
#define DAEMON_DESCRIPTORS 64u /* kept for all but NBD connections */

/*
 * Run until asked to stop, or until the group could not be opened. `config` is copied.
 * What main returns: 0 after a stop in order.
 */
int daemon_run(const struct config *config, const struct daemon_params *params);

#endif
