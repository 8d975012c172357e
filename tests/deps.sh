#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `make deps`: every package of tests/deps.txt, or of the list that is named, is there
# afterwards, or this says with which one command, and stops. Quiet when there is nothing
# to do.
list=$(sed 's/#.*//' "${1:-$(dirname "$0")/deps.txt}" | awk 'NF { print $1 }')

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "deps: not a Debian system; these packages, by Debian's names, are needed:"
	echo "$list" | tr '\n' ' ' | fold -s -w 88 | sed 's/^/  /'
	echo
	exit 0
fi

# Sets `missing` to those that are not installed.
look()
{
	missing=
	for package in $list; do
		status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)
		[ "$status" = installed ] || missing="$missing $package"
	done
}

look
[ -n "$missing" ] || exit 0

install="apt-get install --yes --quiet --no-install-recommends$missing"
if [ "$(id -u)" -ne 0 ]; then
	echo "deps: packages are missing. As root:"
	echo
	echo "  $install"
	echo
	exit 1
fi

log=$(mktemp) || exit 2
trap 'rm -f "$log"' EXIT
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
echo "deps: installing$missing"
# shellcheck disable=SC2086 # a command line
if ! $install >"$log" 2>&1; then
	apt-get update --quiet >"$log" 2>&1 && $install >"$log" 2>&1 || {
		tail -n 20 "$log"
		echo "deps: could not install$missing"
		exit 1
	}
fi
look
[ -z "$missing" ] || {
	echo "deps: not installed after all:$missing"
	exit 1
}
