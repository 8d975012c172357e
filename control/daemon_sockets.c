// SPDX-License-Identifier: BSD-3-Clause
#include "control/daemon_sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "control/config.h"
#include "control/control_server.h"
#include "control/process.h"
#include "nbd-server/nbds.h"
#include "rt/log.h"

/* The first socket handed over whose name is "control" (or is not), from `fd` on; -1. */
static int passed_fd(int fd, bool control)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(0, &names);
	int found = -1;

	for (int i = 0; i < n; i++) {
		int at = SD_LISTEN_FDS_START + i;

		if (at >= fd && found < 0 &&
		    (strcmp(names[i], "control") == 0) == control)
			found = at;
	}
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return found;
}

static int listen_report(const char *what, const char *where, int res)
{
	char text[RT_ADDR_TEXT_MAX + 32];

	(void)snprintf(text, sizeof(text), "for=%s on=%s", what, where);
	process_complain("listen-failed", text, res, process_hint(res));
	return res;
}

int daemon_sockets_control(struct control_server *srv, const char *path, bool wait)
{
	int fd = passed_fd(SD_LISTEN_FDS_START, true);
	int res = fd >= 0 ? control_server_listen_fd(srv, fd)
			  : control_server_listen(srv, path);

	if (res == -EADDRINUSE && wait)
		return res;
	return res < 0 ? listen_report("control", fd >= 0 ? "systemd" : path, res) : 0;
}

/* Reached from beyond this host? The rule of the configuration holds for systemd's too. */
static bool is_remote(int fd)
{
	struct sockaddr_storage ss = { 0 };
	const struct sockaddr_in *in = (const struct sockaddr_in *)&ss;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&ss;
	struct rt_addr addr = { 0 };
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return true;
	if (ss.ss_family == AF_INET) {
		addr.kind = RT_ADDR_INET;
		memcpy(addr.ip, &in->sin_addr, 4);
	} else if (ss.ss_family == AF_INET6) {
		addr.kind = RT_ADDR_INET6;
		memcpy(addr.ip, &in6->sin6_addr, 16);
	} else {
		return ss.ss_family != AF_UNIX;
	}
	return !config_addr_is_loopback(&addr);
}

static int nbd_passed(struct nbds_server *srv, const struct config_nbd *config, int fd)
{
	int res;

	for (; fd >= 0; fd = passed_fd(fd + 1, false)) {
		if (is_remote(fd) && !config->allow_plaintext) {
			rt_log(RT_LOG_ERROR,
			       "listen-refused for=nbd on=systemd error=\"plaintext "
			       "beyond "
			       "loopback; allowed with nbd.allow_plaintext = true\"");
			return -EPERM;
		}
		res = nbds_server_listen_fd(srv, fd);
		if (res < 0)
			return listen_report("nbd", "systemd", res);
		rt_log(RT_LOG_INFO, "listening for=nbd on=systemd fd=%d", fd);
	}
	return 0;
}

int daemon_sockets_nbd(struct nbds_server *srv, const struct config_nbd *config,
		       unsigned *next, bool wait)
{
	int fd = passed_fd(SD_LISTEN_FDS_START, false);

	if (fd >= 0)
		return nbd_passed(srv, config, fd);
	for (; *next < config->nlisten; ++*next) {
		char text[RT_ADDR_TEXT_MAX];
		struct rt_addr addr = config->listen[*next];
		int res = nbds_server_listen(srv, &addr);

		if (res == -EADDRINUSE && wait)
			return res;
		if (res < 0)
			return listen_report("nbd", rt_addr_format(&addr, text), res);
		if (nbds_server_addr(srv, *next, &addr) < 0)
			addr = config->listen[*next];
		rt_log(RT_LOG_INFO, "listening for=nbd on=%s",
		       rt_addr_format(&addr, text));
	}
	return 0;
}
