/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_EXPOSURE_H
#define REPLICATOR_EXPOSURE_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/time.h"

/*
 * What the mirror would miss if this site vanished now: writes, bytes and age beyond an
 * LSN. Kept as a bounded ring of samples (LSN, bytes before it, time); when it is full every
 * second sample goes and new ones come half as often, so that figures of a long outage are
 * rounded up by a thousandth or so, never down. Bytes are those of the whole history, as the
 * log counts them, so that a sample of before this start is as good as any. Pure.
 */
#define EXPOSURE_SAMPLES 2048

struct exposure_sample {
	uint64_t lsn;	/* the first LSN of the sample */
	uint64_t bytes; /* of data, of all LSNs before it */
	rt_time at;	/* when it was admitted */
};

struct exposure {
	struct exposure_sample ring[EXPOSURE_SAMPLES];
	unsigned head, count; /* oldest first */
	uint64_t stride;      /* LSNs per sample now */
	uint64_t last_lsn, bytes;
};

/* The history holds `bytes` of data up to `lsn`. */
void exposure_init(struct exposure *e, uint64_t lsn, uint64_t bytes);
/* LSN `lsn` (one more than the last) with `bytes` of data was admitted. */
void exposure_add(struct exposure *e, uint64_t lsn, uint64_t bytes, rt_time now);
/*
 * LSN `lsn`, which the log holds, was admitted `at`, and `bytes` of data come before it. As
 * many are kept of these as keep the ring from being thinned out.
 */
void exposure_found(struct exposure *e, uint64_t lsn, uint64_t bytes, rt_time at);
/* Everything up to `lsn` is safe: forget it. */
void exposure_safe(struct exposure *e, uint64_t lsn);

struct exposure_figures {
	uint64_t writes, bytes;
	int64_t age_ns; /* of the oldest; 0 when there is none */
};
/* Whether all that is beyond `lsn` is known: since when, and how much. */
bool exposure_knows(const struct exposure *e, uint64_t lsn);
/*
 * What is beyond `lsn`. False where that is not known: then bytes and age are those of the
 * rest only, and not to be shown.
 */
bool exposure_beyond(const struct exposure *e, uint64_t lsn, rt_time now,
		     struct exposure_figures *ret);
/*
 * Bytes of data before `lsn`, at most one more than the last; rounded down where samples
 * stand for several LSNs. False where that is not known.
 */
bool exposure_bytes_before(const struct exposure *e, uint64_t lsn, uint64_t *ret);
/*
 * The highest LSN that may complete so that what lies beyond `safe` stays within `writes`,
 * `bytes`, `age_ns` (0: no bound of that kind): none, where bytes or age are bounded and not
 * known.
 */
uint64_t exposure_allows(const struct exposure *e, uint64_t safe, rt_time now,
			 const struct exposure_figures *bound);

/* What decides whether a disaster now would cost a completed write. */
struct exposure_risk {
	uint64_t completed; /* highest LSN of a completed write */
	uint64_t onwire, received;
	bool proven;	/* the path is proven now, and carries what it is sent */
	double modeled; /* what the repairs that left leave to chance; < 0: not known */
};
/*
 * The probability that it costs one: 0 when the mirror has received all of them, 1 when one
 * is not on the wire or the path that carries it is not proven, else `modeled`.
 */
double exposure_probability(const struct exposure_risk *risk);

#endif
