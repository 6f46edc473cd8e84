# SPDX-License-Identifier: Apache-2.0
"""Watches: who is told what, in which order; setWatches, addWatch, removeWatches."""

import wire as w
import zkwire as zk
from book import case, table

KINDS = {
    "exists": lambda p: w.exists(p, True), "getData": lambda p: w.get_data(p, True),
    "getChildren": lambda p: w.get_children(p, True),
    "getChildren2": lambda p: w.get_children2(p, True),
    "persistent": lambda p: w.add_watch(p, 0), "recursive": lambda p: w.add_watch(p, 1),
}


ONE_MODE = "3.8 keeps one mode for a connection and path, the last one (corner-cases.md 85)"


def changes(run):
    """All kinds of change around run.p("a"), in an order in which each succeeds."""
    a = run.p("a")
    return [w.set_data(a, b"1"), w.set_acl(a, zk.WORLD_ALL), w.create(a + "/k", b""),
            w.set_data(a + "/k", b"1"), w.create(a + "/k/deep"), w.delete(a + "/k/deep"),
            w.delete(a + "/k"), w.create(a + "/e", b"", None, 1), w.delete(a + "/e"),
            w.create(a + "/s", b"", None, 2), w.multi(w.create(a + "/m"), w.delete(a + "/m")),
            w.set_data(a, b"2", 99), w.create(a), w.delete(a), w.delete(a + "/s0000000002"),
            w.delete(a), w.create2(a, b"again"), w.container(a + "/box"), w.delete(a + "/box"),
            w.delete(a), w.create(a, b"", None, 1), w.delete(a), w.create(run.p("other")),
            w.delete(run.p("other"))]


@table([("%s-on-%s" % (kind, where), kind, where) for kind in KINDS
        for where in ("a", "a/k", "", "missing")])
def watch_kind(run, kind, where):
    """One watch, set again after each change when it is a standard one; writer and watcher."""
    c, d = run.conn(), run.conn()
    path = run.root + ("/" + where if where else "")
    c(w.create(run.root), w.create(run.p("a"), b"0"))
    again = kind not in ("persistent", "recursive")
    d(KINDS[kind](path))
    for step in changes(run):
        c(step)
        d.events()
        if again:
            d(KINDS[kind](path))
    d(w.check_watches(path, 3), w.remove_watches(path, 3), w.remove_watches(path, 3))
    c(w.create(run.p("a")), w.set_data(run.p("a"), b""), w.create(run.p("a", "k")))
    d.events()


@table([(kind, kind) for kind in KINDS])
def watch_of_the_writer(run, kind):
    """Its own event precedes the reply."""
    c = run.conn()
    c(w.create(run.root), w.create(run.p("a"), b"0"))
    for step in changes(run):
        c(KINDS[kind](run.p("a")), KINDS[kind](run.root), step)
    c.events()


@table([("%s-%s" % pair, *pair) for pair in (
    ("exists", "persistent"), ("getData", "recursive"), ("getChildren", "recursive"),
    ("getChildren", "persistent"), ("persistent", "recursive"), ("recursive", "persistent"))],
       needs39=ONE_MODE)
def modes_on_one_path(run, one, other):
    two_watches_on_one_path(run, one, other)


@table([("%s-%s" % pair, *pair) for pair in (
    ("getData", "getChildren"), ("getData", "getData"), ("exists", "getChildren2"),
    ("persistent", "persistent"), ("recursive", "recursive"))])
def two_watches_on_one_path(run, one, other):
    c, d = run.conn(), run.conn()
    a = run.p("a")
    c(w.create(run.root), w.create(a, b"0"))
    for step in changes(run):
        d(KINDS[one](a), KINDS[other](a))
        c(step)
        d.events()
    for kind in (1, 2, 3):
        d(w.check_watches(a, kind))


@case
def persistent_and_recursive_on_two_paths(run):
    c, d = run.conn(), run.conn()
    c(w.create(run.root), w.create(run.p("a"), b"0"))
    d(w.add_watch(run.root, 1), w.add_watch(run.p("a"), 0), w.add_watch(run.p("a", "k"), 1))
    for step in changes(run):
        c(step)
        d.events()


@case(needs39=ONE_MODE)
def persistent_then_recursive(run):
    c, d = run.conn(), run.conn()
    a = run.p("a")
    c(w.create(run.root), w.create(a, b"0"))
    d(w.add_watch(a, 0), w.add_watch(a, 0), w.add_watch(a, 1), w.add_watch(a, 1))
    for step in (w.set_data(a, b"1"), w.create(a + "/x"), w.delete(a + "/x"), w.delete(a)):
        c(step)
        d.events()


