// SPDX-License-Identifier: BSD-3-Clause
/* fuzz-links: tunnel */
/*
 * A peer that has the keys and says what the fuzzer says: its bytes become payloads,
 * sealed as they should be, mixed with time, stamps, frames of our own and reading. The
 * tunnel keeps its invariants and bounds, and its watermarks their order.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "rt/check.h"
#include "rt/log.h"
#include "tests/unit/tunnel/liar.h"

#define FUZZ_STEPS_MAX 400
#define FUZZ_SYMBOL 64 /* small, so that few bytes say much */
#define FUZZ_SENDS_MAX 4000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	const uint8_t *data;
	size_t size;
	struct tunnel *t;
	struct liar liar;
	rt_time now;
	uint64_t received;
	uint32_t stamp;
	uint8_t wild;
};

static uint64_t fuzz_take(struct fuzz *f, unsigned bytes)
{
	uint64_t v = 0;

	for (; bytes > 0 && f->size > 0; bytes--, f->size--)
		v = v << 8 | *f->data++;
	return v;
}

static void fuzz_copy(struct fuzz *f, uint8_t *to, size_t len)
{
	size_t n = len < f->size ? len : f->size;

	memset(to, 0, len);
	memcpy(to, f->data, n);
	f->data += n;
	f->size -= n;
}

/* A number as the bytes say, or, when it has become wild, any that 64 bits can hold. */
static uint64_t fuzz_number(struct fuzz *f, unsigned bytes)
{
	uint64_t v = fuzz_take(f, bytes);

	switch ((v ^ f->wild) % 8 * (f->wild > 0)) {
	case 1:
		return UINT64_MAX - v;
	case 2:
		return UINT64_C(1) << v % 64;
	case 3:
		return (UINT64_C(1) << v % 64) - f->wild;
	default:
		return v;
	}
}

/* Payloads of random bytes, and such as nearly make sense. */
static void fuzz_raw(struct fuzz *f)
{
	uint8_t payload[PACKET_ACK_MAX];
	uint8_t type = (uint8_t)fuzz_take(f, 1);
	size_t len = fuzz_take(f, 2) % sizeof(payload);

	fuzz_copy(f, payload, len);
	liar_seal(&f->liar, type, payload, len);
}

static void fuzz_symbol(struct fuzz *f, enum packet_type type)
{
	struct packet_symbol sym = { .symbol = fuzz_number(f, 1),
				     .retransmitted =
					     type == PACKET_DATA && fuzz_take(f, 1) & 1 };
	uint8_t bytes[FUZZ_SYMBOL];

	if (type == PACKET_REPAIR) {
		sym.count = (uint16_t)fuzz_number(f, 1);
		sym.key = (uint32_t)fuzz_take(f, 4);
		sym.kind = f->wild & 1 ? FEC_XOR : FEC_COMBINATION;
		sym.stride = (uint16_t)(sym.key >> 3);
	}
	fuzz_copy(f, bytes, sizeof(bytes));
	liar_symbol(&f->liar, type, &sym, bytes, sizeof(bytes));
}

static void fuzz_ack(struct fuzz *f)
{
	struct packet_report r = { .largest = fuzz_number(f, 2),
				   .originals = fuzz_number(f, 1),
				   .below = fuzz_number(f, 1),
				   .credit = fuzz_number(f, 2),
				   .watermark = fuzz_number(f, 1),
				   .delay_us = (uint32_t)fuzz_number(f, 3),
				   .deficit = (uint32_t)fuzz_number(f, 1) };

	r.seen = r.below + fuzz_number(f, 1);
	if (f->wild > 0) {
		r.decided = fuzz_number(f, 1);
		r.missing = fuzz_number(f, 1);
		r.bursts = fuzz_number(f, 1);
		r.overflowed = fuzz_number(f, 1);
		r.rebuilt = fuzz_number(f, 1);
	}
	if (f->wild > 1) {
		r.gap_first = fuzz_number(f, 1);
		r.gap_end = fuzz_number(f, 1);
	}
	r.nholes = (unsigned)fuzz_take(f, 1) % 8;
	for (unsigned i = 0; i < r.nholes; i++) {
		r.holes[i].first = r.below + fuzz_number(f, 1);
		r.holes[i].count = (uint32_t)fuzz_number(f, 1);
	}
	liar_ack(&f->liar, &r);
}

static void fuzz_hear(struct fuzz *f)
{
	(void)tunnel_receive(f->t, f->liar.dgram, f->liar.len, f->now);
}

