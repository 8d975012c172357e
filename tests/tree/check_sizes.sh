#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Functions of more than 70 lines or six parameters, nesting of more than four, files of
# more than 700 lines; a document's paragraphs of more than five sentences.
. "$(dirname "$0")/lib.sh"

files . c h | over_c "$here/sizes.awk"
files . sh awk mk py | xargs -r awk '
	FNR == 701 { print FILENAME ":701: file of more than 700 lines" }
' >>"$complaints"
files "docs README.md" md | xargs -r awk -f "$here/paragraphs.awk" >>"$complaints"
verdict
