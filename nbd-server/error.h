/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NBD_SERVER_ERROR_H
#define NBD_SERVER_ERROR_H

#include <stdint.h>

/*
 * What a client is told about `res`, 0 or -errno. The protocol has eight values; whatever
 * has none of its own is an I/O error.
 */
uint32_t nbds_error(int res);

#endif
