#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A running ensemble goes from one kind of server to another, one server at a time on its own data
directory, and back. A kazoo client and a raw one keep their sessions, ephemerals and watches all the
time; writes go on and every acknowledged one stays.

    rolling.py [--kinds FROM,TO] [--seed N] DIRECTORY
"""

import argparse
import logging
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from lab import PORT, Lab
from crowd import Mover, Site, wrong
from steps import leave, run
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.retry import KazooRetry

logging.basicConfig(level=logging.CRITICAL)
SESSION_S = 15.0


class Guest(threading.Thread):
    """A kazoo client that lives through all of it and writes a counter."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.zk = KazooClient(hosts=",".join("%s:%d" % (m.address, PORT) for m in lab.members),
                              timeout=SESSION_S, connection_retry=KazooRetry(
                                  max_tries=-1, delay=0.05, max_delay=0.2))
        self.zk.start(30)
        self.session = self.zk.client_id[0]
        self.states, self.seen = [], []
        self.zk.add_listener(lambda state: self.states.append(str(state)))
        self.zk.create("/guest", b"0")
        self.zk.create("/guest/mine", b"", ephemeral=True)
        self.zk.DataWatch("/guest")(lambda data, stat: self.seen.append(stat.version if stat else None))
        self.acknowledged, self.wrong, self.ended = 0, None, False
        self.start()

    def run(self):
        """The versions of acknowledged writes only rise; a lost answer may have been a write."""
        version = 0
        while not self.ended:
            try:
                stat = self.zk.set("/guest", b"%d" % (version + 1))
                if stat.version <= version:
                    self.wrong = "version %d after %d" % (stat.version, version)
                version = stat.version
                self.acknowledged = version
            except (KazooException, KazooTimeoutError) as err:
                if type(err).__name__ not in ("ConnectionLoss", "SessionExpiredError",
                                              "ConnectionClosedError", "OperationTimeoutError"):
                    self.wrong = "%s: %s" % (type(err).__name__, err)
            time.sleep(0.01)

    def check(self):
        wrong(self.wrong, "kazoo: %s", self.wrong)
        wrong("LOST" in self.states, "kazoo lost its session: %s", self.states)
        wrong(not self.is_alive(), "kazoo's thread has ended")
        before = self.acknowledged
        end = time.monotonic() + 10
        while self.acknowledged == before:
            wrong(time.monotonic() > end, "kazoo writes nothing for 10 s; %s", self.states[-3:])
            time.sleep(0.05)
        stat = self.zk.retry(self.zk.exists, "/guest/mine")
        wrong(not stat or stat.ephemeralOwner != self.session, "kazoo's ephemeral: %s", stat)

    def end(self):
        self.ended = True
        self.join(10)
        stat = self.zk.retry(self.zk.exists, "/guest")
        wrong(stat.version < self.acknowledged, "version %d, acknowledged %d", stat.version,
              self.acknowledged)
        wrong(self.seen != sorted(set(self.seen)), "the watch told %s", self.seen[-20:])
        self.zk.stop()
        self.zk.close()
        return "%d writes acknowledged, the watch told %d, %d times connected again" % (
            self.acknowledged, len(self.seen), self.states.count("CONNECTED"))


class Rolling:
    def __init__(self, args):
        self.kinds = args.kinds.split(",")
        self.lab = Lab(args.directory, [self.kinds[0]] * 3)
        self.site = Site(self.lab, args.seed)
        self.guest = self.mover = None

    def begin(self):
        self.lab.begin()
        self.site.begin()
        self.guest = Guest(self.lab)
        self.mover = Mover(self.site, self.lab.members[:1], "/rolling")
        self.site.spread()
        wrong(not self.site.load(1.0), "nothing is acknowledged")
        return "three times %s, sessions %x and %x" % (
            self.kinds[0], self.guest.session, self.mover.session)

    def roll(self, kind):
        """Followers first, the leader last; a clean stop each, as one would do it."""
        order = sorted(self.lab.members, key=lambda m: m.mode() == "leader")
        for member in order:
            self.site.spread()
            self.site.load(0.5)
            self.mover.move(order[(order.index(member) + 1) % 3])
            member.stop()
            self.site.load(0.3)
            self.site.left(member)
            member.kind = kind
            member.start()
            self.lab.settled()
            self.site.rest()
            # kazoo writes on: the trees are compared when it is done.
            self.site.verify(same=False)
            self.site.spread()
            wrong(not self.site.load(0.5), "nothing is acknowledged after %s", member)
            self.site.rest()
            self.guest.check()
            self.mover.move(member)
        return "leader %s, %d operations acknowledged" % (
            self.lab.leader(), self.site.acknowledged())

    def there(self):
        return self.roll(self.kinds[1])

    def back(self):
        return self.roll(self.kinds[0])

    def end(self):
        said = self.guest.end()
        self.mover.end()
        size = self.site.trees()
        return "%s; %d sessions resumed %d times; %d nodes are the same" % (
            said, len(self.site.clients), sum(c.resumed for c in self.site.clients), size)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kinds", default="apache,zokor")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("directory")
    args = parser.parse_args()
    rolling = Rolling(args)
    return run(rolling, ("begin", "there", "back", "end"), rolling.lab, "kinds %s, seed %d" % (
        args.kinds, args.seed))


leave(main())
