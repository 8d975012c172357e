// SPDX-License-Identifier: BSD-3-Clause
#include "tests/wan/wanem.h"

#include <stdlib.h>

static struct wanem_way *way_of(struct wanem *w, const struct wanem_event *event)
{
	return &w->way[event->dir];
}

static void lose(struct wanem *w, struct wanem_event *event, uint64_t now)
{
	wanem_capture(w, &w->capture_lost, event, now);
	free(event);
}

/* False if there is no memory; the event is gone then, and the run is void. */
static bool put(struct wanem *w, struct wanem_event *event, uint64_t due)
{
	event->due_ns = due;
	if (wanem_events_put(&w->events, event) == 0)
		return true;
	free(event);
	w->tx_drops++;
	return false;
}

void wanem_packet_put(struct wanem *w, struct wanem_event *event, uint64_t due)
{
	struct wanem_way *way = way_of(w, event);
	uint32_t len = event->len;

	event->kind = WANEM_DATAGRAM;
	if (put(w, event, due)) {
		way->in_line++;
		way->in_line_bytes += len;
	}
}

static void send_on(struct wanem *w, struct wanem_event *event,
		    const struct wanem_passage *passage)
{
	struct wanem_counts *count = &way_of(w, event)->count;

	event->sent_ns = passage->sent_ns;
	count->reordered += passage->held;
	count->corrupted += passage->corrupt;
	if (passage->corrupt)
		event->data[passage->bit / 8] ^= (uint8_t)(1U << passage->bit % 8);
	if (passage->twice) {
		struct wanem_event *twin = wanem_event_new(WANEM_DATAGRAM, event->dir,
							   event->data, event->len);

		if (twin == NULL) {
			w->tx_drops++;
		} else {
			count->duplicated++;
			twin->arrived_ns = event->arrived_ns;
			twin->sent_ns = event->sent_ns;
			wanem_packet_put(w, twin, passage->due_ns);
		}
	}
	wanem_packet_put(w, event, passage->due_ns);
}

void wanem_packet_enter(struct wanem *w, struct wanem_event *event, uint64_t at)
{
	struct wanem_way *way = way_of(w, event);
	struct wanem_counts *count = &way->count;
	struct wanem_passage passage;

	if (w->cut) {
		count->shut_out++;
		lose(w, event, at);
		return;
	}
	passage = wanem_line_datagram(&way->line, at, event->len);
	switch (passage.fate) {
	case WANEM_TOO_BIG:
		count->too_big++;
		if (w->is_tun && w->icmp)
			wanem_tun_too_big(w, event, way->line.p.mtu, at);
		lose(w, event, at);
		return;
	case WANEM_OVERFLOWN:
		count->overflown++;
		lose(w, event, at);
		return;
	case WANEM_LOST:
	case WANEM_DELIVERED:
		break;
	}
	count->accepted++;
	count->accepted_bytes += event->len;
	if (passage.fate == WANEM_LOST) {
		count->lost++;
		count->lost_runs += !way->last_lost;
		way->last_lost = true;
		lose(w, event, passage.sent_ns);
		return;
	}
	way->last_lost = false;
	send_on(w, event, &passage);
}

void wanem_packet_take(struct wanem *w, struct wanem_event *event, uint64_t now)
{
	struct wanem_way *way = way_of(w, event);
	uint64_t leaves;
	uint32_t len = event->len;

	event->arrived_ns = now;
	way->count.received++;
	if (way->from_dead) {
		way->count.shut_out++;
		lose(w, event, now);
		return;
	}
	if (way->in_line_bytes + way->in_site_bytes + len > WANEM_MAX_IN_LINE / 2) {
		way->count.overflown++;
		lose(w, event, now);
		return;
	}
	if (way->line.p.site_rate_bps == 0) {
		wanem_packet_enter(w, event, now);
		return;
	}
	if (!wanem_line_building(&way->line, now, len, &leaves)) {
		way->count.site_overflown++;
		lose(w, event, now);
		return;
	}
	event->kind = WANEM_LEAVES;
	if (put(w, event, leaves)) {
		way->in_site++;
		way->in_site_bytes += len;
	}
}

static void count_arrival(struct wanem *w, const struct wanem_event *event, uint64_t now)
{
	struct wanem_way *way = way_of(w, event);
	struct wanem_counts *count = &way->count;
	uint64_t late = now - event->due_ns;

	if (count->first_ns == 0)
		count->first_ns = now;
	count->last_ns = now;
	count->delivered++;
	count->delivered_bytes += event->len;
	count->delay_sum_ns += now - event->arrived_ns;
	count->travel_sum_ns += now - event->sent_ns;
	count->late_sum_ns += late;
	if (event->sent_ns - event->arrived_ns > count->queued_max_ns)
		count->queued_max_ns = event->sent_ns - event->arrived_ns;
	if (late > count->late_max_ns)
		count->late_max_ns = late;
	wanem_capture(w, &w->capture, event, now);
}

void wanem_packets_arrive(struct wanem *w, int dir, struct wanem_event *chain,
			  uint64_t now)
{
	struct wanem_way *way = &w->way[dir];

	if (!way->to_dead && w->is_tun)
		wanem_tun_deliver(w, dir, chain);
	else if (!way->to_dead)
		wanem_udp_deliver(w, dir, chain);
	while (chain != NULL) {
		struct wanem_event *event = chain;

		chain = event->next;
		way->in_line--;
		way->in_line_bytes -= event->len;
		if (way->to_dead) {
			way->count.destroyed++;
			lose(w, event, now);
			continue;
		}
		count_arrival(w, event, now);
		free(event);
	}
}

/* ---- the end of a line, or of a site --------------------------------------------------- */

struct doom {
	struct wanem *w;
	int building; /* direction whose building it is; -1: everything */
	uint64_t now;
};

static bool is_doomed(const struct wanem_event *event, void *arg)
{
	const struct doom *doom = arg;

	if (doom->building >= 0)
		return event->kind == WANEM_LEAVES && event->dir == doom->building;
	return event->kind == WANEM_DATAGRAM || event->kind == WANEM_LEAVES;
}

static void destroy(struct wanem_event *event, void *arg)
{
	const struct doom *doom = arg;
	struct wanem_way *way = way_of(doom->w, event);

	if (event->kind == WANEM_LEAVES) {
		way->in_site--;
		way->in_site_bytes -= event->len;
		way->count.site_destroyed++;
	} else {
		way->in_line--;
		way->in_line_bytes -= event->len;
		way->count.destroyed++;
	}
	lose(doom->w, event, doom->now);
}

void wanem_packets_destroy(struct wanem *w)
{
	struct doom doom = { w, -1, wanem_now() };

	wanem_events_remove(&w->events, is_doomed, destroy, &doom);
}

void wanem_packets_site_dies(struct wanem *w, int dir)
{
	struct doom doom = { w, dir, wanem_now() };

	/* What should have left the building by now is in the line. */
	wanem_deliver_due(w, doom.now);
	w->way[dir].from_dead = true;
	w->way[1 - dir].to_dead = true;
	wanem_events_remove(&w->events, is_doomed, destroy, &doom);
}
