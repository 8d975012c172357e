// SPDX-License-Identifier: BSD-3-Clause
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "control/status_json.h"
#include "rt/check.h"
#include "rt/log.h"

/* `wanmirror status` for people, from the same JSON that scripts get. */

#define FIELD_TEXT 64

/* A value deep in an object: path "lsn.admitted". NULL if it is not there. */
static const json_t *member_find(const json_t *object, const char *path)
{
	char part[FIELD_TEXT];
	size_t len = strcspn(path, ".");

	(void)snprintf(part, sizeof(part), "%.*s", (int)len, path);
	object = json_object_get(object, part);
	return path[len] ? member_find(object, path + len + 1) : object;
}

/* A string of the daemon, without bytes that would move a terminal's cursor. */
static const char *member_text(const json_t *object, const char *path, char *buf,
			       size_t size)
{
	const char *text = json_string_value(member_find(object, path));
	size_t n = 0;

	if (!text)
		text = "-";
	for (; *text && n + 1 < size; text++)
		buf[n++] = *text >= ' ' && *text != 0x7f ? *text : '?';
	buf[n] = 0;
	return buf;
}

static const char *member_count(const json_t *object, const char *path,
				char buf[FIELD_TEXT])
{
	const json_t *value = member_find(object, path);

	if (json_is_integer(value))
		(void)snprintf(buf, FIELD_TEXT, "%" JSON_INTEGER_FORMAT,
			       json_integer_value(value));
	else
		(void)snprintf(buf, FIELD_TEXT, "-");
	return buf;
}

/* A number times `factor` in `fmt`, which has one %g or %f. */
__attribute__((format(printf, 4, 0))) static const char *
member_real(const json_t *object, const char *path, double factor, const char *fmt,
	    char buf[FIELD_TEXT])
{
	const json_t *value = member_find(object, path);

	if (json_is_number(value))
		(void)snprintf(buf, FIELD_TEXT, fmt, factor * json_number_value(value));
	else
		(void)snprintf(buf, FIELD_TEXT, "-");
	return buf;
}

static const char *member_scaled(const json_t *object, const char *path, double step,
				 const char *const *units, char buf[FIELD_TEXT])
{
	const json_t *value = member_find(object, path);
	double x = json_number_value(value);

	if (!json_is_number(value)) {
		(void)snprintf(buf, FIELD_TEXT, "-");
		return buf;
	}
	for (; x >= step && units[1]; units++)
		x /= step;
	(void)snprintf(buf, FIELD_TEXT, x == floor(x) || x >= 100 ? "%.0f %s" : "%.1f %s",
		       x, units[0]);
	return buf;
}

static const char *member_bytes(const json_t *object, const char *path,
				char buf[FIELD_TEXT])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", NULL };

	return member_scaled(object, path, 1024, units, buf);
}

static const char *member_rate(const json_t *object, const char *path,
			       char buf[FIELD_TEXT])
{
	static const char *const units[] = { "bit/s", "kbit/s", "Mbit/s", "Gbit/s",
					     NULL };

	return member_scaled(object, path, 1000, units, buf);
}

static bool member_there(const json_t *object, const char *path)
{
	const json_t *value = member_find(object, path);

	return value && !json_is_null(value);
}

static void print_lsn(const json_t *g, FILE *out)
{
	static const char *const names[] = { "admitted", "written",  "durable",
					     "onwire",	 "received", "persisted" };
	char path[FIELD_TEXT], a[FIELD_TEXT];

	fprintf(out, "  lsn       ");
	for (unsigned i = 0; i < RT_ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "lsn.%s", names[i]);
		fprintf(out, " %s %s", names[i], member_count(g, path, a));
	}
	fprintf(out, "\n");
}

static void print_exposure(const json_t *g, FILE *out)
{
	char a[FIELD_TEXT], b[FIELD_TEXT], c[FIELD_TEXT], d[FIELD_TEXT];

	fprintf(out, "  exposure   %s writes, %s, %s",
		member_count(g, "exposure.writes", a),
		member_bytes(g, "exposure.bytes", b),
		member_real(g, "exposure.seconds", 1, "%.2f s", c));
	if (member_there(g, "exposure.probability"))
		fprintf(out,
			"; a disaster now loses a completed write with probability %s",
			member_real(g, "exposure.probability", 1, "%.2g", d));
	fprintf(out, "\n");
}

