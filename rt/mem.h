/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RT_MEM_H
#define RT_MEM_H

#include <stddef.h>

#define RT_BLOCK 4096

/*
 * The engine's memory. Everything the engine allocates comes from here, so that the
 * simulator can take back what a crashed node held and can let the n-th allocation
 * fail. All return NULL when there is none; all are freed by rt_free(), which takes
 * NULL.
 */
void *rt_alloc(size_t size);		/* uninitialised */
void *rt_zalloc(size_t n, size_t size); /* n * size zero bytes, overflow-checked */
void *rt_alloc_blocks(size_t size);	/* aligned to RT_BLOCK, uninitialised */
void rt_free(void *p);

#endif
