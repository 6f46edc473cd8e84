#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Limits and throttles with real connections, each on a server with settings of its own; those of
# memory on zokord only.
#
#   limits.sh [zokor|apache] [case ...]
#
# Ends with "N passed, N failed". Environment: see lib/server.sh.

set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=test/clients/lib/server.sh
. "$here/lib/server.sh"

declare -A settings=(
	[large_requests]="largeRequestThreshold=10000 largeRequestMaxBytes=50000"
	[outstanding]="globalOutstandingLimit=1"
	[request_throttle]="request_throttle_max_requests=4"
	[throttled_op]="request_throttle_max_requests=1 throttled_op_wait_time=5"
	[connection_throttle]="connection_throttle_tokens=4 connection_throttle_fill_time=10000000"
	[weighed_connections]="connection_throttle_tokens=4 connection_throttle_fill_time=10000000
		connection_throttle_weight_enabled=true"
	[dropped_by_chance]="connection_throttle_tokens=1 connection_throttle_fill_time=10000000
		connection_throttle_freeze_time=0 connection_throttle_drop_increase=1"
	[max_client_cnxns]="maxClientCnxns=3"
	[max_cnxns]="maxCnxns=3"
	[trace_mask]="4lw.commands.whitelist=*"
	[jute_maxbuffer]="jute.maxbuffer=4096"
	[quota_warnings]="enforceQuota=true"
)
# zokord's own; one core, so that its share is everything
small="dp.cores=0 tree.memoryLimit=64M dp.coreMemory=64M dp.maxConnections=1500"
own=(memory_small_nodes memory_values memory_acls memory_growing_sets memory_ephemerals memory_multi
	core_watches core_connections core_slow_readers)
for c in "${own[@]}"; do
	settings[$c]=$small
done
settings[core_slow_readers]+=" dp.txPackets=1024 dp.rxPackets=1024"
cases=(large_requests outstanding request_throttle throttled_op connection_throttle
	weighed_connections dropped_by_chance max_client_cnxns max_cnxns
	trace_mask jute_maxbuffer quota_warnings)

kind=zokor
case ${1:-} in
zokor | apache)
	kind=$1
	shift
	;;
esac
[ "$kind" = apache ] || cases+=("${own[@]}")
[ $# -eq 0 ] || cases=("$@")
server_binary "$kind"
lab_open zkl
export ZK_HOST=$zokor_address ZK_PORT=$port ZK_KIND=$kind ZK_LINE=${APACHE_LINE:-3.8}
[ "$kind" = apache ] || ZK_LINE=3.9

passed=0
failed=0

bad()
{
	failed=$((failed + 1))
	echo "FAIL $1: $2"
	server_tail 0
}

for c in "${cases[@]}"; do
	[ -n "${settings[$c]:-}" ] || die "no case called $c"
	conf[0]=tickTime=2000
	apache_opts=()
	rm -rf "$tmp/data0"
	set -f # a value may be an asterisk
	for s in ${settings[$c]}; do
		case $kind:$s in
		*:maxClientCnxns=* | *:4lw.* | zokor:*) conf[0]+="\n$s" ;;
		apache:jute.*) apache_opts+=("-D$s") ;;
		apache:*) apache_opts+=("-Dzookeeper.$s") ;;
		esac
	done
	set +f
	server_start 0 "$kind" "$zokor_address"
	if ! server_wait 0; then
		bad "$c" "the server did not begin to serve"
		server_stop 0
		continue
	fi
	program=limits.py
	[[ " ${own[*]} " != *" $c "* ]] || program=memory.py
	out=$(in_ns env "ZK_LOG=$tmp/server0.log" timeout -k 5 120 "$python" "$here/$program" "$c" 2>&1)
	status=$?
	echo "$out"
	if [ $status -ne 0 ] || ! grep -q "^ok $c" <<<"$out"; then
		bad "$c" "status $status"
	elif ! server_alive 0; then
		bad "$c" "the server has ended"
	else
		passed=$((passed + 1))
	fi
	server_stop 0
	status=$?
	case $kind:$status in
	zokor:0 | apache:143) ;;
	*) bad "$c" "the server ended with status $status" ;;
	esac
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
