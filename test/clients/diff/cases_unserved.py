# SPDX-License-Identifier: Apache-2.0
"""What zokord does not serve yet, each in a group of its own: run.sh --with GROUP switches it on.
When a group's work is done, its cases move to where they belong, without the group."""

import wire as w
from book import case


@case(group="getEphemerals")
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


@case(group="getAllChildrenNumber")
def get_all_children_number(run):
    c = run.conn()
    c(w.create(run.root), w.create(run.p("a")), w.create(run.p("a", "b")), w.create(run.p("ab")))
    for path in (run.root, run.p("a"), run.p("ab"), run.p("no"), None, "", run.root + "/", "x"):
        c(w.get_all_children_number(path))
    c(w.set_acl(run.p("a"), [(30, "world", "anyone")]), w.get_all_children_number(run.p("a")))
    c(w.get_all_children_number("/"))


@case(group="sessionop")
def create_session_op(run):
    """Apache answers createSession from a client by a raw ConnectResponse frame."""
    c = run.conn()
    c.feed(w.zk.request(1, w.CREATE_SESSION, w.zk.i32(5000)), "createSession from a client")
