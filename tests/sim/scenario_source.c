// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "rt/check.h"
#include "rt/loop.h"
#include "tests/sim/sim.h"

/*
 * Which of a machine's addresses datagrams leave from, and the firewall before whoever has
 * not chosen a port. Protects: the simulator notices an engine that answers from another
 * address than the one that was dialed.
 */
#define PORT 7700

/* b listens on any address, and answers with a message of two datagrams. */
struct dialog {
	struct sim_node *a, *b;
	struct rt_dgram *near, *far;
	struct rt_op asked, answered;
	struct rt_addr from, dialed, at;
	unsigned questions, answers;
	bool from_there;
};

static void dialog_asked(void *owner, const uint8_t *dgram, size_t len,
			 const struct rt_addr *from)
{
	struct dialog *d = owner;
	const struct rt_message message = { .buf = "answer",
					    .len = 6,
					    .segment = 3,
					    .from = d->from_there ? &d->at : NULL };

	d->questions++;
	rt_dgram_local(d->far, &d->at);
	rt_dgram_send_message(d->far, &d->answered, from, &message);
}

static void dialog_answered(void *owner, const uint8_t *dgram, size_t len,
			    const struct rt_addr *from)
{
	struct dialog *d = owner;

	d->from = *from;
	d->answers++;
}

static void dialog_left(void *owner, uint32_t id)
{
}

static void dialog_sent(struct rt_op *op, int res)
{
	sim_require(res == 0, "%d", res);
}

static void dialog_run(struct sim_world *w, struct dialog *d)
{
	static const struct rt_dgram_events far = { dialog_asked, dialog_left, NULL,
						    NULL };
	static const struct rt_dgram_events near = { dialog_answered, dialog_left, NULL,
						     NULL };
	const struct rt_addr any = { .kind = RT_ADDR_INET };
	struct rt_addr listens = { .kind = RT_ADDR_INET, .port = PORT };

	d->questions = d->answers = 0;
	d->asked.done = d->answered.done = dialog_sent;
	sim_node_enter(d->b);
	sim_require(rt_dgram_open(sim_node_loop(d->b), &listens, &far, d, &d->far) == 0,
		    "open");
	sim_require(rt_dgram_watch_local(d->far) == 0, "watch");
	sim_node_leave(d->b);
	sim_node_enter(d->a);
	sim_require(rt_dgram_open(sim_node_loop(d->a), &any, &near, d, &d->near) == 0,
		    "open");
	rt_dgram_send(d->near, &d->asked, &d->dialed, "?", 1, 0);
	sim_node_leave(d->a);
	sim_run_for(w, RT_S);
	sim_require(d->questions == 1 && rt_addr_equal(&d->at, &d->dialed),
		    "it is not told where it was asked");
	rt_dgram_close(d->near);
	rt_dgram_close(d->far);
}

/* An answer passes the firewall of who asked from the address that was asked, and no other. */
static void run_source(struct sim_world *w)
{
	struct dialog d = { .a = sim_node_new(w, "a"), .b = sim_node_new(w, "b") };

	sim_node_start(d.a);
	sim_node_start(d.b);
	sim_net_set_both(d.a, d.b, &(struct sim_net_config){ .delay_ns = RT_MS });
	sim_node_addr(d.b, PORT, &d.dialed);
	dialog_run(w, &d);
	sim_require(d.answers == 2, "%u", d.answers);
	sim_node_second_addr(d.b, PORT, &d.dialed);
	dialog_run(w, &d);
	sim_require(d.answers == 0, "%u", d.answers);
	d.from_there = true;
	dialog_run(w, &d);
	sim_require(d.answers == 2 && rt_addr_equal(&d.from, &d.dialed), "%u", d.answers);
	sim_node_stop(d.a);
	sim_node_stop(d.b);
}

SIM_SCENARIO(source,
	     "simulated addresses: a firewall passes answers from where was asked",
	     run_source, NULL, .all_max = 2);
