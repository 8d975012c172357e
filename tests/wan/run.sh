# SPDX-License-Identifier: BSD-3-Clause
# run.sh BUILD: the tests of the emulator, in both its forms.
. tests/wan/line.sh
failed=0
sh tests/wan/test_wanem.sh "$1" || failed=1
sh tests/wan/test_line.sh "$1" relay || failed=1
sh tests/wan/test_cuts.sh "$1" relay || failed=1
if why=$(line_can); then
	sh tests/wan/test_line.sh "$1" tun || failed=1
	sh tests/wan/test_cuts.sh "$1" tun || failed=1
	sh tests/wan/test_netns.sh "$1" || failed=1
elif [ "${CI:-}" = true ] && [ "$(id -u)" -eq 0 ]; then
	# A build machine that is root has no excuse.
	echo "wan: namespaces: may not be skipped here: $why"
	failed=1
else
	echo "wan: namespaces: skipped: $why"
fi
exit $failed
