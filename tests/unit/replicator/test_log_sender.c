// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/replicator/forge.h"
#include "tests/unit/replicator/talk.h"

#include "rt/check.h"

/*
 * A mirror says how many frames it has received, and from that the primary knows up to
 * which LSN: that completes writes. Right to the frame, however many are in flight, also
 * past what the ring of frames begins with, while it grows, and after it has wrapped. What
 * the primary cannot read any more it says, instead of trying for ever.
 */

#define IN_FLIGHT 3000u /* the ring begins with 1024 and grows twice */

static struct group_request trims[IN_FLIGHT];
static unsigned completed;

static void trim_over(struct group_request *r, int res)
{
	assert_int_equal(res, 0);
	completed++;
}

static void trim(unsigned n)
{
	completed = 0;
	for (unsigned i = 0; i < n; i++) {
		trims[i] = (struct group_request){
			.kind = GROUP_TRIM,
			.volume = group_volume_at(site->group, i & 1),
			.offset = (uint64_t)(i / 2 % 256) * GROUP_BLOCK,
			.len = GROUP_BLOCK,
			.done = trim_over,
		};
		group_submit(&trims[i]);
	}
}

static void network_tcp(struct group_config *config)
{
	tcp_peer(config);
	config->sync = GROUP_NETWORK;
	config->store_size = 256u << 20; /* each trim in flight counts for two leaves */
	config->on_disconnect = GROUP_STOP;
	config->open_timeout_ms = 0;
	for (unsigned i = 0; i < config->nvolumes; i++)
		config->volumes[i].sync = GROUP_NETWORK;
}

static int primary_up(void **state)
{
	site_tweak = network_tcp;
	site_set_up(state, GROUP_PRIMARY, true);
	meet();
	say('M');
	SITE_UNTIL(site, group_serving(site->group));
	return 0;
}

static uint64_t received(void)
{
	static struct group_status status;

	group_status(site->group, &status);
	assert_int_equal(status.lsn.onwire, status.lsn.received); /* over TCP */
	return status.lsn.received;
}

/* All in flight at once; then the mirror takes them in steps around each power of two. */
static void in_flight_and_taken(unsigned already, uint64_t lsn)
{
	static const unsigned steps[] = { 1,	2,    1022, 1023, 1024, 1025,
					  2046, 2047, 2048, 2049, 2999, IN_FLIGHT };

	trim(IN_FLIGHT);
	SITE_UNTIL(site, frames_received == already + IN_FLIGHT);
	assert_int_equal(received(), lsn);
	assert_int_equal(completed, 0);
	for (size_t i = 0; i < RT_ARRAY_LEN(steps); i++) {
		progress(already + steps[i], 0);
		SITE_UNTIL(site, received() != lsn + (i ? steps[i - 1] : 0));
		assert_int_equal(received(), lsn + steps[i]);
		SITE_UNTIL(site, completed >= steps[i]);
		assert_int_equal(completed, steps[i]);
	}
}

static void each_frame_counts_for_its_own_lsn(void **state)
{
	uint64_t lsn = lfs_lsn(site->group->lfs).admitted;

	stream();
	in_flight_and_taken(0, lsn);
	in_flight_and_taken(IN_FLIGHT, lsn + IN_FLIGHT);
}

/* The ring grows while its first frame stands in its middle, and the last at its end. */
static void a_ring_that_has_wrapped_grows(void **state)
{
	uint64_t lsn = lfs_lsn(site->group->lfs).admitted;

	stream();
	trim(700);
	SITE_UNTIL(site, frames_received == 700);
	progress(700, 0);
	SITE_UNTIL(site, completed == 700);
	in_flight_and_taken(700, lsn + 700);
}

/* They belong to one connection: what the next one may still have to send counts again. */
static void what_was_received_counts_no_more_without_its_transport(void **state)
{
	uint64_t lsn = lfs_lsn(site->group->lfs).admitted;

	stream();
	trim(2);
	SITE_UNTIL(site, frames_received == 2);
	progress(2, lsn);
	SITE_UNTIL(site, completed == 2);
	assert_int_equal(received(), lsn + 2);
	conn_close(data);
	data = NULL;
	SITE_UNTIL(site, !site->group->session->transport);
	SITE_UNTIL(site, received() == lsn);
}

static void short_away(struct group_config *config)
{
	network_tcp(config);
	config->away_ms = 200;
}

static int short_away_up(void **state)
{
	site_tweak = short_away;
	site_set_up(state, GROUP_PRIMARY, true);
	meet();
	say('M');
	SITE_UNTIL(site, group_serving(site->group));
	return 0;
}

static bool holds_since(const char *why)
{
	static struct group_status status;

	group_status(site->group, &status);
	return status.state == GROUP_HOLDING && strstr(status.why, why);
}

/* The connections are there, and nothing answers on the path of the data. */
static void a_path_that_proves_nothing_times_out(void **state)
{
	stream();
	SITE_UNTIL(site, session_path_serves(site->group->session));
	SITE_UNTIL(site, holds_since("the mirror has timed out"));
	assert_true(session_streaming(site->group->session));
}

static int64_t silent_ms(void)
{
	static struct group_status status;

	group_status(site->group, &status);
	return (int64_t)(status.last_received_s * 1000);
}

