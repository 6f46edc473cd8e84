#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make bench-snapshot: bench/snapshot.py in a network namespace of its own (root).
# usage: bench/snapshot.sh [--nodes N] [--bytes N] [--seconds S] [--writers N] [--depth N]
set -u
cd "$(dirname "$0")/.." || exit 1
export BUILD=${BUILD:-build} PYTHONDONTWRITEBYTECODE=1
export ZOKORD=${ZOKORD:-$BUILD/zokord}
[ "$(id -u)" -eq 0 ] || { echo "needs root, to make a network namespace" >&2; exit 2; }
[ -x "$ZOKORD" ] || { echo "$ZOKORD is not built: make" >&2; exit 2; }
ns=zkbs-$$
dir=$(mktemp -d)
cleanup() {
	ip netns del "$ns" 2>/dev/null
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
ip netns add "$ns" || exit 1
ip netns exec "$ns" ip link set lo up
ip netns exec "$ns" /usr/bin/python3 bench/snapshot.py "$@" "$dir"
