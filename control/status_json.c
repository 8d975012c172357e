// SPDX-License-Identifier: BSD-3-Clause
#include "control/status_json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "control/version.h"
#include "nbd-server/nbds.h"
#include "replicator/group.h"
#include "rt/check.h"

/* ---- values: what is not known is null ---------------------------------------------- */

static json_t *number_json(bool known, uint64_t value)
{
	if (!known || value > INT64_MAX)
		return json_null();
	return json_integer((json_int_t)value);
}

static json_t *real_json(bool known, double value)
{
	if (!known || !isfinite(value) || value < 0)
		return json_null();
	return json_real(value);
}

/* A path of the configuration may be in a text: any bytes. */
static json_t *text_json(const char *value)
{
	json_t *text = value[0] ? json_string(value) : json_null();

	return text ? text : json_string("(a text that is no UTF-8)");
}

static json_t *hex_json(uint64_t value)
{
	char digits[17];

	(void)snprintf(digits, sizeof(digits), "%016" PRIx64, value);
	return json_string(digits);
}

/* ---- parts. `s` is NULL for a group that is not open: all nulls ------------------------- */

static json_t *lsn_json(const struct group_status *s)
{
	bool peer = s && s->has_peer;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "admitted",
			 number_json(s, s ? s->lsn.admitted : 0), "written",
			 number_json(s, s ? s->lsn.written : 0), "durable",
			 number_json(s, s ? s->lsn.durable : 0), "onwire",
			 number_json(peer, s ? s->lsn.onwire : 0), "received",
			 number_json(peer, s ? s->lsn.received : 0), "persisted",
			 number_json(peer, s ? s->lsn.persisted : 0));
}

static json_t *exposure_json(const struct group_status *s)
{
	bool peer = s && s->has_peer && s->role == GROUP_PRIMARY;

	return json_pack("{s:o, s:o, s:o, s:o}", "writes",
			 number_json(peer, s ? s->exposure.writes : 0), "bytes",
			 number_json(peer, s ? s->exposure.bytes : 0), "seconds",
			 real_json(peer, s ? s->exposure.seconds : -1), "probability",
			 real_json(peer, s ? s->exposure.probability : -1));
}

json_t *status_recovery_json(const struct group_recovery *r)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "lsn",
			 number_json(r, r ? r->lsn : 0), "epoch",
			 number_json(r && r->epoch, r ? r->epoch : 0), "admitted_at",
			 real_json(r, r ? r->admitted_at : -1), "age_s",
			 real_json(r, r ? r->age_s : -1), "missing_writes",
			 number_json(r, r ? r->missing_writes : 0), "missing_bytes",
			 number_json(r, r ? r->missing_bytes : 0), "known",
			 r ? json_boolean(r->known) : json_null());
}

/* What a promotion of this mirror would find. */
static json_t *recovery_json(const struct group_status *s)
{
	return status_recovery_json(s && s->role == GROUP_MIRROR ? &s->recovery : NULL);
}

static json_t *peer_json(const struct group_status *s)
{
	bool peer = s && s->has_peer;

	return json_pack("{s:o}", "last_received_s",
			 real_json(peer, s ? s->last_received_s : -1));
}

/* Since the start of the daemon. */
static const struct {
	const char *name;
	size_t at; /* uint64_t in struct group_status */
} link_counters[] = {
#define COUNTER(name)                                                                    \
	{                                                                                \
#name, offsetof(struct group_status, link.name)                          \
	}
	COUNTER(sent_bytes),	COUNTER(repair_bytes), COUNTER(rebuilt),
	COUNTER(retransmitted), COUNTER(duplicates),   COUNTER(spurious),
	COUNTER(deficits),	COUNTER(echoes),       COUNTER(forged_echoes),
	COUNTER(unauthentic),	COUNTER(replayed),     COUNTER(malformed),
	COUNTER(enobufs),	COUNTER(send_errors),  COUNTER(guarded),
	COUNTER(outages),	COUNTER(overflowed),   COUNTER(refused_records),
	COUNTER(strangers),
#undef COUNTER
};

