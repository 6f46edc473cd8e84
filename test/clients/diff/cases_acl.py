# SPDX-License-Identifier: Apache-2.0
"""Access: identities, ACL fix-up, every operation against every permission."""

import wire as w
import zkwire as zk
from book import case, table

PERMS = {"read": 1, "write": 2, "create": 4, "delete": 8, "admin": 16}
BOB = w.digest_id("bob", "pw")
EVE = w.digest_id("eve", "pw")


def bob(run):
    c = run.conn()
    c(w.auth("digest", "bob:pw"))
    return c


def everything(c, run, name):
    """Each operation that a permission can refuse, on the node and below it."""
    path = run.p(name)
    c(w.exists(path), w.get_data(path), w.get_children(path), w.get_children2(path),
      w.get_acl(path), w.sync(path))
    c(w.multi_read(w.get_data(path), w.get_children(path), w.get_data(run.p("no"))))
    c(w.create(path + "/new"), w.create2(path + "/new2"), w.container(path + "/box"))
    c(w.create(path + "/kid"), w.create(path + "/kid/x"), w.create(path + "/e", b"", None, 1))
    c(w.multi(w.create(path + "/m")), w.multi(w.check(path)), w.multi(w.check(path, 9)))
    c(w.delete(path + "/kid"), w.delete(path + "/no"), w.delete(path + "/new", 7))
    c(w.multi(w.delete(path + "/kid2"), w.delete(path + "/no")), w.delete(path + "/kid2"))
    c(w.set_data(path, b"x"), w.set_data(path, b"x", 9), w.multi(w.set_data(path, b"m")))
    c(w.set_acl(path, zk.WORLD_ALL, 9), w.exists(path))


@table([(str(perms), perms) for perms in list(range(32)) + [32, 63, 1 << 30, -1, -32]])
def world_with_perms(run, perms):
    """31 kinds of permission, by one who is nobody and one who is bob."""
    b, c = bob(run), run.conn()
    c(w.create(run.root), w.create(run.p("n"), b"1"), w.create(run.p("n", "kid")),
      w.create(run.p("n", "kid2")))
    c(w.set_acl(run.p("n"), [(perms, "world", "anyone"), (31, "digest", BOB)]))
    everything(c, run, "n")
    everything(b, run, "n")
    b(w.get_acl(run.p("n")))


@table([(name, perm) for name, perm in PERMS.items()])
def digest_with_perm(run, perm):
    b, c = bob(run), run.conn()
    b(w.create(run.root), w.create(run.p("n"), b"1"), w.create(run.p("n", "kid")),
      w.create(run.p("n", "kid2")))
    b(w.set_acl(run.p("n"), [(perm, "auth", ""), (16, "digest", EVE)]))
    everything(c, run, "n")
    everything(b, run, "n")
    c(w.auth("digest", "eve:pw"))
    everything(c, run, "n")
    c(w.set_acl(run.p("n"), [(31, "world", "anyone")]))
    everything(b, run, "n")


