// SPDX-License-Identifier: BSD-3-Clause
#include "control/moment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "control/config_units.h"
#include "rt/time.h"

static const struct config_unit ago_units[] = {
	{ "w", UINT64_C(604800) },
	{ "d", UINT64_C(86400) },
	{ "h", UINT64_C(3600) },
	{ "min", UINT64_C(60) },
	{ "s", 1 },
	{ NULL, 0 },
};

/* ---- a time of RFC 3339 ----------------------------------------------------------------- */

/* `digits` of them, as a number; *text goes on behind them. */
static bool moment_take_number(const char **text, unsigned digits, int *ret)
{
	int value = 0;

	for (unsigned i = 0; i < digits; i++, ++*text) {
		if (**text < '0' || **text > '9')
			return false;
		value = 10 * value + (**text - '0');
	}
	*ret = value;
	return true;
}

static bool moment_take_char(const char **text, const char *one_of)
{
	if (!**text || !strchr(one_of, **text))
		return false;
	++*text;
	return true;
}

static bool moment_date_is_one(const struct tm *tm)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year = tm->tm_year + 1900, month = tm->tm_mon;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month >= 0 && month < 12 && tm->tm_mday >= 1 &&
	       tm->tm_mday <= days[month] + (leap && month == 1);
}

static bool moment_take_date(const char **text, struct tm *tm)
{
	if (!moment_take_number(text, 4, &tm->tm_year) || !moment_take_char(text, "-") ||
	    !moment_take_number(text, 2, &tm->tm_mon) || !moment_take_char(text, "-") ||
	    !moment_take_number(text, 2, &tm->tm_mday))
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon--;
	return moment_date_is_one(tm);
}

static bool moment_take_time(const char **text, struct tm *tm, int64_t *fraction_ns)
{
	int64_t digit_ns = RT_S / 10;

	if (!moment_take_number(text, 2, &tm->tm_hour) || !moment_take_char(text, ":") ||
	    !moment_take_number(text, 2, &tm->tm_min) || !moment_take_char(text, ":") ||
	    !moment_take_number(text, 2, &tm->tm_sec))
		return false;
	*fraction_ns = 0;
	if (moment_take_char(text, ".")) {
		if (**text < '0' || **text > '9')
			return false;
		for (; **text >= '0' && **text <= '9'; ++*text, digit_ns /= 10)
			*fraction_ns += (**text - '0') * digit_ns;
	}
	/* 60 is a leap second. */
	return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec <= 60;
}

/* East of Greenwich, in seconds. */
static bool moment_take_zone(const char **text, int64_t *ret)
{
	int hours, minutes, sign = **text == '-' ? -1 : 1;

	*ret = 0;
	if (moment_take_char(text, "Zz"))
		return true;
	if (!moment_take_char(text, "+-") || !moment_take_number(text, 2, &hours) ||
	    !moment_take_char(text, ":") || !moment_take_number(text, 2, &minutes) ||
	    hours > 23 || minutes > 59)
		return false;
	*ret = sign * (hours * INT64_C(3600) + minutes * INT64_C(60));
	return true;
}

static int moment_parse_time(const char *text, int64_t *ret, const char **why)
{
	struct tm tm = { 0 };
	int64_t fraction_ns, east_s, s;

	*why = "it is no time of RFC 3339";
	if (!moment_take_date(&text, &tm) || !moment_take_char(&text, "Tt ") ||
	    !moment_take_time(&text, &tm, &fraction_ns))
		return -EINVAL;
	if (!*text)
		*why = "it has no time zone: Z, or an offset such as +01:00";
	if (!moment_take_zone(&text, &east_s) || *text)
		return -EINVAL;
	s = timegm(&tm) - east_s;
	*why = "it is too far in the future";
	if (s >= INT64_MAX / RT_S)
		return -EINVAL;
	*ret = s < 0 ? 0 : s * RT_S + fraction_ns;
	*why = NULL;
	return 0;
}

/* ---- both ------------------------------------------------------------------------------- */

int moment_parse(const char *text, int64_t now_ns, int64_t *ret, const char **why)
{
	uint64_t ago_s, now_s = (uint64_t)(now_ns < 0 ? 0 : now_ns) / RT_S;

	if (strlen(text) >= 5 && strspn(text, "0123456789") == 4 && text[4] == '-')
		return moment_parse_time(text, ret, why);
	if (config_quantity_parse(text, ago_units, &ago_s, why) < 0)
		return -EINVAL;
	*ret = ago_s >= now_s ? 0 : now_ns - (int64_t)ago_s * RT_S;
	return 0;
}

const char *moment_format(int64_t ns, bool utc, char buf[MOMENT_TEXT])
{
	int64_t s = ns / RT_S, rest = ns % RT_S;
	time_t at;
	char date[32] = "", zone[8] = "";
	struct tm tm;

	if (rest < 0) {
		rest += RT_S;
		s--;
	}
	at = (time_t)s;
	if (utc ? !gmtime_r(&at, &tm) : !localtime_r(&at, &tm))
		tm = (struct tm){ .tm_mday = 1,
				  .tm_year = 70 }; /* no time that there is */
	(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	/* "+0100": RFC 3339 wants a colon in it. */
	(void)strftime(zone, sizeof(zone), "%z", &tm);
	if (utc || strlen(zone) != 5)
		(void)snprintf(buf, MOMENT_TEXT, "%s.%03dZ", date, (int)(rest / RT_MS));
	else
		(void)snprintf(buf, MOMENT_TEXT, "%s.%03d%.3s:%s", date,
			       (int)(rest / RT_MS), zone, zone + 3);
	return buf;
}
