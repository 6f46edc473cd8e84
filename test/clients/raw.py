#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The client protocol byte by byte: frames, sessions, errors, multi, watches."""

import base64
import hashlib
import os
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import zkwire as zk
from raw_node import LINE38, ROOT, begin, ends_silently, made, node
from report import Skip, case, check, run, same, until
from zkwire import Conn

def java_password(session):
    """The 16 bytes that java.util.Random gives for this session id."""
    state = ((session & (2**64 - 1)) ^ 0xB3415C00 ^ 0x5DEECE66D) & (2**48 - 1)
    out = b""
    for _ in range(4):
        state = (state * 0x5DEECE66D + 0xB) & (2**48 - 1)
        out += struct.pack("<I", (state >> 16) & 0xFFFFFFFF)
    return out


def digest_id(user, password):
    sha = hashlib.sha1(("%s:%s" % (user, password)).encode()).digest()
    return "%s:%s" % (user, base64.b64encode(sha).decode())


# Opened first and looked at last: it never sends a ConnectRequest.
class Idle:
    def __init__(self):
        self.sock = socket.create_connection((zk.HOST, zk.PORT), timeout=30)
        self.begin = time.monotonic()
        self.seconds = None
        self.data = None
        self.thread = threading.Thread(target=self.wait, daemon=True)
        self.thread.start()

    def wait(self):
        try:
            self.data = self.sock.recv(1)
        except ConnectionError:
            self.data = b""
        except socket.timeout:
            return
        self.seconds = time.monotonic() - self.begin


# --- frames


def mixed_requests(path, count):
    """count requests of several kinds, and what each reply must hold."""
    out, want, value = [], [], b"0"
    for n in range(1, count + 1):
        if n % 10 == 1:
            value = b"value %d" % n
            out.append(zk.request(n, zk.SET_DATA, zk.set_data(path, value)))
            want.append(("set", len(value)))
        elif n % 10 == 2:
            out.append(zk.request(n, zk.EXISTS, zk.watched(path + "-missing")))
            want.append(("missing", None))
        elif n % 10 == 3:
            out.append(zk.request(n, zk.GET_CHILDREN, zk.watched(path)))
            want.append(("children", None))
        elif n % 10 == 4:
            out.append(zk.request(n, zk.PING))
            want.append(("ping", None))
        else:
            out.append(zk.request(n, zk.GET_DATA, zk.watched(path)))
            want.append(("data", value))
    return b"".join(out), want


def check_mixed(conn, want):
    last = 0
    for n, (kind, value) in enumerate(want, 1):
        got = conn.reply()
        same(got.xid, -2 if kind == "ping" else n, "xid of reply %d" % n)
        check(got.zxid >= last, "zxid of reply %d went back from %x to %x", n, last, got.zxid)
        last = got.zxid
        same(got.err, zk.NOT_FOUND if kind == "missing" else 0, "err of reply %d" % n)
        if kind == "set":
            same(got.body.stat().length, value, "data length in reply %d" % n)
        elif kind == "children":
            same(got.body.strings(), [], "children in reply %d" % n)
        elif kind == "data":
            same(got.body.buf(), value, "data in reply %d" % n)
            got.body.stat()
        same(got.body.left(), 0, "bytes left in reply %d" % n)


@case
def thousand_requests_in_one_send():
    with Conn() as c:
        made(c, node("pipelined"), b"0")
        data, want = mixed_requests(node("pipelined"), 1000)
        threading.Thread(target=c.send, args=(data,), daemon=True).start()
        check_mixed(c, want)


@case
def thousand_requests_byte_by_byte():
    with Conn() as c:
        made(c, node("dribbled"), b"0")
        data, want = mixed_requests(node("dribbled"), 1000)
        other = Conn(connect=False)
        data = zk.connect_request() + data

        def dribble():
            for at in range(len(data)):
                other.sock.send(data[at:at + 1])

        thread = threading.Thread(target=dribble, daemon=True)
        thread.start()
        same(len(other.payload()), 37, "size of the ConnectResponse")
        check_mixed(other, want)
        thread.join()
        other.sock.close()


@case
def everything_with_the_connect_request_in_one_send():
    """A client may pipeline requests behind its ConnectRequest."""
    with Conn(connect=False) as c:
        c.send(zk.connect_request() + zk.request(1, zk.EXISTS, zk.watched("/")) +
               zk.request(2, zk.CLOSE))
        same(len(c.payload()), 37, "size of the ConnectResponse")
        got = [c.reply(), c.reply()]
        same([(g.xid, g.err, g.size) for g in got], [(1, 0, 84), (2, 0, 16)], "replies")
        ends_silently(c, "after closeSession")


@case
def frame_of_the_largest_size():
    with Conn() as c:
        record = zk.i32(1) + zk.i32(zk.EXISTS) + zk.watched("/")
        c.send(zk.frame(record + bytes(0xfffff - len(record))))
        got = c.reply()
        same((got.xid, got.err, got.size), (1, 0, 84), "reply to a request of 0xfffff bytes")


@case
def bad_lengths_close():
    for length in (0x100000, 0x7fffffff, 0, -1, -2**31, 4, 7):
        with Conn() as c:
            c.send(zk.i32(length) + bytes(max(0, min(length, 64))))
            ends_silently(c, "request of length %d" % length)
    for length in (0x100000, -1, -2**31):
        with Conn(connect=False) as c:
            c.send(zk.i32(length) + bytes(64))
            ends_silently(c, "ConnectRequest of length %d" % length)


