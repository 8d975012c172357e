// SPDX-License-Identifier: BSD-3-Clause
#include <stdlib.h>
#include <string.h>

#include "rt/hash.h"
#include "tests/sim/sim_impl.h"

/*
 * rt/mem.h: each allocation is a real one of exactly its size, so that the sanitizers see
 * every step beyond its ends, and is known in a table by its address. Fresh memory is
 * filled with a pattern: a run that depends on it depends on nothing random. So is memory
 * that was freed (sim_back_free).
 */
struct piece {
	void *p; /* NULL: free place */
	size_t size;
	struct sim_node *node; /* NULL: the scenario's own */
};

struct sim_mem {
	struct piece *pieces;
	size_t n, size; /* size: a power of two */
};

#define FRESH 0xa5
#define FRESH_MAX ((size_t)1 << 20) /* beyond it only the beginning is filled */

static size_t home(const struct sim_mem *m, const void *p)
{
	return (size_t)rt_mix64((uintptr_t)p) & (m->size - 1);
}

static void mem_insert(struct sim_mem *m, struct piece piece)
{
	size_t i = home(m, piece.p);

	while (m->pieces[i].p != NULL)
		i = (i + 1) & (m->size - 1);
	m->pieces[i] = piece;
	m->n++;
}

static void mem_grow(struct sim_mem *m)
{
	struct piece *old = m->pieces;
	size_t size = m->size;

	m->size = size ? 2 * size : 1024;
	m->pieces = sim_calloc(m->size, sizeof(*m->pieces));
	m->n = 0;
	for (size_t i = 0; i < size; i++)
		if (old[i].p != NULL)
			mem_insert(m, old[i]);
	free(old);
}

/* Close the hole at `i`: whatever follows and may not stay behind it moves up. */
static void mem_remove(struct sim_mem *m, size_t i)
{
	size_t mask = m->size - 1, j = i;

	for (;;) {
		j = (j + 1) & mask;
		if (m->pieces[j].p == NULL)
			break;
		if (((j - home(m, m->pieces[j].p)) & mask) >= ((j - i) & mask)) {
			m->pieces[i] = m->pieces[j];
			i = j;
		}
	}
	m->pieces[i].p = NULL;
	m->n--;
}

static struct sim_mem *mem(void)
{
	struct sim_world *w = sim_world_now;

	rt_assert(w != NULL); /* rt_alloc() outside of a world */
	if (w->mem == NULL)
		w->mem = sim_calloc(1, sizeof(*w->mem));
	if (2 * (w->mem->n + 1) > w->mem->size)
		mem_grow(w->mem);
	return w->mem;
}

static bool refused(struct sim_node *node)
{
	if (node == NULL)
		return false;
	node->mem_allocs++;
	if (node->mem_fail_at != 0 && --node->mem_fail_at == 0) {
		sim_note(sim_world_now, "alloc-fails", node->mem_allocs, 0, 0);
		return true;
	}
	return sim_chance(&sim_world_now->rng_time, node->mem_fail_chance);
}

static void *account(void *p, size_t size)
{
	struct sim_node *node = sim_node_entered();

	mem_insert(mem(), (struct piece){ .p = p, .size = size, .node = node });
	if (node != NULL) {
		node->mem_bytes += size;
		if (node->mem_bytes > node->mem_peak)
			node->mem_peak = node->mem_bytes;
	}
	return p;
}

static void fresh(void *p, size_t size)
{
	memset(p, FRESH, size < FRESH_MAX ? size : FRESH_MAX);
}

void *rt_alloc(size_t size)
{
	void *p;

	if (refused(sim_node_entered()))
		return NULL;
	/* calloc: what lies beyond the pattern is the same every time, too */
	p = size > FRESH_MAX ? calloc(1, size) : malloc(size ? size : 1);
	if (p == NULL)
		return NULL;
	fresh(p, size);
	return account(p, size);
}

void *rt_zalloc(size_t n, size_t size)
{
	void *p;
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes) || refused(sim_node_entered()))
		return NULL;
	p = calloc(1, bytes ? bytes : 1);
	return p != NULL ? account(p, bytes) : NULL;
}

void *rt_alloc_blocks(size_t size)
{
	void *p;

	if (refused(sim_node_entered()))
		return NULL;
	if (posix_memalign(&p, RT_BLOCK, size ? size : RT_BLOCK) != 0)
		return NULL;
	memset(p, FRESH, size);
	return account(p, size);
}

void rt_free(void *p)
{
	struct sim_mem *m;
	size_t i, size;

	if (p == NULL)
		return;
	m = mem();
	for (i = home(m, p); m->pieces[i].p != p; i = (i + 1) & (m->size - 1))
		if (m->pieces[i].p == NULL)
			sim_violation("rt_free of what rt_alloc did not give");
	if (m->pieces[i].node != sim_node_entered())
		sim_violation("rt_free of another node's memory");
	if (m->pieces[i].node != NULL)
		m->pieces[i].node->mem_bytes -= m->pieces[i].size;
	size = m->pieces[i].size;
	mem_remove(m, i);
	sim_back_free(p, size);
}

void sim_mem_take_back(struct sim_node *node)
{
	struct sim_mem *m = mem();
	struct piece *old = m->pieces;
	size_t size = m->size;

	m->pieces = sim_calloc(size, sizeof(*m->pieces));
	m->n = 0;
	for (size_t i = 0; i < size; i++) {
		if (old[i].p == NULL)
			continue;
		if (old[i].node == node)
			free(old[i].p);
		else
			mem_insert(m, old[i]);
	}
	free(old);
	node->mem_bytes = 0;
}

void sim_mem_release(struct sim_world *w)
{
	if (w->mem == NULL)
		return;
	for (size_t i = 0; i < w->mem->size; i++)
		free(w->mem->pieces[i].p);
	free(w->mem->pieces);
	free(w->mem);
}

uint64_t sim_mem_bytes(const struct sim_node *node)
{
	return node->mem_bytes;
}

uint64_t sim_mem_peak(const struct sim_node *node)
{
	return node->mem_peak;
}

uint64_t sim_mem_allocs(const struct sim_node *node)
{
	return node->mem_allocs;
}

void sim_mem_fail_at(struct sim_node *node, uint64_t n)
{
	node->mem_fail_at = n;
}

void sim_mem_fail_chance(struct sim_node *node, double p)
{
	node->mem_fail_chance = p;
}
