/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_DAEMON_SOCKETS_H
#define CONTROL_DAEMON_SOCKETS_H

#include <stdbool.h>

struct config_nbd;
struct control_server;
struct nbds_server;

/*
 * Where the daemon listens: the sockets that systemd has handed over (the one with
 * FileDescriptorName=control is the control socket, the others are for NBD), or else what
 * the configuration says. 0 or -errno, said in the log; with `wait` -EADDRINUSE is not said,
 * since the same call will be made again. `*next` is the first address of the configuration
 * that is not listened on yet.
 */
int daemon_sockets_control(struct control_server *srv, const char *path, bool wait);
int daemon_sockets_nbd(struct nbds_server *srv, const struct config_nbd *config,
		       unsigned *next, bool wait);

#endif
