// SPDX-License-Identifier: BSD-3-Clause
/*
 * No key stays in freed memory: whoever reads that later (a core, a swap file, another
 * object with uninitialised bytes) must not open what was recorded on the path. Each free is
 * looked at on its way (rules.mk wraps rt_free()).
 */
#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "replicator/tunnel/edge_relay.h"
#include "replicator/tunnel/io.h"
#include "replicator/tunnel/seal.h"
#include "replicator/tunnel/secure.h"
#include "rt/loop.h"
#include "rt/mem.h"
#include "tests/unit/tunnel/pair.h"

#define KEY_LEN 32
#define PIECE 8 /* bytes of it in a row are found */

static const uint8_t key[KEY_LEN] = "what nobody must find afterwards";
static unsigned frees, found;

void __real_rt_free(void *p);
void __wrap_rt_free(void *p);

static bool holds_key(const uint8_t *bytes, size_t len)
{
	for (size_t k = 0; k < KEY_LEN; k += PIECE)
		if (memmem(bytes, len, key + k, PIECE) != NULL)
			return true;
	return false;
}

void __wrap_rt_free(void *p)
{
	if (p != NULL) {
		frees++;
		found += holds_key(p, malloc_usable_size(p));
	}
	__real_rt_free(p);
}

static int nothing_found(void **state)
{
	frees = found = 0;
	return 0;
}

static void what_is_not_wiped_is_found(void **state)
{
	uint8_t *bytes = rt_zalloc(1, 1000);

	assert_non_null(bytes);
	memcpy(bytes + 500, key + 8, PIECE);
	rt_free(bytes);
	assert_int_equal(found, 1);
}

static void a_seal_is_wiped(void **state)
{
	uint8_t bytes[100 + SEAL_TAG] = { 0 };
	struct seal_text text = { bytes, 20, bytes + 20, 80 };
	struct seal *s;

	assert_int_equal(seal_new(key, true, &s), 0);
	for (unsigned suite = 0; suite < SEAL_SUITES; suite++)
		assert_int_equal(seal_close(s, suite, 1, &text, bytes + 20), 0);
	seal_free(s);
	assert_true(frees > 0);
	assert_int_equal(found, 0);
}

static void a_tunnel_is_wiped(void **state)
{
	struct tunnel_params params = pair_params();
	struct tunnel *t;

	memcpy(params.secret, key, sizeof(params.secret));
	assert_int_equal(tunnel_new(&params, (rt_time){ RT_S }, &t), 0);
	tunnel_free(t);
	params.fec.code.window = FEC_WINDOW_MAX + 1; /* it fails, half made */
	assert_int_equal(tunnel_new(&params, (rt_time){ RT_S }, &t), -EINVAL);
	assert_true(frees > 0);
	assert_int_equal(found, 0);
}

static void io_changed(void *owner)
{
}

/* It has the key of the relay at the border, and so has its client. */
static void an_io_is_wiped(void **state)
{
	static const struct tunnel_io_events events = { io_changed };
	struct tunnel_params params = pair_params();
	struct rt_addr any;
	struct rt_loop *loop;
	struct tunnel_io *io;
	struct tunnel *t;

	assert_int_equal(rt_loop_new(&loop), 0);
	assert_int_equal(rt_addr_parse("udp:127.0.0.1:0", &any), 0);
	assert_int_equal(tunnel_new(&params, rt_now(loop), &t), 0);
	for (unsigned off = 0; off < 2; off++) {
		assert_int_equal(tunnel_io_new(loop, &any, &events, NULL, &io), 0);
		assert_int_equal(tunnel_io_set_edge(io, &any, key), 0);
		tunnel_io_attach(io, t, &any);
		if (off)
			assert_int_equal(tunnel_io_set_edge(io, NULL, NULL), 0);
		tunnel_io_free(io);
		assert_int_equal(rt_loop_run(loop), 0);
	}
	tunnel_free(t);
	rt_loop_free(loop);
	assert_int_equal(found, 0);
}

static void a_relay_is_wiped(void **state)
{
	struct edge_relay_params params = { 0 };
	struct edge_relay *relay, *second;
	struct rt_loop *loop;

	assert_int_equal(rt_loop_new(&loop), 0);
	assert_int_equal(rt_addr_parse("udp:127.0.0.1:0", &params.listen), 0);
	params.mirror = params.listen;
	memcpy(params.key, key, sizeof(params.key));
	assert_int_equal(edge_relay_new(loop, &params, &relay), 0);
	edge_relay_addr(relay, &params.listen);
	assert_int_equal(edge_relay_new(loop, &params, &second), -EADDRINUSE);
	edge_relay_free(relay, NULL);
	assert_int_equal(rt_loop_run(loop), 0);
	rt_loop_free(loop);
	assert_int_equal(found, 0);
}

static void a_connection_is_wiped(void **state)
{
	struct secure *s;

	assert_int_equal(secure_dial(SECURE_CONTROL, "db", key, &s), 0);
	secure_free(s);
	assert_int_equal(secure_accept("db", key, &s), 0);
	secure_free(s);
	assert_true(frees > 0);
	assert_int_equal(found, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_not_wiped_is_found, nothing_found),
		cmocka_unit_test_setup(a_seal_is_wiped, nothing_found),
		cmocka_unit_test_setup(a_tunnel_is_wiped, nothing_found),
		cmocka_unit_test_setup(an_io_is_wiped, nothing_found),
		cmocka_unit_test_setup(a_relay_is_wiped, nothing_found),
		cmocka_unit_test_setup(a_connection_is_wiped, nothing_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
