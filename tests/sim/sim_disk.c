// SPDX-License-Identifier: BSD-3-Clause
#include <stdlib.h>
#include <string.h>

#include "rt/hash.h"
#include "tests/sim/sim_disk.h"

/* ---- pages ------------------------------------------------------------------------ */

static struct sim_page **page_place(struct sim_disk *d, uint64_t no)
{
	return &d->table[rt_mix64(no) & (d->table_size - 1)];
}

static struct sim_page *page_find(struct sim_disk *d, uint64_t no)
{
	struct sim_page *p = d->table_size > 0 ? *page_place(d, no) : NULL;

	while (p != NULL && p->no != no)
		p = p->next;
	return p;
}

static void table_grow(struct sim_disk *d)
{
	struct sim_page **old = d->table;
	size_t n = d->table_size;

	d->table_size = n ? 2 * n : 64;
	d->table = sim_calloc(d->table_size, sizeof(*d->table));
	for (size_t i = 0; i < n; i++) {
		while (old[i] != NULL) {
			struct sim_page *p = old[i], **place = page_place(d, p->no);

			old[i] = p->next;
			p->next = *place;
			*place = p;
		}
	}
	free(old);
}

static struct sim_page *page_get(struct sim_disk *d, uint64_t no)
{
	struct sim_page *p = page_find(d, no), **place;

	if (p != NULL)
		return p;
	if (d->npages >= d->table_size)
		table_grow(d);
	p = sim_calloc(1, sizeof(*p));
	p->no = no;
	p->now = sim_calloc(1, SIM_PAGE);
	place = page_place(d, no);
	p->next = *place;
	*place = p;
	d->npages++;
	return p;
}

static void page_free(struct sim_page *p)
{
	free(p->now);
	free(p->durable);
	free(p);
}

/* Before `now` changes by a write: keep what is durable. */
static void page_part(struct sim_page *p, bool fresh)
{
	if (p->apart)
		return;
	p->apart = true;
	if (!fresh) {
		p->durable = sim_calloc(1, SIM_PAGE);
		memcpy(p->durable, p->now, SIM_PAGE);
	}
}

/* Durable has caught up, if no write is left and nothing was forgotten. */
static void page_join(struct sim_page *p)
{
	if (p->nwrites > 0)
		return;
	if (p->forgotten && p->durable != NULL &&
	    memcmp(p->now, p->durable, SIM_PAGE) == 0)
		p->forgotten = false;
	if (p->forgotten)
		return;
	free(p->durable);
	p->durable = NULL;
	p->apart = false;
}

/* ---- now -------------------------------------------------------------------------- */

void sim_disk_read_now(struct sim_disk *d, uint64_t off, uint8_t *buf, size_t len)
{
	while (len > 0) {
		size_t in = off % SIM_PAGE, n = SIM_PAGE - in < len ? SIM_PAGE - in : len;
		struct sim_page *p = page_find(d, off / SIM_PAGE);

		if (p != NULL)
			memcpy(buf, p->now + in, n);
		else
			memset(buf, 0, n);
		off += n;
		buf += n;
		len -= n;
	}
}

void sim_disk_write(struct sim_disk *d, uint64_t off, const uint8_t *data, size_t len)
{
	struct sim_write *w = sim_calloc(1, sizeof(*w));

	w->order = ++d->order;
	w->off = off;
	w->len = len;
	w->data = sim_calloc(1, len ? len : 1);
	memcpy(w->data, data, len);
	rt_list_push_back(&d->writes, &w->link);
	d->stats.unflushed++;
	if (off + len > d->size)
		d->size = off + len;
	while (len > 0) {
		size_t in = off % SIM_PAGE, n = SIM_PAGE - in < len ? SIM_PAGE - in : len;
		bool fresh = page_find(d, off / SIM_PAGE) == NULL;
		struct sim_page *p = page_get(d, off / SIM_PAGE);

		page_part(p, fresh);
		p->nwrites++;
		memcpy(p->now + in, data, n);
		off += n;
		data += n;
		len -= n;
	}
}

