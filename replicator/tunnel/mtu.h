/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_TUNNEL_MTU_H
#define REPLICATOR_TUNNEL_MTU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt/time.h"

/*
 * Which datagrams the path carries, found out by the datagrams themselves (packetization
 * layer path MTU discovery, after RFC 8899). Sizes are those of datagrams, `size` the one
 * of data and repairs.
 *
 * A round sends probes, padded to ascending sizes, and then a small one, the follower.
 * When the follower is acknowledged, the largest probe that arrived is known, too: they carry
 * serials, and the other side returns the highest it has seen. A round whose follower is
 * lost says nothing and is repeated. The first round of a search has one probe, of the size
 * that is wanted; only if that does not come the rest of the ladder is tried. A size is
 * given up after MTU_ROUNDS rounds that it failed while followers passed, so that loss is
 * not taken for a short path.
 *
 * A search begins with the tunnel; when MTU_SUSPECT datagrams of full size in a row have not
 * come while something sent after them has, or nothing is answered any more for
 * mtu_silence_ns(); when the kernel refuses one as too long; and,
 * where the tunnel sends less than it might, every MTU_RAISE_NS for `max`.
 *
 * MTU_DOUBT of them are enough for the path not to be proven until one arrives. So that
 * this holds for an idle tunnel, too, half of the probes that keep its path proven are
 * padded to `size`. The others, and some small ones under load, are what tells on the full
 * ones before them.
 */
#define MTU_ROUNDS 3
#define MTU_DOUBT 2
#define MTU_SUSPECT 6
#define MTU_RAISE_NS (600 * RT_S)
#define MTU_RETRY_NS (5 * RT_S) /* between searches on a path that is too short */
#define MTU_SMALL 640		/* the shortest that is tried, in bytes of symbol */
#define MTU_LADDER 10

struct mtu {
	size_t overhead; /* of a datagram, over its symbol */
	size_t follower_len;
	size_t size, max;
	size_t path;   /* the largest known to come through; 0: nothing known */
	bool is_short; /* `size` does not come through */
	bool doubted;  /* MTU_DOUBT of them have not, and none has since */
	bool searching;
	size_t want;	 /* of this search */
	unsigned rounds; /* of this search that `want` has failed */
	size_t best;	 /* that arrived in these */
	/* The round. */
	uint16_t serial;	    /* of the newest probe; 0: there was none */
	uint16_t sizes[MTU_LADDER]; /* of the round's probes; the last has `serial` */
	unsigned probes, sent;	    /* in sizes, and of these sent */
	unsigned pads;		    /* the newest serials that are pads; sent is 0 then */
	uint64_t follower;	    /* its packet number; 0: not sent yet */
	bool answered;		    /* it is acknowledged */
	unsigned unanswered;	    /* rounds in a row whose follower was lost */
	uint16_t echo;		    /* highest serial returned */
	int64_t rtt_ns;
	rt_time next_at; /* the next thing to do; RT_NEVER */
	/* What data and repairs tell. */
	uint64_t
		full_received; /* of those sent, up to the newest known to have arrived */
	uint64_t
		asked; /* one behind so many of full size must have come: the path may have
			 * shrunk while nobody asked */
	uint64_t marks; /* what only grows in acknowledgements when they come */
};

struct mtu_params {
	size_t overhead;     /* of a data datagram: all but its symbol */
	size_t follower_len; /* of an empty probe */
	size_t symbol, symbol_max;
};
void mtu_init(struct mtu *m, const struct mtu_params *params, rt_time now);

/* When to call mtu_next(), or RT_NEVER. */
static inline rt_time mtu_deadline(const struct mtu *m)
{
	return m->next_at;
}
/* `full` datagrams of full size have been sent so far: silence behind them is suspect. */
static inline bool mtu_waits(const struct mtu *m, uint64_t full)
{
	return !m->searching && !m->is_short && full >= m->full_received + MTU_SUSPECT;
}
int64_t mtu_silence_ns(const struct mtu *m);
/*
 * It is mtu_deadline(), or it has been silent for too long: the length of the probe that is
 * to be sent now, as packet number `number`, with *serial (0: the follower, which is empty);
 * or 0, and the deadline is later.
 */
size_t mtu_next(struct mtu *m, uint64_t number, rt_time now, uint16_t *serial);

/* No search is on, and none is needed: probes may be padded. */
static inline bool mtu_may_pad(const struct mtu *m)
{
	return !m->searching && !m->is_short;
}
/* A probe padded to `size` is sent now: its serial. */
uint16_t mtu_pad(struct mtu *m);

/* What an acknowledgement says. */
struct mtu_news {
	uint64_t largest;  /* packet number */
	uint64_t full;	   /* datagrams of full size sent up to that one */
	bool full_largest; /* `largest` is one of these */
	uint64_t marks;	   /* a sum that has grown if others of them arrived */
	uint16_t echo;	   /* highest serial that arrived; 0: none */
	int64_t rtt_ns;	   /* < 0: unknown */
};
void mtu_acknowledged(struct mtu *m, const struct mtu_news *news, rt_time now);
/* The kernel has refused a datagram as too long. */
void mtu_refused(struct mtu *m, rt_time now);

/* Nothing of full size has come since that was in doubt, or since somebody asked. */
static inline bool mtu_unknown(const struct mtu *m)
{
	return m->doubted || m->full_received <= m->asked;
}

/* Nothing shows that the path carries `size`, or something that it does not any more. */
static inline bool mtu_doubtful(const struct mtu *m)
{
	return m->path < m->size || m->is_short || mtu_unknown(m) ||
	       (m->searching && m->want == m->size && m->rounds > 0);
}
/* Symbols in datagrams of at most `path` bytes; 0: none of ours is so short. */
size_t mtu_symbol(size_t path, size_t overhead, size_t symbol_max);

#endif
