// SPDX-License-Identifier: BSD-3-Clause
/*
 * The relay at a site's border: what evidence = "edge" asks. See wanmirror-edge(8).
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <systemd/sd-daemon.h>

#include "control/config_key.h"
#include "control/daemon.h"
#include "control/process.h"
#include "control/version.h"
#include "replicator/tunnel/edge_relay.h"
#include "rt/check.h"
#include "rt/log.h"
#include "rt/loop.h"

#define EDGE_IN_USE_MS 100
#define EDGE_IN_USE_TRIES 30
#define EDGE_REPORT_NS (60 * RT_S) /* between lines with figures, when they change */

static const char usage[] =
	"usage: wanmirror-edge -l LISTEN -m MIRROR -k KEYFILE\n"
	"  -l ADDRESS   where primaries send their datagrams, for example 10.0.0.1:7700\n"
	"  -m ADDRESS   the mirror that they are for, as in the primaries' `address`\n"
	"  -k FILE      the key shared with the primaries, made by wanmirror keygen\n"
	"See wanmirror-edge(8).\n";

static_assert(CONFIG_KEY_LEN == EDGE_KEY_LEN, "one kind of key");

struct edge {
	struct rt_loop *loop;
	struct edge_relay *relay;
	struct rt_timer report;
	struct rt_op over;
	struct edge_relay_stats said;
};

static void edge_say(struct edge *e)
{
	struct edge_relay_stats s;

	edge_relay_stats(e->relay, &s);
	if (memcmp(&s, &e->said, sizeof(s)) == 0)
		return;
	e->said = s;
	rt_log(RT_LOG_INFO,
	       "figures tunnels=%u forwarded=%llu returned=%llu echoed=%llu refused=%llu "
	       "forged=%llu dropped=%llu overflowed=%llu",
	       s.tunnels, (unsigned long long)s.forwarded, (unsigned long long)s.returned,
	       (unsigned long long)s.echoed, (unsigned long long)s.refused,
	       (unsigned long long)s.forged, (unsigned long long)s.dropped,
	       (unsigned long long)s.overflowed);
	/* Without TX timestamps nothing is ever echoed to the primary. */
	if (s.forwarded > 1000 && s.echoed == 0)
		rt_log(RT_LOG_WARN,
		       "this host's device gives no TX timestamps: "
		       "primaries fall back to what the mirror has received");
}

static void edge_report(struct rt_timer *timer)
{
	struct edge *e = rt_container_of(timer, struct edge, report);

	edge_say(e);
	rt_timer_arm(e->loop, timer, rt_time_add(rt_now(e->loop), EDGE_REPORT_NS));
}

static void edge_over(struct rt_op *op, int res)
{
	rt_loop_stop(rt_container_of(op, struct edge, over)->loop);
}

static void edge_signal(void *owner, int signo)
{
	struct edge *e = owner;

	if (e->relay == NULL)
		return; /* it is stopping: one signal is enough */
	edge_say(e);
	rt_log(RT_LOG_INFO, "stopping signal=%d", signo);
	(void)sd_notify(0, "STOPPING=1"); /* not run by systemd: nobody to tell */
	rt_timer_disarm(e->loop, &e->report);
	edge_relay_free(e->relay, &e->over);
	e->relay = NULL;
}

/* It holds no configuration and nothing else that could be read again. */
static void edge_hangup(void *owner, int signo)
{
	rt_log(RT_LOG_INFO, "hangup-ignored why=\"there is nothing to read again\"");
}

static int edge_signals(struct edge *e)
{
	int err = rt_signal(e->loop, SIGTERM, edge_signal, e);

	if (err == 0)
		err = rt_signal(e->loop, SIGINT, edge_signal, e);
	if (err == 0)
		err = rt_signal(e->loop, SIGHUP, edge_hangup, e);
	return err;
}

static int edge_complain(const char *what, const char *subject, int err, const char *hint)
{
	fprintf(stderr, "wanmirror-edge: %s %s: %s%s%s%s\n", what, subject,
		strerror(-err), hint[0] ? " (" : "", hint, hint[0] ? ")" : "");
	return CONTROL_FAILED;
}

/*
 * A relay that was killed may have its address for a moment longer than its process: the
 * kernel takes back what io_uring holds a little later.
 */
