# SPDX-License-Identifier: Apache-2.0
"""Requests as values, and replies taken apart into named fields with their place in the frame."""

import base64
import hashlib
import os
import struct
import sys
from collections import namedtuple

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import zkwire as zk  # pylint: disable=wrong-import-position

GET_EPHEMERALS, GET_ALL_CHILDREN_NUMBER, RECONFIG, SASL, CREATE_SESSION = 103, 104, 16, 102, -10

OP_NAMES = {
    1: "create", 2: "delete", 3: "exists", 4: "getData", 5: "setData", 6: "getACL", 7: "setACL",
    8: "getChildren", 9: "sync", 11: "ping", 12: "getChildren2", 13: "check", 14: "multi",
    15: "create2", 16: "reconfig", 17: "checkWatches", 18: "removeWatches",
    19: "createContainer", 20: "deleteContainer", 21: "createTTL", 22: "multiRead", 100: "auth",
    101: "setWatches", 102: "sasl", 103: "getEphemerals", 104: "getAllChildrenNumber",
    105: "setWatches2", 106: "addWatch", 107: "whoAmI", -10: "createSession", -11: "closeSession",
}

WRITES = {1, 2, 5, 7, 14, 15, 16, 19, 20, 21, -11}

# op, encoded body, text for people, xid (None: the connection's next one), sub-operations of a
# multi as (op, body). whole: encoded bytes that are sent as they are instead.
Req = namedtuple("Req", "op body text xid subs whole", defaults=(None, (), None))


def op_name(op):
    return OP_NAMES.get(op, "op%d" % op)


def show(value, limit=60):
    text = repr(value)
    return text if len(text) <= limit else "%s...(%d)" % (text[:limit - 12], len(value))


def show_acl(acl):
    if acl is None or acl == zk.WORLD_ALL:
        return ""
    return " acl=%r" % (acl,)


# --- requests


def create(path, data=b"", acl=None, flags=0, op=zk.CREATE, null_acl=False):
    body = zk.buf(path) + zk.buf(data)
    body += zk.i32(-1) if null_acl else zk.acls(zk.WORLD_ALL if acl is None else acl)
    body += zk.i32(flags)
    return Req(op, body, "%s %s data=%s flags=%d%s%s" % (
        op_name(op), show(path), show(data), flags, show_acl(acl), " acl=null" * null_acl))


def create2(path, data=b"", acl=None, flags=0):
    return create(path, data, acl, flags, zk.CREATE2)


def container(path, data=b"", acl=None, flags=4):
    return create(path, data, acl, flags, zk.CREATE_CONTAINER)


def ttl(path, milliseconds, data=b"", acl=None, flags=5):
    req = create(path, data, acl, flags, zk.CREATE_TTL)
    return req._replace(body=req.body + zk.i64(milliseconds),
                        text="%s ttl=%d" % (req.text, milliseconds))


def delete(path, version=-1):
    return Req(zk.DELETE, zk.versioned(path, version), "delete %s v%d" % (show(path), version))


def check(path, version=-1):
    return Req(zk.CHECK, zk.versioned(path, version), "check %s v%d" % (show(path), version))


def set_data(path, data=b"", version=-1):
    return Req(zk.SET_DATA, zk.set_data(path, data, version),
               "setData %s %s v%d" % (show(path), show(data), version))


def get_acl(path):
    return Req(zk.GET_ACL, zk.buf(path), "getACL %s" % show(path))


def set_acl(path, acl, version=-1):
    return Req(zk.SET_ACL, zk.buf(path) + zk.acls(acl) + zk.i32(version),
               "setACL %s v%d acl=%r" % (show(path), version, acl))


def _watched(op, path, watch):
    return Req(op, zk.watched(path, watch),
               "%s %s%s" % (op_name(op), show(path), " watch" * bool(watch)))


def exists(path, watch=False):
    return _watched(zk.EXISTS, path, watch)


def get_data(path, watch=False):
    return _watched(zk.GET_DATA, path, watch)


def get_children(path, watch=False):
    return _watched(zk.GET_CHILDREN, path, watch)


def get_children2(path, watch=False):
    return _watched(zk.GET_CHILDREN2, path, watch)


def sync(path="/"):
    return Req(zk.SYNC, zk.buf(path), "sync %s" % show(path))


def ping():
    return Req(zk.PING, b"", "ping")


def close():
    return Req(zk.CLOSE, b"", "closeSession")


def who_am_i():
    return Req(zk.WHO_AM_I, b"", "whoAmI")


def get_ephemerals(prefix):
    return Req(GET_EPHEMERALS, zk.buf(prefix), "getEphemerals %s" % show(prefix))


def get_all_children_number(path):
    return Req(GET_ALL_CHILDREN_NUMBER, zk.buf(path), "getAllChildrenNumber %s" % show(path))


