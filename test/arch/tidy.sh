#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Rules of the repository as a test; reads the built binaries too, since build files lie.
# usage: tidy.sh BUILD_DIR
set -u
build=${1:?usage: tidy.sh BUILD_DIR}
bad=0 good=0

check() { # WHY LINES: no lines = good
	if [ -n "$2" ]; then
		printf 'tidy: %s:\n%s\n' "$1" "$2"
		bad=$((bad + 1))
	else
		good=$((good + 1))
	fi
}

files() {
	if [ -e .git ]; then # in a worktree it is a file
		git ls-files -co --exclude-standard -- "$@"
	else
		local f
		find . -name build -prune -o -type f -print | sed 's,^\./,,' | while IFS= read -r f; do
			for glob; do
				# shellcheck disable=SC2053 # a pattern
				[[ $glob == . || $f == $glob ]] && printf '%s\n' "$f" && break
			done
		done
	fi
}

source_files=$(files '*.c' '*.h' '*.sh' '*.mk' Makefile)
c_files=$(files '*.c' '*.h')
top=$(files . | cut -d/ -f1 | sort -u | grep -vE '^(Makefile|dp|core|ctl|configs|bench|test|deploy|README\.md|LICENSE|CHANGELOG\.md|CONTRIBUTING\.md|\..*)$')
check 'top level' "$top"
# shellcheck disable=SC2086
check 'licence line missing' "$(grep -L 'SPDX-License-Identifier: Apache-2.0' $source_files)"
# shellcheck disable=SC2086
check 'longer than a sitting (900 lines)' "$(wc -l $source_files | awk '$2 != "total" && $1 > 900')"
# shellcheck disable=SC2086
check 'lines over 100 columns' "$(expand -t8 /dev/null; for f in $c_files; do expand -t8 "$f" | awk -v f="$f" 'length > 100 {print f ":" NR}'; done | head)"
# shellcheck disable=SC2086
check 'left open in the code' "$(grep -nE '\b(TODO|FIXME|XXX|HACK)\b' $c_files | head)"
# shellcheck disable=SC2086
check 'unbounded string functions' "$(grep -nE '[^a-z_](sprintf|strcpy|strcat|gets|alloca)[[:space:]]*\(' $c_files | head)"
# shellcheck disable=SC2086
check 'trailing blanks' "$(grep -nE '[[:blank:]]+$' $source_files | head)"

check 'corner cases without a test' "$(/usr/bin/python3 test/arch/corners.py 2>&1)"

for program in zokord zokorctl zokor-bench; do
	b=$build/$program
	if [ ! -x "$b" ]; then
		check 'not built' "$b"
		continue
	fi
	check "$program is no PIE" "$(readelf -h "$b" | grep -q 'Type:.*DYN' || echo "$b")"
	check "$program binds late" "$(readelf -d "$b" | grep -qE 'BIND_NOW|NOW' || echo "$b")"
	check "$program has no RELRO" "$(readelf -lW "$b" | grep -q GNU_RELRO || echo "$b")"
	check "$program has an executable stack" "$(readelf -lW "$b" | grep GNU_STACK | grep -q RWE && echo "$b")"
	check "$program has no stack protector" "$(readelf -sW "$b" | grep -q __stack_chk_fail || echo "$b")"
done
printf '%d passed, %d failed\n' "$good" "$bad"
[ "$bad" -eq 0 ]
