/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_GROUP_H
#define REPLICATOR_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt/addr.h"
#include "rt/log.h"

/*
 * A group of volumes: one log, one write order, one role, one mirror. This is the only
 * door to it, for clients (nbd-server) and for operators (control). All on one rt_loop;
 * requests are the caller's and lent until `done`, which is never called from inside the
 * call that starts them.
 */
struct group;
struct group_volume;
struct rt_loop;

#define GROUP_BLOCK 4096
#define GROUP_SECTOR 512	      /* what a volume's size is a multiple of */
#define GROUP_REQUEST_MAX (32u << 20) /* longest read or write, bytes */
#define GROUP_WHY_MAX 256
#define GROUP_STATUS_WHY_MAX 640 /* a reason, what the session says, and the remedy */

enum group_mode { GROUP_LOCAL, GROUP_NETWORK, GROUP_REMOTE };
enum group_role { GROUP_PRIMARY = 1, GROUP_MIRROR = 2 };
/* Which requests the mode gates. BY_MODE: the file does not say, see group_hold_of(). */
enum group_hold { GROUP_HOLD_BY_MODE, GROUP_HOLD_WRITE, GROUP_HOLD_FLUSH };
enum group_disconnect { GROUP_CONTINUE, GROUP_STOP };
enum group_evidence {
	GROUP_EV_QUEUED,
	GROUP_EV_DRIVER,
	GROUP_EV_NIC,
	GROUP_EV_EDGE,
	GROUP_EV_MIRROR
};

enum group_state {
	GROUP_STANDALONE,
	GROUP_STARTING,
	GROUP_RECOVERING,
	GROUP_IN_SYNC,
	GROUP_EXPOSED,
	GROUP_CATCHING_UP,
	GROUP_HOLDING,
	GROUP_PROMOTING,
	GROUP_FENCED,
	GROUP_DIVERGED,
	GROUP_FAILED,
	GROUP_LISTENING,
	GROUP_FOLLOWING,
};
const char *group_state_name(enum group_state state); /* "IN_SYNC", ... */
const char *group_mode_name(enum group_mode mode);    /* "local", ... */

/* ---- configuration (made and checked by control) --------------------------------------- */

struct group_volume_config {
	char name[64];
	uint64_t size;		/* bytes, a multiple of GROUP_SECTOR */
	enum group_mode sync;	/* the group's, or the volume's own */
	bool has_on_disconnect; /* this volume says so itself */
	enum group_disconnect on_disconnect;
};

struct group_fec_config {
	char code[16]; /* fec_code_name() */
	bool paper;    /* policy = "paper": the paper's gate rule instead of safety */
	double safety;
	double assume_loss, assume_burst;
	double min, max;	/* of repairs per data symbol, while that adapts */
	double share;		/* fixed; 0: adapts between min and max */
	unsigned r, c;		/* layered, rs */
	uint16_t interleave[8]; /* layered: c of them */
	bool delayed;		/* layered: delayed XOR */
	bool on_demand;		/* repairs at idle and on demand; off for experiments */
};

struct group_peer_config {
	bool dials; /* address: else listen */
	struct rt_addr addr;
	uint8_t key[32];
	bool tcp;	     /* transport = "tcp" */
	char congestion[16]; /* of tcp: "reno", "cubic", "bbr"; "": the system's */
	bool rate_auto;	     /* rate = "auto"; rate_bps is then where it begins */
	uint64_t rate_bps;
	enum group_evidence evidence;
	bool has_edge; /* evidence = "edge": datagrams go by this relay */
	struct rt_addr edge;
	uint8_t edge_key[32];
	struct group_fec_config fec;
};

#define GROUP_VOLUMES_MAX 128

struct group_config {
	char name[64];
	char node[64];
	char store[1024];
	uint64_t store_size;  /* 0: default */
	enum group_role role; /* read by create only */
	unsigned nvolumes;
	struct group_volume_config volumes[GROUP_VOLUMES_MAX];
	enum group_mode sync;
	enum group_hold hold;
	bool fua_remote;
	enum group_disconnect on_disconnect;
	bool cold_serve; /* cold_open: a primary that was down opens without its mirror */
	bool has_peer;
	struct group_peer_config peer;
	uint32_t segment_size;
	uint32_t max_request;
	uint64_t checkpoint_bytes;
	uint64_t map_memory;
	uint64_t send_memory;
	int64_t hold_timeout_ms; /* 0: none */
	int64_t open_timeout_ms, control_timeout_ms, heartbeat_ms, away_ms;
	int64_t exposure_ms; /* max_exposure; 0: none, for each of the three */
	uint64_t exposure_bytes, exposure_writes;
};

