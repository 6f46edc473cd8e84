#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The network of the quorum (dp/loop/peer) beside real client cores against kernel sockets, in a
# network namespace of its own: on a shared TAP with one and two client cores, by a queue of its own
# and by software, and on a device of its own. Ends with `N passed, N failed`.
set -u
cd "$(dirname "$0")/../.." || exit 1
prog=${BUILD:-build}/test/net/peer_loop
if [ "$(id -u)" -ne 0 ]; then
	echo "needs root"
	exit 125
fi
[ -x "$prog" ] || { echo "$prog is not built"; exit 1; }
ns=zkpeer$$
dir=$(mktemp -d)
pid='' talker=''
# shellcheck source=test/lib/verdict.sh
. test/lib/verdict.sh
in_ns() { ip netns exec "$ns" "$@"; }

# shellcheck disable=SC2317 # called by the trap
cleanup() {
	[ -n "$talker" ] && kill "$talker" 2>/dev/null
	[ -n "$pid" ] && kill -KILL "$pid" 2>/dev/null
	ip netns del "$ns" 2>/dev/null
	rm -rf "$dir"
}
trap cleanup EXIT

start() { # ARGUMENTS...: until it serves
	: >"$dir/out" # here, not in the child: an old "ready" must not count
	ip netns exec "$ns" "$prog" tap:zk0 10.181.7.2 10.181.7.1 "$@" >>"$dir/out" 2>&1 &
	pid=$!
	for _ in $(seq 100); do
		grep -q '^ready' "$dir/out" && return 0
		kill -0 "$pid" 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}

stop_clean() {
	kill "$pid"
	wait "$pid"
	local rc=$?
	pid=
	[ $rc -eq 0 ] && grep -q '^clean' "$dir/out" && ! grep -q missing "$dir/out"
}

peer() { in_ns timeout 30 /usr/bin/python3 test/net/peer.py 10.181.7.1 "$address" "$@" 2>&1; }

# A killed server says nothing; the next one resets what it does not know.
restart() { # ARGUMENTS... of the server
	local out
	mkfifo "$dir/in"
	: >"$dir/talk" # an old "open" must not count
	peer restart <"$dir/in" >"$dir/talk" &
	talker=$!
	exec 4<>"$dir/in" # both ways: opening does not wait for the talker
	for _ in $(seq 100); do
		grep -q '^open' "$dir/talk" && break
		sleep 0.05
	done
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	echo killed >&4
	start "$@" || return 1
	kill -0 "$talker" 2>/dev/null && echo back >&4
	exec 4>&-
	wait "$talker"
	out=$?
	talker=
	rm "$dir/in"
	return $out
}

ip netns add "$ns" || exit 1
in_ns ip link set lo up
for mode in "shared, one core" "shared, two cores" "own queue, one core" "own queue, two cores" \
	"own device"; do
	address=10.181.7.1
	case $mode in
	shared*one*) args=(cores=1) ;;
	shared*two*) args=(cores=2) ;;
	*one*) args=(cores=1 queue=1) ;;
	*two*) args=(cores=2 queue=1) ;;
	*)
		args=(cores=1 "own=tap:zk1,10.181.8.2,10.181.8.1")
		address=10.181.8.1
		;;
	esac
	start "${args[@]}"
	ok "$mode: starts" $? "$(cat "$dir/out")"
	for what in talk dial refuse flood rebuild; do
		out=$(peer $what)
		ok "$mode: $what" $? "$out"
		[ $what = flood ] && echo "     $(head -1 <<<"$out")"
	done
	restart "${args[@]}" 2>"$dir/err"
	ok "$mode: connections of a killed one are reset by the next" $? "$(cat "$dir/talk" "$dir/err" "$dir/out")"
	stop_clean
	ok "$mode: ends clean" $? "$(cat "$dir/out")"
done
echo "$pass passed, $fail failed"
[ "$fail" -eq 0 ]
