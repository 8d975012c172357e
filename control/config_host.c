// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/config.h"
#include "control/config_units.h"
#include "replicator/group.h"

#define CONGESTIONS "/proc/sys/net/ipv4/tcp_available_congestion_control"

/* The names that the kernel has loaded, for people. */
static void host_congestions(char *text, size_t size)
{
	FILE *f = fopen(CONGESTIONS, "re");

	if (!f || !fgets(text, (int)size, f))
		(void)snprintf(text, size, "those of " CONGESTIONS);
	text[strcspn(text, "\n")] = 0;
	if (f)
		(void)fclose(f); /* it was only read */
}

static void host_check_congestion(const struct group_peer_config *peer,
				  struct config_errors *errors)
{
	char text[256];
	int fd, res;

	if (!peer->tcp || !peer->congestion[0])
		return;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return; /* the daemon will say it */
	res = setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, peer->congestion,
			 (socklen_t)strlen(peer->congestion));
	(void)close(fd);
	if (res == 0)
		return;
	host_congestions(text, sizeof(text));
	config_error(errors, 0, "groups[0].peer.congestion",
		     "\"%s\" is not offered by this kernel; allowed: %s",
		     peer->congestion, text);
}

static void host_check_size(const struct group_config *g, struct config_errors *errors)
{
	uint64_t least = group_store_size_min(g);
	char size[CONFIG_QUANTITY_TEXT], min[CONFIG_QUANTITY_TEXT];

	if (g->store_size && g->store_size < least)
		config_error(errors, 0, "groups[0].store_size",
			     "%s is too small for these volumes; allowed: %s and more",
			     config_quantity_format(g->store_size, config_size_units,
						    size),
			     config_quantity_format(least, config_size_units, min));
}

int config_check_host(const char *path, const struct config *config,
		      struct config_errors *errors)
{
	memset(errors, 0, sizeof(*errors));
	(void)snprintf(errors->file, sizeof(errors->file), "%s", path);
	if (config->group.has_peer)
		host_check_congestion(&config->group.peer, errors);
	host_check_size(&config->group, errors);
	return errors->n > 0 ? -EINVAL : 0;
}
