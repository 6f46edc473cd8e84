#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `make run-ensemble` starts: three servers as shipped in configs/ensemble3, from an empty
# directory. One leads, what is written on one is read on the others after a sync, Ctrl-C ends all
# three cleanly and takes the bridge away. A network namespace of its own. Ends with `N passed, N
# failed`.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
zokord=${ZOKORD:-$top/build/zokord}
case $zokord in /*) ;; *) zokord=$PWD/$zokord ;; esac
if [ "$(id -u)" -ne 0 ]; then
	echo "needs root"
	exit 125
fi
[ -x "$zokord" ] || { echo "$zokord is not built"; exit 1; }
if [ "${1:-}" != inside ]; then
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	timeout -k 5 90 unshare --net --pid --mount --fork --kill-child --mount-proc "$0" inside "$dir"
	exit
fi
# shellcheck source=test/lib/verdict.sh
. "$top/test/lib/verdict.sh"
cd "$2" || exit 1
export ZOKORD=$zokord PYTHONDONTWRITEBYTECODE=1
ip link set lo up

# job control: a process group of its own, as a terminal gives it
set -m
"$top/configs/ensemble3/run.sh" >log 2>&1 &
job=$!
set +m

PYTHONPATH=$top/test/clients/lib /usr/bin/python3 - >said 2>&1 <<'EOF'
import re
import time
import zkwire as zk

hosts = ["127.181.9.%d" % i for i in (1, 2, 3)]


def mode(host):
    try:
        with zk.Conn(connect=False, host=host, timeout=2) as conn:
            conn.send(b"srvr")
            return re.search(rb"Mode: (\w+)", conn.rest()).group(1).decode()
    except (OSError, AttributeError):
        return None


end = time.monotonic() + 30
while sorted(map(str, (modes := [mode(h) for h in hosts]))) != ["follower", "follower", "leader"]:
    assert time.monotonic() < end, modes
    time.sleep(0.1)
print(modes)
for number, host in enumerate(hosts):
    with zk.Conn(host=host) as conn:
        assert conn.call(zk.CREATE, zk.create("/n%d" % number, b"x")).err == 0
        assert not number or conn.call(zk.SYNC, zk.buf("/")).err == 0
        for before in range(number + 1):
            assert conn.call(zk.GET_DATA, zk.watched("/n%d" % before)).err == 0, (host, before)
        conn.close()
EOF
ok "three servers elect and serve" $? "$(cat said)"$'\n'"$(tail -n 20 log)"

"$top/configs/ensemble3/run.sh" >second 2>&1
[ $? -eq 1 ] && grep -q 'zkbr0 is there already' second
ok "a second ensemble is refused" $? "$(cat second)"

kill -INT -- "-$job"
wait "$job"
ok "Ctrl-C: exit 0" $? "$(tail -n 20 log)"
for i in 1 2 3; do
	grep -q "^zokor$i .*stopped=clean" log
	ok "server $i has stopped clean, under its name in one log" $? "$(grep "^zokor$i " log | tail -n 5)"
done
! ip link show zkbr0 >/dev/null 2>&1
ok "the bridge is gone" $?
echo "$pass passed, $fail failed"
[ "$fail" -eq 0 ]
