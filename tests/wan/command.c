// SPDX-License-Identifier: BSD-3-Clause
#include "tests/wan/units.h"
#include "tests/wan/wanem.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* An answer, one line of JSON. */
struct answer {
	char text[8000];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void say(struct answer *answer,
						      const char *format, ...)
{
	size_t room = sizeof(answer->text) - answer->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(answer->text + answer->len, room, format, args);
	va_end(args);
	if (n > 0)
		answer->len += (size_t)n < room ? (size_t)n : room - 1;
}

#define COUNT(field) say(answer, ", \"" #field "\": %llu", (unsigned long long)c->field)
static void say_counts(struct answer *answer, const struct wanem_counts *c)
{
	COUNT(received);
	COUNT(accepted);
	COUNT(accepted_bytes);
	COUNT(delivered);
	COUNT(delivered_bytes);
	COUNT(duplicated);
	COUNT(lost);
	COUNT(lost_runs);
	COUNT(reordered);
	COUNT(corrupted);
	COUNT(too_big);
	COUNT(overflown);
	COUNT(site_overflown);
	COUNT(site_destroyed);
	COUNT(shut_out);
	COUNT(destroyed);
	COUNT(refused);
	COUNT(oversize);
	COUNT(stream_bytes);
}
#undef COUNT

static void say_params(struct answer *answer, const struct wanem_line_params *p)
{
	say(answer, "\"delay_ms\": %.3f, \"jitter_ms\": %.3f, ",
	    (double)p->delay_ns / 1e6, (double)p->jitter_ns / 1e6);
	say(answer, "\"rate_bps\": %llu, \"loss\": %g, \"burst\": %g, \"duplicate\": %g",
	    (unsigned long long)p->rate_bps, p->loss, p->burst, p->duplicate);
	say(answer,
	    ", \"reorder\": %g, \"extent_ms\": %.3f, \"corrupt\": %g, \"mtu\": %llu",
	    p->reorder, (double)p->extent_ns / 1e6, p->corrupt,
	    (unsigned long long)p->mtu);
	say(answer, ", \"site_rate_bps\": %llu", (unsigned long long)p->site_rate_bps);
}

static double per(double a, uint64_t n)
{
	return n ? a / (double)n : 0;
}

static void say_way(struct answer *answer, const char *name, const struct wanem_way *way)
{
	const struct wanem_counts *c = &way->count;
	double span = (double)(c->last_ns - c->first_ns) / 1e9;
	uint64_t on_line = c->delivered_bytes + way->line.overhead * c->delivered;

	say(answer, ", \"%s\": {", name);
	say_params(answer, &way->line.p);
	say_counts(answer, c);
	say(answer,
	    ", \"in_line\": %llu, \"in_line_bytes\": %llu, \"in_line_stream\": %llu",
	    (unsigned long long)way->in_line, (unsigned long long)way->in_line_bytes,
	    (unsigned long long)way->in_line_stream);
	say(answer, ", \"in_site\": %llu, \"in_line_at_kill\": %llu",
	    (unsigned long long)way->in_site, (unsigned long long)way->in_line_at_kill);
	say(answer, ", \"idle_ms\": %.3f, \"queued_max_ms\": %.4f",
	    (double)way->line.idle_ns / 1e6, (double)c->queued_max_ns / 1e6);
	say(answer, ", \"measured_loss\": %.6f, \"measured_burst\": %.3f",
	    per((double)c->lost, c->accepted), per((double)c->lost, c->lost_runs));
	say(answer, ", \"measured_bps\": %.0f, \"measured_delay_ms\": %.4f",
	    span > 0 ? (double)on_line * 8 / span : 0,
	    per((double)c->delay_sum_ns / 1e6, c->delivered));
	say(answer,
	    ", \"measured_travel_ms\": %.4f, \"late_mean_us\": %.1f, \"late_max_us\": "
	    "%.1f}",
	    per((double)c->travel_sum_ns / 1e6, c->delivered),
	    per((double)c->late_sum_ns / 1e3, c->delivered),
	    (double)c->late_max_ns / 1e3);
}

static void say_stats(struct answer *answer, struct wanem *w)
{
	uint64_t drops = wanem_drops(w);

	say(answer, "{\"ok\": true, \"now_ns\": %llu, \"seed\": %llu, \"cut\": %s",
	    (unsigned long long)wanem_now(), (unsigned long long)w->seed,
	    w->cut ? "true" : "false");
	say(answer, ", \"rx_drops\": %llu, \"tx_drops\": %llu, \"void\": %s",
	    (unsigned long long)drops, (unsigned long long)w->tx_drops,
	    drops || w->tx_drops ? "true" : "false");
	say(answer, ", \"busy_max_us\": %.1f, \"connections\": %u",
	    (double)w->busy_max_ns / 1e3, w->n_conns);
	say_way(answer, "ab", &w->way[WANEM_AB]);
	say_way(answer, "ba", &w->way[WANEM_BA]);
	say(answer, "}\n");
}

static void say_error(struct answer *answer, const char *error, const char *what)
{
	/* The text is ours or the command's; quotes would break the answer. */
	say(answer, "{\"ok\": false, \"error\": \"%s: ", error);
	for (const char *p = what; *p != '\0' && p - what < 100; p++)
		say(answer, "%c", *p == '"' || *p == '\\' || *p < ' ' ? '?' : *p);
	say(answer, "\"}\n");
}

static int set_dirs(struct wanem *w, int first, int last, const char *name,
		    const char *value)
{
	int err = 0;

	for (int dir = first; dir <= last && err == 0; dir++)
		err = wanem_units_set(&w->way[dir].line.p, name, value);
	return err;
}

int wanem_command_set(struct wanem *w, const char *assignment, const char **what)
{
	char name[64];
	const char *value = strchr(assignment, '=');
	const char *bare = name;
	uint64_t rtt_ns;
	int first = WANEM_AB;
	int last = WANEM_BA;
	int err;

	*what = "want name=value";
	if (value == NULL || (size_t)(value - assignment) >= sizeof(name))
		return -EINVAL;
	memcpy(name, assignment, (size_t)(value - assignment));
	name[value - assignment] = '\0';
	value++;
	if (strncmp(name, "ab.", 3) == 0)
		last = WANEM_AB;
	else if (strncmp(name, "ba.", 3) == 0)
		first = WANEM_BA;
	if (first == last)
		bare = name + 3;
	if (strcmp(bare, "rtt") == 0 && first != last) {
		err = wanem_units_time(value, &rtt_ns);
		for (int dir = first; dir <= last && err == 0; dir++)
			w->way[dir].line.p.delay_ns = rtt_ns / 2;
	} else {
		err = set_dirs(w, first, last, bare, value);
	}
	if (err == -ENOENT)
		*what = "no parameter of that name (delay rtt jitter rate queue loss "
			"burst "
			"duplicate reorder extent corrupt mtu site.rate site.queue, "
			"ab. or ba. before it)";
	else if (err != 0)
		*what = "no such value or unit";
	return err;
}

static void command_set(struct wanem *w, char *args, struct answer *answer)
{
	char *rest = args;

	for (;;) {
		char *word = strsep(&rest, " ");
		const char *what;

		if (word == NULL)
			break;
		if (*word != '\0' && wanem_command_set(w, word, &what) != 0) {
			say_error(answer, what, word);
			return;
		}
	}
	say_stats(answer, w);
}

static bool is_of_stream(const struct wanem_event *event, void *arg)
{
	return event->conn != NULL;
}

static void stream_event(struct wanem_event *event, void *arg)
{
	wanem_tcp_event(arg, event);
}

static void destroy(struct wanem *w)
{
	wanem_tcp_reset_all(w);
	wanem_events_remove(&w->events, is_of_stream, stream_event, w);
	wanem_packets_destroy(w);
}

/* What lies in our sockets has entered the line, whether we have been scheduled or not. */
static void drain(struct wanem *w)
{
	enum { MOST = 1 << 17 };

	for (int dir = 0; dir < WANEM_DIRS; dir++)
		wanem_receive(w, dir, MOST);
	wanem_tcp_pump(w);
}

static void cut(struct wanem *w, bool destroy_too)
{
	if (!w->cut) {
		drain(w);
		wanem_deliver_due(w, wanem_now());
		w->cut = true;
	}
	if (destroy_too)
		destroy(w);
}

/* What has not left the building of the site where `dir` begins is lost with it. */
static void cut_site(struct wanem *w, int dir)
{
	if (w->way[dir].from_dead)
		return;
	drain(w);
	wanem_packets_site_dies(w, dir);
}

static void restore(struct wanem *w)
{
	w->cut = false;
	for (int dir = 0; dir < WANEM_DIRS; dir++)
		w->way[dir].from_dead = w->way[dir].to_dead = false;
	wanem_tcp_pump(w);
}

void wanem_command_kill(struct wanem *w)
{
	if (w->victim < 0 || w->victim_hit || w->way[WANEM_AB].in_line < w->kill_at)
		return;
	drain(w);
	for (int dir = 0; dir < WANEM_DIRS; dir++)
		w->way[dir].in_line_at_kill = w->way[dir].in_line;
	w->victim_hit = true;
	/* It may have died by itself; then it is as dead as it would be now. */
	(void)pidfd_send_signal(w->victim, SIGKILL, NULL, 0);
	if (w->victim_site)
		cut_site(w, WANEM_AB);
}

/*
 * A disaster: kill -9, and when the process is dead, the cut. Done here, and not by the
 * script, because what the line holds at 50 ms is gone before a script has looked. "PID"
 * or "PID N": not before N datagrams are in the line. With `site`, the site of A dies in
 * the same moment, with its building's queue.
 */
static int cut_after_kill(struct wanem *w, const char *args, bool site)
{
	char *end;
	long pid = strtol(args, &end, 10);
	uint64_t at = strtoull(end, &end, 10);
	int err;

	if (*end != '\0' || pid <= 1)
		return -EINVAL;
	if (w->victim >= 0)
		return -EBUSY;
	w->victim = pidfd_open((pid_t)pid, 0);
	if (w->victim < 0)
		return -errno;
	err = wanem_watch(w, w->victim, EPOLLIN, &w->victim);
	if (err != 0) {
		(void)close(w->victim);
		w->victim = -1;
		return err;
	}
	w->victim_hit = false;
	w->victim_site = site;
	w->kill_at = at;
	wanem_command_kill(w);
	return 0;
}

static void reset_counts(struct wanem *w)
{
	for (int dir = 0; dir < WANEM_DIRS; dir++) {
		struct wanem_way *way = &w->way[dir];

		memset(&way->count, 0, sizeof(way->count));
		way->line.idle_ns = 0;
		if (way->line.busy_until < wanem_now())
			way->line.busy_until =
				0; /* what it idled before does not count */
	}
	wanem_reset_drops(w);
}

static bool line_is_empty(const struct wanem *w)
{
	for (int dir = 0; dir < WANEM_DIRS; dir++) {
		const struct wanem_way *way = &w->way[dir];

		if (way->to_dead)
			continue; /* nothing of it will arrive */
		if (way->in_line != 0 || way->in_site != 0 || way->in_line_stream != 0)
			return false;
	}
	return true;
}

static void command_capture(struct wanem *w, FILE **file, const char *path,
			    struct answer *answer)
{
	int err = 0;