static void print_recovery(const json_t *g, FILE *out)
{
	char a[FIELD_TEXT], b[FIELD_TEXT], c[FIELD_TEXT];

	fprintf(out, "  recovery   lsn %s, image %s old, primary last received %s ago\n",
		member_count(g, "recovery.lsn", a),
		member_real(g, "recovery.age_s", 1, "%.1f s", b),
		member_real(g, "peer.last_received_s", 1, "%.1f s", c));
}

static void print_link(const json_t *g, FILE *out)
{
	char a[FIELD_TEXT], b[FIELD_TEXT], c[FIELD_TEXT], d[FIELD_TEXT];

	if (!json_is_true(member_find(g, "link.connected"))) {
		fprintf(out, "  link       %s\n",
			member_there(g, "link.connected") ? "not connected" : "none");
		return;
	}
	if (strcmp(member_text(g, "link.transport", a, sizeof(a)), "tcp") == 0) {
		fprintf(out, "  link       connected by tcp, rtt %s, sent %s\n",
			member_real(g, "link.rtt_ms", 1, "%.1f ms", a),
			member_bytes(g, "link.sent_bytes", b));
		return;
	}
	fprintf(out, "  link       connected, rtt %s, loss %s, rate %s, evidence %s\n",
		member_real(g, "link.rtt_ms", 1, "%.1f ms", a),
		member_real(g, "link.loss", 100, "%.2g %%", b),
		member_rate(g, "link.rate_bps", c),
		member_text(g, "link.evidence", d, sizeof(d)));
	fprintf(out,
		"             sent %s, of that repairs %s; rebuilt %s, sent again %s\n",
		member_bytes(g, "link.sent_bytes", a),
		member_bytes(g, "link.repair_bytes", b),
		member_count(g, "link.rebuilt", c),
		member_count(g, "link.retransmitted", d));
	fprintf(out, "  fec        %s, overhead %s, %s repairs cover a write\n",
		member_text(g, "fec.code", a, sizeof(a)),
		member_real(g, "fec.overhead", 100, "%.1f %%", b),
		member_count(g, "fec.repairs_needed", c));
}

static void print_store(const json_t *g, FILE *out)
{
	char a[FIELD_TEXT], b[FIELD_TEXT], c[FIELD_TEXT], d[FIELD_TEXT], e[FIELD_TEXT];

	fprintf(out,
		"  store      %s of %s used, %s segments free, write amplification %s",
		member_bytes(g, "store.used", a), member_bytes(g, "store.bytes", b),
		member_count(g, "store.segments_free", c),
		member_real(g, "store.write_amplification", 1, "%.2f", d));
	fprintf(out,
		"\n             last checkpoint %s, %s checksum errors, %s read errors\n"
		"             refused writes: %s by the full log, %s by map_memory\n",
		member_real(g, "store.checkpoint_age_s", 1, "%.0f s ago", a),
		member_count(g, "store.checksum_errors", b),
		member_count(g, "store.read_errors", e),
		member_count(g, "store.refused_writes", c),
		member_count(g, "store.refused_by_map", d));
}

static void print_catchup(const json_t *g, FILE *out)
{
	char a[FIELD_TEXT], b[FIELD_TEXT], c[FIELD_TEXT];

	if (member_there(g, "catchup.bytes_total") || member_there(g, "catchup.eta_s"))
		fprintf(out, "  catch-up   %s of %s, %s s left\n",
			member_bytes(g, "catchup.bytes_done", a),
			member_bytes(g, "catchup.bytes_total", b),
			member_real(g, "catchup.eta_s", 1, "%.0f", c));
}

/* Its mode, and what that counts as now if that is another. */
static const char *volume_sync(const json_t *v, char buf[FIELD_TEXT])
{
	char sync[16], effective[16];

	(void)member_text(v, "sync", sync, sizeof(sync));
	(void)member_text(v, "sync_effective", effective, sizeof(effective));
	if (strcmp(sync, effective) == 0)
		(void)snprintf(buf, FIELD_TEXT, "%s", sync);
	else
		(void)snprintf(buf, FIELD_TEXT, "%s, now %s", sync, effective);
	return buf;
}

