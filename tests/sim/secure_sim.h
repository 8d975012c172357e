/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_SIM_SECURE_SIM_H
#define TESTS_SIM_SECURE_SIM_H

#include <stdint.h>

/*
 * The handshakes that follow draw their randomness from this seed, one after the other:
 * the same seed and the same order of connections give the same bytes on the wire.
 */
void secure_sim_seed(uint64_t seed);

#endif
