# SPDX-License-Identifier: Apache-2.0
"""Nodes: create, delete, setData, exists and the others, with every Stat on the way."""

import wire as w
import zkwire as zk
from book import case, table

ABSENT_KINDS = (w.delete, w.exists, w.get_data, w.get_children, w.get_children2, w.get_acl,
                w.set_data, w.sync)


def look(c, *paths):
    """All that can be read of these nodes."""
    for path in paths:
        c(w.get_data(path), w.get_children2(path), w.get_acl(path))


# --- creation: flags, opcodes, data

OPS = {"create": zk.CREATE, "create2": zk.CREATE2, "container": zk.CREATE_CONTAINER}


@table([("%s-flags-%d" % (name, flags), op, flags) for name, op in OPS.items()
        for flags in (-1, 0, 1, 2, 3, 4, 5, 6, 7, 255, -2**31, 2**31 - 1)])
def create_flags(run, op, flags):
    c = run.conn()
    c(w.create(run.root))
    c(w.create(run.p("n"), b"data", None, flags, op))
    c(w.create(run.p("n"), b"again", None, flags, op))
    look(c, run.root, run.p("n"), run.p("n0000000000"))
    c(w.create(run.p("n", "kid")), w.create(run.p("n0000000000", "kid")))
    look(c, run.root, run.p("n"), run.p("n0000000000"))
    c(w.delete(run.p("n")), w.delete(run.p("n", "kid")), w.delete(run.p("n")))
    look(c, run.root)


# Not here: op 21 with a flag that is not TTL and ttl -1. Apache 3.8 and 3.9 take it, write it to
# their log, fail to apply it and end the server for good; zokor answers -8.
@table([("flags-%d-ttl-%d" % (flags, ms), flags, ms) for flags in (0, 1, 2, 4, 5, 6, 9)
        for ms in (-1, 0, 1000) if ms >= 0 or flags in (5, 6, 9)])
def create_ttl_disabled(run, flags, ms):
    """extendedTypesEnabled is false: -6, and the connection stays."""
    c = run.conn()
    c(w.create(run.root), w.ttl(run.p("n"), ms, b"x", None, flags))
    look(c, run.root, run.p("n"))
    c(w.multi(w.create(run.p("a")), w.ttl(run.p("b"), ms, b"x", None, flags if flags < 7 else 5)))
    look(c, run.root)


DATA = (("null", None), ("empty", b""), ("byte", b"\0"), ("text", "žluťoučký".encode()),
        ("bad-utf8", b"\xff\xfe\xc0\x80"), ("1k", b"k" * 1024), ("1025", b"k" * 1025),
        ("64k", bytes(range(256)) * 256), ("1m", b"m" * 1000000))


@table(DATA)
def data_of(run, data):
    c = run.conn()
    c(w.create(run.root), w.create(run.p("a"), data), w.create2(run.p("b"), data))
    c(w.create(run.p("c"), data, None, 2), w.set_data(run.p("a"), b"other"))
    c(w.get_data(run.p("a")), w.set_data(run.p("a"), data), w.get_data(run.p("a")))
    c(w.get_data(run.p("b")), w.exists(run.p("b")), w.get_children2(run.p("b")))
    c(w.multi_read(w.get_data(run.p("a")), w.get_data(run.p("b"))))
    c(w.multi(w.set_data(run.p("b"), data, 0), w.create2(run.p("d"), None)))
    look(c, run.p("b"), run.p("d"))


@table([(name, n) for n, name in enumerate(("delete", "exists", "getData", "getChildren",
                                            "getChildren2", "getACL", "setData", "sync"))])
def on_a_missing_node(run, kind):
    c = run.conn()
    make = ABSENT_KINDS[kind]
    c(w.create(run.root))
    c(make(run.p("no")), make(run.p("no", "deeper")), make(run.root + "x"))
    c(make(run.root), make(run.root))
    c(w.create(run.root))
    look(c, run.root)


@table([(name, n) for n, name in enumerate(("delete", "exists", "getData", "getChildren",
                                            "getChildren2", "getACL", "setData", "sync"))])
