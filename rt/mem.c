// SPDX-License-Identifier: BSD-3-Clause
#include "rt/mem.h"

#include <stdint.h>
#include <stdlib.h>

void *rt_alloc(size_t size)
{
	/* malloc(0) may be NULL, which here means that there is no memory. */
	return malloc(size ? size : 1);
}

void *rt_zalloc(size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return calloc(1, bytes ? bytes : 1);
}

void *rt_alloc_blocks(size_t size)
{
	if (size > SIZE_MAX - RT_BLOCK)
		return NULL;
	if (size == 0)
		size = RT_BLOCK;
	return aligned_alloc(RT_BLOCK, (size + RT_BLOCK - 1) & ~(size_t)(RT_BLOCK - 1));
}

void rt_free(void *p)
{
	free(p);
}