/* Requests that wait for the mirror or the disk: writes and FLUSHes. */
static const char *volume_waiting(const json_t *v, char buf[FIELD_TEXT])
{
	const json_t *writes = member_find(v, "waiting");
	const json_t *flushes = member_find(v, "waiting_flushes");

	if (!json_is_integer(writes) || !json_is_integer(flushes))
		return member_count(v, "waiting", buf);
	(void)snprintf(buf, FIELD_TEXT, "%.0f",
		       json_number_value(writes) + json_number_value(flushes));
	return buf;
}

static void print_volumes(const json_t *g, FILE *out)
{
	char name[FIELD_TEXT], sync[FIELD_TEXT], a[FIELD_TEXT], b[FIELD_TEXT];
	char c[FIELD_TEXT], d[FIELD_TEXT], e[FIELD_TEXT], f[FIELD_TEXT];
	const json_t *v;
	size_t i;

	fprintf(out, "\n  %-20s %10s %10s %-18s %12s %12s %10s %8s\n", "volume", "size",
		"mapped", "sync", "reads", "writes", "flushes", "waiting");
	json_array_foreach(json_object_get(g, "volumes"), i, v)
	{
		fprintf(out, "  %-20s %10s %10s %-18s %12s %12s %10s %8s\n",
			member_text(v, "name", name, sizeof(name)),
			member_bytes(v, "size", a), member_bytes(v, "mapped", b),
			volume_sync(v, sync), member_count(v, "reads", c),
			member_count(v, "writes", d), member_count(v, "flushes", e),
			volume_waiting(v, f));
	}
}

static void print_group(const json_t *g, FILE *out)
{
	char a[FIELD_TEXT], b[FIELD_TEXT], c[FIELD_TEXT], d[FIELD_TEXT], why[1024];

	fprintf(out, "\n%s: %s, %s, epoch %s (%s)%s\n",
		member_text(g, "name", a, sizeof(a)),
		member_text(g, "role", b, sizeof(b)),
		member_text(g, "state", c, sizeof(c)), member_count(g, "epoch", d),
		member_text(g, "epoch_id", why, sizeof(why)),
		json_is_true(member_find(g, "alone")) ? ", alone" : "");
	if (member_there(g, "why"))
		fprintf(out, "  why        %s\n",
			member_text(g, "why", why, sizeof(why)));
	fprintf(out, "  sync       %s", member_text(g, "sync", a, sizeof(a)));
	/* Of a site that takes no writes, the mode says nothing. */
	if (strcmp(member_text(g, "state", c, sizeof(c)), "FENCED") != 0 &&
	    strcmp(member_text(g, "role", c, sizeof(c)), "mirror") != 0 &&
	    strcmp(a, member_text(g, "sync_effective", b, sizeof(b))) != 0)
		fprintf(out, ", but now counts as %s", b);
	fprintf(out, "\n");
	print_lsn(g, out);
	if (strcmp(member_text(g, "role", c, sizeof(c)), "mirror") == 0)
		print_recovery(g, out);
	else
		print_exposure(g, out);
	print_link(g, out);
	print_store(g, out);
	print_catchup(g, out);
	print_volumes(g, out);
}

/* Only where there is something to say: in order, nobody wants to read it. */
static void print_daemon(const json_t *status, FILE *out)
{
	char a[FIELD_TEXT], b[FIELD_TEXT];

	if (json_integer_value(member_find(status, "control.refused")) > 0 ||
	    json_integer_value(member_find(status, "log.dropped")) > 0)
		fprintf(out, "  refused    %s control requests; %s log lines dropped\n",
			member_count(status, "control.refused", a),
			member_count(status, "log.dropped", b));
}

void status_print(const json_t *status, FILE *out)
{
	char node[FIELD_TEXT], version[FIELD_TEXT];
	const json_t *g;
	size_t i;

	fprintf(out, "node %s, wanmirror %s\n",
		member_text(status, "node", node, sizeof(node)),
		member_text(status, "version", version, sizeof(version)));
	print_daemon(status, out);
	json_array_foreach(json_object_get(status, "groups"), i, g) print_group(g, out);
}