	if (strcmp(path, "off") == 0)
		wanem_capture_close(file);
	else
		err = wanem_capture_open(file, path);
	if (err != 0)
		say_error(answer, strerror(-err), path);
	else
		say_stats(answer, w);
}

/* The cuts. 0, -EINVAL, or what kept us from killing; *waits if it is answered later. */
static int command_cut(struct wanem *w, const char *args, bool *waits)
{
	bool site = strncmp(args, "--site a --kill ", 16) == 0;

	*waits = false;
	if (*args == '\0' || strcmp(args, "--destroy") == 0)
		cut(w, *args != '\0');
	else if (strcmp(args, "--site a") == 0)
		cut_site(w, WANEM_AB);
	else if (strcmp(args, "--site b") == 0)
		cut_site(w, WANEM_BA);
	else if (site || strncmp(args, "--kill ", 7) == 0) {
		int err = cut_after_kill(w, args + (site ? 16 : 7), site);

		*waits = err == 0;
		return err;
	} else
		return -EINVAL;
	return 0;
}

/* The commands that take nothing; false if `verb` is none of them. */
static bool carry_out_plain(struct wanem *w, const char *verb)
{
	if (strcmp(verb, "restore") == 0)
		restore(w);
	else if (strcmp(verb, "reset") == 0)
		reset_counts(w);
	else if (strcmp(verb, "quit") == 0)
		w->quit = true;
	else
		return strcmp(verb, "stats") == 0 || strcmp(verb, "wait") == 0;
	return true;
}

/* Carries out one line. Nothing to say means: it is answered later. */
static void carry_out(struct wanem *w, struct wanem_command *command,
		      struct answer *answer)
{
	char *args = command->text;
	char *verb = strsep(&args, " ");

