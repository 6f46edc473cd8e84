#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Three zokords on this machine, one TAP each on one bridge; Ctrl-C stops them all. Run as root from
# the directory above configs/. ZOKORD: the program.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
zokord=${ZOKORD:-build/zokord}
bridge=zkbr0 pids=()

stop_all() {
	trap '' INT TERM
	[ ${#pids[@]} -eq 0 ] || kill -TERM "${pids[@]}" 2>/dev/null || true
	wait
	ip link del "$bridge" 2>/dev/null || true
}

if ip link show "$bridge" >/dev/null 2>&1; then
	echo "run-ensemble: $bridge is there already: is another ensemble running?" >&2
	exit 1
fi
trap stop_all EXIT
trap 'exit 0' INT TERM

# A fixed address: by default a bridge changes its own with its ports, and clients stall.
ip link add "$bridge" address 02:7a:6b:62:72:00 type bridge
ip addr add 127.181.9.254/24 dev "$bridge"
ip link set "$bridge" up

for i in 1 2 3; do
	mkdir -p "build/ensemble3/$i"
	echo "$i" >"build/ensemble3/$i/myid"
	# in a session of its own: Ctrl-C comes to this script only, which ends them in order
	setsid "$zokord" "$here/$i.cfg" > >(trap '' INT TERM; exec sed -u "s/^/zokor$i /") 2>&1 &
	pids+=($!)
done

echo "zkCli.sh -server 127.181.9.1:2181,127.181.9.2:2181,127.181.9.3:2181"
# One that ends alone is said, the others go on.
for pid in "${pids[@]}"; do
	wait "$pid" || echo "run-ensemble: pid $pid has ended with code $?"
done
