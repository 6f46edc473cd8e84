#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sessions that are local to a learner (localSessionsEnabled), which its leader does not know: they
write, become global before their first ephemeral, and end.

    local.py [--kinds KIND,KIND,KIND] [--seed N] DIRECTORY

The last one of the kinds leads; the clients are at the first one.
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from lab import Lab, until
from crowd import Site, wrong
from steps import leave, run
import zkwire as zk


class Local:
    def __init__(self, args):
        self.lab = Lab(args.directory, args.kinds.split(","), conf={
            "localSessionsEnabled": "true", "localSessionsUpgradingEnabled": "true"})
        self.site = Site(self.lab, args.seed, 0)
        self.at = self.lab[1]

    def begin(self):
        self.lab.begin()
        return "%s leads, clients are at %s" % (self.lab.leader(), self.at)

    def writes(self):
        with self.site.conn(self.at) as conn:
            wrong(conn.call(zk.CREATE, zk.create("/local", b"1")).err, "create")
            wrong(conn.call(zk.SET_DATA, zk.set_data("/local", b"2")).err, "set")
            wrong(conn.call(zk.CREATE, zk.create("/local/gone", b"")).err, "create")
            wrong(conn.call(zk.DELETE, zk.versioned("/local/gone")).err, "delete")
            got = conn.call(zk.GET_DATA, zk.watched("/local"))
            wrong(got.err or got.body.buf() != b"2", "own write is not read")
            conn.close()
        return "%d nodes are the same" % self.site.trees()

    def ephemerals(self):
        """The session becomes global; the ephemeral is its own and goes with it."""
        with self.site.conn(self.at) as conn:
            wrong(conn.call(zk.CREATE, zk.create("/local/e", b"", flags=1)).err, "ephemeral")
            with self.site.conn(self.lab.leader()) as other:
                wrong(other.call(zk.SYNC, zk.buf("/")).err, "sync")
                body = other.call(zk.GET_DATA, zk.watched("/local/e")).body
                body.buf()
                wrong(body.stat().owner != conn.session, "the ephemeral is another session's")
                conn.close()
                until(lambda: other.call(zk.EXISTS, zk.watched("/local/e")).err == zk.NOT_FOUND,
                      "the ephemeral goes with its session", 5)
                other.close()
        return "%d nodes are the same" % self.site.trees()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kinds", default="apache,apache,zokor")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("directory")
    args = parser.parse_args()
    test = Local(args)
    leave(run(test, ("begin", "writes", "ephemerals"), test.lab, "kinds " + args.kinds))


if __name__ == "__main__":
    main()
