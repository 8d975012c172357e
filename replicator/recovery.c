// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/recovery.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "rt/check.h"

/* An image that is older than this, by what is missing, is one that was being filled. */
#define RECOVERY_BEHIND_NS (10 * RT_S)

/* ---- words ------------------------------------------------------------------------------ */

const char *recovery_age_text(int64_t ns, char text[RECOVERY_WORD_MAX])
{
	double s = (double)(ns < 0 ? 0 : ns) / RT_S;

	if (s < 10)
		(void)snprintf(text, RECOVERY_WORD_MAX, "%.1f s", s);
	else if (s < 120)
		(void)snprintf(text, RECOVERY_WORD_MAX, "%.0f s", s);
	else if (s < 7200)
		(void)snprintf(text, RECOVERY_WORD_MAX, "%.0f min", s / 60);
	else if (s < 2.0 * 86400)
		(void)snprintf(text, RECOVERY_WORD_MAX, "%.0f h", s / 3600);
	else
		(void)snprintf(text, RECOVERY_WORD_MAX, "%.0f days", s / 86400);
	return text;
}

const char *recovery_bytes_text(uint64_t bytes, char text[RECOVERY_WORD_MAX])
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	double n = (double)bytes;
	unsigned unit = 0;

	while (n >= 1024 && unit + 1 < RT_ARRAY_LEN(units)) {
		n /= 1024;
		unit++;
	}
	(void)snprintf(text, RECOVERY_WORD_MAX, "%.*f %s", unit > 1 && n < 100 ? 1 : 0, n,
		       units[unit]);
	return text;
}

/* Of a day counted from 1970-01-01 on: 400 years, that is 146097 days, repeat. */
static void recovery_date(int64_t day, int64_t *year, int *month, int *mday)
{
	static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t eras = day / 146097;

	day -= eras * 146097;
	if (day < 0) {
		day += 146097;
		eras--;
	}
	for (*year = 1970 + eras * 400;; (*year)++) {
		bool leap = *year % 4 == 0 && (*year % 100 != 0 || *year % 400 == 0);

		for (*month = 0; *month < 12; (*month)++) {
			int length = lengths[*month] + (leap && *month == 1);

			if (day < length) {
				*mday = (int)day + 1;
				(*month)++;
				return;
			}
			day -= length;
		}
	}
}

const char *recovery_time_text(int64_t wall_ns, char text[RECOVERY_WORD_MAX])
{
	const int64_t day_ns = 86400 * RT_S;
	int64_t day = wall_ns / day_ns, rest = wall_ns % day_ns, year;
	int month, mday;

	if (rest < 0) {
		rest += day_ns;
		day--;
	}
	recovery_date(day, &year, &month, &mday);
	(void)snprintf(text, RECOVERY_WORD_MAX,
		       "%04lld-%02d-%02d %02lld:%02lld:%02lld.%02lld UTC",
		       (long long)year, month, mday, (long long)(rest / (3600 * RT_S)),
		       (long long)(rest / (60 * RT_S) % 60),
		       (long long)(rest / RT_S % 60),
		       (long long)(rest % RT_S / (10 * RT_MS)));
	return text;
}

/* ---- figures ----------------------------------------------------------------------------- */

/* The other site's clock may say anything: the difference need not fit 64 bits. */
static int64_t recovery_age_ns(const struct recovery *r)
{
	double ns = (double)r->wall_ns - (double)r->image.wall_ns;

	if (ns < 0)
		return 0;
	return ns < (double)(INT64_MAX / 2) ? (int64_t)ns : INT64_MAX / 2;
}

void recovery_find(const struct recovery *r, struct group_recovery *ret)
{
	const struct peer_watch_position *reported = peer_watch_primary_says(r->watch);
	int64_t age_ns = r->image.wall_ns ? recovery_age_ns(r) : -1;

	*ret = (struct group_recovery){
		.lsn = r->image.lsn,
		.epoch = r->image.lsn ? r->epoch : 0,
		.admitted_at =
			r->image.wall_ns > 0 ? (double)r->image.wall_ns / RT_S : -1,
		.known = reported->knowledge == PEER_WATCH_REPORTED,
		.missing_writes = GROUP_NOT_KNOWN,
		.missing_bytes = GROUP_NOT_KNOWN,
	};
	if (ret->known) {
		ret->missing_writes = peer_watch_primary_lead(r->watch, r->image.lsn);
		ret->missing_bytes =
			ret->missing_writes == 0 || reported->bytes < r->image.bytes
				? 0
				: reported->bytes - r->image.bytes;
	}
	/* With nothing missing the image was the primary's when that last said so. */
	if (ret->missing_writes == 0 &&
	    (age_ns < 0 || rt_time_since(r->now, reported->at) < age_ns))
		age_ns = rt_time_since(r->now, reported->at);
	ret->age_s = age_ns < 0 ? -1 : (double)age_ns / RT_S;
}

