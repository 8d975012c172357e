// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_disk.h"

/* rt/loop.h: files, and the faults of the disks under them. */

struct rt_file {
	struct rt_list link; /* in node->files */
	struct rt_loop *loop;
	struct sim_disk *disk;
	unsigned flags;
	unsigned nops;
};

/* One read, write or flush in flight. */
struct sim_flight {
	struct sim_op so;
	struct rt_list link; /* a write: in disk->flights */
	struct rt_file *file;
	struct iovec one; /* of rt_read, rt_write */
	const struct iovec *iov;
	unsigned niov;
	uint64_t off;
	size_t len;	/* asked */
	size_t take;	/* to be done: less for a short one */
	uint8_t *data;	/* of a write, as it was when it was submitted; owned */
	uint64_t order; /* of a flush: what had completed */
	uint64_t size;
	enum { FINE, FAIL, LOST } fate;
};

#define MISDIRECTED_MAX (1u << 20)
#define IOV_LIMIT 1024 /* IOV_MAX of the kernel */

/* ---- directory -------------------------------------------------------------------- */

const struct sim_disk_config sim_disk_fine = {
	.read_min_ns = 20 * RT_US,
	.read_max_ns = 200 * RT_US,
	.write_min_ns = 10 * RT_US,
	.write_max_ns = 300 * RT_US,
	.flush_min_ns = 50 * RT_US,
	.flush_max_ns = 2000 * RT_US,
	.stall_ns = 200 * RT_MS,
};

static struct sim_disk *disk_find(struct sim_node *node, const char *path)
{
	for (struct rt_list *l = node->disks.next; l != &node->disks; l = l->next) {
		struct sim_disk *d = rt_container_of(l, struct sim_disk, link);

		if (strcmp(d->path, path) == 0)
			return d;
	}
	return NULL;
}

struct sim_disk *sim_disk(struct sim_node *node, const char *path)
{
	struct sim_disk *d = disk_find(node, path);

	if (d != NULL)
		return d;
	d = sim_calloc(1, sizeof(*d));
	rt_assert(strlen(path) < sizeof(d->path));
	snprintf(d->path, sizeof(d->path), "%s", path);
	d->node = node;
	d->config = sim_disk_fine;
	rt_list_init(&d->writes);
	rt_list_init(&d->flights);
	rt_list_push_back(&node->disks, &d->link);
	return d;
}

struct sim_disk *sim_disk_device(struct sim_node *node, const char *path, uint64_t size)
{
	struct sim_disk *d = sim_disk(node, path);

	rt_assert(!d->exists && size % SIM_PAGE == 0);
	d->exists = d->block_device = true;
	d->size = d->size_durable = size;
	return d;
}

struct sim_disk_config *sim_disk_config(struct sim_disk *d)
{
	return &d->config;
}

bool sim_disk_exists(const struct sim_disk *d)
{
	return d->exists;
}

void sim_disk_remove(struct sim_disk *d)
{
	rt_assert(d->locked_by == NULL);
	sim_disk_clear(d);
	d->exists = d->entry_pending = false;
}

void sim_disks_free(struct sim_node *node)
{
	struct rt_list *l;

	while ((l = rt_list_pop(&node->disks)) != NULL) {
		struct sim_disk *d = rt_container_of(l, struct sim_disk, link);

		sim_disk_clear(d);
		free(d);
	}
}

void sim_disk_stats(const struct sim_disk *d, struct sim_disk_stats *ret)
{
	*ret = d->stats;
	ret->used = d->npages * SIM_PAGE;
}

/* ---- behind the engine's back ------------------------------------------------------- */

void sim_disk_peek(struct sim_disk *d, uint64_t off, void *buf, size_t len)
{
	sim_disk_read_now(d, off, buf, len);
}

void sim_disk_poke(struct sim_disk *d, uint64_t off, const void *buf, size_t len)
{
	rt_assert(off + len <= d->size);
	sim_disk_patch(d, off, buf, len);
}

void sim_disk_flip(struct sim_disk *d, uint64_t off, unsigned bit)
{
	uint8_t byte;

	sim_disk_read_now(d, off, &byte, 1);
	byte ^= (uint8_t)(1u << bit);
	sim_disk_patch(d, off, &byte, 1);
	sim_note(sim_world_now, "flip", off, bit, 0);
}

void sim_disk_unreadable(struct sim_disk *d, uint64_t off, uint64_t len)
{
	d->bad_off = off;
	d->bad_len = len;
}

void sim_disk_fail_at(struct sim_disk *d, unsigned mask, uint64_t n)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(d->fail_at); i++)
		if (mask & 1u << i)
			d->fail_at[i] = n;
}

