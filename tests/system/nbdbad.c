// SPDX-License-Identifier: BSD-3-Clause
/*
 * Clients that break the rules, against a real daemon.
 *
 * nbdbad requests SOCKET EXPORT         bad requests, each refused as docs/nbd.md says
 * nbdbad hold SOCKET N COMMAND...       N connections each that stop in the greeting, in a
 *                                       header, and in a payload, while COMMAND runs
 * nbdbad flood SOCKET EXPORT LIMIT      LIMIT connections, one more, and then one again
 * nbdbad garbage SOCKET RUNS SEED       random bytes
 * nbdbad command COMMAND...             a server on its standard input and output
 */
#include <errno.h>
#include <libnbd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BIG (32u << 20)
#define WAIT_SECONDS 10

#define must(cond)                                                                       \
	do {                                                                             \
		if (!(cond)) {                                                           \
			(void)fprintf(stderr, "nbdbad:%d: not so: %s (%s)\n", __LINE__,  \
				      #cond, nbd_get_error() ? nbd_get_error() : "");    \
			exit(1);                                                         \
		}                                                                        \
	} while (0)

/* The library must not refuse for the server. */
static struct nbd_handle *client_new(const char *export)
{
	struct nbd_handle *nbd = nbd_create();

	must(nbd);
	must(nbd_set_strict_mode(nbd, 0) == 0);
	must(nbd_set_export_name(nbd, export) == 0);
	return nbd;
}

static void refused(int res, int err)
{
	must(res == -1);
	if (nbd_get_errno() == err)
		return;
	(void)fprintf(stderr, "nbdbad: wants %s, got %s\n", strerror(err),
		      strerror(nbd_get_errno()));
	exit(1);
}

static int requests(char **args)
{
	struct nbd_handle *nbd = client_new(args[1]);
	char *buf = calloc(1, BIG + 1);
	int64_t size;

	must(buf && nbd_connect_unix(nbd, args[0]) == 0);
	size = nbd_get_size(nbd);
	must(size > 0);
	refused(nbd_pread(nbd, buf, 2, (uint64_t)size - 1, 0), EINVAL);
	refused(nbd_pread(nbd, buf, 1, (uint64_t)size, 0), EINVAL);
	refused(nbd_pread(nbd, buf, 4096, UINT64_MAX - 100, 0), EINVAL);
	refused(nbd_pread(nbd, buf, 0, 0, 0), EINVAL);
	refused(nbd_pread(nbd, buf, BIG + 1, 0, 0), EINVAL);
	refused(nbd_pwrite(nbd, buf, 2, (uint64_t)size - 1, 0), ENOSPC);
	refused(nbd_pwrite(nbd, buf, 100000, (uint64_t)size, 0), ENOSPC);
	refused(nbd_pwrite(nbd, buf, 0, 0, 0), EINVAL);
	refused(nbd_zero(nbd, 2, (uint64_t)size - 1, 0), ENOSPC);
	refused(nbd_trim(nbd, 2, (uint64_t)size - 1, 0), EINVAL);
	refused(nbd_cache(nbd, 4096, 0, 0), EINVAL);
	refused(nbd_pread(nbd, buf, 4096, 0, 0x8000), EINVAL);
	refused(nbd_pwrite(nbd, buf, 4096, 0, 0x8000), EINVAL);
	/* After all this the connection is as good as new. */
	must(nbd_pwrite(nbd, "good", 4, (uint64_t)size - 4, LIBNBD_CMD_FLAG_FUA) == 0);
	must(nbd_pread(nbd, buf, 4, (uint64_t)size - 4, 0) == 0);
	must(memcmp(buf, "good", 4) == 0);
	/* A write above the maximum is the last request of its connection. */
	must(nbd_pwrite(nbd, buf, BIG + 1, 0, 0) == -1);
	must(nbd_pread(nbd, buf, 1, 0, 0) == -1);
	nbd_close(nbd);
	free(buf);
	return 0;
}

/* ---- raw ----------------------------------------------------------------------------- */

static int raw_connect(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval limit = { WAIT_SECONDS, 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(fd >= 0 && strlen(path) < sizeof(sun.sun_path));
	memcpy(sun.sun_path, path, strlen(path) + 1);
	must(connect(fd, (void *)&sun, sizeof(sun)) == 0);
	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
	return fd;
}

static void raw_send(int fd, const void *p, size_t len)
{
	must(send(fd, p, len, MSG_NOSIGNAL) == (ssize_t)len);
}

/* Negotiate for the export "data", with EXPORT_NAME; `more` bytes of requests follow. */
static int raw_open(const char *path, const char *requests_head, size_t more)
{
	static const char hello[] = "\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0\4data";
	char answer[18 + 10];
	int fd = raw_connect(path);

	raw_send(fd, hello, sizeof(hello) - 1);
	must(recv(fd, answer, sizeof(answer), MSG_WAITALL) == sizeof(answer));
	if (more > 0)
		raw_send(fd, requests_head, more);
	return fd;
}

static int run(char **command)
{
	int status;
	pid_t pid = fork();

	must(pid >= 0);
	if (pid == 0) {
		(void)execvp(command[0], command);
		_exit(127);
	}
	must(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int hold(char **args)
{
	/* A write of 32 MiB at 0, of which 4 bytes come. */
	static const char half_payload[] = "\x25\x60\x95\x13\0\0\0\1"
					   "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0"
					   "\2\0\0\0half";
	static const char half_head[] = "\x25\x60\x95\x13\0\0\0\1\0";
	long n = strtol(args[1], NULL, 10);

	for (long i = 0; i < n; i++) {
		raw_send(raw_connect(args[0]), "\0\0\0\3IHAV", 8);
		(void)raw_open(args[0], half_head, sizeof(half_head) - 1);
		if (i < 2) /* more of them may wait for memory, which is their right */
			(void)raw_open(args[0], half_payload, sizeof(half_payload) - 1);
	}
	return run(args + 2);
}

/* Whether a new connection is greeted (or closed without a word). */
static bool greeted(const char *path, int *fd)
{
	char greeting[18];

	*fd = raw_connect(path);
	if (recv(*fd, greeting, sizeof(greeting), MSG_WAITALL) == sizeof(greeting))
		return true;
	(void)close(*fd);
	return false;
}

static int flood(char **args)
{
	long limit = strtol(args[2], NULL, 10);
	const struct timespec pause = { 0, 20000000 };
	struct nbd_handle *nbd;
	int *fds = calloc((size_t)limit, sizeof(*fds));
	int more;

	must(fds && limit > 1);
	for (long i = 0; i < limit; i++)
		fds[i] = raw_open(args[0], NULL, 0);
	must(!greeted(args[0], &more));
	must(!greeted(args[0], &more));
	(void)close(fds[0]);
	/* The server notices in its own time, which is bounded. */
	for (int i = 0; !greeted(args[0], &more); i++) {
		must(i < WAIT_SECONDS * 50);
		(void)nanosleep(&pause, NULL);
	}
	for (long i = 1; i < limit; i++)
		(void)close(fds[i]);
	(void)close(more);
	for (int i = 0;; i++) {
		nbd = client_new(args[1]);
		if (nbd_connect_unix(nbd, args[0]) == 0)
			break;
		nbd_close(nbd);
		must(i < WAIT_SECONDS * 50);
		(void)nanosleep(&pause, NULL);
	}
	must(nbd_shutdown(nbd, 0) == 0);
	nbd_close(nbd);
	free(fds);
	return 0;
}

static int garbage(char **args)
{
	long runs = strtol(args[1], NULL, 10);
	unsigned seed = (unsigned)strtoul(args[2], NULL, 10);

	(void)printf("seed=%u\n", seed);
	for (long i = 0; i < runs; i++) {
		bool opened = i % 3 != 0;
		int fd = opened ? raw_open(args[0], NULL, 0) : raw_connect(args[0]);
		uint8_t bytes[2000];
		size_t len = (size_t)rand_r(&seed) % sizeof(bytes);

		for (size_t j = 0; j < len; j++)
			bytes[j] = (uint8_t)rand_r(&seed);
		/* A good beginning gets further in; of a write only the refused kind. */
		if (opened && i % 2 && len >= 28) {
			memcpy(bytes, "\x25\x60\x95\x13\0\0\0", 7);
			bytes[7] = bytes[7] % 5 == 1 ? 0 : bytes[7] % 5;
			bytes[16] |= 0x80;
		}
		(void)send(fd, bytes, len, MSG_NOSIGNAL); /* it may be closed already */
		(void)close(fd);
	}
	return 0;
}

/* ---- a server of our own ------------------------------------------------------------- */

static int command(char **args)
{
	struct nbd_handle *nbd = client_new("");
	char out[5000], in[5000];

	memset(out, 0x5c, sizeof(out));
	must(nbd_connect_command(nbd, args) == 0);
	must(nbd_pwrite(nbd, out, sizeof(out), 4000, 0) == 0);
	must(nbd_flush(nbd, 0) == 0);
	must(nbd_pread(nbd, in, sizeof(in), 4000, 0) == 0);
	must(memcmp(in, out, sizeof(in)) == 0);
	must(nbd_shutdown(nbd, 0) == 0);
	nbd_close(nbd);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*fn)(char **args);
	} verbs[] = {
		{ "requests", 2, requests }, { "hold", 3, hold },
		{ "flood", 3, flood },	     { "garbage", 3, garbage },
		{ "command", 1, command },
	};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (argc >= 2 + verbs[i].args && strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].fn(argv + 2);
	(void)fprintf(stderr, "nbdbad requests|hold|flood|garbage|command ...\n");
	return 2;
}
