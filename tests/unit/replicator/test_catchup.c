// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "replicator/catchup.h"
#include "replicator/exposure.h"

/*
 * How long a mirror still lacks something is what people wait by: the backlog is the one with
 * which it began, not all that was ever written, and what is not known is not shown.
 */

#define AT(s) ((rt_time){ (s)*RT_S })

static struct exposure *e;
static struct catchup c;

static int set_up(void **state)
{
	e = malloc(sizeof(*e));
	c = (struct catchup){ 0 };
	return !e;
}

static int tear_down(void **state)
{
	free(e);
	return 0;
}

/* LSNs up to `last` of 100 bytes each. */
static void written(uint64_t last)
{
	while (e->last_lsn < last)
		exposure_add(e, e->last_lsn + 1, 100, AT(0));
}

static void turn(bool going, uint64_t received, int64_t s)
{
	catchup_turn(&c, e,
		     &(struct catchup_input){ going, received, e->last_lsn, AT(s) });
}

static void shows(uint64_t received, int64_t s, uint64_t done, uint64_t total, double eta)
{
	struct catchup_progress p;

	catchup_progress(&c, e, received, AT(s), &p);
	if (p.done != done || p.total != total || p.eta_s != eta)
		fail_msg("received %llu: %llu of %llu, %g s",
			 (unsigned long long)received, (unsigned long long)p.done,
			 (unsigned long long)p.total, p.eta_s);
}

static void the_backlog_is_that_of_the_beginning(void **state)
{
	exposure_init(e, 8000, 0);
	written(10000);
	exposure_safe(e, 9000); /* much of it has long been there */
	turn(true, 9000, 100);
	shows(9000, 100, 0, 100000, -1);
	shows(9100, 110, 10000, 100000, 90);
	written(10500); /* moves no end */
	turn(true, 9500, 150);
	exposure_safe(e, 9400);
	shows(9500, 150, 50000, 100000, 50);
	shows(9999, 199, 99900, 100000, 99.0 / 999);
	shows(10000, 200, 100000, 100000, 0);
	shows(10400, 240, 100000, 100000, 0); /* until it is in sync */
	turn(false, 10500, 250);
	shows(10500, 250, 0, 0, -1);
}

/* A path that falls silent and serves anew: what was written meanwhile belongs to it. */
static void each_catch_up_has_a_backlog_of_its_own(void **state)
{
	exposure_init(e, 0, 0);
	written(100);
	turn(true, 50, 0);
	shows(75, 10, 2500, 5000, 10);
	turn(false, 75, 11);
	written(300);
	turn(true, 75, 20);
	shows(75, 20, 0, 22500, -1);
	shows(100, 21, 2500, 22500, 8);
}

/* Of a log from before this start only the number of operations is known: so is the rate. */
static void bytes_of_an_earlier_start_are_not_known(void **state)
{
	exposure_init(e, 1000, 0);
	written(1010);
	turn(true, 500, 0);
	shows(500, 1, CATCHUP_UNKNOWN, CATCHUP_UNKNOWN, -1);
	shows(602, 2, CATCHUP_UNKNOWN, CATCHUP_UNKNOWN, 8);
	shows(1010, 9, CATCHUP_UNKNOWN, CATCHUP_UNKNOWN, 0);
}

static void who_lacks_nothing_catches_nothing_up(void **state)
{
	exposure_init(e, 1000, 0);
	shows(1000, 0, 0, 0, -1);
	turn(true, 1000, 0);
	shows(1000, 1, 0, 0, -1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_backlog_is_that_of_the_beginning),
		TEST(each_catch_up_has_a_backlog_of_its_own),
		TEST(bytes_of_an_earlier_start_are_not_known),
		TEST(who_lacks_nothing_catches_nothing_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
