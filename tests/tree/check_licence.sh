#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A source without its SPDX line: the first line, or the second behind a #! line.
. "$(dirname "$0")/lib.sh"

files . c h sh awk mk txt py | { cat; ls Makefile .ci/run 2>/dev/null; } | xargs -r awk '
	FNR == 1 {
		want = "SPDX-License-Identifier: BSD-3-Clause"
		if (FILENAME ~ /\.c$/)
			want = "// " want
		else
			want = FILENAME ~ /\.h$/ ? "/* " want " */" : "# " want
	}
	FNR > 2 {
		next # mawk has no nextfile
	}
	$0 == want && (FNR == 1 || first ~ /^#!/) {
		good[FILENAME] = 1
	}
	FNR == 1 {
		first = $0
		wanted[FILENAME] = want
	}
	END {
		for (i = 1; i < ARGC; i++)
			if (!(ARGV[i] in good))
				print ARGV[i] ":1: does not begin with \"" wanted[ARGV[i]] "\""
	}' >"$complaints"
verdict
