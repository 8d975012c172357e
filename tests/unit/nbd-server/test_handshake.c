// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbd-server/handshake.h"
#include "nbd-server/protocol.h"
#include "rt/check.h"
#include "tests/unit/unit.h"

#define OUT_SIZE (2 * NBDS_HANDSHAKE_ROOM)

/* ---- a catalog --------------------------------------------------------------------- */

static unsigned catalog_late = UINT_MAX; /* "late" is there after so many looks */
static unsigned catalog_many;		 /* so many further names "v0", "v1", ... */

static const char *catalog_name(void *owner, unsigned i)
{
	static char text[32];

	if (i == 0)
		return "data";
	if (i == 1)
		return "late";
	if (i - 2 >= catalog_many)
		return NULL;
	(void)snprintf(text, sizeof(text), "v%u", i - 2);
	return text;
}

static int catalog_find(void *owner, const char *name, size_t len,
			struct nbds_export *ret)
{
	assert_true(len <= NBDS_NAME_MAX);
	if (len == 4 && memcmp(name, "late", 4) == 0) {
		if (catalog_late > 0) {
			catalog_late -= catalog_late < UINT_MAX;
			return -EAGAIN;
		}
	} else if (len != 0 && (len != 4 || memcmp(name, "data", 4) != 0)) {
		return -ENOENT;
	}
	*ret = (struct nbds_export){ 1 << 20, 0x0123, "data", NULL };
	return 0;
}

static const struct nbds_catalog catalog = { NULL, catalog_name, catalog_find };

/* ---- a conversation ---------------------------------------------------------------- */

/* Input and all output of one negotiation. */
struct talk {
	struct nbds_handshake hs;
	uint8_t in[64 << 10];
	size_t in_len;
	uint8_t out[256 << 10];
	size_t out_len;
	size_t used;
	unsigned waited, patience; /* how often it waits for "late" */
	int err;
};

static void talk_begin(struct talk *t)
{
	memset(t, 0, sizeof(*t));
	nbds_handshake_init(&t->hs, &catalog);
}

static void talk_add(struct talk *t, const void *p, size_t len)
{
	assert_true(t->in_len + len <= sizeof(t->in));
	memcpy(t->in + t->in_len, p, len);
	t->in_len += len;
}

static void talk_flags(struct talk *t, uint32_t flags)
{
	be32 b = be32_make(flags);

	talk_add(t, &b, sizeof(b));
}

static void talk_option(struct talk *t, uint32_t code, const void *data, uint32_t len)
{
	struct nbds_option_head head = { be64_make(NBDS_OPTION_MAGIC), be32_make(code),
					 be32_make(len) };

	talk_add(t, &head, sizeof(head));
	if (len > 0)
		talk_add(t, data, len);
}

/* INFO or GO for `name`, asking for the infos `types`. */
static void talk_go(struct talk *t, uint32_t code, const char *name,
		    const uint16_t *types, unsigned n)
{
	uint8_t data[4096];
	be32 len = be32_make((uint32_t)strlen(name));
	be16 count = be16_make((uint16_t)n);
	size_t at = 0;

	memcpy(data, &len, 4);
	at = 4;
	memcpy(data + at, name, strlen(name));
	at += strlen(name);
	memcpy(data + at, &count, 2);
	at += 2;
	for (unsigned i = 0; i < n; i++, at += 2) {
		be16 type = be16_make(types[i]);

		memcpy(data + at, &type, 2);
	}
	talk_option(t, code, data, (uint32_t)at);
}

static bool talk_is_over(const struct talk *t)
{
	return t->err || t->hs.state == NBDS_HS_DONE || t->hs.state == NBDS_HS_ABORTED;
}

/*
 * Hand over the input up to `end`, `piece` bytes more at a time, as a socket might bring
 * it; the buffer is exactly as long as its content, for the address sanitizer's sake.
 */
