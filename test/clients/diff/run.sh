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
#   -v                  name every case
#
# Environment: that of ../lib/server.sh.
#
# The last line is "N passed, N failed"; the exit code is 0 only when nothing failed.

set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=test/clients/lib/server.sh
. "$here/../lib/server.sh"

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
server_binary "${kinds[@]}"
lab_open diff
# Clients of both servers come from one address, so that ip identities are equal.
[[ ${kinds[*]} == *zokor* ]] || in_ns ip address add "$host_address/32" dev lo

# What both kinds of server are told. The digest is that of super:diff.
digest=$(printf super:diff | openssl sha1 -binary | base64)
common='tickTime=500\nminSessionTimeout=1000\nmaxSessionTimeout=60000\nenforceQuota=true'
common+="\\nDigestAuthenticationProvider.superDigest=super:$digest"
apache_opts=(-Dznode.container.checkIntervalMs=86400000)
sides=()
second=
for n in 0 1; do
	conf[n]=$common
	if [ "${kinds[n]}" = apache ]; then
		address=127.0.0.1$n
		conf[n]+='\nforceSync=no'
		line=${APACHE_LINE:-3.8}
	else
		address=$zokor_address
		line=3.9
	fi
	server_start "$n" "${kinds[n]}" "$address"
	sides+=("${kinds[n]}$second,${kinds[n]},$line,$address,$port,$host_address")
	[ "${kinds[0]}" != "${kinds[1]}" ] || second=-again
done
for n in 0 1; do
	server_wait "$n" && continue
	echo "FAIL ${kinds[n]}: the server did not begin to serve"
	server_tail "$n"
	echo "0 passed, 1 failed"
	exit 1
done

in_ns "$python" "$here/main.py" "${sides[@]}" \
	--reproduce "test/clients/diff/run.sh ${kinds[*]}" "$@" </dev/null
status=$?
for n in 0 1; do
	if ! server_alive "$n"; then
		wait "${server_pids[n]}"
		echo "FAIL ${kinds[n]}: the server ended with status $?"
		server_tail "$n"
		status=1
	fi
done
exit "$status"