@case
def unknown_opcodes():
    # Op 13 poisons the log of 3.8.0; op 20 is served by Apache to anyone, and refused by zokor.
    ops = [999, 0, -7]
    if not LINE38:
        ops.append(zk.CHECK)
    if zk.KIND == "zokor":
        ops.append(zk.DELETE_CONTAINER)
    for op in ops:
        with Conn() as c:
            c.send(zk.request(77, op, zk.versioned("/")))
            got = c.reply()
            same((got.xid, got.zxid, got.err, got.size), (77, -1, -6, 16), "reply to op %d" % op)
            ends_silently(c, "after op %d" % op)


@case
def ping_and_odd_xids():
    with Conn() as c:
        for xid in (-2, 5, 0, 2**31 - 1):
            c.send(zk.request(xid, zk.PING))
            got = c.reply()
            same((got.xid, got.err, got.size), (-2, 0, 16), "reply to a ping with xid %d" % xid)
        for xid in (0, -5, 7, 7, 3, -2**31):
            c.send(zk.request(xid, zk.EXISTS, zk.watched("/")))
            got = c.reply()
            same((got.xid, got.err), (xid, 0), "reply to xid %d" % xid)


@case
def trailing_and_missing_bytes():
    with Conn() as c:
        got = c.call(zk.EXISTS, zk.watched("/") + b"more bytes")
        same((got.err, got.size), (0, 84), "exists with trailing bytes")
        for op, body in ((zk.GET_DATA, zk.i32(9) + b"/"), (zk.EXISTS, zk.buf("/")),
                         (zk.CREATE, zk.buf(node("short"))), (zk.MULTI, b""),
                         (zk.SET_WATCHES, zk.i64(0) + zk.i32(-1) * 3)):
            got = c.call(op, body)
            same((got.err, got.size), (-5, 16), "op %d with missing bytes" % op)
        for op, body in ((zk.GET_DATA, zk.watched(None)), (zk.CREATE, zk.create(None, b""))):
            got = c.call(op, body)
            same((got.err, got.size), (-5, 16), "op %d with a null path" % op)
        got = c.call(zk.SYNC, zk.buf(None))
        same((got.err, got.size, got.body.string()), (0, 20, None), "sync of a null path")
        got = c.call(zk.SYNC, zk.buf(ROOT))
        same((got.err, got.body.string(), got.body.left()), (0, ROOT, 0), "sync")


@case
def a_reader_that_is_slow():
    """Replies of many megabytes wait for a client that reads late and little at a time."""
    with Conn() as c:
        data = os.urandom(100000)
        made(c, node("slow"), data)
        c.send(b"".join(zk.request(n, zk.GET_DATA, zk.watched(node("slow")))
                        for n in range(1000, 1100)))
        time.sleep(1)
        for n in range(1000, 1100):
            got = c.reply()
            same((got.xid, got.err), (n, 0), "reply")
            check(got.body.buf() == data, "the data of reply %d differs", n)


@case
def a_megabyte():
    with Conn() as c:
        data = os.urandom(1000000)
        made(c, node("megabyte"), data)
        got = c.call(zk.GET_DATA, zk.watched(node("megabyte")))
        same((got.err, got.size), (0, 16 + 4 + len(data) + 68), "getData")
        check(got.body.buf() == data, "the data differs")
        same(c.call(zk.SET_DATA, zk.set_data(node("megabyte"), b"")).err, 0, "setData")


# --- sessions


@case
def connect_responses():
    for read_only, size in ((False, 37), (True, 37), (None, 36)):
        with Conn(read_only=read_only) as c:
            same(c.connect_size, size, "size with readOnly %s" % read_only)
            same(c.read_only, None if read_only is None else False, "readOnly in the answer")
            same(c.timeout, 10000, "timeout")
            same((c.session >> 56) & 0xff, 1, "server id in the session id")
            same(c.password, java_password(c.session), "password of the session")
    same(java_password(0x01000018efd60000).hex(), "a81aa7c9157b8e0dc6119c1de6bd957f",
         "password of the known session")


@case
def timeouts_are_clamped():
    for asked, given in ((-5, 4000), (1, 4000), (4000, 4000), (12345, 12345), (40001, 40000),
                         (10**6, 40000)):
        with Conn(timeout=15.0, connect=False) as c:
            c.send(zk.connect_request(timeout=asked))
            r = zk.Reader(c.payload())
            same((r.i32(), r.i32()), (0, given), "version and timeout for %d" % asked)


@case
def odd_connect_requests():
    for password in (None, b"", b"short", bytes(100)):
        with Conn(password=password) as c:
            check(c.session != 0 and c.timeout == 10000, "new session with password %r", password)
    with Conn(connect=False) as c:
        data = bytearray(zk.connect_request())
        data[4:8] = zk.i32(0x01020304)
        c.send(bytes(data))
        r = zk.Reader(c.payload())
        same((r.i32(), r.i32()), (0, 10000), "answer to another protocolVersion")


def refused(session, password, read_only, what):
    with Conn(connect=False) as c:
        c.send(zk.connect_request(session=session, password=password, read_only=read_only))
        want = zk.i32(0) * 2 + zk.i64(0) + zk.buf(bytes(16))
        if read_only is not None:
            want += b"\x00"
        same(c.payload(), want, "answer to " + what)
        ends_silently(c, what)


