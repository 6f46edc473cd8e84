#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Commands of zkCli whose opcodes (getEphemerals, getAllChildrenNumber) are newer and rarer."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from report import case, run, same
from zkcli import Cli

ROOT = "/more-%d" % os.getpid()


@case
def all_children_number(cli):
    for name in ("", "/a", "/a/b", "/a/b/c", "/d"):
        cli.do("create %s%s" % (ROOT, name))
    same(cli.do("getAllChildrenNumber " + ROOT), "4", "number of descendants")
    same(cli.do("getAllChildrenNumber %s/d" % ROOT), "0", "number of descendants of a leaf")
    same(cli.do("getAllChildrenNumber %s/none" % ROOT), "Node does not exist: %s/none" % ROOT,
         "answer for a missing node")


@case
def ephemerals(cli):
    for name in ("/a/e1", "/a/e2", "/d/e3"):
        cli.do("create -e %s%s" % (ROOT, name))

    def listed(text):
        return sorted(text.strip("[]").split(", "))

    same(listed(cli.do("getEphemerals")), [ROOT + p for p in ("/a/e1", "/a/e2", "/d/e3")],
         "all of the session")
    same(listed(cli.do("getEphemerals %s/a" % ROOT)), [ROOT + p for p in ("/a/e1", "/a/e2")],
         "those below one node")
    same(cli.do("getEphemerals %s/x" % ROOT), "[]", "those below a node that has none")
    cli.do("deleteall " + ROOT)


client = Cli()
code = run(client)
client.quit()
sys.exit(code)
