/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_DAEMON_SOCKETS_H
#define CONTROL_DAEMON_SOCKETS_H

struct config_nbd;
struct control_server;
struct nbds_server;

/*
 * Where the daemon listens: the sockets that systemd has handed over (the one with
 * FileDescriptorName=control is the control socket, the others are for NBD), or else what
 * the configuration says. 0 or -errno, said in the log.
 */
int daemon_sockets_control(struct control_server *srv, const char *path);
int daemon_sockets_nbd(struct nbds_server *srv, const struct config_nbd *config);

#endif
