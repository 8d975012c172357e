// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/site.h"

#include "replicator/tunnel/io.h"

/* What a person reads of a group is the sum of all that it knows, wherever it is counted. */

static int primary_up(void **state)
{
	site_set_up(state, GROUP_PRIMARY, true);
	return 0;
}

void __wrap_tunnel_io_stats(const struct tunnel_io *io, struct tunnel_io_stats *ret);

void __wrap_tunnel_io_stats(const struct tunnel_io *io, struct tunnel_io_stats *ret)
{
	*ret = (struct tunnel_io_stats){ .foreign = 3, .enobufs = 5, .errors = 7 };
}

/* Datagrams of no tunnel are counted by the socket, those of a tunnel by the transports. */
static void refused_datagrams_of_both_kinds_are_shown(void **state)
{
	struct group_status *status = calloc(1, sizeof(*status));

	assert_non_null(status);
	site->group->session->counted.unauthentic = 4;
	group_status(site->group, status);
	assert_int_equal(status->link.unauthentic, 4 + 3);
	assert_int_equal(status->link.enobufs, 5);
	assert_int_equal(status->link.send_errors, 7);
	free(status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(refused_datagrams_of_both_kinds_are_shown,
						primary_up, site_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
