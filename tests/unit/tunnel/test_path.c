// SPDX-License-Identifier: BSD-3-Clause
/*
 * What acknowledgements say about the path. Protects: it is proven for so long after a
 * datagram was sent that has arrived, and no longer, however late its acknowledgement is; and
 * what the receiver's own socket dropped hides no loss of the path but its own.
 */
#include "replicator/tunnel/packet.h"
#include "replicator/tunnel/path.h"
#include "replicator/tunnel/sent.h"
#include "rt/check.h"
#include "tests/unit/unit.h"

#define SENT ((rt_time){ 1000 * RT_S })

static void proof_counts_from_when_it_was_sent(void **state)
{
	static const struct {
		int64_t rtt_ns, proof_ns;
	} paths[] = {
		{ RT_MS, RT_MS + PATH_PROOF_NS },
		{ 20 * RT_MS, 20 * RT_MS + PATH_PROOF_NS },
		{ 25 * RT_MS, 75 * RT_MS },
		{ 100 * RT_MS, 300 * RT_MS },
	};

	for (unsigned i = 0; i < RT_ARRAY_LEN(paths); i++) {
		const struct sent_entry entry = { .number = 1, .at = SENT };
		const struct packet_report report = { .largest = 1 };
		int64_t proof_ns = paths[i].proof_ns;
		struct path p;

		path_init(&p);
		assert_false(path_proven(&p, SENT));
		path_acknowledged(&p, &report, &entry,
				  rt_time_add(SENT, paths[i].rtt_ns));
		assert_int_equal(p.rtt_ns, paths[i].rtt_ns);
		/* The time of a mirror that is gone begins with its last answer. */
		assert_int_equal(rt_time_since(p.proof_at, SENT), paths[i].rtt_ns);
		assert_true(path_proven(&p, rt_time_add(SENT, proof_ns - 1)));
		assert_false(path_proven(&p, rt_time_add(SENT, proof_ns)));
	}
}

/* An acknowledgement of what is not remembered any more proves nothing. */
static void what_is_forgotten_proves_nothing(void **state)
{
	const struct packet_report report = { .largest = 9 };
	struct path p;

	path_init(&p);
	path_acknowledged(&p, &report, NULL, SENT);
	assert_int_equal(p.largest, 9);
	assert_false(path_proven(&p, SENT));
}

/* One sample after the other: sent and received since the last, and dropped in total. */
struct sample {
	uint64_t sent, received, overflowed;
	uint64_t lost; /* that the path is blamed for */
};

static void samples_are(const struct sample *samples, unsigned n)
{
	struct packet_report report = { 0 };
	struct sent_entry entry = { 0 };
	struct path p;

	path_init(&p);
	for (unsigned i = 0; i < n; i++) {
		const struct sample *s = &samples[i];
		struct fec_sample got;

		entry.number += s->sent;
		entry.originals += s->sent;
		report.decided += s->sent;
		report.originals += s->received;
		report.missing += s->sent - s->received;
		report.bursts += s->sent > s->received;
		report.overflowed = s->overflowed;
		assert_true(path_decided(&p, &report, &entry, NULL, &got));
		if (got.lost != s->lost || got.sent != s->sent)
			fail_msg("sample %u: %llu lost of %llu", i,
				 (unsigned long long)got.lost,
				 (unsigned long long)got.sent);
		assert_false(path_decided(&p, &report, &entry, NULL, &got)); /* no news */
	}
}

static void own_drops_hide_their_own_losses_only(void **state)
{
	static const struct sample at_once[] = {
		{ 100, 90, 0, 10 },
		{ 100, 90, 4, 6 },
		{ 100, 90, 14, 0 },
		{ 100, 90, 14, 10 },
	};
	static const struct sample the_next[] = {
		{ 100, 100, 30, 0 },
		{ 100, 90, 30, 0 },
		{ 100, 90, 30, 10 },
	};
	static const struct sample never[] = {
		{ 100, 100, 50, 0 }, { 100, 100, 50, 0 }, { 100, 90, 50, 10 },
		{ 100, 100, 90, 0 }, { 100, 100, 90, 0 }, { 100, 90, 90, 10 },
	};
	static const struct sample began_anew[] = {
		{ 100, 100, 50, 0 },
		{ 100, 100, 50, 0 },
		{ 100, 90, 3, 10 },
		{ 100, 90, 5, 8 },
	};

	samples_are(at_once, RT_ARRAY_LEN(at_once));
	samples_are(the_next, RT_ARRAY_LEN(the_next));
	samples_are(never, RT_ARRAY_LEN(never));
	samples_are(began_anew, RT_ARRAY_LEN(began_anew));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(proof_counts_from_when_it_was_sent),
		cmocka_unit_test(what_is_forgotten_proves_nothing),
		cmocka_unit_test(own_drops_hide_their_own_losses_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
