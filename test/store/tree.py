#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A tree of all kinds of nodes in a live server, and what the server says of it.

    tree.py make               make the tree; one session is left behind with its ephemerals
    tree.py dump               one JSON line per node: path, data, stat fields, ACL
    tree.py stored             the same from the lines of `zokorctl snapshot dump --json` (stdin)
"""

import base64
import hashlib
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../clients/lib"))
from zkwire import (AUTH, CHECK, CLOSE, CREATE, CREATE2, CREATE_CONTAINER, CREATE_TTL, DELETE,
                    GET_ACL, GET_CHILDREN, GET_DATA, MULTI, SET_ACL, SET_DATA, Conn, acls, buf,
                    create, i32, i64, multi, set_data, versioned, watched)

USER = "carol:opensesame"
DIGEST = "carol:" + base64.b64encode(hashlib.sha1(USER.encode()).digest()).decode()
EPHEMERAL, SEQUENTIAL = 1, 2
TIMEOUT = 40000


def must(reply, err=0):
    if reply.err != err:
        raise SystemExit("answer %d instead of %d" % (reply.err, err))
    return reply


def login(**kwargs):
    c = Conn(timeout=20.0, **kwargs)
    c.send(b"".join([i32(4 + 4 + 4 + 4 + 6 + 4 + len(USER)), i32(-4), i32(AUTH), i32(0),
                     buf("digest"), buf(USER)]))
    if c.reply().err != 0:
        raise SystemExit("addauth failed")
    return c


def plain_nodes(c):
    def add(path, data, acl=None, flags=0, op=CREATE):
        return must(c.call(op, create(path, data, acl, flags)))

    add("/t", b"top")
    add("/t/null", None)
    add("/t/empty", b"", op=CREATE2)
    add("/t/big", bytes(range(256)) * 4000, op=CREATE2)
    add("/t/\u00fcml\u00e4ut", "\u65e5\u672c\u8a9e".encode())
    add("/t/\u65e5\u672c", b"x")
    add("/t/many", b"")
    for i in range(150):
        add("/t/many/n", b"%d" % i, flags=SEQUENTIAL)
    for i in range(0, 150, 3):
        must(c.call(DELETE, versioned("/t/many/n%010d" % i)))
    for i in range(5):
        must(c.call(SET_DATA, set_data("/t/null", b"v%d" % i)))
    must(c.call(SET_DATA, set_data("/t/empty", None)))
    must(c.call(CREATE_CONTAINER, create("/t/container", b"c", flags=4)))
    add("/t/container/kid", b"k")
    must(c.call(CREATE_TTL, create("/t/ttl", b"t", flags=5) + i64(36000000)))
    must(c.call(CREATE_TTL, create("/t/ttl-seq", b"t", flags=6) + i64(3600000)))
    add("/zookeeper/quota/t", b"")
    add("/zookeeper/quota/t/zookeeper_limits", b"count=1000,bytes=10000000")
    add("/zookeeper/quota/t/zookeeper_stats", b"count=0,bytes=0")
    add("/t/counted", b"after the quota")


def guarded_nodes(c):
    def add(path, acl):
        must(c.call(CREATE, create(path, b"secret", acl)))

    add("/t/mine", [(31, "digest", DIGEST)])
    add("/t/auth", [(31, "auth", "")])
    add("/t/two", [(31, "digest", DIGEST), (1, "ip", "127.0.0.0/8")])
    add("/t/read", [(1, "world", "anyone"), (31, "digest", DIGEST)])
    add("/t/read2", [(1, "world", "anyone"), (31, "digest", DIGEST)])
    must(c.call(SET_ACL, buf("/t/read2") + acls([(31, "world", "anyone")]) + i32(0)))
    must(c.call(SET_ACL, buf("/t/two") + acls([(31, "digest", DIGEST)]) + i32(-1)))
    must(c.call(SET_ACL, buf("/t/two") + acls([(19, "digest", DIGEST)]) + i32(1)))


def other_transactions(c):
    must(c.call(CREATE, create("/t", b"again")), -110)
    must(c.call(MULTI, multi((CHECK, versioned("/t", 0)), (CREATE, create("/t/m", b"1")),
                             (CREATE2, create("/t/m/a", b"2")),
                             (SET_DATA, set_data("/t/m", b"3")),
                             (CREATE, create("/t/gone", b"")),
                             (DELETE, versioned("/t/gone")))))
    c.call(MULTI, multi((CREATE, create("/t/never", b"")), (DELETE, versioned("/t/nothing")),
                        (CREATE, create("/t/never2", b""))))


def make():
    c = login()
    plain_nodes(c)
    guarded_nodes(c)
    other_transactions(c)
    # A session that ends takes its ephemerals along; one that only breaks off does not.
    with Conn() as ended:
        for name in "cab":
            must(ended.call(CREATE, create("/t/short-" + name, b"e", flags=EPHEMERAL)))
        must(ended.call(CLOSE))
    kept = login()
    for i in range(3):
        must(kept.call(CREATE2, create("/t/eph", b"e", flags=EPHEMERAL | SEQUENTIAL)))
    must(kept.call(CREATE, create("/t/live", b"e", [(31, "auth", "")], EPHEMERAL)))
    kept.sock.close()
    c.sock.close()


def dump():
    c = login()
    todo = ["/"]
    while todo:
        path = todo.pop()
        got = must(c.call(GET_DATA, watched(path)))
        data = got.body.buf()
        st = got.body.stat()
        got = must(c.call(GET_ACL, buf(path)))
        acl = got.body.acls()
        kids = must(c.call(GET_CHILDREN, watched(path))).body.strings()
        todo += [path.rstrip("/") + "/" + k for k in kids]
        print(json.dumps([path, None if data is None else base64.b64encode(data).decode(), acl,
                          st.czxid, st.mzxid, st.pzxid, st.ctime, st.mtime, st.version,
                          st.cversion, st.aversion, st.owner, st.length, st.children]))
    must(c.call(CLOSE))


def stored():
    nodes, kids = [], {}
    for line in sys.stdin:
        n = json.loads(line)
        if "path" not in n:
            continue
        nodes.append(n)
        if n["path"] != "/":
            parent = n["path"].rsplit("/", 1)[0] or "/"
            kids[parent] = kids.get(parent, 0) + 1
    for n in nodes:
        children = kids.get(n["path"], 0)
        owner = n["ephemeralOwner"]
        if owner == -(1 << 63) or (owner >> 56) & 0xff == 0xff:
            owner = 0
        length = 0 if n["data"] is None else len(base64.b64decode(n["data"]))
        print(json.dumps([n["path"], n["data"], [[a["perms"], a["scheme"], a["id"]]
                                                 for a in n["acl"]],
                          n["czxid"], n["mzxid"], n["pzxid"], n["ctime"], n["mtime"],
                          n["version"], 2 * n["cversion"] - children, n["aversion"], owner, length,
                          children]))


if __name__ == "__main__":
    {"make": make, "dump": dump, "stored": stored}[sys.argv[1]]()
