# shellcheck shell=bash disable=SC2034 # the scripts that source it use them
# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts that run clients against servers: a network namespace, a directory and
# servers in them, all of which are gone when the script ends.
#
# Environment:
#   ZOKORD            the server binary (default build/zokord)
#   APACHE_CLASSPATH  another release of Apache ZooKeeper than Debian's 3.8
#   APACHE_LINE       the line of that release, 3.8 (default) or 3.9
#   ZOKOR_CONF_EXTRA  further configuration lines for zokord, such as dp.cores=0,1
#
# The caller fills conf[N], the lines of zoo.cfg that both kinds of server take, before a start.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
zokord=${ZOKORD:-$top/build/zokord}
python=/usr/bin/python3
jars=/usr/share/java
java_opts=(-Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto)

zokor_address=127.181.0.1
host_address=127.181.0.254
port=2181
# Every four-letter word but stmk, so that a word outside the list can be tried too.
words=ruok,srvr,stat,mntr,conf,cons,isro,envi,dirs,dump,wchs,wchp,wchc,crst,srst,gtmk,hash

tmp=
ns=
server_pids=()  # of server N; empty: it is not there
server_hosts=() # its address
conf=()
apache_opts=() # of the JVM of the next Apache

die()
{
	echo "${0##*/}: $*" >&2
	exit 2
}

in_ns()
{
	ip netns exec "$ns" "$@"
}

# lab_open NAME: the namespace and the directory $tmp; the caller is root.
lab_open()
{
	[ "$(id -u)" -eq 0 ] || die "needs root, to make a network namespace"
	trap lab_close EXIT
	trap 'exit 130' INT TERM HUP
	export PYTHONDONTWRITEBYTECODE=1
	tmp=$(mktemp -d "${TMPDIR:-/tmp}/zokor-$1.XXXXXX") || exit 2
	ns=$1-$$-$RANDOM
	ip netns add "$ns" || {
		ns=
		die "cannot make a network namespace"
	}
	in_ns ip link set lo up || die "cannot bring lo up"
}

# shellcheck disable=SC2317 # called by the trap
lab_close()
{
	local status=$? n pid

	trap - EXIT INT TERM HUP
	for n in "${!server_pids[@]}"; do
		server_stop "$n"
	done
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

# server_start N KIND ADDRESS: in the background, on the data of the last server N.
server_start()
{
	local n=$1 kind=$2 cfg=$tmp/server$1.cfg

	mkdir -p "$tmp/data$n"
	{
		printf 'clientPort=%s\ndataDir=%s\nmaxClientCnxns=0\n4lw.commands.whitelist=%s\n' \
			"$port" "$tmp/data$n" "$words"
		printf '%b\n' "${conf[n]:-}"
	} >"$cfg"
	server_hosts[n]=$3
	"start_$kind" "$cfg" "$3" >"$tmp/server$n.log" 2>&1
	server_pids[n]=$!
}

# The background command is the server itself: a function in between would be a shell with another pid.
# shellcheck disable=SC2317 # called by its name
start_apache()
{
	printf '%s\n' "clientPortAddress=$2" admin.enableServer=false >>"$1"
	ip netns exec "$ns" setpriv --pdeathsig KILL \
		java "${java_opts[@]}" "${apache_opts[@]}" -Djava.net.preferIPv4Stack=true \
		-Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true \
		-cp "${APACHE_CLASSPATH:-$jars/zookeeper.jar:$jars/slf4j-simple.jar}" \
		org.apache.zookeeper.server.quorum.QuorumPeerMain "$1" &
}

# shellcheck disable=SC2317
start_zokor()
{
	printf '%s\n' dp.device=tap:zk0 "dp.address=$2/24" "dp.tapHostAddress=$host_address/24" >>"$1"
	[ -z "${ZOKOR_CONF_EXTRA:-}" ] || printf '%b\n' "$ZOKOR_CONF_EXTRA" >>"$1"
	ip netns exec "$ns" setpriv --pdeathsig KILL "$zokord" "$1" &
}

# zokord is there, if KIND... has it.
server_binary()
{
	[[ " $* " != *" zokor "* ]] || [ -x "$zokord" ] ||
		die "no server binary at $zokord: run make first"
}

server_alive()
{
	kill -0 "${server_pids[$1]}" 2>/dev/null
}

# Wait until server N answers srvr with its mode. 1: it ended, or took longer than 30 s.
server_wait()
{
	local i

	for ((i = 0; i < 150; i++)); do
		server_alive "$1" || return 1
		# shellcheck disable=SC2016 # expanded by the inner shell
		in_ns timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/$1" && printf srvr >&3 && cat <&3' \
			"${server_hosts[$1]}" "$port" 2>/dev/null | grep -q '^Mode: ' && return 0
		sleep 0.2
	done
	return 1
}

# Stop server N by its pid; the status is that of the server, 137 when it had to be killed.
server_stop()
{
	local pid=${server_pids[$1]:-} i

	server_pids[$1]=
	[ -n "$pid" ] || return 0
	kill -TERM "$pid" 2>/dev/null
	for ((i = 0; i < 150; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
}

server_tail()
{
	echo "--- last lines of the log of server $1"
	tail -n 30 "$tmp/server$1.log"
	echo "---"
}