/* What `hold` comes to in a volume of mode `sync`: in remote FLUSH, else WRITE, by default. */
enum group_hold group_hold_of(enum group_hold hold, enum group_mode sync);

/* ---- events of the past --------------------------------------------------------------- */

#define GROUP_EVENT_TEXT_MAX 464

/* An event of the past, from the group's store. */
struct group_past_event {
	uint64_t seq;	 /* 1, 2, 3, ...; one that is missing was lost */
	int64_t wall_ns; /* since 1970 */
	enum rt_log_level level;
	char name[32];			 /* "state", "promoted", ... */
	char from[16], to[16];		 /* of "state"; else "" */
	char text[GROUP_EVENT_TEXT_MAX]; /* key=value ...; of "state": why */
};
/*
 * The first one that is kept whose number is `seq` or more. 0; -ENOENT: there is none. It is
 * found at once, and survives a loss of power a little later.
 */
int group_past_event(const struct group *group, uint64_t seq,
		     struct group_past_event *ret);

/* ---- create, open, stop ------------------------------------------------------------------ */

struct group_create {
	void (*done)(struct group_create *c, int res);
	/* Write zeros over all of the store first; `filled`, unless NULL, hears how far. */
	bool fill;
	void (*filled)(struct group_create *c, uint64_t bytes, uint64_t size);
	char why[GROUP_WHY_MAX]; /* set when res < 0 */
	void *impl[12];
};
/* Make the group's store as the configuration says. Errors as lfs_create(). */
void group_create(struct rt_loop *loop, const struct group_config *config,
		  struct group_create *c);

struct group_events {
	/* The group serves reads (and writes, on a primary) from now on, or stops serving. */
	void (*serving)(void *owner, struct group *group, bool on);
	/* One line for the log: state changes and what an operator must know. */
	void (*logged)(void *owner, struct group *group, enum rt_log_level level,
		       const char *event);
};

struct group_open {
	void (*done)(struct group_open *o, int res);
	struct group *group; /* set when res == 0 */
	char why[GROUP_WHY_MAX];
	void *impl[12];
};
/*
 * Open the store and begin to run: recover, ask the mirror where there is one, then
 * serve. `done` comes when the store is open; serving may begin later (events). `config`
 * and `events` are copied. Errors with `why`, as lfs_open(), and -EINVAL where the file's
 * volumes are not those of the store.
 */
void group_open(struct rt_loop *loop, const struct group_config *config,
		const struct group_events *events, void *owner, struct group_open *o);

struct group_stop {
	void (*done)(struct group_stop *s, int res);
	void *impl;
};
/*
 * Refuse new requests (-ESHUTDOWN), finish those in flight as far as their mode allows
 * within `timeout_ms`, flush, close the store in order. `done`: the group is gone.
 */
void group_stop(struct group *group, int64_t timeout_ms, struct group_stop *s);

/* ---- volumes and requests ------------------------------------------------------------------ */

/* NULL when there is none of that name. Volumes live as long as the group. */
struct group_volume *group_volume_find(struct group *group, const char *name);
unsigned group_volume_count(const struct group *group);
struct group_volume *group_volume_at(struct group *group, unsigned i);
const char *group_volume_name(const struct group_volume *volume);
uint64_t group_volume_size(const struct group_volume *volume); /* bytes */
/*
 * Mirrors and fenced groups are read-only. A diverged primary is not: it goes on as without its
 * mirror, until a person chooses.
 */
bool group_volume_read_only(const struct group_volume *volume);
/* Reads are answered: the group is past its start. */
bool group_serving(const struct group *group);

enum group_request_kind { GROUP_READ, GROUP_WRITE, GROUP_TRIM, GROUP_ZERO, GROUP_FLUSH };
#define GROUP_FUA 1u
#define GROUP_NO_HOLE 2u   /* GROUP_ZERO: keep the space reserved */
#define GROUP_FAST_ZERO 4u /* GROUP_ZERO: -ENOTSUP rather than slow */
/* Its client has sent a FLUSH, or a change with FUA, before this one. */
#define GROUP_CLIENT_FLUSHES 8u

/*
 * One request at any byte offset and length. For reads and writes `buf` is LFS_BLOCK
 * aligned and holds group_request_span() bytes: whole blocks; the request's own bytes lie
 * at buf + offset % GROUP_BLOCK. A write's edges in buf are filled in by the group, so buf
 * is changed there, and lent until `done`.
 */
