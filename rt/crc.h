/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RT_CRC_H
#define RT_CRC_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `len` bytes, by isa-l. The check
 * value of "123456789" is e3069283. rt_crc32c(p, len) of a buffer in pieces:
 * rt_crc32c_more(rt_crc32c(first), second).
 */
uint32_t rt_crc32c(const void *p, size_t len);
uint32_t rt_crc32c_more(uint32_t crc, const void *p, size_t len);

#endif
