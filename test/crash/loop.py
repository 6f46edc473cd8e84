#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rounds of kill -9 under pipelined writes. After each restart every acknowledged write is there,
in order, none twice; sequence numbers are not reused; sessions go on and own their ephemerals.

    loop.py [--rounds N] [--seed N] [--kinds zokor,apache,...] DIRECTORY

The kinds of server take turns on one data directory. Some rounds end with SIGTERM, some kill the
server while it starts, some are long enough for abandoned sessions to expire.
"""

import argparse
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../clients/lib")]
import drive
import logfile
import zkwire as zk
from client import Client, Wrong, wrong
from faultfs import FaultFs
from model import EPHEMERAL, seeded
from server import Failed, Server
from tree import Tree

CLIENTS = 6
MAYFLY_MS = 2500
GRACE_S = 2.0       # expiry may be late by the server's tick
STALL_S = 15.0      # and by a machine that is busy with other things


class Loop:
    def __init__(self, args):
        self.args = args
        self.rng = seeded(args.seed, "loop")
        self.data = os.path.join(args.directory, "data")
        self.disk = None
        if args.power:
            self.disk = FaultFs(args.directory)
            self.data = self.disk.data
            self.disk.command("strict %d" % (args.power == "strict"))
            self.disk.command("ordered %d" % (args.power == "ordered"))
        self.servers = [Server(kind, self.data, os.path.join(args.directory, kind + ".log"))
                        for kind in args.kinds.split(",")]
        if args.nosync:
            for server in self.servers:
                server.conf["forceSync"] = "no"
        self.server = None
        self.clients = [Client("k%d" % i, seeded(args.seed, "client", i),
                               window=(1, 16, 64, 256)[i % 4]) for i in range(CLIENTS)]
        for client in self.clients:
            client.maker.others = [c.base + "/n" for c in self.clients]
        self.mayflies = []      # [path, session, alive for sure, last heard of]
        self.flies = 0
        self.zxid = 0           # after the last check
        self.highest = -1       # of the shared sequence numbers that were ever sure
        self.starts_ms = []
        self.lost = 0
        self.survived = self.unknown = 0
        self.empties = 0        # logs that Apache left empty

    # ---- one life of the server
    def begin(self):
        """The first start of all, and the nodes that everything hangs from."""
        self.server = self.servers[0]
        self.server.start()
        with zk.Conn() as conn:
            for path in ("/c", "/shared", "/mayfly"):
                wrong(conn.call(zk.CREATE, zk.create(path, b"")).err, "create of %s", path)
            for client in self.clients:
                for path in (client.base, client.base + "/n"):
                    wrong(conn.call(zk.CREATE, zk.create(path, b"")).err, "create of %s", path)
            conn.close()
        # Apache does not sync its first snapshot.
        if self.disk and (self.server.kind == "apache" or self.args.nosync):
            self.disk.command("settle 1")

    def work(self, seconds):
        """Let the clients write for so long; now and then one of them ends its session."""
        ending = self.rng.choice(self.clients) if self.rng.random() < 0.3 else None
        drive.drive(self.clients, seconds, ending, seconds * self.rng.random())

    def hatch(self):
        """A session with one ephemeral that is left alone from now on."""
        self.flies += 1
        path = "/mayfly/m%d" % self.flies
        with zk.Conn(connect=False) as conn:
            conn.send(zk.connect_request(MAYFLY_MS))
            r = zk.Reader(conn.payload())
            r.i32()
            wrong(r.i32() != MAYFLY_MS, "%s: session timeout", path)
            session = r.i64()
            wrong(conn.call(zk.CREATE, zk.create(path, b"", flags=EPHEMERAL)).err,
                  "create of %s", path)
        self.mayflies.append([path, session, True, time.monotonic()])

    def life(self, long):
        started = time.monotonic()
        if self.rng.random() < 0.3:
            self.hatch()
        if long:
            self.work(MAYFLY_MS / 1000 + GRACE_S)
            self.mayflies = [m for m in self.mayflies if m[3] > started]
            with zk.Conn() as conn:
                late = self.late(conn)
                end = time.monotonic() + STALL_S
                while late and time.monotonic() < end:
                    time.sleep(0.1)
                    late = self.late(conn)
                conn.close()
            wrong(late, "expired sessions still own %s", late)
        else:
            self.work(0.05 + self.rng.random() * self.args.work)

    def age(self):
        """Mark the abandoned sessions that may have expired: a server gives each one its whole
        time-out again when it starts."""
        now = time.monotonic()
        for fly in self.mayflies:
            if now - max(fly[3], self.server.mark) > MAYFLY_MS / 1000 - 0.2:
                fly[2] = False

    def late(self, conn):
        return self.owners(conn).keys() - {m[0] for m in self.mayflies}

    @staticmethod
    def owners(conn):
        """Who owns which of the abandoned ephemerals; any of them may go while this asks."""
        out = {}
        for name in conn.call(zk.GET_CHILDREN, zk.watched("/mayfly")).body.strings():
            reply = conn.call(zk.EXISTS, zk.watched("/mayfly/" + name))
            wrong(reply.err not in (0, zk.NOT_FOUND), "/mayfly/%s: error %d", name, reply.err)
            if reply.err == 0:
                out["/mayfly/" + name] = reply.body.stat().owner
        return out

    # ---- after a crash
    def verify(self):
        with zk.Conn() as conn:
            owners = self.owners(conn)
            self.age()
            tree = Tree(conn, ["/c", "/shared"])
            conn.close()
        for client in self.clients:
            self.unknown += len(client.sent)
            self.survived += client.resolve(tree)
        for path, session, sure, _ in self.mayflies:
            wrong(sure and owners.get(path) != session, "%s of session %x: owner is %s", path,
                  session, owners.get(path))
        for path, (_, stat) in tree.nodes.items():
            if path.startswith("/shared/"):
                wrong(stat.czxid > self.zxid and int(path[-10:]) <= self.highest,
                      "%s: a number that had been used before", path)
        numbers = [int(p[-10:]) for p in tree.nodes if p.startswith("/shared/")]
        self.highest = max(numbers + [self.highest])
        self.zxid = zxid = self.server.zxid()
        seen = max(c.zxid for c in self.clients)
        wrong(zxid < seen, "the server is at zxid 0x%x, clients have seen 0x%x", zxid, seen)
        # Apache 3.8 alone now and then differs from the digest of its own last snapshot.
        if any(server.kind == "zokor" for server in self.servers):
            self.server.digest_ok()

    def aftermath(self):
        """What the disk had not been told to keep may be gone, and nothing else."""
        if self.disk:
            self.disk.command("crash %d" % self.rng.getrandbits(32))
        # Apache before 3.9.3 refuses a log that it was killed in the making of (ZOOKEEPER-2332).
        # zokord never leaves one, so what it leaves is not touched.
        if self.server.kind == "apache":
            self.empties += logfile.drop_empty(self.data)

    def one(self, number):
        self.life(number % 25 == 24)
        how = self.rng.random()
        if how < 0.08:
            self.server.stopped_clean()
        else:
            self.server.kill()
        for client in self.clients:
            client.drain()
        self.aftermath()
        self.age()
        self.server = self.servers[(number + 1) % len(self.servers)]
        if self.rng.random() < 0.1:
            self.server.spawn()
            time.sleep(self.rng.random() * 0.5 * (4 if self.server.kind == "apache" else 1))
            self.server.kill()
            self.aftermath()
        self.vary()
        if self.args.tamper and number == self.args.rounds // 2:
            logfile.cut(self.data, max(c.proof for c in self.clients))
        self.server.start()
        self.starts_ms.append(self.server.started_ms)
        self.verify()

    def vary(self):
        """Small files, so that rounds end within a roll of the log or a snapshot."""
        self.server.conf.update(snapCount=self.rng.choice((100, 1000, 100000)),
                                preAllocSize=self.rng.choice((64, 1024, 8192)))

    def run(self):
        number = 0
        try:
            self.begin()
            for number in range(self.args.rounds):
                self.one(number)
            self.server.stopped_clean()
        except (Wrong, Failed, OSError, zk.Closed, ValueError) as err:
            print("FAIL round %d (seed %d, %s): %s: %s" % (
                number, self.args.seed, self.server.kind, type(err).__name__, err))
            print(self.server.tail())
            return 1
        finally:
            for server in self.servers:
                server.reap()
            if self.disk:
                self.lost = self.disk.counters()["lost"]
                self.disk.end()
        acknowledged = sum(c.acknowledged for c in self.clients)
        starts = sorted(self.starts_ms)
        print("ok %d rounds, %d operations acknowledged, %d of %d unanswered ones survived, "
              "%d sessions resumed; %s%sstart %.0f ms (median), %.0f ms (worst)" % (
                  self.args.rounds, acknowledged, self.survived, self.unknown,
                  sum(c.resumed for c in self.clients),
                  "%d unsynced bytes lost; " % self.lost if self.disk else "",
                  "%d empty logs of Apache removed; " % self.empties if self.empties else "",
                  starts[len(starts) // 2], starts[-1]))
        return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default=os.environ.get("ZK_KIND", "zokor"))
    parser.add_argument("--tamper", action="store_true",
                        help="lose one acknowledged transaction; a loop that does not see it fails")
    parser.add_argument("--nosync", action="store_true",
                        help="forceSync=no; with --power a loop that does not see it fails")
    parser.add_argument("--power", choices=("ordered", "journal", "strict"),
                        help="each kill is a loss of power, too. ordered: files keep unsynced "
                        "bytes up to some sector; journal: any sectors; strict: and names are "
                        "lost unless their directory is synced")
    parser.add_argument("--work", type=float, default=0.4, help="longest seconds of load")
    parser.add_argument("directory")
    return Loop(parser.parse_args()).run()


sys.exit(main())