@case
def refused_sessions():
    unknown = 0x01deadbeef123456
    refused(unknown, java_password(unknown), False, "an unknown session")
    refused(unknown, java_password(unknown), None, "an unknown session without readOnly")
    with Conn() as c:
        made(c, node("owned"), b"", flags=1)
        # Apache ends the owner's connection before it looks at the password.
        refused(c.session, bytes(16), False, "a wrong password")
        refused(c.session, c.password[:15], False, "a short password")
        ends_silently(c, "connection of the session's owner")
        with Conn(session=c.session, password=c.password) as again:
            same(again.session, c.session, "session after a wrong password was refused")
            same(again.call(zk.EXISTS, zk.watched(node("owned"))).body.stat().owner, c.session,
                 "owner of the ephemeral node")
            again.close()
    with Conn() as c:
        c.close()
        refused(c.session, c.password, False, "a session that was closed")


@case
def session_is_taken_over():
    with Conn() as first:
        made(first, node("taken"), b"", flags=1)
        with Conn(session=first.session, password=first.password, timeout=15.0) as second:
            same((second.session, second.password), (first.session, first.password), "session")
            ends_silently(first, "the older connection")
            same(second.call(zk.DELETE, zk.versioned(node("taken"))).err, 0, "delete")


@case
def zxid_of_the_future():
    with Conn() as c:
        zxid = c.call(zk.EXISTS, zk.watched("/")).zxid
    with Conn(connect=False) as c:
        c.send(zk.connect_request(zxid=zxid + (1 << 40)))
        ends_silently(c, "lastZxidSeen above the server's")
    with Conn(zxid=zxid) as c:
        check(c.session != 0, "lastZxidSeen of the past was refused")


@case
def close_session():
    with Conn() as watcher, Conn() as c:
        made(c, node("gone"), b"", flags=1)
        same(watcher.call(zk.EXISTS, zk.watched(node("gone"), True)).err, 0, "exists")
        got, rest = c.close()
        same((got.err, got.size, rest), (0, 16, b""), "answer to closeSession")
        event = watcher.reply()
        same((event.xid, event.event()), (-1, (zk.DELETED, 3, node("gone"))), "event")
        same(watcher.call(zk.EXISTS, zk.watched(node("gone"))).err, zk.NOT_FOUND, "exists")


@case
def session_expires():
    """A silent session ends between its timeout and one tick more, and its connection with it."""
    with Conn(connect=False) as c, Conn() as watcher:
        c.send(zk.connect_request(timeout=4000))
        c.payload()
        begin = time.monotonic()
        c.send(zk.request(1, zk.CREATE, zk.create(node("expiring"), b"", None, 1)))
        same(c.reply().err, 0, "create")
        same(watcher.call(zk.EXISTS, zk.watched(node("expiring"), True)).err, 0, "exists")
        same(watcher.reply().event(), (zk.DELETED, 3, node("expiring")), "event")
        seconds = time.monotonic() - begin
        check(3.9 < seconds < 9.0, "the session of 4 s lived for %.1f s", seconds)
        ends_silently(c, "connection of the expired session")


@case
def authentication():
    with Conn() as c:
        c.send(zk.request(-4, zk.AUTH, zk.i32(0) + zk.buf("digest") + zk.buf("bob:pw")))
        same(c.payload(), zk.i32(-4) + zk.i64(0) + zk.i32(0), "answer to auth")
        got = c.call(zk.CREATE, zk.create(node("bob"), b"", [(31, "auth", "")]))
        same(got.err, 0, "create with scheme auth")
        got = c.call(zk.GET_ACL, zk.buf(node("bob")))
        same(got.body.acls(), [(31, "digest", digest_id("bob", "pw"))], "ACL")
        same(digest_id("bob", "pw"), "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=", "the known digest")
    for scheme, data in (("world", "anyone"), ("nonsense", "x"), ("digest", None)):
        with Conn() as c:
            c.send(zk.request(5, zk.AUTH, zk.i32(0) + zk.buf(scheme) + zk.buf(data)))
            same(c.payload(), zk.i32(5) + zk.i64(0) + zk.i32(-115), "answer to a bad auth")
            ends_silently(c, "bad auth")


# --- requests and errors


