// SPDX-License-Identifier: BSD-3-Clause
#include "nbd-server/notice.h"

#include "rt/log.h"

static const struct {
	const char *event;
	enum rt_log_level level;
} notice_kinds[NBDS_NOTICE_KINDS] = {
	[NBDS_NOTICE_REFUSED] = { "nbd-connection-refused", RT_LOG_WARN },
	[NBDS_NOTICE_OPTION] = { "nbd-option-refused", RT_LOG_INFO },
	[NBDS_NOTICE_HANDSHAKE] = { "nbd-handshake-failed", RT_LOG_WARN },
	[NBDS_NOTICE_TIMEOUT] = { "nbd-handshake-timeout", RT_LOG_WARN },
	[NBDS_NOTICE_PROTOCOL] = { "nbd-protocol-error", RT_LOG_WARN },
	[NBDS_NOTICE_EVICTED] = { "nbd-evicted", RT_LOG_WARN },
	[NBDS_NOTICE_LOST] = { "nbd-connection-lost", RT_LOG_WARN },
};

void nbds_notice(struct nbds_notice *notice, enum nbds_notice_kind kind, rt_time now,
		 const char *peer, const char *text)
{
	rt_time last = notice->kinds[kind].last;

	if (last.ns && rt_time_since(now, last) < RT_S) {
		notice->kinds[kind].others++;
		notice->unlogged++;
		return;
	}
	rt_log(notice_kinds[kind].level, "%s client=%s %s others=%llu",
	       notice_kinds[kind].event, peer, text,
	       (unsigned long long)notice->kinds[kind].others);
	notice->kinds[kind].last = now;
	notice->kinds[kind].others = 0;
}
