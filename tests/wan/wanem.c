// SPDX-License-Identifier: BSD-3-Clause
/*
 * wanem listen=ADDRESS:PORT to=ADDRESS:PORT control=PATH [OPTION ...] [NAME=VALUE ...]
 * wanem a=NETNS b=NETNS control=PATH [OPTION ...] [NAME=VALUE ...]
 * wanem -c PATH COMMAND ...         one command to a running one, prints its answer
 *
 * The first is a relay, the second makes a TUN device "wan0" in each of two network
 * namespaces, which tests/wan/line.sh sets up. NAME=VALUE is the line, see units.h, with
 * ab. or ba. before a name for one direction.
 *
 *	seed=N      of all chance; printed
 *	tick=TIME   how late a packet may be, to wake up less often (100us, TUN 150us)
 *	owner=PID   end when this process does
 *	icmp=on     TUN only: a packet too big for `mtu` is answered, not only dropped
 */
#include "tests/wan/wanem.h"

#include "rt/check.h"
#include "tests/wan/units.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)
/* Each wakeup costs; a TUN device is read and written by the packet, and costs more. */
#define DEFAULT_TICK 100000 /* ns */
#define DEFAULT_TUN_TICK 150000
#define MAX_READY 64

static const char usage[] =
	"usage: wanem listen=ADDRESS:PORT to=ADDRESS:PORT | a=NETNS b=NETNS\n"
	"             control=PATH [seed=N] [tick=TIME] [owner=PID] [icmp=on]\n"
	"             [delay= rtt= jitter= rate= queue= loss= burst= duplicate= "
	"reorder=\n"
	"             extent= corrupt= mtu= site.rate= site.queue=]\n"
	"       wanem -c PATH set NAME=VALUE ... | cut [--destroy | --site a|b] |\n"
	"             cut [--site a] --kill PID [N] | restore | wait | stats | reset |\n"
	"             capture FILE|off | capture-lost FILE|off | quit\n";

uint64_t wanem_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

