// SPDX-License-Identifier: BSD-3-Clause
#include "control/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/control_request.h"
#include "control/control_server.h"
#include "control/daemon_sockets.h"
#include "control/memory.h"
#include "control/notify.h"
#include "control/process.h"
#include "control/version.h"
#include "nbd-server/nbds.h"
#include "replicator/group.h"
#include "rt/check.h"
#include "rt/log.h"
#include "rt/loop.h"

#define DAEMON_STOP_STATE                                                                \
	320 /* a state and its reason, which become part of a sentence */

/*
 * STARTING: the store is being opened. RUNNING: it is open. STOPPING: clients and group are
 * ending, each on its own; then the control connections, and the loop stops.
 */
enum daemon_state { DAEMON_STARTING, DAEMON_RUNNING, DAEMON_STOPPING };

struct daemon {
	struct config config;
	const struct daemon_params *params; /* borrowed */
	enum daemon_state state;
	struct rt_loop *loop;
	struct control_server *control;
	struct nbds_server *nbd;
	struct group *group;
	struct group_open open;
	struct group_stop stop;
	bool opening, single_served;
	bool stop_asked;	       /* while opening */
	struct rt_timer retry;	       /* opens again what another process uses */
	rt_time patience;	       /* until then */
	char wait[CONTROL_STATUS_WHY]; /* for what, and what helps; "": for nothing */
	struct notify notify;	       /* to the service manager */
	struct rt_timer tick;	       /* whether it has news */
	bool notify_failed;	       /* and the log says so */
	bool listening;		       /* clients may connect */
	unsigned nlistening;
	unsigned ending; /* parts that have not stopped yet; `control` is not counted */
	rt_time stop_by; /* then the group ends what it still holds */
	/*
	 * State and reason of the group when it was asked to stop; "": there was no group. A
	 * group that stops has no status, and status shows this one meanwhile.
	 */
	char stop_state[DAEMON_STOP_STATE];
	int result;
};

static void daemon_set_state(struct daemon *d, enum daemon_state state)
{
	rt_assert(state > d->state);
	d->state = state;
}

/* ---- news for the service manager --------------------------------------------------- */

/*
 * Ready is who serves: who connects is answered, and what starts after this daemon finds its
 * volumes. A mirror and a fenced primary serve reads. A primary that waits for its mirror,
 * in STARTING, RECOVERING, HOLDING or DIVERGED, serves nothing yet.
 */
static bool daemon_is_ready(const struct daemon *d)
{
	return d->state == DAEMON_RUNNING && d->listening && group_serving(d->group);
}

static void daemon_status_line(const struct daemon *d, char *text, size_t size)
{
	static struct group_status status; /* large */
	const char *name = d->config.group.name, *why = d->wait;
	const char *state = d->state == DAEMON_STOPPING ? "STOPPING" : "STARTING";

	if (d->state == DAEMON_RUNNING) {
		group_status(d->group, &status);
		state = group_state_name(status.state);
		if (!why[0])
			why = status.why;
	}
	(void)snprintf(text, size, "%s: %s%s%s", name, state, why[0] ? ": " : "", why);
}

static void daemon_notify(struct daemon *d)
{
	char status[NOTIFY_STATUS_MAX];
	const struct notify_facts facts = {
		.ready = daemon_is_ready(d),
		.stopping = d->state == DAEMON_STOPPING,
		.status = status,
	};
	int res;

	if (d->notify.fd < 0)
		return;
	daemon_status_line(d, status, sizeof(status));
	res = notify_send(&d->notify, &facts, rt_now(d->loop));
	if (res == 0 || res == -EAGAIN || d->notify_failed)
		return;
	d->notify_failed = true;
	rt_log(RT_LOG_WARN, "notify-failed error=\"%s\"", strerror(-res));
}

static void daemon_notify_open(struct daemon *d)
{
	const char *where = getenv("NOTIFY_SOCKET");
	char quoted[256];
	int res = notify_init(&d->notify, where);

	if (res < 0)
		rt_log(RT_LOG_WARN, "notify-failed socket=%s error=\"%s\"",
		       rt_log_quote(quoted, sizeof(quoted), where), strerror(-res));
}

/* ---- stopping ----------------------------------------------------------------------- */

static void control_ended(void *owner)
{
	struct daemon *d = owner;

	rt_loop_stop(d->loop);
}

/* The control socket is the last: until here it says what the stop waits for. */
static void one_ended(void *owner)
{
	struct daemon *d = owner;

	rt_assert(d->ending > 0);
	if (--d->ending > 0)
		return;
	rt_timer_disarm(d->loop, &d->tick);
	control_server_stop(d->control, control_ended, d);
}

