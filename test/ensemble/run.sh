#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ensembles of real servers, of either kind or mixed, under real clients and real faults. Root;
# network, pid and mount namespaces of their own, with all of which they end.
#
#   run.sh [--kinds KIND,KIND,KIND] [test ...]
#
# Every KIND is zokor or apache (Debian's ZooKeeper); --kinds apache,apache,apache shows that the
# tests themselves are right. A test has its own choice of kinds when none is given.
#
#   short    what CI has time for
#   mixed    each role killed under load, DIFF, TRUNC and SNAP forced, sync, sessions that move
#   faults   kill -9, SIGSTOP, partitions, lost frames, a slow disk under clients whose record is judged
#   chase    the next server is killed the moment the last one serves again
#   roles    words and connections of every role, read-only mode
#   many     seven servers; two dead of five
#   badinput strangers at the quorum and election ports
#   full     the disk of a log fills up, the leader's and a follower's
#   rollover the counter of epochs comes to its end, under each kind of leader
#   local    writes of sessions that only an Apache learner knows
#   rolling  a migration there and back without a lost session (--kinds apache,zokor)
#
# Environment:
#   ZOKORD            the server binary (default build/zokord)
#   BUILD             where compiled helpers are (default build)
#   APACHE_CLASSPATH  another release of Apache ZooKeeper than Debian's 3.8
#   ZOKOR_CONF_EXTRA  further configuration lines for zokord, such as dp.cores=0,1
#   SEED              of the clients (default by the clock)
#   FAULTS_S          how long the tests faults and chase go on (default 40)
#   KEEP              when set, the directories of failed tests stay
#
# Ends with `N passed, N failed`.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
# shellcheck source=test/lib/verdict.sh
. "$top/test/lib/verdict.sh"
export ZOKORD=${ZOKORD:-$top/build/zokord} BUILD=${BUILD:-$top/build} PYTHONDONTWRITEBYTECODE=1
case $ZOKORD in /*) ;; *) ZOKORD=$PWD/$ZOKORD ;; esac
python=/usr/bin/python3
seed=${SEED:-$(date +%s)}
seconds=${FAULTS_S:-40}
kinds=
# One and two of each kind, either of them leading, and none of Apache's.
mixtures='apache,zokor,zokor zokor,apache,apache zokor,zokor,apache apache,apache,zokor zokor,zokor,zokor'
tmp=

# shellcheck disable=SC2317 # called by the trap
cleanup() {
	local status=$?
	trap - EXIT INT TERM
	if [ -n "$tmp" ]; then
		if [ -n "${KEEP:-}" ] && [ "$fail" -ne 0 ]; then
			echo "kept: $tmp"
		else
			rm -rf "$tmp"
		fi
	fi
	exit $status
}
# alone SECONDS COMMAND...: in namespaces that take everything with them
alone() {
	local seconds=$1
	shift
	timeout -k 5 "$seconds" unshare --net --pid --mount --fork --kill-child --mount-proc "$@" </dev/null
}
# case_of NAME SECONDS PROGRAM OPTION...: every "ok" line of the program is a test that passed.
case_of() {
	local name=$1 seconds=$2 dir out rc line
	shift 2
	dir=$tmp/${name//[^a-z0-9]/-}
	out=$dir.out
	mkdir -p "$dir"
	alone "$seconds" "$python" "$here/$1" "${@:2}" "$dir" >"$out" 2>&1
	rc=$?
	while IFS= read -r line; do
		ok "$name: ${line#ok }" 0
	done < <(grep -a '^ok ' "$out")
	[ $rc -eq 0 ] && grep -qa '^ok ' "$out" && return
	ok "$name (exit $rc)" 1 "$(grep -av '^ok ' "$out" | tail -n 150)"
}

run_mixed() {
	local k sets=${kinds:-"$mixtures"}
	for k in $sets; do
		# The observer is of the kind that is first.
		case_of "mixed $k" 900 mixed.py --kinds "$k" --observer "${k%%,*}" --seed "$seed"
	done
}
run_roles() {
	local k=${kinds:-zokor,zokor,zokor}
	case_of "roles $k" 200 roles.py --kinds "$k"
}
run_rolling() {
	local pair=${kinds:-apache,zokor}
	case_of "rolling $pair" 300 rolling.py --kinds "$pair" --seed "$seed"
}
run_faults() {
	local k=${kinds:-zokor,zokor,zokor}
	case_of "faults $k" $((seconds + 180)) faults.py --kinds "$k" \
		--seed "$seed" --seconds "$seconds"
}
run_chase() {
	local k=${kinds:-zokor,zokor,zokor}
	case_of "chase $k" $((seconds + 180)) faults.py --kinds "$k" \
		--seed "$seed" --seconds "$seconds" --chase --stall-ms 100
}
run_many() {
	local kind=${kinds:-zokor}
	case_of "many ${kind%%,*}" 180 many.py --kind "${kind%%,*}" --seed "$seed"
}
run_badinput() {
	local k=${kinds:-zokor,zokor,zokor}
	case_of "badinput $k" 180 badinput.py --kinds "$k" --seed "$seed"
}
run_local() {
	local k=${kinds:-apache,apache,zokor}
	case_of "local $k" 120 local.py --kinds "$k"
}
run_rollover() {
	local k sets=${kinds:-"zokor,zokor,zokor zokor,zokor,apache apache,apache,zokor"}
	for k in $sets; do
		case_of "rollover $k" 400 rollover.py --kinds "$k" --seed "$seed"
	done
}
run_full() {
	case_of full 120 full.py --seed "$seed"
}
# What CI has time for.
run_short() {
	case_of "mixed zokor,zokor,apache" 200 mixed.py --kinds zokor,zokor,apache --short --seed "$seed"
	run_rolling
	run_many
	run_roles
	run_badinput
	run_full
	seconds=30
	run_faults
	seconds=15
	run_chase
}

tests=()
while [ $# -gt 0 ]; do
	case $1 in
	--kinds) kinds=$2 && shift ;;
	*) tests+=("$1") ;;
	esac
	shift
done
[ ${#tests[@]} -gt 0 ] || tests=(mixed roles rolling rollover local many badinput full faults chase)
[ "$(id -u)" -eq 0 ] || { echo "run.sh: needs root, to make namespaces"; exit 125; }
[[ ! ${kinds:-zokor} == *zokor* ]] || [ -x "$ZOKORD" ] ||
	{ echo "run.sh: no $ZOKORD: run make first"; exit 2; }
[ -f /usr/share/java/zookeeper.jar ] || { echo "skipped: no Apache ZooKeeper"; exit 125; }
trap cleanup EXIT
trap 'exit 130' INT TERM
tmp=$(mktemp -d "${TMPDIR:-/tmp}/zokor-ensemble.XXXXXX") || exit 2
for t in "${tests[@]}"; do
	if ! declare -F "run_$t" >/dev/null; then
		echo "run.sh: no test called $t"
		exit 2
	fi
	"run_$t"
done
echo "$pass passed, $fail failed"
[ "$fail" -eq 0 ]
