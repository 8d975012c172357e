/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_REPLICATOR_CONCLUSIONS_H
#define TESTS_UNIT_REPLICATOR_CONCLUSIONS_H

/*
 * What a site concludes from a HELLO of its peer, as a row of a table: what the HELLO says
 * otherwise than the site itself, and what follows. The site is in its second epoch.
 */
#include <stdio.h>

#include "tests/unit/replicator/lies.h"

struct conclusion {
	char letter; /* the kind of HELLO, as say() has them */
	void (*change)(struct message_hello *m);
	const char *refusal; /* NULL: it is not refused */
	enum group_standing standing;
};

#define SECOND_EPOCH UINT64_C(0x2222)

static inline void second_epoch_durable(struct group *g, int res)
{
	site_ended(res);
}

/* It begins behind the last write, and holds nothing yet. */
static inline void second_epoch_begin(void)
{
	struct lfs_meta *meta = facts_edit(site->group);

	meta->epochs[0] = meta->epochs[meta->nepochs - 1]; /* all that was written */
	meta->epochs[0].number = 1;
	meta->epochs[1] = (struct lfs_epoch){ .number = 2,
					      .id = SECOND_EPOCH,
					      .first_lsn = SITE_LSNS + 1 };
	meta->nepochs = 2;
	site->waiting = 1;
	facts_change(site->group, second_epoch_durable);
	assert_int_equal(site_wait(), 0);
}

/* ---- what the HELLO says otherwise -------------------------------------------------------- */

static inline void nothing_else(struct message_hello *m)
{
}

static inline void has_another_hash(struct message_hello *m)
{
	m->hash ^= 1;
}

static inline void is_still_in_the_first_epoch(struct message_hello *m)
{
	m->meta.nepochs = 1;
}

static inline void has_parted(struct message_hello *m)
{
	m->meta.epochs[1].id ^= 1;
}

static inline void goes_on_in_a_third(struct message_hello *m)
{
	m->meta.epochs[m->meta.nepochs++] = (struct lfs_epoch){
		.number = 3, .id = 0x3333, .first_lsn = SITE_LSNS + 1
	};
}

static inline void has_another_name(struct message_hello *m)
{
	(void)snprintf(m->meta.group_name, sizeof(m->meta.group_name), "db2");
}

static inline void is_of_another_group(struct message_hello *m)
{
	m->meta.group[3] ^= 1;
}

static inline void has_longer_requests(struct message_hello *m)
{
	m->meta.max_request *= 2;
}

#endif
