#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The same requests to two servers, every field of every answer compared.

run.sh starts the servers and this program: main.py SIDE_A SIDE_B [option ...], where a side is
NAME,KIND,LINE,HOST,PORT[,SOURCE ADDRESS].
"""

import argparse
import re
import sys
import threading
import time
import traceback

import cases_acl
import cases_frame
import cases_multi
import cases_node
import cases_path
import cases_quota
import cases_session
import cases_watch
import compare
import randomly
import rules
import selftest
import side as sides
from book import CASES

MODULES = (cases_node, cases_path, cases_acl, cases_multi, cases_watch, cases_session, cases_frame,
           cases_quota)
SHOWN_DIFFERENCES = 3


class Failure:
    """A case that could not be compared."""

    def __init__(self, text):
        self.words = text

    def text(self, _before, reproduce):
        return "  %s\n    reproduce: %s" % (self.words, reproduce)


def both(work):
    """work(0) and work(1) side by side; their results, or the traceback of one as text."""
    out = [None, None]

    def one(n):
        try:
            out[n] = (work(n), None)
        except Exception:  # pylint: disable=broad-except
            out[n] = (None, traceback.format_exc())
    threads = [threading.Thread(target=one, args=(n,), daemon=True) for n in (0, 1)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return out


class Tester:
    def __init__(self, pair, options):
        self.pair, self.options = pair, options
        self.controls = [None, None]
        self.passed = self.failed = 0
        self.failed_names = []
        self.requests = 0

    def ready(self):
        for n in (0, 1):
            if self.controls[n] is None or self.controls[n].c.dead:
                self.controls[n] = sides.Control(self.pair[n])

    def run_both(self, name, act, args=(), loose=False, name_of_case=""):
        """The two runs of one case, compared: a list of differences."""
        self.ready()

        def work(n):
            run = sides.Run(self.pair[n], name, self.controls[n],
                            name_of_case=name_of_case)
            run.loose = loose
            try:
                act(run, *args)
            finally:
                run.finish()
            return run
        got = both(work)
        for n in (0, 1):
            if got[n][1]:
                self.controls[n] = None
        bad = [Failure("on %s: %s" % (self.pair[n].name, got[n][1])) for n in (0, 1) if got[n][1]]
        runs = [g[0] for g in got]
        if bad:
            return bad, runs
        self.requests += sum(len(e.reqs) for e in runs[0].entries)
        try:
            return compare.compare(*runs), runs
        except Exception:  # pylint: disable=broad-except
            return [Failure("comparison: %s" % traceback.format_exc())], runs

    def report(self, name, differences, runs, reproduce):
        if not differences:
            self.passed += 1
            if self.options.verbose:
                print("ok %s" % name)
            return
        self.failed += 1
        self.failed_names.append(name)
        print("FAIL %s: %d difference%s" % (name, len(differences), "s" * (len(differences) > 1)))
        for d in differences[:SHOWN_DIFFERENCES]:
            before = []
            if isinstance(d, compare.Difference) and runs[0]:
                before = [e.text for e in runs[0].entries[max(0, d.at - 3):d.at]
                          if len(e.text) < 400]
            print(d.text(before, reproduce))
        sys.stdout.flush()

    def scripted(self, chosen):
        for n, c in enumerate(chosen):
            begin = time.monotonic()
            got, runs = self.run_both("d%03d" % n if not self.options.only else "donly",
                                      c.act, c.args, loose=c.slow, name_of_case=c.name)
            self.report(c.name, got, runs, "%s -k '^%s$'" % (self.options.reproduce, c.name))
            seconds = time.monotonic() - begin
            if seconds > 5 and not c.slow:
                print("note: %s took %.1f s" % (c.name, seconds))

    def random(self, seed, requests):
        plan = randomly.Plan(seed, requests, any(s.line == "3.8" for s in self.pair))
        got, runs = self.run_both("r%d" % seed, plan.play)
        self.report("random seed %d" % seed, got, runs,
                    "%s --seed %d --requests %d" % (
                        self.options.reproduce, seed, requests))


def side_of(text):
    f = text.split(",")
    return sides.Side(f[0], f[1], f[2], f[3], int(f[4]), f[5] if len(f) > 5 else None)


def main():
    p = argparse.ArgumentParser(prog="run.sh [apache|zokor] [apache|zokor]", description=__doc__)
    p.add_argument("sides", nargs=2, type=side_of)
    p.add_argument("-k", dest="only", help="only the scripted cases whose name matches")
    p.add_argument("--seed", type=int, help="only this random run")
    p.add_argument("--first-seed", type=int, default=1)
    p.add_argument("--requests", type=int, default=1000, help="requests of one random run")
    p.add_argument("--only-random", action="store_true", help="no scripted cases, no self-test")
    p.add_argument("--only-selftest", action="store_true")
    p.add_argument("--no-selftest", action="store_true")
    p.add_argument("--list", action="store_true")
    p.add_argument("-v", dest="verbose", action="store_true")
    p.add_argument("--reproduce", default="test/clients/diff/run.sh", help=argparse.SUPPRESS)
    p.add_argument("--at-least", metavar="CASES,REQUESTS", default="0,0",
                   help="fail when fewer scripted cases or random requests were compared")
    p.add_argument("seeds", nargs="?", type=int, default=20, help="how many random runs")
    options = p.parse_intermixed_args()

    chosen = [c for c in CASES if options.only is None or re.search(options.only, c.name)]
    left_out = [c for c in chosen if c.needs39 and options.sides[0].line != options.sides[1].line]
    chosen = [c for c in chosen if c not in left_out]
    names = [c.name for c in CASES]
    if len(set(names)) != len(names):
        sys.exit("two cases have one name: %s" % sorted(n for n in names if names.count(n) > 1))
    if options.list:
        print("\n".join(c.name for c in chosen))
        return
    t = Tester(options.sides, options)
    begin = time.monotonic()
    if options.only_selftest:
        self_test(t)
    elif options.only_random:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            t.random(seed, options.requests)
    elif options.seed is not None:
        t.random(options.seed, options.requests)
    else:
        t.scripted(chosen)
        whole = options.only is None
        enough(t, "scripted cases", len(chosen), options, 0)
        for why in sorted({c.needs39 for c in left_out}):
            print("left out: %d cases that need a reference of line 3.9: %s" % (
                sum(c.needs39 == why for c in left_out), why))
        print("scripted: %d cases, %d requests, %.1f s" % (
            len(chosen), t.requests, time.monotonic() - begin))
        if whole:
            everything(t, options)
    for c in t.controls:
        if c and not c.c.dead:
            c.close()
    if t.failed_names:
        print("different: %s" % ", ".join(t.failed_names))
    print("%d passed, %d failed" % (t.passed, t.failed))
    sys.exit(1 if t.failed else 0)


def enough(t, what, count, options, which):
    least = int(options.at_least.split(",")[which])
    if count < least:
        t.failed += 1
        print("FAIL %d %s, there must be %d" % (count, what, least))


def everything(t, options):
    begin, before = time.monotonic(), t.requests
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        t.random(seed, options.requests)
    print("random: %d runs from seed %d, %d requests, %.1f s" % (
        options.seeds, options.first_seed, t.requests - before, time.monotonic() - begin))
    enough(t, "random requests", t.requests - before, options, 1)
    for r in rules.RULES:
        if rules.applies(r, *options.sides):
            print("rule %s (%s): used %d times" % (r.name, r.line, r.used))
            if r.used == 0:
                t.failed += 1
                print("FAIL rule %s: no case needed it, it is out of date" % r.name)
    if not options.no_selftest:
        self_test(t)


def self_test(t):
    begin = time.monotonic()
    passed, failed = selftest.run(t)
    t.passed += passed
    t.failed += failed
    print("self-test: %d alterations caught, %d missed, %.1f s" % (
        passed, failed, time.monotonic() - begin))


if __name__ == "__main__":
    main()
