// SPDX-License-Identifier: BSD-3-Clause
#include "tests/disaster/stamp.h"

#include "rt/hash.h"

#include <errno.h>
#include <string.h>

#define MAGIC UINT64_C(0x35d1a2f7c86be049)

enum { WORDS = STAMP_BLOCK / sizeof(uint64_t) };
enum { AT_MAGIC, AT_VOLUME, AT_LBA, AT_NUMBER, AT_BELOW, AT_FILL, AT_CHECK = WORDS - 1 };

uint64_t stamp_volume(const char *name)
{
	uint64_t hash = MAGIC;

	while (*name != '\0')
		hash = rt_mix64(hash + (unsigned char)*name++);
	return hash;
}

uint64_t stamp_lba(uint64_t number, uint64_t blocks)
{
	uint64_t round = (number - 1) / blocks;

	/* An odd factor permutes the numbers below a power of two. */
	return ((number - 1) * 2654435761u + rt_mix64(round + 1)) & (blocks - 1);
}

/* A digest of the words before the check, each at its place. */
static uint64_t check_of(const uint64_t *words)
{
	uint64_t sum = MAGIC;

	for (unsigned int i = 0; i < AT_CHECK; i++)
		sum = rt_mix64(sum ^ words[i]) + i;
	return sum;
}

void stamp_encode(const struct stamp *stamp, uint8_t *block)
{
	uint64_t words[WORDS];
	uint64_t fill = rt_mix64(stamp->volume ^ rt_mix64(stamp->number));

	words[AT_MAGIC] = MAGIC;
	words[AT_VOLUME] = stamp->volume;
	words[AT_LBA] = stamp->lba;
	words[AT_NUMBER] = stamp->number;
	words[AT_BELOW] = stamp->below;
	for (unsigned int i = AT_FILL; i < AT_CHECK; i++)
		words[i] = fill += MAGIC;
	words[AT_CHECK] = check_of(words);
	memcpy(block, words, sizeof(words));
}

int stamp_decode(const uint8_t *block, struct stamp *ret)
{
	uint64_t words[WORDS];
	uint64_t any = 0;

	memcpy(words, block, sizeof(words));
	for (unsigned int i = 0; i < WORDS; i++)
		any |= words[i];
	if (any == 0)
		return -ENOENT;
	if (words[AT_MAGIC] != MAGIC || words[AT_CHECK] != check_of(words))
		return -EBADMSG;
	ret->volume = words[AT_VOLUME];
	ret->lba = words[AT_LBA];
	ret->number = words[AT_NUMBER];
	ret->below = words[AT_BELOW];
	return ret->number == STAMP_NONE ? -EBADMSG : 0;
}

/*
 * A write is in the image if its block shows it or a later one: a later write of the same
 * block was issued when this one was complete.
 */
void stamp_judge(const uint64_t *seen, const uint64_t *below, uint64_t blocks,
		 const uint64_t *completed, uint64_t n_completed,
		 struct stamp_verdict *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (uint64_t lba = 0; lba < blocks; lba++) {
		if (seen[lba] > ret->last)
			ret->last = seen[lba];
	}
	for (uint64_t number = 1; number <= ret->last; number++) {
		if (seen[stamp_lba(number, blocks)] >= number)
			continue;
		ret->holes++;
		if (ret->absent == 0)
			ret->absent = number;
	}
	if (ret->absent == 0)
		ret->absent = ret->last + 1;
	for (uint64_t lba = 0; lba < blocks; lba++)
		ret->broken += seen[lba] != STAMP_NONE && below[lba] >= ret->absent;
	for (uint64_t i = 0; i < n_completed; i++)
		ret->missing += seen[stamp_lba(completed[i], blocks)] < completed[i];
}
