#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run test programs one after the other, keep their output, say what failed.
# usage: run.sh NAME=COMMAND...    (COMMAND is split at blanks)
# LOG (default build/log) takes the outputs. Exit code 125 of a program means skipped; with NO_SKIP
# set that is a failure.
set -u
log=${LOG:-build/log}
pass=0 fail=0 skip=0
for t in "$@"; do
	name=${t%%=*} command=${t#*=}
	out=$log/${name//\//-}.log
	mkdir -p "$log"
	start=$(date +%s)
	# shellcheck disable=SC2086
	$command </dev/null >"$out" 2>&1
	rc=$?
	took=$(($(date +%s) - start))
	if [ $rc -eq 0 ]; then
		pass=$((pass + 1))
		printf 'ok    %-40s %4d s  %s\n' "$name" "$took" "$(grep -aE '[0-9]+ passed, [0-9]+ failed|\[  PASSED  \]' "$out" | tail -1 | cut -c1-60)"
	elif [ $rc -eq 125 ] && [ -z "${NO_SKIP:-}" ]; then
		skip=$((skip + 1))
		printf 'skip  %-40s %4d s  %s\n' "$name" "$took" "$(tail -1 "$out")"
	else
		fail=$((fail + 1))
		printf 'FAIL  %-40s %4d s  exit %d; %s:\n' "$name" "$took" $rc "$out"
		tail -n 40 "$out" | sed 's/^/    /'
	fi
done
printf '%d passed, %d failed, %d skipped\n' "$pass" "$fail" "$skip"
[ "$fail" -eq 0 ]
