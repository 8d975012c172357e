# SPDX-License-Identifier: BSD-3-Clause
# doc.sh BUILD: puts the tables of the last full run into docs/experiments.md, between the
# lines "<!-- NAME -->" and "<!-- end -->", the conditions of each figure before them, and
# its rows into docs/experiments/.
B=$1
out=$B/experiments
doc=docs/experiments.md
mkdir -p docs/experiments || exit 1
for name in $(sed -n 's/^<!-- \([a-z0-9]*\) -->$/\1/p' $doc | grep -v '^end$'); do
	[ -s "$out/$name.md" ] || {
		echo "experiments-doc: $name has not been run"
		continue
	}
	{
		sed -n "s/^\($name\|$(echo "$name" | sed 's/^fig//')\): /Run on /p" "$out/conditions" |
			tail -n 1
		echo
		sed 's/ +- / ± /g' "$out/$name.md"
	} >"$out/$name.part"
	awk -v name="$name" -v part="$out/$name.part" '
		$0 == "<!-- " name " -->" {
			print
			while ((getline line < part) > 0) print line
			inside = 1
		}
		inside && $0 == "<!-- end -->" { inside = 0 }
		!inside && $0 != "<!-- " name " -->"' $doc >"$out/doc.new" && cp "$out/doc.new" $doc
	for file in "$out/$name".csv "$out/$name"-*.csv; do
		[ ! -s "$file" ] || cp "$file" docs/experiments/
	done
	echo "experiments-doc: $name"
done
