# SPDX-License-Identifier: Apache-2.0
"""One server under comparison, and the record of what one case saw of it."""

import socket
import struct
import time

import wire
import zkwire as zk

TIMEOUT_S = 20
SESSION_MS = 60000
SUPER = "super:diff"


class Side:
    """A server: where it is, and of which line (3.8 or 3.9) its answers are."""

    def __init__(self, name, kind, line, host, port, source=None):
        self.name, self.kind, self.line = name, kind, line
        self.host, self.port, self.source = host, port, source

    def dial(self):
        source = (self.source, 0) if self.source else None
        sock = socket.create_connection((self.host, self.port), TIMEOUT_S, source)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock


class Entry:
    """A request (or a batch of them), and every frame that came up to its last answer."""

    def __init__(self, conn, text, reqs=()):
        self.conn, self.text, self.reqs = conn, text, reqs
        self.frames = []  # (op, payload)
        self.closed = None
        self.note = None  # a value of the case's own, compared as it is
        self.unordered = False  # events of this entry come in no defined order
        self.values = []  # what is compared; see compare.py

    def ops(self):
        return [r.op for r in self.reqs]


class Conn:
    """A connection that records. Requests are wire.Req values."""

    def __init__(self, run, label, connect):
        self.run, self.label = run, label
        self.sock = run.side.dial()
        self.input = bytearray()
        self.dead = False
        self.xid = 0
        self.session, self.password, self.timeout = 0, bytes(16), 0
        self.closing = False
        if connect is not None:
            self.hello(**connect)

    # -- bytes

    def _fill(self):
        try:
            more = self.sock.recv(1 << 18)
        except socket.timeout:
            return "silence for %d s" % TIMEOUT_S
        except ConnectionError:
            return "closed"
        if not more:
            return "closed"
        self.input += more
        return None

    def _frame(self, entry):
        """The next payload, or None when the connection is over; entry.closed says how."""
        while True:
            if self.dead:
                entry.closed = "ended before"
                return None
            if len(self.input) >= 4:
                size = struct.unpack_from(">i", self.input)[0]
                if not 0 <= size <= 1 << 26:
                    entry.closed = "frame of %d bytes" % size
                    self.dead = True
                    return None
                if len(self.input) >= 4 + size:
                    out = bytes(self.input[4:4 + size])
                    del self.input[:4 + size]
                    return out
            problem = self._fill()
            if problem:
                if self.input:
                    problem += " inside a frame"
                entry.closed = problem
                self.dead = True
                return None

    def send(self, data, piece=0):
        """piece: send so many bytes at a time."""
        try:
            if not piece:
                self.sock.sendall(data)
            else:
                for at in range(0, len(data), piece):
                    self.sock.sendall(data[at:at + piece])
        except (ConnectionError, socket.timeout):
            pass  # what is read next shows it

    # -- recorded steps

    def hello(self, timeout=SESSION_MS, session=0, password=bytes(16), zxid=0, read_only=False,
              protocol=0, text=None, piece=0, behind=b""):
        entry = Entry(self.label, text or "connect timeout=%d%s" % (
            timeout, " attach" if session else ""))
        self.run.add(entry)
        data = bytearray(zk.connect_request(timeout, session, password, zxid, read_only))
        data[4:8] = zk.i32(protocol)
        self.send(bytes(data) + behind, piece)
        payload = self._frame(entry)
        if payload is None:
            return entry
        entry.frames.append(("connect", payload))
        self._greeted(payload)
        return entry

    def _greeted(self, payload):
        try:
            r = zk.Reader(payload)
            r.i32()
            self.timeout, self.session, self.password = r.i32(), r.i64(), r.buf()
        except (ValueError, struct.error):
            pass
        if self.session:
            self.run.sessions[self.session] = self

    def many(self, reqs, piece=0, text=None, unordered=False):
        """Send all requests in one go, and read until as many answers (or the end) came."""
        entry = Entry(self.label, text or " | ".join(r.text for r in reqs), list(reqs))
        entry.unordered = unordered
        self.run.add(entry)
        out, waiting = [], []
        for r in reqs:
            if r.whole is not None:
                out.append(r.whole)
                continue
            xid = r.xid
            if xid is None:
                self.xid += 1
                xid = self.xid
            out.append(zk.request(xid, r.op, r.body))
            waiting.append((-2 if r.op == zk.PING else xid, r))
        self.send(b"".join(out), piece)
        while waiting:
            payload = self._frame(entry)
            if payload is None:
                return entry
            xid = struct.unpack_from(">i", payload)[0] if len(payload) >= 4 else None
            if xid == -1:
                entry.frames.append(("event", payload))
                continue
            # Some answers may overtake others; a wrong xid counts as the first one's answer.
            at = next((n for n, w in enumerate(waiting) if w[0] == xid), 0)
            req = waiting.pop(at)[1]
            entry.frames.append((req.op, payload))
            if req.op == zk.CLOSE:
                self.closing = True
        return entry

    def __call__(self, *reqs, **more):
        """Each request on its own; the last entry."""
        entry = None
        for r in reqs:
            entry = self.many([r], **more)
        return entry

    def to_end(self, text="until the end", ops=()):
        """Everything up to the end of the connection, which must come. ops: of the answers."""
        entry = Entry(self.label, text)
        self.run.add(entry)
        ops = list(ops)
        while True:
            payload = self._frame(entry)
            if payload is None:
                break
            op = "event" if payload[:4] == b"\xff\xff\xff\xff" else ops.pop(0) if ops else None
            entry.frames.append((op, payload))
            if op == "connect":
                self._greeted(payload)
        return entry

    def feed(self, data, text, piece=0, ops=()):
        """Bytes as they are, after which the server must end the connection."""
        self.send(data, piece)
        return self.to_end(text, ops)

    def events(self, unordered=False):
        """What has been sent to this connection by now: a sync and all before its answer."""
        return self.many([wire.sync()], unordered=unordered)

    def close(self):
        # Its own ephemerals go in no defined order.
        self(wire.close(), unordered=True)
        return self.to_end()

    def drop(self):
        """End the connection and not the session."""
        self.sock.close()
        self.dead = True

    # -- values of this side, for requests that need them

    def zxid(self):
        """The server's last zxid, by a read that is recorded too."""
        entry = self(wire.exists("/"))
        return struct.unpack_from(">q", entry.frames[-1][1], 4)[0] if entry.frames else 0


