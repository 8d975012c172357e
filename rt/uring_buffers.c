// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <sys/mman.h>

#include "rt/mem.h"
#include "rt/uring.h"

/*
 * Each buffer has room for the longest datagram, so none is ever cut; of one that holds
 * a short datagram only the first page is ever touched.
 */

#define BUFFERS 256u /* a power of two, for the kernel's ring */
_Static_assert((BUFFERS & (BUFFERS - 1)) == 0, "power of two");

int uring_buffers_init(struct rt_loop *loop)
{
	struct uring_buffers *buffers = &loop->buffers;
	struct io_uring_buf_reg reg = { .ring_entries = BUFFERS, .bgid = URING_BGID };
	size_t ring_len = BUFFERS * sizeof(struct io_uring_buf);
	int r = -ENOMEM;

	if (buffers->ring)
		return 0;
	buffers->ring = rt_alloc_blocks(ring_len);
	buffers->memory = rt_alloc_blocks((size_t)BUFFERS * URING_BUFFER_LEN);
	if (!buffers->ring || !buffers->memory)
		goto fail;
	/* Huge pages would make those first pages 2 MiB each. Only advice. */
	(void)madvise(buffers->memory, (size_t)BUFFERS * URING_BUFFER_LEN,
		      MADV_NOHUGEPAGE);
	io_uring_buf_ring_init(buffers->ring);
	reg.ring_addr = (unsigned long)(uintptr_t)buffers->ring;
	r = io_uring_register_buf_ring(&loop->ring, &reg, 0);
	if (r < 0)
		goto fail;
	for (unsigned id = 0; id < BUFFERS; id++)
		uring_buffers_put(loop, id);
	return 0;
fail:
	uring_buffers_release(loop);
	return r;
}

/* The ring that used them must be gone, or never have known them. */
void uring_buffers_release(struct rt_loop *loop)
{
	rt_free(loop->buffers.ring);
	rt_free(loop->buffers.memory);
	loop->buffers = (struct uring_buffers){ 0 };
}

uint8_t *uring_buffers_at(struct rt_loop *loop, unsigned id)
{
	rt_assert(id < BUFFERS);
	return loop->buffers.memory + (size_t)id * URING_BUFFER_LEN;
}

void uring_buffers_put(struct rt_loop *loop, unsigned id)
{
	io_uring_buf_ring_add(loop->buffers.ring, uring_buffers_at(loop, id),
			      URING_BUFFER_LEN, (unsigned short)id,
			      io_uring_buf_ring_mask(BUFFERS), 0);
	io_uring_buf_ring_advance(loop->buffers.ring, 1);
}