	if (args == NULL)
		args = verb + strlen(verb);
	if (strcmp(verb, "set") == 0) {
		command_set(w, args, answer);
	} else if (strcmp(verb, "capture") == 0 && *args != '\0') {
		command_capture(w, &w->capture, args, answer);
	} else if (strcmp(verb, "capture-lost") == 0 && *args != '\0') {
		command_capture(w, &w->capture_lost, args, answer);
	} else if (strcmp(verb, "cut") == 0) {
		bool waits;
		int err = command_cut(w, args, &waits);

		if (waits)
			command->waiting = WANEM_FOR_DEATH;
		else if (err != 0)
			say_error(answer, strerror(-err), args);
		else
			say_stats(answer, w);
	} else if (!carry_out_plain(w, verb)) {
		say_error(answer,
			  "want set, cut, restore, wait, stats, reset, capture, "
			  "capture-lost or quit",
			  verb);
	} else if (strcmp(verb, "wait") == 0 && !line_is_empty(w)) {
		command->waiting = WANEM_FOR_EMPTY_LINE;
	} else {
		say_stats(answer, w);
	}
}

static void command_free(struct wanem *w, struct wanem_command *command)
{
	for (int i = 0; i < WANEM_MAX_COMMANDS; i++) {
		if (w->commands[i] == command)
			w->commands[i] = NULL;
	}
	(void)close(command->fd);
	free(command);
}

/* False if the other end is gone. An answer always fits an empty socket buffer. */
static bool reply(struct wanem_command *command, const struct answer *answer)
{
	return send(command->fd, answer->text, answer->len, MSG_NOSIGNAL) ==
	       (ssize_t)answer->len;
}

void wanem_command_ready(struct wanem *w, struct wanem_command *command)
{
	size_t room = sizeof(command->text) - 1 - command->len;
	ssize_t n = read(command->fd, command->text + command->len, room);
	struct answer answer = { .len = 0 };
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		command_free(w, command);
		return;
	}
	command->len += (size_t)n;
	command->text[command->len] = '\0';
	end = strchr(command->text, '\n');
	if (end == NULL && command->len < sizeof(command->text) - 1)
		return;
	if (end == NULL || command->waiting) {
		command_free(w, command);
		return;
	}
	*end = '\0';
	carry_out(w, command, &answer);
	command->len = 0; /* one line at a time; the client waits for its answer */
	if (!command->waiting && !reply(command, &answer))
		command_free(w, command);
}