static void group_stopped(struct group_stop *stop, int res)
{
	struct daemon *d = rt_container_of(stop, struct daemon, stop);

	d->group = NULL;
	if (res < 0) {
		rt_log(RT_LOG_ERROR, "stop-failed group=%s error=\"%s\"",
		       d->config.group.name, strerror(-res));
		d->result = CONTROL_FAILED;
	}
	one_ended(d);
}

/* What the stop waits for now, and what helps. */
static void daemon_stop_why(struct daemon *d)
{
	struct nbds_stats nbd = { 0 };
	int64_t left_s = rt_time_since(d->stop_by, rt_now(d->loop)) / RT_S;

	if (left_s < 0)
		left_s = 0;
	if (d->nbd)
		nbds_server_stats(d->nbd, &nbd);
	if (d->stop_state[0]) /* else `wait` says why the start has failed */
		d->wait[0] = 0;
	if (nbd.inflight > 0)
		(void)snprintf(
			d->wait, sizeof(d->wait),
			"%u requests of clients are not answered yet (%s); it waits "
			"for %lld s more at most, and a second signal ends it at once",
			nbd.inflight, d->stop_state, (long long)left_s);
	else if (d->group)
		(void)snprintf(d->wait, sizeof(d->wait),
			       "the last writes go to the log and to a mirror in sync, "
			       "for %lld s more at most; it goes on by itself",
			       (long long)left_s);
	control_server_set_why(d->control, d->wait);
}

/* Keep the state that the group is in: from the stop on it cannot be asked. */
static void daemon_stop_state(struct daemon *d)
{
	static struct group_status status; /* large */

	group_status(d->group, &status);
	(void)snprintf(d->stop_state, sizeof(d->stop_state), "%s%s%.*s",
		       group_state_name(status.state), status.why[0] ? ": " : "",
		       DAEMON_STOP_STATE - 24, status.why);
}

static void daemon_stop(struct daemon *d)
{
	daemon_set_state(d, DAEMON_STOPPING);
	d->stop_by = rt_time_add(rt_now(d->loop), DAEMON_STOP_MS * RT_MS);
	d->ending = 1; /* held to the end of this function */
	rt_timer_disarm(d->loop, &d->retry);
	if (d->group)
		daemon_stop_state(d);
	daemon_stop_why(d);
	daemon_notify(d);
	if (d->nbd) {
		d->ending++;
		nbds_server_stop(d->nbd, one_ended, d);
	}
	if (d->group) {
		d->ending++;
		control_server_set_group(d->control, NULL, "STOPPING");
		group_stop(d->group, DAEMON_STOP_MS, &d->stop);
	}
	one_ended(d);
}

/* Somebody has said why. */
static void daemon_fail(struct daemon *d)
{
	d->result = CONTROL_FAILED;
	if (d->state != DAEMON_STOPPING)
		daemon_stop(d);
}

static void daemon_failed(struct daemon *d, const char *event, const char *what, int res)
{
	process_complain(event, what, res, process_hint(res));
	daemon_fail(d);
}

/* ---- patience ----------------------------------------------------------------------- */

static int64_t daemon_patience_ms(const struct daemon *d)
{
	return d->params->patience_ms > 0 ? d->params->patience_ms : DAEMON_PATIENCE_MS;
}

static bool is_patient(const struct daemon *d)
{
	return !d->stop_asked && rt_time_before(rt_now(d->loop), d->patience);
}

/* The reason and the remedy, for status; and a line of the log, unless it is so already. */
static void daemon_waits(struct daemon *d, const char *what, const char *why, int res)
{
	char quoted[2 * GROUP_WHY_MAX], text[sizeof(d->wait)];

	(void)snprintf(
		text, sizeof(text),
		"%s; end the process that uses it: this start tries again for %lld "
		"s, and then ends",
		why, (long long)(daemon_patience_ms(d) / 1000));
	if (strcmp(text, d->wait) == 0)
		return;
	memcpy(d->wait, text, sizeof(text));
	control_server_set_why(d->control, d->wait);
	daemon_notify(d);
	rt_log(RT_LOG_INFO, "waiting for=%s why=%s error=\"%s\"", what,
	       rt_log_quote(quoted, sizeof(quoted), why), strerror(-res));
}

/* It goes on by itself; `why` is what it does, "" when that is for the group to say. */
static void daemon_goes_on(struct daemon *d, const char *why)
{
	(void)snprintf(d->wait, sizeof(d->wait), "%s", why);
	control_server_set_why(d->control, d->wait);
}