ACLS = {
    "empty": [], "world": [(31, "world", "anyone")], "world-other": [(31, "world", "someone")],
    "world-empty": [(31, "world", "")], "auth-nobody": [(31, "auth", "")],
    "auth-text": [(31, "auth", "ignored:text")], "digest": [(31, "digest", BOB)],
    "digest-one-part": [(31, "digest", "bob")], "digest-colon": [(31, "digest", ":")],
    "digest-empty-user": [(31, "digest", ":b")], "digest-empty-hash": [(31, "digest", "a:")],
    "digest-three": [(31, "digest", "a:b:c")], "digest-trailing": [(31, "digest", "a:b:")],
    "digest-trailing2": [(31, "digest", "a:b::")], "digest-middle": [(31, "digest", "a::b")],
    "digest-empty": [(31, "digest", "")], "digest-two-colons": [(31, "digest", "::")],
    "digest-unicode": [(31, "digest", "é:b")], "digest-nonbmp": [(31, "digest", "\U0001f600:b")],
    "digest-colon-first2": [(31, "digest", "::b")],
    "super": [(31, "super", "")], "super-id": [(31, "super", "x:y")],
    "sasl": [(31, "sasl", "bob")], "x509": [(31, "x509", "CN=a")], "scheme-empty": [(31, "", "")],
    "scheme-null": [(31, None, "x")], "id-null": [(31, "world", None)],
    "digest-null": [(31, "digest", None)], "both-null": [(31, None, None)],
    "auth-null": [(31, "auth", None)], "ip-null": [(31, "ip", None)],
    "case": [(31, "World", "anyone")], "anyone-case": [(31, "world", "Anyone")],
    "ip": [(31, "ip", "127.0.0.1")], "ip-bits": [(31, "ip", "127.0.0.0/8")],
    "ip-zero": [(31, "ip", "0.0.0.0/0")], "ip-33": [(31, "ip", "1.2.3.4/33")],
    "ip-32": [(31, "ip", "1.2.3.4/32")], "ip-negative": [(31, "ip", "1.2.3.4/-1")],
    "ip-empty-bits": [(31, "ip", "1.2.3.4/")], "ip-word-bits": [(31, "ip", "1.2.3.4/x")],
    "ip-two-slashes": [(31, "ip", "1.2.3.4/8/8")], "ip-short": [(31, "ip", "1.2.3")],
    "ip-long": [(31, "ip", "1.2.3.4.5")], "ip-256": [(31, "ip", "1.2.3.256")],
    "ip-empty": [(31, "ip", "")], "ip-word": [(31, "ip", "localhost")],
    "ip-space": [(31, "ip", " 1.2.3.4")], "ip-zeros": [(31, "ip", "001.002.003.004")],
    "ip-hex": [(31, "ip", "0x1.2.3.4")], "ip-plus": [(31, "ip", "+1.2.3.4")],
    "ip-plus-bits": [(31, "ip", "1.2.3.4/+8")], "ip-dot": [(31, "ip", "1.2.3.4.")],
    "ip-dots": [(31, "ip", "1..3.4")], "ip-minus": [(31, "ip", "-1.2.3.4")],
    "doubles": [(31, "world", "anyone")] * 3,
    "doubles-other-perms": [(31, "world", "anyone"), (1, "world", "anyone"),
                            (31, "world", "anyone")],
    "order": [(1, "digest", EVE), (2, "world", "anyone"), (4, "digest", BOB), (1, "digest", EVE)],
    "one-bad": [(31, "world", "anyone"), (31, "nonsense", "x")],
    "bad-first": [(31, "nonsense", "x"), (31, "world", "anyone")],
    "auth-and-world": [(31, "auth", ""), (1, "world", "anyone")],
    "auth-twice": [(31, "auth", ""), (1, "auth", ""), (31, "auth", "x")],
    "auth-same-as-digest": [(31, "digest", BOB), (31, "auth", "")],
    "zero": [(0, "world", "anyone")], "nothing-granted": [(0, "digest", BOB)],
    "high-bits": [(0x7fffffe0, "world", "anyone")],
}


@table([(name, acl) for name, acl in ACLS.items()])
def acl_fix_up(run, acl):
    """By nobody, by bob, in create, create2, setACL, container and multi."""
    b, c = bob(run), run.conn()
    c(w.create(run.root))
    for n, who in enumerate((c, b)):
        name = run.p("n%d" % n)
        who(w.create(name, b"", acl), w.create2(name + "-2", b"", acl), w.create(name + "-3"))
        who(w.container(name + "-4", b"", acl))
        if not any(entry[2] is None for entry in acl):  # cases_multi.py has these
            who(w.multi(w.create(name + "-5", b"", acl)))
        who(w.set_acl(name + "-3", acl), w.set_acl(name + "-3", acl, 0))
        who(w.create(run.p("no", "x"), b"", acl), w.set_acl(run.p("no"), acl))
        for path in (name, name + "-2", name + "-3", name + "-4", name + "-5"):
            c(w.get_acl(path))
            b(w.get_acl(path))
    c(w.get_children2(run.root))


