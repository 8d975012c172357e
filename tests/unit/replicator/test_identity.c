// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <string.h>

#include "replicator/identity.h"
#include "rt/check.h"

/*
 * Who may be a site's peer: of everything that a newcomer says of itself, what decides, and
 * in which order.
 */

#define NONE 0
#define OURS 1
#define PEER 2
#define OTHER 3
#define OUR_RUN 900

static const struct {
	const char *what;
	uint8_t paired;	 /* the store that ours is paired with */
	uint8_t store;	 /* the newcomer's, */
	uint8_t theirs;	 /* the one that it is paired with, */
	uint64_t run;	 /* its run, and the number that it shows */
	uint64_t number;
	bool forgotten, connected;
	enum identity_verdict verdict;
	bool lately, same_boot;
	uint64_t giver; /* of the number; OUR_RUN is this site's */
} rows[] = {
	{ "the peer comes back", PEER, PEER, OURS, 5, 50, false, false, IDENTITY_FITS,
	  false, false, 0 },
	{ "the HELLO with the newest number was lost", PEER, PEER, OURS, 5, 40, false,
	  false, IDENTITY_FITS, false, false, 0 },
	{ "its daemon was started again", PEER, PEER, OURS, 6, 0, false, false,
	  IDENTITY_FITS, false, false, 0 },
	{ "it knows a number of an earlier start of ours", PEER, PEER, OURS, 6, 99, false,
	  false, IDENTITY_FITS, false, false, 0 },
	{ "both are new", NONE, PEER, NONE, 6, 0, false, false, IDENTITY_FITS, false,
	  false, 0 },
	{ "ours is new, and it waits for ours", NONE, PEER, OURS, 6, 0, false, false,
	  IDENTITY_FITS, false, false, 0 },
	{ "its store is new, in place of the paired one", PEER, OTHER, NONE, 6, 0, false,
	  false, IDENTITY_OTHER_STORE, false, false, 0 },
	{ "another store, which is paired with ours", PEER, OTHER, OURS, 6, 0, false,
	  false, IDENTITY_OTHER_STORE, false, false, 0 },
	{ "the paired store, paired with another one since", PEER, PEER, OTHER, 6, 0,
	  false, false, IDENTITY_OTHER_PAIR, false, false, 0 },
	{ "a store of another pair", NONE, PEER, OTHER, 6, 0, false, false,
	  IDENTITY_OTHER_PAIR, false, false, 0 },
	{ "a copy of our store", PEER, OURS, PEER, 6, 0, false, false, IDENTITY_OURSELVES,
	  false, false, 0 },
	{ "a copy of our store, before we are paired", NONE, OURS, NONE, 6, 0, false,
	  false, IDENTITY_OURSELVES, false, false, 0 },
	{ "a number from before the last connection", PEER, PEER, OURS, 5, 30, false,
	  false, IDENTITY_CLONE, false, false, 0 },
	{ "the run, without a number", PEER, PEER, OURS, 5, 0, false, false,
	  IDENTITY_CLONE, false, false, 0 },
	{ "a number of ours that is too old", PEER, PEER, OURS, 5, 30, false, false,
	  IDENTITY_CLONE, false, false, OUR_RUN },
	{ "a copy of this site has given it another one", PEER, PEER, OURS, 5, 30, false,
	  false, IDENTITY_FITS, false, false, OUR_RUN + 1 },
	{ "the peer's own, and it is connected", PEER, PEER, OURS, 5, 50, false, true,
	  IDENTITY_ASK, false, false, 0 },
	{ "another start, and the peer is connected", PEER, PEER, OURS, 6, 0, false, true,
	  IDENTITY_ASK, false, false, 0 },
	{ "a clone while the peer is connected: no question", PEER, PEER, OURS, 5, 30,
	  false, true, IDENTITY_CLONE, false, false, 0 },
	{ "another store while the peer is connected", PEER, OTHER, NONE, 6, 0, false,
	  true, IDENTITY_OTHER_STORE, false, false, 0 },
	{ "the run itself, whose connection broke just now", PEER, PEER, OURS, 5, 50,
	  false, false, IDENTITY_FITS, true, false, 0 },
	{ "its daemon was started again, on the same boot", PEER, PEER, OURS, 6, 0, false,
	  false, IDENTITY_FITS, true, true, 0 },
	{ "another machine, or another boot, just then", PEER, PEER, OURS, 6, 0, false,
	  false, IDENTITY_ASK, true, false, 0 },
	{ "nobody is taken", NONE, PEER, OURS, 5, 50, true, false, IDENTITY_FORGOTTEN,
	  false, false, 0 },
};

