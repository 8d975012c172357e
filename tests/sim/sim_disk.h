/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SIM_SIM_DISK_H
#define TESTS_SIM_SIM_DISK_H

#include "tests/sim/sim_impl.h"

/*
 * What a disk holds: pages of 4 KiB with what is read now and, where that differs, what
 * would be left by a power loss if the disk kept nothing of the un-flushed writes, which
 * stand in a list in the order of their completion.
 */
#define SIM_SECTOR 512
#define SIM_PAGE 4096

struct sim_page {
	struct sim_page *next; /* of the same place in the table */
	uint64_t no;
	uint8_t *now;	  /* owned */
	uint8_t *durable; /* owned; NULL: zeros while `apart`, else the same as now */
	unsigned nwrites; /* un-flushed writes that touch it */
	bool forgotten;	  /* a failed flush has dropped writes to it */
	bool apart;	  /* now and durable differ, or may */
};

/* A completed write that is not durable yet. */
struct sim_write {
	struct rt_list link;
	uint64_t order;
	uint64_t off;
	size_t len;
	uint8_t *data; /* owned */
};

struct sim_disk {
	struct rt_list link; /* in node->disks */
	struct sim_node *node;
	char path[RT_ADDR_PATH_MAX];
	struct sim_disk_config config;
	struct sim_disk_stats stats;
	bool block_device;
	bool exists;	    /* in the directory */
	bool entry_pending; /* a power loss may undo the last create or unlink */
	uint64_t size, size_durable;
	struct rt_loop *locked_by; /* by RT_FILE_EXCLUSIVE */
	struct sim_page **table;
	size_t table_size, npages;
	struct rt_list writes;	/* un-flushed, struct sim_write */
	struct rt_list flights; /* writes in flight: struct sim_flight of sim_file.c */
	uint64_t order;		/* of the last completed write */
	uint64_t bad_off, bad_len;
	uint64_t fail_at[3]; /* by bit of SIM_ON_ */
};

void sim_disk_read_now(struct sim_disk *d, uint64_t off, uint8_t *buf, size_t len);
/* A write completes: it is read from now on, and durable after a flush. Copies. */
void sim_disk_write(struct sim_disk *d, uint64_t off, const uint8_t *data, size_t len);
/* Only a part of it: sectors drawn by `rng`, or those before a point. */
void sim_disk_write_part(struct sim_disk *d, struct sim_rng *rng, uint64_t off,
			 const uint8_t *data, size_t len);
/* Change what is read and what is durable, past every write. */
void sim_disk_patch(struct sim_disk *d, uint64_t off, const uint8_t *data, size_t len);
/* Make durable what had completed up to `order`; or forget that it ever should be. */
void sim_disk_flush(struct sim_disk *d, uint64_t order, uint64_t size);
void sim_disk_forget(struct sim_disk *d, uint64_t order);
void sim_disk_power_loss(struct sim_disk *d);
/* Pages that a write would have to add. */
uint64_t sim_disk_pages_missing(struct sim_disk *d, uint64_t off, size_t len);
void sim_disk_truncate(struct sim_disk *d, uint64_t size);
void sim_disk_clear(struct sim_disk *d);

/* The fate of writes in flight when their process dies (sim_file.c). */
void sim_flights_land(struct sim_disk *d);

#endif
