// SPDX-License-Identifier: BSD-3-Clause
/*
 * What goes out next, datagram by datagram: a letter for each (sender.h). Protects: the other
 * side's questions first, then what is owed for data that has left, then data, and only
 * then repairs on demand; nothing beyond credit, window or rate; and who has nothing to send
 * knows when he will have.
 */
#include <stdlib.h>
#include <string.h>

#include "rt/check.h"
#include "tests/unit/tunnel/sender.h"

#define SYMBOL 1408u
#define FRAME_SYMBOLS 40u

static struct tunnel_params send_params(void)
{
	struct tunnel_params params = params_tunnel(1, 1 << 20, 1 << 16);

	params.rate_bps = UINT64_C(10000000000); /* so that nothing waits for the pacer */
	return params;
}

/* Past the warm-up nothing is owed, and nothing will be for data. */
static void send_begin(struct sender *s, const struct tunnel_params *params)
{
	sender_begin(s, params);
	(void)sender_send(s);
	assert_int_equal(s->t->tx.confirmed, s->t->tx.sent);
	s->t->repairs.share = s->t->repairs.share_owed = 0;
}

/* A frame that fills so many symbols to the byte. */
static void submit(struct sender *s, unsigned symbols)
{
	static const uint8_t frame[FRAME_SYMBOLS * SYMBOL];

	assert_int_equal(
		tunnel_submit(s->t, frame, symbols * SYMBOL - STREAM_HEAD, s->now), 0);
}

static void submit_urgent(struct sender *s, unsigned symbols)
{
	submit(s, symbols);
	tunnel_expedite(s->t, s->now);
}

/* What goes now is this: "D3 F" is three datagrams of data and a repair. */
static void expect_sends(struct sender *s, const char *want)
{
	char all[SENDER_AT_ONCE_MAX + 1];
	size_t n = 0;

	for (const char *p = want; *p != '\0'; p++) {
		char letter = *p;
		unsigned long times = 1;

		if (letter == ' ')
			continue;
		if (p[1] >= '0' && p[1] <= '9') {
			char *end;

			times = strtoul(p + 1, &end, 10);
			p = end - 1;
		}
		while (times-- > 0 && n < sizeof(all) - 1)
			all[n++] = letter;
	}
	all[n] = '\0';
	(void)sender_send(s);
	if (strcmp(s->order, all) != 0)
		fail_msg("%s was to go, and %s went", all, s->order);
}

/* Nothing goes now, nor before `at_ns` from now. */
static void expect_rest(struct sender *s, int64_t at_ns)
{
	expect_sends(s, "");
	assert_int_equal(rt_time_since(tunnel_deadline(s->t), s->now), at_ns);
}

/* ---- the order ------------------------------------------------------------------------- */

static void a_write_that_is_waited_for_leaves_with_its_repairs(void **state)
{
	struct tunnel_params params = send_params();
	struct sender s;

	send_begin(&s, &params);
	submit_urgent(&s, 3);
	expect_sends(&s, "D3 F3");
	submit_urgent(&s, 1);
	expect_sends(&s, "D F3");
	submit(&s, 2); /* nobody waits for it */
	expect_sends(&s, "D2");
	tunnel_expedite(s.t, s.now);
	expect_sends(&s, "F3");
	tunnel_free(s.t);
}

static void no_repair_is_demanded_where_none_is_made_on_demand(void **state)
{
	struct tunnel_params params = send_params();
	struct sender s;

	params.fec.on_demand = false;
	send_begin(&s, &params);
	submit_urgent(&s, 3);
	expect_sends(&s, "D3");
	tunnel_free(s.t);
}

/* One for so many symbols, behind the symbol with which it is owed. */
static void paced_repairs_follow_their_share(void **state)
{
	static const struct {
		uint64_t share;
		const char *order; /* of twelve symbols */
	} table[] = {
		{ TUNNEL_SHARE_ONE / 4, "D4 F D4 F D4 F" },
		{ TUNNEL_SHARE_ONE / 4 - 1, "D5 F D4 F D3" },
		{ TUNNEL_SHARE_ONE / 12, "D12" }, /* rounded down, a little is lacking */
		{ TUNNEL_SHARE_ONE / 12 + 1, "D12 F" },
		{ TUNNEL_SHARE_ONE / 2 + 1, "D2 F D2 F D2 F D2 F D2 F D2 F" },
		{ TUNNEL_SHARE_ONE, "DF DF DF DF DF DF DF DF DF DF DF DF" },
		{ 0, "D12" },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(table); i++) {
		struct tunnel_params params = send_params();
		struct sender s;

		params.fec.on_demand = false;
		send_begin(&s, &params);
		s.t->repairs.share = table[i].share;
		submit(&s, 12);
		expect_sends(&s, table[i].order);
		tunnel_free(s.t);
	}
}

