// SPDX-License-Identifier: BSD-3-Clause
#include "rt/mem.h"
#include "rt/uring.h"

/*
 * The headers of datagrams on their way out. They are allocated by the chunk and used
 * again, so that sending does not allocate once the loop has warmed up.
 */

#define MSGS_PER_CHUNK 64

struct uring_msg_chunk {
	struct uring_msg_chunk *next;
	struct uring_msg msgs[MSGS_PER_CHUNK];
};

struct uring_msg *uring_msg_get(struct rt_loop *loop)
{
	struct uring_msg_chunk *chunk;
	struct uring_msg *msg;

	if (!loop->msgs) {
		chunk = rt_zalloc(1, sizeof(*chunk));
		if (!chunk)
			return NULL;
		chunk->next = loop->chunks;
		loop->chunks = chunk;
		for (unsigned i = 0; i < MSGS_PER_CHUNK; i++)
			uring_msg_put(loop, &chunk->msgs[i]);
	}
	msg = loop->msgs;
	loop->msgs = msg->next;
	return msg;
}

void uring_msg_put(struct rt_loop *loop, struct uring_msg *msg)
{
	msg->next = loop->msgs;
	loop->msgs = msg;
}

void uring_msg_release(struct rt_loop *loop)
{
	while (loop->chunks) {
		struct uring_msg_chunk *next = loop->chunks->next;

		rt_free(loop->chunks);
		loop->chunks = next;
	}
}