/* It dies with data that it had received, and not persisted: its disk is not the reason. */
static void a_mirror_that_dies_has_timed_out(void **state)
{
	uint64_t lsn = lfs_lsn(site->group->lfs).admitted;

	stream();
	trim(1);
	SITE_UNTIL(site, frames_received == 1);
	progress(1, lsn);
	SITE_UNTIL(site, completed == 1);
	conn_close(data);
	data = NULL;
	conn_close(site->conn);
	site->conn = NULL;
	/* As long as with a disk that hangs, `persisted` has stood still. */
	SITE_UNTIL(site, peer_watch_stuck(&site->group->watch, 200 * RT_MS,
					  rt_now(site->loop)));
	SITE_UNTIL(site, peer_watch_timed_out(&site->group->watch));
	assert_true(holds_since("the mirror has timed out"));
	assert_true(holds_since("start the mirror, or mend the path to it"));
	/* It is without a transport, and still known since when. */
	SITE_UNTIL(site, !site->group->session->transport);
	assert_in_range(silent_ms(), 200, 20000);
}

/* Its disk hangs, or it refuses all: what it has received is no second copy. */
static void what_a_stuck_mirror_receives_completes_nothing(void **state)
{
	uint64_t lsn = lfs_lsn(site->group->lfs).admitted;

	stream();
	trim(1);
	SITE_UNTIL(site, frames_received == 1);
	progress(1, lsn);
	SITE_UNTIL(site, completed == 1);
	SITE_UNTIL(site, (progress(1, lsn), holds_since("does not persist")));
	trim(1);
	SITE_UNTIL(site, frames_received == 2);
	progress(2, lsn);
	SITE_UNTIL(site, received() == lsn + 2);
	assert_int_equal(completed, 0);
	progress(2, lsn + 2);
	SITE_UNTIL(site, completed == 1);
}

static uint64_t hash_now;
static int64_t wall_began, wall_ended;

/* Of site_fill(), or the one that follows: a block full of its byte. */
static void frame_is_its_write(const uint8_t *frame, size_t len)
{
	const struct lfs_meta *meta = lfs_meta(site->group->lfs);
	uint64_t lsn = site->start.from_lsn + frames_received;
	bool filled = lsn <= SITE_LSNS;
	struct record_owned owned;
	const struct record *rec = &owned.rec;

	assert_int_equal(record_decode(frame, len, meta, &owned), 0);
	assert_int_equal(rec->lsn, lsn);
	assert_true(rec->epoch_id == lfs_epoch_of(meta, lsn)->id);
	if (frames_received > 0)
		assert_true(rec->hash_before == hash_now);
	hash_now = lfs_history_next(rec->hash_before, rec->epoch_id, rec->ops, rec->nops);
	if (filled) /* before this start */
		assert_int_equal(rec->wall_ns, site_wall_ns(lsn));
	else
		assert_in_range(rec->wall_ns, wall_began, wall_ended);
	assert_int_equal(rec->nops, 1);
	assert_int_equal(rec->ops[0].kind, LFS_WRITE);
	assert_int_equal(rec->ops[0].lba, filled ? lsn : 0);
	assert_int_equal(rec->ops[0].blocks, 1);
	for (unsigned i = 0; i < LFS_BLOCK; i++)
		assert_int_equal(rec->ops[0].data[i], filled ? lsn : 0x77);
	record_release(&owned);
}

static int local_up(void **state)
{
	frame_look = frame_is_its_write;
	return tcp_primary_up(state);
}

static int local_down(void **state)
{
	frame_look = NULL;
	return tcp_tear_down(state);
}

/*
 * From the log and from memory: the same record, which says when its write was admitted. A
 * mirror that catches up knows by it how old its image is.
 */
static void each_frame_is_its_write(void **state)
{
	struct lfs_position end;

	wall_began = rt_wall_ns(site->loop);
	assert_int_equal(request_once(GROUP_WRITE, 0), 0);
	wall_ended = rt_wall_ns(site->loop);
	SITE_UNTIL(site, rt_wall_ns(site->loop) > wall_ended + 10 * RT_MS);
	converse("Q"); /* it lacks the last two */
	say('Y');
	SITE_UNTIL(site, session_streaming(site->group->session));
	data_dial(site->start.tunnel_id);
	SITE_UNTIL(site, frames_received == 2);
	wall_began = rt_wall_ns(site->loop);
	wall_ended = INT64_MAX;
	assert_int_equal(request_once(GROUP_WRITE, 0), 0);
	SITE_UNTIL(site, frames_received == 3);
	lfs_position(site->group->lfs, &end);
	assert_true(hash_now == end.hash);
}

static void what_cannot_be_read_is_said(void **state)
{
	spoil(SITE_LSNS);
	converse("Q"); /* it lacks the last two */
	say('Y');
	SITE_UNTIL(site, session_streaming(site->group->session));
	data_dial(site->start.tunnel_id);
	SITE_UNTIL(site, site->refused[0]);
	assert_string_equal(site->refused, "the primary cannot read LSN 5 of its log");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, primary_up, tcp_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(each_frame_counts_for_its_own_lsn),
		TEST(a_ring_that_has_wrapped_grows),
		TEST(what_was_received_counts_no_more_without_its_transport),
		TEST(what_cannot_be_read_is_said),
		cmocka_unit_test_setup_teardown(each_frame_is_its_write, local_up,
						local_down),
		cmocka_unit_test_setup_teardown(a_path_that_proves_nothing_times_out,
						short_away_up, tcp_tear_down),
		cmocka_unit_test_setup_teardown(a_mirror_that_dies_has_timed_out,
						short_away_up, tcp_tear_down),
		cmocka_unit_test_setup_teardown(
			what_a_stuck_mirror_receives_completes_nothing, short_away_up,
			tcp_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