static void talk_run(struct talk *t, size_t end, size_t piece)
{
	size_t avail = t->used;

	do {
		struct nbds_handshake_io io = { .out = t->out + t->out_len,
						.out_size = OUT_SIZE };
		uint8_t *copy;

		avail = end - avail < piece ? end : avail + piece;
		do {
			io.in_len = avail - t->used;
			copy = malloc(io.in_len + 1);
			memcpy(copy + 1, t->in + t->used, io.in_len);
			io.in = copy + 1;
			io.out = t->out + t->out_len;
			assert_true(t->out_len + OUT_SIZE <= sizeof(t->out));
			t->err = nbds_handshake_run(&t->hs, &io);
			free(copy);
			t->used += io.in_used;
			t->out_len += io.out_len;
			if (t->hs.waiting) {
				t->waited++;
				t->hs.late = t->patience <= t->waited;
				continue;
			}
		} while (!talk_is_over(t) &&
			 (io.out_len > 0 || io.in_used > 0 || t->hs.waiting));
	} while (!talk_is_over(t) && avail < end);
}

/* ---- reading the answers ----------------------------------------------------------- */

struct answer {
	uint32_t option, type, len;
	const uint8_t *data;
};

static size_t answer_next(const struct talk *t, size_t at, struct answer *ret)
{
	const struct nbds_option_reply *r = (const void *)(t->out + at);

	assert_true(at + sizeof(*r) <= t->out_len);
	assert_int_equal(be64_get(r->magic), NBDS_OPTION_REPLY_MAGIC);
	ret->option = be32_get(r->option);
	ret->type = be32_get(r->type);
	ret->len = be32_get(r->len);
	ret->data = t->out + at + sizeof(*r);
	assert_true(at + sizeof(*r) + ret->len <= t->out_len);
	return at + sizeof(*r) + ret->len;
}

/* The type of the only answer behind the greeting. */
static uint32_t answer_only(const struct talk *t)
{
	struct answer a;

	assert_int_equal(answer_next(t, sizeof(struct nbds_greeting), &a), t->out_len);
	return a.type;
}

/* ---- tests ------------------------------------------------------------------------- */

/* The first bytes decide whether a client talks to us at all. */
static void greeting_is_fixed_newstyle(void **state)
{
	static const uint8_t bytes[18] = "NBDMAGICIHAVEOPT\0\3";
	struct talk t;

	talk_begin(&t);
	talk_run(&t, 0, 1);
	assert_int_equal(t.err, 0);
	assert_int_equal(t.out_len, sizeof(bytes));
	assert_memory_equal(t.out, bytes, sizeof(bytes));
	assert_int_equal(t.hs.state, NBDS_HS_FLAGS);
}

/* A flag that we did not offer means a protocol that we do not speak. */
static void unknown_client_flags_close(void **state)
{
	for (unsigned bit = 0; bit < 32; bit++) {
		struct talk t;

		talk_begin(&t);
		talk_flags(&t, 1u << bit);
		talk_run(&t, t.in_len, 64);
		assert_int_equal(t.err, bit < 2 ? 0 : -EPROTO);
	}
}

/* The whole of a usual negotiation, in pieces of every size: same answers, same end. */
static void go_in_pieces(void **state)
{
	static const uint16_t types[] = { NBDS_INFO_NAME, NBDS_INFO_BLOCK_SIZE, 999 };
	struct talk whole, t;

	talk_begin(&whole);
	talk_flags(&whole, 3);
	talk_option(&whole, NBDS_OPT_STRUCTURED_REPLY, NULL, 0);
	talk_option(&whole, 77, "unknown", 7);
	talk_option(&whole, NBDS_OPT_LIST, NULL, 0);
	talk_go(&whole, NBDS_OPT_INFO, "none", types, 3);
	talk_go(&whole, NBDS_OPT_GO, "late", types, 0);
	talk_go(&whole, NBDS_OPT_INFO, "data", types, 3);
	talk_go(&whole, NBDS_OPT_GO, "data", types, 3);
	talk_add(&whole, "request", 7);
	t = whole;
	talk_run(&whole, whole.in_len, whole.in_len);
	assert_int_equal(whole.err, 0);
	assert_int_equal(whole.hs.state, NBDS_HS_DONE);
	assert_int_equal(whole.in_len - whole.used, 7);
	assert_int_equal(whole.hs.chosen.size, 1 << 20);
	for (size_t piece = 1; piece < 70; piece++) {
		struct talk again = t;

		talk_run(&again, again.in_len, piece);
		assert_int_equal(again.err, 0);
		assert_int_equal(again.hs.state, NBDS_HS_DONE);
		assert_true(again.in_len - again.used <= 7 + piece);
		assert_int_equal(again.out_len, whole.out_len);
		assert_memory_equal(again.out, whole.out, whole.out_len);
	}
}

