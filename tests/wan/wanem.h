/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_WAN_WANEM_H
#define TESTS_WAN_WANEM_H

#include "tests/wan/event.h"
#include "tests/wan/line.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * wanem: a line between two daemons, in one of two forms.
 *
 * A relay, without privileges: the one that dials is side A and talks to `listen`; the one
 * that listens is side B at `to`. TCP and UDP of the same port number are relayed. Streams
 * have the delay and share the rate; loss and the building's queue are of datagrams.
 *
 * Two TUN devices in two network namespaces: whatever the kernel on one side routes into
 * its device comes out of the other's, so every program's packets cross the line.
 *
 * Each direction has a line of its own.
 */
enum { WANEM_AB, WANEM_BA, WANEM_DIRS };

#define WANEM_MAX_CONNS 64
#define WANEM_MAX_COMMANDS 64
#define WANEM_MAX_IN_LINE (UINT64_C(512) << 20) /* bytes, both directions */

struct wanem_counts {
	uint64_t accepted; /* datagrams that entered the line: delivered + lost + ... */
	uint64_t received; /* by us at all */
	uint64_t accepted_bytes;
	uint64_t delivered;
	uint64_t delivered_bytes;
	uint64_t duplicated;
	uint64_t lost;	    /* drawn by the line */
	uint64_t lost_runs; /* runs of them */
	uint64_t reordered; /* held back */
	uint64_t corrupted;
	uint64_t too_big;	 /* for the MTU */
	uint64_t overflown;	 /* found the queue full */
	uint64_t site_overflown; /* found the building's queue full */
	uint64_t site_destroyed; /* died with the site */
	uint64_t shut_out;	 /* arrived while the line was cut */
	uint64_t destroyed;	 /* in flight at `cut --destroy` */
	uint64_t refused;	 /* nobody at the other end */
	uint64_t oversize;	 /* longer than this relays, not relayed */
	uint64_t stream_bytes;
	uint64_t first_ns; /* when the first datagram since `reset` was delivered */
	uint64_t last_ns;
	uint64_t delay_sum_ns;	/* from arrival here to delivery */
	uint64_t travel_sum_ns; /* of that, after the line's queue */
	uint64_t late_sum_ns;	/* of that, what this process woke up too late */
	uint64_t late_max_ns;
	uint64_t queued_max_ns; /* in the building's queue and the line's */
};

struct wanem_way {
	struct wanem_line line;
	struct wanem_counts count;
	uint64_t in_line; /* datagrams that are under way and will arrive */
	uint64_t in_line_bytes;
	uint64_t in_site; /* datagrams in the building's queue */
	uint64_t in_site_bytes;
	uint64_t in_line_stream;  /* bytes of streams under way */
	uint64_t in_line_at_kill; /* datagrams, when `cut --kill` sent its signal */
	bool last_lost;		  /* the datagram before this one was lost */
	bool from_dead;		  /* the site where it begins is dead: nothing enters */
	bool to_dead;		  /* the site where it ends is dead: nothing arrives */
};

/* A network namespace's end of the line. */
struct wanem_tun {
	int fd;
	int counters; /* /proc/net/dev of the namespace */
	uint64_t unread_before;
	uint64_t unwritten_before;
};

enum wanem_waiting { WANEM_NOT_WAITING, WANEM_FOR_EMPTY_LINE, WANEM_FOR_DEATH };

struct wanem_command {
	int fd;
	enum wanem_waiting waiting;
	size_t len;
	char text[512];
};

struct wanem {
	struct wanem_way way[WANEM_DIRS];
	struct wanem_events events;
	bool cut;
	bool quit;
	bool more;	  /* lies there to be taken in, most likely */
	int victim;	  /* pidfd of a process that is to be killed; -1: none */
	bool victim_hit;  /* the signal has been sent */
	bool victim_site; /* and the site of A dies with it */
	int owner;	  /* pidfd of a process without which we end; -1: none */
	uint64_t kill_at; /* it is sent once this many datagrams go from A to B */
	uint64_t tick_ns; /* how much of lateness is accepted to wake up less often */
	uint64_t seed;

	int epoll;
	int timer;
	uint64_t timer_set;	 /* when it goes off; 0 if off */
	int udp[WANEM_DIRS];	 /* udp[d] receives what travels in direction d */
	struct sockaddr_in peer; /* side A's last address; port 0: not yet known */
	uint32_t rx_drops_before[WANEM_DIRS];
	uint64_t tx_drops;    /* datagrams that we could not hand on */
	uint64_t busy_max_ns; /* the longest that one turn of the loop took */

	bool is_tun;
	bool icmp; /* say to a sender that a packet was too big */
	const char *netns[WANEM_DIRS];
	struct wanem_tun tun[WANEM_DIRS]; /* tun[d] gives what travels in direction d */