/* ---- what is said -------------------------------------------------------------------------- */

static void __attribute__((format(printf, 3, 4)))
recovery_text(char *text, size_t size, const char *fmt, ...)
{
	size_t used = strlen(text);
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text + used, size - used, fmt, args);
	va_end(args);
}

/* It lacks what was written long before the primary was last received. */
static bool recovery_is_behind(const struct recovery *r,
			       const struct group_recovery *found)
{
	const struct peer_watch_position *reported = peer_watch_primary_says(r->watch);

	return found->known && found->missing_writes > 0 && r->image.wall_ns &&
	       recovery_age_ns(r) - rt_time_since(r->now, reported->at) >=
		       RECOVERY_BEHIND_NS;
}

static void recovery_describe_image(const struct recovery *r,
				    const struct group_recovery *found, char *text,
				    size_t size)
{
	char at[RECOVERY_WORD_MAX], age[RECOVERY_WORD_MAX];

	if (r->image.lsn == 0) {
		recovery_text(text, size, "%s holds nothing: %s had not written\n",
			      r->node, r->primary);
		return;
	}
	if (!r->image.wall_ns) {
		recovery_text(text, size,
			      "%s holds all up to LSN %llu of epoch %llu; its age is not "
			      "known: the primary does not know when it was written\n",
			      r->node, (unsigned long long)found->lsn,
			      (unsigned long long)found->epoch);
		return;
	}
	recovery_time_text(r->image.wall_ns, at);
	recovery_age_text(recovery_age_ns(r), age);
	if (recovery_is_behind(r, found))
		recovery_text(
			text, size,
			"the image at %s is of %s, %s old (LSN %llu of epoch %llu): it "
			"was being filled\n",
			r->node, at, age, (unsigned long long)found->lsn,
			(unsigned long long)found->epoch);
	else
		recovery_text(
			text, size,
			"%s holds all that %s had taken up to %s, %s ago (LSN %llu of "
			"epoch %llu)\n",
			r->node, r->primary, at, age, (unsigned long long)found->lsn,
			(unsigned long long)found->epoch);
}

static void recovery_describe_missing(const struct recovery *r,
				      const struct group_recovery *found, char *text,
				      size_t size)
{
	const struct peer_watch_position *reported = peer_watch_primary_says(r->watch);
	char ago[RECOVERY_WORD_MAX], bytes[RECOVERY_WORD_MAX];

	recovery_age_text(rt_time_since(r->now, reported->at), ago);
	switch (reported->knowledge) {
	case PEER_WATCH_NOT_REPORTED:
		recovery_text(text, size,
			      "what is missing is not known: this daemon was started "
			      "after %s was last received\n",
			      r->primary);
		return;
	case PEER_WATCH_PARTED:
		recovery_text(text, size,
			      "what is missing is not known: the histories of %s and %s "
			      "have parted\n",
			      r->node, r->primary);
		return;
	case PEER_WATCH_REPORTED:
		break;
	}
	if (found->missing_writes == 0)
		recovery_text(text, size,
			      "nothing is missing of what %s had when it was last "
			      "received, %s ago\n",
			      r->primary, ago);
	else
		recovery_text(
			text, size,
			"at most %llu write%s, %s, %s missing of what %s had when it "
			"was last received, %s ago\n",
			(unsigned long long)found->missing_writes,
			found->missing_writes == 1 ? "" : "s",
			recovery_bytes_text(found->missing_bytes, bytes),
			found->missing_writes == 1 ? "is" : "are", r->primary, ago);
}

void recovery_describe(const struct recovery *r, char *text, size_t size)
{
	struct group_recovery found;

	recovery_find(r, &found);
	text[0] = 0;
	recovery_describe_image(r, &found, text, size);
	recovery_describe_missing(r, &found, text, size);
}
