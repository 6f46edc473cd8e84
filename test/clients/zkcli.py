#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Apache's command line client: every command that needs one server."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from report import case, check, run, same
from zkcli import Cli, once

ROOT = "/cli-%d" % os.getpid()


def has(text, *patterns):
    """text holds each of these, in this order, at line starts."""
    at = 0
    for pattern in patterns:
        found = re.compile(r"^%s$" % pattern, re.MULTILINE).search(text, at)
        check(found, "no line %r in the rest of:\n%s", pattern, text)
        at = found.end()


STAT = ["cZxid = 0x[0-9a-f]+", "ctime = .+", "mZxid = 0x[0-9a-f]+", "mtime = .+",
        "pZxid = 0x[0-9a-f]+"]


def stat(cversion=0, version=0, aversion=0, owner="0x0", length=0, children=0):
    return STAT + ["cversion = %d" % cversion, "dataVersion = %d" % version,
                   "aclVersion = %d" % aversion, "ephemeralOwner = %s" % owner,
                   "dataLength = %d" % length, "numChildren = %d" % children]


@case
def create_and_get(cli, other):
    has(cli.do("create %s root" % ROOT), "Created " + ROOT)
    same(cli.do("get " + ROOT), "root", "get")
    has(cli.do("get -s " + ROOT), "root", *stat(length=4))
    has(cli.do("create %s again" % ROOT), "Node already exists: " + ROOT)
    has(cli.do("create %s/no/x y" % ROOT), "Node does not exist: %s/no/x" % ROOT)
    has(cli.do("create -s %s/seq- a" % ROOT), r"Created %s/seq-0000000000" % ROOT)
    has(cli.do("create -s -e %s/seq- b" % ROOT), r"Created %s/seq-0000000001" % ROOT)
    has(cli.do("create -e %s/eph e" % ROOT), "Created %s/eph" % ROOT)
    has(cli.do("create -c %s/box" % ROOT), "Created %s/box" % ROOT)
    has(cli.do("create %s/box/inner data" % ROOT), "Created %s/box/inner" % ROOT)
    has(cli.do("create %s/eph/x y" % ROOT), "Ephemerals cannot have children: %s/eph/x" % ROOT)
    has(cli.do("get -s %s/eph" % ROOT), "e", *stat(owner="0x1[0-9a-f]{14}", length=1))
    has(cli.do("get -s %s/box" % ROOT), *stat(cversion=1, children=1))
    same(cli.do("get %s/box" % ROOT), "null", "get of null data")
    has(cli.do("get %s/none" % ROOT), "Node does not exist: %s/none" % ROOT)
    has(cli.do('create %s/words "several words here"' % ROOT), "Created %s/words" % ROOT)
    same(other.do("get %s/words" % ROOT), "several words here", "get by another client")
    has(cli.do("create -t 1000 %s/ttl x" % ROOT),
        "KeeperErrorCode = Unimplemented for %s/ttl" % ROOT)


@case
def set_and_version(cli, other):
    path = ROOT + "/set"
    cli.do("create %s 0" % path)
    same(cli.do("set %s one" % path), "", "set")
    has(cli.do("set -s %s two" % path), *stat(version=2, length=3))
    has(cli.do("set -v 0 %s three" % path), "version No is not valid : " + path)
    same(cli.do("set -v 2 %s three" % path), "", "set with the right version")
    same(other.do("get " + path), "three", "get by another client")
    has(cli.do("set %s/none x" % ROOT), "Node does not exist: %s/none" % ROOT)


@case
def ls_and_stat(cli, other):
    path = ROOT + "/ls"
    for name in ("", "/a", "/b", "/a/x"):
        has(other.do("create %s%s data" % (path, name)), "Created " + path + name)
    same(cli.do("ls " + path), "[a, b]", "ls")
    has(cli.do("ls -s " + path), r"\[a, b\]", *stat(cversion=2, length=4, children=2))
    same(sorted(cli.do("ls -R " + path).split()),
         [path, path + "/a", path + "/a/x", path + "/b"], "ls -R")
    has(cli.do("stat " + path), *stat(cversion=2, length=4, children=2))
    has(cli.do("stat %s/none" % ROOT), "Node does not exist: %s/none" % ROOT)
    has(cli.do("ls %s/none" % ROOT), "Node does not exist: %s/none" % ROOT)
    has(cli.do("ls /zookeeper"), r"\[config, quota\]")


@case
def delete_and_deleteall(cli, other):
    path = ROOT + "/del"
    for name in ("", "/a", "/a/x", "/b"):
        other.do("create %s%s" % (path, name))
    has(cli.do("delete " + path), "Node not empty: " + path)
    has(cli.do("delete -v 3 %s/b" % path), "version No is not valid : %s/b" % path)
    same(cli.do("delete -v 0 %s/b" % path), "", "delete with the right version")
    has(cli.do("delete %s/b" % path), "Node does not exist: %s/b" % path)
    same(cli.do("deleteall " + path), "", "deleteall")
    has(other.do("stat " + path), "Node does not exist: " + path)


