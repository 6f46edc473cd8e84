#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The same requests to two ZooKeeper servers, every field of every answer compared.
#
#   run.sh [REFERENCE SERVER] [option ...] [SEEDS]
#
# REFERENCE and SERVER are apache or zokor (default: apache zokor; apache apache shows that the
# tester itself sees no difference where there is none). SEEDS is the number of random runs. The
# options are those of main.py (run.sh --help):
#
#   -k REGEX            only the scripted cases whose name matches
#   --seed N            only the random run N
#   --with GROUP,...    also the cases of these groups; all is every group
#   -v                  name every case
#
# Environment:
#   ZOKORD            the server binary (default build/zokord)
#   APACHE_CLASSPATH  another release of Apache ZooKeeper than Debian's 3.8
#   APACHE_LINE       the line of that release, 3.8 (default) or 3.9
#   ZOKOR_CONF_EXTRA  further configuration lines for zokord, such as dp.cores=0,1
#
# The last line is "N passed, N failed"; the exit code is 0 only when nothing failed.

set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../../.." && pwd)
zokord=${ZOKORD:-$top/build/zokord}
jars=/usr/share/java

zokor_address=127.181.0.1
host_address=127.181.0.254
words=ruok,srvr,stat,mntr,conf,cons,isro,envi,dirs,dump,wchs,wchp,wchc,crst,srst,gtmk,hash
java_opts=(-Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto)

pids=()
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

# shellcheck disable=SC2317 # called by the trap
cleanup()
{
	local status=$? pid i

	trap - EXIT INT TERM HUP
	for pid in "${pids[@]}"; do
		kill -TERM "$pid" 2>/dev/null
	done
	for pid in "${pids[@]}"; do
		for ((i = 0; i < 50; i++)); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL "$pid" 2>/dev/null
	done
	if [ -n "$ns" ]; then
		# Whatever still runs in our own namespace was started here.
		for pid in $(ip netns pids "$ns" 2>/dev/null); do
			kill -KILL "$pid" 2>/dev/null
		done
		ip netns del "$ns" 2>/dev/null
	fi
	[ -z "$tmp" ] || rm -rf "$tmp"
	exit "$status"
}

# The configuration that both kinds of server share. The digest is that of super:diff.
common_conf()
{
	cat <<-EOF2
		clientPort=$1
		tickTime=500
		minSessionTimeout=1000
		maxSessionTimeout=60000
		dataDir=$2
		4lw.commands.whitelist=$words
		maxClientCnxns=0
		DigestAuthenticationProvider.superDigest=super:$super_digest
	EOF2
}

start_apache()
{
	local n=$1 address=127.0.0.1$1 port=2181

	mkdir -p "$tmp/data$n"
	{
		common_conf "$port" "$tmp/data$n"
		echo "clientPortAddress=$address"
		echo "admin.enableServer=false"
		echo "forceSync=no"
	} >"$tmp/server$n.cfg"
	ip netns exec "$ns" setpriv --pdeathsig KILL \
		java "${java_opts[@]}" -Djava.net.preferIPv4Stack=true \
		-Dznode.container.checkIntervalMs=86400000 \
		-Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
		-Dorg.slf4j.simpleLogger.showDateTime=true \
		-cp "${APACHE_CLASSPATH:-$jars/zookeeper.jar:$jars/slf4j-simple.jar}" \
		org.apache.zookeeper.server.quorum.QuorumPeerMain "$tmp/server$n.cfg" \
		>"$tmp/server$n.log" 2>&1 &
	pids+=($!)
	sides+=("apache${second},apache,${APACHE_LINE:-3.8},$address,$port,$host_address")
}

start_zokor()
{
	local n=$1

	mkdir -p "$tmp/data$n"
	{
		common_conf 2181 "$tmp/data$n"
		echo "dp.device=tap:zk0"
		echo "dp.address=$zokor_address/24"
		echo "dp.tapHostAddress=$host_address/24"
		[ -z "${ZOKOR_CONF_EXTRA:-}" ] || printf '%b\n' "$ZOKOR_CONF_EXTRA"
	} >"$tmp/server$n.cfg"
	ip netns exec "$ns" setpriv --pdeathsig KILL "$zokord" "$tmp/server$n.cfg" \
		>"$tmp/server$n.log" 2>&1 &
	pids+=($!)
	sides+=("zokor,zokor,3.9,$zokor_address,2181,$host_address")
}

# One srvr command; true when the answer names the server's mode.
serves()
{
	# shellcheck disable=SC2016 # expanded by the inner shell
	in_ns timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/2181" && printf srvr >&3 && cat <&3' \
		"$1" 2>/dev/null | grep -q '^Mode: '
}

wait_until_served()
{
	local n i address

	for n in 0 1; do
		address=$(cut -d, -f4 <<<"${sides[n]}")
		for ((i = 0; i < 150; i++)); do
			serves "$address" && continue 2
			kill -0 "${pids[n]}" 2>/dev/null || break
			sleep 0.2
		done
		echo "FAIL ${kinds[n]}: the server did not begin to serve"
		tail -n 30 "$tmp/server$n.log"
		echo "0 passed, 1 failed"
		exit 1
	done
}

kinds=(apache zokor)
case ${1:-} in
apache | zokor)
	case ${2:-} in
	apache | zokor) ;;
	*) die "two kinds of server are needed: apache or zokor" ;;
	esac
	kinds=("$1" "$2")
	shift 2
	;;
esac
[ "${kinds[0]} ${kinds[1]}" != "zokor zokor" ] || die "zokor cannot be its own reference"
[ "$(id -u)" -eq 0 ] || die "needs root, to make a network namespace"
[[ ${kinds[*]} != *zokor* ]] || [ -x "$zokord" ] || die "no server binary at $zokord: run make first"

trap cleanup EXIT
trap 'exit 130' INT TERM HUP

tmp=$(mktemp -d "${TMPDIR:-/tmp}/zokor-diff.XXXXXX") || exit 2
ns=zkd-$$-$RANDOM
ip netns add "$ns" || {
	ns=
	die "cannot make a network namespace"
}
in_ns ip link set lo up || die "cannot bring lo up"
# Clients of both servers come from one address, so that ip identities are equal.
[[ ${kinds[*]} == *zokor* ]] || in_ns ip address add "$host_address/32" dev lo

super_digest=$(printf super:diff | openssl sha1 -binary | base64)
sides=()
second=
for n in 0 1; do
	case ${kinds[n]} in
	apache) start_apache "$n" ;;
	zokor) start_zokor "$n" ;;
	esac
	[ "${kinds[0]}" != "${kinds[1]}" ] || second=-again
done
wait_until_served

export PYTHONDONTWRITEBYTECODE=1
in_ns /usr/bin/python3 "$here/main.py" "${sides[@]}" \
	--reproduce "test/clients/diff/run.sh ${kinds[*]}" "$@" </dev/null
status=$?
for n in 0 1; do
	if ! kill -0 "${pids[n]}" 2>/dev/null; then
		wait "${pids[n]}"
		echo "FAIL ${kinds[n]}: the server ended with status $?"
		tail -n 30 "$tmp/server$n.log"
		status=1
	fi
done
exit "$status"
