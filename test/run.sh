#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run test programs one after the other, keep their output, say what failed.
# usage: run.sh NAME=COMMAND...    (COMMAND is split at blanks)
# A NAME that ends in & runs beside the one after it: for what leaves CPUs idle and
# measures no time.
# LOG (default build/log) takes the outputs. Exit code 125 of a program means skipped; with NO_SKIP
# set that is a failure.
set -u
log=${LOG:-build/log}
pass=0 fail=0 skip=0
mkdir -p "$log"
work() { # NAME COMMAND...: leaves status and seconds beside the output
	local name=$1 out=$log/${1//\//-} start rc
	shift
	start=$(date +%s)
	"$@" </dev/null >"$out.log" 2>&1
	rc=$?
	echo "$rc $(($(date +%s) - start))" >"$out.rc"
}
tell() { # NAME
	local name=$1 out=$log/${1//\//-}.log rc took
	read -r rc took <"${out%.log}.rc"
	rm -f "${out%.log}.rc"
	if [ "$rc" -eq 0 ]; then
		pass=$((pass + 1))
		printf 'ok    %-40s %4d s  %s\n' "$name" "$took" "$(grep -aE '[0-9]+ passed, [0-9]+ failed|\[  PASSED  \]' "$out" | tail -1 | cut -c1-60)"
	elif [ "$rc" -eq 125 ] && [ -z "${NO_SKIP:-}" ]; then
		skip=$((skip + 1))
		printf 'skip  %-40s %4d s  %s\n' "$name" "$took" "$(tail -1 "$out")"
	else
		fail=$((fail + 1))
		printf 'FAIL  %-40s %4d s  exit %d; %s:\n' "$name" "$took" "$rc" "$out"
		tail -n 40 "$out" | sed 's/^/    /'
	fi
}
rest() { # what runs beside has its time until here
	local n
	for n in "${!pids[@]}"; do
		wait "${pids[n]}"
		tell "${beside[n]}"
	done
	beside=() pids=()
}
beside=() pids=()
trap 'kill 0' INT # a shell's background programs do not hear it
for t in "$@"; do
	name=${t%%=*}
	read -ra command <<<"${t#*=}"
	if [[ $name == *'&' ]]; then
		name=${name%'&'}
		work "$name" "${command[@]}" &
		beside+=("$name")
		pids+=($!)
		continue
	fi
	work "$name" "${command[@]}"
	rest
	tell "$name"
done
rest
printf '%d passed, %d failed, %d skipped\n' "$pass" "$fail" "$skip"
[ "$fail" -eq 0 ]
