/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NBD_SERVER_ERROR_H
#define NBD_SERVER_ERROR_H

#include <stdint.h>

/*
 * The protocol's error for `res`, 0 or -errno. It has eight values; an error that has none
 * of its own is an I/O error.
 */
uint32_t nbds_error(int res);

#endif
