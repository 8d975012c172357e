// SPDX-License-Identifier: BSD-3-Clause
/*
 * refuse CALL ERROR FROM TEXT COMMAND...
 * refuse list TEXT COMMAND...
 *
 * Runs a command whose system call CALL is refused with ERROR (its name, say EPERM) from the
 * FROM-th time on. As soon as a line on its standard error has TEXT, or after some seconds,
 * it gets SIGTERM; its standard error goes on to ours. The last line on standard output is
 * "end=exit-STATUS", "end=signal-N" or "end=hang".
 *
 * ERROR may be HANGUP: then the call is made, and SIGHUP comes before it, the FROM-th time.
 *
 * With FROM "later", the call is refused once TEXT was there, and SIGTERM is what we get.
 * "list" refuses nothing, and says how often each system call was made: "call openat 27".
 *
 * A seccomp filter hands the calls to this process, which counts (seccomp_unotify(2)).
 *
 * Exit: 0 it has ended; 77 such a filter cannot be had here; else 2.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 5000 /* for TEXT */
#define LIMIT_MS 15000
#define CALLS_MAX 1024
#define TEXT_MAX 65536

struct name {
	const char *text;
	int value;
};

static const struct name calls[] = {
#define CALL(name)                                                                       \
	{                                                                                \
#name, SYS_##name                                                        \
	}
#ifdef SYS_access
	CALL(access),
	CALL(newfstatat),
	CALL(open),
	CALL(stat),
	CALL(unlink),
	CALL(poll),
	CALL(rename),
	CALL(mkdir),
	CALL(arch_prctl),
#endif
	CALL(accept4),
	CALL(bind),
	CALL(brk),
	CALL(clock_gettime),
	CALL(clone),
	CALL(clone3),
	CALL(close),
	CALL(connect),
	CALL(dup),
	CALL(exit_group),
	CALL(faccessat),
	CALL(fcntl),
	CALL(flock),
	CALL(fstat),
	CALL(fstatfs),
	CALL(fsync),
	CALL(ftruncate),
	CALL(futex),
	CALL(getdents64),
	CALL(getpeername),
	CALL(getpid),
	CALL(getrandom),
	CALL(getsockname),
	CALL(getuid),
	CALL(io_uring_enter),
	CALL(io_uring_register),
	CALL(io_uring_setup),
	CALL(ioctl),
	CALL(listen),
	CALL(lseek),
	CALL(madvise),
	CALL(mlock),
	CALL(mmap),
	CALL(mprotect),
	CALL(munmap),
	CALL(nanosleep),
	CALL(openat),
	CALL(ppoll),
	CALL(prctl),
	CALL(pread64),
	CALL(prlimit64),
	CALL(pwrite64),
	CALL(read),
	CALL(recvfrom),
	CALL(recvmmsg),
	CALL(recvmsg),
	CALL(rt_sigaction),
	CALL(rt_sigprocmask),
	CALL(sendmmsg),
	CALL(sendmsg),
	CALL(sendto),
	CALL(setsockopt),
	CALL(shutdown),
	CALL(signalfd4),
	CALL(socket),
	CALL(umask),
	CALL(uname),
	CALL(unlinkat),
	CALL(write),
	CALL(writev),
	CALL(execve),
	CALL(rseq),
	CALL(set_tid_address),
	CALL(set_robust_list),
	CALL(rt_sigreturn),
	CALL(restart_syscall),
	CALL(getsockopt),
};

static const struct name errors[] = {
	{ "EPERM", EPERM },	{ "ENOSYS", ENOSYS }, { "EACCES", EACCES },
	{ "EMFILE", EMFILE },	{ "ENOMEM", ENOMEM }, { "EINVAL", EINVAL },
	{ "EIO", EIO },		{ "ENOSPC", ENOSPC }, { "ENFILE", ENFILE },
	{ "ENOBUFS", ENOBUFS }, { "HANGUP", 0 },
};

/* Shared with the child until it is the command. */
struct handover {
	atomic_int listener; /* the child's descriptor; 0: not yet; -errno */
	atomic_bool taken;   /* and now ours */
};

struct run {
	pid_t pid;
	int listener, output; /* owned */
	int error;
	unsigned long from, calls;
	bool is_list, is_later;
	bool was_said; /* TEXT */
	unsigned long count[CALLS_MAX];
	const char *text;
	char said[TEXT_MAX];
	size_t said_len;
};

static volatile sig_atomic_t asked_to_stop;

static void stop(int signo)
{
	asked_to_stop = 1;
}

static void die(const char *what)
{
	(void)fprintf(stderr, "refuse: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int find(const struct name *names, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i].text, text) == 0)
			return names[i].value;
	(void)fprintf(stderr, "refuse: %s is not known\n", text);
	exit(2);
}

/* ---- the child -------------------------------------------------------------------- */

/* For one call, or for all. */
static int filter_install(int nr)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, nr < 0 ? 0 : 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = 4, .filter = code };
	long fd;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		     SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	return fd < 0 ? -errno : (int)fd;
}

static void child(struct handover *h, int nr, int output, char **command)
{
	if (dup2(output, STDERR_FILENO) < 0)
		_exit(126);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	atomic_store(&h->listener, filter_install(nr));
	/* Any call could be the one that waits for its answer: no call until it has one. */
	while (!atomic_load(&h->taken))
		;
	(void)execvp(command[0], command);
	_exit(127);
}