struct group_request {
	enum group_request_kind kind;
	struct group_volume *volume;
	uint64_t offset;
	uint32_t
		len; /* 0 for a flush, else 1 .. 2^32 - 1; reads, writes <= GROUP_REQUEST_MAX */
	unsigned flags;
	uint8_t *buf;
	void (*done)(struct group_request *r, int res);
	/*
	 * NULL, or: `buf` of this write is the caller's again, though `done` has yet to come.
	 * Called at most once, and only while memory is short (group_set_memory_short()).
	 */
	void (*released)(struct group_request *r);
	void *impl[24]; /* private */
};

static inline size_t group_request_span(uint64_t offset, uint32_t len)
{
	uint64_t first = offset / GROUP_BLOCK;
	uint64_t last = (offset + len + GROUP_BLOCK - 1) / GROUP_BLOCK;

	return (size_t)(last - first) * GROUP_BLOCK;
}

/*
 * The one doorway. res: 0 when the request's mode (and FUA, flush) conditions hold; -EINVAL
 * beyond the end for reads, trims; -ENOSPC beyond the end for writes, zeroes, or the log is
 * full; -EDQUOT the map needs more than map_memory; -ENOMEM; -EPERM read-only; -EIO the disk failed, or a checksum; -ESHUTDOWN stopping;
 * -EAGAIN not serving yet. Never completes on a timeout; a request held for longer than
 * hold_timeout (if set) fails with -EIO and the group goes on.
 */
void group_submit(struct group_request *r);

/*
 * Memory for requests is short, or not any more. While it is, the group gives the buffers
 * of writes back as soon as they are in the log, also those that wait for the mirror; what
 * is still to be sent there is then read from the log. May call `released` from inside.
 */
void group_set_memory_short(struct group *group, bool is_short);

/* ---- operation ------------------------------------------------------------------------------- */

/* A primary whose last sign of life is younger is alive, and is not replaced without `force`. */
#define GROUP_PROMOTE_SILENCE_MS 5000
/* So long it may take to come back to a daemon that has just started, beyond that. */
#define GROUP_PROMOTE_REDIAL_MS 3000

#define GROUP_NOT_KNOWN UINT64_MAX

/*
 * What a promotion of a mirror finds: its image, and what is missing in it of what the primary
 * had when it was last received as one that serves. Negative times, and GROUP_NOT_KNOWN, mean
 * not known.
 */
struct group_recovery {
	uint64_t lsn,
		epoch; /* the last durable one, 0 for none, and the number of its epoch */
	double admitted_at; /* when the primary admitted it, seconds since 1970 */
	double age_s;	    /* since this image was known to be the primary's */
	bool known;	    /* what is missing */
	uint64_t missing_writes, missing_bytes; /* at most */
};

/* What each verb has that a person asks of a group: how it is answered. */
struct group_verb {
	void (*done)(struct group_verb *v, int res);
	/* For people: what the verb found, then what it did, or why it did nothing. */
	char text[1024];
	void *impl[12];
};

struct group_promote {
	struct group_verb verb;
	bool force, hold, dry_run;
	bool undo;  /* be the mirror again, while nothing was written since */
	bool found; /* `recovery` says what */
	struct group_recovery recovery;
};
/*
 * Make a mirror the primary, in a new epoch, alone until a mirror is IN_SYNC again. res:
 * 0; -EPERM refused for safety (text says what would force it); -EALREADY it is primary;
 * other -errno.
 */
void group_promote(struct group *group, struct group_promote *p);

struct group_switchover {
	struct group_verb verb;
	bool dry_run;
	/*
	 * NULL, or: a step has begun, or a second has passed in it; `text` says which, and what
	 * is left, for people. Before `done` only; the first may be said in group_switchover().
	 */
	void (*progress)(struct group_switchover *p, const char *text);
	uint64_t lsn;	  /* the last of the old primary */
	int64_t pause_ms; /* since writes began to wait, or since the other site was asked */
};
/*
 * Primary and mirror change roles; asked at either. res: 0 this site has its new role;
 * -EPERM refused, nothing was done; -EAGAIN it did not come to that, and `text` says how
 * things stand; -ESHUTDOWN. Writes that wait at the old primary fail with -EPERM.
 */
void group_switchover(struct group *group, struct group_switchover *p);

#define GROUP_OPEN_TEXT_MAX 512

