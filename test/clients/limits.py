#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Limits and throttles, one case per server; limits.sh starts each with the settings it needs."""

import os
import re
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import zkwire as zk
from raw_node import begin, ends_silently, made, node
from report import case, check, run, same, until
from zkwire import Closed, Conn

THROTTLED = -127


def mntr():
    return dict(line.split("\t", 1) for line in zk.four_letters("mntr")[:-1].split("\n"))


def figure(key):
    return int(mntr()["zk_" + key])


def answers(conn, count):
    """The errors of the next count replies, which must come in the order of their requests."""
    out = []
    for xid in range(1, count + 1):
        got = conn.answer(xid)
        out.append(got.err)
    return out


@case
def large_requests():
    """largeRequestThreshold=10000, largeRequestMaxBytes=50000"""
    with Conn() as c:
        made(c, node("large"))
        for size in (9000, 40000, 9000, 40000):
            same(c.call(zk.SET_DATA, zk.set_data(node("large"), bytes(size))).err, 0,
                 "setData of %d bytes" % size)
        same(figure("large_requests_rejected"), 0, "large_requests_rejected before")
        with Conn() as other:
            other.send(zk.i32(50001))
            ends_silently(other, "a length of more than all large requests together")
            same(figure("large_requests_rejected"), 1, "large_requests_rejected")
        got = c.call(zk.GET_DATA, zk.watched(node("large")))
        same((got.err, len(got.body.buf())), (0, 40000), "the others go on")
        # The same for the first frame of a connection.
        with Conn(connect=False) as first:
            first.send(zk.i32(60000))
            ends_silently(first, "a large ConnectRequest")
        same(figure("large_requests_rejected"), 2, "large_requests_rejected")


@case
def outstanding():
    """globalOutstandingLimit=1: back-pressure, no errors"""
    many, conns = 500, [Conn() for _ in range(4)]
    made(conns[0], node("outstanding"))
    for c in conns:
        c.xid = 0
        c.send(b"".join(zk.request(x, zk.SET_DATA, zk.set_data(node("outstanding"), b"v"))
                        for x in range(1, many + 1)))
    for c in conns:
        same(set(answers(c, many)), {0}, "answers")
        c.sock.close()
    if zk.KIND == "zokor":
        check(figure("parser_stops_outstanding") > 0, "nobody had to wait")


@case
def request_throttle():
    """request_throttle_max_requests=4: they wait, in order, and are all served"""
    many, conns = 500, [Conn() for _ in range(8)]
    made(conns[0], node("throttle"))
    for n, c in enumerate(conns):
        c.send(b"".join(zk.request(x, zk.CREATE,
                                   zk.create(node("throttle/%d-%d" % (n, x)), b""))
                        for x in range(c.xid + 1, c.xid + many + 1)))
    for c in conns:
        for x in range(c.xid + 1, c.xid + many + 1):
            same(c.answer(x).err, 0, "answer")
        if zk.KIND == "zokor":
            check(figure("outstanding_requests") <= 4, "more than 4 in process")
        c.sock.close()
    check(figure("request_throttle_wait_count") > 0, "nobody had to wait")
    check(figure("cnt_request_throttle_queue_time_ms") >= 8 * many, "queue times not counted")
    same(figure("throttled_ops"), 0, "throttled_ops")


@case
def throttled_op():
    """request_throttle_max_requests=1, throttled_op_wait_time=5: -127 without effect"""
    many = 4000
    with Conn() as c:
        made(c, node("op"))
        for _ in range(10):  # until the server was slow enough
            first = c.xid + 1
            c.xid += many
            c.send(b"".join(zk.request(x, zk.CREATE, zk.create(node("op/n-%d" % x), b""))
                            for x in range(first, first + many)))
            errs = [c.answer(x).err for x in range(first, first + many)]
            check(set(errs) <= {0, THROTTLED}, "answers: %r", set(errs))
            done = {"n-%d" % (first + i) for i, e in enumerate(errs) if e == 0}
            got = c.call(zk.GET_CHILDREN, zk.watched(node("op")))
            names = {n for n in got.body.strings() if int(n[2:]) >= first}
            same(names, done, "what was created")
            if THROTTLED in errs:
                break
        else:
            check(False, "no operation was throttled")
        check(errs.count(THROTTLED) <= figure("throttled_ops"), "throttled_ops")
        same(c.call(zk.EXISTS, zk.watched("/")).err, 0, "a request in its time")
        same(c.call(zk.CLOSE).err, 0, "closeSession")


@case
def connection_throttle():
    """connection_throttle_tokens=4, one is for begin(), and none comes back for a while"""
    conns = [Conn() for _ in range(3)]
    before = figure("connection_rejected")
    with Conn(connect=False) as c:
        c.send(zk.connect_request())
        ends_silently(c, "a ConnectRequest without a token")
    same(figure("connection_rejected"), before + 1, "connection_rejected")
    same(figure("connection_request_count"), 4, "connection_request_count")
    same(figure("max_connection_token_deficit"), 4, "connection_token_deficit")
    same(conns[0].call(zk.EXISTS, zk.watched("/")).err, 0, "the others go on")
    for c in conns:
        c.sock.close()