/* Stopping anywhere is never an end, an error, or an answer that was not asked for. */
static void every_truncation_waits(void **state)
{
	struct talk whole;
	size_t before = 0;

	talk_begin(&whole);
	talk_flags(&whole, 3);
	talk_option(&whole, 77, "unknown", 7);
	talk_go(&whole, NBDS_OPT_GO, "data", NULL, 0);
	for (size_t end = 0; end < whole.in_len; end++) {
		struct talk t = whole;

		talk_run(&t, end, end + 1);
		assert_int_equal(t.err, 0);
		assert_false(talk_is_over(&t));
		assert_true(t.out_len >= before);
		before = t.out_len;
	}
	talk_run(&whole, whole.in_len, whole.in_len);
	assert_int_equal(whole.hs.state, NBDS_HS_DONE);
}

/*
 * Who asks for an export that is not served yet waits, and nothing of the option is lost:
 * it is answered when the export is there, or refused when it has taken too long.
 */
static void early_clients_wait(void **state)
{
	static const uint32_t codes[] = { NBDS_OPT_GO, NBDS_OPT_INFO };
	struct talk t;

	for (size_t i = 0; i < RT_ARRAY_LEN(codes); i++) {
		talk_begin(&t);
		t.patience = 3;
		talk_flags(&t, 3);
		talk_go(&t, codes[i], "late", NULL, 0);
		talk_run(&t, t.in_len, t.in_len);
		assert_int_equal(t.err, 0);
		assert_int_equal(t.waited, 3);
		assert_int_equal(answer_only(&t), NBDS_REP_ERR_UNKNOWN);
		assert_int_equal(t.hs.state, NBDS_HS_OPTION);
		assert_int_equal(t.used, t.in_len);
	}
	catalog_late = 2;
	talk_begin(&t);
	t.patience = 10;
	talk_flags(&t, 0);
	talk_option(&t, NBDS_OPT_EXPORT_NAME, "late", 4);
	talk_run(&t, t.in_len, t.in_len);
	assert_int_equal(t.err, 0);
	assert_int_equal(t.waited, 2);
	assert_int_equal(t.hs.state, NBDS_HS_DONE);
	talk_begin(&t);
	talk_flags(&t, 0);
	talk_option(&t, NBDS_OPT_EXPORT_NAME, "late", 4);
	catalog_late = UINT_MAX;
	talk_run(&t, t.in_len, t.in_len);
	assert_int_equal(t.err, -EPROTO);
}

/* A stop is the answer to who waits: once, and the option is done with. */
static void who_waits_is_refused_by_a_stop(void **state)
{
	struct talk t;
	struct nbds_handshake_io io = { .out_size = OUT_SIZE };

	talk_begin(&t);
	talk_flags(&t, 3);
	talk_go(&t, NBDS_OPT_GO, "late", NULL, 0);
	for (int stopped = 0; stopped < 2; stopped++) {
		t.hs.stopping = stopped;
		io.in = t.in + t.used;
		io.in_len = t.in_len - t.used;
		io.out = t.out + t.out_len;
		assert_int_equal(nbds_handshake_run(&t.hs, &io), 0);
		assert_int_equal(t.hs.waiting, !stopped);
		t.used += io.in_used;
		t.out_len += io.out_len;
	}
	assert_int_equal(answer_only(&t), NBDS_REP_ERR_SHUTDOWN);
	assert_int_equal(t.used, t.in_len);
}

