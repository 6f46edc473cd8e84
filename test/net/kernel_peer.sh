#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dp/net on af_packet against kernel sockets, in a network namespace of its own, without and with
# 1 % loss each way.
#
#   kernel_peer.sh [PROGRAM]      PROGRAM: build/test/net/tcp_echo
#   SCALE=0.1                     smaller transfers
#
# Ends with "N passed, N failed". Exit code 125: something it needs is not there.
set -u

program=${1:-build/test/net/tcp_echo}
here=$(dirname "$0")
scale=${SCALE:-1}
ns=zkt-peer-$$
work=$(mktemp -d)
server_pid=
passed=0
failed=0

skip() {
	echo "skipped: $1"
	exit 125
}

stop_server() {
	[ -n "$server_pid" ] || return 0
	kill -TERM "$server_pid" 2>/dev/null
	wait "$server_pid"
	local code=$?
	server_pid=
	return $code
}

# shellcheck disable=SC2317 # called by trap
cleanup() {
	stop_server
	ip netns del "$ns" 2>/dev/null
	rm -rf "$work"
}

[ "$(id -u)" -eq 0 ] || skip "needs root"
for tool in ip ethtool nft /usr/bin/python3; do
	command -v "$tool" >/dev/null || skip "needs $tool"
done
[ -x "$program" ] || skip "needs $program"
trap cleanup EXIT
trap 'exit 1' INT TERM

set_up() {
	ip netns add "$ns" || skip "cannot make a network namespace"
	in_ns ip link set lo up
	in_ns ip link add zd0 numrxqueues 1 numtxqueues 1 type veth \
		peer name zk9 numrxqueues 1 numtxqueues 1 || skip "cannot make a veth pair"
	in_ns sysctl -qw net.ipv6.conf.zd0.disable_ipv6=1 net.ipv6.conf.zk9.disable_ipv6=1
	# The kernel's checksums must be complete and its frames no larger than the MTU.
	in_ns ethtool -K zk9 tx off tso off gso off >/dev/null || skip "ethtool -K failed"
	in_ns ip addr add 10.181.5.2/24 dev zk9
	in_ns ip link set zd0 up
	in_ns ip link set zk9 up
}

in_ns() {
	ip netns exec "$ns" "$@"
}

loss() {
	in_ns nft -f - <<-EON
		table netdev zkloss {
			chain in {
				type filter hook ingress device "zk9" priority 0; policy accept;
				numgen random mod 100 < $1 counter drop
			}
			chain out {
				type filter hook egress device "zk9" priority 0; policy accept;
				numgen random mod 100 < $1 counter drop
			}
		}
	EON
}

start_server() {
	# not through in_ns: the signal must reach the program, not a shell around it
	ip netns exec "$ns" "$program" af_packet:zd0 10.181.5.1 7000 \
		>"$work/server.out" 2>"$work/server.err" &
	server_pid=$!
	for _ in $(seq 100); do
		grep -q ready "$work/server.out" && return 0
		kill -0 "$server_pid" 2>/dev/null || break
		sleep 0.1
	done
	cat "$work/server.err"
	return 1
}

# round NAME: all tests of kernel_peer.py against a fresh server.
round() {
	local name=$1 ok bad
	if ! start_server; then
		echo "FAIL $name: the server does not start"
		failed=$((failed + 1))
		return
	fi
	if in_ns ping -c 3 -i 0.2 -W 2 10.181.5.1 >"$work/ping"; then
		echo "ok $name ping"
		passed=$((passed + 1))
	elif [ "$name" = clean ]; then
		echo "FAIL $name ping"
		failed=$((failed + 1))
	fi
	in_ns /usr/bin/python3 "$here/kernel_peer.py" 10.181.5.1 7000 10.181.5.2 "$scale" \
		>"$work/peer.out" 2>&1
	sed "s/^/$name: /" "$work/peer.out"
	ok=$(grep -c '^ok ' "$work/peer.out")
	bad=$(grep -c '^FAIL ' "$work/peer.out")
	passed=$((passed + ok))
	failed=$((failed + bad))
	if [ $((ok + bad)) -eq 0 ]; then
		echo "FAIL $name: no test ran"
		failed=$((failed + 1))
	fi
	if stop_server; then
		echo "ok $name server ends clean"
		passed=$((passed + 1))
	else
		echo "FAIL $name: the server's exit code"
		cat "$work/server.err"
		failed=$((failed + 1))
	fi
	[ "$bad" -eq 0 ] || cat "$work/server.out"
}

set_up
round clean
loss 1 || skip "nft with netdev ingress and egress"
round loss
dropped=$(in_ns nft list table netdev zkloss | awk '/packets/ && /packets [1-9]/ { n++ } END { print n + 0 }')
if [ "$dropped" -eq 2 ]; then
	echo "ok loss in both directions"
	passed=$((passed + 1))
else
	echo "FAIL the loss rules dropped nothing"
	failed=$((failed + 1))
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
