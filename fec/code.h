/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FEC_CODE_H
#define FEC_CODE_H

struct fec_params;

/* Most symbols that a decoder holds; with FEC_SYMBOL_MAX that is more than any memory. */
#define FEC_CAPACITY_MAX (1u << 26)

/* 0, -ENOTSUP for a code that is not there yet, -EINVAL out of range. */
int fec_params_check(const struct fec_params *params);

#endif
