/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SIM_SIM_IMPL_H
#define TESTS_SIM_SIM_IMPL_H

#include "rt/check.h"
#include "rt/list.h"
#include "rt/loop.h"
#include "rt/mem.h"
#include "tests/sim/sim.h"

/*
 * What the parts of the simulator know of each other. Its own objects come from
 * sim_calloc() and survive what they model; only rt_alloc() is the node's memory.
 */
struct sim_event;
struct sim_link;
struct sim_kept;
struct sim_mem;

/* ---- events ----------------------------------------------------------------------- */

/*
 * What happens at one instant. `effect` is done to the world; `call` then runs the
 * callback of a process, if there is one. After that the event is over: `over` frees it.
 * A crash in between skips `call`, a crash before skips `effect`, too.
 */
struct sim_event_type {
	const char *name;
	unsigned mask;			     /* SIM_ON_... */
	void (*effect)(struct sim_event *e); /* may set e->loop; may be NULL */
	void (*call)(struct sim_event *e);   /* only with a loop; may be NULL */
	void (*over)(struct sim_event *e);
};

struct sim_event {
	const struct sim_event_type *type;
	struct rt_loop *loop; /* dropped when this process dies; NULL: the world's */
	size_t place;	      /* in the heap, from 1; 0: not in it */
	uint64_t a, b;	      /* for the trace */
};

/* An event or a timer in the heap. */
struct sim_slot {
	int64_t at;
	uint64_t seq;
	size_t *place;
	struct sim_event *event; /* or */
	struct rt_timer *timer;
	struct rt_loop *loop;
};

void sim_schedule(struct sim_event *e, int64_t at);
void sim_unschedule(struct sim_event *e); /* no-op when not scheduled */
/* Take everything of one process out of the heap; `over` is called for events. */
void sim_drop_events(struct rt_loop *loop);
void sim_heap_push(struct sim_slot slot);
void sim_heap_remove(size_t place);

/* ---- the world -------------------------------------------------------------------- */

#define SIM_NEST_MAX 16

struct sim_world {
	uint64_t seed;
	int64_t now;
	uint64_t seq, nevents, trace;
	struct sim_slot *heap; /* from index 1 */
	size_t nheap, heap_size;
	struct sim_rng rng;	  /* the scenario's */
	struct sim_rng rng_time;  /* lateness, order */
	struct sim_rng rng_disk;  /* latencies, faults */
	struct sim_rng rng_net;	  /* all of the network */
	struct sim_rng rng_crash; /* what a crash leaves */
	struct sim_node *nodes[SIM_NODES_MAX];
	unsigned nnodes;
	struct sim_link *links[SIM_NODES_MAX][SIM_NODES_MAX];
	struct sim_node *nest[SIM_NEST_MAX];
	unsigned nnest;
	bool running;
	bool crashed; /* an armed crash has gone off */
	struct rt_list conns;
	struct sim_mem *mem;
	struct sim_kept *kept; /* given back, and not freed yet */
};

extern struct sim_world *sim_world_now; /* the one that exists */

void *sim_calloc(size_t n, size_t size); /* ends the program when there is none */
void *sim_realloc(void *p, size_t n, size_t size);

/* One event; false when there is none. */
bool sim_step(struct sim_world *w);

/* ---- nodes ------------------------------------------------------------------------ */

struct rt_loop {
	struct rt_list link; /* in node->loops */
	struct sim_node *node;
	struct sim_rng rng;
	bool stopped;
	unsigned nops, ntimers, nfiles, nsocks, nlisteners, ndgrams;
};

struct sim_node {
	char name[32];
	unsigned index;
	uint8_t ip[4];
	struct rt_loop *loop; /* the first of the process; NULL when down */
	struct rt_list loops;
	bool powered;
	uint64_t boot;	    /* how often it has lost its power */
	int64_t clock_base; /* world time minus this is its monotonic time */
	int64_t wall_offset;
	uint8_t boot_id[16];
	unsigned inside; /* callbacks and enters under way */
	bool crash_wanted;
	enum sim_crash crash_kind;
	/* an armed crash */
	enum sim_crash armed_kind;
	unsigned armed_mask;
	uint64_t armed_n;
	uint64_t nevents[4]; /* by bit of the mask */
	/* memory */
	uint64_t mem_bytes, mem_peak, mem_allocs, mem_fail_at;
	double mem_fail_chance;
	/* things of its own */
	struct rt_list disks;	  /* survive everything */
	struct rt_list files;	  /* open ones */
	struct rt_list socks;	  /* of the process */
	struct rt_list listeners; /* of the process */
	struct rt_list dgrams;	  /* of the process */
	uint16_t next_port;
	int64_t tx_last; /* when the driver took the last datagram */
};

