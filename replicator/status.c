// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <string.h>

#include "replicator/group_policy.h"
#include "replicator/group_private.h"
#include "replicator/history.h"
#include "replicator/log_sender.h"
#include "replicator/promote.h"
#include "replicator/recovery.h"
#include "replicator/request.h"
#include "replicator/session.h"
#include "replicator/transport.h"
#include "replicator/tunnel/io.h"

/* A silence of more than this means that the primary was never received. */
#define STATUS_EVER_NS (INT64_C(10) * 365 * 86400 * RT_S)

static const char *status_evidence_name(enum group_evidence evidence)
{
	switch (evidence) {
	case GROUP_EV_QUEUED:
		return "queued";
	case GROUP_EV_DRIVER:
		return "driver";
	case GROUP_EV_NIC:
		return "nic";
	case GROUP_EV_EDGE:
		return "edge";
	case GROUP_EV_MIRROR:
		return "mirror";
	}
	rt_assert(!"an evidence");
	return "";
}

static void status_datagrams(const struct session *s, struct group_status *ret)
{
	struct tunnel_io_stats io;

	tunnel_io_stats(s->io, &io);
	ret->link.unauthentic += io.foreign;
	ret->link.enobufs = io.enobufs;
	ret->link.send_errors = io.errors;
	ret->link.echoes = io.echoes;
	ret->link.forged_echoes = io.forged;
}

/* Since the daemon's start: a transport lives as long as its connection only. */
static void status_counters(const struct session *s, const struct transport_stats *stats,
			    struct group_status *ret)
{
	struct transport_counters all = s->counted;

	if (stats)
		transport_counters_add(&all, &stats->counters);
	ret->link.sent_bytes = all.sent_bytes;
	ret->link.repair_bytes = all.repair_bytes;
	ret->link.rebuilt = all.rebuilt;
	ret->link.retransmitted = all.retransmitted;
	ret->link.duplicates = all.duplicates;
	ret->link.spurious = all.spurious;
	ret->link.deficits = all.deficits;
	ret->link.unauthentic = all.unauthentic;
	ret->link.replayed = all.replayed;
	ret->link.malformed = all.malformed;
	ret->link.guarded = all.guarded;
	ret->link.outages = all.outages;
	ret->link.overflowed = all.overflowed;
}

static void status_transport(const struct group *g, const struct transport_stats *stats,
			     struct group_status *ret)
{
	enum tunnel_evidence evidence = transport_evidence(g->session->transport);

	(void)snprintf(ret->link.evidence, sizeof(ret->link.evidence), "%s",
		       evidence == TUNNEL_MIRROR
			       ? "mirror"
			       : status_evidence_name(g->config.peer.evidence));
	ret->link.tcp = stats->tcp;
	if (stats->rtt_ns >= 0)
		ret->link.rtt_ms = (double)stats->rtt_ns / RT_MS;
	ret->link.loss = stats->loss;
	ret->link.burst = stats->burst;
	ret->link.rate_bps = stats->rate_bps;
	if (stats->queue_ns >= 0)
		ret->link.queue_ms = (double)stats->queue_ns / RT_MS;
	(void)snprintf(ret->link.congestion, sizeof(ret->link.congestion), "%s",
		       stats->congestion);
	ret->link.in_line = stats->in_flight;
	ret->fec.repairs_needed = stats->repairs;
	ret->fec.overhead = stats->overhead;
}

static void status_link(const struct group *g, const struct transport_stats *stats,
			struct group_status *ret)
{
	const struct session *s = g->session;

	ret->link.rtt_ms = ret->link.loss = ret->link.burst = ret->link.queue_ms = -1;
	ret->fec.overhead = -1;
	ret->link.refused_records = g->apply.refused;
	if (!s)
		return;
	ret->link.connected = group_policy_path_serves(g);
	ret->link.tcp = g->config.peer.tcp;
	ret->link.rate_bps = g->config.peer.tcp ? 0 : g->config.peer.rate_bps;
	ret->link.rtt_ms = s->ping.rtt_ms;
	if (stats)
		status_transport(g, stats, ret);
	ret->link.strangers = s->callers.strangers;
	status_counters(s, stats, ret);
	status_datagrams(s, ret);
	(void)snprintf(ret->fec.code, sizeof(ret->fec.code), "%s",
		       ret->link.tcp ? "none" : g->config.peer.fec.code);
}

