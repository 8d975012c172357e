// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/oracle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/check.h"
#include "rt/hash.h"
#include "tests/sim/sim_impl.h"

#define WORDS (ORACLE_BLOCK / 8)
#define BRANCH_SHIFT 48

/* What one block was before an operation. */
struct undo {
	unsigned volume;
	uint64_t lba, stamp;
};

struct oracle {
	unsigned nvolumes;
	uint64_t blocks[ORACLE_VOLUMES_MAX];
	uint64_t *stamps[ORACLE_VOLUMES_MAX]; /* of each block, 0: unmapped */
	uint64_t branch, last, now; /* now: D as it becomes with open operations */
	uint64_t *digests;	    /* D(0) .. D(last) */
	uint64_t *begins;	    /* where the undos of LSN n + 1 begin */
	size_t size;		    /* of digests and begins */
	struct undo *undos;
	size_t nundos, undos_size;
};

struct oracle *oracle_new(unsigned nvolumes, const uint64_t *blocks)
{
	struct oracle *o = sim_calloc(1, sizeof(*o));

	rt_assert(nvolumes <= ORACLE_VOLUMES_MAX);
	o->nvolumes = nvolumes;
	for (unsigned i = 0; i < nvolumes; i++) {
		o->blocks[i] = blocks[i];
		o->stamps[i] = sim_calloc(blocks[i], sizeof(uint64_t));
	}
	o->size = 256;
	o->digests = sim_calloc(o->size, sizeof(*o->digests));
	o->begins = sim_calloc(o->size, sizeof(*o->begins));
	return o;
}

void oracle_free(struct oracle *o)
{
	if (o == NULL)
		return;
	for (unsigned i = 0; i < o->nvolumes; i++)
		free(o->stamps[i]);
	free(o->digests);
	free(o->begins);
	free(o->undos);
	free(o);
}

unsigned oracle_volumes(const struct oracle *o)
{
	return o->nvolumes;
}

uint64_t oracle_blocks(const struct oracle *o, unsigned volume)
{
	return o->blocks[volume];
}

uint64_t oracle_stamp(const struct oracle *o)
{
	return o->branch << BRANCH_SHIFT | (o->last + 1);
}

uint64_t oracle_last(const struct oracle *o)
{
	return o->last;
}

/* ---- digests ---------------------------------------------------------------------- */

uint64_t oracle_hash(unsigned volume, uint64_t lba, uint64_t stamp)
{
	uint64_t h = UINT64_C(0x9e3779b97f4a7c15);

	if (stamp == 0)
		return 0;
	h = rt_mix64(h + volume);
	h = rt_mix64(h + lba);
	return rt_mix64(h + stamp);
}

static void oracle_set(struct oracle *o, unsigned volume, uint64_t lba, uint64_t stamp)
{
	uint64_t *p = &o->stamps[volume][lba];

	o->now ^= oracle_hash(volume, lba, *p) ^ oracle_hash(volume, lba, stamp);
	*p = stamp;
}

static void oracle_change(struct oracle *o, unsigned volume, uint64_t lba,
			  uint32_t blocks, uint64_t stamp)
{
	rt_assert(volume < o->nvolumes && lba <= o->blocks[volume] &&
		  blocks <= o->blocks[volume] - lba);
	for (uint64_t at = lba; at < lba + blocks; at++) {
		if (o->nundos == o->undos_size) {
			o->undos_size = o->undos_size ? 2 * o->undos_size : 1024;
			o->undos =
				sim_realloc(o->undos, o->undos_size, sizeof(*o->undos));
		}
		o->undos[o->nundos++] =
			(struct undo){ volume, at, o->stamps[volume][at] };
		oracle_set(o, volume, at, stamp);
	}
}

void oracle_write(struct oracle *o, unsigned volume, uint64_t lba, uint32_t blocks)
{
	oracle_change(o, volume, lba, blocks, oracle_stamp(o));
}

void oracle_unmap(struct oracle *o, unsigned volume, uint64_t lba, uint32_t blocks)
{
	oracle_change(o, volume, lba, blocks, 0);
}