def on_odd_paths(run, kind):
    """Reads and delete take a path as it is; others hold it to the rules."""
    c = run.conn()
    make = ABSENT_KINDS[kind]
    c(w.create(run.root), w.create(run.p("a"), b"1"))
    for path in (None, "a", "//", run.root + "/", run.root + "//a", run.p("a", ""), "/.", "/..",
                 run.p(".."), run.p("a", "..", "a"), run.root[1:], run.p("a\0"), run.p("\0"),
                 run.p("a\0b"), run.p("\x01"), run.p("\x7f"), run.p("\ufffd"), run.p("\ue000"),
                 run.root.encode() + b"/\xff", run.root.encode() + b"/\xf0\x9f\x98\x80", " ",
                 "/zookeeper/", "\0"):
        c(make(path))
    look(c, run.root)


@case
def reads_of_the_root(run):
    """The root is found by "" too."""
    c = run.conn()
    for path in ("", "/"):
        c(w.exists(path), w.get_data(path), w.get_acl(path), w.get_children(path))
        c(w.get_children2(path))
    c(w.create("/"), w.create(""), w.create(None), w.create("/", b"", None, 1))
    c(w.set_data(""), w.delete(""), w.delete("/"), w.create2("/"), w.create("/", b"", None, 4))


@case
def predefined_nodes(run):
    c = run.conn()
    for path in ("/zookeeper", "/zookeeper/quota", "/zookeeper/config"):
        c(w.exists(path), w.get_data(path), w.get_acl(path), w.get_children2(path))
        c(w.delete(path), w.delete(path, 3), w.create(path), w.check_watches(path, 3))
    c(w.delete("/"), w.create("/"), w.delete("/zookeeper/none"), w.delete("zookeeper"))
    c(w.set_data("/zookeeper/config", b"x"), w.set_acl("/zookeeper/config", zk.WORLD_ALL))
    c(w.create("/zookeeper/config/x"), w.delete("/zookeeper/config/x"))
    c(w.multi(w.delete("/zookeeper")), w.multi(w.check("/zookeeper/config", -1)),
      w.multi(w.check("/zookeeper/config", 0)), w.multi(w.check("/")))


@case
def nodes_under_zookeeper(run):
    """Ordinary nodes there are allowed."""
    c = run.conn()
    path = "/zookeeper/" + run.name
    c(w.create(path, b"1"), w.get_data(path), w.create(path + "/kid", b"2"), w.exists(path))
    c(w.delete(path), w.delete(path + "/kid"), w.delete(path), w.exists(path))


# --- versions


@table([(str(v), v) for v in (-1, 0, 1, 2, 3, -2, -2**31, 2**31 - 1)])
def version_given(run, version):
    c = run.conn()
    c(w.create(run.root), w.create(run.p("a"), b"0"), w.set_data(run.p("a"), b"1"),
      w.set_data(run.p("a"), b"2"), w.set_acl(run.p("a"), zk.WORLD_ALL))
    c(w.multi(w.check(run.p("a"), version)), w.set_acl(run.p("a"), zk.WORLD_ALL, version))
    c(w.set_data(run.p("a"), b"x", version), w.get_data(run.p("a")))
    c(w.delete(run.p("a"), version), w.exists(run.p("a")), w.exists(run.root))
    c(w.delete(run.p("a"), 3), w.exists(run.p("a")))


@case
def delete_order_of_checks(run):
    c = run.conn()
    c(w.create(run.root), w.create(run.p("a")), w.create(run.p("a", "b")))
    c(w.delete(run.p("a"), 5), w.delete(run.p("a"), 0), w.delete(run.p("x", "y"), 0))
    c(w.delete(run.p("a", "b"), 1), w.delete(run.p("a", "b"), 0), w.delete(run.p("a"), 1))
    look(c, run.p("a"), run.root)


# --- sequences


