#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# zokord and zokorctl as an operator sees them, in a network namespace of its own: bad
# configurations, failures to start, serving, signals, drain, core mappings, idle CPU use.
# Ends with `N passed, N failed`.
set -u
cd "$(dirname "$0")/../.." || exit 1
zokord=${ZOKORD:-build/zokord}
zokorctl=$(dirname "$zokord")/zokorctl
client=test/net/zokord.py
python=/usr/bin/python3
if [ "$(id -u)" -ne 0 ]; then
	echo "needs root"
	exit 125
fi
if ! [ -x "$zokord" ] || ! [ -x "$zokorctl" ]; then
	echo "$zokord is not built"
	exit 1
fi
ns=zokord$$
dir=$(mktemp -d)
cfg=$dir/zoo.cfg
out=$dir/out
pid=
# shellcheck source=test/lib/verdict.sh
. test/lib/verdict.sh
in_ns() { ip netns exec "$ns" "$@"; }

# shellcheck disable=SC2317 # called by the trap
cleanup() {
	[ -n "$pid" ] && kill -KILL "$pid" 2>/dev/null
	if [ -f "$dir/data/zokord.pid" ]; then
		kill -KILL "$(cat "$dir/data/zokord.pid")" 2>/dev/null
	fi
	ip netns del "$ns" 2>/dev/null
	rm -rf "$dir"
}
trap cleanup EXIT

config() { # LINES...: the shipped configuration, with these lines behind it (the last one wins)
	sed "s#^dataDir=.*#dataDir=$dir/data#" configs/standalone.cfg >"$cfg"
	printf '%s\n' "$@" >>"$cfg"
}
lines() { wc -l <"$cfg"; }

# one_line NAME CODE TEXT COMMAND...: ends with CODE after exactly one line, and TEXT is in it
one_line() {
	local name=$1 want=$2 text=$3 got rc
	shift 3
	got=$(in_ns timeout 20 "$@" 2>&1)
	rc=$?
	[ $rc -eq "$want" ] && [ "$(wc -l <<<"$got")" -eq 1 ] && [[ $got == *"$text"* ]]
	ok "$name" $? "exit $rc, wanted $want with \"$text\": $got"
}

start() { # COMMAND...: in the background, until it serves
	: >"$out" # here, not in the child: an old "serving" must not count
	ip netns exec "$ns" "$@" >>"$out" 2>&1 & # not in_ns: its pid would be a subshell's
	pid=$!
	for _ in $(seq 200); do
		grep -q 'INFO serving=' "$out" && return 0
		kill -0 "$pid" 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}
# Ends the server; clean when it says so, exits 0 and its pools are full.
stop_clean() { # [SIGNAL]
	local rc
	kill "-${1:-TERM}" "$pid" || return 1
	wait "$pid"
	rc=$?
	pid=
	[ $rc -eq 0 ] && grep -q 'stopped=clean' "$out" && ! grep -q missing "$out"
}
word() { in_ns timeout 5 bash -c "exec 3<>/dev/tcp/127.181.0.1/2181 && printf $1 >&3 && cat <&3"; }
cpu_ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }

ip netns add "$ns" || exit 1
in_ns ip link set lo up

# ---- usage and configuration: exit 2
in_ns "$zokord" --help | grep -q '^usage: zokord CONFIG'
ok "zokord --help" $?
in_ns "$zokord" --version | grep -q '^zokord [0-9]'
ok "zokord --version" $?
in_ns "$zokord" >/dev/null 2>&1
[ $? -eq 2 ]
ok "no argument: exit 2" $?
in_ns "$zokord" --bogus >/dev/null 2>&1
[ $? -eq 2 ]
ok "unknown option: exit 2" $?
one_line "no such file" 2 "/nonexistent.cfg: cannot open: No such file" "$zokord" /nonexistent.cfg
while IFS='|' read -r line text; do
	config "$line"
	one_line "bad line: $line" 2 "$cfg:$(lines): $text" "$zokord" "$cfg"
done <<'EOF'
clientPort=http|clientPort: "http" is not a number
tickTime=-5|tickTime: "-5" is too small
dp.address=127.181.0.1|dp.address: "127.181.0.1" is not an address with prefix length
dp.device=eth0|dp.device: "eth0"
dp.cores=0,4711|dp.cores: CPU 4711 is not there
dp.leaderCpu=999|dp.leaderCpu: CPU 999 is not there
dp.idle=never|dp.idle: "never" must be poll or adaptive
dp.hugepages=3M|dp.hugepages: "3M" must be auto, 2M, 1G or no
tree.memoryLimit=lots|tree.memoryLimit: "lots" is not a size
server.1=a:2888|server.1: "a:2888" not of the form host:port:port
secureClientPort=2281|secureClientPort: "2281" is not served yet
EOF
config
in_ns "$zokord" --check "$cfg" | grep -q '^dp.address=127.181.0.1/24$'
ok "--check of the shipped configuration" $?

