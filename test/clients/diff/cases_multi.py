# SPDX-License-Identifier: Apache-2.0
"""multi and multiRead: every sub-operation, failing at every position."""

import wire as w
import zkwire as zk
from book import case, table

WORLD = [(31, "world", "anyone")]


def seed(run):
    c = run.conn()
    c(w.create(run.root), w.create(run.p("a"), b"a"), w.create(run.p("a", "kid"), b"k"),
      w.create(run.p("gone"), b"g"), w.create(run.p("locked"), b"", [(1, "world", "anyone")]))
    return c


def state(c, run):
    for name in ("", "a", "new", "n2", "seq0000000003", "locked", "gone", "box"):
        path = run.p(name) if name else run.root
        c(w.get_data(path), w.get_children2(path))


def good(run):
    """Every sub-operation, each of which succeeds."""
    return {
        "create": w.create(run.p("new"), b"1"),
        "create-eph": w.create(run.p("eph"), b"1", None, 1),
        "create-seq": w.create(run.p("seq"), b"1", None, 2),
        "create2": w.create2(run.p("n2"), b"22"),
        "container": w.container(run.p("box"), b"3"),
        "set": w.set_data(run.p("a"), b"changed", 0),
        "set-null": w.set_data(run.p("a"), None),
        "delete": w.delete(run.p("gone"), 0),
        "check": w.check(run.p("a"), 0),
    }


def bad(run):
    """Sub-operations that fail, for each of their reasons."""
    return {
        "create-exists": w.create(run.p("a")), "create-no-parent": w.create(run.p("no", "x")),
        "create-path": w.create(run.p("..")), "create-acl": w.create(run.p("x"), b"", []),
        "create-denied": w.create(run.p("locked", "x")), "create2-exists": w.create2(run.p("a")),
        "container-exists": w.container(run.p("a")), "ttl-off": w.ttl(run.p("t"), 1000),
        "set-missing": w.set_data(run.p("no")), "set-version": w.set_data(run.p("a"), b"", 5),
        "set-denied": w.set_data(run.p("locked"), b""), "set-path": w.set_data("x", b""),
        "delete-missing": w.delete(run.p("no")), "delete-version": w.delete(run.p("gone"), 3),
        "delete-not-empty": w.delete(run.p("a")), "delete-special": w.delete("/zookeeper"),
        "delete-denied": w.delete(run.p("locked", "x")),
        "check-missing": w.check(run.p("no")), "check-version": w.check(run.p("a"), 7),
        "check-path": w.check(run.p("a", "")),
        "ephemeral-parent": w.create(run.p("eph0", "x")),
    }


class Names:
    """Stands in for a run where only the keys are wanted."""
    root = ""

    @staticmethod
    def p(*names):
        return "/".join(names)


@table([(name, name) for name in good(Names)])
def multi_single(run, name):
    c = seed(run)
    c(w.multi(good(run)[name]))
    state(c, run)
    c(w.multi(good(run)[name]), w.multi(good(run)[name], good(run)[name]))
    state(c, run)


@table([(name, name) for name in bad(Names)])
def multi_fails_at_each_position(run, name):
    c = seed(run)
    c(w.create(run.p("eph0"), b"", None, 1))
    wrong, fine = bad(run)[name], list(good(run).values())
    c(w.multi(wrong))
    for at in range(len(fine) + 1):
        c(w.multi(*fine[:at], wrong, *fine[at:]))
    state(c, run)
    c(w.multi(wrong, wrong), w.multi(*fine))
    state(c, run)


@case
def multi_everything(run):
    c = seed(run)
    c(w.multi(*good(run).values()))
    state(c, run)
    c(w.multi(*good(run).values()))
    state(c, run)


@case
def multi_empty_and_large(run):
    c = seed(run)
    c(w.multi(), w.multi())
    c(w.multi(*[w.create2(run.p("m%d" % n), b"x" * n) for n in range(300)]))
    c(w.get_children2(run.root))
    c(w.multi(*[w.set_data(run.p("m%d" % n), b"y" * n, 0) for n in range(300)]))
    c(w.multi(*[w.delete(run.p("m%d" % n), 1) for n in range(300)], w.delete(run.p("no"))))
    c(w.multi(*[w.delete(run.p("m%d" % n), 1) for n in range(300)]))
    c(w.get_children2(run.root))


