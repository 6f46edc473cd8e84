# SPDX-License-Identifier: Apache-2.0
"""Steps of a scenario, each "ok NAME: what it saw"; the first that fails ends it, with the logs."""

import os
import sys
import time
import traceback


def run(scenario, names, lab, about, digests=True):
    """Call the methods; each returns what to say. No server may log a digest that is not the
    leader's. @return the status of the program"""
    name = "nothing"
    try:
        for name in names:
            began = time.monotonic()
            said = getattr(scenario, name)()
            print("ok %s (%.1f s): %s" % (name, time.monotonic() - began, said), flush=True)
            for member in lab.members:
                if digests and member.alive():
                    member.digest_ok()
        return 0
    except Exception as err:  # whatever it was, the logs are wanted
        where = [f for f in traceback.extract_tb(err.__traceback__)]
        print("FAIL %s (%s): %s: %s" % (name, about, type(err).__name__, err))
        print("     at " + " < ".join("%s:%d" % (f.name, f.lineno) for f in reversed(where)))
        print(lab.tails(), flush=True)
        return 1
    finally:
        lab.end()


def leave(status):
    """End the program, whatever threads its clients have left."""
    sys.stdout.flush()
    os._exit(status)
