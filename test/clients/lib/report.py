# SPDX-License-Identifier: Apache-2.0
"""Cases of a test program: each ends as "ok NAME", "skip NAME: why" or "FAIL NAME: reason"."""

import sys
import time
import traceback

_cases = []


def case(func):
    """Decorator: run this function as a case, in the order of the file."""
    _cases.append(func)
    return func


class Skip(Exception):
    """Raised by a case that does not apply to this server; says why."""


def check(condition, message, *args):
    if not condition:
        raise AssertionError(message % args if args else message)


def same(got, want, what):
    if got != want:
        raise AssertionError("%s: got %r, want %r" % (what, got, want))


def until(condition, what, seconds=15.0):
    """Wait until condition() is true; what it returned is the result."""
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError("after %g s still not: %s" % (seconds, what))
        time.sleep(0.02)


def run(*args):
    """Run the cases (or those named on the command line) and end the program."""
    bad = 0
    wanted = sys.argv[1:]
    for func in _cases:
        name = func.__name__
        if wanted and name not in wanted:
            continue
        begin = time.monotonic()
        try:
            func(*args)
        except Skip as why:
            print("skip %s: %s" % (name, why), flush=True)
        except Exception as err:  # a failed case must not stop the others
            bad += 1
            line = [f.lineno for f in traceback.extract_tb(err.__traceback__)
                    if f.filename == func.__code__.co_filename]
            print("FAIL %s: line %s: %s: %s" % (name, "/".join(map(str, line)),
                                                type(err).__name__, err), flush=True)
        else:
            print("ok %s (%.2f s)" % (name, time.monotonic() - begin), flush=True)
    sys.stdout.flush()
    return 1 if bad else 0
