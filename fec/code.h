/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_CODE_H
#define FEC_CODE_H

#include <stdbool.h>
#include <stdint.h>

struct fec_params;

/* Most symbols that a decoder holds; with FEC_SYMBOL_MAX that is more than any memory. */
#define FEC_CAPACITY_MAX (1u << 26)

/* An encoder's: 0 or -EINVAL. */
int fec_params_check(const struct fec_params *params);
bool fec_symbol_size_possible(uint16_t size);

#endif
