/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_PROCESS_H
#define CONTROL_PROCESS_H

#include <stdint.h>

/*
 * What a program of ours asks of its process before anything else, and what it tells people
 * when the system refuses.
 */

/* The deepest calls need 200 KiB, most of it for the risk of a code (fec/risk.h). */
#define PROCESS_STACK_MIN (UINT64_C(512) << 10)

/*
 * A write beyond RLIMIT_FSIZE fails from now on, and is no signal. 0, or -ENOMEM when the
 * stack may not grow as far as it has to; then `program` has said so on standard error.
 */
int process_prepare(const char *program);

/*
 * For what runs in the background: from its first moment on no client that leaves, no reader
 * of its log that ends and no hang-up ends it. SIGHUP waits until rt_signal() takes it.
 */
void process_prepare_signals(void);
/* Where standard error is the journal, the log says severities from now on. */
void process_prepare_log(void);

/*
 * What would help where the kernel has answered with `error` (negative): a part of a
 * sentence, with what to look at. "" when nothing is known that would.
 */
const char *process_hint(int error);
/* The same for rt_loop_new() and rt_loop_run(). */
const char *process_hint_loop(int error);

/* An error's line in the log: the event, what it is about, the error, and the hint if any. */
void process_complain(const char *event, const char *what, int error, const char *hint);

/*
 * Each NBD connection is a descriptor, and 1024 of them are few: ask for all that may be had.
 * `kept` are for the mirror, for people and for the log, for clients must not be able to use up
 * all of them; *connections is lowered to what is left. 0 or -errno, and the log says why.
 */
int process_descriptors(unsigned kept, uint32_t *connections);

#endif
