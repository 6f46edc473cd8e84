#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: ensemble.sh PROGRAM OPTION...: a program of this folder in network, pid and mount namespaces
# of its own, with a directory that is gone afterwards. Root.
# Environment: BUILD, ZOKORD, APACHE_CLASSPATH, TMPDIR (where the servers' data go)
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export BUILD=${BUILD:-$here/../build} PYTHONDONTWRITEBYTECODE=1
export ZOKORD=${ZOKORD:-$BUILD/zokord}
[ "$(id -u)" -eq 0 ] || { echo "ensemble.sh: needs root, to make namespaces"; exit 2; }
dir=$(mktemp -d "${TMPDIR:-/tmp}/zokor-bench.XXXXXX") || exit 2
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
unshare --net --pid --mount --fork --kill-child --mount-proc \
	/usr/bin/python3 "$here/$1" "${@:2}" "$dir" </dev/null
