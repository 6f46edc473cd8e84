#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# core/store, the offline commands of zokorctl and zokord's recovery against real files: Debian's
# Apache ZooKeeper makes a tree, zokorctl must see in the files what Apache serves, zokord must
# serve it, too, and Apache must serve what core/store wrote. Root; a network namespace of its own. Ends with `N passed, N failed`.
# Environment: BUILD (default build), APACHE_CLASSPATH (another release than Debian's 3.8)
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD:-$top/build}
case $build in /*) ;; *) build=$top/$build ;; esac
ctl=$build/zokorctl
zokord=$build/zokord
rewrite=$build/test/store/rewrite
tree=$top/test/store/tree.py
jars=/usr/share/java
address=127.181.0.1
port=2181
passed=0
failed=0
server_pid=
ns=
tmp=

ok() {
	passed=$((passed + 1))
}
bad() {
	failed=$((failed + 1))
	echo "FAIL $1"
}
# check NAME COMMAND...: it must succeed
check() {
	local name=$1
	shift
	if "$@" >"$tmp/new" 2>&1; then
		mv "$tmp/new" "$tmp/out"
		ok
	else
		bad "$name"
		tail -n 20 "$tmp/new"
	fi
}
# refused NAME PATTERN COMMAND...: exit code 1 and the pattern in what it says
refused() {
	local name=$1 pattern=$2 status
	shift 2
	"$@" >"$tmp/out" 2>&1
	status=$?
	if [ $status -eq 1 ] && grep -qE "$pattern" "$tmp/out"; then
		ok
	else
		bad "$name: exit $status"
		tail -n 5 "$tmp/out"
	fi
}
# same NAME FILE FILE
same() {
	if cmp -s "$2" "$3"; then
		ok
	else
		bad "$1"
		diff "$2" "$3" | cut -c1-300 | head -n 10
	fi
}
in_ns() {
	ip netns exec "$ns" "$@"
}

stop_server() {
	local pid=$server_pid
	server_pid=
	[ -n "$pid" ] || return 0
	kill -"${1:-TERM}" "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
}
# shellcheck disable=SC2317 # called by the trap
cleanup() {
	local status=$?
	trap - EXIT INT TERM
	stop_server KILL
	[ -z "$ns" ] || ip netns del "$ns"
	[ -z "$tmp" ] || rm -rf "$tmp"
	exit $status
}

classpath=${APACHE_CLASSPATH:-$jars/zookeeper.jar:$jars/slf4j-simple.jar:$jars/snappy-java.jar}
serves() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	in_ns timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/$1" && printf srvr >&3 && cat <&3' \
		$address $port 2>/dev/null | grep -q '^Mode: '
}
word() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	in_ns timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/$1" && printf "$2" >&3 && cat <&3' \
		$address $port "$1" 2>/dev/null
}
# start DATADIR [JAVA_OPTION...]: until it serves
start() {
	local data=$1 i
	shift
	cat >"$tmp/server.cfg" <<-EOF
		clientPort=$port
		clientPortAddress=$address
		tickTime=2000
		dataDir=$data
		4lw.commands.whitelist=srvr,mntr
		admin.enableServer=false
		preAllocSize=1024
	EOF
	ip netns exec "$ns" setpriv --pdeathsig KILL java -Xmx256m -XX:+UseSerialGC \
		-XX:TieredStopAtLevel=1 -Xshare:auto -Djava.net.preferIPv4Stack=true \
		-Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
		-Dzookeeper.extendedTypesEnabled=true -Dzookeeper.digest.enabled=true "$@" \
		-cp "$classpath" \
		org.apache.zookeeper.server.quorum.QuorumPeerMain "$tmp/server.cfg" \
		>"$tmp/server.log" 2>&1 &
	server_pid=$!
	for ((i = 0; i < 150; i++)); do
		kill -0 $server_pid 2>/dev/null || break
		serves && return 0
		sleep 0.1
	done
	bad "Apache does not serve $data"
	tail -n 20 "$tmp/server.log"
	return 1
}
# dump OUT: what the live server says, sorted; it must have seen no digest mismatch
dump() {
	in_ns python3 "$tree" dump >"$tmp/raw" || bad "dump of $1"
	LC_ALL=C sort "$tmp/raw" >"$tmp/$1"
	check "$1: Apache counts digest mismatches" test "$(word mntr |
		awk '$1 == "zk_digest_mismatches_count" {print int($2)}')" = 0
}
stored() { # stored SNAPSHOT OUT
	"$ctl" snapshot dump --json "$1" | python3 "$tree" stored >"$tmp/raw" || bad "dump of $1"
	LC_ALL=C sort "$tmp/raw" >"$tmp/$2"
}
# zokord_on DATADIR [LINE...]: zokord in the background, its words in $tmp/zokord.log
zokord_on() {
	local data=$1
	shift
	sed "s#^dataDir=.*#dataDir=$data#" "$top/configs/standalone.cfg" >"$tmp/zokord.cfg"
	printf '%s\n' extendedTypesEnabled=true '4lw.commands.whitelist=*' tree.memoryLimit=256M \
		dp.coreMemory=64M "$@" >>"$tmp/zokord.cfg"
	: >"$tmp/zokord.log" # here, not in the child: an old "serving" must not count
	ip netns exec "$ns" timeout 60 setpriv --pdeathsig KILL "$zokord" "$tmp/zokord.cfg" \
		>>"$tmp/zokord.log" 2>&1 &
	server_pid=$!
}
# zokord_serves OUT DATADIR [LINE...]: dump what it serves
zokord_serves() {
	local out=$1 i
	shift
	zokord_on "$@"
	for ((i = 0; i < 200; i++)); do
		grep -q 'INFO serving=' "$tmp/zokord.log" && break
		kill -0 $server_pid 2>/dev/null || break
		sleep 0.1
	done
	in_ns python3 "$tree" dump >"$tmp/raw" || {
		bad "zokord on $1"
		tail -n 5 "$tmp/zokord.log"
	}
	LC_ALL=C sort "$tmp/raw" >"$tmp/$out"
	check "$out: zokord counts digest mismatches" test "$(word mntr |
		awk '$1 == "zk_digest_mismatches_count" {print int($2)}')" = 0
	check "$out: and none in recovery" grep -q 'recovery=done .* digestMismatches=0' \
		"$tmp/zokord.log"
	stop_server
}
# zokord_refuses NAME PATTERN DATADIR [LINE...]: exit code 1, and one line that says why
zokord_refuses() {
	local name=$1 pattern=$2 status
	shift 2
	zokord_on "$@"
	wait "$server_pid"
	status=$?
	server_pid=
	if [ $status -eq 1 ] && [ "$(grep -c '^zokord: ' "$tmp/zokord.log")" -eq 1 ] &&
		grep -qE "^zokord: .*$pattern" "$tmp/zokord.log"; then
		ok
	else
		bad "$name: exit $status"
		tail -n 5 "$tmp/zokord.log"
	fi
}
field() { # field KEY <JSON
	python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}
newest() { # newest DIR PREFIX: by zxid
	find "$1/version-2" -name "$2.*" -printf '%f\n' | awk -F. '{printf "%20s %s\n", $2, $0}' |
		sort | tail -n 1 | awk -v d="$1/version-2/" '{print d $2}'
}
# Turn over one bit of FILE at OFFSET.
flip() {
	python3 - "$1" "$2" <<-'EOF'
		import sys
		with open(sys.argv[1], "r+b") as f:
		    f.seek(int(sys.argv[2]))
		    b = f.read(1)[0]
		    f.seek(int(sys.argv[2]))
		    f.write(bytes([b ^ 0x10]))
	EOF
}

[ "$(id -u)" -eq 0 ] || { echo "store.sh: needs root, to make a network namespace"; exit 2; }
if [ ! -x "$ctl" ] || [ ! -x "$rewrite" ] || [ ! -x "$zokord" ]; then
	echo "store.sh: run make test-store"
	exit 2
fi
[ -f $jars/zookeeper.jar ] || { echo "skipped: no Apache ZooKeeper"; exit 125; }
export ZK_HOST=$address ZK_PORT=$port PYTHONDONTWRITEBYTECODE=1
trap cleanup EXIT
trap 'exit 130' INT TERM
tmp=$(mktemp -d "${TMPDIR:-/tmp}/zokor-store.XXXXXX") || exit 2
ns=zks-$$-$RANDOM
ip netns add "$ns" || { ns=; exit 2; }
in_ns ip link set lo up

# 1. Apache makes a tree and is killed: all but the empty start is in the log.
a=$tmp/a
mkdir "$a"
start "$a" || exit 1
check 'make the tree' in_ns python3 "$tree" make
dump live
stop_server KILL
log=$(newest "$a" log)
check 'snapshot.0' "$ctl" snapshot verify "$a/version-2/snapshot.0"
check 'log' "$ctl" txnlog verify "$log"
check 'log dump' "$ctl" txnlog dump "$log"
check 'log dump names each kind' test "$("$ctl" txnlog dump --json "$log" |
	python3 -c 'import json, sys; print(len({json.loads(l)["type"] for l in sys.stdin}))')" -ge 11
check 'data check' "$ctl" data check "$a"
"$ctl" data check --json "$a" >"$tmp/check.json"
check 'each digest of the log' test "$(field digestMismatches <"$tmp/check.json")" = 0
check 'digests there' test "$(field digestsCompared <"$tmp/check.json")" -gt 200
check 'as many nodes as Apache serves' test "$(field nodes <"$tmp/check.json")" = \
	"$(wc -l <"$tmp/live")"
cp -r "$a" "$tmp/a-killed"
# As a server leaves it that is killed while a leader's snapshot takes the place of all.
cp -r "$a" "$tmp/half"
mv "$tmp/half/version-2/snapshot.0" "$tmp/half/version-2/.snapshot.0.whole"
"$ctl" data check --json "$tmp/half" >"$tmp/half.json"
check 'data check of a replacement that was broken off: exit code' test $? -eq 1
check '... says so' grep -q 'leader.s snapshot that takes the place of 0 snapshots and 1 logs' \
	"$tmp/half.json"
check '... and what is left when it is finished' test \
	"$(field snapshots <"$tmp/half.json") $(field logs <"$tmp/half.json")" = '1 0'

# 2. Apache starts on it, which makes a snapshot of everything.
start "$a" || exit 1
dump again
stop_server
same 'Apache serves what it served' "$tmp/live" "$tmp/again"
snap=$(newest "$a" snapshot)
check 'data check after the restart' "$ctl" data check "$a"
stored "$snap" stored
same 'the snapshot holds what Apache serves' "$tmp/live" "$tmp/stored"
"$ctl" snapshot verify --json "$snap" >"$tmp/verify.json"
check 'the snapshot is sound' test "$(field ok <"$tmp/verify.json")" = True
check 'its digest is ours' test "$(field digestVerdict <"$tmp/verify.json")" = equal
check 'and that of the replayed log' test "$(field treeDigest <"$tmp/verify.json")" = \
	"$(field treeDigest <"$tmp/check.json")"
check 'snapshot top' "$ctl" snapshot top "$snap"
check 'top: the biggest node' grep -qE '^ +1024000  /t/big$' "$tmp/out"
check 'snapshot diff with itself' "$ctl" snapshot diff "$snap" "$snap"
refused 'snapshot diff with the empty one' '^\+ /t$' "$ctl" snapshot diff \
	"$a/version-2/snapshot.0" "$snap"

# 3. What core/store writes is what Apache wrote, and Apache serves it.
name=$(basename "$snap")
check 'rewrite' "$rewrite" "$snap" "$tmp/same"
same 'the same bytes' "$snap" "$tmp/same"
mkdir -p "$tmp/b/version-2"
check 'rewrite with the last zxid' "$rewrite" "$snap" "$tmp/b/version-2/$name" "${name#*.}"
check 'its last zxid' "$ctl" snapshot verify "$tmp/b/version-2/$name"
check 'is said' grep -q "last zxid 0x${name#*.}\$" "$tmp/out"
start "$tmp/b" && dump ours
stop_server
same 'Apache serves our snapshot' "$tmp/live" "$tmp/ours"

# 4. A log through our writer.
mkdir -p "$tmp/c/version-2"
cp "$a/version-2/snapshot.0" "$tmp/c/version-2"
check 'txnlog recover' "$ctl" txnlog recover "$log" "$tmp/c/version-2/$(basename "$log")"
start "$tmp/c" && dump replayed
stop_server
same 'Apache replays our log' "$tmp/live" "$tmp/replayed"

# 5. Compressed snapshots.
for method in gz snappy; do
	cp -r "$tmp/b" "$tmp/$method"
	rm "$tmp/$method"/version-2/log.*
	start "$tmp/$method" "-Dzookeeper.snapshot.compression.method=$method"
	stop_server
	packed=$(find "$tmp/$method/version-2" -name "snapshot.*.$method")
	check "$method" "$ctl" snapshot verify "$packed"
	stored "$packed" "stored-$method"
	same "$method: the same nodes" "$tmp/live" "$tmp/stored-$method"
	check "data check with $method" "$ctl" data check "$tmp/$method"
	mkdir -p "$tmp/z-$method/version-2"
	cp "$packed" "$tmp/z-$method/version-2"
	zokord_serves "zokord-$method" "$tmp/z-$method"
	same "$method: zokord serves the same nodes" "$tmp/live" "$tmp/zokord-$method"
	truncate -s -9 "$packed"
	refused "$method: cut" "$method.*offset" "$ctl" snapshot verify "$packed"
done

# 6. Damage.
cp "$log" "$tmp/bad.log"
flip "$tmp/bad.log" 4000
refused 'log: checksum' 'bad.log: offset [0-9]+: checksum mismatch' "$ctl" txnlog verify \
	"$tmp/bad.log"
refused 'log: recovered but for one' '1 left out' "$ctl" txnlog recover "$tmp/bad.log" \
	"$tmp/good.log"
refused 'log: the hole is seen' 'zxids are missing' "$ctl" txnlog verify "$tmp/good.log"
refused 'log: never over a file' 'File exists' "$ctl" txnlog recover "$log" "$tmp/good.log"
cp "$snap" "$tmp/$name"
flip "$tmp/$name" 20000
refused 'snapshot: checksum' "$name: offset [0-9]+: checksum mismatch" "$ctl" snapshot verify \
	"$tmp/$name"
head -c 30000 "$snap" >"$tmp/$name"
refused 'snapshot: cut' "$name: offset [0-9]+: the file ends too early" "$ctl" snapshot verify \
	"$tmp/$name"
cp -r "$tmp/a-killed" "$tmp/d"
flip "$tmp/d/version-2/$(basename "$log")" 4000
refused 'data check: damaged log' 'checksum mismatch' "$ctl" data check "$tmp/d"
rm "$tmp/d/version-2/snapshot.0"
refused 'data check: no snapshot' 'no snapshot, but there are log entries' "$ctl" data check "$tmp/d"
refused 'data check: no folder' 'No such file' "$ctl" data check "$tmp/nowhere"

# 7. Every byte of small files turned over: the right verdict, and never a crash.
small=$tmp/small
mkdir "$small"
cp "$tmp/a-killed/version-2/snapshot.0" "$small"
gzip -c "$small/snapshot.0" >"$small/snapshot.0.gz"
python3 "$top/test/store/flips.py" --snappy "$small/snapshot.0" "$small/snapshot.1.snappy"
head -c 700 "$log" >"$small/log.1"
for f in snapshot.0 snapshot.0.gz snapshot.1.snappy; do
	check "$f" "$ctl" snapshot verify "$small/$f"
	check "$f: flips" python3 "$top/test/store/flips.py" "$ctl" snapshot "$small/$f"
done
check 'log.1: flips' python3 "$top/test/store/flips.py" "$ctl" txnlog "$small/log.1"

# 8. zokord on what Apache has left: the log of one that was killed, and a snapshot only.
cp -r "$tmp/a-killed" "$tmp/z1"
zokord_serves zokord-killed "$tmp/z1"
same 'zokord serves what Apache served before it was killed' "$tmp/live" "$tmp/zokord-killed"
check 'transactions were replayed' grep -qE 'recovery=done .* sessions=2 .* txns=2[0-9][0-9] ' \
	"$tmp/zokord.log"
mkdir -p "$tmp/z2/version-2"
cp "$snap" "$tmp/z2/version-2"
zokord_serves zokord-snapshot "$tmp/z2"
same 'zokord serves the snapshot' "$tmp/live" "$tmp/zokord-snapshot"
# a damaged snapshot: the one before, with its log
cp -r "$tmp/a-killed" "$tmp/z3"
cp "$snap" "$tmp/z3/version-2/$name"
flip "$tmp/z3/version-2/$name" 20000
zokord_serves zokord-older "$tmp/z3"
same 'zokord takes the older snapshot and its log' "$tmp/live" "$tmp/zokord-older"
check 'and says so' grep -q "$name: offset [0-9]*: checksum mismatch: the one before" \
	"$tmp/zokord.log"
# the tail of the log is torn
cp -r "$tmp/a-killed" "$tmp/z4"
python3 - "$tmp/z4/version-2/$(basename "$log")" <<-'EOF'
	import sys
	with open(sys.argv[1], "r+b") as f:
	    end = len(f.read().rstrip(b"\0"))
	    f.seek(end - 9)
	    f.write(bytes(9))
EOF
zokord_serves zokord-torn "$tmp/z4"
check 'the torn record was cut off' grep -q 'a record has no end byte' "$tmp/zokord.log"
start "$tmp/z4" && dump torn
stop_server
same 'Apache goes on from there' "$tmp/zokord-torn" "$tmp/torn"

# 9. What zokord does not start on.
cp "$tmp/a-killed/version-2/snapshot.0" "$tmp/d/version-2"
zokord_refuses 'damaged log' 'log\.1 offset [0-9]+: checksum mismatch' "$tmp/d"
rm "$tmp/d/version-2/snapshot.0"
zokord_refuses 'log without a snapshot' 'has no snapshot, but .* has log\.' "$tmp/d"
mkdir -p "$tmp/z5/version-2"
cp "$tmp/a-killed/version-2/snapshot.0" "$tmp/z5/version-2"
"$ctl" txnlog recover "$tmp/bad.log" "$tmp/z5/version-2/log.1" >"$tmp/out"
zokord_refuses 'a hole' 'transactions 0x[0-9a-f]+ to 0x[0-9a-f]+ are missing' "$tmp/z5"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
