#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What a person is asked to do must be something that the command does: each
# "wanmirror VERB" in a string of the sources names a verb of the table in
# control/command.c. "wanmirror data" and the like are labels of keys, and of formats.
. "$(dirname "$0")/lib.sh"

table=control/command.c
labels="control data datagram datagrams store"
verbs=$(sed -n 's/^	{ "\([a-z]*\)", [A-Z].*/\1/p' "$table" 2>/dev/null)
[ -n "$verbs" ] || [ ! -f "$table" ] || echo "$table:1: where are its verbs?" >"$complaints"
files "$rooms" c h | while read -r file; do
	# Strings that follow each other are one.
	tr '\n\t' '  ' <"$file" | sed 's/" *"//g' |
		grep -oE '"([^"\\]|\\.)*"' | grep -oE 'wanmirror [a-z]+' | sort -u |
		while read -r name verb; do
			case " $(echo $verbs $labels) " in
			*" $verb "*) ;;
			*) echo "$file:1: \"$name $verb\", but there is no such verb" ;;
			esac
		done
done >>"$complaints"
verdict