@case
def errors_have_no_body():
    with Conn() as c:
        made(c, node("err"), b"")
        made(c, node("err/child"), b"")
        made(c, node("err/eph"), b"", flags=1)
        gone = node("nothing")
        for op, body, err in (
                (zk.GET_DATA, zk.watched(gone), -101), (zk.EXISTS, zk.watched(gone), -101),
                (zk.GET_CHILDREN, zk.watched(gone), -101), (zk.GET_ACL, zk.buf(gone), -101),
                (zk.GET_CHILDREN2, zk.watched(gone), -101),
                (zk.SET_DATA, zk.set_data(gone, b""), -101),
                (zk.DELETE, zk.versioned(gone), -101),
                (zk.CREATE, zk.create(gone + "/x", b""), -101),
                (zk.CREATE, zk.create(node("err"), b""), -110),
                (zk.CREATE2, zk.create(node("err"), b""), -110),
                (zk.CREATE, zk.create("/", b""), -110),
                (zk.CREATE, zk.create(node("err/eph/x"), b""), -108),
                (zk.DELETE, zk.versioned(node("err")), -111),
                (zk.DELETE, zk.versioned(node("err"), 9), -103),
                (zk.SET_DATA, zk.set_data(node("err"), b"", 9), -103),
                (zk.SET_ACL, zk.buf(node("err")) + zk.acls(zk.WORLD_ALL) + zk.i32(9), -103),
                (zk.CREATE, zk.create(node("acl"), b"", []), -114),
                (zk.CREATE, zk.create(node("acl"), b"", [(31, "nonsense", "x")]), -114),
                (zk.CREATE, zk.create(node("acl"), b"", [(31, "auth", "")]), -114),
                (zk.CREATE, zk.create(node("flags"), b"", None, 7), -8),
                (zk.CREATE, zk.create(node("flags"), b"", None, 5), -6),
                (zk.CREATE_TTL, zk.create(node("ttl"), b"", None, 5) + zk.i64(1000), -6),
                (zk.DELETE, zk.versioned("/"), -8), (zk.DELETE, zk.versioned("/zookeeper"), -8),
                (zk.DELETE, zk.versioned("/zookeeper/config"), -8),
                (zk.EXISTS, zk.watched("/a\0b"), -8),
                (zk.GET_DATA, zk.watched("no-slash"), -101),
                (zk.ADD_WATCH, zk.buf("/") + zk.i32(2), -5),
                (zk.CHECK_WATCHES, zk.buf("/") + zk.i32(1), -121),
                (zk.REMOVE_WATCHES, zk.buf("/") + zk.i32(3), -121),
                (zk.REMOVE_WATCHES, zk.buf("/") + zk.i32(9), -5)):
            got = c.call(op, body)
            same((got.err, got.size), (err, 16), "op %d, body %r" % (op, body))
        # The parent is looked for before the path is validated.
        for path, err in (("a", -8), ("", -8), (ROOT + "/", -8), ("//a", -8), ("/.", -8),
                          (ROOT + "/..", -8), ("/a\x01", -8), ("/a\x7f", -8), ("/\ue000", -8),
                          ("/\ufffd", -8), ("/\U0001f600", -8), (gone + "/./a", -101),
                          (gone + "//a", -101), (gone + "/a/", -101)):
            got = c.call(zk.CREATE, zk.create(path, b""))
            same((got.err, got.size), (err, 16), "create of %r" % path)


@case
def zxids():
    with Conn() as c:
        first = c.call(zk.CREATE, zk.create(node("zxid"), b""))
        again = c.call(zk.CREATE, zk.create(node("zxid"), b""))
        same((first.err, again.err), (0, zk.EXISTS_ALREADY), "create twice")
        check(again.zxid > first.zxid, "a failed write took no zxid")
        got = c.call(zk.GET_DATA, zk.watched(node("zxid")))
        got.body.buf()
        stat = got.body.stat()
        same((stat.czxid, stat.mzxid, stat.pzxid), (first.zxid,) * 3, "zxids of the new node")
        check(got.zxid >= again.zxid, "the zxid of a read went back")


@case
def stats():
    with Conn() as c:
        path = node("stat")
        begin = int(time.time() * 1000)
        got = c.call(zk.CREATE2, zk.create(path, b"12345"))
        same((got.err, got.body.string()), (0, path), "create2")
        stat = got.body.stat()
        same((stat.version, stat.cversion, stat.aversion, stat.owner, stat.length, stat.children),
             (0, 0, 0, 0, 5, 0), "fields of the new node")
        same(stat.ctime, stat.mtime, "times of the new node")
        check(abs(stat.ctime - begin) < 10000, "ctime %d, but the clock is %d", stat.ctime, begin)
        for n in range(3):
            made(c, "%s/%d" % (path, n))
        last = c.call(zk.DELETE, zk.versioned(path + "/1"))
        same((last.err, last.size), (0, 16), "delete")
        got = c.call(zk.SET_DATA, zk.set_data(path, None, 0))
        new = got.body.stat()
        # cversion is twice the number of creates less the number of children.
        same((new.version, new.cversion, new.length, new.children), (1, 4, 0, 2), "new fields")
        same((new.czxid, new.mzxid, new.pzxid), (stat.czxid, got.zxid, last.zxid), "new zxids")
        acl = c.call(zk.SET_ACL, zk.buf(path) + zk.acls(zk.WORLD_ALL) + zk.i32(0)).body.stat()
        same((acl.aversion, acl.version, acl.mzxid), (1, 1, new.mzxid), "fields after setACL")
        got = c.call(zk.EXISTS, zk.watched("/zookeeper/config"))
        stat = got.body.stat()
        same((stat.version, stat.aversion), (0, -1), "versions of /zookeeper/config")
        same(c.call(zk.EXISTS, zk.watched("")).err, 0, "the empty path is the root")


@case
def null_and_empty_data():
    with Conn() as c:
        for name, data in (("null", None), ("empty", b"")):
            path = node(name)
            made(c, path, data)
            same(c.call(zk.GET_DATA, zk.watched(path)).body.buf(), data, "data as created")
            same(c.call(zk.SET_DATA, zk.set_data(path, b"x")).err, 0, "setData")
            same(c.call(zk.SET_DATA, zk.set_data(path, data)).err, 0, "setData")
            same(c.call(zk.GET_DATA, zk.watched(path)).body.buf(), data, "data as set")


