#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-failover: the leader of three servers is killed under load; how long until a write is
acknowledged again? zokor and Apache ZooKeeper take turns in one run, default configuration both.

    failover.py [--rounds N] [--kinds KIND,KIND] [--more KEY=VALUE,...] DIRECTORY

Counted from the signal to the first answer to a write that was sent after it. Nobody starts the
dead server again before that; clients know nothing but that their connection ended. Some clients
are at each server, so some are at one that lives: at a killed zokord nobody ends a connection, its
clients go on by their own time limits, which is not what this measures.
"""

import argparse
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../test/ensemble/lib"))
from lab import Failed, Lab
from recorder import APPEND, SET, Recorder
from steps import leave
from model import seeded

# What a configuration without these lines has: clients, ticks and limits of zoo_sample.cfg.
CONF = {"tickTime": 2000, "initLimit": 10, "syncLimit": 5, "minSessionTimeout": 4000,
        "maxSessionTimeout": 40000, "preAllocSize": 65536}
BLOCK = 5       # kills of one kind before the other's turn
LIMIT_S = 60


class Ensemble:
    def __init__(self, args, kind):
        self.kind = kind
        conf = dict(CONF, **dict(item.split("=", 1) for item in args.more.split(",") if item))
        self.lab = Lab(os.path.join(args.directory, kind), [kind] * 3, conf=conf)
        self.took, self.answers = [], 0

    def block(self, rounds, seed):
        """Start, kill the leader so many times, end."""
        self.lab.begin()
        recorder = Recorder(self.lab, lambda *more: seeded(seed, *more), every_s=0.002,
                            retry_s=0.001)
        recorder.begin()
        for _ in range(rounds):
            recorder.run(2.0)
            leader = self.lab.settled()
            marks = len(recorder.ops)
            leader.kill()
            killed = time.monotonic()

            def done():
                return next((op for op in recorder.ops[marks:] if op.inv > killed and
                             op.kind in (SET, APPEND) and op.resp is not None), None)
            recorder.run(LIMIT_S, done)
            op = done()
            if not op:
                raise Failed("nothing is acknowledged for %d s" % LIMIT_S)
            self.took.append((min(o.resp for o in recorder.ops[marks:] if o.inv > killed and
                                  o.kind in (SET, APPEND) and o.resp is not None) - killed) * 1000)
            leader.spawn()
            recorder.run(LIMIT_S, lambda: leader.mode(0.1))
        recorder.finish()
        self.answers += recorder.answers
        if recorder.complaints:
            raise Failed("; ".join(recorder.complaints[:5]))
        for m in self.lab.members:
            m.stop()
            m.unwire()
            m.wipe()


def median(values):
    values = sorted(values)
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--kinds", default="zokor,apache")
    parser.add_argument("--more", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("directory")
    args = parser.parse_args()
    ensembles = [Ensemble(args, kind) for kind in args.kinds.split(",")]
    try:
        for first in range(0, args.rounds, BLOCK):
            for e in ensembles:
                e.block(min(BLOCK, args.rounds - first), args.seed + first)
    except Failed as err:
        print("FAIL %s: %s\n%s" % (e.kind, err, e.lab.tails()))
        return 1
    finally:
        for e in ensembles:
            e.lab.end()
    for e in ensembles:
        print("%-6s %d times from kill to the next acknowledged write: median %4.0f ms, "
              "best %4.0f ms, worst %4.0f ms (%d requests answered)" % (
                  e.kind, len(e.took), median(e.took), min(e.took), max(e.took), e.answers))
    if len(ensembles) == 2:
        print("ratio of the medians: %.2f, of the worst: %.2f" % (
            median(ensembles[0].took) / median(ensembles[1].took),
            max(ensembles[0].took) / max(ensembles[1].took)))
    return 0


if __name__ == "__main__":
    leave(main())
