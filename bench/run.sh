#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make bench: zokord on one CPU, the generator on another, joined by memif. In the same run, for
# scale: the bare echo of that memif, and a server that answers without thinking (null-server).
#
# usage: bench/run.sh [--leader-cpu N] [--seconds S] [--repeats N] [--json] [--null-only]
#                     [--shapes CxW,...] [--workloads W,...] [--data DIR]
#   --leader-cpu N   CPU of zokord's leader core (0, the CPU of its client core)
#   --null-only      without zokord
#   --data DIR       make zokord's dataDir in DIR (/dev/shm, where a sync costs nothing: this is about
#                    the data path; `make bench-log` is about the disk)
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
bench=$build/zokor-bench
server_cpu=0 gen_cpu=1 leader_cpu=0 seconds=2 repeats=3 json=() run=() null_only='' where=/dev/shm
while [ $# -gt 0 ]; do
	case $1 in
	--leader-cpu) leader_cpu=$2 && shift ;;
	--seconds) seconds=$2 && shift ;;
	--repeats) repeats=$2 && shift ;;
	--shapes | --workloads) run+=("$1" "$2") && shift ;;
	--data) where=$2 && shift ;;
	--json) json=(--json) ;;
	--null-only) null_only=1 ;;
	*)
		sed -n 's/^# \{0,1\}//p' "$0" | sed -n '3,11p' >&2
		exit 2
		;;
	esac
	shift
done
if [ "$(nproc)" -lt 2 ]; then
	echo "two CPUs are needed" >&2
	exit 1
fi
[ -x "$bench" ] || { echo "$bench is not built: make" >&2; exit 1; }

dir=$(mktemp -d)
data=
server=
generator=
end() { # PID
	[ -n "$1" ] && kill "$1" 2>/dev/null && wait "$1" 2>/dev/null
}
cleanup() {
	end "$server"
	end "$generator"
	rm -rf "$dir" ${data:+"$data"}
}
trap cleanup EXIT
trap 'exit 1' INT TERM

note() { [ ${#json[@]} -gt 0 ] || echo "$*"; }

give_up() { # WHAT
	echo "$1; the server's last words:" >&2
	tail -n 20 "$dir/server.log" >&2
	exit 1
}

start() { # COMMAND...: a server on its CPU, in the background
	taskset -c "$server_cpu,$leader_cpu" "$@" >"$dir/server.log" 2>&1 &
	server=$!
}

# generate NAME MODE OPTION...: load the server, then let it go first (see bench_linger()): it must
# end cleanly, with all its packets.
generate() {
	local name=$1
	shift
	rm -f "$dir/done"
	taskset -c "$gen_cpu" "$bench" "$@" --device "memif:$dir/zk.sock,client" \
		--seconds "$seconds" --linger "$dir/done" "${json[@]}" &
	generator=$!
	while [ ! -e "$dir/done" ]; do
		kill -0 "$generator" 2>/dev/null || { generator= && give_up "no results from $name"; }
		sleep 0.2
	done
	kill "$server"
	wait "$server" || { server= && give_up "$name did not end cleanly"; }
	server=
	wait "$generator" || { generator= && give_up "the generator did not end cleanly"; }
	generator=
}

note "CPU $server_cpu: server (leader on $leader_cpu); CPU $gen_cpu: generator; $seconds s each, median of $repeats"
start "$bench" echo-server --device "memif:$dir/zk.sock"
generate echo-server echo --save "$dir/echo"

note
note "null-server (the stack alone):"
start "$bench" null-server --device "memif:$dir/zk.sock"
generate null-server run --echo "$dir/echo" --save "$dir/null" --repeats "$repeats" "${run[@]}"
[ -n "$null_only" ] && exit 0

data=$(mktemp -d "$where/zokor-bench.XXXXXX") || exit 1
cat >"$dir/zoo.cfg" <<CFG
tickTime=2000
dataDir=$data
clientPort=2181
maxClientCnxns=0
admin.enableServer=false
dp.device=memif:$dir/zk.sock
dp.address=127.181.0.1/24
dp.cores=$server_cpu
dp.leaderCpu=$leader_cpu
dp.idle=poll
CFG
note
note "zokord (dataDir on $(stat -f -c %T "$data"), forceSync=yes):"
start "$build/zokord" "$dir/zoo.cfg"
generate zokord run --echo "$dir/echo" --null "$dir/null" --repeats "$repeats" "${run[@]}"
