# SPDX-License-Identifier: Apache-2.0
"""Clients that go on through every fault and write down what they asked and what was answered.

Each has a session and an ephemeral of its own and some requests under way, goes to another server
when it gets no answer, and never asks twice: what was not answered is unknown.
"""

import collections
import selectors
import socket
import struct
import time

from lab import PORT, Failed
import zkwire as zk

SET, APPEND, READ, STRICT = "set", "append", "read", "strict read"
KEYS = 6
SESSION_MS = 10000
ANSWER_S = 2.0      # no answer for so long: try another server
PASSWORD = bytes(16)


class Op:
    """One request; resp is None while it has no answer and stays so when it never got one."""
    __slots__ = ("who", "at", "session", "kind", "key", "value", "inv", "resp", "err", "version", "mzxid",
                 "zxid", "order")

    def __init__(self, who, session, kind, key, value, inv):
        self.who, self.at, self.session, self.kind, self.key = who, None, session, kind, key
        self.value, self.inv = value, inv
        self.resp = self.err = self.version = self.mzxid = self.zxid = self.order = None

    def __str__(self):
        return "%s %s %s%s by %s on %s at %.3f to %s%s" % (
            self.kind, self.key, self.value,
            "" if self.version is None else " = version %s" % self.version, self.who, self.at,
            self.inv, "?" if self.resp is None else "%.3f" % self.resp,
            "" if self.zxid is None else ", zxid 0x%x" % self.zxid)


def unpadded(data):
    return data.decode().rstrip()


class Prober:
    def __init__(self, recorder, name, rng, window, every_s):
        self.recorder, self.name, self.rng = recorder, name, rng
        self.window, self.every_s = window, every_s
        self.session, self.password, self.zxid = 0, PASSWORD, 0
        self.sock = self.member = None
        self.ready = self.own = False
        self.input, self.output = bytearray(), bytearray()
        self.pending = collections.deque()      # (xid, what, operation)
        self.next_s = self.next_try_s = self.heard_s = self.began_s = 0.0
        self.xid = self.number = 0
        self.versions = {}                      # key -> what this session has seen

    # ---- the connection
    def connect(self, now):
        self.member = self.rng.choice(self.recorder.candidates())
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect_ex((self.member.address, PORT))
        self.began_s = now
        self.output += zk.connect_request(SESSION_MS, self.session, self.password, self.zxid)
        self.recorder.selector.register(
            self.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, self)

    def drop(self, now):
        self.recorder.selector.unregister(self.sock)
        self.sock.close()
        self.sock, self.ready = None, False
        self.input.clear()
        self.output.clear()
        self.pending.clear()
        self.next_try_s = now + self.recorder.retry_s * (1 + 2.5 * self.rng.random())

    # ---- asking
    def ask(self, what, code, body, op):
        self.xid += 1
        self.pending.append((self.xid, what, op))
        self.output += zk.request(self.xid, code, body)

    def make(self, now):
        dice, key = self.rng.random(), "/r/%d" % self.rng.randrange(KEYS)
        self.number += 1
        value = "%s:%d" % (self.name, self.number)
        kind = SET if dice < 0.45 else APPEND if dice < 0.55 else READ if dice < 0.85 else STRICT
        if kind == APPEND:
            key = "/a/" + self.name
        strict = kind == STRICT
        # An Apache leader passes its own clients' sync by the commits that it has told already and
        # not yet applied (CommitProcessor, matchSyncs false): no barrier there.
        if strict and self.member.kind == "apache":
            kind = READ
        op = Op(self.name, self.session, kind, key, value if kind in (SET, APPEND) else None, now)
        op.at = self.member.sid
        self.recorder.ops.append(op)
        if kind == SET:
            guess = self.versions.get(key, 0) if dice < 0.1 else -1
            self.ask(kind, zk.SET_DATA, zk.set_data(key, self.recorder.padded(value), guess),
                     op)
        elif kind == APPEND:
            self.ask(kind, zk.CREATE, zk.create(key + "/n", self.recorder.padded(value),
                                                flags=2), op)
        else:
            if strict:
                self.ask("sync", zk.SYNC, zk.buf(key), None)
            self.ask(kind, zk.GET_DATA, zk.watched(key), op)

    def tick(self, now):
        """Connections, time limits and new requests. @return the sender has something to write"""
        if self.sock is None:
            if now >= self.next_try_s and not self.recorder.closing:
                self.connect(now)
            return
        quiet = now - max(self.heard_s, self.began_s)
        if quiet > ANSWER_S and (self.pending or not self.ready):
            self.drop(now)
            return
        if self.ready and not self.recorder.closing and now >= self.next_s and \
                len(self.pending) < self.window:
            if not self.own:
                self.ask("own", zk.CREATE, zk.create("/e/" + self.name, b"", flags=1), None)
                self.own = True
            self.make(now)
            self.next_s = now + self.every_s * self.rng.random() * 2

    def write(self, now):
        if self.output:
            try:
                del self.output[:self.sock.send(self.output)]
            except BlockingIOError:
                pass
            except OSError:
                self.drop(now)

    # ---- answers
    def read(self, now):
        try:
            more = self.sock.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        if not more:
            self.drop(now)
            return
        self.input += more
        while self.sock and len(self.input) >= 4:
            size = struct.unpack_from(">i", self.input)[0]
            if len(self.input) < 4 + size:
                break
            data = bytes(self.input[4:4 + size])
            del self.input[:4 + size]
            if self.ready:
                self.answer(zk.Reply(data), now)
            else:
                self.greeted(zk.Reader(data), now)

    def greeted(self, r, now):
        r.i32()
        timeout, session, password = r.i32(), r.i64(), r.buf()
        if timeout == 0:
            # Told that the session is over: never before its time.
            alone = now - self.heard_s
            if alone < SESSION_MS / 1000:
                self.recorder.complain("%s: session %x ended %.3f s after its last answer",
                                       self.name, self.session, alone)
            self.recorder.expired += 1
            self.session, self.password, self.zxid, self.own = 0, PASSWORD, 0, False
            self.versions = {}
            self.drop(now)
            return
        if self.session and session != self.session:
            self.recorder.complain("%s: session %x became %x", self.name, self.session, session)
        if timeout != SESSION_MS:
            self.recorder.complain("%s: session time-out %d", self.name, timeout)
        self.recorder.connects += 1
        self.session, self.password = session, password
        self.heard_s, self.ready = now, True

    def answer(self, reply, now):
        self.heard_s = now
        say = self.recorder.complain
        if not self.pending or self.pending[0][0] != reply.xid:
            say("%s: answer to %d, %s was next", self.name, reply.xid,
                self.pending[0][0] if self.pending else "nothing")
            self.drop(now)
            return
        _, what, op = self.pending.popleft()
        if reply.zxid < self.zxid:
            say("%s: zxid 0x%x after 0x%x from %s", self.name, reply.zxid, self.zxid, self.member)
        self.zxid = max(self.zxid, reply.zxid)
        if what == "own":
            if reply.err:
                self.recorder.own_failed(self, reply.err)
            return
        if op is None:
            if reply.err:
                say("%s: %s: error %d", self.name, what, reply.err)
            return
        if reply.err and not (what == SET and reply.err == zk.BAD_VERSION):
            if reply.err == -118:       # session moved: the connection ends next
                return
            say("%s: %s: error %d", self.name, op, reply.err)
            return
        op.resp, op.err, op.zxid = now, reply.err, reply.zxid
        op.order = self.recorder.count()
        if reply.err:
            return
        if what == APPEND:
            op.version = int(reply.body.string()[-10:])
            op.mzxid = reply.zxid
            return
        if what != SET:
            op.value = unpadded(reply.body.buf())
        stat = reply.body.stat()
        op.version, op.mzxid = stat.version, stat.mzxid
        self.versions[op.key] = op.version


