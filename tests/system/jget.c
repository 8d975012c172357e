// SPDX-License-Identifier: BSD-3-Clause
/*
 * jget PATH: one value of the JSON on standard input; PATH is names and indices with dots
 * between, "groups.0.state". Prints it without quotes; ends with 1 if there is none.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *step(json_t *at, const char *name)
{
	char *end;
	unsigned long i;

	if (!json_is_array(at))
		return json_object_get(at, name);
	i = strtoul(name, &end, 10);
	return *end ? NULL : json_array_get(at, i);
}

int main(int argc, char **argv)
{
	json_error_t error;
	json_t *root = json_loadf(stdin, 0, &error);
	json_t *at = root;
	char *path = argc == 2 ? argv[1] : NULL;
	char *name, *text;

	if (!path || !root) {
		(void)fprintf(stderr, "jget: %s\n", root ? "jget PATH" : error.text);
		return 2;
	}
	while (at && (name = strsep(&path, ".")))
		at = step(at, name);
	if (!at)
		return 1;
	if (json_is_string(at)) {
		puts(json_string_value(at));
	} else {
		text = json_dumps(at, JSON_ENCODE_ANY | JSON_COMPACT);
		puts(text);
		free(text);
	}
	json_decref(root);
	return 0;
}
