// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
/* It needs struct timespec, and does not say so. */
#include <linux/errqueue.h>

#include "rt/mem.h"
#include "rt/uring_dgram.h"

/*
 * The error queue of a socket: TX timestamps, and ICMP errors. One operation waits in the
 * ring until there is something; then all that is there is fetched at once, by one call that
 * does not wait. So two timestamps that are there together are reported in one turn, and late
 * ones do not pile up: a queue that overflows is evidence lost.
 */

/* The kernel has written into what it was lent before: all of it anew. */
static void error_lend(struct dgram_error *error, unsigned i)
{
	uint8_t *data = error->data ? error->data + (size_t)i * DGRAM_ERROR_DATA : NULL;

	error->iov[i] = (struct iovec){ data, data ? DGRAM_ERROR_DATA : 0 };
	error->msgs[i].msg_hdr =
		(struct msghdr){ .msg_control = error->control[i],
				 .msg_controllen = sizeof(error->control[i]),
				 .msg_iov = &error->iov[i],
				 .msg_iovlen = 1 };
}

int uring_dgram_error_init(struct rt_dgram *dgram)
{
	if (!uring_dgram_ts_id(dgram->loop)) {
		dgram->pending = rt_zalloc(DGRAM_PENDING, sizeof(*dgram->pending));
		dgram->error.data = rt_alloc((size_t)DGRAM_ERRORS * DGRAM_ERROR_DATA);
		if (!dgram->pending || !dgram->error.data)
			return -ENOMEM;
	}
	for (unsigned i = 0; i < DGRAM_ERRORS; i++)
		error_lend(&dgram->error, i);
	return 0;
}

void uring_dgram_error_release(struct rt_dgram *dgram)
{
	rt_free(dgram->pending);
	rt_free(dgram->error.data);
}

void uring_dgram_error_start(struct rt_dgram *dgram)
{
	dgram->error.flying = true;
	dgram->flying++;
	uring_start(dgram->loop, &dgram->error.op, URING_DGRAM_ERROR, dgram);
}

void uring_dgram_error_cancel(struct rt_dgram *dgram)
{
	if (dgram->error.flying)
		rt_cancel(dgram->loop, &dgram->error.op);
}

static void error_prep(struct rt_op *op, struct io_uring_sqe *sqe)
{
	struct rt_dgram *dgram = op->impl[2];

	/* Over at once if there is something already: nothing can be missed in between. */
	io_uring_prep_poll_add(sqe, dgram->fd, POLLERR);
}

/* ---- which datagram a TX timestamp belongs to, without identifiers ------------------ */

void uring_dgram_expect(struct rt_dgram *dgram, const struct uring_msg *msg)
{
	uint32_t end = dgram->pending_end++;
	struct dgram_pending *pending = &dgram->pending[end % DGRAM_PENDING];
	size_t len = msg->iov.iov_len;

	/* Too many: the oldest get no evidence, which is safe. */
	if (dgram->pending_end - dgram->pending_first > DGRAM_PENDING)
		dgram->pending_first++;
	*pending = (struct dgram_pending){ .timestamp = msg->timestamp,
					   .len = (uint32_t)len,
					   .first = msg->segment ? msg->segment
								 : (uint32_t)len };
	memcpy(pending->head, msg->iov.iov_base, len < DGRAM_HEAD ? len : DGRAM_HEAD);
}

static void pending_clear(struct rt_dgram *dgram, struct dgram_pending *pending)
{
	pending->timestamp = 0;
	while (dgram->pending_first != dgram->pending_end &&
	       !dgram->pending[dgram->pending_first % DGRAM_PENDING].timestamp)
		dgram->pending_first++;
}

void uring_dgram_unexpect(struct rt_dgram *dgram, uint32_t timestamp)
{
	for (uint32_t i = dgram->pending_first; i != dgram->pending_end; i++) {
		struct dgram_pending *pending = &dgram->pending[i % DGRAM_PENDING];

		if (pending->timestamp == timestamp) {
			pending_clear(dgram, pending);
			return;
		}
	}
}

/* Whether `data` is headers and then `want` bytes that begin as they should. */
static bool pending_ends(const struct dgram_pending *pending, const uint8_t *data,
			 size_t len, size_t want)
{
	size_t head = want < DGRAM_HEAD ? want : DGRAM_HEAD;

	return len >= want && len <= want + DGRAM_HEADERS_MAX &&
	       memcmp(data + len - want, pending->head, head) == 0;
}

