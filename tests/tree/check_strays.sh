#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What patch, merge and editors leave beside the files they change.
. "$(dirname "$0")/lib.sh"

files . orig rej bak swp tmp 'c~' 'h~' 'sh~' 'md~' | sed 's/$/:1: a stray file/' >"$complaints"
verdict
