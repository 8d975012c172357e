# SPDX-License-Identifier: BSD-3-Clause
# Complains of calls of the functions in `names` (joined by |). A member of that name
# (x->read(), .read = ...) is not one.

BEGIN {
	n_names = split(names, list, "|")
	for (i = 1; i <= n_names; i++)
		banned[list[i]] = 1
}

{
	rest = code
	before = ""
	while (match(rest, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
		name = substr(rest, RSTART, RLENGTH - 1)
		sub(/[ \t]+$/, "", name)
		last = RSTART > 1 ? substr(rest, RSTART - 1, 1) : before
		if ((name in banned) && last !~ /[.>0-9]/)
			complain(FNR, "call of " name "()")
		before = "("
		rest = substr(rest, RSTART + RLENGTH)
	}
}