	int tcp_listener;
	struct sockaddr_in listen;
	struct sockaddr_in to;
	struct wanem_conn *conns;
	unsigned int n_conns;

	int control_listener;
	const char *control_path;
	struct wanem_command *commands[WANEM_MAX_COMMANDS];
	FILE *capture;
	FILE *capture_lost;
};

/* wanem.c */
uint64_t wanem_now(void);
int wanem_watch(struct wanem *w, int fd, uint32_t events, void *tag);

/* packet.c: datagrams of either form; `event` is a WANEM_DATAGRAM and taken over */
void wanem_packet_take(struct wanem *w, struct wanem_event *event, uint64_t now);
/* It comes to the line at `at`, from the building or at once. */
void wanem_packet_enter(struct wanem *w, struct wanem_event *event, uint64_t at);
/* It is in the line and arrives at `due`. */
void wanem_packet_put(struct wanem *w, struct wanem_event *event, uint64_t due);
/* Hands on a chain of one direction that has arrived at the other end. */
void wanem_packets_arrive(struct wanem *w, int dir, struct wanem_event *chain,
			  uint64_t now);
/* Everything that is in the line or in a building is destroyed. */
void wanem_packets_destroy(struct wanem *w);
/* The site that direction `dir` begins at dies, with its building's queue. */
void wanem_packets_site_dies(struct wanem *w, int dir);

/* tun.c */
int wanem_tun_open(struct wanem *w);
/* Takes in one batch of packets; how many there were, and sets `more` if it was full. */
unsigned int wanem_tun_receive(struct wanem *w, int dir);
void wanem_tun_deliver(struct wanem *w, int dir, const struct wanem_event *chain);
/* Tells the sender of `event` that the line takes no more than `mtu`. */
void wanem_tun_too_big(struct wanem *w, const struct wanem_event *event, uint64_t mtu,
		       uint64_t now);
/* What the devices dropped, before us or behind us, since `reset`. */
uint64_t wanem_tun_drops(const struct wanem *w);
void wanem_tun_reset_drops(struct wanem *w);
void wanem_tun_close(struct wanem *w);

/* udp.c */
int wanem_udp_open(struct wanem *w);
/* As wanem_tun_receive(). */
unsigned int wanem_udp_receive(struct wanem *w, int dir);
void wanem_udp_deliver(struct wanem *w, int dir, struct wanem_event *chain);
/* What our own receive buffers did not hold since `reset`: then the run is void. */
uint32_t wanem_udp_rx_drops(const struct wanem *w);
void wanem_udp_reset_drops(struct wanem *w);
void wanem_udp_close(struct wanem *w);

/* tcp.c */
int wanem_tcp_open(struct wanem *w);
void wanem_tcp_accept(struct wanem *w);
void wanem_tcp_ready(struct wanem *w, void *tag, uint32_t events);
/* One event of a connection has come due; consumes it. */
void wanem_tcp_event(struct wanem *w, struct wanem_event *event);
/* Reads what may be read, on every connection. */
void wanem_tcp_pump(struct wanem *w);
/* Resets every connection, as seen from both ends. */
void wanem_tcp_reset_all(struct wanem *w);
void wanem_tcp_close(struct wanem *w);

/* command.c */
int wanem_command_open(struct wanem *w, const char *path);
void wanem_command_accept(struct wanem *w);
void wanem_command_ready(struct wanem *w, struct wanem_command *command);
/* Answers those who wait for an empty line, if it is. */
void wanem_command_line_changed(struct wanem *w);
/* Sends the signal of `cut --kill`, if it is time. */
void wanem_command_kill(struct wanem *w);
/* The process that `cut --kill` killed is dead: now the line is cut. */
void wanem_command_victim_dead(struct wanem *w);
void wanem_command_close(struct wanem *w);
/* One parameter, "name=value" or "ab.name=value"; `what` gets the complaint. */
int wanem_command_set(struct wanem *w, const char *assignment, const char **what);

/* wanem.c: of whichever form it is */
/* No cut, no dead site: streams go on. */
bool wanem_line_is_open(const struct wanem *w);
uint64_t wanem_drops(const struct wanem *w);
void wanem_reset_drops(struct wanem *w);
/* Takes in what lies there; with `limit` 0 one batch, else up to that many. */
void wanem_receive(struct wanem *w, int dir, unsigned int limit);
/* every datagram that is due, and the counting of lateness */
void wanem_deliver_due(struct wanem *w, uint64_t now);

/*
 * capture.c: datagrams in files that tcpdump reads: w->capture has them as they leave the
 * line, w->capture_lost those that do not.
 */
int wanem_capture_open(FILE **file, const char *path);
void wanem_capture(struct wanem *w, FILE **file, const struct wanem_event *event,
		   uint64_t now);
void wanem_capture_close(FILE **file);

#endif