@case
def sequences_and_flags():
    with Conn() as c:
        path = node("seq")
        made(c, path)
        same(made(c, path + "/s-", flags=2), path + "/s-0000000000", "first name")
        made(c, path + "/plain")
        same(made(c, path + "/s-", flags=3), path + "/s-0000000002", "name after another create")
        same(c.call(zk.CREATE, zk.create(path + "/plain", b"")).err, -110, "create")
        same(made(c, path + "/", flags=2), path + "/0000000003", "name without prefix")
        same(c.call(zk.DELETE, zk.versioned(path + "/0000000003")).err, 0, "delete")
        same(made(c, path + "/s-", flags=2), path + "/s-0000000004", "name after a delete")
        got = c.call(zk.CREATE_CONTAINER, zk.create(path + "/box", b"", None, 4))
        same((got.err, got.body.string(), got.body.stat().owner), (0, path + "/box", 0),
             "container")
        same(got.body.left(), 0, "bytes left")
        same(made(c, path + "/flag4", flags=4), path + "/flag4", "flag 4 with opcode 1")
        got = c.call(zk.EXISTS, zk.watched(path + "/s-0000000002")).body.stat()
        same(got.owner, c.session, "owner of the ephemeral node")


@case
def access_control():
    with Conn() as owner, Conn() as other:
        owner.send(zk.request(-4, zk.AUTH, zk.i32(0) + zk.buf("digest") + zk.buf("ann:pw")))
        same(owner.reply().err, 0, "auth")
        mine, read = digest_id("ann", "pw"), [(1, "world", "anyone")]
        path = node("acl")
        made(owner, path, b"x", acl=[(31, "digest", mine)] + read + read)
        same(other.call(zk.GET_DATA, zk.watched(path)).err, 0, "getData")
        for op, body in ((zk.SET_DATA, zk.set_data(path, b"")),
                         (zk.CREATE, zk.create(path + "/x", b"")),
                         (zk.DELETE, zk.versioned(path + "/x")),
                         (zk.SET_ACL, zk.buf(path) + zk.acls(read) + zk.i32(-1))):
            got = other.call(op, body)
            same((got.err, got.size), (-102, 16), "op %d without permission" % op)
        got = other.call(zk.GET_ACL, zk.buf(path))
        same(got.body.acls(), [(31, "digest", "ann:x")] + read, "ACL without ADMIN")
        same(owner.call(zk.GET_ACL, zk.buf(path)).body.acls(), [(31, "digest", mine)] + read, "ACL")
        made(owner, path + "/secret", b"x", acl=[(31, "digest", mine)])
        same(other.call(zk.GET_DATA, zk.watched(path + "/secret")).err, -102, "getData")
        same(other.call(zk.GET_CHILDREN, zk.watched(path + "/secret")).err, -102, "getChildren")
        same(other.call(zk.GET_ACL, zk.buf(path + "/secret")).err, -102, "getACL")
        # 3.8.0 lets exists through without READ; 3.8.4 and 3.9.2 closed that hole.
        same(other.call(zk.EXISTS, zk.watched(path + "/secret")).err, 0 if LINE38 else -102,
             "exists without READ")
        got = owner.call(zk.WHO_AM_I)
        ids = sorted((got.body.string(), got.body.string()) for _ in range(got.body.i32()))
        same((ids[0], [i[0] for i in ids]), (("digest", "ann"), ["digest", "ip"]), "whoAmI")


# --- multi


END = zk.i32(-1) + b"\x01" + zk.i32(-1)


def result(kind, err=0):
    return zk.i32(kind) + b"\x00" + zk.i32(err)


@case
def multi_succeeds():
    with Conn() as c:
        path = node("multi")
        got = c.call(zk.MULTI, zk.multi(
            (zk.CREATE, zk.create(path, b"1")), (zk.CREATE2, zk.create(path + "/a", b"")),
            (zk.SET_DATA, zk.set_data(path, b"22", 0)), (zk.CHECK, zk.versioned(path, 1)),
            (zk.CREATE, zk.create(path + "/s", b"", None, 2)),
            (zk.DELETE, zk.versioned(path + "/a"))))
        same(got.err, 0, "err in the header")
        r = got.body
        same(r.take(9), result(zk.CREATE), "first result")
        same(r.string(), path, "path of the first result")
        # 3.8.0 answers create2 as a plain create; 3.9 with type 15 and a Stat.
        if LINE38:
            same((r.take(9), r.string()), (result(zk.CREATE), path + "/a"), "second result")
        else:
            same((r.take(9), r.string()), (result(zk.CREATE2), path + "/a"), "second result")
            same(r.stat().czxid, got.zxid, "czxid in the second result")
        same(r.take(9), result(zk.SET_DATA), "third result")
        stat = r.stat()
        same((stat.version, stat.length, stat.czxid, stat.mzxid), (1, 2, got.zxid, got.zxid),
             "Stat of the third result")
        same(r.take(9), result(zk.CHECK), "fourth result")
        same((r.take(9), r.string()), (result(zk.CREATE), path + "/s0000000001"), "fifth result")
        same(r.take(9), result(zk.DELETE), "sixth result")
        same((r.take(9), r.left()), (END, 0), "end of the reply")
        children = c.call(zk.GET_CHILDREN, zk.watched(path)).body.strings()
        same(children, ["s0000000001"], "children after the multi")


