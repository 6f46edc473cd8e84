#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The judge of the crash tests before a tree made by hand: which of the unanswered operations
survived, and what it must not let pass. No server.

    judge.py DIRECTORY      (which stays empty)
"""

import collections
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../clients/lib")]
import model
import zkwire as zk
from client import Client, Wrong
from report import case, check, run, same
from tree import Tree

Shape = collections.namedtuple("Shape", "version cversion children owner czxid mzxid")


def tree_of(client, state):
    """The tree that a server would show when these operations have been applied."""
    tree = Tree.__new__(Tree)
    kids = len(state.nodes)
    tree.nodes = {state.base: (b"", Shape(0, 2 * state.next - kids, kids, 0, 1, 1))}
    for path, (number, version, czxid, mzxid) in state.nodes.items():
        data = model.payload(client.name, number) if number else b""
        tree.nodes[path] = (data, Shape(version, 0, 0, 0, czxid or 9, mzxid or 9))
    tree.parts = {}
    tree.sort()
    return tree


def client_with(*makes):
    """A client whose operations `makes` are on the way, with no answer so far."""
    client = Client("k0", model.seeded(1))
    for make in makes:
        client.push(make(client.maker))
    return client


def survivors(client, count):
    """A copy of the acknowledged state after the first operations that have no answer."""
    state = client.state.copy()
    for _, op in list(client.sent)[:count]:
        op.apply(state)
    return state


def answered(client, zxid, err=0, body=b""):
    client.hello = True
    client.frame(zk.i32(client.sent[0][0]) + zk.i64(zxid) + zk.i32(err) + body)


def push(maker):
    return maker.queue_push()


def push_and_name(client, zxid):
    answered(client, zxid, body=zk.buf("/c/k0/q%010d" % client.state.next))


def drop(maker):
    return maker.remove([p for p in maker.ahead.nodes if "/q" in p][-1])


def refused(client, tree):
    try:
        client.resolve(tree)
    except Wrong as err:
        return str(err)
    return None


@case
def every_prefix_is_known():
    """Also that which made a node and deleted it again: the next name is one further."""
    makes = (push, drop, model.Maker.count, push, drop, push, model.Maker.pair, model.Maker.pair)
    for count in range(len(makes) + 1):
        client = client_with(*makes)
        state = survivors(client, count)
        same(client.resolve(tree_of(client, state)), count, "operations that survived")
        same(client.maker.ahead.next, state.next, "next number after %d" % count)


@case
def made_and_deleted_unanswered():
    """The next name after a restart is that of the server."""
    client = client_with(push, drop)
    client.resolve(tree_of(client, survivors(client, 2)))
    client.push(push(client.maker))
    answered(client, 10, body=zk.buf("/c/k0/q0000000002"))
    same(client.acknowledged, 1, "acknowledged operations")


@case
def acknowledged_and_gone():
    client = client_with(push)
    push_and_name(client, 5)
    check("acknowledged 1 " in (refused(client, tree_of(client, model.new_state(client.base)))
                                or ""), "a lost operation passed")


@case
def acknowledged_and_gone_with_a_delete_under_way():
    """Without the number of children the tree is that of the delete."""
    client = client_with(push, drop)
    push_and_name(client, 5)
    check(refused(client, tree_of(client, model.new_state(client.base))), "a lost create passed")


@case
def half_a_transaction():
    client = client_with(model.Maker.pair)
    state = survivors(client, 1)
    del state.nodes[[p for p in state.nodes if "/a" in p][0]]
    check(refused(client, tree_of(client, state)), "half a multi passed")


@case
def a_number_too_far():
    """A create that was never sent, and deleted."""
    client = client_with(push)
    state = survivors(client, 1)
    state.next += 1
    check(refused(client, tree_of(client, state)), "a foreign node passed")


@case
def the_second_without_the_first():
    client = client_with(push, push)
    state = survivors(client, 2)
    del state.nodes[client.base + "/q0000000001"]
    check(refused(client, tree_of(client, state)), "a hole passed")


@case
def proofs():
    """What the test takes away from a log to see whether it is missed must leave a trace."""
    client = client_with(push, model.Maker.failing, model.Maker.exists_already)
    push_and_name(client, 5)
    answered(client, 6, err=-103)
    answered(client, 7, err=zk.EXISTS_ALREADY)
    same(client.proof, 5, "proof")


same(os.listdir(sys.argv.pop()), [], "directory")
sys.exit(run())
