/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REPLICATOR_CODEC_H
#define REPLICATOR_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Little-endian fields in and out of a bounded buffer, with a sticky error: after the
 * first field that does not fit, writing does nothing and reading gives zeros, and `bad`
 * stays set. Check it once, at the end.
 */
struct writer {
	uint8_t *at;
	size_t left;
	bool bad;
};

struct reader {
	const uint8_t *at;
	size_t left;
	bool bad;
};

void writer_init(struct writer *w, void *buf, size_t size);
void put_u8(struct writer *w, uint8_t v);
void put_u16(struct writer *w, uint16_t v);
void put_u32(struct writer *w, uint32_t v);
void put_u64(struct writer *w, uint64_t v);
void put_bytes(struct writer *w, const void *p, size_t len);
/* A name of at most `size` - 1 characters: a length byte, then the characters. */
void put_name(struct writer *w, const char *name);

void reader_init(struct reader *r, const void *buf, size_t len);
uint8_t get_u8(struct reader *r);
uint16_t get_u16(struct reader *r);
uint32_t get_u32(struct reader *r);
uint64_t get_u64(struct reader *r);
void get_bytes(struct reader *r, void *p, size_t len);
/* Into `buf` of `size` bytes, with a terminating 0; bad if longer or with a 0 inside. */
void get_name(struct reader *r, char *buf, size_t size);
/* Everything was there and nothing is left over. */
bool reader_done(const struct reader *r);

#endif
