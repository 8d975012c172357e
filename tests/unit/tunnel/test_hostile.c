// SPDX-License-Identifier: BSD-3-Clause
/*
 * Nothing that arrives can hurt: what is not authentic, by a bit or a byte, is refused
 * and changes nothing; what is authentic and impossible is refused and counted; and
 * neither costs unbounded work or memory.
 */
#include <errno.h>

#include "replicator/tunnel/state.h"
#include "tests/unit/tunnel/liar.h"
#include "tests/unit/tunnel/pair.h"

#define SAMPLES 4 /* one datagram of each type */

struct samples {
	uint8_t bytes[SAMPLES][TUNNEL_DATAGRAM_MAX];
	size_t len[SAMPLES];
};

static void sample_watch(struct pair *p, int end, const uint8_t *dgram, size_t len)
{
	struct samples *s = p->watcher;
	unsigned type = dgram[0] - 1u;

	assert_true(type < SAMPLES);
	if (end == 0 && s->len[type] == 0) {
		memcpy(s->bytes[type], dgram, len);
		s->len[type] = len;
	}
}

/* A pair that has talked, both ways, and one datagram of each type from end 0. */
static void talk(struct pair *p, struct samples *s)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(RT_MS, 0);

	memset(s, 0, sizeof(*s));
	pair_init(p, &params, &line, 7);
	p->watch = sample_watch;
	p->watcher = s;
	for (int i = 0; i < 10; i++) {
		for (int end = 0; end < 2; end++) {
			assert_true(pair_submit(p, end, 3000));
			tunnel_expedite(p->end[end], pair_now(p));
		}
		pair_run(p, 20 * RT_MS);
	}
	for (unsigned i = 0; i < SAMPLES; i++)
		assert_true(s->len[i] > 0);
}

/* Refused, counted, and nothing else changed. */
static void refused(struct pair *p, const uint8_t *dgram, size_t len)
{
	struct tunnel_stats before, after;

	tunnel_stats(p->end[1], &before);
	assert_int_equal(tunnel_receive(p->end[1], dgram, len, pair_now(p)), -EPROTO);
	tunnel_stats(p->end[1], &after);
	assert_int_equal(after.unauthentic, before.unauthentic + 1);
	after.unauthentic = before.unauthentic;
	assert_memory_equal(&before, &after, sizeof(before));
}

static void every_truncation_is_refused(void **state)
{
	static struct samples s;
	struct pair p;

	talk(&p, &s);
	for (unsigned i = 0; i < SAMPLES; i++)
		for (size_t len = 0; len < s.len[i]; len++)
			refused(&p, s.bytes[i], len);
	pair_release(&p);
}