static void answer_waiting(struct wanem *w, enum wanem_waiting waiting)
{
	for (int i = 0; i < WANEM_MAX_COMMANDS; i++) {
		struct wanem_command *command = w->commands[i];
		struct answer answer = { .len = 0 };

		if (command == NULL || command->waiting != waiting)
			continue;
		command->waiting = WANEM_NOT_WAITING;
		say_stats(&answer, w);
		if (!reply(command, &answer))
			command_free(w, command);
	}
}

void wanem_command_line_changed(struct wanem *w)
{
	if (line_is_empty(w))
		answer_waiting(w, WANEM_FOR_EMPTY_LINE);
}

void wanem_command_victim_dead(struct wanem *w)
{
	(void)close(w->victim);
	w->victim = -1;
	cut(w, false);
	answer_waiting(w, WANEM_FOR_DEATH);
}

int wanem_command_open(struct wanem *w, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	w->control_listener = fd;
	if (fd < 0)
		return -errno;
	(void)unlink(path); /* of an earlier one; if it is in use, bind would not tell */
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(fd, WANEM_MAX_COMMANDS) != 0)
		return -errno;
	w->control_path = path;
	return wanem_watch(w, fd, EPOLLIN, &w->control_listener);
}

void wanem_command_accept(struct wanem *w)
{
	int fd = accept4(w->control_listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	for (int i = 0; i < WANEM_MAX_COMMANDS; i++) {
		struct wanem_command *command;

		if (w->commands[i] != NULL)
			continue;
		command = calloc(1, sizeof(*command));
		if (command == NULL)
			break;
		command->fd = fd;
		w->commands[i] = command;
		if (wanem_watch(w, fd, EPOLLIN, command) != 0)
			command_free(w, command);
		return;
	}
	(void)close(fd);
}

void wanem_command_close(struct wanem *w)
{
	for (int i = 0; i < WANEM_MAX_COMMANDS; i++) {
		if (w->commands[i] != NULL)
			command_free(w, w->commands[i]);
	}
	if (w->control_listener >= 0)
		(void)close(w->control_listener);
	if (w->control_path != NULL)
		(void)unlink(w->control_path);
}
