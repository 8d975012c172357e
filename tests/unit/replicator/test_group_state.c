// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <string.h>

#include "replicator/group_state.h"
#include "rt/check.h"

/*
 * The state that people see is judged anew in each turn, so nothing but these tables finds a
 * judgement that cannot be: a mirror that is IN_SYNC, a group that leaves FAILED, one that
 * serves and starts. What may happen, and nothing else, is in a row here.
 */

#define STATES (GROUP_FOLLOWING + 1)

/* x: may follow. In the order of the enum: the column is what follows. */
static const char *const rows[STATES] = {
	/*                       S S R I E C H P F D F L F
	 *                       T T E N X A O R E I A I O
	 *                       A A C S P T L O N V I S L */
	[GROUP_STANDALONE] = "  . . . . . . . . x . x . .",
	[GROUP_STARTING] = "    x . x . x . x x x x x x .",
	[GROUP_RECOVERING] = "  . x . . . . x . . x x . .",
	[GROUP_IN_SYNC] = "     x . . . x x x . . x x . .",
	[GROUP_EXPOSED] = "     x . . x . x x . x x x x .",
	[GROUP_CATCHING_UP] = " x . . x x . x . . x x . .",
	[GROUP_HOLDING] = "     x x x x x x . . x x x x .",
	[GROUP_PROMOTING] = "   x . . . x . x . . x x x .",
	[GROUP_FENCED] = "      x . . . x . x . . x x . .",
	[GROUP_DIVERGED] = "    x x x x x x x x x . x x x",
	[GROUP_FAILED] = "      . . . . . . . . . . . . .",
	[GROUP_LISTENING] = "   . . . . . . . x . x x . x",
	[GROUP_FOLLOWING] = "   . . . . . . . x . . x x .",
};

static void each_state_has_its_followers(void **state)
{
	for (unsigned from = 0; from < STATES; from++) {
		const char *mark = rows[from];

		for (unsigned to = 0; to < STATES; to++) {
			mark += strcspn(mark, "x.");
			if (group_state_may_follow(from, to) != (*mark == 'x'))
				fail_msg("from %s to %s", group_state_name(from),
					 group_state_name(to));
			mark++;
		}
		assert_int_equal(*mark, 0);
	}
}

/* None is a dead end but FAILED, and each is reached. */
static void each_state_is_reached_and_left(void **state)
{
	for (unsigned s = 0; s < STATES; s++) {
		unsigned in = 0, out = 0;

		for (unsigned other = 0; other < STATES; other++) {
			in += group_state_may_follow(other, s);
			out += group_state_may_follow(s, other);
		}
		assert_int_equal(in > 0, true);
		assert_int_equal(out > 0, s != GROUP_FAILED);
	}
}

/*
 * A mirror becomes a primary by way of PROMOTING alone, and a primary a mirror by a switchover,
 * which holds, or when its promotion is undone: it had no mirror of its own then.
 */
static void the_role_changes_by_a_promotion(void **state)
{
	static const enum group_state of_primary[] = {
		GROUP_STANDALONE,  GROUP_RECOVERING, GROUP_IN_SYNC, GROUP_EXPOSED,
		GROUP_CATCHING_UP, GROUP_HOLDING,    GROUP_FENCED,
	};
	static const enum group_state of_mirror[] = { GROUP_LISTENING, GROUP_FOLLOWING };

	for (unsigned i = 0; i < RT_ARRAY_LEN(of_primary); i++)
		for (unsigned k = 0; k < RT_ARRAY_LEN(of_mirror); k++) {
			bool undone = of_mirror[k] == GROUP_LISTENING &&
				      (of_primary[i] == GROUP_EXPOSED ||
				       of_primary[i] == GROUP_HOLDING);

			assert_int_equal(group_state_may_follow(of_primary[i],
								of_mirror[k]),
					 undone);
			assert_false(group_state_may_follow(of_mirror[k], of_primary[i]));
		}
}

static void alone_begins_by_a_promotion_and_ends_once(void **state)
{
	for (unsigned from = 0; from < 3; from++)
		for (unsigned to = 0; to < 3; to++)
			assert_int_equal(group_alone_may_follow(from, to),
					 from != GROUP_NOT_ALONE ||
						 to != GROUP_NOT_ALONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_state_has_its_followers),
		cmocka_unit_test(each_state_is_reached_and_left),
		cmocka_unit_test(the_role_changes_by_a_promotion),
		cmocka_unit_test(alone_begins_by_a_promotion_and_ends_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