@case
def two_watchers(run):
    c, d, e = run.conn(), run.conn(), run.conn()
    a = run.p("a")
    c(w.create(run.root), w.create(a, b"0"))
    for step in changes(run):
        d(w.get_data(a, True), w.get_children(a, True), w.exists(a + "/k", True))
        e(w.exists(a, True), w.get_children(run.root, True))
        c(step)
        d.events()
        e.events()


@case
def watch_fires_once(run):
    c, d = run.conn(), run.conn()
    c(w.create(run.root))
    for _ in range(5):
        d(w.exists(run.root, True), w.get_data(run.root, True))
    c(w.set_data(run.root, b"1"), w.set_data(run.root, b"2"))
    d.events()
    for _ in range(5):
        d(w.get_children(run.root, True), w.get_children2(run.root, True))
    c(w.create(run.p("a")), w.create(run.p("b")))
    d.events()


@case
def failed_reads_and_watches(run):
    """exists leaves a watch on a missing node, the others do not; nor with -102."""
    c, d = run.conn(), run.conn()
    c(w.create(run.root))
    for make in (w.exists, w.get_data, w.get_children, w.get_children2):
        path = run.p("n-" + w.op_name(make(run.root).op))
        d(make(path, True), w.check_watches(path, 3))
        c(w.create(path, b"", [(30, "world", "anyone")]))
        d.events()
        d(make(path, True), w.check_watches(path, 1), w.check_watches(path, 2))
        c(w.set_data(path, b"1"), w.delete(path))
        d.events()


@case(needs39="its checkWatches takes a path apart, and fails for some (-5)")
def watches_on_odd_paths(run):
    c, d = run.conn(), run.conn()
    c(w.create(run.root))
    for path in ("", "a", run.root + "/", "//", run.p(".."), " ", run.p("\ue000"), "/"):
        d(w.exists(path, True), w.add_watch(path, 0), w.check_watches(path, 3),
          w.check_watches(path, 2), w.remove_watches(path, 3), w.check_watches(path, 3))
        d(w.add_watch(path, 1), w.remove_watches(path, 3))
    c(w.set_data(run.root, b"1"))
    d.events()
    for make in (w.add_watch, w.check_watches, w.remove_watches):
        d(make(None, 1), make(None, 7))


@case
def events_are_not_told_without_read(run):
    c, d, r = run.conn(), run.conn(), run.conn()
    c(w.create(run.root), w.create(run.p("a"), b""))
    secret = [(31, "digest", w.digest_id("eve", "pw"))]
    d(w.exists(run.p("s"), True), w.get_data(run.p("a"), True), w.get_children(run.p("a"), True))
    r(w.add_watch(run.root, 1))
    c(w.auth("digest", "eve:pw"), w.create(run.p("s"), b"", secret))
    for step in (w.set_data(run.p("s"), b"1"), w.create(run.p("s", "k"), b"", zk.WORLD_ALL),
                 w.set_acl(run.p("a"), secret), w.set_data(run.p("a"), b"1"),
                 w.create(run.p("a", "k"), b"", secret), w.delete(run.p("a", "k")),
                 w.delete(run.p("s", "k")), w.delete(run.p("s")), w.delete(run.p("a"))):
        c(step)
        d.events()
        r.events()
    d(w.check_watches(run.p("a"), 3), w.check_watches(run.p("s"), 3))


@table([(str(mode), mode) for mode in (-1, 0, 1, 2, 3, 2**31 - 1)])
def add_watch_mode(run, mode):
    c = run.conn()
    c(w.create(run.root), w.add_watch(run.root, mode), w.add_watch(run.p("no"), mode))
    c(w.add_watch("", mode), w.add_watch(None, mode), w.set_data(run.root, b"1"))
    c(w.create(run.p("no")), w.create(run.p("no", "x")), w.delete(run.p("no", "x")))
    c.events()


SETS = {"none": (), "data": ("getData",), "exists": ("exists",), "child": ("getChildren",),
        "both": ("getData", "getChildren"), "persistent": ("persistent",),
        "recursive": ("recursive",)}


@table([("%s-type-%d" % (name, kind), kinds, kind) for name, kinds in SETS.items()
        for kind in (-1, 0, 1, 2, 3, 4, 5, 6)])
