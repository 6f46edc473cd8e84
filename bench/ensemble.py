#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-ensemble: writes and reads per second of three servers on this machine's CPUs, zokor
beside Apache ZooKeeper, the same load from kernel sockets, in turn; and with an observer more.

    ensemble.py [--rounds N] [--seconds S] [--kinds KIND,KIND] [--more KEY=VALUE,...] DIRECTORY

The load shares the CPUs with the servers. Of each number the median of the rounds is printed.
"""

import argparse
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../test/ensemble/lib"))
from failover import CONF, median
from lab import PORT, Failed, Lab
from steps import leave

LOAD = os.path.join(os.environ.get("BUILD", "build"), "bench/sock_load")
NODES, BYTES = 10000, 100
# Frames that one machine's bridge carries for both kinds. Apache's kernels pass each other 64 KB in
# one piece whatever this is; a TAP takes a frame at a time.
FRAMES = {"dp.mtu": 9000, "dp.rxPackets": 4096, "dp.txPackets": 4096}
TRIES = 4
# what, connections, requests under way on each
SHAPES = (("set", 1, 1), ("set", 12, 1), ("set", 12, 16), ("get", 1, 1), ("get", 12, 16))


class Ensemble:
    def __init__(self, args, kind, observers):
        self.args, self.kind, self.observers = args, kind, observers
        more = dict(item.split("=", 1) for item in args.more.split(",") if item)
        conf = {**CONF, **FRAMES, **more}
        self.lab = Lab(os.path.join(args.directory, kind + str(observers)), [kind] * 3,
                       [kind] * observers, conf)
        # A server's own JVM, not one that starts quickly.
        for m in self.lab.members:
            m.java += ["-Xmx512m", "-XX:TieredStopAtLevel=4"]
        self.broken = 0
        self.rates = {shape: [] for shape in SHAPES}
        self.times = {shape: [] for shape in SHAPES}

    def load(self, what, *numbers):
        # The observer serves nobody: it is there to be told.
        addresses = ",".join(m.address for m in self.lab.members if not m.observer)
        if what == "fill":
            addresses = self.lab.leader().address
        return subprocess.run([LOAD, what, addresses, str(PORT), str(NODES), str(BYTES)] +
                              [str(n) for n in numbers], check=True, stdout=subprocess.PIPE,
                              text=True).stdout.split()

    def measure(self, shape):
        """Again when the leader changed meanwhile, which ends all connections; that is counted."""
        for _ in range(TRIES):
            self.lab.settled()
            try:
                return self.load(shape[0], self.args.seconds, *shape[1:])
            except subprocess.CalledProcessError:
                self.broken += 1
        raise Failed("connections end all the time")

    def round(self):
        self.lab.begin()
        self.load("fill")
        for shape in SHAPES:
            rate, us = self.measure(shape)
            self.rates[shape].append(float(rate))
            self.times[shape].append(float(us))
        for m in self.lab.members:
            m.stop()
            m.unwire()
            m.wipe()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--kinds", default="zokor,apache")
    parser.add_argument("--more", default="")
    parser.add_argument("directory")
    args = parser.parse_args()
    kinds = args.kinds.split(",")
    ensembles = {(kind, n): Ensemble(args, kind, n) for n in (0, 1) for kind in kinds}
    try:
        for _ in range(args.rounds):
            for e in ensembles.values():
                e.round()
    except (Failed, subprocess.CalledProcessError) as err:
        print("FAIL %s: %s\n%s" % (e.kind, err, e.lab.tails()))
        return 1
    finally:
        for e in ensembles.values():
            e.lab.end()
    for shape in SHAPES:
        name = "%s, %d connections, %d under way" % shape
        for n in (0, 1):
            rates = [median(ensembles[kind, n].rates[shape]) for kind in kinds]
            times = [median(ensembles[kind, n].times[shape]) for kind in kinds]
            print("%-36s %-13s %s%s" % (
                name, "three servers" if not n else "+ an observer",
                "; ".join("%s %8.0f/s %7.0f us" % (k, r, t) for k, r, t in zip(
                    kinds, rates, times)),
                "; ratio %.1f" % (rates[0] / rates[1]) if len(kinds) == 2 else ""))
        if shape[0] == "set":
            print("%-36s with the observer: %s" % ("", "; ".join(
                "%s %.0f %% of the writes without" % (k, 100 * median(
                    ensembles[k, 1].rates[shape]) / median(ensembles[k, 0].rates[shape]))
                for k in kinds)))
    for (kind, n), e in ensembles.items():
        if e.broken:
            print("%s%s: %d measurements again, because connections had ended" % (
                kind, " + an observer" if n else "", e.broken))
    return 0


if __name__ == "__main__":
    leave(main())
