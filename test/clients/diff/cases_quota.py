# SPDX-License-Identifier: Apache-2.0
"""Quotas: what is counted, on which path, and what enforceQuota=true refuses. Both servers run with
it. Left out: texts that Java cannot parse as usage, for they stop an Apache server; and writes that
a hard limit judges by what is pending (here) or not (Apache): test/unit/txn/quota_test.c."""

import wire as w
from book import case, table

BASE = "/zookeeper/quota"


def of(run, *names):
    return BASE + run.p(*names) if names else BASE + run.root


def limits(run, *names):
    return of(run, *names) + "/zookeeper_limits"


def stats(run, *names):
    return of(run, *names) + "/zookeeper_stats"


def quota(run, c, text, *names):
    """As setquota of zkCli does, for run.root and below."""
    for n in range(len(names) + 1):
        c(w.create(of(run, *names[:n]), None))
    c(w.create(limits(run, *names), text), w.create(stats(run, *names), b"count=0,bytes=0"),
      w.get_data(stats(run, *names)))


def steps(run, c, *requests):
    for step in requests:
        c(step, w.get_data(stats(run)), w.get_data(limits(run)))


@case
def quota_counts(run):
    c = run.conn()
    c(w.create(run.root, b"123"), w.create(run.p("a"), b"4567"))
    quota(run, c, b"count=5,bytes=100")
    steps(run, c, w.create(run.p("b"), b"89"), w.set_data(run.p("b"), b"x" * 500),
          w.set_data(run.p("b"), None), w.delete(run.p("a")),
          w.multi(w.create(run.p("m"), b"12"), w.delete(run.p("m"))),
          w.multi(w.create(run.p("m"), b"12"), w.set_data(run.p("m"), b"345"),
                  w.create(run.p("m", "n"), None)),
          w.multi(w.create(run.p("k"), b"12"), w.delete(run.p("none"))),
          w.set_acl(run.p("m"), [(31, "world", "anyone")]), w.create(run.p("s"), b"x", None, 2),
          w.container(run.p("box"), b"x"), w.create2(run.p("c2"), b"y" * 77))
    c(w.exists(stats(run)), w.exists(of(run)))


@case
def quota_ephemerals(run):
    c, d = run.conn(), run.conn()
    c(w.create(run.root))
    quota(run, c, b"count=5,bytes=100")
    d(w.create(run.p("e"), b"123", None, 1), w.create(run.p("f"), b"4", None, 3))
    c(w.get_data(stats(run)))
    d.close()
    c(w.get_data(stats(run)))


@case
def quota_longest(run):
    c = run.conn()
    c(w.create(run.root, b"1"), w.create(run.p("a"), b"22"), w.create(run.p("a", "b"), b"333"))
    quota(run, c, b"count=5,bytes=100")
    quota(run, c, b"count=5,bytes=100", "a")
    for step in (w.create(run.p("a", "c"), b"4444"), w.create(run.p("ab"), b"55555"),
                 w.delete(limits(run, "a")), w.create(run.p("a", "d"), b"666666"),
                 w.create(limits(run, "a"), b"count=1"), w.set_data(run.p("a", "d"), b""),
                 w.delete(stats(run, "a")), w.create(run.p("a", "e"), b"7"),
                 w.create2(stats(run, "a"), b"any text is replaced"), w.delete(run.p("a", "d")),
                 w.delete(limits(run)), w.delete(run.p("ab")), w.set_data(run.p("a"), b"")):
        c(step, w.get_data(stats(run)), w.get_data(stats(run, "a")))


@case
def quota_watches(run):
    """The usage changes behind the back of every watch, and without a trace in the stat."""
    c, d = run.conn(), run.conn()
    c(w.create(run.root))
    quota(run, c, b"count=5,bytes=100")
    d(w.get_data(stats(run), True), w.exists(stats(run), True), w.get_children(of(run), True))
    d(w.add_watch(of(run), 1))
    c(w.create(run.p("a"), b"123"), w.set_data(run.p("a"), b"45"), w.delete(run.p("a")))
    d.events()
    c(w.set_data(stats(run), b"count=10,bytes=20"))
    d.events()
    d(w.get_data(stats(run)))
    c(w.create(run.p("b"), b"123"), w.get_data(stats(run)))


@table([("keys", b"bytes=3,count=4,later=9,before=1"), ("limits", b"count=1,bytes=2=;countHardLimit=5"),
        ("empty", b""), ("signs", b"count=+3;bytes=-7"), ("no-value", b"count==1,bytes=1"),
        ("twice", b"count=1,count=5,bytes=2"), ("zeros", b"count=007,bytes=0=="),
        ("other", b"a=1"), ("separators", b",;,")])
def quota_text(run, text):
    """What a client has written as usage is where counting goes on."""
    c = run.conn()
    c(w.create(run.root, b"1"))
    quota(run, c, b"count=5,bytes=100")
    steps(run, c, w.set_data(stats(run), text), w.create(run.p("a"), b"123"),
          w.set_data(run.p("a"), b"12"), w.delete(run.p("a")), w.set_data(run.root, b"2"))


