#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tree.memoryLimit and dp.coreMemory filled by real connections: refused, counted, survived, and
everything is there again when room has been made. limits.sh starts the server with small limits."""

import os
import resource
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import zkwire as zk
from raw_node import begin, made, node
from report import case, check, run, same, until
from zkwire import Closed, Conn

NO_MEMORY = -1  # SYSTEMERROR
BATCH = 200
LIMIT = 64 << 20


def figure(key):
    for line in zk.four_letters("mntr").split("\n"):
        if line.startswith("zk_" + key + "\t"):
            return int(line.split("\t")[1])
    raise AssertionError("mntr has no zk_" + key)


def patient():
    """A connection of a case that may be slow, on a server that is."""
    return Conn(timeout=60.0, session_ms=40000)


def batch(c, requests):
    """Send them all, return the errors of their answers."""
    first = c.xid + 1
    c.xid += len(requests)
    c.send(b"".join(zk.request(first + i, op, body) for i, (op, body) in enumerate(requests)))
    return [c.answer(first + i).err for i in range(len(requests))]


def fill(c, request, most=1000000, keeper=None):
    """request(0), request(1) ... until the server refuses a whole batch. Returns the numbers that
    were accepted. keeper: another connection, whose session must live meanwhile."""
    done, at = [], 0
    while at < most:
        numbers = range(at, at + BATCH)
        errs = batch(c, [request(n) for n in numbers])
        check(set(errs) <= {0, NO_MEMORY}, "answers: %r", set(errs))
        done += [n for n, e in zip(numbers, errs) if e == 0]
        at += BATCH
        if keeper:
            same(keeper.call(zk.EXISTS, zk.watched("/")).err, 0, "a read of the keeper")
        if 0 not in errs:
            return done
    raise AssertionError("not full after %d requests" % most)


def full_but_alive(c, path):
    """The tree is full: what must go on all the same."""
    refused = figure("memory_refused_writes")
    check(refused > 0, "memory_refused_writes is 0")
    same(c.call(zk.SET_DATA, zk.set_data(path, bytes(900000))).err, NO_MEMORY, "a large setData")
    check(figure("memory_refused_writes") > refused, "memory_refused_writes does not grow")
    same(figure("tree_memory_limit_bytes"), LIMIT, "tree_memory_limit_bytes")
    used = figure("tree_memory_bytes")
    check(LIMIT / 2 < used <= LIMIT, "tree_memory_bytes is %d", used)
    same(c.call(zk.GET_DATA, zk.watched(path)).err, 0, "getData")
    with Conn() as other:  # sessions come and go
        same(other.call(zk.EXISTS, zk.watched(path)).err, 0, "a new session reads")
        same(other.call(zk.SYNC, zk.buf(path)).err, 0, "sync")
        same(other.close()[0].err, 0, "closeSession")


def empty(c, paths):
    paths = list(paths)
    for at in range(0, len(paths), BATCH):
        some = paths[at:at + BATCH]
        errs = batch(c, [(zk.DELETE, zk.versioned(p)) for p in some])
        same(set(errs), {0}, "deletes")


def settled():
    """Bytes of the tree when the reclaimer has nothing left to do."""
    last = [figure("tree_memory_bytes"), 0]

    def calm():
        now = figure("tree_memory_bytes")
        last[1] = last[1] + 1 if now == last[0] else 0
        last[0] = now
        return last[1] >= 10

    until(calm, "the tree's memory comes to rest", 30)
    return last[0]


def again_and_again(request, path_of, rounds=4):
    """Fill and empty; neither what fits nor what is left behind may change."""
    with patient() as c:
        made(c, node("kept"), b"kept")
        fits, left = [], []
        for _ in range(rounds):
            done = fill(c, request)
            full_but_alive(c, node("kept"))
            empty(c, [path_of(n) for n in done])
            fits.append(len(done))
            left.append(settled())
        check(min(fits) > 0.9 * max(fits), "what fits: %r", fits)
        # the first round leaves regions of slabs that stay with their size
        check(max(left[1:]) <= left[0] * 1.05 + (1 << 20), "what is left: %r", left)
        same(c.call(zk.SET_DATA, zk.set_data(node("kept"), bytes(900000))).err, 0,
             "a large setData when there is room")
        same(c.call(zk.SET_DATA, zk.set_data(node("kept"), b"kept")).err, 0, "setData")


@case
def memory_small_nodes():
    again_and_again(lambda n: (zk.CREATE, zk.create(node("s%d" % n), b"x" * 100)),
                    lambda n: node("s%d" % n))


@case
def memory_values():
    again_and_again(lambda n: (zk.CREATE, zk.create(node("v%d" % n), bytes(n * 7919 % 60000))),
                    lambda n: node("v%d" % n))


@case
def memory_acls():
    def request(n):
        acl = [(31, "digest", "user%d:%s" % (n, "h" * 300)), (1, "world", "anyone"),
               (8, "world", "anyone")]
        return zk.CREATE, zk.create(node("a%d" % n), b"", acl)

    again_and_again(request, lambda n: node("a%d" % n), 3)


@case
def memory_growing_sets():
    """Sets that grow, on few nodes; shrinking them makes room."""
    with patient() as c:
        paths = [node("g%d" % n) for n in range(100)]
        for path in paths:
            made(c, path)
        settle = []
        for _ in range(3):
            size, errs = 1000, []
            while NO_MEMORY not in errs:
                errs = [c.call(zk.SET_DATA, zk.set_data(p, bytes(min(size, 1000000)))).err
                        for p in paths]
                check(set(errs) <= {0, NO_MEMORY}, "answers: %r", set(errs))
                size = size * 5 // 4
            full_but_alive(c, paths[0])
            # A set that makes a node smaller asks for memory, too: delete some first.
            empty(c, paths[50:])
            settled()
            for path in paths[:50]:
                same(c.call(zk.SET_DATA, zk.set_data(path, b"")).err, 0, "a smaller value")
            settle.append(settled())
            for path in paths[50:]:
                made(c, path)
        empty(c, paths)
        check(max(settle) - min(settle) < 1 << 20, "what is left: %r", settle)


@case
def memory_ephemerals():
    """Whose session ends makes room; a session that ends while the tree is full is no problem."""
    with patient() as keeper:
        made(keeper, node("keeper"))
        for _ in range(3):
            c = patient()
            done = fill(c, lambda n: (zk.CREATE, zk.create(node("e%d" % n), b"y" * 2000, flags=1)),
                        keeper=keeper)
            full_but_alive(keeper, node("keeper"))
            same(figure("ephemerals_count"), len(done), "ephemerals_count")
            same(c.close()[0].err, 0, "closeSession of a full tree")
            same(figure("ephemerals_count"), 0, "ephemerals_count after the session")
            settled()


@case
def memory_multi():
    """A multi is refused as a whole."""
    with patient() as c:
        made(c, node("m"))
        done = fill(c, lambda n: (zk.CREATE, zk.create(node("m/%d" % n), bytes(4000))))
        ops = [(zk.CREATE, zk.create(node("m/x%d" % n), bytes(100000))) for n in range(5)]
        got = c.call(zk.MULTI, zk.multi((zk.DELETE, zk.versioned(node("m/%d" % done[0]))), *ops))
        same(got.err, 0, "reply to the multi")
        same(c.call(zk.EXISTS, zk.watched(node("m/%d" % done[0]))).err, 0, "its delete")
        same(c.call(zk.EXISTS, zk.watched(node("m/x0"))).err, zk.NOT_FOUND, "its creates")
        empty(c, [node("m/%d" % n) for n in done])
        settled()


# ---- a core's memory ----


def gone(c):
    """Has the server closed this connection?"""
    try:
        c.sock.settimeout(0.01)
        return c.sock.recv(1 << 16) == b""
    except socket.timeout:
        return False
    except OSError:
        return True


def others_go_on():
    with Conn() as c:
        for _ in range(20):
            same(c.call(zk.EXISTS, zk.watched("/")).err, 0, "another connection")
        same(c.call(zk.SET_DATA, zk.set_data(node("core"), b"v")).err, 0, "its write")


@case
def core_watches():
    """Watches until the core has no memory: their connection is closed, the others go on."""
    with Conn() as first:
        made(first, node("core"))
    after = []
    for _ in range(3):
        c, n = patient(), 0
        try:
            while n < 2000000:
                batch(c, [(zk.EXISTS, zk.watched("/" + "w" * 900 + "/%d" % (n + i), True))
                          for i in range(BATCH)])
                n += BATCH
            raise AssertionError("not full after %d watches" % n)
        except Closed:
            pass
        check(n * 900 > 8 << 20, "only %d watches", n)
        check(figure("memory_refused_watches") + figure("memory_refused_connections") > 0,
              "nothing was counted")
        others_go_on()
        until(lambda: figure("watch_count") == 0, "the watches are gone")
        after.append(figure("core_memory_bytes"))
    # tables keep their size
    check(max(after[1:]) <= after[0] + (1 << 20), "memory after: %r", after)


@case
def core_connections():
    """dp.maxConnections=1500: more get no answer and are counted, and the memory of those that were
    comes back."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    with Conn() as first:
        made(first, node("core"))
    after = []
    same(figure("connections_unanswered"), 0, "connections_unanswered at first")
    for n in range(3):
        conns = [session(30000) for _ in range(1500)]
        for _ in range(2):
            try:
                session(30000, 0.5)
            except (Closed, OSError):
                continue
            check(False, "one connection too many")
        same(conns[700].call(zk.EXISTS, zk.watched("/")).err, 0, "one of them")
        for c in conns:
            c.close()
        until(lambda: "zk_" in quiet_mntr(), "there is room")
        # a kernel sends its SYN again when it has waited
        check(figure("connections_unanswered") >= 2 * (n + 1), "connections_unanswered")
        others_go_on()
        after.append(figure("core_memory_bytes"))
    check(max(after[1:]) <= after[0] + (1 << 20), "memory after: %r", after)