uint64_t oracle_commit(struct oracle *o)
{
	o->last++;
	if (o->last == o->size) {
		o->size *= 2;
		o->digests = sim_realloc(o->digests, o->size, sizeof(*o->digests));
		o->begins = sim_realloc(o->begins, o->size, sizeof(*o->begins));
	}
	o->digests[o->last] = o->now;
	o->begins[o->last] = o->nundos;
	return o->last;
}

/* Undo down to where the undos of LSN `lsn` + 1 begin. */
static void oracle_undo(struct oracle *o, uint64_t lsn)
{
	while (o->nundos > o->begins[lsn]) {
		const struct undo *u = &o->undos[--o->nundos];

		oracle_set(o, u->volume, u->lba, u->stamp);
	}
	o->last = lsn;
}

void oracle_take_back(struct oracle *o, uint64_t lsn)
{
	rt_assert(lsn <= o->last);
	oracle_undo(o, lsn);
	o->branch++;
	rt_assert(o->now == o->digests[lsn]);
}

void oracle_drop(struct oracle *o, uint64_t lsn)
{
	uint64_t last = o->last, first, n;
	size_t *ends;
	struct undo *redo;

	rt_assert(lsn >= 1 && lsn <= last);
	first = o->begins[lsn];
	n = o->nundos - first;
	redo = sim_calloc(n ? n : 1, sizeof(*redo));
	ends = sim_calloc(last - lsn + 1, sizeof(*ends));
	for (uint64_t k = lsn; k < last; k++)
		ends[k - lsn] = (size_t)(o->begins[k + 1] - first);
	for (size_t i = n; i-- > 0;) { /* what each of them has set */
		struct undo *u = &o->undos[first + i];

		redo[i] = *u;
		redo[i].stamp = o->stamps[u->volume][u->lba];
		oracle_set(o, u->volume, u->lba, u->stamp);
	}
	o->nundos = first;
	oracle_undo(o, lsn - 1);
	for (uint64_t k = lsn, i = 0; k < last; k++) {
		for (; i < ends[k - lsn]; i++)
			oracle_change(o, redo[i].volume, redo[i].lba, 1, redo[i].stamp);
		(void)oracle_commit(o);
	}
	o->branch++; /* its stamps have the old numbers: these are not given again */
	free(redo);
	free(ends);
}

uint64_t oracle_digest(const struct oracle *o, uint64_t lsn)
{
	rt_assert(lsn <= o->last);
	return o->digests[lsn];
}

uint64_t oracle_now(const struct oracle *o, unsigned volume, uint64_t lba)
{
	return o->stamps[volume][lba];
}

int oracle_find(const struct oracle *o, uint64_t digest, uint64_t low, uint64_t high,
		uint64_t *ret)
{
	if (high > o->last)
		high = o->last;
	for (uint64_t n = high + 1; n > low; n--) {
		if (o->digests[n - 1] != digest)
			continue;
		*ret = n - 1;
		return 0;
	}
	return -ENOENT;
}

/* ---- contents --------------------------------------------------------------------- */

/* Word 0 is the stamp; the others follow from it and the place. */
static uint64_t block_word(uint64_t key, unsigned i)
{
	return rt_mix64(key + i * UINT64_C(0x9e3779b97f4a7c15));
}

void oracle_fill(uint8_t *data, unsigned volume, uint64_t lba, uint32_t blocks,
		 uint64_t stamp)
{
	for (uint32_t b = 0; b < blocks; b++, data += ORACLE_BLOCK) {
		uint64_t key = oracle_hash(volume, lba + b, stamp);

		memcpy(data, &stamp, 8);
		for (unsigned i = 1; i < WORDS; i++) {
			uint64_t word = block_word(key, i);

			memcpy(data + 8 * i, &word, 8);
		}
	}
}

int oracle_block(uint64_t *digest, unsigned volume, uint64_t lba, const uint8_t *data,
		 uint64_t *stamp)
{
	uint64_t found, key;

	memcpy(&found, data, 8);
	key = oracle_hash(volume, lba, found);
	for (unsigned i = 1; i < WORDS; i++) {
		uint64_t word, want = found != 0 ? block_word(key, i) : 0;

		memcpy(&word, data + 8 * i, 8);
		if (word != want)
			return -EBADMSG;
	}
	*digest ^= key;
	if (stamp != NULL)
		*stamp = found;
	return 0;
}
