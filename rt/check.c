// SPDX-License-Identifier: BSD-3-Clause
#include "rt/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void rt_assert_failed(const char *cond, const char *file, int line)
{
	(void)fprintf(stderr, "assert cond=\"%s\" at=%s:%d\n", cond, file, line);
	abort();
}
