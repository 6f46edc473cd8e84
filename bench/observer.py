#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-observer: how many of its writes do three servers keep when an observer is added?
zokor and Apache ZooKeeper, the servers and the load on this machine's CPUs.

    observer.py [--rounds N] [--seconds S] [--kinds KIND,KIND] [--more KEY=VALUE,...] DIRECTORY

What else runs on the machine changes within seconds and by more than an observer costs, and two
ensembles differ by where their memory lies. So the observer of one ensemble is started and stopped
between turns of a few seconds, and what is printed comes from the ratios of neighbouring turns.
"""

from ensemble import SHAPES, Ensemble, arguments, name, run, tell_broken
from failover import median
from steps import leave

WRITES = tuple(shape for shape in SHAPES if shape[0] == "set")


class Pairs:
    """Neighbouring turns of an ensemble, one without its observer and one with."""

    def __init__(self, args, kind):
        self.kind, self.ensemble = kind, Ensemble(args, kind, 1)
        self.observer = self.ensemble.lab.members[-1]
        self.without, self.kept = {}, {}    # by shape

    def change(self, shape):
        """The observer comes or goes. The turn behind that does not count: it has to catch up, and
        a new JVM to compile."""
        if self.observer.alive():
            self.observer.stop()
        else:
            self.ensemble.lab.start(self.observer)
        self.turn(shape)

    def turn(self, shape):
        self.ensemble.measure(shape)
        return self.ensemble.rates[shape].pop()

    def measure(self, shape):
        """A turn of each kind, first the one that needs no change."""
        rates = {self.observer.alive(): self.turn(shape)}
        self.change(shape)
        rates[self.observer.alive()] = self.turn(shape)
        self.without.setdefault(shape, []).append(rates[False])
        self.kept.setdefault(shape, []).append(100 * rates[True] / rates[False])

    def tell(self, shape):
        ratios = sorted(self.kept[shape])
        print("%-36s %-6s %8.0f/s, with an observer %5.1f %% of that "
              "(half of %d pairs: %.0f to %.0f)" % (
                  name(shape), self.kind, median(self.without[shape]), median(ratios), len(ratios),
                  ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]))


def main():
    parser = arguments()
    parser.set_defaults(rounds=40, seconds=2)
    args = parser.parse_args()
    pairs = [Pairs(args, kind) for kind in args.kinds.split(",")]

    def rounds():
        for p in pairs:
            p.ensemble.begin()
            for _ in range(args.rounds):
                for shape in WRITES:
                    p.measure(shape)
            p.ensemble.stop()

    ensembles = [p.ensemble for p in pairs]
    if run(ensembles, rounds):
        return 1
    for shape in WRITES:
        for p in pairs:
            p.tell(shape)
    tell_broken(ensembles)
    return 0


if __name__ == "__main__":
    leave(main())
