#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sessions that expire, close and move, seen from the connections of another server core.

A core is chosen by the flow, so source ports choose it. `cons` lists connections core by core, on
each in the order in which they came: where that order breaks, another core begins. Apache has no
such cores; the same script must pass there with any ports."""

import os
import re
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import zkwire as zk
from raw_node import LINE38, begin, made, node
from report import case, check, run, same, until
from zkwire import Conn

CORES = int(os.environ["ZK_CORES"])
SHORT_MS = 2000
PORTS = []  # one list for each core


class From(Conn):
    """A connection from a chosen port, which is free again as soon as it is closed."""

    def __init__(self, port, **kwargs):
        self.source = port
        super().__init__(**kwargs)

    def dial(self, timeout):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.settimeout(timeout)
        sock.bind(("", self.source))
        sock.connect((zk.HOST, zk.PORT))
        return sock


def runs(text, mine):
    """The ports of `cons`, cut where the order of their sessions breaks."""
    out, last = [], None
    for port, sid in re.findall(r":(\d+)\[1\]\(.*?sid=0x([0-9a-f]+)", text):
        if int(port) not in mine:
            continue
        if last is None or int(sid, 16) < last:
            out.append([])
        last = int(sid, 16)
        out[-1].append(int(port))
    return out


def learn(first):
    """Which ports lead to which core? Fillers take the slots that earlier connections left."""
    fill = [Conn() for _ in range(40)]
    conns = [From(first + n) for n in range(12 * CORES)]
    got = runs(zk.four_letters("cons"), set(range(first, first + len(conns))))
    for c in conns + fill:
        c.close()
    return got


@case
def ports_of_each_core():
    global PORTS
    if os.environ["ZK_KIND"] != "zokor":
        PORTS = [list(range(21000 + 100 * n, 21020 + 100 * n)) for n in range(CORES)]
        return
    for first in range(21000, 22000, 100):
        PORTS = learn(first)
        if len(PORTS) == CORES and min(map(len, PORTS)) >= 4:
            break
    same(len(PORTS), CORES, "cores that were seen in cons")
    check(min(map(len, PORTS)) >= 4, "ports %r", PORTS)
    # The same ports lead to the same cores again; on each, slots are given anew in any order.
    want = [set(ports[:4]) for ports in PORTS]
    conns = [From(p) for core in zip(*want) for p in core]
    ports = [p for run_of in runs(zk.four_letters("cons"), set().union(*want)) for p in run_of]
    same([set(ports[n:n + 4]) for n in range(0, len(ports), 4)], want, "ports again")
    for c in conns:
        c.close()


def on(core, n, **kwargs):
    """The n-th connection of a core; -1 is the last core."""
    return From(PORTS[core][n], **kwargs)


def create(conn, path, flags=0):
    got = conn.call(zk.CREATE, zk.create(path, b"", None, flags))
    same(got.err, 0, "create of " + path)
    return got.body.string()


def names(conn, path):
    r = conn.call(zk.GET_CHILDREN, zk.watched(path)).body
    return sorted(r.string() for _ in range(r.i32()))


def watch(conn, path, base):
    same(conn.call(zk.EXISTS, zk.watched(path, True)).err, 0, "exists")
    same(conn.call(zk.GET_CHILDREN, zk.watched(base, True)).err, 0, "getChildren")


def events(conn):
    """What has come up to the answer of a sync."""
    same(conn.call(zk.SYNC, zk.buf("/")).err, 0, "sync")
    return [e[1:] for e in conn.take_events()]


def gone(path, base):
    return [(zk.DELETED, 3, path), (zk.CHILDREN, 3, base)]


def end_of(way):
    """A session on either core ends; watchers on both cores, one of them persistent and recursive,
    are told the same in the same order, and its connection is closed."""
    for core in (0, -1):
        base = node("%s%d" % (way, core))
        path = base + "/e"
        near, far, all_of = on(core, 1), on(-1 - core, 1), on(-1 - core, 2)
        create(near, base)
        dying = on(core, 0, session_ms=SHORT_MS if way == "expires" else 10000)
        create(dying, path, 1)
        for c in (near, far):
            watch(c, path, base)
        same(all_of.call(zk.ADD_WATCH, zk.buf(base) + zk.i32(1)).err, 0, "addWatch")
        if way == "expires":
            same(dying.rest(), b"", "bytes before the end of the expired session's connection")
        else:
            got, rest = dying.close()
            same((got.err, rest), (0, b""), "closeSession")
        for c in (near, far):
            until(lambda c=c: c.call(zk.EXISTS, zk.watched(path)).err == zk.NOT_FOUND, "it is gone")
            same(events(c), gone(path, base), "events")
        same(events(all_of), gone(path, base)[:1], "events of the recursive watch")
        same(names(far, base), [], "children")
        again = on(-1 - core, 0, session=dying.session, password=dying.password)
        same((again.session, again.timeout), (0, 0), "attach to the session that has ended")
        again.sock.close()
        for c in (near, far, all_of):
            c.close()


@case
def session_expires_across_cores():
    end_of("expires")


@case
def session_is_closed_across_cores():
    end_of("closed")


@case
def session_moves_between_cores():
    """Each move closes the old connection; the ephemerals stay, the watches go with the connection
    and are set again on the other core, where what was missed is told."""
    base = node("moves")
    path = base + "/e"
    writer, look = on(-1, 3), on(0, 3)
    create(writer, base)
    conn = on(0, 0)
    session, password = conn.session, conn.password
    create(conn, path, 1)
    for turn in range(1, 7):
        watch(conn, path, base)
        zxid = conn.call(zk.EXISTS, zk.watched(path)).zxid
        watch(look, path, base)
        new = on(-1 if turn % 2 else 0, turn % 3, session=session, password=password)
        same(new.session, session, "session after the move")
        same(conn.rest(), b"", "bytes before the end of the old connection")
        same(events(look), [], "events of a move")
        if not LINE38:  # where checkWatches finds those of others too
            same(new.call(zk.CHECK_WATCHES, zk.buf(path) + zk.i32(3)).err, -121, "watches after it")
        same(writer.call(zk.SET_DATA, zk.set_data(path, b"%d" % turn)).err, 0, "setData")
        same(events(new), [], "events without watches")
        got = new.call(zk.SET_WATCHES, zk.set_watches(zxid, [path], [], [base]))
        same(got.err, 0, "setWatches")
        same([e[1:] for e in new.take_events()], [(zk.CHANGED, 3, path)], "what was missed")
        create(writer, base + "/n%d" % turn)
        same(events(new), [(zk.CHILDREN, 3, base)], "event of the watch that was set again")
        same(new.call(zk.EXISTS, zk.watched(path)).body.stat().owner, session, "owner")
        create(new, base + "/own%d" % turn, 1)
        look.call(zk.EXISTS, zk.watched(path))
        look.take_events()
        conn.sock.close()
        conn = new
    same(len(names(writer, base)), 1 + 6 + 6, "children")
    conn.close()
    same(len(names(writer, base)), 6, "children after the session")
    for c in (writer, look):
        c.close()


@case
def requests_under_way_when_the_session_moves():
    """What the old connection sent is done up to some request and not beyond, in order."""
    for turn in range(10):
        base = node("under-way-%d" % turn)
        old = on(turn % 2 - 1, 0)
        create(old, base)
        old.send(b"".join(zk.request(100 + n, zk.CREATE, zk.create("%s/%04d" % (base, n), b"", None, 1))
                          for n in range(300)))
        new = on(-(turn % 2), 1, session=old.session, password=old.password)
        same(new.session, old.session, "session")
        old.rest()
        same(new.call(zk.SYNC, zk.buf("/")).err, 0, "sync")
        got = names(new, base)
        same(got, ["%04d" % n for n in range(len(got))], "names")
        create(new, base + "/last", 1)
        old.sock.close()
        new.close()
        with Conn() as c:
            same(names(c, base), [], "children after the session")


@case
def locks_across_cores():
    """Sequential ephemerals, each client watching the one before it: the lock goes from core to
    core in order, by close, by expiry and past a waiter that moved."""
    base = node("locks")
    with Conn() as c:
        made(c, base)
    clients = [on(-(n % 2), n // 2, session_ms=SHORT_MS if n == 2 else 10000) for n in range(6)]
    paths = [create(c, base + "/lock-", 3) for c in clients]
    same(paths, [base + "/lock-%010d" % n for n in range(6)], "names")

    def wait_for(n):
        same(clients[n].call(zk.EXISTS, zk.watched(paths[n - 1], True)).err, 0, "the one before")

    for n in range(1, 6):
        wait_for(n)
    # The waiter 3 moves to the other core while it waits.
    moved = on(0, 3, session=clients[3].session, password=clients[3].password)
    same(moved.session, clients[3].session, "session")
    clients[3].sock.close()
    clients[3] = moved
    wait_for(3)
    for n in range(5):
        if n == 2:
            same(clients[2].rest(), b"", "bytes before the end of the expired one")
        else:
            clients[n].close()
        for k in range(n + 1, 6):
            until(lambda: clients[n + 1].call(zk.EXISTS, zk.watched(paths[n])).err == zk.NOT_FOUND,
                  "the lock is free")
            want = [(zk.DELETED, 3, paths[n])] if k == n + 1 else []
            same(events(clients[k]), want, "events of client %d when %d let go" % (k, n))
        same(names(clients[n + 1], base), [p.rsplit("/", 1)[1] for p in paths[n + 1:]], "queue")
    clients[5].close()


@case
def many_sessions_end_at_once():
    """Half of the sessions of both cores close, the others expire: both kinds of watcher see each
    of their nodes go once."""
    base = node("many")
    look = [on(0, 3), on(-1, 3)]
    create(look[0], base)
    paths, conns = [], []
    for n in range(60):
        c = Conn(session_ms=SHORT_MS)
        paths.append(create(c, "%s/%d" % (base, n), 1))
        conns.append(c)
    for c in look:
        for path in paths:
            same(c.call(zk.EXISTS, zk.watched(path, True)).err, 0, "exists")
    for c in conns[::2]:
        c.close()
    for c in conns[1::2]:
        same(c.rest(), b"", "bytes before the end")
        c.sock.close()
    until(lambda: names(look[0], base) == [], "all are gone")
    for c in look:
        same(sorted(events(c)), sorted((zk.DELETED, 3, p) for p in paths), "events")
        c.close()


begin()
sys.exit(run())
