#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run unmodified ZooKeeper clients against a server in a network namespace of its own.
#
#   run.sh [zokor|apache] [test ...]
#
# zokor   starts build/zokord (the default); apache starts Debian's ZooKeeper, which shows that
#         the tests themselves are right.
#
# Environment:
#   BUILD             where compiled tests go (default build/test/clients)
#   ZOKORD            the server binary (default build/zokord)
#   APACHE_CLASSPATH  another release of Apache ZooKeeper than Debian's 3.8
#   APACHE_LINE       the line of that release, 3.8 (default) or 3.9
#   ZOKOR_CONF_EXTRA  further configuration lines for zokord, such as dp.cores=0,1
#   OPS               operations of the test history (default 2,000,000)
#   VERBOSE           when set, print every case and not only the failed ones
#
# Every test prints "ok NAME" or "FAIL NAME: reason" per case. The last line of this script is
# "N passed, N failed" (and ", N skipped" if any), and its exit code is 0 only when nothing failed.

set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
default_tests=(zkcli zkcli_more java curator c_client kazoo node raw words watch_order history)
more_tests=()

build=${BUILD:-$top/build/test/clients}
zokord=${ZOKORD:-$top/build/zokord}
python=/usr/bin/python3
jars=/usr/share/java

address=127.181.0.1
host_address=127.181.0.254
port=2181
# Every four-letter word but stmk, so that a word outside the list can be tried too.
words=ruok,srvr,stat,mntr,conf,cons,isro,envi,dirs,dump,wchs,wchp,wchc,crst,srst,gtmk,hash

# The one test that has a server of its own, with TTL nodes and a reaper that is in a hurry. The check
# interval is a system property in Apache and a line of zoo.cfg in zokor.
default_tests+=(reaper)
reaper_check_ms=300
extended=

passed=0
failed=0
skipped=0
server_pid=
ns=
tmp=

die()
{
	echo "run.sh: $*" >&2
	exit 2
}

in_ns()
{
	ip netns exec "$ns" "$@"
}