/* A fresh repair answers a deficit before data goes on, and pays for a paced one. */
static void answers_go_before_data(void **state)
{
	struct tunnel_params params = send_params();
	struct sender s;

	send_begin(&s, &params);
	s.t->repairs.answers = 2;
	expect_sends(&s, ""); /* over nothing none can be made */
	s.t->repairs.answers = 0;
	submit(&s, 3);
	expect_sends(&s, "D3");
	s.t->repairs.answers = 2;
	s.t->repairs.share_owed = 3 * TUNNEL_SHARE_ONE / 2;
	submit(&s, 2);
	expect_sends(&s, "F2 D2");
	assert_int_equal(s.t->repairs.answers, 0);
	assert_int_equal(s.t->repairs.share_owed, 0);
	s.t->repairs.share_owed = 3 * TUNNEL_SHARE_ONE / 2;
	submit(&s, 1);
	expect_sends(&s, "F D");
	assert_int_equal(s.t->repairs.share_owed, TUNNEL_SHARE_ONE / 2);
	tunnel_free(s.t);
}

static void resend(struct sender *s, uint64_t number)
{
	struct tunnel_resend *r = &s->t->resend;

	r->ring[(r->head + r->count++) % TUNNEL_RESEND_MAX] = number;
	if (number >= s->t->tx.confirmed)
		stream_tx_symbol(&s->t->tx, number)->queued = true;
}

/* What is missing over there goes first, but for what has arrived meanwhile. */
static void retransmissions_go_first(void **state)
{
	struct tunnel_params params = send_params();
	uint64_t first;
	struct sender s;

	send_begin(&s, &params);
	first = s.t->tx.sent;
	submit(&s, 4);
	expect_sends(&s, "D4");
	s.t->resend.head = TUNNEL_RESEND_MAX - 2; /* the ring wraps */
	resend(&s, first - 1);
	resend(&s, first + 3);
	resend(&s, first - 2);
	resend(&s, first + 1);
	s.t->repairs.answers = 1;
	submit(&s, 1);
	expect_sends(&s, "R2 F D");
	for (unsigned i = 0; i < 4; i++) {
		const struct stream_symbol *sym = stream_tx_symbol(&s.t->tx, first + i);

		assert_false(sym->queued);
		assert_int_equal(sym->retransmitted, i % 2);
		/* D4, then 3 and 1 */
		assert_int_equal(s.t->sent.last.number - sym->number,
				 i % 2 ? (i == 3 ? 3 : 2) : 7 - i);
	}
	assert_int_equal(s.t->resend.upto, first + 4);
	assert_int_equal(s.t->stats.retransmitted, 2);
	resend(&s, first - 1); /* all of it has arrived: what is next goes */
	submit(&s, 1);
	expect_sends(&s, "D");
	tunnel_free(s.t);
}

/* What the peer asks, and what asks the peer, does not wait for any of this. */
static void acknowledgements_and_probes_go_before_all(void **state)
{
	struct tunnel_params params = send_params();
	struct sender s;

	send_begin(&s, &params);
	submit_urgent(&s, 2);
	tunnel_set_watermark(s.t, 5, s.now);
	s.t->probing.at_once = true;
	expect_sends(&s, "A p D2 F3");
	assert_false(s.t->probing.at_once);
	tunnel_set_watermark(s.t, 6, s.now);
	expect_sends(&s, "A");
	tunnel_set_watermark(s.t, 6, s.now); /* that is known */
	expect_sends(&s, "");
	tunnel_free(s.t);
}