/* ---- open and close ----------------------------------------------------------------- */

int rt_file_open(struct rt_loop *loop, const char *path, unsigned flags,
		 struct rt_file **ret)
{
	struct sim_disk *d = sim_disk(loop->node, path);
	struct rt_file *file;

	rt_assert(sim_node_entered() == loop->node);
	if ((flags & RT_FILE_CREATE) && d->exists)
		return -EEXIST;
	if (!(flags & RT_FILE_CREATE) && !d->exists)
		return -ENOENT;
	if ((flags & RT_FILE_EXCLUSIVE) && d->locked_by != NULL)
		return -EBUSY;
	if (flags & RT_FILE_CREATE) {
		sim_disk_clear(d); /* what an unlink may have left */
		d->exists = d->entry_pending = true;
	}
	file = sim_calloc(1, sizeof(*file));
	file->loop = loop;
	file->disk = d;
	file->flags = flags;
	if (flags & RT_FILE_EXCLUSIVE)
		d->locked_by = loop;
	rt_list_push_back(&loop->node->files, &file->link);
	loop->nfiles++;
	*ret = file;
	return 0;
}

static void file_free(struct rt_file *file)
{
	rt_list_remove(&file->link);
	if (file->flags & RT_FILE_EXCLUSIVE)
		file->disk->locked_by = NULL;
	free(file);
}

void rt_file_close(struct rt_file *file)
{
	if (file == NULL)
		return;
	if (file->nops > 0)
		sim_violation("%s closed with %u operations in flight", file->disk->path,
			      file->nops);
	file->loop->nfiles--;
	file_free(file);
}

int rt_file_size(struct rt_file *file, uint64_t *ret)
{
	*ret = file->disk->size;
	return 0;
}

int rt_file_set_size(struct rt_file *file, uint64_t size)
{
	struct sim_disk *d = file->disk;

	rt_assert(file->flags & RT_FILE_WRITE);
	if (d->block_device)
		return size == d->size ? 0 : -EINVAL;
	if (size < d->size)
		sim_disk_flush(d, d->order, d->size_durable);
	sim_disk_truncate(d, size);
	return 0;
}

bool rt_file_is_block_device(struct rt_file *file)
{
	return file->disk->block_device;
}

int rt_file_unlink(struct rt_loop *loop, const char *path)
{
	struct sim_disk *d = disk_find(loop->node, path);

	if (d == NULL || !d->exists)
		return -ENOENT;
	if (d->block_device)
		return -EPERM;
	d->exists = false;
	d->entry_pending = !d->entry_pending;
	return 0;
}

int rt_file_sync_dir(struct rt_loop *loop, const char *path)
{
	struct sim_disk *self = disk_find(loop->node, path);
	const char *slash = strrchr(path, '/');
	size_t len = slash != NULL ? (size_t)(slash - path) : 0;

	if (self == NULL)
		return -ENOENT;
	for (struct rt_list *l = loop->node->disks.next; l != &loop->node->disks;
	     l = l->next) {
		struct sim_disk *d = rt_container_of(l, struct sim_disk, link);
		const char *end = strrchr(d->path, '/');
		size_t dlen = end != NULL ? (size_t)(end - d->path) : 0;

		if (dlen == len && strncmp(d->path, path, len) == 0)
			d->entry_pending = false;
	}
	return 0;
}

/* ---- operations ------------------------------------------------------------------- */

static struct sim_world *world(void)
{
	return sim_world_now;
}

static bool fails_now(struct sim_disk *d, unsigned mask, double p)
{
	uint64_t *n = &d->fail_at[__builtin_ctz(mask)];

	if (*n != 0 && --*n == 0)
		return true;
	return sim_chance(&world()->rng_disk, p);
}

static void flight_copy(struct sim_flight *f, uint8_t *to, const uint8_t *from)
{
	size_t done = 0;

	for (unsigned i = 0; i < f->niov && done < f->len; i++) {
		if (to != NULL)
			memcpy(to + done, f->iov[i].iov_base, f->iov[i].iov_len);
		else
			memcpy(f->iov[i].iov_base, from + done, f->iov[i].iov_len);
		done += f->iov[i].iov_len;
	}
}

static void flight_check_lent(struct sim_flight *f)
{
	size_t done = 0;

	for (unsigned i = 0; i < f->niov; i++) {
		if (memcmp(f->data + done, f->iov[i].iov_base, f->iov[i].iov_len) != 0)
			sim_violation("a buffer changed while it was being written "
				      "(%s, offset %llu)",
				      f->file->disk->path, (unsigned long long)f->off);
		done += f->iov[i].iov_len;
	}
}

