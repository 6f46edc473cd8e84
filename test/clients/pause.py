#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A server that did not run for longer than the sessions' time-out loses none whose client lives.

ZK_PID is the server's; its tickTime is 500, so that sessions of 2 s are granted."""

import logging
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from kazoo.client import KazooClient, KazooState

import zkwire as zk
from raw_node import begin, made, node
from report import Skip, case, check, run, same, until
from zkwire import Conn

logging.basicConfig(level=logging.CRITICAL)
PID = int(os.environ["ZK_PID"])
STOP_S = 3.0
TIMEOUT_MS = 2000


def only_zokor():
    if os.environ["ZK_KIND"] != "zokor":
        raise Skip("Apache expires sessions after a pause of its own")


class Paused:
    """The server stands still inside of this."""

    def __enter__(self):
        os.kill(PID, signal.SIGSTOP)
        self.begin = time.monotonic()
        return self

    def __exit__(self, *_):
        time.sleep(max(0, self.begin + STOP_S - time.monotonic()))
        os.kill(PID, signal.SIGCONT)


def owner(conn, path):
    got = conn.call(zk.EXISTS, zk.watched(path))
    return got.body.stat().owner if got.err == 0 else None


class Busy(threading.Thread):
    """A client that writes all the time and counts what it got."""

    def __init__(self, client, path):
        super().__init__(daemon=True)
        self.client, self.path, self.sets, self.end = client, path, 0, False
        self.start()

    def run(self):
        while not self.end:
            try:
                self.client.retry(self.client.set, self.path, b"%d" % self.sets)
                self.sets += 1
            except Exception:  # pylint: disable=broad-except
                time.sleep(0.05)


@case
def pause_with_kazoo_sessions():
    only_zokor()
    lost = []
    clients = []
    for n in range(6):
        c = KazooClient(hosts=os.environ["ZK_CONNECT"], timeout=TIMEOUT_MS / 1000)
        c.start(15)
        c.add_listener(lambda state, n=n: lost.append(n) if state == KazooState.LOST else None)
        c.create(node("kazoo-%d" % n), b"", ephemeral=True)
        clients.append(c)
    ids = [c.client_id[0] for c in clients]
    busy = [Busy(c, node("kazoo-%d" % n)) for n, c in enumerate(clients[:2])]
    for _ in range(2):
        time.sleep(1.3)
        with Paused():
            pass
        # Longer than what is granted after the pause and the time-out.
        time.sleep(STOP_S + 3)
        before = [b.sets for b in busy]
        until(lambda: all(c.connected for c in clients), "all clients are back")
        until(lambda b=before: all(x.sets > n for x, n in zip(busy, b)), "writers go on")
        same(lost, [], "sessions lost")
        same([c.client_id[0] for c in clients], ids, "session ids")
        with Conn() as fresh:
            same([owner(fresh, node("kazoo-%d" % n)) for n in range(6)], ids, "owners")
    for b in busy:
        b.end = True
        b.join(10)
    for c in clients:
        c.stop()
        c.close()


@case
def pause_with_a_dropped_connection():
    """Its client connects anew while the server stands still."""
    only_zokor()
    old = Conn(session_ms=TIMEOUT_MS)
    path = node("dropped")
    made(old, path, b"", 1)
    old.sock.close()
    done = []
    again = threading.Thread(daemon=True, target=lambda: done.append(
        Conn(session_ms=TIMEOUT_MS, session=old.session, password=old.password)))
    with Paused():
        time.sleep(1.5)
        again.start()
    again.join(20)
    check(done, "no new connection")
    same(done[0].session, old.session, "session after the pause")
    same(owner(done[0], path), old.session, "owner")
    done[0].close()


@case
def pause_does_not_save_the_dead():
    """Sessions whose clients are gone end in bounded time all the same."""
    dead = Conn(session_ms=TIMEOUT_MS)
    path = node("dead")
    made(dead, path, b"", 1)
    dead.sock.close()
    with Paused():
        pass
    begun = time.monotonic()
    with Conn(session_ms=20000) as c:
        if os.environ["ZK_KIND"] == "zokor":
            same(owner(c, path), dead.session, "owner after the pause")
        until(lambda: owner(c, path) is None, "its node is gone", 10)
        seconds = time.monotonic() - begun
        check(seconds < STOP_S + 3.5, "it went after %.1f s", seconds)


begin()
sys.exit(run())
