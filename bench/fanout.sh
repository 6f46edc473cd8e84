#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make bench-fanout: very many watchers hear of a change; how long does another client of the same core
# wait? zokord on one CPU, all its clients in one process on another, joined by memif: no kernel between
# them.
#
# usage: bench/fanout.sh [--watchers N] [--repeats N] [--data DIR] [--conf LINES]
#   --watchers N   of one node; a tenth of them watches ten (100000)
#   --repeats N    changes per phase (5)
#   --data DIR     make zokord's dataDir in DIR (/dev/shm)
#   --conf LINES   further lines of zokord's configuration
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
server_cpu=0 gen_cpu=1 watchers=100000 repeats=5 where=/dev/shm extra=
while [ $# -gt 0 ]; do
	case $1 in
	--watchers) watchers=$2 && shift ;;
	--repeats) repeats=$2 && shift ;;
	--data) where=$2 && shift ;;
	--conf) extra=$2 && shift ;;
	*)
		sed -n 's/^# \{0,1\}//p' "$0" | sed -n '6,10p' >&2
		exit 2
		;;
	esac
	shift
done
[ "$(nproc)" -ge 2 ] || { echo "two CPUs are needed" >&2; exit 1; }

dir=$(mktemp -d) || exit 1
data=$(mktemp -d "$where/zokor-fanout.XXXXXX") || exit 1
pids=()
# shellcheck disable=SC2317 # called by the trap
cleanup()
{
	local pid

	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	rm -rf "$dir" "$data"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

give_up()
{
	echo "$1; the server's last words:" >&2
	tail -n 20 "$dir/server.log" >&2
	exit 1
}

cat >"$dir/zoo.cfg" <<CFG
tickTime=2000
maxSessionTimeout=600000
dataDir=$data
clientPort=2181
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=srst,mntr
dp.device=memif:$dir/zk.sock
dp.address=127.181.0.1/24
dp.maxConnections=$((watchers + 1000))
dp.cores=$server_cpu
dp.leaderCpu=$server_cpu
dp.idle=poll
$extra
CFG
taskset -c "$server_cpu" "$build/zokord" "$dir/zoo.cfg" >"$dir/server.log" 2>&1 &
server=$! && pids+=("$server")
taskset -c "$gen_cpu" "$build/zokor-bench" fanout --device "memif:$dir/zk.sock,client" \
	--watchers "$watchers" --repeats "$repeats" --linger "$dir/done" &
generator=$! && pids+=("$generator")
# the server goes first: see bench_linger()
while [ ! -e "$dir/done" ]; do
	kill -0 "$generator" 2>/dev/null || give_up "no results"
	sleep 0.2
done
kill "$server"
wait "$server" || give_up "zokord did not end cleanly"
wait "$generator" || give_up "the generator did not end cleanly"
