// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/exposure.h"

static const struct exposure_sample *exposure_at(const struct exposure *e, unsigned i)
{
	return &e->ring[(e->head + i) % EXPOSURE_SAMPLES];
}

void exposure_init(struct exposure *e, uint64_t lsn, uint64_t bytes)
{
	e->head = e->count = 0;
	e->stride = 1;
	e->last_lsn = lsn;
	e->bytes = bytes;
}

/* Half the resolution: each sample keeps the earlier time and the smaller byte count. */
static void exposure_thin_out(struct exposure *e)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < e->count; i += 2)
		e->ring[(e->head + kept++) % EXPOSURE_SAMPLES] = *exposure_at(e, i);
	e->count = kept;
	e->stride *= 2;
}

void exposure_add(struct exposure *e, uint64_t lsn, uint64_t bytes, rt_time now)
{
	if (e->count == EXPOSURE_SAMPLES)
		exposure_thin_out(e);
	if (e->count == 0 || lsn - exposure_at(e, e->count - 1)->lsn >= e->stride)
		e->ring[(e->head + e->count++) % EXPOSURE_SAMPLES] =
			(struct exposure_sample){ lsn, e->bytes, now };
	e->bytes += bytes;
	e->last_lsn = lsn;
}

void exposure_safe(struct exposure *e, uint64_t lsn)
{
	/* The sample that covers lsn + 1 is the last one at or before it. */
	while (e->count > 1 && exposure_at(e, 1)->lsn <= lsn + 1) {
		e->head = (e->head + 1) % EXPOSURE_SAMPLES;
		e->count--;
	}
	if (lsn >= e->last_lsn)
		e->count = 0;
	if (e->stride > 1 && e->count < EXPOSURE_SAMPLES / 8)
		e->stride /= 2;
}

/* The sample that covers `lsn`: the last one that begins at or before it. */
static unsigned exposure_covering(const struct exposure *e, uint64_t lsn)
{
	unsigned low = 0, high = e->count;

	while (high - low > 1) {
		unsigned mid = low + (high - low) / 2;

		if (exposure_at(e, mid)->lsn <= lsn)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* Whether a sample stands for `lsn`: it was added, and its sample is kept. */
static bool exposure_covers(const struct exposure *e, uint64_t lsn)
{
	return e->count > 0 && lsn <= e->last_lsn && exposure_at(e, 0)->lsn <= lsn;
}

bool exposure_knows(const struct exposure *e, uint64_t lsn)
{
	return lsn >= e->last_lsn || exposure_covers(e, lsn + 1);
}

/* Of what is found in the log, this many LSNs are one sample. */
static uint64_t exposure_found_stride(const struct exposure *e)
{
	return (e->last_lsn - exposure_at(e, 0)->lsn) / (EXPOSURE_SAMPLES / 4) + 1;
}

/* Make room for a sample before the i-th one. */
static struct exposure_sample *exposure_insert(struct exposure *e, unsigned i)
{
	e->head = (e->head + EXPOSURE_SAMPLES - 1) % EXPOSURE_SAMPLES;
	e->count++;
	for (unsigned k = 0; k < i; k++)
		e->ring[(e->head + k) % EXPOSURE_SAMPLES] = *exposure_at(e, k + 1);
	return &e->ring[(e->head + i) % EXPOSURE_SAMPLES];
}

void exposure_found(struct exposure *e, uint64_t lsn, uint64_t bytes, rt_time at)
{
	unsigned i = 0;

	if (lsn > e->last_lsn)
		return;
	if (exposure_covers(e, lsn)) {
		i = exposure_covering(e, lsn) + 1;
		if (lsn - exposure_at(e, i - 1)->lsn < exposure_found_stride(e))
			return;
		if (rt_time_before(at, exposure_at(e, i - 1)->at))
			at = exposure_at(e, i - 1)->at; /* the wall clock was set back */
	}
	if (i < e->count && rt_time_before(exposure_at(e, i)->at, at))
		at = exposure_at(e, i)->at;
	if (e->count == EXPOSURE_SAMPLES) {
		exposure_thin_out(e);
		i = exposure_covers(e, lsn) ? exposure_covering(e, lsn) + 1 : 0;
	}
	*exposure_insert(e, i) = (struct exposure_sample){ lsn, bytes, at };
}

bool exposure_bytes_before(const struct exposure *e, uint64_t lsn, uint64_t *ret)
{
	if (lsn == e->last_lsn + 1) {
		*ret = e->bytes;
		return true;
	}
	if (!exposure_covers(e, lsn))
		return false;
	*ret = exposure_at(e, exposure_covering(e, lsn))->bytes;
	return true;
}

bool exposure_beyond(const struct exposure *e, uint64_t lsn, rt_time now,
		     struct exposure_figures *ret)
{
	const struct exposure_sample *oldest;

	*ret = (struct exposure_figures){ 0 };
	if (lsn >= e->last_lsn)
		return true;
	ret->writes = e->last_lsn - lsn;
	if (e->count == 0)
		return false;
	oldest = exposure_at(e, exposure_covering(e, lsn + 1));
	ret->bytes = e->bytes - oldest->bytes;
	ret->age_ns = rt_time_since(now, oldest->at);
	return exposure_covers(e, lsn + 1);
}

uint64_t exposure_allows(const struct exposure *e, uint64_t safe, rt_time now,
			 const struct exposure_figures *bound)
{
	uint64_t lsn = UINT64_MAX;
	unsigned first;

	if (bound->writes)
		lsn = safe + bound->writes;
	if (safe >= e->last_lsn)
		return lsn;
	if (!exposure_knows(e, safe))
		return bound->bytes || bound->age_ns ? safe : lsn;
	first = exposure_covering(e, safe + 1);
	if (bound->age_ns &&
	    rt_time_since(now, exposure_at(e, first)->at) > bound->age_ns)
		return safe;
	if (!bound->bytes)
		return lsn;
	for (unsigned i = first + 1; i < e->count; i++) {
		if (exposure_at(e, i)->bytes - exposure_at(e, first)->bytes >
		    bound->bytes) {
			uint64_t last = exposure_at(e, i - 1)->lsn > safe
						? exposure_at(e, i - 1)->lsn - 1
						: safe;
			return last < lsn ? last : lsn;
		}
	}
	if (e->bytes - exposure_at(e, first)->bytes > bound->bytes) {
		uint64_t last = exposure_at(e, e->count - 1)->lsn;

		last = last > safe ? last - 1 : safe;
		return last < lsn ? last : lsn;
	}
	return lsn;
}

double exposure_probability(const struct exposure_risk *risk)
{
	if (risk->completed <= risk->received)
		return 0;
	if (risk->completed > risk->onwire || !risk->proven)
		return 1;
	return risk->modeled;
}
