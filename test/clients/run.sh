#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run unmodified ZooKeeper clients against a server in a network namespace of its own.
#
#   run.sh [zokor|apache] [test ...]
#
# zokor   starts build/zokord (the default); apache starts Debian's ZooKeeper, which shows that
#         the tests themselves are right.
#
# Environment: that of lib/server.sh, and
#   BUILD             where compiled tests go (default build/test/clients)
#   OPS               operations of the test history (default 2,000,000)
#   VERBOSE           when set, print every case and not only the failed ones
#
# Every test prints "ok NAME" or "FAIL NAME: reason" per case. The last line of this script is
# "N passed, N failed" (and ", N skipped" if any), and its exit code is 0 only when nothing failed.

set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=test/clients/lib/server.sh
. "$here/lib/server.sh"
default_tests=(zkcli zkcli_more java curator c_client kazoo node raw words watch_order history)
default_tests+=(reaper pause cores big)
more_tests=()

build=${BUILD:-$top/build/test/clients}

reaper_check_ms=300
big_bytes=33554432 # jute.maxbuffer: a system property of Apache's server and of Java clients
variant= # of the server that runs now

passed=0
failed=0
skipped=0

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

build_test()
{
	case $1 in
	big) build_java BigClient ;;
	java) build_java JavaClient ;;
	curator) build_java CuratorRecipes && build_java CuratorCut ;;
	c_client) build_c c_client -DTHREADED -lzookeeper_mt ;;
	watch_order) build_c watch_order ;;
	history) build_c history ;;
	node) build_node ;;
	esac
}

# The server that a test needs, when it is not the usual one.
variant_of()
{
	case $1 in
	reaper | big | cores) echo "$1" ;;
	pause) echo quick ;;
	esac
}

# How many client cores has the server of the test cores?
cores()
{
	local map

	map=$(sed -n 's/^dp.cores=//p' "$tmp/server0.cfg" | tail -n 1)
	tr ',' '\n' <<<"${map:-0,1}" | wc -l
}

# What one test runs, in the namespace; the limits are far above what was seen.
run_test()
{
	case $1 in
	cores) in_ns timeout -k 5 120 env "ZK_CORES=$(cores)" "$python" "$here/cores.py" ;;
	pause) in_ns timeout -k 5 120 env "ZK_PID=${server_pids[0]}" "$python" "$here/pause.py" ;;
	big) in_ns timeout -k 5 120 "$python" "$here/big.py" &&
		in_ns timeout -k 5 120 java "${java_opts[@]}" "-Djute.maxbuffer=$big_bytes" \
			"-Dorg.slf4j.simpleLogger.logFile=$tmp/big.slf4j" \
			-cp "$build/java:$java_cp" BigClient ;;
	reaper) in_ns timeout -k 5 60 "$python" "$here/reaper.py" ;;
	zkcli) in_ns timeout -k 5 120 "$python" "$here/zkcli.py" ;;
	zkcli_more) in_ns timeout -k 5 60 "$python" "$here/zkcli_more.py" ;;
	java) in_ns timeout -k 5 120 java "${java_opts[@]}" \
		"-Dorg.slf4j.simpleLogger.logFile=$tmp/java.slf4j" \
		-cp "$build/java:$java_cp" JavaClient ;;
	curator) in_ns timeout -k 5 180 java "${java_opts[@]}" \
		"-Dorg.slf4j.simpleLogger.logFile=$tmp/curator.slf4j" \
		-cp "$build/java:$java_cp" CuratorRecipes &&
		in_ns timeout -k 5 120 java "${java_opts[@]}" \
			"-Dorg.slf4j.simpleLogger.logFile=$tmp/cut.slf4j" \
			-cp "$build/java:$java_cp" CuratorCut ;;
	c_client) in_ns timeout -k 5 60 "$build/c_client" ;;
	kazoo) in_ns timeout -k 5 120 "$python" "$here/kazoo_client.py" ;;
	node) in_ns timeout -k 5 60 env "NODE_PATH=$build/node/node_modules" node "$here/node/client.js" ;;
	raw) in_ns timeout -k 5 120 "$python" "$here/raw.py" ;;
	words) in_ns timeout -k 5 60 "$python" "$here/words.py" ;;
	watch_order) in_ns timeout -k 5 180 "$build/watch_order" ;;
	history) in_ns timeout -k 5 900 "$build/history" ;;
	esac
}

# The server that the next test needs, on the data of the one before; false: it does not serve.
start_server()
{
	conf[0]='tickTime=2000\nenforceQuota=true'
	apache_opts=()
	case $variant in
	big)
		conf[0]+="\njute.maxbuffer=$big_bytes"
		apache_opts=("-Djute.maxbuffer=$big_bytes")
		;;
	reaper)
		# The check interval is a system property in Apache and a line of zoo.cfg in zokor.
		conf[0]+='\nextendedTypesEnabled=true'
		if [ "$kind" = apache ]; then
			apache_opts=("-Dznode.container.checkIntervalMs=$reaper_check_ms")
		else
			conf[0]+="\nznode.container.checkIntervalMs=$reaper_check_ms"
		fi
		;;
	quick | cores) conf[0]='tickTime=500\nminSessionTimeout=1000\nmaxSessionTimeout=20000' ;;
	esac
	# Without a mapping of the caller's, which comes later and counts.
	[ "$variant:$kind" != cores:zokor ] || conf[0]+='\ndp.cores=0,1'
	server_start 0 "$kind" "$zokor_address"
	server_wait 0 && return 0
	echo "FAIL the server${1:+ for $1} did not begin to serve"
	server_tail 0
	failed=$((failed + 1))
	return 1
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
	if ! server_alive 0; then
		wait "${server_pids[0]}"
		echo "FAIL $name: the server ended with status $?" >>"$out"
		bad=$((bad + 1))
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
	echo "$name: $ok ok, $bad failed, $((SECONDS - begin)) s"
	if [ "$bad" -ne 0 ]; then
		grep -v '^ok ' "$out" | tail -n 100
		server_tail 0
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
server_binary "$kind"
mkdir -p "$build" || exit 2
lab_open clients

# Where 3.8 and 3.9 differ, zokor does what 3.9 does.
line=3.9
[ "$kind" = zokor ] || line=${APACHE_LINE:-3.8}
export ZK_LINE=$line
export ZK_HOST=$zokor_address ZK_PORT=$port ZK_CONNECT=$zokor_address:$port ZK_KIND=$kind ZK_TMP=$tmp
export ZK_JAVA_OPTS="${java_opts[*]}"

if start_server; then
	for t in "${tests[@]}"; do
		want=$(variant_of "$t")
		if [ "$want" != "$variant" ]; then
			server_stop 0
			variant=$want
			start_server "$t" || break
		fi
		one_test "$t"
		server_alive 0 && continue
		# The crash is counted; a new server on the same data serves the other tests.
		server_stop 0
		start_server "what follows $t" || break
	done
fi

server_stop 0
status=$?
# A JVM that is ended by SIGTERM exits with 143; zokord promises 0.
case $kind:$status in
zokor:0 | apache:143) passed=$((passed + 1)) ;;
*)
	echo "FAIL stop: the server ended with status $status"
	server_tail 0
	failed=$((failed + 1))
	;;
esac

note=
[ "$skipped" -eq 0 ] || note=", $skipped skipped"
echo "$passed passed, $failed failed$note"
[ "$failed" -eq 0 ]
