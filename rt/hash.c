// SPDX-License-Identifier: BSD-3-Clause
#include "rt/hash.h"

#include "rt/bytes.h"

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t hash_rotl(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = hash_rotl(s->v1, 13) ^ s->v0;
	s->v3 = hash_rotl(s->v3, 16) ^ s->v2;
	s->v0 = hash_rotl(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = hash_rotl(s->v1, 17) ^ s->v2;
	s->v3 = hash_rotl(s->v3, 21) ^ s->v0;
	s->v2 = hash_rotl(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t m)
{
	s->v3 ^= m;
	sip_round(s);
	sip_round(s);
	s->v0 ^= m;
}

uint64_t rt_siphash(uint64_t k0, uint64_t k1, const void *p, size_t len)
{
	/* The constants are the ASCII text "somepseudorandomlygeneratedbytes". */
	struct sip s = {
		k0 ^ UINT64_C(0x736f6d6570736575),
		k1 ^ UINT64_C(0x646f72616e646f6d),
		k0 ^ UINT64_C(0x6c7967656e657261),
		k1 ^ UINT64_C(0x7465646279746573),
	};
	const uint8_t *b = p;
	uint64_t last = (uint64_t)len << 56;
	size_t left = len;

	for (; left >= 8; left -= 8, b += 8) {
		le64 word;

		__builtin_memcpy(word.b, b, sizeof(word.b));
		sip_word(&s, le64_get(word));
	}
	while (left--)
		last |= (uint64_t)b[left] << (8 * left);
	sip_word(&s, last);
	s.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
