#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The disk of the leader's log fills up: it ends and says so, the others go on without a lost write;
with room again it comes back. Then the same with a follower.

    full.py [--seed N] DIRECTORY
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from lab import Lab, sh
from crowd import Site, wrong
from steps import leave, run

SMALL_MB = 2


class Full:
    def __init__(self, args):
        self.lab = Lab(args.directory, ["zokor"] * 3)
        self.site = Site(self.lab, args.seed)

    @staticmethod
    def ballast(member, mb):
        """Fill the disk of a member but for so much."""
        name = os.path.join(member.data, "ballast")
        room = os.statvfs(member.data)
        with open(name, "wb") as f:
            os.posix_fallocate(f.fileno(), 0, max(1, room.f_bavail * room.f_frsize - (mb << 20)))

    def begin(self):
        for member in self.lab.members:
            os.makedirs(member.data, exist_ok=True)
            sh("mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", member.data)
        self.lab.begin()
        self.site.begin()
        self.site.spread()
        return "%d operations" % self.site.load(0.5)

    def one_full(self, member):
        self.ballast(member, SMALL_MB)
        self.site.spread([m for m in self.lab.members if m is not member])
        before = self.site.acknowledged()
        for _ in range(60):
            self.site.load(0.5)
            if member.process.poll() is not None:
                break
        wrong(member.process.poll() is None, "%s goes on with a full disk", member)
        wrong(member.process.returncode != 1, "it ended with status %d", member.process.returncode)
        wrong("takes no more transactions" not in member.log(), "its log does not say why")
        leader = self.lab.settled()
        self.site.load(0.5)
        wrong(self.site.acknowledged() == before, "nothing is acknowledged any more")
        os.unlink(os.path.join(member.data, "ballast"))
        self.lab.start(member)
        self.lab.settled()
        self.site.rest()
        return "%s ended, %s leads; %d nodes are the same on all" % (
            member, leader, self.site.verify())

    def leader_full(self):
        return self.one_full(self.lab.settled())

    def follower_full(self):
        leader = self.lab.settled()
        return self.one_full(next(m for m in self.lab.members if m is not leader))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("directory")
    args = parser.parse_args()
    test = Full(args)
    leave(run(test, ["begin", "leader_full", "follower_full"], test.lab, "seed %d" % args.seed))


if __name__ == "__main__":
    main()
