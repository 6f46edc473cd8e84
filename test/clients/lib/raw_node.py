# SPDX-License-Identifier: Apache-2.0
"""Nodes of one program that speaks the protocol byte by byte."""

import os

import zkwire as zk
from report import same

LINE38 = zk.LINE == "3.8"
ROOT = "/raw-%d" % os.getpid()


def node(name):
    return "%s/%s" % (ROOT, name)


def made(conn, path, data=b"", flags=0, acl=None):
    got = conn.call(zk.CREATE, zk.create(path, data, acl, flags))
    same(got.err, 0, "create of " + path)
    return got.body.string()


def ends_silently(conn, what):
    same(conn.rest(), b"", what + ": bytes before the end of the connection")


def begin():
    """Make the root of the program's nodes."""
    with zk.Conn() as conn:
        made(conn, ROOT)