/* INFO must tell what GO would: same answers, but that it goes on negotiating. */
static void info_and_go_agree(void **state)
{
	static const uint16_t types[] = { NBDS_INFO_NAME };
	struct talk info, go;
	struct answer a, b;
	size_t at = sizeof(struct nbds_greeting), bt = at;
	unsigned n = 0;

	talk_begin(&info);
	talk_flags(&info, 3);
	talk_go(&info, NBDS_OPT_INFO, "data", types, 1);
	talk_run(&info, info.in_len, 4096);
	assert_int_equal(info.hs.state, NBDS_HS_OPTION);
	talk_begin(&go);
	talk_flags(&go, 3);
	talk_go(&go, NBDS_OPT_GO, "data", types, 1);
	talk_run(&go, go.in_len, 4096);
	assert_int_equal(go.hs.state, NBDS_HS_DONE);
	assert_int_equal(info.out_len, go.out_len);
	while (at < info.out_len) {
		at = answer_next(&info, at, &a);
		bt = answer_next(&go, bt, &b);
		assert_int_equal(a.option, NBDS_OPT_INFO);
		assert_int_equal(b.option, NBDS_OPT_GO);
		assert_int_equal(a.type, b.type);
		assert_int_equal(a.len, b.len);
		assert_memory_equal(a.data, b.data, a.len);
		n++;
	}
	assert_int_equal(n, 4); /* name, block sizes, export, end */
}

/* The numbers that a client plans its requests by. */
static void go_tells_size_flags_and_block_sizes(void **state)
{
	static const uint8_t sizes[14] = { 0, 3, 0, 0, 0, 1, 0, 0, 0x10, 0, 2, 0, 0, 0 };
	static const uint8_t export[12] = { 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 1, 0x23 };
	struct talk t;
	struct answer a;
	size_t at = sizeof(struct nbds_greeting);

	talk_begin(&t);
	talk_flags(&t, 3);
	talk_go(&t, NBDS_OPT_GO, "", NULL, 0);
	talk_run(&t, t.in_len, 4096);
	at = answer_next(&t, at, &a);
	assert_int_equal(a.type, NBDS_REP_INFO);
	assert_int_equal(a.len, sizeof(sizes));
	assert_memory_equal(a.data, sizes, sizeof(sizes));
	at = answer_next(&t, at, &a);
	assert_int_equal(a.len, sizeof(export));
	assert_memory_equal(a.data, export, sizeof(export));
	at = answer_next(&t, at, &a);
	assert_int_equal(a.type, NBDS_REP_ACK);
	assert_int_equal(at, t.out_len);
}

/* Whatever lengths say, an option is refused or answered, and negotiation goes on. */
static void wrong_lengths_in_go_are_refused(void **state)
{
	static const struct {
		uint32_t name_len, n, len;
	} cases[] = {
		{ 4, 0, 9 },	       { 4, 0, 11 },	      { 4, 1, 10 },
		{ 4, 0xffff, 12 },     { 5, 0, 10 },	      { 3, 0, 10 },
		{ 0xffffffff, 0, 10 }, { 0xfffffffc, 0, 10 }, { 0, 0, 5 },
		{ 0, 0, 1 },	       { 0, 0, 0 },	      { 5000, 0, 4 },
		{ 5000, 0, 5 },
	};

	for (size_t i = 0; i < RT_ARRAY_LEN(cases); i++) {
		uint8_t data[16] = { 0 };
		be32 name_len = be32_make(cases[i].name_len);
		be16 n = be16_make((uint16_t)cases[i].n);
		struct talk t;

		memcpy(data, &name_len, 4);
		memcpy(data + 4, "data", 4);
		memcpy(data + 8, &n, 2);
		talk_begin(&t);
		talk_flags(&t, 3);
		talk_option(&t, NBDS_OPT_GO, data, cases[i].len);
		talk_run(&t, t.in_len, 4096);
		assert_int_equal(t.err, 0);
		assert_int_equal(answer_only(&t), NBDS_REP_ERR_INVALID);
		assert_int_equal(t.hs.state, NBDS_HS_OPTION);
	}
}