/* The highest LSN whose write may have been completed. */
static uint64_t status_completed(const struct group *g)
{
	uint64_t lsn = 0;

	if (!group_serving(g) || group_is_fenced(g))
		return lfs_lsn(g->lfs).admitted; /* by an earlier start */
	for (unsigned i = 0; i < g->nvolumes; i++)
		if (g->volumes[i].replied_lsn > lsn)
			lsn = g->volumes[i].replied_lsn;
	return lsn;
}

/* Without a transport the next one will leave what the model says of the assumed path. */
static double status_modeled(const struct group *g, const struct transport_stats *stats)
{
	if (!stats)
		return g->risk.left;
	/* What counts as on the wire has been received: nothing is left to chance. */
	if (transport_evidence(g->session->transport) == TUNNEL_MIRROR)
		return 0;
	return stats->residual >= 0 ? stats->residual : g->risk.left;
}

static void status_risk(const struct group *g, const struct transport_stats *stats,
			struct group_status *ret)
{
	const struct gate_marks *marks = &g->gate.marks;
	struct exposure_figures beyond;
	struct exposure_risk risk;

	if (!g->session || g->role != GROUP_PRIMARY)
		return;
	/* Before it serves this site has not begun to count. */
	if (group_serving(g)) {
		bool known = exposure_beyond(&g->backlog.exposure, marks->persisted,
					     rt_now(g->loop), &beyond);

		ret->exposure.writes = beyond.writes;
		ret->exposure.bytes = known ? beyond.bytes : GROUP_NOT_KNOWN;
		ret->exposure.seconds = known ? (double)beyond.age_ns / RT_S : -1;
	}
	if (!stats)
		ret->fec.repairs_needed = g->risk.repairs;
	risk = (struct exposure_risk){
		.completed = status_completed(g),
		.onwire = gate_onwire(&g->gate),
		.received = gate_received(&g->gate),
		/* A mirror that has vanished is seen first by the end of the proof. */
		.proven = group_policy_path_serves(g) && !group_policy_mirror_behind(g) &&
			  session_path_proven(g->session),
		.modeled = status_modeled(g, stats),
	};
	ret->exposure.probability = exposure_probability(&risk);
}

/* Both parts are filled from one reading of the transport, so they agree with each other. */
static void status_peer(const struct group *g, struct group_status *ret)
{
	const struct transport *t = g->session ? g->session->transport : NULL;
	struct transport_stats stats;

	if (t)
		transport_stats(t, &stats);
	status_link(g, t ? &stats : NULL, ret);
	status_risk(g, t ? &stats : NULL, ret);
}

/* Of a mirror: what a promotion would find. */
static void status_recovery(const struct group *g, struct group_status *ret)
{
	int64_t silence_ns = peer_watch_primary_silence_ns(&g->watch, rt_now(g->loop));
	struct recovery r;

	promote_recovery(g, &r);
	recovery_find(&r, &ret->recovery);
	if (silence_ns < STATUS_EVER_NS)
		ret->last_received_s = (double)silence_ns / RT_S;
}

/* Of a primary; it goes on when the transport is gone, as that is when somebody asks. */
static void status_mirror_silence(const struct group *g, struct group_status *ret)
{
	int64_t silence_ns = peer_watch_mirror_silence_ns(&g->watch, rt_now(g->loop));

	if (silence_ns >= 0)
		ret->last_received_s = (double)silence_ns / RT_S;
}

static void status_store(const struct group *g, struct group_status *ret)
{
	struct lfs_event_figures events;
	struct lfs_stats stats;

	lfs_stats(g->lfs, &stats);
	lfs_event_log_figures(g->lfs, &events);
	ret->store.lost_events = events.lost;
	ret->store.bytes = stats.store_bytes;
	ret->store.used = stats.used_bytes;
	ret->store.segments_free = stats.segments_free;
	ret->store.checksum_errors = stats.checksum_errors;
	ret->store.read_errors = stats.read_errors;
	ret->store.refused_writes = g->log_room.refused_writes;
	ret->store.refused_by_map = g->log_room.refused_by_map;
	ret->store.write_amplification =
		stats.client_bytes ? (double)stats.disk_bytes / (double)stats.client_bytes
				   : -1;
	ret->store.checkpoint_age_s =
		stats.checkpoint_age_ns < 0 ? -1 : (double)stats.checkpoint_age_ns / RT_S;
}

