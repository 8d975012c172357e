# SPDX-License-Identifier: BSD-3-Clause
# What documents and comments refer to by name. Reads first the list of all files of the
# tree, then (after mode=facts) foreign.txt, the targets of make and the names of sections
# of documents, then (after mode=text) sources and documents; complains at the end, when
# all that exists is known.

function claim(kind, name)
{
	claims++
	claim_kind[claims] = kind
	claim_name[claims] = name
	claim_place[claims] = FILENAME ":" FNR
	claim_folder[claims] = folder
}

# A name with a folder of the tree in front, or with an ending that files of the tree have.
function path_claim(token, before)
{
	sub(/[.,:-]+$/, "", token)
	if (before ~ /[<\/$\\%.~*+]/ || token ~ /[A-Z]/ && token !~ /README|Makefile/)
		return
	if (token ~ /^(rt|fec|lfs|replicator|nbd-server|control|etc|docs|tests)\/./)
		claim("path", token)
	else if (token ~ /^[a-z][a-z0-9_.\/-]*\.(c|h|sh|awk|md|mk)$/)
		claim("file", token)
}

# Splits `text` into tokens of file names.
function paths(text,    before, at)
{
	before = " "
	while (match(text, /[A-Za-z0-9_.\/*{},-]+/)) {
		if (RSTART > 1)
			before = substr(text, RSTART - 1, 1)
		at = RSTART + RLENGTH
		if (RLENGTH > 3)
			path_claim(substr(text, RSTART, RLENGTH), before)
		text = substr(text, at)
		before = "x"
	}
}

function functions(text,    before)
{
	while (match(text, /[A-Za-z_][A-Za-z0-9_]*\(\)/)) {
		before = RSTART > 1 ? substr(text, RSTART - 1, 1) : " "
		if (before !~ /[>.]/)
			claim("function", substr(text, RSTART, RLENGTH - 2))
		text = substr(text, RSTART + RLENGTH)
	}
}

function structs(text,    name)
{
	while (match(text, /(^|[^A-Za-z_])struct [a-z][a-z0-9_]*/)) {
		name = substr(text, RSTART, RLENGTH)
		sub(/^.*struct /, "", name)
		if (text ~ ("`struct " name) || name ~ /_/)
			claim("struct", name)
		text = substr(text, RSTART + RLENGTH)
	}
}

# `make NAME`, and an indented line that begins with it.
function targets(text,    name, rest)
{
	if (text ~ /^    make /)
		text = "`" substr(text, 5)
	while (match(text, /`make [a-zA-Z0-9=_, -]+/)) {
		rest = substr(text, RSTART + 6, RLENGTH - 6)
		text = substr(text, RSTART + RLENGTH)
		sub(/  .*/, "", rest)
		while (match(rest, /[^ ]+/)) {
			name = substr(rest, RSTART, RLENGTH)
			rest = substr(rest, RSTART + RLENGTH)
			if (name ~ /^[a-z][a-z-]*$/)
				claim("target", name)
		}
	}
}

# `key = "value"` of the configuration.
function keys(text,    name)
{
	while (match(text, /`[a-z_.]+ = ["0-9]/)) {
		name = substr(text, RSTART + 1, RLENGTH - 5)
		sub(/^.*\./, "", name)
		claim("key", name)
		text = substr(text, RSTART + RLENGTH)
	}
}

# docs/NAME.md, "Section"
function sections(text,    at, file)
{
	while (match(text, /docs\/[a-z0-9\/-]+\.md, "[^"]+"/)) {
		file = substr(text, RSTART, RLENGTH)
		text = substr(text, RSTART + RLENGTH)
		at = index(file, ",")
		claim("section", substr(file, 1, at - 1) " " substr(file, at + 3, length(file) - at - 3))
	}
}

function name_of(path)
{
	sub(/^.*\//, "", path)
	return path
}

mode == "files" {
	file[$0] = 1
	base[name_of($0)] = 1
	at = $0
	while (sub(/\/[^\/]*$/, "", at))
		dir[at] = 1
	next
}

mode == "facts" {
	known[$1 " " $2 ($3 == "" ? "" : " " $3)] = 1
	next
}

FNR == 1 {
	folder = FILENAME
	if (!sub(/\/[^\/]*$/, "", folder))
		folder = "."
	is_c = FILENAME ~ /\.[ch]$/
	is_document = FILENAME ~ /\.(md|[158])$/
}

# In a header, prototypes behind a comment that begins with the name of a source.
is_c && FNR == 1 {
	owner = ""
}

is_c && FILENAME ~ /\.h$/ && match($0, /^(\/\*| \*) [a-z0-9_]+\.c(:| \*\/)/) {
	owner = substr($0, 4, RLENGTH - 4 - 2 * ($0 ~ /\.c \*\/$/))
}

is_c && !directive && match(code, /^[a-z][A-Za-z0-9_ *]*[ *][a-z0-9_]+\(/) {
	text = substr(code, 1, RLENGTH - 1)
	sub(/^.*[ *]/, "", text)
	if (FILENAME ~ /\.c$/)
		known["definition " folder "/" name_of(FILENAME) " " text] = 1
	else if (owner != "" && code !~ /^(static|typedef)/)
		claim("definition", folder "/" owner " " text)
}

is_c {
	text = code
	while (match(text, /[A-Za-z_][A-Za-z0-9_]*\(/)) {
		known["function " substr(text, RSTART, RLENGTH - 1)] = 1
		text = substr(text, RSTART + RLENGTH)
	}
	if (match(code, /struct [a-z][a-z0-9_]*/))
		known["struct " substr(code, RSTART + 7, RLENGTH - 7)] = 1
	if (comment == "")
		next
	text = comment
}

!is_c && !is_document {
	if (match($0, /^(function )?[a-z_]+\(/)) {
		text = substr($0, 1, RLENGTH - 1)
		sub(/^function /, "", text)
		known["function " text] = 1
	}
	if ($0 !~ /^[ \t]*# /)
		next
	text = $0
}

# Macros of a manual that set words of the interface.
is_document && /^\.(It )?(Ic|Ql|Cm|Op) / && !/\.md/ {
	next
}

is_document {
	text = $0
	if (text ~ /^#+ /) {
		sub(/^#+ /, "", text)
		known["section " FILENAME " " text] = 1
		text = $0
	}
	targets(text)
	keys(text)
}

{
	paths(text)
	if (index(text, "()"))
		functions(text)
	if (index(text, "struct "))
		structs(text)
	if (index(text, ".md, \""))
		sections(text)
}

# Whether files of the tree fit the shell's pattern `token`: * stands for anything, and
# {a,b} for either.
function fits(token,    re, name)
{
	re = token
	gsub(/[.]/, "[.]", re)
	gsub(/[*]/, ".*", re)
	gsub(/[{]/, "(", re)
	gsub(/[}]/, ")", re)
	gsub(/,/, "|", re)
	re = "^" re "$"
	for (name in file)
		if (name ~ re)
			return 1
	return 0
}

function path_exists(token,    at)
{
	sub(/\/$/, "", token)
	if ((token in file) || (token in dir) || (token ".c") in file ||
	    (token ".h") in file || (token ".sh") in file)
		return 1
	if (token ~ /[*{]/)
		return fits(token)
	return 0
}

# A file without its folder, or with the end of its folder only.
function file_exists(token, folder)
{
	if ((folder "/" token) in file || (token in file) || ("replicator/" token) in file)
		return 1
	return index(token, "/") == 0 && (token in base)
}

END {
	for (i = 1; i <= claims; i++) {
		kind = claim_kind[i]
		name = claim_name[i]
		if (kind == "path")
			ok = path_exists(name)
		else if (kind == "file")
			ok = file_exists(name, claim_folder[i])
		else
			ok = 0
		if (!ok && !((kind " " name) in known))
			print claim_place[i] ": " kind " " name " is not in the tree"
	}
}
