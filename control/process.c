// SPDX-License-Identifier: BSD-3-Clause
#include "control/process.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt/check.h"
#include "rt/log.h"

static const struct process_remedy {
	int error;
	const char *hint;
} remedies[] = {
	{ EPERM,
	  "a seccomp filter or a security module refuses it, or a file is immutable; "
	  "see SystemCallFilter= of the service, or the container's filter" },
	{ ENOSYS, "a seccomp filter refuses it, or the kernel is older than Linux 6.1" },
	{ EACCES,
	  "the user that this runs as needs the right to read and to write it, and to "
	  "pass the folders above" },
	{ EFBIG, "ulimit -f, or LimitFSIZE= of the service" },
	{ EMFILE, "ulimit -n, or LimitNOFILE= of the service" },
	{ ENFILE, "the sysctl fs.file-max" },
	{ EAGAIN, "ulimit -u, or LimitNPROC= and TasksMax= of the service" },
	{ ENOMEM,
	  "ulimit -v and -d, or MemoryMax= of the service; MEMORY in wanmirrord(8) says "
	  "what is needed" },
	{ ENOLCK, "the file system must offer locks" },
	{ EADDRINUSE, "another process has it" },
	{ EADDRNOTAVAIL, "this host has no such address" },
};

const char *process_hint(int error)
{
	for (size_t i = 0; i < RT_ARRAY_LEN(remedies); i++)
		if (remedies[i].error == -error)
			return remedies[i].hint;
	return "";
}

const char *process_hint_loop(int error)
{
	if (error == -EPERM)
		return "io_uring and getrandom() must be allowed: see the sysctl "
		       "kernel.io_uring_disabled, SystemCallFilter= of the service, or "
		       "the container's seccomp filter";
	if (error == -ENOMEM)
		return "ulimit -l, -v and -d, or LimitMEMLOCK= and MemoryMax= of the "
		       "service";
	return process_hint(error);
}

void process_complain(const char *event, const char *what, int error, const char *hint)
{
	rt_log(RT_LOG_ERROR, "%s %s error=\"%s\"%s%s%s", event, what, strerror(-error),
	       hint[0] ? " hint=\"" : "", hint, hint[0] ? "\"" : "");
}

void process_prepare_signals(void)
{
	sigset_t reload;

	(void)sigemptyset(&reload);
	(void)sigaddset(&reload, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &reload, NULL);
	/* Who has left is found by the send that fails. */
	(void)signal(SIGPIPE, SIG_IGN);
}

/* systemd.exec(5): JOURNAL_STREAM names the device and inode of what it gave us. */
void process_prepare_log(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat st;

	rt_log_set_journal(text && sscanf(text, "%ju:%ju", &device, &inode) == 2 &&
			   fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
			   st.st_ino == inode);
}

int process_prepare(const char *program)
{
	struct rlimit limit;

	(void)signal(SIGXFSZ, SIG_IGN);
	if (getrlimit(RLIMIT_STACK, &limit) < 0 || limit.rlim_cur >= PROCESS_STACK_MIN)
		return 0;
	fprintf(stderr,
		"%s: the stack may have %llu KiB and needs %llu: see ulimit -s, or "
		"LimitSTACK= of the service\n",
		program, (unsigned long long)limit.rlim_cur >> 10,
		(unsigned long long)PROCESS_STACK_MIN >> 10);
	return -ENOMEM;
}

int process_descriptors(unsigned kept, uint32_t *connections)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
		int res = -errno;

		process_complain("start-failed", "at=descriptors", res,
				 process_hint(res));
		return res;
	}
	if (limit.rlim_cur < limit.rlim_max) {
		rlim_t before = limit.rlim_cur;

		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			limit.rlim_cur = before;
	}
	if (limit.rlim_cur <= kept) {
		rt_log(RT_LOG_ERROR,
		       "too-few-descriptors limit=%llu hint=\"ulimit -n, or LimitNOFILE= "
		       "of "
		       "the service: %u and one for each NBD connection\"",
		       (unsigned long long)limit.rlim_cur, kept);
		return -EMFILE;
	}
	if (limit.rlim_cur - kept < *connections) {
		rt_log(RT_LOG_WARN,
		       "connections-lowered from=%u to=%llu why=\"the limit on "
		       "descriptors "
		       "is %llu\"",
		       *connections, (unsigned long long)limit.rlim_cur - kept,
		       (unsigned long long)limit.rlim_cur);
		*connections = (uint32_t)(limit.rlim_cur - kept);
	}
	return 0;
}
