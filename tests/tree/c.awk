# SPDX-License-Identifier: BSD-3-Clause
# A reader of C that is just good enough to count things: before each line's rules run,
# `code` is the line without comments and without what is inside strings and character
# constants, `strings` is what is inside strings, `comment` is the text of its comments, and `directive` says whether it belongs
# to a preprocessor line. Lines and columns stay where they are, apart from what was taken
# out.

function complain(line, what)
{
	print FILENAME ":" line ": " what
}

# Takes one line of source, knows from the last whether a comment is open.
function strip(line,    out, i, n, c, two, quote)
{
	out = ""
	comment = " "
	n = length(line)
	quote = ""
	for (i = 1; i <= n; i++) {
		c = substr(line, i, 1)
		two = substr(line, i, 2)
		if (in_comment) {
			if (two == "*/") {
				in_comment = 0
				i++
			} else {
				comment = comment c
			}
		} else if (quote != "") {
			if (c == "\\") {
				i++
				strings = strings " "
			} else if (c == quote) {
				quote = ""
				out = out c
				strings = strings " "
			} else if (quote == "\"") {
				strings = strings c
			}
		} else if (two == "/*") {
			in_comment = 1
			i++
		} else if (two == "//") {
			comment = comment substr(line, i + 2)
			break
		} else {
			if (c == "\"" || c == "'")
				quote = c
			out = out c
		}
	}
	return out
}

FNR == 1 {
	in_comment = 0
	continued = 0
}

{
	comment = ""
	strings = ""
	code = in_comment || /["'\/]/ ? strip($0) : $0
	directive = continued || code ~ /^[ \t]*#/
	continued = directive && code ~ /\\$/
}
