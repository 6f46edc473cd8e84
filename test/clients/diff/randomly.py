# SPDX-License-Identifier: Apache-2.0
"""Random requests from a seed. The requests depend on the seed only, never on an answer, so that
both sides get the same; only zxids and sessions are taken from the side itself."""

import random
import re

import wire as w
import zkwire as zk

BATCH = 40
BOB = w.digest_id("bob", "pw")
ACLS = [None] * 12 + [
    [(31, "auth", "")], [(1, "world", "anyone")], [(31, "digest", BOB)], [(0, "world", "anyone")],
    [(30, "world", "anyone")], [(23, "world", "anyone"), (8, "digest", BOB)], [],
    [(31, "ip", "127.0.0.0/8")], [(31, "nonsense", "x")], [(27, "world", "anyone")]]
READABLE = [a for a in ACLS if not a or (a[0][1] in ("world", "ip") and a[0][0] & 1)]
DATA = [b"", None, b"x", b"\0" * 3, b"data", b"y" * 100, b"z" * 1000, b"w" * 2000]
USERS = ["bob:pw", "eve:pw", "bob"]


class Plan:
    def __init__(self, seed, requests, one_mode):
        """one_mode: a side of line 3.8 has one mode for a path and connection, so a path has
        either persistent and recursive or standard watches, and what looks at modes is left out."""
        self.seed, self.requests, self.one_mode = seed, requests, one_mode

    def play(self, run):
        r = random.Random(self.seed)
        g = Generator(r, run.root, self.one_mode, self.seed % 2 == 0)
        conns = [run.conn() for _ in range(3)]
        conns[0](w.create(run.root))
        if g.quotas:
            self.make_quotas(run, conns[0])
        done = 0
        while done < self.requests:
            n = r.randrange(len(conns))
            event = r.random()
            if event < 0.02:
                conns[n].close()
                self.tell(conns, n, True)
                conns[n] = run.conn()
            elif event < 0.05:
                old = conns[n]
                conns[n] = run.conn(session=old.session, password=old.password)
                old.to_end()
            elif event < 0.09:
                conns[n](w.auth("digest", r.choice(USERS)), w.who_am_i())
            elif event < 0.13:
                five = r.random() < 0.5
                since = conns[n].zxid() - r.choice((0, 1, 5, 20, 100))
                lists = [[g.path() for _ in range(r.randrange(4))] for _ in range(5 if five else 3)]
                if self.one_mode:
                    lists = [[p for p in one if g.in_list(p, n)] for n, one in enumerate(lists)]
                conns[n](w.set_watches(since, *lists)._replace(
                    text="%s since some zxid, %r" % ("setWatches2" if five else "setWatches", lists)))
                self.tell(conns, n, False)
            else:
                reqs = [g.request() for _ in range(r.randint(1, BATCH * 2))]
                piece = 0 if r.random() < 0.9 else r.choice((1, 5, 100, 1460))
                for part in cut_where_time_matters(reqs):
                    conns[n].many(part, piece)
                done += len(reqs)
                self.tell(conns, n, False)

    @staticmethod
    def make_quotas(run, c):
        """Soft ones: Apache compares a hard limit with what is applied at the time, so whether a
        pipelined write is refused there is a matter of time."""
        for path in ("", "/a"):
            base = "/zookeeper/quota" + run.root + path
            c(w.create(base), w.create(base + "/zookeeper_limits", b"count=3,bytes=50"),
              w.create(base + "/zookeeper_stats"))

    @staticmethod
    def tell(conns, but, unordered):
        """Take what the other connections have been sent."""
        for n, c in enumerate(conns):
            if n != but:
                c.events(unordered)


def ephemeral_container(req):
    return req.op == zk.CREATE_CONTAINER and re.search(r" flags=[13]\b", req.text)


def cut_where_time_matters(reqs):
    """What follows these in the pipeline gets another answer from Apache while they are pending
    than after they have been applied, so it is a matter of time; zokor always gives the second
    answer. A batch ends behind each of them.

    setACL: PrepRequestProcessor does not put the new ACL into the change record.
    createContainer with an ephemeral flag: the change record says that the session owns the node
    (children get -108, and the end of the session takes the node along), but what is applied is a
    container."""
    out = [[]]
    for req in reqs:
        out[-1].append(req)
        if req.op == zk.SET_ACL or ephemeral_container(req):
            out.append([])
    return [part for part in out if part]


