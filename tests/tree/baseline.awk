# SPDX-License-Identifier: BSD-3-Clause
# Rows of "key, count, place: what", with tabs between, against the old uses that
# baseline.txt (read first, mode=allowed) still allows: rows of "key count". Complains of
# every use of a key with more than that. With `out` set, writes there what baseline.txt
# may shrink to.

BEGIN {
	FS = "\t"
}

mode == "allowed" {
	if ($0 ~ /^(#|$)/)
		next
	at = match($0, / [0-9]+$/)
	if (!at) {
		print FILENAME ":" FNR ": wants a key and a count"
		next
	}
	allowed[substr($0, 1, at - 1)] = substr($0, at + 1) + 0
	next
}

{
	count[$1] += $2
	uses[$1] = uses[$1] $3 "\n"
	key[++rows] = $1
}

END {
	for (i = 1; i <= rows; i++) {
		k = key[i]
		if (k in judged)
			continue
		judged[k] = 1
		most = (k in allowed) ? allowed[k] : 0
		if (count[k] > most)
			printf "%s%s: %d, baseline.txt allows %d\n", uses[k], k, count[k], most
		if (out != "" && (most > 0 || first))
			print k " " (count[k] < most || first ? count[k] : most) >out
	}
}
