// SPDX-License-Identifier: BSD-3-Clause
/*
 * What an acknowledgement does at the sender. Protects: a symbol that was lost once blocks
 * `onwire` until it is confirmed, however it was sent since and whether the mirror can report
 * it or not; a hole is answered once, with repairs or with the symbol; and what cannot be true,
 * or is overtaken, changes nothing that the watermarks rest on.
 */
#include <errno.h>

#include "tests/unit/tunnel/sender.h"

#define RTT_NS SENDER_RTT_NS
#define SYMBOLS SENDER_SYMBOLS
#define WARM_UP SENDER_WARM_UP

static uint64_t sender_onwire(const struct sender *s)
{
	return tunnel_onwire(s->t, s->now);
}

static void sender_init(struct sender *s, enum fec_code code)
{
	struct tunnel_params params = params_tunnel(1, 1 << 20, 1 << 16);

	params.fec.code = (struct fec_params){
		.code = code, .r = 8, .c = 3, .window = 128, .interleave = { 1, 19, 41 }
	};
	params.rate_bps = 1000000000;
	sender_begin(s, &params);
	assert_true(path_reo_wnd_ns(&s->t->path) < RTT_NS / 2);
}

/*
 * A sender that writes once and sends again after `wait_ns`; a round trip later. The number of
 * its newest datagram, and in *first that of the write's first symbol.
 */
static uint64_t sender_write_alone(struct sender *s, enum fec_code code, int64_t wait_ns,
				   uint64_t *first)
{
	uint64_t number;

	sender_init(s, code);
	*first = s->t->tx.sent;
	sender_write(s);
	number = sender_wait(s, wait_ns);
	s->now = rt_time_add(s->now, RTT_NS);
	return number;
}

/* ---- what blocks --------------------------------------------------------------------- */

/*
 * An isolated write and its repairs are lost in one burst, and the probes behind it are not.
 * The write is sent again between two of them. What the second one acknowledges says nothing
 * of that.
 */
static void a_lost_tail_blocks_until_it_is_confirmed(enum fec_code code)
{
	uint64_t probe[3], first, resent;
	struct sender s;

	sender_init(&s, code);
	first = s.t->tx.sent;
	sender_write(&s);
	assert_int_equal(sender_onwire(&s), WARM_UP + 1);
	for (unsigned i = 0; i < 3; i++)
		probe[i] = sender_wait(&s, RTT_NS / 2);
	assert_int_equal(sender_acked(&s, probe[0], first), 0);
	assert_int_equal(sender_onwire(&s), WARM_UP);
	resent = sender_send(&s);
	assert_int_equal(s.t->stats.retransmitted, SYMBOLS);

	for (unsigned i = 1; i < 3; i++) {
		s.now = rt_time_add(s.now, RTT_NS / 2);
		assert_int_equal(sender_acked(&s, probe[i], first), 0);
		assert_true(tunnel_proven(s.t, s.now));
		assert_int_equal(sender_onwire(&s), WARM_UP);
	}
	(void)sender_send(&s);
	assert_int_equal(s.t->stats.retransmitted, SYMBOLS);
	assert_int_equal(sender_acked(&s, resent, s.t->tx.sent), 0);
	assert_int_equal(sender_onwire(&s), WARM_UP + 1);
	tunnel_free(s.t);
}

/* The first retransmission was received, and the mirror knows nothing of the others. */
static void each_of_a_lost_tail_blocks(enum fec_code code)
{
	uint64_t probe, first;
	struct sender s;

	probe = sender_write_alone(&s, code, RTT_NS / 2, &first);
	assert_int_equal(sender_acked(&s, probe, first), 0);
	(void)sender_send(&s);
	s.now = rt_time_add(s.now, RTT_NS);
	for (uint64_t n = first; n < first + SYMBOLS; n++) {
		uint64_t number = stream_tx_symbol(&s.t->tx, n)->number;

		assert_int_equal(sender_onwire(&s), WARM_UP);
		s.now = rt_time_add(s.now, RT_MS);
		assert_int_equal(sender_acked(&s, number, n + 1), 0);
		assert_true(tunnel_proven(s.t, s.now));
	}
	assert_int_equal(sender_onwire(&s), WARM_UP + 1);
	tunnel_free(s.t);
}

static void blocks_of_a_lost_tail(void **state)
{
	a_lost_tail_blocks_until_it_is_confirmed(FEC_RS);
	a_lost_tail_blocks_until_it_is_confirmed(FEC_LAYERED);
	each_of_a_lost_tail_blocks(FEC_RS);
	each_of_a_lost_tail_blocks(FEC_LAYERED);
}

