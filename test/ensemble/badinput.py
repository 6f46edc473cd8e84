#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Strangers at the quorum and election ports of a live ensemble under load: what makes no sense is
closed with a line in the log, and no role, no epoch and no client's connection changes.

    badinput.py [--kinds KIND,KIND,KIND] [--seed N] DIRECTORY
"""

import argparse
import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from lab import ELECTION_PORT, QUORUM_PORT, Lab
from crowd import Site, wrong
from steps import leave, run
from model import seeded

HTTP = b"GET / HTTP/1.1\r\nHost: zookeeper\r\nUser-Agent: x\r\n\r\n"
FOLLOWERINFO, STRANGER = 11, 99
CLOSE_S = 8.0       # no longer than the handshake's own limit (syncLimit ticks)
HELD = 60           # connections that say nothing


def hello(sid, address=b"10.181.9.99:3888", version=-65536, size=None):
    """The first words at an election port."""
    return struct.pack(">qqi", version, sid, len(address) if size is None else size) + address


def notification(config=b"", size=None, state=0):
    body = struct.pack(">iqqqqii", state, STRANGER, 1 << 40, 1 << 20, 1 << 20, 2, len(config)) + config
    return struct.pack(">i", len(body) if size is None else size) + body


def info(sid, version=0x10000, kind=FOLLOWERINFO, size=None, data=None):
    """The first packet at a quorum port."""
    if data is None:
        data = struct.pack(">qiq", sid, version, 0)
    return struct.pack(">iqi", kind, 0, len(data) if size is None else size) + data + \
        struct.pack(">i", -1)


class BadInput:
    def __init__(self, args):
        self.rng = seeded(args.seed, "bad")
        self.lab = Lab(args.directory, args.kinds.split(","))
        self.site = Site(self.lab, args.seed)
        self.state = None
        self.sent = 0

    def roles(self):
        return {str(m): (mode, self.lab.epoch(m)) for m, mode in self.lab.roles().items()}

    def begin(self):
        self.lab.begin()
        self.site.begin()
        self.site.spread()
        wrong(not self.site.load(0.5), "nothing is acknowledged")
        self.state = self.roles()
        return str(self.state)

    def unmoved(self, what):
        """The same roles and epochs, and the same connections of clients, at work."""
        wrong(len(self.site.connected()) != len(self.site.clients), "%s: clients lost connections",
              what)
        end = time.monotonic() + 3  # a slow disk; what a stranger did would last longer, or show below
        while not self.site.load(0.2):
            wrong(time.monotonic() > end, "%s: nothing is acknowledged", what)
        wrong(len(self.site.connected()) != len(self.site.clients), "%s: clients lost connections",
              what)
        now = self.roles()
        wrong(now != self.state, "%s: %s became %s", what, self.state, now)

    def throw(self, what, member, port, data, closed=True):
        """@return how long it was borne"""
        self.sent += 1
        began = time.monotonic()
        with socket.create_connection((member.address, port), timeout=3) as sock:
            try:
                sock.sendall(data)
                sock.settimeout(CLOSE_S if closed else 0.2)
                while sock.recv(4096):
                    pass
            except ConnectionError:
                pass
            except TimeoutError:
                wrong(closed, "%s: %s does not close the connection in %g s", what, member, CLOSE_S)
        return time.monotonic() - began

    def lines(self):
        return {m: len(m.log().splitlines()) for m in self.lab.members}

    def cases(self, cases, members, port):
        before, worst = self.lines(), 0
        for what, data, closed in cases:
            for m in members:
                worst = max(worst, self.throw(what, m, port, data, closed and m.kind == "zokor"))
                self.unmoved("%s at %s" % (what, m))
        after = self.lines()
        for m in members:
            if m.kind == "zokor":
                said = after[m] - before[m]
                wrong(not said, "%s has said nothing", m)
                wrong(said > 2 * len(cases), "%s has said %d lines for %d connections", m, said,
                      len(cases))
        return "%d connections, borne %.1f s at most; no role, epoch or client connection changed" % (
            len(cases) * len(members), worst)

    def election(self):
        own = self.lab[1]
        return self.cases([
            ("an HTTP request", HTTP, True),
            ("random bytes", b"\xff" + self.rng.randbytes(20000), True),
            ("a hello of a huge address", hello(STRANGER, b"x" * 100, size=0x7fffffff), True),
            ("a hello of a negative length", hello(STRANGER, b"x", size=-2), True),
            ("a hello of an unknown version", hello(STRANGER, version=-77), True),
            ("a huge message", hello(STRANGER) + notification(size=0x7fffffff), True),
            ("an empty message", hello(STRANGER) + notification(size=0), True),
            ("a stranger's vote", hello(STRANGER) + notification(), False),
            ("a vote for a stranger, elected", hello(STRANGER) + notification(state=2), False),
            ("a hello of 3.4", struct.pack(">q", STRANGER), False),
            ("a member's own sid", hello(own.sid), False),
        ], self.lab.members, ELECTION_PORT)

    def twice(self):
        """The sid of a living member: its connection is replaced, and it connects again."""
        for m in self.lab.members:
            for other in self.lab.members:
                if other is not m:
                    self.throw("the sid of %s" % other, m, ELECTION_PORT, hello(
                        other.sid, ("%s:%d" % (other.address, ELECTION_PORT)).encode()), False)
        self.unmoved("sids of living members")
        leader = self.lab.leader()
        for m in self.lab.members:
            self.throw("%s at the quorum port" % m, leader, QUORUM_PORT, info(m.sid),
                       closed=m is leader and leader.kind == "zokor")
            self.unmoved("%s at the quorum port" % m)
        return "living members' sids at both ports"

    def quorum(self):
        return self.cases([
            ("an HTTP request", HTTP, True),
            ("random bytes", b"\xff" + self.rng.randbytes(20000), True),
            ("a huge packet", info(STRANGER, size=0x7fffffff), True),
            ("a packet of negative length", info(STRANGER, size=-7), True),
            ("an ACK as the first packet", info(STRANGER, kind=3), True),
            ("a protocol before 1.0", info(STRANGER, version=1), True),
            ("only a sid", info(0, data=struct.pack(">q", STRANGER)), True),
            ("a stranger", info(STRANGER), False),
        ], [self.lab.leader()], QUORUM_PORT)

    def held(self):
        """Many connections that say nothing: a member that comes back finds room all the same."""
        socks = []
        leader = self.lab.leader()
        # Apache hears one caller of the election port after the other, each for two seconds.
        for i in range(HELD if all(m.kind == "zokor" for m in self.lab.members) else 2):
            for m, port in [(leader, QUORUM_PORT)] + [(m, ELECTION_PORT) for m in self.lab.members]:
                sock = socket.create_connection((m.address, port), timeout=3)
                sock.sendall(b"\0\0\0" if i % 2 else b"")
                socks.append(sock)
        self.unmoved("connections that say nothing")
        victim = [m for m in self.lab.members if m is not leader][0]
        victim.kill()
        self.site.left(victim)
        began = time.monotonic()
        victim.start()
        took = time.monotonic() - began
        wrong(self.lab.leader() is not leader, "the leader changed")
        for sock in socks:
            sock.close()
        self.site.rest()
        size = self.site.verify()
        return "%d held; %s came back in %.1f s; %d nodes are the same" % (
            len(socks), victim, took, size)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kinds", default="zokor,zokor,zokor")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("directory")
    args = parser.parse_args()
    bad = BadInput(args)
    return run(bad, ("begin", "election", "quorum", "twice", "held"), bad.lab, "kinds %s, seed %d" % (
        args.kinds, args.seed))


leave(main())
