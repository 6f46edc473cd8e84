#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test/store/snapshot.py in namespaces of its own (root). Environment: BUILD, ZOKORD
set -u
cd "$(dirname "$0")/../.." || exit 1
export BUILD=${BUILD:-build} PYTHONDONTWRITEBYTECODE=1
export ZOKORD=${ZOKORD:-$BUILD/zokord}
export ZK_HOST=127.181.0.1 ZK_PORT=2181
[ "$(id -u)" -eq 0 ] || { echo "snapshot.sh: needs root, to make a network namespace"; exit 2; }
[ -x "$ZOKORD" ] || { echo "snapshot.sh: $ZOKORD is not built"; exit 2; }
[ -f /usr/share/java/zookeeper.jar ] || { echo "skipped: no Apache ZooKeeper"; exit 125; }
ns=zkss-$$-$RANDOM
tmp=$(mktemp -d "${TMPDIR:-/tmp}/zokor-snapshot.XXXXXX") || exit 2
# shellcheck disable=SC2317 # called by the trap
cleanup() {
	ip netns del "$ns" 2>/dev/null
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
ip netns add "$ns" || exit 2
ip netns exec "$ns" ip link set lo up
ip netns exec "$ns" unshare --mount --propagation private \
	/usr/bin/python3 test/store/snapshot.py "$tmp"
