# SPDX-License-Identifier: Apache-2.0
"""What one client of the crash loop has asked for, and the state that follows from it.

Every operation is deterministic when all before it have been applied, so the state of the client's
part of the tree after a crash names the operations that survived: they must be a prefix of what
was sent, and no shorter than what was acknowledged.
"""

import random
import zlib

import zkwire as zk

EPHEMERAL, SEQUENTIAL = 1, 2


def payload(name, number):
    """The bytes that operation number of client name writes; mostly small, at times large."""
    kind = zlib.crc32(b"%d" % number) % 100
    size = 200_000 if kind == 0 else 5000 if kind < 8 else kind
    head = ("%s:%d:" % (name, number)).encode()
    return head + (zlib.crc32(head).to_bytes(4, "big") * (size // 4 + 1))[:size]


class State:
    """The client's part of the tree. `nodes` maps a path to [operation, version, czxid, mzxid];
    zxids are None while no reply has named them."""

    def __init__(self, base):
        self.base = base
        self.nodes = {}
        self.next = 1       # sequence number: how many children were ever made
        self.open = True    # the session
        self.shared = {}    # operation -> name in the shared queue, None while unknown

    def copy(self):
        out = State(self.base)
        out.nodes = {p: list(n) for p, n in self.nodes.items()}
        out.next, out.open, out.shared = self.next, self.open, dict(self.shared)
        return out

    def seen(self):
        """What can be compared with a server's tree."""
        return {p: (n[0], n[1]) for p, n in self.nodes.items()}


class Op:
    """One request: its bytes, the error it must be answered with and what it does to a State."""

    def __init__(self, number, code, body, effect, err=0):
        self.number, self.code, self.body, self.effect, self.err = number, code, body, effect, err
        self.check = None   # of the reply, besides the error
        self.shows = effect is not None and code != zk.CLOSE    # in the tree, always

    def apply(self, state, zxid=None, reply=None):
        if self.effect:
            self.effect(state, zxid, reply)


class Maker:
    """Makes the operations of one client; `ahead` is the state when all of them are applied."""

    def __init__(self, name, rng, state):
        self.name, self.rng, self.ahead = name, rng, state
        self.number = 0
        self.others = [self.path("n")]
        self.peeked = {}    # counter -> version that was read

    def path(self, tail):
        return "%s/%s" % (self.ahead.base, tail)

    def add(self, code, body, effect=None, err=0):
        self.number += 1
        op = Op(self.number, code, body, effect, err)
        op.apply(self.ahead)
        return op

    def queue_push(self):
        path = self.path("q%010d" % self.ahead.next)
        number = self.number + 1

        def effect(state, zxid, reply):
            state.nodes[path] = [number, 0, zxid, zxid]
            state.next += 1
        op = self.add(zk.CREATE2 if number % 2 else zk.CREATE, zk.create(
            self.path("q"), payload(self.name, number), flags=SEQUENTIAL), effect)
        op.check = lambda reply: reply.body.string() == path
        return op

    def ephemeral(self):
        path = self.path("e%d" % (self.number + 1))
        number = self.number + 1

        def effect(state, zxid, reply):
            state.nodes[path] = [number, 0, zxid, zxid]
            state.next += 1
        return self.add(zk.CREATE, zk.create(path, payload(self.name, number), flags=EPHEMERAL),
                        effect)

    def remove(self, path):
        def effect(state, zxid, reply):
            del state.nodes[path]
        return self.add(zk.DELETE, zk.versioned(path, self.ahead.nodes[path][1]), effect)

    def count(self):
        """A set of the counter that is right for one version only: a second application or one
        out of order would fail."""
        path, number = self.path("n"), self.number + 1
        version = self.ahead.nodes[path][1]

        def effect(state, zxid, reply):
            node = state.nodes[path]
            node[0], node[1], node[3] = number, version + 1, zxid
        return self.add(zk.SET_DATA, zk.set_data(path, payload(self.name, number), version), effect)

    def pair(self):
        """Two nodes and the counter in one transaction; the older pair goes at the same time."""
        number, counter = self.number + 1, self.path("n")
        version = self.ahead.nodes[counter][1]
        new = [self.path("%s%d" % (c, number)) for c in "ab"]
        old = [p for p in self.ahead.nodes if p.rsplit("/", 1)[1][0] in "ab"]
        data = payload(self.name, number)

        def effect(state, zxid, reply):
            for path in old:
                del state.nodes[path]
            for path in new:
                state.nodes[path] = [number, 0, zxid, zxid]
                state.next += 1
            node = state.nodes[counter]
            node[0], node[1], node[3] = number, version + 1, zxid
        ops = [(zk.CREATE, zk.create(new[0], data)), (zk.SET_DATA, zk.set_data(counter, data,
                                                                             version))]
        ops += [(zk.DELETE, zk.versioned(p)) for p in old]
        # Not create2: 3.9 writes its own type into the log, which 3.8.0 cannot replay.
        ops += [(zk.CREATE, zk.create(new[1], data))]
        return self.add(zk.MULTI, zk.multi(*ops), effect)

    def failing(self):
        """A transaction that must leave nothing behind."""
        ops = [(zk.CREATE, zk.create(self.path("never"), b"")),
               (zk.CHECK, zk.versioned(self.path("n"), 1 << 30))]
        op = self.add(zk.MULTI, zk.multi(*ops))
        op.err = None
        return op

    def exists_already(self):
        return self.add(zk.CREATE, zk.create(self.path("n"), b""), None, zk.EXISTS_ALREADY)

    def share(self):
        number = self.number + 1

        def effect(state, zxid, reply):
            state.shared[number] = reply
        op = self.add(zk.CREATE, zk.create("/shared/s-", payload(self.name, number),
                                           flags=SEQUENTIAL), effect)
        return op

    def unshare(self, number):
        name = self.ahead.shared[number]

        def effect(state, zxid, reply):
            state.shared.pop(number, None)
        return self.add(zk.DELETE, zk.versioned("/shared/" + name), effect)

    def read(self):
        """The counter again: the client's own writes are in it."""
        path = self.path("n")
        version = self.ahead.nodes[path][1]
        op = self.add(zk.GET_DATA, zk.watched(path))

        def check(reply):
            reply.body.buf()
            return reply.body.stat().version == version
        op.check = check
        return op

    def peek(self):
        """Another client's counter: what is read must survive, too."""
        path = self.rng.choice(self.others)
        op = self.add(zk.GET_DATA, zk.watched(path))

        def check(reply):
            reply.body.buf()
            self.peeked[path] = reply.body.stat().version
            return True
        op.check = check
        return op

    def close(self):
        """The end of the session, and of its ephemerals."""
        def effect(state, zxid, reply):
            state.open = False
            for path in [p for p in state.nodes if p.rsplit("/", 1)[1][0] == "e"]:
                del state.nodes[path]
        return self.add(zk.CLOSE, b"", effect)

    def any(self):
        """The next operation, by chance."""
        nodes = [p for p in self.ahead.nodes if p.rsplit("/", 1)[1][0] in "qe"]
        known = [n for n, name in self.ahead.shared.items() if name]
        dice = self.rng.random()
        if len(nodes) > 40:
            return self.remove(nodes[0] if dice < 0.9 else self.rng.choice(nodes))
        if len(known) > 10 and dice < 0.5:
            return self.unshare(known[0])
        for limit, make in ((0.35, self.queue_push), (0.65, self.count), (0.72, self.pair),
                            (0.75, self.failing), (0.77, self.exists_already), (0.80, self.read),
                            (0.84, self.peek), (0.89, self.share), (0.93, self.ephemeral)):
            if dice < limit:
                return make()
        return self.remove(self.rng.choice(nodes)) if nodes else self.queue_push()


def new_state(base):
    state = State(base)
    state.nodes[base + "/n"] = [0, 0, None, None]
    return state


def seeded(seed, *more):
    return random.Random("%d/%s" % (seed, "/".join(map(str, more))))
