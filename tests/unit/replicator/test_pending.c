// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include "replicator/pending.h"

#include <stdio.h>
#include <string.h>

/*
 * Whoever connects most makes room first. A rule that lets one host push out the others
 * keeps the peer out for as long as somebody knocks.
 */

#define PLACES 5

static void choices(void **state)
{
	/* Per place: host, number of arrival, 'a' when it was answered; "-": free. */
	static const struct {
		const char *text, *places[PLACES];
		unsigned want;
	} rows[] = {
		{ "nobody is there", { "-", "-", "-", "-", "-" }, 0 },
		{ "the first free place", { "1.1.1.1 1", "-", "1.1.1.1 2", "-", "-" }, 1 },
		{ "one host: its oldest",
		  { "1.1.1.1 4", "1.1.1.1 2", "1.1.1.1 3", "1.1.1.1 5", "1.1.1.1 6" },
		  1 },
		{ "the host with the most, not the oldest of all",
		  { "2.2.2.2 1", "1.1.1.1 3", "1.1.1.1 2", "1.1.1.1 4", "1.1.1.1 5" },
		  2 },
		{ "the newest comer of another host stays",
		  { "1.1.1.1 1", "1.1.1.1 2", "1.1.1.1 3", "1.1.1.1 4", "2.2.2.2 5" },
		  0 },
		{ "of one host the silent ones before the answered ones",
		  { "1.1.1.1 1a", "1.1.1.1 2a", "1.1.1.1 5", "1.1.1.1 4", "1.1.1.1 3a" },
		  3 },
		{ "the host with the most, even if all of it was answered",
		  { "2.2.2.2 1", "1.1.1.1 2a", "1.1.1.1 3a", "1.1.1.1 4a", "3.3.3.3 5" },
		  1 },
		{ "all answered, one host: the oldest",
		  { "1.1.1.1 9a", "1.1.1.1 8a", "1.1.1.1 5a", "1.1.1.1 6a", "1.1.1.1 7a" },
		  2 },
		{ "a host each: the oldest silent one",
		  { "1.1.1.1 1a", "2.2.2.2 5", "3.3.3.3 3", "4.4.4.4 2a", "5.5.5.5 4" },
		  2 },
		{ "as many each: the oldest silent one of both",
		  { "1.1.1.1 1a", "1.1.1.1 4", "2.2.2.2 3", "2.2.2.2 2a", "3.3.3.3 0" },
		  2 },
		{ "an IPv6 host is its network",
		  { "[2001:db8::1] 3", "[2001:db8::ffff:1] 2", "1.1.1.1 1", "2.2.2.2 4",
		    "[2001:db8:0:1::1] 0" },
		  1 },
		{ "an IPv4 host is one address",
		  { "9.9.9.1 2", "9.9.9.2 1", "9.9.9.3 3", "9.9.9.4 4", "9.9.9.1 5" },
		  0 },
	};

	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		struct pending_place places[PLACES] = { 0 };

		for (unsigned i = 0; i < PLACES; i++) {
			char host[64], text[80], answered = 0;
			unsigned long long number;

			if (rows[r].places[i][0] == '-')
				continue;
			assert_true(sscanf(rows[r].places[i], "%63s %llu%c", host,
					   &number, &answered) >= 2);
			/* Ports say nothing: each has another one. */
			(void)snprintf(text, sizeof(text), "%s:%u", host, 1000 + i);
			assert_int_equal(rt_addr_parse(text, &places[i].from), 0);
			places[i].conn = (struct conn *)&places[i];
			places[i].number = number;
			places[i].answered = answered == 'a';
		}
		if (pending_choose(places, PLACES) != rows[r].want)
			fail_msg("%s: place %u", rows[r].text,
				 pending_choose(places, PLACES));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(choices) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
