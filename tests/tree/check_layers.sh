#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# An include that the layer table (layers.txt) does not allow.
. "$(dirname "$0")/lib.sh"

# The room of a file: the folder it lies in.
allowed() # including-file included-file
{
	own=${1%/*}
	[ "$own" != "${2%/*}" ] || return 0
	while read -r who may; do
		case $who in
		'' | '#'*) continue ;;
		esac
		# shellcheck disable=SC2254 # a pattern on purpose
		case $1 in
		$who) ;;
		*) continue ;;
		esac
		set -f
		for pattern in $may; do
			# shellcheck disable=SC2254
			case $2 in
			$pattern)
				set +f
				return 0
				;;
			esac
		done
		set +f
		return 1
	done <"$here/layers.txt"
	return 1
}

files "$rooms" c h | xargs -r grep -n '^[ 	]*#[ 	]*include[ 	]*"' /dev/null |
	while IFS=: read -r file line text; do
		target=${text#*\"}
		target=${target%%\"*}
		allowed "$file" "$target" ||
			echo "$file:$line: may not include \"$target\""
	done >"$complaints"
# The engine has one thread per group and asks only rt/loop for the time.
files "$engine" c h |
	xargs -r grep -nE '^[ 	]*#[ 	]*include[ 	]*<(pthread|time|sys/time|threads)\.h>' /dev/null |
	sed 's/:[ \t]*#[ \t]*include/: may not include/' >>"$complaints"
verdict