static void everything_that_is_said_decides(void **state)
{
	struct identity_run last = { .run = 5, .shown = 40, .given = 50 };

	memset(last.boot, 77, sizeof(last.boot));
	for (unsigned i = 0; i < RT_ARRAY_LEN(rows); i++) {
		uint8_t ours[LFS_ID_LEN], paired[LFS_ID_LEN];
		struct message_identity who = { .run = rows[i].run,
						.number = rows[i].number,
						.giver = rows[i].giver };
		const struct identity_own own = { .store = ours,
						  .paired = paired,
						  .run = OUR_RUN,
						  .forgotten = rows[i].forgotten,
						  .connected = rows[i].connected,
						  .lately = rows[i].lately };

		memset(ours, OURS, sizeof(ours));
		memset(paired, rows[i].paired, sizeof(paired));
		memset(who.store, rows[i].store, sizeof(who.store));
		memset(who.paired, rows[i].theirs, sizeof(who.paired));
		memset(who.boot, rows[i].same_boot ? 77 : 78, sizeof(who.boot));
		if (identity_judge(&own, &last, &who) != rows[i].verdict)
			fail_msg("%s", rows[i].what);
	}
}

/* One byte of the id is enough to be another store. */
static void every_byte_of_an_id_counts(void **state)
{
	const struct identity_run last = { .run = 5 };
	uint8_t ours[LFS_ID_LEN] = { OURS };

	for (unsigned i = 0; i < LFS_ID_LEN; i++) {
		uint8_t paired[LFS_ID_LEN] = { PEER };
		struct message_identity who = { .store = { PEER }, .run = 6 };
		const struct identity_own own = { .store = ours, .paired = paired };

		assert_int_equal(identity_judge(&own, &last, &who), IDENTITY_FITS);
		who.store[i] ^= 0x80;
		assert_int_equal(identity_judge(&own, &last, &who),
				 IDENTITY_OTHER_STORE);
	}
}

/*
 * A run and its clone, which was made while the run was connected: whichever is connected
 * first is the peer, the other one shows a number that does not count any more.
 */
static void a_number_counts_until_the_next_is_answered(void **state)
{
	uint8_t ours[LFS_ID_LEN] = { OURS }, paired[LFS_ID_LEN] = { PEER };
	const struct identity_own own = { .store = ours, .paired = paired };
	struct message_identity run = { .store = { PEER }, .run = 5 };
	struct message_identity clone;
	struct identity_run last = { 0 };

	assert_int_equal(identity_judge(&own, &last, &run), IDENTITY_FITS);
	identity_take(&last, &run, 10);
	identity_answered(&last);
	run.number = 10;
	clone = run; /* here */
	identity_take(&last, &run, 11); /* and the run is connected again */
	assert_int_equal(identity_judge(&own, &last, &run), IDENTITY_FITS);
	identity_answered(&last);
	run.number = 11;
	assert_int_equal(identity_judge(&own, &last, &run), IDENTITY_FITS);
	assert_int_equal(identity_judge(&own, &last, &clone), IDENTITY_CLONE);
}

static void the_newest_common_version_is_spoken(void **state)
{
	static const struct {
		uint16_t min, max, their_min, their_max;
		unsigned version;
	} cases[] = { { 4, 4, 4, 4, 4 }, { 4, 4, 4, 5, 4 }, { 4, 4, 3, 4, 4 },
		      { 4, 6, 3, 5, 5 }, { 4, 6, 6, 9, 6 }, { 4, 4, 5, 6, 0 },
		      { 4, 4, 1, 3, 0 }, { 4, 6, 1, 3, 0 } };

	for (unsigned i = 0; i < RT_ARRAY_LEN(cases); i++) {
		struct message_negotiate ours = { .min = cases[i].min,
						  .max = cases[i].max };
		struct message_negotiate theirs = { .min = cases[i].their_min,
						    .max = cases[i].their_max };

		assert_int_equal(identity_version(&ours, &theirs), cases[i].version);
		assert_int_equal(identity_version(&theirs, &ours), cases[i].version);
	}
}

static void an_id_is_shown_in_hex(void **state)
{
	const uint8_t id[LFS_ID_LEN] = { 0xde, 0xad, 0, 1, 0x7f, 0x80, 0xfe, 0xff, 9 };
	char text[IDENTITY_TEXT_MAX];

	assert_string_equal(identity_text(id, text), "dead00017f80feff");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_that_is_said_decides),
		cmocka_unit_test(every_byte_of_an_id_counts),
		cmocka_unit_test(a_number_counts_until_the_next_is_answered),
		cmocka_unit_test(the_newest_common_version_is_spoken),
		cmocka_unit_test(an_id_is_shown_in_hex),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
