// SPDX-License-Identifier: BSD-3-Clause
/*
 * Memory runs out while a site works: the n-th allocation fails, n = 1, 2, ... until one
 * run meets no failure. Whatever it was needed for, the request that asked for it fails or
 * the connection ends with a reason; nothing hangs, nothing that was replied to is lost,
 * and with memory again all goes on, to the last byte given back.
 */
#include "tests/unit/alloc.h"
#include "tests/unit/replicator/lies.h"

#define FAILURES_MAX 400u /* more allocations than one run makes */

/* What the test itself asks for never fails. */
struct spared {
	unsigned asked, fail_at;
};

static struct spared spare(void)
{
	const struct spared now = { asked, fail_at };

	fail_at = 0;
	return now;
}

static void spare_no_more(const struct spared *before)
{
	asked = before->asked;
	fail_at = before->fail_at;
}

static void fail_nth(unsigned n)
{
	asked = 0;
	fail_at = n;
}

/* Whether the n-th was asked for, and so has failed. */
static bool has_failed(unsigned n)
{
	bool failed = asked >= n;

	fail_at = 0;
	return failed;
}

/* ---- clients ------------------------------------------------------------------------------------ */

#define REQUESTS 7u
#define SPAN (4 * GROUP_BLOCK)

struct client {
	struct group_request r;
	uint8_t *buf; /* of SPAN */
	bool over;
	int res;
};

static struct client clients[REQUESTS];

static void client_over(struct group_request *r, int res)
{
	struct client *c = rt_container_of(r, struct client, r);

	c->over = true;
	c->res = res;
}

static void client_set(unsigned i, enum group_request_kind kind, uint64_t offset,
		       uint32_t len, unsigned flags)
{
	struct client *c = &clients[i];

	c->over = false;
	c->r = (struct group_request){ .kind = kind,
				       .volume = group_volume_at(site->group, i & 1),
				       .offset = offset,
				       .len = len,
				       .flags = flags,
				       .buf = c->buf,
				       .done = client_over };
}

/* Every way through the door: whole blocks, edges, one block from two sides, unmapping. */
static void clients_set(uint8_t byte)
{
	for (unsigned i = 0; i < REQUESTS; i++)
		memset(clients[i].buf, byte, SPAN);
	client_set(0, GROUP_WRITE, 0, 2 * GROUP_BLOCK, 0);
	client_set(1, GROUP_WRITE, 5 * GROUP_BLOCK + 7, GROUP_BLOCK, GROUP_FUA);
	client_set(2, GROUP_WRITE, 9 * GROUP_BLOCK + 512, 512, 0);
	client_set(3, GROUP_ZERO, 13 * GROUP_BLOCK + 1, 3 * GROUP_BLOCK, 0);
	client_set(4, GROUP_TRIM, 20 * GROUP_BLOCK, 2 * GROUP_BLOCK, 0);
	client_set(5, GROUP_READ, 0, 3 * GROUP_BLOCK, 0);
	client_set(6, GROUP_FLUSH, 0, 0, 0);
}

static bool clients_over(void)
{
	for (unsigned i = 0; i < REQUESTS; i++)
		if (!clients[i].over)
			return false;
	return true;
}

static void clients_run(void)
{
	for (unsigned i = 0; i < REQUESTS; i++)
		group_submit(&clients[i].r);
	SITE_UNTIL(site, clients_over());
}

/* The writes of clients_set(byte), read back; only those that completed must be there. */
static void is_written(unsigned i, uint8_t byte)
{
	const struct group_request written = clients[i].r;
	struct client *reader = &clients[5];

	if (clients[i].res < 0)
		return;
	reader->over = false;
	reader->r = (struct group_request){ .kind = GROUP_READ,
					    .volume = written.volume,
					    .offset = written.offset,
					    .len = written.len,
					    .buf = reader->buf,
					    .done = client_over };
	group_submit(&reader->r);
	SITE_UNTIL(site, reader->over);
	assert_int_equal(reader->res, 0);
	for (uint32_t k = 0; k < written.len; k++)
		assert_int_equal(reader->buf[written.offset % GROUP_BLOCK + k], byte);
}

static void clients_must(bool succeed)
{
	for (unsigned i = 0; i < REQUESTS; i++)
		if (clients[i].res != 0 && (succeed || clients[i].res != -ENOMEM) &&
		    (succeed || clients[i].res != -EIO) &&
		    (succeed || clients[i].res != -ENOSPC))
			fail_msg("request %u: %d", i, clients[i].res);
}

static void each_allocation_of_a_client_may_fail(void)
{
	unsigned n;

	for (n = 1; n < FAILURES_MAX; n++) {
		uint8_t byte = (uint8_t)(n % 250 + 1);

		clients_set(byte);
		fail_nth(n);
		clients_run();
		if (!has_failed(n))
			break;
		clients_must(false);
		for (unsigned i = 0; i < 3; i++)
			is_written(i, byte);
		assert_int_equal(site->group->failed, 0);
		assert_int_equal(site->group->pending.requests, 0);
		clients_set(0x55);
		clients_run();
		clients_must(true);
		for (unsigned i = 0; i < 3; i++)
			is_written(i, 0x55);
	}
	assert_true(n > 5 && n < FAILURES_MAX);
	clients_must(true);
}

