#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-observer: how many of its writes do three servers keep when an observer is added?
zokor and Apache ZooKeeper, the servers and the load on this machine's CPUs.

    observer.py [--rounds N] [--seconds S] [--kinds KIND,KIND] [--more KEY=VALUE,...] DIRECTORY

What else runs on the machine changes within seconds and by more than an observer costs. So an
ensemble with an observer and one without live side by side, the load goes to them in turns of a few
seconds, and what is printed comes from the ratios of neighbouring turns. Half of the ratios are
within 15 % of each other, so that it takes 60 for a median that the next run repeats within 2 or 3.
"""

from ensemble import SHAPES, Ensemble, arguments, name, run, tell_broken
from failover import median
from steps import leave

WRITES = tuple(shape for shape in SHAPES if shape[0] == "set")


def main():
    parser = arguments()
    parser.set_defaults(rounds=60, seconds=2)
    args = parser.parse_args()
    kept = {}       # by kind and shape: ratios of neighbours
    pairs = {kind: (Ensemble(args, kind), Ensemble(args, kind, 1, 11))
             for kind in args.kinds.split(",")}
    both = [e for pair in pairs.values() for e in pair]

    def rounds():
        for kind, pair in pairs.items():
            for e in pair:
                e.begin()
            for n in range(args.rounds):
                for shape in WRITES:
                    for e in pair if n % 2 == 0 else pair[::-1]:
                        e.measure(shape)
                    without, with_one = (e.rates[shape][-1] for e in pair)
                    kept.setdefault((kind, shape), []).append(100 * with_one / without)
            for e in pair:
                e.stop()

    if run(both, rounds):
        return 1
    for shape in WRITES:
        for kind, pair in pairs.items():
            ratios = sorted(kept[kind, shape])
            print("%-36s %-6s %8.0f/s, with an observer %3.0f %% of that "
                  "(half of %d turns: %.0f to %.0f)" % (
                      name(shape), kind, median(pair[0].rates[shape]), median(ratios), len(ratios),
                      ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]))
    tell_broken(both)
    return 0


if __name__ == "__main__":
    leave(main())
