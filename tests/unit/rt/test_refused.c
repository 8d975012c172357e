// SPDX-License-Identifier: BSD-3-Clause
/*
 * A service manager, a container or a limit may refuse what the loop needs: then the start
 * fails with that error, or the loop does without it. Never does it stop working half-way,
 * or say nothing. Each case is a child of its own, as a filter is for life.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rt/log.h"
#include "rt/uring.h"
#include "tests/unit/rt/call.h"

#define SKIPPED 77
#define NOBODY 65534

/* Have the kernel answer the system call `nr` with `error`, for the rest of our life. */
static void refuse(unsigned nr, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { RT_ARRAY_LEN(code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		_exit(SKIPPED);
}

/* Run `body` in a child; what waitpid() says of it. */
static int child_status(int (*body)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(body());
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		skip(); /* seccomp is not for us here */
	return status;
}

#define assert_child_is_content(body) assert_int_equal(child_status(body), 0)

/* The loop cannot be made, and the error is `error`: 0. */
static int loop_is_refused(int error)
{
	struct rt_loop *loop = NULL;

	return rt_loop_new(&loop) != -error || loop;
}

static int without_setup_eperm(void)
{
	refuse(__NR_io_uring_setup, EPERM);
	return loop_is_refused(EPERM);
}

static int without_setup_enosys(void)
{
	refuse(__NR_io_uring_setup, ENOSYS);
	return loop_is_refused(ENOSYS);
}

static int without_enter(void)
{
	refuse(__NR_io_uring_enter, EPERM);
	return loop_is_refused(EPERM);
}

static int without_random(void)
{
	refuse(__NR_getrandom, ENOSYS);
	return loop_is_refused(ENOSYS);
}

static void a_loop_that_cannot_work_is_not_made(void **state)
{
	assert_child_is_content(without_setup_eperm);
	assert_child_is_content(without_setup_enosys);
	assert_child_is_content(without_enter);
	assert_child_is_content(without_random);
}

/* Root is not bound by the limit on processes. */
static int without_threads(void)
{
	const struct rlimit none = { 0, 0 };

	if (geteuid() == 0 && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
		return SKIPPED;
	if (setrlimit(RLIMIT_NPROC, &none) < 0)
		return SKIPPED;
	return loop_is_refused(EAGAIN);
}

/* Else the first flush of a store would be cancelled, and nobody would know why. */
static void a_loop_without_threads_is_not_made(void **state)
{
	assert_child_is_content(without_threads);
}

static void never(void *owner, int signo)
{
}

static int without_reading_signals(void)
{
	struct rt_loop *loop;

	(void)alarm(10);
	if (rt_loop_new(&loop) < 0 || rt_signal(loop, SIGTERM, never, NULL) < 0)
		return 1;
	rt_log_set_level(RT_LOG_ERROR);
	(void)close(STDERR_FILENO);
	refuse(__NR_read, EPERM);
	(void)kill(getpid(), SIGTERM);
	(void)rt_loop_run(loop);
	return 1;
}

/* A daemon that cannot see that it is to stop must stop all the same. */
static void a_signal_that_cannot_be_read_acts(void **state)
{
	int status = child_status(without_reading_signals);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
}

static int without_locks(void)
{
	const char *path = "/tmp/wanmirror-refused-file";
	struct rt_loop *loop;
	struct rt_file *file = NULL;
	struct stat st;

	(void)unlink(path);
	if (rt_loop_new(&loop) < 0)
		return 1;
	refuse(__NR_flock, ENOLCK);
	if (rt_file_open(loop, path, RT_FILE_WRITE | RT_FILE_CREATE | RT_FILE_EXCLUSIVE,
			 &file) != -ENOLCK)
		return 2;
	return stat(path, &st) == 0 || errno != ENOENT ? 3 : 0;
}

/* Else the second try would find a file there, and make nothing. */
static void a_file_that_cannot_be_locked_is_not_left_behind(void **state)
{
	assert_child_is_content(without_locks);
}

static void no_connection(void *owner, struct rt_sock *sock, const struct rt_addr *peer)
{
}

static int without_looking(void)
{
	struct rt_addr addr = { .kind = RT_ADDR_UNIX,
				.path = "/tmp/wanmirror-refused-sock" };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct rt_listener *listener;
	struct rt_loop *loop;
	int r;

	(void)unlink(addr.path);
	memcpy(sun.sun_path, addr.path, strlen(addr.path) + 1);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || rt_loop_new(&loop) < 0)
		return 1;
	(void)close(fd); /* what is left is a socket where nobody listens */
#ifdef __NR_newfstatat
	refuse(__NR_newfstatat, EPERM);
#else
	return SKIPPED;
#endif
	r = rt_listen(loop, &addr, no_connection, NULL, &listener);
	(void)unlink(addr.path);
	return r == -EPERM ? 0 : 2;
}

/* "Address in use" would send people looking for a process. */
static void a_dead_socket_that_cannot_be_seen_says_so(void **state)
{
	assert_child_is_content(without_looking);
}

static int without_poll(void)
{
	int ends[2];
	char text[64] = "";

	if (pipe(ends) < 0 || dup2(ends[1], STDERR_FILENO) < 0 ||
	    fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
		return 1;
#ifdef __NR_poll
	refuse(__NR_poll, EPERM);
#endif
	refuse(__NR_ppoll, EPERM);
	rt_log(RT_LOG_INFO, "here");
	return read(ends[0], text, sizeof(text) - 1) <= 0 || !strstr(text, "here");
}

/* A daemon without a log is one that nobody understands. */
static void a_log_that_cannot_be_polled_is_written(void **state)
{
	assert_child_is_content(without_poll);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loop_that_cannot_work_is_not_made),
		cmocka_unit_test(a_loop_without_threads_is_not_made),
		cmocka_unit_test(a_signal_that_cannot_be_read_acts),
		cmocka_unit_test(a_file_that_cannot_be_locked_is_not_left_behind),
		cmocka_unit_test(a_dead_socket_that_cannot_be_seen_says_so),
		cmocka_unit_test(a_log_that_cannot_be_polled_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