@case
def multi_sees_itself(run):
    c = seed(run)
    n = run.p("n")
    c(w.multi(w.create(n, b"0"), w.set_data(n, b"1", 0), w.set_data(n, b"2", 1), w.check(n, 2),
              w.create(n + "/k"), w.delete(n + "/k", 0), w.delete(n, 2)))
    c(w.multi(w.create(n, b"0"), w.delete(n, 0), w.create2(n, b"1"), w.check(n, 0)))
    c(w.get_data(n), w.multi(w.create(n + "/k"), w.delete(n)), w.get_children2(n))
    c(w.multi(w.delete(n), w.delete(n)), w.multi(w.delete(n), w.create(n, b"", None, 1),
                                                  w.create(n + "/x")))
    c(w.multi(w.delete(n), w.check(n)), w.multi(w.delete(n), w.create2(n, b"", None, 1)))
    c(w.get_data(n), w.get_children2(run.root))
    c(w.multi(w.create2(run.p("q-"), b"", None, 2), w.create2(run.p("q-"), b"", None, 3),
              w.create(run.p("plain")), w.create2(run.p("q-"), b"", None, 2)))
    c(w.get_children2(run.root))


@table([(str(flags), flags) for flags in (-1, 5, 6, 7, 100)])
def multi_create_flags(run, flags):
    c = seed(run)
    for make in (w.create, w.create2, w.container):
        c(w.multi(make(run.p("f"), b"", None, flags)), w.exists(run.p("f")))
        c(w.multi(w.create(run.p("g")), make(run.p("f"), b"", None, flags)))
        c(w.multi(w.create(run.p("a")), make(run.p("f"), b"", None, flags)))
    c(w.get_children2(run.root))


OTHERS = {"setACL": (zk.SET_ACL, zk.buf("/a") + zk.acls(WORLD) + zk.i32(-1)),
          "exists": (zk.EXISTS, zk.watched("/a")), "getData": (zk.GET_DATA, zk.watched("/a")),
          "getChildren": (zk.GET_CHILDREN, zk.watched("/a")),
          "getChildren2": (zk.GET_CHILDREN2, zk.watched("/a")), "sync": (zk.SYNC, zk.buf("/a")),
          "zero": (0, b""), "ping": (zk.PING, b""), "close": (zk.CLOSE, b""), "999": (999, b""),
          "multi": (zk.MULTI, zk.multi()), "-1": (-1, zk.i32(-101)), "auth": (zk.AUTH, b""),
          "deleteContainer": (20, zk.buf("/a")), "getACL": (zk.GET_ACL, zk.buf("/a"))}


@table([(name, op, body) for name, (op, body) in OTHERS.items()])
def multi_with_another_type(run, op, body):
    c = seed(run)
    inner = w.raw(op, body)
    for make in (w.multi, w.multi_read):
        c(make(inner), make(w.create(run.p("x")), inner), make(inner, w.create(run.p("x"))))
        c(make(w.get_data(run.p("a")), inner))
    state(c, run)


@case
def multi_malformed(run):
    c = seed(run)
    whole = w.multi(w.create(run.p("new"), b"1"), w.delete(run.p("gone"))).body
    for end in range(0, len(whole)):
        c(w.raw(zk.MULTI, whole[:end], "multi cut to %d bytes" % end))
    c(w.raw(zk.MULTI, whole + b"more", "multi with bytes behind it"))
    state(c, run)


@case
def multi_read_malformed(run):
    c = seed(run)
    whole = w.multi_read(w.get_data(run.p("a")), w.get_children(run.root)).body
    for end in range(0, len(whole)):
        c(w.raw(zk.MULTI_READ, whole[:end], "multiRead cut to %d bytes" % end))
    c(w.raw(zk.MULTI_READ, whole + b"more", "multiRead with bytes behind it"))


@case
def multi_headers(run):
    """done and err of the headers of a request."""
    c = seed(run)
    record = zk.set_data(run.p("a"), b"h")
    for kind, done, err in ((5, 1, -1), (5, 0, 0), (5, 0, 7), (5, 2, -1), (-1, 0, -1), (-1, 0, 0)):
        head = zk.i32(kind) + bytes([done]) + zk.i32(err)
        end = zk.i32(-1) + b"\x01" + zk.i32(-1)
        body = head + (record if kind == 5 else zk.i32(0)) + end
        c(w.raw(zk.MULTI, body, "multi with header %d %d %d" % (kind, done, err)))
    for kind, done, err in ((-1, 1, 0), (0, 1, -1), (5, 1, -1), (-1, 255, -1), (2, 1, 0)):
        body = zk.i32(kind) + bytes([done]) + zk.i32(err)
        c(w.raw(zk.MULTI, body, "multi that ends with %d %d %d" % (kind, done, err)))
        c(w.raw(zk.MULTI_READ, body, "multiRead that ends with %d %d %d" % (kind, done, err)))
    state(c, run)


