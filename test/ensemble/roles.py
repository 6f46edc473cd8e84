#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What clients and tools see of a server's role: four-letter words of leader, follower, observer,
of a server that looks for a leader and of one in read-only mode; the requests of that mode; what
becomes of connections when a role ends. The expectations hold for either kind of server.

    roles.py [--kinds KIND,KIND,KIND] DIRECTORY     the observer is of the kind that is first
"""

import argparse
import logging
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from lab import ELECTION_PORT, QUORUM_PORT, Failed, Lab, until
from steps import run
import zkwire as zk
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NotReadOnlyCallError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.retry import KazooRetry

logging.basicConfig(level=logging.CRITICAL)
NOT_SERVING = "This ZooKeeper instance is not currently serving requests"
NOT_READ_ONLY = -119
READ_ONLY_S = 15.0  # it begins after 2 s of looking
LEADER_GAUGES = ("learners", "synced_followers", "synced_non_voting_followers", "synced_observers",
                 "pending_syncs", "leader_uptime", "last_proposal_size", "max_proposal_size",
                 "min_proposal_size")
CONF = ("clientPort secureClientPort dataDir dataDirSize dataLogDir dataLogSize tickTime "
        "maxClientCnxns minSessionTimeout maxSessionTimeout clientPortListenBacklog serverId "
        "initLimit syncLimit electionAlg electionPort quorumPort peerType").split()
SRVR = (r"Zookeeper version: .*\n%sLatency min/avg/max: \d+/[\d.E-]+/\d+\nReceived: \d+\nSent: \d+\n"
        r"Connections: \d+\nOutstanding: \d+\nZxid: 0x[0-9a-f]+\nMode: %s\nNode count: \d+\n%s")


def wrong(condition, text, *args):
    if condition:
        raise Failed(text % args)


def same(got, want, what):
    wrong(got != want, "%s: %r, not %r", what, got, want)


def ended(conn, seconds, what):
    """The server closes the connection, and says nothing more."""
    conn.sock.settimeout(seconds)
    try:
        same(conn.rest(), b"", what)
    except TimeoutError as err:
        raise Failed("%s is still open after %g s" % (what, seconds)) from err


def hello(member, **kwargs):
    """What a ConnectRequest gets, up to the end of the connection or for half a second."""
    with zk.Conn(connect=False, host=member.address) as conn:
        conn.send(zk.connect_request(**kwargs))
        conn.sock.settimeout(0.5)
        out = b""
        try:
            while True:
                more = conn.sock.recv(4096)
                if not more:
                    return out, True
                out += more
        except TimeoutError:
            return out, False


class Roles:
    def __init__(self, args):
        kinds = args.kinds.split(",")
        self.lab = Lab(args.directory, kinds, [kinds[0]], conf={"readonlymode.enabled": "true"})
        for member in self.lab.members:
            member.java.append("-Dreadonlymode.enabled=true")
        # All who may lead: an Apache leader without them takes no writes of a server that has them.
        for member in self.lab.members:
            member.conf["localSessionsEnabled"] = "false" if member.observer else "true"
        self.session = self.guest = None

    def status(self, member, said, code):
        """zokorctl server status"""
        if member.kind == "zokor":
            ctl = os.path.join(os.path.dirname(os.environ["ZOKORD"]), "zokorctl")
            got = subprocess.run([ctl, "server", "status", member.log_name + ".cfg"],
                                 stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                 check=False)
            same((got.stdout.splitlines()[-1], got.returncode), (said, code), "zokorctl's status")

    def begin(self):
        first = self.lab[2]
        first.spawn()
        until(lambda: first.word("srvr", 0.2) == NOT_SERVING + "\n", "%s looks" % first, 20)
        self.status(first, "It runs, but is not currently serving requests: no quorum.", 1)
        first.kill()
        self.lab.begin()
        with zk.Conn(host=self.lab[2].address) as conn:
            same(conn.call(zk.CREATE, zk.create("/a", b"text")).err, 0, "create")
            conn.close()
        self.session = zk.Conn(host=self.lab[4].address, session_ms=60000)
        return "%s leads" % self.lab.leader()

    # ---- words of a server that serves
    def words(self):
        for member, mode in self.lab.roles().items():
            words = {w: member.word(w) for w in ("srvr", "stat", "conf", "mntr", "dump", "isro")}
            sizes = r"Proposal sizes last/min/max: \d+/\d+/\d+\n" if mode == "leader" else ""
            wrong(not re.fullmatch(SRVR % ("", mode, sizes), words["srvr"]), "srvr of %s: %s", member,
                  words["srvr"])
            wrong(not words["stat"].endswith("\n".join(words["srvr"].split("\n")[-3:])) and
                  mode != "leader", "stat of %s: %s", member, words["stat"])
            same(words["isro"], "rw", "isro of %s" % member)
            self.status(member, "Mode: " + mode, 0)
            self.conf(member, words["conf"], read_only=False)
            self.mntr(member, mode, words["mntr"])
            self.dump(member, mode, words["dump"])
        return ", ".join("%s %s" % item for item in self.lab.roles().items())

    def conf(self, member, text, read_only):
        head, _, config = text.partition("membership: \n")
        same([line.split("=")[0] for line in head.splitlines()], CONF, "conf of %s" % member)
        values = dict(line.split("=", 1) for line in head.splitlines())
        want = {"serverId": str(member.sid), "initLimit": "20", "syncLimit": "4",
                "electionAlg": "3", "electionPort": str(ELECTION_PORT),
                "quorumPort": str(QUORUM_PORT), "peerType": "1" if member.observer else "0"}
        same({k: values[k] for k in want}, want, "conf of %s" % member)
        lines = ["server.%d=%s:%d:%d:%s" % (m.sid, m.address, QUORUM_PORT, ELECTION_PORT,
                                            "observer" if m.observer else "participant")
                 for m in self.lab.members]
        same(config, "" if read_only else "\n".join(lines + ["version=0"]),
             "membership of %s" % member)

    def mntr(self, member, mode, text):
        values = dict(line.split("\t", 1) for line in text.splitlines())
        got = {k: values.get("zk_" + k) for k in ("server_state", "peer_state", "quorum_size",
                                                  "observer_master_id")}
        what = {"leader": "leading", "follower": "following", "observer": "observing"}
        serves = mode in what
        same(got, {"server_state": mode, "peer_state": serves and what[mode] + " - broadcast" or None,
                   "quorum_size": "3" if serves else None,
                   "observer_master_id": str(self.lab.leader().sid) if mode == "observer" else None},
             "mntr of %s" % member)
        for name in LEADER_GAUGES:
            if name == "synced_observers" and mode == "follower":
                continue
            same("zk_" + name in values, mode == "leader", "%s in mntr of %s" % (name, member))
        if mode == "leader":
            same([values["zk_" + k] for k in LEADER_GAUGES[:5]], ["3", "2", "0", "1", "0"],
                 "gauges of %s" % member)
        for name in ("looking_count", "diff_count", "snap_count", "local_sessions",
                     "global_sessions", "cnt_election_time", "cnt_follower_sync_time"):
            wrong("zk_" + name not in values, "no %s in mntr of %s", name, member)

    def dump(self, member, mode, text):
        local = r"Local Session Sets \(\d+\)/\(\d+\):\n(\d+ expire at .*:\n(\t0x[0-9a-f]+\n)*)*" \
            if member.conf["localSessionsEnabled"] == "true" else ""
        sets = r"Session Sets \(\d+\)/\(\d+\):\n(\d+ expire at .*:\n(\t0x[0-9a-f]+\n)*)*"
        wrong(not re.match("SessionTracker dump:\n" + local + (
            ("Global " if local else "") + sets if mode == "leader" else
            r"Global Sessions\(\d+\):\n(0x[0-9a-f]+\t\d+ms\n)*") +
            r"ephemeral nodes dump:\nSessions with Ephemerals \(\d+\):\n", text),
            "dump of %s: %s", member, text)
        line = "0x%x\t60000ms\n" % self.session.session
        wrong(mode != "leader" and line not in text, "no %r in dump of %s: %s", line, member, text)

    def priority(self):
        """A zokor observer steps aside for the voters of its machine, with all of its threads."""
        for member in self.lab.members:
            if member.kind != "zokor":
                continue
            want = 7 if member.observer else 0
            want += os.getpriority(os.PRIO_PROCESS, 0)
            seen = 0
            for thread in os.listdir("/proc/%d/task" % member.process.pid):
                try:
                    with open("/proc/%d/task/%s/comm" % (member.process.pid, thread)) as f:
                        name = f.read().strip()
                    got = os.getpriority(os.PRIO_PROCESS, int(thread))
                except (FileNotFoundError, ProcessLookupError):     # it has ended
                    continue
                if name == "zk-snapshot":       # gives way to its own server, too
                    wrong(got <= want, "%s of %s has nice value %d", name, member, got)
                    continue
                same(got, want, "the nice value of %s of %s" % (name, member))
                seen += name.startswith("zk-poll-")
            wrong(not seen, "%s has no poll thread", member)
        return "nice 7 for an observer, 0 for a voter"

    # ---- roles end
    def alone(self, sid):
        """All others go; the connections of the one that is left end."""
        left = self.lab[sid]
        conn = zk.Conn(host=left.address)
        same(conn.call(zk.GET_DATA, zk.watched("/a", True)).err, 0, "getData")
        for member in self.lab.members:
            if member is not left:
                member.kill()
        until(lambda: left.word("isro") != "rw", "%s no longer serves" % left, 15)
        seen = until(lambda: self.looking(left), "%s looks for a leader" % left, 5)
        ended(conn, 1, "a connection of %s before" % left)
        until(lambda: left.word("isro") == "ro", "read-only mode of %s" % left, READ_ONLY_S)
        return left, seen

    def looking(self, member):
        """The words of a server without a role. @return how many, 0 when it had one."""
        words = {w: member.word(w) for w in ("isro", "ruok", "srvr", "hash", "conf", "cons", "gtmk")}
        out, closed = hello(member)
        if words["isro"] != "null" or member.word("isro") != "null":
            return 0
        same(words, {"isro": "null", "ruok": "imok", "srvr": NOT_SERVING + "\n",
                     "hash": NOT_SERVING, "conf": NOT_SERVING + "\n", "cons": NOT_SERVING + "\n",
                     "gtmk": "306"}, "words of %s, which looks for a leader" % member)
        same((out, closed), (b"", True), "a ConnectRequest to it")
        return len(words)

    def read_only_words(self, member):
        text = member.word("srvr")
        wrong(not re.fullmatch(SRVR % ("READ-ONLY mode; serving only read-only clients\n",
                                       "read-only", ""), text), "srvr of %s: %s", member, text)
        self.status(member, "Mode: read-only", 0)
        self.conf(member, member.word("conf"), read_only=True)
        self.mntr(member, "read-only", member.word("mntr"))

    def read_only(self):
        member, seen = self.alone(1)
        self.read_only_words(member)
        for flag in (False, None):
            same(hello(member, read_only=flag), (b"", True), "a client that wants to write")
        conn = zk.Conn(host=member.address, read_only=True)
        same((conn.read_only, conn.session >> 56, conn.connect_size), (True, 1, 37), "the session")
        same(conn.call(zk.GET_DATA, zk.watched("/a", True)).body.buf(), b"text", "getData")
        for name, op, body in (("create", zk.CREATE, zk.create("/b", b"")),
                               ("setData", zk.SET_DATA, zk.set_data("/a", b"no")),
                               ("delete", zk.DELETE, zk.versioned("/a")),
                               ("multi", zk.MULTI, zk.multi((zk.CHECK, zk.versioned("/a")))),
                               ("check", zk.CHECK, zk.versioned("/a")),
                               ("sync", zk.SYNC, zk.buf("/a"))):
            got = conn.call(op, body)
            same((got.err, got.body.left()), (NOT_READ_ONLY, 0), name)
        same(conn.call(zk.EXISTS, zk.watched("/b")).err, zk.NOT_FOUND, "exists")
        self.dump(member, "read-only", member.word("dump"))
        wrong("\t0x%x\n" % conn.session not in member.word("dump"), "not in dump: %x", conn.session)
        # it may go on on another connection
        with zk.Conn(host=member.address, read_only=True, session=conn.session,
                     password=conn.password) as again:
            same((again.session, again.read_only), (conn.session, True), "the session again")
            got, rest = again.close()
            same((got.err, rest), (0, b""), "closeSession")
        self.visit(member)
        return "%d words before it; writes and sync are refused in it" % seen

    def visit(self, member):
        """A kazoo client that may read only."""
        self.guest = KazooClient(
            "%s:%d" % (member.address, zk.PORT), timeout=10, read_only=True,
            connection_retry=KazooRetry(max_tries=-1, delay=0.05, max_delay=0.2))
        self.guest.start(10)
        same(str(self.guest.client_state), "CONNECTED_RO", "kazoo")
        same(self.guest.get("/a")[0], b"text", "kazoo's get")
        try:
            self.guest.set("/a", b"no")
            raise Failed("kazoo could write")
        except NotReadOnlyCallError:
            pass

    def writes(self):
        try:
            return self.guest.set("/a", b"text") is not None
        except (KazooException, KazooTimeoutError):
            return False

    def back(self):
        """The quorum is back: what read-only mode had is over."""
        member = self.lab[1]
        conn = zk.Conn(host=member.address, read_only=True)
        self.lab.start(*(m for m in self.lab.members if m is not member))
        self.lab.settled()
        ended(conn, 5, "a connection of read-only mode")
        with zk.Conn(host=member.address, read_only=True, session=conn.session,
                     password=conn.password) as late:
            same((late.session, late.timeout, late.rest()), (0, 0, b""), "its session")
        with zk.Conn(host=member.address, read_only=True, session=self.session.session,
                     password=self.session.password, session_ms=60000) as late:
            same((late.session, late.read_only), (self.session.session, False),
                 "the ensemble's session")
            same(late.call(zk.CREATE, zk.create("/c", b"")).err, 0, "create")
        if member.kind == "zokor" or self.lab.leader().kind == "apache":
            until(self.writes, "kazoo may write again", 10)
        self.guest.stop()
        self.guest.close()
        self.words()
        return "%s serves as %s" % (member, member.mode())

    def without_local_sessions(self):
        self.lab[2].kill()
        self.lab[2].conf["localSessionsEnabled"] = "false"
        self.lab[2].start()
        self.lab.settled()
        member, _ = self.alone(2)
        out, closed = hello(member, read_only=True)
        wrong(closed or len(out) != 20, "a new session gets %r, closed %s", out, closed)
        got = zk.Reply(out[4:])
        same((got.xid, got.err), (0, NOT_READ_ONLY), "a new session")
        if member.kind == "zokor":  # 3.8.0 takes the session up, 3.9 does not
            same(hello(member, read_only=True, session=self.session.session,
                       password=self.session.password), (b"", True), "the ensemble's session")
        return "a new session gets the header of a reply"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kinds", default="zokor,zokor,zokor")
    parser.add_argument("directory")
    args = parser.parse_args()
    roles = Roles(args)
    return run(roles, ("begin", "words", "priority", "read_only", "back", "without_local_sessions"),
               roles.lab, "kinds %s" % args.kinds)


sys.exit(main())
