// SPDX-License-Identifier: BSD-3-Clause
#include "rt/crc.h"

#include <isa-l/crc.h>

/* isa-l takes an int length; longer buffers go through it in pieces of this. */
#define CRC_PIECE ((size_t)1 << 30)

uint32_t rt_crc32c_more(uint32_t crc, const void *p, size_t len)
{
	const uint8_t *b = p;
	uint32_t reg = ~crc;

	/* isa-l keeps the bare register: both inversions of CRC-32C are ours. */
	while (len) {
		size_t n = len < CRC_PIECE ? len : CRC_PIECE;

		/* It only reads, but its prototype lacks the const. */
		reg = crc32_iscsi((unsigned char *)(uintptr_t)b, (int)n, reg);
		b += n;
		len -= n;
	}
	return ~reg;
}

uint32_t rt_crc32c(const void *p, size_t len)
{
	return rt_crc32c_more(0, p, len);
}