static int clients_new(void)
{
	for (unsigned i = 0; i < REQUESTS; i++)
		clients[i].buf = rt_alloc_blocks(SPAN);
	return 0;
}

static int clients_gone(void **state, int (*down)(void **state))
{
	int res;

	fail_at = 0;
	for (unsigned i = 0; i < REQUESTS; i++)
		rt_free(clients[i].buf);
	res = down(state);
	assert_int_equal(held, 0);
	return res;
}

static void without_a_mirror(struct group_config *config)
{
	config->has_peer = false;
}

static int alone_up(void **state)
{
	site_tweak = without_a_mirror;
	site_set_up(state, GROUP_PRIMARY, true);
	SITE_UNTIL(site, group_serving(site->group));
	return clients_new();
}

static int alone_down(void **state)
{
	return clients_gone(state, tcp_tear_down);
}

static void clients_of_a_primary_alone(void **state)
{
	each_allocation_of_a_client_may_fail();
}

/* ---- with a mirror: what a connection needs may be what fails --------------------------------------- */

static int streaming_up(void **state)
{
	int res = tcp_primary_up(state);

	stream();
	return res + clients_new();
}

static void mirror_is_back(void)
{
	if (site->conn && data && session_streaming(site->group->session))
		return;
	if (data)
		conn_close(data);
	data = NULL;
	stream();
}

static void clients_of_a_primary_that_streams(void **state)
{
	unsigned n;

	for (n = 1; n < FAILURES_MAX; n++) {
		struct lfs_position end;

		clients_set((uint8_t)(n % 250 + 1));
		fail_nth(n);
		clients_run();
		if (!has_failed(n))
			break;
		clients_must(false);
		assert_int_equal(site->group->failed, 0);
		mirror_is_back();
		clients_set(0x55);
		clients_run();
		clients_must(true);
		lfs_position(site->group->lfs, &end);
		SITE_UNTIL(site, frames_received + site->start.from_lsn == end.lsn + 1 ||
					 (mirror_is_back(), false));
	}
	assert_true(n > 5 && n < FAILURES_MAX);
}

/* ---- a mirror ------------------------------------------------------------------------------------------ */

static int mirror_up(void **state)
{
	site_set_up(state, GROUP_MIRROR, true);
	return 0;
}

static int mirror_down(void **state)
{
	int res;

	fail_at = 0;
	res = tcp_tear_down(state);
	assert_int_equal(held, 0);
	return res;
}

static bool connection_is_over(void)
{
	return site->came[MESSAGE_REFUSE] > 0 || site->closed;
}

/* HELLO, START, a data connection and a record, as far as it goes. */
static void follow(unsigned n)
{
	uint64_t before = lfs_lsn(site->group->lfs).admitted;
	struct spared spared;
	struct forged f;

	peer_dial();
	fail_nth(n);
	SITE_UNTIL(site, site->established || connection_is_over());
	spared = spare();
	say('H');
	spare_no_more(&spared);
	SITE_UNTIL(site, site->came[MESSAGE_HELLO] == 1 || connection_is_over());
	spared = spare();
	say('C');
	spare_no_more(&spared);
	SITE_UNTIL(site, site->came[MESSAGE_READY] == 1 || connection_is_over());
	if (connection_is_over())
		return;
	spared = spare();
	data_dial(4711);
	forge_honest(&f, 0);
	if (data)
		(void)conn_send(data, MESSAGE_FRAME, forged_bytes,
				forge_put(&f, forged_bytes));
	spare_no_more(&spared);
	SITE_UNTIL(site, lfs_lsn(site->group->lfs).durable == before + 1 ||
				 connection_is_over() || !data);
}

static void a_mirror_follows_when_there_is_memory(void **state)
{
	unsigned n;

	for (n = 1; n < FAILURES_MAX; n++) {
		uint64_t admitted;

		follow(n);
		if (!has_failed(n))
			break;
		assert_int_equal(site->group->failed, 0);
		if (data)
			conn_close(data);
		data = NULL;
		admitted = lfs_lsn(site->group->lfs).admitted;
		follow(0);
		fail_at = 0;
		if (lfs_lsn(site->group->lfs).durable != admitted + 1)
			fail_msg("allocation %u: closed %d, data %d, refused \"%s\"", n,
				 site->closed, data != NULL, site->refused);
		if (data)
			conn_close(data);
		data = NULL;
	}
	assert_true(n > 5 && n < FAILURES_MAX);
}

int main(void)
{
#define TEST(f, up, down) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
		TEST(clients_of_a_primary_alone, alone_up, alone_down),
		TEST(clients_of_a_primary_that_streams, streaming_up, alone_down),
		TEST(a_mirror_follows_when_there_is_memory, mirror_up, mirror_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
