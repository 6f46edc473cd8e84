#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-snapshot: a server under load writes a snapshot of many nodes; how long does a client
wait longer than without? Runs in a network namespace of its own (bench/snapshot.sh).

    snapshot.py [--nodes N] [--bytes N] [--seconds S] [--writers N] [--depth N] DIRECTORY

In one run of the server: the load without a snapshot, the same load with one, and again without. The
snapshot is asked for by SIGUSR1. Printed: the longest gap between two replies of a client that sends
one request at a time, seconds and size of the snapshot, memory that the tree took beside it.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../test/crash/lib"), os.path.join(HERE, "../test/clients/lib")]
from server import ADDRESS, PORT, Failed, Server

LOAD = os.path.join(os.environ.get("BUILD", "build"), "bench/sock_load")
WRITTEN = re.compile(r"^(\S+)Z INFO snapshot=written file=\S+ zxid=0x([0-9a-f]+) nodes=(\d+) .*"
                     r"bytes=(\d+) ms=(\d+) treeGrownBytes=(\d+)", re.M)


def snapshots(server):
    """(begin ms, end ms, nodes, bytes, grown bytes) of each one written so far."""
    out = []
    for when, _zxid, nodes, size, took, grown in WRITTEN.findall(server.log()):
        day, frac = when.split(".")
        at = int(time.mktime(time.strptime(day + "+0000", "%Y-%m-%dT%H:%M:%S%z"))) * 1000
        at += int(frac) - time.timezone * 1000
        out.append((at - int(took), at, int(nodes), int(size), int(grown)))
    return out


def load(args, *words):
    return [LOAD, words[0], ADDRESS, str(PORT), str(args.nodes), str(args.bytes)] + [
        str(w) for w in words[1:]]


def gaps(rows):
    """Longest gap in us of reader and lone writer, writes per second."""
    if not rows:
        return None
    seconds = (rows[-1][0] - rows[0][0]) / 1000 + 0.1
    return (max(r[2] for r in rows), max(r[4] for r in rows),
            sum(r[3] + r[5] for r in rows) / seconds)


def line(name, g):
    print("%-28s longest gap: reader %8.1f ms, writer %8.1f ms; %9.0f writes/s" % (
        name, g[0] / 1000, g[1] / 1000, g[2]))


def bench(args, server):
    began = time.monotonic()
    subprocess.run(load(args, "fill"), check=True)
    fill_s = time.monotonic() - began
    print("%d nodes of %d bytes in %.1f s" % (args.nodes, args.bytes, fill_s))
    time.sleep(1)
    before = snapshots(server)
    run = subprocess.Popen(load(args, "run", args.seconds, args.writers, args.depth),
                           stdout=subprocess.PIPE, text=True)
    time.sleep(args.seconds / 3)
    server.process.send_signal(signal.SIGUSR1)
    out = run.communicate()[0]
    if run.returncode:
        raise Failed("the load ended with status %d" % run.returncode)
    rows = [tuple(int(v) for v in row.split()) for row in out.splitlines()]
    end = time.monotonic() + 120
    while len(snapshots(server)) == len(before) and time.monotonic() < end:
        time.sleep(0.2)
    taken = snapshots(server)[len(before):]
    if not taken:
        raise Failed("no snapshot was written\n" + server.tail())
    # The first 300 ms are the clients' start; a window says when it ended.
    rows = rows[3:]
    inside = [r for r in rows if any(s[0] <= r[0] and r[0] - 100 <= s[1] for s in taken)]
    outside = [r for r in rows if r not in inside]
    without, during = gaps(outside), gaps(inside)
    if not inside or not outside:
        raise Failed("the load was not both with and without a snapshot: %d and %d windows" % (
            len(inside), len(outside)))
    line("without (%.1f s)" % (len(outside) / 10), without)
    line("during (%.1f s)" % (len(inside) / 10), during)
    for s in taken:
        print("snapshot: %.2f s, %d nodes, %.1f MiB, tree grown by %.1f MiB" % (
            (s[1] - s[0]) / 1000, s[2], s[3] / 2**20, s[4] / 2**20))
    beyond = max(during[0] - without[0], during[1] - without[1]) / 1000
    print("longest gap beyond the run without: %.1f ms (goal: 10 ms)" % max(beyond, 0.0))
    mntr = server.mntr()
    print("mntr: snapshots %s, errors %s, gave way %s, busy %s" % tuple(
        mntr.get("zk_" + k, "?") for k in ("cnt_snapshottime", "snapshot_error_count",
                                           "snapshot_gave_way_count", "snapshot_busy_count")))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=2000000)
    parser.add_argument("--bytes", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--depth", type=int, default=16)
    parser.add_argument("--memory", default="4G")
    parser.add_argument("directory")
    args = parser.parse_args()
    server = Server("zokor", os.path.join(args.directory, "data"),
                    os.path.join(args.directory, "log"),
                    {"snapCount": 2**31 - 1, "snapSizeLimitInKb": -1,
                     "tree.memoryLimit": args.memory,
                     "tickTime": 2000})
    server.start()
    try:
        bench(args, server)
        server.stopped_clean()
    except Failed as err:
        print("FAIL %s" % err)
        return 1
    finally:
        server.reap()
    return 0


sys.exit(main())