/* Whether the packet `data`, with headers in front, is the datagram waited for. */
static bool pending_match(const struct dgram_pending *pending, const uint8_t *data,
			  size_t len, bool cut)
{
	size_t head = pending->len < DGRAM_HEAD ? pending->len : DGRAM_HEAD;
	size_t look = len < DGRAM_HEADERS_MAX + head ? len : DGRAM_HEADERS_MAX + head;

	if (!pending->timestamp)
		return false;
	if (cut)
		return len < pending->len + DGRAM_HEADERS_MAX &&
		       memmem(data, look, pending->head, head) != NULL;
	/* A message comes back whole, or its first datagram does: who cut it decides. */
	return pending_ends(pending, data, len, pending->len) ||
	       pending_ends(pending, data, len, pending->first);
}

static uint32_t pending_take(struct rt_dgram *dgram, const uint8_t *data, size_t len,
			     bool cut)
{
	uint32_t i;

	for (i = dgram->pending_first; i != dgram->pending_end; i++) {
		struct dgram_pending *pending = &dgram->pending[i % DGRAM_PENDING];
		uint32_t timestamp = pending->timestamp;

		if (pending_match(pending, data, len, cut)) {
			pending_clear(dgram, pending);
			return timestamp;
		}
	}
	return 0;
}

/* ---- what an entry says ---------------------------------------------------------- */

struct entry {
	bool timestamped; /* there is a software TX timestamp */
	bool transmit;	  /* that says that the driver has it */
	bool icmp;	  /* or it is an error of the network, */
	bool too_long;	  /* and this one */
	uint32_t id;
};

static void entry_error(struct entry *entry, const struct cmsghdr *c)
{
	struct sock_extended_err err;

	if (c->cmsg_len < CMSG_LEN(sizeof(err)))
		return;
	memcpy(&err, CMSG_DATA(c), sizeof(err));
	if (err.ee_origin != SO_EE_ORIGIN_TIMESTAMPING) {
		entry->icmp = err.ee_origin == SO_EE_ORIGIN_ICMP ||
			      err.ee_origin == SO_EE_ORIGIN_ICMP6;
		entry->too_long = entry->icmp && err.ee_errno == EMSGSIZE;
		return;
	}
	entry->transmit = err.ee_errno == ENOMSG && err.ee_info == SCM_TSTAMP_SND;
	entry->id = err.ee_data;
}

/* The kernel puts the driver's TX timestamp first, and the card's own last. */
#define ENTRY_DRIVER 0
#define ENTRY_CARD 2

static void entry_read(struct entry *entry, struct msghdr *hdr, bool card)
{
	unsigned which = card ? ENTRY_CARD : ENTRY_DRIVER;
	struct cmsghdr *c;
	struct scm_timestamping ts;

	for (c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
		    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
			entry_error(entry, c);
		} else if (c->cmsg_level == SOL_SOCKET &&
			   c->cmsg_type == SCM_TIMESTAMPING &&
			   c->cmsg_len >= CMSG_LEN(sizeof(ts))) {
			memcpy(&ts, CMSG_DATA(c), sizeof(ts));
			entry->timestamped = ts.ts[which].tv_sec || ts.ts[which].tv_nsec;
		}
	}
}

static void error_take(struct rt_dgram *dgram, struct msghdr *hdr, size_t len)
{
	struct entry entry = { 0 };

	entry_read(&entry, hdr, dgram->card);
	if (entry.icmp)
		dgram->icmp_errors++;
	if (entry.too_long && dgram->events->too_long)
		dgram->events->too_long(dgram->owner);
	if (!entry.timestamped || !entry.transmit)
		return;
	if (dgram->pending)
		entry.id = pending_take(dgram, hdr->msg_iov->iov_base, len,
					hdr->msg_flags & MSG_TRUNC);
	if (entry.id)
		dgram->events->left(dgram->owner, entry.id);
}

/* ---- fetching ---------------------------------------------------------------------- */

/* What is behind DGRAM_ERRORS entries waits for the next turn. */
static void errors_fetch(struct rt_dgram *dgram)
{
	struct dgram_error *error = &dgram->error;
	int n = recvmmsg(dgram->fd, error->msgs, DGRAM_ERRORS,
			 MSG_ERRQUEUE | MSG_DONTWAIT, NULL);

	for (int i = 0; i < n; i++) {
		/* A callback may close the socket. */
		if (!dgram->closed)
			error_take(dgram, &error->msgs[i].msg_hdr,
				   error->msgs[i].msg_len);
		error_lend(error, (unsigned)i);
	}
}

static void error_complete(struct rt_loop *loop, struct rt_op *op, int res,
			   unsigned flags)
{
	struct rt_dgram *dgram = op->impl[2];

	dgram->error.flying = false;
	if (res >= 0 && !dgram->closed)
		errors_fetch(dgram);
	uring_finish(loop, op, res);
	if (!dgram->closed)
		uring_dgram_error_start(dgram);
	uring_dgram_unref(dgram);
}

const struct uring_class uring_dgram_error_class = { error_prep, error_complete };