@case
def multi_fails():
    with Conn() as c:
        path = node("failed")
        made(c, path)
        before = c.call(zk.EXISTS, zk.watched(path)).body.data[16:]
        got = c.call(zk.MULTI, zk.multi(
            (zk.CREATE, zk.create(path + "/s", b"", None, 2)),
            (zk.SET_DATA, zk.set_data(path, b"", 5)),
            (zk.DELETE, zk.versioned(path)), (zk.CHECK, zk.versioned(path, 0))))
        body = b"".join(result(-1, e) + zk.i32(e) for e in (0, zk.BAD_VERSION, -2, -2)) + END
        same((got.err, got.body.data[16:]), (0, body), "header err and body")
        after = c.call(zk.EXISTS, zk.watched(path)).body.data[16:]
        same(after, before, "Stat of the parent after a failed multi")
        same(made(c, path + "/s", flags=2), path + "/s0000000000", "the number was given back")


@case
def multi_oddities():
    with Conn() as c:
        path = node("odd")
        first = c.call(zk.CREATE, zk.create(path, b"data"))
        got = c.call(zk.MULTI, zk.multi())
        same((got.err, got.body.data[16:]), (0, END), "empty multi")
        check(got.zxid > first.zxid, "an empty multi took no zxid")
        for op, body in ((zk.SET_ACL, zk.buf(path) + zk.acls(zk.WORLD_ALL) + zk.i32(-1)),
                         (zk.EXISTS, zk.watched(path)), (zk.GET_DATA, zk.watched(path))):
            got = c.call(zk.MULTI, zk.multi((op, body)))
            same((got.err, got.size), (-5, 16), "op %d in a multi" % op)
        got = c.call(zk.MULTI_READ, zk.multi(
            (zk.GET_DATA, zk.watched(path)), (zk.GET_DATA, zk.watched(path + "-missing")),
            (zk.GET_CHILDREN, zk.watched("/zookeeper"))))
        r = got.body
        same((got.err, r.take(9), r.buf()), (0, result(zk.GET_DATA), b"data"), "first result")
        same(r.stat().czxid, first.zxid, "czxid of the first result")
        same((r.take(9), r.i32()), (result(-1, -101), -101), "second result")
        same((r.take(9), sorted(r.strings())), (result(zk.GET_CHILDREN), ["config", "quota"]),
             "third result")
        same((r.take(9), r.left()), (END, 0), "end of the reply")


# --- watches


def event_zxid(zxid):
    """3.8 puts -1 into every event, 3.9 the zxid of the change."""
    return -1 if LINE38 else zxid


@case
def event_bytes_come_before_the_reply():
    with Conn() as c:
        path = node("event")
        same(c.call(zk.EXISTS, zk.watched(path, True)).err, -101, "exists")
        c.send(zk.request(50, zk.CREATE, zk.create(path, b"")))
        first, second = c.payload(), c.payload()
        zxid = struct.unpack(">q", second[4:12])[0]
        same(first, zk.i32(-1) + zk.i64(event_zxid(zxid)) + zk.i32(0) + zk.i32(zk.CREATED) +
             zk.i32(3) + zk.buf(path), "event")
        same(second, zk.i32(50) + zk.i64(zxid) + zk.i32(0) + zk.buf(path), "reply")


@case
def events_of_each_change():
    with Conn() as w, Conn() as c:
        path = node("changes")
        made(c, path)

        def expect(write, *events):
            same(write.err, 0, "the write")
            for kind, where in events:
                got = w.reply()
                same((got.xid, got.zxid, got.err), (-1, event_zxid(write.zxid), 0), "event header")
                same(got.event(), (kind, 3, where), "event")

        w.call(zk.GET_DATA, zk.watched(path, True))
        expect(c.call(zk.SET_DATA, zk.set_data(path, b"1")), (zk.CHANGED, path))
        expect(c.call(zk.SET_DATA, zk.set_data(path, b"2")))
        w.call(zk.GET_CHILDREN, zk.watched(path, True))
        expect(c.call(zk.CREATE, zk.create(path + "/a", b"")), (zk.CHILDREN, path))
        expect(c.call(zk.CREATE, zk.create(path + "/b", b"")))
        w.call(zk.GET_CHILDREN2, zk.watched(path, True))
        w.call(zk.EXISTS, zk.watched(path + "/a", True))
        w.call(zk.GET_CHILDREN, zk.watched(path + "/a", True))
        # A connection in both tables gets one NodeDeleted, and both watches are used up.
        expect(c.call(zk.DELETE, zk.versioned(path + "/a")),
               (zk.DELETED, path + "/a"), (zk.CHILDREN, path))
        expect(c.call(zk.CREATE, zk.create(path + "/a", b"")))
        w.call(zk.GET_CHILDREN, zk.watched(path + "/a", True))
        expect(c.call(zk.DELETE, zk.versioned(path + "/a")), (zk.DELETED, path + "/a"))
        # setACL and a failed write tell nobody; nor does a watch that failed to be set.
        w.call(zk.EXISTS, zk.watched(path, True))
        same(w.call(zk.GET_DATA, zk.watched(path + "/new", True)).err, -101, "getData")
        same(w.call(zk.GET_CHILDREN, zk.watched(path + "/new", True)).err, -101, "getChildren")
        same(c.call(zk.SET_DATA, zk.set_data(path, b"", 77)).err, -103, "setData")
        expect(c.call(zk.SET_ACL, zk.buf(path) + zk.acls(zk.WORLD_ALL) + zk.i32(-1)))
        expect(c.call(zk.CREATE, zk.create(path + "/new", b"")))
        same(w.call(zk.SYNC, zk.buf("/")).err, 0, "sync")
        same(w.take_events(), [], "events that nobody asked for")
        expect(c.call(zk.SET_DATA, zk.set_data(path, b"3")), (zk.CHANGED, path))