static void status_lsn(const struct group *g, struct group_status *ret)
{
	struct lfs_lsn lsn = lfs_lsn(g->lfs);
	const struct gate_marks *marks = &g->gate.marks;

	ret->lsn.admitted = lsn.admitted;
	ret->lsn.written = lsn.written;
	ret->lsn.durable = lsn.durable;
	if (g->role == GROUP_MIRROR) { /* its own log, in the words of the wire */
		ret->lsn.onwire = ret->lsn.received = lsn.admitted;
		ret->lsn.persisted = lsn.durable;
		return;
	}
	ret->lsn.onwire = marks->onwire;
	ret->lsn.received = marks->received;
	ret->lsn.persisted = marks->persisted;
}

/* Writes of `list` that wait for the mirror, or for the disk, by volume. */
static void status_waiting(const struct group *g, const struct rt_list *list,
			   struct group_status *ret)
{
	for (const struct rt_list *at = list->next; at != list; at = at->next) {
		const struct write *w = rt_container_of(at, struct write, link);
		struct group_volume_status *out =
			&ret->volumes[w->req->volume - g->volumes];

		out->waiting++;
		out->waiting_bytes += (uint64_t)w->blocks * GROUP_BLOCK;
	}
}

static void status_volumes(const struct group *g, struct group_status *ret)
{
	const struct lfs_meta *meta = lfs_meta(g->lfs);

	ret->nvolumes = g->nvolumes;
	for (unsigned i = 0; i < g->nvolumes; i++) {
		const struct group_volume *v = &g->volumes[i];
		struct group_volume_status *out = &ret->volumes[i];
		struct gate_need need;

		request_volume_need(v, &need);
		(void)snprintf(out->name, sizeof(out->name), "%s", v->name);
		out->size = v->size;
		out->mapped = lfs_mapped(g->lfs, v->index) * LFS_BLOCK;
		out->sync = v->sync;
		out->sync_effective = gate_mode(&g->gate, &need);
		out->generation = history_generation(meta, meta->volumes[v->index].id);
		out->reads = v->reads;
		out->writes = v->writes;
		out->flushes = v->flushes;
		out->waiting_flushes = v->flushes_waiting;
	}
	status_waiting(g, &g->writes.inflight, ret);
	status_waiting(g, &g->writes.released, ret);
}

static void status_catchup(const struct group *g, struct group_status *ret)
{
	struct catchup_progress progress;

	if (!g->session)
		return;
	catchup_progress(&g->session->catchup, &g->backlog.exposure,
			 g->gate.marks.received, rt_now(g->loop), &progress);
	ret->catchup_total = progress.total;
	ret->catchup_done = progress.done;
	ret->catchup_eta_s = progress.eta_s;
}

void group_status(const struct group *g, struct group_status *ret)
{
	const struct lfs_epoch *epoch;

	memset(ret, 0, sizeof(*ret));
	(void)snprintf(ret->name, sizeof(ret->name), "%s", g->config.name);
	ret->role = g->role;
	ret->state = g->state;
	ret->sync = g->config.sync;
	ret->sync_effective = group_policy_effective(g);
	ret->has_peer = g->config.has_peer;
	ret->alone = g->alone != GROUP_NOT_ALONE;
	ret->catchup_eta_s = -1;
	ret->exposure.writes = ret->exposure.bytes = GROUP_NOT_KNOWN;
	ret->exposure.seconds = ret->exposure.probability = -1;
	ret->recovery.admitted_at = ret->recovery.age_s = ret->last_received_s = -1;
	ret->recovery.missing_writes = ret->recovery.missing_bytes = GROUP_NOT_KNOWN;
	group_policy_why(g, ret->why, sizeof(ret->why));
	if (!g->lfs) {
		ret->link.rtt_ms = ret->link.loss = ret->link.burst = -1;
		ret->link.queue_ms = -1;
		return; /* closing */
	}
	epoch = &lfs_meta(g->lfs)->epochs[lfs_meta(g->lfs)->nepochs - 1];
	ret->epoch = epoch->number;
	ret->epoch_id = epoch->id;
	status_lsn(g, ret);
	status_peer(g, ret);
	if (g->role == GROUP_MIRROR)
		status_recovery(g, ret);
	else
		status_mirror_silence(g, ret);
	status_store(g, ret);
	status_volumes(g, ret);
	status_catchup(g, ret);
}
