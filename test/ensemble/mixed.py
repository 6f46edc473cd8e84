#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Servers of both kinds in one ensemble: each role is killed under load, every way to synchronise a
server is forced, and after each step all servers have the same tree.

    mixed.py --kinds KIND,KIND,KIND [--observer KIND] [--seed N] [--short] [--only STEP,...] DIRECTORY

The last one of the kinds leads when it can. Ends with status 0 when every step was "ok".
"""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from lab import Failed, Lab, until
from files import how_synced, log_zxids
from crowd import Mover, Site, barrier, wrong
from steps import run
import zkwire as zk

MAYFLY_MS = 3000
FEW, MANY = 100, 700    # transactions: an Apache leader remembers 500
BYTES = 16384           # of each: a zokor leader remembers so many bytes, no less than 500
HISTORY = 8 << 20
BALLAST = 40            # nodes of half a megabyte
LOG_LAG_S = 1           # zab.observerLogMs is much less


class Mixed:
    def __init__(self, args):
        self.lab = Lab(args.directory, args.kinds.split(","),
                       args.observer.split(",") if args.observer else (),
                       {"snapshotSizeFactor": args.factor, "snapCount": 100000, "zab.historyBytes": HISTORY})
        self.site = Site(self.lab, args.seed)
        self.voters = [m for m in self.lab.members if not m.observer]
        self.wanted = self.voters[-1]

    # ---- pieces of steps
    def load(self, seconds):
        self.site.spread()
        count = self.site.load(seconds)
        for _ in range(20):     # a machine with little time
            if count:
                break
            self.lab.settled()
            self.site.spread()
            count = self.site.load(seconds)
        wrong(not count, "nothing is acknowledged in %g s: %s", seconds,
              {str(m): mode for m, mode in self.lab.roles().items()})
        return count

    def check(self):
        """Everything is at rest, on all that live, and all have the same."""
        self.site.rest()
        self.lab.settled()
        return self.site.verify()

    def lead(self, member, anew=False):
        """Let this one lead, the data being equal: it and one with a smaller sid begin."""
        if self.lab.leader() is member and not anew:
            return
        self.site.rest()
        for _ in range(4):
            first = [m for m in self.voters if m.sid < member.sid][-1]
            self.lab.settled()
            self.site.trees()
            for m in sorted(self.lab.living(), key=lambda m: m.mode() == "leader"):
                m.stopped_clean()
            self.lab.start(first, member)
            self.lab.start(*(m for m in self.lab.members if m not in (first, member)))
            if self.lab.settled() is member:
                self.site.verify()
                return
        raise Failed("%s does not come to lead" % member)

    def killed(self, victim, role):
        """kill -9 under load; the others go on; it comes back under load."""
        self.load(0.7)
        wrong(victim.mode() != role, "%s is %s, not %s", victim, victim.mode(), role)
        others = [c for c in self.site.connected(victim)]
        victim.kill()
        self.site.load(0.3)
        self.site.left(victim)
        if role != "leader":
            gone = [c.name for c in others if not c.sock]
            wrong(gone, "clients of other servers lost their connection: %s", gone)
        began = time.monotonic()
        self.lab.settled()
        took = time.monotonic() - began
        self.check()
        mid = self.load(0.7)
        victim.spawn()
        self.site.load(0.7)
        victim.served()
        self.load(0.7)
        size = self.check()
        digest = "" if not took > 0.1 else ", a leader after %.1f s" % took
        return "%s was killed%s; %d operations without it; %d nodes are the same on %d servers" % (
            victim, digest, mid, size, len(self.lab.living()))

    # ---- steps
    def begin(self):
        self.lab.begin()
        self.site.begin()
        count = self.load(1.0)
        size = self.check()
        return "%s leads %s; %d operations, %d nodes are the same" % (
            self.lab.leader(), ", ".join(str(m) for m in self.lab.members if m is not self.wanted),
            count, size)

    def kill_follower(self):
        self.lead(self.wanted)
        return "; ".join(self.killed(m, "follower") for m in self.voters if m is not self.wanted)

    def kill_leader(self):
        """Each one that leads, until each kind of server has led once."""
        out, kinds = [], {m.kind for m in self.voters}
        for _ in range(4):
            leader = self.lab.settled()
            out.append(self.killed(leader, "leader"))
            kinds.discard(leader.kind)
            if not kinds and len(out) >= 2:
                break
        return "; ".join(out)

    def kill_observer(self):
        return "; ".join(self.killed(m, "observer") for m in self.lab.members if m.observer)

    def sets(self, count):
        """That many transactions at least; on a machine with little time the leader may change."""
        left = count
        for again in (2, 1, 0):
            try:
                with self.site.conn(self.lab.settled()) as conn:
                    first = conn.xid + 1
                    conn.send(b"".join(zk.request(first + i, zk.SET_DATA, zk.set_data(
                        "/shared", b"%d" % i + bytes(BYTES))) for i in range(left)))
                    conn.xid += left
                    for i in range(left):
                        wrong(conn.answer(first + i).err, "set")
                        left -= 1
                    conn.close()
                    return
            except zk.Closed:
                if not again:
                    raise

    def missed(self, member, count, how, wipe=False):
        """It is down while the others go on for so long, and must then be synchronised so."""
        self.load(0.3)
        self.site.rest()
        self.site.verify()
        member.kill()
        before = log_zxids(member)
        if wipe:
            member.wipe()
            before = []
        self.sets(count)
        return self.back(member, before, how)

    def back(self, member, before, how):
        member.start()
        leader = self.lab.settled()
        self.load(0.3)
        self.check()
        if member.observer:     # it writes its log a while after it has applied
            deadline = time.monotonic() + LOG_LAG_S
            while how_synced(member, before, leader) != how and time.monotonic() < deadline:
                time.sleep(0.01)
        got = how_synced(member, before, leader)
        wrong(got != how, "%s was synchronised by %s: %s, not %s", member, leader, got, how)
        return "%s to %s: %s" % (leader, member, got)

    def learners(self):
        """One of each kind."""
        kinds = {}
        for m in self.lab.members:
            if m is not self.wanted:
                kinds.setdefault((m.kind, m.observer), m)
        return list(kinds.values())

    def diff(self):
        self.lead(self.wanted)
        return "; ".join(self.missed(m, FEW, "DIFF") for m in self.learners())

    def snap(self):
        """A server that has nothing, and one that is farther behind than the leader remembers."""
        self.lead(self.wanted)
        return "; ".join(self.missed(m, count, "SNAP", wipe) for m in self.learners()
                         for count, wipe in ((FEW, True), (MANY, False)))

    def diff_files(self):
        """As far behind, when the leader may send what is in its log files: they must be smaller
        than its snapshot."""
        with self.site.conn(self.lab.settled()) as conn:
            for i in range(BALLAST):
                wrong(conn.call(zk.CREATE, zk.create("/ballast%d" % i, bytes(1 << 20 - 1))).err,
                      "create")
            conn.close()
        for m in self.lab.members:
            m.conf["snapshotSizeFactor"] = 1
        out = []
        for m in self.learners():
            self.lead(self.wanted, anew=True)   # from a new snapshot
            out.append(self.missed(m, MANY, "DIFF"))
        for m in self.lab.members:
            del m.conf["snapshotSizeFactor"]
        with self.site.conn(self.lab.settled()) as conn:
            for i in range(BALLAST):
                wrong(conn.call(zk.DELETE, zk.versioned("/ballast%d" % i)).err, "delete")
            conn.close()
        self.lead(self.wanted, anew=True)
        return "; ".join(out)

    def cut_back(self, go_on=False):
        """A leader alone logs what nobody gets and dies. It is cut back when it returns; if the
        others went on, in a new epoch, it needs a snapshot."""
        self.lead(self.wanted)
        self.load(0.3)
        self.site.rest()
        self.site.verify()
        old = self.lab.leader()
        # No session may end meanwhile: that would be a transaction of the new epoch.
        with self.site.conn(old, session_ms=60000) as conn:
            had = log_zxids(old)
            self.lab.isolate(old)
            conn.send(b"".join(zk.request(900 + i, zk.CREATE, zk.create("/lost%d" % i, b"x"))
                               for i in range(3)))
            until(lambda: len(log_zxids(old)) >= len(had) + 3, "the leader logs its proposals", 5)
            old.kill()
        before = log_zxids(old)
        # Not before: the kernel of a dead process goes on sending what the process had written.
        new = self.lab.settled([m for m in self.voters if m is not old])
        self.lab.heal()
        self.lab.settled()
        if go_on:
            self.sets(FEW)
        out = self.back(old, before, "SNAP" if go_on else "TRUNC")
        with self.site.conn(old) as conn:
            for i in range(3):
                wrong(conn.call(zk.EXISTS, zk.watched("/lost%d" % i)).err != zk.NOT_FOUND,
                      "/lost%d is there", i)
            conn.close()
        wrong(self.lab.leader() is not new, "the leader changed")
        return out

    def trunc(self):
        """With each kind as the one that is cut back."""
        return "; ".join([self.cut_back(), self.cut_back_other(), self.cut_back(go_on=True)])

    def cut_back_other(self):
        """Who leads now is another one; cut that one off."""
        keep, self.wanted = self.wanted, self.lab.settled()
        try:
            return self.cut_back()
        finally:
            self.wanted = keep

    def sync(self):
        # Apache's own leader answers a sync before it has applied what it told its followers to
        # apply (CommitProcessor without matchSyncs), and a client of these may be quicker.
        leader = self.lab.settled()
        pairs = [(a, b) for a in self.lab.members for b in self.lab.members
                 if a is not b and not (b is leader and b.kind == "apache")]
        for a, b in pairs:
            barrier(self.site, a, b, 40)
        return "%d writes on one server were read on another after sync" % (40 * len(pairs))

    def moves(self):
        mover = Mover(self.site, self.lab.members)
        for i in range(3 * len(self.lab.members)):
            mover.move(self.lab.members[(i + 1) % len(self.lab.members)])
        mover.end()
        return "a session moved %d times between %d servers" % (mover.number,
                                                               len(self.lab.members))

    def mayfly(self):
        """A client that dies with its server: the ephemeral stays for the time-out and then goes,
        also when the leader is the server that dies."""
        victim = self.lab.settled()
        with self.site.conn(victim, session_ms=MAYFLY_MS) as conn:
            wrong(conn.call(zk.CREATE, zk.create("/mayfly", b"", flags=1)).err, "create")
            asked = time.monotonic()
            victim.kill()
        leader = self.lab.settled()
        served = time.monotonic()
        with self.site.conn(leader, session_ms=30000) as conn:
            there = conn.call(zk.EXISTS, zk.watched("/mayfly")).err
            wrong(there and time.monotonic() - asked < MAYFLY_MS / 1000 - 0.2,
                  "the ephemeral went before its time")
            until(lambda: conn.call(zk.EXISTS, zk.watched("/mayfly")).err == zk.NOT_FOUND,
                  "the ephemeral of the dead client goes", MAYFLY_MS / 1000 + 3, 0.1)
            lived = time.monotonic() - served
            conn.close()
        victim.start()
        self.load(0.3)
        self.check()
        return "the ephemeral went %.1f s after %s began to lead" % (lived, leader)


STEPS = ("begin", "sync", "moves", "kill_follower", "kill_leader", "kill_observer", "mayfly", "diff",
         "diff_files", "snap", "trunc")
SHORT = ("begin", "sync", "moves", "kill_leader", "diff", "trunc")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kinds", default="zokor,zokor,zokor")
    parser.add_argument("--observer", default="")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--factor", default="-1", help="snapshotSizeFactor")
    parser.add_argument("--only", default="")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("directory")
    args = parser.parse_args()
    mixed = Mixed(args)
    wanted = ["begin"] + args.only.split(",") if args.only else SHORT if args.short else [
        s for s in STEPS if s != "kill_observer" or args.observer]
    return run(mixed, wanted, mixed.lab, "kinds %s%s, seed %d" % (
        args.kinds, "+" + args.observer if args.observer else "", args.seed))


sys.exit(main())