class Recorder:
    """All of them, in one thread: run() is called again and again between faults."""

    def __init__(self, lab, seeded, clients=8, every_s=0.004, size=0, retry_s=0.02):
        self.lab, self.size, self.retry_s = lab, size, retry_s
        self.selector = selectors.DefaultSelector()
        self.ops, self.complaints = [], []
        self.expired = self.connects = self.answers = 0
        self.closing = False
        self.probers = [Prober(self, "p%d" % i, seeded("prober", i), (1, 2, 8, 32)[i % 4], every_s)
                        for i in range(clients)]

    def begin(self):
        with zk.Conn(host=self.lab.settled().address) as conn:
            for path in ["/r", "/a", "/e"] + ["/r/%d" % i for i in range(KEYS)] + [
                    "/a/" + p.name for p in self.probers]:
                if conn.call(zk.CREATE, zk.create(path, b"")).err:
                    raise Failed("create of " + path)
            conn.close()

    def candidates(self):
        """Where a client without a connection looks: everywhere, for it knows of no death. In a
        hurry (retry_s below 10 ms) only among the living, where the fewest are."""
        if self.retry_s >= 0.01:
            return self.lab.members
        at = collections.Counter(p.member for p in self.probers if p.sock)
        living = self.lab.living()
        return [m for m in living if at[m] == min(at[other] for other in living)]

    def padded(self, value):
        return value.ljust(self.size).encode()

    def complain(self, text, *args):
        self.complaints.append(text % args)

    def count(self):
        self.answers += 1
        return self.answers

    def own_failed(self, prober, err):
        """A session that begins has no ephemeral yet, and the one before it has none any more."""
        self.complain("%s: its ephemeral in session %x: error %d", prober.name, prober.session, err)

    def run(self, seconds, until=None):
        """For so long, or until `until()` says true."""
        end = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            if now >= end or (until and until()):
                return
            for p in self.probers:
                p.tick(now)
                if p.sock:
                    self.selector.modify(p.sock, selectors.EVENT_READ | (
                        selectors.EVENT_WRITE if p.output else 0), p)
            for key, events in self.selector.select(0.003):
                p, now = key.data, time.monotonic()
                if events & selectors.EVENT_WRITE and p.sock:
                    p.write(now)
                if events & selectors.EVENT_READ and p.sock:
                    p.read(now)

    def finish(self, seconds=20.0):
        """No new requests; wait for what is under way."""
        self.closing = True
        self.run(seconds, lambda: not any(p.sock and p.pending for p in self.probers))

    def acknowledged(self):
        return sum(1 for op in self.ops if op.resp is not None)

    def owners(self):
        """name -> session, of those whose ephemeral must be there"""
        return {p.name: p.session for p in self.probers if p.session and p.own}
