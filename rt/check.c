// SPDX-License-Identifier: BSD-3-Clause
#include "rt/check.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Who reads standard error may be slow; whoever does not read it must not keep us alive. */
#define ASSERT_SAY_MS 1000

_Noreturn void rt_assert_failed(const char *cond, const char *file, int line)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	char text[1024];
	int n = snprintf(text, sizeof(text), "assert cond=\"%s\" at=%s:%d\n", cond, file,
			 line);

	_Static_assert(sizeof(text) <= PIPE_BUF, "what poll() lets pass does not wait");
	if (n >= (int)sizeof(text))
		n = (int)sizeof(text) - 1;
	(void)signal(SIGPIPE, SIG_IGN); /* it is to end as what it is: by SIGABRT */
	if (n > 0 && poll(&p, 1, ASSERT_SAY_MS) == 1)
		(void)!write(STDERR_FILENO, text, (size_t)n);
	abort();
}
