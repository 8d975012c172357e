// SPDX-License-Identifier: BSD-3-Clause
#include "tests/wan/line.h"

#include "rt/hash.h"

#include <string.h>

#define NS_PER_S UINT64_C(1000000000)
#define DEFAULT_QUEUE_NS (50 * UINT64_C(1000000))
#define DEFAULT_EXTENT_NS (5 * UINT64_C(1000000))

void wanem_line_init(struct wanem_line *line, uint64_t seed)
{
	memset(line, 0, sizeof(*line));
	line->seed = rt_mix64(seed + UINT64_C(0x9e3779b97f4a7c15));
	line->p.queue_ns = DEFAULT_QUEUE_NS;
	line->p.site_queue_ns = DEFAULT_QUEUE_NS;
	line->p.extent_ns = DEFAULT_EXTENT_NS;
	line->overhead = WANEM_UDP_OVERHEAD;
}

/* The next random number in [0, 1). */
static double draw(struct wanem_line *line)
{
	uint64_t n = ++line->draws;
	uint64_t x = rt_mix64(line->seed + n * UINT64_C(0x9e3779b97f4a7c15));

	return (double)(x >> 11) * 0x1p-53;
}

/*
 * Gilbert's two states (Gilbert, "Capacity of a burst-noise channel", 1960), everything
 * lost in the bad one: it is left with 1/burst, and entered so that the share is `loss`.
 */
static bool draw_loss(struct wanem_line *line)
{
	double loss = line->p.loss;
	double leave;

	if (loss <= 0)
		return false;
	if (loss >= 1)
		return true;
	if (line->p.burst <= 1)
		return draw(line) < loss;
	leave = 1 / line->p.burst;
	if (line->bad)
		line->bad = draw(line) >= leave;
	else
		line->bad = draw(line) < leave * loss / (1 - loss);
	return line->bad;
}

static uint64_t time_at(uint64_t rate_bps, uint64_t bytes)
{
	if (rate_bps == 0)
		return 0;
	return (bytes * 8 * NS_PER_S + rate_bps - 1) / rate_bps;
}

static uint64_t line_time(const struct wanem_line *line, uint64_t bytes)
{
	return time_at(line->p.rate_bps, bytes);
}

static uint64_t queue_limit_ns(const struct wanem_line *line)
{
	if (line->p.queue_bytes != 0)
		return line_time(line, line->p.queue_bytes);
	return line->p.queue_ns;
}

static uint64_t waits_until(const struct wanem_line *line, uint64_t now)
{
	return line->busy_until > now ? line->busy_until : now;
}

bool wanem_line_building(struct wanem_line *line, uint64_t now, size_t len,
			 uint64_t *leaves)
{
	const struct wanem_line_params *p = &line->p;
	uint64_t takes = time_at(p->site_rate_bps, len + line->overhead);
	uint64_t start = line->site_busy_until > now ? line->site_busy_until : now;
	uint64_t limit = p->site_queue_bytes
				 ? time_at(p->site_rate_bps, p->site_queue_bytes)
				 : p->site_queue_ns;

	if (start > now && start - now + takes > limit)
		return false;
	line->site_busy_until = start + takes;
	*leaves = line->site_busy_until;
	return true;
}

/* What else may happen to a datagram that arrives. */
static void draw_mishaps(struct wanem_line *line, size_t len,
			 struct wanem_passage *passage)
{
	const struct wanem_line_params *p = &line->p;

	if (p->jitter_ns != 0)
		passage->due_ns += (uint64_t)(draw(line) * (double)p->jitter_ns);
	if (p->duplicate > 0)
		passage->twice = draw(line) < p->duplicate;
	if (p->reorder > 0 && draw(line) < p->reorder) {
		passage->held = true;
		passage->due_ns += p->extent_ns;
	}
	if (p->corrupt > 0 && len > 0 && draw(line) < p->corrupt) {
		passage->corrupt = true;
		passage->bit = (uint32_t)(draw(line) * (double)len * 8);
	}
}

struct wanem_passage wanem_line_datagram(struct wanem_line *line, uint64_t now,
					 size_t len)
{
	struct wanem_passage passage = { 0 };
	uint64_t takes = line_time(line, len + line->overhead);
	uint64_t start = waits_until(line, now);

	if (line->p.mtu != 0 && len + line->overhead > line->p.mtu) {
		passage.fate = WANEM_TOO_BIG;
		return passage;
	}
	/* A datagram that finds the line idle always goes, however short the queue. */
	if (start > now && start - now + takes > queue_limit_ns(line)) {
		passage.fate = WANEM_OVERFLOWN;
		return passage;
	}
	if (line->busy_until != 0 && line->busy_until < start)
		line->idle_ns += start - line->busy_until;
	line->busy_until = start + takes;
	passage.sent_ns = line->busy_until;
	if (draw_loss(line)) {
		passage.fate = WANEM_LOST;
		return passage;
	}
	passage.due_ns = passage.sent_ns + line->p.delay_ns;
	draw_mishaps(line, len, &passage);
	return passage;
}

uint64_t wanem_line_stream(struct wanem_line *line, uint64_t now, size_t len)
{
	size_t segments = (len + WANEM_TCP_SEGMENT - 1) / WANEM_TCP_SEGMENT;

	line->busy_until = waits_until(line, now) +
			   line_time(line, len + segments * WANEM_TCP_OVERHEAD);
	return line->busy_until + line->p.delay_ns;
}

uint64_t wanem_line_room(const struct wanem_line *line, uint64_t now)
{
	uint64_t limit = queue_limit_ns(line);

	if (line->p.rate_bps == 0 || line->busy_until <= now + limit)
		return now;
	return line->busy_until - limit;
}
