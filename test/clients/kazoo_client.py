#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kazoo, the Python client, and its recipes."""

import logging
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (BadVersionError, NoAuthError, NoChildrenForEphemeralsError,
                              NodeExistsError, NoNodeError, NotEmptyError, RolledBackError,
                              RuntimeInconsistency)
from kazoo.recipe.cache import TreeCache, TreeEvent
from kazoo.security import make_acl, make_digest_acl, make_digest_acl_credential

from report import case, check, run, same, until

HOSTS = os.environ["ZK_CONNECT"]
ROOT = "/kazoo-%d" % os.getpid()

logging.basicConfig(level=logging.CRITICAL)


class Client(KazooClient):
    """A started client, rooted below ROOT unless told otherwise."""

    def __init__(self, root=ROOT, **kwargs):
        kwargs.setdefault("timeout", 10)
        super().__init__(hosts=HOSTS + root, **kwargs)
        self.start(15)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.close()


def threads(count, target):
    """Run target(0) .. target(count - 1) at the same time; the first failure is ours."""
    errors = []

    def body(n):
        try:
            target(n)
        except Exception as err:
            errors.append(err)

    all_threads = [threading.Thread(target=body, args=(n,), daemon=True) for n in range(count)]
    for t in all_threads:
        t.start()
    for t in all_threads:
        t.join(40)
        check(not t.is_alive(), "a thread did not end")
    if errors:
        raise errors[0]


def raises(kind, func, *args, **kwargs):
    try:
        got = func(*args, **kwargs)
    except kind:
        return
    raise AssertionError("no %s but %r" % (kind.__name__, got))


@case
def basic_calls():
    with Client() as zk:
        same(zk.create("/basic", b"one"), "/basic", "created path")
        raises(NodeExistsError, zk.create, "/basic", b"")
        raises(NoNodeError, zk.create, "/none/x", b"")
        data, stat = zk.get("/basic")
        same((data, stat.version, stat.data_length), (b"one", 0, 3), "get")
        stat = zk.set("/basic", b"two", version=0)
        same(stat.version, 1, "version after set")
        raises(BadVersionError, zk.set, "/basic", b"three", version=0)
        same(zk.exists("/basic").mzxid, stat.mzxid, "mzxid")
        same(zk.exists("/none"), None, "exists of a missing node")
        zk.ensure_path("/basic/a/b/c")
        raises(NotEmptyError, zk.delete, "/basic")
        path, stat = zk.create("/basic/with-stat", b"12345", include_data=True)
        same((path, stat.data_length), ("/basic/with-stat", 5), "create2")
        same(sorted(zk.get_children("/basic")), ["a", "with-stat"], "children")
        names, stat = zk.get_children("/basic", include_data=True)
        same(stat.numChildren, len(names), "numChildren")
        zk.set("/basic", b"")
        same(zk.get("/basic")[0], b"", "empty data")
        zk.delete("/basic", recursive=True)
        same(zk.exists("/basic"), None, "exists after a recursive delete")
        same(zk.sync("/"), "/", "sync")
        zk.create("/\u00fcnic\u00f6de \u4e2d", b"")
        check("\u00fcnic\u00f6de \u4e2d" in zk.get_children("/"), "the unicode name is missing")


@case
def ephemeral_and_sequence():
    with Client() as zk:
        with Client() as owner:
            zk.create("/seq")
            names = [owner.create("/seq/n-", b"", ephemeral=True, sequence=True) for _ in range(5)]
            same(names, ["/seq/n-%010d" % n for n in range(5)], "names")
            same(zk.get(names[0])[1].ephemeralOwner, owner.client_id[0], "owner")
            raises(NoChildrenForEphemeralsError, owner.create, names[0] + "/x")
            gone = threading.Event()
            zk.exists(names[4], watch=lambda event: gone.set())
        check(gone.wait(10), "no event when the session ended")
        same(zk.get_children("/seq"), [], "children after the session ended")
        same(zk.create("/seq/n-", b"", sequence=True), "/seq/n-0000000005", "next name")


