// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <libnbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "replicator/group.h"
#include "rt/check.h"
#include "tests/unit/nbd-server/live/fake_group.h"
#include "tests/unit/nbd-server/live/live.h"
#include "tests/unit/unit.h"

/* libnbd as the client: what a library that others wrote makes of our server. */

#define SMALL (1u << 20) /* the part of the volume that random work is done on */

static int setup(void **state)
{
	*state = live_start(NULL);
	return 0;
}

static int teardown(void **state)
{
	live_end(*state);
	return 0;
}

static struct nbd_handle *client_new(void)
{
	struct nbd_handle *nbd = nbd_create();

	assert_non_null(nbd);
	/* The library must not refuse for us what the server is to refuse. */
	assert_int_equal(nbd_set_strict_mode(nbd, 0), 0);
	return nbd;
}

static struct nbd_handle *client_open(struct live *live, const char *name)
{
	struct nbd_handle *nbd = client_new();

	assert_int_equal(nbd_set_export_name(nbd, name), 0);
	if (nbd_connect_unix(nbd, live_socket(live)) != 0)
		fail_msg("%s", nbd_get_error());
	return nbd;
}

static void client_close(struct nbd_handle *nbd)
{
	assert_int_equal(nbd_shutdown(nbd, 0), 0);
	nbd_close(nbd);
}

/* What a client may plan with, as the library understands it. */
static void export_says_what_it_can(void **state)
{
	struct nbd_handle *nbd = client_open(*state, "vol1");

	assert_int_equal(nbd_get_size(nbd), LIVE_SIZE);
	assert_int_equal(nbd_is_read_only(nbd), 0);
	assert_int_equal(nbd_can_flush(nbd), 1);
	assert_int_equal(nbd_can_fua(nbd), 1);
	assert_int_equal(nbd_can_trim(nbd), 1);
	assert_int_equal(nbd_can_zero(nbd), 1);
	assert_int_equal(nbd_can_fast_zero(nbd), 1);
	assert_int_equal(nbd_can_multi_conn(nbd), 1);
	assert_int_equal(nbd_can_cache(nbd), 0);
	assert_int_equal(nbd_can_df(nbd), 0);
	assert_int_equal(nbd_get_block_size(nbd, LIBNBD_SIZE_MINIMUM), 1);
	assert_int_equal(nbd_get_block_size(nbd, LIBNBD_SIZE_PREFERRED), 4096);
	assert_int_equal(nbd_get_block_size(nbd, LIBNBD_SIZE_MAXIMUM), 32 << 20);
	assert_string_equal(nbd_get_protocol(nbd), "newstyle-fixed");
	client_close(nbd);
}

/*
 * Random writes, zeroes and trims of any alignment and length, each read back: the bytes
 * of a request land at its offset, and none beside it.
 */
static void any_alignment_goes_round(void **state)
{
	struct nbd_handle *nbd = client_open(*state, "vol0");
	uint8_t *shadow = calloc(1, SMALL);
	uint8_t *buf = malloc(SMALL);
	unsigned seed = 20090228;

	print_message("seed=%u\n", seed);
	for (int i = 0; i < 400; i++) {
		uint64_t offset = (uint64_t)rand_r(&seed) % SMALL;
		size_t max = i % 4 == 0 ? SMALL - offset : 9000;
		size_t len = 1 + (size_t)rand_r(&seed) % max;
		int err;

		if (len > SMALL - offset)
			len = SMALL - offset;
		for (size_t j = 0; j < len; j++)
			buf[j] = (uint8_t)rand_r(&seed);
		switch (rand_r(&seed) % 4) {
		case 0:
			err = nbd_zero(nbd, len, offset, 0);
			memset(shadow + offset, 0, len);
			break;
		case 1:
			err = nbd_trim(nbd, len, offset, LIBNBD_CMD_FLAG_FUA);
			memset(shadow + offset, 0, len);
			break;
		default:
			err = nbd_pwrite(nbd, buf, len, offset, 0);
			memcpy(shadow + offset, buf, len);
		}
		assert_int_equal(err, 0);
		offset = (uint64_t)rand_r(&seed) % SMALL;
		len = 1 + (size_t)rand_r(&seed) % (SMALL - offset);
		assert_int_equal(nbd_pread(nbd, buf, len, offset, 0), 0);
		assert_memory_equal(buf, shadow + offset, len);
	}
	assert_int_equal(nbd_flush(nbd, 0), 0);
	client_close(nbd);
	free(shadow);
	free(buf);
}