/* ---- the parent ------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void start(struct run *run, int nr, char **command)
{
	struct handover *h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int ends[2], theirs, pidfd;

	if (h == MAP_FAILED || pipe2(ends, O_CLOEXEC) < 0)
		die("start");
	run->pid = fork();
	if (run->pid < 0)
		die("fork");
	if (run->pid == 0)
		child(h, nr, ends[1], command);
	(void)close(ends[1]);
	run->output = ends[0];
	while ((theirs = atomic_load(&h->listener)) == 0)
		(void)sched_yield();
	if (theirs < 0) {
		(void)fprintf(stderr, "refuse: no filter: %s\n", strerror(-theirs));
		(void)kill(run->pid, SIGKILL);
		exit(77);
	}
	pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0);
	run->listener = (int)syscall(SYS_pidfd_getfd, pidfd, theirs, 0);
	if (run->listener < 0)
		die("pidfd_getfd");
	(void)close(pidfd);
	atomic_store(&h->taken, true);
	(void)munmap(h, sizeof(*h));
}

static bool is_refused(const struct run *run)
{
	if (run->is_list || run->is_later)
		return run->is_later && run->was_said;
	return run->calls >= run->from;
}

static void answer(struct run *run)
{
	struct seccomp_notif call = { 0 };
	struct seccomp_notif_resp resp = { 0 };

	if (ioctl(run->listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
		return; /* who called has died, or was interrupted and calls again */
	run->calls++;
	if (call.data.nr >= 0 && call.data.nr < CALLS_MAX)
		run->count[call.data.nr]++;
	resp.id = call.id;
	/* Once: a signal that is caught makes the call come again. */
	if (!run->is_list && run->error == 0 && run->calls == run->from)
		(void)kill(run->pid, SIGHUP);
	if (run->error != 0 && is_refused(run))
		resp.error = -run->error;
	else
		resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	(void)ioctl(run->listener, SECCOMP_IOCTL_NOTIF_SEND, &resp); /* the same */
}

/* False at the end of its output. */
static bool listen_to(struct run *run)
{
	char *at = run->said + run->said_len;
	ssize_t n = read(run->output, at, sizeof(run->said) - 1 - run->said_len);

	if (n <= 0)
		return false;
	(void)!write(STDERR_FILENO, at, (size_t)n);
	at[n] = 0;
	run->said_len += (size_t)n;
	run->was_said |= strstr(run->said, run->text) != NULL;
	if (run->said_len > sizeof(run->said) / 2)
		run->said_len = 0;
	return true;
}

static void say_end(struct run *run, int status)
{
	while (listen_to(run))
		;
	for (size_t nr = 0; run->is_list && nr < CALLS_MAX; nr++) {
		const char *name = NULL;

		for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
			if (calls[i].value == (int)nr)
				name = calls[i].text;
		if (run->count[nr] && name)
			printf("call %s %lu\n", name, run->count[nr]);
		else if (run->count[nr])
			printf("call unknown-%zu %lu\n", nr, run->count[nr]);
	}
	printf("end=%s-%d\n", WIFEXITED(status) ? "exit" : "signal",
	       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

/* Is it time that it ends? */
static bool is_over(const struct run *run, int64_t began)
{
	if (run->is_later)
		return asked_to_stop;
	return asked_to_stop || run->was_said || now_ms() > began + PATIENCE_MS;
}

static void supervise(struct run *run)
{
	struct pollfd fds[] = { { .fd = run->output, .events = POLLIN },
				{ .fd = run->listener, .events = POLLIN } };
	int64_t began = now_ms(), until = began + LIMIT_MS;
	bool stopped = false;
	int status;

	while (now_ms() < until || (run->is_later && !stopped)) {
		if (waitpid(run->pid, &status, WNOHANG) == run->pid) {
			say_end(run, status);
			return;
		}
		if (!stopped && is_over(run, began)) {
			stopped = true;
			until = now_ms() + LIMIT_MS;
			(void)kill(run->pid, SIGTERM);
		}
		if (poll(fds, 2, 10) <= 0)
			continue;
		if (fds[1].revents & POLLIN)
			answer(run);
		else if (fds[1].revents)
			fds[1].fd = -1;
		if (fds[0].revents && !listen_to(run))
			fds[0].fd = -1;
	}
	(void)kill(run->pid, SIGKILL);
	printf("end=hang\n");
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = stop };
	static struct run run;
	int nr = -1;

	run.is_list = argc > 1 && strcmp(argv[1], "list") == 0;
	if (argc < (run.is_list ? 4 : 6)) {
		(void)fprintf(stderr, "usage: refuse CALL ERROR FROM TEXT COMMAND...\n"
				      "       refuse list TEXT COMMAND...\n");
		return 2;
	}
	if (!run.is_list) {
		nr = find(calls, sizeof(calls) / sizeof(calls[0]), argv[1]);
		run.error = find(errors, sizeof(errors) / sizeof(errors[0]), argv[2]);
		run.is_later = strcmp(argv[3], "later") == 0;
		run.from = strtoul(argv[3], NULL, 10);
	}
	run.text = argv[run.is_list ? 2 : 4];
	if (sigaction(SIGTERM, &action, NULL) < 0)
		die("sigaction");
	start(&run, nr, argv + (run.is_list ? 3 : 5));
	supervise(&run);
	return 0;
}