def session(ms, patience=15.0):
    """A connection with a session of so many ms."""
    c = Conn(connect=False, timeout=patience)
    c.send(zk.connect_request(timeout=ms))
    c.payload()
    return c


def quiet_mntr():
    try:
        return zk.four_letters("mntr")
    except OSError:
        return ""


@case
def core_slow_readers():
    """Connections that ask for much and read nothing: bounded, closed when they are too many, and
    the others go on; packets and memory come back."""
    with Conn() as first:
        made(first, node("core"))
        made(first, node("big"), bytes(1000000))
    before = figure("core_memory_bytes")
    for _ in range(2):
        slow = []
        for _ in range(120):
            c = patient()
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            c.send(b"".join(zk.request(x, zk.GET_DATA, zk.watched(node("big")))
                            for x in range(1, 41)))
            slow.append(c)
            others_go_on()
        # watches whose events nobody reads
        for c in slow[:10]:
            try:
                c.send(zk.request(99, zk.ADD_WATCH, zk.buf(node("core")) + zk.i32(0)))
            except OSError:
                pass
        for _ in range(20):
            others_go_on()
        dead = sum(1 for c in slow if gone(c))
        counted = figure("memory_refused_connections") + figure("connections_overrun")
        check(figure("packet_memory_waits") > 0, "packet_memory_waits")
        check(counted >= dead, "%d closed, %d counted", dead, counted)
        check(figure("core_memory_bytes") <= LIMIT, "core_memory_bytes")
        for c in slow:
            c.sock.close()
        until(lambda: figure("num_alive_connections") <= 1, "they are gone", 30)
        until(lambda: figure("core_memory_bytes") < before + (1 << 20), "memory is back", 30)
        # a reader in its time gets all of it
        with Conn() as c:
            for _ in range(10):
                same(len(c.call(zk.GET_DATA, zk.watched(node("big"))).body.buf()), 1000000, "data")


begin()
sys.exit(run())
