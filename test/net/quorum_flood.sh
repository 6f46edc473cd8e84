#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An ensemble of three zokords keeps its leader, and every frame between the members, while clients
# flood two of them: with one device for both, where the quorum has a queue of its own or not, and
# with dp.peerDevice. Namespaces of its own. Ends with `N passed, N failed`.
set -u
cd "$(dirname "$0")/../.." || exit 1
zokord=${ZOKORD:-build/zokord}
if [ "$(id -u)" -ne 0 ]; then
	echo "needs root"
	exit 125
fi
[ -x "$zokord" ] || { echo "$zokord is not built"; exit 1; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# shellcheck source=test/lib/verdict.sh
. test/lib/verdict.sh

for mode in queue software own; do
	mkdir "$dir/$mode"
	out=$(timeout 60 unshare --net --pid --mount --fork --kill-child --mount-proc \
		/usr/bin/python3 test/net/quorum_flood.py $mode "$zokord" "$dir/$mode" 2 2>&1)
	rc=$?
	ok "$mode: the quorum does not feel a flood of requests" $rc \
		"$out"$'\n'"$(tail -n 5 "$dir/$mode"/*/log)"
	[ $rc -eq 0 ] && echo "     ${out//$'\n'/$'\n'     }"
done
echo "$pass passed, $fail failed"
[ "$fail" -eq 0 ]
