#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Four-letter words: shape and figures of every answer."""

import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import zkwire as zk
from raw_node import begin, ends_silently, made, node
from report import case, check, run, same
from zkwire import Conn

def shape(text, *lines):
    """text has these lines, each a regular expression, in this order and no other."""
    got = text.split("\n")
    same(got[-1:], [""], "end of the last line")
    check(len(got) - 1 == len(lines), "%d lines instead of %d:\n%s", len(got) - 1, len(lines), text)
    for have, want in zip(got, lines):
        check(re.fullmatch(want, have), "line %r does not match %r", have, want)


SRVR = [r"Latency min/avg/max: \d+/\d+(\.\d+)?/\d+", r"Received: \d+", r"Sent: \d+",
        r"Connections: \d+", r"Outstanding: \d+", r"Zxid: 0x[0-9a-f]+", r"Mode: standalone",
        r"Node count: \d+"]
VERSION = r"Zookeeper version: .+, built on .+"
BRIEF = r" /[0-9.]+:\d+\[[0145]\]\(queued=\d+,recved=\d+,sent=\d+\)"
CONS = (r" /[0-9.]+:\d+\[[0145]\]\(queued=\d+,recved=\d+,sent=\d+"
        r"(,sid=0x[0-9a-f]+,lop=[A-Z0-9]+,est=\d+,to=\d+(,lcxid=0x[0-9a-f]+)?,lzxid=0x[0-9a-f]+,"
        r"lresp=\d+,llat=\d+,minlat=\d+,avglat=\d+,maxlat=\d+)?\)")


@case
def words_that_are_short():
    for tail in (b"", b"\n", b"\r\n"):
        same(zk.four_letters("ruok", tail), "imok", "ruok")
        same(zk.four_letters("isro", tail), "rw", "isro")
    # One byte at a time is a word too.
    with Conn(connect=False) as c:
        for byte in b"ruok":
            c.sock.send(bytes([byte]))
            time.sleep(0.02)
        same(c.rest(), b"imok", "ruok byte by byte")
    same(zk.four_letters("zzzz"), "", "an unknown word")
    same(zk.four_letters("stmk", bytes(8)), "stmk is not executed because it is not in the "
         "whitelist.\n", "a word that is not in the whitelist")
    shape(zk.four_letters("gtmk") + "\n", r"\d+")
    with Conn() as c:
        c.send(b"ruok")
        ends_silently(c, "a word after the session began")


@case
def words_srvr_and_stat():
    shape(zk.four_letters("srvr"), VERSION, *SRVR)
    with Conn() as c:
        c.call(zk.EXISTS, zk.watched("/"))
        text = zk.four_letters("stat")
        head, rest = text.split("\n\n", 1)
        lines = head.split("\n")
        check(re.fullmatch(VERSION, lines[0]), "first line of stat: %r", lines[0])
        same(lines[1], "Clients:", "second line of stat")
        for line in lines[2:]:
            check(re.fullmatch(BRIEF, line), "client line of stat: %r", line)
        mine = "/%s:%d[" % c.sock.getsockname()
        check(mine in head, "stat does not show the connection %s", mine)
        shape(rest, *SRVR)


@case
def word_counts_follow():
    def node_count():
        return int(re.search(r"Node count: (\d+)", zk.four_letters("srvr")).group(1))

    with Conn() as c:
        before = node_count()
        for n in range(10):
            made(c, node("count-%d" % n))
        same(node_count(), before + 10, "node count")
        zxid = c.call(zk.EXISTS, zk.watched("/")).zxid
        seen = int(re.search(r"Zxid: 0x([0-9a-f]+)", zk.four_letters("srvr")).group(1), 16)
        check(seen >= zxid, "srvr shows zxid %x after %x", seen, zxid)


