#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Seconds from the start of the process until it answers `srvr`, on a snapshot of NODES znodes of
# BYTES: zokord, and Apache ZooKeeper beside it, in turn. Root; a network namespace of its own.
# Environment: BUILD (build), NODES (2000000), BYTES (100), ROUNDS (3), HEAP (4g, Apache's),
# MEMORY (3G, zokord's tree), APACHE_CLASSPATH
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${BUILD:-$top/build}
case $build in /*) ;; *) build=$top/$build ;; esac
nodes=${NODES:-2000000}
bytes=${BYTES:-100}
rounds=${ROUNDS:-3}
jars=/usr/share/java
classpath=${APACHE_CLASSPATH:-$jars/zookeeper.jar:$jars/slf4j-simple.jar:$jars/snappy-java.jar}
address=127.181.0.1
[ "$(id -u)" -eq 0 ] || { echo "restart.sh: needs root, to make a network namespace"; exit 2; }
tmp=$(mktemp -d "${TMPDIR:-/tmp}/zokor-restart.XXXXXX") || exit 2
ns=zkr-$$
pid=
# shellcheck disable=SC2317 # called by the trap
cleanup() {
	trap - EXIT INT TERM
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
	ip netns del "$ns" 2>/dev/null
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
ip netns add "$ns" && ip netns exec "$ns" ip link set lo up || exit 2

mkdir -p "$tmp/data/version-2"
want=$("$build/test/store/big" "$tmp/data" "$nodes" "$bytes") || exit 1
snapshot=$(find "$tmp/data/version-2" -name 'snapshot.*')
sed "s#^dataDir=.*#dataDir=$tmp/run#" "$top/configs/standalone.cfg" >"$tmp/zokord.cfg"
printf '%s\n' "tree.memoryLimit=${MEMORY:-3G}" dp.coreMemory=64M \
	'4lw.commands.whitelist=*' >>"$tmp/zokord.cfg"
cat >"$tmp/apache.cfg" <<-END
	clientPort=2181
	clientPortAddress=$address
	tickTime=2000
	dataDir=$tmp/run
	4lw.commands.whitelist=*
	admin.enableServer=false
END

# shellcheck disable=SC2016 # expanded by the inner shell
ask() {
	ip netns exec "$ns" timeout 5 bash -c \
		'exec 3<>"/dev/tcp/$0/2181" && printf "$1" >&3 && cat <&3' "$address" "$1" 2>/dev/null
}
# once NAME COMMAND...: start it on the snapshot, print the seconds until it serves
once() {
	local name=$1 began now
	shift
	rm -rf "$tmp/run"
	mkdir -p "$tmp/run/version-2"
	ln "$snapshot" "$tmp/run/version-2/"
	began=$(date +%s%N)
	ip netns exec "$ns" setpriv --pdeathsig KILL "$@" >"$tmp/$name.log" 2>&1 &
	pid=$!
	until ask srvr | grep -q '^Mode: '; do
		kill -0 "$pid" 2>/dev/null || { tail -n 5 "$tmp/$name.log" >&2; exit 1; }
		sleep 0.02
	done
	now=$(date +%s%N)
	got=$(ask srvr | awk '/^Node count/ {print $3}')
	kill -TERM "$pid"
	wait "$pid" 2>/dev/null
	pid=
	awk -v ns=$((now - began)) 'BEGIN {printf "%.2f\n", ns / 1e9}'
	# the root counts twice, as in Apache
	[ "$got" -eq $((want + 1)) ] || { echo "$name serves $got nodes, not $want" >&2; exit 1; }
}
best() { sort -n "$1" | head -n 1; }
: >"$tmp/zokord.s"
: >"$tmp/apache.s"
for _ in $(seq "$rounds"); do
	once zokord "$build/zokord" "$tmp/zokord.cfg" >>"$tmp/zokord.s" || exit 1
	grep -o 'recovery=done.*' "$tmp/zokord.log"
	once apache java "-Xmx${HEAP:-4g}" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
		-cp "$classpath" org.apache.zookeeper.server.quorum.QuorumPeerMain \
		"$tmp/apache.cfg" >>"$tmp/apache.s" || exit 1
done
printf 'restart with %d znodes of %d bytes: zokord %s s, Apache %s s (best of %d)\n' \
	"$nodes" "$bytes" "$(best "$tmp/zokord.s")" "$(best "$tmp/apache.s")" "$rounds"