@case
def quota_of_nothing(run):
    c = run.conn()
    quota(run, c, b"count=-1,bytes=-1=;countHardLimit=2")
    steps(run, c, w.create(run.root, b"1"), w.create(run.p("a"), b"1"), w.create(run.p("b"), b"1"),
          w.delete(limits(run)), w.create(run.p("c"), b"1"))
    c(w.create(limits(run), b""), w.create(run.p("d"), b"1"), w.get_data(stats(run)))


@case
def quota_of_quota(run):
    """A quota on nodes of quotas: its own usage is among what it counts."""
    c = run.conn()
    c(w.create(run.root, b"1"))
    quota(run, c, b"count=5,bytes=100")
    here = "/zookeeper/quota" + of(run)
    up = "/zookeeper/quota"
    for name in ("zookeeper", "quota", run.root[1:]):
        up += "/" + name
        c(w.create(up))
    c(w.create(here + "/zookeeper_limits", b""), w.create(here + "/zookeeper_stats", b""))
    for step in (w.create(of(run, "x"), b"12"), w.create(run.p("a"), b"34"),
                 w.set_data(stats(run), b"count=1000,bytes=100000"), w.create(run.p("b"), b"34"),
                 w.set_data(limits(run), b"bytes=7"), w.delete(of(run, "x")),
                 w.delete(stats(run)), w.delete(limits(run))):
        c(step, w.get_data(stats(run)), w.get_data(here + "/zookeeper_stats"))
    c(w.delete(here + "/zookeeper_limits"), w.delete(here + "/zookeeper_stats"), w.delete(here),
      w.delete("/zookeeper/quota/zookeeper/quota"), w.delete("/zookeeper/quota/zookeeper"))


@case
def quota_hard_count(run):
    c = run.conn()
    c(w.create(run.root, b"1"))
    quota(run, c, b"count=1,bytes=1=;byteHardLimit=-1;countHardLimit=3")
    steps(run, c, w.create(run.p("a"), b"12"), w.create2(run.p("b"), b"34"),
          w.create(run.p("c"), b"5"), w.create2(run.p("c"), b"5"), w.container(run.p("c"), b""),
          w.create(run.p("c"), b"5", None, 1), w.create(run.p("s"), b"5", None, 2),
          w.multi(w.create(run.p("c"), b"5"), w.create(run.p("d"), b"5")),
          w.multi(w.set_data(run.p("a"), b""), w.create(run.p("c"), b"5"), w.delete(run.p("b"))),
          w.create(run.p("a"), b"5"), w.create(run.p("no", "x"), b"5"), w.create(run.root + "x"),
          w.set_data(run.p("a"), b"x" * 100), w.delete(run.p("a")), w.create(run.p("c"), b"5"),
          w.set_data(limits(run), b"countHardLimit=0"), w.create(run.p("e"), b"5"),
          w.set_data(run.p("c"), b""), w.delete(run.p("c")), w.create(run.p("e"), b"5"),
          w.set_data(limits(run), b"count=0"), w.create(run.p("e"), b"5"))
    c(w.delete(run.root + "x"))


@case
def quota_hard_bytes(run):
    c = run.conn()
    c(w.create(run.root, b"1"))
    quota(run, c, b"byteHardLimit=6")
    steps(run, c, w.create(run.p("a"), b"12345"), w.create(run.p("b"), b"1"),
          w.create(run.p("b"), b""), w.create(run.p("c"), None), w.set_data(run.p("a"), b"123456"),
          w.set_data(run.p("a"), b"123456", 9), w.set_data(run.p("a"), b"54321", 9),
          w.set_data(run.p("a"), b"54321"), w.set_data(run.p("no"), b"123456789"),
          w.multi(w.set_data(run.p("a"), b"1"), w.set_data(run.p("c"), b"1234567")),
          w.set_data(limits(run), b"byteHardLimit=3"), w.set_data(run.p("a"), b"12345"),
          w.set_data(run.p("a"), b"1234"), w.set_data(run.p("a"), b"12"),
          w.set_data(run.p("a"), None), w.set_data(run.root, b"123"),
          w.multi(w.create(run.p("d"), b"2"), w.set_data(run.root, b"1"), w.check(run.root, 1)))
    c(w.set_acl(run.p("b"), [(1, "world", "anyone")]), w.set_data(run.p("b"), b"123456789"))


@table([("null", None), ("word", b"nonsense"), ("no-value", b"count="), ("float", b"count=1.5"),
        ("space", b"count= 1"), ("large", b"bytes=9223372036854775808"), ("comma", b",count=1"),
        ("empty", b""), ("largest", b"byteHardLimit=9223372036854775807")])
def quota_unreadable_limits(run, text):
    """Prep parses the limits for each write below, and fails with -5 where Java throws."""
    c = run.conn()
    c(w.create(run.root, b"1"))
    quota(run, c, text)
    steps(run, c, w.create(run.p("a"), b"1"), w.set_data(run.root, b"12"),
          w.multi(w.create(run.root + "x"), w.create(run.p("a"), b"1")), w.exists(run.root + "x"),
          w.delete(run.p("a")))
