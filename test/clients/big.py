#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Long requests and answers: run.sh gives the server jute.maxbuffer=32M."""

import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import zkwire as zk
from raw_node import begin, made, node
from report import case, check, run, same
from zkwire import Conn

VALUE = 16 << 20
CHILDREN = 200000
WATCHES = 100000
NAME = "child-%06d"


class Bystander(threading.Thread):
    """Another client that reads all along: the longest answer, and how many it got."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over = False
        self.longest = 0.0
        self.answers = 0
        self.error = None

    def run(self):
        try:
            with Conn() as c:
                while not self.over:
                    start = time.monotonic()
                    same(c.call(zk.EXISTS, zk.watched("/")).err, 0, "exists")
                    self.longest = max(self.longest, time.monotonic() - start)
                    self.answers += 1
                    time.sleep(0.001)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.join(20)
        check(self.error is None, "the bystander failed: %s", self.error)
        check(self.answers > 3, "the bystander got %d answers", self.answers)
        print("    a bystander had %d answers, the longest in %.1f ms" %
              (self.answers, 1000 * self.longest))
        check(self.longest < 1, "the bystander waited %.3f s", self.longest)


def pattern(seed):
    return bytes((seed + i * 7) & 255 for i in range(4096)) * (VALUE // 4096)


@case
def big_value():
    with Conn() as c, Conn() as other, Bystander():
        path = node("value")
        first, second = pattern(1), pattern(2)
        made(c, path, first)
        same(other.call(zk.GET_DATA, zk.watched(path, True)).body.buf(), first, "the first value")
        got = c.call(zk.SET_DATA, zk.set_data(path, second))
        same((got.err, got.body.stat().length), (0, VALUE), "setData")
        same(other.reply().event(), (zk.CHANGED, 3, path), "event")
        same(other.call(zk.GET_DATA, zk.watched(path)).body.buf(), second, "the second value")
        # several at once, and one whose connection goes in the midst
        with Conn() as gone:
            for conn in (c, other, gone):
                conn.send(zk.request(conn.next_xid(), zk.GET_DATA, zk.watched(path)))
            gone.take(1 << 20)
        for conn in (c, other):
            same(conn.answer(conn.xid).body.buf(), second, "one of several")
        same(c.call(zk.SET_DATA, zk.set_data(path, b"")).err, 0, "a short value")


@case
def big_multi():
    with Conn() as c:
        path = node("multi")
        made(c, path)
        half = pattern(3)[:VALUE // 2]
        ops = [(zk.SET_DATA, zk.set_data(path, half)), (zk.CHECK, zk.versioned(path, 1)),
               (zk.SET_DATA, zk.set_data(path, half[:10]))]
        same(c.call(zk.MULTI, zk.multi(*ops)).err, 0, "multi")
        got = c.call(zk.GET_DATA, zk.watched(path))
        same((got.body.buf(), got.body.stat().version), (half[:10], 2), "what it left")


@case
def big_listing():
    with Conn(timeout=60.0) as c, Bystander():
        path = node("list")
        made(c, path)
        for at in range(0, CHILDREN, 5000):
            ops = [(zk.CREATE, zk.create(path + "/" + NAME % i, b""))
                   for i in range(at, at + 5000)]
            same(c.call(zk.MULTI, zk.multi(*ops)).err, 0, "multi")
        want = {NAME % i for i in range(CHILDREN)}
        for op in (zk.GET_CHILDREN, zk.GET_CHILDREN2):
            names = c.call(op, zk.watched(path)).body.strings()
            same(len(names), CHILDREN, "number of names")
            same(set(names), want, "names")
        body = zk.multi((zk.GET_CHILDREN, zk.watched(path)), (zk.GET_DATA, zk.watched(path)))
        got = c.call(zk.MULTI_READ, body).body
        same((got.i32(), got.boolean(), got.i32()), (zk.GET_CHILDREN, False, 0), "head")
        same(set(got.strings()), want, "names in a multiRead")
        for at in range(0, CHILDREN, 5000):
            ops = [(zk.DELETE, zk.versioned(path + "/" + NAME % i))
                   for i in range(at, at + 5000)]
            same(c.call(zk.MULTI, zk.multi(*ops)).err, 0, "multi")


@case
def big_set_watches():
    """One frame with 100,000 paths, and what becomes of it."""
    with Conn(timeout=60.0) as c, Conn() as writer, Bystander():
        base = node("watched")
        made(writer, base)
        there = ["%s/%06d" % (base, i) for i in range(100)]
        for path in there:
            zxid = writer.call(zk.CREATE, zk.create(path, b"")).zxid
        missing = ["%s/none-%06d" % (base, i) for i in range(WATCHES)]
        got = c.call(zk.SET_WATCHES, zk.set_watches(zxid, there + missing[:1000], missing, [base]))
        same(got.err, 0, "setWatches")
        events = c.take_events()
        same([e[1:] for e in events], [(zk.DELETED, 3, p) for p in missing[:1000]], "events")
        made(writer, missing[77777])
        same([c.reply().event(), c.reply().event()],
             [(zk.CREATED, 3, missing[77777]), (zk.CHILDREN, 3, base)], "an exist watch")
        same(writer.call(zk.SET_DATA, zk.set_data(there[5], b"x")).err, 0, "setData")
        same(c.reply().event(), (zk.CHANGED, 3, there[5]), "a data watch")


begin()
sys.exit(run())
