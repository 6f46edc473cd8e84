#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Unmodified clients over kill -9 of the server: kazoo and Apache's Java client keep their session,
ephemerals and watches; the ephemeral of a client that dies with the server goes in time.

    clients.py DIRECTORY        JAVA_CLASSES: where Survivor.class is
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../clients/lib")]
from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss
from kazoo.retry import KazooRetry

from report import case, check, run, same, until
from server import ADDRESS, JARS, PORT, Server

logging.basicConfig(level=logging.CRITICAL)
KIND = os.environ.get("ZK_KIND", "zokor")
HOSTS = "%s:%d" % (ADDRESS, PORT)
VICTIM_MS = 3000

VICTIM = """
import sys, time
from kazoo.client import KazooClient
c = KazooClient(hosts=%r, timeout=%r)
c.start(15)
c.create("/victim", b"", ephemeral=True)
print("%%x" %% c.client_id[0], flush=True)
time.sleep(1000)
""" % (HOSTS, VICTIM_MS / 1000)


def client(timeout=5.0):
    out = KazooClient(hosts=HOSTS, timeout=timeout, connection_retry=KazooRetry(
        max_tries=-1, delay=0.05, max_delay=0.2))
    out.start(20)
    return out


def through(call, *args, **kwargs):
    """Ask again until the connection is back."""
    end = time.monotonic() + 30
    while True:
        try:
            return call(*args, **kwargs)
        except ConnectionLoss:
            check(time.monotonic() < end, "no connection after 30 s")
            time.sleep(0.05)


def crash():
    server.kill()
    server.start()


@case
def kazoo_goes_on():
    """Five crashes: one session, every write there, zxids rise, the watch tells each change."""
    zk = client()
    session = zk.client_id[0]
    seen = []
    zk.create("/kazoo", b"")
    zk.create("/kazoo/mine", b"", ephemeral=True)
    zk.DataWatch("/kazoo")(lambda data, stat: seen.append((stat.mzxid, data)) if stat else None)
    zxid = 0
    for number in range(5):
        data = b"%d" % number
        stat = through(zk.set, "/kazoo", data)
        check(stat.mzxid > zxid, "zxid %x after %x", stat.mzxid, zxid)
        zxid = stat.mzxid
        crash()
        got, stat = through(zk.get, "/kazoo")
        same((got, stat.mzxid, stat.version), (data, zxid, number + 1), "after crash %d" % number)
        same(through(zk.exists, "/kazoo/mine").ephemeralOwner, session, "owner")
    until(lambda: (zxid, b"4") in seen, "the watch has seen the last change")
    same(sorted(seen), seen, "order of the watch's events")
    same(zk.client_id[0], session, "session")
    zk.stop()
    zk.close()


@case
def kazoo_watch_fires_after_the_crash():
    """Set before, fired by another client's write after it, while the first one is idle."""
    zk = client()
    zk.create("/idle", b"")
    fired = threading.Event()
    zk.get("/idle", watch=lambda event: fired.set())
    crash()
    with_other = client()
    with_other.set("/idle", b"x")
    check(fired.wait(15), "the watch did not fire")
    for one in (zk, with_other):
        one.stop()
        one.close()


@case
def sequence_goes_on():
    """Numbers of deleted nodes are not given again after crashes."""
    zk = client()
    zk.create("/seq", b"")
    last = -1
    for _ in range(4):
        names = [through(zk.create, "/seq/n", sequence=True) for _ in range(5)]
        check(int(names[0][-10:]) > last, "%s after %d", names[0], last)
        last = int(names[-1][-10:])
        for name in names:
            through(zk.delete, name)
        crash()
    zk.stop()
    zk.close()


@case
def dead_client():
    """It dies with the server: the ephemeral is there after the restart, and goes in time."""
    victim = subprocess.Popen([sys.executable, "-c", VICTIM], stdout=subprocess.PIPE)
    session = int(victim.stdout.readline(), 16)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    crash()
    begin = time.monotonic()
    zk = client()
    stat = zk.exists("/victim")
    check(stat and stat.ephemeralOwner == session, "the ephemeral is %s after the restart", stat)
    until(lambda: not zk.exists("/victim"), "the ephemeral of the dead client is gone",
          VICTIM_MS / 1000 + 3)
    lived = time.monotonic() - begin
    check(lived > VICTIM_MS / 1000 - 1.5, "it went after %.1f s already", lived)
    crash()
    check(not through(zk.exists, "/victim"), "it is back after another crash")
    zk.stop()
    zk.close()


@case
def closed_session_stays_closed():
    zk = client()
    zk.create("/closed", b"", ephemeral=True)
    session = zk.client_id
    zk.stop()
    crash()
    other = client()
    check(not other.exists("/closed"), "the ephemeral of a closed session is there")
    back = KazooClient(hosts=HOSTS, timeout=8.0, client_id=session)
    back.start(20)
    check(back.client_id[0] != session[0], "the closed session goes on")
    for one in (zk, other, back):
        one.stop()
        one.close()


@case
def java_client():
    classes = os.environ["JAVA_CLASSES"]
    path = [classes] + [JARS + j for j in ("zookeeper.jar", "zookeeper-jute.jar",
                                           "slf4j-simple.jar")]
    java = subprocess.Popen(
        ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
         "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp", ":".join(path), "Survivor"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=dict(os.environ, ZK_CONNECT=HOSTS))

    def said(want):
        line = java.stdout.readline().strip()
        check(line == want, "%s instead of %s: %s", line, want,
              java.stdout.read() if line.startswith("FAIL") else "")

    try:
        said("ready")
        crash()
        java.stdin.write("\n")
        java.stdin.flush()
        said("resumed")
        zk = client()
        zk.set("/java/watched", b"new")
        zk.create("/java/kid", b"")
        java.stdin.write("\n")
        java.stdin.flush()
        said("ok")
        zk.stop()
        zk.close()
    finally:
        java.kill()
        java.wait()


server = Server(KIND, os.path.join(sys.argv[1], "data"), os.path.join(sys.argv[1], "server.log"),
                {"snapCount": 200})
del sys.argv[1]
server.start()
status = run()
if status:
    print(server.tail())
server.reap()
sys.exit(status)