static json_t *link_json(const struct group_status *s)
{
	bool peer = s && s->has_peer;
	bool connected = peer && s->link.connected;
	json_t *link;

	link = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "connected",
			 peer ? json_boolean(connected) : json_null(), "transport",
			 peer ? json_string(s->link.tcp ? "tcp" : "udp") : json_null(),
			 "evidence", text_json(connected ? s->link.evidence : ""),
			 "rtt_ms", real_json(connected, s ? s->link.rtt_ms : -1), "loss",
			 real_json(connected, s ? s->link.loss : -1), "burst",
			 real_json(connected, s ? s->link.burst : -1), "rate_bps",
			 number_json(peer && s->link.rate_bps, s ? s->link.rate_bps : 0));
	if (!link)
		return NULL;
	for (unsigned i = 0; i < RT_ARRAY_LEN(link_counters); i++) {
		uint64_t value = 0;

		if (s)
			memcpy(&value, (const char *)s + link_counters[i].at,
			       sizeof(value));
		(void)json_object_set_new(link, link_counters[i].name,
					  number_json(peer, value));
	}
	(void)json_object_set_new(link, "in_line",
				  number_json(connected, s ? s->link.in_line : 0));
	(void)json_object_set_new(link, "queue_ms",
				  real_json(connected, s ? s->link.queue_ms : -1));
	(void)json_object_set_new(link, "congestion",
				  text_json(connected ? s->link.congestion : ""));
	return link;
}

static json_t *fec_json(const struct group_status *s)
{
	bool peer = s && s->has_peer;

	return json_pack("{s:o, s:o, s:o}", "code", text_json(peer ? s->fec.code : ""),
			 "overhead", real_json(peer, s ? s->fec.overhead : -1),
			 "repairs_needed",
			 number_json(peer && s->fec.repairs_needed,
				     s ? s->fec.repairs_needed : 0));
}

static json_t *store_json(const struct group_status *s)
{
	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "bytes",
		number_json(s, s ? s->store.bytes : 0), "used",
		number_json(s, s ? s->store.used : 0), "segments_free",
		number_json(s, s ? s->store.segments_free : 0), "write_amplification",
		real_json(s, s ? s->store.write_amplification : -1), "checkpoint_age_s",
		real_json(s, s ? s->store.checkpoint_age_s : -1), "checksum_errors",
		number_json(s, s ? s->store.checksum_errors : 0), "read_errors",
		number_json(s, s ? s->store.read_errors : 0), "refused_writes",
		number_json(s, s ? s->store.refused_writes : 0), "refused_by_map",
		number_json(s, s ? s->store.refused_by_map : 0), "lost_events",
		number_json(s, s ? s->store.lost_events : 0));
}

static json_t *catchup_json(const struct group_status *s)
{
	bool going = s && s->catchup_total > 0;

	return json_pack("{s:o, s:o, s:o}", "bytes_total",
			 number_json(going, s ? s->catchup_total : 0), "bytes_done",
			 number_json(going, s ? s->catchup_done : 0), "eta_s",
			 real_json(going, s ? s->catchup_eta_s : -1));
}