/* The longest request, also where it touches a block more than its length has. */
static void longest_requests_go_round(void **state)
{
	static const uint64_t offsets[] = { 0, 4096, 4095, 1, LIVE_SIZE - (32u << 20) };
	struct nbd_handle *nbd = client_open(*state, "vol0");
	uint8_t *out = malloc(32u << 20);
	uint8_t *in = malloc(32u << 20);

	for (size_t i = 0; i < RT_ARRAY_LEN(offsets); i++) {
		memset(out, (int)i + 1, 32u << 20);
		out[0] = 0xf0;
		out[(32u << 20) - 1] = 0xf1;
		assert_int_equal(nbd_pwrite(nbd, out, 32u << 20, offsets[i], 0), 0);
		assert_int_equal(nbd_pread(nbd, in, 32u << 20, offsets[i], 0), 0);
		assert_memory_equal(in, out, 32u << 20);
	}
	client_close(nbd);
	live_wait_for((struct live *)*state, memory, 0);
	free(out);
	free(in);
}

struct many {
	unsigned done;
	unsigned failed;
};

static int many_done(void *user_data, int *error)
{
	struct many *many = user_data;

	many->done++;
	if (*error)
		many->failed++;
	return 1;
}

/*
 * More requests than may be in flight, over several connections, in all sizes: every one
 * is answered once, and what was written is there.
 */
