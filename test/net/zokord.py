#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A small raw ZooKeeper client for zokord.sh: sessions on many connections at once.

usage: zokord.py load CONNECTIONS OPERATIONS   every connection writes and reads its own node and
                                               reads the others' last values
       zokord.py hold                          one connection; exit 0 when the server closes it
       zokord.py idle N SECONDS                N idle connections for so long
"""
import select
import socket
import struct
import sys
import time

SERVER = ("127.181.0.1", 2181)
CREATE, GET, SET, CLOSE = 1, 4, 5, -11
ACL = struct.pack(">ii", 1, 31) + struct.pack(">i", 5) + b"world" + struct.pack(">i", 6) + b"anyone"


def buf(b):
    return struct.pack(">i", len(b)) + b


class Client:
    def __init__(self, timeout_ms=8000):
        self.s = socket.create_connection(SERVER, timeout=20)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.xid = 0
        self.zxid = 0
        self.send(struct.pack(">iqiq", 0, 0, timeout_ms, 0) + buf(bytes(16)) + b"\0")
        reply = self.recv()
        assert struct.unpack(">i", reply[4:8])[0] > 0, "session refused"

    def exact(self, n):
        out = b""
        while len(out) < n:
            more = self.s.recv(n - len(out))
            if not more:
                raise EOFError
            out += more
        return out

    def send(self, payload):
        self.s.sendall(buf(payload))

    def recv(self):
        return self.exact(struct.unpack(">i", self.exact(4))[0])

    def ask(self, op, body):
        self.xid += 1
        self.send(struct.pack(">ii", self.xid, op) + body)

    def answer(self):
        reply = self.recv()
        xid, zxid, err = struct.unpack(">iqi", reply[:16])
        assert zxid >= self.zxid, "zxid went back"
        self.zxid = zxid
        return xid, err, reply[16:]

    def do(self, op, body):
        self.ask(op, body)
        xid, err, rest = self.answer()
        assert xid == self.xid, "reply out of order"
        assert err == 0, f"error {err}"
        return rest


def load(conns, ops):
    clients = [Client() for _ in range(conns)]
    base = f"/t{time.monotonic_ns()}".encode()
    clients[0].do(CREATE, buf(base) + buf(b"") + ACL + struct.pack(">i", 0))
    paths = [base + b"/n%d" % i for i in range(conns)]
    for c, p in zip(clients, paths):
        c.do(CREATE, buf(p) + buf(b"0") + ACL + struct.pack(">i", 1))
    start = time.monotonic()
    for k in range(1, ops + 1):
        for c, p in zip(clients, paths):  # pipelined: a write and the read behind it
            c.ask(SET, buf(p) + buf(b"%d" % k) + struct.pack(">i", -1))
            c.ask(GET, buf(p) + b"\0")
        for c in clients:
            _, err, _ = c.answer()
            assert err == 0
            xid, err, rest = c.answer()
            assert err == 0 and xid == c.xid
            n = struct.unpack(">i", rest[:4])[0]
            assert rest[4:4 + n] == b"%d" % k, "own write not read"
    took = time.monotonic() - start
    for c in clients:  # a sync, then every core sees every node's last value
        c.do(9, buf(base))
    for i, c in enumerate(clients):
        rest = c.do(GET, buf(paths[(i + 1) % conns]) + b"\0")
        n = struct.unpack(">i", rest[:4])[0]
        assert rest[4:4 + n] == b"%d" % ops, "another's write not read"
    for c in clients:
        c.do(CLOSE, b"")
        try:
            c.s.recv(1)
        except ConnectionResetError:
            pass
        c.s.close()
    print(f"{conns} connections, {2 * conns * ops / took:.0f} operations/s")


def hold():
    c = Client()
    print("holding", flush=True)
    try:
        while c.s.recv(4096):
            pass
    except ConnectionResetError:
        print("reset instead of FIN")
        sys.exit(1)
    print("closed by the server")


def idle(n, seconds):
    clients = [Client(40000) for _ in range(n)]
    print("idle", flush=True)
    gone, _, _ = select.select([c.s for c in clients], [], [], seconds)
    assert not gone, "the server closed an idle connection"
    for c in clients:
        c.do(CLOSE, b"")


if sys.argv[1] == "load":
    load(int(sys.argv[2]), int(sys.argv[3]))
elif sys.argv[1] == "hold":
    hold()
else:
    idle(int(sys.argv[2]), float(sys.argv[3]))