# ---- failures to start: one line, exit 1
in_ns ip addr add 127.181.0.1/32 dev lo
one_line "busy address" 1 "127.181.0.1" "$zokord" "$cfg"
in_ns ip addr del 127.181.0.1/32 dev lo
one_line "missing capability" 1 CAP_NET_ADMIN \
	setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$zokord" "$cfg"
config dp.device=af_packet:nope0
sed -i '/^dp.tapHostAddress/d' "$cfg"
one_line "missing device" 1 "interface nope0 does not exist" "$zokord" "$cfg"
config "dataDir=/proc/nowhere"
one_line "impossible dataDir" 1 "dataDir /proc/nowhere" "$zokord" "$cfg"
config "log.file=/nonexistent/log"
one_line "impossible log.file" 1 "log.file /nonexistent/log" "$zokord" "$cfg"
members=(server.1=127.181.0.1:2888:3888 server.2=127.181.0.2:2888:3888
	server.3=127.181.0.3:2888:3888 initLimit=10 syncLimit=5 log.file="$dir/log")
mkdir -p "$dir/member"
config dataDir="$dir/member" "${members[@]}"
one_line "member without myid" 2 "$cfg:$(grep -n ^dataDir "$cfg" | tail -1 | cut -d: -f1): dataDir: myid file" \
	"$zokord" "$cfg"
echo 1 >"$dir/member/myid"
config dataDir="$dir/member" "${members[@]}" db.autocreate=false
one_line "voter without data, db.autocreate=false" 1 "begins empty only" "$zokord" "$cfg"
rm -r "$dir/member"
config dp.hugepages=2M
one_line "2M pages demanded, none to be had" 1 "huge pages" unshare -m sh -c \
	"mount -t tmpfs none /sys/kernel/mm/hugepages && exec $zokord $cfg"

# ---- ordinary pages
config dp.hugepages=no
start "$zokord" "$cfg" && grep -q 'hugepages=no' "$out" && [ "$(word ruok)" = imok ]
ok "dp.hugepages=no serves" $? "$(cat "$out")"
stop_clean
ok "and stops clean" $? "$(cat "$out")"
for mtu in 4200 9000; do # a packet that is larger than a page takes whole pages
	config dp.hugepages=no dp.mtu=$mtu dp.rxPackets=16384
	start "$zokord" "$cfg" && [ "$(word ruok)" = imok ] &&
		in_ns ping -q -c 2 -i 0.1 -W 2 -M "do" -s $((mtu - 28)) 127.181.0.1 >>"$out" 2>&1
	ok "an MTU of $mtu on ordinary pages" $? "$(cat "$out")"
	stop_clean
	ok "and stops clean" $? "$(cat "$out")"
done
config dp.hugepages=auto
start unshare -m sh -c "mount -t tmpfs none /sys/kernel/mm/hugepages && exec $zokord $cfg" &&
	[ "$(grep -c ' WARN ' "$out")" -eq 1 ] && grep -q 'WARN .*huge pages' "$out" &&
	[ "$(word ruok)" = imok ]
ok "dp.hugepages=auto without huge pages: one line, and serves" $? "$(cat "$out")"
stop_clean
ok "and stops clean" $? "$(cat "$out")"

# ---- serving, signals
config "log.file=$dir/log" "4lw.commands.whitelist=ruok,srvr,stat,mntr,conf,cons"
: >"$dir/log"
ip netns exec "$ns" "$zokord" "$cfg" 2>"$out" &
pid=$!
for _ in $(seq 200); do
	grep -q 'INFO serving=' "$dir/log" && break
	sleep 0.05
done
[ "$(word ruok)" = imok ]
ok "ruok" $?
word srvr | grep -q '^Mode: standalone$'
ok "srvr" $?
word stat | grep -q '^ /127.181.0.254:'
ok "stat names the asking connection" $?
[ "$(word isro)" = "isro is not executed because it is not in the whitelist." ]
ok "a word outside of the whitelist" $?
word mntr | grep -qP '^zk_open_file_descriptor_count\t[1-9]'
ok "mntr knows the open files" $?
word mntr | grep -qP '^zk_max_core0_round_ns\t[1-9]'
ok "mntr knows the longest round of a core" $?
word mntr | grep -qP '^zk_p99_core0_reply_ns\t[1-9]'
ok "... and how long replies took to leave it" $?
one_line "second server on the same dataDir" 1 "is in use by process $pid" "$zokord" "$cfg"
grep -qE '^[0-9-]{10}T[0-9:]{8}\.[0-9]{3}Z INFO zokord=' "$dir/log"
ok "log lines have time and level" $?
mv "$dir/log" "$dir/log.1"
kill -HUP "$pid"
for _ in $(seq 40); do
	[ -s "$dir/log" ] && break
	sleep 0.05
