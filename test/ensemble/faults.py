#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Three servers under real faults, clients that record everything, and a judge of the record.

    faults.py [--kinds KIND,KIND,KIND] [--seconds N] [--seed N] [--faults NAME,...] [--chase]
              [--every-ms N] [--size N] [--stall-ms N] DIRECTORY

kill: SIGKILL and a start soon after; stop: SIGSTOP for 3 s; cut: a server loses the others, its
clients, or hears but is not heard; loss: 2 % of all frames are lost; disk: one server's syncs are
slow. Half of the time it is the leader that is hit.
--chase: the next server is killed the moment the last one answers again, and nothing else.
"""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from lab import Failed, Lab
from history import History
from crowd import wrong
from steps import leave, run
from faultfs import FaultFs

NAMES = ("kill", "stop", "cut", "loss", "disk")
STOP_S = 3.0
SLOW_MS = 60


class Faults(History):
    def __init__(self, args):
        # Apache 3.8.0 comes out of some of this with a state that is not the leader's and says so:
        # the judge is to find it by itself.
        super().__init__(Lab(args.directory, args.kinds.split(",")), args.seed,
                         "apache" not in args.kinds, every_s=args.every_ms / 1000, size=args.size)
        self.args = args
        self.names = args.faults.split(",")
        # File systems that can be told to be slow, of one server; of all to be chased.
        self.disks = []
        for m in self.lab.members if args.chase else self.lab.members[:"disk" in self.names]:
            self.disks.append(FaultFs(os.path.dirname(m.data)))
            m.data = self.disks[-1].data
        self.undo = []          # (when, what)
        self.counts = dict.fromkeys(NAMES, 0)

    def begin(self):
        self.lab.begin()
        self.recorder.begin()
        self.recorder.run(0.5)
        wrong(not self.recorder.acknowledged(), "nothing is acknowledged")
        return "%s leads" % self.lab.leader()

    # ---- faults
    def victim(self):
        leader = self.lab.leader() if self.rng.random() < 0.5 else None
        return leader or self.rng.choice(self.lab.members)

    def later(self, seconds, what):
        self.undo.append((time.monotonic() + seconds, what))

    def kill(self):
        victim = self.victim()
        if not victim.alive():
            return False
        victim.kill()
        self.later(self.rng.random() * 2, lambda: victim.alive() or victim.spawn())
        return True

    def stop(self):
        victim = self.victim()
        if not victim.alive() or victim.stopped:
            return False
        victim.freeze()

        def go_on():
            if victim.alive() and victim.stopped:
                victim.thaw()
        self.later(STOP_S, go_on)
        return True

    def cut(self):
        if self.lab.cuts:
            return False
        victim, how = self.victim(), self.rng.random()
        others = [m for m in self.lab.members if m is not victim]
        if how < 0.3:
            self.lab.cut([victim], others + [None])
        elif how < 0.7:
            self.lab.cut([victim], others)
        elif how < 0.85:
            self.lab.cut([victim], others, one_way=True)
        else:
            self.lab.cut([victim], others[:1])
        self.later(0.5 + 4 * self.rng.random(), self.lab.heal)
        return True

    def loss(self):
        if self.lab.loss:
            return False
        self.lab.lose(2)
        self.later(2 + 3 * self.rng.random(), lambda: self.lab.lose(0))
        return True

    def slow(self):
        self.disks[0].command("stall %d" % SLOW_MS)
        self.later(2 + 4 * self.rng.random(), lambda: self.disks[0].command("stall 0"))
        return True

    def due(self, all_of_it=False):
        now = time.monotonic()
        for item in sorted(self.undo, key=lambda i: i[0]):
            if all_of_it or item[0] <= now:
                self.undo.remove(item)
                item[1]()

    def check_alive(self):
        """A server that ended by itself is a failure, but for an Apache that says so and must be
        started again."""
        for m in self.lab.members:
            if m.process.poll() is None or m.process.returncode == -9:
                continue
            if m.kind == "zokor":
                raise Failed("%s ended with status %d\n%s" % (m, m.process.returncode, m.tail()))
            m.spawn()

    def storm(self):
        end = time.monotonic() + self.args.seconds
        while time.monotonic() < end:
            name = self.rng.choice(self.names)
            self.counts[name] += getattr(self, "slow" if name == "disk" else name)()
            until = time.monotonic() + 0.3 + self.rng.random() * 2.5
            while time.monotonic() < until:
                self.recorder.run(0.05)
                self.due()
                self.check_alive()
        self.due(True)
        return self.said()

    def said(self):
        return "%s; %d answers, %d times connected, %d sessions expired" % (
            ", ".join("%s %d" % (n, c) for n, c in self.counts.items() if c),
            self.recorder.acknowledged(), self.recorder.connects, self.recorder.expired)

    def chase(self):
        """Round and round: who is killed next is killed when the last one serves again."""
        for disk in self.disks:
            disk.command("stall %d" % self.args.stall_ms)
        end = time.monotonic() + self.args.seconds
        while time.monotonic() < end:
            for member in self.lab.members:
                member.kill()
                self.counts["kill"] += 1
                member.spawn()
                limit = time.monotonic() + 60
                while not member.mode(0.2):
                    self.recorder.run(0.005)
                    wrong(time.monotonic() > limit, "%s does not serve for 60 s", member)
                    self.check_alive()
        return self.said()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kinds", default="zokor,zokor,zokor")
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--faults", default=",".join(NAMES))
    parser.add_argument("--every-ms", type=float, default=4, help="between requests of a client")
    parser.add_argument("--size", type=int, default=0, help="of what is written")
    parser.add_argument("--stall-ms", type=int, default=0, help="of every sync, when chasing")
    parser.add_argument("--chase", action="store_true")
    parser.add_argument("directory")
    args = parser.parse_args()
    faults = Faults(args)
    steps = ("begin", "chase" if args.chase else "storm", "heal", "judge", "trees")
    status = run(faults, steps, faults.lab, "kinds %s, seed %d" % (args.kinds, args.seed),
                 faults.digests)
    for disk in faults.disks:
        disk.end()
    return status


leave(main())
