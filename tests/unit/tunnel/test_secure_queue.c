// SPDX-License-Identifier: BSD-3-Clause
/*
 * What waits on one side of TLS. Protects: bytes come out in the order in which they went
 * in, each once, wherever the queue stands when it grows or moves; one byte in the wrong
 * place ends the session. A put that fails takes nothing.
 */
#include <errno.h>
#include <string.h>

#include "replicator/tunnel/secure.h"
#include "replicator/tunnel/secure_queue.h"
#include "tests/unit/alloc.h"
#include "tests/unit/unit.h"

struct stream {
	struct secure_queue q;
	size_t put, taken; /* bytes since the beginning */
};

static uint8_t bytes[SECURE_QUEUE_MAX + 1];

/* The byte at this place of the stream; no two pieces of it are alike for long. */
static uint8_t stream_byte(size_t at)
{
	return (uint8_t)(at * 7 + at / 251);
}

static int stream_put(struct stream *s, size_t len)
{
	int res;

	for (size_t i = 0; i < len; i++)
		bytes[i] = stream_byte(s->put + i);
	res = secure_queue_put(&s->q, bytes, len);
	if (res == 0)
		s->put += len;
	assert_int_equal(secure_queue_len(&s->q), s->put - s->taken);
	return res;
}

static void stream_take(struct stream *s, size_t size)
{
	size_t have = s->put - s->taken, len = secure_queue_take(&s->q, bytes, size);

	assert_int_equal(len, size < have ? size : have);
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != stream_byte(s->taken + i))
			fail_msg("byte %zu, behind %zu that were put", s->taken + i,
				 s->put);
	s->taken += len;
	assert_int_equal(secure_queue_len(&s->q), s->put - s->taken);
}

static void stream_end(struct stream *s)
{
	stream_take(s, SECURE_QUEUE_MAX);
	assert_int_equal(s->taken, s->put);
	assert_int_equal(secure_queue_take(&s->q, bytes, 1), 0);
	secure_queue_release(&s->q);
	assert_int_equal(held, 0);
}

/* From nothing taken to all of it; from what still fits to what asks for twice the room. */
static void bytes_stay_in_order_when_part_of_them_is_taken(void **state)
{
	static const size_t lens[] = { 1, 3000, 4000, 4096, 4097, 9000, 70000 };

	for (size_t first = 0; first < sizeof(lens) / sizeof(*lens); first++)
		for (size_t then = 0; then < sizeof(lens) / sizeof(*lens); then++)
			for (size_t quarters = 0; quarters <= 4; quarters++) {
				struct stream s = { 0 };

				assert_int_equal(stream_put(&s, lens[first]), 0);
				stream_take(&s, lens[first] * quarters / 4);
				assert_int_equal(stream_put(&s, lens[then]), 0);
				stream_take(&s, lens[then] / 3);
				assert_int_equal(stream_put(&s, lens[first]), 0);
				stream_end(&s);
			}
}

/* The room that was given back does not count: the bound is of the bytes that wait. */
static void a_put_that_fails_takes_nothing(void **state)
{
	struct stream s = { 0 };

	assert_int_equal(stream_put(&s, SECURE_QUEUE_MAX + 1), -ENOBUFS);
	assert_int_equal(stream_put(&s, SECURE_QUEUE_MAX), 0);
	assert_int_equal(stream_put(&s, 1), -ENOBUFS);
	stream_take(&s, 1000);
	assert_int_equal(stream_put(&s, 1001), -ENOBUFS);
	assert_int_equal(stream_put(&s, 1000), 0);
	stream_end(&s);
	s = (struct stream){ 0 };
	for (unsigned i = 0; i < 2; i++) {
		asked = 0;
		fail_at = 1;
		assert_int_equal(stream_put(&s, 5000 + 5000 * i), -ENOMEM);
		fail_at = 0;
		assert_int_equal(stream_put(&s, 5000 + 5000 * i), 0);
		stream_take(&s, 2000);
	}
	stream_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_stay_in_order_when_part_of_them_is_taken),
		cmocka_unit_test(a_put_that_fails_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