def auth(scheme, data, xid=-4, kind=0):
    return Req(zk.AUTH, zk.i32(kind) + zk.buf(scheme) + zk.buf(data),
               "auth %s %s" % (scheme, show(data)), xid)


def add_watch(path, mode):
    return Req(zk.ADD_WATCH, zk.buf(path) + zk.i32(mode), "addWatch %s mode=%d" % (show(path), mode))


def check_watches(path, kind):
    return Req(zk.CHECK_WATCHES, zk.buf(path) + zk.i32(kind),
               "checkWatches %s type=%d" % (show(path), kind))


def remove_watches(path, kind):
    return Req(zk.REMOVE_WATCHES, zk.buf(path) + zk.i32(kind),
               "removeWatches %s type=%d" % (show(path), kind))


def set_watches(zxid, *lists):
    """Three lists make a setWatches, five a setWatches2."""
    op = zk.SET_WATCHES2 if len(lists) == 5 else zk.SET_WATCHES
    return Req(op, zk.set_watches(zxid, *lists), "%s %r" % (op_name(op), lists), -8)


def _several(op, subs):
    return Req(op, zk.multi(*[(s.op, s.body) for s in subs]),
               "%s[%s]" % (op_name(op), "; ".join(s.text for s in subs)), None,
               tuple((s.op, s.body) for s in subs))


def multi(*subs):
    return _several(zk.MULTI, subs)


def multi_read(*subs):
    return _several(zk.MULTI_READ, subs)


def raw(op, body=b"", text=None, xid=None):
    return Req(op, body, text or "%s body=%s" % (op_name(op), show(body.hex())), xid)


def digest_id(user, password):
    """The stored id of a digest identity."""
    sha = hashlib.sha1(("%s:%s" % (user, password)).encode()).digest()
    return "%s:%s" % (user, base64.b64encode(sha).decode())


def java_password(session):
    """The 16 bytes that java.util.Random gives for this session id."""
    state = ((session & (2**64 - 1)) ^ 0xB3415C00 ^ 0x5DEECE66D) & (2**48 - 1)
    out = b""
    for _ in range(4):
        state = (state * 0x5DEECE66D + 0xB) & (2**48 - 1)
        out += struct.pack("<I", (state >> 16) & 0xFFFFFFFF)
    return out


def parses(op, body):
    """Can the record of a write be read? Lengths below -1 cannot, nor can what ends too early."""
    r = zk.Reader(body)

    def buf():
        size = r.i32()
        if size < -1:
            raise ValueError("length")
        r.take(max(size, 0))

    def acls():
        for _ in range(max(r.i32(), 0)):
            r.i32()
            buf()
            buf()
    try:
        if op in (zk.CREATE, zk.CREATE2, zk.CREATE_CONTAINER, zk.CREATE_TTL):
            buf()
            buf()
            acls()
            r.i32()
            if op == zk.CREATE_TTL:
                r.i64()
        elif op == zk.DELETE:
            buf()
            r.i32()
        elif op == zk.SET_DATA:
            buf()
            buf()
            r.i32()
        elif op == zk.SET_ACL:
            buf()
            acls()
            r.i32()
        elif op == RECONFIG:
            buf()
            buf()
            buf()
            r.i64()
    except (ValueError, struct.error):
        return False
    return True


def java_sequence(p, at):
    """(length, is it a character?) of the sequence at p[at], as Java's decoder cuts it."""
    a = p[at]
    want = 1 if a < 0x80 else 2 if 0xc2 <= a <= 0xdf else 3 if 0xe0 <= a <= 0xef else \
        4 if 0xf0 <= a <= 0xf4 else 0
    if want < 2:
        return 1, want == 1
    rest = p[at + 1:at + want]
    low = {0xe0: 0xa0, 0xf0: 0x90}.get(a, 0x80)
    high = 0x8f if a == 0xf4 else 0xbf
    if not rest or not low <= rest[0] <= high:
        return 1, False
    for n in range(1, want - 1):
        if n >= len(rest) or not 0x80 <= rest[n] <= 0xbf:
            return n + 1, False
    return want, not (a == 0xed and rest[0] >= 0xa0)


