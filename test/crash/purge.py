#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Snapshots every few hundred transactions, and the purge: the directory stays small, each snapshot
that is left is enough to start from, and compressed ones are, too.

    purge.py DIRECTORY
"""

import os
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../clients/lib")]
import logfile
import zkwire as zk
from client import Client, Wrong, wrong
from drive import drive
from model import seeded
from server import Failed, Server
from tree import Tree, differences, everything

KIND = os.environ.get("ZK_KIND", "zokor")
RETAIN = 3
ROUNDS = 6


def look():
    conn = zk.Conn(timeout=20.0)
    nodes = everything(conn)
    conn.close()
    return nodes


def purged(server):
    """Wait for the purge that every start makes. @return how many snapshots and logs are left."""
    end = time.monotonic() + 15
    while True:
        snapshots = logfile.names(server.data, "snapshot")
        logs = logfile.names(server.data, "log")
        # On top: the snapshot that a start makes while it purges, and those that the last two kills
        # have cut short, which do not count as snapshots.
        few = len(snapshots) <= RETAIN + 3
        # Of the logs that begin before the oldest snapshot one is enough.
        old = [zxid for zxid, _ in logs if snapshots and zxid <= snapshots[0][0]]
        if few and len(old) <= 2:
            return len(snapshots), len(logs)
        wrong(time.monotonic() > end, "%d snapshots and %d logs (%d of them old) are left",
              len(snapshots), len(logs), len(old))
        time.sleep(0.1)


def start_from_each(server, directory):
    """Only this snapshot and older ones, all logs: the result must be the same."""
    want = look()
    server.stopped_clean()
    snapshots = logfile.names(server.data, "snapshot")
    tried = 0
    for last, path in snapshots:
        name = os.path.basename(path)
        copy = os.path.join(directory, "from-" + name)
        shutil.copytree(server.data, copy)
        for zxid, other in logfile.names(copy, "snapshot"):
            if zxid > last:
                os.unlink(other)
        # Without its log a snapshot is the state at its own zxid only.
        one = Server(KIND, copy, os.path.join(directory, name + ".log"))
        try:
            one.start()
            lines = differences(want, look())
            one.digest_ok()
            wrong(lines, "from %s:\n  %s", name, "\n  ".join(lines))
        finally:
            one.reap()
        shutil.rmtree(copy)
        tried += 1
    return tried


def main():
    directory = sys.argv[1]
    conf = {"snapCount": 300, "preAllocSize": 64, "autopurge.snapRetainCount": RETAIN,
            "autopurge.purgeInterval": 1, "maxSessionTimeout": 60000}
    server = Server(KIND, os.path.join(directory, "data"), os.path.join(directory, "server.log"),
                    conf)
    clients = [Client("k%d" % i, seeded(3, i), window=64) for i in range(3)]
    tried, most, made = 0, 0, set()
    try:
        server.start()
        with zk.Conn() as conn:
            for path in ["/c", "/shared"] + [p for c in clients for p in (c.base, c.base + "/n")]:
                wrong(conn.call(zk.CREATE, zk.create(path, b"")).err, "create of %s", path)
            conn.close()
        for number in range(ROUNDS):
            method = (None, "gz", "snappy")[number % 3]
            before = sum(c.acknowledged for c in clients)
            for _ in range(20):
                drive(clients, 1.0)
                if sum(c.acknowledged for c in clients) >= before + 600:
                    break
            made.update(path for _, path in logfile.names(server.data, "snapshot"))
            most = max(most, len(logfile.names(server.data, "snapshot")))
            wrong(sum(c.acknowledged for c in clients) < before + 600, "hardly any writes")
            server.kill()
            if method:
                server.conf["snapshot.compression.method"] = method
                server.java = ["-Dzookeeper.snapshot.compression.method=" + method]
            else:
                server.conf.pop("snapshot.compression.method", None)
                server.java = []
            server.start()
            with zk.Conn() as conn:
                tree = Tree(conn, ["/c", "/shared"])
                conn.close()
            for client in clients:
                client.resolve(tree)
            server.digest_ok()
            left = purged(server)
            if number % 3 == 2:
                tried += start_from_each(server, directory)
                server.start()
        wrong(len(made) < ROUNDS, "only %d snapshots were ever made", len(made))
    except (Wrong, Failed, OSError, zk.Closed, ValueError) as err:
        print("FAIL %s: %s" % (type(err).__name__, err))
        print(server.tail())
        return 1
    finally:
        server.reap()
    print("ok %d snapshots seen, at most %d at once, %d snapshots and %d logs left, started from %d"
          % (len(made), most, left[0], left[1], tried))
    return 0


sys.exit(main())