/* Fewer bytes, because of the end of the device or of the space under the file. */
static size_t write_fits(struct sim_disk *d, uint64_t off, size_t len)
{
	uint64_t used = d->npages * SIM_PAGE;

	if (d->block_device) {
		if (off >= d->size)
			return 0;
		len = d->size - off < len ? (size_t)(d->size - off) : len;
	}
	if (d->config.space == 0)
		return len;
	while (len > 0) {
		uint64_t more = sim_disk_pages_missing(d, off, len) * SIM_PAGE;

		if (more == 0 || used + more <= d->config.space)
			break;
		len -= len > SIM_PAGE ? SIM_PAGE : len;
	}
	return len;
}

static void heal(struct sim_disk *d, uint64_t off, size_t len)
{
	uint64_t bad_end = d->bad_off + d->bad_len, end = off + len;

	if (d->bad_len == 0 || end <= d->bad_off || off >= bad_end)
		return;
	if (off <= d->bad_off) {
		d->bad_off = end < bad_end ? end : bad_end;
		d->bad_len = bad_end - d->bad_off;
	} else if (end >= bad_end) {
		d->bad_len = off - d->bad_off;
	}
}

static uint64_t misdirect(struct sim_disk *d, uint64_t off, size_t len)
{
	uint64_t pages = MISDIRECTED_MAX / SIM_PAGE, low, high;

	if (d->size < len + SIM_PAGE)
		return off;
	low = off > MISDIRECTED_MAX ? off - MISDIRECTED_MAX : off % SIM_PAGE;
	high = low + 2 * pages * SIM_PAGE;
	if (high > d->size - len)
		high = d->size - len;
	if (high < low)
		return off;
	return low +
	       sim_below(&world()->rng_disk, (high - low) / SIM_PAGE + 1) * SIM_PAGE;
}

static void write_effect(struct sim_event *e)
{
	struct sim_flight *f = rt_container_of(e, struct sim_flight, so.event);
	struct sim_disk *d = f->file->disk;
	uint64_t off = f->off;
	size_t fits;

	rt_list_remove(&f->link);
	f->file->nops--;
	flight_check_lent(f);
	e->a = off;
	if (f->fate == FAIL) {
		d->stats.faults++;
		sim_disk_write_part(d, &world()->rng_disk, off, f->data,
				    write_fits(d, off, f->take));
		f->so.res = -EIO;
	} else if (f->fate == LOST) {
		d->stats.faults++;
		f->so.res = (int)f->take;
	} else {
		if (sim_chance(&world()->rng_disk, d->config.misdirected)) {
			off = misdirect(d, off, f->take);
			d->stats.faults++;
			sim_note(world(), "misdirected", f->off, off, f->take);
		}
		fits = write_fits(d, off, f->take);
		if (fits > 0)
			sim_disk_write(d, off, f->data, fits);
		heal(d, off, fits);
		d->stats.write_bytes += fits;
		f->so.res = fits == 0 && f->take > 0 ? -ENOSPC : (int)fits;
	}
	e->b = (uint64_t)(int64_t)f->so.res;
}

static void rot(struct sim_disk *d, uint64_t off, size_t len)
{
	struct sim_rng *rng = &world()->rng_disk;
	uint64_t at = off + sim_below(rng, len);

	d->stats.faults++;
	sim_disk_flip(d, at, (unsigned)sim_below(rng, 8));
}

static bool read_is_bad(const struct sim_disk *d, uint64_t off, size_t len)
{
	return d->bad_len > 0 && off < d->bad_off + d->bad_len && d->bad_off < off + len;
}

/* A read meets each sector as it was at some moment between its start and its end. */
static void read_take(struct sim_flight *f, struct sim_disk *d, size_t len)
{
	uint8_t *buf = sim_calloc(1, f->len ? f->len : 1);
	struct sim_rng *rng = &world()->rng_disk;
	uint64_t coins = f->data != NULL ? sim_draw(rng) : 0;

	flight_copy(f, buf, NULL);
	sim_disk_read_now(d, f->off, buf, len);
	for (size_t done = 0, i = 0; coins != 0 && done < len; done += SIM_SECTOR, i++) {
		size_t n = len - done < SIM_SECTOR ? len - done : SIM_SECTOR;

		if (coins >> i % 64 & 1)
			memcpy(buf + done, f->data + done, n);
	}
	flight_copy(f, NULL, buf);
	free(buf);
}

