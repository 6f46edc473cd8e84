# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by test scripts: counts of what passed and failed, and the line for each.
pass=0 fail=0

ok() { # NAME STATUS [OUTPUT]
	if [ "$2" -eq 0 ]; then
		pass=$((pass + 1))
		echo "ok   $1"
	else
		fail=$((fail + 1))
		echo "FAIL $1"
		[ -n "${3:-}" ] && printf '     %s\n' "${3//$'\n'/$'\n     '}"
	fi
	return 0
}
