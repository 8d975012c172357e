# SPDX-License-Identifier: BSD-3-Clause
# What the checks of the tree share. A check runs with the tree to look at as its
# working directory, prints one line per complaint ("file:line: what") and returns 1 if
# there was one. It looks at files, not at commits, so that it also works on an archive.

here=$(cd "$(dirname "$0")" && pwd)
rooms="rt fec lfs replicator nbd-server control"
engine="fec lfs replicator nbd-server"
LC_ALL=C
export LC_ALL

# Files below the given places with one of the given endings: files "rt lfs" c h
files()
{
	places=
	for place in $1; do
		[ ! -e "$place" ] || places="$places $place"
	done
	shift
	[ -n "$places" ] || return 0
	expr=
	for ending; do
		expr="$expr${expr:+ -o} -name *.$ending"
	done
	set -f
	# shellcheck disable=SC2086 # lists of words
	find $places \( -name .git -o -name 'build' -o -name 'build-*' \) -prune -o \
		-type f \( $expr \) -print | sed 's,^\./,,' | sort
	set +f
}

# Runs awk with the C reader and the given program over the files named on standard
# input; the program calls complain().
over_c()
{
	xargs -r awk -f "$here/c.awk" -f "$1" >"$complaints"
}

# Judges rows of "key, count, place: what" by what tests/tree/baseline.txt still allows of
# each key. BASELINE names a file to which what it may shrink to is added.
over_baseline()
{
	allowed=tests/tree/baseline.txt
	[ -f "$allowed" ] || allowed=/dev/null
	awk -v out="${BASELINE:-}" -v first="${FIRST:-}" -f "$here/baseline.awk" mode=allowed \
		$allowed mode=uses - >"$complaints"
}

complaints=$(mktemp) || exit 2
trap 'rm -f "$complaints"' EXIT
trap 'exit 2' INT TERM

verdict()
{
	[ -s "$complaints" ] || exit 0
	cat "$complaints"
	exit 1
}