@case
def quotas():
    """Usage is right for whoever reads behind a write; it changes behind every watch's back.
    (A refusal is no matter for kazoo: it does not know -125 and ends its connection.)"""
    base = "/zookeeper/quota" + ROOT + "/counted"
    with Client() as zk, Client("") as top:
        zk.create("/counted", b"123")
        top.ensure_path(base)
        top.create(base + "/zookeeper_limits", b"count=1000,bytes=-1=;countHardLimit=2000")
        top.create(base + "/zookeeper_stats", b"")
        fired = []
        usage, before = top.get(base + "/zookeeper_stats", watch=fired.append)
        same(usage, b"count=1,bytes=3", "usage at the start")
        threads(15, lambda n: zk.create("/counted/%d" % n, b"x" * n))
        top.sync(base)
        usage, after = top.get(base + "/zookeeper_stats")
        same(usage, b"count=16,bytes=108", "usage after 15 creates")
        same(after._replace(dataLength=0), before._replace(dataLength=0), "stat of the usage")
        zk.delete("/counted", recursive=True)
        same(top.get(base + "/zookeeper_stats")[0], b"count=0,bytes=0", "usage at the end")
        same(fired, [], "events of the usage")
        top.delete("/zookeeper/quota" + ROOT, recursive=True)


@case
def transactions():
    with Client() as zk:
        zk.create("/tx", b"0")
        t = zk.transaction()
        t.create("/tx/a", b"1")
        t.set_data("/tx", b"1", version=0)
        t.check("/tx", version=1)
        t.create("/tx/s", b"", sequence=True)
        t.delete("/tx/a")
        got = t.commit()
        same((got[0], got[1].version, got[2:]), ("/tx/a", 1, [True, "/tx/s0000000001", True]),
             "results")
        t = zk.transaction()
        t.create("/tx/b", b"")
        t.delete("/tx/none")
        t.create("/tx/c", b"")
        got = [type(r) for r in t.commit()]
        same(got, [RolledBackError, NoNodeError, RuntimeInconsistency], "results of the failed one")
        same(zk.get_children("/tx"), ["s0000000001"], "children")


@case
def watches():
    with Client() as zk, Client() as other:
        zk.create("/watch", b"0")
        seen, kids = [], []
        zk.DataWatch("/watch", lambda data, stat, event: seen.append((data, event and event.type)))
        zk.ChildrenWatch("/watch", lambda names: kids.append(sorted(names)))
        for n in range(1, 6):
            other.set("/watch", b"%d" % n)
            until(lambda: seen[-1][0] == b"%d" % n, "DataWatch saw version %d" % n)
            other.create("/watch/c%d" % n)
            until(lambda: len(kids[-1]) == n, "ChildrenWatch saw %d children" % n)
        same(seen, [(b"0", None)] + [(b"%d" % n, "CHANGED") for n in range(1, 6)], "DataWatch")
        other.delete("/watch", recursive=True)
        until(lambda: seen[-1] == (None, "DELETED"), "DataWatch saw the delete")
        other.create("/watch", b"again")
        until(lambda: seen[-1] == (b"again", "CREATED"), "DataWatch saw the new node")


@case
def access_control():
    mine = [make_digest_acl("dora", "pw", all=True)]
    with Client(auth_data=[("digest", "dora:pw")]) as owner, Client() as other:
        owner.create("/acl", b"x", acl=mine)
        raises(NoAuthError, other.get, "/acl")
        raises(NoAuthError, other.set, "/acl", b"")
        raises(NoAuthError, other.create, "/acl/x")
        acls, stat = owner.get_acls("/acl")
        same((acls[0].id.scheme, acls[0].id.id),
             ("digest", make_digest_acl_credential("dora", "pw")), "ACL")
        owner.set_acls("/acl", mine + [make_acl("world", "anyone", read=True)], stat.aversion)
        same(other.get("/acl")[0], b"x", "data after setACL")
        raises(BadVersionError, owner.set_acls, "/acl", mine, stat.aversion)
        other.add_auth("digest", "dora:pw")
        other.set("/acl", b"y")
        same(owner.get("/acl")[0], b"y", "data")


