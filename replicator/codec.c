// SPDX-License-Identifier: BSD-3-Clause
#include "replicator/codec.h"

#include <string.h>

#include "rt/bytes.h"
#include "rt/check.h"

void writer_init(struct writer *w, void *buf, size_t size)
{
	*w = (struct writer){ .at = buf, .left = size };
}

void put_bytes(struct writer *w, const void *p, size_t len)
{
	if (w->bad || len > w->left) {
		w->bad = true;
		return;
	}
	if (len == 0)
		return;
	memcpy(w->at, p, len);
	w->at += len;
	w->left -= len;
}

void put_u8(struct writer *w, uint8_t v)
{
	put_bytes(w, &v, sizeof(v));
}

void put_u16(struct writer *w, uint16_t v)
{
	le16 x = le16_make(v);

	put_bytes(w, &x, sizeof(x));
}

void put_u32(struct writer *w, uint32_t v)
{
	le32 x = le32_make(v);

	put_bytes(w, &x, sizeof(x));
}

void put_u64(struct writer *w, uint64_t v)
{
	le64 x = le64_make(v);

	put_bytes(w, &x, sizeof(x));
}

void put_name(struct writer *w, const char *name)
{
	size_t len = strlen(name);

	rt_assert(len <= UINT8_MAX);
	put_u8(w, (uint8_t)len);
	put_bytes(w, name, len);
}

void reader_init(struct reader *r, const void *buf, size_t len)
{
	*r = (struct reader){ .at = buf, .left = len };
}

void get_bytes(struct reader *r, void *p, size_t len)
{
	if (r->bad || len > r->left) {
		r->bad = true;
		memset(p, 0, len);
		return;
	}
	if (len == 0)
		return;
	memcpy(p, r->at, len);
	r->at += len;
	r->left -= len;
}

uint8_t get_u8(struct reader *r)
{
	uint8_t v;

	get_bytes(r, &v, sizeof(v));
	return v;
}

uint16_t get_u16(struct reader *r)
{
	le16 x;

	get_bytes(r, &x, sizeof(x));
	return le16_get(x);
}

uint32_t get_u32(struct reader *r)
{
	le32 x;

	get_bytes(r, &x, sizeof(x));
	return le32_get(x);
}

uint64_t get_u64(struct reader *r)
{
	le64 x;

	get_bytes(r, &x, sizeof(x));
	return le64_get(x);
}

void get_name(struct reader *r, char *buf, size_t size)
{
	uint8_t len = get_u8(r);

	if (len >= size) {
		r->bad = true;
		len = 0;
	}
	get_bytes(r, buf, len);
	buf[len] = 0;
	if (strlen(buf) != len)
		r->bad = true;
}

bool reader_done(const struct reader *r)
{
	return !r->bad && r->left == 0;
}