@case
def multi_read_results(run):
    c = seed(run)
    a, kids = w.get_data(run.p("a")), w.get_children(run.root)
    c(w.multi_read(), w.multi_read(a), w.multi_read(kids), w.multi_read(a, kids, a, kids))
    c(w.multi_read(w.get_data(run.p("no")), a, w.get_children(run.p("no"))))
    c(w.multi_read(w.get_data(""), w.get_data(run.p("a", "")), kids))
    for wrong in (w.create(run.p("x")), w.delete(run.p("gone")), w.check(run.p("a")),
                  w.set_data(run.p("a"), b"")):
        c(w.multi_read(wrong), w.multi_read(a, wrong), w.multi_read(wrong, a),
          w.multi_read(a, wrong, a))
    d = run.conn()
    d(w.set_acl(run.p("a"), [(30, "world", "anyone")]), w.multi_read(a, kids, a))
    d(w.multi_read(w.get_data(None)), w.multi_read(a, w.get_data(None), a))
    d(w.multi_read(w.get_children(None)))
    state(c, run)


@case
def multi_read_sets_no_watch(run):
    c, d = seed(run), run.conn()
    d(w.multi_read(w.get_data(run.p("a"), True), w.get_children(run.p("a"), True)))
    d(w.check_watches(run.p("a"), 3))
    c(w.set_data(run.p("a"), b"1"), w.create(run.p("a", "x")))
    d.events()


@case
def multi_fires_watches_in_order(run):
    c, d, p = seed(run), run.conn(), run.conn()
    for conn in (c, d):
        conn(w.get_data(run.p("a"), True), w.get_children(run.p("a"), True),
             w.get_children(run.root, True), w.exists(run.p("new"), True),
             w.exists(run.p("gone"), True), w.exists(run.p("n2"), True))
    p(w.add_watch(run.root, 1))
    c(w.multi(*good(run).values(), w.create(run.p("a", "1")), w.delete(run.p("a", "1")),
              w.delete(run.p("new")), w.create(run.p("new"))))
    d.events()
    p.events()
    c(w.multi(*good(run).values()))
    for conn in (c, d, p):
        conn.events()


@case
def failed_multi_fires_nothing(run):
    c, d = seed(run), run.conn()
    d(w.get_data(run.p("a"), True), w.get_children(run.root, True), w.exists(run.p("new"), True))
    c(w.multi(*good(run).values(), w.delete(run.p("no"))))
    d.events()
    c(w.multi(w.set_data(run.p("a"), b"")))
    d.events()


NULLS = {"create": lambda p: w.create(None), "create2": lambda p: w.create2(None),
         "container": lambda p: w.container(None), "delete": lambda p: w.delete(None),
         "setData": lambda p: w.set_data(None), "check": lambda p: w.check(None),
         "acl-id": lambda p: w.create(p, b"", [(31, "world", None)])}


@table([("%s-%s" % (name, where), name, where) for name in NULLS for where in ("alone", "second")])
def multi_null(run, name, where):
    """Nothing may follow: Apache takes a zxid that it never uses."""
    c = seed(run)
    sub = NULLS[name](run.p("x"))
    c(w.multi(sub) if where == "alone" else w.multi(w.create(run.p("y")), sub))


@case
def multi_null_acl(run):
    c = seed(run)
    c(w.multi(w.create(run.p("b"), b"", null_acl=True)))


@case
def multi_pipelined(run):
    c = seed(run)
    reqs = []
    for n in range(100):
        reqs += [w.multi(w.create2(run.p("p%d" % (n % 3))), w.create(run.p("p-"), b"", None, 2)),
                 w.multi(w.delete(run.p("p%d" % (n % 5)))), w.get_children2(run.root),
                 w.multi_read(w.get_data(run.p("a")), w.get_children(run.root))]
    c.many(reqs, text="400 multis in one send")