static void read_effect(struct sim_event *e)
{
	struct sim_flight *f = rt_container_of(e, struct sim_flight, so.event);
	struct sim_disk *d = f->file->disk;
	uint64_t left = d->size > f->off ? d->size - f->off : 0;
	size_t len = left < f->take ? (size_t)left : f->take;

	f->file->nops--;
	e->a = f->off;
	if (f->so.res == -ECANCELED)
		return;
	if (f->fate == FAIL || read_is_bad(d, f->off, len)) {
		d->stats.faults++;
		f->so.res = -EIO;
	} else {
		if (len > 0 && sim_chance(&world()->rng_disk, d->config.bit_rot)) {
			rot(d, f->off, len);
			free(f->data);
			f->data = NULL;
		}
		read_take(f, d, len);
		d->stats.read_bytes += len;
		f->so.res = (int)len;
	}
	e->b = (uint64_t)(int64_t)f->so.res;
}

static void flush_effect(struct sim_event *e)
{
	struct sim_flight *f = rt_container_of(e, struct sim_flight, so.event);
	struct sim_disk *d = f->file->disk;

	f->file->nops--;
	if (f->fate == FAIL) {
		d->stats.faults++;
		sim_disk_forget(d, f->order);
		f->so.res = -EIO;
	} else if (f->fate == LOST) {
		d->stats.faults++;
	} else {
		sim_disk_flush(d, f->order, f->size);
	}
	e->a = f->order;
	e->b = (uint64_t)(int64_t)f->so.res;
}

static void flight_over(struct sim_event *e)
{
	struct sim_flight *f = rt_container_of(e, struct sim_flight, so.event);

	rt_list_remove(&f->link);
	free(f->data);
	free(f);
}

static const struct sim_event_type read_type = { .name = "read",
						 .mask = SIM_ON_READ,
						 .effect = read_effect,
						 .call = sim_op_call,
						 .over = flight_over };
static const struct sim_event_type write_type = { .name = "write",
						  .mask = SIM_ON_WRITE,
						  .effect = write_effect,
						  .call = sim_op_call,
						  .over = flight_over };
static const struct sim_event_type flush_type = { .name = "flush",
						  .mask = SIM_ON_FLUSH,
						  .effect = flush_effect,
						  .call = sim_op_call,
						  .over = flight_over };

static struct sim_flight *flight_begin(struct rt_file *file, struct rt_op *op,
				       const struct sim_event_type *type)
{
	struct sim_flight *f = sim_calloc(1, sizeof(*f));

	f->file = file;
	f->so.event.type = type;
	rt_list_init(&f->link);
	sim_op_begin(&f->so, file->loop, op);
	file->nops++;
	return f;
}

static void flight_go(struct sim_flight *f, int64_t min_ns, int64_t max_ns)
{
	const struct sim_disk_config *c = &f->file->disk->config;
	struct sim_rng *rng = &world()->rng_disk;
	int64_t ns = (int64_t)sim_between(rng, (uint64_t)min_ns, (uint64_t)max_ns);

	if (sim_chance(rng, c->stall))
		ns += c->stall_ns;
	sim_schedule(&f->so.event, world()->now + ns);
}

static void flight_range(struct sim_flight *f, const struct iovec *iov, unsigned n,
			 uint64_t off)
{
	bool direct = f->file->flags & RT_FILE_DIRECT;

	f->off = off;
	if (iov != &f->one) {
		f->iov = iov;
		f->niov = n;
	}
	for (unsigned i = 0; i < f->niov; i++) {
		f->len += f->iov[i].iov_len;
		if (direct && ((uintptr_t)f->iov[i].iov_base % RT_BLOCK != 0 ||
			       f->iov[i].iov_len % RT_BLOCK != 0))
			sim_violation("direct I/O with an unaligned buffer");
	}
	if (direct && off % RT_BLOCK != 0)
		sim_violation("direct I/O at an unaligned offset");
	if (f->niov > IOV_LIMIT || f->len > INT32_MAX)
		sim_violation("more pieces or bytes than the kernel takes at once");
	f->take = f->len;
	if (f->len > RT_BLOCK &&
	    sim_chance(&world()->rng_disk, f->file->disk->config.short_io))
		f->take = (size_t)sim_between(&world()->rng_disk, 1,
					      (f->len - 1) / RT_BLOCK) *
			  RT_BLOCK;
}