@case
def watches_fire(cli, other):
    path = ROOT + "/watch"
    other.do("create %s 0" % path)
    same(cli.do("get -w " + path), "0", "get -w")
    other.do("set %s 1" % path)
    cli.event("NodeDataChanged", path)
    has(cli.do("stat -w " + path), *stat(version=1, length=1))
    other.do("set %s 2" % path)
    cli.event("NodeDataChanged", path)
    same(cli.do("ls -w " + path), "[]", "ls -w")
    other.do("create %s/a" % path)
    cli.event("NodeChildrenChanged", path)
    has(cli.do("stat -w %s/b" % path), "Node does not exist: %s/b" % path)
    other.do("create %s/b" % path)
    cli.event("NodeCreated", path + "/b")
    cli.do("get -w %s/b" % path)
    other.do("delete %s/b" % path)
    cli.event("NodeDeleted", path + "/b")
    # A watch is told once.
    other.do("set %s 3" % path)
    other.do("create %s/c" % path)
    cli.do("sync /")
    same(cli.events, [], "further events")


@case
def add_and_remove_watches(cli, other):
    path = ROOT + "/added"
    other.do("create %s 0" % path)
    same(cli.do("addWatch -m PERSISTENT " + path), "", "addWatch")
    for n in range(3):
        other.do("set %s %d" % (path, n))
        cli.event("NodeDataChanged", path)
    other.do("create %s/a" % path)
    cli.event("NodeChildrenChanged", path)
    same(cli.do("removewatches " + path), "", "removewatches")
    # The client itself tells that its watch was removed.
    cli.event("PersistentWatchRemoved", path)
    has(cli.do("removewatches " + path), "KeeperErrorCode = No such watcher for " + path)
    same(cli.do("addWatch -m PERSISTENT_RECURSIVE " + path), "", "addWatch")
    other.do("create %s/a/b" % path)
    cli.event("NodeCreated", path + "/a/b")
    other.do("set %s/a x" % path)
    cli.event("NodeDataChanged", path + "/a")
    other.do("deleteall %s/a" % path)
    cli.event("NodeDeleted", path + "/a/b")
    cli.event("NodeDeleted", path + "/a")
    cli.do("removewatches " + path)
    cli.event("PersistentWatchRemoved", path)
    cli.do("stat -w " + path)
    same(cli.do("removewatches %s -d" % path), "", "removewatches -d")
    cli.event("DataWatchRemoved", path)
    cli.do("ls -w " + path)
    same(cli.do("removewatches %s -c" % path), "", "removewatches -c")
    cli.event("ChildWatchRemoved", path)
    other.do("set %s after" % path)
    other.do("create %s/after" % path)
    cli.do("sync /")
    same(cli.events, [], "events after removal")


@case
def access_control(cli, other):
    path = ROOT + "/acl"
    cli.do("create %s secret" % path)
    has(cli.do("getAcl " + path), "'world,'anyone", ": cdrwa")
    same(cli.do("addauth digest gina:pw"), "", "addauth")
    same(cli.do("setAcl %s auth::cdrwa" % path), "", "setAcl")
    got = cli.do("getAcl -s " + path)
    has(got, "'digest,'gina:[A-Za-z0-9+/]{27}=", ": cdrwa", *stat(aversion=1, length=6))
    for command in ("get %s", "set %s x", "create %s/x y", "getAcl %s"):
        has(other.do(command % path), "Insufficient permission : %s(/x)?" % path)
    has(cli.do("setAcl -v 0 %s world:anyone:r" % path), "version No is not valid : " + path)
    has(cli.do("setAcl -s -v 1 %s world:anyone:r" % path), *stat(aversion=2, length=6))
    same(other.do("get " + path), "secret", "get after setAcl")
    has(other.do("getAcl " + path), "'world,'anyone", ": r")
    # The client that set the ACL to read-only has no ADMIN any more; the scheme is looked at first.
    has(cli.do("setAcl %s nonsense:x:r" % path), "Acl is not valid : " + path)
    has(cli.do("setAcl %s world:anyone:cdrwa" % path), "Insufficient permission : " + path)
    has(cli.do("create %s/bad x nonsense:y:r" % ROOT), "Acl is not valid : %s/bad" % ROOT)
    has(cli.do("create %s/mine x digest:gina:%s:r" % (ROOT, "A" * 27 + "=")),
        "Created %s/mine" % ROOT)


@case
def sync_whoami_version(cli, other):
    del other
    has(cli.do("sync " + ROOT), "Sync is OK")
    has(cli.do("whoami"), "Auth scheme: User", "ip: 127.*")
    has(cli.do("version"), "ZooKeeper CLI version: 3.*")
    has(cli.do("history"), r"\d+ - version")


@case
def ephemerals_end_with_quit(cli, other):
    """Must be the last case that uses cli."""
    same(cli.do("ls -w %s" % ROOT).count("eph"), 1, "ephemeral node")
    same(other.do("stat -w %s/eph" % ROOT).count("cZxid"), 1, "stat -w")
    same(cli.quit(), 0, "exit status of zkCli")
    other.event("NodeDeleted", ROOT + "/eph")
    has(other.do("stat %s/eph" % ROOT), "Node does not exist: %s/eph" % ROOT)
    check("seq-0000000001" not in other.do("ls " + ROOT), "the sequential ephemeral node is left")


@case
def commands_on_the_command_line(cli, other):
    del cli
    path = ROOT + "/once"
    status, text = once("create", path, "some data")
    same(status, 0, "status of create")
    has(text, "Created " + path)
    status, text = once("create", path, "x")
    same(status, 1, "status of a create that fails")
    has(text, "Node already exists: " + path)
    status, text = once("get", "-s", path)
    same(status, 0, "status of get")
    has(text, "some data", *stat(length=9))
    same(once("deleteall", path)[0], 0, "status of deleteall")
    has(other.do("stat " + path), "Node does not exist: " + path)


first = Cli()
second = Cli()
code = run(first, second)
second.quit()
sys.exit(code)
