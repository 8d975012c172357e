// SPDX-License-Identifier: BSD-3-Clause
/*
 * writable URI URI...
 *
 * Watches that no two of these exports take writes at once. One look writes to each of them in
 * their order, the last block of each; where one has completed its write, a later one too, and
 * the first again, both took writes at once. An export that calls itself read-only, or does not
 * complete a write within a while, takes none. Until SIGTERM; then it prints how many looks there
 * were, and how many of them found an export that takes writes.
 *
 * Exit: 0 never two; 1 with a line that names both.
 */
#include <libnbd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define BLOCK 4096u
#define PAUSE_MS 5
#define ANSWER_MS 300
#define EXPORTS_MAX 4

struct export
{
	const char *uri;
	struct nbd_handle *nbd; /* owned; NULL: it was read-only or away */
};

static volatile sig_atomic_t stopping;
static const char zeroes[BLOCK];

static void stop(int signo)
{
	stopping = 1;
}

static void export_close(struct export *e)
{
	nbd_close(e->nbd);
	e->nbd = NULL;
}

/* True when the connection is so within a while: a site that waits lets its clients wait. */
static bool export_until(const struct export *e, int (*is_so)(struct nbd_handle *))
{
	for (int ms = 0; ms < ANSWER_MS; ms += 10) {
		if (is_so(e->nbd) == 1)
			return true;
		if (nbd_aio_is_dead(e->nbd) == 1 || nbd_aio_is_closed(e->nbd) == 1 ||
		    nbd_poll(e->nbd, 10) < 0)
			return false;
	}
	return false;
}

static bool export_answers(const struct export *e)
{
	return export_until(e, nbd_aio_is_negotiating);
}

/* Asks for the flags before it attaches, so that a read-only export sees no client. */
static bool export_attach(struct export *e)
{
	e->nbd = nbd_create();
	if (e->nbd && nbd_set_opt_mode(e->nbd, true) == 0 &&
	    nbd_aio_connect_uri(e->nbd, e->uri) == 0 && export_answers(e) &&
	    nbd_aio_opt_info(e->nbd, NBD_NULL_COMPLETION) == 0 && export_answers(e) &&
	    nbd_is_read_only(e->nbd) == 0 &&
	    nbd_aio_opt_go(e->nbd, NBD_NULL_COMPLETION) == 0 &&
	    export_until(e, nbd_aio_is_ready))
		return true;
	if (e->nbd && nbd_aio_is_negotiating(e->nbd) == 1)
		(void)nbd_shutdown(e->nbd, 0); /* waits for the answer */
	export_close(e);
	return false;
}

/* A write to its last block completes now. */
static bool export_takes_writes(struct export *e)
{
	uint64_t at;
	int64_t cookie;
	int done = 0;

	if (!e->nbd && !export_attach(e))
		return false;
	at = (uint64_t)nbd_get_size(e->nbd) - BLOCK;
	cookie = nbd_aio_pwrite(e->nbd, zeroes, BLOCK, at, NBD_NULL_COMPLETION, 0);
	for (int ms = 0; cookie >= 0 && done == 0 && ms < ANSWER_MS; ms += 10) {
		if (nbd_poll(e->nbd, 10) < 0)
			break;
		done = nbd_aio_command_completed(e->nbd, (uint64_t)cookie);
	}
	if (done != 1)
		export_close(e);
	return done == 1;
}

/* How many took writes at once; two are named. */
static int look(int n, struct export *exports)
{
	for (int i = 0; i < n; i++) {
		if (!export_takes_writes(&exports[i]))
			continue;
		for (int k = i + 1; k < n; k++) {
			if (!export_takes_writes(&exports[k]) ||
			    !export_takes_writes(&exports[i]))
				continue;
			(void)printf("both take writes: %s and %s\n", exports[i].uri,
				     exports[k].uri);
			return 2;
		}
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = stop };
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };
	struct export exports[EXPORTS_MAX] = { 0 };
	unsigned long looks = 0, seen = 0;
	int found = 0;

	if (argc < 3 || argc > EXPORTS_MAX + 1) {
		(void)fprintf(stderr, "usage: writable URI URI...\n");
		return 2;
	}
	(void)sigaction(SIGTERM, &action, NULL);
	for (int i = 1; i < argc; i++)
		exports[i - 1].uri = argv[i];
	while (!stopping && found < 2) {
		found = look(argc - 1, exports);
		looks++;
		seen += found == 1;
		(void)nanosleep(&pause, NULL);
	}
	for (int i = 1; i < argc; i++)
		export_close(&exports[i - 1]);
	(void)printf("looks=%lu writing=%lu\n", looks, seen);
	return found < 2 ? 0 : 1;
}
