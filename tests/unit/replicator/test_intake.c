// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include "replicator/intake.h"

#include <errno.h>
#include <string.h>

#include "rt/check.h"

/*
 * A site that cannot take what it is sent takes nothing for a while, and then tries again:
 * for ever closed would be a mirror lost, open at once the same megabytes every two seconds.
 */

#define STEP 100

/* What happens at a time: a failure, or a look. */
struct step {
	int64_t ms;
	int err;	 /* of a failure; 0: a look */
	uint64_t number; /* end of the log, or free bytes */
	bool open;	 /* what a look finds */
};

static void play(const char *name, const struct step *steps, unsigned n)
{
	struct intake in = { 0 };

	for (unsigned i = 0; i < n; i++) {
		const struct step *s = &steps[i];
		rt_time now = { RT_S + s->ms * RT_MS };

		if (s->err < 0) {
			intake_failed(&in, s->err, name, s->number, now);
			continue;
		}
		if (intake_open(&in, s->number, STEP, now) != s->open)
			fail_msg("%s: step %u", name, i);
		if (!s->open)
			assert_string_equal(in.why, name);
	}
}

#define PLAY(name, ...)                                                                  \
	do {                                                                             \
		static const struct step steps[] = { __VA_ARGS__ };                      \
		play(name, steps, RT_ARRAY_LEN(steps));                                  \
	} while (0)

static void closes_and_opens(void **state)
{
	PLAY("nothing has failed", { 0, 0, 0, true });
	PLAY("a lie, once", { 0, -EPROTO, 5, 0 }, { 0, 0, 0, true });
	PLAY("a lie, again and again", { 0, -EPROTO, 5, 0 }, { 0, -EBADMSG, 5, 0 },
	     { 999, 0, 9999, false }, { 1000, 0, 0, true }, { 1000, -EPROTO, 5, 0 },
	     { 2999, 0, 0, false }, { 3000, 0, 0, true });
	PLAY("a lie, with progress between", { 0, -EPROTO, 5, 0 }, { 0, -EPROTO, 6, 0 },
	     { 0, 0, 0, true });
	PLAY("a failed log is another matter", { 0, -EIO, 5, 0 }, { 0, 0, 0, true });
	PLAY("full for a minute", { 0, -ENOSPC, 5, 0 }, { 0, 0, 50, false },
	     { 59999, 0, 50, false }, { 60000, 0, 50, true }, { 60001, 0, 50, true });
	PLAY("full until there is room", { 0, -ENOSPC, 5, 0 }, { 10, 0, 50, false },
	     { 20, 0, 149, false }, { 30, 0, 150, true }, { 40, 0, 0, true });
	PLAY("full without a byte", { 0, -ENOSPC, 5, 0 }, { 10, 0, 0, false },
	     { 20, 0, 99, false }, { 30, 0, 100, true });
	PLAY("less room than before", { 0, -ENOSPC, 5, 0 }, { 10, 0, 500, false },
	     { 20, 0, 50, false }, { 30, 0, 599, false }, { 40, 0, 600, true });
	PLAY("full again", { 0, -ENOSPC, 5, 0 }, { 60000, 0, 0, true },
	     { 60000, -ENOSPC, 5, 0 }, { 119999, 0, 0, false }, { 120000, 0, 0, true });
	PLAY("a map without memory", { 0, -EDQUOT, 5, 0 }, { 0, 0, 50, false },
	     { 59999, 0, 5000, false }, { 60000, 0, 50, true });
	PLAY("memory, once", { 0, -ENOMEM, 5, 0 }, { 0, 0, 0, true });
	PLAY("memory, again and again", { 0, -ENOMEM, 0, 0 }, { 0, 0, 0, true },
	     { 0, -ENOMEM, 0, 0 }, { 999, 0, 9999, false }, { 1000, 0, 0, true },
	     { 1000, -ENOMEM, 0, 0 }, { 2999, 0, 0, false }, { 3000, 0, 0, true },
	     { 3000, -ENOMEM, 0, 0 }, { 6999, 0, 0, false }, { 7000, 0, 0, true },
	     { 7000, -ENOMEM, 0, 0 }, { 7000, -ENOMEM, 0, 0 }, { 7000, -ENOMEM, 0, 0 },
	     { 7000, -ENOMEM, 0, 0 }, { 7000, -ENOMEM, 0, 0 }, { 66999, 0, 0, false },
	     { 67000, 0, 0, true });
	PLAY("memory, with progress between", { 0, -ENOMEM, 5, 0 }, { 0, -ENOMEM, 5, 0 },
	     { 999, 0, 0, false }, { 1000, -ENOMEM, 6, 0 }, { 1000, 0, 0, true });
	PLAY("memory after room", { 0, -ENOSPC, 5, 0 }, { 60000, -ENOMEM, 5, 0 },
	     { 60000, 0, 0, true });
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(closes_and_opens) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