/* The limits of a name and of an option's data, one to either side. */
static void names_and_data_have_limits(void **state)
{
	static char name[NBDS_NAME_MAX + 2];
	static uint8_t data[NBDS_OPTION_DATA_MAX + 1];
	struct talk t;

	for (size_t len = NBDS_NAME_MAX; len <= NBDS_NAME_MAX + 1; len++) {
		be32 b = be32_make((uint32_t)len);

		memset(data, 'x', sizeof(data));
		memcpy(data, &b, 4);
		memset(data + 4 + len, 0, 2);
		talk_begin(&t);
		talk_flags(&t, 3);
		talk_option(&t, NBDS_OPT_INFO, data, (uint32_t)(4 + len + 2));
		talk_run(&t, t.in_len, 4096);
		assert_int_equal(t.err, 0);
		assert_int_equal(answer_only(&t), len <= NBDS_NAME_MAX
							  ? NBDS_REP_ERR_UNKNOWN
							  : NBDS_REP_ERR_TOO_BIG);
	}
	for (uint32_t len = NBDS_OPTION_DATA_MAX; len <= NBDS_OPTION_DATA_MAX + 1;
	     len++) {
		talk_begin(&t);
		talk_flags(&t, 3);
		talk_option(&t, NBDS_OPT_LIST, data, len);
		talk_run(&t, t.in_len, 4096);
		assert_int_equal(t.err, 0);
		assert_int_equal(answer_only(&t), len <= NBDS_OPTION_DATA_MAX
							  ? NBDS_REP_ERR_INVALID
							  : NBDS_REP_ERR_TOO_BIG);
		assert_int_equal(t.hs.state, NBDS_HS_OPTION);
	}
	memset(name, 'x', sizeof(name));
	for (uint32_t len = NBDS_NAME_MAX; len <= NBDS_NAME_MAX + 1; len++) {
		talk_begin(&t);
		talk_flags(&t, 3);
		talk_option(&t, NBDS_OPT_EXPORT_NAME, name, len);
		talk_run(&t, t.in_len, 4096);
		assert_int_equal(t.err, -EPROTO);
		assert_int_equal(t.hs.state, NBDS_HS_BROKEN);
	}
}

/* An option that we do not have may carry anything, of any length, and is stepped over. */
static void unknown_options_are_stepped_over(void **state)
{
	static const uint32_t codes[] = { 0,
					  4,
					  NBDS_OPT_STARTTLS,
					  NBDS_OPT_STRUCTURED_REPLY,
					  NBDS_OPT_LIST_META_CONTEXT,
					  NBDS_OPT_SET_META_CONTEXT,
					  11,
					  0xffffffff };
	static uint8_t data[20000];

	for (size_t i = 0; i < RT_ARRAY_LEN(codes); i++) {
		struct talk t;

		talk_begin(&t);
		talk_flags(&t, 3);
		talk_option(&t, codes[i], data, i == 0 ? 0 : sizeof(data));
		talk_run(&t, t.in_len, 777);
		assert_int_equal(t.err, 0);
		assert_int_equal(answer_only(&t), NBDS_REP_ERR_UNSUP);
		assert_int_equal(t.hs.state, NBDS_HS_OPTION);
	}
}