def java_echo(path):
    """What comes back when Java reads a string and writes it: each malformed sequence becomes
    U+FFFD, and what is outside the BMP becomes two surrogates of three bytes each."""
    out, at = b"", 0
    while at < len(path):
        size, good = java_sequence(path, at)
        c = path[at:at + size].decode() if good else "\ufffd"
        units = struct.unpack(">%dH" % (len(c.encode("utf-16-be")) // 2), c.encode("utf-16-be"))
        out += b"".join(chr(u).encode("utf-8", "surrogatepass") for u in units)
        at += size
    return out


# --- replies

# kind: "v" plain, "zxid", "time" (of the zxid in the field before it named by `of`), "sid",
# "password", "event zxid". at and size: where the field lies in the payload.
Field = namedtuple("Field", "name kind value at size")


class Parts:
    """Takes fields off a payload and remembers where each was."""

    def __init__(self, payload):
        self.r = zk.Reader(payload)
        self.out = []

    def add(self, name, kind, get):
        at = self.r.at
        value = get()
        self.out.append(Field(name, kind, value, at, self.r.at - at))
        return value

    def i32(self, name, kind="v"):
        return self.add(name, kind, self.r.i32)

    def i64(self, name, kind="v"):
        return self.add(name, kind, self.r.i64)

    def buf(self, name, kind="v"):
        return self.add(name, kind, self.r.buf)

    def stat(self, name="stat"):
        self.i64(name + ".czxid", "zxid")
        self.i64(name + ".mzxid", "zxid")
        self.i64(name + ".ctime", "ctime")
        self.i64(name + ".mtime", "mtime")
        for part in ("version", "cversion", "aversion"):
            self.i32(name + "." + part)
        self.i64(name + ".owner", "sid")
        self.i32(name + ".length")
        self.i32(name + ".children")
        self.i64(name + ".pzxid", "zxid")

    def vector(self, name, item):
        count = self.i32(name + ".count")
        for n in range(min(max(count, 0), 1 << 20)):
            item("%s[%d]" % (name, n))

    def names(self, name):
        """Children come in no defined order (semantics.md section 5)."""
        at = self.r.at
        count = self.r.i32()
        got = sorted(self.r.buf() or b"<null>" for _ in range(max(count, 0)))
        self.out.append(Field(name, "v", (count, got), at, self.r.at - at))

    def acls(self, name):
        def one(label):
            self.i32(label + ".perms")
            self.buf(label + ".scheme")
            self.buf(label + ".id")
        self.vector(name, one)

    def ids(self, name):
        """The identities of a connection are a set."""
        at = self.r.at
        count = self.r.i32()
        got = sorted((self.r.buf() or b"", self.r.buf() or b"") for _ in range(max(count, 0)))
        self.out.append(Field(name, "v", (count, got), at, self.r.at - at))

    def results(self):
        for n in range(1 << 16):
            label = "result%d" % n
            kind = self.i32(label + ".type")
            done = self.add(label + ".done", "v", self.r.boolean)
            self.i32(label + ".err")
            if done:
                return
            if kind == -1:
                self.i32(label + ".code")
            elif kind == zk.CREATE:
                self.buf(label + ".path")
            elif kind == zk.CREATE2:
                self.buf(label + ".path")
                self.stat(label + ".stat")
            elif kind == zk.SET_DATA:
                self.stat(label + ".stat")
            elif kind == zk.GET_CHILDREN:
                self.names(label + ".names")
            elif kind == zk.GET_DATA:
                self.buf(label + ".data")
                self.stat(label + ".stat")

    def body(self, op, err):
        if op == zk.MULTI_READ and (err == 0 or self.r.left()):
            self.results()
            return
        if err != 0:
            return
        if op in (zk.CREATE, zk.CREATE2, zk.CREATE_CONTAINER, zk.CREATE_TTL, zk.SYNC):
            self.buf("path")
            if op not in (zk.CREATE, zk.SYNC):
                self.stat()
        elif op in (zk.EXISTS, zk.SET_DATA, zk.SET_ACL):
            self.stat()
        elif op in (zk.GET_DATA, RECONFIG):
            self.buf("data")
            self.stat()
        elif op == zk.GET_ACL:
            self.acls("acl")
            self.stat()
        elif op in (zk.GET_CHILDREN, zk.GET_CHILDREN2, GET_EPHEMERALS):
            self.names("names")
            if op == zk.GET_CHILDREN2:
                self.stat()
        elif op in (GET_ALL_CHILDREN_NUMBER, zk.ADD_WATCH):
            self.i32("value")
        elif op == zk.WHO_AM_I:
            self.ids("ids")
        elif op == zk.MULTI:
            self.results()
        elif op == SASL:
            self.buf("token")


def take_apart(payload, op):
    """The fields of one frame from the server; op is the request's, "connect" for the first."""
    p = Parts(payload)
    try:
        if op == "connect":
            p.i32("protocol")
            p.i32("timeout")
            p.i64("session", "sid")
            p.buf("password", "password")
            if p.r.left():
                p.add("readOnly", "v", p.r.boolean)
        else:
            xid = p.i32("xid")
            event = xid == -1
            p.i64("zxid", "event zxid" if event else "zxid")
            err = p.i32("err")
            if event:
                p.i32("type")
                p.i32("state")
                p.buf("path")
            else:
                p.body(op, err)
    except (ValueError, struct.error) as problem:
        p.out.append(Field("malformed", "v", str(problem), p.r.at, 0))
    if p.r.left():
        at = p.r.at
        p.out.append(Field("left over", "v", p.r.take(p.r.left()), at, len(payload) - at))
    return p.out