class Run:
    """One case on one side."""

    def __init__(self, side, name, control, root=None, name_of_case=""):
        self.side, self.name, self.control = side, name, control
        self.name_of_case = name_of_case
        self.root = root if root is not None else "/" + name
        self.entries = []
        self.sessions = {}
        self.loose = False  # zxids of replies are not exact: other sessions end by themselves
        self.conns = []
        self.base = control.zxid()
        self.begin_ms = time.time() * 1000
        self.end_ms = None

    def add(self, entry):
        self.entries.append(entry)

    def conn(self, connect=True, **more):
        c = Conn(self, "c%d" % (len(self.conns) + 1), more if connect else None)
        self.conns.append(c)
        return c

    def note(self, text, value):
        entry = Entry("-", text)
        entry.note = value
        self.add(entry)

    def p(self, *names):
        return "/".join((self.root,) + names)

    def finish(self):
        """Nothing of the case is left: no session and no node."""
        self.end_ms = time.time() * 1000
        for session, conn in self.sessions.items():
            if not conn.closing:
                self.control.end_session(session, conn.password)
        for conn in self.conns:
            conn.sock.close()
        self.control.wipe(self.root)
        if self.root != "/":
            self.control.wipe("/zookeeper/quota" + self.root)


class Control:
    """The tester's own connection to a side, as super user; nothing here is compared."""

    def __init__(self, side):
        self.side = side
        self.c = None
        self.entries = []
        self.sessions = {}
        self.c = Conn(self, "control", {})
        self.c(wire.auth("digest", SUPER))

    def add(self, entry):
        """The control connection keeps no record."""

    def call(self, req):
        """(err, reader of the body)."""
        payload = self.c(req).frames[-1][1]
        reply = zk.Reader(payload)
        reply.i32()
        return reply.i64(), reply.i32(), reply

    def zxid(self):
        return self.call(wire.ping())[0]

    def end_session(self, session, password):
        with self.side.dial() as sock:
            sock.sendall(zk.connect_request(SESSION_MS, session, password) +
                         zk.request(1, zk.CLOSE))
            try:
                while sock.recv(1 << 16):
                    pass
            except ConnectionError:
                pass

    def wipe(self, path):
        _, err, r = self.call(wire.get_children(path))
        if err:
            return
        for name in [r.buf() for _ in range(r.i32())]:
            self.wipe(self.below(path, name))
        self.call(wire.delete(path))

    @staticmethod
    def below(path, name):
        head = path.encode() if isinstance(path, str) else path
        return (b"" if head == b"/" else head) + b"/" + name

    def close(self):
        self.c(wire.close())
        self.c.sock.close()