@case
def word_cons():
    with Conn() as c:
        c.call(zk.GET_DATA, zk.watched("/"))
        text = zk.four_letters("cons")
        check(text.endswith("\n\n"), "cons does not end with a blank line")
        for line in text[:-2].split("\n"):
            check(re.fullmatch(CONS, line), "line of cons: %r", line)
        mine = [l for l in text.split("\n") if "/%s:%d[" % c.sock.getsockname() in l]
        same(len(mine), 1, "lines for our connection")
        for part in ("sid=0x%x" % c.session, "lop=GETD", "to=10000", "lcxid=0x1"):
            check(part + "," in mine[0], "%s is not in %r", part, mine[0])


@case
def word_mntr():
    text = zk.four_letters("mntr")
    check(text.endswith("\n"), "mntr does not end with a newline")
    values = {}
    for line in text[:-1].split("\n"):
        check(re.fullmatch(r"zk_[^\t]+\t.*", line), "line of mntr: %r", line)
        key, value = line.split("\t", 1)
        values[key] = value
    for key in ("avg_latency", "min_latency", "max_latency", "packets_received", "packets_sent",
                "num_alive_connections", "outstanding_requests", "znode_count", "watch_count",
                "ephemerals_count", "approximate_data_size", "open_file_descriptor_count",
                "max_file_descriptor_count", "global_sessions", "local_sessions", "uptime"):
        value = values.get("zk_" + key)
        check(value is not None, "mntr has no zk_%s", key)
        check(re.fullmatch(r"-?\d+(\.\d+)?", value), "zk_%s is %r", key, value)
    same(values["zk_server_state"], "standalone", "zk_server_state")
    check(text.startswith("zk_version\t"), "mntr does not begin with zk_version")
    check(", built on " in values["zk_version"], "zk_version is %r", values["zk_version"])


@case
def word_conf():
    values = dict(line.split("=", 1) for line in zk.four_letters("conf").strip().split("\n"))
    for key, want in (("clientPort", str(zk.PORT)), ("tickTime", "2000"), ("maxClientCnxns", "0"),
                      ("minSessionTimeout", "4000"), ("maxSessionTimeout", "40000"),
                      ("serverId", "0")):
        same(values.get(key), want, key + " of conf")
    for key in ("secureClientPort", "dataDir", "dataDirSize", "dataLogDir", "dataLogSize",
                "clientPortListenBacklog"):
        check(key in values, "conf has no %s", key)


@case
def words_about_watches():
    with Conn() as c:
        path = node("wch")
        made(c, path)
        c.call(zk.GET_DATA, zk.watched(path, True))
        c.call(zk.GET_CHILDREN, zk.watched(path, True))
        shape(zk.four_letters("wchs"), r"\d+ connections watching \d+ paths", r"Total watches:\d+")
        text = zk.four_letters("wchp")
        check("%s\n\t0x%x\n" % (path, c.session) in text, "wchp: %r", text)
        text = zk.four_letters("wchc")
        check("0x%x\n\t%s\n" % (c.session, path) in text, "wchc: %r", text)


@case
def words_that_are_left():
    shape(zk.four_letters("dirs"), r"datadir_size: \d+", r"logdir_size: \d+")
    text = zk.four_letters("envi")
    check(text.startswith("Environment:\n"), "envi begins with %r", text[:40])
    keys = [line.split("=", 1)[0] for line in text.strip().split("\n")[1:]]
    for key in ("zookeeper.version", "host.name", "os.name", "os.arch", "user.dir"):
        check(key in keys, "envi has no %s", key)
    with Conn() as c:
        made(c, node("dumped"), flags=1)
        text = zk.four_letters("dump")
        check("0x%x:\n\t%s\n" % (c.session, node("dumped")) in text, "dump: %r", text)
        for title in ("SessionTracker dump:", "ephemeral nodes dump:", "Connections dump:"):
            check(title + "\n" in text, "dump has no line %r", title)
    same(zk.four_letters("crst"), "Connection stats reset.\n", "crst")
    same(zk.four_letters("srst"), "Server stats reset.\n", "srst")


begin()
sys.exit(run())