/* A full block's repairs before the next symbol; those of a short one when it is due. */
static void blocks_leave_with_their_repairs(void **state)
{
	struct tunnel_params params = send_params();
	struct sender s;

	params.fec.code = (struct fec_params){ .code = FEC_RS, .r = 8, .c = 3 };
	send_begin(&s, &params);
	submit(&s, 10);
	expect_sends(&s, "D8 F3 D2");
	tunnel_expedite(s.t, s.now);
	expect_sends(&s, "F3");
	submit_urgent(&s, 2);
	expect_sends(&s, "D2 F3");
	submit(&s, 2);
	expect_sends(&s, "D2");
	expect_rest(&s, EVIDENCE_LINGER_NS);
	s.now = rt_time_add(s.now, EVIDENCE_LINGER_NS - 1);
	expect_sends(&s, "");
	s.now = rt_time_add(s.now, 1);
	expect_sends(&s, "F3");
	tunnel_free(s.t);
}

/* ---- bounds ---------------------------------------------------------------------------- */

static void nothing_goes_beyond_credit(void **state)
{
	struct tunnel_params params = send_params();
	struct sender s;

	send_begin(&s, &params);
	s.t->peer.credit = s.t->tx.sent + 5;
	submit(&s, 10);
	expect_sends(&s, "D5");
	s.t->peer.credit += 3;
	expect_sends(&s, "D3");
	tunnel_expedite(s.t, s.now); /* repairs need none, nor what is sent again */
	expect_sends(&s, "F3");
	resend(&s, s.t->tx.sent - 1);
	expect_sends(&s, "R");
	s.t->peer.credit++;
	expect_sends(&s, "D F3");
	tunnel_free(s.t);
}

/*
 * No symbol leaves the window without its repairs: with as many as it holds, they are made,
 * and then it moves on by what they cover. The paper's rule knows no such bound.
 */
static void the_window_waits_for_repairs(void **state)
{
	struct tunnel_params params = send_params();
	struct sender s;

	params.fec.code.window = 16;
	send_begin(&s, &params);
	submit(&s, 40);
	expect_sends(&s, "D16 F3 D16 F3 D8");
	tunnel_free(s.t);

	params.fec.on_demand = false; /* nobody makes them: it waits for the mirror */
	send_begin(&s, &params);
	submit(&s, 40);
	expect_sends(&s, "D16");
	assert_int_equal(sender_acked(&s, s.t->sent.last.number - 10, s.t->tx.sent - 10),
			 0);
	expect_sends(&s, "D6");
	tunnel_free(s.t);

	params.fec.policy = TUNNEL_PAPER;
	send_begin(&s, &params);
	submit(&s, 40);
	expect_sends(&s, "D40");
	tunnel_free(s.t);
}

/* The pacer holds back data, and not the answer to a question. */
static void nothing_goes_beyond_the_rate(void **state)
{
	struct tunnel_params params = send_params();
	unsigned burst, n;
	struct sender s;

	params.rate_bps = 100000000; /* a datagram each 0.12 ms */
	params.fec.on_demand = false;
	send_begin(&s, &params);
	submit(&s, 40);
	(void)sender_send(&s);
	burst = (unsigned)strlen(s.order);
	assert_true(burst > 2 && burst < 20);
	assert_true(rt_time_before(s.now, s.t->pacer.ready_at));
	expect_rest(&s, rt_time_since(s.t->pacer.ready_at, s.now));
	tunnel_set_watermark(s.t, 5, s.now);
	expect_sends(&s, "A");
	for (n = burst; n < 40; n += (unsigned)strlen(s.order)) {
		s.now = s.t->pacer.ready_at;
		(void)sender_send(&s);
		assert_true(s.order[0] == 'D');
	}
	assert_int_equal(n, 40);
	tunnel_free(s.t);
}

/* Repairs of a short block become due while the pacer rests: no earlier than it ends. */
static void what_becomes_due_waits_for_the_pacer(void **state)
{
	struct tunnel_params params = send_params();
	struct sender s;

	params.fec.code = (struct fec_params){ .code = FEC_RS, .r = 8, .c = 3 };
	send_begin(&s, &params);
	assert_int_equal(tunnel_set_rate(s.t, false, 1000000, s.now), 0);
	submit(&s, 2);
	expect_sends(&s, "D2");
	assert_true(rt_time_since(s.t->pacer.ready_at, s.now) > 2 * EVIDENCE_LINGER_NS);
	expect_rest(&s, rt_time_since(s.t->pacer.ready_at, s.now));
	s.now = s.t->pacer.ready_at;
	(void)sender_send(&s);
	assert_true(s.order[0] == 'F');
	tunnel_free(s.t);
}