/*
 * `res` says that something is in use, as `why` does for people, and there is time left:
 * `fire` tries again.
 */
static bool again_later(struct daemon *d, int res, const char *what, const char *why,
			void (*fire)(struct rt_timer *timer))
{
	if ((res != -EADDRINUSE && res != -EBUSY) || !is_patient(d))
		return false;
	daemon_waits(d, what, why, res);
	d->retry.fire = fire;
	rt_timer_arm(d->loop, &d->retry,
		     rt_time_add(rt_now(d->loop), DAEMON_RETRY_MS * RT_MS));
	return true;
}

/* ---- serving --------------------------------------------------------------------------- */

static void single_done(void *owner)
{
	struct daemon *d = owner;

	rt_log(RT_LOG_INFO, "connection-ended");
	if (d->state == DAEMON_RUNNING)
		daemon_stop(d);
}

/* -s: the connection waits on standard input until there is something to serve. */
static void serve_single(struct daemon *d)
{
	int res;

	if (!d->params->single || d->single_served || d->state != DAEMON_RUNNING)
		return;
	d->single_served = true;
	res = nbds_server_serve_fds(d->nbd, STDIN_FILENO, STDOUT_FILENO, single_done, d);
	if (res < 0)
		daemon_failed(d, "connection-refused", "on=stdin", res);
}

static void group_serving_changed(void *owner, struct group *group, bool on)
{
	struct daemon *d = owner;

	if (!on)
		return;
	serve_single(d);
	daemon_notify(d);
	if (d->state != DAEMON_STOPPING) /* the state follows in this turn */
		rt_timer_arm(d->loop, &d->tick, rt_now(d->loop));
}

/* A group whose log fails before it serves never will: then the start has failed. */
static bool start_has_failed(const struct daemon *d)
{
	static struct group_status status; /* large */

	if (d->state != DAEMON_RUNNING || group_serving(d->group))
		return false;
	group_status(d->group, &status);
	return status.state == GROUP_FAILED;
}

static void daemon_tick(struct rt_timer *timer)
{
	struct daemon *d = rt_container_of(timer, struct daemon, tick);

	if (start_has_failed(d)) {
		daemon_failed(d, "start-failed", "why=\"the log has failed\"", -EIO);
		return;
	}
	if (d->state == DAEMON_STOPPING)
		daemon_stop_why(d);
	daemon_notify(d);
	rt_timer_arm(d->loop, timer,
		     rt_time_add(rt_now(d->loop), DAEMON_NOTIFY_MS * RT_MS));
}

static void group_said(void *owner, struct group *group, enum rt_log_level level,
		       const char *line)
{
	rt_log(level, "%s", line);
}

static void listen_nbd_again(struct rt_timer *timer);

/* The first of nbd.listen that it does not listen on yet. */
static void nbd_in_use_why(const struct daemon *d, char *why, size_t size)
{
	const struct config_nbd *nbd = &d->config.nbd;
	char text[RT_ADDR_TEXT_MAX] = "nbd.listen";

	if (d->nlistening < nbd->nlisten)
		(void)rt_addr_format(&nbd->listen[d->nlistening], text);
	(void)snprintf(why, size, "%s: the address for NBD is in use", text);
}

/* The listeners come last: who can connect finds the exports. */
static void listen_nbd(struct daemon *d)
{
	int res =
		daemon_sockets_nbd(d->nbd, &d->config.nbd, &d->nlistening, is_patient(d));
	char why[GROUP_WHY_MAX];

	nbd_in_use_why(d, why, sizeof(why));
	if (res == 0) {
		daemon_goes_on(d, "");
		d->listening = true;
		daemon_notify(d);
	} else if (!again_later(d, res, "nbd", why, listen_nbd_again)) {
		daemon_fail(d);
	}
}

static void listen_nbd_again(struct rt_timer *timer)
{
	listen_nbd(rt_container_of(timer, struct daemon, retry));
}

static void daemon_serve_nbd(struct daemon *d)
{
	struct nbds_limits limits = { .connections = d->config.nbd.connections };
	int res = nbds_server_new(d->loop, &limits, &d->nbd);

	if (res == 0)
		res = nbds_server_add_group(d->nbd, d->group);
	if (res < 0) {
		daemon_failed(d, "start-failed", "at=nbd", res);
		return;
	}
	if (d->params->single)
		d->listening = true;
	else
		listen_nbd(d);
	if (d->state == DAEMON_RUNNING && group_serving(d->group))
		serve_single(d);
	daemon_notify(d);
}

static void open_group(struct daemon *d)
{
	static const struct group_events events = { group_serving_changed, group_said };

	d->opening = true;
	group_open(d->loop, &d->config.group, &events, d, &d->open);
}

