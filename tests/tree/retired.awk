# SPDX-License-Identifier: BSD-3-Clause
# Uses of the words of words.txt (mode=words), one a row for baseline.awk: key, count,
# place and word. A name counts once in the whole tree, other uses each.

function add_word(row,    part, n)
{
	n = split(row, part, / *\| */)
	if (part[1] == "-") {
		phrases++
		phrase[phrases] = " " part[2] " "
		return
	}
	if (part[1] == "=") {
		stays[part[2]] = 1
		return
	}
	if (n != 4) {
		print "bad-row\t1\t" FILENAME ":" FNR ": wants a word, what to write, where, places"
		return
	}
	words++
	word[words] = part[1]
	instead[words] = part[2]
	where[words] = part[3]
	places[words] = " " part[4] " "
	first = part[1]
	sub(/ .*/, "", first)
	begins[first] = begins[first] " " words
}

# Whether a word is retired for a file in this folder.
function holds_here(w,    at, i, n, part)
{
	if ((w, FILENAME) in here)
		return here[w, FILENAME]
	n = split(places[w], part, " ")
	here[w, FILENAME] = 0
	for (i = 1; i <= n; i++) {
		at = part[i]
		if (at == FILENAME || index(FILENAME, at "/") == 1 || at == folder "/.")
			here[w, FILENAME] = 1
	}
	return here[w, FILENAME]
}

function used(kind, w, what)
{
	key = kind " " (kind == "name" ? "" : (kind == "comment" ? folder : FILENAME) " ") word[w]
	print key "\t1\t" FILENAME ":" FNR ": " what " -> " instead[w]
	counted[kind == "name" ? id : ""] = 1
}

# Looks for retired words in `text`: words with one blank between them.
function look_at(kind, mark, text,    n, part, i, j, list, m, w)
{
	n = split(text, part, " ")
	for (i = 1; i <= n; i++) {
		if (!(part[i] in begins))
			continue
		m = split(begins[part[i]], list, " ")
		for (j = 1; j <= m; j++) {
			w = list[j]
			if (index(where[w], mark) && holds_here(w) &&
			    (word[w] == part[i] || word[w] == part[i] " " part[i + 1]))
				used(kind, w, kind == "name" ? id : "\"" word[w] "\"")
		}
	}
}

# `text` without the phrases that say something else.
function without_phrases(text,    i, at)
{
	for (i = 1; i <= phrases; i++)
		while ((at = index(text, phrase[i])) > 0)
			text = substr(text, 1, at) substr(text, at + length(phrase[i]) - 1)
	return text
}

function prose(kind, mark, text)
{
	gsub(/`[^`]*`/, " ", text)
	gsub(/"[^"]*"/, " ", text)
	text = " " tolower(text) " "
	gsub(/[^a-z_()]+/, " ", text)
	text = without_phrases(text)
	# Names of the code that prose mentions are counted where they are defined.
	gsub(/[a-z]+_[a-z_]*/, " ", text)
	gsub(/[a-z]+\(\)/, " ", text)
	gsub(/[()_]/, " ", text)
	look_at(kind, mark, text)
}

function names(text,    parts)
{
	while (match(text, /[A-Za-z_][A-Za-z0-9_]+/)) {
		id = substr(text, RSTART, RLENGTH)
		text = substr(text, RSTART + RLENGTH)
		if ((id, folder) in judged)
			continue
		judged[id, folder] = 1
		parts = tolower(id)
		gsub(/[_0-9]+/, " ", parts)
		if (!(id in counted) && !(id in stays))
			look_at("name", "n", without_phrases(" " parts " "))
	}
}

mode == "words" {
	if ($0 !~ /^(#|$)/)
		add_word($0)
	next
}

FNR == 1 {
	folder = FILENAME
	if (!sub(/\/[^\/]*$/, "", folder))
		folder = "."
	is_c = FILENAME ~ /\.[ch]$/
	is_document = FILENAME ~ /\.(md|[158])$/
	engine = FILENAME ~ /^(rt|fec|lfs|replicator|nbd-server|control)\//
}

is_c {
	if (engine && !directive)
		names(code)
	if (comment != "")
		prose("comment", "c", comment)
	# What people read: events, and texts of status and refusals.
	if (engine && strings != "" && code !~ /^[ \t]*#[ \t]*include/)
		prose("string", "s", strings)
	next
}

is_document {
	if ($0 !~ /^(\.[A-Z]|    )/)
		prose("document", "d", $0)
	next
}

/^[ \t]*# / {
	prose("comment", "c", $0)
}
