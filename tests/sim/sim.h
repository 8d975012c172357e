/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt/addr.h"
#include "rt/time.h"

/*
 * A world in which the engines run unchanged: rt/loop.h and rt/mem.h on a simulated
 * disk, network, clock and heap, all of it driven by one seed. This is what a scenario
 * uses to make the world, to break it, and to let it go on.
 *
 * A scenario makes nodes, starts a process on each (sim_node_start gives its rt_loop),
 * calls engine functions between sim_node_enter() and sim_node_leave(), and runs the
 * world. Callbacks are run with their node entered. Whatever the engine allocates with
 * rt_alloc() belongs to the node that is entered, and is gone after a crash; what a
 * scenario needs across a crash it takes from malloc(). Operations that were in flight at
 * a crash are never completed.
 *
 * One world exists at a time. No real time, thread or random number has any part in it:
 * the same seed gives the same trace (sim_trace_hash, and `sim --twice` checks it).
 */
struct sim_world;
struct sim_node;
struct sim_disk;
struct rt_loop;

/* ---- randomness ------------------------------------------------------------------- */

/* xoshiro256**; each user has a stream of its own, so that one does not disturb others. */
struct sim_rng {
	uint64_t s[4];
};

void sim_rng_init(struct sim_rng *rng, uint64_t seed);
uint64_t sim_draw(struct sim_rng *rng);
uint64_t sim_below(struct sim_rng *rng, uint64_t n); /* 0 .. n - 1; n >= 1 */
uint64_t sim_between(struct sim_rng *rng, uint64_t low, uint64_t high); /* inclusive */
bool sim_chance(struct sim_rng *rng, double p);
double sim_unit(struct sim_rng *rng); /* 0 <= x < 1 */
/* Small more often than large: uniform in the number of bits. low .. high inclusive. */
uint64_t sim_skewed(struct sim_rng *rng, uint64_t low, uint64_t high);

/* ---- the world -------------------------------------------------------------------- */

struct sim_world *sim_world_new(uint64_t seed);
void sim_world_free(struct sim_world *w);
struct sim_world *sim_world_current(void);
/* The scenario's own stream of random numbers. */
struct sim_rng *sim_rng(struct sim_world *w);
/* The world's time. rt_now() of a node is another clock with the same pace. */
rt_time sim_now(const struct sim_world *w);
uint64_t sim_events(const struct sim_world *w); /* events that have happened so far */

enum sim_end {
	SIM_COND,    /* the condition became true */
	SIM_TIME,    /* the time has come; the clock stands exactly there */
	SIM_EVENTS,  /* that many events have happened */
	SIM_CRASHED, /* an armed crash went off (sim_node_crash_after) */
	SIM_IDLE,    /* nothing will ever happen any more */
};

struct sim_until {
	bool (*cond)(void *arg); /* looked at before the first and after each event */
	void *arg;
	int64_t ns;	 /* at most so long from now; 0: no limit */
	uint64_t events; /* at most so many; 0: SIM_EVENTS_MAX, and that is a violation */
};

#define SIM_EVENTS_MAX UINT64_C(50000000)

/* Not from inside a callback. */
enum sim_end sim_run(struct sim_world *w, const struct sim_until *until);
/* The two usual ways: true when the condition holds, within `ns`; and just going on. */
bool sim_run_until(struct sim_world *w, bool (*cond)(void *), void *arg, int64_t ns);
enum sim_end sim_run_for(struct sim_world *w, int64_t ns);

/*
 * Call fn(arg) in `ns` from now, with `node` entered; not when it has crashed in between.
 * With node NULL nothing is entered and nothing but sim_world_free() takes it back.
 */
void sim_after(struct sim_world *w, struct sim_node *node, int64_t ns, void (*fn)(void *),
	       void *arg);

/* ---- trace and violations --------------------------------------------------------- */

/* What happens is hashed and the last of it kept; `what` is a literal without spaces. */
void sim_note(struct sim_world *w, const char *what, uint64_t a, uint64_t b, uint64_t c);
uint64_t sim_trace_hash(const struct sim_world *w);
/*
 * The engine is wrong: print this with scenario, seed, revision and the last events, and
 * exit 1. So do a failed rt_assert() and a deadly signal.
 */
