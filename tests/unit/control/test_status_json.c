// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/unit.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/status_json.h"
#include "nbd-server/nbds.h"
#include "tests/unit/control/double.h"

/*
 * Scripts rely on the names of `status --json`: all of them are there in every state, with
 * the types that were promised; and what is not known is null, never a number that looks
 * measured.
 */

static const char *const names[] = {
	"name",
	"role",
	"state",
	"epoch",
	"epoch_id",
	"sync",
	"sync_effective",
	"lsn.admitted",
	"lsn.written",
	"lsn.durable",
	"lsn.onwire",
	"lsn.received",
	"lsn.persisted",
	"exposure.writes",
	"exposure.bytes",
	"exposure.seconds",
	"exposure.probability",
	"recovery.lsn",
	"recovery.epoch",
	"recovery.admitted_at",
	"recovery.age_s",
	"recovery.missing_writes",
	"recovery.missing_bytes",
	"recovery.known",
	"peer.last_received_s",
	"link.connected",
	"link.evidence",
	"link.rtt_ms",
	"link.loss",
	"link.burst",
	"link.rate_bps",
	"link.sent_bytes",
	"link.repair_bytes",
	"link.rebuilt",
	"link.retransmitted",
	"fec.code",
	"fec.overhead",
	"fec.repairs_needed",
	"store.bytes",
	"store.used",
	"store.segments_free",
	"store.write_amplification",
	"store.checkpoint_age_s",
	"volumes",
	"snapshots",
	"branches",
	"catchup.bytes_total",
	"catchup.bytes_done",
	"catchup.eta_s",
	/* beyond the promise, but documented as well */
	"alone",
	"why",
	"link.transport",
	"link.unauthentic",
	"link.in_line",
	"link.guarded",
	"link.outages",
	"link.overflowed",
	"link.refused_records",
	"link.strangers",
	"link.replayed",
	"link.malformed",
	"link.duplicates",
	"link.spurious",
	"link.deficits",
	"link.echoes",
	"link.forged_echoes",
	"link.enobufs",
	"link.send_errors",
	"link.queue_ms",
	"link.congestion",
	"store.checksum_errors",
	"store.read_errors",
	"store.refused_writes",
	"store.refused_by_map",
	"store.lost_events",
};

static struct group_status s;

static json_t *status_of(const char *node, const struct nbds_stats *nbd)
{
	return status_new(&(struct status_daemon){ .node = node, .nbd = nbd });
}

static void status_fill(void)
{
	memset(&s, 0, sizeof(s));
	(void)snprintf(s.name, sizeof(s.name), "db");
	s.role = GROUP_PRIMARY;
	s.state = GROUP_EXPOSED;
	s.epoch = 3;
	s.epoch_id = UINT64_C(0xfedcba9876543210);
	s.sync = GROUP_NETWORK;
	s.sync_effective = GROUP_LOCAL;
	s.has_peer = true;
	s.lsn.admitted = 12;
	s.lsn.persisted = 7;
	s.exposure.writes = 5;
	s.exposure.seconds = 1.5;
	s.exposure.probability = 1e-7;
	s.link.connected = true;
	(void)snprintf(s.link.evidence, sizeof(s.link.evidence), "driver");
	s.link.rtt_ms = 50.25;
	s.link.loss = 0;
	s.link.burst = -1;
	s.link.rate_bps = 200000000;
	(void)snprintf(s.fec.code, sizeof(s.fec.code), "window");
	s.fec.overhead = 0.1;
	s.fec.repairs_needed = 6;
	s.store.bytes = UINT64_C(600) << 30;
	s.store.write_amplification = NAN;
	s.nvolumes = 2;
	(void)snprintf(s.volumes[0].name, sizeof(s.volumes[0].name), "data");
	(void)snprintf(s.volumes[1].name, sizeof(s.volumes[1].name), "wal");
	s.volumes[1].size = 1u << 30;
	s.volumes[1].sync = GROUP_REMOTE;
	s.volumes[1].generation = 1;
	s.volumes[1].waiting = 3;
	s.volumes[1].waiting_bytes = 12288;
	s.volumes[1].waiting_flushes = 38;
}

static json_t *at(json_t *group, const char *path)
{
	char copy[64], *save, *part;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	for (part = strtok_r(copy, ".", &save); part; part = strtok_r(NULL, ".", &save))
		group = json_object_get(group, part);
	return group;
}

/* Every name that is in `object` must be in the list. */
static void nothing_else(const char *prefix, json_t *object)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
	{
		char path[128];
		bool known = false;

		(void)snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "." : "",
			       name);
		if (json_is_object(value)) {
			nothing_else(path, value);
			continue;
		}
		for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
			known |= strcmp(names[i], path) == 0;
		if (!known)
			fail_msg("%s is in no document", path);
	}
}

static json_t *group_of(json_t *status)
{
	json_t *group = json_array_get(json_object_get(status, "groups"), 0);

	assert_non_null(group);
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!at(group, names[i]))
			fail_msg("%s is not there", names[i]);
	nothing_else("", group);
	return group;
}

