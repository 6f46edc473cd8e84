#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Commands of zkCli whose opcodes (getEphemerals, getAllChildrenNumber) are newer and rarer, and
quotas, which are nodes that the server keeps."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from report import case, check, run, same
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


@case
def quotas(cli):
    """setquota, listquota, delquota; limits are enforced."""
    path = ROOT + "-quota"

    def usage(want):
        text = cli.do("listquota " + path)
        check("Output stat for %s %s" % (path, want) in text, "usage is not %s:\n%s", want, text)

    cli.do("create %s 12345" % path)
    cli.do("create %s/a 67" % path)
    for limit in ("-n 10", "-b 100"):
        same(cli.do("setquota %s %s" % (limit, path)), "", "setquota " + limit)
    usage("count=2,bytes=7")
    cli.do("create %s/b 890" % path)
    usage("count=3,bytes=10")
    cli.do("set %s/b x" % path)
    usage("count=3,bytes=8")
    cli.do("delete %s/a" % path)
    usage("count=2,bytes=6")
    check("has a parent" in cli.do("setquota -n 5 %s/b" % path), "setquota below a quota")
    for limit in ("-N 3", "-B 9"):
        same(cli.do("setquota %s %s" % (limit, path)), "", "setquota " + limit)
    check("count=10,bytes=100=;byteHardLimit=9;countHardLimit=3" in cli.do("listquota " + path),
          "the limits are not listed")
    check("Created" in cli.do("create %s/c 123" % path), "a create within the limits")
    refused = "Quota has exceeded : %s/" % path
    check(refused in cli.do("create %s/d 1" % path), "a create above the limit of nodes")
    check(refused in cli.do("set %s/c 1234" % path), "a set above the limit of bytes")
    usage("count=3,bytes=9")
    for limit in ("-N", "-B"):
        same(cli.do("delquota %s %s" % (limit, path)), "", "delquota " + limit)
    check("Created" in cli.do("create %s/d 1234" % path), "a create without hard limits")
    usage("count=4,bytes=13")
    same(cli.do("delquota " + path), "", "delquota")
    check("does not exist" in cli.do("listquota " + path), "a quota that is gone")
    same(cli.do("ls /zookeeper/quota"), "[]", "what is left of quotas")
    cli.do("create %s/e 1" % path)
    cli.do("deleteall " + path)


client = Cli()
code = run(client)
client.quit()
sys.exit(code)