static void every_flipped_bit_is_refused(void **state)
{
	static struct samples s;
	struct pair p;

	talk(&p, &s);
	for (unsigned i = 0; i < SAMPLES; i++)
		for (size_t bit = 0; bit < 8 * s.len[i]; bit++) {
			s.bytes[i][bit / 8] ^= (uint8_t)(1 << bit % 8);
			refused(&p, s.bytes[i], s.len[i]);
			s.bytes[i][bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	pair_release(&p);
}

static void replayed_datagrams_change_nothing(void **state)
{
	static struct samples s;
	struct tunnel_stats before, after;
	struct pair p;

	talk(&p, &s);
	tunnel_stats(p.end[1], &before);
	for (unsigned i = 0; i < SAMPLES; i++)
		assert_int_equal(
			tunnel_receive(p.end[1], s.bytes[i], s.len[i], pair_now(&p)), 0);
	tunnel_stats(p.end[1], &after);
	assert_int_equal(after.replayed, before.replayed + SAMPLES);
	after.replayed = before.replayed;
	assert_memory_equal(&before, &after, sizeof(before));
	pair_release(&p);
}

/* Nor do they keep a peer alive that is gone: its mirror would never be given up. */
static void replayed_datagrams_are_no_sign_of_life(void **state)
{
	static struct samples s;
	struct pair p;
	rt_time late;

	talk(&p, &s);
	late = rt_time_add(pair_now(&p), p.params[1].timeout_ns);
	assert_false(tunnel_timed_out(p.end[1], pair_now(&p)));
	for (unsigned i = 0; i < SAMPLES; i++)
		assert_int_equal(tunnel_receive(p.end[1], s.bytes[i], s.len[i], late), 0);
	assert_true(tunnel_timed_out(p.end[1], late));
	pair_release(&p);
}

/*
 * An authentic datagram that somebody has kept back must not move the peer to where he sends
 * it from: only the newest one shows an address.
 */
static void only_the_newest_shows_where_the_peer_is(void **state)
{
	static uint8_t bytes[3][TUNNEL_DATAGRAM_MAX];
	static const unsigned order[] = { 1, 0, 1, 0, 2, 1 };
	static const bool shows[] = { true, false, false, false, true, false };
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(RT_MS, 0);
	uint32_t timestamp;
	size_t len[3];
	struct pair p;
	bool newest;

	pair_init(&p, &params, &line, 7);
	assert_true(pair_submit(&p, 0, 6000));
	for (unsigned i = 0; i < 3; i++) {
		len[i] = tunnel_transmit(p.end[0], bytes[i], pair_now(&p), &timestamp);
		assert_true(len[i] > 0);
	}
	for (unsigned i = 0; i < RT_ARRAY_LEN(order); i++) {
		unsigned k = order[i];

		newest = !shows[i];
		assert_int_equal(tunnel_take(p.end[1], bytes[k], len[k], pair_now(&p),
					     &newest),
				 0);
		assert_int_equal(newest, shows[i]);
	}
	pair_release(&p);
}

/* Our own datagrams, sent back to us, are not the peer's. */
static void reflected_datagrams_are_refused(void **state)
{
	static struct samples s;
	struct tunnel_stats before, after;
	struct pair p;

	talk(&p, &s);
	tunnel_stats(p.end[0], &before);
	for (unsigned i = 0; i < SAMPLES; i++)
		assert_int_equal(tunnel_receive(p.end[0], s.bytes[i], s.len[i],
						pair_now(&p)),
				 -EPROTO);
	tunnel_stats(p.end[0], &after);
	assert_int_equal(after.unauthentic, before.unauthentic + SAMPLES);
	pair_release(&p);
}

static void another_key_or_id_is_refused(void **state)
{
	static struct samples s;
	struct tunnel_params params = pair_params();
	struct tunnel *other;
	struct pair p;

	talk(&p, &s);
	for (int i = 0; i < 2; i++) {
		params = pair_params();
		if (i == 0)
			params.secret[31] ^= 1;
		else
			params.id++;
		assert_int_equal(tunnel_new(&params, pair_now(&p), &other), 0);
		for (unsigned k = 0; k < SAMPLES; k++)
			assert_int_equal(tunnel_receive(other, s.bytes[k], s.len[k],
							pair_now(&p)),
					 -EPROTO);
		tunnel_free(other);
	}
	pair_release(&p);
}

static void garbage_is_refused(void **state)
{
	static struct samples s;
	uint8_t bytes[2048];
	struct pair p;
	uint64_t id;

	talk(&p, &s);
	for (int i = 0; i < 20000; i++) {
		size_t len = pair_below(&p.rng, sizeof(bytes) + 1);

		for (size_t k = 0; k < len; k++)
			bytes[k] = (uint8_t)pair_draw(&p.rng);
		/* A head that is almost right gets further. */
		if (i % 2 && len > sizeof(struct packet_head))
			memcpy(bytes, s.bytes[i % SAMPLES], 12);
		refused(&p, bytes, len);
	}
	assert_false(tunnel_datagram_id(bytes, 20, &id));
	pair_release(&p);
}

/* ---- with the key ------------------------------------------------------------------ */

/* One end, with data on the line that nobody has acknowledged, and a liar opposite. */
static void face(struct tunnel **t, struct liar *l, unsigned frames)
{
	struct tunnel_params params = pair_params();
	uint8_t buf[TUNNEL_DATAGRAM_MAX], frame[1000] = { 0 };
	uint32_t stamp;

	params.dialed = true;
	params.rate_bps = 0;
	assert_int_equal(tunnel_new(&params, (rt_time){ RT_S }, t), 0);
	assert_int_equal(liar_init(l, &params), 0);
	for (unsigned i = 0; i < frames; i++)
		assert_int_equal(
			tunnel_submit(*t, frame, sizeof(frame), (rt_time){ RT_S }), 0);
	while (tunnel_transmit(*t, buf, (rt_time){ RT_S }, &stamp) > 0)
		if (stamp != 0)
			tunnel_left(*t, stamp, (rt_time){ RT_S });
}

static void face_end(struct tunnel *t, struct liar *l)
{
	tunnel_free(t);
	seal_free(l->seal);
}

static int hear(struct tunnel *t, const struct liar *l)
{
	return tunnel_receive(t, l->dgram, l->len, (rt_time){ 2 * RT_S });
}

/* Datagrams the tunnel sends at one instant; they must end. */
static unsigned sends(struct tunnel *t, int64_t at_ns)
{
	uint8_t buf[TUNNEL_DATAGRAM_MAX];
	uint32_t stamp;
	unsigned n = 0;

	while (tunnel_transmit(t, buf, (rt_time){ at_ns }, &stamp) > 0) {
		if (stamp != 0)
			tunnel_left(t, stamp, (rt_time){ at_ns });
		assert_true(++n < 5000);
	}
	return n;
}

/* face() has sent 10 symbols at most under some 20 numbers: these are all lies. */
static void impossible_acknowledgements_are_refused(void **state)
{
	static const struct packet_report lies[] = {
		{ .largest = UINT64_MAX },
		{ .largest = 1000 },
		{ .below = 1000, .seen = 1000 },
		{ .seen = 1000 },
		{ .originals = 1000 },
		{ .decided = 1000 },
		{ .decided = 1, .missing = 2, .bursts = 1 },
		{ .decided = 10, .missing = 2, .bursts = 3 },
		{ .decided = 10, .missing = 2 },
		{ .decided = 10,
		  .missing = 2,
		  .bursts = 1,
		  .gap_first = 7,
		  .gap_end = 10 },
		{ .decided = 10,
		  .missing = 2,
		  .bursts = 1,
		  .gap_first = 9,
		  .gap_end = 11 },
	};
	struct tunnel_stats stats;
	struct tunnel *t;
	struct liar l;

	face(&t, &l, 10);
	for (unsigned i = 0; i < RT_ARRAY_LEN(lies); i++) {
		liar_ack(&l, &lies[i]);
		assert_int_equal(hear(t, &l), -EPROTO);
		tunnel_stats(t, &stats);
		assert_int_equal(stats.malformed, i + 1);
		assert_int_equal(tunnel_received(t), 0);
	}
	face_end(t, &l);
}

static void boundless_deficits_have_bounds(void **state)
{
	struct packet_report lie = { .largest = 3,
				     .seen = 60,
				     .deficit = UINT32_MAX,
				     .delay_us = UINT32_MAX,
				     .credit = UINT64_MAX,
				     .watermark = UINT64_MAX,
				     .rebuilt = UINT64_MAX,
				     .overflowed = UINT64_MAX,
				     .nholes = 1 };
	struct tunnel *t;
	struct liar l;

	lie.holes[0].count = 60;
	face(&t, &l, 200);
	for (unsigned i = 0; i < 100; i++) {
		liar_ack(&l, &lie);
		assert_int_equal(hear(t, &l), 0);
		(void)sends(t, 2 * RT_S + i);
	}
	assert_int_equal(tunnel_received(t), 0);
	face_end(t, &l);
}

static void random_acknowledgements_do_no_harm(void **state)
{
	struct pair_rng rng = { 77 };
	struct tunnel *t;
	struct liar l;

	face(&t, &l, 200);
	for (unsigned i = 0; i < 20000; i++) {
		struct packet_report r = {
			.largest = pair_below(&rng, 400),
			.originals = pair_below(&rng, 100),
			.overflowed = pair_draw(&rng) >> pair_below(&rng, 64),
			.below = pair_below(&rng, 3) ? 0 : pair_below(&rng, 130),
			.credit = pair_below(&rng, 300),
			.decided = pair_below(&rng, 200),
			.missing = pair_below(&rng, 100),
			.bursts = pair_below(&rng, 50),
			.deficit = (uint32_t)pair_below(&rng, 100),
			.delay_us = (uint32_t)pair_draw(&rng),
		};

		if (pair_below(&rng, 2)) {
			r.gap_first = pair_below(&rng, 200);
			r.gap_end = pair_below(&rng, 200);
		}
		r.seen = r.below + pair_below(&rng, 30);
		r.nholes = (unsigned)pair_below(&rng, 4);
		for (unsigned k = 0; k < r.nholes; k++) {
			r.holes[k].first = r.below + 6 * k + pair_below(&rng, 3);
			r.holes[k].count = 1 + (uint32_t)pair_below(&rng, 3);
		}
		if (tunnel_broken(t)) { /* by lies too plain; on to the next one */
			face_end(t, &l);
			face(&t, &l, 200);
		}
		liar_ack(&l, &r);
		(void)hear(t, &l);
		(void)sends(t, 2 * RT_S + i * RT_US);
		assert_true(tunnel_onwire(t, (rt_time){ 2 * RT_S }) >=
			    tunnel_received(t));
		assert_true(tunnel_received(t) <= 200);
	}
	face_end(t, &l);
}

/* Payloads of every type that do not hold together. */
static void malformed_payloads_are_refused(void **state)
{
	uint8_t bytes[PACKET_SYMBOL_MAX] = { 0 };
	struct packet_report report = { 0 };
	uint8_t payload[PACKET_ACK_MAX];
	struct packet_symbol sym;
	struct tunnel_stats stats;
	struct packet_data data;
	struct tunnel *t;
	struct liar l;
	size_t len;

	face(&t, &l, 1);
	/* A repair of nothing; of too much; one that wraps; a symbol past our credit. */
	sym = (struct packet_symbol){ .symbol = 1, .count = 0 };
	liar_symbol(&l, PACKET_REPAIR, &sym, bytes, 1408);
	assert_int_equal(hear(t, &l), -EPROTO);
	sym = (struct packet_symbol){ .symbol = 1, .count = FEC_WINDOW_MAX + 1 };
	liar_symbol(&l, PACKET_REPAIR, &sym, bytes, 1408);
	assert_int_equal(hear(t, &l), -EPROTO);
	sym = (struct packet_symbol){ .symbol = UINT64_MAX, .count = 8 };
	liar_symbol(&l, PACKET_REPAIR, &sym, bytes, 1408);
	assert_int_equal(hear(t, &l), -EPROTO);
	sym = (struct packet_symbol){ .symbol = 1 << 20 };
	liar_symbol(&l, PACKET_DATA, &sym, bytes, 1408);
	assert_int_equal(hear(t, &l), -EPROTO);
	/* A data datagram that names a repair; unknown flags. */
	sym = (struct packet_symbol){ .symbol = 0, .count = 1 };
	liar_symbol(&l, PACKET_DATA, &sym, bytes, 1408);
	assert_int_equal(hear(t, &l), -EPROTO);
	memset(payload, 0, sizeof(payload));
	data = (struct packet_data){ .flags = le16_make(2) };
	memcpy(bytes, &data, sizeof(data));
	liar_seal(&l, PACKET_DATA, bytes, sizeof(data) + 1408);
	assert_int_equal(hear(t, &l), -EPROTO);
	/* A probe whose padding says something. */
	packet_probe_encode(1, bytes, 1000);
	bytes[999] = 1;
	liar_seal(&l, PACKET_PROBE, bytes, 1000);
	assert_int_equal(hear(t, &l), -EPROTO);
	/* Acknowledgements: holes that are not there. */
	len = packet_ack_encode(&report, payload);
	payload[offsetof(struct packet_ack, holes)] = 1;
	liar_seal(&l, PACKET_ACK, payload, len);
	assert_int_equal(hear(t, &l), -EPROTO);
	tunnel_stats(t, &stats);
	assert_int_equal(stats.malformed, 8);
	assert_int_equal(stats.unauthentic, 0);
	face_end(t, &l);
}

/* A stream that is no stream of frames ends the tunnel's use, once and for all. */
static void illegal_framing_is_final(void **state)
{
	static const uint8_t streams[][8] = {
		{ 2, 1, 0, 0, 0, 9 },		/* unknown tag */
		{ 1, 0, 0, 0, 0, 0 },		/* empty frame */
		{ 1, 1, 0, 16, 0, 0 },		/* one byte more than the longest */
		{ 1, 255, 255, 255, 255, 255 }, /* longer than anything */
		{ 0, 0, 0, 1, 0, 0 },		/* padding that is not empty */
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(streams); i++) {
		struct packet_symbol sym = { .symbol = 0 };
		uint8_t bytes[1408] = { 0 };
		const uint8_t *frame;
		struct tunnel *t;
		struct liar l;
		size_t len;

		face(&t, &l, 1);
		memcpy(bytes, streams[i], sizeof(streams[i]));
		liar_symbol(&l, PACKET_DATA, &sym, bytes, sizeof(bytes));
		assert_int_equal(hear(t, &l), 0);
		assert_int_equal(tunnel_next_frame(t, &frame, &len), -EPROTO);
		assert_true(tunnel_broken(t));
		sym.symbol = 1;
		memset(bytes, 0, sizeof(bytes));
		liar_symbol(&l, PACKET_DATA, &sym, bytes, sizeof(bytes));
		assert_int_equal(hear(t, &l), -EPROTO);
		assert_int_equal(tunnel_next_frame(t, &frame, &len), -EPROTO);
		face_end(t, &l);
	}
}

/* Repairs whose head cannot be: each is malformed, and nothing comes of it. */
static void repairs_that_lie_are_refused(void **state)
{
	static const struct packet_symbol lies[] = {
		{ .symbol = 0, .count = FEC_BLOCK_MAX + 1, .stride = 1, .kind = FEC_XOR },
		{ .symbol = 0, .count = UINT16_MAX, .stride = 512, .kind = FEC_XOR },
		{ .symbol = 0, .count = 128, .stride = 512, .kind = FEC_XOR },
		{ .symbol = UINT64_MAX - 5, .count = 8, .stride = 1, .kind = FEC_XOR },
		{ .symbol = UINT64_MAX - 512,
		  .count = 2,
		  .stride = 512,
		  .kind = FEC_XOR },
		{ .symbol = UINT64_MAX, .count = 1, .stride = 1, .kind = FEC_XOR },
		{ .symbol = UINT64_MAX - 1, .count = 3, .stride = 1 },
		{ .symbol = 0, .count = UINT16_MAX, .stride = 1 },
	};
	uint8_t bytes[1408] = { 1 };
	struct tunnel_stats stats;
	struct tunnel *t;
	struct liar l;

	face(&t, &l, 1);
	for (unsigned i = 0; i < RT_ARRAY_LEN(lies); i++) {
		liar_symbol(&l, PACKET_REPAIR, &lies[i], bytes, sizeof(bytes));
		assert_int_equal(hear(t, &l), -EPROTO);
		tunnel_stats(t, &stats);
		assert_int_equal(stats.malformed, i + 1);
	}
	face_end(t, &l);
}

/* Repairs of symbols that were never sent, at every distance: no room is taken for good. */
static void repairs_of_nothing_sent_do_no_harm(void **state)
{
	struct pair_rng rng = { 5 };
	uint8_t bytes[1408];
	const uint8_t *frame;
	struct tunnel *t;
	struct liar l;
	size_t len;

	face(&t, &l, 1);
	for (unsigned i = 0; i < 20000 && !tunnel_broken(t); i++) {
		struct packet_symbol sym = { .symbol = pair_below(&rng, 40000),
					     .count = (uint16_t)(1 + pair_below(&rng, 8)),
					     .stride = 1,
					     .key = (uint32_t)i };

		if (i % 2) {
			sym.kind = FEC_XOR;
			sym.key = 0;
			sym.stride = (uint16_t)(1 + pair_below(&rng, 500));
		}
		memset(bytes, (int)i, sizeof(bytes));
		liar_symbol(&l, PACKET_REPAIR, &sym, bytes, sizeof(bytes));
		assert_int_equal(hear(t, &l), 0);
		(void)sends(t, 2 * RT_S + i * 10 * RT_US);
		assert_true(tunnel_next_frame(t, &frame, &len) != 1);
	}
	face_end(t, &l);
}

/*
 * One lie may be a mistake. TUNNEL_MALFORMED_MAX are the end of the session: the owner
 * learns of it, nothing more is taken in and nothing sent.
 */
static void a_liar_is_shut_out(void **state)
{
	const struct packet_report lie = { .largest = UINT64_MAX };
	struct packet_report honest = { .largest = 1, .credit = 1000 };
	uint8_t buf[TUNNEL_DATAGRAM_MAX], frame[100] = { 0 };
	struct tunnel_stats before, after;
	struct tunnel *t;
	uint32_t stamp;
	struct liar l;

	face(&t, &l, 1);
	for (unsigned i = 1; i <= TUNNEL_MALFORMED_MAX; i++) {
		assert_false(tunnel_broken(t));
		liar_ack(&l, &honest); /* the truth in between redeems nothing */
		assert_int_equal(hear(t, &l), 0);
		liar_ack(&l, &lie);
		assert_int_equal(hear(t, &l), -EPROTO);
	}
	assert_true(tunnel_broken(t));
	tunnel_stats(t, &before);
	assert_int_equal(before.malformed, TUNNEL_MALFORMED_MAX);
	liar_ack(&l, &honest);
	assert_int_equal(hear(t, &l), -EPROTO);
	(void)tunnel_submit(t, frame, sizeof(frame), (rt_time){ 3 * RT_S });
	tunnel_expedite(t, (rt_time){ 3 * RT_S });
	assert_int_equal(tunnel_transmit(t, buf, (rt_time){ 60 * RT_S }, &stamp), 0);
	assert_true(rt_time_is_never(tunnel_deadline(t)));
	tunnel_stats(t, &after);
	assert_int_equal(after.malformed, before.malformed);
	assert_int_equal(after.sent_bytes, before.sent_bytes);
	face_end(t, &l);
}

/* A line in utter disorder, on which each datagram comes again and again. */
static void disorder_and_duplicates_without_end(void **state)
{
	struct tunnel_params params = pair_params();
	struct pair_line line = pair_line(RT_MS, 0.01);
	static struct samples s;
	struct tunnel_stats stats;
	struct pair p;

	params.rate_bps = 1000000000;
	line.jitter_ns = 60 * RT_MS; /* five thousand datagrams of the rate */
	line.again = 1;
	memset(&s, 0, sizeof(s));
	pair_init(&p, &params, &line, 9);
	p.watch = sample_watch;
	p.watcher = &s;
	for (unsigned i = 0; i < 200; i++) {
		while (pair_submit(&p, 0, 60000))
			;
		pair_run(&p, RT_MS);
		for (unsigned k = 0; k < 100 && s.len[0] > 0; k++)
			(void)tunnel_receive(p.end[1], s.bytes[0], s.len[0],
					     pair_now(&p));
	}
	assert_true(pair_run_taken(&p, 1, tunnel_submitted(p.end[0]), 60 * RT_S));
	tunnel_stats(p.end[1], &stats);
	assert_true(stats.replayed > 20000);
	assert_int_equal(stats.malformed, 0);
	tunnel_stats(p.end[0], &stats);
	assert_int_equal(stats.malformed, 0);
	pair_release(&p);
}

static void parameters_out_of_range_are_refused(void **state)
{
	struct tunnel_params p = pair_params();
	struct tunnel *t;

#define TRY(field, value)                                                                \
	do {                                                                             \
		p = pair_params();                                                       \
		p.field = value;                                                         \
		assert_int_equal(tunnel_new(&p, (rt_time){ 1 }, &t), -EINVAL);           \
	} while (0)
	TRY(symbol_size, 0);
	TRY(symbol_size, 1400);
	TRY(symbol_size, 1440);
	TRY(fec.code.window, FEC_WINDOW_MAX + 1);
	TRY(fec.repairs, FEC_RISK_REPAIRS_MAX + 1);
	TRY(fec.goal.share, -0.1);
	TRY(fec.goal.share, 4.1);
	TRY(frame_max, 0);
	TRY(frame_max, UINT32_MAX);
	TRY(timeout_ns, 0);
	TRY(rate_bps, UINT64_C(400000000001));
	TRY(evidence, TUNNEL_MIRROR + 1);
	TRY(fec.code.code, FEC_RS + 100);
#undef TRY
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(every_flipped_bit_is_refused),
		cmocka_unit_test(replayed_datagrams_change_nothing),
		cmocka_unit_test(replayed_datagrams_are_no_sign_of_life),
		cmocka_unit_test(only_the_newest_shows_where_the_peer_is),
		cmocka_unit_test(reflected_datagrams_are_refused),
		cmocka_unit_test(another_key_or_id_is_refused),
		cmocka_unit_test(garbage_is_refused),
		cmocka_unit_test(impossible_acknowledgements_are_refused),
		cmocka_unit_test(boundless_deficits_have_bounds),
		cmocka_unit_test(random_acknowledgements_do_no_harm),
		cmocka_unit_test(malformed_payloads_are_refused),
		cmocka_unit_test(illegal_framing_is_final),
		cmocka_unit_test(repairs_that_lie_are_refused),
		cmocka_unit_test(repairs_of_nothing_sent_do_no_harm),
		cmocka_unit_test(a_liar_is_shut_out),
		cmocka_unit_test(disorder_and_duplicates_without_end),
		cmocka_unit_test(parameters_out_of_range_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
