#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Names at file scope (names.awk): more static functions without a noun, structs of many
# fields, or files of one name than baseline.txt still allows.
. "$(dirname "$0")/lib.sh"

files "$rooms" c h | xargs -r awk -f "$here/c.awk" -f "$here/names.awk" | over_baseline
verdict
