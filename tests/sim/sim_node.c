// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_impl.h"

/* Machines and the processes on them: who is entered, who lives, who dies. */

#define WALL_START_NS (INT64_C(1790000000) * RT_S)
#define CLOCK_APART_S 100000 /* monotonic clocks of nodes differ by up to so much */
#define FIRST_PORT 40000

static void boot(struct sim_node *node)
{
	struct sim_world *w = sim_world_now;
	int64_t up_ns = (int64_t)sim_between(&w->rng_time, 1, CLOCK_APART_S) * RT_S;

	node->clock_base = w->now - up_ns;
	for (unsigned i = 0; i < sizeof(node->boot_id); i++)
		node->boot_id[i] = (uint8_t)sim_draw(&w->rng_time);
	node->powered = true;
}

struct sim_node *sim_node_new(struct sim_world *w, const char *name)
{
	struct sim_node *node = sim_calloc(1, sizeof(*node));

	rt_assert(w->nnodes < SIM_NODES_MAX);
	node->index = w->nnodes;
	w->nodes[w->nnodes++] = node;
	snprintf(node->name, sizeof(node->name), "%s", name);
	memcpy(node->ip, (uint8_t[]){ 10, 0, 0, (uint8_t)w->nnodes }, 4);
	rt_list_init(&node->loops);
	rt_list_init(&node->disks);
	rt_list_init(&node->files);
	rt_list_init(&node->socks);
	rt_list_init(&node->listeners);
	rt_list_init(&node->dgrams);
	node->next_port = FIRST_PORT;
	node->wall_offset = (int64_t)sim_below(&w->rng_time, 2 * RT_S) - RT_S;
	boot(node);
	return node;
}

void sim_node_free(struct sim_node *node)
{
	sim_disks_free(node);
	free(node);
}

struct sim_node *sim_node_at(struct sim_world *w, unsigned i)
{
	return i < w->nnodes ? w->nodes[i] : NULL;
}

const char *sim_node_name(const struct sim_node *node)
{
	return node->name;
}

void sim_node_addr(const struct sim_node *node, uint16_t port, struct rt_addr *ret)
{
	*ret = (struct rt_addr){ .kind = RT_ADDR_INET, .port = port };
	memcpy(ret->ip, node->ip, sizeof(node->ip));
}

void sim_node_second_addr(const struct sim_node *node, uint16_t port, struct rt_addr *ret)
{
	sim_node_addr(node, port, ret);
	ret->ip[2] = 1;
}

bool sim_node_has_ip(const struct sim_node *node, const uint8_t *ip)
{
	return ip[0] == node->ip[0] && ip[1] == node->ip[1] && ip[2] <= 1 &&
	       ip[3] == node->ip[3];
}

uint16_t sim_node_port(struct sim_node *node)
{
	if (++node->next_port < FIRST_PORT)
		node->next_port = FIRST_PORT;
	return node->next_port;
}

struct rt_loop *sim_loop_new(struct sim_node *node)
{
	struct rt_loop *loop = sim_calloc(1, sizeof(*loop));

	loop->node = node;
	rt_list_push_back(&node->loops, &loop->link);
	sim_rng_init(&loop->rng, sim_draw(&sim_world_now->rng_time));
	return loop;
}

void sim_loop_free(struct rt_loop *loop)
{
	rt_list_remove(&loop->link);
	free(loop);
}

struct rt_loop *sim_node_start(struct sim_node *node)
{
	rt_assert(node->loop == NULL);
	if (!node->powered)
		boot(node);
	node->loop = sim_loop_new(node);
	sim_note(sim_world_now, "start", node->index, node->boot, 0);
	return node->loop;
}

struct rt_loop *sim_node_loop(const struct sim_node *node)
{
	return node->loop;
}

bool sim_node_up(const struct sim_node *node)
{
	return node->loop != NULL;
}