/* ---- what is answered ---------------------------------------------------------------- */

/* What is missing in the window is answered with fresh repairs, less those under way. */
static void a_deficit_is_answered_once(void **state)
{
	uint64_t repairs, first, number;
	struct sender s;

	number = sender_write_alone(&s, FEC_WINDOW, RTT_NS / 2, &first);
	repairs = s.t->sent.last.repairs;
	s.report.seen = first + SYMBOLS;
	s.report.deficit = 2;
	s.report.nholes = 1;
	s.report.holes[0].first = first;
	s.report.holes[0].count = 2;
	assert_int_equal(sender_acked(&s, number, first), 0);
	/* Two, and one more on an idle path. */
	assert_int_equal(s.t->repairs.answers, 3);
	(void)sender_send(&s);
	assert_true(s.t->sent.last.repairs >= repairs + 3);
	repairs = s.t->sent.last.repairs;
	assert_int_equal(sender_acked(&s, number, first), 0);
	assert_int_equal(s.t->repairs.answers, 0);
	(void)sender_send(&s);
	assert_int_equal(s.t->sent.last.repairs, repairs);
	assert_int_equal(s.t->stats.retransmitted, 0);
	tunnel_free(s.t);
}

/* A symbol that nothing was sent behind for long enough may still arrive. */
static void what_may_still_arrive_is_not_sent_again(void **state)
{
	struct sender s;
	uint64_t first, number;

	sender_init(&s, FEC_RS);
	first = s.t->tx.sent;
	sender_write(&s);
	number = sender_wait(&s, path_reo_wnd_ns(&s.t->path) / 2);
	s.now = rt_time_add(s.now, RTT_NS);
	assert_int_equal(sender_acked(&s, number, first), 0);
	(void)sender_send(&s);
	assert_int_equal(s.t->stats.retransmitted, 0);
	assert_int_equal(sender_onwire(&s), WARM_UP + 1);
	tunnel_free(s.t);
}

/* ---- what is believed ---------------------------------------------------------------- */

static void what_cannot_be_true_changes_nothing(void **state)
{
	struct packet_report good;
	struct sender s;
	uint64_t last, first, credit;

	sender_init(&s, FEC_WINDOW);
	first = s.t->tx.sent;
	sender_write(&s);
	last = s.t->sent.last.number;
	credit = s.t->peer.credit;
	good = s.report;
	assert_int_equal(sender_acked(&s, last + 1, first + SYMBOLS), -EPROTO);
	s.report = good;
	assert_int_equal(sender_acked(&s, last, first + SYMBOLS + 1), -EPROTO);
	s.report = good;
	s.report.seen = first + SYMBOLS + 1;
	assert_int_equal(sender_acked(&s, last, first + SYMBOLS), -EPROTO);
	s.report = good;
	s.report.originals = s.t->sent.last.originals + 1;
	assert_int_equal(sender_acked(&s, last, first + SYMBOLS), -EPROTO);
	s.report = good;
	s.report.decided = last + 1;
	assert_int_equal(sender_acked(&s, last, first + SYMBOLS), -EPROTO);
	assert_int_equal(s.t->tx.confirmed, first);
	assert_int_equal(s.t->peer.credit, credit);
	s.report = good;
	assert_int_equal(sender_acked(&s, last, first + SYMBOLS), 0);
	assert_int_equal(s.t->tx.confirmed, first + SYMBOLS);
	tunnel_free(s.t);
}

/* An overtaken one confirms, and neither asks for anything nor lets anything go. */
static void an_overtaken_one_only_confirms(void **state)
{
	uint64_t first, number;
	struct sender s;

	number = sender_write_alone(&s, FEC_WINDOW, RTT_NS / 2, &first);
	assert_int_equal(sender_acked(&s, number, first), 0);
	assert_int_equal(sender_onwire(&s), WARM_UP);
	s.report.watermark = 77;
	s.report.deficit = 1;
	s.acks -= 2; /* a number below that of the one before */
	s.t->repairs.answers = 0;
	assert_int_equal(sender_acked(&s, number, first + 1), 0);
	assert_int_equal(s.t->tx.confirmed, first + 1);
	assert_int_equal(tunnel_peer_watermark(s.t), 77);
	assert_int_equal(s.t->repairs.answers, 0);
	tunnel_free(s.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_of_a_lost_tail),
		cmocka_unit_test(a_deficit_is_answered_once),
		cmocka_unit_test(what_may_still_arrive_is_not_sent_again),
		cmocka_unit_test(what_cannot_be_true_changes_nothing),
		cmocka_unit_test(an_overtaken_one_only_confirms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
