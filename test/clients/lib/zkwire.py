# SPDX-License-Identifier: Apache-2.0
"""A small codec of the ZooKeeper client protocol and a blocking connection, on plain sockets."""

import os
import socket
import struct

HOST = os.environ.get("ZK_HOST", "127.181.0.1")
PORT = int(os.environ.get("ZK_PORT", "2181"))
KIND = os.environ.get("ZK_KIND", "zokor")
LINE = os.environ.get("ZK_LINE", "3.9")
FRAME_MAX = 1 << 26

(CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL, GET_CHILDREN, SYNC) = range(1, 10)
(PING, GET_CHILDREN2, CHECK, MULTI, CREATE2) = range(11, 16)
(CHECK_WATCHES, REMOVE_WATCHES, CREATE_CONTAINER, DELETE_CONTAINER, CREATE_TTL,
 MULTI_READ) = range(17, 23)
(AUTH, SET_WATCHES) = (100, 101)
(SET_WATCHES2, ADD_WATCH, WHO_AM_I) = range(105, 108)
CLOSE = -11

NOT_FOUND, EXISTS_ALREADY, BAD_VERSION, NOT_EMPTY = -101, -110, -103, -111
CREATED, DELETED, CHANGED, CHILDREN = 1, 2, 3, 4

WORLD_ALL = [(31, "world", "anyone")]


def i32(value):
    return struct.pack(">i", value)


def i64(value):
    return struct.pack(">q", value)


def boolean(value):
    return b"\x01" if value else b"\x00"


def buf(value):
    """A buffer or a string; None is the null of the protocol."""
    if value is None:
        return i32(-1)
    if isinstance(value, str):
        value = value.encode()
    return i32(len(value)) + value


def vector(items, encode):
    if items is None:
        return i32(-1)
    return i32(len(items)) + b"".join(encode(i) for i in items)


def acls(items):
    return vector(items, lambda a: i32(a[0]) + buf(a[1]) + buf(a[2]))


def create(path, data, acl=None, flags=0):
    return buf(path) + buf(data) + acls(WORLD_ALL if acl is None else acl) + i32(flags)


def watched(path, watch=False):
    return buf(path) + boolean(watch)


def versioned(path, version=-1):
    return buf(path) + i32(version)


def set_data(path, data, version=-1):
    return buf(path) + buf(data) + i32(version)


def set_watches(zxid, *lists):
    return i64(zxid) + b"".join(vector(one, buf) for one in lists)


def multi(*ops):
    """The body of a multi; each op is (type, encoded record)."""
    head = [i32(kind) + b"\x00" + i32(-1) + record for kind, record in ops]
    return b"".join(head) + i32(-1) + b"\x01" + i32(-1)


def frame(payload):
    return i32(len(payload)) + payload


def request(xid, op, body=b""):
    return frame(i32(xid) + i32(op) + body)


def connect_request(timeout=10000, session=0, password=bytes(16), zxid=0, read_only=False):
    """read_only None leaves the byte out, as clients before 3.4 do."""
    out = i32(0) + i64(zxid) + i32(timeout) + i64(session) + buf(password)
    if read_only is not None:
        out += boolean(read_only)
    return frame(out)


class Reader:
    """Takes fields off the front of one payload."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        if count < 0 or self.at + count > len(self.data):
            raise ValueError("payload of %d bytes ends too early" % len(self.data))
        self.at += count
        return self.data[self.at - count:self.at]

    def i32(self):
        return struct.unpack(">i", self.take(4))[0]

    def i64(self):
        return struct.unpack(">q", self.take(8))[0]

    def boolean(self):
        return self.take(1) != b"\x00"

    def buf(self):
        size = self.i32()
        return None if size == -1 else self.take(size)

    def string(self):
        out = self.buf()
        return None if out is None else out.decode()

    def strings(self):
        return [self.string() for _ in range(self.i32())]

    def acls(self):
        return [(self.i32(), self.string(), self.string()) for _ in range(self.i32())]

    def stat(self):
        return Stat(self)

    def left(self):
        return len(self.data) - self.at


class Stat:
    def __init__(self, r):
        self.czxid, self.mzxid, self.ctime, self.mtime = (r.i64() for _ in range(4))
        self.version, self.cversion, self.aversion = (r.i32() for _ in range(3))
        self.owner = r.i64()
        self.length, self.children = r.i32(), r.i32()
        self.pzxid = r.i64()


class Reply:
    def __init__(self, payload):
        self.body = Reader(payload)
        self.xid = self.body.i32()
        self.zxid = self.body.i64()
        self.err = self.body.i32()
        self.size = len(payload)

    def event(self):
        """(type, state, path) of a watch event."""
        return (self.body.i32(), self.body.i32(), self.body.string())


class Closed(Exception):
    """The server ended the connection; rest holds the bytes of an unfinished frame."""


class Conn:
    def __init__(self, connect=True, timeout=15.0, nodelay=True, session_ms=10000, host=HOST,
                 **kwargs):
        self.host = host
        self.sock = self.dial(timeout)
        if nodelay:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = bytearray()
        self.xid = 0
        self.events = []
        self.session = 0
        self.password = bytes(16)
        self.timeout = 0
        if connect:
            self.sock.sendall(connect_request(session_ms, **kwargs))
            r = Reader(self.payload())
            r.i32()
            self.timeout, self.session, self.password = r.i32(), r.i64(), r.buf()
            self.connect_size = len(r.data)
            self.read_only = r.boolean() if r.left() else None

    def dial(self, timeout):
        return socket.create_connection((self.host, PORT), timeout=timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def take(self, count):
        while len(self.input) < count:
            try:
                more = self.sock.recv(1 << 18)
            except ConnectionError as err:
                raise Closed(str(err)) from err
            if not more:
                raise Closed("end of stream with %d bytes of a frame" % len(self.input))
            self.input += more
        out = bytes(self.input[:count])
        del self.input[:count]
        return out

    def payload(self):
        size = struct.unpack(">i", self.take(4))[0]
        if not 0 <= size <= FRAME_MAX:
            raise ValueError("frame of %d bytes" % size)
        return self.take(size)

    def reply(self):
        """The next frame, whether it answers a request or is an event."""
        return Reply(self.payload())

    def next_xid(self):
        self.xid += 1
        return self.xid

    def call(self, op, body=b""):
        """One request and its reply; events that come first are kept in self.events."""
        xid = self.next_xid()
        self.send(request(xid, op, body))
        return self.answer(xid)

    def answer(self, xid):
        while True:
            got = self.reply()
            if got.xid == -1:
                self.events.append((got.zxid,) + got.event())
                continue
            if got.xid != xid:
                raise ValueError("reply to %d while %d was awaited" % (got.xid, xid))
            return got

    def take_events(self):
        out, self.events = self.events, []
        return out

    def rest(self):
        """All bytes up to the end of the connection."""
        out = bytes(self.input)
        self.input.clear()
        while True:
            try:
                more = self.sock.recv(1 << 18)
            except ConnectionError:
                return out
            if not more:
                return out
            out += more

    def close(self):
        """End the session and then the connection."""
        got = self.call(CLOSE)
        rest = self.rest()
        self.sock.close()
        return got, rest


def four_letters(word, tail=b"", timeout=10.0):
    """What the server answers to a four-letter word, up to the end of the connection."""
    with socket.create_connection((HOST, PORT), timeout=timeout) as sock:
        sock.sendall(word.encode() + tail)
        out = b""
        while True:
            try:
                more = sock.recv(1 << 16)
            except ConnectionError:
                return out.decode()
            if not more:
                return out.decode()
            out += more
