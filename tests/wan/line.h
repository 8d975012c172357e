/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_WAN_LINE_H
#define TESTS_WAN_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One direction of a line: a queue that empties at a rate, then a delay, and on the way
 * losses. Pure: lengths and the time go in, a fate and a time of arrival come out; all
 * chance comes from the seed. Times are nanoseconds of one monotonic clock.
 */
struct wanem_line_params {
	uint64_t delay_ns;    /* from leaving the queue to the other end */
	uint64_t jitter_ns;   /* up to this much more, evenly; datagrams may overtake */
	uint64_t rate_bps;    /* of IP packets; 0: no limit, and no queue */
	uint64_t queue_bytes; /* what may wait; 0: queue_ns counts */
	uint64_t queue_ns;    /* how long the last in the queue may wait */
	double loss;	      /* share of datagrams, 0 to 1 */
	double burst;	      /* mean length of a run of losses; up to 1: independent */
	double duplicate;     /* share of datagrams that arrive twice */
	double reorder;	      /* share of datagrams that are held back */
	uint64_t extent_ns;   /* for how long: those behind overtake */
	double corrupt;	      /* share of datagrams that arrive with one bit flipped */
	uint64_t mtu;	      /* bytes of an IP packet; longer ones are dropped; 0: any */

	/* The building's queue before the line: datagrams only. */
	uint64_t site_rate_bps; /* 0: no queue, everything is at the line at once */
	uint64_t site_queue_bytes;
	uint64_t site_queue_ns; /* if site_queue_bytes is 0 */
};

struct wanem_line {
	struct wanem_line_params p;
	uint64_t seed;
	uint64_t draws;	     /* random numbers taken so far */
	uint64_t busy_until; /* when the queue will have emptied */
	uint64_t site_busy_until;
	uint64_t idle_ns;  /* for how long the queue was empty between datagrams */
	uint32_t overhead; /* bytes on the line besides a datagram's length */
	bool bad;	   /* Gilbert's state */
};

enum wanem_fate {
	WANEM_DELIVERED,
	WANEM_LOST,	 /* took its time on the line and did not arrive */
	WANEM_OVERFLOWN, /* found the queue full */
	WANEM_TOO_BIG	 /* for the line's MTU */
};

struct wanem_passage {
	enum wanem_fate fate;
	bool twice;	  /* arrives a second time at `due` */
	bool held;	  /* is overtaken by those behind it */
	bool corrupt;	  /* arrives with `bit` flipped */
	uint32_t bit;	  /* of its payload */
	uint64_t sent_ns; /* when its last bit left the queue; if DELIVERED or LOST */
	uint64_t due_ns;  /* when it arrives; only if DELIVERED */
};

/* Header bytes that a datagram, and each segment of a stream, has on the line. */
enum { WANEM_UDP_OVERHEAD = 28, WANEM_TCP_OVERHEAD = 40, WANEM_TCP_SEGMENT = 1448 };

/* An ideal line: no delay, no limit, no loss, a queue of 50 ms once a rate is set. */
void wanem_line_init(struct wanem_line *line, uint64_t seed);

/*
 * Takes a datagram of `len` bytes of payload into the building's queue at `now`; true, and
 * in *leaves when it comes to the line, or false if the queue is full.
 */
bool wanem_line_building(struct wanem_line *line, uint64_t now, size_t len,
			 uint64_t *leaves);

/* Sends a datagram of `len` bytes of payload into the line at `now`. */
struct wanem_passage wanem_line_datagram(struct wanem_line *line, uint64_t now,
					 size_t len);

/*
 * Sends `len` bytes of a stream into the line and returns when they arrive. Streams share
 * the queue but neither lose nor overtake: ask wanem_line_room() before.
 */
uint64_t wanem_line_stream(struct wanem_line *line, uint64_t now, size_t len);

/* The time from which the queue has room for a part of a stream: `now` if it has. */
uint64_t wanem_line_room(const struct wanem_line *line, uint64_t now);

#endif