@case
def sequence_counts_creations(run):
    c = run.conn()
    c(w.create(run.root))
    c(w.create(run.p("s-"), b"", None, 2), w.create(run.p("plain")), w.delete(run.p("plain")))
    c(w.create(run.p("s-"), b"", None, 3), w.create(run.p("plain")), w.create(run.p("plain")))
    c(w.create(run.p("s-"), b"", None, 2), w.create(run.p("other-"), b"", None, 2))
    c(w.create(run.p("bad", "x"), b"", None, 2), w.create(run.root + "/", b"", None, 2))
    c(w.create(run.root + "/", b""), w.create(run.root, b"", None, 2))
    c(w.create2(run.p("s-"), b"", None, 2), w.container(run.p("s-"), b"", None, 2))
    c(w.create(run.p("sp ace "), b"", None, 2), w.create(run.p("."), b"", None, 2))
    c(w.create(run.p(".."), b"", None, 3), w.create(run.p("\x01"), b"", None, 2))
    c(w.multi(w.create(run.p("m-"), b"", None, 2), w.create(run.p("m-"), b"", None, 2),
              w.create(run.p("s-0000000000"))))
    c(w.create(run.p("s-"), b"", None, 2))
    c(w.multi(w.create(run.p("m-"), b"", None, 2), w.create(run.p("m-"), b"", None, 3),
              w.delete(run.p("s-0000000000"))))
    c(w.create(run.p("s-"), b"", None, 2))
    look(c, run.root)
    c.many([w.create(run.p("p-"), b"", None, 2) for _ in range(50)])
    look(c, run.root)


@case
def sequence_under_the_root(run):
    c = run.conn()
    c(w.create("/zookeeper/" + run.name + "-", b"", None, 3))
    c(w.create("/zookeeper/quota/" + run.name + "-", b"", None, 3))


# --- stat fields


@case
def stat_after_each_change(run):
    c = run.conn()
    a, kid = run.p("a"), run.p("a", "kid")
    steps = (w.create2(run.root), w.create2(a, b"12345"), w.set_data(a, b"1234567"),
             w.set_data(a, None), w.set_acl(a, zk.WORLD_ALL), w.create(kid), w.set_data(kid, b"x"),
             w.set_acl(kid, zk.WORLD_ALL), w.create(kid), w.delete(kid, 9), w.delete(kid),
             w.delete(kid), w.create(kid, b"", None, 1), w.create(kid + "/x"), w.delete(kid),
             w.create(kid, b"", None, 2), w.container(run.p("a", "box")),
             w.create(run.p("a", "box", "x")), w.delete(run.p("a", "box", "x")),
             w.multi(w.create(kid), w.delete(kid)), w.multi(w.create(kid), w.delete(kid, 3)),
             w.multi(w.set_data(a, b"1"), w.set_data(a, b"22"), w.create(kid)),
             w.multi(), w.multi(w.check(a, -1)), w.set_data(a, b"", 1), w.set_data(a, b"", 4))
    for step in steps:
        c(step)
        c(w.exists(run.root), w.exists(a), w.exists(kid))
        look(c, a)


@case
def deleted_and_made_again(run):
    c = run.conn()
    c(w.create(run.root))
    for n in range(5):
        c(w.create2(run.p("a"), b"%d" % n, None, n % 2), w.set_data(run.p("a"), b"x" * n))
        c(w.set_acl(run.p("a"), zk.WORLD_ALL))
        look(c, run.p("a"), run.root)
        c(w.delete(run.p("a")))
        look(c, run.p("a"), run.root)


@case
def many_children(run):
    c = run.conn()
    c(w.create(run.root))
    for batch in range(10):
        c.many([w.create(run.p("%d-%d" % (batch, n)), b"x" * n) for n in range(100)])
        look(c, run.root)
    for batch in range(10):
        c.many([w.delete(run.p("%d-%d" % (batch, n))) for n in range(100)])
        look(c, run.root)


@case
def deep_path(run):
    c = run.conn()
    path = run.root
    c(w.create(path))
    for n in range(60):
        path += "/%d" % n
        c(w.create2(path))
    c(w.create(path + "/x" * 3), w.get_children2(path), w.exists(path))


@case
def long_names(run):
    c = run.conn()
    c(w.create(run.root))
    for size in (255, 256, 1023, 4096, 65535, 65536, 200000):
        path = run.p("n" * size)
        c(w.create2(path, b"x"), w.exists(path), w.get_children(run.root), w.delete(path))


@case
def children_of_ephemerals(run):
    c = run.conn()
    d = run.conn()
    c(w.create(run.root), w.create(run.p("e"), b"", None, 1))
    for op in (zk.CREATE, zk.CREATE2, zk.CREATE_CONTAINER):
        for flags in (0, 1, 2, 3, 4):
            c(w.create(run.p("e", "k"), b"", None, flags, op))
            d(w.create(run.p("e", "k"), b"", None, flags, op))
    c(w.multi(w.create(run.p("f"), b"", None, 1), w.create(run.p("f", "x"))))
    c(w.multi(w.create(run.p("e", "x"))), w.create(run.p("e", "", "x")))
    d(w.set_data(run.p("e"), b"by another"), w.delete(run.p("e")), w.create(run.p("e")))
    look(d, run.p("e"), run.root)