@case
def acl_null(run):
    c = run.conn()
    c(w.create(run.root), w.create(run.p("a"), b"", null_acl=True))
    c(w.raw(zk.SET_ACL, zk.buf(run.root) + zk.i32(-1) + zk.i32(-1), "setACL null"))
    for count in (-2, -100, -2**31):
        c(w.raw(zk.SET_ACL, zk.buf(run.root) + zk.i32(count) + zk.i32(-1), "setACL %d" % count))
        c(w.raw(zk.CREATE, zk.buf(run.p("c")) + zk.buf(b"") + zk.i32(count) + zk.i32(0),
                "create with %d entries" % count))
    c(w.get_acl(run.root), w.get_children2(run.root))


@case
def auth_identities(run):
    c = run.conn()
    c(w.who_am_i(), w.auth("digest", "bob:pw"), w.who_am_i(), w.auth("digest", "bob:pw"))
    c(w.who_am_i(), w.auth("digest", "bob:other"), w.auth("digest", "nocolon"), w.who_am_i())
    c(w.auth("digest", "a:b:c"), w.auth("digest", ":"), w.auth("digest", ""), w.who_am_i())
    c(w.auth("digest", b"\xff:\xfe"), w.auth("digest", "é:ü"), w.auth("ip", "1.2.3.4"))
    c(w.who_am_i(), w.auth("ip", None), w.auth("digest", "z:z", xid=77, kind=5), w.who_am_i())


@table([(name, user) for name, user in (
    ("plain", "bob:pw"), ("no-colon", "bob"), ("empty", ""), ("colon", ":"), ("no-user", ":x"),
    ("no-password", "x:"), ("three", "a:b:c"), ("unicode", "é:ü"), ("bytes", b"\xff:\xfe"))])
def auth_scheme_expands(run, user):
    c = run.conn()
    c(w.create(run.root), w.auth("digest", user), w.create(run.p("n"), b"1", [(31, "auth", "")]))
    c(w.get_acl(run.p("n")), w.get_data(run.p("n")), w.set_data(run.p("n"), b"2"))
    d = run.conn()
    d(w.get_acl(run.p("n")), w.get_data(run.p("n")), w.auth("digest", user))
    d(w.get_acl(run.p("n")), w.get_data(run.p("n")), w.who_am_i())


@table([("world", "world", "anyone"), ("unknown", "nonsense", "x"), ("null-data", "digest", None),
        ("auth", "auth", ""), ("super", "super", "super:diff"), ("empty", "", ""),
        ("null-scheme", None, "x"), ("case", "Digest", "bob:pw"), ("sasl", "sasl", "x"),
        ("x509", "x509", "x"), ("unicode", "é", "x")])
def auth_fails(run, scheme, data):
    c = run.conn()
    c(w.exists("/zookeeper"), w.auth(scheme, data))
    c.to_end()


@table([("empty", b""), ("int", zk.i32(0)), ("short-scheme", zk.i32(0) + zk.i32(9) + b"dig"),
        ("no-data", zk.i32(0) + zk.buf("digest")), ("negative", zk.i32(0) + zk.i32(-2)),
        ("huge", zk.i32(0) + zk.i32(2**31 - 1)),
        ("trailing", zk.i32(0) + zk.buf("digest") + zk.buf("bob:pw") + b"more")])
def auth_malformed(run, body):
    c = run.conn()
    c.many([w.raw(zk.AUTH, body, "auth %s" % body.hex(), xid=-4), w.who_am_i()])


@case
def auth_between_pipelined_requests(run):
    c = run.conn()
    c(w.create(run.root, b"1", [(31, "digest", BOB)]))
    c(w.get_data(run.root), w.auth("digest", "bob:pw"), w.get_data(run.root))
    c(w.set_data(run.root, b"2"), w.set_acl(run.root, [(1, "auth", "")]), w.set_data(run.root, b"3"))
    c(w.get_acl(run.root))