int wanem_watch(struct wanem *w, int fd, uint32_t events, void *tag)
{
	struct epoll_event event = { .events = events, .data = { .ptr = tag } };

	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

bool wanem_line_is_open(const struct wanem *w)
{
	return !w->cut && !w->way[WANEM_AB].from_dead && !w->way[WANEM_BA].from_dead;
}

uint64_t wanem_drops(const struct wanem *w)
{
	return w->is_tun ? wanem_tun_drops(w) : wanem_udp_rx_drops(w);
}

void wanem_reset_drops(struct wanem *w)
{
	if (w->is_tun)
		wanem_tun_reset_drops(w);
	else
		wanem_udp_reset_drops(w);
	w->tx_drops = 0;
	w->busy_max_ns = 0;
}

void wanem_receive(struct wanem *w, int dir, unsigned int limit)
{
	unsigned int had = 0;
	unsigned int n;

	do {
		n = w->is_tun ? wanem_tun_receive(w, dir) : wanem_udp_receive(w, dir);
		had += n;
	} while (n != 0 && had < limit);
}

/* ---- the loop ------------------------------------------------------------------------ */

void wanem_deliver_due(struct wanem *w, uint64_t now)
{
	struct wanem_event *chain[WANEM_DIRS] = { NULL };
	struct wanem_event **end[WANEM_DIRS] = { &chain[0], &chain[1] };
	struct wanem_event *event;
	bool any = false;

	while ((event = wanem_events_take(&w->events, now)) != NULL) {
		any = true;
		if (event->kind == WANEM_LEAVES) {
			w->way[event->dir].in_site--;
			w->way[event->dir].in_site_bytes -= event->len;
			wanem_packet_enter(w, event, event->due_ns);
			continue;
		}
		if (event->kind != WANEM_DATAGRAM) {
			wanem_tcp_event(w, event);
			continue;
		}
		*end[event->dir] = event;
		end[event->dir] = &event->next;
	}
	for (int dir = 0; dir < WANEM_DIRS; dir++) {
		*end[dir] = NULL;
		wanem_packets_arrive(w, dir, chain[dir], now);
	}
	if (any)
		wanem_command_line_changed(w);
}

/* The timer goes off with the next event, but not sooner than a tick after the last. */
static void set_timer(struct wanem *w, uint64_t now)
{
	uint64_t next = wanem_events_next(&w->events);
	struct itimerspec at = { 0 };

	if (next == UINT64_MAX)
		return;
	if (next < now + w->tick_ns)
		next = now + w->tick_ns;
	if (w->timer_set != 0 && w->timer_set <= next)
		return; /* it goes off before, and is set anew then */
	w->timer_set = next;
	at.it_value.tv_sec = (time_t)(next / NS_PER_S);
	at.it_value.tv_nsec = (long)(next % NS_PER_S);
	(void)timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void ready(struct wanem *w, void *tag, uint32_t events)
{
	uint64_t count;

	if (tag == &w->timer) {
		if (read(w->timer, &count, sizeof(count)) > 0)
			w->timer_set = 0;
	} else if (tag == &w->tun[WANEM_AB] || tag == &w->udp[WANEM_AB]) {
		wanem_receive(w, WANEM_AB, 0);
	} else if (tag == &w->tun[WANEM_BA] || tag == &w->udp[WANEM_BA]) {
		wanem_receive(w, WANEM_BA, 0);
	} else if (tag == &w->tcp_listener) {
		wanem_tcp_accept(w);
	} else if (tag == &w->control_listener) {
		wanem_command_accept(w);
	} else if (tag == &w->victim) {
		wanem_command_victim_dead(w);
	} else if (tag == NULL || tag == &w->owner) {
		w->quit = true; /* a signal, or there is nobody left who wants us */
	} else {
		for (int i = 0; i < WANEM_MAX_COMMANDS; i++) {
			if (tag == w->commands[i]) {
				wanem_command_ready(w, tag);
				return;
			}
		}
		wanem_tcp_ready(w, tag, events);
	}
}

static void rest(const struct wanem *w)
{
	struct timespec tick = { .tv_nsec = (long)w->tick_ns };

	(void)nanosleep(&tick, NULL);
}

static int run(struct wanem *w)
{
	struct epoll_event events[MAX_READY];

	while (!w->quit) {
		int n = epoll_wait(w->epoll, events, MAX_READY, -1);
		uint64_t began = wanem_now();

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++)
			ready(w, events[i].data.ptr, events[i].events);
		wanem_deliver_due(w, wanem_now());
		wanem_command_kill(w);
		/* A busy line is looked after once per tick: batches, not single datagrams. */
		if (w->events.count != 0 && !w->more)
			rest(w);
		w->more = false;
		wanem_deliver_due(w, wanem_now());
		set_timer(w, wanem_now());
		if (wanem_now() - began > w->busy_max_ns)
			w->busy_max_ns = wanem_now() - began;
	}
	return 0;
}

/* ---- start --------------------------------------------------------------------------- */

static int parse_address(const char *text, struct sockaddr_in *ret)
{
	char host[64];
	const char *colon = strrchr(text, ':');
	char *end;
	unsigned long port;

	if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	port = strtoul(colon + 1, &end, 10);
	memset(ret, 0, sizeof(*ret));
	ret->sin_family = AF_INET;
	ret->sin_port = htons((uint16_t)port);
	if (end == colon + 1 || *end != '\0' || port > UINT16_MAX ||
	    inet_pton(AF_INET, host, &ret->sin_addr) != 1)
		return -EINVAL;
	return 0;
}

struct options {
	const char *listen, *to, *control, *owner, *icmp, *seed, *tick;
	const char *line[64];
	int n_line;
};

/* Where the value of "name=value" belongs, if it is one of ours. */
static const char **option_of(struct wanem *w, struct options *o, const char *arg)
{
	const struct {
		const char *name;
		const char **value;
	} known[] = { { "listen=", &o->listen },     { "to=", &o->to },
		      { "a=", &w->netns[WANEM_AB] }, { "b=", &w->netns[WANEM_BA] },
		      { "control=", &o->control },   { "owner=", &o->owner },
		      { "icmp=", &o->icmp },	     { "seed=", &o->seed },
		      { "tick=", &o->tick } };

	for (size_t i = 0; i < RT_ARRAY_LEN(known); i++) {
		if (strncmp(arg, known[i].name, strlen(known[i].name)) == 0)
			return known[i].value;
	}
	return NULL;
}

static int parse_form(struct wanem *w, const struct options *o)
{
	bool is_relay = o->listen != NULL && o->to != NULL;

	w->is_tun = w->netns[WANEM_AB] != NULL && w->netns[WANEM_BA] != NULL;
	if (o->control == NULL || is_relay == w->is_tun)
		return -EINVAL;
	if (w->is_tun)
		return 0;
	if (parse_address(o->listen, &w->listen) != 0)
		return -EINVAL;
	return parse_address(o->to, &w->to);
}

static int parse_options(struct wanem *w, struct options *o, int argc, char **argv)
{
	w->seed = wanem_now();
	for (int i = 1; i < argc; i++) {
		const char **value = option_of(w, o, argv[i]);

		if (value != NULL)
			*value = strchr(argv[i], '=') + 1;
		else if (o->n_line < 64)
			o->line[o->n_line++] = argv[i];
		else
			return -EINVAL;
	}
	if (parse_form(w, o) != 0)
		return -EINVAL;
	w->tick_ns = w->is_tun ? DEFAULT_TUN_TICK : DEFAULT_TICK;
	if (o->seed != NULL)
		w->seed = strtoull(o->seed, NULL, 0);
	if (o->tick != NULL && wanem_units_time(o->tick, &w->tick_ns) != 0)
		return -EINVAL;
	w->icmp = o->icmp != NULL && strcmp(o->icmp, "on") == 0;
	for (int dir = 0; dir < WANEM_DIRS; dir++)
		wanem_line_init(&w->way[dir].line, w->seed * 2 + (uint64_t)dir);
	for (int i = 0; i < o->n_line; i++) {
		const char *what;

		if (wanem_command_set(w, o->line[i], &what) != 0) {
			(void)fprintf(stderr, "wanem: %s: %s\n", o->line[i], what);
			return -EINVAL;
		}
	}
	return 0;
}

static int watch_signals(struct wanem *w)
{
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	return wanem_watch(w, fd, EPOLLIN, NULL);
}

static int watch_owner(struct wanem *w, const char *pid)
{
	if (pid == NULL)
		return 0;
	w->owner = pidfd_open((pid_t)strtol(pid, NULL, 10), 0);
	if (w->owner < 0)
		return -errno;
	return wanem_watch(w, w->owner, EPOLLIN, &w->owner);
}

static int open_relay(struct wanem *w)
{
	/* TCP first: it chooses the port if that was left open, and UDP takes the same. */
	int err = wanem_tcp_open(w);

	return err != 0 ? err : wanem_udp_open(w);
}

static int open_all(struct wanem *w, const struct options *o)
{
	int err;

	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (w->epoll < 0 || w->timer < 0)
		return -errno;
	err = watch_signals(w);
	if (err == 0)
		err = wanem_watch(w, w->timer, EPOLLIN, &w->timer);
	if (err == 0)
		err = watch_owner(w, o->owner);
	if (err == 0)
		err = w->is_tun ? wanem_tun_open(w) : open_relay(w);
	if (err == 0)
		err = wanem_command_open(w, o->control);
	if (err == 0)
		wanem_reset_drops(w);
	return err;
}

static void close_all(struct wanem *w)
{
	wanem_tcp_close(w);
	wanem_udp_close(w);
	wanem_tun_close(w);
	wanem_command_close(w);
	wanem_capture_close(&w->capture);
	wanem_capture_close(&w->capture_lost);
}

/*
 * To be on time is all this does: it goes before other processes where it may, and runs as
 * it may where not. It is idle most of the time, so that nobody starves.
 */
static void be_prompt(void)
{
	struct sched_param least = { .sched_priority = 1 };

	(void)prctl(PR_SET_TIMERSLACK, 1000UL);
	if (sched_setscheduler(0, SCHED_RR, &least) != 0)
		(void)setpriority(PRIO_PROCESS, 0, -15);
}

static int emulate(int argc, char **argv)
{
	static struct wanem w = {
		.victim = -1,
		.owner = -1,
		.tun = { { .fd = -1, .counters = -1 }, { .fd = -1, .counters = -1 } },
		.epoll = -1,
		.timer = -1,
		.udp = { -1, -1 },
		.tcp_listener = -1,
		.control_listener = -1,
	};
	struct options o = { 0 };
	int err;

	if (parse_options(&w, &o, argc, argv) != 0) {
		(void)fputs(usage, stderr);
		return 2;
	}
	be_prompt();
	err = open_all(&w, &o);
	if (err == 0) {
		(void)printf("ready listen=%u seed=%llu\n", ntohs(w.listen.sin_port),
			     (unsigned long long)w.seed);
		(void)fflush(stdout);
		err = run(&w);
	}
	if (err != 0)
		(void)fprintf(stderr, "wanem: %s\n", strerror(-err));
	close_all(&w);
	return err != 0;
}

/* ---- the client ---------------------------------------------------------------------- */

static int ask(const char *path, int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[8192];
	size_t len = 0;

	if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
		return 1;
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		(void)fprintf(stderr, "wanem: %s: %s\n", path, strerror(errno));
		return 1;
	}
	for (int i = 0; i < argc && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%c", argv[i],
					i + 1 < argc ? ' ' : '\n');
	if (len >= sizeof(text) || send(fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
		return 1;
	len = 0;
	while (len < sizeof(text) - 1) {
		ssize_t n = read(fd, text + len, sizeof(text) - 1 - len);

		if (n <= 0)
			break;
		len += (size_t)n;
		if (text[len - 1] == '\n')
			break;
	}
	text[len] = '\0';
	(void)close(fd);
	(void)fputs(text, stdout);
	return strncmp(text, "{\"ok\": true", 11) != 0;
}

int main(int argc, char **argv)
{
	if (argc >= 4 && strcmp(argv[1], "-c") == 0)
		return ask(argv[2], argc - 3, argv + 3);
	return emulate(argc, argv);
}