void sim_disk_patch(struct sim_disk *d, uint64_t off, const uint8_t *data, size_t len)
{
	while (len > 0) {
		size_t in = off % SIM_PAGE, n = SIM_PAGE - in < len ? SIM_PAGE - in : len;
		struct sim_page *p = page_get(d, off / SIM_PAGE);

		memcpy(p->now + in, data, n);
		if (p->apart && p->durable == NULL)
			p->durable = sim_calloc(1, SIM_PAGE);
		if (p->apart)
			memcpy(p->durable + in, data, n);
		off += n;
		data += n;
		len -= n;
	}
}

/* Runs of sectors that are kept become writes of their own. */
static void write_runs(struct sim_disk *d, uint64_t off, const uint8_t *data, size_t len,
		       const bool *keep)
{
	size_t n = (len + SIM_SECTOR - 1) / SIM_SECTOR;

	for (size_t i = 0, j; i < n; i = j) {
		size_t end;

		for (j = i; j < n && keep[j] == keep[i]; j++)
			;
		end = j * SIM_SECTOR < len ? j * SIM_SECTOR : len;
		if (keep[i])
			sim_disk_write(d, off + i * SIM_SECTOR, data + i * SIM_SECTOR,
				       end - i * SIM_SECTOR);
	}
}

/* What a torn write leaves: nothing but a beginning, or any of its sectors. */
static bool *draw_sectors(struct sim_rng *rng, size_t len)
{
	size_t n = (len + SIM_SECTOR - 1) / SIM_SECTOR;
	bool *keep = sim_calloc(n ? n : 1, sizeof(*keep));
	size_t first = (size_t)sim_below(rng, n + 1);
	double p = sim_unit(rng);

	if (sim_chance(rng, 0.5)) {
		for (size_t i = 0; i < n; i++)
			keep[i] = i < first;
	} else {
		for (size_t i = 0; i < n; i++)
			keep[i] = sim_chance(rng, p);
	}
	return keep;
}

void sim_disk_write_part(struct sim_disk *d, struct sim_rng *rng, uint64_t off,
			 const uint8_t *data, size_t len)
{
	bool *keep = draw_sectors(rng, len);

	write_runs(d, off, data, len, keep);
	free(keep);
}

uint64_t sim_disk_pages_missing(struct sim_disk *d, uint64_t off, size_t len)
{
	uint64_t n = 0;

	if (len == 0)
		return 0;
	for (uint64_t no = off / SIM_PAGE; no <= (off + len - 1) / SIM_PAGE; no++)
		n += page_find(d, no) == NULL;
	return n;
}

/* ---- durable ---------------------------------------------------------------------- */

/* Copy sectors (all: keep NULL) of a write to what is durable. */
static void make_durable(struct sim_disk *d, const struct sim_write *w, const bool *keep)
{
	for (size_t done = 0; done < w->len;) {
		uint64_t off = w->off + done;
		size_t in = off % SIM_PAGE, n = SIM_SECTOR - off % SIM_SECTOR;
		struct sim_page *p = page_find(d, off / SIM_PAGE);

		if (n > w->len - done)
			n = w->len - done;
		if (p != NULL && p->apart && (keep == NULL || keep[done / SIM_SECTOR])) {
			if (p->durable == NULL)
				p->durable = sim_calloc(1, SIM_PAGE);
			memcpy(p->durable + in, w->data + done, n);
		}
		done += n;
	}
}

static void write_end(struct sim_disk *d, struct sim_write *w, bool forget)
{
	for (uint64_t off = w->off; off < w->off + w->len;
	     off = (off / SIM_PAGE + 1) * SIM_PAGE) {
		struct sim_page *p = page_find(d, off / SIM_PAGE);

		if (p == NULL)
			continue; /* cut off by a truncation */
		p->nwrites--;
		p->forgotten |= forget;
		page_join(p);
	}
	rt_list_remove(&w->link);
	d->stats.unflushed--;
	free(w->data);
	free(w);
}

static struct sim_write *first_write(struct sim_disk *d)
{
	if (rt_list_empty(&d->writes))
		return NULL;
	return rt_container_of(d->writes.next, struct sim_write, link);
}

void sim_disk_flush(struct sim_disk *d, uint64_t order, uint64_t size)
{
	struct sim_write *w;

	while ((w = first_write(d)) != NULL && w->order <= order) {
		make_durable(d, w, NULL);
		write_end(d, w, false);
	}
	d->size_durable = size < d->size ? size : d->size;
}

