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


begin()
sys.exit(run())