static void all_names_are_there_in_every_state(void **state)
{
	for (unsigned i = 0; i <= GROUP_FOLLOWING; i++) {
		json_t *status = status_of("nyc", NULL);

		status_fill();
		s.state = (enum group_state)i;
		s.has_peer = i % 2;
		assert_int_equal(status_add_group(status, &s), 0);
		(void)group_of(status);
		json_decref(status);
	}
	memset(&s, 0, sizeof(s));
	json_t *status = status_of("nyc", NULL);

	assert_int_equal(status_add_group(status, &s), 0);
	(void)group_of(status);
	json_decref(status);
}

static void values_are_those_of_the_group(void **state)
{
	json_t *status = status_of("nyc", NULL);
	json_t *g, *v;

	status_fill();
	assert_int_equal(status_add_group(status, &s), 0);
	assert_string_equal(json_string_value(at(status, "node")), "nyc");
	assert_true(json_is_string(at(status, "version")));
	g = group_of(status);
	assert_string_equal(json_string_value(at(g, "role")), "primary");
	assert_string_equal(json_string_value(at(g, "state")), "EXPOSED");
	assert_int_equal(json_integer_value(at(g, "epoch")), 3);
	assert_string_equal(json_string_value(at(g, "epoch_id")), "fedcba9876543210");
	assert_string_equal(json_string_value(at(g, "sync_effective")), "local");
	assert_int_equal(json_integer_value(at(g, "lsn.admitted")), 12);
	assert_int_equal(json_integer_value(at(g, "lsn.persisted")), 7);
	assert_true(json_real_value(at(g, "link.rtt_ms")) == 50.25);
	assert_true(json_is_real(at(g, "link.loss")));
	assert_true(json_is_true(at(g, "link.connected")));
	assert_int_equal(json_array_size(at(g, "volumes")), 2);
	v = json_array_get(at(g, "volumes"), 1);
	assert_string_equal(json_string_value(at(v, "name")), "wal");
	assert_string_equal(json_string_value(at(v, "sync")), "remote");
	assert_string_equal(json_string_value(at(v, "generation")), "0000000000000001");
	assert_string_equal(json_string_value(at(v, "sync_effective")), "local");
	assert_int_equal(json_object_size(v), 12);
	assert_int_equal(json_integer_value(at(v, "waiting")), 3);
	assert_int_equal(json_integer_value(at(v, "waiting_bytes")), 12288);
	assert_int_equal(json_integer_value(at(v, "waiting_flushes")), 38);
	json_decref(status);
}

static void what_is_not_known_is_null(void **state)
{
	json_t *status = status_of("nyc", NULL);
	json_t *g;

	status_fill();
	assert_int_equal(status_add_group(status, &s), 0);
	g = group_of(status);
	assert_true(json_is_null(at(g, "link.burst")));
	assert_true(json_is_null(at(g, "store.write_amplification")));
	assert_true(json_is_null(at(g, "catchup.bytes_total")));
	assert_true(json_is_null(at(g, "why")));
	assert_true(json_is_null(at(g, "recovery.lsn")));
	json_decref(status);

	status = status_of("nyc", NULL);
	s.link.connected = false;
	assert_int_equal(status_add_group(status, &s), 0);
	g = group_of(status);
	assert_true(json_is_false(at(g, "link.connected")));
	assert_true(json_is_null(at(g, "link.rtt_ms")));
	assert_true(json_is_null(at(g, "link.evidence")));
	json_decref(status);

	/* A mirror's own data are at no risk; and its age is not known from the start. */
	status = status_of("nyc", NULL);
	s.role = GROUP_MIRROR;
	s.recovery.lsn = 7;
	s.recovery.admitted_at = s.recovery.age_s = s.last_received_s = -1;
	s.recovery.known = false;
	s.recovery.missing_writes = s.recovery.missing_bytes = GROUP_NOT_KNOWN;
	assert_int_equal(status_add_group(status, &s), 0);
	g = group_of(status);
	assert_true(json_is_null(at(g, "exposure.writes")));
	assert_true(json_is_null(at(g, "exposure.probability")));
	assert_int_equal(json_integer_value(at(g, "recovery.lsn")), 7);
	assert_true(json_is_null(at(g, "recovery.admitted_at")));
	assert_true(json_is_false(at(g, "recovery.known")));
	assert_true(json_is_null(at(g, "recovery.missing_writes")));
	assert_true(json_is_null(at(g, "recovery.missing_bytes")));
	assert_true(json_is_null(at(g, "recovery.age_s")));
	assert_true(json_is_null(at(g, "peer.last_received_s")));
	json_decref(status);

	status = status_of("nyc", NULL);
	assert_int_equal(status_add_closed_group(status, "db", "STARTING",
						 "the store is in use"),
			 0);
	g = group_of(status);
	assert_string_equal(json_string_value(at(g, "why")), "the store is in use");
	assert_string_equal(json_string_value(at(g, "name")), "db");
	assert_string_equal(json_string_value(at(g, "state")), "STARTING");
	assert_true(json_is_null(at(g, "role")));
	assert_true(json_is_null(at(g, "lsn.admitted")));
	assert_int_equal(json_array_size(at(g, "volumes")), 0);
	json_decref(status);
}