static void open_begin(struct daemon *d)
{
	daemon_goes_on(d, "it opens its store and reads the log; it goes on by itself");
	open_group(d);
}

static void open_again(struct rt_timer *timer)
{
	open_group(rt_container_of(timer, struct daemon, retry));
}

static void group_opened(struct group_open *open, int res)
{
	struct daemon *d = rt_container_of(open, struct daemon, open);
	char why[2 * GROUP_WHY_MAX];
	char what[sizeof(d->config.group.store) + 3 * GROUP_WHY_MAX];

	d->opening = false;
	if (again_later(d, res, res == -EADDRINUSE ? "peer" : "store", open->why,
			open_again))
		return;
	if (res < 0) {
		(void)snprintf(what, sizeof(what), "group=%s store=%s why=%s",
			       d->config.group.name, d->config.group.store,
			       rt_log_quote(why, sizeof(why), open->why));
		process_complain("open-failed", what, res, process_hint(res));
		control_server_set_group(d->control, NULL, "FAILED");
		(void)snprintf(why, sizeof(why),
			       "%s; mend that, and start this daemon again", open->why);
		daemon_goes_on(d, why);
		d->result = CONTROL_FAILED;
		daemon_stop(d);
		return;
	}
	d->group = open->group;
	daemon_set_state(d, DAEMON_RUNNING);
	daemon_goes_on(d, "");
	control_server_set_group(d->control, d->group, "");
	rt_log(RT_LOG_INFO, "running group=%s store=%s", d->config.group.name,
	       d->config.group.store);
	if (d->stop_asked) {
		daemon_stop(d);
		return;
	}
	daemon_serve_nbd(d);
}

/* ---- signals ------------------------------------------------------------------------------ */

static void stop_signal(void *owner, int signo)
{
	struct daemon *d = owner;

	if (d->state == DAEMON_STOPPING || d->stop_asked) {
		rt_log(RT_LOG_WARN, "stopping-at-once signal=%d", signo);
		_exit(CONTROL_FAILED); /* what is on disk is whole: recovery covers it */
	}
	rt_log(RT_LOG_INFO, "stopping signal=%d", signo);
	if (d->opening) {
		d->stop_asked = true; /* an open runs to its end */
		daemon_goes_on(d, "it is to stop, and does when its store is open; a "
				  "second signal ends it at once");
	} else
		daemon_stop(d);
}

static void configuration_changed(void *owner, const char *key, bool live)
{
	if (live)
		rt_log(RT_LOG_INFO, "configuration-applied key=%s", key);
	else
		rt_log(RT_LOG_WARN, "configuration-needs-restart key=%s", key);
}

static void configuration_refused(const struct config_errors *errors)
{
	for (unsigned i = 0; i < errors->n; i++)
		rt_log(RT_LOG_ERROR, "configuration-refused %s", errors->text[i]);
}

/* d->config has changed, in what may change: the parts that go by it hear of it. */
static void configuration_apply(struct daemon *d)
{
	if (!d->params->verbose)
		rt_log_set_level(d->config.log);
	if (d->group)
		group_change(d->group, &d->config.group);
}

/* Another configuration is in force: say in which keys it differs, and go by it. */
static enum control_exit set_one(void *owner, const struct control_request *request,
				 char *text)
{
	static struct config fresh; /* large */
	static struct config_errors errors;
	struct daemon *d = owner;
	enum control_exit exit = CONTROL_DONE;

	fresh = d->config;
	if (config_set(&fresh, request->key, request->value, &errors) < 0) {
		(void)snprintf(text, CONTROL_SET_TEXT, "%s", errors.text[0]);
		exit = CONTROL_USAGE;
	} else if (request->dry_run) {
		(void)snprintf(text, CONTROL_SET_TEXT, "%s may be set to %s",
			       request->key, request->value);
	} else {
		config_compare(&d->config, &fresh, configuration_changed, NULL);
		d->config = fresh;
		configuration_apply(d);
		(void)snprintf(text, CONTROL_SET_TEXT,
			       "%s is %s until the file is read again", request->key,
			       request->value);
	}
	explicit_bzero(&fresh, sizeof(fresh)); /* it holds keys */
	return exit;
}