static int edge_listen(struct edge *e, const struct edge_relay_params *params)
{
	const struct timespec pause = { .tv_nsec = EDGE_IN_USE_MS * 1000000L };
	int err = edge_relay_new(e->loop, params, &e->relay);

	for (unsigned i = 0; err == -EADDRINUSE && i < EDGE_IN_USE_TRIES; i++) {
		(void)nanosleep(&pause, NULL); /* a signal that cuts it short is no harm */
		err = edge_relay_new(e->loop, params, &e->relay);
	}
	return err;
}

static int edge_run(const struct edge_relay_params *params)
{
	struct edge e = { .report.fire = edge_report, .over.done = edge_over };
	char text[RT_ADDR_TEXT_MAX], mirror[RT_ADDR_TEXT_MAX];
	struct rt_addr at;
	int err = rt_loop_new(&e.loop);

	if (err < 0) {
		fprintf(stderr, "wanmirror-edge: cannot start: %s: %s\n", strerror(-err),
			process_hint_loop(err));
		return CONTROL_FAILED;
	}
	err = edge_signals(&e);
	if (err < 0) {
		rt_loop_free(e.loop);
		return edge_complain("cannot", "take signals", err, process_hint(err));
	}
	err = edge_listen(&e, params);
	if (err < 0) {
		rt_loop_free(e.loop);
		return edge_complain("cannot listen at",
				     rt_addr_format(&params->listen, text), err,
				     process_hint(err));
	}
	edge_relay_addr(e.relay, &at);
	rt_log(RT_LOG_INFO, "relaying at=%s mirror=%s", rt_addr_format(&at, text),
	       rt_addr_format(&params->mirror, mirror));
	(void)sd_notify(0, "READY=1");
	rt_timer_arm(e.loop, &e.report, rt_time_add(rt_now(e.loop), EDGE_REPORT_NS));
	err = rt_loop_run(e.loop);
	if (err < 0) /* and the loop cannot be freed any more */
		return edge_complain("failed:", "io_uring", err,
				     process_hint_loop(err));
	rt_loop_free(e.loop);
	return CONTROL_DONE;
}

/* A numeric address with a port, or a complaint. */
static int edge_addr(char option, const char *text, struct rt_addr *ret)
{
	if (rt_addr_parse(text, ret) == 0 &&
	    (ret->kind == RT_ADDR_INET || ret->kind == RT_ADDR_INET6) && ret->port != 0)
		return 0;
	fprintf(stderr,
		"wanmirror-edge: -%c %s: not a numeric address with a port, such as "
		"192.0.2.1:7700 or [2001:db8::1]:7700\n",
		option, text);
	return -EINVAL;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "mirror", required_argument, NULL, 'm' },
		{ "key", required_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	struct edge_relay_params params = { 0 };
	const char *key = NULL;
	char why[CONFIG_KEY_WHY];
	int option;

	process_prepare_signals();
	process_prepare_log();
	if (process_prepare("wanmirror-edge") < 0)
		return CONTROL_FAILED;
	while ((option = getopt_long(argc, argv, "l:m:k:h", options, NULL)) != -1) {
		switch (option) {
		case 'l':
		case 'm':
			if (edge_addr((char)option, optarg,
				      option == 'l' ? &params.listen : &params.mirror) <
			    0)
				return CONTROL_USAGE;
			break;
		case 'k':
			key = optarg;
			break;
		case 'h':
			printf("%s", usage);
			return CONTROL_DONE;
		case 'V':
			printf("wanmirror-edge %s\n", WANMIRROR_VERSION);
			return CONTROL_DONE;
		default:
			fprintf(stderr, "%s", usage);
			return CONTROL_USAGE;
		}
	}
	if (optind < argc || params.listen.kind == RT_ADDR_NONE ||
	    params.mirror.kind == RT_ADDR_NONE || key == NULL) {
		fprintf(stderr, "%s", usage);
		return CONTROL_USAGE;
	}
	if (config_key_read(key, params.key, why) < 0) {
		fprintf(stderr, "wanmirror-edge: -k %s: %s\n", key, why);
		return CONTROL_FAILED;
	}
	return edge_run(&params);
}