/* A list may be longer than any buffer; all of it comes, in order, each time it is asked for. */
static void list_of_many(void **state)
{
	struct talk t;
	struct answer a;
	size_t at = sizeof(struct nbds_greeting);

	catalog_many = 2000;
	talk_begin(&t);
	talk_flags(&t, 3);
	talk_option(&t, NBDS_OPT_LIST, NULL, 0);
	talk_option(&t, NBDS_OPT_LIST, NULL, 0);
	talk_run(&t, t.in_len, 4096);
	for (unsigned list = 0; list < 2; list++) {
		for (unsigned i = 0; i < 2002; i++) {
			const char *name = catalog_name(NULL, i);

			at = answer_next(&t, at, &a);
			assert_int_equal(a.type, NBDS_REP_SERVER);
			assert_int_equal(a.len, 4 + strlen(name));
			assert_memory_equal(a.data + 4, name, strlen(name));
		}
		at = answer_next(&t, at, &a);
		assert_int_equal(a.type, NBDS_REP_ACK);
	}
	assert_int_equal(at, t.out_len);
	catalog_many = 0;
}

/* The oldest clients know one option only, and count its zeroes. */
static void export_name_with_and_without_zeroes(void **state)
{
	for (uint32_t flags = 0; flags < 4; flags++) {
		size_t head = sizeof(struct nbds_greeting);
		struct talk t;

		talk_begin(&t);
		talk_flags(&t, flags);
		talk_option(&t, NBDS_OPT_EXPORT_NAME, "data", 4);
		talk_run(&t, t.in_len, 5);
		assert_int_equal(t.err, 0);
		assert_int_equal(t.hs.state, NBDS_HS_DONE);
		assert_int_equal(t.out_len - head,
				 flags & NBDS_HELLO_NO_ZEROES ? 10 : 134);
		assert_memory_equal(t.out + head, "\0\0\0\0\0\x10\0\0\x01\x23", 10);
	}
}

/* A client without the fixed newstyle cannot read a refusal, so it gets none. */
static void not_fixed_gets_export_name_only(void **state)
{
	struct talk t;

	talk_begin(&t);
	talk_flags(&t, 0);
	talk_option(&t, NBDS_OPT_LIST, NULL, 0);
	talk_run(&t, t.in_len, 4096);
	assert_int_equal(t.err, -EPROTO);
	talk_begin(&t);
	talk_flags(&t, 0);
	talk_option(&t, NBDS_OPT_EXPORT_NAME, "none", 4);
	talk_run(&t, t.in_len, 4096);
	assert_int_equal(t.err, -EPROTO);
}

/* ABORT is a civil end, with data or without; a wrong magic is none. */
static void abort_ends_and_garbage_breaks(void **state)
{
	struct talk t;

	talk_begin(&t);
	talk_flags(&t, 3);
	talk_option(&t, NBDS_OPT_ABORT, "bye", 3);
	talk_run(&t, t.in_len, 4096);
	assert_int_equal(t.err, 0);
	assert_int_equal(t.hs.state, NBDS_HS_ABORTED);
	assert_int_equal(answer_only(&t), NBDS_REP_ACK);
	for (unsigned bit = 0; bit < 64; bit++) {
		talk_begin(&t);
		talk_flags(&t, 3);
		talk_option(&t, NBDS_OPT_LIST, NULL, 0);
		t.in[4 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		talk_run(&t, t.in_len, 4096);
		assert_int_equal(t.err, -EPROTO);
		assert_int_equal(t.hs.state, NBDS_HS_BROKEN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(greeting_is_fixed_newstyle),
		cmocka_unit_test(unknown_client_flags_close),
		cmocka_unit_test(go_in_pieces),
		cmocka_unit_test(every_truncation_waits),
		cmocka_unit_test(early_clients_wait),
		cmocka_unit_test(who_waits_is_refused_by_a_stop),
		cmocka_unit_test(info_and_go_agree),
		cmocka_unit_test(go_tells_size_flags_and_block_sizes),
		cmocka_unit_test(wrong_lengths_in_go_are_refused),
		cmocka_unit_test(names_and_data_have_limits),
		cmocka_unit_test(unknown_options_are_stepped_over),
		cmocka_unit_test(list_of_many),
		cmocka_unit_test(export_name_with_and_without_zeroes),
		cmocka_unit_test(not_fixed_gets_export_name_only),
		cmocka_unit_test(abort_ends_and_garbage_breaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
