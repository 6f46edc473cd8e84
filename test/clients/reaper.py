#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Containers and TTL nodes go by themselves: run.sh gives the server a short check interval."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import zkwire as zk
from raw_node import begin, made, node
from report import case, check, run, same, until
from zkwire import Conn

def exists(conn, path):
    return conn.call(zk.EXISTS, zk.watched(path)).err == 0


@case
def reaper_of_containers():
    with Conn() as c, Conn() as watcher:
        base, never, used, full = (node("reap" + n) for n in ("", "/never", "/used", "/full"))
        made(c, base)
        for path in (never, used, full):
            got = c.call(zk.CREATE_CONTAINER, zk.create(path, b"", None, 4))
            same(got.err, 0, "container " + path)
        made(c, full + "/child")
        made(c, used + "/child")
        time.sleep(1)
        check(exists(c, used), "a container with a child is gone")
        same(watcher.call(zk.EXISTS, zk.watched(used, True)).err, 0, "exists")
        same(watcher.call(zk.GET_CHILDREN, zk.watched(base, True)).err, 0, "getChildren")
        same(c.call(zk.DELETE, zk.versioned(used + "/child")).err, 0, "delete")
        same(watcher.reply().event(), (zk.DELETED, 3, used), "first event")
        same(watcher.reply().event(), (zk.CHILDREN, 3, base), "second event")
        same(c.call(zk.EXISTS, zk.watched(used)).err, -101, "exists after the event")
        time.sleep(1)
        check(exists(c, never), "a container that never had a child is gone")
        check(exists(c, full), "a container with a child is gone")
        same(c.call(zk.DELETE, zk.versioned(full + "/child")).err, 0, "delete")
        until(lambda: not exists(c, full), "the second container went")
        check(exists(c, never), "a container that never had a child is gone")


@case
def reaper_of_ttl_nodes():
    with Conn() as c, Conn() as watcher:
        short, long, full = (node("ttl-" + n) for n in ("short", "long", "full"))
        for path, ttl in ((short, 1000), (long, 600000), (full, 500)):
            got = c.call(zk.CREATE_TTL, zk.create(path, b"", None, 5) + zk.i64(ttl))
            same((got.err, got.body.string(), got.body.stat().owner), (0, path, 0), "createTTL")
        made(c, full + "/child")
        begin = time.monotonic()
        same(watcher.call(zk.GET_DATA, zk.watched(short, True)).err, 0, "getData")
        same(watcher.reply().event(), (zk.DELETED, 3, short), "event")
        seconds = time.monotonic() - begin
        check(0.8 < seconds < 10, "it went after %.2f s", seconds)
        same(c.call(zk.EXISTS, zk.watched(short)).err, -101, "exists after the event")
        check(exists(c, full), "a TTL node with a child is gone")
        same(c.call(zk.DELETE, zk.versioned(full + "/child")).err, 0, "delete")
        until(lambda: not exists(c, full), "the TTL node without children went")
        check(exists(c, long), "a TTL node is gone before its time")


def ttl(path, milliseconds, flags=5):
    return zk.create(path, b"", None, flags) + zk.i64(milliseconds)


@case
def ttl_range():
    """Corner case 59."""
    with Conn() as c:
        for milliseconds in (0, -1, -2**63, 2**40, 2**63 - 1):
            got = c.call(zk.CREATE_TTL, ttl(node("range"), milliseconds))
            same((milliseconds, got.err), (milliseconds, -8), "createTTL")
        for n, milliseconds in enumerate((1, 2**40 - 1)):
            same(c.call(zk.CREATE_TTL, ttl(node("range-%d" % n), milliseconds)).err, 0, "createTTL")
        until(lambda: not exists(c, node("range-0")), "the one of a millisecond went")
        check(exists(c, node("range-1")), "the one of 34 years went")
        got = c.call(zk.CREATE_TTL, ttl(node("range-"), 600000, 6))
        same((got.err, got.body.string()[-10:].isdigit()), (0, True), "createTTL, sequential")


@case
def ttl_nodes_in_a_multi():
    """Corner case 33: results of type 15 with a Stat."""
    with Conn() as c:
        paths = [node("multi-" + n) for n in ("ttl", "box", "plain")]
        got = c.call(zk.MULTI, zk.multi((zk.CREATE_TTL, ttl(paths[0], 600000)),
                                        (zk.CREATE_CONTAINER, zk.create(paths[1], b"", None, 4)),
                                        (zk.CREATE, zk.create(paths[2], b""))))
        same(got.err, 0, "multi")
        r = got.body
        for kind, path in zip((15, 15, 1), paths):
            same((r.i32(), r.boolean(), r.i32(), r.string()), (kind, False, 0, path), "result")
            if kind == 15:
                same(r.stat().owner, 0, "ephemeralOwner")
        same((r.i32(), r.boolean(), r.i32(), r.left()), (-1, True, -1, 0), "end of the results")


@case
def ttl_nodes_have_children():
    """Corner case 55: also ephemeral ones, and further TTL nodes."""
    with Conn() as c:
        path = node("ttl-parent")
        same(c.call(zk.CREATE_TTL, ttl(path, 600000)).err, 0, "createTTL")
        made(c, path + "/e", b"", 1)
        made(c, path + "/s", b"", 2)
        same(c.call(zk.CREATE_TTL, ttl(path + "/t", 600000)).err, 0, "createTTL below it")
        same(c.call(zk.CREATE, zk.create(path + "/e/x", b"")).err, -108, "below the ephemeral")


begin()
sys.exit(run())