@case
def chroot():
    with Client() as zk:
        zk.ensure_path("/inner/top")
        with Client(ROOT + "/inner/top") as inner:
            same(inner.create("/leaf", b"1"), "/leaf", "created path")
            seen = []
            inner.get("/leaf", watch=seen.append)
            zk.set("/inner/top/leaf", b"2")
            until(lambda: seen, "an event below the chroot")
            same(seen[0].path, "/leaf", "path of the event")
            same(inner.get_children("/"), ["leaf"], "children of the chroot")


@case
def lock():
    zk = [Client() for _ in range(8)]
    state = {"inside": 0, "count": 0, "overlaps": 0}

    def contend(n):
        mutex = zk[n].Lock("/lock", "contender %d" % n)
        for _ in range(6):
            with mutex:
                state["inside"] += 1
                state["overlaps"] += state["inside"] != 1
                value = state["count"]
                time.sleep(0.001)
                state["count"] = value + 1
                state["inside"] -= 1

    threads(len(zk), contend)
    same(state, {"inside": 0, "count": 48, "overlaps": 0}, "counter under the lock")
    mutex = zk[0].Lock("/lock", "owner")
    mutex.acquire()
    check(not zk[1].Lock("/lock").acquire(blocking=False), "the lock was given twice")
    same(zk[1].Lock("/lock").contenders(), ["owner"], "contenders")
    # The lock of a client that goes away is free.
    zk[0].stop()
    check(zk[1].Lock("/lock").acquire(timeout=10), "the lock stayed with a closed session")
    semaphores = [c.Semaphore("/sem", max_leases=2) for c in zk[1:4]]
    got = [s.acquire(blocking=False) for s in semaphores]
    same(got, [True, True, False], "leases of the semaphore")
    semaphores[0].release()
    check(semaphores[2].acquire(timeout=10), "the released lease was not given on")
    for c in zk:
        c.stop()
        c.close()


@case
def election():
    zk = [Client() for _ in range(4)]
    leaders = []

    def lead(n):
        zk[n].Election("/election", "candidate %d" % n).run(lambda: leaders.append(n))

    threads(len(zk), lead)
    same(sorted(leaders), [0, 1, 2, 3], "leaders")
    for c in zk:
        c.stop()
        c.close()


@case
def counter():
    zk = [Client() for _ in range(4)]

    def count(n):
        c = zk[n].Counter("/counter")
        for _ in range(25):
            c += 1

    threads(len(zk), count)
    same(zk[0].Counter("/counter").value, 100, "counter")
    for c in zk:
        c.stop()
        c.close()


@case
def queues():
    with Client() as zk, Client() as other:
        queue = zk.Queue("/queue")
        for n in range(20):
            queue.put(b"%d" % n)
        queue.put(b"urgent", priority=1)
        same(len(queue), 21, "length")
        same(other.Queue("/queue").get(), b"urgent", "first item")
        same([queue.get() for _ in range(20)], [b"%d" % n for n in range(20)], "items")
        same(queue.get(), None, "item of an empty queue")
        locking = [c.LockingQueue("/locking") for c in (zk, other)]
        locking[0].put_all([b"%d" % n for n in range(30)])
        got = []

        def consume(n):
            while True:
                item = locking[n].get(timeout=1)
                if item is None:
                    return
                got.append(item)
                check(locking[n].consume(), "the item was not held")

        threads(2, consume)
        same(sorted(got, key=int), [b"%d" % n for n in range(30)], "items of the locking queue")


@case
def barriers_and_party():
    zk = [Client() for _ in range(3)]
    barrier = zk[0].Barrier("/barrier")
    barrier.create()
    check(not zk[1].Barrier("/barrier").wait(0.2), "the barrier let through")
    passed = []
    waiter = threading.Thread(target=lambda: passed.append(zk[1].Barrier("/barrier").wait(15)))
    waiter.start()
    time.sleep(0.1)
    same(passed, [], "who passed the barrier")
    barrier.remove()
    waiter.join()
    same(passed, [True], "who passed the barrier")

    trace = []

    def meet(n):
        double = zk[n].DoubleBarrier("/double", 3)
        double.enter()
        trace.append("in")
        double.leave()
        trace.append("out")

    threads(3, meet)
    same(trace[:3], ["in"] * 3, "nobody leaves before all are in")

    parties = [c.Party("/party", "guest %d" % n) for n, c in enumerate(zk)]
    for p in parties:
        p.join()
    same(sorted(parties[0]), ["guest 0", "guest 1", "guest 2"], "party")
    parties[1].leave()
    zk[2].stop()
    until(lambda: len(parties[0]) == 1, "one guest is left")
    same(list(parties[0]), ["guest 0"], "party")
    for c in zk:
        c.stop()
        c.close()


