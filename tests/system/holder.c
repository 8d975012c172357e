// SPDX-License-Identifier: BSD-3-Clause
/*
 * holder URI CLIENTS WRITES
 *
 * So many clients, each with so many writes of 1 MiB in flight at once, no two of them to the
 * same place; ends when all have been answered. Exit: 0 and a line if all succeeded.
 */
#include <errno.h>
#include <libnbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE (1u << 20)

static unsigned answered;

static int write_done(void *data, int *error)
{
	if (*error != 0) {
		(void)fprintf(stderr, "holder: a write failed, errno %d\n", *error);
		exit(1);
	}
	answered++;
	return 1;
}

static int client(const char *uri, unsigned number, unsigned writes)
{
	nbd_completion_callback done = { .callback = write_done };
	struct nbd_handle *nbd = nbd_create();
	char *piece = calloc(1, PIECE);

	if (!piece || !nbd || nbd_connect_uri(nbd, uri) < 0)
		goto failed;
	for (unsigned i = 0; i < writes; i++) {
		uint64_t at = ((uint64_t)number * writes + i) * PIECE;

		if (nbd_aio_pwrite(nbd, piece, PIECE, at, done, 0) < 0)
			goto failed;
	}
	while (answered < writes)
		if (nbd_poll(nbd, -1) < 0)
			goto failed;
	(void)nbd_shutdown(nbd, 0);
	nbd_close(nbd);
	free(piece);
	return 0;

failed:
	(void)fprintf(stderr, "holder: client %u: %s\n", number,
		      piece ? nbd_get_error() : "no memory");
	return 1;
}

int main(int argc, char **argv)
{
	unsigned clients = argc == 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	unsigned writes = argc == 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
	int failed = 0, status;

	if (clients == 0 || writes == 0) {
		(void)fprintf(stderr, "usage: holder URI CLIENTS WRITES\n");
		return 2;
	}
	for (unsigned i = 0; i < clients; i++) {
		pid_t pid = fork();

		if (pid == 0)
			exit(client(argv[1], i, writes));
		failed |= pid < 0;
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	if (!failed)
		(void)printf("%u writes of 1 MiB\n", clients * writes);
	return failed;
}