/*
 * A primary that waits for its mirror opens without it: a person says that the mirror was not
 * promoted. 0; -EALREADY it serves; -EPERM it must not, and `text` says what to do; -EINVAL
 * there is no mirror to wait for; -EIO, -ESHUTDOWN. With `dry_run` nothing is changed.
 */
int group_open_alone(struct group *group, bool dry_run, char text[GROUP_OPEN_TEXT_MAX]);

enum group_peer_change {
	GROUP_PEER_REPLACE, /* the next store of the group that connects is the peer's */
	GROUP_PEER_FORGET,  /* none is */
};

struct group_peer {
	struct group_verb verb;
	enum group_peer_change change;
	bool dry_run;
};
/*
 * The store that this one is paired with is its peer no more. res: 0; -EINVAL there is no
 * peer in the configuration; -EBUSY; other -errno.
 */
void group_peer(struct group *group, struct group_peer *p);

/*
 * Go on with what may change while the group runs: sync, hold, fua, on_disconnect,
 * max_exposure, the timeouts, and of the peer transport, congestion, rate, evidence and
 * fec; of a volume sync and on_disconnect. The rest of `config`, which control has
 * checked, is ignored. Nothing that was taken is lost, and what was completed keeps what
 * it was promised. A waiting request waits for what the new rules ask: who lets
 * on_disconnect be continue wants the requests that hang to go on.
 */
void group_change(struct group *group, const struct group_config *config);

struct group_volume_status {
	char name[64];
	uint64_t size, mapped;
	enum group_mode sync, sync_effective;
	uint64_t generation;
	uint64_t reads, writes, flushes;
	uint64_t waiting,
		waiting_bytes; /* writes in the log that have not been completed yet */
	uint64_t waiting_flushes;
};

/*
 * Everything `status --json` shows. Negative doubles and times, and GROUP_NOT_KNOWN, mean not
 * known: null.
 */
struct group_status {
	char name[64];
	enum group_role role;
	enum group_state state;
	uint64_t epoch, epoch_id;
	enum group_mode sync, sync_effective;
	bool has_peer, alone;
	struct {
		uint64_t admitted, written, durable, onwire, received, persisted;
	} lsn;
	struct {
		uint64_t writes, bytes;
		double seconds, probability;
	} exposure;
	struct group_recovery recovery; /* of a mirror */
	double last_received_s; /* since the peer was last received */
	struct {
		bool connected;
		char evidence[16]; /* "driver", ...; "" when not connected */
		bool tcp;	   /* of the connection, or what the next one will be */
		double rtt_ms, queue_ms, loss, burst;
		char congestion[16]; /* state of congestion control; "" over TCP */
		uint64_t rate_bps, sent_bytes, repair_bytes;
		uint64_t rebuilt, retransmitted, duplicates, spurious, deficits;
		uint64_t unauthentic, replayed, malformed; /* refused datagrams */
		uint64_t enobufs, send_errors; /* datagrams that this host did not send */
		uint64_t echoes, forged_echoes; /* of the relay at the border; not its */
		uint64_t in_line;
		uint64_t guarded;    /* times that the path was narrower than `rate` */
		uint64_t outages;    /* silences of the path that count as no loss */
		uint64_t overflowed; /* datagrams dropped by either site's own socket */
		uint64_t
			refused_records; /* authentic ones that are illegal or do not fit */
		uint64_t
			strangers; /* connections that ended before they showed the key */
	} link;
	struct {
		char code[16];
		double overhead;
		unsigned repairs_needed;
	} fec;
	struct {
		uint64_t bytes, used, segments_free, checksum_errors, read_errors;
		/* Clients' requests that ended with -ENOSPC, the log being full. */
		uint64_t refused_writes;
		uint64_t refused_by_map; /* with -EDQUOT */
		uint64_t lost_events;	 /* that the store did not take */
		double write_amplification, checkpoint_age_s;
	} store;
	unsigned nvolumes;
	struct group_volume_status volumes[GROUP_VOLUMES_MAX];
	/* Bytes of the backlog when it began; both 0 when there is none. */
	uint64_t catchup_total, catchup_done;
	double catchup_eta_s;
	/* Why it is not in order, and what helps; "" when it is. */
	char why[GROUP_STATUS_WHY_MAX];
};
void group_status(const struct group *group, struct group_status *ret);

/* The least store for this configuration, bytes; 0 without memory to find out. */
uint64_t group_store_size_min(const struct group_config *config);

#endif
