/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RT_BYTES_H
#define RT_BYTES_H

#include <stdint.h>

/*
 * Fixed-size integers as bytes, alignment one, for everything on disk and on the
 * wire: le* little-endian (ours), be* big-endian (NBD). Structs made of them have no
 * padding, and may lie anywhere.
 */
typedef struct le16 {
	uint8_t b[2];
} le16;
typedef struct le32 {
	uint8_t b[4];
} le32;
typedef struct le64 {
	uint8_t b[8];
} le64;
typedef struct be16 {
	uint8_t b[2];
} be16;
typedef struct be32 {
	uint8_t b[4];
} be32;
typedef struct be64 {
	uint8_t b[8];
} be64;

#define RT_BYTES_LE(bits)                                                                \
	static inline uint##bits##_t le##bits##_get(le##bits x)                          \
	{                                                                                \
		uint##bits##_t v;                                                        \
		__builtin_memcpy(&v, x.b, sizeof(v));                                    \
		return v;                                                                \
	}                                                                                \
	static inline le##bits le##bits##_make(uint##bits##_t v)                         \
	{                                                                                \
		le##bits x;                                                              \
		__builtin_memcpy(x.b, &v, sizeof(v));                                    \
		return x;                                                                \
	}
#define RT_BYTES_BE(bits)                                                                \
	static inline uint##bits##_t be##bits##_get(be##bits x)                          \
	{                                                                                \
		uint##bits##_t v;                                                        \
		__builtin_memcpy(&v, x.b, sizeof(v));                                    \
		return __builtin_bswap##bits(v);                                         \
	}                                                                                \
	static inline be##bits be##bits##_make(uint##bits##_t v)                         \
	{                                                                                \
		be##bits x;                                                              \
		v = __builtin_bswap##bits(v);                                            \
		__builtin_memcpy(x.b, &v, sizeof(v));                                    \
		return x;                                                                \
	}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian hosts only");

RT_BYTES_LE(16)
RT_BYTES_LE(32)
RT_BYTES_LE(64)
RT_BYTES_BE(16)
RT_BYTES_BE(32)
RT_BYTES_BE(64)

#undef RT_BYTES_LE
#undef RT_BYTES_BE

#endif
