# SPDX-License-Identifier: BSD-3-Clause
# A document's paragraph, or item of a list, has at most five sentences; tables, headings,
# code and pictures are none.

BEGIN {
	max_sentences = 5
}

function paragraph_ends(    n)
{
	n = gsub(/[.?!]["*]?( |$)/, "&", paragraph)
	if (n > max_sentences)
		print file ":" start ": paragraph of " n " sentences"
	paragraph = ""
}

FNR == 1 {
	paragraph_ends()
	file = FILENAME
	in_code = 0
}

/^```/ {
	in_code = !in_code
	paragraph_ends()
	next
}

in_code {
	next
}

/^(\||#|<|    |$)/ {
	paragraph_ends()
	next
}

/^([0-9]+\.|-) / {
	paragraph_ends()
	sub(/^[0-9]+\. /, "")
}

{
	if (paragraph == "")
		start = FNR
	paragraph = paragraph " " $0
}

END {
	paragraph_ends()
}
