#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A document or a comment that names what does not exist: a path of the tree, a source
# file, a function as name(), a struct, a target of make, a key of the configuration, a
# section as docs/NAME.md, "Section". A prototype behind a comment that begins "NAME.c:" is
# defined in that file. Names that others own stand in tests/tree/foreign.txt.
. "$(dirname "$0")/lib.sh"

facts=$(mktemp) || exit 2
trap 'rm -f "$complaints" "$facts" "$facts.files"' EXIT
find . \( -name .git -o -name 'build' -o -name 'build-*' \) -prune -o -type f -print |
	sed 's,^\./,,' >"$facts.files"
{
	sed 's/#.*//' tests/tree/foreign.txt 2>/dev/null
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -pnqrR B=build/none 2>/dev/null |
		sed -n 's/^\([a-z][a-z-]*\):.*/target \1/p'
	sed -n 's/^.*{ *"\([a-z_]*\)".*/key \1/p;s/^.*\.name = "\([a-z_]*\)".*/key \1/p' \
		control/config_schema.c 2>/dev/null
} >"$facts"
# What is listed here is read as text: C with its comments, scripts with theirs, documents.
grep -E '\.([ch]|sh|awk|mk|md|[158])$|^Makefile$' "$facts.files" | sort |
	xargs -r awk -f "$here/c.awk" -f "$here/references.awk" mode=files "$facts.files" \
		mode=facts "$facts" mode=text >"$complaints"
verdict
