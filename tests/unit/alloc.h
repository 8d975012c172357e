/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_UNIT_ALLOC_H
#define TESTS_UNIT_ALLOC_H

/*
 * In place of rt/mem.c, in a test that includes this: the linker takes the first it finds.
 * It counts, and lets one allocation fail, or all of one length.
 */
#include <stdlib.h>

#include "rt/mem.h"

static unsigned asked, fail_at; /* fail_at 0: never */
static size_t fail_len;		/* 0: of none */
static long held;

static int fails(size_t size)
{
	return ++asked == fail_at || (size > 0 && size == fail_len);
}

static void *give(void *p)
{
	held += p != NULL;
	return p;
}

void *rt_alloc(size_t size)
{
	return fails(size) ? NULL : give(malloc(size));
}

void *rt_zalloc(size_t n, size_t size)
{
	return fails(n * size) ? NULL : give(calloc(n, size));
}

void *rt_alloc_blocks(size_t size)
{
	size = (size + RT_BLOCK - 1) / RT_BLOCK * RT_BLOCK;
	return fails(size) ? NULL : give(aligned_alloc(RT_BLOCK, size));
}

void rt_free(void *p)
{
	held -= p != NULL;
	free(p);
}

#endif