class Generator:
    """Requests on a small tree, so that they meet each other."""

    def __init__(self, r, root, one_mode, quotas):
        self.r, self.root, self.one_mode, self.quotas = r, root, one_mode, quotas
        self.makers = (
            [self.create] * 16 + [self.create2] * 6 + [self.container] * 2 + [self.ttl] +
            [self.delete] * 14 + [self.set_data] * 12 + [self.set_acl] * 2 + [self.exists] * 8 +
            [self.get_data] * 10 + [self.get_children] * 6 + [self.get_children2] * 6 +
            [self.get_acl] * 3 + [self.sync] + [self.ping] + [self.multi] * 8 +
            [self.multi_read] * 3 + [self.add_watch] * 2 + [self.check_watches] * 3 +
            [self.remove_watches] * 3 + [self.who_am_i] + [self.odd] +
            [self.usage] * 10 * quotas + [self.quota] * 3 * quotas)

    def request(self):
        return self.r.choice(self.makers)()

    def path(self):
        r = self.r
        if r.random() < 0.02:
            return r.choice(("/zookeeper", "/zookeeper/quota", self.root + "/", "x",
                             self.root + "/..", self.root + "//a", self.root + "/\ue000",
                             self.root + "/é"))
        depth = r.choice((0, 1, 1, 1, 1, 2, 2, 2, 3))
        names = [r.choice("abcd") if r.random() < 0.9 else "s%010d" % r.randrange(30)
                 for _ in range(depth)]
        return "/".join([self.root] + names)

    def data(self):
        return self.r.choice(DATA)

    def version(self):
        return self.r.choice((-1, -1, -1, -1, -1, -1, 0, 0, 0, 1, 1, 2, 3, 7))

    def flags(self):
        return self.r.choice((0,) * 12 + (1, 1, 1, 1, 2, 2, 3, 4, 5, 9))

    def create(self, make=w.create, flags=None):
        flags = self.flags() if flags is None else flags
        path = self.path()
        if flags in (2, 3):
            path = path.rsplit("/", 1)[0] + "/s"
        return make(path, self.data(), self.acl_for(path), flags)

    def create2(self):
        return self.create(w.create2)

    def container(self):
        return self.create(w.container)

    def ttl(self):
        return w.ttl(self.path(), self.r.choice((-1, 0, 1000, 2**41)), self.data())

    def delete(self):
        return w.delete(self.path(), self.version())

    def set_data(self):
        return w.set_data(self.path(), self.data(), self.version())

    def set_acl(self):
        path = self.path()
        return w.set_acl(path, self.acl_for(path) or zk.WORLD_ALL, self.version())

    def watched(self, make):
        path, watch = self.path(), self.r.random() < 0.4
        return make(path, watch and not (self.one_mode and path[-1] in "cd"))

    @staticmethod
    def for_modes(path):
        return path.endswith("c")

    @staticmethod
    def mode_of(path):
        return sum(path.encode()) % 2

    def in_list(self, path, n):
        """In the n-th list of setWatches2, with one mode for a path?"""
        return self.mode_of(path) == n - 3 if self.for_modes(path) else n < 3 and path[-1] != "d"

    def acl_for(self, path):
        """3.8's exists leaves a watch where READ is missing: only on nodes that have none."""
        acl = self.r.choice(ACLS)
        if self.one_mode and not path.endswith("d") and acl not in READABLE:
            return None
        return acl

    def exists(self):
        return self.watched(w.exists)

    def get_data(self):
        return self.watched(w.get_data)

    def get_children(self):
        return self.watched(w.get_children)

    def get_children2(self):
        return self.watched(w.get_children2)

    def get_acl(self):
        return w.get_acl(self.path())

    def sync(self):
        return w.sync(self.path())

    @staticmethod
    def ping():
        return w.ping()

    @staticmethod
    def who_am_i():
        return w.who_am_i()

    def quota_node(self, name=None):
        where = self.r.choice(("", "/a", "/b", "/a/b", "/c"))
        name = name or self.r.choice(("zookeeper_limits", "zookeeper_stats"))
        return "/zookeeper/quota" + self.root + where + "/" + name

    def usage(self):
        return w.get_data(self.quota_node("zookeeper_stats"))

    def quota(self):
        """Texts that Java can read only: another one stops the server that it counts in."""
        path = self.quota_node()
        text = self.r.choice((b"count=1,bytes=2", b"count=10,bytes=200=;b=3;a=4", b""))
        kind = self.r.randrange(5)
        if kind == 0:
            return w.create(path.rsplit("/", 1)[0])
        if kind == 1:
            return w.delete(path)
        if kind == 2:
            return w.set_data(path, text)
        return self.r.choice((w.create, w.create2))(path, text)

    def check(self):
        return w.check(self.path(), self.version())

    def multi(self):
        subs = (self.create, self.create, self.create2, self.delete, self.delete, self.set_data,
                self.set_data, self.check) + (self.quota,) * self.quotas
        out = []
        for _ in range(self.r.choice((0, 1, 1, 2, 2, 3, 3, 4, 5))):
            make = self.r.choice(subs)
            if make == self.create2 or make == self.create:
                kind = w.create2 if make == self.create2 else w.create
                # an invalid flag in a multi has its own cases
                out.append(self.create(kind, self.r.choice((0, 0, 0, 0, 1, 2, 3, 4))))
            else:
                out.append(make())
        return w.multi(*out)

    def multi_read(self):
        return w.multi_read(*[self.r.choice((self.get_data, self.get_children))()
                              for _ in range(self.r.randrange(4))])

    def add_watch(self):
        path = self.path()
        if self.one_mode:
            path = path.rstrip("/") + "/c"
            return w.add_watch(path, self.mode_of(path))
        return w.add_watch(path, self.r.choice((0, 1, 2)))

    def kind_of_watch(self):
        return self.r.choice((0,) if self.one_mode else (0, 1, 2, 3, 4, 5))

    def check_watches(self):
        return w.check_watches(self.path(), self.kind_of_watch())

    def remove_watches(self):
        return w.remove_watches(self.path(), self.kind_of_watch())

    def odd(self):
        r = self.r
        req = self.request()
        if req.op in (zk.PING, zk.WHO_AM_I, zk.MULTI, zk.MULTI_READ) or not req.body:
            return req
        body = req.body[:r.randrange(len(req.body))] if r.random() < 0.7 else req.body + b"extra"
        return req._replace(body=body, text=req.text + " cut to %d bytes" % len(body))