static void flight_read(struct sim_flight *f)
{
	struct sim_disk *d = f->file->disk;

	d->stats.reads++;
	f->so.cancel = sim_op_cancel_scheduled;
	if (fails_now(d, SIM_ON_READ, d->config.read_error))
		f->fate = FAIL;
	for (unsigned i = 0; i < f->niov; i++)
		memset(f->iov[i].iov_base, 0xe7, f->iov[i].iov_len);
	if (sim_chance(&world()->rng_disk, 0.25)) {
		f->data = sim_calloc(1, f->len ? f->len : 1);
		sim_disk_read_now(d, f->off, f->data, f->len);
	}
	flight_go(f, d->config.read_min_ns, d->config.read_max_ns);
}

static void flight_write(struct sim_flight *f)
{
	struct sim_disk *d = f->file->disk;

	rt_assert(f->file->flags & RT_FILE_WRITE);
	d->stats.writes++;
	if (fails_now(d, SIM_ON_WRITE, d->config.write_error))
		f->fate = FAIL;
	else if (sim_chance(&world()->rng_disk, d->config.lost_write))
		f->fate = LOST;
	f->data = sim_calloc(1, f->len ? f->len : 1);
	flight_copy(f, f->data, NULL);
	rt_list_push_back(&d->flights, &f->link);
	flight_go(f, d->config.write_min_ns, d->config.write_max_ns);
}

void rt_read(struct rt_file *file, struct rt_op *op, void *buf, size_t len, uint64_t off)
{
	struct sim_flight *f = flight_begin(file, op, &read_type);

	f->one = (struct iovec){ buf, len };
	f->iov = &f->one;
	f->niov = 1;
	flight_range(f, &f->one, 1, off);
	flight_read(f);
}

void rt_readv(struct rt_file *file, struct rt_op *op, const struct iovec *iov, unsigned n,
	      uint64_t off)
{
	struct sim_flight *f = flight_begin(file, op, &read_type);

	flight_range(f, iov, n, off);
	flight_read(f);
}

void rt_write(struct rt_file *file, struct rt_op *op, const void *buf, size_t len,
	      uint64_t off)
{
	struct sim_flight *f = flight_begin(file, op, &write_type);

	f->one = (struct iovec){ (void *)(uintptr_t)buf, len };
	f->iov = &f->one;
	f->niov = 1;
	flight_range(f, &f->one, 1, off);
	flight_write(f);
}

void rt_writev(struct rt_file *file, struct rt_op *op, const struct iovec *iov,
	       unsigned n, uint64_t off)
{
	struct sim_flight *f = flight_begin(file, op, &write_type);

	flight_range(f, iov, n, off);
	flight_write(f);
}

void rt_fdatasync(struct rt_file *file, struct rt_op *op)
{
	struct sim_flight *f = flight_begin(file, op, &flush_type);
	struct sim_disk *d = file->disk;

	d->stats.flushes++;
	f->order = d->order;
	f->size = d->size;
	if (fails_now(d, SIM_ON_FLUSH, d->config.flush_error))
		f->fate = FAIL;
	else if (sim_chance(&world()->rng_disk, d->config.lying_flush))
		f->fate = LOST;
	flight_go(f, d->config.flush_min_ns, d->config.flush_max_ns);
}

/* ---- crashes ---------------------------------------------------------------------- */

static void flight_land(struct sim_disk *d, struct sim_flight *f, struct sim_rng *rng)
{
	size_t len = write_fits(d, f->off, f->take);

	switch (sim_below(rng, 3)) {
	case 0:
		break;
	case 1:
		if (len > 0 && f->fate == FINE)
			sim_disk_write(d, f->off, f->data, len);
		break;
	default:
		sim_disk_write_part(d, rng, f->off, f->data, len);
	}
}

void sim_flights_land(struct sim_disk *d)
{
	struct sim_rng *rng = &world()->rng_crash;
	uint64_t n = 0;

	for (struct rt_list *l = d->flights.next; l != &d->flights; l = l->next)
		n++;
	for (; n > 0; n--) { /* in any order */
		struct rt_list *l = d->flights.next;

		for (uint64_t skip = sim_below(rng, n); skip > 0; skip--)
			l = l->next;
		flight_land(d, rt_container_of(l, struct sim_flight, link), rng);
		rt_list_remove(l);
	}
}

void sim_disks_crash(struct sim_node *node, enum sim_crash kind)
{
	struct rt_list *l;

	for (l = node->disks.next; l != &node->disks; l = l->next) {
		struct sim_disk *d = rt_container_of(l, struct sim_disk, link);

		sim_flights_land(d);
		if (kind == SIM_POWER)
			sim_disk_power_loss(d);
	}
	while (!rt_list_empty(&node->files))
		file_free(rt_container_of(node->files.next, struct rt_file, link));
}
