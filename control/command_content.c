// SPDX-License-Identifier: BSD-3-Clause
#include <blkid/blkid.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "control/command.h"

/* What somebody may miss: file systems, swap, RAID and encryption, partition tables. */

static int content_value(blkid_probe probe, const char *name, const char *kind,
			 char *what)
{
	const char *value;

	if (blkid_probe_lookup_value(probe, name, &value, NULL) < 0)
		return 0;
	(void)snprintf(what, COMMAND_FOUND_MAX, "%s (%.60s)", kind, value);
	return 1;
}

int command_find_content(const char *path, char *what)
{
	blkid_probe probe;
	int res = 0;

	if (access(path, F_OK) < 0)
		return errno == ENOENT ? 0 : -errno;
	errno = 0;
	probe = blkid_new_probe_from_filename(path);
	if (!probe)
		return errno ? -errno : -EIO;
	if (blkid_probe_enable_superblocks(probe, 1) < 0 ||
	    blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE) < 0 ||
	    blkid_probe_enable_partitions(probe, 1) < 0)
		res = -ENOMEM;
	errno = 0;
	/* 0: found; 1: nothing; -2: several that contradict each other; else it failed. */
	switch (res < 0 ? 1 : blkid_do_safeprobe(probe)) {
	case 0:
		res = content_value(probe, "TYPE", "a file system or the like", what);
		if (res == 0)
			res = content_value(probe, "PTTYPE", "a partition table", what);
		break;
	case -2:
		(void)snprintf(what, COMMAND_FOUND_MAX,
			       "several contents that contradict each other");
		res = 1;
		break;
	case 1:
		break;
	default:
		res = errno ? -errno : -EIO;
		break;
	}
	blkid_free_probe(probe);
	return res;
}
