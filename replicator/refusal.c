// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/refusal.h"

#include <stdio.h>
#include <string.h>

bool refusal_is_news(struct refusal *r, const char *why, rt_time now)
{
	bool news = !r->last.ns || rt_time_since(now, r->last) >= REFUSAL_REPEATS ||
		    strncmp(r->text, why, MESSAGE_TEXT_MAX) != 0;

	(void)snprintf(r->text, sizeof(r->text), "%s", why);
	r->last = now;
	return news;
}
