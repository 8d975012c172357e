#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# tree.sh DIR: copies real files of this machine into DIR, at least 200 MB and several
# thousand of them, and says what it took. Whatever is installed: headers, libraries,
# programs, documents, in the order of their names, none over 16 MiB.
least_bytes=$((200 * 1000 * 1000))
least_files=4000
enough_bytes=$((215 * 1000 * 1000))

mkdir -p "$1" || exit 1
list=$1.list
# Small ones first, so that there are thousands before there are megabytes.
{
	find /usr/include /usr/share -xdev -type f -readable -size -32k -printf '%s %p\n'
	find /usr/lib /usr/bin /usr/share /usr/include -xdev -type f -readable \
		-size +31k -size -16384k -printf '%s %p\n'
} 2>/dev/null | awk -v small=5000 -v enough="$enough_bytes" '
	$2 ~ /[[:space:]\\]/ || NF != 2 || ($1 <= 31744 && ++n_small > small) { next }
	bytes < enough { print substr($2, 2); bytes += $1 }' >"$list"
tar -C / -cf - -T "$list" 2>/dev/null | tar -C "$1" -xf - --no-same-owner || exit 1
rm -f "$list"
files=$(find "$1" -type f | wc -l)
bytes=$(find "$1" -type f -printf '%s\n' | awk '{ n += $1 } END { printf "%d", n }')
if [ "$files" -lt $least_files ] || [ "$bytes" -lt $least_bytes ]; then
	echo "only $files files with $bytes bytes were found in /usr"
	exit 1
fi
echo "$files files, $((bytes / 1000000)) MB"
