#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Very many watches: the same client program against zokord (TAP) and Apache ZooKeeper (loopback), in
# a network namespace, one after the other, and a table of both.
#
# usage: bench/watch.sh [--percent P] [zokor|apache ...]
#   --percent P   that much of the full size, 1 to 100
#
# Environment: BUILD (build), and what test/clients/lib/server.sh takes.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=test/clients/lib/server.sh
. "$here/../test/clients/lib/server.sh"

bench=${BUILD:-$top/build}/bench/watch_bench
percent=100 kinds=()
while [ $# -gt 0 ]; do
	case $1 in
	--percent) percent=$2 && shift ;;
	zokor | apache) kinds+=("$1") ;;
	*)
		sed -n 's/^# \{0,1\}//p' "$0" | sed -n '5,8p' >&2
		exit 2
		;;
	esac
	shift
done
[ ${#kinds[@]} -gt 0 ] || kinds=(zokor apache)
[ -x "$bench" ] || die "$bench is not built: make bench-watch"
server_binary "${kinds[@]}"
# shellcheck disable=SC2034 # server.sh's
java_opts=(-Xmx4g -XX:+UseG1GC -Xshare:auto)
lab_open bench-watch

# The bytes in use, as a command for the program to run.
memory_of()
{
	if [ "$1" = zokor ]; then
		cat <<-SH
			exec 3<>/dev/tcp/$zokor_address/$port; printf mntr >&3
			awk '\$1 == "zk_core_memory_bytes" {print \$2}' <&3
		SH
	else
		cat <<-SH
			jcmd ${server_pids[0]} GC.run >/dev/null
			jstat -gc ${server_pids[0]} | awk 'NR == 2 {print (\$3 + \$4 + \$6 + \$8) * 1024}'
		SH
	fi
}

for kind in "${kinds[@]}"; do
	# shellcheck disable=SC2034
	conf[0]='tickTime=2000\nmaxSessionTimeout=600000\nmaxCnxns=0'
	server_start 0 "$kind" "$zokor_address"
	server_wait 0 || { server_tail 0; die "$kind does not serve"; }
	memory_of "$kind" >"$tmp/memory.sh"
	own=()
	[ "$kind" = apache ] || own=(-z)
	in_ns "$bench" -h "$zokor_address" -p "$port" -s "$percent" -m "bash $tmp/memory.sh" "${own[@]}" \
		>"$tmp/$kind.txt" || { server_tail 0; die "$kind: no figures"; }
	server_alive 0 || { server_tail 0; die "$kind did not survive it"; }
	server_stop 0
	rm -rf "$tmp/data0"
done

files=()
for kind in "${kinds[@]}"; do files+=("$tmp/$kind.txt"); done
echo "$percent % of a million watches; CPUs: $(nproc)"
awk -v kinds="${kinds[*]}" '
BEGIN { n = split(kinds, kind) }
{
	if (!($1 in unit)) { name[++rows] = $1; unit[$1] = $3 }
	value[FILENAME, $1] = $2
	if (FNR == 1) file[++files] = FILENAME
}
END {
	printf "%-32s %5s", "", ""
	for (i = 1; i <= n; i++) printf " %14s", kind[i]
	print n == 2 ? "    ratio" : ""
	for (r = 1; r <= rows; r++) {
		printf "%-32s %5s", name[r], unit[name[r]]
		for (i = 1; i <= n; i++) printf " %14.3f", value[file[i], name[r]]
		if (n == 2 && value[file[2], name[r]] > 0)
			printf " %8.2f", value[file[1], name[r]] / value[file[2], name[r]]
		print ""
	}
}' "${files[@]}"