@case
def events_of_a_multi():
    with Conn() as c:
        path = node("multi-events")
        made(c, path)
        c.call(zk.EXISTS, zk.watched(path + "/a", True))
        c.call(zk.GET_DATA, zk.watched(path, True))
        c.call(zk.GET_CHILDREN, zk.watched(path, True))
        got = c.call(zk.MULTI, zk.multi(
            (zk.SET_DATA, zk.set_data(path, b"1")), (zk.CREATE, zk.create(path + "/a", b"")),
            (zk.SET_DATA, zk.set_data(path, b"2")), (zk.DELETE, zk.versioned(path + "/a"))))
        z = event_zxid(got.zxid)
        same(c.take_events(), [(z, zk.CHANGED, 3, path), (z, zk.CREATED, 3, path + "/a"),
                               (z, zk.CHILDREN, 3, path)], "events before the reply")


@case
def add_watch():
    with Conn() as w, Conn() as c:
        path = node("persistent")
        for mode, base in ((0, path), (1, path + "-r")):
            c.call(zk.CREATE, zk.create(base, b""))
            got = w.call(zk.ADD_WATCH, zk.buf(base) + zk.i32(mode))
            same((got.err, got.body.data[16:]), (0, zk.i32(0)), "answer to addWatch")
            for _ in range(2):
                c.call(zk.SET_DATA, zk.set_data(base, b"x"))
            c.call(zk.CREATE, zk.create(base + "/a", b""))
            c.call(zk.CREATE, zk.create(base + "/a/b", b""))
            c.call(zk.DELETE, zk.versioned(base + "/a/b"))
            c.call(zk.DELETE, zk.versioned(base + "/a"))
            c.call(zk.DELETE, zk.versioned(base))
            w.call(zk.SYNC, zk.buf("/"))
            got = [(e[1], e[3][len(base):]) for e in w.take_events()]
            if mode == 0:
                want = [(zk.CHANGED, "")] * 2 + [(zk.CHILDREN, "")] * 2 + [(zk.DELETED, "")]
            else:
                want = [(zk.CHANGED, "")] * 2 + [
                    (zk.CREATED, "/a"), (zk.CREATED, "/a/b"), (zk.DELETED, "/a/b"),
                    (zk.DELETED, "/a"), (zk.DELETED, "")]
            same(got, want, "events in mode %d" % mode)
            got = w.call(zk.REMOVE_WATCHES, zk.buf(base) + zk.i32(3))
            same((got.err, got.size), (0, 16), "removeWatches")
            got = w.call(zk.REMOVE_WATCHES, zk.buf(base) + zk.i32(3))
            same((got.err, got.size), (-121, 16), "removeWatches again")
            same(c.call(zk.CREATE, zk.create(base, b"")).err, 0, "create")
            w.call(zk.SYNC, zk.buf("/"))
            same(w.take_events(), [], "events after removal")


@case
def watch_modes_on_one_path():
    """One connection, one path: a standard, a persistent and a recursive watch."""
    if LINE38:
        raise Skip("in 3.8 the last mode replaces the others")
    with Conn() as w, Conn() as c:
        path = node("modes")
        made(c, path)
        for mode in (0, 1):
            same(w.call(zk.ADD_WATCH, zk.buf(path) + zk.i32(mode)).err, 0, "addWatch")
        w.call(zk.GET_DATA, zk.watched(path, True))

        def events(op, body):
            same(c.call(op, body).err, 0, "the write")
            w.call(zk.SYNC, zk.buf("/"))
            return [(e[1], e[3][len(path):]) for e in w.take_events()]

        # One event per trigger, however many watches it meets.
        same(events(zk.SET_DATA, zk.set_data(path, b"")), [(zk.CHANGED, "")], "setData")
        same(events(zk.CREATE, zk.create(path + "/a", b"")),
             [(zk.CREATED, "/a"), (zk.CHILDREN, "")], "create of a child")
        same(w.call(zk.REMOVE_WATCHES, zk.buf(path) + zk.i32(5)).err, 0, "removal of recursive")
        same(events(zk.DELETE, zk.versioned(path + "/a")), [(zk.CHILDREN, "")], "delete")
        same(w.call(zk.REMOVE_WATCHES, zk.buf(path) + zk.i32(4)).err, 0, "removal of persistent")
        same(events(zk.SET_DATA, zk.set_data(path, b"")), [], "setData with no watch left")


