/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_BENCH_TURN_H
#define TESTS_BENCH_TURN_H

#include <stddef.h>
#include <stdint.h>

struct nbd_handle;

#define TURN_MAX 16

/*
 * One turn of a client's loop: waits until something happens on one of n (at most
 * TURN_MAX) connections, or until_ns has come, and lets libnbd do what can be done.
 * A negative errno once a connection has ended.
 */
int turn(struct nbd_handle *const nbd[], size_t n, uint64_t until_ns);

#endif
