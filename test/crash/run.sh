#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Durability from end to end: servers are killed, disks fill up and stall, files move between
# Apache ZooKeeper and zokor. Root; network namespaces of its own.
#
#   run.sh [zokor|apache|both] [test ...]
#
# zokor   build/zokord (the default); apache runs the same against Debian's ZooKeeper, which shows
#         that the tests are right; both lets them take turns on one directory where a test can.
#
# Environment:
#   ZOKORD            the server binary (default build/zokord)
#   BUILD             where compiled helpers are (default build)
#   APACHE_CLASSPATH  another release of Apache ZooKeeper than Debian's 3.8
#   ZOKOR_CONF_EXTRA  further configuration lines for zokord, such as dp.cores=0,1
#   ROUNDS, SEED      of the test loop (default 200, by the clock)
#   NODES             of the test exchange (default 100,000)
#   KEEP              when set, the directories of failed tests stay
#
# Ends with `N passed, N failed`.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
# shellcheck source=test/lib/verdict.sh
. "$top/test/lib/verdict.sh"
export ZOKORD=${ZOKORD:-$top/build/zokord} PYTHONDONTWRITEBYTECODE=1
case $ZOKORD in /*) ;; *) ZOKORD=$PWD/$ZOKORD ;; esac
build=${BUILD:-$top/build}
python=/usr/bin/python3
rounds=${ROUNDS:-200}
seed=${SEED:-$(date +%s)}
spaces=()
tmp=

# shellcheck disable=SC2317 # called by the trap
cleanup() {
	local status=$? ns pid
	trap - EXIT INT TERM
	for ns in "${spaces[@]}"; do
		# Whatever still runs in our own namespace was started by one of our tests.
		for pid in $(ip netns pids "$ns" 2>/dev/null); do
			kill -KILL "$pid" 2>/dev/null
		done
		ip netns del "$ns" 2>/dev/null
	done
	if [ -n "$tmp" ]; then
		if [ -n "${KEEP:-}" ] && [ "$fail" -ne 0 ]; then
			echo "kept: $tmp"
		else
			rm -rf "$tmp"
		fi
	fi
	exit $status
}
space() { # a namespace of its own; its name is in $ns
	ns=zkx-$$-${#spaces[@]}
	ip netns add "$ns" || exit 2
	spaces+=("$ns")
	ip netns exec "$ns" ip link set lo up
}
said() { # NAME STATUS OUTPUT: the program's own last word, or why it failed
	local why
	why=$(grep -a '^ok ' "$3" | tail -n 1 | cut -c4-)
	[ -n "$why" ] || why='it has nothing to say'
	[ "$2" -ne 124 ] || why='its time is over'
	ok "$1: $why" "$2" "$(tail -n 60 "$3")"
}
# case_of NAME SECONDS COMMAND... DIRECTORY-is-added: one program in a namespace, ok when it exits 0
case_of() {
	local name=$1 seconds=$2 dir
	shift 2
	space
	dir=$tmp/${name//[^a-z0-9]/-}
	mkdir -p "$dir"
	timeout -k 5 "$seconds" ip netns exec "$ns" "$@" "$dir" >"$dir.out" 2>&1 </dev/null
	said "$name" $? "$dir.out"
}

# The loop in two namespaces at once: much of a round is waiting.
run_loop() {
	local i pids=() n=$(((rounds + 1) / 2)) kinds=$kind
	[ "$kind" != both ] || kinds=zokor,apache
	for i in 0 1; do
		space
		mkdir "$tmp/loop$i"
		timeout -k 5 $((240 + n * 8)) ip netns exec "$ns" "$python" "$here/loop.py" --rounds $n \
			--seed $((seed + i)) --kinds "$kinds" "$tmp/loop$i" >"$tmp/loop$i.out" 2>&1 \
			</dev/null &
		pids+=($!)
	done
	for i in 0 1; do
		wait "${pids[i]}"
		said loop $? "$tmp/loop$i.out"
	done
}
run_judge() { case_of judge 20 "$python" "$here/judge.py"; }
# The loop must see it when one acknowledged transaction is taken out of the log.
run_tamper() {
	local out=$tmp/tamper.out rc kinds=$kind
	[ "$kind" != both ] || kinds=zokor,apache
	space
	mkdir "$tmp/tamper"
	timeout -k 5 240 ip netns exec "$ns" "$python" "$here/loop.py" --rounds 8 --seed "$seed" \
		--kinds "$kinds" --tamper "$tmp/tamper" >"$out" 2>&1 </dev/null
	rc=$?
	[ $rc -eq 1 ] && grep -qE '^FAIL round 4 .*(acknowledged|clients have seen|is gone)' "$out"
	ok "tamper: a lost transaction is seen" $? "exit $rc: $(tail -n 20 "$out")"
	space
	mkdir "$tmp/nosync"
	timeout -k 5 240 ip netns exec "$ns" "$python" "$here/loop.py" --rounds 12 --seed "$seed" \
		--kinds "$kinds" --nosync --power ordered "$tmp/nosync" >"$out" 2>&1 </dev/null
	rc=$?
	# Lost: what was acknowledged, or so much that the server refuses its own directory.
	[ $rc -eq 1 ] && grep -qE \
		'^FAIL round .*(acknowledged|clients have seen|is gone|ended with status)' "$out"
	ok "tamper: a server that does not sync is seen" $? "exit $rc: $(tail -n 20 "$out")"
}

# One directory from kind to kind and back.
run_exchange() {
	local kinds=apache,$kind
	[ "$kind" != both ] || kinds=apache,zokor
	case_of exchange 600 "$python" "$here/exchange.py" --kinds "$kinds" --nodes "${NODES:-100000}"
}
# The loop on a disk that forgets what was not synced.
run_power() {
	local kinds=$kind modes=(journal strict) mode
	[ "$kind" != both ] || kinds=zokor,apache
	# Apache relies on a file system that keeps names and the order of bytes.
	[ "$kind" = zokor ] || modes=(ordered)
	for mode in "${modes[@]}"; do
		case_of "power, $mode" $((60 + rounds * 2)) "$python" "$here/loop.py" --seed "$seed" \
			--rounds $(((rounds + 7) / 8)) --kinds "$kinds" --power "$mode"
	done
}
run_stall() { case_of stall 120 "$python" "$here/disk.py" stall; }
run_faults() { case_of faults 240 "$python" "$here/disk.py" faults; }
run_ext4() { case_of ext4 120 "$python" "$here/disk.py" ext4; }
run_purge() { case_of purge 180 "$python" "$here/purge.py"; }
run_clients() {
	export JAVA_CLASSES=$build/test/crash/java
	mkdir -p "$JAVA_CLASSES"
	javac -Xlint:all,-classfile,-path,-try -Werror -proc:none -d "$JAVA_CLASSES" \
		-cp /usr/share/java/zookeeper.jar:/usr/share/java/zookeeper-jute.jar \
		"$here/java/Survivor.java"
	ok 'the Java client builds' $?
	case_of clients 300 "$python" "$here/clients.py"
}

kind=zokor
case ${1:-} in
zokor | apache | both)
	kind=$1
	shift
	;;
esac
tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=(judge loop tamper exchange power stall faults ext4 purge clients)
[ "$(id -u)" -eq 0 ] || { echo "run.sh: needs root, to make network namespaces"; exit 125; }
[ "$kind" = apache ] || [ -x "$ZOKORD" ] || { echo "run.sh: no $ZOKORD: run make first"; exit 2; }
[ "$kind" = zokor ] || [ -f /usr/share/java/zookeeper.jar ] ||
	{ echo "skipped: no Apache ZooKeeper"; exit 125; }
trap cleanup EXIT
trap 'exit 130' INT TERM
tmp=$(mktemp -d "${TMPDIR:-/tmp}/zokor-crash.XXXXXX") || exit 2
export ZK_KIND=${kind/both/zokor} ZK_HOST=127.181.0.1 ZK_PORT=2181 BUILD=$build
for t in "${tests[@]}"; do
	if ! declare -F "run_$t" >/dev/null; then
		echo "run.sh: no test called $t"
		exit 2
	fi
	"run_$t"
done
echo "$pass passed, $fail failed"
[ "$fail" -eq 0 ]