@case
def remove_watches():
    with Conn() as c:
        path = node("removed")
        made(c, path)

        def answer(op, kind):
            got = c.call(op, zk.buf(path) + zk.i32(kind))
            same(got.size, 16, "size of the reply")
            return got.err

        c.call(zk.GET_DATA, zk.watched(path, True))
        c.call(zk.GET_CHILDREN, zk.watched(path, True))
        same([answer(zk.CHECK_WATCHES, k) for k in (1, 2, 3)], [0, 0, 0], "checkWatches")
        same(answer(zk.REMOVE_WATCHES, 1), 0, "removal of the child watch")
        same([answer(zk.CHECK_WATCHES, k) for k in (1, 2, 3)], [-121, 0, 0], "checkWatches")
        same(answer(zk.REMOVE_WATCHES, 2), 0, "removal of the data watch")
        same([answer(zk.CHECK_WATCHES, k) for k in (1, 2, 3)], [-121] * 3, "checkWatches")
        same(c.call(zk.SET_DATA, zk.set_data(path, b"")).err, 0, "setData")
        same(c.take_events(), [], "events after removal")
        c.call(zk.ADD_WATCH, zk.buf(path) + zk.i32(0))
        # Types 4 and 5 came with 3.9.
        same([answer(zk.REMOVE_WATCHES, k) for k in (4, 4, 5)],
             [-5] * 3 if LINE38 else [0, -121, -121], "removal of the persistent watch")


@case
def set_watches_catches_up():
    with Conn() as c:
        for name in ("data", "child", "deleted", "same", "kid", "quiet"):
            made(c, node("sw-" + name))
        since = c.call(zk.EXISTS, zk.watched("/")).zxid
        c.call(zk.SET_DATA, zk.set_data(node("sw-data"), b"1"))
        c.call(zk.CREATE, zk.create(node("sw-child/x"), b""))
        c.call(zk.DELETE, zk.versioned(node("sw-deleted")))
        c.call(zk.CREATE, zk.create(node("sw-created"), b""))
        lists = [[node("sw-data"), node("sw-deleted"), node("sw-same")],
                 [node("sw-created"), node("sw-never")],
                 [node("sw-child"), node("sw-deleted"), node("sw-kid")]]
        want = [(zk.CHANGED, "sw-data"), (zk.DELETED, "sw-deleted"), (zk.CREATED, "sw-created"),
                (zk.CHILDREN, "sw-child"), (zk.DELETED, "sw-deleted")]
        for op, more in ((zk.SET_WATCHES, []), (zk.SET_WATCHES2, [[node("sw-quiet")], [ROOT]])):
            with Conn() as w:
                w.send(zk.request(-8, op, zk.set_watches(since, *lists, *more)))
                got = w.answer(-8)
                same((got.err, got.size), (0, 16), "answer to op %d" % op)
                same(w.take_events(), [(-1, k, 3, node(n)) for k, n in want],
                     "events before the answer to op %d" % op)
                # What had not changed is watched now.
                c.call(zk.SET_DATA, zk.set_data(node("sw-same"), b"1"))
                c.call(zk.CREATE, zk.create(node("sw-never"), b""))
                c.call(zk.CREATE, zk.create(node("sw-kid/x"), b""))
                c.call(zk.SET_DATA, zk.set_data(node("sw-quiet"), b"1"))
                w.call(zk.SYNC, zk.buf("/"))
                got = [(e[1], e[3]) for e in w.take_events()]
                later = [(zk.CHANGED, node("sw-same")), (zk.CREATED, node("sw-never"))]
                if more:
                    later.append((zk.CREATED, node("sw-kid/x")))
                later.append((zk.CHILDREN, node("sw-kid")))
                if more:
                    later.append((zk.CHANGED, node("sw-quiet")))
                same(got, later, "later events with op %d" % op)
            for name in ("sw-never", "sw-kid/x"):
                c.call(zk.DELETE, zk.versioned(node(name)))
            # Put both nodes behind the zxid from which the second round starts.
            since_now = c.call(zk.EXISTS, zk.watched("/")).zxid
            c.call(zk.SET_DATA, zk.set_data(node("sw-data"), b"2"))
            c.call(zk.DELETE, zk.versioned(node("sw-child/x")))
            since = since_now


@case
def events_are_not_told_without_read():
    """Who may not read a node is not told of its creation or change."""
    with Conn() as w, Conn() as c:
        path = node("filtered")
        w.call(zk.EXISTS, zk.watched(path, True))
        secret = [(31, "digest", digest_id("eve", "pw"))]
        same(c.call(zk.CREATE, zk.create(path, b"", secret)).err, 0, "create")
        w.call(zk.SYNC, zk.buf("/"))
        same(w.take_events(), [], "events")


@case
def watches_end_with_the_connection():
    with Conn() as c:
        path = node("watch-gone")
        made(c, path)
        with Conn() as w:
            w.call(zk.GET_DATA, zk.watched(path, True))
            with Conn(session=w.session, password=w.password) as again:
                same(c.call(zk.SET_DATA, zk.set_data(path, b"1")).err, 0, "setData")
                again.call(zk.SYNC, zk.buf("/"))
                same(again.take_events(), [], "events on the new connection")


# --- the end


@case
def silent_connection_is_closed():
    until(lambda: IDLE.seconds is not None, "the connection without ConnectRequest ended", 25)
    same(IDLE.data, b"", "bytes on the connection without ConnectRequest")
    check(9 < IDLE.seconds < 25, "it was closed after %.1f s", IDLE.seconds)


IDLE = Idle()
begin()
sys.exit(run())