# Stop the server by its pid; the status is that of the server, 137 when it had to be killed.
stop_server()
{
	local pid=$server_pid i

	server_pid=
	[ -n "$pid" ] || return 0
	kill -TERM "$pid" 2>/dev/null
	for ((i = 0; i < 150; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
}

# shellcheck disable=SC2317 # called by the trap
cleanup()
{
	local status=$? pid

	trap - EXIT INT TERM HUP
	stop_server
	if [ -n "$ns" ]; then
		# Whatever still runs in our own namespace was started by one of our tests.
		for pid in $(ip netns pids "$ns" 2>/dev/null); do
			kill -KILL "$pid" 2>/dev/null
		done
		ip netns del "$ns" 2>/dev/null
	fi
	[ -z "$tmp" ] || rm -rf "$tmp"
	exit "$status"
}

# Is $1 older than any of the files that follow?
stale()
{
	local out=$1 f

	shift
	for f in "$@"; do
		[ "$out" -nt "$f" ] || return 0
	done
	return 1
}

build_c()
{
	local name=$1 out=$build/$1

	shift
	stale "$out" "$here/$name.c" "$here"/lib/*.h || return 0
	gcc -std=c11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
		-Wmissing-prototypes -Wvla -Werror -I"$here/lib" "$here/$name.c" -o "$out.new" \
		-pthread "$@" && mv "$out.new" "$out"
}

build_java()
{
	local out=$build/java/$1.class

	stale "$out" "$here/java/$1.java" "$here/java/Report.java" || return 0
	mkdir -p "$build/java"
	javac -Xlint:all,-classfile,-path,-try -Werror -proc:none -cp "$java_cp" -d "$build/java" \
		"$here/java/Report.java" "$here/java/$1.java"
}

build_node()
{
	local dir=$build/node

	stale "$dir/.installed" "$here/node/package.json" "$here/node/package-lock.json" || return 0
	if ! command -v npm >/dev/null; then
		echo "npm is missing: install Debian's package npm, or a nodejs that has it"
		return 1
	fi
	mkdir -p "$dir"
	cp "$here/node/package.json" "$here/node/package-lock.json" "$dir/"
	(cd "$dir" && npm ci --no-audit --no-fund --loglevel=error) && touch "$dir/.installed"
}

java_cp=$jars/zookeeper.jar:$jars/zookeeper-jute.jar:$jars/curator-client.jar
java_cp=$java_cp:$jars/curator-framework.jar:$jars/curator-recipes.jar:$jars/slf4j-simple.jar
java_opts=(-Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto)

build_test()
{
	case $1 in
	java) build_java JavaClient ;;
	curator) build_java CuratorRecipes ;;
	c_client) build_c c_client -DTHREADED -lzookeeper_mt ;;
	watch_order) build_c watch_order ;;
	history) build_c history ;;
	node) build_node ;;
	esac
}

# What one test runs, in the namespace; the limits are far above what was seen.
run_test()
{
	case $1 in
	reaper) in_ns timeout -k 5 60 "$python" "$here/reaper.py" ;;
	zkcli) in_ns timeout -k 5 120 "$python" "$here/zkcli.py" ;;
	zkcli_more) in_ns timeout -k 5 60 "$python" "$here/zkcli_more.py" ;;
	java) in_ns timeout -k 5 120 java "${java_opts[@]}" \
		"-Dorg.slf4j.simpleLogger.logFile=$tmp/java.slf4j" \
		-cp "$build/java:$java_cp" JavaClient ;;
	curator) in_ns timeout -k 5 180 java "${java_opts[@]}" \
		"-Dorg.slf4j.simpleLogger.logFile=$tmp/curator.slf4j" \
		-cp "$build/java:$java_cp" CuratorRecipes ;;
	c_client) in_ns timeout -k 5 60 "$build/c_client" ;;
	kazoo) in_ns timeout -k 5 120 "$python" "$here/kazoo_client.py" ;;
	node) in_ns timeout -k 5 60 env "NODE_PATH=$build/node/node_modules" node "$here/node/client.js" ;;
	raw) in_ns timeout -k 5 120 "$python" "$here/raw.py" ;;
	words) in_ns timeout -k 5 60 "$python" "$here/words.py" ;;
	watch_order) in_ns timeout -k 5 180 "$build/watch_order" ;;
	history) in_ns timeout -k 5 900 "$build/history" ;;
	esac
}

start_apache()
{
	cat >"$tmp/server.cfg" <<-EOF
		clientPort=$port
		clientPortAddress=$address
		tickTime=2000
		dataDir=$tmp/data
		4lw.commands.whitelist=$words
		admin.enableServer=false
		maxClientCnxns=0
	EOF
	local reaper=()
	if [ -n "$extended" ]; then
		echo "extendedTypesEnabled=true" >>"$tmp/server.cfg"
		reaper=("-Dznode.container.checkIntervalMs=$reaper_check_ms")
	fi
	ip netns exec "$ns" setpriv --pdeathsig KILL \
		java "${java_opts[@]}" "${reaper[@]}" -Djava.net.preferIPv4Stack=true \
		-Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true \
		-cp "${APACHE_CLASSPATH:-$jars/zookeeper.jar:$jars/slf4j-simple.jar}" \
		org.apache.zookeeper.server.quorum.QuorumPeerMain "$tmp/server.cfg" \
		>"$tmp/server.log" 2>&1 &
	server_pid=$!
}

start_zokor()
{
	cat >"$tmp/server.cfg" <<-EOF
		dp.device=tap:zk0
		dp.address=$address/24
		dp.tapHostAddress=$host_address/24
		clientPort=$port
		tickTime=2000
		dataDir=$tmp/data
		4lw.commands.whitelist=$words
		maxClientCnxns=0
	EOF
	if [ -n "$extended" ]; then
		printf '%s\n' extendedTypesEnabled=true \
			"znode.container.checkIntervalMs=$reaper_check_ms" >>"$tmp/server.cfg"
	fi
	[ -z "${ZOKOR_CONF_EXTRA:-}" ] || printf '%b\n' "$ZOKOR_CONF_EXTRA" >>"$tmp/server.cfg"
	ip netns exec "$ns" setpriv --pdeathsig KILL "$zokord" "$tmp/server.cfg" \
		>"$tmp/server.log" 2>&1 &
	server_pid=$!
}

# One srvr command; true when the answer names the server's mode.
serves()
{
	# shellcheck disable=SC2016 # expanded by the inner shell
	in_ns timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/$1" && printf srvr >&3 && cat <&3' \
		"$address" "$port" 2>/dev/null | grep -q '^Mode: '
}

wait_until_served()
{
	local i

	for ((i = 0; i < 100; i++)); do
		kill -0 "$server_pid" 2>/dev/null || return 1
		serves && return 0
		sleep 0.2
	done
	return 1
}

server_tail()
{
	echo "--- last lines of the server's log"
	tail -n 30 "$tmp/server.log"
	echo "---"
}

one_test()
{
	local name=$1 out=$tmp/$1.out begin=$SECONDS status ok bad

	# Two runs may share the build directory.
	if ! (flock 9 && build_test "$name") 9>"$build/.lock" >"$out" 2>&1; then
		echo "FAIL build: the test did not build" >>"$out"
		status=1
	else
		run_test "$name" >"$out" 2>&1 </dev/null
		status=$?
	fi
	ok=$(grep -c '^ok ' "$out")
	bad=$(grep -c '^FAIL ' "$out")
	skipped=$((skipped + $(grep -c '^skip ' "$out")))
	if [ "$bad" -eq 0 ]; then
		if [ "$status" -ne 0 ]; then
			echo "FAIL $name: ended with status $status" >>"$out"
			bad=1
		elif [ "$ok" -eq 0 ]; then
			echo "FAIL $name: not one case was run" >>"$out"
			bad=1
		fi
	fi
	if ! kill -0 "$server_pid" 2>/dev/null; then
		wait "$server_pid"
		echo "FAIL $name: the server ended with status $?" >>"$out"
		bad=$((bad + 1))
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
	echo "$name: $ok ok, $bad failed, $((SECONDS - begin)) s"
	if [ "$bad" -ne 0 ]; then
		grep -v '^ok ' "$out" | tail -n 100
		server_tail
	elif [ -n "${VERBOSE:-}" ]; then
		cat "$out"
	fi
}

kind=zokor
case ${1:-} in
zokor | apache)
	kind=$1
	shift
	;;
esac
tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=("${default_tests[@]}")
for t in "${tests[@]}"; do
	case " ${default_tests[*]} ${more_tests[*]} " in
	*" $t "*) ;;
	*) die "no test called $t; there are: ${default_tests[*]} ${more_tests[*]}" ;;
	esac
done
[ "$(id -u)" -eq 0 ] || die "needs root, to make a network namespace"
[ "$kind" = apache ] || [ -x "$zokord" ] || die "no server binary at $zokord: run make first"

trap cleanup EXIT
trap 'exit 130' INT TERM HUP

mkdir -p "$build" || exit 2
tmp=$(mktemp -d "${TMPDIR:-/tmp}/zokor-clients.XXXXXX") || exit 2
mkdir "$tmp/data"
ns=zkc-$$-$RANDOM
ip netns add "$ns" || {
	ns=
	die "cannot make a network namespace"
}
in_ns ip link set lo up || die "cannot bring lo up"

# Where 3.8 and 3.9 differ, zokor does what 3.9 does.
line=3.9
[ "$kind" = zokor ] || line=${APACHE_LINE:-3.8}
export ZK_LINE=$line
export ZK_HOST=$address ZK_PORT=$port ZK_CONNECT=$address:$port ZK_KIND=$kind ZK_TMP=$tmp
export PYTHONDONTWRITEBYTECODE=1
export ZK_JAVA_OPTS="${java_opts[*]}"

"start_$kind"
if ! wait_until_served; then
	echo "FAIL the server did not begin to serve"
	server_tail
	failed=$((failed + 1))
else
	for t in "${tests[@]}"; do
		want=
		[ "$t" != reaper ] || want=1
		if [ "$want" != "$extended" ]; then
			stop_server
			extended=$want
			"start_$kind"
			if ! wait_until_served; then
				echo "FAIL the server for $t did not begin to serve"
				server_tail
				failed=$((failed + 1))
				break
			fi
		fi
		one_test "$t"
		kill -0 "$server_pid" 2>/dev/null && continue
		# The crash is counted; a new server on the same data serves the other tests.
		stop_server
		"start_$kind"
		if ! wait_until_served; then
			echo "FAIL the server did not come back"
			server_tail
			failed=$((failed + 1))
			break
		fi
	done
fi

stop_server
status=$?
# A JVM that is ended by SIGTERM exits with 143; zokord promises 0.
case $kind:$status in
zokor:0 | apache:143) passed=$((passed + 1)) ;;
*)
	echo "FAIL stop: the server ended with status $status"
	server_tail
	failed=$((failed + 1))
	;;
esac

note=
[ "$skipped" -eq 0 ] || note=", $skipped skipped"
echo "$passed passed, $failed failed$note"
[ "$failed" -eq 0 ]