def watch_table(run, kinds, kind):
    """checkWatches and removeWatches of every type on every set of watches."""
    c = run.conn()
    a = run.p("a")
    c(w.create(run.root), w.create(a))
    for name in kinds:
        c(KINDS[name](a))
    c(w.check_watches(a, kind), w.check_watches(a + "x", kind), w.remove_watches(a + "x", kind))
    # What only one line of Apache removes would fire afterwards in the other.
    if kind not in (4, 5) and not (kind in (1, 2) and kinds in (("persistent",), ("recursive",))):
        c(w.remove_watches(a, kind))
    c(w.check_watches(a, 1), w.check_watches(a, 2), w.check_watches(a, 3))
    c(w.set_data(a, b"1"), w.create(a + "/x"), w.delete(a + "/x"), w.delete(a))
    c(w.check_watches(a, 1), w.check_watches(a, 2), w.check_watches(a, 3))
    c(w.check_watches(a, kind))


@table([("%s-type-%d" % (name, kind), kinds, kind) for name, kinds in SETS.items()
        for kind in (1, 2, 4, 5)], needs39="its types 1 and 2 take any mode, 4 and 5 are unknown")
def watch_removal(run, kinds, kind):
    c = run.conn()
    a = run.p("a")
    c(w.create(run.root), w.create(a), *[KINDS[name](a) for name in kinds])
    c(w.remove_watches(a, kind), *[w.check_watches(a, k) for k in range(7)])
    c(w.set_data(a, b"1"), w.create(a + "/x"), w.delete(a + "/x"), w.delete(a))
    c.events()


@case
def remove_with_types_4_and_5(run):
    """3.9 only: two persistent watches on two paths are removed by their own types."""
    c, a = run.conn(), run.p("a")
    c(w.create(run.root), w.create(a))
    c(w.check_watches(a, 4), w.check_watches(a, 5), w.remove_watches(a, 4), w.remove_watches(a, 5))
    c(w.add_watch(a, 0), w.check_watches(a, 4), w.check_watches(a, 5))
    c(w.remove_watches(a, 3), w.add_watch(a, 1), w.check_watches(a, 4), w.check_watches(a, 5))


@case
def removal_is_for_one_connection(run):
    c, d = run.conn(), run.conn()
    c(w.create(run.root), w.get_data(run.root, True), w.get_children(run.root, True))
    d(w.get_data(run.root, True), w.remove_watches(run.root, 1), w.remove_watches(run.root, 2))
    d(w.remove_watches(run.root, 3), w.remove_watches(run.root, 3))
    c(w.check_watches(run.root, 1), w.check_watches(run.root, 2), w.set_data(run.root, b"1"))
    d.events()


def set_watches_seed(run):
    c = run.conn()
    c(w.create(run.root))
    for name in ("data", "child", "deleted", "same", "kid", "quiet", "again"):
        c(w.create(run.p(name), b"0"))
    since = c.zxid()
    c(w.set_data(run.p("data"), b"1"), w.create(run.p("child", "x")), w.delete(run.p("deleted")),
      w.create(run.p("created")), w.delete(run.p("again")), w.create(run.p("again")),
      w.set_acl(run.p("same"), zk.WORLD_ALL), w.create(run.p("quiet", "x")),
      w.delete(run.p("quiet", "x")))
    return c, since


def all_names(run):
    return [run.p(n) for n in ("data", "deleted", "same", "never", "created", "child", "kid",
                               "quiet", "again")]


LISTS = ("data", "exist", "child", "persistent", "recursive")


@table([("%d-lists-%s-%s" % (lists, LISTS[n], base), lists, n, base) for lists in (3, 5)
        for n in range(lists) for base in ("since", "zero", "now", "future", "negative")])
def set_watches_list(run, lists, which, base):
    c, since = set_watches_seed(run)
    d = run.conn()
    since = {"since": since, "zero": 0, "now": d.zxid(), "future": since + 1000,
             "negative": -1}[base]
    vectors = [[] for _ in range(lists)]
    vectors[which] = all_names(run)
    d(w.set_watches(since, *vectors))
    for name in all_names(run):
        d(w.check_watches(name, 1), w.check_watches(name, 2), w.check_watches(name, 3))
    for name in all_names(run):
        c(w.set_data(name, b"later"), w.create(name), w.create(name + "/later"))
        d.events()
    for name in all_names(run):
        c(w.delete(name + "/later"), w.delete(name))
        d.events()


@case
def set_watches_all_lists(run):
    c, since = set_watches_seed(run)
    d, e = run.conn(), run.conn()
    names = all_names(run)
    d(w.set_watches(since, names, names, names))
    e(w.set_watches(since, names, names, names, [run.p("p")], [run.p("r")]))
    for name in names + [run.p("p"), run.p("r"), run.p("r", "x")]:
        c(w.set_data(name, b"later"), w.create(name), w.delete(name))
        d.events()
        e.events()


