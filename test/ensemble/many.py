#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Seven servers start, elect and serve on this machine; five servers live with two dead ones.

    many.py [--kind KIND] [--seed N] DIRECTORY
"""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from lab import Lab
from crowd import Site, wrong
from steps import leave, run


def cpu_s(member):
    """CPU time that the process has used."""
    with open("/proc/%d/stat" % member.process.pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Many:
    def __init__(self, args):
        self.lab = Lab(args.directory, [args.kind] * 7)
        self.seven, self.seed = self.lab.members, args.seed
        self.site = Site(self.lab, args.seed)

    def work(self, seconds=1.0):
        self.site.spread()
        count = self.site.load(seconds)
        wrong(not count, "nothing is acknowledged")
        self.site.rest()
        self.lab.settled()
        return "%d operations, %d nodes are the same on %d servers" % (
            count, self.site.verify(), len(self.lab.living()))

    def start_seven(self):
        self.lab.start(*self.seven, seconds=90)
        took = max(m.started_ms for m in self.seven) / 1000
        leader = self.lab.settled()
        self.site.begin()
        return "%s leads, all serve after %.1f s; %s" % (leader, took, self.work())

    def idle_seven(self):
        before, began = [cpu_s(m) for m in self.seven], time.monotonic()
        time.sleep(2)
        spent = [cpu_s(m) - b for m, b in zip(self.seven, before)]
        percent = 100 * sum(spent) / (time.monotonic() - began)
        if self.seven[0].kind == "zokor":
            wrong(percent > 120, "seven idle servers use %.0f %% of a CPU", percent)
        return "%.0f %% of one CPU for all seven while nobody asks" % percent

    def two_dead_of_five(self):
        """Two are taken away for good, so that five are left of a new, smaller ensemble."""
        for m in self.seven:
            m.stopped_clean()
            m.wipe()
        del self.lab.members[5:]
        self.site = Site(self.lab, self.seed)
        self.lab.start(*self.lab.members, seconds=90)
        leader = self.lab.settled()
        self.site.begin()
        said = [self.work()]
        self.site.spread()
        self.site.load(0.5)
        dead = [leader, [m for m in self.lab.members if m is not leader][0]]
        for m in dead:
            m.kill()
        self.site.load(0.2)
        for m in dead:
            self.site.left(m)
        new = self.lab.settled()
        self.site.rest()
        self.site.verify()
        said.append("%s and %s died, %s leads: %s" % (*dead, new, self.work()))
        for m in dead:
            m.start()
        said.append("they are back: " + self.work())
        return "; ".join(said)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", default="zokor")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("directory")
    args = parser.parse_args()
    many = Many(args)
    return run(many, ("start_seven", "idle_seven", "two_dead_of_five"), many.lab, "%s, seed %d" % (
        args.kind, args.seed))


leave(main())
