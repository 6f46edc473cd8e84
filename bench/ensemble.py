#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-ensemble: writes and reads per second of three servers on this machine's CPUs, zokor
beside Apache ZooKeeper, the same load from kernel sockets, in turn.

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
    """Three servers of a kind, sids from first. Observers serve nobody, they are told."""

    def __init__(self, args, kind, observers=0, first=1):
        self.args, self.kind = args, kind
        more = dict(item.split("=", 1) for item in args.more.split(",") if item)
        conf = {**CONF, **FRAMES, **more}
        self.lab = Lab(os.path.join(args.directory, "%s%d" % (kind, first)), [kind] * 3,
                       [kind] * observers, conf, first)
        # A server's own JVM, not one that starts quickly.
        for m in self.lab.members:
            m.java += ["-Xmx512m", "-XX:TieredStopAtLevel=4"]
        self.broken = 0
        self.rates, self.times = {}, {}     # by shape

    def load(self, what, *numbers):
        addresses = ",".join(m.address for m in self.lab.members if not m.observer)
        if what == "fill":
            addresses = self.lab.leader().address
        return subprocess.run([LOAD, what, addresses, str(PORT), str(NODES), str(BYTES)] +
                              [str(n) for n in numbers], check=True, stdout=subprocess.PIPE,
                              text=True).stdout.split()

    def begin(self):
        self.lab.begin()
        self.load("fill")

    def measure(self, shape):
        """Again when the leader changed meanwhile, which ends all connections; that is counted."""
        for _ in range(TRIES):
            self.lab.settled()
            try:
                rate, us = self.load(shape[0], self.args.seconds, *shape[1:])
            except subprocess.CalledProcessError:
                self.broken += 1
                continue
            self.rates.setdefault(shape, []).append(float(rate))
            self.times.setdefault(shape, []).append(float(us))
            return
        raise Failed("%s: connections end all the time" % self.kind)

    def stop(self):
        for m in self.lab.members:
            m.stop()
            m.unwire()
            m.wipe()


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--kinds", default="zokor,apache")
    parser.add_argument("--more", default="")
    parser.add_argument("directory")
    return parser


def run(ensembles, rounds):
    """Call rounds(); whatever comes of it, end the servers. @return an exit status."""
    try:
        rounds()
    except (Failed, subprocess.CalledProcessError) as err:
        print("FAIL %s\n%s" % (err, "\n".join(e.lab.tails() for e in ensembles)))
        return 1
    finally:
        for e in ensembles:
            e.lab.end()
    return 0


def name(shape):
    return "%s, %d connections, %d under way" % shape


def tell_broken(ensembles):
    for e in ensembles:
        if e.broken:
            print("%s: %d measurements again, because connections had ended" % (e.kind, e.broken))


def main():
    args = arguments().parse_args()
    kinds = args.kinds.split(",")
    ensembles = [Ensemble(args, kind) for kind in kinds]

    def rounds():
        for _ in range(args.rounds):
            for e in ensembles:
                e.begin()
                for shape in SHAPES:
                    e.measure(shape)
                e.stop()

    if run(ensembles, rounds):
        return 1
    for shape in SHAPES:
        rates = [median(e.rates[shape]) for e in ensembles]
        times = [median(e.times[shape]) for e in ensembles]
        print("%-36s %s%s" % (
            name(shape), "; ".join("%s %8.0f/s %7.0f us" % of for of in zip(kinds, rates, times)),
            "; ratio %.1f" % (rates[0] / rates[1]) if len(kinds) == 2 else ""))
    tell_broken(ensembles)
    return 0


if __name__ == "__main__":
    leave(main())