@case
def containers(run):
    c = run.conn()
    c(w.create(run.root), w.container(run.p("box"), b"1"), w.container(run.p("box"), b"1"))
    look(c, run.p("box"))
    c(w.create(run.p("box", "e"), b"", None, 1), w.create(run.p("box", "s"), b"", None, 2))
    c(w.container(run.p("box", "in"), b"1", None, 0), w.delete(run.p("box")))
    c(w.container(run.p("none", "x")), w.container(run.p("bad", "..")))
    c(w.container(run.p("no-acl"), b"", []), w.create(run.p("plain"), b"", None, 4))
    look(c, run.p("box"), run.p("box", "in"), run.p("plain"), run.root)


@case
def containers_with_an_ephemeral_flag(run):
    """Not the session's: they have children, and outlive it."""
    c, d = run.conn(), run.conn()
    c(w.create(run.root), w.container(run.p("box"), b"1", None, 1))
    c(w.container(run.p("s-"), b"1", None, 3), w.create(run.p("box", "x")))
    c(w.create(run.p("box", "e"), b"", None, 1), w.create(run.p("s-0000000001", "x")))
    look(c, run.p("box"), run.p("s-0000000001"))
    c.close()
    look(d, run.p("box"), run.p("s-0000000001"), run.p("box", "e"), run.root)


@case
def creates_that_fail_in_order(run):
    """More than one thing is wrong with each of these."""
    c = run.conn()
    c(w.create(run.root), w.create(run.p("e"), b"", None, 1), w.create(run.p("there")))
    bad_acl, none = [(31, "nonsense", "x")], []
    for path in (run.p("no", "x"), run.p("e", ".."), run.p("there"), run.p("e", "x"), "x", "",
                 run.p("no", ".."), run.p("a\0"), "/", run.p("there", "")):
        for acl in (None, bad_acl, none):
            for flags in (0, 2, 7, 5):
                c(w.create(path, b"", acl, flags))
    look(c, run.root)


@case
def reads_and_writes_pipelined(run):
    c = run.conn()
    c(w.create(run.root))
    reqs = []
    for n in range(100):
        path = run.p("n%d" % (n % 7))
        reqs += [w.create2(path, b"%d" % n), w.get_data(path), w.set_data(path, b"x" * n, n % 3),
                 w.exists(path), w.get_children2(run.root), w.delete(path, n % 4), w.ping()]
    c.many(reqs, text="700 requests in one send")
    c.many(reqs[:70], piece=1, text="70 requests byte by byte")
    c.many(reqs[:210], piece=7, text="210 requests in pieces of 7 bytes")
    c.many(reqs[:210], piece=1461, text="210 requests in pieces of 1461 bytes")


# --- questions about many nodes


@case
def get_ephemerals(run):
    c, d = run.conn(), run.conn()
    c(w.create(run.root), w.create(run.p("a")), w.create(run.p("b")))
    for name in ("a/1", "a/2", "b/1", "ab"):
        c(w.create(run.p(name), b"", None, 1))
    d(w.create(run.p("d"), b"", None, 1), w.create(run.p("a", "s"), b"", None, 3))
    for conn in (c, d):
        for prefix in (run.root, run.p("a"), run.p("a/"), run.p("no"), run.p("a/1"), "/", "", None,
                       " ", "x", run.root[1:]):
            conn(w.get_ephemerals(prefix))


@case
def get_all_children_number(run):
    c = run.conn()
    c(w.create(run.root), w.create(run.p("a")), w.create(run.p("a", "b")), w.create(run.p("ab")))
    for path in (run.root, run.p("a"), run.p("ab"), run.p("no"), None, "", run.root + "/", "x"):
        c(w.get_all_children_number(path))
    c(w.set_acl(run.p("a"), [(30, "world", "anyone")]), w.get_all_children_number(run.p("a")))
    c(w.get_all_children_number("/"))