static json_t *volumes_json(const struct group_status *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; list && s && i < s->nvolumes; i++) {
		const struct group_volume_status *v = &s->volumes[i];

		(void)json_array_append_new(
			list,
			json_pack(
				"{s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, "
				"s:o}",
				"name", json_string(v->name), "size",
				number_json(true, v->size), "mapped",
				number_json(true, v->mapped), "sync",
				group_mode_name(v->sync), "sync_effective",
				group_mode_name(v->sync_effective), "generation",
				hex_json(v->generation), "reads",
				number_json(true, v->reads), "writes",
				number_json(true, v->writes), "flushes",
				number_json(true, v->flushes), "waiting",
				number_json(true, v->waiting), "waiting_bytes",
				number_json(true, v->waiting_bytes), "waiting_flushes",
				number_json(true, v->waiting_flushes)));
	}
	return list;
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* Since the start of the daemon, but for the first four. */
static const struct {
	const char *name;
	size_t at, width; /* in struct nbds_stats */
} nbd_counters[] = {
#define COUNTER(name)                                                                    \
	{                                                                                \
#name, offsetof(struct nbds_stats, name),                                \
			sizeof(((struct nbds_stats *)0)->name)                           \
	}
	COUNTER(connections),
	COUNTER(inflight),
	COUNTER(abandoned),
	COUNTER(memory),
	COUNTER(accepted),
	COUNTER(refused),
	COUNTER(handshake_errors),
	COUNTER(refused_options),
	COUNTER(handshake_timeouts),
	COUNTER(protocol_errors),
	COUNTER(evicted),
	COUNTER(waited),
	COUNTER(reads),
	COUNTER(writes),
	COUNTER(flushes),
	COUNTER(trims),
	COUNTER(zeroes),
	COUNTER(read_bytes),
	COUNTER(write_bytes),
	COUNTER(refused_requests),
	COUNTER(failed_requests),
	COUNTER(unlogged),
#undef COUNTER
};

static json_t *nbd_json(const struct nbds_stats *stats)
{
	json_t *nbd = json_object();

	for (unsigned i = 0; nbd && i < RT_ARRAY_LEN(nbd_counters); i++) {
		const char *at = stats ? (const char *)stats + nbd_counters[i].at : NULL;
		uint64_t value = 0;
		unsigned narrow;

		if (at && nbd_counters[i].width == sizeof(value)) {
			memcpy(&value, at, sizeof(value));
		} else if (at) {
			memcpy(&narrow, at, sizeof(narrow));
			value = narrow;
		}
		(void)json_object_set_new(nbd, nbd_counters[i].name,
					  number_json(stats, value));
	}
	return nbd;
}

json_t *status_new(const struct status_daemon *daemon)
{
	return json_pack("{s:s, s:s, s:o, s:{s:o}, s:{s:o}, s:[]}", "node", daemon->node,
			 "version", WANMIRROR_VERSION, "nbd", nbd_json(daemon->nbd),
			 "control", "refused", number_json(true, daemon->control_refused),
			 "log", "dropped", number_json(true, daemon->log_dropped),
			 "groups");
}

static json_t *role_json(const struct group_status *s)
{
	if (!s)
		return json_null();
	return json_string(s->role == GROUP_MIRROR ? "mirror" : "primary");
}

static int object_add(json_t *status, const char *name, const char *state,
		      const char *why, const struct group_status *s)
{
	json_t *group;

	group = json_pack(
		"{s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "name", name, "role",
		role_json(s), "state", state, "epoch", number_json(s, s ? s->epoch : 0),
		"epoch_id", s ? hex_json(s->epoch_id) : json_null(), "sync",
		s ? json_string(group_mode_name(s->sync)) : json_null(), "sync_effective",
		s ? json_string(group_mode_name(s->sync_effective)) : json_null(),
		"alone", s ? json_boolean(s->alone) : json_null(), "why", text_json(why));
	if (!group)
		return -ENOMEM;
	(void)json_object_update_new(
		group,
		json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:[], s:[], s:o}",
			  "lsn", lsn_json(s), "exposure", exposure_json(s), "recovery",
			  recovery_json(s), "peer", peer_json(s), "link", link_json(s),
			  "fec", fec_json(s), "store", store_json(s), "volumes",
			  volumes_json(s), "snapshots", "branches", "catchup",
			  catchup_json(s)));
	return json_array_append_new(json_object_get(status, "groups"), group) < 0
		       ? -ENOMEM
		       : 0;
}

int status_add_group(json_t *status, const struct group_status *group)
{
	return object_add(status, group->name, group_state_name(group->state), group->why,
			  group);
}

int status_add_closed_group(json_t *status, const char *name, const char *state,
			    const char *why)
{
	return object_add(status, name, state, why, NULL);
}