static void many_in_flight(void **state)
{
	enum { CONNS = 4, EACH = 700, LEN_MAX = 70000 };
	struct nbd_handle *nbd[CONNS];
	struct many many = { 0, 0 };
	uint8_t *data = malloc(EACH * 512 + LEN_MAX);
	uint8_t *check = malloc(LEN_MAX);

	for (size_t i = 0; i < EACH * 512 + LEN_MAX; i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	for (int c = 0; c < CONNS; c++)
		nbd[c] = client_open(*state, "vol2");
	for (int i = 0; i < EACH; i++) {
		for (int c = 0; c < CONNS; c++) {
			nbd_completion_callback cb = { many_done, &many, NULL };
			size_t len = i % 10 == 9 ? LEN_MAX : 512;
			uint64_t at = (uint64_t)c * (16u << 20) + (uint64_t)i * 512;

			if (nbd_aio_pwrite(nbd[c], data + (size_t)i * 512, len, at, cb,
					   0) < 0)
				fail_msg("%s", nbd_get_error());
		}
	}
	while (many.done < CONNS * EACH)
		for (int c = 0; c < CONNS; c++)
			assert_true(nbd_poll(nbd[c], c == 0 ? 1 : 0) >= 0);
	assert_int_equal(many.failed, 0);
	for (int c = 0; c < CONNS; c++) {
		/* Any connection sees what was answered on any other. */
		for (int i = 0; i < EACH; i += 9) {
			assert_int_equal(
				nbd_pread(nbd[CONNS - 1 - c], check, 512,
					  (uint64_t)c * (16u << 20) + (uint64_t)i * 512,
					  0),
				0);
			assert_memory_equal(check, data + (size_t)i * 512, 512);
		}
	}
	for (int c = 0; c < CONNS; c++)
		client_close(nbd[c]);
	live_wait_for((struct live *)*state, inflight, 0);
	free(data);
	free(check);
}

/* A mirror's image says that it is read-only, and holds to it. */
static void mirror_is_read_only(void **state)
{
	struct live *live = *state;
	struct nbd_handle *nbd;
	char buf[512] = "x";

	live_set(live, true, true);
	nbd = client_open(live, "vol0");
	assert_int_equal(nbd_is_read_only(nbd), 1);
	assert_int_equal(nbd_can_trim(nbd), 0);
	assert_int_equal(nbd_can_multi_conn(nbd), 1);
	assert_int_equal(nbd_pwrite(nbd, buf, sizeof(buf), 0, 0), -1);
	assert_int_equal(nbd_get_errno(), EPERM);
	assert_int_equal(nbd_pread(nbd, buf, sizeof(buf), 0, 0), 0);
	assert_int_equal(nbd_flush(nbd, 0), 0);
	client_close(nbd);
}

static int64_t clock_ms(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/*
 * While a group is starting, who asks for its exports waits; where it takes too long it is
 * refused, and negotiation goes on.
 */
static void group_that_does_not_serve_is_waited_for(void **state)
{
	const struct nbds_limits limits = { .handshake_ms = 2000 };
	struct live *live = live_start(&limits);
	struct nbd_handle *nbd = client_new();
	int64_t began;

	live_set(live, false, false);
	assert_int_equal(nbd_set_export_name(nbd, "vol0"), 0);
	assert_int_equal(nbd_set_opt_mode(nbd, true), 0);
	began = clock_ms();
	assert_int_equal(nbd_connect_unix(nbd, live_socket(live)), 0);
	assert_int_equal(nbd_opt_go(nbd), -1);
	assert_true(clock_ms() - began >= limits.handshake_ms / 2);
	live_set(live, true, false);
	assert_int_equal(nbd_opt_go(nbd), 0);
	client_close(nbd);
	live_set(live, false, false);
	nbd = client_new();
	assert_int_equal(nbd_set_export_name(nbd, "vol0"), 0);
	assert_true(nbd_aio_connect_unix(nbd, live_socket(live)) >= 0);
	live_wait_for(live, connections, 1);
	live_set(live, true, false);
	while (nbd_aio_is_connecting(nbd))
		assert_true(nbd_poll(nbd, LIVE_WAIT_MS) > 0);
	assert_int_equal(nbd_aio_is_ready(nbd), 1);
	client_close(nbd);
	live_end(live);
}

#define LIST_NAMES_SIZE 64

static int list_seen(void *user_data, const char *name, const char *description)
{
	char *names = user_data;
	size_t len = strlen(names);

	(void)snprintf(names + len, LIST_NAMES_SIZE - len, "%s", name);
	return 0;
}

/* LIST, INFO of one, ABORT: a look around without opening anything. */
static void list_and_leave(void **state)
{
	struct nbd_handle *nbd = client_new();
	char names[LIST_NAMES_SIZE] = "";
	nbd_list_callback cb = { list_seen, names, NULL };

	assert_int_equal(nbd_set_opt_mode(nbd, true), 0);
	assert_int_equal(nbd_connect_unix(nbd, live_socket(*state)), 0);
	for (int twice = 0; twice < 2; twice++) {
		names[0] = 0;
		assert_int_equal(nbd_opt_list(nbd, cb), 6);
		assert_string_equal(names, "vol0vol1vol2vol3vol4vol5");
	}
	assert_int_equal(nbd_set_export_name(nbd, "vol9"), 0);
	assert_int_equal(nbd_opt_info(nbd), -1);
	/* Six volumes: no default. */
	assert_int_equal(nbd_set_export_name(nbd, ""), 0);
	assert_int_equal(nbd_opt_info(nbd), -1);
	assert_int_equal(nbd_set_full_info(nbd, true), 0);
	assert_int_equal(nbd_set_export_name(nbd, "vol2"), 0);
	assert_int_equal(nbd_opt_info(nbd), 0);
	assert_int_equal(nbd_get_size(nbd), LIVE_SIZE);
	assert_int_equal(nbd_set_export_name(nbd, "vol4"), 0);
	assert_int_equal(nbd_opt_info(nbd), 0);
	assert_int_equal(nbd_get_size(nbd), LIVE_OTHER_SIZE);
	assert_int_equal(nbd_opt_abort(nbd), 0);
	nbd_close(nbd);
	live_wait_for((struct live *)*state, connections, 0);
}

/* Clients of before GO, with the zeroes and without. */
static void old_clients_get_in(void **state)
{
	for (uint32_t flags = 0; flags < 4; flags++) {
		struct nbd_handle *nbd = client_new();
		char buf[1024];

		assert_int_equal(nbd_set_handshake_flags(nbd, flags), 0);
		assert_int_equal(nbd_set_export_name(nbd, "vol0"), 0);
		assert_int_equal(nbd_connect_unix(nbd, live_socket(*state)), 0);
		assert_int_equal(nbd_get_size(nbd), LIVE_SIZE);
		assert_int_equal(nbd_pread(nbd, buf, sizeof(buf), 512, 0), 0);
		client_close(nbd);
	}
}

/* The same answers over every way in. */
static void tcp_of_both_families(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct nbd_handle *nbd = client_new();
		char port[16], buf[100] = "over tcp", back[100];

		(void)snprintf(port, sizeof(port), "%u", live_port(*state, v6));
		assert_int_equal(nbd_set_export_name(nbd, "vol0"), 0);
		if (nbd_connect_tcp(nbd, v6 ? "::1" : "127.0.0.1", port) != 0) {
			if (!v6)
				fail_msg("%s", nbd_get_error());
			print_message("skipped v6: %s\n", nbd_get_error());
			nbd_close(nbd);
			continue;
		}
		assert_int_equal(nbd_pwrite(nbd, buf, sizeof(buf), 77, 0), 0);
		assert_int_equal(nbd_pread(nbd, back, sizeof(back), 77, 0), 0);
		assert_memory_equal(buf, back, sizeof(buf));
		client_close(nbd);
	}
}

struct fds {
	int in, out;
	int err;
	_Atomic bool ended;
};

static void fds_ended(void *owner)
{
	((struct fds *)owner)->ended = true;
}

static void fds_serve(struct live *live, void *arg)
{
	struct fds *fds = arg;

	fds->err = nbds_server_serve_fds(live_server(live), fds->in, fds->out, fds_ended,
					 fds);
}

/* A single connection on two descriptors (-s), as other test suites start a server. */
static void connection_on_descriptors(void **state)
{
	struct nbd_handle *nbd = client_new();
	struct fds fds = { 0 };
	char buf[5000], back[5000];
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fds.in = pair[1];
	fds.out = dup(pair[1]);
	live_call(*state, fds_serve, &fds);
	assert_int_equal(fds.err, 0);
	assert_int_equal(nbd_set_export_name(nbd, "vol0"), 0);
	assert_int_equal(nbd_connect_socket(nbd, pair[0]), 0);
	memset(buf, 0x11, sizeof(buf));
	assert_int_equal(nbd_pwrite(nbd, buf, sizeof(buf), 4000, 0), 0);
	assert_int_equal(nbd_pread(nbd, back, sizeof(back), 4000, 0), 0);
	assert_memory_equal(buf, back, sizeof(buf));
	assert_false(fds.ended);
	client_close(nbd);
	live_wait_for((struct live *)*state, connections, 0);
	assert_true(fds.ended);
}

/* Flags reach the group, and only where they mean something. */
static void flags_reach_the_group(void **state)
{
	struct live *live = *state;
	struct nbd_handle *nbd = client_open(live, "vol0");
	struct group *group = live_group(live);
	char buf[16] = "";

	/* The loop is idle when a request has been answered, so this look is safe. */
	assert_int_equal(nbd_pwrite(nbd, buf, 16, 0, 0), 0);
	assert_int_equal(fake_group_last_flags(group), 0);
	assert_int_equal(nbd_zero(nbd, 16, 0,
				  LIBNBD_CMD_FLAG_NO_HOLE | LIBNBD_CMD_FLAG_FAST_ZERO),
			 0);
	assert_int_equal(fake_group_last_flags(group), GROUP_NO_HOLE | GROUP_FAST_ZERO);
	assert_int_equal(nbd_zero(nbd, 16, 0, LIBNBD_CMD_FLAG_NO_HOLE), 0);
	assert_int_equal(fake_group_last_flags(group), GROUP_NO_HOLE);
	assert_int_equal(nbd_pread(nbd, buf, 16, 0, LIBNBD_CMD_FLAG_FUA), 0);
	assert_int_equal(fake_group_last_flags(group), 0);
	assert_int_equal(nbd_pwrite(nbd, buf, 16, 0, LIBNBD_CMD_FLAG_FUA), 0);
	assert_int_equal(fake_group_last_flags(group), GROUP_FUA);
	client_close(nbd);
}

/*
 * A group lets a client's writes go before its mirror has them only if that client flushes:
 * each connection shows it for itself, by a FLUSH or by a change with FUA.
 */
static void who_has_flushed_is_told_from_who_has_not(void **state)
{
	struct live *live = *state;
	struct nbd_handle *flushes = client_open(live, "vol0");
	struct nbd_handle *fua = client_open(live, "vol0");
	struct nbd_handle *neither = client_open(live, "vol0");
	struct group *group = live_group(live);
	char buf[16] = "";

	assert_int_equal(nbd_pwrite(flushes, buf, 16, 0, 0), 0);
	assert_int_equal(fake_group_last_flags(group), 0);
	assert_int_equal(nbd_flush(flushes, 0), 0);
	assert_int_equal(fake_group_last_flags(group), 0);
	assert_int_equal(nbd_pwrite(flushes, buf, 16, 0, 0), 0);
	assert_int_equal(fake_group_last_flags(group), GROUP_CLIENT_FLUSHES);
	assert_int_equal(nbd_pwrite(flushes, buf, 16, 0, LIBNBD_CMD_FLAG_FUA), 0);
	assert_int_equal(fake_group_last_flags(group), GROUP_CLIENT_FLUSHES | GROUP_FUA);

	assert_int_equal(nbd_zero(fua, 16, 0, LIBNBD_CMD_FLAG_FUA), 0);
	assert_int_equal(fake_group_last_flags(group), GROUP_FUA);
	assert_int_equal(nbd_trim(fua, 16, 0, 0), 0);
	assert_int_equal(fake_group_last_flags(group), GROUP_CLIENT_FLUSHES);

	/* FUA on a read says nothing of writes; nor does what another one has sent. */
	assert_int_equal(nbd_pread(neither, buf, 16, 0, LIBNBD_CMD_FLAG_FUA), 0);
	assert_int_equal(nbd_pwrite(neither, buf, 16, 0, 0), 0);
	assert_int_equal(fake_group_last_flags(group), 0);
	client_close(flushes);
	client_close(fua);
	client_close(neither);
}

/* What a group says is what the client hears; the connection survives every error. */
static void errors_of_the_group_reach_the_client(void **state)
{
	static const struct {
		int res, err;
	} cases[] = {
		{ -EIO, EIO },	   { -EBADMSG, EIO },	{ -ENOSPC, ENOSPC },
		{ -EPERM, EPERM }, { -ENOMEM, ENOMEM }, { -ESHUTDOWN, ESHUTDOWN },
	};
	struct live *live = *state;
	struct nbd_handle *nbd = client_open(live, "vol0");
	char buf[8192] = "";

	for (size_t i = 0; i < RT_ARRAY_LEN(cases); i++) {
		live_fail(live, cases[i].res);
		assert_int_equal(nbd_pwrite(nbd, buf, sizeof(buf), 1, 0), -1);
		assert_int_equal(nbd_get_errno(), cases[i].err);
		assert_int_equal(nbd_pread(nbd, buf, sizeof(buf), 1, 0), -1);
		assert_int_equal(nbd_get_errno(), cases[i].err);
		assert_int_equal(nbd_flush(nbd, 0), -1);
		assert_int_equal(nbd_get_errno(), cases[i].err);
	}
	live_fail(live, 0);
	assert_int_equal(nbd_pread(nbd, buf, sizeof(buf), 1, 0), 0);
	client_close(nbd);
}

/* Refusals of our own: the errors of the table in docs/nbd.md, seen from outside. */
static void requests_beyond_the_end(void **state)
{
	struct nbd_handle *nbd = client_open(*state, "vol0");
	char buf[8192] = "";

	assert_int_equal(nbd_pwrite(nbd, buf, 2, LIVE_SIZE - 1, 0), -1);
	assert_int_equal(nbd_get_errno(), ENOSPC);
	assert_int_equal(nbd_zero(nbd, 2, LIVE_SIZE - 1, 0), -1);
	assert_int_equal(nbd_get_errno(), ENOSPC);
	assert_int_equal(nbd_pread(nbd, buf, 2, LIVE_SIZE - 1, 0), -1);
	assert_int_equal(nbd_get_errno(), EINVAL);
	assert_int_equal(nbd_trim(nbd, 2, LIVE_SIZE - 1, 0), -1);
	assert_int_equal(nbd_get_errno(), EINVAL);
	assert_int_equal(nbd_pwrite(nbd, buf, 1, LIVE_SIZE - 1, 0), 0);
	assert_int_equal(nbd_pread(nbd, buf, 1, LIVE_SIZE - 1, 0), 0);
	client_close(nbd);
}

/* ---- who is there ------------------------------------------------------------------ */

struct who {
	struct nbds_attached list[2];
	char client[2][64], export[2][64];
	unsigned n;
};

static void ask_who(struct live *live, void *arg)
{
	struct who *who = arg;

	who->n = nbds_server_attached(live_server(live), who->list, 2);
	for (unsigned i = 0; i < who->n && i < 2; i++) {
		(void)snprintf(who->client[i], 64, "%s", who->list[i].client);
		(void)snprintf(who->export[i], 64, "%s", who->list[i].export);
	}
}

/* Before a switchover a person must know whose writes will fail. */
static void who_is_attached_is_known(void **state)
{
	struct live *live = *state;
	struct nbd_handle *one, *two = client_new(), *three;
	int fd = raw_connect(live); /* it has no export yet */
	struct who who;
	char port[8];

	live_call(live, ask_who, &who);
	assert_int_equal(who.n, 0);
	one = client_open(live, "vol1");
	(void)snprintf(port, sizeof(port), "%u", live_port(live, false));
	assert_int_equal(nbd_set_export_name(two, "vol0"), 0);
	assert_int_equal(nbd_connect_tcp(two, "127.0.0.1", port), 0);
	live_call(live, ask_who, &who);
	assert_int_equal(who.n, 2);
	assert_string_equal(who.client[0], "unix");
	assert_string_equal(who.export[0], "vol1");
	assert_int_equal(who.list[0].read_only, nbd_is_read_only(one) == 1);
	assert_memory_equal(who.client[1], "127.0.0.1:", 10);
	assert_string_equal(who.export[1], "vol0");
	assert_int_equal(who.list[1].read_only, nbd_is_read_only(two) == 1);
	three = client_open(live, "vol0");
	live_call(live, ask_who, &who);
	assert_int_equal(who.n, 3); /* and two of them are listed */
	client_close(three);
	client_close(one);
	live_wait_for(live, connections, 2);
	live_call(live, ask_who, &who);
	assert_int_equal(who.n, 1);
	assert_string_equal(who.export[0], "vol0");
	client_close(two);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define LIVE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		LIVE_TEST(export_says_what_it_can),
		LIVE_TEST(any_alignment_goes_round),
		LIVE_TEST(longest_requests_go_round),
		LIVE_TEST(many_in_flight),
		LIVE_TEST(mirror_is_read_only),
		LIVE_TEST(who_is_attached_is_known),
		cmocka_unit_test(group_that_does_not_serve_is_waited_for),
		LIVE_TEST(list_and_leave),
		LIVE_TEST(old_clients_get_in),
		LIVE_TEST(tcp_of_both_families),
		LIVE_TEST(connection_on_descriptors),
		LIVE_TEST(flags_reach_the_group),
		LIVE_TEST(who_has_flushed_is_told_from_who_has_not),
		LIVE_TEST(errors_of_the_group_reach_the_client),
		LIVE_TEST(requests_beyond_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
