/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SIM_SECURE_SIM_H
#define TESTS_SIM_SECURE_SIM_H

#include <stddef.h>
#include <stdint.h>

/*
 * The handshakes that follow draw their randomness from this seed, one after the other:
 * the same seed and the same order of connections give the same bytes on the wire.
 */
void secure_sim_seed(uint64_t seed);

/*
 * The first message of a stranger without the key that an accepting side answers. Bytes
 * written to `buf`.
 */
size_t secure_sim_ask(uint8_t *buf, size_t size);

#endif