_Noreturn void sim_violation(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void sim_require_failed(const char *cond, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
#define sim_require(cond, ...) ((cond) ? (void)0 : sim_require_failed(#cond, __VA_ARGS__))

/* ---- nodes ------------------------------------------------------------------------ */

#define SIM_NODES_MAX 48

/*
 * A machine, switched on, no process yet. Its address is 10.0.0.1, 10.0.0.2, ..., and it
 * has a second one, 10.0.1.1, 10.0.1.2, ..., from which it sends only if asked to.
 */
struct sim_node *sim_node_new(struct sim_world *w, const char *name);
struct sim_node *sim_node_at(struct sim_world *w, unsigned i); /* NULL beyond the last */
const char *sim_node_name(const struct sim_node *node);
void sim_node_addr(const struct sim_node *node, uint16_t port, struct rt_addr *ret);
void sim_node_second_addr(const struct sim_node *node, uint16_t port,
			  struct rt_addr *ret);

/* Start a process (after a power loss: boot first, with a new boot id). Must be down. */
struct rt_loop *sim_node_start(struct sim_node *node);
struct rt_loop *sim_node_loop(const struct sim_node *node); /* NULL when down */
bool sim_node_up(const struct sim_node *node);
/*
 * The process exits in order. A violation if it still has memory, operations, timers,
 * files or sockets, which a process that closes everything first has not.
 */
void sim_node_stop(struct sim_node *node);

enum sim_crash {
	/*
	 * The process dies, the machine lives: what had completed is there, each write in
	 * flight is there, not there, or in part. Streams end or are reset at the peer.
	 */
	SIM_KILL,
	/*
	 * As above, and of the unflushed writes each disk keeps none, all, the first
	 * ones, a random set of writes or of sectors, or the last write torn. The peer
	 * hears nothing. The boot id changes.
	 */
	SIM_POWER,
};

/* From inside the node's own callback it happens when that callback has returned. */
void sim_node_crash(struct sim_node *node, enum sim_crash kind);
/* Crash at the n-th event (1: the next) of the node of a kind that is in `mask`. What
 * the event does to the disk has then been done; whether its callback is still run is
 * drawn. sim_run() returns SIM_CRASHED. n = 0 disarms. */
#define SIM_ON_WRITE 1u /* completion of a file write */
#define SIM_ON_FLUSH 2u /* completion of a flush */
#define SIM_ON_READ 4u
#define SIM_ON_OTHER 8u /* timers, deferred calls, network */
#define SIM_ON_DISK (SIM_ON_WRITE | SIM_ON_FLUSH | SIM_ON_READ)
#define SIM_ON_ANY 15u
void sim_node_crash_after(struct sim_node *node, enum sim_crash kind, unsigned mask,
			  uint64_t n);
uint64_t sim_node_events(const struct sim_node *node, unsigned mask); /* so far */

/* Calls into the engine from a scenario stand between these two; they nest. */
void sim_node_enter(struct sim_node *node);
void sim_node_leave(struct sim_node *node);

void sim_node_wall_jump(struct sim_node *node, int64_t ns);

/* ---- memory ----------------------------------------------------------------------- */

uint64_t sim_mem_bytes(const struct sim_node *node); /* that the node holds now */
uint64_t sim_mem_peak(const struct sim_node *node);
uint64_t sim_mem_allocs(const struct sim_node *node); /* how often, in all */
/* The n-th allocation from now (1: the next) fails, once; 0: none. */
void sim_mem_fail_at(struct sim_node *node, uint64_t n);
void sim_mem_fail_chance(struct sim_node *node, double p);

/*
 * Memory whose loan is over, the scenario's or the engine's: overwrite it at once. Later
 * sim_back_check() finds whoever wrote to it since. sim_back_free() is free() for memory
 * of malloc(): overwritten now, looked at and freed some time later.
 */
void sim_back(void *p, size_t size);
void sim_back_check(const void *p, size_t size, const char *what);
void sim_back_free(void *p, size_t size);

/* ---- disks ------------------------------------------------------------------------ */

/*
 * Probabilities are per operation unless said otherwise. All zero is a disk without
 * faults; times are the bounds of a uniform draw, so completions come out of order.
 */
struct sim_disk_config {
	int64_t read_min_ns, read_max_ns;
	int64_t write_min_ns, write_max_ns;
	int64_t flush_min_ns, flush_max_ns;
	double stall; /* this operation takes stall_ns longer */
	int64_t stall_ns;
	double short_io;    /* fewer bytes than asked, in multiples of RT_BLOCK */
	double read_error;  /* -EIO, once */
	double write_error; /* -EIO; any part of it may be there */
	double flush_error; /* -EIO; what it covered is forgotten by the disk though
				   still read, and the next flush succeeds */
	double bit_rot;	    /* a read finds one bit of what it reads flipped for good */
	double lost_write;  /* succeeds and has done nothing */
	double misdirected; /* succeeds, and lies RT_BLOCK..1 MiB elsewhere */
	double lying_flush; /* succeeds and has done nothing */
	uint64_t space;	    /* of the file system, for data in use; 0: no limit. A
				   write beyond is short or -ENOSPC */
};

/* What a new disk has. */
extern const struct sim_disk_config sim_disk_fine;

/*
 * Files come to be by rt_file_open(RT_FILE_CREATE), block devices by sim_disk_device().
 * Both outlive processes. A path may be given its faults before it exists.
 */
struct sim_disk *sim_disk(struct sim_node *node,
			  const char *path); /* made if not there */
struct sim_disk *sim_disk_device(struct sim_node *node, const char *path, uint64_t size);
struct sim_disk_config *sim_disk_config(struct sim_disk *disk); /* change at any time */
bool sim_disk_exists(const struct sim_disk *disk);
/* Look at and change what is read, behind the engine's back; durable at once. */
void sim_disk_peek(struct sim_disk *disk, uint64_t off, void *buf, size_t len);
void sim_disk_poke(struct sim_disk *disk, uint64_t off, const void *buf, size_t len);
void sim_disk_flip(struct sim_disk *disk, uint64_t off, unsigned bit);
/* Reads that touch this range fail with -EIO until it is written again; len 0: none. */
void sim_disk_unreadable(struct sim_disk *disk, uint64_t off, uint64_t len);
/* The n-th write/flush/read from now (1: the next) fails with -EIO, once; 0: none. */
void sim_disk_fail_at(struct sim_disk *disk, unsigned mask /* SIM_ON_... */, uint64_t n);
/* `to` becomes what `from` holds now, durably: a copy, also of a disk in use. No process may
 * have `to` open. */
void sim_disk_copy(struct sim_disk *from, struct sim_disk *to);
void sim_disk_remove(struct sim_disk *disk); /* as if the file had been deleted */

struct sim_disk_stats {
	uint64_t reads, writes, flushes;
	uint64_t read_bytes, write_bytes;
	uint64_t faults;    /* of all kinds, except stalls and short I/O */
	uint64_t unflushed; /* writes that a power loss may take */
	uint64_t used;	    /* bytes of data */
};
void sim_disk_stats(const struct sim_disk *disk, struct sim_disk_stats *ret);

/* ---- network ---------------------------------------------------------------------- */

/* One direction between two nodes. All zero: instant and perfect. Probabilities are per
 * datagram; a lost piece of a stream comes later, by a retransmission. */
struct sim_net_config {
	int64_t delay_ns, jitter_ns; /* delay .. delay + jitter; keeps the order */
	uint64_t rate_bps;	     /* 0: no limit */
	uint64_t queue_bytes; /* waiting for the rate; beyond it: dropped; 0: no limit */
	double loss;	      /* independent */
	/* Gilbert: chance to turn bad, to turn good again, and of loss while bad */
	double bad, good, bad_loss;
	double reorder; /* late by up to reorder_ns, others overtake it */
	int64_t reorder_ns;
	double duplicate;
	double corrupt;	    /* one byte differs */
	double local_drop;  /* dropped in the sending host: -ENOBUFS, no stamp */
	double again;	    /* the sender's socket is full: -EAGAIN */
	double stamp_lost;  /* left, but nobody says so */
	double rcvbuf_drop; /* dropped by the receiver's own socket, and counted there */
	double reset;	    /* per piece of a stream: the connection breaks */
	double partial;	    /* sends and receives do fewer bytes than they could */
	uint32_t mtu;	    /* of datagrams, with 28 bytes of headers; 0: no limit */
	uint32_t path_mtu;  /* the same, further on: longer ones vanish; 0: no limit */
	double refuse_message; /* the sender's kernel does not cut this message */
	int64_t connect_timeout_ns, stream_timeout_ns; /* 0: 10 s, 60 s */
};

/* From a to b only; both directions; between all nodes. The default is all zero. */
void sim_net_set(struct sim_node *a, struct sim_node *b, const struct sim_net_config *c);
void sim_net_set_both(struct sim_node *a, struct sim_node *b,
		      const struct sim_net_config *c);
void sim_net_set_all(struct sim_world *w, const struct sim_net_config *c);
struct sim_net_config *sim_net_config(struct sim_node *a, struct sim_node *b);

/*
 * From a to b: nothing enters the line any more (streams go on trying until their
 * timeout); what is in it arrives. The sender's driver goes on stamping. `destroy`: what is
 * in the line is lost, too.
 */
void sim_net_cut(struct sim_node *a, struct sim_node *b, bool destroy);
void sim_net_cut_both(struct sim_node *a, struct sim_node *b, bool destroy);
void sim_net_mend(struct sim_node *a, struct sim_node *b); /* both directions */
/* The datagrams of a to b only: UDP swallowed while TCP lives. */
void sim_net_swallow_datagrams(struct sim_node *a, struct sim_node *b, bool on);
/* Break every stream between the two, seen by each after the delay. */
void sim_net_reset(struct sim_node *a, struct sim_node *b);

/* Of the direction a to b, since the beginning. */
struct sim_net_stats {
	uint64_t entered;   /* datagrams offered to an open line */
	uint64_t lost;	    /* of those, drawn lost, or dropped by the queue */
	uint64_t dropped;   /* of those, by the queue */
	uint64_t destroyed; /* of those, in the line at a cut --destroy */
	uint64_t refused;   /* offered to a cut line, or swallowed */
	uint64_t arrived;   /* handed to a socket; duplicates count */
	uint64_t in_line;   /* now */
	uint64_t bytes;	    /* entered, of datagrams and streams */
	rt_time arrived_at; /* the last of either; 0: none */
};
void sim_net_stats(struct sim_node *a, struct sim_node *b, struct sim_net_stats *ret);

/*
 * What became of the n-th datagram: called for each datagram offered to the line a to b,
 * when it is decided. `arrives` is what was drawn; a destroyed one is reported once more.
 */
typedef void sim_net_tap_fn(void *arg, const uint8_t *dgram, size_t len, bool arrives);
void sim_net_tap(struct sim_node *a, struct sim_node *b, sim_net_tap_fn *fn, void *arg);

/* ---- scenarios -------------------------------------------------------------------- */

/*
 * One run under one seed, from an empty world. A violation does not return; everything
 * else the scenario cleans up itself, but what nodes hold the world frees.
 */
struct sim_scenario {
	const char *name, *text;
	void (*run)(struct sim_world *w);
	const char *const *bugs; /* that it catches, NULL at the end; may be NULL */
	uint64_t all_max;	 /* runs at most in `sim all`; 0: no limit */
	struct sim_scenario *next;
};

void sim_scenario_add(struct sim_scenario *s);
/*
 * In tests/sim/scenario_NAME.c; `bugs_` an array of names of rt/bug.h, or NULL; more
 * members may follow: .all_max = 10.
 */
#define SIM_SCENARIO(name_, text_, run_, bugs_, ...)                                     \
	static struct sim_scenario scenario_##name_ = {                                  \
		.name = #name_, .text = text_, .run = run_, .bugs = bugs_, __VA_ARGS__   \
	};                                                                               \
	__attribute__((constructor)) static void scenario_##name_##_add(void)            \
	{                                                                                \
		sim_scenario_add(&scenario_##name_);                                     \
	}

/* -v was given: a scenario may say more (standard output). */
extern bool sim_verbose;

#endif