@case
def super_user(run):
    c, d = run.conn(), run.conn()
    c(w.create(run.root, b"1", [(0, "digest", BOB)]), w.get_data(run.root))
    d(w.auth("digest", "super:diff"), w.who_am_i(), w.get_data(run.root), w.get_acl(run.root))
    d(w.set_data(run.root, b"2"), w.set_data(run.root, b"2", 7), w.create(run.p("a")))
    d(w.set_acl(run.root, [(31, "auth", "")]), w.get_acl(run.root), w.delete("/zookeeper"))
    d(w.create(run.p("b"), b"", [(31, "super", "")]), w.create(run.p("c"), b"", []))
    d(w.set_data("/zookeeper/config", b"x", 77), w.get_acl("/zookeeper/config"))
    c(w.auth("digest", "super:wrong"), w.who_am_i(), w.get_data(run.root))


@case
def ip_identity(run):
    c = run.conn()
    c(w.create(run.root))
    ids = ["127.181.0.254", "127.181.0.0/24", "127.181.0.253", "127.181.0.255/31", "127.0.0.0/8",
           "0.0.0.0/0", "128.0.0.0/1", "127.181.0.254/32", "126.0.0.0/7", "126.0.0.0/8"]
    for n, text in enumerate(ids):
        path = run.p("n%d" % n)
        c(w.create(path, b"1", [(31, "ip", text)]), w.get_data(path), w.get_acl(path))
        c(w.set_data(path, b"2"), w.create(path + "/kid"), w.delete(path + "/kid"))


@case
def acl_masking(run):
    """getACL shows digest ids as user:x to those without ADMIN."""
    b, c = bob(run), run.conn()
    ids = [(1, "world", "anyone"), (31, "digest", BOB), (2, "digest", EVE), (4, "digest", ":x"),
           (8, "ip", "1.2.3.4"), (3, "digest", "a:b:")]
    b(w.create(run.root, b"", ids), w.get_acl(run.root))
    c(w.get_acl(run.root), w.auth("digest", "eve:pw"), w.get_acl(run.root))
    b(w.set_acl(run.root, [(16, "world", "anyone"), (31, "digest", BOB)]))
    c(w.get_acl(run.root))
    b(w.set_acl(run.root, [(2, "world", "anyone"), (31, "digest", BOB)]))
    c(w.get_acl(run.root), w.exists(run.root))


@case
def acl_of_the_parent_counts(run):
    b, c = bob(run), run.conn()
    b(w.create(run.root, b"", [(1, "world", "anyone"), (31, "auth", "")]))
    b(w.create(run.p("a"), b"", zk.WORLD_ALL), w.create(run.p("a", "b"), b"", zk.WORLD_ALL))
    c(w.create(run.p("x")), w.delete(run.p("a")), w.delete(run.p("none")), w.delete(run.p("a"), 9))
    c(w.create(run.p("a", "x")), w.delete(run.p("a", "b")), w.create(run.p("a")))
    c(w.create(run.p("a", "x", "y", "z")), w.create(run.p("none", "y")))
    b(w.set_acl(run.p("a"), [(4, "world", "anyone")]))
    c(w.create(run.p("a", "y")), w.delete(run.p("a", "y")), w.get_children(run.p("a")))
    b(w.set_acl(run.p("a"), [(8, "world", "anyone")]))
    c(w.create(run.p("a", "z")), w.delete(run.p("a", "y")), w.delete(run.p("a", "y")))


@case
def acl_inside_multi(run):
    b, c = bob(run), run.conn()
    b(w.create(run.root, b"", zk.WORLD_ALL), w.create(run.p("s"), b"", [(31, "auth", "")]))
    c(w.multi(w.create(run.p("a")), w.set_data(run.p("s"), b"1")), w.exists(run.p("a")))
    c(w.multi(w.create(run.p("n"), b"", [(0, "world", "anyone")]), w.set_data(run.p("n"), b"")))
    c(w.multi(w.create(run.p("n"), b"", [(1, "world", "anyone")]), w.create(run.p("n", "k"))))
    c(w.multi(w.create(run.p("n"), b"", [(4, "world", "anyone")]), w.create(run.p("n", "k")),
              w.delete(run.p("n", "k"))))
    c(w.multi(w.check(run.p("s"))), w.multi(w.delete(run.p("s"))), w.get_children2(run.root))
