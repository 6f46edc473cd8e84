# SPDX-License-Identifier: Apache-2.0
"""A raw client that pipelines without waiting and remembers what it sent and what was answered."""

import collections
import socket
import struct
import time

import model
import zkwire as zk
from server import ADDRESS, PORT

READ_MAX = 1 << 18


class Wrong(Exception):
    """A server broke a promise; says which."""


def wrong(condition, text, *args):
    if condition:
        raise Wrong(text % args)


class Client:
    """One client over any number of connections and sessions. The caller polls `sock` and calls
    readable() and writable()."""
    address = ADDRESS
    dial_s = 10

    def __init__(self, name, rng, window=64, timeout_ms=30000):
        self.name, self.rng, self.window, self.timeout_ms = name, rng, window, timeout_ms
        self.base = "/c/" + name
        self.state = model.new_state(self.base)     # all that is acknowledged
        self.maker = model.Maker(name, rng, self.state.copy())
        self.sent = collections.deque()             # (xid, operation) without a reply
        self.session, self.password, self.zxid = 0, bytes(16), 0
        self.xid = 0
        self.sock = None
        self.hello = False
        self.closing = False
        self.resume = False
        self.may_be_closed = False      # an unanswered end of the session leaves no trace in the tree
        self.input, self.output = bytearray(), bytearray()
        self.acknowledged = 0
        self.proof = 0      # zxid of the last acknowledged operation that the tree shows
        self.resumed = 0
        self.last_reply = 0.0

    # ---- connection
    def connect(self):
        """Begin a connection, with the old session when there is one."""
        self.drop()
        self.sock = socket.create_connection((self.address, PORT), timeout=self.dial_s)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.resume = self.session != 0
        self.output += zk.connect_request(self.timeout_ms, self.session, self.password, self.zxid)

    def drop(self):
        if self.sock:
            self.sock.close()
        self.sock = None
        self.hello = False
        self.input.clear()
        self.output.clear()

    def wants_to_write(self):
        return bool(self.output) or (self.hello and not self.closing and
                                     len(self.sent) < self.window)

    def writable(self):
        while self.hello and not self.closing and len(self.sent) < self.window and \
                len(self.output) < READ_MAX:
            self.push(self.maker.any())
        if self.output:
            try:
                del self.output[:self.sock.send(self.output[:READ_MAX])]
            except (BlockingIOError, ConnectionError):
                pass

    def push(self, op):
        self.xid += 1
        self.sent.append((self.xid, op))
        self.output += zk.request(self.xid, op.code, op.body)

    def push_close(self):
        self.push(self.maker.close())
        self.closing = True

    def readable(self):
        """Take what is there. @return False at the end of the connection."""
        try:
            more = self.sock.recv(READ_MAX)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.input += more
        at = 0
        while len(self.input) - at >= 4:
            size = struct.unpack_from(">i", self.input, at)[0]
            if len(self.input) - at - 4 < size:
                break
            self.frame(bytes(self.input[at + 4:at + 4 + size]))
            at += 4 + size
        del self.input[:at]
        return bool(more)

    def drain(self):
        """Everything that the server had sent before it was killed was promised."""
        while self.sock:
            had = len(self.input)
            if not self.readable() or len(self.input) == had:
                break

    # ---- replies
    def frame(self, data):
        self.last_reply = time.monotonic()
        if not self.hello:
            self.greeted(zk.Reader(data))
            return
        reply = zk.Reply(data)
        wrong(reply.zxid < self.zxid, "%s: zxid %x after %x", self.name, reply.zxid, self.zxid)
        self.zxid = reply.zxid
        wrong(not self.sent, "%s: reply to xid %d, nothing was asked", self.name, reply.xid)
        xid, op = self.sent.popleft()
        wrong(reply.xid != xid, "%s: reply to xid %d, %d was next", self.name, reply.xid, xid)
        wrong(op.err is not None and reply.err != op.err, "%s: operation %d (type %d): error %d",
              self.name, op.number, op.code, reply.err)
        wrong(op.check and not op.check(reply), "%s: operation %d (type %d): wrong answer",
              self.name, op.number, op.code)
        name = None
        if op.body.startswith(zk.buf("/shared/s-")) and op.code == zk.CREATE:
            name = reply.body.string().rsplit("/", 1)[1]
            if op.number in self.maker.ahead.shared:
                self.maker.ahead.shared[op.number] = name
        op.apply(self.state, reply.zxid, name)
        if op.shows:
            self.proof = reply.zxid
        self.acknowledged += 1
        if op.code == zk.CLOSE:
            self.session, self.password = 0, bytes(16)

    def greeted(self, r):
        r.i32()
        timeout, session, password = r.i32(), r.i64(), r.buf()
        if self.resume and timeout == 0 and self.may_be_closed:
            self.session, self.password = 0, bytes(16)
            return
        wrong(self.resume and timeout == 0, "%s: session %x is gone", self.name, self.session)
        wrong(self.resume and session != self.session, "%s: session %x became %x", self.name,
              self.session, session)
        wrong(timeout != self.timeout_ms, "%s: session timeout %d", self.name, timeout)
        self.resumed += self.resume
        self.session, self.password = session, password
        self.hello = True
        self.closing = False
        self.state.open = self.maker.ahead.open = True

    # ---- after a crash
    def resolve(self, tree):
        """Which of the unanswered operations survived: the state must be that of a prefix. A node
        that was made and deleted again still shows in the number of children ever made.
        @return how many."""
        self.drop()
        actual, made = tree.part(self), tree.made(self.base)
        state, unknown = self.state.copy(), list(self.sent)
        found = None
        for i in range(len(unknown) + 1):
            if i > 0:
                unknown[i - 1][1].apply(state)
            if state.seen() == actual[0] and state.shared.keys() == actual[1].keys() and \
                    state.next == made:
                found = i
                break
        if found is None:
            raise Wrong("%s: no prefix of the %d unanswered operations gives the state found: %s" % (
                self.name, len(unknown), self.difference(actual, made)))
        self.adopt(state, tree, actual)
        for path, version in self.maker.peeked.items():
            wrong(tree.nodes[path][1].version < version, "%s: version %d, %s has read version %d",
                  path, tree.nodes[path][1].version, self.name, version)
        self.sent.clear()
        self.maker.ahead = self.state.copy()
        if not state.open:
            self.session, self.password = 0, bytes(16)
        self.closing = False
        self.may_be_closed = any(op.code == zk.CLOSE for _, op in unknown[found:])
        return found

    def difference(self, actual, made):
        """What is missing or too much beside the acknowledged state."""
        want = self.state.seen()
        out = ["acknowledged %d operations up to zxid 0x%x, the next number is %d, found %d" % (
            self.acknowledged, self.zxid, self.state.next, made)]
        for path in sorted(want.keys() | actual[0].keys()):
            if want.get(path) != actual[0].get(path):
                out.append("%s: acknowledged %s, found %s" % (path, want.get(path),
                                                              actual[0].get(path)))
        for number in sorted(self.state.shared.keys() ^ actual[1].keys()):
            out.append("shared %d: acknowledged %s, found %s" % (
                number, self.state.shared.get(number), actual[1].get(number)))
        return "; ".join(out[:12])

    def adopt(self, state, tree, actual):
        """Zxids and names that no reply had told are those of the tree; all others must agree."""
        for path, node in state.nodes.items():
            stat = tree.nodes[path][1]
            wrong(node[2] not in (None, stat.czxid), "%s: czxid 0x%x, was acknowledged as 0x%x",
                  path, stat.czxid, node[2] or 0)
            wrong(node[3] not in (None, stat.mzxid), "%s: mzxid 0x%x, was acknowledged as 0x%x",
                  path, stat.mzxid, node[3] or 0)
            node[2], node[3] = stat.czxid, stat.mzxid
            if path.rsplit("/", 1)[1][0] == "e":
                wrong(stat.owner != self.session, "%s: owned by %x, not by %x", path, stat.owner,
                      self.session)
        for number, name in state.shared.items():
            wrong(name not in (None, actual[1][number]), "shared %d: is %s, was acknowledged as %s",
                  number, actual[1][number], name)
            state.shared[number] = actual[1][number]
        self.state = state