@case
def weighed_connections():
    """connection_throttle_tokens=4 times the weight of a new session, 3; a reconnect weighs 2"""
    conns = [Conn() for _ in range(2)]  # and begin(): 3 of 12 are left
    again = Conn(session=conns[0].session, password=conns[0].password)
    same(again.session, conns[0].session, "reconnect")
    for session in (0, conns[1].session):  # 1 is left: too few for either
        with Conn(connect=False) as c:
            c.send(zk.connect_request(session=session, password=conns[1].password))
            ends_silently(c, "a ConnectRequest with too few tokens")
    same(figure("connection_rejected"), 2, "connection_rejected")


@case
def dropped_by_chance():
    """connection_throttle_tokens=1, freeze_time=0, drop_increase=1: begin() has had the token"""
    same(mntr()["zk_connection_drop_probability"], "0.0", "chance before")
    time.sleep(0.02)
    with Conn(connect=False) as c:
        c.send(zk.connect_request())
        ends_silently(c, "a ConnectRequest")
    same(mntr()["zk_connection_drop_probability"], "1.0", "chance after")


def refused(what):
    try:
        with Conn(timeout=5.0):
            pass
    except (Closed, ConnectionError, socket.timeout):
        return
    check(False, "%s: one connection too many", what)


@case
def max_client_cnxns():
    """maxClientCnxns=3"""
    conns = [Conn() for _ in range(3)]
    refused("maxClientCnxns")
    refused("maxClientCnxns")
    same(conns[2].call(zk.EXISTS, zk.watched("/")).err, 0, "the others go on")
    conns.pop().sock.close()
    until(lambda: "zk_" in four_or_nothing("mntr"), "room for one more")
    check(figure("connection_rejected") >= 2, "connection_rejected")


@case
def max_cnxns():
    """maxCnxns=3"""
    conns = [Conn() for _ in range(3)]
    refused("maxCnxns")
    conns.pop().sock.close()
    until(lambda: "zk_" in four_or_nothing("mntr"), "room for one more")
    same(conns[1].call(zk.EXISTS, zk.watched("/")).err, 0, "the others go on")


def four_or_nothing(word):
    try:
        return zk.four_letters(word)
    except OSError:
        return ""


@case
def trace_mask():
    """4lw.commands.whitelist=*"""
    same(zk.four_letters("gtmk"), "306", "gtmk")
    for mask in (0, 306, -1, 1 << 62):
        same(zk.four_letters("stmk", zk.i64(mask)), str(mask), "stmk")
        same(zk.four_letters("gtmk"), str(mask), "gtmk after stmk")


@case
def jute_maxbuffer():
    """jute.maxbuffer=4096"""
    with Conn() as c:
        made(c, node("maxbuffer"))
        fixed = len(zk.request(1, zk.SET_DATA, zk.set_data(node("maxbuffer"), b""))) - 4
        same(c.call(zk.SET_DATA, zk.set_data(node("maxbuffer"), bytes(4096 - fixed))).err, 0,
             "a frame of 4096 bytes")
        c.send(zk.request(9, zk.SET_DATA, zk.set_data(node("maxbuffer"), bytes(4097 - fixed))))
        ends_silently(c, "a frame of 4097 bytes")


def warnings():
    """Lines of the server's log about quotas."""
    with open(os.environ["ZK_LOG"], encoding="utf-8", errors="replace") as f:
        return [line.strip() for line in f if "uota exceeded" in line or "quota=exceeded" in line]


@case
def quota_warnings():
    """enforceQuota=true: a soft limit refuses nothing, and the log says that it was exceeded."""
    zokor = os.environ["ZK_KIND"] == "zokor"
    with Conn() as c:
        path = node("quota")
        made(c, path)
        at = "/zookeeper/quota"
        for name in path.split("/")[1:]:
            at += "/" + name
            made(c, at)
        made(c, at + "/zookeeper_limits", b"count=1,bytes=-1")
        made(c, at + "/zookeeper_stats")
        same(warnings(), [], "in the log before")
        for n in range(20):
            made(c, path + "/%d" % n)
        until(warnings, "a line in the log")
        if zokor:
            same(figure("quota_soft_exceeded_writes"), 20, "zk_quota_soft_exceeded_writes")
            same(figure("quota_refused_writes"), 0, "zk_quota_refused_writes")
            time.sleep(2.5)
            made(c, path + "/more")
            time.sleep(2.5)
            same(len(warnings()), 1, "lines within a minute")
            check(re.search(r" WARN quota=exceeded refused=0 overSoft=[1-9]", warnings()[0]),
                  "the line: %s", warnings()[0])


begin()
sys.exit(run())
