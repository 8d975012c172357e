# SPDX-License-Identifier: BSD-3-Clause
# Functions without their file's noun, as rows for baseline.awk: one word of a function's
# name must be one of the file's name, the last word of a struct's or enum's that the file
# or its own header defines, or stand in the file's row of nouns.txt (read first,
# mode=nouns): "FILE noun... # why". A noun of a row that no name needs is a row, too.
# Plurals count as singulars.

function singular(word)
{
	if (length(word) > 3)
		sub(/s$/, "", word)
	return word
}

function add(file, word)
{
	nouns[file, singular(word)] = 1
}

# The words of the name of file `stem` are nouns of it.
function add_name(stem,    name, words, n, i)
{
	name = stem
	sub(/^.*\//, "", name)
	n = split(name, words, /[_-]/)
	for (i = 1; i <= n; i++)
		add(stem, words[i])
}

mode == "nouns" {
	if ($0 ~ /^(#|$)/)
		next
	if ($0 !~ /^[^ ]+( +[a-z0-9]+)+ +# ./) {
		print "nouns.txt:" FNR "\t1\t" FILENAME ":" FNR \
			": wants a file, its nouns, and after a # why"
		next
	}
	stem = $1
	sub(/\.c$/, "", stem)
	for (i = 2; $i != "#"; i++)
		row[stem, singular($i)] = FILENAME ":" FNR ": " $1 " needs no noun " $i
	next
}

FNR == 1 {
	stem = FILENAME
	source = sub(/\.c$/, "", stem)
	sub(/\.h$/, "", stem)
	add_name(stem)
}

!directive && match(code, /^[ \t]*(static )?(const )?(struct|enum|union) [a-z0-9_]+ \{/) {
	tag = substr(code, RSTART, RLENGTH - 2)
	sub(/^.*[ _]/, "", tag)
	add(stem, tag)
}

{
	gsub(/__attribute__\(\([^()]*(\([^()]*\))?\)\) */, "", code)
}

source && !directive && code !~ /^typedef / &&
		match(code, /^[a-z][A-Za-z0-9_ *]*[ *][a-z0-9_]+\(/) {
	name = substr(code, RSTART, RLENGTH - 1)
	sub(/^.*[ *]/, "", name)
	if (name != "main" && !((stem, name) in seen)) {
		seen[stem, name] = 1
		place[++functions] = FILENAME ":" FNR ": "
		name_of[functions] = name
		stem_of[functions] = stem
	}
}

END {
	for (f = 1; f <= functions; f++) {
		stem = stem_of[f]
		n = split(name_of[f], words, "_")
		found = 0
		for (i = 1; i <= n; i++)
			if ((stem, singular(words[i])) in nouns)
				found = 1
		for (i = 1; i <= n && !found; i++) {
			if ((stem, singular(words[i])) in row) {
				needed[stem, singular(words[i])] = 1
				found = 1
			}
		}
		if (!found)
			print "noun " stem ".c\t1\t" place[f] name_of[f] \
				"() has no noun of its file"
	}
	for (key in row)
		if (!(key in needed))
			print "nouns.txt\t1\t" row[key]
}