/* Count an event of a process; true when the armed crash is to go off now. */
bool sim_node_count(struct sim_node *node, unsigned mask);
void sim_node_crash_now(struct sim_node *node, enum sim_crash kind);
void sim_node_free(struct sim_node *node);
uint16_t
sim_node_port(struct sim_node *node);	 /* the next one for whom it does not matter */
struct sim_node *sim_node_entered(void); /* NULL: none */
struct rt_loop *sim_loop_new(struct sim_node *node);
void sim_loop_free(struct rt_loop *loop);

void sim_mem_take_back(struct sim_node *node);
void sim_mem_release(struct sim_world *w);
void sim_back_release(struct sim_world *w);

/* ---- operations ------------------------------------------------------------------- */

/* An rt_op in flight; op->impl[0] points here until it ends. */
struct sim_op {
	struct sim_event event;
	struct rt_op *op;
	int res;
	/* Wanted by rt_cancel(); NULL: runs to its end. */
	void (*cancel)(struct sim_op *so);
};

/* Lend `op` to the loop: fills in the parts of `so` but event.type and cancel. */
void sim_op_begin(struct sim_op *so, struct rt_loop *loop, struct rt_op *op);
/* `call` and `over` of every operation's event type. */
void sim_op_call(struct sim_event *e);
void sim_op_over(struct sim_event *e);
/* Cancel of an operation whose end is scheduled already: the one or the other. */
void sim_op_cancel_scheduled(struct sim_op *so);
/* End `op` with `res` in `ns`; a cancel may come first if `cancellable`. */
void sim_op_end_in(struct rt_loop *loop, struct rt_op *op, int res, int64_t ns,
		   bool cancellable);

/* ---- disks ------------------------------------------------------------------------ */

void sim_disks_crash(struct sim_node *node, enum sim_crash kind);
void sim_disks_free(struct sim_node *node);

/* ---- network ---------------------------------------------------------------------- */

struct sim_link {
	struct sim_net_config config;
	struct sim_net_stats stats;
	struct sim_node *from, *to;
	bool cut, swallow, bad;
	int64_t busy_until;   /* when the last bit accepted will have entered */
	int64_t last_arrival; /* keeps the order */
	struct rt_list in_line;
	sim_net_tap_fn *tap;
	void *tap_arg;
};

struct sim_link *sim_link(struct sim_node *a, struct sim_node *b);
struct sim_node *sim_node_by_addr(const struct rt_addr *addr, struct sim_node *self);
bool sim_node_has_ip(const struct sim_node *node, const uint8_t *ip);
bool sim_link_draw_loss(struct sim_link *l);
/*
 * When the last bit of `bytes` that are offered now will be in the line, INT64_MAX when
 * its queue is full and they may be dropped; and when what entered then arrives.
 */
int64_t sim_link_enter(struct sim_link *l, size_t bytes, bool may_drop);
int64_t sim_link_arrival(struct sim_link *l, int64_t entered);
void sim_links_free(struct sim_world *w);

void sim_socks_crash(struct sim_node *node, enum sim_crash kind);
void sim_dgrams_crash(struct sim_node *node);
void sim_conns_free(struct sim_world *w);
void sim_packets_destroy(struct sim_link *l);

/* ---- trace ------------------------------------------------------------------------ */

void sim_trace_event(struct sim_world *w, const struct sim_node *node, const char *what,
		     uint64_t a, uint64_t b, uint64_t c);
/* `bug`: NULL, or the one that is switched on. */
void sim_trace_begin(const char *scenario, uint64_t seed, const char *bug);
void sim_trace_passed(uint64_t passed);
void sim_trace_catch(void); /* signals, log lines */

#endif
