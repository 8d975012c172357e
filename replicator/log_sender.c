// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/log_sender.h"

#include <errno.h>
#include <string.h>

#include "replicator/group_log_reader.h"
#include "replicator/group_private.h"
#include "replicator/record.h"
#include "replicator/transport.h"
#include "replicator/write.h"
#include "rt/bug.h"
#include "rt/mem.h"

/* Records in one turn of the loop; the rest has its own turn. */
#define LOG_SENDER_PER_TURN 128
#define LOG_SENDER_FRAMES_MIN 1024

/*
 * lsns[f % size] is the LSN that frame f ends, for base < f <= submitted; base_lsn that of
 * frame `base`. base follows what the mirror has received.
 */
struct log_sender {
	struct group *group;	     /* borrowed */
	struct transport *transport; /* borrowed */
	uint64_t next;
	uint64_t *lsns; /* owned */
	uint64_t size;	/* a power of two */
	uint64_t base, base_lsn;
	struct group_log_reader *reader; /* owned; NULL while all comes from memory */
	const struct lfs_entry *entry;
	bool reading;
	int err;
	uint8_t *head; /* owned */
	size_t head_size;
};

int log_sender_new(struct group *g, struct transport *t, uint64_t from,
		   struct log_sender **ret)
{
	struct log_sender *s = rt_zalloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->group = g;
	s->transport = t;
	s->next = from;
	s->base_lsn = from - 1;
	s->size = LOG_SENDER_FRAMES_MIN;
	s->lsns = rt_zalloc(s->size, sizeof(*s->lsns));
	s->head_size = RECORD_HEAD_MAX(lfs_data_max(g->config.max_request) / LFS_BLOCK);
	s->head = rt_alloc(s->head_size);
	if (!s->lsns || !s->head) {
		log_sender_free(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

void log_sender_free(struct log_sender *s)
{
	if (!s)
		return;
	group_log_reader_free(s->reader);
	rt_free(s->lsns);
	rt_free(s->head);
	rt_free(s);
}

uint64_t log_sender_next(const struct log_sender *s)
{
	return s->next;
}

/* ---- which frame ends which LSN ---------------------------------------------------------- */

static uint64_t log_sender_lsn_of(const struct log_sender *s, uint64_t frame)
{
	return frame <= s->base ? s->base_lsn : s->lsns[frame & (s->size - 1)];
}

static int log_sender_grow(struct log_sender *s)
{
	uint64_t *bigger = rt_zalloc(s->size * 2, sizeof(*bigger));
	uint64_t last = transport_submitted(s->transport);

	if (!bigger)
		return -ENOMEM;
	for (uint64_t f = s->base + 1; f <= last; f++)
		bigger[f & (s->size * 2 - 1)] = s->lsns[f & (s->size - 1)];
	rt_free(s->lsns);
	s->lsns = bigger;
	s->size *= 2;
	return 0;
}

void log_sender_marks(struct log_sender *s, struct log_sender_marks *ret)
{
	uint64_t received = transport_received(s->transport);
	uint64_t onwire = transport_onwire(s->transport, rt_now(s->group->loop));

	ret->received = log_sender_lsn_of(s, received);
	ret->onwire = log_sender_lsn_of(s, onwire);
	s->base_lsn = ret->received;
	s->base = received;
}

/* ---- sending -------------------------------------------------------------------------------- */

/* False when the transport has no room (or no memory) now. */
static bool log_sender_submit(struct log_sender *s, const struct record *rec)
{
	struct iovec iov[1 + LFS_OPS_MAX];
	size_t len = record_encode_head(rec, s->head, s->head_size);
	unsigned n = record_gather(rec, s->head, len, iov);
	rt_time now = rt_now(s->group->loop);

	if (transport_submitted(s->transport) - s->base >= s->size - 1 &&
	    log_sender_grow(s) < 0)
		return false;
	if (transport_submitv(s->transport, iov, n, now) < 0)
		return false;
	s->lsns[transport_submitted(s->transport) & (s->size - 1)] = rec->lsn;
	s->next++;
	return true;
}

static void log_sender_read(void *owner, int res, const struct lfs_entry *entry)
{
	struct log_sender *s = owner;

	s->reading = false;
	if (res == 0)
		s->entry = entry;
	else if (res != -ENODATA)
		s->err = res;
}

static void log_sender_drop_reader(struct log_sender *s)
{
	group_log_reader_free(s->reader);
	s->reader = NULL;
	s->entry = NULL;
}

/* The next LSN from the log: 1 submitted, 0 not now, or -errno. */
static int log_sender_from_log(struct log_sender *s)
{
	struct record rec;
	int err;

	if (s->reading || s->err < 0)
		return s->err;
	if (s->entry && s->entry->lsn != s->next)
		log_sender_drop_reader(s); /* memory was faster */
	if (!s->reader) {
		err = group_log_reader_new(s->group, s->next, log_sender_read, s,
					   &s->reader);
		if (err < 0)
			return err;
	}
	if (!s->entry) {
		s->reading = true;
		group_log_reader_next(s->reader);
		return 0;
	}
	backlog_found(s->group, s->entry);
	rec = record_of_entry(s->entry);
	if (RT_BUG(AGE_OF_SHIPPING))
		rec.wall_ns = rt_wall_ns(s->group->loop);
	if (!log_sender_submit(s, &rec))
		return 0;
	s->entry = NULL;
	return 1;
}

/* From memory as long as it goes. Returns how many. */
static unsigned log_sender_from_memory(struct log_sender *s, unsigned most)
{
	struct write *w = write_find(s->group, s->next);
	unsigned sent = 0;

	while (w && sent < most && w->append.lsn == s->next) {
		struct record rec;

		write_record(w, &rec);
		if (!log_sender_submit(s, &rec))
			break;
		sent++;
		w = write_after(s->group, w);
	}
	if (sent && s->reader && !s->reading)
		log_sender_drop_reader(s); /* it stands behind us now */
	return sent;
}

int log_sender_pump(struct log_sender *s)
{
	struct lfs_lsn lsn = lfs_lsn(s->group->lfs);
	unsigned left = LOG_SENDER_PER_TURN;

	while (left > 0 && s->next <= lsn.admitted) {
		unsigned sent = log_sender_from_memory(s, left);

		left -= sent;
		if (sent)
			continue;
		if (s->next > lsn.written || write_find(s->group, s->next))
			return s->err; /* not in the log yet, or no room in the transport */
		switch (log_sender_from_log(s)) {
		case 1:
			left--;
			break;
		case 0:
			return 0;
		default:
			return s->err < 0 ? s->err : -EIO;
		}
	}
	if (left == 0)
		group_wake(s->group);
	return s->err;
}
