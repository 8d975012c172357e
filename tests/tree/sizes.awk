# SPDX-License-Identifier: BSD-3-Clause
# Sizes that keep a file readable. The formatter puts the braces of a function into
# column one and one tab per level, which is what this relies on.

BEGIN {
	max_function = 70
	max_file = 700
	max_params = 6
	max_nesting = 4
}

# The parameters of the function that `text`, a statement at file scope, declares.
function params(text,    i, n, c, depth, count)
{
	if (text ~ /^[ \t]*(static_assert|_Static_assert)/)
		return 0
	if (!match(text, /[A-Za-z0-9_][ \t]*\(/))
		return 0
	if (index(substr(text, 1, RSTART), "="))
		return 0
	n = length(text)
	count = 1
	depth = 0
	for (i = RSTART + RLENGTH - 1; i <= n; i++) {
		c = substr(text, i, 1)
		if (c == "(")
			depth++
		else if (c == ")" && --depth == 0)
			break
		else if (c == "," && depth == 1)
			count++
	}
	return count
}

function statement_ends()
{
	gsub(/__attribute__[ \t]*\(\([^)]*(\([^)]*\))?[^)]*\)\)/, "", statement)
	if (params(statement) > max_params)
		complain(statement_line, "more than " max_params " parameters")
	statement = ""
}

# Follows braces through a line; at file scope it collects statements.
function follow(line,    i, n, c)
{
	n = length(line)
	for (i = 1; i <= n; i++) {
		c = substr(line, i, 1)
		if (c == "{") {
			if (depth == 0)
				statement_ends()
			depth++
			if (in_function && depth == max_nesting + 2)
				complain(FNR, "nesting of more than " max_nesting)
		} else if (c == "}") {
			if (depth > 0)
				depth--
			statement = ""
		} else if (depth == 0) {
			if (c == ";") {
				statement_ends()
				continue
			}
			if (statement == "" && c ~ /[ \t]/)
				continue
			if (statement == "")
				statement_line = FNR
			statement = statement c
		}
	}
	if (depth == 0 && statement != "")
		statement = statement " "
}

FNR == 1 {
	depth = 0
	statement = ""
	in_function = 0
}

FNR == max_file + 1 {
	complain(FNR, "file of more than " max_file " lines")
}

!directive && /^\{/ {
	in_function = 1
	function_line = FNR
}

!directive && in_function && code ~ /^\t+(if|for|while|switch|do)([^A-Za-z0-9_]|$)/ {
	match(code, /^\t+/)
	if (RLENGTH > max_nesting)
		complain(FNR, "nesting of more than " max_nesting)
}

!directive {
	follow(code)
}

!directive && /^\}/ && in_function {
	in_function = 0
	depth = 0
	if (FNR - function_line - 1 > max_function)
		complain(function_line, "function of " FNR - function_line - 1 " lines")
}
