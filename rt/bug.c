// SPDX-License-Identifier: BSD-3-Clause
#include "rt/bug.h"

#ifdef RT_BUGS
#include <errno.h>
#include <string.h>

#include "rt/check.h"

enum rt_bug rt_bug_selected = RT_BUG_NONE;

static const char *const bug_names[] = { "NONE",
#define BUG_NAME(name) #name,
					 RT_BUG_LIST(BUG_NAME)
#undef BUG_NAME
};

int rt_bug_select(const char *name)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(bug_names); i++) {
		if (strcmp(name, bug_names[i]) == 0) {
			rt_bug_selected = (enum rt_bug)i;
			return 0;
		}
	}
	return -ENOENT;
}
#else
/* A translation unit must declare something. */
typedef int bug_none;
#endif
