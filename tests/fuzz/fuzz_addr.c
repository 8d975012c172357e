// SPDX-License-Identifier: BSD-3-Clause
/* fuzz-links: rt */
/*
 * Addresses from configurations and commands: refused, or printed so that the same
 * address is read again. The same bytes, quoted for the log, stay in their buffer and on
 * one line.
 */
#include <stdint.h>
#include <string.h>

#include "rt/addr.h"
#include "rt/check.h"
#include "rt/log.h"

#define TEXT_MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void addr_read(const char *text)
{
	char printed[RT_ADDR_TEXT_MAX];
	struct rt_addr addr, again;

	if (rt_addr_parse(text, &addr) < 0)
		return;
	rt_assert(addr.kind != RT_ADDR_NONE);
	rt_assert(rt_addr_parse(rt_addr_format(&addr, printed), &again) == 0);
	rt_assert(rt_addr_equal(&addr, &again));
	rt_assert(memcmp(&addr, &again, sizeof(addr)) == 0);
}

static void text_quote(const char *text, unsigned size)
{
	char quoted[TEXT_MAX + 3];
	size_t len = strlen(rt_log_quote(quoted, size, text));

	rt_assert(len >= 2 && len < size);
	rt_assert(quoted[0] == '"' && quoted[len - 1] == '"');
	for (size_t i = 0; i < len; i++)
		rt_assert(quoted[i] >= ' ' && quoted[i] < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[TEXT_MAX];

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	addr_read(text);
	text_quote(text, 3 + (unsigned)size);
	return 0;
}
