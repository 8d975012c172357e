# SPDX-License-Identifier: BSD-3-Clause
# table.sh BUILD: what the benches have written to BUILD/bench as one table. It tells where
# a goal is missed, and does not fail for it: a figure is not a test.
dir=$1/bench
echo
cat "$dir"/conditions 2>/dev/null
printf '\n%-4s %-76s %14s %-14s %-14s\n' id what figure "this issue" "final goal"
cat "$dir/disk" "$dir/modes" "$dir/fec" "$dir/tunnel" "$dir/path" "$dir/line" "$dir/share" "$dir/flight" "$dir/postgres" 2>/dev/null | awk -F '|' '
# "" if there is no goal, else whether the figure reaches it.
function verdict(figure, goal, number, want)
{
	if (goal == "-")
		return ""
	number = figure + 0
	want = substr(goal, 3) + 0
	if (substr(goal, 1, 2) == ">=" ? number >= want : number <= want)
		return " ok"
	missed++
	return " MISSED"
}
{
	printf "%-4s %-76s %14s %-14s %-14s\n", $1, $2, $3, $4 verdict($3, $4), $5 verdict($3, $5)
}
END {
	print missed ? "\n" missed " goals are missed." : "\nNo goal is missed."
}'