static void fuzz_send(struct fuzz *f)
{
	uint8_t buf[TUNNEL_DATAGRAM_MAX];
	uint32_t stamp;
	unsigned n = 0;

	while (tunnel_transmit(f->t, buf, f->now, &stamp) > 0) {
		rt_assert(++n < FUZZ_SENDS_MAX);
		if (stamp != 0)
			f->stamp = stamp;
	}
	rt_assert(!tunnel_broken(f->t) || n == 0);
	rt_assert(rt_time_before(f->now, tunnel_deadline(f->t)));
}

static void fuzz_submit(struct fuzz *f)
{
	uint8_t frame[300] = { 0 };
	size_t len = 1 + fuzz_take(f, 1);

	(void)tunnel_submit(f->t, frame, len, f->now);
	if (len % 2)
		tunnel_expedite(f->t, f->now);
}

static void fuzz_read(struct fuzz *f)
{
	const uint8_t *frame;
	size_t len;

	while (tunnel_next_frame(f->t, &frame, &len) == 1)
		rt_assert(len > 0 && len <= 256);
}

/* Another code, policy, goal: by our own owner, while the other side lies. */
static void fuzz_change(struct fuzz *f)
{
	uint64_t how = fuzz_take(f, 2);
	struct tunnel_fec fec = { .code = { .code = (enum fec_code)(how % 4),
					    .window = (uint16_t)(how >> 2 & 31),
					    .r = (uint16_t)(1 + (how >> 7 & 7)),
					    .c = (uint16_t)(how >> 10 & 3),
					    .interleave = { 1, 4, 7 } },
				  .policy = how & 4096 ? TUNNEL_PAPER : TUNNEL_SAFETY,
				  .goal = { .safety = 1e-3,
					    .assume = { 0.01, 1 },
					    .min = 0.05,
					    .max = 0.5 },
				  .on_demand = !(how & 8192),
				  .repairs_fixed = !(how & 16384),
				  .repairs = (unsigned)(how >> 3 & 7) };

	fec.goal.share = how & 32768 ? 0 : 0.25;
	rt_assert(tunnel_set_fec(f->t, &fec, f->now) == 0);
}

static void fuzz_step(struct fuzz *f)
{
	switch (fuzz_take(f, 1) % 12) {
	case 0:
		fuzz_raw(f);
		fuzz_hear(f);
		break;
	case 1:
		fuzz_symbol(f, PACKET_DATA);
		fuzz_hear(f);
		break;
	case 2:
		fuzz_symbol(f, PACKET_REPAIR);
		fuzz_hear(f);
		break;
	case 3:
		fuzz_ack(f);
		fuzz_hear(f);
		break;
	case 4:
		fuzz_hear(f); /* once more */
		break;
	case 5:
		fuzz_submit(f);
		break;
	case 6:
		f->now = rt_time_add(f->now, (int64_t)fuzz_take(f, 3) << 8);
		break;
	case 7:
		tunnel_left(f->t, f->stamp - (uint32_t)fuzz_take(f, 1) % 3, f->now);
		break;
	case 8:
		fuzz_read(f);
		break;
	case 9:
		f->liar.number += fuzz_number(f, 2);
		break;
	case 10:
		fuzz_change(f);
		break;
	case 11:
		f->wild = (uint8_t)fuzz_take(f, 1);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tunnel_params params = { .id = 1,
					.secret = { 1 },
					.dialed = true,
					.symbol_size = FUZZ_SYMBOL,
					.rate_bps = 10000000,
					.frame_max = 256,
					.evidence = TUNNEL_DRIVER,
					.timeout_ns = RT_S };
	const struct tunnel_fec fec = { .code = { .code = FEC_WINDOW, .window = 16 },
					.goal = { .share = 0.25 },
					.on_demand = true,
					.repairs_fixed = true,
					.repairs = 3 };
	struct fuzz f = { .data = data, .size = size, .now = { RT_S } };

	rt_log_set_level(RT_LOG_WARN); /* every change of fec has a line */
	params.fec = fec;
	rt_assert(tunnel_new(&params, f.now, &f.t) == 0);
	rt_assert(liar_init(&f.liar, &params) == 0);
	for (unsigned i = 0; i < FUZZ_STEPS_MAX && f.size > 0; i++) {
		fuzz_step(&f);
		fuzz_send(&f);
		rt_assert(tunnel_received(f.t) >= f.received);
		f.received = tunnel_received(f.t);
		rt_assert(tunnel_onwire(f.t, f.now) >= f.received);
		rt_assert(tunnel_onwire(f.t, f.now) <= tunnel_submitted(f.t));
	}
	tunnel_free(f.t);
	seal_free(f.liar.seal);
	return 0;
}