done
grep -q 'log=reopened' "$dir/log"
ok "SIGHUP opens the log file again" $?
in_ns $python $client hold >"$dir/hold" 2>&1 &
hold=$!
for _ in $(seq 40); do
	grep -q holding "$dir/hold" && break
	sleep 0.05
done
begin=$(date +%s%N)
kill -TERM "$pid"
wait "$pid"
rc=$?
took=$((($(date +%s%N) - begin) / 1000000))
pid=
[ $rc -eq 0 ] && [ $took -lt 3000 ] && grep -q stopped=clean "$dir/log"
ok "SIGTERM with an open session: exit 0 in $took ms, pools full" $? "$rc $(cat "$out" "$dir/log")"
wait $hold
ok "its client saw an orderly close" $? "$(cat "$dir/hold")"
[ ! -e "$dir/data/zokord.pid" ]
ok "no pid file is left" $?
config
start "$zokord" "$cfg" && stop_clean INT
ok "SIGINT stops, too" $? "$(cat "$out")"

# ---- core mappings on the CPUs there are
cpus=$(nproc)
mapping() { # LEADER CORES
	[ "$cpus" -ge 2 ] || [[ $1$2 != *1* ]] || return 0
	config "dp.leaderCpu=$1" "dp.cores=$2"
	start "$zokord" "$cfg" && in_ns timeout 60 $python $client load 12 100 >"$dir/load" 2>&1
	ok "leader on $1, clients on $2: $(tail -1 "$dir/load")" $? "$(cat "$out" "$dir/load")"
	stop_clean
	ok "leader on $1, clients on $2: stops clean" $? "$(cat "$out")"
}
mapping 0 1
mapping 0 0,1
mapping 0 0,1,0,1
mapping 0 0
mapping 0 0,0,0
config "dp.leaderCpu=0" "dp.cores=0"
start taskset -c 0 "$zokord" "$cfg" && grep -q 'coreCpus=0 ' "$out" &&
	in_ns timeout 60 $python $client load 4 50 >"$dir/load" 2>&1
ok "a machine with one CPU" $? "$(cat "$out" "$dir/load")"
stop_clean
ok "stops clean" $? "$(cat "$out")"

# ---- idle
config
start "$zokord" "$cfg"
in_ns timeout 60 $python $client idle 20 8 >"$dir/idle" 2>&1 &
idle=$!
sleep 2
before=$(cpu_ticks "$pid")
sleep 5
percent=$((($(cpu_ticks "$pid") - before) * 100 / (5 * $(getconf CLK_TCK))))
[ $percent -le 15 ]
ok "idle with 20 connections, adaptive: $percent % of one CPU" $?
wait $idle
ok "idle connections stay" $? "$(cat "$dir/idle")"
stop_clean
ok "stops clean" $? "$(cat "$out")"

# ---- zokorctl
ctl() { in_ns timeout 60 "$zokorctl" server "$1" "$cfg" >"$dir/ctl" 2>&1; }
config
ctl status
[ $? -eq 1 ] && grep -q 'Error contacting service. It is probably not running.' "$dir/ctl"
ok "zokorctl status, nothing there: exit 1" $? "$(cat "$dir/ctl")"
ctl start && grep -q 'STARTED' "$dir/ctl"
ok "zokorctl start" $? "$(cat "$dir/ctl")"
ctl status && grep -q '^Mode: standalone$' "$dir/ctl"
ok "zokorctl status" $? "$(cat "$dir/ctl")"
ctl start
[ $? -eq 1 ] && grep -q 'already running as process' "$dir/ctl"
ok "zokorctl start twice: exit 1" $? "$(cat "$dir/ctl")"
first=$(cat "$dir/data/zokord.pid")
ctl restart && [ "$(cat "$dir/data/zokord.pid")" != "$first" ]
ok "zokorctl restart" $? "$(cat "$dir/ctl")"
ctl stop && grep -q STOPPED "$dir/ctl" && grep -q stopped=clean "$dir/data/zokord.out"
ok "zokorctl stop" $? "$(cat "$dir/ctl")"
ctl stop
ok "zokorctl stop, nothing there: exit 0 as zkServer.sh" $? "$(cat "$dir/ctl")"
config "dp.idle=never"
ctl start
[ $? -eq 2 ] && grep -q ': dp.idle: ' "$dir/ctl"
ok "zokorctl start, bad configuration: exit 2 and the line" $? "$(cat "$dir/ctl")"
config
in_ns ip addr add 127.181.0.1/32 dev lo
ctl start
[ $? -eq 1 ] && grep -q 'FAILED TO START' "$dir/ctl" && grep -q '^zokord: .*127.181.0.1' "$dir/ctl"
ok "zokorctl start, busy address: exit 1 and the line" $? "$(cat "$dir/ctl")"
in_ns "$zokorctl" server bogus "$cfg" >/dev/null 2>&1
[ $? -eq 2 ]
ok "zokorctl, unknown command: exit 2" $?

echo "$pass passed, $fail failed"
[ $fail -eq 0 ]