@case
def set_watches_malformed(run):
    c = run.conn()
    c(w.create(run.root))
    for op, count in ((zk.SET_WATCHES, 3), (zk.SET_WATCHES2, 5)):
        c(w.raw(op, zk.set_watches(0, *[None] + [[run.root]] * (count - 1)),
                "op %d, list 0 null" % op, xid=-8), w.check_watches(run.root, 3))
        for bad in (-2, -100, -2**31):
            body = zk.i64(0) + zk.i32(bad) + zk.vector([run.root], zk.buf) * (count - 1)
            c(w.raw(op, body, "op %d, %d paths" % (op, bad), xid=-8), w.check_watches(run.root, 3))
        lists = [[None, run.root]] + [[]] * (count - 1)
        c(w.raw(op, zk.set_watches(2**60, *lists), "op %d, a null path" % op, xid=-8))
        lists = [[]] * count
        c(w.raw(op, zk.set_watches(0, *lists) + b"more", "op %d, more bytes" % op, xid=-8))
        c(w.raw(op, zk.set_watches(0, *lists)[:-1], "op %d, too short" % op, xid=-8))
        c(w.raw(op, b"", "op %d, empty" % op, xid=55))


@table([("%d-list-%d" % (count, null), count, null) for count in (3, 5)
        for null in range(1, count)])
def set_watches_null_list(run, count, null):
    c = run.conn()
    c(w.create(run.root), w.create(run.p("n")))
    lists = [[run.p("n")]] * count
    lists[null] = None
    op = zk.SET_WATCHES2 if count == 5 else zk.SET_WATCHES
    c(w.raw(op, zk.set_watches(0, *lists), "op %d, list %d null" % (op, null), xid=-8))


@case
def set_watches_without_read(run):
    c, d = run.conn(), run.conn()
    c(w.create(run.root), w.create(run.p("a"), b"", [(30, "world", "anyone")]))
    a = [run.p("a")]
    d(w.set_watches(0, a, a, a), w.check_watches(run.p("a"), 3))
    d(w.set_watches(2**60, a, [], a), w.check_watches(run.p("a"), 3))
    c(w.set_data(run.p("a"), b"1"), w.create(run.p("a", "x")))
    d.events()


@case
def set_watches_of_many_paths(run):
    c, d = run.conn(), run.conn()
    c(w.create(run.root))
    c.many([w.create(run.p("%d" % n)) for n in range(0, 1000, 2)], text="500 creates")
    names = [run.p("%d" % n) for n in range(1000)]
    d(w.set_watches(2**60, names, names, names))
    c.many([w.set_data(run.p("%d" % n), b"") for n in range(1000)], text="1000 setData")
    d.events()
    c.many([w.create(run.p("%d" % n)) for n in range(1000)], text="1000 creates")
    d.events()


@case
def watches_end_with_the_connection(run):
    c, d = run.conn(), run.conn()
    c(w.create(run.root))
    d(w.get_data(run.root, True), w.add_watch(run.root, 1))
    e = run.conn(session=d.session, password=d.password)
    d.to_end()
    e(w.check_watches(run.root, 3))
    c(w.set_data(run.root, b"1"))
    e.events()


@case
def ephemerals_of_a_closed_session_fire(run):
    c, d, e = run.conn(), run.conn(), run.conn()
    c(w.create(run.root), w.create(run.p("a")))
    e(*[w.create(run.p("a", "e%d" % n), b"", None, 1) for n in range(5)])
    d(w.get_children(run.p("a"), True), w.add_watch(run.root, 1))
    c(*[w.exists(run.p("a", "e%d" % n), True) for n in range(5)])
    c(w.add_watch(run.p("a"), 0))
    e.close()
    c.events(unordered=True)
    d.events(unordered=True)
    c(w.get_children2(run.p("a")))


@case
def watches_and_pipelined_writes(run):
    c, d, r = run.conn(), run.conn(), run.conn()
    c(w.create(run.root), w.create(run.p("a")))
    d(w.add_watch(run.p("a"), 0), w.get_children(run.root, True))
    r(w.add_watch(run.root, 1))
    reqs = []
    for n in range(200):
        reqs += [w.get_data(run.p("a"), True), w.set_data(run.p("a"), b"%d" % n),
                 w.create(run.p("a", "%d" % (n % 9))), w.exists(run.p("a", "3"), True),
                 w.delete(run.p("a", "%d" % (n % 4)))]
    c.many(reqs, text="1000 writes and watched reads")
    d.events()
    r.events()
