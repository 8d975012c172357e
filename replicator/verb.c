// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/verb.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "replicator/group_private.h"
#include "replicator/policy.h"

struct verb_impl {
	struct rt_op op;
	int res;
};
_Static_assert(sizeof(struct verb_impl) <= sizeof(((struct group_verb *)0)->impl),
	       "fits into the request");

void verb_begin(struct group_verb *v)
{
	v->text[0] = 0;
}

void verb_text(struct group_verb *v, const char *fmt, ...)
{
	size_t used = strlen(v->text);
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(v->text + used, sizeof(v->text) - used, fmt, args);
	va_end(args);
}

static void verb_replied(struct rt_op *op, int res)
{
	struct verb_impl *impl = rt_container_of(op, struct verb_impl, op);
	struct group_verb *v = rt_container_of((void **)impl, struct group_verb, impl);

	(void)res; /* rt_defer has no result of its own */
	v->done(v, impl->res);
}

void verb_reply(struct group *g, struct group_verb *v, int res)
{
	struct verb_impl *impl = (struct verb_impl *)v->impl;

	*impl = (struct verb_impl){ .op.done = verb_replied, .res = res };
	rt_defer(g->loop, &impl->op);
}

int verb_refusal(const struct group *g, const char **why)
{
	if (g->failed) {
		*why = POLICY_LOG_FAILED;
		return -EIO;
	}
	if (group_is_stopping(g)) {
		*why = VERB_STOPPING;
		return -ESHUTDOWN;
	}
	return 0;
}
