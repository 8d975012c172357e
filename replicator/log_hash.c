// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/log_hash.h"

#include <errno.h>

#include "replicator/group_log_reader.h"
#include "replicator/group_private.h"

void log_hash_end(struct log_hash *h)
{
	group_log_reader_free(h->reader);
	*h = (struct log_hash){ .stage = LOG_HASH_IDLE };
}

static void log_hash_read(void *owner, int res, const struct lfs_entry *entry)
{
	struct log_hash *h = owner;

	h->err = res;
	h->stage = res == 0 ? LOG_HASH_FOUND : LOG_HASH_FAILED;
	if (res == 0)
		h->hash = entry->hash_before;
}

/* The hash after an LSN stands in the record of the next LSN, as the hash before it. */
static int log_hash_begin(struct group *g, struct log_hash *h, uint64_t lsn)
{
	int err;

	if (lfs_lsn(g->lfs).written <= lsn)
		return -EAGAIN; /* it is in memory; its write wakes the group */
	err = group_log_reader_new(g, lsn + 1, log_hash_read, h, &h->reader);
	if (err < 0)
		return err;
	h->lsn = lsn;
	h->stage = LOG_HASH_READING;
	group_log_reader_next(h->reader);
	return -EAGAIN;
}

int log_hash_after(struct group *g, struct log_hash *h, uint64_t lsn, uint64_t *ret)
{
	struct lfs_position end;

	lfs_position(g->lfs, &end);
	if (lsn == end.lsn) {
		*ret = end.hash;
		return 0;
	}
	if (h->stage != LOG_HASH_IDLE && h->lsn != lsn)
		log_hash_end(h);
	switch (h->stage) {
	case LOG_HASH_IDLE:
		return log_hash_begin(g, h, lsn);
	case LOG_HASH_READING:
		return -EAGAIN;
	case LOG_HASH_FAILED:
		return h->err == -ENODATA ? -EIO : h->err;
	case LOG_HASH_FOUND:
		*ret = h->hash;
		return 0;
	}
	return -EIO;
}
