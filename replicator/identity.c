// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/identity.h"

#include <stdio.h>
#include <string.h>

#include "rt/bug.h"

bool identity_is_none(const uint8_t store[LFS_ID_LEN])
{
	static const uint8_t none[LFS_ID_LEN];

	return memcmp(store, none, LFS_ID_LEN) == 0;
}

static bool identity_same(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, LFS_ID_LEN) == 0;
}

/* The run that was connected last, or another one on the same boot of the same machine. */
static bool identity_is_same_machine(const struct identity_run *last,
				     const struct message_identity *newcomer)
{
	return newcomer->run == last->run || (identity_same(newcomer->boot, last->boot) &&
					      !identity_is_none(newcomer->boot));
}

enum identity_verdict identity_judge(const struct identity_own *own,
				     const struct identity_run *last,
				     const struct message_identity *newcomer)
{
	if (own->forgotten)
		return IDENTITY_FORGOTTEN;
	if (identity_same(newcomer->store, own->store))
		return IDENTITY_OURSELVES;
	if (!identity_is_none(own->paired) &&
	    !identity_same(newcomer->store, own->paired) && !RT_BUG(MIRROR_UNBOUND))
		return IDENTITY_OTHER_STORE;
	if (!identity_is_none(newcomer->paired) &&
	    !identity_same(newcomer->paired, own->store) && !RT_BUG(MIRROR_UNBOUND))
		return IDENTITY_OTHER_PAIR;
	if (newcomer->run == last->run &&
	    (newcomer->giver == 0 || newcomer->giver == own->run) &&
	    newcomer->number != last->shown && newcomer->number != last->given)
		return IDENTITY_CLONE;
	if ((own->connected ||
	     (own->lately && !identity_is_same_machine(last, newcomer))) &&
	    !RT_BUG(NEWCOMER_REPLACES))
		return IDENTITY_ASK;
	return IDENTITY_FITS;
}

void identity_take(struct identity_run *last, const struct message_identity *newcomer,
		   uint64_t number)
{
	*last = (struct identity_run){ .run = newcomer->run,
				       .shown = newcomer->number,
				       .given = number };
	memcpy(last->boot, newcomer->boot, LFS_ID_LEN);
}

void identity_answered(struct identity_run *last)
{
	last->shown = last->given;
}

void identity_forget(struct identity_run *last)
{
	*last = (struct identity_run){ .run = 0 };
}

unsigned identity_version(const struct message_negotiate *ours,
			  const struct message_negotiate *theirs)
{
	unsigned version = ours->max < theirs->max ? ours->max : theirs->max;

	return version >= ours->min && version >= theirs->min ? version : 0;
}

const char *identity_text(const uint8_t store[LFS_ID_LEN], char text[IDENTITY_TEXT_MAX])
{
	for (unsigned i = 0; i < (IDENTITY_TEXT_MAX - 1) / 2; i++)
		(void)snprintf(text + 2 * (size_t)i, 3, "%02x", store[i]);
	return text;
}
