# SPDX-License-Identifier: BSD-3-Clause
# Assignments of `lvalue` outside of the functions named in `allowed`; and, at the end, a
# function of these that assigns it nowhere.

BEGIN {
	n = split(allowed, names, " ")
	for (i = 1; i <= n; i++)
		may[names[i]] = 1
}

!directive && /^[A-Za-z_].*\(/ && code !~ /;[ \t]*$/ {
	match(code, /[A-Za-z0-9_]+\(/)
	function_name = substr(code, RSTART, RLENGTH - 1)
}

!directive && code ~ "(^|[^A-Za-z0-9_])" lvalue "[ \t]*(=[^=]|=$|[-+|&^]=)" {
	if (function_name in may)
		used[function_name] = 1
	else
		complain(FNR, "assigns " lvalue ", which is for " allowed)
}

!directive && /^\}/ {
	function_name = ""
}

END {
	for (name in may)
		if (!(name in used))
			print table ": " name "() assigns " lvalue " nowhere"
}
