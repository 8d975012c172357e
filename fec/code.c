// SPDX-License-Identifier: BSD-3-Clause
#include "fec/code.h"

#include <errno.h>
#include <string.h>

#include "fec/fec.h"
#include "fec/window.h"
#include "rt/check.h"

static const char *const code_names[] = {
	[FEC_NONE] = "none",
	[FEC_LAYERED] = "layered",
	[FEC_RS] = "rs",
	[FEC_WINDOW] = "window",
};

int fec_code_parse(const char *name, enum fec_code *ret)
{
	for (unsigned i = 0; i < RT_ARRAY_LEN(code_names); i++) {
		if (strcmp(name, code_names[i]) == 0) {
			*ret = (enum fec_code)i;
			return 0;
		}
	}
	return -ENOENT;
}

const char *fec_code_name(enum fec_code code)
{
	rt_assert((unsigned)code < RT_ARRAY_LEN(code_names));
	return code_names[code];
}

bool fec_code_available(enum fec_code code)
{
	return (unsigned)code < RT_ARRAY_LEN(code_names);
}

unsigned fec_layer_span(unsigned r, unsigned bins)
{
	return (r - 1) * bins + 1;
}

static bool params_layered_possible(const struct fec_params *params)
{
	if (params->r == 0 || params->r > FEC_BLOCK_MAX || params->c > FEC_LAYERS_MAX)
		return false;
	for (unsigned l = 0; l < params->c; l++) {
		unsigned bins = params->interleave[l];

		if (bins == 0 || bins > FEC_INTERLEAVE_MAX ||
		    fec_layer_span(params->r, bins) > FEC_SPAN_MAX)
			return false;
	}
	return true;
}

/* A block's rows differ in seven bits of their keys. */
static bool params_rs_possible(const struct fec_params *params)
{
	return params->r > 0 && params->r <= FEC_BLOCK_MAX &&
	       params->c <= WINDOW_CAUCHY_MAX && params->r + params->c < 256;
}

bool fec_symbol_size_possible(uint16_t size)
{
	return size > 0 && size <= FEC_SYMBOL_MAX && size % FEC_SYMBOL_ALIGN == 0;
}

int fec_params_check(const struct fec_params *params)
{
	bool possible = false;

	switch (params->code) {
	case FEC_NONE:
		possible = true;
		break;
	case FEC_LAYERED:
		possible = params_layered_possible(params);
		break;
	case FEC_RS:
		possible = params_rs_possible(params);
		break;
	case FEC_WINDOW:
		possible = params->window > 0 && params->window <= FEC_WINDOW_MAX;
		break;
	}
	return possible && fec_symbol_size_possible(params->symbol_size) ? 0 : -EINVAL;
}