void sim_node_stop(struct sim_node *node)
{
	struct rt_loop *l = node->loop;

	rt_assert(l != NULL && node->inside == 0);
	if (l->nops || l->ntimers || l->nfiles || l->nsocks || l->nlisteners ||
	    l->ndgrams)
		sim_violation(
			"%s exits with %u operations, %u timers, %u files, %u sockets, "
			"%u listeners, %u datagram sockets",
			node->name, l->nops, l->ntimers, l->nfiles, l->nsocks,
			l->nlisteners, l->ndgrams);
	if (l->link.next != &node->loops)
		sim_violation("%s exits with a second loop", node->name);
	if (node->mem_bytes != 0)
		sim_violation("%s exits with %llu bytes of memory", node->name,
			      (unsigned long long)node->mem_bytes);
	sim_mem_take_back(node); /* pieces of no bytes */
	sim_note(sim_world_now, "stop", node->index, 0, 0);
	sim_loop_free(l);
	node->loop = NULL;
	node->armed_n = 0;
}

void sim_node_crash_now(struct sim_node *node, enum sim_crash kind)
{
	node->crash_wanted = false;
	node->armed_n = 0;
	sim_note(sim_world_now, kind == SIM_KILL ? "kill" : "power", node->index, 0, 0);
	/* Disks first: what is in flight is known from the operations. */
	sim_disks_crash(node, kind);
	sim_socks_crash(node, kind);
	sim_dgrams_crash(node);
	while (!rt_list_empty(&node->loops)) {
		struct rt_loop *loop =
			rt_container_of(node->loops.next, struct rt_loop, link);

		sim_drop_events(loop);
		sim_loop_free(loop);
	}
	node->loop = NULL;
	sim_mem_take_back(node);
	node->mem_fail_at = 0;
	if (kind == SIM_POWER) {
		node->powered = false;
		node->boot++;
	}
}

void sim_node_crash(struct sim_node *node, enum sim_crash kind)
{
	rt_assert(node->loop != NULL || kind == SIM_POWER);
	if (node->inside > 0) {
		node->crash_wanted = true;
		node->crash_kind = kind;
	} else {
		sim_node_crash_now(node, kind);
	}
}

void sim_node_crash_after(struct sim_node *node, enum sim_crash kind, unsigned mask,
			  uint64_t n)
{
	node->armed_kind = kind;
	node->armed_mask = mask;
	node->armed_n = n;
}

bool sim_node_count(struct sim_node *node, unsigned mask)
{
	node->nevents[__builtin_ctz(mask)]++;
	return node->armed_n != 0 && (node->armed_mask & mask) && --node->armed_n == 0;
}

uint64_t sim_node_events(const struct sim_node *node, unsigned mask)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < 4; i++)
		if (mask & 1u << i)
			n += node->nevents[i];
	return n;
}

/* ---- who is entered ----------------------------------------------------------------- */

void sim_node_enter(struct sim_node *node)
{
	struct sim_world *w = sim_world_now;

	rt_assert(w->nnest < SIM_NEST_MAX);
	w->nest[w->nnest++] = node;
	node->inside++;
}

void sim_node_leave(struct sim_node *node)
{
	struct sim_world *w = sim_world_now;

	rt_assert(w->nnest > 0 && w->nest[w->nnest - 1] == node);
	w->nnest--;
	node->inside--;
	if (node->inside == 0 && node->crash_wanted)
		sim_node_crash_now(node, node->crash_kind);
}

struct sim_node *sim_node_entered(void)
{
	struct sim_world *w = sim_world_now;

	return w != NULL && w->nnest > 0 ? w->nest[w->nnest - 1] : NULL;
}

void sim_node_wall_jump(struct sim_node *node, int64_t ns)
{
	node->wall_offset += ns;
}

/* ---- what a loop asks of its machine -------------------------------------------------- */

rt_time rt_now(struct rt_loop *loop)
{
	return (rt_time){ sim_world_now->now - loop->node->clock_base };
}

int64_t rt_wall_ns(struct rt_loop *loop)
{
	return WALL_START_NS + sim_world_now->now + loop->node->wall_offset;
}

/* A boot changes the id, and what counts is the difference within one boot. */
int64_t rt_loop_since_boot_ns(struct rt_loop *loop)
{
	return sim_world_now->now;
}

int rt_boot_id(struct rt_loop *loop, uint8_t id[16])
{
	memcpy(id, loop->node->boot_id, sizeof(loop->node->boot_id));
	return 0;
}

void rt_random(struct rt_loop *loop, void *buf, size_t len)
{
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(sim_draw(&loop->rng) >> 56);
}
