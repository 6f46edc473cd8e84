#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The counter of an epoch comes to its end while clients write: a new epoch begins each time, no
acknowledged write is lost, nobody has to wait for long.

    rollover.py [--kinds KIND,KIND,KIND] [--seconds N] [--seed N] [--first N] DIRECTORY

testingonly.initialZxid, which both kinds have, lets a new leader begin so close to the end.
Who leads is killed once, in the middle.
"""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from lab import Lab
from history import History
from crowd import wrong
from steps import leave, run

LEAST = 3               # epochs that must come to their end
LAST = {"zokor": 0xffffffff, "apache": 0xfffffffe}      # counter: Apache ends one before
MOST_S = {"zokor": 5.0, "apache": 15.0}     # without an acknowledged write


def counter(zxid):
    return zxid & 0xffffffff


class Rollover(History):
    def __init__(self, args):
        # The log of an epoch that begins in the middle looks as if something were missing.
        lab = Lab(args.directory, args.kinds.split(","), conf={
            "testingonly.initialZxid": 0xffffffff - args.first, "recovery.trustGaps": "true"})
        # As in faults.py: an Apache 3.8.0 that was killed may come back with another state.
        super().__init__(lab, args.seed, "apache" not in args.kinds)
        self.args = args

    def begin(self):
        self.lab.begin()
        self.recorder.begin()
        return "%s leads" % self.lab.leader()

    def writes(self):
        """(when, zxid) of each acknowledged write, in the order of time."""
        return sorted((op.resp, op.mzxid) for op in self.recorder.ops
                      if op.value is not None and op.mzxid and op.kind in ("set", "append") and
                      op.resp is not None)

    def epochs(self):
        """epoch -> [first, last time of a write, greatest counter]"""
        out = {}
        for when, zxid in self.writes():
            of = out.setdefault(zxid >> 32, [when, when, 0])
            of[1:] = max(of[1], when), max(of[2], counter(zxid))
        return out

    def roll(self, seconds, kill=False):
        """Write for so long; @return what was seen"""
        since = time.monotonic()
        if kill:
            self.recorder.run(seconds / 2)
            victim = self.lab.settled()
            victim.kill()
            self.recorder.run(1.0)
            victim.spawn()
        # At least so long; on a slow machine until enough epochs have ended.
        self.recorder.run(seconds)
        enough = lambda: len(self.ended(since)) >= LEAST or self.dead()
        self.recorder.run(90, enough)
        self.alive()
        return self.said(since, kill)

    def dead(self):
        return any(m.process.poll() is not None and m.process.returncode != -9
                   for m in self.lab.members)

    def alive(self):
        for m in self.lab.members:
            wrong(m.process.poll() not in (None, -9), "%s ended with status %s\n%s", m,
                  m.process.returncode, m.tail())

    def ended(self, since):
        """Epochs whose counter came to its end, with the gap behind each."""
        epochs = sorted((e, of) for e, of in self.epochs().items() if of[1] > since)
        out = []
        for (_, one), (_, two) in zip(epochs, epochs[1:]):
            # Sessions take zxids too: the last write need not be the very last transaction.
            if one[2] >= LAST["apache"] - 64:
                out.append((two[0] - one[1], one[2]))
        return out

    def said(self, since, kill):
        ended = self.ended(since)
        kinds = {m.kind for m in self.lab.members}
        wrong(len(ended) < LEAST, "only %d epochs came to their end: %s", len(ended), {
            e: "0x%x" % of[2] for e, of in self.epochs().items()})
        gaps = sorted(gap for gap, _ in ended)
        most = max(MOST_S[k] for k in kinds)
        wrong(gaps[-1] > most and not kill, "%.1f s without an acknowledged write", gaps[-1])
        return "%d epochs came to their end, at 0x%x at most; without a write for %.2f s in the " \
            "median, %.2f s at most; %d answers, %d sessions expired" % (
                len(ended), max(c for _, c in ended), gaps[len(gaps) // 2], gaps[-1],
                self.recorder.acknowledged(), self.recorder.expired)

    def over(self):
        return self.roll(self.args.seconds)

    def over_and_killed(self):
        return self.roll(self.args.seconds, True)

    def restart(self):
        """All at once, from files that hold the ends of epochs."""
        self.recorder.run(0.5)
        for m in self.lab.members:
            m.kill()
        for m in self.lab.members:
            m.spawn()
        self.heal()
        return "%s leads epoch %d" % (self.lab.settled(), max(self.epochs()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kinds", default="zokor,zokor,zokor")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--first", type=int, default=1500, help="transactions of an epoch")
    parser.add_argument("directory")
    args = parser.parse_args()
    test = Rollover(args)
    leave(run(test, ("begin", "over", "over_and_killed", "restart", "judge", "trees"), test.lab,
              "kinds %s, seed %d" % (args.kinds, args.seed), test.digests))


if __name__ == "__main__":
    main()