/* Nothing is counted that nobody can read: each field of the server's counters is there. */
static void all_counters_of_the_nbd_server_are_there(void **state)
{
	struct nbds_stats stats = {
		.connections = 3, .refused = 7, .failed_requests = 9, .unlogged = 11
	};
	json_t *status = status_of("nyc", &stats);
	json_t *nbd = json_object_get(status, "nbd");

	assert_int_equal(json_object_size(nbd), 22);
	assert_int_equal(json_integer_value(json_object_get(nbd, "connections")), 3);
	assert_int_equal(json_integer_value(json_object_get(nbd, "refused")), 7);
	assert_int_equal(json_integer_value(json_object_get(nbd, "failed_requests")), 9);
	assert_int_equal(json_integer_value(json_object_get(nbd, "waited")), 0);
	assert_int_equal(json_integer_value(json_object_get(nbd, "unlogged")), 11);
	json_decref(status);
	status = status_of("nyc", NULL);
	nbd = json_object_get(status, "nbd");
	assert_int_equal(json_object_size(nbd), 22);
	assert_true(json_is_null(json_object_get(nbd, "connections")));
	json_decref(status);
}

static char *print(const json_t *status)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	status_print(status, f);
	assert_int_equal(fclose(f), 0);
	return text;
}

/* Whatever is refused or dropped without another trace is counted where people look. */
static void what_the_daemon_refused_and_dropped_is_there(void **state)
{
	json_t *status = status_new(&(struct status_daemon){
		.node = "nyc", .control_refused = 12, .log_dropped = 345 });
	char *text = print(status);

	assert_int_equal(json_integer_value(at(status, "control.refused")), 12);
	assert_int_equal(json_integer_value(at(status, "log.dropped")), 345);
	assert_non_null(strstr(text, " 12 control requests; 345 log lines dropped\n"));
	free(text);
	json_decref(status);
	status = status_of("nyc", NULL);
	text = print(status);
	assert_int_equal(json_integer_value(at(status, "control.refused")), 0);
	assert_int_equal(json_integer_value(at(status, "log.dropped")), 0);
	assert_null(strstr(text, "dropped"));
	free(text);
	json_decref(status);
}

static void screen_shows_what_matters(void **state)
{
	json_t *status = status_of("nyc", NULL);
	char *text;

	status_fill();
	(void)snprintf(s.why, sizeof(s.why), "mirror away\033[2J");
	assert_int_equal(status_add_group(status, &s), 0);
	text = print(status);
	assert_non_null(strstr(text, "db: primary, EXPOSED, epoch 3"));
	assert_non_null(strstr(text, "network, but now counts as local"));
	assert_non_null(strstr(text, "rtt 50.2 ms"));
	assert_non_null(strstr(text, "200 Mbit/s"));
	assert_non_null(strstr(text, "wal"));
	assert_non_null(strstr(text, "remote, now local"));
	assert_non_null(strstr(text, " 41\n")); /* writes and FLUSHes that wait */
	assert_non_null(strstr(text, "600 GiB"));
	assert_null(strchr(text, '\033')); /* it cannot move the cursor */
	assert_null(strstr(text, "recovery"));
	free(text);
	json_decref(status);

	status = status_of("lon", NULL);
	s.role = GROUP_MIRROR;
	s.recovery.age_s = 3.25;
	assert_int_equal(status_add_group(status, &s), 0);
	text = print(status);
	assert_non_null(strstr(text, "image 3.2 s old"));
	assert_null(strstr(text, "exposure"));
	free(text);
	json_decref(status);
}

/* Whatever stands in its place, the screen does not crash on it. */
static void screen_survives_any_json(void **state)
{
	static const char *const texts[] = {
		"{}",
		"[]",
		"{\"groups\":5}",
		"{\"groups\":[5,null,{}]}",
		"{\"groups\":[{\"link\":[],\"lsn\":\"x\",\"volumes\":[1,{}]}],\"node\":{}"
		"}",
		"{\"groups\":[{\"link\":{\"connected\":true}}]}",
	};

	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		json_t *status = json_loads(texts[i], 0, NULL);

		free(print(status));
		json_decref(status);
	}
	free(print(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_names_are_there_in_every_state),
		cmocka_unit_test(values_are_those_of_the_group),
		cmocka_unit_test(what_is_not_known_is_null),
		cmocka_unit_test(all_counters_of_the_nbd_server_are_there),
		cmocka_unit_test(what_the_daemon_refused_and_dropped_is_there),
		cmocka_unit_test(screen_shows_what_matters),
		cmocka_unit_test(screen_survives_any_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