static void a_broken_tunnel_sends_nothing(void **state)
{
	struct tunnel_params params = send_params();
	struct sender s;

	send_begin(&s, &params);
	submit_urgent(&s, 3);
	tunnel_set_watermark(s.t, 5, s.now);
	s.t->rx.broken = true;
	expect_sends(&s, "");
	assert_true(rt_time_is_never(tunnel_deadline(s.t)));
	tunnel_free(s.t);
}

/* ---- time ------------------------------------------------------------------------------ */

/* Under load repairs on demand wait for paced ones, for so long and no longer. */
static void demanded_repairs_coalesce_under_load(void **state)
{
	struct tunnel_params params = send_params();
	struct sender s;

	send_begin(&s, &params);
	tunnel_set_coalescing(s.t, true);
	submit_urgent(&s, TUNNEL_COALESCE_SYMBOLS - 1);
	expect_sends(&s, "D15 F3");
	assert_int_equal(sender_acked(&s, s.t->sent.last.number, s.t->tx.sent), 0);
	submit_urgent(&s, TUNNEL_COALESCE_SYMBOLS);
	expect_sends(&s, "D16");
	assert_true(tunnel_coalesces(s.t, s.now));
	/* One of them closes the send batch: it is what the timestamps are asked of. */
	expect_rest(&s, EVIDENCE_LINGER_NS);
	s.now = rt_time_add(s.now, EVIDENCE_LINGER_NS);
	expect_sends(&s, "F");
	expect_rest(&s, TUNNEL_COALESCE_NS - EVIDENCE_LINGER_NS);
	submit_urgent(&s, 1); /* what follows brings paced ones: anew from here */
	expect_sends(&s, "D");
	s.now = rt_time_add(s.now, EVIDENCE_LINGER_NS);
	expect_sends(&s, "F");
	s.now = rt_time_add(s.now, TUNNEL_COALESCE_NS - EVIDENCE_LINGER_NS - 1);
	expect_rest(&s, 1);
	s.now = rt_time_add(s.now, 1);
	assert_false(tunnel_coalesces(s.t, s.now));
	expect_sends(&s, "F2");
	submit_urgent(&s, 20);
	tunnel_set_coalescing(s.t, false);
	expect_sends(&s, "D20 F3");
	tunnel_free(s.t);
}

/* Idle and to be kept proven: small and padded probes take turns, at the path's pace. */
static void an_idle_path_is_kept_proven(void **state)
{
	struct tunnel_params params = send_params();
	struct sender s;
	char turn = '\0';

	send_begin(&s, &params);
	submit_urgent(&s, 3);
	expect_sends(&s, "D3 F3");
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(sender_acked(&s, s.t->sent.last.number, s.t->tx.sent),
				 0);
		expect_sends(&s, "");
		s.now = tunnel_deadline(s.t);
		(void)sender_send(&s);
		assert_true(strcmp(s.order, turn == 'p' ? "P" : "p") == 0);
		turn = s.order[0];
		assert_int_equal(s.t->probing.eliciting_at.ns, s.now.ns);
		assert_int_equal(rt_time_since(tunnel_deadline(s.t), s.now),
				 path_probe_ns(&s.t->path));
	}
	tunnel_free(s.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_write_that_is_waited_for_leaves_with_its_repairs),
		cmocka_unit_test(no_repair_is_demanded_where_none_is_made_on_demand),
		cmocka_unit_test(paced_repairs_follow_their_share),
		cmocka_unit_test(answers_go_before_data),
		cmocka_unit_test(retransmissions_go_first),
		cmocka_unit_test(acknowledgements_and_probes_go_before_all),
		cmocka_unit_test(blocks_leave_with_their_repairs),
		cmocka_unit_test(nothing_goes_beyond_credit),
		cmocka_unit_test(the_window_waits_for_repairs),
		cmocka_unit_test(nothing_goes_beyond_the_rate),
		cmocka_unit_test(what_becomes_due_waits_for_the_pacer),
		cmocka_unit_test(a_broken_tunnel_sends_nothing),
		cmocka_unit_test(demanded_repairs_coalesce_under_load),
		cmocka_unit_test(an_idle_path_is_kept_proven),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
