# SPDX-License-Identifier: BSD-3-Clause
# Names at file scope, as rows for baseline.awk: a static function of one word, which does
# not say what it works on; a struct of more than 30 fields that is no configuration and no
# figures, with its count; and a source or header whose name another folder has, too.

BEGIN {
	max_fields = 30
}

FNR == 1 {
	in_struct = 0
	folder = name = FILENAME
	sub(/\/[^\/]*$/, "", folder)
	sub(/^.*\//, "", name)
	if (name in first_of) {
		if (!(name in twice))
			print "twice " name "\t1\t" first_of[name] ":1: another folder has a " name
		twice[name] = 1
		print "twice " name "\t1\t" FILENAME ":1: another folder has a " name
	} else {
		first_of[name] = FILENAME
	}
}

!directive && match(code, /^static [A-Za-z0-9_ *]*[ *][a-z0-9]+\(/) {
	name = substr(code, RSTART, RLENGTH - 1)
	sub(/^.*[ *]/, "", name)
	if (code !~ /;[ \t]*$/ && !((FILENAME, name) in seen))
		print "static " folder " " name "\t1\t" FILENAME ":" FNR ": " name "() has no noun"
	seen[FILENAME, name] = 1
}

# Declarators of a struct at file scope, also those of structs within.
!directive && match(code, /^(static )?(const )?struct [a-z0-9_]+ \{/) {
	in_struct = FNR
	name_of_struct = code
	sub(/^.*struct /, "", name_of_struct)
	sub(/ \{.*/, "", name_of_struct)
	fields = 0
	open = 0
	next
}

in_struct && /^\}/ {
	if (fields > max_fields && name_of_struct !~ /(config|params|status|stats)$/)
		print "fields " name_of_struct "\t" fields "\t" FILENAME ":" in_struct ": struct " \
			name_of_struct " of " fields " fields"
	in_struct = 0
}

# Commas count where they part declarators, and not in the arguments of a function.
in_struct && !directive {
	text = code
	while (match(text, /[(),;]/)) {
		c = substr(text, RSTART, 1)
		text = substr(text, RSTART + 1)
		if (c == "(")
			open++
		else if (c == ")")
			open--
		else if (open == 0)
			fields++
	}
}