static void reload_signal(void *owner, int signo)
{
	static struct config fresh, old; /* large */
	static struct config_errors errors;
	struct daemon *d = owner;

	if (d->opening) {
		rt_log(RT_LOG_WARN, "configuration-not-read why=\"the group is being "
				    "opened: try again\"");
		return;
	}
	old = d->config;
	if (config_load(d->params->path, CONFIG_READ_KEYS, &fresh, &errors) < 0 ||
	    config_take_live(&d->config, &fresh, &errors) < 0) {
		configuration_refused(&errors);
	} else {
		config_compare(&old, &fresh, configuration_changed, NULL);
		configuration_apply(d);
		rt_log(RT_LOG_INFO, "configuration-read file=%s", d->params->path);
	}
	explicit_bzero(&fresh, sizeof(fresh)); /* they hold keys */
	explicit_bzero(&old, sizeof(old));
}

static int daemon_signals(struct daemon *d)
{
	int res = rt_signal(d->loop, SIGTERM, stop_signal, d);

	if (res == 0)
		res = rt_signal(d->loop, SIGINT, stop_signal, d);
	if (res == 0)
		res = rt_signal(d->loop, SIGHUP, reload_signal, d);
	return res;
}

/* ---- from start to end ---------------------------------------------------------------------- */

static void listen_control_again(struct rt_timer *timer);

static void listen_control(struct daemon *d)
{
	int res = daemon_sockets_control(d->control, d->config.control, is_patient(d));
	char why[GROUP_WHY_MAX];

	(void)snprintf(why, sizeof(why), "%s: the control socket is in use",
		       d->config.control);
	if (res == 0)
		open_begin(d);
	else if (!again_later(d, res, "control", why, listen_control_again))
		daemon_fail(d);
}

static void listen_control_again(struct rt_timer *timer)
{
	listen_control(rt_container_of(timer, struct daemon, retry));
}

static bool daemon_nbd_stats(void *owner, struct nbds_stats *ret)
{
	struct daemon *d = owner;

	if (d->nbd)
		nbds_server_stats(d->nbd, ret);
	return d->nbd != NULL;
}

static unsigned daemon_nbd_attached(void *owner, struct nbds_attached *ret, unsigned max)
{
	struct daemon *d = owner;

	return d->nbd ? nbds_server_attached(d->nbd, ret, max) : 0;
}

static int daemon_start(struct daemon *d)
{
	const struct config *config = &d->config;
	const struct control_server_params control = {
		.node = config->node,
		.group = config->group.name,
		.set = set_one,
		.nbd_stats = daemon_nbd_stats,
		.nbd_attached = daemon_nbd_attached,
		.owner = d,
	};
	int res = rt_loop_new(&d->loop);

	if (res < 0) {
		process_complain("start-failed", "at=io_uring", res,
				 process_hint_loop(res));
		return res;
	}
	res = daemon_signals(d);
	if (res < 0) {
		process_complain("start-failed", "at=signals", res, process_hint(res));
		return res;
	}
	res = control_server_new(d->loop, &control, &d->control);
	if (res < 0) {
		process_complain("start-failed", "at=control", res, process_hint(res));
		return res;
	}
	d->tick.fire = daemon_tick;
	rt_timer_arm(d->loop, &d->tick, rt_now(d->loop));
	d->open.done = group_opened;
	d->stop.done = group_stopped;
	d->patience = rt_time_add(rt_now(d->loop), daemon_patience_ms(d) * RT_MS);
	if (d->params->single)
		open_begin(d);
	else
		listen_control(d);
	return 0;
}

static int daemon_loop(struct daemon *d)
{
	int res = rt_loop_run(d->loop);

	if (res < 0)
		process_complain("failed", "at=io_uring", res, process_hint_loop(res));
	return res;
}

int daemon_run(const struct config *config, const struct daemon_params *params)
{
	static struct daemon d; /* large, and there is one */
	struct memory_limit limit;
	struct memory_need need;
	int res;

	memset(&d, 0, sizeof(d));
	d.config = *config;
	d.params = params;
	rt_log(RT_LOG_INFO, "started version=%s node=%s group=%s", WANMIRROR_VERSION,
	       config->node, config->group.name);
	if (!memory_suffices(config, &need, &limit))
		memory_warn(&need, &limit);
	daemon_notify_open(&d);
	res = process_descriptors(DAEMON_DESCRIPTORS, &d.config.nbd.connections);
	if (res == 0)
		res = daemon_start(&d);
	if (res == 0)
		res = daemon_loop(&d);
	if (res < 0)
		d.result = CONTROL_FAILED;
	if (res == 0 && d.state == DAEMON_STOPPING) {
		nbds_server_free(d.nbd);
		control_server_free(d.control);
		rt_loop_free(d.loop);
		rt_log(RT_LOG_INFO, "stopped result=%d", d.result);
	}
	notify_release(&d.notify);
	explicit_bzero(&d.config, sizeof(d.config)); /* it holds the key */
	return d.result;
}
