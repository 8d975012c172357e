// SPDX-License-Identifier: BSD-3-Clause
#include "fec/code.h"

#include <errno.h>
#include <string.h>

#include "fec/fec.h"
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
	return code == FEC_NONE || code == FEC_WINDOW;
}

int fec_params_check(const struct fec_params *params)
{
	if ((unsigned)params->code >= RT_ARRAY_LEN(code_names))
		return -EINVAL;
	if (!fec_code_available(params->code))
		return -ENOTSUP;
	if (params->symbol_size == 0 || params->symbol_size > FEC_SYMBOL_MAX ||
	    params->symbol_size % FEC_SYMBOL_ALIGN)
		return -EINVAL;
	if (params->code == FEC_WINDOW &&
	    (params->window == 0 || params->window > FEC_WINDOW_MAX))
		return -EINVAL;
	return 0;
}