void sim_disk_forget(struct sim_disk *d, uint64_t order)
{
	struct sim_write *w;

	while ((w = first_write(d)) != NULL && w->order <= order) {
		bool *keep = draw_sectors(&sim_world_now->rng_disk, w->len);

		make_durable(d, w, keep);
		free(keep);
		write_end(d, w, true);
	}
}

/* ---- a power loss ------------------------------------------------------------------- */

enum survival { NONE, ALL, PREFIX, PREFIX_TORN, WRITES, SECTORS, SURVIVALS };

static void survive(struct sim_disk *d, struct sim_rng *rng, enum survival how)
{
	uint64_t n = d->stats.unflushed, point = sim_below(rng, n + 1), i = 0;
	double p = sim_unit(rng);
	struct sim_write *w;

	for (; (w = first_write(d)) != NULL; i++) {
		bool whole = how == ALL || (how == WRITES && sim_chance(rng, p)) ||
			     ((how == PREFIX || how == PREFIX_TORN) && i < point);
		bool part = how == SECTORS || (how == PREFIX_TORN && i == point);

		if (whole) {
			make_durable(d, w, NULL);
		} else if (part) {
			bool *keep = draw_sectors(rng, w->len);

			make_durable(d, w, keep);
			free(keep);
		}
		write_end(d, w, !whole);
	}
}

static void now_is_durable(struct sim_page *p)
{
	if (!p->apart)
		return;
	if (p->durable != NULL)
		memcpy(p->now, p->durable, SIM_PAGE);
	else
		memset(p->now, 0, SIM_PAGE);
	free(p->durable);
	p->durable = NULL;
	p->apart = p->forgotten = false;
}

void sim_disk_power_loss(struct sim_disk *d)
{
	struct sim_rng *rng = &sim_world_now->rng_crash;
	enum survival how = (enum survival)sim_below(rng, SURVIVALS);

	sim_note(sim_world_now, "survive", how, d->stats.unflushed, 0);
	survive(d, rng, how);
	for (size_t i = 0; i < d->table_size; i++)
		for (struct sim_page *p = d->table[i]; p != NULL; p = p->next)
			now_is_durable(p);
	if (d->size != d->size_durable && sim_chance(rng, 0.5))
		sim_disk_truncate(d, d->size_durable);
	d->size_durable = d->size;
	if (d->entry_pending && sim_chance(rng, 0.5)) {
		d->exists = !d->exists;
		if (!d->exists)
			sim_disk_clear(d);
	}
	d->entry_pending = false;
}

/* ---- size ------------------------------------------------------------------------- */

static void cut_page(struct sim_disk *d, struct sim_page **place, uint64_t size)
{
	struct sim_page *p = *place;
	uint64_t first = p->no * SIM_PAGE;

	if (first >= size) {
		*place = p->next;
		page_free(p);
		d->npages--;
	} else if (first + SIM_PAGE > size) {
		memset(p->now + (size - first), 0, (size_t)(first + SIM_PAGE - size));
	}
}

/* Un-flushed writes to what is cut off find no page later. */
void sim_disk_truncate(struct sim_disk *d, uint64_t size)
{
	for (size_t i = 0; i < d->table_size && size < d->size; i++) {
		struct sim_page **place = &d->table[i];

		while (*place != NULL) {
			struct sim_page *p = *place;

			cut_page(d, place, size);
			if (*place == p)
				place = &p->next;
		}
	}
	d->size = size;
}

void sim_disk_clear(struct sim_disk *d)
{
	struct sim_write *w;

	while ((w = first_write(d)) != NULL)
		write_end(d, w, false);
	d->size = d->size > 0 ? d->size : 1;
	sim_disk_truncate(d, 0);
	d->size_durable = 0;
	free(d->table);
	d->table = NULL;
	d->table_size = 0;
}

void sim_disk_copy(struct sim_disk *from, struct sim_disk *to)
{
	rt_assert(to->locked_by == NULL);
	sim_disk_clear(to);
	for (size_t i = 0; i < from->table_size; i++)
		for (struct sim_page *p = from->table[i]; p != NULL; p = p->next)
			memcpy(page_get(to, p->no)->now, p->now, SIM_PAGE);
	to->size = to->size_durable = from->size;
	to->exists = from->exists;
	to->entry_pending = false;
}
