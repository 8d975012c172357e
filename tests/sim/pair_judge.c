// SPDX-License-Identifier: BSD-3-Clause
#include "lfs/lfs.h"
#include "replicator/group_private.h"
#include "tests/sim/pair.h"

/*
 * What the log of a site shows is judged at every LSN that it takes, and as a whole when it
 * is opened or promoted.
 */
static void judge(struct pair *p, unsigned i, uint64_t lsn, const char *when)
{
	const struct site *s = &p->site[i];
	struct pair_judge *j = &p->judge[i];

	j->lsn = lsn;
	if (j->parted) /* nobody knows any more what it should hold */
		return;
	sim_require(lsn <= oracle_last(p->oracle),
		    "%s: %s is at LSN %llu, and %llu exist", when, sim_node_name(s->node),
		    (unsigned long long)lsn, (unsigned long long)oracle_last(p->oracle));
	sim_require(s->image.digest == oracle_digest(p->oracle, lsn),
		    "%s: what %s shows is not the image after LSN %llu", when,
		    sim_node_name(s->node), (unsigned long long)lsn);
}

void pair_judge_taken(struct pair *p, unsigned i, uint64_t lsn)
{
	judge(p, i, lsn, "taken");
}

void pair_judge_image(struct pair *p, unsigned i, const char *when)
{
	const struct site *s = &p->site[i];
	struct pair_judge *j = &p->judge[i];
	uint64_t lsn = lfs_lsn(s->group->lfs).admitted;

	if (j->parted && lsn <= oracle_last(p->oracle) &&
	    s->image.digest == oracle_digest(p->oracle, lsn))
		j->parted = false; /* it has lost what nobody else has */
	judge(p, i, lsn, when);
}

void pair_judge_taken_back(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++)
		if (p->judge[i].lsn > oracle_last(p->oracle))
			p->judge[i].parted = true;
}