@case
def tree_cache():
    with Client() as zk, Client() as other:
        other.ensure_path("/cache/a")
        events = []
        cache = TreeCache(zk, "/cache")
        cache.listen(events.append)
        cache.start()
        until(lambda: any(e.event_type == TreeEvent.INITIALIZED for e in events), "initialized")
        other.create("/cache/a/b", b"1")
        until(lambda: cache.get_data("/cache/a/b"), "the new node is in the cache")
        other.set("/cache/a/b", b"2")
        until(lambda: cache.get_data("/cache/a/b").data == b"2", "the new data is in the cache")
        other.delete("/cache/a/b")
        until(lambda: cache.get_data("/cache/a/b") is None, "the node left the cache")
        same(sorted(cache.get_children("/cache")), ["a"], "children in the cache")
        cache.close()


@case
def ten_thousand_children():
    with Client() as zk:
        zk.create("/many")
        names = ["child-%05d" % n for n in range(10000)]
        for begin in range(0, len(names), 2500):
            waiting = [zk.create_async("/many/" + n) for n in names[begin:begin + 2500]]
            for w in waiting:
                w.get(30)
        got, stat = zk.get_children("/many", include_data=True)
        same((stat.numChildren, stat.cversion), (10000, 10000), "numChildren and cversion")
        check(sorted(got) == names, "the list differs")
        for begin in range(0, len(names), 500):
            t = zk.transaction()
            for n in names[begin:begin + 500]:
                t.delete("/many/" + n)
            check(all(r is True for r in t.commit()), "a delete failed")
        same(zk.get_children("/many"), [], "children after the deletes")


@case
def connection_is_cut():
    """The session, the ephemeral node and the watches outlive the connection."""
    with Client(command_retry=dict(max_tries=-1, delay=0.05, max_delay=0.2)) as zk, \
            Client(command_retry=dict(max_tries=-1, delay=0.05, max_delay=0.2)) as other:
        zk.create("/cut", b"0")
        zk.create("/cut/e", ephemeral=True)
        states, seen = [], []
        zk.add_listener(states.append)
        zk.DataWatch("/cut", lambda data, stat: seen.append(data))
        session = zk.client_id
        for n in (1, 2):
            del states[:]
            subprocess.run(["ss", "-K", "-t", "state", "established", "dport", "=",
                            ":" + os.environ["ZK_PORT"]], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
            until(lambda: KazooState.CONNECTED in states, "the client came back")
            same(states[0], KazooState.SUSPENDED, "first state")
            same(zk.client_id, session, "session")
            same(zk.retry(zk.exists, "/cut/e").ephemeralOwner, session[0], "owner")
            other.retry(other.set, "/cut", b"%d" % n)
            until(lambda: seen[-1] == b"%d" % n, "DataWatch saw the change")


@case
def session_is_lost():
    """A second client closes the session; the first one is told and gets a new one."""
    with Client() as zk, Client() as other:
        states = []
        zk.add_listener(states.append)
        zk.create("/lost", ephemeral=True)
        thief = KazooClient(hosts=HOSTS, client_id=zk.client_id, timeout=10)
        thief.start(15)
        thief.stop()
        thief.close()
        until(lambda: KazooState.LOST in states, "the loss of the session was told")
        until(lambda: states[-1] == KazooState.CONNECTED, "the client has a new session")
        same(other.exists("/lost"), None, "ephemeral node of the lost session")
        zk.create("/lost", ephemeral=True)


with Client("") as root:
    root.create(ROOT)
sys.exit(run())
