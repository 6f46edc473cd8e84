#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A data directory moves from one kind of server to the other and back, through clean stops and
through kill -9: each serves node by node what the other one answered, sessions included.

    exchange.py [--kinds apache,zokor] [--nodes N] DIRECTORY
"""

import argparse
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, d) for d in ("lib", "../clients/lib", "../store")]
import logfile
import tree as answers
import zkwire as zk
from client import Wrong, wrong
from model import EPHEMERAL, SEQUENTIAL
from server import Failed, Server

# test/store has a tree.py, too.
sys.path[:0] = [os.path.join(HERE, "../store")]
del sys.modules["tree"]
import tree as kinds_of_nodes

TIMEOUT_MS = 120000     # of every session: none may expire between two looks at the tree
CTL = os.path.join(os.environ.get("BUILD", "build"), "zokorctl")


def must(reply, err=0):
    wrong(reply.err != err, "answer %d instead of %d", reply.err, err)
    return reply


def check_files(directory):
    """The offline check finds nothing wrong: files sound, no zxid missing, each digest right."""
    run = subprocess.run([CTL, "data", "check", "--json", directory], capture_output=True,
                         check=False)
    wrong(run.returncode != 0, "zokorctl data check: %s", (run.stdout + run.stderr).decode()[-500:])
    said = json.loads(run.stdout)
    wrong(said["digestMismatches"] != 0, "%d digests of the log are wrong",
          said["digestMismatches"])
    return said


class Keeper:
    """A session that goes on from server to server, and its ephemerals."""

    def __init__(self):
        self.session, self.password, self.conn, self.made = 0, bytes(16), None, []

    def attach(self):
        self.conn = zk.Conn(connect=False, timeout=20.0)
        self.conn.send(zk.connect_request(TIMEOUT_MS, self.session, self.password))
        r = zk.Reader(self.conn.payload())
        r.i32()
        timeout, session, password = r.i32(), r.i64(), r.buf()
        wrong(self.session and (timeout, session) != (TIMEOUT_MS, self.session),
              "session %x is gone: time-out %d, session %x", self.session, timeout, session)
        self.session, self.password = session, password

    def detach(self):
        self.conn.sock.close()
        self.conn = None

    def make(self, path):
        must(self.conn.call(zk.CREATE, zk.create(path, b"mine", flags=EPHEMERAL)))
        self.made.append(path)

    def owns(self, nodes):
        for path in self.made:
            owner = dict(nodes[path][2])["owner"] if path in nodes else None
            wrong(owner != self.session, "%s: owner %s, not %x", path, owner, self.session)


class Exchange:
    def __init__(self, args):
        self.args = args
        self.servers = []
        self.server = None
        self.keeper = Keeper()
        self.nodes = {}
        self.turn = 0
        self.compared = self.digests = 0

    def add_server(self, kind, **conf):
        log = os.path.join(self.args.directory, "%d-%s.log" % (len(self.servers), kind))
        java = ["-Dzookeeper.%s=%s" % item for item in conf.items()]
        conf.update(minSessionTimeout=TIMEOUT_MS, maxSessionTimeout=TIMEOUT_MS)
        server = Server(kind, os.path.join(self.args.directory, "data"), log, conf, java)
        self.servers.append(server)
        return server

    def look(self):
        conn = kinds_of_nodes.login()
        nodes = answers.everything(conn)
        conn.close()
        return nodes

    def next(self, kind, **conf):
        """The next server takes over and must answer what the last one did."""
        self.turn += 1
        self.server = self.add_server(kind, **conf)
        self.server.start(60)
        nodes = self.look()
        lines = answers.differences(self.nodes, nodes)
        wrong(self.nodes and lines, "turn %d, %s:\n  %s", self.turn, kind, "\n  ".join(lines))
        self.keeper.attach()
        self.keeper.owns(nodes)
        self.compared += len(nodes)

    def leave(self, how):
        self.nodes = self.look()
        self.keeper.detach()
        self.server.digest_ok()
        how()
        self.digests += check_files(self.server.data)["digestsCompared"]

    # ---- what is done to the tree
    def many(self, count):
        conn = self.keeper.conn
        bodies = [zk.create("/many", b"")]
        bodies += [zk.create("/many/%02d" % i, b"") for i in range(100)]
        bodies += [zk.create("/many/%02d/%05d" % (i % 100, i), b"value %d" % i)
                   for i in range(count)]
        for reply in answers.pipelined(conn, zk.CREATE, bodies):
            must(reply)

    def fewer(self, count):
        """Most of them go, some change."""
        conn = self.keeper.conn
        paths = ["/many/%02d/%05d" % (i % 100, i) for i in range(count)]
        for reply in answers.pipelined(conn, zk.DELETE, [zk.versioned(p, 0) for i, p in
                                                         enumerate(paths) if i % 50]):
            must(reply)
        for reply in answers.pipelined(conn, zk.SET_DATA, [zk.set_data(p, b"changed") for i, p in
                                                           enumerate(paths) if not i % 50]):
            must(reply)

    def more(self):
        """Something of every kind, whichever server it is."""
        conn, n = self.keeper.conn, self.turn
        top = "/turn%d" % n
        add = [(top, b"", 0), (top + "/s-", b"", SEQUENTIAL), (top + "/s-", b"", SEQUENTIAL),
               (top + "/\u00e4\u65e5\u672c", "\u00fc".encode(), 0), (top + "/null", None, 0),
               (top + "/big", bytes(range(256)) * 4000, 0)]
        for path, data, flags in add:
            must(conn.call(zk.CREATE2, zk.create(path, data, flags=flags)))
        for i in range(3):
            must(conn.call(zk.CREATE, zk.create("/t/many/n", b"turn", flags=SEQUENTIAL)))
            must(conn.call(zk.SET_DATA, zk.set_data("/t/null", b"turn %d" % n)))
        must(conn.call(zk.CREATE_CONTAINER, zk.create(top + "/c", b"", flags=4)))
        must(conn.call(zk.CREATE_TTL, zk.create(top + "/ttl", b"", flags=5) + zk.i64(36000000)))
        must(conn.call(zk.SET_ACL, zk.buf(top + "/null") + zk.acls(
            [(31, "world", "anyone"), (n, "ip", "10.0.0.0/8")]) + zk.i32(0)))
        # No create2 in it: 3.9 writes its own type into the log, which 3.8.0 cannot replay.
        must(conn.call(zk.MULTI, zk.multi(
            (zk.CREATE, zk.create(top + "/m", b"1")), (zk.CHECK, zk.versioned(top + "/m", 0)),
            (zk.CREATE, zk.create(top + "/m/e", b"", flags=EPHEMERAL)),
            (zk.SET_DATA, zk.set_data(top + "/m", b"2")))))
        self.keeper.made.append(top + "/m/e")
        conn.call(zk.MULTI, zk.multi((zk.CREATE, zk.create(top + "/no", b"")),
                                     (zk.CHECK, zk.versioned(top, 99))))
        must(conn.call(zk.CREATE, zk.create(top, b"")), zk.EXISTS_ALREADY)
        must(conn.call(zk.CREATE, zk.create("/zookeeper/quota" + top, b"")))
        must(conn.call(zk.CREATE, zk.create("/zookeeper/quota%s/zookeeper_limits" % top,
                                            b"count=1000,bytes=10000000")))
        must(conn.call(zk.CREATE, zk.create("/zookeeper/quota%s/zookeeper_stats" % top,
                                            b"count=0,bytes=0")))
        must(conn.call(zk.CREATE, zk.create(top + "/counted", b"12345")))
        self.keeper.make("%s/kept" % top)
        with zk.Conn(timeout=20.0) as ended:
            for name in "cab":
                must(ended.call(zk.CREATE, zk.create("/t/gone-" + name, b"", flags=EPHEMERAL)))
            must(ended.call(zk.CLOSE))
        if self.keeper.made:
            gone = self.keeper.made.pop(0)
            must(conn.call(zk.DELETE, zk.versioned(gone)))

    def packed(self, method):
        """The snapshot of this start is written while the server serves."""
        for _ in range(100):
            newest = logfile.names(self.server.data, "snapshot")[-1][1]
            if newest.endswith("." + method):
                return
            time.sleep(0.1)
        wrong(True, "%s is not compressed by %s", newest, method)

    # ---- the turns
    def run(self):
        a, z = self.args.kinds.split(",")
        self.next(a)
        self.many(self.args.nodes)
        kinds_of_nodes.make()
        self.keeper.make("/first")
        self.leave(self.server.kill)
        self.next(z)
        self.more()
        self.fewer(self.args.nodes)
        self.leave(self.server.stopped_clean)
        for kind, stop in ((a, "stopped_clean"), (z, "kill"), (z, "kill"), (a, "kill")):
            self.next(kind)
            self.more()
            self.leave(getattr(self.server, stop))
        for method in ("gz", "snappy"):
            for kind in (z, a):
                self.next(kind, **{"snapshot.compression.method": method})
                self.more()
                self.packed(method)
                self.leave(self.server.kill if method == "gz" else self.server.stopped_clean)
        self.next(z)
        self.leave(self.server.stopped_clean)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kinds", default="apache,zokor")
    parser.add_argument("--nodes", type=int, default=100000)
    parser.add_argument("directory")
    test = Exchange(parser.parse_args())
    try:
        test.run()
    except (Wrong, Failed, OSError, zk.Closed, ValueError) as err:
        print("FAIL turn %d (%s): %s: %s" % (test.turn, test.server.kind, type(err).__name__, err))
        print(test.server.tail())
        return 1
    finally:
        for server in test.servers:
            if server.process:
                server.reap()
    print("ok %d turns, %d nodes compared, %d digests of log records" % (
        test.turn, test.compared, test.digests))
    return 0


sys.exit(main())
